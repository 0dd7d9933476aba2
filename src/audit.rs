//! What the audit event of an administrative operation says: who changed which object, from where, and
//! each changed field before and after.
//!
//! The changed fields are computed from the object's serialised form, so a new field needs nothing here.
//! A secret is only reported as changed (`SECRET_FIELDS`). `store::audit` saves the event.

use std::net::IpAddr;

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::sealing::sha256;

/// Fields whose values never enter an audit event, by their documented names.
const SECRET_FIELDS: &[&str] = &[
    "clientSecret",
    "password",
    "recaptchaSecretKey",
    "signingKey",
    "webhookSecret",
];

/// The longest text, in characters, that an event repeats. Sources of scripts and mails may be longer; they
/// are identified by their length and SHA-256.
const TEXT_LENGTH_MAX: usize = 2_000;

/// Who performs an administrative operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Actor {
    /// An administrator who has signed in.
    Administrator {
        /// Record id.
        id: String,
        /// Name.
        name: String,
    },
    /// A command, with the name of the operating system's user that runs it.
    CommandLine {
        /// The operating system's name of the user.
        name: String,
    },
    /// The server itself: a background task.
    Server,
    /// An access token of the admin API.
    Token {
        /// The token's record id; never the token.
        id: String,
        /// Its name.
        name: String,
    },
}

/// Where the request for an operation came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditSource {
    /// The network address of an API request.
    Address(IpAddr),
    /// A command on the machine.
    CommandLine,
    /// A background task of the server.
    Server,
}

impl std::fmt::Display for AuditSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            AuditSource::Address(ip) => write!(f, "{ip}"),
            AuditSource::CommandLine => f.write_str("command line"),
            AuditSource::Server => f.write_str("server"),
        }
    }
}

/// The kinds of objects that administrative operations change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectKind {
    /// A recorded call of a handler.
    Call,
    /// A certificate of a client app; its changes are changes of the client.
    Certificate,
    /// A client app.
    Client,
    /// A handler.
    Handler,
    /// An external identifier of a user; its changes are changes of the user.
    Identifier,
    /// The installation itself.
    Installation,
    /// A profile.
    Profile,
    /// A signing key.
    SigningKey,
    /// A site.
    Site,
    /// A mail template.
    Template,
    /// A user, with password and identifiers.
    User,
    /// A version of a handler; its changes are changes of the handler.
    Version,
}

impl ObjectKind {
    /// The word for it in events and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            ObjectKind::Call => "call",
            ObjectKind::Certificate => "certificate",
            ObjectKind::Client => "client",
            ObjectKind::Handler => "handler",
            ObjectKind::Identifier => "identifier",
            ObjectKind::Installation => "installation",
            ObjectKind::Profile => "profile",
            ObjectKind::SigningKey => "signing key",
            ObjectKind::Site => "site",
            ObjectKind::Template => "template",
            ObjectKind::User => "user",
            ObjectKind::Version => "version",
        }
    }

    /// Whether every node holds these objects in its directory snapshot. A change of such an object raises the
    /// version by which nodes notice. Users are read from the database in every request; raising the version
    /// for them would make every node load the snapshot again, and all changes of users wait for one row.
    pub fn is_in_directory(self) -> bool {
        self != ObjectKind::User
    }
}

/// The object of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditObject {
    /// What it is.
    pub kind: ObjectKind,
    /// Record id, consumer key, `kid`, or the developer name of a template.
    pub id: String,
    /// The name by which administrators know it.
    pub name: String,
}

impl AuditObject {
    /// An object by its kind, id and name.
    pub fn new(kind: ObjectKind, id: &str, name: &str) -> AuditObject {
        AuditObject {
            kind,
            id: id.to_owned(),
            name: name.to_owned(),
        }
    }
}

/// A field of an object, before and after. A secret's value is left out: before it is `"secret"` and after it
/// `"changed"`, or null where there was none or is none any more.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FieldChange {
    /// The documented name of the field.
    pub field: String,
    /// Null for an object or field that did not exist.
    pub before: Value,
    /// Null for an object or field that does not exist any more.
    pub after: Value,
}

/// What an operation did to one object.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditEntry {
    /// The name of the event: `site.updated`, `client.secret_rotated`.
    pub event: &'static str,
    /// What was changed.
    pub object: AuditObject,
    /// The fields that differ.
    pub changes: Vec<FieldChange>,
}

impl AuditEntry {
    /// The entry of a change from one form of an object to another. `Value::Null` is an object that does not
    /// exist, before its creation or after its deletion.
    pub fn new(
        event: &'static str,
        object: AuditObject,
        before: &Value,
        after: &Value,
    ) -> AuditEntry {
        AuditEntry {
            event,
            object,
            changes: changed_fields(before, after),
        }
    }

