//! What is sent to a webhook and what is not, who learns of its failures, and that a hanging one delays no other
//! request.

use futures_util::future::{join, join_all};
use serde_json::{Value, json};
use vestibule::handler::contract::Contract;

use crate::fixture::remote::{Behaviour, Remote};
use crate::fixture::{
    Answer, Database, PASSWORD, Setup, Site, on_both_databases, on_sqlite, registration,
};

const USERNAME: &str = "janice@example.com";

/// A server decides the private site's registrations; at first it creates every registrant.
async fn with_webhook(site: &Site) -> Remote {
    let remote = Remote::start(Behaviour::json(&json!({}))).await;
    site.set_webhook("welcome", Contract::CreateUser, &remote)
        .await;
    site.update_settings(json!({"registrationHandler": "welcome"}))
        .await;
    remote
}

/// Registers up to the request that creates the user; the presented code, and the response.
async fn registered(site: &Site, username: &str) -> (String, Answer) {
    let mut body = registration(username);
    body["customdata"] = json!({"company": "ACME", "apiToken": "tok-4711"});
    let answer = site.init(&body).await.expect_ok();
    let identifier = answer.json()["identifier"].as_str().unwrap().to_owned();
    let code = site.code_to(username).await;
    let answer = site.send(site.authorize_call(&identifier, &code)).await;
    (code, answer)
}

#[track_caller]
fn apex_error(answer: &Answer) -> String {
    let said = answer.json();
    assert_eq!(said["error"], "registration_error", "{said}");
    said["apex_error"].as_str().unwrap_or_default().to_owned()
}

on_both_databases! {
    async fn ssrf_07_neither_password_nor_code_leaves_by_a_webhook_or_stays_in_its_record(site: Site) {
        let remote = with_webhook(&site).await;
        remote.behave(Behaviour::json(&json!({
            "firstName": "Jan",
            "phone": "+1 203 555 0100",
            "account": {"name": "ACME", "create": true},
            "attributes": {"plan": "gold"},
        })));
        let (code, answer) = registered(&site, USERNAME).await;
        let code_of_tokens = answer.expect_status(302).location_parameter("code");
        site.send(site.token_call(&code_of_tokens)).await.expect_ok();
        let user = site.user(USERNAME).await.expect("a user");
        assert_eq!((user.first_name.as_deref(), user.last_name.as_str()), (Some("Jan"), "Edwards"));
        assert_eq!(user.phone.as_deref(), Some("+12035550100"));
        // A number from a handler is not verified.
        assert!(user.email_verified_at.is_some() && user.phone_verified_at.is_none());
        assert_eq!(user.attributes["plan"], "gold");
        assert!(user.account_id.is_some());

        let request = remote.only_request();
        let asked = request.json();
        assert_eq!(asked["contract"], "createUser");
        let argument = &asked["argument"];
        assert_eq!(argument["password"], Value::Null);
        assert!(!request.body.contains(PASSWORD) && !request.body.contains(&code));
        let (call, record) = site.handler_calls().await.remove(0);
        assert_eq!((call.outcome.as_str(), call.version), ("ok", 1));
        let kept = serde_json::to_string(&record).unwrap();
        assert!(!kept.contains("tok-4711") && kept.contains("gold"), "{kept}");
    }
}

on_sqlite! {
    /// The app receives the handler's message, and nothing about a handler that failed; there is no retry.
    async fn hnd_04_the_message_of_a_refusing_webhook_is_quoted_and_that_of_a_failing_one_is_not(site: Site) {
        let remote = with_webhook(&site).await;
        let json_header = "content-type: application/json\r\n";
        let inside = Remote::start(Behaviour::json(&json!({}))).await;
        let location: &'static str = format!("location: {}\r\n", inside.url).leak();
        let failed = "WebhookException: the handler failed";
        for (n, (behaviour, expected, detail)) in [
            (
                Behaviour::Answer(409, json_header, r#"{"error":"We know you already."}"#.into()),
                "WebhookException: We know you already.",
                "We know you already.",
            ),
            (Behaviour::Answer(500, json_header, r#"{"error":"at db.js:17"}"#.into()), failed, "status 500"),
            (Behaviour::Answer(401, "", String::new()), failed, "status 401"),
            (Behaviour::Answer(302, location, String::new()), failed, "status 302"),
            (Behaviour::Answer(200, json_header, r#"{"firstName":"a","firstName":"b"}"#.into()), failed, "comes twice"),
            (Behaviour::Endless, failed, "too large"),
            (Behaviour::Hang, failed, "no answer in time"),
        ].into_iter().enumerate() {
            remote.behave(behaviour);
            let (_, refused) = registered(&site, &format!("ann{n}@example.com")).await;
            assert_eq!(apex_error(&refused), expected);
            assert_eq!(remote.received().len(), n + 1);
            // The operator gets the reason.
            let newest = newest_error(&site, n + 1).await;
            assert!(newest.contains(detail), "{newest}");
            site.advance(std::time::Duration::from_secs(1));
        }
        assert!(inside.received().is_empty());
    }
}

/// The error in the newest of so many records.
async fn newest_error(site: &Site, count: usize) -> String {
    let calls = site.handler_calls().await;
    assert_eq!(calls.len(), count);
    serde_json::to_string(&calls[0].1.outcome).unwrap()
}

/// Hanging calls delay no other request: a login succeeds while the maximum number of calls is running, and one
/// more call fails at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hnd_07_a_hundred_webhooks_that_hang_hold_up_no_login() {
    let mut setup = Setup::default();
    setup.config.limits.rules.clear();
    setup.config.hashing.queue = 1_000;
    setup.config.handlers.webhook_timeout_ms = 10_000;
    let in_flight_max = setup.config.handlers.webhook_max_in_flight;
    let site = Site::open_with(Database::Sqlite, setup).await;
    site.register(USERNAME).await;
    let remote = Remote::start(Behaviour::Hang).await;
    site.set_webhook("orders", Contract::DiscoverUser, &remote)
        .await;
    let settings = &site.entry("private").site.settings;
    let run_as = settings.registration_execution_user.clone();
    site.update_settings(json!({
        "headlessDiscoveryHandler": "orders",
        "headlessDiscoveryExecutionUser": run_as,
        "isUserDisambiguationAllowedUsernamePwd": true,
    }))
    .await;
    let by_hint = async |n: usize| {
        let call = site
            .password_call("x", PASSWORD)
            .without_header("authorization");
        let call = call.form("login_hint", &format!("ORD-{n}"));
        site.send(call.form("password", PASSWORD)).await
    };
    let slow = join_all((0..100).map(by_hint));
    let quick = async {
        while remote.received().len() < in_flight_max {
            tokio::task::yield_now().await;
        }
        let answer = site.send(site.password_call(USERNAME, PASSWORD)).await;
        remote.hang_up();
        answer
    };
    let (slow, quick) = join(slow, quick).await;
    quick.expect_status(302);
    assert_eq!(remote.received().len(), in_flight_max);
    // A handler that fails has found no user.
    let found_no_user = |answer: &Answer| answer.json()["error"] == "invalid_grant";
    assert!(slow.iter().all(found_no_user));
    assert_eq!(site.handler_calls().await.len(), 100);
}
