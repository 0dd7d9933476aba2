//! A user: the person (or the service) that tokens speak for.

use serde_json::{Map, Value};

use crate::moment::Moment;
use crate::refusal::Refusal;

/// Attributes of a user that have no column of their own.
pub type Attributes = Map<String, Value>;

/// A named user.
#[derive(Clone, Debug)]
pub struct User {
    /// Record id, `005…`; never used again for somebody else.
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
    /// Everything that the registration brought and that has no column.
    pub attributes: Attributes,
    /// Whether this is a service's user rather than a person's.
    pub is_integration: bool,
    /// When the address proved itself.
    pub email_verified_at: Option<Moment>,
    /// When the phone number proved itself.
    pub phone_verified_at: Option<Moment>,
    /// When an administrator locked it.
    pub locked_at: Option<Moment>,
    /// When it was disabled.
    pub disabled_at: Option<Moment>,
    /// Counts how often all sessions were ended. A code or token holds the number it was issued
    /// under and is good for as long as that is the user's.
    pub session_generation: i64,
    /// When it was made.
    pub created_at: Moment,
    /// When it last changed.
    pub updated_at: Moment,
}

impl User {
    /// Whether the user may hold tokens at all.
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

/// The offset of a time zone without summer time, in milliseconds; 0 when the zone is unknown. `at` chooses
/// the rules that hold for the zone at that time.
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
