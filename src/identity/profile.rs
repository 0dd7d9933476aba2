//! A profile: the kind of user, with its password policy.

use vestibule_protocol::words;

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

words! {
    /// The `user_type` of the identity URL and of userinfo.
    pub enum UserType {
        /// An external user of a site; the kind that registers.
        CspLitePortal = "CSP_LITE_PORTAL",
        /// An internal user, such as the integration user of a private client.
        Standard = "STANDARD",
    }
}
