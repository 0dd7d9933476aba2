//! Administrative operations: what an administrator may do to an installation, with the rules and the audit
//! events of it. One file per noun.
//!
//! The command line, the seed and the tests call the same operations. Each takes the context [`Admin`] (who
//! acts, from where, when, on which database) and a typed request, and returns the object as it is then, or an
//! [`AdminFailure`]. Each change goes through `Admin::change`: one named write that raises the version of the
//! directory first, changes the data, and records the audit event ([`crate::store::AdminTransaction`]).
//! Names are resolved to record ids inside that write, so that an object that is removed meanwhile is noticed.

pub mod certificate;
pub mod client;
pub mod handler;
pub mod identifier;
pub mod installation;
pub mod key;
mod names;
pub mod profile;
pub mod restore;
pub mod seed;
pub mod site;
pub mod template;
pub mod user;

use vestibule_protocol::identifier::RecordId;

use crate::app::App;
use crate::audit::{Actor, AuditSource, ObjectKind};
use crate::changes::Invalid;
use crate::moment::{Entropy, Moment};
use crate::refusal::Fault;
use crate::sealing::Keyring;
use crate::store::{Act, AdminBody, ChangeFailure, Store};

/// The context of an administrative operation.
#[derive(Clone)]
pub struct Admin<'a> {
    /// The database, with its schema in place.
    pub store: &'a Store,
    /// The keys under the master key.
    pub keyring: &'a Keyring,
    /// Randomness.
    pub entropy: &'a Entropy,
    /// The present instant.
    pub at: Moment,
    /// Who acts.
    pub actor: Actor,
    /// From where.
    pub source: AuditSource,
}

impl<'a> Admin<'a> {
    /// The context of an operation within a running server.
    pub fn of(app: &'a App, actor: Actor, source: AuditSource) -> Admin<'a> {
        Admin {
            store: &app.store,
            keyring: &app.keyring,
            entropy: &app.entropy,
            at: app.now(),
            actor,
            source,
        }
    }

    /// A fresh record id.
    pub fn record_id(&self, prefix: &str) -> String {
        RecordId::from_random(prefix, self.entropy.bytes()).to_string()
    }

    /// Changes objects of a kind in one write, as [`Store::administer`] does.
    async fn change<I, T, F>(
        &self,
        name: &'static str,
        kind: ObjectKind,
        input: I,
        body: F,
    ) -> Result<T, AdminFailure>
    where
        I: Send + Sync + 'static,
        T: Send + 'static,
        F: AdminBody<I, T, AdminRefusal>,
    {
        let act = Act {
            actor: self.actor.clone(),
            source: self.source,
            kind,
            at: self.at,
            random: self.entropy.bytes(),
        };
        self.store.administer(name, act, input, body).await
    }
}

/// Why an operation is refused. Nothing is changed then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdminRefusal {
    /// Something else depends on the object.
    InUse {
        /// Its name.
        name: String,
        /// What depends on it: a setting of a site, a policy of a client.
        by: Vec<String>,
    },
    /// A value is wrong.
    Invalid(Invalid),
    /// There is no such object.
    Missing {
        /// What was looked for.
        kind: ObjectKind,
        /// The name or id that the request has.
        name: String,
        /// The names of those that exist, where they are few.
        known: Vec<String>,
    },
    /// Another object has this value, which is unique.
    Taken {
        /// The kind of both objects.
        kind: ObjectKind,
        /// What is unique: name, username, base URL, the kind of an identifier.
        field: String,
        /// The value.
        value: String,
    },
}

/// Either way in which an operation changes nothing.
pub type AdminFailure = ChangeFailure<AdminRefusal>;

/// Most names that a message lists.
const KNOWN_MAX: usize = 30;

impl AdminRefusal {
    /// A wrong value, under the documented name of its field.
    fn invalid(key: &str, reason: impl Into<String>) -> AdminRefusal {
        AdminRefusal::Invalid(Invalid::new(key, reason))
    }

    fn taken(kind: ObjectKind, field: &str, value: &str) -> AdminRefusal {
        AdminRefusal::Taken {
            kind,
            field: field.to_owned(),
            value: value.to_owned(),
        }
    }
}

impl std::fmt::Display for AdminRefusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            AdminRefusal::InUse { name, by } => write!(
                f,
                "{name:?} is named by {}: change that first",
                by.join(", ")
            ),
            AdminRefusal::Invalid(invalid) => invalid.fmt(f),
            AdminRefusal::Missing { kind, name, known } => {
                write!(f, "there is no {} {name:?}", kind.as_str())?;
                match known.as_slice() {
                    [] => Ok(()),
                    known if known.len() > KNOWN_MAX => {
                        write!(f, "; there are {} others", known.len())
                    }
                    known => write!(f, "; there are {}", known.join(", ")),
                }
            }
            AdminRefusal::Taken { kind, field, value } => {
                let kind = kind.as_str();
                write!(f, "a {kind} with the {field} {value:?} exists already")
            }
        }
    }
}

impl From<AdminRefusal> for AdminFailure {
    fn from(refusal: AdminRefusal) -> Self {
        ChangeFailure::Refused(refusal)
    }
}

impl From<Invalid> for AdminFailure {
    fn from(invalid: Invalid) -> Self {
        AdminFailure::from(AdminRefusal::Invalid(invalid))
    }
}

impl std::fmt::Display for AdminFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ChangeFailure::Refused(refusal) => refusal.fmt(f),
            ChangeFailure::Broken(fault) => fault.fmt(f),
        }
    }
}

/// The object that a request names by its id or its name.
fn find<T>(
    kind: ObjectKind,
    objects: Vec<T>,
    name: &str,
    id_and_name: impl Fn(&T) -> [&str; 2],
) -> Result<T, AdminRefusal> {
    let position = objects
        .iter()
        .position(|object| id_and_name(object).contains(&name));
    let mut objects = objects;
    match position {
        Some(position) => Ok(objects.swap_remove(position)),
        None => Err(AdminRefusal::Missing {
            kind,
            name: name.to_owned(),
            known: objects
                .iter()
                .map(|object| id_and_name(object)[1].to_owned())
                .collect(),
        }),
    }
}

/// The form of an object that audit events compare: what serialises to a JSON object.
fn form(object: &impl serde::Serialize) -> Result<serde_json::Value, Fault> {
    serde_json::to_value(object).map_err(|error| Fault::new("writing an object as JSON", error))
}
