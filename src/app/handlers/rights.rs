//! What a handler may look up: the rights of the *Run As* user.

use crate::identity::{User, UserType};
use crate::settings::Settings;

/// The users and accounts that a handler may look up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The users of one account, and that account.
    Account(String),
    /// No user and no account.
    Nothing,
    /// The members of the site, and all accounts.
    Site,
}

impl Reach {
    /// The rights of a *Run As* user: an internal one sees the site, an external one the users of their account.
    pub fn of(run_as: &User, user_type: UserType) -> Reach {
        match (user_type, &run_as.account_id) {
            (UserType::Standard, _) => Reach::Site,
            (_, Some(account_id)) => Reach::Account(account_id.clone()),
            (_, None) => Reach::Nothing,
        }
    }

    /// Whether a user may be looked up. An integration user never may, and an internal one only where the site
    /// lists its profile as a member: no handler can look up an administrator.
    pub fn sees_user(&self, settings: &Settings, user: &User, user_type: UserType) -> bool {
        let is_open = settings.member_profiles.is_empty();
        let is_member =
            settings.admits(&user.profile_id) && !(is_open && user_type == UserType::Standard);
        let is_within = match self {
            Reach::Account(account_id) => user.account_id.as_ref() == Some(account_id),
            Reach::Nothing => false,
            Reach::Site => true,
        };
        is_within && is_member && !user.is_integration
    }

    /// Whether an account may be looked up.
    pub fn sees_account(&self, account_id: &str) -> bool {
        match self {
            Reach::Account(own) => own == account_id,
            Reach::Nothing => false,
            Reach::Site => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::testing::janice;

    const CUSTOMERS: &str = "00e000000000001AAA";
    const INTERNAL: &str = "00e000000000002AAA";

    fn user(profile_id: &str, account_id: Option<&str>, is_integration: bool) -> User {
        User {
            profile_id: profile_id.into(),
            account_id: account_id.map(str::to_owned),
            is_integration,
            ..janice()
        }
    }

    fn type_of(user: &User) -> UserType {
        match user.profile_id == CUSTOMERS {
            true => UserType::CspLitePortal,
            false => UserType::Standard,
        }
    }

    #[test]
    fn an_internal_user_reaches_the_site_and_an_external_one_its_account() {
        let reach = |run_as: User| Reach::of(&run_as, type_of(&run_as));
        assert_eq!(reach(user(INTERNAL, None, true)), Reach::Site);
        assert_eq!(reach(user(INTERNAL, Some("001a"), false)), Reach::Site);
        assert_eq!(
            reach(user(CUSTOMERS, Some("001a"), false)),
            Reach::Account("001a".into())
        );
        assert_eq!(reach(user(CUSTOMERS, None, false)), Reach::Nothing);
        // An integration user with a customer's profile has a customer's rights.
        assert_eq!(reach(user(CUSTOMERS, None, true)), Reach::Nothing);
    }

    #[test]
    fn hnd_05_a_visible_user_is_a_member_within_reach_and_not_a_service() {
        let named = |profiles: &[&str]| Settings {
            member_profiles: profiles.iter().map(|p| (*p).to_owned()).collect(),
            ..Settings::default()
        };
        let account = || Reach::Account("001a".into());
        for (reach, members, user, is_seen) in [
            (
                Reach::Site,
                &[CUSTOMERS][..],
                user(CUSTOMERS, None, false),
                true,
            ),
            (Reach::Site, &[][..], user(CUSTOMERS, None, false), true),
            (
                Reach::Site,
                &[CUSTOMERS],
                user(CUSTOMERS, None, true),
                false,
            ),
            (
                Reach::Site,
                &[CUSTOMERS],
                user(INTERNAL, None, false),
                false,
            ),
            (Reach::Site, &[], user(INTERNAL, None, false), false),
            (Reach::Site, &[INTERNAL], user(INTERNAL, None, false), true),
            (Reach::Site, &[INTERNAL], user(INTERNAL, None, true), false),
            (
                Reach::Site,
                &[INTERNAL],
                user(CUSTOMERS, None, false),
                false,
            ),
            (
                account(),
                &[CUSTOMERS],
                user(CUSTOMERS, Some("001a"), false),
                true,
            ),
            (
                account(),
                &[CUSTOMERS],
                user(CUSTOMERS, Some("001b"), false),
                false,
            ),
            (account(), &[CUSTOMERS], user(CUSTOMERS, None, false), false),
            (
                account(),
                &[CUSTOMERS],
                user(CUSTOMERS, Some("001a"), true),
                false,
            ),
            (
                Reach::Nothing,
                &[CUSTOMERS],
                user(CUSTOMERS, None, false),
                false,
            ),
        ] {
            let sees = reach.sees_user(&named(members), &user, type_of(&user));
            assert_eq!(sees, is_seen, "{reach:?} {members:?} {user:?}");
        }
        assert!(Reach::Site.sees_account("001b"));
        assert!(account().sees_account("001a") && !account().sees_account("001b"));
        assert!(!Reach::Nothing.sees_account("001a"));
    }
}
