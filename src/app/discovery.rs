//! User discovery: which user a `login_hint` names.
//!
//! The settings of the site decide who resolves it: the built-in discovery, by strategies in their order, or a custom
//! handler. Exactly one user is accepted; none or several count as none. The user that a handler returns is looked up
//! again here. Whether the user may log in, by a verified channel, is checked by the flow (design: a handler answers,
//! the flow acts).
//!
//! Source: HeadlessUserDiscoveryHandler Interface.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::request_attributes::request_attributes;
use super::{App, Visit};
use crate::handler::contract::{
    Contract, DiscoverUserArguments, DiscoverUserResult, VerificationAction,
};
use crate::identity::User;
use crate::identity::email::EmailAddress;
use crate::identity::external_identifier::value_key;
use crate::identity::phone::PhoneNumber;
use crate::identity::username::Username;
use crate::refusal::Fault;
use crate::settings::{HandlerChoice, Settings, Strategy};
use crate::store::{self, Transaction};

/// The number of users that are read to find out that a hint is ambiguous.
const USERS_MAX: i64 = 20;

/// Longest part of the message of a handler that an app gets, in characters.
const MESSAGE_LENGTH_MAX: usize = 500;

/// The value of a `login_hint`, with the custom data of the request.
#[derive(Clone, Copy)]
pub struct Hint<'h> {
    /// `login_hint`, as sent.
    pub login_hint: &'h str,
    /// `customdata`.
    pub customdata: Option<&'h Map<String, Value>>,
}

/// The result of a discovery.
#[derive(Default)]
pub struct Discovered {
    /// The one user that the hint names.
    pub user: Option<User>,
    /// The message of the handler for the app; for sites that show it.
    pub message: Option<String>,
}

impl App {
    /// Finds the user that a hint names. The result is never an integration user; everything else is checked by the
    /// flow.
    ///
    /// A handler that fails finds no user: the failure is in its record and in the log.
    ///
    /// # Faults
    /// The database is unreachable.
    pub async fn discover(
        &self,
        visit: &Visit,
        hint: Hint<'_>,
        action: VerificationAction,
    ) -> Result<Discovered, Fault> {
        let settings = &visit.site.site.settings;
        let discovered = match &settings.headless_discovery_handler {
            Some(HandlerChoice::BuiltIn) => {
                self.discover_built_in(settings, hint.login_hint).await?
            }
            Some(HandlerChoice::Named(handler)) => {
                self.ask_discovery(visit, handler, hint, action).await?
            }
            None => Discovered::default(),
        };
        Ok(Discovered {
            user: discovered.user.filter(|user| !user.is_integration),
            ..discovered
        })
    }

    /// Calls a custom handler. The user that it names must be one that its *Run As* user may see.
    async fn ask_discovery(
        &self,
        visit: &Visit,
        handler: &str,
        hint: Hint<'_>,
        action: VerificationAction,
    ) -> Result<Discovered, Fault> {
        let settings = &visit.site.site.settings;
        let run_as = settings.headless_discovery_execution_user.as_deref();
        let run_as = run_as.unwrap_or_default();
        let argument = serde_json::to_value(DiscoverUserArguments {
            network_id: visit.site.site.id.clone(),
            login_hint: hint.login_hint.to_owned(),
            verification_action: action,
            custom_data_json: hint
                .customdata
                .map(|data| Value::Object(data.clone()).to_string()),
            request_attributes: request_attributes(visit),
        })
        .map_err(|error| Fault::new("writing a handler's arguments", error))?;
        let Ok(reach) = self.reach_of(run_as).await else {
            tracing::warn!(
                handler,
                site = visit.site.site.name,
                "the Run As user of a discovery handler is not active: no user is found"
            );
            return Ok(Discovered::default());
        };
        let (contract, run_as) = (Contract::DiscoverUser, (run_as, &reach));
        let answered = self
            .call_handler_within(visit, handler, contract, run_as, argument)
            .await;
        let Ok(answer) = answered else {
            return Ok(Discovered::default());
        };
        // The shape was checked with the call.
        let found: DiscoverUserResult = serde_json::from_value(answer).unwrap_or_default();
        let message = found.custom_error_message.map(shown);
        // A set: the same user twice counts as one.
        let ids: BTreeSet<&String> = found.user_ids.iter().collect();
        let (Some(id), 1) = (ids.first(), ids.len()) else {
            return Ok(Discovered {
                user: None,
                message,
            });
        };
        let user = self
            .store
            .read("user.find", *id, |tx, id| {
                Box::pin(store::user::find_by_id(tx, id))
            })
            .await?;
        let user = user.filter(|user| self.sees(&reach, settings, user));
        Ok(Discovered { user, message })
    }

