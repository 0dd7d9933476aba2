//! Who asks for a code, and from which network: no caller learns from a limit what others did, and none uses up what
//! belongs to the user or to a backend (threats ENU-07, LOCK-02).

use serde_json::{Value, json};

use super::other_code;
use crate::fixture::{Answer, Call, Site, on_both_databases};

const OWNER: &str = "192.0.2.10";
const ATTACKER: &str = "198.51.100.20";
const FORGOT: &str = "/services/auth/headless/forgot_password";
const INIT_LOGIN: &str = "/services/auth/headless/init/passwordless/login";
const JANICE: &str = "janice@example.com";
const UNKNOWN: &str = "unknown@example.com";

fn login(who: &Value) -> Call {
    let mut body = who.clone();
    body["verificationmethod"] = json!("email");
    body["recaptcha"] = json!("test-pass");
    Call::post(INIT_LOGIN).on_public().json(&body)
}

fn ask(who: &Value) -> Call {
    let mut body = who.clone();
    body["recaptcha"] = json!("test-pass");
    Call::post(FORGOT).on_public().json(&body)
}

fn choose(who: &Value, otp: &str) -> Call {
    let mut body = who.clone();
    body["otp"] = json!(otp);
    body["newpassword"] = json!("Another-Pa55word");
    Call::post(FORGOT).on_public().json(&body)
}

fn username(name: &str) -> Value {
    json!({"username": name})
}

/// The code of the only message that is sent to the user, if one is.
async fn mailed(site: &Site) -> Option<String> {
    site.deliver().await;
    let messages = site.inbox.list(Some(JANICE));
    site.inbox.clear();
    messages.iter().find_map(|message| message.code.clone())
}

/// What a caller sees of an answer.
fn seen(answer: &Answer) -> (u16, String, Option<String>) {
    let mut body = answer.json();
    if body["identifier"].is_string() {
        body["identifier"] = json!("…");
    }
    if body["email"].is_string() {
        body["email"] = json!("…");
    }
    let retry_after = answer.header("retry-after").map(str::to_owned);
    (answer.status, body.to_string(), retry_after)
}

/// Registers the user, who thereby logs in from the network of the owner.
async fn register_from_owner(site: &Site) {
    let identifier = site.pending(JANICE).await;
    let code = site.code_to(JANICE).await;
    let call = site.authorize_call(&identifier, &code);
    site.send_from(OWNER, call).await.expect_status(302);
}

on_both_databases! {
    async fn enu_07_what_the_owner_asked_for_is_not_in_the_count_of_another_network(site: Site) {
        register_from_owner(&site).await;
        for call in [login, ask] {
            for _ in 0..2 {
                site.send_from(OWNER, call(&username(JANICE))).await.expect_ok();
            }
            site.advance(std::time::Duration::from_secs(15));
            let mut counts = Vec::new();
            for who in [JANICE, UNKNOWN] {
                let mut answers = Vec::new();
                for _ in 0..6 {
                    answers.push(seen(&site.send_from(ATTACKER, call(&username(who))).await));
                }
                assert_eq!((answers[4].0, answers[5].0), (200, 429), "{who}");
                assert_eq!(answers[5].2.as_deref(), Some("3600"), "{who}: of its own requests");
                counts.push(answers);
            }
            assert_eq!(counts[0], counts[1]);
        }
        mailed(&site).await;
    }
}

on_both_databases! {
    async fn lock_02_requests_of_others_block_neither_the_backend_nor_the_user_s_own_network(site: Site) {
        register_from_owner(&site).await;
        for number in 0..12 {
            let network = format!("198.51.100.{number}");
            site.send_from(&network, login(&username(JANICE))).await.expect_ok();
            site.send_from(&network, ask(&username(JANICE))).await.expect_ok();
        }
        mailed(&site).await;
        // The codes of the others are over after ten minutes, their budget is not.
        site.advance(std::time::Duration::from_secs(601));
        site.send_from(ATTACKER, login(&username(JANICE))).await.expect_ok();
        assert_eq!(mailed(&site).await, None, "the others have no code left");
        let answer = site.send_from(OWNER, login(&username(JANICE))).await.expect_ok().json();
        let code = mailed(&site).await.expect("the user's own network has a budget of its own");
        let identifier = answer["identifier"].as_str().unwrap();
        // A request without budget does not end the code that was sent.
        site.send_from(ATTACKER, login(&username(JANICE))).await.expect_ok();
        assert_eq!(mailed(&site).await, None);
        let call = site.public_authorize_call("passwordless-login", identifier, &code);
        site.send_from(OWNER, call).await.expect_status(302);
        let token = site.integration_token(None).await;
        let call = Call::post(FORGOT).bearer(&token).json(&username(JANICE));
        site.send_from(ATTACKER, call).await.expect_ok();
        assert!(mailed(&site).await.is_some(), "and so has a backend");
    }
}

on_both_databases! {
    async fn lock_02_wrong_codes_from_another_network_do_not_use_up_the_attempts_of_the_requester(site: Site) {
        register_from_owner(&site).await;
        site.send_from(OWNER, ask(&username(JANICE))).await.expect_ok();
        let code = mailed(&site).await.unwrap();
        let mut answers = Vec::new();
        for _ in 0..7 {
            let guess = choose(&username(JANICE), &other_code(&code));
            answers.push(site.send_from(ATTACKER, guess).await.expect_status(400).json()["status_code"].clone());
        }
        assert_eq!(answers[4..], ["invalid_otp", "regenerate_otp", "regenerate_otp"]);
        // A request of the attacker, who has no attempts left, sends no code that replaces the user's.
        site.send_from(OWNER, choose(&username(JANICE), &code)).await.expect_ok();
        mailed(&site).await;
    }
}

