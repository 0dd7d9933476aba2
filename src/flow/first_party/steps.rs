//! The steps of a first-party login. Each is handled by the story of its flow: the same decoys, tries, budgets and
//! lockouts (threat ATT-13).

use vestibule_protocol::headless::{
    CaptchaProof, ChallengeStep, InitPasswordlessLogin, InitRegistration, UserReference,
    VerificationMethod,
};
use vestibule_protocol::purpose::Purpose;
use vestibule_protocol::secret::Secret;

use super::session::{Awaits, Next, Session, Step};
use crate::admission::{self, Caller, Trust};
use crate::app::{Admitted, App, Visit};
use crate::captcha;
use crate::flow::addressee::CheckedReference;
use crate::flow::authorization::Checked;
use crate::flow::username_password::Credentials;
use crate::flow::{forgot_password, passwordless_login, registration, username_password};
use crate::refusal::{Failure, Reason, Refusal};
use crate::sealing::sha256;
use crate::settings::Api;
use crate::store;
use crate::verification::{Attempt, normalised_code};

/// Takes a step.
pub(super) async fn take(
    app: &App,
    visit: &Visit,
    checked: &Checked,
    session: Option<&Session>,
    step: ChallengeStep,
) -> Result<Step, Failure> {
    match step {
        ChallengeStep::Login {
            user,
            password,
            captcha,
        } => log_in(app, visit, checked, &user, password, captcha.as_ref()).await,
        ChallengeStep::Passwordless(login) => send_login_code(app, visit, &login).await,
        ChallengeStep::Registration(registration) => register(app, visit, &registration).await,
        ChallengeStep::Reset {
            user,
            email_template,
            captcha,
        } => {
            send_reset_code(
                app,
                visit,
                user,
                email_template.as_deref(),
                captcha.as_ref(),
            )
            .await
        }
        ChallengeStep::Code { otp, new_password } => {
            let session = session.ok_or(Refusal::ParameterMissing {
                name: "auth_session",
            })?;
            redeem(
                app,
                visit,
                checked,
                session.awaits(),
                &otp,
                new_password.as_ref(),
            )
            .await
        }
    }
}

/// Admits an app that has attested itself to an API.
///
/// # Refusals
/// Those of [`admission::check`] and of [`App::admit`].
async fn admit(
    app: &App,
    visit: &Visit,
    api: Api,
    captcha: Option<&CaptchaProof>,
) -> Result<Admitted, Failure> {
    let required = visit.site.site.settings.api(api);
    let caller = admission::check(&required, &Caller::Attested, captcha.into())?;
    app.admit(visit, caller).await
}

/// Username and password.
async fn log_in(
    app: &App,
    visit: &Visit,
    checked: &Checked,
    user: &UserReference,
    password: Secret,
    captcha: Option<&CaptchaProof>,
) -> Result<Step, Failure> {
    let settings = &visit.site.site.settings;
    let reads_hint = settings.api(Api::PasswordLogin).reads_login_hint;
    let named = CheckedReference::of_login(user, reads_hint)?;
    let admitted = admit(app, visit, Api::PasswordLogin, captcha).await?;
    if let Some(captcha) = admitted.captcha {
        let is_first = app
            .store
            .write("captcha.spend", captcha, |tx, captcha| {
                Box::pin(store::captcha_token::spend(tx, captcha))
            })
            .await?;
        if !is_first {
            return Err(captcha::spent_before().into());
        }
    }
    let credentials = Credentials { named, password };
    let logged_in = username_password::log_in(app, visit, checked, credentials).await;
    match logged_in {
        Ok(answer) => Ok(Step::Done(answer.code)),
        Err(Failure::Refused(refusal @ Refusal::CredentialsWrong { .. })) => {
            visit.log_refusal(&refusal);
            Ok(Step::Next(Next::Failed, Awaits::Credentials))
        }
        Err(failure) => Err(failure),
    }
}

