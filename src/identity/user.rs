//! A user: the person (or the service) that is the subject of tokens.

use serde_json::{Map, Value};

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
