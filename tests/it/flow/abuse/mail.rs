//! Messages (threats MAIL-01, 02, 04, 06, 07, 08, 10, 15).

use http::Method;
use serde_json::json;
use vestibule::delivery::InboxMessage;

use super::{INIT, assert_init_refused, opened, other_code, rounds};
use crate::fixture::{Answer, Call, PASSWORD, Site, on_both_databases, on_sqlite, registration};

/// The message to a registrant with these names.
async fn message_of(site: &Site, username: &str, first_name: &str) -> std::sync::Arc<InboxMessage> {
    let mut body = registration(username);
    body["userdata"]["firstName"] = json!(first_name);
    site.init(&body).await.expect_ok();
    site.deliver().await;
    let mut messages = site.inbox.list(None);
    site.inbox.clear();
    assert_eq!(messages.len(), 1, "one message to one recipient");
    let message = messages.pop().unwrap();
    assert_eq!(message.to, username);
    message
}

on_sqlite! {
    async fn mail_01_a_name_adds_no_line_and_no_recipient(site: Site) {
        for bad in ["Jan\r\nBcc: x@example.com", "Jan\nTo: x", "Jan\u{0}", "Jan\u{85}x", "Jan\u{2028}Bcc: x@example.com", &"x".repeat(81)] {
            let mut body = registration("a@example.com");
            body["userdata"]["firstName"] = json!(bad);
            assert_init_refused(&site, &body, "invalid_params").await;
        }
        for (number, odd) in ["=?utf-8?B?QmNj?=", "\u{202e}naJ", "Jan, x@example.com"].into_iter().enumerate() {
            let message = message_of(&site, &format!("u{number}@example.com"), odd).await;
            assert!(!message.subject.contains('\n') && !message.subject.contains('\r'));
            assert!(!message.subject.contains("x@example.com"));
        }
    }
}

on_sqlite! {
    async fn mail_02_an_address_is_one_address_or_refused(site: Site) {
        for bad in [
            "a@b>,<c@d.example", "a@x.example,b@x.example", "a@x.example b@x.example", "a@x.example;b@x.example",
            "\"a,b\"@x.example", "a@x.example\r\nRCPT TO:<b@x.example>", "<a@x.example>", "A <a@x.example>",
            "a@x.example\u{0}", "a@b@x.example", "a@x.example(b@x.example)", "grp: a@x.example, b@x.example;",
            "jörg@x.example", "a\u{ff0c}b@x.example",
        ] {
            let mut body = registration("someone@example.com");
            body["userdata"]["email"] = json!(bad);
            assert_init_refused(&site, &body, "invalid_params").await;
        }
        for (number, (odd, to)) in [
            ("O'Neil+shop@X.example", "O'Neil+shop@x.example"), ("a@bücher.example", "a@xn--bcher-kva.example"),
        ].into_iter().enumerate() {
            let mut body = registration(&format!("u{number}@example.com"));
            body["userdata"]["email"] = json!(odd);
            site.init(&body).await.expect_ok();
            site.deliver().await;
            let messages = site.inbox.list(None);
            site.inbox.clear();
            assert_eq!(messages.iter().map(|message| message.to.as_str()).collect::<Vec<_>>(), [to]);
        }
    }
}

on_sqlite! {
    async fn mail_10_what_a_scanner_fetches_costs_no_try_and_no_code(site: Site) {
        let (identifier, code) = opened(&site, "janice@example.com").await;
        let query = format!(
            "?response_type=code_credentials&client_id={}&redirect_uri={}&identifier={identifier}&code={code}&otp={code}",
            site.client.id, site.redirect_uri
        );
        for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
            for path in ["/services/oauth2/authorize", INIT, "/services/oauth2/token", "/services/oauth2/echo"] {
                let answer = site.send(Call::new(method.clone(), &format!("{path}{query}"))).await;
                let location = answer.header("location").unwrap_or_default();
                assert!(!location.contains("code="), "{method} {path}: {location}");
            }
        }
        site.send(site.authorize_call(&identifier, &code)).await.expect_status(302);
    }
}

on_sqlite! {
    async fn mail_04_a_name_is_no_template_and_what_is_no_name_is_not_greeted(site: Site) {
        for (number, name) in ["{{ 7*7 }}", "{% include 'x' %}", "${7*7}", "<%= 7*7 %>", "{{ code }}", "{# x #}"].into_iter().enumerate() {
            let message = message_of(&site, &format!("u{number}@example.com"), name).await;
            let code = message.code.clone().unwrap();
            assert!(!message.text.contains("49") || code.contains("49"), "{}", message.text);
            // The code occurs in the text as often as in any other mail.
            let plain = message_of(&site, &format!("p{number}@example.com"), "Janice").await;
            let count = |message: &InboxMessage| message.text.matches(message.code.as_deref().unwrap()).count();
            assert_eq!(count(&message), count(&plain), "{name}");
            assert!(!message.text.contains(name), "{}", message.text);
        }
    }
}

on_sqlite! {
    async fn mail_06_a_name_is_no_markup(site: Site) {
        for (number, name) in ["<script>x</script>", "<img src=x onerror=y>", "\"><a href=javascript:x>", "&lt;b&gt;"].into_iter().enumerate() {
            let message = message_of(&site, &format!("u{number}@example.com"), name).await;
            let html = message.html.clone().unwrap();
            assert!(!html.contains(name), "{html}");
            assert!(!html.contains("<script>x") && !html.contains("<img src=x") && !html.contains("<a href=javascript"));
        }
    }
}

