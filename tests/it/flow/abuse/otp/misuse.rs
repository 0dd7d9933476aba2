//! Codes and identifiers in the wrong place (threats OTP-04, 05, 06, 10, 11, 12, 18, 25): in another flow, on
//! another channel, for another user, at another site, as another kind of secret.

use serde_json::json;

use super::super::{assert_refused, rounds};
use super::{FLOWS, FORGOT, Flow, INIT_LOGIN, NEW_PASSWORD, Pending, name};
use crate::fixture::{Call, PASSWORD, Site, on_both_databases};

/// Two pending requests whose codes differ.
async fn two(site: &Site, flow: Flow) -> (Pending, Pending) {
    let first = flow.open(site, &name(flow, 0)).await;
    let mut number = 1;
    loop {
        let second = flow.open(site, &name(flow, number)).await;
        if second.code != first.code {
            return (first, second);
        }
        number += 1;
    }
}

on_both_databases! {
    async fn otp_04_10_11_a_code_of_one_flow_opens_no_other(site: Site) {
        for flow in FLOWS {
            let pending = flow.open(&site, &name(flow, 0)).await;
            for other in FLOWS.into_iter().filter(|other| *other != flow) {
                for username in [&pending.username, "unknown@example.com"] {
                    let call = other.present(&site, username, &pending.identifier, &pending.code);
                    let answer = site.send(call).await;
                    assert!(!other.is_in(&answer), "{flow:?} at {other:?}");
                }
            }
            if flow == Flow::Registration {
                assert!(site.user(&pending.username).await.is_none(), "no user was made");
            }
            assert!(pending.is_good(&site).await, "{flow:?}: other flows spent none of its attempts");
        }
    }
}

on_both_databases! {
    async fn otp_04_with_pending_requests_of_both_flows_each_accepts_only_its_code(site: Site) {
        let username = "janice@example.com";
        let login = Flow::PasswordlessLogin.open(&site, username).await;
        let mut reset = Flow::ForgotPassword.open(&site, username).await;
        while reset.code == login.code {
            reset = Flow::ForgotPassword.open(&site, username).await;
        }
        assert!(!login.guess(&site, &reset.code).await);
        assert!(!reset.guess(&site, &login.code).await);
        assert!(login.is_good(&site).await && reset.is_good(&site).await);
    }
}

on_both_databases! {
    async fn otp_05_a_wrong_channel_spends_a_try(site: Site) {
        for flow in [Flow::Registration, Flow::PasswordlessLogin] {
            let pending = flow.open(&site, &name(flow, 0)).await;
            let without = pending.present(&site, &pending.code).without_header("auth-verification-type");
            let absent = without.clone();
            let other = without.header("auth-verification-type", "sms");
            for number in 0..5 {
                // A registration that named a channel must name it again; a missing channel is a wrong one.
                let is_absent = flow == Flow::Registration && number % 2 == 1;
                let answer = site.send(if is_absent { absent.clone() } else { other.clone() }).await;
                assert_eq!(answer.expect_status(400).json()["error"], "invalid_request", "{flow:?}");
            }
            assert!(!pending.is_good(&site).await, "{flow:?}");
        }
    }
}

on_both_databases! {
    async fn otp_05_a_login_without_a_channel_or_with_a_word_that_is_none_is_not_compared(site: Site) {
        let pending = Flow::PasswordlessLogin.open(&site, &name(Flow::PasswordlessLogin, 0)).await;
        for number in 0..12 {
            // The code does not affect the response, so no attempt needs to be spent.
            let code = if number % 2 == 0 { "!wrong" } else { &pending.code };
            let call = pending.present(&site, code).without_header("auth-verification-type");
            let call = if number % 3 == 0 { call.header("auth-verification-type", "fax") } else { call };
            let answer = site.send(call).await.expect_status(400);
            assert_eq!(answer.json()["error"], "invalid_request");
        }
        assert!(pending.is_good(&site).await);
    }
}

on_both_databases! {
    async fn otp_05_a_text_messages_code_is_not_one_of_a_mail(site: Site) {
        site.register("janice@example.com").await;
        site.execute("UPDATE app_user SET phone = '+12035550100', phone_verified_at = 1").await;
        let body = json!({"username": "janice@example.com", "verificationmethod": "sms", "recaptcha": "test-pass"});
        let answer = site.send(Call::post(INIT_LOGIN).on_public().json(&body)).await.expect_ok().json();
        let by_sms = answer["identifier"].as_str().unwrap();
        let sms_code = site.code_to("+12035550100").await;
        let by_mail = Flow::PasswordlessLogin.open(&site, "janice@example.com").await;
        if sms_code != by_mail.code {
            assert!(!by_mail.guess(&site, &sms_code).await, "a message's code for the mail's request");
        }
        let call = site.public_authorize_call("passwordless-login", by_sms, &by_mail.code);
        let call = call.without_header("auth-verification-type").header("auth-verification-type", "sms");
        if sms_code != by_mail.code {
            assert_refused(&site.send(call.clone()).await);
        }
        assert!(by_mail.is_good(&site).await);
        // The newer request had ended the older one (OTP-07).
        let right = site.public_authorize_call("passwordless-login", by_sms, &sms_code);
        let right = right.without_header("auth-verification-type").header("auth-verification-type", "sms");
        assert_refused(&site.send(right).await);
    }
}

on_both_databases! {
    async fn otp_06_the_codes_of_two_people_are_not_exchanged(site: Site) {
        for flow in FLOWS {
            let (first, second) = two(&site, flow).await;
            assert!(!first.guess(&site, &second.code).await, "{flow:?}");
            assert!(!second.guess(&site, &first.code).await, "{flow:?}");
            assert!(first.is_good(&site).await && second.is_good(&site).await, "{flow:?}");
        }
    }
}

