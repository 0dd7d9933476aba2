//! The flows that take a `login_hint`, asked about the identifier of a user and about those of everybody
//! who must look like one (threat ATT-13).

use serde_json::{Value, json};
use vestibule::identity::external_identifier::ExternalIdentifier;
use vestibule::store;

use super::flows::{everybody, prepare, read_mail};
use super::{assert_alike, look};
use crate::fixture::{CHALLENGE, Call, PASSWORD, START, Site, changed, on_both_databases};

/// What names each of everybody: an order, and a case. Nobody has the last ones.
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
            let value = hints(kind)[number].clone();
            let identifier = ExternalIdentifier {
                kind: kind.to_owned(),
                value: value.clone(),
                user_id: user_id.clone(),
                created_at: START,
            };
            let saved = site.change((identifier, value), |tx, (identifier, key)| {
                Box::pin(async move {
                    changed(store::external_identifier::insert(tx, identifier, key).await?)
                })
            });
            assert!(saved.await);
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

fn log_in(site: &Site, hint: &str, password: &str) -> Call {
    Call::post("/services/oauth2/authorize")
        .on_public()
        .header("auth-request-type", "Named-User")
        .form("response_type", "code_credentials")
        .form("client_id", &site.public_client.id)
        .form("redirect_uri", &site.public_redirect_uri)
        .form("code_challenge", CHALLENGE)
        .form("login_hint", hint)
        .form("password", password)
}

on_both_databases! {
    async fn att_13_a_code_that_is_asked_for_by_a_hint_tells_nothing(site: Site) {
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
    async fn att_13_two_hints_do_not_tell_that_they_are_one_users(site: Site) {
        prepare_hints(&site).await;
        // All codes of the hour, by one number ...
        for _ in 0..5 {
            assert_eq!(assert_alike(&site, &hints("order"), passwordless).await.status, 200);
        }
        read_mail(&site).await;
        // ... and what the other number gets is what a number gets that is nobody's.
        assert_eq!(assert_alike(&site, &hints("cases"), passwordless).await.status, 200);
        assert_eq!(assert_alike(&site, &hints("order"), passwordless).await.status, 200);
        assert_eq!(read_mail(&site).await, Vec::<String>::new(), "there is no sixth code");
    }
}

on_both_databases! {
    async fn att_13_a_password_beside_a_hint_tells_nothing_until_it_is_right(site: Site) {
        prepare_hints(&site).await;
        for _ in 0..12 {
            let seen = assert_alike(&site, &hints("order"), |hint| log_in(&site, hint, "wrong Pa55word!")).await;
            assert_eq!(seen.status, 400);
        }
        let (wrong, _) = look(&site, log_in(&site, "order-known", "wrong Pa55word!")).await;
        for hint in ["order-unver", "order-lockd", "order-disab", "order-nobod"] {
            let (right, _) = look(&site, log_in(&site, hint, PASSWORD)).await;
            assert_eq!(right, wrong, "{hint}");
        }
    }
}