on_both_databases! {
    async fn mail_07_08_a_mailbox_gets_five_codes_an_hour_by_whatever_name(site: Site) {
        let mut sent = 0;
        for number in 0..20 * rounds(1) {
            let email = match number % 4 {
                0 => "victim@example.com".to_owned(),
                1 => format!("victim+{number}@example.com"),
                2 => format!("VICTIM+x{number}@Example.COM"),
                _ => "Victim@example.com".to_owned(),
            };
            let mut body = registration(&format!("u{number}@example.com"));
            body["userdata"]["email"] = json!(email);
            let answer = site.init(&body).await;
            match answer.status {
                200 => sent += 1,
                429 => assert_eq!(answer.header("retry-after"), Some("3600")),
                other => panic!("{other}: {}", answer.body),
            }
        }
        assert_eq!(sent, 5);
        site.deliver().await;
        assert_eq!(site.inbox.clear(), 5);
        // Another user is not delayed.
        site.pending("other@example.com").await;
        site.code_to("other@example.com").await;
    }
}

on_both_databases! {
    async fn mail_07_a_phone_gets_five_codes_an_hour_however_it_is_written(site: Site) {
        let spellings = ["+12035550100", "+1 203 555 0100", "001 203 555 0100", "+1 (203) 555-0100"];
        let mut sent = 0;
        for number in 0..10 {
            let mut body = registration(&format!("u{number}@example.com"));
            body["verificationmethod"] = json!("sms");
            body["customdata"] = json!({"mobilePhone": spellings[number % spellings.len()]});
            sent += usize::from(site.init(&body).await.status == 200);
        }
        assert_eq!(sent, 5);
        site.deliver().await;
        let messages = site.inbox.list(None);
        assert!(messages.iter().all(|message| message.to == "+12035550100"));
        site.inbox.clear();
    }
}

/// A request for a code to log in or to choose a new password, at the public site.
async fn ask(site: &Site, is_login: bool, username: &str) -> Answer {
    let (path, mut body) = match is_login {
        true => (
            "/services/auth/headless/init/passwordless/login",
            json!({"verificationmethod": "email"}),
        ),
        false => (FORGOT, json!({})),
    };
    body["username"] = json!(username);
    body["recaptcha"] = json!("test-pass");
    site.send(Call::post(path).on_public().json(&body)).await
}

const FORGOT: &str = "/services/auth/headless/forgot_password";

on_both_databases! {
    async fn mail_07_a_user_gets_five_codes_an_hour_in_each_flow_and_an_unknown_user_the_same_response(site: Site) {
        site.register("victim@example.com").await;
        for is_login in [true, false] {
            for (username, mails) in [("victim@example.com", 5), ("unknown@example.com", 0)] {
                let mut answered = 0;
                for _ in 0..12 * rounds(1) {
                    let answer = ask(&site, is_login, username).await;
                    match answer.status {
                        200 => answered += 1,
                        _ => assert_eq!((answer.status, answer.header("retry-after")), (429, Some("3600"))),
                    }
                }
                assert_eq!(answered, 5, "{username}");
                site.deliver().await;
                let sent = site.inbox.list(None).iter().filter(|message| message.code.is_some()).count();
                site.inbox.clear();
                assert_eq!(sent, mails, "{username}");
            }
        }
    }
}

on_both_databases! {
    async fn mail_08_accounts_at_one_mailbox_share_its_codes(site: Site) {
        for number in 0..7 {
            let username = format!("u{number}@example.com");
            site.register(&username).await;
            site.execute(format!("UPDATE app_user SET email = 'victim+{number}@example.com',
                email_key = 'victim+{number}@example.com' WHERE username_key = '{username}'")).await;
        }
        for is_login in [true, false] {
            let mut answered = 0;
            for number in 0..7 {
                answered += usize::from(ask(&site, is_login, &format!("u{number}@example.com")).await.status == 200);
            }
            // An unauthenticated caller gets the usual response; the mailbox gets its five codes and no more.
            assert_eq!(answered, 7);
            site.deliver().await;
            let sent = site.inbox.list(None).iter().filter(|message| message.code.is_some()).count();
            assert_eq!((sent, site.inbox.clear()), (5, 7));
        }
    }
}

on_both_databases! {
    async fn mail_15_the_user_is_notified_of_a_new_password_without_a_secret(site: Site) {
        site.register("janice@example.com").await;
        ask(&site, false, "janice@example.com").await.expect_ok();
        let code = site.code_to("janice@example.com").await;
        let choose = async |otp: &str, password: &str| {
            let body = json!({"username": "janice@example.com", "otp": otp, "newpassword": password});
            site.send(Call::post(FORGOT).on_public().json(&body)).await
        };
        choose(&other_code(&code), "Another-Pa55word").await.expect_status(400);
        choose(&code, "short").await.expect_status(400);
        site.deliver().await;
        assert!(site.inbox.list(None).is_empty(), "nothing was changed, so no notice is sent");
        choose(&code, "Another-Pa55word").await.expect_ok();
        site.deliver().await;
        let messages = site.inbox.list(None);
        assert_eq!(messages.iter().map(|message| message.to.as_str()).collect::<Vec<_>>(), ["janice@example.com"]);
        let html = messages[0].html.clone().unwrap_or_default();
        for secret in [&code, "Another-Pa55word", PASSWORD, "href="] {
            assert!(!messages[0].text.contains(secret) && !html.contains(secret), "{secret}");
        }
        assert_eq!(messages[0].code, None);
        site.inbox.clear();
    }
}
