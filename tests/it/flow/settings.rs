//! Settings and client policies, and their effect on the wire.
//!
//! One test per setting of a site's registration and per policy of a client. Combinations that cannot be saved are
//! tested on the settings themselves.

use std::time::Duration;

use serde_json::{Value, json};
use vestibule::client::Policies;
use vestibule::settings::Settings;
use vestibule::store;

use crate::fixture::{
    BASE_URL, Call, Database, PASSWORD, Setup, Site, on_both_databases, on_sqlite, registration,
};
use crate::flow::tokens::execute_and_refresh;

const INIT: &str = "/services/auth/headless/init/registration";
const USERINFO: &str = "/services/oauth2/userinfo";

fn with(username: &str, changes: Value) -> Value {
    let mut body = registration(username);
    for (name, value) in changes.as_object().expect("a map") {
        body[name] = value.clone();
    }
    body
}

/// Sends the init request and completes it; the response of authorize.
async fn complete(site: &Site, username: &str, changes: Value) -> crate::fixture::Answer {
    let answer = site.init(&with(username, changes)).await.expect_ok();
    let code = site.code_to(username).await;
    let identifier = answer.json()["identifier"].as_str().unwrap().to_owned();
    site.send(site.authorize_call(&identifier, &code)).await
}

async fn userinfo(site: &Site, username: &str, changes: Value) -> Value {
    let answer = complete(site, username, changes).await.expect_status(302);
    let call = site.token_call(&answer.location_parameter("code"));
    let tokens = site.send(call).await.expect_ok().json();
    let call = Call::get(USERINFO).bearer(tokens["access_token"].as_str().unwrap());
    site.send(call).await.expect_ok().json()
}

async fn account_of(site: &Site, username: &str) -> Option<String> {
    site.user(username).await.expect("a user").account_id
}

async fn account_named(site: &Site, name: &str) -> Option<String> {
    let name = name.to_owned();
    let found = site.app.store.read("account.find", &name, |tx, name| {
        Box::pin(store::account::find_by_name(tx, name))
    });
    found.await.unwrap().map(|account| account.id)
}

on_sqlite! {
    async fn does_registration_require_auth(site: Site) {
        let call = || Call::post(INIT).json(&registration("a@example.com"));
        assert_eq!(site.send(call()).await.expect_status(401).json()["status_code"], "authentication_req");
        // Switched off, the API is not open: only a captcha could replace the token, and none is configured.
        site.force_settings_of("private", json!({"doesRegistrationRequireAuth": false})).await;
        assert_eq!(site.send(call()).await.expect_status(401).json()["status_code"], "missing_auth_params");
        let token = site.integration_token(None).await;
        site.send(call().bearer(&token)).await.expect_ok();
        // A token that is sent is checked even where none is required.
        site.send(call().bearer("00D000000000001!x")).await.expect_status(401);
        site.code_to("a@example.com").await;
    }
}

on_sqlite! {
    async fn registration_user_default_profile_decides_the_user_type_and_the_password_policy(site: Site) {
        let info = userinfo(&site, "a@example.com", json!({})).await;
        assert_eq!(info["user_type"], "CSP_LITE_PORTAL");
        let policy = r#"{"minimumPasswordLength":12,"passwordComplexity":4}"#;
        let stored = site.app.directory().find_profile("Customer").unwrap().password_policy.clone();
        let mut stored = serde_json::to_value(stored).unwrap();
        let stricter: Value = serde_json::from_str(policy).unwrap();
        for (name, value) in stricter.as_object().unwrap() {
            assert!(stored.get(name).is_some(), "{name} is a member of the policy: {stored}");
            stored[name] = value.clone();
        }
        site.execute(format!("UPDATE profile SET password_policy = '{stored}' WHERE name = 'Customer'; \
            UPDATE installation SET version = version + 1")).await;
        site.app.refresh().await.unwrap();
        for (password, status) in [("Sup3r-Pa55", 400), ("sup3r-secret-pa55", 400), ("Sup3rSecretPa55", 400), (PASSWORD, 200)] {
            site.init(&with("b@example.com", json!({"password": password}))).await.expect_status(status);
        }
        site.code_to("b@example.com").await;
        // The other profile is found by its name as well.
        site.update_settings(json!({
            "registrationUserDefaultProfile": "Integration", "memberProfiles": ["Customer", "Integration"],
        })).await;
        site.update_client(&site.client.id, json!({"permittedProfiles": ["Customer", "Integration"]})).await;
        assert_eq!(userinfo(&site, "c@example.com", json!({})).await["user_type"], "STANDARD");
    }
}

