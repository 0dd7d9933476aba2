//! One-time passwords (threats OTP-01 to OTP-25).

use std::time::Duration;

use serde_json::json;

use super::{assert_refused, opened, other_code, rounds};
use crate::fixture::{Call, Site, on_both_databases, on_sqlite, registration};
use crate::flow::tokens::add_site;

async fn guess(site: &Site, identifier: &str, code: &str) -> u16 {
    let answer = site.send(site.authorize_call(identifier, code)).await;
    if answer.status != 302 {
        assert_refused(&answer);
    }
    answer.status
}

on_both_databases! {
    async fn otp_01_after_five_wrong_guesses_the_right_code_is_dead(site: Site) {
        let (identifier, code) = opened(&site, "a@example.com").await;
        for _ in 0..4 {
            assert_eq!(guess(&site, &identifier, &other_code(&code)).await, 400);
        }
        assert_eq!(guess(&site, &identifier, &code).await, 302, "the fifth may still be right");

        let (identifier, code) = opened(&site, "b@example.com").await;
        for _ in 0..5 {
            assert_eq!(guess(&site, &identifier, &other_code(&code)).await, 400);
        }
        assert_eq!(guess(&site, &identifier, &code).await, 400);
        assert!(site.user("b@example.com").await.is_none());
    }
}

on_both_databases! {
    async fn otp_02_parallel_wrong_guesses_are_counted_one_by_one(site: Site) {
        for (number, (wide, expected)) in [(4, 302), (5, 400), (24 * rounds(1), 400)].into_iter().enumerate() {
            let username = format!("u{number}@example.com");
            let (identifier, code) = opened(&site, &username).await;
            let wrong = other_code(&code);
            let guesses = (0..wide).map(|_| guess(&site, &identifier, &wrong));
            let statuses = futures_util::future::join_all(guesses).await;
            assert!(statuses.iter().all(|status| *status == 400));
            assert_eq!(guess(&site, &identifier, &code).await, expected, "{wide} guesses before");
        }
    }
}

on_sqlite! {
    async fn otp_04_10_11_a_registration_is_no_login(site: Site) {
        let (identifier, code) = opened(&site, "a@example.com").await;
        for (kind, error) in [
            ("passwordless-login", "invalid_grant"),
            ("Named-User", "invalid_grant"),
            ("guest", "invalid_request"),
            ("user-registration, guest", "invalid_request"),
            ("", "invalid_request"),
        ] {
            for _ in 0..3 {
                let call = site.authorize_call(&identifier, &code).without_header("auth-request-type");
                let answer = site.send(call.header("auth-request-type", kind)).await.expect_status(400);
                assert_eq!(answer.json()["error"], error, "{kind}");
            }
        }
        // None of them was an attempt at this flow (BASIC-12).
        assert_eq!(guess(&site, &identifier, &code).await, 302);
    }
}

on_sqlite! {
    async fn otp_05_a_wrong_channel_spends_a_try(site: Site) {
        let (identifier, code) = opened(&site, "a@example.com").await;
        for number in 0..5 {
            let call = site.authorize_call(&identifier, &code).without_header("auth-verification-type");
            let call = if number % 2 == 0 { call.header("auth-verification-type", "sms") } else { call };
            let answer = site.send(call).await.expect_status(400);
            assert_eq!(answer.json()["error"], "invalid_request");
        }
        assert_eq!(guess(&site, &identifier, &code).await, 400);
    }
}

on_both_databases! {
    async fn otp_06_the_codes_of_two_people_are_not_exchanged(site: Site) {
        let (first, first_code) = opened(&site, "a@example.com").await;
        let (second, mut second_code) = opened(&site, "b@example.com").await;
        while second_code == first_code {
            second_code = opened(&site, "c@example.com").await.1;
        }
        assert_eq!(guess(&site, &first, &second_code).await, 400);
        assert_eq!(guess(&site, &second, &first_code).await, 400);
        assert_eq!(guess(&site, &first, &first_code).await, 302);
    }
}

on_both_databases! {
    async fn otp_07_a_newer_request_ends_the_older(site: Site) {
        let (first, first_code) = opened(&site, "a@example.com").await;
        // The same mailbox in another spelling is the same address.
        let (second, second_code) = opened(&site, "A@EXAMPLE.com").await;
        assert_eq!(guess(&site, &first, &first_code).await, 400);
        assert_eq!(guess(&site, &second, &second_code).await, 302);
        assert_eq!(guess(&site, &first, &first_code).await, 400);
    }
}

