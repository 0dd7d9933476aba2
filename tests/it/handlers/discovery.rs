//! `discoverUser` with a customer's handler: how the server treats its results.

use serde_json::{Value, json};
use vestibule::config::Config;
use vestibule::handler::contract::Contract;

use crate::fixture::{Answer, Call, Database, PASSWORD, Setup, Site, on_both_databases, on_sqlite};

/// Returns what `customdata` contains.
const ECHO: &str = r#"
export function discoverUser({ loginHint, customDataJson, requestAttributes }) {
  const { answer, fail, throws } = JSON.parse(customDataJson ?? "{}");
  if (throws) throw new Error("no " + loginHint);
  if (fail === "loop") for (;;) {}
  if (fail === "memory") { const all = []; for (;;) all.push("x".repeat(100000)); }
  if (answer === "attributes") return { userIds: [], customErrorMessage: JSON.stringify(requestAttributes) };
  if (answer === "message") return { userIds: [], customErrorMessage: "No order\u0000\u007f " + loginHint };
  return answer;
}
"#;

async fn with_script(site: &Site, source: &str) {
    site.set_script("Finder", Contract::DiscoverUser, source, &[])
        .await;
    let run_as = site.registration_execution_user();
    let settings = json!({
        "headlessDiscoveryHandler": "Finder", "headlessDiscoveryExecutionUser": run_as,
        "isUserDisambiguationAllowedUsernamePwd": true, "isUserDisambiguationAllowedForgotPwd": true,
    });
    for name in ["private", "public"] {
        site.update_settings_of(name, settings.clone()).await;
    }
}

fn call(site: &Site, customdata: &Value) -> Call {
    Call::post("/services/oauth2/authorize")
        .header("auth-request-type", "Named-User")
        .form("response_type", "code_credentials")
        .form("client_id", &site.client.id)
        .form("redirect_uri", &site.redirect_uri)
        .form("login_hint", "ORD-1")
        .form("password", PASSWORD)
        .form("customdata", &customdata.to_string())
}

async fn log_in(site: &Site, customdata: Value) -> Answer {
    site.send(call(site, &customdata)).await
}

fn neutral() -> Value {
    json!({"error": "invalid_grant", "error_description": "authentication failure"})
}

on_both_databases! {
    async fn hnd_04_and_05_a_handler_s_result_lets_in_only_one_usable_user(site: Site) {
        for name in ["janice@example.com", "jo@example.com", "locked@example.com", "unverified@example.com"] {
            site.register(name).await;
        }
        site.execute("UPDATE app_user SET locked_at = 1 WHERE username = 'locked@example.com'").await;
        site.execute("UPDATE app_user SET email_verified_at = NULL WHERE username = 'unverified@example.com'").await;
        with_script(&site, ECHO).await;
        let id = async |name: &str| site.user(name).await.unwrap().id;
        let (janice, jo) = (id("janice@example.com").await, id("jo@example.com").await);
        let service = site.registration_execution_user().unwrap();
        log_in(&site, json!({"answer": {"userIds": [janice]}})).await.expect_status(302);
        // A set: the same user twice counts as one.
        log_in(&site, json!({"answer": {"userIds": [janice, janice]}})).await.expect_status(302);
        for wrong in [
            json!({"answer": {"userIds": [janice, jo]}}),
            json!({"answer": {"userIds": []}}),
            json!({"answer": {"userIds": [id("locked@example.com").await]}}),
            json!({"answer": {"userIds": [id("unverified@example.com").await]}}),
            json!({"answer": {"userIds": [service]}}),
            json!({"answer": {"userIds": ["005000000000001AAA"]}}),
            json!({"answer": {"userIds": [{"id": janice}]}}),
            json!({"answer": {"userIds": janice}}),
            json!({"answer": {"userIds": [janice], "admin": true}}),
            json!({"answer": {"userIds": [janice], "__proto__": {"x": 1}}}),
            json!({"answer": [janice]}),
            json!({"answer": janice}),
            json!({"answer": null}),
            json!({"throws": true}),
            json!({"fail": "loop"}),
            json!({"fail": "memory"}),
        ] {
            let refused = log_in(&site, wrong.clone()).await.expect_status(400).json();
            assert_eq!(refused, neutral(), "{wrong}");
        }
        // Members only, where a site lists them.
        site.force_settings_of("private", json!({"memberProfiles": ["00e000000000009AAA"]})).await;
        log_in(&site, json!({"answer": {"userIds": [janice]}})).await.expect_status(400);
    }
}

on_both_databases! {
    async fn hnd_06_without_its_handler_or_its_run_as_user_a_hint_means_no_user(site: Site) {
        site.update_settings(json!({"registrationAccount": {"rule": "none"}})).await;
        site.register("janice@example.com").await;
        with_script(&site, ECHO).await;
        let id = site.user("janice@example.com").await.unwrap().id;
        let answer = json!({"answer": {"userIds": [id]}});
        log_in(&site, answer.clone()).await.expect_status(302);
        // A Run As user without rights sees no user, and so names none.
        site.update_settings(json!({"headlessDiscoveryExecutionUser": id})).await;
        assert_eq!(log_in(&site, answer.clone()).await.expect_status(400).json(), neutral());
        // No site can be saved with a user or a handler that does not exist; an older version may have left one.
        let deleted = json!({"headlessDiscoveryExecutionUser": "005000000000001AAA"});
        site.force_settings_of("private", deleted).await;
        assert_eq!(log_in(&site, answer.clone()).await.expect_status(400).json(), neutral());
        site.force_settings_of("private", json!({"headlessDiscoveryHandler": "Nowhere"})).await;
        assert_eq!(log_in(&site, answer).await.expect_status(400).json(), neutral());
        // The other login method does not depend on it.
        site.send(site.password_call("janice@example.com", PASSWORD)).await.expect_status(302);
    }
}

