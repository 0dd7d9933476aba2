//! The validity of an `auth_session`: for its own app, once, for ten minutes and ten failures.

use std::time::Duration;

use serde_json::{Value, json};

use super::mint;
use super::mint::{Instance, STANDARD_PATH, V1, asserted, assertion, enable, enable_public};
use crate::fixture::{Answer, Call, PASSWORD, Site, on_both_databases};

const JANICE: &str = "janice@example.com";

fn session_of(answer: &Answer) -> String {
    let body = answer.json();
    let session = body["auth_session"].as_str();
    session
        .unwrap_or_else(|| panic!("no auth_session: {body}"))
        .to_owned()
}

/// A continuation of the private client with a code.
fn go_on(site: &Site, session: &str, otp: &str) -> Call {
    Call::post(V1)
        .form("client_id", &site.client.id)
        .form("client_assertion", &assertion(site))
        .form("auth_session", session)
        .form("otp", otp)
}

async fn begin(site: &Site) -> String {
    let call = asserted(site)
        .form("username", JANICE)
        .form("verificationmethod", "email");
    session_of(&site.send(call).await.expect_status(403))
}

fn invalid(answer: Answer) {
    let expected = json!({"error": "invalid_session",
        "error_description": "auth_session is unknown, over or of another client"});
    assert_eq!(answer.expect_status(400).json(), expected);
}

on_both_databases! {
    async fn att_09_a_session_belongs_to_its_app_is_used_once_and_expires(site: Site) {
        site.register(JANICE).await;
        enable(&site).await;
        let session = begin(&site).await;
        let code = site.code_to(JANICE).await;
        invalid(site.send(go_on(&site, "guessed", &code)).await);
        // Another app with a certificate of its own.
        site.update_client(&site.integration.id, json!({
            "isFirstPartyAppEnabled": true, "isPkceRequired": true, "permittedUsers": "AllSelfAuthorized",
            "clientAssertionCertificate": [mint::registered().certificate()],
        })).await;
        let mut claims = mint::assertion_claims(&site, "other-1");
        claims["iss"] = json!(site.integration.id);
        claims["sub"] = json!(site.integration.id);
        let foreign = mint::registered().jwt(json!({}), &claims);
        let other = go_on(&site, &session, &code).with("client_id", Some(&site.integration.id))
            .with("client_assertion", Some(&foreign));
        invalid(site.send(other).await);
        // The session is still stored; after a success it is not.
        site.send(go_on(&site, &session, &code)).await.expect_ok();
        invalid(site.send(go_on(&site, &session, &code)).await);

        let session = begin(&site).await;
        let code = site.code_to(JANICE).await;
        site.advance(Duration::from_secs(601));
        invalid(site.send(go_on(&site, &session, &code)).await);
    }
}

on_both_databases! {
    async fn att_09_a_session_belongs_to_its_key(site: Site) {
        site.register(JANICE).await;
        enable_public(&site).await;
        let (own, other) = (Instance::new(), Instance::new());
        let call = own.asks(&site).await.form("username", JANICE);
        let session = session_of(&site.send(call).await.expect_status(403));
        let code = site.code_to(JANICE).await;
        let go_on = async |instance: &Instance| {
            let call = instance.call(&site, STANDARD_PATH).await;
            site.send(call.form("auth_session", &session).form("otp", &code)).await
        };
        invalid(go_on(&other).await);
        go_on(&own).await.expect_ok();
    }
}

on_both_databases! {
    async fn att_09_a_session_belongs_to_its_site(site: Site) {
        site.register(JANICE).await;
        enable(&site).await;
        enable_public(&site).await;
        let session = begin(&site).await;
        let code = site.code_to(JANICE).await;
        let mut claims = mint::assertion_claims(&site, "elsewhere");
        claims["aud"] = json!(crate::fixture::PUBLIC_URL);
        let elsewhere = mint::registered().jwt(json!({}), &claims);
        let call = go_on(&site, &session, &code).on_public().with("client_assertion", Some(&elsewhere));
        invalid(site.send(call).await);
        site.send(go_on(&site, &session, &code)).await.expect_ok();
    }
}

