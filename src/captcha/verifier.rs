//! The call of the verifier that a site has chosen; without its response nothing is accepted.
//!
//! Whatever prevents the verifier from answering in time and in its documented form (an outage, a redirect, an
//! unreadable response, a full queue) is a fault, and the request is not served: the documents have `unknown_error`
//! for it. A call is bounded in time and in number, so that a verifier that hangs delays only the requests that need
//! it. It is made before any transaction.

use std::time::Duration;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::json;
use url::Url;

use super::answer::VerifierResponse;
use super::{CaptchaCheck, CaptchaProvider, Verified, fixed};
use crate::moment::Moment;
use crate::outbound::{Bounds, ForwardProxy, Outbound, Post};
use crate::refusal::{Failure, Fault, FaultKind};
use crate::sealing::sha256;

/// The URLs and limits of the verifiers.
#[derive(Clone, Debug)]
pub struct Verifiers {
    /// The siteverify endpoint; `None`: the provider's.
    pub siteverify_url: Option<Url>,
    /// The base of the assessments API; `None`: Google's.
    pub enterprise_url: Option<Url>,
    /// How long one verification may take.
    pub deadline: Duration,
    /// The maximum number of concurrent verifications; one more fails at once.
    pub in_flight_max: usize,
    /// Whether the provider `test` may be used: in `vestibule dev` only.
    pub is_test_allowed: bool,
    /// The proxy through which verifiers are called.
    pub proxy: Option<ForwardProxy>,
}

impl Default for Verifiers {
    /// The providers' endpoints, without the provider `test`.
    fn default() -> Self {
        Verifiers {
            siteverify_url: None,
            enterprise_url: None,
            deadline: Duration::from_secs(3),
            in_flight_max: 64,
            is_test_allowed: false,
            proxy: None,
        }
    }
}

/// Verifies captcha responses.
#[derive(Debug)]
pub struct Captcha {
    verifiers: Verifiers,
    outbound: Outbound,
}

impl Captcha {
    /// A client with these settings. It opens no connection.
    ///
    /// # Faults
    /// The HTTP client cannot be set up.
    pub fn new(verifiers: Verifiers) -> Result<Captcha, Fault> {
        let bounds = Bounds {
            deadline: verifiers.deadline,
            in_flight_max: verifiers.in_flight_max,
            answer_bytes_max: ANSWER_BYTES_MAX,
        };
        let outbound = Outbound::through(verifiers.proxy.as_ref(), bounds)?;
        Ok(Captcha {
            verifiers,
            outbound,
        })
    }

    /// Whether the provider `test` is allowed.
    pub fn is_test_allowed(&self) -> bool {
        self.verifiers.is_test_allowed
    }

    /// Verifies a token. The result is to be spent in the last write of the flow, which decides between two requests
    /// with the same token.
    ///
    /// # Refusals
    /// `RecaptchaInvalid`.
    ///
    /// # Faults
    /// The verifier is unreachable, too slow, or returns an invalid response; or the site's settings are
    /// incomplete.
    pub async fn verify(&self, check: &CaptchaCheck<'_>, at: Moment) -> Result<Verified, Failure> {
        check.check_event()?;
        if check.secret.is_empty() && check.provider != CaptchaProvider::Test {
            return Err(unset("the site has no usable recaptchaSecretKey").into());
        }
        let mut is_once = true;
        let answer = match check.provider {
            CaptchaProvider::Test => {
                let (answer, is_for_once) = self.by_fixed_token(check, at)?;
                is_once = is_for_once;
                answer
            }
            CaptchaProvider::GoogleEnterprise => self.by_assessment(check).await?,
            _ => self.by_siteverify(check).await?,
        };
        if answer.reports_invalid_secret() {
            tracing::warn!("the captcha verifier does not know the site's secret key");
        }
        answer.judge(check, at).map_err(|(refusal, reason)| {
            tracing::debug!(reason, "a captcha token is refused");
            refusal
        })?;
        Ok(Verified {
            token_hash: is_once.then(|| sha256(check.proof.token().expose().as_bytes())),
            expires_at: at.plus_seconds(REMEMBERED_SECONDS),
        })
    }

