//! A user: the person (or the service) that is the subject of tokens.

use serde_json::{Map, Value};
use vestibule_protocol::headless::VerificationMethod;

use crate::moment::Moment;
use crate::refusal::Refusal;

/// Attributes of a user that have no column of their own.
pub type Attributes = Map<String, Value>;

/// A named user.
#[derive(Clone, Debug)]
pub struct User {
    /// Record id, `005…`; never reused for another user.
    pub id: String,
    /// Username as entered.
    pub username: String,
    /// Username as compared (RFC 8265, UsernameCaseMapped); unique.
    pub username_key: String,
    /// Address as entered.
    pub email: String,
    /// Address as compared.
    pub email_key: String,
    /// Phone number in E.164 form.
    pub phone: Option<String>,
    /// Given name.
    pub first_name: Option<String>,
    /// Family name.
    pub last_name: String,
    /// The profile's record id.
    pub profile_id: String,
    /// The account's record id.
    pub account_id: Option<String>,
    /// Language and region, such as `en_US`.
    pub locale: String,
    /// IANA time zone name.
    pub timezone: String,
    /// Attributes from the registration that have no column.
    pub attributes: Attributes,
    /// Whether this user represents a service and not a person.
    pub is_integration: bool,
    /// When the address was verified.
    pub email_verified_at: Option<Moment>,
    /// When the phone number was verified.
    pub phone_verified_at: Option<Moment>,
    /// When an administrator locked the user.
    pub locked_at: Option<Moment>,
    /// When the user was disabled.
    pub disabled_at: Option<Moment>,
    /// Counts how often all sessions were ended. A code or token stores the number at its issue and is valid while
    /// the user's number is the same.
    pub session_generation: i64,
    /// When the user was created.
    pub created_at: Moment,
    /// When the user was last changed.
    pub updated_at: Moment,
}

impl User {
    /// Checks that the user may have tokens.
    ///
    /// # Refusals
    /// `UserDisabled`, `UserLocked`.
    pub fn check_active(&self) -> Result<(), Refusal> {
        if self.disabled_at.is_some() {
            return Err(Refusal::UserDisabled);
        }
        if self.locked_at.is_some() {
            return Err(Refusal::UserLocked);
        }
        Ok(())
    }

    /// The address or the number that a channel reaches, as it is compared; empty without a number.
    pub fn contact(&self, channel: VerificationMethod) -> &str {
        match channel {
            VerificationMethod::Email => &self.email_key,
            VerificationMethod::Sms => self.phone.as_deref().unwrap_or_default(),
        }
    }

    /// The state that a decision about the user rests on: the end of all sessions, and the contact of each of
    /// `channels`.
    pub fn snapshot(&self, channels: &[VerificationMethod]) -> UserSnapshot {
        let contact = |channel: &VerificationMethod| (*channel, self.contact(*channel).to_owned());
        UserSnapshot {
            session_generation: self.session_generation,
            contacts: channels.iter().map(contact).collect(),
        }
    }

    /// Whether a decision that was made about the user is still valid: the user is active, no end of all sessions
    /// came in between (threat LOCK-04), and the contacts that the decision rests on are the same.
    ///
    /// Each last write of a flow asks this about the user as it reads it. What the snapshot holds differs:
    ///
    /// * a password: no contact, because the password alone identifies the user;
    /// * a code: the contact of the channel that the code was sent by. The other contact may change between the two
    ///   requests, which are minutes apart;
    /// * an existing user that a registration is attached to: both contacts, because the handler chose the user by what it
    ///   saw of them, a moment ago.
    pub fn is_still(&self, seen: &UserSnapshot) -> bool {
        let is_same =
            |(channel, contact): &(VerificationMethod, String)| self.contact(*channel) == contact;
        self.check_active().is_ok()
            && self.session_generation == seen.session_generation
            && seen.contacts.iter().all(is_same)
    }

    /// Given and family name, as people write them.
    pub fn display_name(&self) -> String {
        match &self.first_name {
            Some(first) => format!("{first} {}", self.last_name),
            None => self.last_name.clone(),
        }
    }

