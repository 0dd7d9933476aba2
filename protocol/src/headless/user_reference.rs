//! Which user a request names: by the exact username, or by a hint that the discovery handler resolves.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::members::{BodyMembers, invalid};
use super::{HINT_LENGTH_MAX, InvalidParams};

/// The three members by which a request names a user.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct UserReference {
    /// The exact username.
    pub username: Option<String>,
    /// The value by which the discovery handler finds a user.
    pub login_hint: Option<String>,
    /// For the discovery handler.
    pub customdata: Option<Map<String, Value>>,
}

impl UserReference {
    /// The user with exactly this username.
    pub fn of_username(username: String) -> UserReference {
        UserReference {
            username: Some(username),
            ..UserReference::default()
        }
    }

    /// What was sent: the username, or else the hint.
    pub fn text(&self) -> Option<&str> {
        self.username.as_deref().or(self.login_hint.as_deref())
    }

    /// Removes and returns the members. Whether one of them is present is [`UserReference::check_present`].
    pub(super) fn read(body: &mut BodyMembers) -> Result<UserReference, InvalidParams> {
        Ok(UserReference {
            username: body.optional_trimmed("username", HINT_LENGTH_MAX)?,
            login_hint: body.optional_trimmed("login_hint", HINT_LENGTH_MAX)?,
            customdata: body.object_or_text("customdata")?,
        })
    }

    /// Checks that a user is named at all.
    pub(super) fn check_present(&self) -> Result<(), InvalidParams> {
        match self.text() {
            Some(_) => Ok(()),
            None => Err(invalid("username", "missing")),
        }
    }
}

impl fmt::Debug for UserReference {
    /// Omits personal data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserReference").finish_non_exhaustive()
    }
}
