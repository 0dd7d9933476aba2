//! Reading the members of a JSON body, one by one.
//!
//! This file owns the rules that all bodies share: `null` is absent, texts have a maximum length and no control
//! characters, a refusal names the member and never its value, and some members are always ignored. Which members a
//! body has is left to `headless`.

use serde_json::{Map, Value};

use super::{InvalidParams, VerificationMethod};
use crate::characters::{holds_invisible, trimmed};
use crate::form::{holds_unprintable, is_noncharacter, public_name};
use crate::secret::Secret;
use crate::strict_json;

/// The members of an object that are not read yet, and the path of the object.
pub(super) struct BodyMembers {
    path: &'static str,
    members: Map<String, Value>,
}

impl BodyMembers {
    pub(super) fn of_body(body: &[u8], documented: &[&str]) -> Result<BodyMembers, InvalidParams> {
        let members = strict_json::parse_object(body).map_err(|error| match error {
            strict_json::JsonError::DuplicateMember(name) => InvalidParams {
                field: name,
                reason: "comes twice",
            },
            strict_json::JsonError::NotJson => invalid("", "not JSON"),
            strict_json::JsonError::NotObject => invalid("", "not an object"),
            strict_json::JsonError::TooDeep => invalid("", "nested too deeply"),
        })?;
        BodyMembers::of_map(members, documented)
    }

    /// From parsed members. A documented name in another case is refused: ignoring it as an unknown member would do
    /// something else than was requested.
    pub(super) fn of_map(
        members: Map<String, Value>,
        documented: &[&str],
    ) -> Result<BodyMembers, InvalidParams> {
        for name in members.keys() {
            let lower_case = name.to_ascii_lowercase();
            if *name != lower_case && documented.contains(&lower_case.as_str()) {
                return Err(InvalidParams {
                    field: public_name(name),
                    reason: "this name is written in lower case",
                });
            }
        }
        Ok(BodyMembers::new("", members))
    }

    pub(super) fn new(path: &'static str, members: Map<String, Value>) -> BodyMembers {
        BodyMembers { path, members }
    }

    /// Removes and returns a member; `null` is absent.
    fn take(&mut self, name: &str) -> Option<Value> {
        self.members
            .shift_remove(name)
            .filter(|value| !value.is_null())
    }

    /// Whether a member is present and not `null`.
    pub(super) fn has(&self, name: &str) -> bool {
        self.members.get(name).is_some_and(|value| !value.is_null())
    }

    pub(super) fn is_text(&self, name: &str) -> bool {
        self.members.get(name).is_some_and(Value::is_string)
    }

    pub(super) fn required(
        &mut self,
        name: &str,
        length_max: usize,
    ) -> Result<String, InvalidParams> {
        let text = self.optional(name, length_max)?.ok_or(self.missing(name))?;
        if text.trim().is_empty() {
            return Err(self.invalid(name, "empty"));
        }
        Ok(text)
    }

    /// The same as [`BodyMembers::required`], without whitespace and invisible characters at the ends.
    pub(super) fn required_trimmed(
        &mut self,
        name: &str,
        length_max: usize,
    ) -> Result<String, InvalidParams> {
        self.trim(name);
        self.required(name, length_max)
    }

    /// The same as [`BodyMembers::optional`], without whitespace and invisible characters at the ends.
    pub(super) fn optional_trimmed(
        &mut self,
        name: &str,
        length_max: usize,
    ) -> Result<Option<String>, InvalidParams> {
        self.trim(name);
        self.optional(name, length_max)
    }

    fn trim(&mut self, name: &str) {
        if let Some(Value::String(text)) = self.members.get_mut(name)
            && !trimmed(text).is_empty()
        {
            *text = trimmed(text).to_owned();
        }
    }

    /// A name of a person: a text in which every character can be seen.
    pub(super) fn person_name(
        &mut self,
        name: &str,
        length_max: usize,
    ) -> Result<Option<String>, InvalidParams> {
        match self.optional_trimmed(name, length_max)? {
            Some(text) if text.trim().is_empty() => Ok(None),
            Some(text) if holds_invisible(&text) => Err(self.invalid(name, "invisible character")),
            text => Ok(text),
        }
    }