    /// The part of the username before the `@`.
    pub fn nickname(&self) -> &str {
        self.username.split('@').next().unwrap_or(&self.username)
    }

    /// [`utc_offset_millis`] of the user's time zone.
    pub fn utc_offset_millis(&self, at: Moment) -> i64 {
        utc_offset_millis(&self.timezone, at)
    }
}

/// The state of a user that a decision rests on; [`User::is_still`] compares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserSnapshot {
    /// How often all sessions of the user had ended.
    pub session_generation: i64,
    /// The contact of each channel that the decision rests on.
    pub contacts: Vec<(VerificationMethod, String)>,
}

/// The offset of a time zone without summer time, in milliseconds; 0 when the zone is unknown. `at` selects the
/// rules that the zone has at that time.
pub fn utc_offset_millis(timezone: &str, at: Moment) -> i64 {
    let offset = || {
        let zone = jiff::tz::TimeZone::get(timezone).ok()?;
        let at = jiff::Timestamp::from_millisecond(at.millis()).ok()?;
        let info = zone.to_offset_info(at);
        let offset = if info.dst().is_dst() {
            zone.following(at)
                .find(|next| !next.dst().is_dst())?
                .offset()
        } else {
            info.offset()
        };
        Some(i64::from(offset.seconds()) * 1000)
    };
    offset().unwrap_or(0)
}

/// A user for tests of any module.
#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// A user with an address and a number that are not verified.
    pub(crate) fn janice() -> User {
        User {
            id: "005000000000001AAA".into(),
            username: "janice@example.com".into(),
            username_key: "janice@example.com".into(),
            email: "janice@example.com".into(),
            email_key: "janice@example.com".into(),
            phone: Some("+15551234567".into()),
            first_name: None,
            last_name: "Edwards".into(),
            profile_id: "00e000000000001AAA".into(),
            account_id: None,
            locale: "en_US".into(),
            timezone: "UTC".into(),
            attributes: Attributes::new(),
            is_integration: false,
            email_verified_at: None,
            phone_verified_at: None,
            locked_at: None,
            disabled_at: None,
            session_generation: 3,
            created_at: Moment::from_millis(0),
            updated_at: Moment::from_millis(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::testing::janice;
    use super::*;

    #[test]
    fn lock_04_a_decision_is_valid_for_the_user_that_it_was_made_about_only() {
        const EMAIL: &[VerificationMethod] = &[VerificationMethod::Email];
        const SMS: &[VerificationMethod] = &[VerificationMethod::Sms];
        const BOTH: &[VerificationMethod] = &VerificationMethod::ALL;
        let at = Moment::from_millis(1);
        type Change = fn(User, Moment) -> User;
        let unchanged: Change = |user, _| user;
        let renamed: Change = |user, at| User {
            last_name: "Miller".into(),
            updated_at: at,
            ..user
        };
        let locked: Change = |user, at| User {
            locked_at: Some(at),
            ..user
        };
        let disabled: Change = |user, at| User {
            disabled_at: Some(at),
            ..user
        };
        let ended: Change = |user, _| User {
            session_generation: 4,
            ..user
        };
        let moved: Change = |user, _| User {
            email_key: "j@example.org".into(),
            ..user
        };
        let other_number: Change = |user, _| User {
            phone: Some("+15557654321".into()),
            ..user
        };
        let no_number: Change = |user, _| User {
            phone: None,
            ..user
        };
        // For each change: whether a decision by a password, by a mailed code, by a texted code and about both
        // contacts is still valid.
        for (name, change, expected) in [
            ("unchanged", unchanged, [true; 4]),
            ("renamed", renamed, [true; 4]),
            ("locked", locked, [false; 4]),
            ("disabled", disabled, [false; 4]),
            ("sessions ended", ended, [false; 4]),
            ("another address", moved, [true, false, true, false]),
            ("another number", other_number, [true, true, false, false]),
            ("no number", no_number, [true, true, false, false]),
        ] {
            let now = change(janice(), at);
            let found = [&[][..], EMAIL, SMS, BOTH]
                .map(|rests_on| now.is_still(&janice().snapshot(rests_on)));
            assert_eq!(found, expected, "{name}");
        }
    }
}