    async fn discover_built_in(
        &self,
        settings: &Settings,
        login_hint: &str,
    ) -> Result<Discovered, Fault> {
        for strategy in &settings.headless_discovery_strategies {
            let Some(sought) = LookUp::new(strategy, settings, login_hint) else {
                continue;
            };
            let found = self
                .store
                .read("discovery.find", &sought, |tx, sought| {
                    Box::pin(find(tx, sought))
                })
                .await?;
            // The limit was reached, so there may be more.
            if i64::try_from(found.len()).is_ok_and(|count| count >= USERS_MAX) {
                return Ok(Discovered::default());
            }
            let mut found = found
                .into_iter()
                .filter(|user| LookUp::is_eligible(user, settings));
            match (found.next(), found.next()) {
                (None, _) => {}
                (Some(user), None) => {
                    let owner = self.owner_of_address(settings, strategy, login_hint, &user);
                    return Ok(Discovered {
                        user: owner.await?.unwrap_or(Some(user)),
                        message: None,
                    });
                }
                // Several users match: guessing could log in the wrong one.
                (Some(_), Some(_)) => return Ok(Discovered::default()),
            }
        }
        Ok(Discovered::default())
    }

    /// The owner of the verified address that a hint is, for a hint that found a user by username, at a site that finds
    /// users by address, too. A username may look like the address of another user; the address was verified, so its
    /// owner is meant (threat USR-08). `None` if no user has verified it or the found one has; `Some(None)` if several
    /// other users have.
    async fn owner_of_address(
        &self,
        settings: &Settings,
        strategy: &Strategy,
        login_hint: &str,
        found: &User,
    ) -> Result<Option<Option<User>>, Fault> {
        let by_address = Strategy::VerifiedEmail;
        let strategies = &settings.headless_discovery_strategies;
        if *strategy != Strategy::Username || !strategies.contains(&by_address) {
            return Ok(None);
        }
        let Some(LookUp::Email(key)) = LookUp::new(&by_address, settings, login_hint) else {
            return Ok(None);
        };
        if found.email_key == key && found.email_verified_at.is_some() {
            return Ok(None);
        }
        let owners = self
            .store
            .read("discovery.find", &LookUp::Email(key), |tx, sought| {
                Box::pin(find(tx, sought))
            })
            .await?;
        let mut owners = owners
            .into_iter()
            .filter(|user| LookUp::is_eligible(user, settings));
        Ok(match (owners.next(), owners.next()) {
            (None, _) => None,
            (owner, None) => Some(owner),
            (Some(_), Some(_)) => Some(None),
        })
    }
}

/// The message of a handler as it may appear in a response.
fn shown(message: String) -> String {
    let is_printable = |c: &char| !c.is_control();
    message
        .chars()
        .filter(is_printable)
        .take(MESSAGE_LENGTH_MAX)
        .collect()
}

/// The value that a strategy looks up.
enum LookUp {
    Attribute(String, String),
    Email(String),
    Identifier(String, String),
    Phone(String),
    Username(String),
}

impl LookUp {
    /// Nothing when the hint cannot be what the strategy looks for.
    fn new(strategy: &Strategy, settings: &Settings, login_hint: &str) -> Option<LookUp> {
        Some(match strategy {
            Strategy::Attribute(name) => LookUp::Attribute(name.clone(), value_key(login_hint)?),
            Strategy::Identifier(kind) => LookUp::Identifier(kind.clone(), value_key(login_hint)?),
            Strategy::Username => {
                LookUp::Username(Username::parse(login_hint.trim()).ok()?.key().to_owned())
            }
            Strategy::VerifiedEmail => {
                LookUp::Email(EmailAddress::parse(login_hint.trim()).ok()?.key())
            }
            Strategy::VerifiedPhone => {
                let country_code = settings.default_phone_country_code.as_deref();
                LookUp::Phone(phone(login_hint, country_code)?.as_str().to_owned())
            }
        })
    }

    /// Whether a user that was found can be the one: a person, a member of the site, and not disabled.
    fn is_eligible(user: &User, settings: &Settings) -> bool {
        settings.admits(&user.profile_id) && !user.is_integration && user.disabled_at.is_none()
    }
}

/// A number as people type it: with its country code, or in the national form of the site's country.
fn phone(text: &str, country_code: Option<&str>) -> Option<PhoneNumber> {
    match country_code {
        None => PhoneNumber::parse(text).ok(),
        Some(country_code) => PhoneNumber::parse_in(text, country_code).ok(),
    }
}

async fn find(tx: &mut Transaction<'_>, sought: &LookUp) -> Result<Vec<User>, Fault> {
    Ok(match sought {
        LookUp::Attribute(name, key) => {
            store::user_attribute::find(tx, name, key, USERS_MAX).await?
        }
        LookUp::Email(key) => store::user::find_by_verified_email(tx, key, USERS_MAX).await?,
        LookUp::Identifier(kind, key) => store::external_identifier::find(tx, kind, key)
            .await?
            .into_iter()
            .collect(),
        LookUp::Phone(number) => store::user::find_by_verified_phone(tx, number, USERS_MAX).await?,
        LookUp::Username(key) => store::user::find_by_username(tx, key)
            .await?
            .into_iter()
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_read_with_its_country_code_or_in_the_way_of_the_sites_country() {
        for (text, country_code, expected) in [
            ("+1 203 555 0100", None, Some("+12035550100")),
            ("(203) 555-0100", Some("+1"), Some("+12035550100")),
            ("0171 5550100", Some("+49"), Some("+491715550100")),
            ("203 555 0100", None, None),
            ("ORD-10023555", Some("+1"), None),
            ("-2035550100", Some("+1"), None),
            ("12", Some("+1"), None),
        ] {
            let number = phone(text, country_code);
            assert_eq!(number.as_ref().map(PhoneNumber::as_str), expected, "{text}");
        }
    }
}
