//! User discovery with the built-in handler: each strategy, the switches, and users that must not be found.

use serde_json::{Value, json};
use vestibule::identity::Attributes;
use vestibule::store;

use crate::fixture::{Answer, Call, PASSWORD, Site, on_both_databases};

async fn built_in(site: &Site, strategies: Value) {
    let settings = json!({
        "headlessDiscoveryHandler": "builtin", "headlessDiscoveryStrategies": strategies,
        "isUserDisambiguationAllowedUsernamePwd": true, "isUserDisambiguationAllowedForgotPwd": true,
        "defaultPhoneCountryCode": "+1",
    });
    for name in ["private", "public"] {
        site.update_settings_of(name, settings.clone()).await;
    }
}

async fn log_in(site: &Site, hint: &str) -> Answer {
    site.send(site.public_hint_call(hint, PASSWORD)).await
}

/// Registers a user and changes the row; the user's id.
async fn user(site: &Site, username: &str, change: &str) -> String {
    site.register(username).await;
    let id = site.user(username).await.expect("registered").id;
    site.execute(format!("UPDATE app_user SET {change} WHERE id = '{id}'"))
        .await;
    id
}

on_both_databases! {
    async fn each_strategy_finds_its_user_and_no_other_way_does(site: Site) {
        user(&site, "janice@example.com", "email_key = 'jan@example.com', phone = '+12035550100', phone_verified_at = 1").await;
        for (strategy, hint, others) in [
            ("username", " Janice@Example.com ", ["jan@example.com", "(203) 555-0100"]),
            ("verifiedEmail", "JAN@example.com", ["janice@example.com", "(203) 555-0100"]),
            ("verifiedPhone", "(203) 555-0100", ["janice@example.com", "jan@example.com"]),
        ] {
            built_in(&site, json!([strategy])).await;
            log_in(&site, hint).await.expect_status(302);
            for other in others {
                log_in(&site, other).await.expect_status(400);
            }
        }
        built_in(&site, json!(["verifiedPhone", "verifiedEmail", "username"])).await;
        for hint in ["janice@example.com", "jan@example.com", "+1 203 555 0100"] {
            log_in(&site, hint).await.expect_status(302);
        }
    }
}

on_both_databases! {
    async fn an_attribute_is_found_by_its_value(site: Site) {
        let id = user(&site, "janice@example.com", "last_name = 'Edwards'").await;
        let mut saved = site.user("janice@example.com").await.unwrap();
        // Registered with a card, as `userdata` or `customdata` would bring it.
        vestibule::admin::user::delete(&site.admin(), &id).await.unwrap();
        // Their account went with them.
        saved.account_id = None;
        saved.attributes = Attributes::from_iter([("card".to_owned(), json!("C-77"))]);
        site.app.store.write("user.insert", saved, |tx, user| Box::pin(store::user::insert(tx, user))).await.unwrap();
        built_in(&site, json!(["attribute:card"])).await;
        let begin = json!({"verificationmethod": "email", "login_hint": "c-77", "recaptcha": "test-pass"});
        let call = Call::post("/services/auth/headless/init/passwordless/login").on_public().json(&begin);
        site.send(call).await.expect_ok();
        site.code_to("janice@example.com").await;
    }
}

on_both_databases! {
    async fn several_users_are_no_user(site: Site) {
        for name in ["a@example.com", "b@example.com"] {
            user(&site, name, "phone = '+12035550100', phone_verified_at = 1").await;
        }
        built_in(&site, json!(["verifiedPhone"])).await;
        log_in(&site, "+12035550100").await.expect_status(400);
        // The disabled one of the two does not match.
        site.execute("UPDATE app_user SET disabled_at = 1 WHERE username = 'b@example.com'").await;
        log_in(&site, "+12035550100").await.expect_status(302);
    }
}

on_both_databases! {
    async fn usr_08_a_username_that_is_the_address_of_another_user_does_not_take_over_their_hint(site: Site) {
        user(&site, "dave1@example.com", "email = 'dave@example.com', email_key = 'dave@example.com'").await;
        let attacker = "email = 'mallory@evil.example', email_key = 'mallory@evil.example'";
        user(&site, "dave@example.com", attacker).await;
        user(&site, "ann@example.com", "first_name = 'Ann'").await;
        for strategies in [json!(["username", "verifiedEmail"]), json!(["verifiedEmail", "username"])] {
            built_in(&site, strategies.clone()).await;
            for (hint, recipient) in [
                ("Dave@example.com", "dave@example.com"),
                ("dave1@example.com", "dave@example.com"),
                ("ann@example.com", "ann@example.com"),
                ("mallory@evil.example", "mallory@evil.example"),
            ] {
                let begin = json!({"verificationmethod": "email", "login_hint": hint, "recaptcha": "test-pass"});
                let call = Call::post("/services/auth/headless/init/passwordless/login").on_public().json(&begin);
                site.send(call).await.expect_ok();
                site.deliver().await;
                let sent: Vec<String> = site.inbox.list(None).iter().map(|message| message.to.clone()).collect();
                assert_eq!(sent, [recipient], "{hint} {strategies}");
                site.inbox.clear();
            }
        }
        // Two owners of the address are no user, as always; by username alone the name decides.
        user(&site, "dave2@example.com", "email_key = 'dave@example.com'").await;
        built_in(&site, json!(["username", "verifiedEmail"])).await;
        log_in(&site, "dave@example.com").await.expect_status(400);
        built_in(&site, json!(["username"])).await;
        log_in(&site, "dave@example.com").await.expect_status(302);
    }
}