on_both_databases! {
    async fn otp_12_no_other_secret_is_an_identifier_or_a_code(site: Site) {
        site.update_client(&site.client.id, json!({"scopes": "openid api refresh_token"})).await;
        let tokens = site.register("first@example.com").await;
        let unspent = site.registered_code("second@example.com").await;
        let secrets: Vec<String> = [
            tokens["access_token"].as_str(), tokens["refresh_token"].as_str(), tokens["id_token"].as_str(),
            Some(&unspent), Some(&site.client.secret), Some(PASSWORD),
        ]
        .map(|secret| secret.unwrap().to_owned())
        .to_vec();
        for flow in FLOWS {
            for (number, secret) in secrets.iter().enumerate() {
                let pending = flow.open(&site, &name(flow, number)).await;
                if flow != Flow::ForgotPassword {
                    let answer = site.send(flow.present(&site, "", secret, &pending.code)).await;
                    assert!(!flow.is_in(&answer), "{flow:?}");
                }
                assert!(!pending.guess(&site, secret).await, "{flow:?}");
                // An identifier or a one-time password is neither an authorization code nor a token.
                for wrong in [&pending.identifier, &pending.code] {
                    let answer = site.send(site.token_call(wrong)).await.expect_status(400);
                    assert!(["invalid_grant", "invalid_request"].contains(&answer.json()["error"].as_str().unwrap()));
                    let info = Call::get("/services/oauth2/userinfo").bearer(&format!("x{wrong}"));
                    site.send(info).await.expect_status(401);
                }
            }
        }
        // A password is not a code and a code is not a password.
        let pending = Flow::PasswordlessLogin.open(&site, "first@example.com").await;
        site.send(site.password_call("first@example.com", &pending.code)).await.expect_status(400);
        assert!(pending.is_good(&site).await);
    }
}

on_both_databases! {
    async fn otp_18_a_code_is_valid_for_its_request_only(site: Site) {
        for flow in FLOWS {
            let victim = flow.open(&site, &name(flow, 0)).await;
            for number in 1..rounds(12) {
                let own = flow.open(&site, &name(flow, number)).await;
                assert!(own.code == victim.code || !own.guess(&site, &victim.code).await, "{flow:?}");
            }
            assert!(victim.is_good(&site).await, "{flow:?}");
        }
    }
}

on_both_databases! {
    async fn otp_25_a_wrong_identifier_is_an_unknown_one(site: Site) {
        for flow in [Flow::Registration, Flow::PasswordlessLogin] {
            let pending = flow.open(&site, &name(flow, 0)).await;
            let identifier = &pending.identifier;
            let flipped: String = identifier
                .chars()
                .map(|c| if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() })
                .collect();
            for wrong in [
                &identifier[..identifier.len() - 1], &flipped, &format!("{identifier}a"), &format!("{identifier}'--"),
                "' OR '1'='1", &"x".repeat(4_000), &"x".repeat(10_240), &format!(" {identifier}"),
                &format!("{identifier}\u{200b}"), &format!("{identifier}%"), "%", "\u{1F600}",
            ] {
                let answer = site.send(flow.present(&site, "", wrong, &pending.code)).await;
                assert!(!flow.is_in(&answer), "{flow:?}: {wrong:.40}");
            }
            assert!(pending.is_good(&site).await, "{flow:?}: none of these was a guess at it");
        }
    }
}

on_both_databases! {
    async fn otp_25_the_code_of_one_site_is_nothing_at_another(site: Site) {
        // A code requested at the public site is presented at the private one.
        let token = site.integration_token(None).await;
        for flow in FLOWS {
            let pending = flow.open(&site, &name(flow, 0)).await;
            for _ in 0..6 {
                let answer = match flow {
                    Flow::ForgotPassword => {
                        let body = json!({"username": pending.username, "otp": pending.code, "newpassword": NEW_PASSWORD});
                        site.send(Call::post(FORGOT).bearer(&token).json(&body)).await
                    }
                    Flow::Registration => site.send(site.authorize_call(&pending.identifier, &pending.code)).await,
                    Flow::PasswordlessLogin => {
                        let call = site.authorize_call(&pending.identifier, &pending.code);
                        let call = call.without_header("auth-request-type");
                        site.send(call.header("auth-request-type", "passwordless-login")).await
                    }
                };
                assert!(!flow.is_in(&answer), "{flow:?}");
            }
            assert!(pending.is_good(&site).await, "{flow:?}: another site's guesses spend nothing here");
        }
    }
}

on_both_databases! {
    async fn otp_06_a_reset_is_about_the_name_that_it_was_asked_for(site: Site) {
        // Two accounts with one mailbox: the code of one is not valid for the other.
        site.register("janice@example.com").await;
        site.register("office@example.com").await;
        site.execute("UPDATE app_user SET email = 'janice@example.com', email_key = 'janice@example.com'
            WHERE username_key = 'office@example.com'").await;
        let asked = Flow::ForgotPassword.open(&site, "janice@example.com").await;
        let other = Pending { username: "office@example.com".to_owned(), ..asked.clone() };
        assert!(!other.is_good(&site).await);
        // A request for the other does not end this one, although both mails go to one mailbox.
        site.send(Flow::ForgotPassword.ask("office@example.com")).await.expect_ok();
        site.deliver().await;
        site.inbox.clear();
        assert!(asked.is_good(&site).await);
        site.send(site.password_call("office@example.com", PASSWORD)).await.expect_status(302);
    }
}
