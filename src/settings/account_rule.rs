//! Which account a newly registered user belongs to.

use serde::{Deserialize, Serialize};
use vestibule_protocol::words;

/// The rule by which a registration is linked to an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AccountRule {
    /// How the account is found.
    pub rule: AccountRuleKind,
    /// The account's name, for `shared`.
    pub name: Option<String>,
    /// The member of `customdata` that names the account, for `customdata`.
    pub member: Option<String>,
    /// Whether an account that does not exist is made; otherwise the registration fails.
    pub create: bool,
}

words! {
    /// How the account is found.
    pub enum AccountRuleKind {
        /// By the name that a member of `customdata` carries.
        Customdata = "customdata",
        /// Users have no account.
        None = "none",
        /// Each user has a separate account, named after the user.
        Own = "own",
        /// All users share one account.
        Shared = "shared",
    }
}

impl Default for AccountRule {
    fn default() -> Self {
        AccountRule {
            rule: AccountRuleKind::Own,
            name: None,
            member: None,
            create: true,
        }
    }
}

impl AccountRule {
    /// Checks that the rule has what it needs.
    ///
    /// # Errors
    /// A sentence that says what is missing.
    pub fn validate(&self) -> Result<(), &'static str> {
        match self.rule {
            AccountRuleKind::Customdata if self.member.is_none() => {
                Err("rule \"customdata\" needs the `member` of customdata that names the account")
            }
            AccountRuleKind::Shared if self.name.is_none() => {
                Err("rule \"shared\" needs the `name` of the account")
            }
            _ => Ok(()),
        }
    }
}
