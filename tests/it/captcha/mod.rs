//! The captcha verifier over the wire: its requests, the result of its responses, and that every failure of it ends
//! in `unknown_error` without affecting other requests.

mod flows;
mod outages;
mod spending;
mod wire;

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use serde_json::{Value, json};
use vestibule::app::CAPTCHA_SECRET_OWNER;
use vestibule::captcha::verifier::{Captcha, Verifiers};
use vestibule::captcha::{CaptchaCheck, CaptchaProvider, Verified};
use vestibule::moment::Entropy;
use vestibule::refusal::{Failure, Refusal};
use vestibule::sealing::{Keyring, SealedKind};
use vestibule_protocol::headless::{CaptchaProof, RecaptchaEvent};
use vestibule_protocol::secret::Secret;

use crate::fixture::remote::Remote;
use crate::fixture::{Database, MASTER_KEY, START, Setup, Site};

/// The settings of a site, and the captcha of a caller.
struct Asked {
    provider: CaptchaProvider,
    secret: Secret,
    hostnames: Vec<String>,
    expected_action: Option<&'static str>,
    project_id: Option<&'static str>,
    site_key: Option<&'static str>,
    proof: CaptchaProof,
}

impl Asked {
    fn of(provider: CaptchaProvider, token: &str) -> Asked {
        Asked {
            provider,
            secret: Secret::from("s3cret-key".to_owned()),
            hostnames: Vec::new(),
            expected_action: None,
            project_id: Some("shop-7"),
            site_key: Some("6Lc-site-key"),
            proof: CaptchaProof::Token(Secret::from(token.to_owned())),
        }
    }

    fn check(&self) -> CaptchaCheck<'_> {
        CaptchaCheck {
            provider: self.provider,
            secret: &self.secret,
            score_threshold: 0.5,
            hostnames: &self.hostnames,
            project_id: self.project_id,
            site_key: self.site_key,
            expected_action: self.expected_action,
            proof: &self.proof,
            ip: IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7)),
        }
    }

    async fn verify(&self, captcha: &Captcha) -> Result<Verified, Failure> {
        captcha.verify(&self.check(), START).await
    }
}

fn event(token: &str, site_key: &str, project_id: &str, action: Option<&str>) -> CaptchaProof {
    CaptchaProof::Event(RecaptchaEvent {
        token: Secret::from(token.to_owned()),
        site_key: site_key.to_owned(),
        project_id: project_id.to_owned(),
        expected_action: action.map(str::to_owned),
    })
}

/// Verifiers at one address, with a deadline that a test can wait for.
fn verifiers(remote: &Remote) -> Verifiers {
    Verifiers {
        siteverify_url: Some(remote.url.join("siteverify").unwrap()),
        enterprise_url: Some(remote.url.clone()),
        deadline: Duration::from_millis(300),
        ..Verifiers::default()
    }
}

fn captcha(remote: &Remote) -> Captcha {
    Captcha::new(verifiers(remote)).unwrap()
}

/// The demo, whose public site uses the test's verifier.
pub async fn site_that_asks(remote: &Remote, database: Database, setup: Setup) -> Site {
    let mut setup = setup;
    setup.config.captcha.siteverify_url = Some(remote.url.to_string());
    setup.config.captcha.enterprise_url = Some(remote.url.to_string());
    // The rate limiter is not tested here.
    setup.config.limits.rules.clear();
    setup.config.limits.enabled = false;
    let site = Box::pin(Site::open_with(database, setup)).await;
    let sealed = Keyring::new(&MASTER_KEY).seal_text(
        SealedKind::CaptchaSecret,
        CAPTCHA_SECRET_OWNER,
        "s3cret-key",
        &Entropy::Os,
    );
    let settings = json!({"recaptchaProvider": "google_v3", "recaptchaSecretKey": sealed});
    site.update_settings_of("public", settings).await;
    site
}

/// The verifier's response to a valid token.
pub fn yes() -> Value {
    json!({
        "success": true, "challenge_ts": "2026-01-05T09:59:30Z", "hostname": "app.example.com",
        "score": 0.9, "action": "login",
    })
}

#[track_caller]
fn refused(outcome: Result<Verified, Failure>) -> Option<Value> {
    match outcome {
        Err(Failure::Refused(Refusal::RecaptchaInvalid { response })) => response,
        other => panic!("{other:?}"),
    }
}

/// The text of the fault, which leads to `unknown_error`.
#[track_caller]
fn broken(outcome: Result<Verified, Failure>) -> String {
    match outcome {
        Err(Failure::Broken(fault)) => {
            use vestibule::refusal::FaultKind::{Broken, Remote};
            assert!(matches!(fault.kind, Broken | Remote), "{fault}");
            fault.to_string()
        }
        other => panic!("{other:?}"),
    }
}
