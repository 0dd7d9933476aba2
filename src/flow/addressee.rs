//! The addressee: whom a username or a `login_hint` names, and whether a code may be sent to them.
//!
//! There is always one: of a name that nobody has, of a hint that means nobody or several, of a locked, a disabled or an unverified user it
//! is somebody to whom nothing is sent, and the flow goes on in the same way.

use serde_json::{Map, Value};
use vestibule_protocol::headless::VerificationMethod;

use crate::app::{App, Hint, Visit};
use crate::handler::contract::VerificationAction;
use crate::identity::User;
use crate::identity::email::EmailAddress;
use crate::identity::username::Username;
use crate::outgoing::Suppression;
use crate::refusal::{Fault, Refusal};
use crate::settings::Settings;
use crate::store;
use crate::verification::Target;

/// How a request names a user.
#[derive(Clone, Copy)]
pub enum Named<'r> {
    /// By whatever the discovery handler recognises a user by.
    Hint(Hint<'r>),
    /// By the exact username.
    Username(&'r str),
}

impl<'r> Named<'r> {
    /// Reads the members that name a user. Where both come, the username says it more exactly.
    ///
    /// # Refusals
    /// `ParametersInvalid` when neither came, and when there is a hint that nobody reads in this flow.
    pub fn read(
        username: Option<&'r str>,
        login_hint: Option<&'r str>,
        customdata: Option<&'r Map<String, Value>>,
        is_discovery_on: bool,
    ) -> Result<Named<'r>, Refusal> {
        let (field, reason) = match (username, login_hint) {
            (Some(username), _) => return Ok(Named::Username(username)),
            (None, Some(login_hint)) if is_discovery_on => {
                return Ok(Named::Hint(Hint {
                    login_hint,
                    customdata,
                }));
            }
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
        match self {
            Named::Hint(hint) => hint.login_hint,
            Named::Username(username) => username,
        }
    }
}

/// Whom a request names.
pub struct Addressee {
    /// The user, if there is one.
    pub user: Option<User>,
    /// What the discovery handler would have the app told.
    message: Option<String>,
    /// Whether a hint named them, and not a username.
    pub is_by_hint: bool,
    /// Whom the code is about.
    pub target: Target,
    /// Why nothing is sent to them, if nothing is.
    pub suppressed: Option<Suppression>,
    /// Address or number; empty when there is nobody.
    pub recipient: String,
    /// Their locale, or the site's.
    pub locale: String,
    /// Their given name.
    pub first_name: Option<String>,
}

impl Addressee {
    /// Finds whom a request names, for a code that travels by a channel.
    ///
    /// # Faults
    /// The database is away.
    pub async fn find(
        app: &App,
        visit: &Visit,
        named: Named<'_>,
        channel: VerificationMethod,
    ) -> Result<Addressee, Fault> {
        let key = compared(named.text());
        let (user, message) = match named {
            Named::Username(_) => {
                let user = app
                    .store
                    .read("user.find", &key, |tx, key| {
                        Box::pin(store::user::find_by_username(tx, key))
                    })
                    .await?;
                (user, None)
            }
            Named::Hint(hint) => {
                let found = app.discover(visit, hint, action(channel)).await?;
                (found.user, found.message)
            }
        };
        let settings = &visit.site.site.settings;
        let addressee = match user {
            Some(user) => Addressee::somebody(user, settings, channel),
            None => Addressee::nobody(app.keyring.subject_of_unknown(&key), settings),
        };
        Ok(Addressee {
            message: message.filter(|_| addressee.user.is_none()),
            is_by_hint: matches!(named, Named::Hint(_)),
            ..addressee
        })
    }

    /// What a discovery that found nobody would have the app told, at a site that shows it.
    ///
    /// # Refusals
    /// `DiscoveryFailed`.
    pub fn check_discovered(&self, settings: &Settings) -> Result<(), Refusal> {
        discovery_message(settings, self.message.as_deref())
    }

    fn somebody(user: User, settings: &Settings, channel: VerificationMethod) -> Addressee {
        let suppressed = why_not(&user, settings, channel);
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

    fn nobody(subject: String, settings: &Settings) -> Addressee {
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

    /// How often their sessions were ended. What was begun before the last time is over, too.
    pub fn session_generation(&self) -> i64 {
        self.user.as_ref().map_or(0, |user| user.session_generation)
    }

    /// What a caller who may know is told of a user who may not come in.
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

/// What a handler says of a discovery that failed, at a site that shows it.
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

/// The compared form of a username; what cannot be one is nobody's.
pub fn compared(username: &str) -> String {
    match Username::parse(username) {
        Ok(username) => username.key().to_owned(),
        Err(_) => username.to_lowercase(),
    }
}

/// Whether a user's profile is a member of the site; a site that lists none takes all.
pub fn is_member(settings: &Settings, user: &User) -> bool {
    settings.member_profiles.is_empty() || settings.member_profiles.contains(&user.profile_id)
}

/// Why a user is not sent a code by a channel; nothing if they are.
pub fn why_not(
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
    if !is_member(settings, user) {
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
