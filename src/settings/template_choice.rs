//! Which template a mail with a one-time password is made of: one rule for the three flows.
//!
//! Owns the four cases of a request that names a template or none, and the site's default by language. What a
//! template says, and whether one of a name exists, belongs to others: the latter is an argument.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use vestibule_protocol::purpose::Purpose;

use super::Settings;
use crate::changes::Invalid;
use crate::refusal::Refusal;

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

/// What [`choose`] found. The default depends on the recipient's language, which is known later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The template that the request named.
    Named(String),
    /// The site's default.
    SiteDefault(DefaultTemplate),
}

/// Chooses the template of a request. `flow_of` says whether there is a template of the site's own with a
/// name, and for which flow it was written.
///
/// The allowlist is shared by the flows; what belongs to another one is not allowed here even if it is on the
/// list, because its words would say something that is not so.
///
/// # Refusals
/// `TemplateNotAllowed`, `TemplateUnknown`.
///
/// Source: Use Multiple Email Templates for Headless Flows; Headless Forgot Password API.
pub fn choose(
    settings: &Settings,
    flow: Purpose,
    named: Option<&str>,
    flow_of: impl Fn(&str) -> Option<Purpose>,
) -> Result<Choice, Refusal> {
    let Some(named) = named else {
        return Ok(Choice::SiteDefault(settings.email_template(flow).clone()));
    };
    let is_restricted = settings.is_template_restricted(flow);
    // Without an allowlist, registration and login take no name at all; the reset takes any.
    if !is_restricted && flow != Purpose::ForgotPassword {
        return Err(Refusal::TemplateNotAllowed);
    }
    let owner = Purpose::of_built_in_template(named).or_else(|| flow_of(named));
    let owner = owner.ok_or(Refusal::TemplateUnknown)?;
    let is_listed = settings.email_tmpls_allowlist.iter().any(|n| n == named);
    if owner != flow || (is_restricted && !is_listed) {
        return Err(Refusal::TemplateNotAllowed);
    }
    Ok(Choice::Named(named.to_owned()))
}