on_both_databases! {
    async fn registration_execution_user_must_be_there_and_active(site: Site) {
        site.execute("UPDATE app_user SET disabled_at = 1 WHERE is_integration = 1").await;
        let token = site.update_settings(json!({"doesRegistrationRequireAuth": true}));
        token.await;
        // The token of the init request is invalid without its user, so the request is opened before.
        site.execute("UPDATE app_user SET disabled_at = NULL WHERE is_integration = 1").await;
        let identifier = site.pending("a@example.com").await;
        let code = site.code_to("a@example.com").await;
        site.execute("UPDATE app_user SET locked_at = 1 WHERE is_integration = 1").await;
        let answer = site.send(site.authorize_call(&identifier, &code)).await.expect_status(400).json();
        assert_eq!(answer, json!({
            "error": "registration_error",
            "error_description": "user was unable to be created in apex",
            "apex_error":
                "ExecutionUserException: the user that the handler runs as is not active",
        }));
        site.execute("UPDATE app_user SET locked_at = NULL WHERE is_integration = 1").await;
        // REG-04: the request has ended, and no user is half created.
        let again = site.send(site.authorize_call(&identifier, &code)).await.expect_status(400);
        assert_eq!(again.json()["error"], "invalid_grant");
        assert!(site.user("a@example.com").await.is_none());
        complete(&site, "a@example.com", json!({})).await.expect_status(302);
    }
}

