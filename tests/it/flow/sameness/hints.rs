//! The flows that take a `login_hint`, with the identifier of a user and with those that must be answered
//! alike (threat ATT-13).

use serde_json::{Value, json};

use super::flows::{everybody, prepare, read_mail};
use super::{assert_alike, look};
use crate::fixture::{Call, PASSWORD, Site, on_both_databases};

/// One identifier of each user, in the order of [`everybody`]. No user has the last one.
fn hints(kind: &str) -> Vec<String> {
    everybody()
        .iter()
        .map(|name| format!("{kind}-{}", &name[..5]))
        .collect()
}

async fn prepare_hints(site: &Site) {
    prepare(site).await;
    for (username, number) in everybody()[..4].iter().zip(0..) {
        let user_id = site.user(username).await.expect("registered").id;
        for kind in ["order", "cases"] {
            let value = &hints(kind)[number];
            site.add_identifier(&user_id, kind, value).await;
        }
    }
    let settings = json!({
        "headlessDiscoveryHandler": "builtin",
        "headlessDiscoveryStrategies": ["identifier:order", "identifier:cases"],
        "isUserDisambiguationAllowedUsernamePwd": true, "isUserDisambiguationAllowedForgotPwd": true,
    });
    site.update_settings_of("public", settings).await;
}

fn ask(path: &str, mut body: Value) -> Call {
    body["recaptcha"] = json!("test-pass");
    Call::post(path).on_public().json(&body)
}

fn passwordless(hint: &str) -> Call {
    let body = json!({"login_hint": hint, "verificationmethod": "email", "customdata": {"a": 1}});
    ask("/services/auth/headless/init/passwordless/login", body)
}

fn forgot(hint: &str) -> Call {
    ask(
        "/services/auth/headless/forgot_password",
        json!({"login_hint": hint}),
    )
}

fn reset(hint: &str) -> Call {
    let body = json!({"login_hint": hint, "otp": "!wrong", "newpassword": PASSWORD});
    Call::post("/services/auth/headless/forgot_password")
        .on_public()
        .json(&body)
}

on_both_databases! {
    async fn att_13_a_request_for_a_code_by_a_hint_discloses_nothing(site: Site) {
        prepare_hints(&site).await;
        let seen = assert_alike(&site, &hints("order"), passwordless).await;
        assert_eq!(seen.status, 200);
        assert_eq!(read_mail(&site).await, ["known@example.com"]);
        let seen = assert_alike(&site, &hints("order"), forgot).await;
        assert_eq!(seen.status, 200);
        read_mail(&site).await;
        for _ in 0..7 {
            assert_eq!(assert_alike(&site, &hints("order"), reset).await.status, 400);
        }
        read_mail(&site).await;
    }
}

on_both_databases! {
    async fn att_13_no_answer_discloses_that_two_hints_are_of_one_user(site: Site) {
        prepare_hints(&site).await;
        // All codes of the hour, by one number ...
        for _ in 0..5 {
            assert_eq!(assert_alike(&site, &hints("order"), passwordless).await.status, 200);
        }
        read_mail(&site).await;
        // ... and the other number gets the answer that a number of no user gets.
        assert_eq!(assert_alike(&site, &hints("cases"), passwordless).await.status, 200);
        assert_eq!(read_mail(&site).await, Vec::<String>::new(), "there is no sixth code");
        // What the caller has sent itself is counted for everybody.
        assert_eq!(assert_alike(&site, &hints("order"), passwordless).await.status, 429);
    }
}

on_both_databases! {
    async fn att_13_a_password_with_a_hint_discloses_nothing_until_it_is_right(site: Site) {
        prepare_hints(&site).await;
        for _ in 0..12 {
            let seen = assert_alike(&site, &hints("order"), |hint| site.public_hint_call(hint, "wrong Pa55word!")).await;
            assert_eq!(seen.status, 400);
        }
        let (wrong, _) = look(&site, site.public_hint_call("order-known", "wrong Pa55word!")).await;
        for hint in ["order-unver", "order-lockd", "order-disab", "order-nobod"] {
            let (right, _) = look(&site, site.public_hint_call(hint, PASSWORD)).await;
            assert_eq!(right, wrong, "{hint}");
        }
    }
}
