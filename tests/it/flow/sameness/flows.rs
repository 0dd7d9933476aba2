//! The flows, each requested for an active user and for all users who must get the same response.

use std::time::Duration;

use serde_json::{Value, json};

use super::{assert_alike, look};
use crate::fixture::{Call, PASSWORD, Site, on_both_databases, registration};

const FORGOT: &str = "/services/auth/headless/forgot_password";
const PASSWORDLESS: &str = "/services/auth/headless/init/passwordless/login";
const REGISTRATION: &str = "/services/auth/headless/init/registration";

/// An active user, and those that an unauthenticated caller must not be able to distinguish from them; all names
/// have one length.
pub(super) fn everybody() -> Vec<String> {
    ["known", "unver", "lockd", "disab", "nobod"]
        .map(|name| format!("{name}@example.com"))
        .to_vec()
}

/// One user of each kind; unauthenticated callers use the public site.
pub(super) async fn prepare(site: &Site) {
    for username in &everybody()[..4] {
        site.register(username).await;
    }
    let at = site.app.now().millis();
    for change in [
        String::from("email_verified_at = NULL WHERE username_key = 'unver@example.com'"),
        format!("locked_at = {at} WHERE username_key = 'lockd@example.com'"),
        format!("disabled_at = {at} WHERE username_key = 'disab@example.com'"),
    ] {
        site.execute(format!("UPDATE app_user SET {change}")).await;
    }
    site.deliver().await;
    site.inbox.clear();
    // The budgets that were used for the setup no longer count.
    site.advance(Duration::from_secs(3_601));
}

fn ask(path: &str, mut body: Value) -> Call {
    body["recaptcha"] = json!("test-pass");
    Call::post(path).on_public().json(&body)
}

fn passwordless(username: &str) -> Call {
    ask(
        PASSWORDLESS,
        json!({"username": username, "verificationmethod": "email"}),
    )
}

fn forgot(username: &str) -> Call {
    ask(FORGOT, json!({"username": username}))
}

fn reset(username: &str, password: &str) -> Call {
    let body = json!({"username": username, "otp": "!wrong", "newpassword": password});
    Call::post(FORGOT).on_public().json(&body)
}

fn log_in(site: &Site, username: &str, password: &str) -> Call {
    site.public_authorize_call("Named-User", username, password)
        .without_header("auth-verification-type")
}

/// The recipients of messages; suppressed messages have none.
pub(super) async fn read_mail(site: &Site) -> Vec<String> {
    site.deliver().await;
    let messages = site.inbox.list(None);
    let sent = messages
        .iter()
        .filter(|message| message.suppressed.is_none());
    let recipients = sent.map(|message| message.to.clone()).collect();
    site.inbox.clear();
    recipients
}

on_both_databases! {
    async fn enu_05_07_a_registration_does_not_disclose_whether_a_name_is_taken(site: Site) {
        prepare(&site).await;
        let call = |username: &str| ask(REGISTRATION, registration(username));
        let seen = assert_alike(&site, &everybody(), call).await;
        assert_eq!(seen.status, 200);
        // The same with an address that is not the account's.
        let call = |username: &str| {
            let mut body = registration(username);
            body["userdata"]["email"] = json!(username.replace('@', "@mail."));
            ask(REGISTRATION, body)
        };
        assert_alike(&site, &everybody(), call).await;
        read_mail(&site).await;
        for _ in 0..4 {
            assert_alike(&site, &everybody(), |name| ask(REGISTRATION, registration(name))).await;
        }
        let seen = assert_alike(&site, &everybody(), |name| ask(REGISTRATION, registration(name))).await;
        assert_eq!(seen.status, 429, "the sixth of an hour");
        read_mail(&site).await;
    }
}

on_both_databases! {
    async fn enu_03_06_07_09_a_passwordless_login_discloses_nothing_until_the_code_is_right(site: Site) {
        prepare(&site).await;
        let seen = assert_alike(&site, &everybody(), passwordless).await;
        assert_eq!(seen.status, 200);
        assert_eq!(read_mail(&site).await, ["known@example.com"]);
        let mut identifiers = Vec::new();
        for username in everybody() {
            let (_, answer) = look(&site, passwordless(&username)).await;
            let answer = answer.json();
            assert!(answer.get("email").is_none_or(|email| *email == username), "{answer}");
            identifiers.push(answer["identifier"].as_str().unwrap().to_owned());
        }
        read_mail(&site).await;
        let redeem = |identifier: &str| site.public_authorize_call("passwordless-login", identifier, "!wrong");
        for _ in 0..7 {
            let seen = assert_alike(&site, &identifiers, redeem).await;
            assert_eq!(seen.status, 400);
        }
        // The third, fourth and fifth code of the hour are sent, the sixth is not.
        for _ in 0..3 {
            assert_alike(&site, &everybody(), passwordless).await;
        }
        assert_eq!(assert_alike(&site, &everybody(), passwordless).await.status, 429);
        read_mail(&site).await;
    }
}

on_both_databases! {
    async fn enu_01_06_07_10_a_password_reset_discloses_nothing_until_the_code_is_right(site: Site) {
        prepare(&site).await;
        let seen = assert_alike(&site, &everybody(), forgot).await;
        assert_eq!(seen.status, 200);
        assert_eq!(read_mail(&site).await, ["known@example.com"]);
        // The code is checked before the policy, so a bad password discloses nothing.
        for password in [PASSWORD, "short", PASSWORD, PASSWORD, PASSWORD, PASSWORD, PASSWORD] {
            let seen = assert_alike(&site, &everybody(), |name| reset(name, password)).await;
            assert_eq!(seen.status, 400);
        }
        for _ in 0..4 {
            assert_alike(&site, &everybody(), forgot).await;
        }
        assert_eq!(assert_alike(&site, &everybody(), forgot).await.status, 429);
        read_mail(&site).await;
    }
}

on_both_databases! {
    async fn enu_04_a_password_login_discloses_nothing_until_the_password_is_right(site: Site) {
        site.register("nopwd@example.com").await;
        prepare(&site).await;
        let mut names = everybody();
        names.push(String::from("nopwd@example.com"));
        site.execute("DELETE FROM credential WHERE user_id IN
            (SELECT id FROM app_user WHERE username_key = 'nopwd@example.com')").await;
        // Users that a right password does not log in. An unverified address does not prevent it.
        let shut = ["lockd@example.com", "disab@example.com", "nobod@example.com", "nopwd@example.com"];
        let (wrong, _) = look(&site, log_in(&site, "known@example.com", "wrong Pa55word!")).await;
        for name in shut {
            let (right, _) = look(&site, log_in(&site, name, PASSWORD)).await;
            assert_eq!(right, wrong, "{name}");
        }
        for _ in 0..12 {
            let seen = assert_alike(&site, &names, |name| log_in(&site, name, "wrong Pa55word!")).await;
            assert_eq!(seen.status, 400);
        }
    }
}
