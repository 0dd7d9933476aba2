//! The template of a mail with a one-time password: the one that the request names, or the site's default by language.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use vestibule_protocol::purpose::Purpose;

/// The template that a site's mails of a flow are made of when the request names none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "the name of a template, or a table of languages and names"
)]
pub enum DefaultTemplate {
    /// One for all recipients.
    Name(String),
    /// One for each language (`de`, `en` …). Other languages get that of `en`.
    ByLanguage(BTreeMap<String, String>),
}

/// What [`choose`](super::choose) found. The default depends on the recipient's language, which is known later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The template that the request named.
    Named(String),
    /// The site's default.
    SiteDefault(DefaultTemplate),
}

impl Choice {
    /// The developer name of the custom template for a recipient of this locale; `None` is the built-in
    /// one, which speaks the recipient's language.
    pub fn custom(&self, locale: &str) -> Option<String> {
        self.name(locale)
            .filter(|name| Purpose::of_built_in_template(name).is_none())
            .map(str::to_owned)
    }

    /// The flow whose built-in template is chosen for a recipient of this locale; `None` when it is a custom one, or
    /// none for the language.
    pub fn built_in(&self, locale: &str) -> Option<Purpose> {
        Purpose::of_built_in_template(self.name(locale)?)
    }

    fn name(&self, locale: &str) -> Option<&str> {
        match self {
            Choice::Named(name) => Some(name),
            Choice::SiteDefault(default) => default.for_locale(locale),
        }
    }
}

impl DefaultTemplate {
    /// The built-in template of a flow.
    pub fn built_in(flow: Purpose) -> DefaultTemplate {
        DefaultTemplate::Name(flow.built_in_template().to_owned())
    }

    /// All templates that it names.
    pub fn names(&self) -> Vec<&str> {
        match self {
            DefaultTemplate::Name(name) => vec![name],
            DefaultTemplate::ByLanguage(names) => names.values().map(String::as_str).collect(),
        }
    }

    fn for_locale(&self, locale: &str) -> Option<&str> {
        let names = match self {
            DefaultTemplate::Name(name) => return Some(name),
            DefaultTemplate::ByLanguage(names) => names,
        };
        names
            .get(&language_of(locale))
            .or_else(|| names.get("en"))
            .map(String::as_str)
    }
}

/// The language of a locale by its first part, in small letters: `de` of `de_DE`, `de-AT`, `DE`.
pub fn language_of(locale: &str) -> String {
    let first = locale.split(['-', '_', '.', '@']).next();
    first.unwrap_or_default().trim().to_lowercase()
}

