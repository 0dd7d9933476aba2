//! The addressee of a one-time password: the user that a request names, and whether a code may be sent to them.
//!
//! [`Addressee::find`] always returns one. For an unknown, ambiguous, locked, disabled or unverified user it is a
//! decoy: no message is sent, and the flow continues in the same way.

use vestibule_protocol::headless::{UserReference, VerificationMethod};
use vestibule_protocol::purpose::Purpose;

use super::one_time_password::CodeRequest;
use crate::admission::Trust;
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
use crate::verification::{OtpRules, Requester, RequesterClass, Target};

/// How a request names its user, by the one member that counts. No user can be addressed in two ways: where a flow uses
/// user discovery the hint decides, elsewhere the username.
#[derive(Clone, Copy)]
pub enum CheckedReference<'r> {
    /// By username.
    Username(&'r str),
    /// By a `login_hint`, which the site's user discovery resolves.
    Hint(Hint<'r>),
}

impl<'r> CheckedReference<'r> {
    /// Checks the reference of a request for a code. With user discovery `login_hint` is required, and a username beside
    /// it is ignored; without, `username` is required.
    ///
    /// # Refusals
    /// `ParametersInvalid`.
    ///
    /// Source: Headless Login Without a Username, and the parameters of the passwordless and forgot password flows.
    pub fn of_code_request(
        user: &'r UserReference,
        is_discovery_on: bool,
    ) -> Result<CheckedReference<'r>, Refusal> {
        let (field, reason) = match (is_discovery_on, &user.username, &user.login_hint) {
            (true, _, Some(login_hint)) => return Ok(CheckedReference::of_hint(user, login_hint)),
            (true, Some(_), None) => (
                "login_hint",
                "missing: user discovery is on for this flow, so login_hint names the user",
            ),
            (false, Some(username), _) => return Ok(CheckedReference::Username(username)),
            (false, None, Some(_)) => ("login_hint", HINT_NOT_READ),
            (true, None, None) => ("login_hint", "missing"),
            (false, None, None) => ("username", "missing"),
        };
        Err(Refusal::ParametersInvalid {
            field: field.to_owned(),
            reason: reason.to_owned(),
        })
    }

    /// Checks the reference of a login by password. With user discovery a hint decides; a username alone is accepted
    /// too, because that is how a Basic header names the user.
    ///
    /// # Refusals
    /// `FormMalformed` for a hint where there is no discovery, `ParameterMissing` when nothing names the user.
    pub fn of_login(
        user: &'r UserReference,
        is_discovery_on: bool,
    ) -> Result<CheckedReference<'r>, Refusal> {
        match (&user.username, &user.login_hint) {
            (_, Some(login_hint)) if is_discovery_on => {
                Ok(CheckedReference::of_hint(user, login_hint))
            }
            (Some(username), _) => Ok(CheckedReference::Username(username)),
            (None, Some(_)) => Err(Refusal::FormMalformed {
                reason: format!("login_hint {HINT_NOT_READ}"),
            }),
            (None, None) => Err(Refusal::ParameterMissing { name: "username" }),
        }
    }

    fn of_hint(user: &'r UserReference, login_hint: &'r str) -> CheckedReference<'r> {
        CheckedReference::Hint(Hint {
            login_hint,
            customdata: user.customdata.as_ref(),
        })
    }

    /// What was sent.
    pub fn text(&self) -> &'r str {
        match self {
            CheckedReference::Username(username) => username,
            CheckedReference::Hint(hint) => hint.login_hint,
        }
    }

    /// The requester of a code, before it is known whose budget the request uses.
    pub fn requester(&self, app: &App, visit: &Visit, trust: Trust) -> Requester {
        requester(app, visit, trust, &compared(self.text()))
    }
}

/// The requester of a code for what a text names, in its compared form.
pub fn requester(app: &App, visit: &Visit, trust: Trust, text: &str) -> Requester {
    Requester {
        reference_key: app.keyring.reference_key(text),
        network: visit.origin().network.to_string(),
        class: match trust {
            Trust::Backend => RequesterClass::Backend,
            Trust::Public => RequesterClass::Other,
        },
    }
}

const HINT_NOT_READ: &str = "needs user discovery to be on for this flow; send username";

/// The user that a request names, or a decoy.
pub struct Addressee {
    /// The user, if there is one.
    pub user: Option<User>,
    /// The message of a discovery handler for the app.
    message: Option<String>,
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
        requester: Requester,
        may_know: bool,
    ) -> CodeRequest<'o> {
        CodeRequest {
            purpose,
            rules,
            method: None,
            target: self.target,
            requester,
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
        let (user, message) = match named {
            CheckedReference::Username(_) => {
                let user = app
                    .store
                    .read("user.find", &key, |tx, key| {
                        Box::pin(store::user::find_by_username(tx, key))
                    })
                    .await?;
                (user, None)
            }
            CheckedReference::Hint(hint) => {
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
            ..addressee
        })
    }

    /// Whether the user has a verified number, and an address that is not verified.
    pub fn has_number_only(&self) -> bool {
        self.suppressed == Some(Suppression::AddressUnverified)
            && self
                .user
                .as_ref()
                .is_some_and(|user| user.phone.is_some() && user.phone_verified_at.is_some())
    }

    /// The same user, for a code that is sent by a channel.
    pub fn by_channel(self, settings: &Settings, channel: VerificationMethod) -> Addressee {
        match self.user {
            Some(user) => Addressee::of_user(user, settings, channel),
            None => self,
        }
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
        }
    }

    fn decoy(subject: String, settings: &Settings) -> Addressee {
        Addressee {
            user: None,
            message: None,
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