on_both_databases! {
    async fn lock_02_a_request_without_a_code_does_not_hide_the_code_that_was_sent(site: Site) {
        register_from_owner(&site).await;
        let elsewhere = "203.0.113.30";
        site.send_from(elsewhere, ask(&username(JANICE))).await.expect_ok();
        let code = mailed(&site).await.unwrap();
        for number in 0..4 {
            site.send_from(&format!("198.51.100.{number}"), ask(&username(JANICE))).await.expect_ok();
        }
        assert_eq!(mailed(&site).await.as_ref(), Some(&code), "the same code again");
        let guess = choose(&username(JANICE), &other_code(&code));
        site.send_from(ATTACKER, guess).await.expect_status(400);
        site.send_from(ATTACKER, ask(&username(JANICE))).await.expect_ok();
        assert_eq!(mailed(&site).await, None);
        for network in [ATTACKER, elsewhere] {
            let is_taken = site.send_from(network, choose(&username(JANICE), &code)).await.status == 200;
            assert_eq!(is_taken, network == elsewhere, "{network}");
        }
        mailed(&site).await;
    }
}

on_both_databases! {
    async fn lock_02_the_failures_of_others_leave_the_user_s_own_network_a_fifth_of_the_day(site: Site) {
        register_from_owner(&site).await;
        let user_id = site.user(JANICE).await.unwrap().id;
        let hour = site.app.now().millis() / 3_600_000;
        site.execute(format!("INSERT INTO tally (subject, hour, count) VALUES ('guesses {user_id}', {hour}, 80)")).await;
        for (network, is_taken) in [(ATTACKER, false), (OWNER, true)] {
            let answer = site.send_from(network, login(&username(JANICE))).await.expect_ok().json();
            let code = mailed(&site).await.unwrap();
            let identifier = answer["identifier"].as_str().unwrap();
            let call = site.public_authorize_call("passwordless-login", identifier, &code);
            assert_eq!(site.send_from(network, call).await.status == 302, is_taken, "{network}");
        }
        site.execute("UPDATE tally SET count = 100 WHERE subject LIKE 'guesses %'").await;
        let answer = site.send_from(OWNER, login(&username(JANICE))).await.expect_ok().json();
        let code = mailed(&site).await.unwrap();
        let identifier = answer["identifier"].as_str().unwrap();
        let call = site.public_authorize_call("passwordless-login", identifier, &code);
        site.send_from(OWNER, call).await.expect_status(400);
    }
}

/// The ways to name a user: by hint, by the same hint in another spelling, by another hint and by username.
fn ways(name: &str) -> [Value; 4] {
    [
        json!({"login_hint": format!("{name}@example.com")}),
        json!({"login_hint": format!(" {}@EXAMPLE.com", name.to_uppercase())}),
        json!({"login_hint": format!("order-{name}")}),
        json!({"username": format!("{name}@example.com")}),
    ]
}

on_both_databases! {
    async fn enu_07_no_two_ways_to_name_a_user_disclose_whose_they_are(site: Site) {
        for discovers in [true, false] {
            let handler = if discovers { json!("builtin") } else { json!(null) };
            site.update_settings_of("public", json!({
                "headlessDiscoveryHandler": handler,
                "headlessDiscoveryStrategies": ["username", "verifiedEmail", "identifier:order"],
                "isUserDisambiguationAllowedForgotPwd": discovers,
                "isUserDisambiguationAllowedUsernamePwd": discovers,
            })).await;
            for first in 0..4 {
                for second in 0..4 {
                    for owner_acts in [false, true] {
                        let known = format!("u{first}{second}{}{}", u8::from(owner_acts), u8::from(discovers));
                        let name = format!("{known}@example.com");
                        site.register(&name).await;
                        let user_id = site.user(&name).await.unwrap().id;
                        site.add_identifier(&user_id, "order", &format!("order-{known}")).await;
                        let unknown = format!("n{}", &known[1..]);
                        let mut both = Vec::new();
                        for who in [&known, &unknown] {
                            if owner_acts && who == &known {
                                site.send_from(OWNER, ask(&ways(who)[0])).await;
                                site.send_from(OWNER, ask(&ways(who)[3])).await;
                                site.send_from(OWNER, login(&ways(who)[0])).await;
                            }
                            both.push(probe(&site, &ways(who)[first], &ways(who)[second]).await);
                        }
                        assert_eq!(both[0], both[1], "{first} then {second}, {owner_acts}, {discovers}");
                    }
                }
            }
        }
        site.deliver().await;
        site.inbox.clear();
    }
}

/// Everything that an attacker sees who names a user in one way, then in another.
async fn probe(site: &Site, first: &Value, second: &Value) -> Vec<(u16, String, Option<String>)> {
    let mut answers = Vec::new();
    let mut calls = vec![ask(first), ask(second)];
    calls.extend((0..6).map(|_| choose(second, "!wrong")));
    calls.push(choose(first, "!wrong"));
    calls.extend((0..5).map(|_| login(first)));
    calls.extend((0..2).map(|_| login(second)));
    for call in calls {
        answers.push(seen(&site.send_from(ATTACKER, call).await));
    }
    answers
}
