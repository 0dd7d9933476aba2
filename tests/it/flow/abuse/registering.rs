//! Registration (threats REG-01 to REG-16).

use std::time::Duration;

use serde_json::{Value, json};

use super::{INIT, assert_init_refused, assert_refused, opened};
use vestibule::hashing::QueueLine;

use crate::fixture::{Call, Database, PASSWORD, Site, on_both_databases, on_sqlite, registration};

on_sqlite! {
    async fn reg_01_only_a_live_integration_token_with_the_scope_queues_anything(site: Site) {
        // The customer's token has the scope, but is not an integration user's.
        let scopes = "openid api user_registration_api";
        site.update_client(&site.client.id, json!({"scopes": scopes})).await;
        let user = site.register("user@example.com").await;
        assert_eq!(user["scope"], scopes);
        let narrow = site.integration_token(Some("api pwdless_login_api")).await;
        let old = site.integration_token(None).await;
        site.advance(Duration::from_secs(7_200));
        let good = site.integration_token(None).await;
        for token in [user["access_token"].as_str().unwrap(), &narrow, &old, &good.to_lowercase(), &good[1..], ""] {
            let call = Call::post(INIT).bearer(token).json(&registration("a@example.com"));
            let answer = site.send(call).await.expect_status(401).json();
            assert_eq!(answer["status_code"], "invalid_authorization", "{token}");
        }
        let query = Call::post(&format!("{INIT}?access_token={good}")).json(&registration("a@example.com"));
        assert_eq!(site.send(query).await.expect_status(401).json()["status_code"], "authentication_req");
        site.deliver().await;
        assert!(site.inbox.list(None).is_empty());
        let call = Call::post(INIT).bearer(&good).json(&registration("a@example.com"));
        site.send(call).await.expect_ok();
        site.code_to("a@example.com").await;
    }
}

on_sqlite! {
    async fn reg_03_there_is_no_login_before_the_address_is_verified(site: Site) {
        let (identifier, _) = opened(&site, "a@example.com").await;
        let call = site.authorize_call("a@example.com", PASSWORD);
        assert_refused(&site.send(call.clone()).await);
        let call = call.without_header("auth-request-type").header("auth-request-type", "Named-User");
        site.send(call).await.expect_status(400);
        assert_refused(&site.send(site.authorize_call(&identifier, PASSWORD)).await);
        assert!(site.user("a@example.com").await.is_none());
    }
}

on_both_databases! {
    async fn reg_07_a_username_taken_in_between_is_refused_and_its_owner_untouched(site: Site) {
        // Two addresses, so that neither request ends the other.
        let body = |email: &str| {
            let mut body = registration("janice@example.com");
            body["userdata"]["email"] = json!(email);
            body
        };
        let mut opened = Vec::new();
        for email in ["first@example.com", "second@example.com"] {
            let answer = site.init(&body(email)).await.expect_ok().json();
            let code = site.code_to(email).await;
            opened.push((answer["identifier"].as_str().unwrap().to_owned(), code));
        }
        site.send(site.authorize_call(&opened[1].0, &opened[1].1)).await.expect_status(302);
        let answer = site.send(site.authorize_call(&opened[0].0, &opened[0].1)).await.expect_status(400).json();
        assert_eq!(answer["error"], "registration_error");
        assert_eq!(answer["apex_error"], "DuplicateUsernameException: the username is already in use");
        assert_eq!(site.user("janice@example.com").await.unwrap().email, "second@example.com");
    }
}

on_sqlite! {
    async fn reg_08_each_required_member_missing_empty_null_or_of_another_type(site: Site) {
        let members = ["/userdata/username", "/userdata/lastName", "/userdata/email", "/password", "/userdata"];
        let values =
            [Value::Null, json!(""), json!("  "), json!(5), json!(true), json!([]), json!({}), json!(["a@example.com"])];
        for path in members {
            for value in &values {
                let mut body = registration("a@example.com");
                *body.pointer_mut(path).unwrap() = value.clone();
                assert_init_refused(&site, &body, "invalid_params").await;
            }
            let mut body = registration("a@example.com");
            let (parent, name) = path.rsplit_once('/').unwrap();
            body.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(name);
            let answer = site.init(&body).await.expect_status(400).json();
            let field = answer["invalid_field"].as_str().unwrap_or_default();
            assert!(path.ends_with(field.rsplit('.').next().unwrap()), "{path}: {answer}");
        }
        for body in [json!([]), json!("x"), json!(5), Value::Null, json!({})] {
            assert_init_refused(&site, &body, "invalid_params").await;
        }
        // What was sent is not repeated.
        let mut body = registration("a@example.com");
        body["userdata"]["email"] = json!("<script>alert(1)</script>");
        assert!(!site.init(&body).await.expect_status(400).body.contains("alert"));
    }
}

