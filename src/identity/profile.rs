//! A profile: the kind of user, with its password policy.

use serde::{Deserialize, Serialize};

use super::password::PasswordPolicy;
use crate::moment::Moment;

/// A profile.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Record id, `00e…`.
    pub id: String,
    /// Unique name.
    pub name: String,
    /// The user type that its users have on the wire.
    pub user_type: UserType,
    /// The policy for its users' passwords.
    pub password_policy: PasswordPolicy,
    /// When it was created.
    pub created_at: Moment,
}

/// The `user_type` of the identity URL and of userinfo.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum UserType {
    /// An external user of a site; the kind that registers.
    CspLitePortal,
    /// An internal user, such as the integration user of a private client.
    Standard,
}

impl UserType {
    /// The value on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            UserType::CspLitePortal => "CSP_LITE_PORTAL",
            UserType::Standard => "STANDARD",
        }
    }

    /// Parses the value.
    pub fn parse(word: &str) -> Option<UserType> {
        [UserType::CspLitePortal, UserType::Standard]
            .into_iter()
            .find(|t| t.as_str() == word)
    }
}