    pub(super) fn optional(
        &mut self,
        name: &str,
        length_max: usize,
    ) -> Result<Option<String>, InvalidParams> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) if text.chars().count() > length_max => {
                Err(self.invalid(name, "too long"))
            }
            Some(Value::String(text)) if holds_unprintable(&text) => {
                Err(self.invalid(name, "control character"))
            }
            Some(Value::String(text)) => Ok(Some(text).filter(|text| !text.is_empty())),
            Some(_) => Err(self.invalid(name, "not a string")),
        }
    }

    pub(super) fn object(
        &mut self,
        name: &str,
    ) -> Result<Option<Map<String, Value>>, InvalidParams> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Object(members)) => Ok(Some(members)),
            Some(_) => Err(self.invalid(name, "not an object")),
        }
    }

    /// An object, or a text that contains one: the documentation describes custom data as a JSON string and shows
    /// an object.
    pub(super) fn object_or_text(
        &mut self,
        name: &str,
    ) -> Result<Option<Map<String, Value>>, InvalidParams> {
        let object = match self.take(name) {
            None => return Ok(None),
            Some(Value::String(text)) if text.is_empty() => return Ok(None),
            Some(Value::Object(members)) => members,
            Some(Value::String(text)) => {
                let parsed = parse_customdata(&text);
                return parsed
                    .map(Some)
                    .map_err(|reason| self.invalid(name, reason));
            }
            Some(_) => return Err(self.invalid(name, "not an object")),
        };
        if holds_unstorable_member(&object) {
            return Err(self.invalid(name, "control character"));
        }
        Ok(Some(object))
    }

    pub(super) fn verification_method(
        &mut self,
    ) -> Result<Option<VerificationMethod>, InvalidParams> {
        let name = "verificationmethod";
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => VerificationMethod::parse_any_case(&text)
                .map(Some)
                .ok_or(self.invalid(name, "unknown")),
            Some(_) => Err(self.invalid(name, "not a string")),
        }
    }

    /// A one-time password: a secret text. What only separates its characters is dropped where it is compared.
    pub(super) fn one_time_password(
        &mut self,
        name: &str,
    ) -> Result<Option<Secret>, InvalidParams> {
        self.trim(name);
        self.secret(name)
    }

    /// Refuses a documented name that is written in another case: ignoring it as a free member would lose it.
    pub(super) fn refuse_other_case(
        &self,
        documented: &[(&str, &'static str)],
    ) -> Result<(), InvalidParams> {
        for name in self.members.keys() {
            let meant = documented
                .iter()
                .find(|(known, _)| *known != name && known.eq_ignore_ascii_case(name));
            if let Some((_, reason)) = meant {
                return Err(self.invalid(&public_name(name), reason));
            }
        }
        Ok(())
    }

    /// A secret text, which cannot be empty.
    pub(super) fn secret(&mut self, name: &str) -> Result<Option<Secret>, InvalidParams> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Err(self.invalid(name, "empty")),
            Some(Value::String(text)) if holds_unprintable(&text) => {
                Err(self.invalid(name, "control character"))
            }
            Some(Value::String(text)) => Ok(Some(Secret::from(text))),
            Some(_) => Err(self.invalid(name, "not a string")),
        }
    }

    /// Refuses undocumented members. A member that is `null` counts as not sent.
    pub(super) fn refuse_unknown(&self, documented: &[&str]) -> Result<(), InvalidParams> {
        let unknown = |(name, value): &(&String, &Value)| {
            !value.is_null() && !documented.contains(&name.as_str())
        };
        match self.members.iter().find(unknown) {
            None => Ok(()),
            Some((name, _)) => Err(InvalidParams {
                field: public_name(name),
                reason: "there is no such member",
            }),
        }
    }

    /// The members that were not read, without nulls and without [`NEVER_APPLIED`].
    pub(super) fn rest(self) -> Result<Map<String, Value>, InvalidParams> {
        let rest = self
            .members
            .into_iter()
            .filter(|(name, value)| !value.is_null() && !is_never_applied(name))
            .collect();
        if holds_unstorable_member(&rest) {
            return Err(invalid(
                self.path.trim_end_matches('.'),
                "control character",
            ));
        }
        Ok(rest)
    }

    pub(super) fn missing(&self, name: &str) -> InvalidParams {
        self.invalid(name, "missing")
    }

    pub(super) fn invalid(&self, name: &str, reason: &'static str) -> InvalidParams {
        InvalidParams {
            field: format!("{}{name}", self.path),
            reason,
        }
    }
}

pub(super) fn invalid(field: &str, reason: &'static str) -> InvalidParams {
    InvalidParams {
        field: field.to_owned(),
        reason,
    }
}

/// Parses `customdata` that was sent as a text.
///
/// # Errors
/// The reason: it is not the text of one JSON object, or contains a control character.
pub fn parse_customdata(text: &str) -> Result<Map<String, Value>, &'static str> {
    let object = strict_json::parse_object(text.as_bytes());
    let object = object.map_err(|_| "not the text of an object")?;
    match holds_unstorable_member(&object) {
        true => Err("control character"),
        false => Ok(object),
    }
}

/// Whether a member has one of the names of [`NEVER_APPLIED`], in any spelling.
pub fn is_never_applied(name: &str) -> bool {
    let folded: String = name
        .chars()
        .filter(|character| !matches!(character, '_' | '-'))
        .map(|character| character.to_ascii_lowercase())
        .collect();
    NEVER_APPLIED.contains(&folded.as_str())
}

/// Whether a value contains a control character. Line breaks and tabs are allowed in free members (a street address
/// has them).
fn holds_unstorable(value: &Value) -> bool {
    match value {
        Value::String(text) => text_is_unstorable(text),
        Value::Array(items) => items.iter().any(holds_unstorable),
        Value::Object(members) => holds_unstorable_member(members),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn holds_unstorable_member(members: &Map<String, Value>) -> bool {
    members
        .iter()
        .any(|(name, value)| text_is_unstorable(name) || holds_unstorable(value))
}

fn text_is_unstorable(text: &str) -> bool {
    text.chars().any(|character| {
        (character.is_control() && !matches!(character, '\t' | '\n' | '\r'))
            || is_noncharacter(character)
    })
}

/// Members of `userdata` that are ignored, and names that no attribute of a user may have: they would grant rights,
/// claim a verification, name a record, or disturb a handler written in a language with prototypes. Compared
/// without case, `_` and `-`. A nested `password` is among them: only the top-level one counts.
pub const NEVER_APPLIED: [&str; 42] = [
    "accountid",
    "active",
    "admin",
    "constructor",
    "contactid",
    "createdat",
    "createdby",
    "createdbyid",
    "createddate",
    "emailverified",
    "federationidentifier",
    "groups",
    "id",
    "isactive",
    "isadmin",
    "isemailverified",
    "isfrozen",
    "isintegration",
    "islocked",
    "ismobileverified",
    "isphoneverified",
    "locked",
    "mobileverified",
    "networkid",
    "newpassword",
    "organizationid",
    "otp",
    "ownerid",
    "password",
    "permissions",
    "permissionsets",
    "phonenumberverified",
    "phoneverified",
    "profile",
    "profileid",
    "proto",
    "prototype",
    "role",
    "roles",
    "userid",
    "userroleid",
    "usertype",
];