on_both_databases! {
    async fn a_custom_error_message_is_returned_only_where_the_site_allows_it(site: Site) {
        site.register("janice@example.com").await;
        with_script(&site, ECHO).await;
        let no_user = json!({"answer": "message"});
        let init = |path: &str, mut body: Value| {
            body["login_hint"] = json!("ORD-1");
            body["recaptcha"] = json!("test-pass");
            body["customdata"] = no_user.clone();
            Call::post(path).on_public().json(&body)
        };
        let passwordless = || init("/services/auth/headless/init/passwordless/login", json!({"verificationmethod": "email"}));
        let forgot = || init("/services/auth/headless/forgot_password", json!({}));
        assert_eq!(log_in(&site, no_user.clone()).await.expect_status(400).json(), neutral());
        site.send(passwordless()).await.expect_ok();
        site.send(forgot()).await.expect_ok();
        for name in ["private", "public"] {
            site.update_settings_of(name, json!({"isHeadlessDiscoveryMessageShown": true})).await;
        }
        // What cannot stand in an answer is left out of it.
        let returned = json!({"error": "invalid_grant", "error_description": "No order ORD-1"});
        assert_eq!(log_in(&site, no_user.clone()).await.expect_status(400).json(), returned);
        let returned = site.send(passwordless()).await.expect_status(400).json();
        assert_eq!((&returned["status_code"], &returned["error_description"]), (&json!("invalid_params"), &json!("No order ORD-1")));
        let returned = site.send(forgot()).await.expect_status(400).json();
        assert_eq!(returned["invalid_request"], "No order ORD-1");
        // A handler that found a user has no error.
        let id = site.user("janice@example.com").await.unwrap().id;
        let found = json!({"answer": {"userIds": [id], "customErrorMessage": "none"}});
        log_in(&site, found).await.expect_status(302);
        site.deliver().await;
        site.inbox.clear();
    }
}

on_sqlite! {
    async fn hnd_10_a_call_leaves_nothing_to_the_next(site: Site) {
        site.register("janice@example.com").await;
        site.register("jo@example.com").await;
        with_script(&site, r#"
            let seen;
            export function discoverUser({ customDataJson }) {
              const own = JSON.parse(customDataJson).id;
              seen ??= own;
              globalThis.first ??= own;
              Array.prototype.first ??= own;
              return { userIds: [seen, globalThis.first, [].first] };
            }"#).await;
        for name in ["janice@example.com", "jo@example.com", "janice@example.com"] {
            let id = site.user(name).await.unwrap().id;
            let answer = log_in(&site, json!({ "id": id })).await.expect_status(302);
            let tokens = site.send(site.token_call(&answer.location_parameter("code"))).await.expect_ok().json();
            assert!(tokens["id"].as_str().unwrap().ends_with(&id), "{name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn request_attributes_name_the_place_that_a_trusted_proxy_names() {
    let mut config = Config::default();
    config.hashing.threads = 2;
    config.limits = config.limits.without_addresses();
    config.proxies.country_header = Some("X-Country".into());
    config.proxies.city_header = Some("X-City".into());
    let setup = Setup {
        config,
        trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()],
        ..Setup::default()
    };
    let site = Site::open_with(Database::Sqlite, setup).await;
    with_script(&site, ECHO).await;
    site.update_settings(json!({"isHeadlessDiscoveryMessageShown": true}))
        .await;
    let seen = async |from: &str| {
        let call = call(&site, &json!({"answer": "attributes"}))
            .header("X-Forwarded-For", "203.0.113.9")
            .header("X-Forwarded-Proto", "https")
            .header("X-Country", "DE")
            .header("X-City", "Bonn")
            .header("User-Agent", "SalesforceMobileSDK/13.0 android mobile/15");
        let returned = site.send_from(from, call).await.expect_status(400).json();
        // A description has no double quotes (RFC 6749 section 5.2).
        let returned = returned["error_description"]
            .as_str()
            .unwrap()
            .replace('\'', "\"");
        serde_json::from_str::<Value>(&returned).unwrap()
    };
    let base_url = site.entry("private").site.base_url.clone();
    let by_proxy = json!({"Application": "SalesforceMobileSDK", "City": "Bonn", "CommunityUrl": base_url,
        "Country": "DE", "IpAddress": "203.0.113.9", "Platform": "Android",
        "UserAgent": "SalesforceMobileSDK/13.0 android mobile/15"});
    assert_eq!(seen("10.0.0.7").await, by_proxy);
    // From other callers, neither the location nor the forwarded address is trusted.
    let direct = json!({"Application": "SalesforceMobileSDK", "CommunityUrl": base_url,
        "IpAddress": "198.51.100.7", "Platform": "Android",
        "UserAgent": "SalesforceMobileSDK/13.0 android mobile/15"});
    assert_eq!(seen("198.51.100.7").await, direct);
}
