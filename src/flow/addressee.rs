//! The addressee of a one-time password: the user that a request names, and whether a code may be sent to them.
//!
//! [`Addressee::find`] always returns one. For an unknown, ambiguous, locked, disabled or unverified user it is a
//! decoy: no message is sent, and the flow continues in the same way.

use vestibule_protocol::headless::{UserReference, VerificationMethod};
use vestibule_protocol::purpose::Purpose;

use super::one_time_password::CodeRequest;
use crate::app::{App, Hint, Visit};
use crate::delivery::template::TemplateName;
use crate::handler::contract::VerificationAction;
use crate::identity::User;
use crate::identity::email::EmailAddress;
use crate::identity::username::Username;
use crate::outgoing::Suppression;
use crate::refusal::{Fault, Refusal};
use crate::settings::{Choice, Settings};
use crate::store;
use crate::verification::{OtpRules, Target};

/// A reference to a user that the flow accepts: a username, or a `login_hint` where the flow reads hints.
#[derive(Clone, Copy)]
pub struct CheckedReference<'r>(&'r UserReference);

impl<'r> CheckedReference<'r> {
    /// Checks a reference. Where both members are present the username counts, because it is the more exact one.
    ///
    /// # Refusals
    /// `ParametersInvalid` when there is neither, and when there is only a hint and this flow reads none.
    pub fn new(
        user: &'r UserReference,
        is_discovery_on: bool,
    ) -> Result<CheckedReference<'r>, Refusal> {
        let (field, reason) = match (&user.username, &user.login_hint) {
            (Some(_), _) => return Ok(CheckedReference(user)),
            (None, Some(_)) if is_discovery_on => return Ok(CheckedReference(user)),
            (None, Some(_)) => (
                "login_hint",
                "needs user discovery to be on for this flow; send username",
            ),
            (None, None) => ("username", "missing"),
        };
        Err(Refusal::ParametersInvalid {
            field: field.to_owned(),
            reason: reason.to_owned(),
        })
    }

    /// What was sent.
    pub fn text(&self) -> &'r str {
        self.0.text().unwrap_or_default()
    }

    /// The hint, if the user is named by one.
    pub fn hint(&self) -> Option<Hint<'r>> {
        if self.0.username.is_some() {
            return None;
        }
        let login_hint = self.0.login_hint.as_deref()?;
        Some(Hint {
            login_hint,
            customdata: self.0.customdata.as_ref(),
        })
    }
}

/// The user that a request names, or a decoy.
pub struct Addressee {
    /// The user, if there is one.
    pub user: Option<User>,
    /// The message of a discovery handler for the app.
    message: Option<String>,
    /// Whether a hint named the user, and not a username.
    pub is_by_hint: bool,
    /// What the code is about.
    pub target: Target,
    /// Why no message is sent, if none is.
    pub suppressed: Option<Suppression>,
    /// Address or number; empty for a decoy without a user.
    pub recipient: String,
    /// Locale of the user, or of the site.
    pub locale: String,
    /// Given name of the user.
    pub first_name: Option<String>,
}

