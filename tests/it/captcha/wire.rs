//! The requests to the verifiers, and the results of their responses.

use serde_json::json;
use vestibule::captcha::CaptchaProvider;

use super::{Asked, broken, captcha, event, refused, yes};
use crate::fixture::remote::{Behaviour, Remote};

#[tokio::test]
async fn siteverify_is_asked_as_documented() {
    let remote = Remote::start(Behaviour::json(&yes())).await;
    for provider in [
        CaptchaProvider::GoogleV2,
        CaptchaProvider::GoogleV3,
        CaptchaProvider::Turnstile,
    ] {
        let verified = Asked::of(provider, "03A&=%token")
            .verify(&captcha(&remote))
            .await;
        assert!(verified.unwrap().token_hash.is_some());
        let asked = remote.received().pop().unwrap();
        assert_eq!(asked.line, "POST /siteverify HTTP/1.1");
        assert_eq!(
            asked.header("content-type"),
            Some("application/x-www-form-urlencoded")
        );
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let expected = [
            pair("secret", "s3cret-key"),
            pair("response", "03A&=%token"),
            pair("remoteip", "203.0.113.7"),
        ];
        assert_eq!(asked.form(), expected);
    }
}

#[tokio::test]
async fn an_event_is_taken_by_siteverify_too() {
    let remote = Remote::start(Behaviour::json(&yes())).await;
    let asked = Asked {
        proof: event("token-e", "6Lc-site-key", "shop-7", Some("login")),
        ..Asked::of(CaptchaProvider::GoogleV3, "")
    };
    asked.verify(&captcha(&remote)).await.unwrap();
    assert!(remote.only_request().body.contains("response=token-e"));
}

#[tokio::test]
async fn cap_02_the_verifier_s_response_is_returned_to_the_caller() {
    let no = json!({"success": false, "error-codes": ["timeout-or-duplicate"], "more": "x"});
    let remote = Remote::start(Behaviour::json(&no)).await;
    let response = refused(
        Asked::of(CaptchaProvider::GoogleV3, "t")
            .verify(&captcha(&remote))
            .await,
    );
    assert_eq!(
        response,
        Some(json!({"success": false, "error-codes": ["timeout-or-duplicate"]}))
    );
}

#[tokio::test]
async fn an_assessment_is_asked_for_as_documented() {
    let assessment = json!({
        "tokenProperties": {"valid": true, "action": "login", "hostname": "app.example.com",
            "createTime": "2026-01-05T09:59:30.5Z"},
        "riskAnalysis": {"score": 0.5},
    });
    let remote = Remote::start(Behaviour::json(&assessment)).await;
    let asked = Asked {
        proof: event("token-e", "6Lc-site-key", "shop-7", Some("signup")),
        expected_action: Some("login"),
        ..Asked::of(CaptchaProvider::GoogleEnterprise, "")
    };
    asked.verify(&captcha(&remote)).await.unwrap();
    let request = remote.only_request();
    assert_eq!(
        request.line,
        "POST /v1/projects/shop-7/assessments HTTP/1.1"
    );
    assert_eq!(request.header("x-goog-api-key"), Some("s3cret-key"));
    assert_eq!(
        request.json(),
        json!({"event": {"token": "token-e", "siteKey": "6Lc-site-key",
            "userIpAddress": "203.0.113.7", "expectedAction": "login"}})
    );
    // A bare token is verified with the key of the settings.
    let bare = Asked::of(CaptchaProvider::GoogleEnterprise, "token-b");
    bare.verify(&captcha(&remote)).await.unwrap();
    assert_eq!(
        remote.received()[1].json()["event"]["siteKey"],
        "6Lc-site-key"
    );
}

#[tokio::test]
async fn cap_06_an_action_that_the_caller_chose_does_not_pass() {
    let remote = Remote::start(Behaviour::json(&yes())).await;
    let asked = Asked {
        expected_action: Some("signup"),
        proof: event("t", "6Lc-site-key", "shop-7", Some("login")),
        ..Asked::of(CaptchaProvider::GoogleV3, "")
    };
    let response = refused(asked.verify(&captcha(&remote)).await).unwrap();
    assert_eq!(response["action"], "login");
}

#[tokio::test]
async fn cap_08_an_event_of_another_key_or_project_is_refused_before_any_call() {
    let remote = Remote::start(Behaviour::json(&yes())).await;
    for (site_key, project_id) in [
        ("6Lc-site-key", "shop-8"),
        ("6Lc-other", "shop-7"),
        ("6Lc-site-key", "../shop-7"),
        ("6Lc-site-key", "shop-7/../../evil"),
        ("6lc-site-key", "shop-7"),
    ] {
        for provider in [CaptchaProvider::GoogleEnterprise, CaptchaProvider::GoogleV3] {
            let asked = Asked {
                proof: event("t", site_key, project_id, None),
                ..Asked::of(provider, "")
            };
            assert_eq!(refused(asked.verify(&captcha(&remote)).await), None);
        }
    }
    assert!(remote.received().is_empty());
    // No setting can leave the path of the assessments API.
    let asked = Asked {
        project_id: Some("../../v2?x=#y"),
        ..Asked::of(CaptchaProvider::GoogleEnterprise, "t")
    };
    broken(asked.verify(&captcha(&remote)).await);
    assert_eq!(
        remote.only_request().line,
        "POST /v1/projects/..%2F..%2Fv2%3Fx=%23y/assessments HTTP/1.1"
    );
}

#[tokio::test]
async fn incomplete_verifier_settings_are_a_fault_of_the_server() {
    let remote = Remote::start(Behaviour::json(&yes())).await;
    for asked in [
        Asked {
            project_id: None,
            ..Asked::of(CaptchaProvider::GoogleEnterprise, "t")
        },
        Asked {
            site_key: None,
            ..Asked::of(CaptchaProvider::GoogleEnterprise, "t")
        },
        Asked {
            secret: String::new().into(),
            ..Asked::of(CaptchaProvider::GoogleV3, "t")
        },
    ] {
        broken(asked.verify(&captcha(&remote)).await);
    }
    assert!(remote.received().is_empty());
}

#[tokio::test]
async fn cap_14_neither_a_fault_nor_a_refusal_contains_the_secret_or_the_token() {
    let remote = Remote::start(Behaviour::status(500)).await;
    let captcha = captcha(&remote);
    for provider in CaptchaProvider::ALL {
        let asked = Asked {
            expected_action: Some("other"),
            ..Asked::of(provider, "t0ken-value")
        };
        for behaviour in [
            Behaviour::status(500),
            Behaviour::json(&yes()),
            Behaviour::json(&json!({"success": false, "error-codes": ["invalid-input-secret"]})),
            Behaviour::json(&json!({"tokenProperties": {"valid": false}})),
        ] {
            remote.behave(behaviour);
            let text = format!(
                "{:?} {:?} {captcha:?}",
                asked.verify(&captcha).await,
                asked.check()
            );
            assert!(!text.contains("s3cret-key"), "{text}");
            assert!(!text.contains("t0ken-value"), "{text}");
        }
    }
    for request in remote.received() {
        assert!(!request.line.contains("s3cret-key"), "{}", request.line);
    }
}