    /// The event's detail: actor, source, object and changes.
    pub fn detail(&self, actor: &Actor, source: AuditSource) -> Value {
        json!({
            "actor": actor,
            "source": source.to_string(),
            "object": {
                "kind": self.object.kind.as_str(),
                "id": self.object.id,
                "name": self.object.name,
            },
            "changes": self.changes,
        })
    }
}

/// The members of two objects that differ, by name.
fn changed_fields(before: &Value, after: &Value) -> Vec<FieldChange> {
    let none = Map::new();
    let (before, after) = (
        before.as_object().unwrap_or(&none),
        after.as_object().unwrap_or(&none),
    );
    let mut names: Vec<&String> = before.keys().chain(after.keys()).collect();
    names.sort();
    names.dedup();
    let member = |object: &Map<String, Value>, name: &String| {
        let value = object.get(name).cloned();
        value.unwrap_or_default()
    };
    names
        .into_iter()
        .map(|name| (name, member(before, name), member(after, name)))
        .filter(|(_, before, after)| before != after)
        .map(|(name, before, after)| {
            let is_secret = SECRET_FIELDS.contains(&name.as_str());
            FieldChange {
                field: name.clone(),
                before: reported(before, is_secret.then_some("secret")),
                after: reported(after, is_secret.then_some("changed")),
            }
        })
        .collect()
}

/// A value as an event repeats it; of a secret only the given word.
fn reported(value: Value, secret: Option<&str>) -> Value {
    match (value, secret) {
        (Value::Null, _) => Value::Null,
        (_, Some(word)) => Value::from(word),
        (Value::String(text), None) if text.chars().count() > TEXT_LENGTH_MAX => json!({
            "characters": text.chars().count(),
            "sha256": hex(&sha256(text.as_bytes())),
        }),
        (value, None) => value,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(before: &Value, after: &Value) -> AuditEntry {
        let object = AuditObject::new(ObjectKind::Site, "0DB1", "shop");
        AuditEntry::new("site.updated", object, before, after)
    }

    fn change(field: &str, before: Value, after: Value) -> FieldChange {
        FieldChange {
            field: field.to_owned(),
            before,
            after,
        }
    }

    #[test]
    fn only_fields_that_differ_are_reported_with_before_and_after() {
        let entry = entry(
            &json!({"same": 1, "b": false, "gone": [1]}),
            &json!({"same": 1, "b": true, "new": "x"}),
        );
        assert_eq!(
            entry.changes,
            [
                change("b", json!(false), json!(true)),
                change("gone", json!([1]), Value::Null),
                change("new", Value::Null, json!("x")),
            ]
        );
    }

    #[test]
    fn an_object_that_is_created_or_deleted_has_no_fields_on_the_other_side() {
        let object = json!({"name": "shop", "nothing": null});
        assert_eq!(
            entry(&Value::Null, &object).changes,
            [change("name", Value::Null, json!("shop"))]
        );
        assert_eq!(
            entry(&object, &Value::Null).changes,
            [change("name", json!("shop"), Value::Null)]
        );
    }

    #[test]
    fn a_secret_is_only_reported_as_changed() {
        for name in SECRET_FIELDS {
            let entry = entry(&json!({*name: "s3cr3t"}), &json!({*name: "t0ps3cr3t"}));
            assert_eq!(
                entry.changes,
                [change(name, json!("secret"), json!("changed"))]
            );
            let detail = entry.detail(&Actor::Server, AuditSource::Server);
            assert!(!detail.to_string().contains("s3cr3t"), "{detail}");
        }
        let first = entry(&json!({}), &json!({"password": "s3cr3t"}));
        assert_eq!(
            first.changes,
            [change("password", Value::Null, json!("changed"))]
        );
    }

    #[test]
    fn a_long_text_is_reported_by_its_length_and_its_hash() {
        let long = "é".repeat(TEXT_LENGTH_MAX + 1);
        let entry = entry(&json!({"text": "short"}), &json!({"text": long}));
        let after = &entry.changes[0].after;
        assert_eq!(after["characters"], json!(TEXT_LENGTH_MAX + 1));
        assert_eq!(after["sha256"].as_str().map(str::len), Some(64));
    }

    #[test]
    fn a_detail_names_actor_source_and_object() {
        let actor = Actor::CommandLine {
            name: String::from("kim"),
        };
        let entry = entry(&json!({"b": false}), &json!({"b": true}));
        assert_eq!(
            entry.detail(&actor, AuditSource::CommandLine),
            json!({
                "actor": {"kind": "command_line", "name": "kim"},
                "source": "command line",
                "object": {"kind": "site", "id": "0DB1", "name": "shop"},
                "changes": [{"field": "b", "before": false, "after": true}],
            })
        );
    }
}
