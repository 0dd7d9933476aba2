//! The identity URL: `GET /id/<organization>/<user>`.
//!
//! This file owns the members of its response and the objects it shares with userinfo. The mobile SDKs read it
//! after every token response and stop at the first child that `photos` or `urls` lacks, so both are complete or
//! absent; the types below allow nothing else. Which claims a token may read belongs to the server. Source:
//! Identity URLs.

use serde::Serialize;

use crate::format::{Format, Layout, Members, render_members};

/// The response of the identity URL. A member that is `None` is `null` on the wire, except `photos`, `urls` and the
/// two `custom_` members, which are left out.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Identity {
    /// The identity URL itself.
    pub id: String,
    /// Always true: the caller's own token asserted the user.
    pub asserted_user: bool,
    /// The user's identifier.
    pub user_id: String,
    /// The organization's identifier.
    pub organization_id: String,
    /// The username.
    pub username: Option<String>,
    /// The nickname.
    pub nick_name: Option<String>,
    /// The full name.
    pub display_name: Option<String>,
    /// The email address.
    pub email: Option<String>,
    /// Whether the address was verified.
    pub email_verified: Option<bool>,
    /// The given name.
    pub first_name: Option<String>,
    /// The family name.
    pub last_name: Option<String>,
    /// The time zone, by its IANA name.
    pub timezone: Option<String>,
    /// The pictures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub photos: Option<Photos>,
    /// The street and house number.
    pub addr_street: Option<String>,
    /// The city.
    pub addr_city: Option<String>,
    /// The state or region.
    pub addr_state: Option<String>,
    /// The country.
    pub addr_country: Option<String>,
    /// The postal code.
    pub addr_zip: Option<String>,
    /// The mobile phone number.
    pub mobile_phone: Option<String>,
    /// Whether the mobile phone number was verified.
    pub mobile_phone_verified: bool,
    /// The user's public note.
    pub status: Status,
    /// The URLs of other APIs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub urls: Option<Urls>,
    /// Whether the user may log in.
    pub active: bool,
    /// The kind of user, such as `CSP_LITE_PORTAL`.
    pub user_type: String,
    /// The language, such as `en_US`.
    pub language: String,
    /// The locale, such as `de_DE`.
    pub locale: String,
    /// The offset of the time zone from UTC without summer time, in milliseconds.
    #[serde(rename = "utcOffset")]
    pub utc_offset: i64,
    /// When the user was last changed, such as `2026-01-05T10:00:00Z`: neither mobile SDK reads a fraction.
    pub last_modified_date: String,
    /// Always true: a token was issued, so the app is installed.
    pub is_app_installed: bool,
    /// The attributes a client is configured to see.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub custom_attributes: Option<Members>,
    /// The permissions a client is configured to see.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub custom_permissions: Option<Members>,
}

/// The pictures of a user, both or neither.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Photos {
    /// The URL of the full picture.
    pub picture: String,
    /// The URL of the small picture.
    pub thumbnail: String,
}

/// The public note of a user; empty unless one was written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Status {
    /// When it was written, in the format of `last_modified_date`.
    pub created_date: Option<String>,
    /// Its text.
    pub body: Option<String>,
}

/// The URLs of the APIs of a full installation of the imitated service. Vestibule serves none of them; they are
/// present because callers stop reading without them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs)] // Each member is the address of the interface it is named after.
pub struct Urls {
    pub enterprise: String,
    pub metadata: String,
    pub partner: String,
    pub rest: String,
    pub sobjects: String,
    pub search: String,
    pub query: String,
    pub recent: String,
    pub profile: String,
    pub feeds: String,
    pub groups: String,
    pub users: String,
    pub feed_items: String,
    pub custom_domain: String,
}

impl Photos {
    /// The pictures of every user: both members name the standard picture below the base URL of the site.
    /// Both are always sent, because the mobile SDKs stop parsing at a missing one.
    pub fn below(base_url: &str) -> Photos {
        Photos {
            picture: format!("{base_url}/profilephoto/005/F"),
            thumbnail: format!("{base_url}/profilephoto/005/T"),
        }
    }
}

impl Urls {
    /// All of them, below the base URL of the site (without a trailing slash). `version` is the query parameter of
    /// that name: a number such as `60.0`, or `latest`, replaces `{version}`; anything else leaves the placeholder
    /// unchanged.
    pub fn below(base_url: &str, user_id: &str, version: Option<&str>) -> Urls {
        let version = match version {
            Some("latest") => VERSION_LATEST,
            Some(number) if is_version(number) => number,
            _ => "{version}",
        };
        let soap = |interface: &str| format!("{base_url}/services/Soap/{interface}/{version}/");
        let data = |path: &str| format!("{base_url}/services/data/v{version}/{path}");
        Urls {
            enterprise: soap("c"),
            metadata: soap("m"),
            partner: soap("u"),
            rest: data(""),
            sobjects: data("sobjects/"),
            search: data("search/"),
            query: data("query/"),
            recent: data("recent/"),
            profile: format!("{base_url}/{user_id}"),
            feeds: data("chatter/feeds"),
            groups: data("chatter/groups"),
            users: data("chatter/users"),
            feed_items: data("chatter/feed-items"),
            custom_domain: base_url.to_owned(),
        }
    }
}