on_sqlite! {
    async fn otp_12_no_other_secret_opens_a_registration(site: Site) {
        let code = site.registered_code("first@example.com").await;
        let token = site.integration_token(None).await;
        let (identifier, otp) = opened(&site, "a@example.com").await;
        for secret in [&code, &token, &site.client.secret] {
            assert_eq!(guess(&site, secret, &otp).await, 400);
            assert_eq!(guess(&site, &identifier, secret).await, 400);
        }
        // Nor is an identifier or a one-time password an authorization code.
        for wrong in [&identifier, &otp] {
            let answer = site.send(site.token_call(wrong)).await.expect_status(400);
            assert_eq!(answer.json()["error"], "invalid_grant");
        }
        assert_eq!(guess(&site, &identifier, &otp).await, 302);
    }
}

on_both_databases! {
    async fn otp_15_a_used_code_stays_used(site: Site) {
        let (identifier, code) = opened(&site, "a@example.com").await;
        assert_eq!(guess(&site, &identifier, &code).await, 302);
        for seconds in [0, 1, 600, 3_600, 86_400] {
            site.advance(Duration::from_secs(seconds));
            assert_eq!(guess(&site, &identifier, &code).await, 400);
        }
    }
}

on_both_databases! {
    async fn otp_16_a_code_lives_ten_minutes(site: Site) {
        for (number, (age, status)) in [(599, 302), (600, 400), (601, 400)].into_iter().enumerate() {
            let (identifier, code) = opened(&site, &format!("u{number}@example.com")).await;
            site.advance(Duration::from_secs(age));
            assert_eq!(guess(&site, &identifier, &code).await, status, "{age} s");
        }
    }
}

on_sqlite! {
    async fn otp_17_nothing_public_tells_of_the_code(site: Site) {
        let mut identifiers = Vec::new();
        for number in 0..8 {
            let username = format!("u{number}@example.com");
            let identifier = site.pending(&username).await;
            site.deliver().await;
            let message = site.inbox.list(Some(&username)).pop().unwrap();
            site.inbox.clear();
            let code = message.code.clone().unwrap();
            assert!(code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_digit()), "{code}");
            assert!(!message.subject.contains(&code) && !message.message_id.contains(&code) && !message.id.contains(&code));
            assert!(!message.message_id.contains(&identifier[3..10]));
            // 32 characters of base62 are 190 bits.
            assert!(identifier.len() >= 3 + 22, "{identifier}");
            identifiers.push(identifier);
        }
        identifiers.sort();
        for pair in identifiers.windows(2) {
            let common = pair[0].bytes().zip(pair[1].bytes()).take_while(|(a, b)| a == b).count();
            assert!(common < 3 + 8, "{pair:?} count up");
        }
    }
}

on_sqlite! {
    async fn otp_18_a_code_is_good_for_its_own_request_only(site: Site) {
        let (_, code) = opened(&site, "victim@example.com").await;
        for number in 0..rounds(24) {
            let (identifier, own) = opened(&site, &format!("u{number}@example.com")).await;
            if own != code {
                assert_eq!(guess(&site, &identifier, &code).await, 400);
            }
        }
    }
}

on_both_databases! {
    async fn otp_19_a_try_is_spent_even_when_the_rest_of_the_request_breaks(site: Site) {
        let (identifier, code) = opened(&site, "a@example.com").await;
        site.execute("ALTER TABLE credential RENAME TO credential_away").await;
        for _ in 0..4 {
            // The code is right, and the write that makes the user fails.
            let answer = site.send(site.authorize_call(&identifier, &code)).await.expect_status(500);
            assert_eq!(answer.json()["error"], "server_error");
        }
        site.execute("ALTER TABLE credential_away RENAME TO credential").await;
        assert!(site.user("a@example.com").await.is_none(), "all or nothing");
        assert_eq!(guess(&site, &identifier, &other_code(&code)).await, 400);
        assert_eq!(guess(&site, &identifier, &code).await, 400, "five tries were spent");

        // With a try left the same code completes what the fault interrupted.
        let (identifier, code) = opened(&site, "b@example.com").await;
        site.execute("ALTER TABLE credential RENAME TO credential_away").await;
        site.send(site.authorize_call(&identifier, &code)).await.expect_status(500);
        site.execute("ALTER TABLE credential_away RENAME TO credential").await;
        assert_eq!(guess(&site, &identifier, &code).await, 302);
    }
}

