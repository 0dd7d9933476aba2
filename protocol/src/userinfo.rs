//! The userinfo endpoint.
//!
//! This file owns the members of its answer (OpenID Connect Core 5.1 and 5.3.2, UserInfo Endpoint).
//! Which claims a token may see belongs to the server: a claim that is `None` is left out.
//!
//! Two members differ from OpenID Connect and agree with the imitated service: `updated_at` is a
//! text, and `phone_number_verified` keeps company with `utcOffset`.

use serde::Serialize;

use crate::format::{Format, Layout, render_members};
use crate::identity::{Photos, Urls, members_of};

/// The answer of the userinfo endpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct UserInfo {
    /// The subject: the identity URL, the same text as in the id_token.
    pub sub: String,
    /// The user's identifier.
    pub user_id: String,
    /// The organization's identifier.
    pub organization_id: String,
    /// The username.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preferred_username: Option<String>,
    /// The nickname.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nickname: Option<String>,
    /// The full name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The address of mail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Whether the address was proven.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email_verified: Option<bool>,
    /// The given name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub given_name: Option<String>,
    /// The family name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub family_name: Option<String>,
    /// The time zone, by its IANA name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zoneinfo: Option<String>,
    /// The pictures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub photos: Option<Photos>,
    /// The URL of the user's page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// The URL of the user's picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub picture: Option<String>,
    /// The postal address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<Address>,
    /// The phone number, in E.164.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone_number: Option<String>,
    /// Whether the phone number was proven.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone_number_verified: Option<bool>,
    /// Whether the user stands for a program of the imitated service's own; false for customers.
    pub is_salesforce_integration_user: bool,
    /// The addresses of other interfaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub urls: Option<Urls>,
    /// Whether the user may log in.
    pub active: bool,
    /// The kind of user, such as `CSP_LITE_PORTAL`.
    pub user_type: String,
    /// The language, such as `en_US`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// The locale, such as `de_DE`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// The offset of the time zone from UTC without summer time, in milliseconds.
    #[serde(rename = "utcOffset", skip_serializing_if = "Option::is_none")]
    pub utc_offset: Option<i64>,
    /// When the user was last changed; see [`crate::identity::render_instant`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<String>,
    /// True when a token was issued, which is always.
    pub is_app_installed: bool,
}

/// A postal address (OpenID Connect Core 5.1.1).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Address {
    /// Street and house number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub street_address: Option<String>,
    /// City.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locality: Option<String>,
    /// State or region.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Postal code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub postal_code: Option<String>,
    /// Country.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
}

impl UserInfo {
    /// The body of the answer; `layout` follows the header `X-PrettyPrint`.
    pub fn render(&self, format: Format, layout: Layout) -> String {
        render_members(format, "user", &members_of(self), layout)
    }
}
