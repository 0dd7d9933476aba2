//! Headless forgot password.
//!
//! ① The app names a user, by username or by any identifier. If the address is verified, a code is sent to it, else to
//! the verified number; if there is neither, or no such user, the answer is the same. ② The worker sends the message. ③ The app returns the
//! code with a new password and the text that named the user in ①: the challenge is found by that text, and remembers
//! which user it meant. A try is spent and the code compared; then the password is checked against the policy
//! and the history and hashed; then one write closes the challenge, sets the password, ends every session and queues
//! the notice. A password that the policy refuses costs a try, and the code stays valid.
//!
//! Source: Headless Forgot Password Flow; Set Password Policies.

mod ask;
mod choose;

use serde::{Deserialize, Serialize};
use vestibule_protocol::headless::{
    ForgotPassword, ForgotPasswordAnswer, ForgotPasswordPhase, VerificationMethod,
};

use super::addressee::CheckedReference;
use crate::app::{Admitted, App, Visit};
use crate::refusal::{Failure, Fault};
use crate::settings::Api;
pub(super) use ask::ask;
pub(super) use choose::choose;
use vestibule_protocol::purpose::Purpose;

const PURPOSE: Purpose = Purpose::ForgotPassword;

/// The day of "resets per day", in seconds.
const DAY_SECONDS: i64 = 86_400;

/// Self-service resets of one user in 24 hours.
const RESETS_PER_DAY: i64 = 5;

/// The payload of the challenge: the user that the request named, and their session generation when the code was
/// requested.
#[derive(Serialize, Deserialize)]
struct PendingReset {
    /// Record id, or the subject of an unknown user.
    user_id: String,
    /// Whether the code was sent by text message.
    #[serde(default)]
    is_by_text: bool,
    session_generation: i64,
}

impl PendingReset {
    /// The channel of the code.
    fn channel(&self) -> VerificationMethod {
        match self.is_by_text {
            true => VerificationMethod::Sms,
            false => VerificationMethod::Email,
        }
    }

    /// Reads the payload of a challenge.
    ///
    /// # Faults
    /// It is not one.
    fn read(payload: Option<&str>) -> Result<PendingReset, Fault> {
        serde_json::from_str(payload.unwrap_or_default())
            .map_err(|error| Fault::new("reading a password reset", error))
    }
}

/// Carries out the phase that the request asks for.
///
/// # Refusals
/// `ParametersInvalid`. In the first phase
/// `TemplateUnknown`, `TemplateNotAllowed`, `CodesExhausted`, and `UserLocked` to callers who may know;
/// in the second `ChallengeFailed`, `TriesSpent`, `PasswordPolicy`, `TooBusy`, and `UserLocked` to
/// callers who may know.
pub async fn forgot_password(
    app: &App,
    visit: &Visit,
    admitted: Admitted,
    request: &ForgotPassword,
) -> Result<ForgotPasswordAnswer, Failure> {
    let settings = &visit.site.site.settings;
    let reads_hint = settings.api(Api::ForgotPassword).reads_login_hint;
    let named = CheckedReference::of_code_request(&request.user, reads_hint)?;
    match &request.phase {
        ForgotPasswordPhase::Ask { email_template, .. } => {
            ask(app, visit, admitted, named, email_template.as_deref()).await
        }
        ForgotPasswordPhase::Choose { otp, new_password } => {
            choose(app, visit, admitted.trust, named, otp, new_password).await
        }
    }
}

/// The subject that the resets of a user are counted for.
fn resets_of(user_id: &str) -> String {
    format!("resets {user_id}")
}
