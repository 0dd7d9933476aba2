//! The form of a code, and where it may be stored (threats OTP-17, OTP-21, OTP-23).

use serde_json::json;
use vestibule::verification::Alphabet;

use super::{FLOWS, FORGOT, Flow, NEW_PASSWORD, name};
use crate::fixture::{Call, Database, Setup, Site, on_both_databases, on_sqlite};

on_sqlite! {
    async fn otp_17_nothing_public_discloses_the_code(site: Site) {
        for flow in FLOWS {
            let mut identifiers = Vec::new();
            for number in 0..6 {
                let username = name(flow, number);
                if flow != Flow::Registration {
                    site.register(&username).await;
                }
                let answer = site.send(flow.ask(&username)).await.expect_ok();
                site.deliver().await;
                let message = site.inbox.list(Some(&username)).pop().unwrap();
                site.inbox.clear();
                let code = message.code.clone().unwrap();
                assert!(code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_digit()), "{code}");
                for public in [&message.subject, &message.message_id, &message.id, &answer.body] {
                    assert!(!public.contains(&code), "{flow:?}: {public}");
                }
                if flow == Flow::ForgotPassword {
                    assert_eq!(answer.body, r#"{"status":"success","status_code":"otp_sent"}"#);
                    continue;
                }
                let identifier = answer.json()["identifier"].as_str().unwrap().to_owned();
                assert!(!message.message_id.contains(&identifier[3..10]));
                // 22 characters of base62 are at least 128 bits.
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
}

/// How the right code may be typed: pasted with separators, or on a keyboard with the digits of another script.
const RIGHT_SPELLINGS: [fn(&str) -> String; 7] = [
    |code| format!(" {code}  "),
    |code| format!("{} {}", &code[..3], &code[3..]),
    |code| format!("{}-{}", &code[..3], &code[3..]),
    |code| format!("\u{a0}{}\u{2011}{}", &code[..3], &code[3..]),
    |code| in_digits_from(code, 0xFF10),
    |code| in_digits_from(code, 0x0660),
    |code| in_digits_from(code, 0x06F0),
];

/// How a code may be mistyped.
const WRONG_SPELLINGS: [fn(&str) -> String; 5] = [
    |code| format!("+{code}"),
    |code| format!("0{code}"),
    |code| format!("{code}.0"),
    |code| code[1..].to_owned(),
    |code| format!("{code}{code}"),
];

fn in_digits_from(code: &str, zero: u32) -> String {
    code.chars()
        .map(|c| char::from_u32(u32::from(c) - 0x30 + zero).unwrap())
        .collect()
}

on_both_databases! {
    async fn otp_21_a_code_means_its_digits_and_nothing_else(site: Site) {
        for flow in FLOWS {
            for (number, spelling) in WRONG_SPELLINGS.iter().enumerate() {
                let pending = flow.open(&site, &name(flow, number)).await;
                for _ in 0..4 {
                    assert!(!pending.guess(&site, &spelling(&pending.code)).await, "{flow:?} {number}");
                }
                assert!(pending.is_good(&site).await, "{flow:?} {number}: each counts once");
            }
            for (number, spelling) in RIGHT_SPELLINGS.iter().enumerate() {
                let pending = flow.open(&site, &name(flow, 90 + number)).await;
                assert!(pending.guess(&site, &spelling(&pending.code)).await, "{flow:?} {number}");
            }
        }
    }
}

on_both_databases! {
    async fn otp_21_leading_zeros_belong_to_the_code_and_a_number_is_no_text(site: Site) {
        // One code in ten begins with a zero.
        for number in 0..400 {
            let pending = Flow::Registration.open(&site, &name(Flow::Registration, number)).await;
            if pending.code.starts_with('0') {
                let without = pending.code.trim_start_matches('0');
                assert!(!pending.guess(&site, without).await, "{}", pending.code);
                assert!(pending.is_good(&site).await);
                break;
            }
            assert!(number < 399, "no code begins with a zero");
        }
        let pending = Flow::ForgotPassword.open(&site, "janice@example.com").await;
        let as_number: u64 = pending.code.parse().unwrap();
        let mut body = json!({"username": pending.username, "otp": as_number, "newpassword": NEW_PASSWORD});
        body["recaptcha"] = json!("test-pass");
        for _ in 0..6 {
            let call = Call::post(FORGOT).on_public().json(&body);
            let answer = site.send(call).await.expect_status(400).json();
            assert_eq!(answer["status_code"], "invalid_params");
        }
        assert!(pending.is_good(&site).await);
    }
}

/// OTP-23: database, write-ahead log and rollback journal of an open installation.
#[tokio::test]
async fn otp_23_the_database_files_hold_no_code_of_any_flow() {
    let mut setup = Setup::default();
    // Ten letters and digits occur nowhere else by chance.
    let otp = &mut setup.config.otp;
    for rules in [
        &mut otp.registration,
        &mut otp.passwordless_login,
        &mut otp.forgot_password,
    ] {
        rules.length = 10;
        rules.alphabet = Alphabet::Alphanumeric;
    }
    let directory = tempfile::tempdir().unwrap();
    let database = Database::SqliteIn(directory.path().to_owned());
    let site = Site::open_with(database, setup).await;
    for flow in FLOWS {
        let pending = flow.open(&site, &name(flow, 0)).await;
        assert_eq!(pending.code.len(), 10);
        let mut read = 0;
        for entry in std::fs::read_dir(directory.path()).unwrap() {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            read += bytes.len();
            let has = |text: &str| {
                let sought = text.as_bytes();
                bytes.windows(sought.len()).any(|window| window == sought)
            };
            assert!(!has(&pending.code), "{flow:?}");
            assert!(
                pending.identifier.is_empty() || !has(&pending.identifier),
                "{flow:?}"
            );
        }
        assert!(read > 0);
        assert!(pending.is_good(&site).await, "{flow:?}");
    }
}
