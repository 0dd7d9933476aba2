//! An account: the company or household that users belong to.

use crate::moment::Moment;

/// An account.
#[derive(Clone, Debug)]
pub struct Account {
    /// Record id, `001…`.
    pub id: String,
    /// Name as entered.
    pub name: String,
    /// When it was created.
    pub created_at: Moment,
}

impl Account {
    /// The form in which names are compared: ignoring case and outer whitespace. Folding is done here and not by a
    /// database, so that both databases agree.
    pub fn name_key(name: &str) -> String {
        name.trim().to_lowercase()
    }
}