on_both_databases! {
    async fn registration_field_mapping(site: Site) {
        site.update_settings(json!({"registrationFieldMapping": {
            "nick": "firstName", "tongue": "locale", "tel": "phone", "zone": "timezone", "town": "attributes.city",
        }})).await;
        let custom = json!({
            "nick": "Jan", "tongue": "de_DE", "tel": "+49 30 1234567", "zone": "Europe/Berlin", "town": "Bonn",
            "privacyPolicy": true,
        });
        let info = userinfo(&site, "a@example.com", json!({"customdata": custom})).await;
        assert_eq!(info["given_name"], "Jan");
        assert_eq!(info["locale"], "de_DE");
        assert_eq!(info["phone_number"], "+49301234567");
        assert_eq!(info["phone_number_verified"], false, "a number without a code is not verified");
        assert_eq!((&info["zoneinfo"], &info["utcOffset"]), (&json!("Europe/Berlin"), &json!(3_600_000)));
        let user = site.user("a@example.com").await.unwrap();
        assert_eq!(Value::Object(user.attributes), json!({"city": "Bonn", "privacyPolicy": true}));

        // A mapped member must have the type of its target, and a failure leaves no user.
        for (number, wrong) in [json!({"tel": "call me"}), json!({"zone": "Mars/Base"}), json!({"nick": 5})].into_iter().enumerate() {
            let username = format!("w{number}@example.com");
            let answer = complete(&site, &username, json!({"customdata": wrong})).await.expect_status(400).json();
            assert_eq!(answer["error"], "registration_error");
            let apex_error = answer["apex_error"].as_str().unwrap();
            assert!(apex_error.contains("Exception: customdata."), "{apex_error}");
            assert!(!apex_error.contains("Mars") && !apex_error.contains("call me"), "no value: {apex_error}");
            assert!(site.user(&username).await.is_none());
        }
        // The JSON text of an object is equivalent to the object.
        let info = userinfo(&site, "s@example.com", json!({"customdata": r#"{"nick":"Text"}"#})).await;
        assert_eq!(info["given_name"], "Text");
    }
}

on_both_databases! {
    async fn registration_account_none_per_user_and_shared(site: Site) {
        // Each user has an account, unless the site has another rule.
        complete(&site, "own@example.com", json!({})).await.expect_status(302);
        assert!(account_of(&site, "own@example.com").await.is_some());
        site.update_settings(json!({"registrationAccount": {"rule": "none"}})).await;
        complete(&site, "a@example.com", json!({})).await.expect_status(302);
        assert_eq!(account_of(&site, "a@example.com").await, None);

        site.update_settings(json!({"registrationAccount": {"rule": "own"}})).await;
        for username in ["b@example.com", "c@example.com"] {
            complete(&site, username, json!({})).await.expect_status(302);
        }
        let (b, c) = (account_of(&site, "b@example.com").await.unwrap(), account_of(&site, "c@example.com").await.unwrap());
        assert!(b.starts_with("001") && c.starts_with("001"));
        assert_ne!(b, c, "two people of one name are two accounts");

        site.update_settings(json!({"registrationAccount": {"rule": "shared", "name": "Everybody", "create": true}})).await;
        for username in ["d@example.com", "e@example.com"] {
            complete(&site, username, json!({})).await.expect_status(302);
        }
        let shared = account_named(&site, "Everybody").await;
        assert!(shared.is_some());
        assert_eq!(account_of(&site, "d@example.com").await, shared);
        assert_eq!(account_of(&site, "e@example.com").await, shared);

        let missing = json!({"registrationAccount": {"rule": "shared", "name": "Unknown", "create": false}});
        site.update_settings(missing).await;
        let answer = complete(&site, "f@example.com", json!({})).await.expect_status(400).json();
        assert_eq!(answer["apex_error"], "AccountException: the account does not exist");
        assert!(site.user("f@example.com").await.is_none());
    }
}

on_both_databases! {
    async fn a_refusal_of_the_handler_ends_the_request_with_the_reason(site: Site) {
        site.update_settings(json!({"registrationFieldMapping": {"called": "firstName"}})).await;
        for (number, (custom, apex_error)) in [
            (json!({"note": "x".repeat(4_095)}), "customdata.note is longer than 4096 bytes"),
            (json!({"called": "x".repeat(81)}), "customdata.called is not a name of at most 80 characters"),
            (json!({"called": "a\tb"}), "customdata.called is not a name of at most 80 characters"),
        ].into_iter().enumerate() {
            let username = format!("u{number}@example.com");
            let answer = complete(&site, &username, json!({"customdata": custom})).await.expect_status(400).json();
            assert_eq!(answer["error"], "registration_error");
            assert_eq!(answer["apex_error"], format!("IllegalArgumentException: {apex_error}"));
            assert!(site.user(&username).await.is_none());
        }
    }
}

on_both_databases! {
    async fn registration_account_by_customdata(site: Site) {
        let rule = json!({"registrationAccount": {"rule": "customdata", "member": "company", "create": true}});
        site.update_settings(rule).await;
        complete(&site, "a@example.com", json!({"customdata": {"company": " ACME "}})).await.expect_status(302);
        complete(&site, "b@example.com", json!({"customdata": {"company": "acme"}})).await.expect_status(302);
        let acme = account_named(&site, "ACME").await;
        assert!(acme.is_some());
        assert_eq!(account_of(&site, "a@example.com").await, acme);
        assert_eq!(account_of(&site, "b@example.com").await, acme, "one name is one account in either case");
        for (number, custom) in [json!({}), json!({"company": ""}), json!({"company": 5})].into_iter().enumerate() {
            let username = format!("w{number}@example.com");
            let answer = complete(&site, &username, json!({"customdata": custom})).await.expect_status(400).json();
            assert_eq!(answer["apex_error"], "AccountException: customdata.company must name the account");
        }
    }
}

on_sqlite! {
    async fn email_templates_follow_the_four_cases(site: Site) {
        let code_of = |name: &'static str| json!({"emailtemplate": name});
        let registration_otp = "vestibule$public/RegistrationOtp";
        let login_otp = "vestibule$public/LoginOtp";
        // Without an allowlist, no template may be named.
        let answer = site.init(&with("a@example.com", code_of(registration_otp))).await.expect_status(400);
        assert_eq!(answer.json()["status_code"], "not_allowed_template");
        // With an allowlist: only listed ones, of whatever flow; an unknown one is reported as such.
        site.update_settings(json!({"isEmailTemplateAllowlistingEnabled": true, "emailTmplsAllowlist": [login_otp]})).await;
        for (name, code) in [
            (registration_otp, "not_allowed_template"), ("unfiled$public/None", "invalid_template"),
            ("../../etc/passwd", "invalid_template"), ("{{ 7*7 }}", "invalid_template"),
        ] {
            let answer = site.init(&with("a@example.com", code_of(name))).await.expect_status(400);
            assert_eq!(answer.json()["status_code"], code, "{name}");
        }
        site.update_settings(json!({"emailTmplsAllowlist": [login_otp, registration_otp]})).await;
        site.init(&with("a@example.com", code_of(registration_otp))).await.expect_ok();
        site.deliver().await;
        assert!(site.inbox.list(None)[0].subject.contains("verification code"));
        site.inbox.clear();
        // The site's default needs no list.
        site.init(&with("b@example.com", json!({}))).await.expect_ok();
        site.deliver().await;
        assert!(site.inbox.list(None)[0].subject.contains("verification code"));
        site.inbox.clear();
    }
}

on_sqlite! {
    async fn default_locale_and_timezone(site: Site) {
        site.update_settings(json!({"defaultLocale": "de_DE", "defaultTimezone": "America/New_York"})).await;
        site.init(&registration("a@example.com")).await.expect_ok();
        site.deliver().await;
        let message = site.inbox.list(None).pop().unwrap();
        assert!(message.subject.contains("Ihr"), "{}", message.subject);
        site.inbox.clear();
        let info = userinfo(&site, "b@example.com", json!({})).await;
        assert_eq!((&info["locale"], &info["zoneinfo"]), (&json!("de_DE"), &json!("America/New_York")));
        assert_eq!(info["utcOffset"], -18_000_000);
        // The user's value takes precedence.
        let userdata = json!({"userdata": {
            "username": "c@example.com", "email": "c@example.com", "lastName": "C", "languageLocaleKey": "en_GB",
        }});
        assert_eq!(userinfo(&site, "c@example.com", userdata).await["locale"], "en_GB");
    }
}

on_sqlite! {
    async fn permitted_users_and_profiles_are_asked_before_a_user_is_made(site: Site) {
        let id = site.client.id.clone();
        site.update_client(&id, json!({"permittedProfiles": []})).await;
        let identifier = site.pending("a@example.com").await;
        let code = site.code_to("a@example.com").await;
        let call = site.authorize_call(&identifier, &code);
        let answer = site.send(call.clone()).await.expect_status(400).json();
        assert_eq!(answer["error_description"], "user is not admin approved to access this app");
        assert!(site.user("a@example.com").await.is_none());
        site.update_client(&id, json!({"permittedProfiles": ["Customer"]})).await;
        site.send(call).await.expect_status(302);
    }
}

on_sqlite! {
    async fn is_consumer_secret_optional_lets_the_secret_be_left_out_and_still_checks_it(site: Site) {
        let challenge = ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        site.update_client(&site.client.id, json!({"isConsumerSecretOptional": true, "isPkceRequired": true})).await;
        let identifier = site.pending("a@example.com").await;
        let otp = site.code_to("a@example.com").await;
        let call = site.authorize_call(&identifier, &otp).form(challenge.0, challenge.1);
        let code = site.send(call).await.expect_status(302).location_parameter("code");
        let call = site.token_call(&code).form("code_verifier", verifier);
        let wrong = site.send(call.clone().with("client_secret", Some("wrong"))).await.expect_status(400);
        assert_eq!(wrong.json()["error"], "invalid_client");
        let tokens = site.send(call.with("client_secret", None)).await.expect_ok().json();
        assert!(tokens["signature"].as_str().is_some_and(|signature| signature.len() == 44), "signed all the same");
    }
}

on_sqlite! {
    async fn scopes_are_the_most_that_a_token_carries(site: Site) {
        site.update_client(&site.client.id, json!({"scopes": "api email"})).await;
        let tokens = site.register("a@example.com").await;
        assert_eq!((&tokens["scope"], tokens.get("id_token")), (&json!("api email"), None));
        site.update_client(&site.integration.id, json!({"scopes": "api"})).await;
        // The app no longer has the scope of the headless API.
        let answer = site.init(&registration("b@example.com")).await.expect_status(401);
        assert_eq!(answer.json()["status_code"], "invalid_authorization");
    }
}

on_sqlite! {
    async fn lifetimes_of_tokens(site: Site) {
        let policies = json!({"accessTokenLifetimeSeconds": 60, "idTokenLifetimeSeconds": 600});
        site.update_client(&site.client.id, policies).await;
        let tokens = site.register("a@example.com").await;
        assert_eq!(tokens["expires_in"], 60);
        let token = tokens["access_token"].as_str().unwrap();
        site.advance(Duration::from_secs(59));
        site.send(Call::get(USERINFO).bearer(token)).await.expect_ok();
        site.advance(Duration::from_secs(1));
        site.send(Call::get(USERINFO).bearer(token)).await.expect_status(401);
    }
}

on_sqlite! {
    async fn client_credentials_flow_user_and_switch(site: Site) {
        let id = site.integration.id.clone();
        let call = || Call::post("/services/oauth2/token").form("grant_type", "client_credentials")
            .form("client_id", &id).form("client_secret", &site.integration.secret);
        site.send(call()).await.expect_ok();
        let user = site.app.directory().client(&id).unwrap().policies.client_credentials_flow_user.clone();
        for (off, on) in [
            (json!({"isClientCredentialsFlowEnabled": false}), json!({"isClientCredentialsFlowEnabled": true})),
            (json!({"clientCredentialsFlowUser": null}), json!({"clientCredentialsFlowUser": user})),
            (json!({"clientCredentialsFlowUser": "005000000000001AAA"}), json!({"clientCredentialsFlowUser": user})),
        ] {
            // Without a user, or with one that does not exist, no client can be saved today.
            site.force_client(&id, off.clone()).await;
            let answer = site.send(call()).await.expect_status(400).json();
            assert_eq!(answer["error_description"], "no client credentials user enabled", "{off}");
            site.update_client(&id, on).await;
        }
        site.send(call()).await.expect_ok();
    }
}

on_both_databases! {
    async fn a_site_that_is_not_published_does_not_answer(site: Site) {
        let unpublished = "UPDATE site SET activated_at = NULL; UPDATE installation SET version = version + 1";
        site.execute(unpublished).await;
        site.app.refresh().await.unwrap();
        let answer = site.send(Call::post(INIT)).await.expect_status(404);
        assert_eq!(answer.json()["status_code"], "invalid_domain");
        site.send(Call::get("/id/keys")).await.expect_status(404);
    }
}

#[tokio::test]
async fn the_numbers_of_a_one_time_password_are_the_configured_ones() {
    let mut setup = Setup::default();
    setup.config.otp.registration.length = 8;
    setup.config.otp.registration.alphabet = vestibule::verification::Alphabet::Alphanumeric;
    setup.config.otp.registration.lifetime_seconds = 60;
    setup.config.otp.registration.tries = 1;
    setup.config.otp.registration.codes_per_hour = Some(2);
    let site = Site::open_with(Database::Sqlite, setup).await;
    let identifier = site.pending("a@example.com").await;
    let code = site.code_to("a@example.com").await;
    assert_eq!(code.len(), 8);
    assert!(
        code.bytes()
            .all(|byte| b"23456789ABCDEFGHJKMNPQRSTUVWXYZ".contains(&byte)),
        "{code}"
    );
    // The letters of a code are case-insensitive.
    let answer = site
        .send(site.authorize_call(&identifier, &code.to_lowercase()))
        .await;
    answer.expect_status(302);

    let identifier = site.pending("b@example.com").await;
    let code = site.code_to("b@example.com").await;
    site.send(site.authorize_call(&identifier, "WRONG234"))
        .await
        .expect_status(400);
    site.send(site.authorize_call(&identifier, &code))
        .await
        .expect_status(400);

    let identifier = site.pending("b@example.com").await;
    let code = site.code_to("b@example.com").await;
    site.advance(Duration::from_secs(60));
    site.send(site.authorize_call(&identifier, &code))
        .await
        .expect_status(400);
    site.init(&registration("b@example.com"))
        .await
        .expect_status(429);
}

#[tokio::test]
async fn limits_switched_off_count_no_codes_and_still_count_tries() {
    let mut setup = Setup::default();
    setup.config.limits.enabled = false;
    let site = Site::open_with(Database::Sqlite, setup).await;
    let mut identifier = String::new();
    for _ in 0..8 {
        identifier = site.pending("a@example.com").await;
    }
    let code = site.code_to("a@example.com").await;
    for _ in 0..5 {
        site.send(site.authorize_call(&identifier, "wrong1"))
            .await
            .expect_status(400);
    }
    site.send(site.authorize_call(&identifier, &code))
        .await
        .expect_status(400);
}

#[test]
fn invalid_settings_cannot_be_saved() {
    let settings = |changes: Value| Settings::default().updated(changes.as_object().unwrap());
    let open = json!({"isHeadlessUserRegistrationAllowed": true, "registrationUserDefaultProfile": "Customer",
        "registrationExecutionUser": "x"});
    assert_eq!(
        settings(open).unwrap_err().key,
        "doesRegistrationRequireAuth",
        "neither proof is required"
    );
    for (changes, key) in [
        (
            json!({"isRecaptchaRequiredRgstr": true}),
            "recaptchaSecretKey",
        ),
        (
            json!({"registrationAccount": {"rule": "customdata"}}),
            "registrationAccount",
        ),
        (
            json!({"registrationAccount": {"rule": "shared", "nme": "x"}}),
            "registrationAccount",
        ),
        (
            json!({"registrationEmailTemplate": {"": "unfiled$public/None"}}),
            "registrationEmailTemplate",
        ),
        (
            json!({"registrationFieldMapping": {"a": "isActive"}}),
            "registrationFieldMapping",
        ),
        (
            json!({"registrationFieldMapping": {"a": "attributes."}}),
            "registrationFieldMapping",
        ),
        (json!({"nonsense": 1}), "nonsense"),
    ] {
        assert_eq!(settings(changes.clone()).unwrap_err().key, key, "{changes}");
    }
    let policies = |changes: Value| Policies::default().updated(changes.as_object().unwrap());
    for (changes, key) in [
        (
            json!({"scopes": "openid", "isCodeCredFlowEnabled": true}),
            "callbackUrl",
        ),
        (
            json!({"scopes": "openid", "authorizationCodeLifetimeSeconds": 0}),
            "authorizationCodeLifetimeSeconds",
        ),
        (
            json!({"scopes": "openid", "accessTokenLifetimeSeconds": 86_401}),
            "accessTokenLifetimeSeconds",
        ),
        (
            json!({"scopes": "openid", "idTokenLifetimeSeconds": 59}),
            "idTokenLifetimeSeconds",
        ),
        (
            json!({"scopes": "openid", "accessTokenSigningAlg": "HS256"}),
            "accessTokenSigningAlg",
        ),
        (
            json!({"scopes": "openid", "accessTokenFormat": "saml"}),
            "accessTokenFormat",
        ),
        (
            json!({"scopes": "openid", "permittedUsers": "everybody"}),
            "permittedUsers",
        ),
    ] {
        assert_eq!(policies(changes.clone()).unwrap_err().key, key, "{changes}");
    }
    assert!(BASE_URL.starts_with("https://"));
}

on_both_databases! {
    async fn clu_04_a_member_of_a_newer_version_has_no_effect_and_is_kept(site: Site) {
        for (table, column) in [("client", "policies"), ("site", "settings"), ("profile", "password_policy")] {
            execute_and_refresh(&site, format!("UPDATE {table} SET {column} = '{{\"aKeyOfTheNext\":[1],' || SUBSTR({column}, 2)")).await;
        }
        assert!(site.app.directory().unreadable().is_empty());
        site.register("janice@example.com").await;
        // A change by this version keeps what the newer one has saved.
        site.update_client(&site.client.id, json!({"idTokenLifetimeSeconds": 77})).await;
        site.update_settings(json!({"displayName": "Shop"})).await;
        for query in [
            "SELECT COUNT(*) FROM client WHERE policies LIKE '%\"aKeyOfTheNext\":[1]%' AND policies LIKE '%:77%'",
            "SELECT COUNT(*) FROM site WHERE settings LIKE '%\"aKeyOfTheNext\":[1]%' AND settings LIKE '%\"Shop\"%'",
        ] {
            assert_eq!(site.count(query).await, 1, "{query}");
        }
        let request = vestibule::admin::site::UpdateSite {
            site: String::from("private"),
            base_url: None,
            changes: crate::fixture::members(json!({"aKeyOfTheNext": 2})),
        };
        let refused = vestibule::admin::site::update(&site.admin(), request).await.unwrap_err().to_string();
        assert!(refused.contains("there is no such setting"), "{refused}");
    }
}

on_both_databases! {
    async fn clu_04_one_unreadable_row_is_out_of_service_and_the_rest_is_served(site: Site) {
        let public = site.public_client.id.clone();
        execute_and_refresh(&site, format!("UPDATE client SET policies = '{{\"accessTokenFormat\":\"Quantum\"}}' WHERE id = '{public}'")).await;
        execute_and_refresh(&site, String::from("UPDATE client SET secret_sealed = secret_hash WHERE name = 'integration'")).await;
        let directory = site.app.directory();
        let problems = directory.unreadable();
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(problems[0].contains("client public: accessTokenFormat"), "{problems:?}");
        assert!(problems[1].contains("client integration: "), "{problems:?}");
        let answer = site.send(site.public_token_call("x")).await.expect_status(400);
        assert_eq!(answer.json()["error"], "invalid_client_id");
        let refused = site.send(site.token_call("x")).await.expect_status(400);
        assert_eq!(refused.json()["error"], "invalid_grant", "the other client is served");

        execute_and_refresh(&site, String::from("UPDATE site SET settings = '{\"isPwdlessLoginAllowed\":\"perhaps\"}' WHERE name = 'public'")).await;
        assert!(site.app.directory().unreadable()[0].contains("site public: isPwdlessLoginAllowed"));
        let metadata = || Call::get("/.well-known/openid-configuration");
        site.send(metadata()).await.expect_ok();
        site.send(metadata().on_public()).await.expect_status(404);
    }
}