on_both_databases! {
    async fn reg_09_a_registration_cannot_grant_privileges(site: Site) {
        let mut body = registration("a@example.com");
        let privileges = json!({
            "profileId": "00e000000000001AAA", "ProfileId": "00e000000000001AAA", "isActive": true, "active": false,
            "emailVerified": true, "phone_verified": true, "role": "admin", "isAdmin": true, "id": "005000000000001AAA",
            "user_type": "STANDARD", "isIntegration": true, "__proto__": {"admin": true},
            "constructor": {"prototype": {}}, "locked": false, "permissions": ["all"], "harmless": "kept",
        });
        for (name, value) in privileges.as_object().unwrap() {
            body["userdata"][name.as_str()] = value.clone();
        }
        body["customdata"] = privileges;
        body["profileId"] = json!("00e000000000001AAA");
        let answer = site.init(&body).await.expect_ok().json();
        let code = site.code_to("a@example.com").await;
        let identifier = answer["identifier"].as_str().unwrap();
        site.send(site.authorize_call(identifier, &code)).await.expect_status(302);
        let user = site.user("a@example.com").await.unwrap();
        let customer = site.app.directory().find_profile("Customer").unwrap().id.clone();
        assert_eq!(user.profile_id, customer);
        assert!(user.id != "005000000000001AAA" && !user.is_integration && user.phone_verified_at.is_none());
        assert_eq!(user.attributes["harmless"], "kept");
        for name in ["profileId", "ProfileId", "__proto__", "constructor", "isActive", "emailVerified", "role", "id", "locked"] {
            assert!(!user.attributes.contains_key(name), "{name}");
        }
    }
}

on_both_databases! {
    async fn reg_10_an_attacker_s_earlier_registration_ends_with_the_owner_s(site: Site) {
        let mut attack = registration("victim@example.com");
        attack["password"] = json!("Attackers-Pa55word");
        let attacker = site.init(&attack).await.expect_ok().json()["identifier"].as_str().unwrap().to_owned();
        site.deliver().await;
        site.inbox.clear();
        // The code is the same, and the request that it comes with decides what is registered.
        let (identifier, code) = opened(&site, "victim@example.com").await;
        site.send(site.authorize_call(&identifier, &code)).await.expect_status(302);
        assert_refused(&site.send(site.authorize_call(&attacker, &code)).await);
        let user = site.user("victim@example.com").await.unwrap();
        let phc = site.app.store.read("credential.find", &user.id, |tx, id| {
            Box::pin(vestibule::store::credential::find(tx, id))
        }).await.unwrap().unwrap().phc;
        let is_victims = |password: &str| site.app.hasher.verify(QueueLine::default(), password.to_owned().into(), phc.clone());
        assert!(is_victims(PASSWORD).await.unwrap().matches);
        assert!(!is_victims("Attackers-Pa55word").await.unwrap().matches);
    }
}

/// REG-11, OTP-23, LOG-04: the database and its write-ahead log contain neither password nor code.
#[tokio::test]
async fn reg_11_otp_23_the_database_files_hold_no_password_and_no_code() {
    let site = Site::open(Database::Sqlite).await;
    let mut body = registration("janice@example.com");
    body["userdata"]["password"] = json!("Nested-Pa55word-1");
    body["customdata"] = json!({"password": "Custom-Pa55word-2", "note": "a note that is kept"});
    let identifier = site.init(&body).await.expect_ok().json()["identifier"]
        .as_str()
        .unwrap()
        .to_owned();
    let dump = |site: &Site| {
        let mut bytes = Vec::new();
        for file in std::fs::read_dir(site.directory()).unwrap() {
            bytes.extend(std::fs::read(file.unwrap().path()).unwrap());
        }
        bytes
    };
    let holds = |bytes: &[u8], text: &str| {
        bytes
            .windows(text.len())
            .any(|window| window == text.as_bytes())
    };
    let pending = dump(&site);
    assert!(
        holds(&pending, "a note that is kept") && holds(&pending, "$argon2id$"),
        "the dump is a dump"
    );
    let code = site.code_to("janice@example.com").await;
    let answer = site
        .send(site.authorize_call(&identifier, &code))
        .await
        .expect_status(302);
    let authorization_code = answer.location_parameter("code");
    let tokens = site
        .send(site.token_call(&authorization_code))
        .await
        .expect_ok()
        .json();
    let done = dump(&site);
    for secret in [
        PASSWORD,
        "Nested-Pa55word-1",
        &identifier,
        &authorization_code,
        tokens["access_token"].as_str().unwrap(),
        &site.client.secret,
        &site.integration.secret,
    ] {
        assert!(
            !holds(&pending, secret) && !holds(&done, secret),
            "{secret}"
        );
    }
    // Six digits may occur in any number, but not as a separate text.
    for bytes in [&pending, &done] {
        let is_alone = |at: usize| {
            let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
            !is_digit(at.wrapping_sub(1)) && !is_digit(at + code.len())
        };
        let found = bytes
            .windows(code.len())
            .enumerate()
            .filter(|(at, window)| *window == code.as_bytes() && is_alone(*at))
            .count();
        assert_eq!(found, 0, "the code lies in clear in the database");
    }
    // `customdata` belongs to the app and is stored unread, except for names of privileges and secrets.
    let user = site.user("janice@example.com").await.unwrap();
    assert!(!user.attributes.contains_key("password"));
}