on_sqlite! {
    async fn otp_20_step_two_without_step_one(site: Site) {
        for identifier in ["0RX0000000000000000000000000000000", "", "0RX", "null", "undefined"] {
            for code in ["000000", "", "null"] {
                let answer = site.send(site.authorize_call(identifier, code)).await;
                assert_refused(&answer);
            }
        }
    }
}

on_sqlite! {
    async fn otp_21_a_code_is_typed_as_it_was_sent(site: Site) {
        let wrong_spellings: [fn(&str) -> String; 9] = [
            |code| format!("{} {}", &code[..3], &code[3..]),
            |code| format!("{}-{}", &code[..3], &code[3..]),
            |code| code.chars().map(|c| char::from_u32(u32::from(c) - 0x30 + 0xFF10).unwrap()).collect(),
            |code| code.chars().map(|c| char::from_u32(u32::from(c) - 0x30 + 0x0660).unwrap()).collect(),
            |code| format!("+{code}"),
            |code| format!("0{code}"),
            |code| format!("{code}.0"),
            |code| code[1..].to_owned(),
            |code| format!("\u{a0}{code}"),
        ];
        for (number, spelling) in wrong_spellings.iter().enumerate() {
            let (identifier, code) = opened(&site, &format!("u{number}@example.com")).await;
            for _ in 0..4 {
                assert_eq!(guess(&site, &identifier, &spelling(&code)).await, 400);
            }
            assert_eq!(guess(&site, &identifier, &code).await, 302, "each counts once");
        }
        let (identifier, code) = opened(&site, "blank@example.com").await;
        assert_eq!(guess(&site, &identifier, &format!(" {code}  ")).await, 302, "outer blanks are trimmed");
    }
}

on_both_databases! {
    async fn otp_25_a_wrong_identifier_is_an_unknown_one(site: Site) {
        add_site(&site, "other", "https://other.example.com").await;
        let (identifier, code) = opened(&site, "a@example.com").await;
        let flipped: String = identifier
            .chars()
            .map(|c| if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() })
            .collect();
        for wrong in [
            &identifier[..identifier.len() - 1], &flipped, &format!("{identifier}a"), &format!("{identifier}'--"),
            "' OR '1'='1", &"x".repeat(4_000), &format!(" {identifier}"), &format!("{identifier}\u{200b}"),
        ] {
            assert_eq!(guess(&site, wrong, &code).await, 400);
        }
        let long = site.authorize_call(&"x".repeat(16_000), &code);
        assert_refused(&site.send(long).await);
        let there = site.authorize_call(&identifier, &code)
            .host("other.example.com")
            .at("/services/oauth2/authorize");
        for _ in 0..6 {
            assert_refused(&site.send(there.clone()).await);
        }
        assert_eq!(guess(&site, &identifier, &code).await, 302, "another site's guesses spend nothing here");
    }
}

on_both_databases! {
    async fn a_phone_number_proves_the_phone_and_not_the_address(site: Site) {
        let mut body = registration("a@example.com");
        body["verificationmethod"] = json!("sms");
        body["userdata"]["mobilePhone"] = json!("+1 (203) 555-0100");
        let identifier = site.init(&body).await.expect_ok().json()["identifier"].as_str().unwrap().to_owned();
        let code = site.code_to("+12035550100").await;
        let call = site.authorize_call(&identifier, &code).without_header("auth-verification-type");
        let answer = site.send(call.header("auth-verification-type", "sms")).await.expect_status(302);
        let tokens = site.send(site.token_call(&answer.location_parameter("code"))).await.expect_ok().json();
        let call = Call::get("/services/oauth2/userinfo").bearer(tokens["access_token"].as_str().unwrap());
        let info = site.send(call).await.expect_ok().json();
        assert_eq!(info["phone_number"], "+12035550100");
        assert_eq!((&info["phone_number_verified"], &info["email_verified"]), (&json!(true), &json!(false)));
    }
}
