//! Usernames and Unicode (threats USR-01 to USR-08).

use serde_json::json;

use super::{INIT, assert_init_refused};
use crate::fixture::{Call, Site, on_both_databases, registration};

/// Requests a username with a unique address; whether it is taken.
async fn is_taken(site: &Site, username: &str, number: usize) -> bool {
    let mut body = registration(username);
    let email = format!("probe{number}@example.com");
    body["userdata"]["email"] = json!(email);
    let answer = site.init(&body).await;
    if answer.status == 200 {
        site.code_to(&email).await;
        return false;
    }
    assert_eq!(answer.status, 400, "{username}: {}", answer.body);
    assert!(
        answer.body.contains("already in use"),
        "{username}: {}",
        answer.body
    );
    true
}

async fn register(site: &Site, username: &str, email: &str) {
    let mut body = registration(username);
    body["userdata"]["email"] = json!(email);
    let identifier = site.init(&body).await.expect_ok().json()["identifier"]
        .as_str()
        .unwrap()
        .to_owned();
    let code = site.code_to(email).await;
    site.send(site.authorize_call(&identifier, &code))
        .await
        .expect_status(302);
}

on_both_databases! {
    async fn usr_01_02_03_06_spellings_of_one_name_are_one_account(site: Site) {
        let groups: [&[&str]; 5] = [
            &["Alice@example.com", "alice@example.com", "ALICE@EXAMPLE.COM", "alice@EXAMPLE.com"],
            &["caf\u{e9}@example.com", "cafe\u{301}@example.com", "CAF\u{c9}@example.com"],
            &["ｗｉｄｅ@example.com", "wide@example.com"],
            &["σίσυφοσ@example.com", "σίσυφος@example.com", "ΣΊΣΥΦΟΣ@example.com"],
            &["jo@bücher.example", "jo@xn--bcher-kva.example", "jo@XN--BCHER-KVA.example", "jo@BÜCHER.example"],
        ];
        let mut number = 0;
        for (group, names) in groups.into_iter().enumerate() {
            register(&site, names[0], &format!("owner{group}@example.com")).await;
            for name in names {
                number += 1;
                assert!(is_taken(&site, name, number).await, "{name}");
            }
        }
        // Each of these is a distinct name.
        for name in ["alice2@example.com", "strasse@example.com", "istanbul@example.com"] {
            number += 1;
            assert!(!is_taken(&site, name, number).await, "{name}");
        }
        register(&site, "straße@example.com", "sz@example.com").await;
        assert!(!is_taken(&site, "strasse@example.com", 90).await, "ß is a letter of its own");
        register(&site, "ıstanbul@example.com", "dotless@example.com").await;
        assert!(!is_taken(&site, "istanbul@example.com", 91).await, "so is the dotless i");
    }
}

on_both_databases! {
    async fn usr_04_05_07_what_looks_like_another_name_or_like_nothing_is_refused(site: Site) {
        for bad in [
            "p\u{430}ypal@example.com", "al\u{456}ce@example.com", "a\u{200d}b@example.com", "a\u{200b}b@example.com",
            "a\u{202e}b@example.com", "a\u{e0061}b@example.com", "a\u{fe0f}b@example.com",
            "a\u{ad}b@example.com", "a@exam\u{ad}ple.com", "a:b@example.com", "a b", "ab", "@example.com", "a@b@example.com",
            "a\u{0}b@example.com", "a\nb@example.com", "a\tb@example.com", "a\u{7f}b@example.com",
            "a\u{ffff}b@example.com", "a\u{85}b@example.com",
        ] {
            let mut body = registration("x@example.com");
            body["userdata"]["username"] = json!(bad);
            assert_init_refused(&site, &body, "invalid_params").await;
        }
        // The JSON library cannot write a lone surrogate; the server must not accept one either.
        let token = site.integration_token(None).await;
        let body = registration("x@example.com").to_string();
        for escape in [r"\ud800", r"\udc00", r"\ud800\u0041", r"\uFFFF", r"\u0000"] {
            for member in ["Janice", "Edwards", "email"] {
                let body = body.replacen(member, &format!("{member}{escape}"), 1);
                let call = Call::post(INIT).bearer(&token).body(body.as_bytes());
                let status = site.send(call).await.status;
                assert!(status == 400, "{escape} in {member}: {status}");
            }
        }
        site.deliver().await;
        assert!(site.inbox.list(None).is_empty());
        // A name entirely in another script is allowed.
        register(&site, "анна@example.com", "anna@example.com").await;
    }
}

on_both_databases! {
    async fn usr_08_a_username_equal_to_another_user_s_address_gives_no_access(site: Site) {
        register(&site, "janice-login@example.com", "janice@example.com").await;
        register(&site, "janice@example.com", "thief@example.com").await;
        let janice = site.user("janice-login@example.com").await.unwrap();
        let thief = site.user("janice@example.com").await.unwrap();
        assert_ne!(janice.id, thief.id);
        assert_eq!((janice.email.as_str(), thief.email.as_str()), ("janice@example.com", "thief@example.com"));
    }
}