on_sqlite! {
    async fn reg_13_addresses(site: Site) {
        let with = |email: &str| {
            let mut body = registration("a@example.com");
            body["userdata"]["email"] = json!(email);
            body
        };
        let long_domain = format!("a@{}.com", ["x".repeat(60), "y".repeat(60), "z".repeat(60), "w".repeat(60)].join("."));
        let local_65 = format!("{}@example.com", "a".repeat(65));
        let long = format!("a@{}com", "x.".repeat(500));
        for bad in [
            "a", "@example.com", "a@", "a@b", "a@b.", "a@example.com.", "\"a b\"@example.com", "a@[127.0.0.1]",
            "a@127.0.0.1", "a@b@example.com", "a@example.com,b@example.com", "a@b>,<c@d.com", "a b@example.com",
            "Janice <a@example.com>", "a@exa_mple.com", ".a@example.com", "a..b@example.com", "ä@example.com",
            "a@example.com\r\nBcc: x@example.com", &local_65, &long, &format!("{long_domain}.{}", "v".repeat(60)),
        ] {
            assert_init_refused(&site, &with(bad), "invalid_params").await;
        }
        for (number, good) in ["a+tag@example.com", "a@bücher.example", "o'brien@example.co.uk"].into_iter().enumerate() {
            let mut body = with(good);
            body["userdata"]["username"] = json!(format!("u{number}@example.com"));
            let answer = site.init(&body).await.expect_ok().json();
            assert_eq!(answer["email"], good, "as the caller wrote it");
            site.deliver().await;
            assert_eq!(site.inbox.clear(), 1);
        }
    }
}

on_sqlite! {
    async fn reg_14_15_phones_and_methods(site: Site) {
        let with = |phone: Value, method: Value| {
            let mut body = registration("a@example.com");
            body["customdata"] = json!({"mobilePhone": phone});
            body["verificationmethod"] = method;
            body
        };
        for bad in ["5551234", "call me", "+1203555CALL", "+0123456789", "+", "", "+123456789012345678901234567890",
            "+999123456789", "+12035550100;ext=5", "+12035550100,+12035550101"] {
            assert_init_refused(&site, &with(json!(bad), json!("sms")), "invalid_params").await;
        }
        for method in [json!("phone"), json!(5), json!(["sms"]), json!("sms ")] {
            assert_init_refused(&site, &with(json!("+12035550100"), method), "invalid_params").await;
        }
        assert_init_refused(&site, &with(Value::Null, json!("sms")), "invalid_params").await;
        let mut misspelt = registration("a@example.com");
        misspelt["verificationMethod"] = json!("sms");
        assert_init_refused(&site, &misspelt, "invalid_params").await;
        for (number, written) in ["+1 203 555 0100", "001-203-555-0100", "+1 (203) 555.0100"].into_iter().enumerate() {
            let mut body = with(json!(written), json!("sms"));
            body["userdata"]["username"] = json!(format!("u{number}@example.com"));
            site.init(&body).await.expect_ok();
            site.code_to("+12035550100").await;
        }
    }
}

on_both_databases! {
    async fn pwd_01_to_06_passwords_as_they_are_set(site: Site) {
        let with = |password: &str| {
            let mut body = registration("janice@example.com");
            body["password"] = json!(password);
            body
        };
        let too_long = "aB3".repeat(5_400);
        for bad in [
            "short1", "password", "password1", "12345678", "abcdefgh", "janice@example.com1", "Janice@Example.com9",
            " leading-Pa55", "trailing-Pa55 ", "\u{2003}wide-Pa55", "vestibule1", &too_long,
        ] {
            assert_init_refused(&site, &with(bad), "password_policy_check_failure").await;
        }
        assert_init_refused(&site, &with("nul\u{0}-Pa55word"), "invalid_params").await;
        let longest = "aB3".repeat(5_333);
        for (number, good) in ["pass phrase 7 words", "п4роль-длинный", "👩‍🚀-rocket-9", longest.as_str()].into_iter().enumerate() {
            let mut body = registration(&format!("u{number}@example.com"));
            body["password"] = json!(good);
            site.init(&body).await.expect_ok();
            site.code_to(&format!("u{number}@example.com")).await;
        }
    }
}