impl Choice {
    /// The developer name of the site's own template for a recipient of this locale; `None` is the built-in
    /// one, which speaks the recipient's language.
    pub fn custom(&self, locale: &str) -> Option<String> {
        let name = match self {
            Choice::Named(name) => Some(name.as_str()),
            Choice::SiteDefault(default) => default.for_locale(locale),
        };
        name.filter(|name| Purpose::of_built_in_template(name).is_none())
            .map(str::to_owned)
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

impl Settings {
    /// Every template that the settings name, with the setting that names it.
    pub fn named_templates(&self) -> Vec<(&'static str, &str)> {
        let allowed = self.email_tmpls_allowlist.iter().map(String::as_str);
        let mut named: Vec<_> = allowed.map(|name| ("emailTmplsAllowlist", name)).collect();
        for flow in Purpose::ALL {
            let names = self.email_template(flow).names();
            named.extend(
                names
                    .into_iter()
                    .map(|name| (flow.template_setting(), name)),
            );
        }
        named
    }

    /// Checks that every template that is named exists, and is of the flow that names it.
    ///
    /// # Errors
    /// The first setting that names one that is not or is another flow's.
    pub fn check_templates(
        &self,
        flow_of: impl Fn(&str) -> Option<Purpose>,
    ) -> Result<(), Invalid> {
        for (setting, name) in self.named_templates() {
            let owner = Purpose::of_built_in_template(name).or_else(|| flow_of(name));
            let Some(owner) = owner else {
                let reason = format!("there is no template {name:?}");
                return Err(Invalid::new(setting, reason));
            };
            let is_own = setting == "emailTmplsAllowlist" || setting == owner.template_setting();
            if !is_own {
                let reason = format!("{name:?} is the template of another flow");
                return Err(Invalid::new(setting, reason));
            }
        }
        Ok(())
    }

    /// Checks what can be checked of the templates without a look at those that there are.
    pub(super) fn check_template_languages(&self) -> Result<(), Invalid> {
        for flow in Purpose::ALL {
            let DefaultTemplate::ByLanguage(names) = self.email_template(flow) else {
                continue;
            };
            let wrong = names.keys().find(|language| !is_language(language));
            if let Some(language) = wrong {
                let reason = format!("{language:?} is no language: write de or en");
                return Err(Invalid::new(flow.template_setting(), reason));
            }
        }
        Ok(())
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

    const LOGIN_OTP: &str = "vestibule$public/LoginOtp";
    const OWN: &str = "unfiled$public/Own";

    /// One template of the site's own for each flow: `folder/registration` …
    fn flow_of(name: &str) -> Option<Purpose> {
        Purpose::parse(name.strip_prefix("folder/")?)
    }

    fn own(flow: Purpose) -> String {
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
            let listed = [own(flow), own(other), flow.built_in_template().to_owned()];
            let any = |name: &str| match flow {
                Purpose::ForgotPassword => Ok(Choice::Named(name.to_owned())),
                _ => Err(TemplateNotAllowed),
            };
            let own_name = own(flow);
            let named = |name: &str| Ok(Choice::Named(name.to_owned()));
            let unknown_when_open = match flow {
                Purpose::ForgotPassword => Err(TemplateUnknown),
                _ => Err(TemplateNotAllowed),
            };
            for (is_restricted, list, name, expected) in [
                (true, &listed[..], own_name.as_str(), named(&own_name)),
                (
                    true,
                    &listed,
                    flow.built_in_template(),
                    named(flow.built_in_template()),
                ),
                (true, &[], &own_name, Err(TemplateNotAllowed)),
                (true, &[], flow.built_in_template(), Err(TemplateNotAllowed)),
                (true, &listed, &own(other), Err(TemplateNotAllowed)),
                (true, &listed, "unfiled$public/Nope", Err(TemplateUnknown)),
                (true, &listed, "../../etc/passwd", Err(TemplateUnknown)),
                (true, &listed, "", Err(TemplateUnknown)),
                (false, &listed, &own_name, any(&own_name)),
                (false, &[], &own_name, any(&own_name)),
                (
                    false,
                    &[],
                    flow.built_in_template(),
                    any(flow.built_in_template()),
                ),
                (false, &[], &own(other), Err(TemplateNotAllowed)),
                (false, &[], "unfiled$public/Nope", unknown_when_open),
            ] {
                let settings = settings(is_restricted, list);
                let chosen = choose(&settings, flow, Some(name), flow_of);
                assert_eq!(chosen, expected, "{flow:?} {is_restricted} {list:?} {name}");
                let default = Choice::SiteDefault(DefaultTemplate::built_in(flow));
                assert_eq!(choose(&settings, flow, None, flow_of), Ok(default));
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
            (name(OWN), "fr_FR", Some(OWN)),
            (name(LOGIN_OTP), "de_DE", None),
            (Choice::Named(OWN.into()), "de_DE", Some(OWN)),
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
    fn a_default_is_of_its_own_flow_and_the_list_holds_all() {
        for flow in Purpose::ALL {
            for owner in Purpose::ALL {
                let default = DefaultTemplate::Name(own(owner));
                let mut settings = settings(true, &[own(owner)]);
                assert_eq!(settings.check_templates(flow_of), Ok(()));
                match flow {
                    Purpose::ForgotPassword => settings.forgot_password_email_template = default,
                    Purpose::PasswordlessLogin => {
                        settings.passwordless_login_email_template = default;
                    }
                    Purpose::Registration => settings.registration_email_template = default,
                }
                let found = settings.check_templates(flow_of);
                assert_eq!(found.is_ok(), flow == owner, "{flow:?} {owner:?}");
                assert!(found.is_ok() || found.unwrap_err().key == flow.template_setting());
            }
        }
        let unknown = settings(false, &[OWN.to_owned()]);
        let refused = unknown.check_templates(flow_of).unwrap_err();
        assert_eq!(refused.key, "emailTmplsAllowlist");
    }
}