on_both_databases! {
    async fn the_server_asks_again_what_a_strategy_has_found(site: Site) {
        built_in(&site, json!(["username"])).await;
        for (name, change) in [
            ("unverified@example.com", "email_verified_at = NULL"),
            ("locked@example.com", "locked_at = 1"),
            ("disabled@example.com", "disabled_at = 1"),
            ("service@example.com", "is_integration = 1"),
        ] {
            user(&site, name, change).await;
            let refused = log_in(&site, name).await.expect_status(400).json();
            assert_eq!(refused, json!({"error": "invalid_grant", "error_description": "authentication failure"}), "{name}");
            let begin = json!({"verificationmethod": "email", "login_hint": name, "recaptcha": "test-pass"});
            let call = Call::post("/services/auth/headless/init/passwordless/login").on_public().json(&begin);
            site.send(call).await.expect_ok();
            site.deliver().await;
            let messages = site.inbox.list(None);
            assert!(messages.iter().all(|message| message.suppressed.is_some()), "{name}");
            site.inbox.clear();
        }
        // A verified number is enough with a password, which is sent to no one.
        user(&site, "byphone@example.com", "email_verified_at = NULL, phone = '+12035550100', phone_verified_at = 1").await;
        log_in(&site, "byphone@example.com").await.expect_status(302);
    }
}

on_both_databases! {
    async fn a_hint_is_not_a_username_without_a_handler(site: Site) {
        site.register("janice@example.com").await;
        built_in(&site, json!(["identifier:order"])).await;
        log_in(&site, "janice@example.com").await.expect_status(400);
    }
}

on_both_databases! {
    async fn conf_21_discovery_is_on_or_off_for_each_flow(site: Site) {
        site.register("janice@example.com").await;
        let init = || {
            let body = json!({"verificationmethod": "email", "login_hint": "janice@example.com", "recaptcha": "test-pass"});
            Call::post("/services/auth/headless/init/passwordless/login").on_public().json(&body)
        };
        let reset = || {
            let body = json!({"login_hint": "janice@example.com", "recaptcha": "test-pass"});
            Call::post("/services/auth/headless/forgot_password").on_public().json(&body)
        };
        // Without a handler no hint is read.
        assert_eq!(site.send(init()).await.expect_status(400).json()["status_code"], "invalid_params");
        assert_eq!(site.send(reset()).await.expect_status(400).json()["status_code"], "invalid_params");
        assert_eq!(log_in(&site, "janice@example.com").await.expect_status(400).json()["error"], "invalid_request");

        // With one, passwordless login uses it at once, the others when their switch is on.
        let only_handler = json!({"headlessDiscoveryHandler": "builtin", "headlessDiscoveryStrategies": ["verifiedEmail"]});
        site.update_settings_of("public", only_handler).await;
        site.send(init()).await.expect_ok();
        site.code_to("janice@example.com").await;
        assert_eq!(site.send(reset()).await.expect_status(400).json()["status_code"], "invalid_params");
        assert_eq!(log_in(&site, "janice@example.com").await.expect_status(400).json()["error"], "invalid_request");

        site.update_settings_of("public", json!({"isUserDisambiguationAllowedForgotPwd": true})).await;
        site.send(reset()).await.expect_ok();
        site.code_to("janice@example.com").await;
        assert_eq!(log_in(&site, "janice@example.com").await.expect_status(400).json()["error"], "invalid_request");
        site.update_settings_of("public", json!({"isUserDisambiguationAllowedUsernamePwd": true})).await;
        log_in(&site, "janice@example.com").await.expect_status(302);
    }
}

on_both_databases! {
    async fn customdata_of_a_form_is_the_text_of_an_object(site: Site) {
        site.register("janice@example.com").await;
        built_in(&site, json!(["username"])).await;
        let call = |customdata: &str| {
            Call::post("/services/oauth2/authorize")
                .header("auth-request-type", "Named-User")
                .form("response_type", "code_credentials")
                .form("client_id", &site.client.id)
                .form("redirect_uri", &site.redirect_uri)
                .form("login_hint", "janice@example.com")
                .form("password", PASSWORD)
                .form("customdata", customdata)
        };
        site.send(call(r#"{"a":1}"#)).await.expect_status(302);
        for wrong in ["a", "[1]", r#"{"a":1,"a":2}"#, "{"] {
            assert_eq!(site.send(call(wrong)).await.expect_status(400).json()["error"], "invalid_request", "{wrong}");
        }
        let long = "x".repeat(10_241);
        let too_long = call("{}").form("login_hint", &long);
        assert_eq!(site.send(too_long).await.expect_status(400).json()["error"], "invalid_request");
    }
}

on_both_databases! {
    async fn lock_01_a_hint_does_not_bypass_the_lockout_of_passwords(site: Site) {
        site.register("janice@example.com").await;
        built_in(&site, json!(["username"])).await;
        for _ in 0..10 {
            site.send(site.password_call("janice@example.com", "Wr0ng-password")).await.expect_status(400);
        }
        log_in(&site, "janice@example.com").await.expect_status(400);
    }
}

on_both_databases! {
    async fn an_unverified_number_does_not_lock_out_its_owner(site: Site) {
        user(&site, "janice@example.com", "phone = '+12035550100', phone_verified_at = 1").await;
        let janice = site.user("janice@example.com").await.unwrap();
        for number in 0..60 {
            let mut claimant = janice.clone();
            claimant.id = format!("0050000000000{number:02}AAA");
            claimant.username_key = format!("u{number}@example.com");
            claimant.username.clone_from(&claimant.username_key);
            claimant.phone_verified_at = None;
            site.app.store.write("user.insert", claimant, |tx, user| Box::pin(store::user::insert(tx, user))).await.unwrap();
        }
        built_in(&site, json!(["verifiedPhone"])).await;
        log_in(&site, "+12035550100").await.expect_status(302);
    }
}