    fn by_fixed_token(
        &self,
        check: &CaptchaCheck<'_>,
        at: Moment,
    ) -> Result<(VerifierResponse, bool), Failure> {
        if !self.verifiers.is_test_allowed {
            return Err(unset("the provider test belongs to `vestibule dev`").into());
        }
        match fixed::outcome(check, at) {
            fixed::FixedOutcome::NoResponse => Err(away("no answer in time").into()),
            fixed::FixedOutcome::Response { body, is_once } => {
                let answer =
                    VerifierResponse::parse_siteverify(body.as_bytes()).ok_or_else(junk)?;
                Ok((answer, is_once))
            }
        }
    }

    /// Source: reCAPTCHA, "Verifying the user's response"; the others have the same form.
    async fn by_siteverify(&self, check: &CaptchaCheck<'_>) -> Result<VerifierResponse, Failure> {
        let url = match (&self.verifiers.siteverify_url, check.provider) {
            (Some(url), _) => url.clone(),
            (None, CaptchaProvider::Hcaptcha) => address(HCAPTCHA),
            (None, CaptchaProvider::Turnstile) => address(TURNSTILE),
            (None, _) => address(GOOGLE),
        };
        let body = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("secret", check.secret.expose())
            .append_pair("response", check.proof.token().expose())
            .append_pair("remoteip", &check.ip.to_string())
            .finish();
        let post = Post {
            url,
            content_type: "application/x-www-form-urlencoded",
            headers: HeaderMap::new(),
            body,
        };
        self.ask(post, VerifierResponse::parse_siteverify).await
    }

    /// Source: reCAPTCHA Enterprise, "Create an assessment". The key is sent in a header, because URLs are logged.
    async fn by_assessment(&self, check: &CaptchaCheck<'_>) -> Result<VerifierResponse, Failure> {
        let (Some(project_id), Some(site_key)) = (check.project_id, check.site_key) else {
            return Err(unset("the site has no recaptchaProjectId or recaptchaSiteKey").into());
        };
        let mut url = match &self.verifiers.enterprise_url {
            Some(url) => url.clone(),
            None => address(GOOGLE_ENTERPRISE),
        };
        url.path_segments_mut()
            .map_err(|()| unset("[captcha] enterprise_url can be no base"))?
            .pop_if_empty()
            .extend(["v1", "projects", project_id, "assessments"]);
        let mut key = HeaderValue::from_str(check.secret.expose())
            .map_err(|_| unset("the site's recaptchaSecretKey is no API key"))?;
        key.set_sensitive(true);
        let mut event = json!({
            "token": check.proof.token().expose(),
            "siteKey": site_key,
            "userIpAddress": check.ip.to_string(),
        });
        if let Some(action) = check.wanted_action() {
            event["expectedAction"] = json!(action);
        }
        let post = Post {
            url,
            content_type: "application/json",
            headers: HeaderMap::from_iter([(API_KEY, key)]),
            body: json!({ "event": event }).to_string(),
        };
        self.ask(post, VerifierResponse::parse_assessment).await
    }

    async fn ask(
        &self,
        post: Post,
        parse: fn(&[u8]) -> Option<VerifierResponse>,
    ) -> Result<VerifierResponse, Failure> {
        let reply = self.outbound.post(post).await.map_err(away)?;
        if reply.status != 200 {
            return Err(away(format_args!("status {}", reply.status)).into());
        }
        Ok(parse(&reply.body).ok_or_else(junk)?)
    }
}

fn address(text: &str) -> Url {
    Url::parse(text).expect("the addresses of this file are URLs")
}

fn away(what: impl std::fmt::Display) -> Fault {
    Fault::new("asking the captcha verifier", what).with_kind(FaultKind::Remote)
}

fn junk() -> Fault {
    away("the answer is not of the documented form")
}

fn unset(what: &str) -> Fault {
    Fault::described("verifying a captcha token", what.to_owned())
}

const GOOGLE: &str = "https://www.google.com/recaptcha/api/siteverify";
const GOOGLE_ENTERPRISE: &str = "https://recaptchaenterprise.googleapis.com/";
const HCAPTCHA: &str = "https://api.hcaptcha.com/siteverify";
const TURNSTILE: &str = "https://challenges.cloudflare.com/turnstile/v0/siteverify";
const API_KEY: HeaderName = HeaderName::from_static("x-goog-api-key");

/// A response has a few hundred bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Longer than any verifier accepts a token.
const REMEMBERED_SECONDS: i64 = 3_600;
