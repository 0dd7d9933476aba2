//! Settings: what an administrator decides about a site, under the documented names.
//!
//! A site is one public login domain with its own settings (`NetworkAuthApiSettings` and the Login
//! & Registration page). Settings live in the database and need no restart; what the process needs
//! to run is not here but in `config.rs`. Everything is validated before anything is changed.

mod account_rule;
mod api;
mod check;
mod discovery;
mod file;
mod handlers;
mod named;
pub mod origin;
mod spray;
mod template;
mod template_choice;
mod values;

use url::Url;

use crate::moment::Moment;
pub use account_rule::{AccountRule, AccountRuleKind};
pub use api::{Api, ApiRequirements, TokenRequirement};
pub use discovery::{Strategy, is_name};
pub use file::{FileProblem, line_of_key, parse_changes, parse_file};
pub use handlers::HandlerChoice;
pub use named::choose;
pub use spray::SprayAction;
pub use template::Template;
pub use template_choice::{Choice, DefaultTemplate, is_language, language_of};
pub use values::{FieldTarget, Settings};

/// A site.
#[derive(Clone, Debug)]
pub struct Site {
    /// Record id, `0DB…`.
    pub id: String,
    /// Unique name.
    pub name: String,
    /// Scheme, host and optional path, without a trailing slash. Issuer and every absolute URL come
    /// from here and never from a request header.
    pub base_url: String,
    /// What the administrator decided.
    pub settings: Settings,
    /// When it was published; before, its endpoints do not answer.
    pub activated_at: Option<Moment>,
    /// When it was made.
    pub created_at: Moment,
}

impl Site {
    /// The name by which messages call the site.
    pub fn display_name(&self) -> &str {
        self.settings.display_name.as_deref().unwrap_or(&self.name)
    }

    /// Host and port of the base URL, as a `Host` header writes them.
    pub fn authority(&self) -> &str {
        let rest = self.base_url.split_once("://").map_or("", |(_, rest)| rest);
        rest.split('/').next().unwrap_or("")
    }

    /// The path of the base URL: empty, or `/prefix`.
    pub fn path(&self) -> &str {
        let rest = self.base_url.split_once("://").map_or("", |(_, rest)| rest);
        rest.find('/').map_or("", |at| &rest[at..])
    }
}

/// Normalises a base URL: no trailing slash, no query, no fragment, no user.
///
/// # Errors
/// A sentence that says what is wrong.
pub fn check_base_url(text: &str) -> Result<String, String> {
    let url = Url::parse(text).map_err(|error| format!("{text:?} is not a URL: {error}"))?;
    if !matches!(url.scheme(), "https" | "http") || url.host_str().is_none() {
        return Err(format!("{text:?}: a site's base URL starts with https://"));
    }
    if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() {
        return Err(format!(
            "{text:?}: a base URL has no query, no fragment and no user"
        ));
    }
    let path = url.path().trim_end_matches('/');
    let first_segment = path.split('/').nth(1).unwrap_or_default();
    if matches!(first_segment, "services" | "id" | ".well-known") {
        return Err(format!(
            "{text:?}: this path prefix would hide the site's own endpoints"
        ));
    }
    Ok(format!("{}{path}", url.origin().ascii_serialization()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_has_one_form() {
        assert_eq!(
            check_base_url("https://A.example/").unwrap(),
            "https://a.example"
        );
        assert_eq!(
            check_base_url("https://a.example:443/x/").unwrap(),
            "https://a.example/x"
        );
        assert_eq!(
            check_base_url("http://127.0.0.1:8080/b").unwrap(),
            "http://127.0.0.1:8080/b"
        );
        for bad in [
            "a.example",
            "ftp://a.example",
            "https://a.example/?x",
            "https://a@b.example",
            "https://a.example/services",
            "https://a.example/id/",
            "https://a.example/.well-known/x",
        ] {
            assert!(check_base_url(bad).is_err(), "{bad}");
        }
        // Only a whole segment hides an endpoint.
        for good in ["https://a.example/ideas", "https://a.example/services-de"] {
            assert_eq!(check_base_url(good).unwrap(), good);
        }
    }
}