impl Addressee {
    /// The request for a code that is sent to this addressee, without the parts that differ between flows: channel,
    /// payload and captcha. `may_know` says whether the state of the account is disclosed to the caller.
    pub fn into_code_request<'o>(
        self,
        purpose: Purpose,
        rules: &'o OtpRules,
        choice: &'o Choice,
        may_know: bool,
    ) -> CodeRequest<'o> {
        CodeRequest {
            purpose,
            rules,
            method: None,
            target: self.target,
            payload: String::new(),
            is_decoy: self.suppressed.is_some(),
            suppressed: self.suppressed,
            recipient: self.recipient,
            locale: self.locale,
            first_name: self.first_name,
            template: TemplateName::of(purpose),
            choice,
            captcha: None,
            is_block_disclosed: may_know,
            is_limit_disclosed: may_know || !self.is_by_hint,
        }
    }

    /// Finds the user that a request names, for a code that is sent by a channel.
    ///
    /// # Faults
    /// The database is away.
    pub async fn find(
        app: &App,
        visit: &Visit,
        named: CheckedReference<'_>,
        channel: VerificationMethod,
    ) -> Result<Addressee, Fault> {
        let key = compared(named.text());
        let (user, message) = match named.hint() {
            None => {
                let user = app
                    .store
                    .read("user.find", &key, |tx, key| {
                        Box::pin(store::user::find_by_username(tx, key))
                    })
                    .await?;
                (user, None)
            }
            Some(hint) => {
                let found = app.discover(visit, hint, action(channel)).await?;
                (found.user, found.message)
            }
        };
        let settings = &visit.site.site.settings;
        let addressee = match user {
            Some(user) => Addressee::of_user(user, settings, channel),
            None => Addressee::decoy(app.keyring.subject_of_unknown(&key), settings),
        };
        Ok(Addressee {
            message: message.filter(|_| addressee.user.is_none()),
            is_by_hint: named.hint().is_some(),
            ..addressee
        })
    }

    /// Reports the message of a discovery that found no user, at a site that shows it.
    ///
    /// # Refusals
    /// `DiscoveryFailed`.
    pub fn check_discovered(&self, settings: &Settings) -> Result<(), Refusal> {
        discovery_message(settings, self.message.as_deref())
    }

    fn of_user(user: User, settings: &Settings, channel: VerificationMethod) -> Addressee {
        let suppressed = suppression_of(&user, settings, channel);
        let (recipient, budget_key) = match channel {
            VerificationMethod::Email => {
                let budget_key = EmailAddress::parse(&user.email)
                    .map_or_else(|_| user.email_key.clone(), |email| email.budget_key());
                (user.email.clone(), budget_key)
            }
            VerificationMethod::Sms => match &user.phone {
                Some(phone) => (phone.clone(), phone.clone()),
                None => (String::new(), user.id.clone()),
            },
        };
        Addressee {
            target: Target {
                key: user.id.clone(),
                budget_key,
            },
            suppressed,
            recipient,
            locale: user.locale.clone(),
            first_name: user.first_name.clone(),
            user: Some(user),
            message: None,
            is_by_hint: false,
        }
    }

    fn decoy(subject: String, settings: &Settings) -> Addressee {
        Addressee {
            user: None,
            message: None,
            is_by_hint: false,
            target: Target {
                key: subject.clone(),
                budget_key: subject,
            },
            suppressed: Some(Suppression::UserUnknown),
            recipient: String::new(),
            locale: settings.default_locale.clone(),
            first_name: None,
        }
    }

    /// How often all sessions of the user were ended. What was begun before the last time is not valid.
    pub fn session_generation(&self) -> i64 {
        self.user.as_ref().map_or(0, |user| user.session_generation)
    }

    /// Checks that the user is not locked, for a caller that may know of the account.
    ///
    /// # Refusals
    /// `UserLocked`.
    pub fn check_unlocked(&self) -> Result<(), Refusal> {
        match self.suppressed {
            Some(Suppression::UserLocked) => Err(Refusal::UserLocked),
            _ => Ok(()),
        }
    }
}

/// Reports the message of a discovery that failed, at a site that shows it.
///
/// # Refusals
/// `DiscoveryFailed`.
pub fn discovery_message(settings: &Settings, message: Option<&str>) -> Result<(), Refusal> {
    match message.filter(|_| settings.is_headless_discovery_message_shown) {
        Some(message) => Err(Refusal::DiscoveryFailed {
            message: message.to_owned(),
        }),
        None => Ok(()),
    }
}

/// The channel that a handler is asked to verify.
fn action(channel: VerificationMethod) -> VerificationAction {
    match channel {
        VerificationMethod::Email => VerificationAction::Email,
        VerificationMethod::Sms => VerificationAction::Sms,
    }
}

/// The compared form of a username, also for a text that cannot be one.
pub fn compared(username: &str) -> String {
    match Username::parse(username) {
        Ok(username) => username.key().to_owned(),
        Err(_) => username.trim().to_lowercase(),
    }
}

/// Why no code is sent to a user by a channel; `None` when one is.
pub fn suppression_of(
    user: &User,
    settings: &Settings,
    channel: VerificationMethod,
) -> Option<Suppression> {
    if user.disabled_at.is_some() {
        return Some(Suppression::UserDisabled);
    }
    if user.locked_at.is_some() {
        return Some(Suppression::UserLocked);
    }
    if !settings.admits(&user.profile_id) {
        return Some(Suppression::NotAMember);
    }
    match channel {
        VerificationMethod::Email if user.email_verified_at.is_none() => {
            Some(Suppression::AddressUnverified)
        }
        VerificationMethod::Sms if user.phone.is_none() || user.phone_verified_at.is_none() => {
            Some(Suppression::NumberUnverified)
        }
        _ => None,
    }
}
