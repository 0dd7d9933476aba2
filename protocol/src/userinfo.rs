//! The userinfo endpoint.
//!
//! This file owns the members of its response (OpenID Connect Core 5.1 and 5.3.2, UserInfo Endpoint). Which claims
//! a token may read belongs to the server: a claim that is `None` is left out.
//!
//! Two members differ from OpenID Connect and agree with the imitated service: `updated_at` is a text, and
//! `phone_number_verified` is next to `utcOffset`.

use serde::Serialize;

use crate::format::{Format, Layout, render_members};
use crate::identity::{Photos, Urls, members_of};

/// The response of the userinfo endpoint.
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
    /// The email address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Whether the address was verified.
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
    /// Whether the phone number was verified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone_number_verified: Option<bool>,
    /// Whether the user is an integration user of the imitated service; false for customers.
    pub is_salesforce_integration_user: bool,
    /// The URLs of other APIs.
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
    /// When the user was last changed, such as `2026-01-05T10:00:00Z`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<String>,
    /// Always true: a token was issued.
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
    /// The body of the response; `layout` follows the header `X-PrettyPrint`.
    pub fn render(&self, format: Format, layout: Layout) -> String {
        match (format, layout) {
            // The common case is written straight from the structure.
            (Format::Json, Layout::Compact) => {
                serde_json::to_string(self).expect("a structure of texts is always JSON")
            }
            _ => render_members(format, "user", &members_of(self), layout),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn json_of(info: &UserInfo) -> Value {
        serde_json::from_str(&info.render(Format::Json, Layout::Compact)).unwrap()
    }

    #[test]
    fn claims_that_were_not_granted_are_left_out_and_never_null() {
        let info = UserInfo {
            sub: "https://s.example/id/00D000000000001EAA/005000000000001AAA".to_owned(),
            user_id: "005000000000001AAA".to_owned(),
            organization_id: "00D000000000001EAA".to_owned(),
            active: true,
            user_type: "CSP_LITE_PORTAL".to_owned(),
            is_app_installed: true,
            ..UserInfo::default()
        };
        assert_eq!(
            json_of(&info),
            json!({
                "sub": "https://s.example/id/00D000000000001EAA/005000000000001AAA",
                "user_id": "005000000000001AAA",
                "organization_id": "00D000000000001EAA",
                "is_salesforce_integration_user": false,
                "active": true,
                "user_type": "CSP_LITE_PORTAL",
                "is_app_installed": true,
            })
        );
    }

    #[test]
    fn claims_have_the_names_and_types_of_the_documentation() {
        let answer = json_of(&UserInfo {
            email: Some("janice.edwards@example.com".to_owned()),
            email_verified: Some(true),
            phone_number: Some("+4930123456".to_owned()),
            phone_number_verified: Some(false),
            address: Some(Address {
                locality: Some("Berlin".to_owned()),
                ..Address::default()
            }),
            photos: Some(Photos {
                picture: "p".to_owned(),
                thumbnail: "t".to_owned(),
            }),
            urls: Some(Urls::below("https://s.example", "005", None)),
            utc_offset: Some(-18_000_000),
            updated_at: Some("2026-01-05T10:00:00Z".to_owned()),
            ..UserInfo::default()
        });
        assert_eq!(answer["email_verified"], true);
        assert_eq!(answer["phone_number_verified"], false);
        assert_eq!(answer["address"], json!({"locality": "Berlin"}));
        assert_eq!(answer["utcOffset"], -18_000_000);
        assert!(answer["updated_at"].is_string());
        assert_eq!(answer["urls"].as_object().unwrap().len(), 14);
    }

    #[test]
    fn xml_is_rooted_in_user() {
        let xml = UserInfo::default().render(Format::Xml, Layout::Compact);
        assert!(xml.contains("?><user><sub></sub>"));
        assert!(xml.ends_with("</user>"));
    }
}