on_both_databases! {
    async fn att_10_of_a_hundred_guesses_at_once_one_is_compared(site: Site) {
        site.register(JANICE).await;
        enable(&site).await;
        let other = site.another_node().await;
        let session = begin(&site).await;
        site.code_to(JANICE).await;
        let mut guesses = Vec::new();
        for number in 0..100 {
            let call = go_on(&site, &session, &format!("9{number:05}"));
            let node = if number % 2 == 0 { &site } else { &other };
            guesses.push(node.send(call));
        }
        let answers = futures_util::future::join_all(guesses).await;
        let compared = answers.iter().filter(|answer| answer.status == 403).count();
        assert_eq!(compared, 1, "the session goes to one of them");
        assert!(answers.iter().all(|answer| matches!(answer.status, 403 | 400)));
        site.inbox.clear();
    }
}

on_both_databases! {
    async fn att_10_mistakes_are_counted_though_the_answer_is_an_error(site: Site) {
        site.register(JANICE).await;
        enable(&site).await;
        let mut session: Option<String> = None;
        let mut answers: Vec<Value> = Vec::new();
        for _ in 0..10 {
            // An unknown user: no lockout interferes with counting.
            let mut call = asserted(&site).form("username", "unknown@example.com").form("password", "wrong");
            if let Some(session) = &session {
                call = call.form("auth_session", session);
            }
            let answer = site.send(call).await.expect_status(403).json();
            session = answer["auth_session"].as_str().map(str::to_owned);
            answers.push(answer);
            site.advance(Duration::from_secs(60));
        }
        assert!(answers[8]["auth_session"].is_string());
        assert!(answers[9].get("auth_session").is_none(), "ten mistakes end a session");
        assert_eq!(answers[9]["error_code"], "invalid_credentials");
    }
}

on_both_databases! {
    async fn a_mistake_of_the_app_does_not_cost_the_session(site: Site) {
        site.register(JANICE).await;
        enable(&site).await;
        let session = begin(&site).await;
        let code = site.code_to(JANICE).await;
        // A scope that the app does not have: no attempt is spent.
        let call = go_on(&site, &session, &code).form("scope", "web");
        assert_eq!(site.send(call).await.expect_status(400).json()["error"], "invalid_scope");
        site.send(go_on(&site, &session, &code)).await.expect_ok();
        // The same for a code when none is expected.
        let wrong = asserted(&site).form("username", JANICE).form("password", "wrong");
        let session = session_of(&site.send(wrong).await.expect_status(403));
        invalid(site.send(go_on(&site, &session, "123456")).await);
        let call = asserted(&site).form("auth_session", &session).form("username", JANICE).form("password", PASSWORD);
        site.send(call).await.expect_ok();
        let call = go_on(&site, "x", "123456").with("auth_session", None);
        assert_eq!(site.send(call).await.expect_status(400).json()["error"], "invalid_request");
    }
}

on_both_databases! {
    async fn ended_rows_are_swept(site: Site) {
        enable(&site).await;
        let call = asserted(&site).form("username", "unknown@example.com").form("password", "wrong");
        site.send(call).await.expect_status(403);
        assert_eq!(site.count("SELECT COUNT(*) FROM auth_session").await, 1);
        assert_eq!(site.count("SELECT COUNT(*) FROM spent_proof").await, 1);
        site.advance(Duration::from_secs(601));
        let horizon = vestibule::store::sweep::Horizon::at(site.app.now());
        site.app.store.write("test.sweep", horizon, |tx, horizon| {
            Box::pin(vestibule::store::sweep::sweep(tx, horizon))
        }).await.unwrap();
        assert_eq!(site.count("SELECT COUNT(*) FROM auth_session").await, 0);
        assert_eq!(site.count("SELECT COUNT(*) FROM spent_proof").await, 0);
    }
}