/// Whether this is a language as a template or a setting names it: two or three small letters.
pub fn is_language(text: &str) -> bool {
    matches!(text.len(), 2 | 3) && text.bytes().all(|byte| byte.is_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::refusal::Refusal;
    use crate::settings::{Settings, choose};

    const LOGIN_OTP: &str = "vestibule$public/LoginOtp";
    const CUSTOM: &str = "unfiled$public/Custom";

    /// One custom template for each flow: `folder/registration` …
    fn is_custom(name: &str) -> bool {
        let flow = name.strip_prefix("folder/").and_then(Purpose::parse);
        flow.is_some()
    }

    fn custom(flow: Purpose) -> String {
        format!("folder/{}", flow.as_str())
    }

    fn settings(is_restricted: bool, listed: &[String]) -> Settings {
        Settings {
            is_email_template_allowlisting_enabled: is_restricted,
            is_forgot_pwd_email_template_allowlisting_enabled: is_restricted,
            email_tmpls_allowlist: listed.to_vec(),
            ..Settings::default()
        }
    }

    #[test]
    fn reg_16_the_four_cases_of_a_template() {
        use Refusal::{TemplateNotAllowed, TemplateUnknown};
        for flow in Purpose::ALL {
            let other = Purpose::ALL.into_iter().find(|f| *f != flow).unwrap();
            let listed = [
                custom(flow),
                custom(other),
                flow.built_in_template().to_owned(),
            ];
            let any = |name: &str| match flow {
                Purpose::ForgotPassword => Ok(Choice::Named(name.to_owned())),
                _ => Err(TemplateNotAllowed),
            };
            let custom_name = custom(flow);
            let named = |name: &str| Ok(Choice::Named(name.to_owned()));
            let unknown_when_open = match flow {
                Purpose::ForgotPassword => Err(TemplateUnknown),
                _ => Err(TemplateNotAllowed),
            };
            for (is_restricted, list, name, expected) in [
                (true, &listed[..], custom_name.as_str(), named(&custom_name)),
                (
                    true,
                    &listed,
                    flow.built_in_template(),
                    named(flow.built_in_template()),
                ),
                (true, &[], &custom_name, Err(TemplateNotAllowed)),
                (true, &[], flow.built_in_template(), Err(TemplateNotAllowed)),
                (true, &listed, &custom(other), named(&custom(other))),
                (true, &listed, "unfiled$public/Nope", Err(TemplateUnknown)),
                (true, &listed, "../../etc/passwd", Err(TemplateUnknown)),
                (true, &listed, "", Err(TemplateUnknown)),
                (false, &listed, &custom_name, any(&custom_name)),
                (false, &[], &custom_name, any(&custom_name)),
                (
                    false,
                    &[],
                    flow.built_in_template(),
                    any(flow.built_in_template()),
                ),
                (false, &[], &custom(other), any(&custom(other))),
                (false, &[], "unfiled$public/Nope", unknown_when_open),
            ] {
                let settings = settings(is_restricted, list);
                let chosen = choose(&settings, flow, Some(name), is_custom);
                assert_eq!(chosen, expected, "{flow:?} {is_restricted} {list:?} {name}");
                let default = Choice::SiteDefault(DefaultTemplate::built_in(flow));
                assert_eq!(choose(&settings, flow, None, is_custom), Ok(default));
            }
        }
    }

    #[test]
    fn the_default_follows_the_language_and_the_rest_is_built_in() {
        let name = |name: &str| Choice::SiteDefault(DefaultTemplate::Name(name.into()));
        let by_language = |names: &[(&str, &str)]| {
            let names = names.iter().map(|(l, n)| ((*l).into(), (*n).into()));
            Choice::SiteDefault(DefaultTemplate::ByLanguage(names.collect()))
        };
        for (choice, locale, expected) in [
            (name(CUSTOM), "fr_FR", Some(CUSTOM)),
            (name(LOGIN_OTP), "de_DE", None),
            (Choice::Named(CUSTOM.into()), "de_DE", Some(CUSTOM)),
            (Choice::Named(LOGIN_OTP.into()), "en", None),
            (
                by_language(&[("de", "f/De"), ("en", "f/En")]),
                "de-AT",
                Some("f/De"),
            ),
            (
                by_language(&[("de", "f/De"), ("en", "f/En")]),
                "DE",
                Some("f/De"),
            ),
            (
                by_language(&[("de", "f/De"), ("en", "f/En")]),
                "fr_FR",
                Some("f/En"),
            ),
            (by_language(&[("de", "f/De")]), "fr_FR", None),
            (by_language(&[]), "en_US", None),
        ] {
            assert_eq!(
                choice.custom(locale).as_deref(),
                expected,
                "{choice:?} {locale}"
            );
        }
    }

    #[test]
    fn a_default_may_be_the_template_of_any_flow_that_exists() {
        for owner in Purpose::ALL {
            let default = || DefaultTemplate::Name(custom(owner));
            let settings = Settings {
                forgot_password_email_template: default(),
                passwordless_login_email_template: default(),
                registration_email_template: default(),
                ..settings(true, &[custom(owner)])
            };
            assert_eq!(settings.check_templates(is_custom), Ok(()));
        }
        let unknown = settings(false, &[CUSTOM.to_owned()]);
        let refused = unknown.check_templates(is_custom).unwrap_err();
        assert_eq!(refused.key, "emailTmplsAllowlist");
        let documented =
            "Experience Cloud: One-Time Password Email for Headless Registration Verification";
        let listed = settings(true, &["vestibule$public/RegistrationOtp".to_owned()]);
        let chosen = choose(
            &listed,
            Purpose::PasswordlessLogin,
            Some(documented),
            is_custom,
        );
        assert_eq!(
            chosen.map(|choice| choice.built_in("en")),
            Ok(Some(Purpose::Registration))
        );
    }
}