/// A code to log in with.
async fn send_login_code(
    app: &App,
    visit: &Visit,
    login: &InitPasswordlessLogin,
) -> Result<Step, Failure> {
    let admitted = admit(app, visit, Api::PasswordlessLogin, login.captcha.as_ref()).await?;
    let begun = passwordless_login::init(app, visit, admitted, login).await?;
    let method = login.verification_method;
    Ok(sent(
        Purpose::PasswordlessLogin,
        method,
        Awaits::LoginCode {
            request: sha256(begun.identifier.as_bytes()),
            method,
        },
    ))
}

/// A registration, up to its code.
async fn register(app: &App, visit: &Visit, request: &InitRegistration) -> Result<Step, Failure> {
    let admitted = admit(app, visit, Api::Registration, request.captcha.as_ref()).await?;
    let begun = registration::init(app, visit, admitted, request).await?;
    let method = request.verification_method;
    Ok(sent(
        Purpose::Registration,
        method.unwrap_or(VerificationMethod::Email),
        Awaits::RegistrationCode {
            request: sha256(begun.identifier.as_bytes()),
            method,
        },
    ))
}

/// A code for a user who forgot the password.
async fn send_reset_code(
    app: &App,
    visit: &Visit,
    user: UserReference,
    email_template: Option<&str>,
    captcha: Option<&CaptchaProof>,
) -> Result<Step, Failure> {
    let settings = &visit.site.site.settings;
    let admitted = admit(app, visit, Api::ForgotPassword, captcha).await?;
    let reads_hint = settings.api(Api::ForgotPassword).reads_login_hint;
    let named = CheckedReference::of_code_request(&user, reads_hint)?;
    forgot_password::ask(app, visit, admitted, named, email_template).await?;
    Ok(sent(
        Purpose::ForgotPassword,
        VerificationMethod::Email,
        Awaits::ResetCode(user),
    ))
}

fn sent(purpose: Purpose, method: VerificationMethod, awaits: Awaits) -> Step {
    Step::Next(Next::CodeSent { purpose, method }, awaits)
}

/// A code is presented; the session says what it is for.
///
/// # Refusals
/// `AuthSessionInvalid` when no code is awaited, and those of the flow.
async fn redeem(
    app: &App,
    visit: &Visit,
    checked: &Checked,
    awaits: &Awaits,
    otp: &Secret,
    new_password: Option<&Secret>,
) -> Result<Step, Failure> {
    let redeemed = match awaits {
        Awaits::Credentials => {
            let because = Reason::AuthSessionNotAwaited;
            return Err(Refusal::AuthSessionInvalid { because }.into());
        }
        Awaits::LoginCode { request, method } => {
            let attempt = attempt(request, otp, Some(*method));
            passwordless_login::complete(app, visit, checked, attempt)
                .await
                .map(|answer| Step::Done(answer.code))
        }
        Awaits::RegistrationCode { request, method } => {
            let attempt = attempt(request, otp, *method);
            registration::complete(app, visit, checked, attempt)
                .await
                .map(|answer| Step::Done(answer.code))
        }
        Awaits::ResetCode(user) => {
            let new_password = new_password.ok_or(Refusal::ParameterMissing {
                name: "newpassword",
            })?;
            let settings = &visit.site.site.settings;
            let reads_hint = settings.api(Api::ForgotPassword).reads_login_hint;
            let named = CheckedReference::of_code_request(user, reads_hint)?;
            let trust = Trust::Public;
            forgot_password::choose(app, visit, trust, named, otp, new_password)
                .await
                .map(|_| Step::Next(Next::PasswordChanged, Awaits::Credentials))
        }
    };
    match redeemed {
        Err(Failure::Refused(
            refusal @ (Refusal::ChallengeFailed { .. } | Refusal::TriesSpent),
        )) => {
            visit.log_refusal(&refusal);
            Ok(Step::Next(Next::Failed, awaits.clone()))
        }
        Err(Failure::Refused(refusal @ Refusal::PasswordPolicy { .. })) => {
            visit.log_refusal(&refusal);
            Ok(Step::Next(Next::PasswordRefused, awaits.clone()))
        }
        redeemed => redeemed,
    }
}

fn attempt(request: &[u8; 32], otp: &Secret, method: Option<VerificationMethod>) -> Attempt {
    Attempt {
        identifier_hash: *request,
        code: normalised_code(otp),
        channel: method,
    }
}
