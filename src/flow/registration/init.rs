//! ① `POST …/init/registration`: what the app has collected becomes a challenge and a message.

use vestibule_protocol::headless::{InitAnswer, InitRegistration, VerificationMethod};
use vestibule_protocol::purpose::Purpose;

use super::draft::Draft;
use crate::admission::Trust;
use crate::app::{Admitted, App, Visit};
use crate::delivery::template::TemplateName;
use crate::flow::addressee;
use crate::flow::one_time_password::{self, CodeRequest};
use crate::refusal::{Failure, Fault, Refusal};
use crate::store;

/// Opens the challenge of a registration. A public caller gets the same answer whether or not the username
/// is taken (`docs/silences.md`).
///
/// # Refusals
/// `TemplateUnknown`, `TemplateNotAllowed`, `ParametersInvalid`, `ChannelUnavailable`, `PasswordPolicy`,
/// `UsernameTaken` (to trusted callers only), `TooBusy`, `CodesExhausted`.
pub async fn init(
    app: &App,
    visit: &Visit,
    admitted: Admitted,
    request: &InitRegistration,
) -> Result<InitAnswer, Failure> {
    let Admitted { trust, captcha } = admitted;
    let template = app.directory().choose_template(
        &visit.site.site.settings,
        Purpose::Registration,
        request.email_template.as_deref(),
    )?;
    let mut checked = Draft::check(app, visit, request)?;
    if !app.is_available(&visit.site, checked.channel) {
        return Err(Refusal::ChannelUnavailable.into());
    }
    one_time_password::check_number(app, checked.channel, &checked.recipient)?;
    let is_own_account =
        is_taken_by_same_address(app, visit, trust, checked.channel, &checked.draft).await?;
    let purpose = Purpose::Registration;
    let requester = addressee::requester(app, visit, trust, &checked.target.key);
    one_time_password::check_budget(app, visit, purpose, &checked.target, &requester).await?;
    checked.draft.phc = app
        .hash_password(
            visit.line(&checked.draft.username_key),
            checked.password.into_secret(),
        )
        .await?;

    let payload = serde_json::to_string(&checked.draft)
        .map_err(|error| Fault::new("writing a registration", error))?;
    let default_locale = &visit.site.site.settings.default_locale;
    let code = CodeRequest {
        purpose,
        rules: app.otp_rules(purpose),
        method: request.verification_method,
        target: checked.target,
        requester,
        payload,
        // The owner of the address is informed. The caller cannot continue, and sees no difference.
        is_decoy: is_own_account,
        suppressed: None,
        recipient: checked.recipient,
        locale: checked
            .draft
            .locale
            .unwrap_or_else(|| default_locale.clone()),
        first_name: checked.draft.first_name,
        template: if is_own_account {
            TemplateName::AccountExists
        } else {
            TemplateName::of(purpose)
        },
        choice: &template,
        captcha,
        is_block_disclosed: true,
    };
    let identifier = one_time_password::open(app, visit, "registration.init", code).await?;
    Ok(InitAnswer {
        email: request.userdata.email.clone(),
        identifier,
    })
}

/// Whether the username belongs to a user with the address that is being registered.
///
/// A trusted caller gets the refusal that the username is taken. A public caller does not: the registration
/// continues, and fails at the end, after the code was verified (a username that another user has is then
/// found by the unique constraint, as in a race). Only the owner of the address is informed of the account,
/// by mail: a text message would go to whatever number the caller named.
async fn is_taken_by_same_address(
    app: &App,
    visit: &Visit,
    trust: Trust,
    channel: VerificationMethod,
    draft: &Draft,
) -> Result<bool, Failure> {
    let owner = app
        .store
        .read("user.find", &draft.username_key, |tx, key| {
            Box::pin(store::user::find_by_username(tx, key))
        })
        .await?;
    let Some(owner) = owner else {
        return Ok(false);
    };
    if app.may_know(visit, trust) {
        return Err(Refusal::UsernameTaken.into());
    }
    Ok(channel == VerificationMethod::Email && owner.email_key == draft.email_key)
}