/// The meaning of `latest`: the version of the documentation that Vestibule follows.
const VERSION_LATEST: &str = "66.0";

/// Digits and dots, five at most, starting with a digit: nothing that could change a URL.
fn is_version(text: &str) -> bool {
    text.len() <= 5
        && text.starts_with(|c: char| c.is_ascii_digit())
        && text.bytes().all(|b| b.is_ascii_digit() || b == b'.')
}

impl Identity {
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

/// The members of a response structure, in the order of its fields.
pub(crate) fn members_of(answer: &impl Serialize) -> Members {
    match serde_json::to_value(answer) {
        Ok(serde_json::Value::Object(members)) => members,
        _ => unreachable!("a structure of texts and numbers serializes to an object"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn identity() -> Identity {
        Identity {
            id: "https://s.example/id/00D000000000001EAA/005000000000001AAA".to_owned(),
            asserted_user: true,
            user_id: "005000000000001AAA".to_owned(),
            organization_id: "00D000000000001EAA".to_owned(),
            username: Some("jedwards@myapp.com".to_owned()),
            nick_name: None,
            display_name: Some("Janice Edwards".to_owned()),
            email: None,
            email_verified: Some(true),
            first_name: None,
            last_name: None,
            timezone: Some("Europe/Berlin".to_owned()),
            photos: Some(Photos {
                picture: "https://s.example/F".to_owned(),
                thumbnail: "https://s.example/T".to_owned(),
            }),
            addr_street: None,
            addr_city: None,
            addr_state: None,
            addr_country: None,
            addr_zip: None,
            mobile_phone: None,
            mobile_phone_verified: false,
            status: Status::default(),
            urls: Some(Urls::below("https://s.example", "005000000000001AAA", None)),
            active: true,
            user_type: "CSP_LITE_PORTAL".to_owned(),
            language: "en_US".to_owned(),
            locale: "en_US".to_owned(),
            utc_offset: 3_600_000,
            last_modified_date: "2026-01-05T10:00:00Z".to_owned(),
            is_app_installed: true,
            custom_attributes: None,
            custom_permissions: None,
        }
    }

    fn json_of(identity: &Identity) -> Value {
        serde_json::from_str(&identity.render(Format::Json, Layout::Compact)).unwrap()
    }

    #[test]
    fn every_member_the_sdks_read_is_present() {
        let answer = json_of(&identity());
        for name in [
            "id",
            "asserted_user",
            "user_id",
            "organization_id",
            "username",
            "nick_name",
            "display_name",
            "email",
            "email_verified",
            "first_name",
            "last_name",
            "timezone",
            "photos",
            "addr_street",
            "addr_city",
            "addr_state",
            "addr_country",
            "addr_zip",
            "mobile_phone",
            "mobile_phone_verified",
            "status",
            "urls",
            "active",
            "user_type",
            "language",
            "locale",
            "utcOffset",
            "last_modified_date",
            "is_app_installed",
        ] {
            assert!(answer.get(name).is_some(), "{name}");
        }
        assert!(answer["addr_city"].is_null());
        assert!(answer["utcOffset"].is_i64());
        assert_eq!(answer["last_modified_date"], "2026-01-05T10:00:00Z");
        assert_eq!(answer["status"].as_object().unwrap().len(), 2);
    }

    // A strict reader throws at the first missing child.
    #[test]
    fn photos_and_urls_are_complete_or_absent() {
        let answer = json_of(&identity());
        for name in [
            "enterprise",
            "metadata",
            "partner",
            "rest",
            "sobjects",
            "search",
            "query",
            "recent",
            "profile",
            "feeds",
            "groups",
            "users",
            "feed_items",
            "custom_domain",
        ] {
            assert!(answer["urls"][name].is_string(), "{name}");
        }
        assert!(answer["photos"]["picture"].is_string());
        assert!(answer["photos"]["thumbnail"].is_string());
        let answer = json_of(&Identity {
            photos: None,
            urls: None,
            ..identity()
        });
        assert!(answer.get("photos").is_none() && answer.get("urls").is_none());
    }

    #[test]
    fn a_version_fills_the_urls_and_junk_does_not() {
        let rest = |version| Urls::below("https://s.example", "005", version).rest;
        assert_eq!(rest(None), "https://s.example/services/data/v{version}/");
        assert_eq!(rest(Some("60.0")), "https://s.example/services/data/v60.0/");
        assert_eq!(
            rest(Some("latest")),
            "https://s.example/services/data/v66.0/"
        );
        for junk in ["LATEST", "", "../..", "60.0/x", "600000", ".0"] {
            assert_eq!(rest(Some(junk)), rest(None), "{junk}");
        }
    }

    #[test]
    fn the_other_formats_are_rooted_in_user() {
        let xml = identity().render(Format::Xml, Layout::Compact);
        assert!(xml.contains("<user xmlns:xsi="));
        assert!(xml.contains("<photos><picture>https://s.example/F</picture>"));
        assert!(xml.contains(r#"<addr_city xsi:nil="true"/>"#));
        let form = identity().render(Format::UrlEncoded, Layout::Compact);
        assert!(form.contains("&photos.thumbnail=https%3A%2F%2Fs.example%2FT&"));
        let pretty = identity().render(Format::Json, Layout::Pretty);
        assert!(pretty.starts_with("{\n  \"id\": \"https://"));
    }
}
