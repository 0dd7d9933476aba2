//! Headless forgot password.
//!
//! ① The app names a user, by username or by any identifier. If their address has proven itself, a code is sent to it; if not, or if
//! there is no such user, the answer is the same. ② The worker sends the message. ③ The app returns
//! the code with a new password: a try is spent and the code compared; then the password is checked
//! against the policy and the history and hashed; then one write closes the challenge, sets the
//! password, ends every session and queues the notice. A password that the policy refuses costs a
//! try, and the code stays.
//!
//! Source: Headless Forgot Password Flow; Set Password Policies.

mod ask;
mod choose;

use serde::{Deserialize, Serialize};
use vestibule_protocol::headless::{
    CaptchaProof, ForgotPassword, ForgotPasswordAnswer, ForgotPasswordPhase, InvalidParams,
};

use super::Visit;
use super::addressee::{self, Named};
use crate::admission::{CaptchaRule, Presented, Requirement};
use crate::app::{App, Knock};
use crate::refusal::{Failure, Refusal};
use crate::settings::Settings;
use crate::verification::Purpose;
pub(super) use ask::ask;
pub(super) use choose::choose;

const PURPOSE: Purpose = Purpose::ForgotPassword;

/// The day of "resets per day", in seconds.
const DAY_SECONDS: i64 = 86_400;

/// Self-service resets of one user in 24 hours.
const RESETS_PER_DAY: i64 = 5;

/// What waits in the challenge: under which generation of the user's sessions the code was asked for.
#[derive(Serialize, Deserialize)]
struct Pending {
    session_generation: i64,
}

/// Either phase; which of them a body means is known though it may not be readable.
///
/// # Refusals
/// `ForgotPasswordDisabled`, those of [`App::admit`], `ParametersInvalid`. In the first phase
/// `TemplateUnknown`, `TemplateNotAllowed`, `RateLimited`, and `UserLocked` to callers who may know;
/// in the second `ChallengeFailed`, `TriesSpent`, `PasswordPolicy`, `TooBusy`, and `UserLocked` to
/// callers who may know.
pub async fn forgot_password(
    app: &App,
    visit: &Visit,
    presented: &Presented,
    captcha: Option<&CaptchaProof>,
    is_second: bool,
    request: Result<ForgotPassword, InvalidParams>,
) -> Result<ForgotPasswordAnswer, Failure> {
    let settings = &visit.site.site.settings;
    if !settings.is_forgot_pwd_allowed {
        return Err(Refusal::ForgotPasswordDisabled.into());
    }
    let is_required = settings.is_recaptcha_required_forgot_pwd;
    let knock = Knock {
        requirement: Requirement {
            is_authentication_required: settings.does_forgot_password_require_auth,
            captcha: match is_second {
                true => CaptchaRule::waived_if(is_required),
                false => CaptchaRule::required_if(is_required),
            },
            scope: "forgot_password",
        },
        presented,
        captcha,
    };
    let (admitted, request) = app.admit(visit, &knock, request).await?;
    let named = Named::read(
        request.username.as_deref(),
        request.login_hint.as_deref(),
        request.customdata.as_ref(),
        discovers(settings),
    )?;
    match &request.phase {
        ForgotPasswordPhase::Ask { email_template, .. } => {
            ask(app, visit, admitted, named, email_template.as_deref()).await
        }
        ForgotPasswordPhase::Choose { otp, new_password } => {
            choose(app, visit, admitted.trust, named, otp, new_password).await
        }
    }
}

/// Whether `login_hint` is read by this flow: "Use the headless user discovery handler for this flow".
pub(super) fn discovers(settings: &Settings) -> bool {
    addressee::discovers(settings) && settings.is_user_disambiguation_allowed_forgot_pwd
}

/// What the resets of a user are counted under.
fn resets_of(user_id: &str) -> String {
    format!("resets {user_id}")
}
