//! The captcha response in the three init bodies: `recaptcha` or `recaptchaevent`.
//!
//! This file owns the form of the two members and that they are alternatives. Which of them a site's verifier uses,
//! and whether the captcha is valid, is left to the server.
//!
//! Follows Headless Forgot Password Flow, Initialize Password Reset, the rows `recaptcha` and
//! `recaptchaevent`.

use serde_json::{Map, Value};

use super::members::{BodyMembers, invalid};
use super::{InvalidParams, NAME_LENGTH_MAX};
use crate::secret::Secret;

/// The captcha response of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CaptchaProof {
    /// `recaptchaevent`
    Event(RecaptchaEvent),
    /// `recaptcha`
    Token(Secret),
}

impl CaptchaProof {
    /// The captcha of a body that could not be parsed. A captcha member that is itself the cause counts as sent, so
    /// that the caller gets that error and not "captcha missing"; it contains no token.
    pub fn of_body(body: &[u8]) -> Option<CaptchaProof> {
        let proof = BodyMembers::of_body(body, &[]).ok()?.captcha();
        proof.unwrap_or_else(|_| Some(CaptchaProof::Token(Secret::default())))
    }

    /// The token itself, from either member.
    pub fn token(&self) -> &Secret {
        match self {
            CaptchaProof::Event(event) => &event.token,
            CaptchaProof::Token(token) => token,
        }
    }
}

/// A reCAPTCHA Enterprise event, `recaptchaevent`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecaptchaEvent {
    /// The token that the browser got from Google.
    pub token: Secret,
    /// `siteKey`
    pub site_key: String,
    /// `projectId`
    pub project_id: String,
    /// `expectedAction`
    pub expected_action: Option<String>,
}

impl RecaptchaEvent {
    fn parse(members: Map<String, Value>) -> Result<RecaptchaEvent, InvalidParams> {
        let mut members = BodyMembers::new("recaptchaevent.", members);
        Ok(RecaptchaEvent {
            token: Secret::from(members.required("token", TOKEN_LENGTH_MAX)?),
            site_key: members.required("siteKey", NAME_LENGTH_MAX)?,
            project_id: members.required("projectId", NAME_LENGTH_MAX)?,
            expected_action: members.optional("expectedAction", NAME_LENGTH_MAX)?,
        })
    }
}

impl BodyMembers {
    /// Removes and returns `recaptcha` or `recaptchaevent`.
    ///
    /// # Refusals
    /// Both members at once: one of the two would have to be ignored silently. Any invalid member of the event.
    pub(super) fn captcha(&mut self) -> Result<Option<CaptchaProof>, InvalidParams> {
        let token = self.optional("recaptcha", TOKEN_LENGTH_MAX)?;
        let event = self.object("recaptchaevent")?;
        match (token, event) {
            (Some(_), Some(_)) => Err(invalid(
                "recaptchaevent",
                "send either this or recaptcha, not both",
            )),
            (Some(token), None) => Ok(Some(CaptchaProof::Token(Secret::from(token)))),
            (None, Some(event)) => Ok(Some(CaptchaProof::Event(RecaptchaEvent::parse(event)?))),
            (None, None) => Ok(None),
        }
    }
}

/// Maximum length of a reCAPTCHA token in code points; tokens have about two thousand characters today.
pub const TOKEN_LENGTH_MAX: usize = 8192;
