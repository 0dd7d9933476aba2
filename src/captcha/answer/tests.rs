//! Which responses pass, which do not, and what is returned to the caller: one response, changed one member at a
//! time.

use std::net::{IpAddr, Ipv4Addr};

use serde_json::{Value, json};
use vestibule_protocol::headless::{CaptchaProof, RecaptchaEvent};
use vestibule_protocol::secret::Secret;

use super::super::{CaptchaCheck, CaptchaProvider};
use super::*;

/// 2026-01-05T10:00:00Z.
const AT: Moment = Moment::from_millis(1_767_607_200_000);

/// What a site asks for, as owned values.
struct Requirements {
    provider: CaptchaProvider,
    threshold: f64,
    hostnames: Vec<String>,
    action: Option<&'static str>,
    proof: CaptchaProof,
}

impl Requirements {
    fn of(provider: CaptchaProvider) -> Requirements {
        Requirements {
            provider,
            threshold: 0.5,
            hostnames: Vec::new(),
            action: None,
            proof: CaptchaProof::Token(Secret::from("token".to_owned())),
        }
    }

    fn check<T>(&self, with: impl FnOnce(&CaptchaCheck<'_>) -> T) -> T {
        let secret = Secret::from("secret".to_owned());
        with(&CaptchaCheck {
            provider: self.provider,
            secret: &secret,
            score_threshold: self.threshold,
            hostnames: &self.hostnames,
            project_id: Some("project"),
            site_key: Some("key"),
            expected_action: self.action,
            proof: &self.proof,
            ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
        })
    }

    #[track_caller]
    fn passes(&self, body: &Value) -> bool {
        let body = body.to_string();
        let answer = match self.provider {
            CaptchaProvider::GoogleEnterprise => {
                VerifierResponse::parse_assessment(body.as_bytes())
            }
            _ => VerifierResponse::parse_siteverify(body.as_bytes()),
        };
        let answer = answer.expect("an answer");
        self.check(|check| answer.judge(check, AT).is_ok())
    }
}

fn siteverify() -> Value {
    json!({
        "success": true, "challenge_ts": "2026-01-05T09:59:30Z", "hostname": "app.example.com",
        "score": 0.9, "action": "login",
    })
}

fn assessment() -> Value {
    json!({
        "name": "projects/1/assessments/2",
        "tokenProperties": {
            "valid": true, "invalidReason": "INVALID_REASON_UNSPECIFIED",
            "createTime": "2026-01-05T09:59:30.123Z", "hostname": "app.example.com",
            "action": "login",
        },
        "riskAnalysis": {"score": 0.9, "reasons": []},
    })
}

fn with(mut answer: Value, pointer: &str, value: Value) -> Value {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    answer.pointer_mut(parent).unwrap()[name] = value;
    answer
}

#[test]
fn cap_03_the_threshold_itself_passes() {
    for (threshold, score, passes) in [
        (0.5, 0.499_999, false),
        (0.5, 0.5, true),
        (0.5, 0.500_001, true),
        (1.0, 0.999_999, false),
        (1.0, 1.0, true),
        (0.7, 0.7, true),
    ] {
        for provider in [
            CaptchaProvider::GoogleV3,
            CaptchaProvider::GoogleEnterprise,
            CaptchaProvider::Test,
        ] {
            let site = Requirements {
                threshold,
                ..Requirements::of(provider)
            };
            let answer = match provider {
                CaptchaProvider::GoogleEnterprise => {
                    with(assessment(), "/riskAnalysis/score", json!(score))
                }
                _ => with(siteverify(), "/score", json!(score)),
            };
            assert_eq!(
                site.passes(&answer),
                passes,
                "{provider:?} {threshold} {score}"
            );
        }
    }
}

#[test]
fn cap_04_a_score_that_is_no_number_from_0_to_1_does_not_pass() {
    for score in [
        json!(null),
        json!("0.9"),
        json!(1.5),
        json!(-1),
        json!(true),
        json!([0.9]),
    ] {
        let v3 = with(siteverify(), "/score", score.clone());
        assert!(
            !Requirements::of(CaptchaProvider::GoogleV3).passes(&v3),
            "{score}"
        );
        let event = with(assessment(), "/riskAnalysis/score", score.clone());
        assert!(
            !Requirements::of(CaptchaProvider::GoogleEnterprise).passes(&event),
            "{score}"
        );
    }
    let mut absent = siteverify();
    absent.as_object_mut().unwrap().shift_remove("score");
    assert!(!Requirements::of(CaptchaProvider::GoogleV3).passes(&absent));
    assert!(Requirements::of(CaptchaProvider::Hcaptcha).passes(&absent));
    let no_number = br#"{"success":true,"score":NaN}"#;
    assert_eq!(VerifierResponse::parse_siteverify(no_number), None);
}

#[test]
fn cap_05_where_there_is_no_score_success_alone_decides() {
    for provider in [CaptchaProvider::GoogleV2, CaptchaProvider::Turnstile] {
        let bare = json!({"success": true});
        assert!(Requirements::of(provider).passes(&bare));
        assert!(Requirements::of(provider).passes(&json!({"success": true, "score": 0.0})));
        assert!(!Requirements::of(provider).passes(&json!({"success": false, "score": 1.0})));
    }
}

#[test]
fn the_score_of_hcaptcha_is_a_risk() {
    let site = Requirements::of(CaptchaProvider::Hcaptcha);
    for (risk, passes) in [(0.0, true), (0.5, true), (0.51, false), (1.0, false)] {
        assert_eq!(
            site.passes(&with(siteverify(), "/score", json!(risk))),
            passes,
            "{risk}"
        );
    }
    assert!(!site.passes(&with(siteverify(), "/score", json!("0"))));
}

#[test]
fn cap_06_the_servers_action_wins_over_the_callers() {
    let event = |expected: Option<&str>| {
        CaptchaProof::Event(RecaptchaEvent {
            token: Secret::from("t".to_owned()),
            site_key: "key".to_owned(),
            project_id: "project".to_owned(),
            expected_action: expected.map(str::to_owned),
        })
    };
    for (own, sent, reported, passes) in [
        (Some("login"), None, "login", true),
        (Some("login"), Some("signup"), "login", true),
        (Some("login"), Some("signup"), "signup", false),
        (Some("login"), Some("login"), "Login", false),
        (None, Some("login"), "login", true),
        (None, Some("login"), "signup", false),
        (None, None, "signup", true),
    ] {
        let site = Requirements {
            action: own,
            proof: event(sent),
            ..Requirements::of(CaptchaProvider::GoogleEnterprise)
        };
        let answer = with(assessment(), "/tokenProperties/action", json!(reported));
        assert_eq!(site.passes(&answer), passes, "{own:?} {sent:?} {reported}");
    }
    let site = Requirements {
        action: Some("login"),
        ..Requirements::of(CaptchaProvider::GoogleV3)
    };
    assert!(site.passes(&siteverify()));
    assert!(!site.passes(&with(siteverify(), "/action", json!(null))));
    assert!(!site.passes(&with(siteverify(), "/action", json!(["login"]))));
    // Where responses never contain an action, requiring one has no effect.
    let site = Requirements {
        action: Some("login"),
        ..Requirements::of(CaptchaProvider::GoogleV2)
    };
    assert!(site.passes(&json!({"success": true})));
}

#[test]
fn cap_07_a_challenge_is_solved_on_a_host_of_the_site() {
    let site = |provider, hostnames: &[&str]| Requirements {
        hostnames: hostnames.iter().map(|name| (*name).to_owned()).collect(),
        ..Requirements::of(provider)
    };
    for (hostname, passes) in [
        (json!("app.example.com"), true),
        (json!("APP.example.com"), true),
        (json!("evil.example.net"), false),
        (json!("a.app.example.com"), false),
        (json!("example.com"), false),
        (json!("app.example.com."), false),
        (json!(""), false),
        (json!(null), false),
        (json!(["app.example.com"]), false),
    ] {
        let listed = ["app.example.com", "shop.example.com"];
        let answer = with(siteverify(), "/hostname", hostname.clone());
        assert_eq!(
            site(CaptchaProvider::GoogleV3, &listed).passes(&answer),
            passes,
            "{hostname}"
        );
        let answer = with(assessment(), "/tokenProperties/hostname", hostname.clone());
        let enterprise = site(CaptchaProvider::GoogleEnterprise, &listed);
        assert_eq!(enterprise.passes(&answer), passes, "{hostname}");
        assert!(site(CaptchaProvider::GoogleEnterprise, &[]).passes(&answer));
    }
    // An app has no host, but a name; a foreign host is not hidden behind it.
    let app = with(assessment(), "/tokenProperties/hostname", json!(""));
    let app = with(
        app,
        "/tokenProperties/androidPackageName",
        json!("com.example.app"),
    );
    let listed = site(CaptchaProvider::GoogleEnterprise, &["com.example.app"]);
    assert!(listed.passes(&app));
    let foreign = with(app, "/tokenProperties/hostname", json!("evil.example.net"));
    assert!(!listed.passes(&foreign));
}

#[test]
fn cap_10_a_challenge_that_was_solved_long_ago_does_not_pass() {
    for (solved, passes) in [
        (json!("2026-01-05T09:58:00Z"), true),
        (json!("2026-01-05T09:57:59Z"), false),
        (json!("2026-01-05T10:59:00+01:00"), true),
        (json!("2026-01-05T10:59:00+0100"), true),
        (json!("2026-01-05T09:59:00+01:00"), false),
        (json!("2025-01-05T09:59:59Z"), false),
        (json!("yesterday"), false),
        (json!(""), false),
        (json!(1_767_607_200), false),
        (json!(null), true),
    ] {
        let answer = with(siteverify(), "/challenge_ts", solved.clone());
        assert_eq!(
            Requirements::of(CaptchaProvider::GoogleV3).passes(&answer),
            passes,
            "{solved}"
        );
        let answer = with(assessment(), "/tokenProperties/createTime", solved.clone());
        assert_eq!(
            Requirements::of(CaptchaProvider::GoogleEnterprise).passes(&answer),
            passes,
            "{solved}"
        );
    }
    // Turnstile's limit is five minutes.
    let answer = with(siteverify(), "/challenge_ts", json!("2026-01-05T09:55:00Z"));
    assert!(Requirements::of(CaptchaProvider::Turnstile).passes(&answer));
}

#[test]
fn cap_02_the_documented_members_are_handed_on_and_nothing_else() {
    let shown = |provider, body: &Value| {
        let body = body.to_string();
        let answer = match provider {
            CaptchaProvider::GoogleEnterprise => {
                VerifierResponse::parse_assessment(body.as_bytes())
            }
            _ => VerifierResponse::parse_siteverify(body.as_bytes()),
        };
        let site = Requirements::of(provider);
        let refused = site.check(|check| answer.unwrap().judge(check, AT));
        match refused.unwrap_err().0 {
            Refusal::RecaptchaInvalid { response } => response.unwrap().to_string(),
            other => panic!("{other:?}"),
        }
    };
    let duplicate = json!({
        "error-codes": ["timeout-or-duplicate", 7, {"a": 1}], "success": false, "debug": {"key": "k"},
        "hostname": "app.example.com", "challenge_ts": "2026-01-01T00:00:00Z",
        "apk_package_name": "com.example.app",
    });
    assert_eq!(
        shown(CaptchaProvider::GoogleV3, &duplicate),
        r#"{"success":false,"challenge_ts":"2026-01-01T00:00:00Z","hostname":"app.example.com","error-codes":["timeout-or-duplicate"]}"#
    );
    assert_eq!(
        shown(
            CaptchaProvider::GoogleV3,
            &with(siteverify(), "/score", json!(0.1))
        ),
        r#"{"success":true,"challenge_ts":"2026-01-05T09:59:30Z","hostname":"app.example.com","score":0.1,"action":"login"}"#
    );
    let mut expired = with(assessment(), "/tokenProperties/valid", json!(false));
    expired["tokenProperties"]["invalidReason"] = json!("EXPIRED");
    assert_eq!(
        shown(CaptchaProvider::GoogleEnterprise, &expired),
        r#"{"success":false,"challenge_ts":"2026-01-05T09:59:30.123Z","hostname":"app.example.com","error-codes":["EXPIRED"],"score":0.9,"action":"login"}"#
    );
}

#[test]
fn cap_11_what_is_not_of_the_documented_form_is_no_answer() {
    for body in [
        "",
        "[]",
        "null",
        "true",
        "{}",
        r#"{"success":"true"}"#,
        r#"{"success":1}"#,
        r#"{"success":true"#,
        "<html>success</html>",
        r#"{"tokenProperties":true}"#,
        r#"{"tokenProperties":{"valid":"true"}}"#,
    ] {
        assert_eq!(
            VerifierResponse::parse_siteverify(body.as_bytes()),
            None,
            "{body}"
        );
        assert_eq!(
            VerifierResponse::parse_assessment(body.as_bytes()),
            None,
            "{body}"
        );
    }
    let invalid = json!({"tokenProperties": {}});
    assert!(!Requirements::of(CaptchaProvider::GoogleEnterprise).passes(&invalid));
}
