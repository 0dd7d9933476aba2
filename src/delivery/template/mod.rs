//! The text of messages: the built-in mails and text messages, and the custom templates of sites.
//!
//! This module owns wording, layout, language and the limits of a template. The result is passed to `message`
//! (mail) or to a gateway (text message); the recipient and the time are the outbox's.
//!
//! A template gets values and never source: a name that looks like template syntax is only text. The HTML part
//! escapes every value, the text part shows it unchanged. Every rendering has a step limit and a size limit, and a
//! site's custom template is limited to values, four filters and `{% if %}`, so it cannot multiply its input.

use minijinja::{Environment, UndefinedBehavior};
use serde::{Deserialize, Serialize};
use vestibule_protocol::purpose::Purpose;
use vestibule_protocol::secret::Secret;

use super::message::{Rendered, single_line};
use crate::settings::language_of;

mod engine;
mod grammar;
mod words;

use engine::{environment, problem, render_part};
use words::{ENGLISH, GERMAN, Vocabulary, Words};

/// The built-in templates, compiled at the start.
pub struct Templates {
    environment: Environment<'static>,
}

/// A custom template of a site, checked and compiled.
pub struct CustomTemplate {
    environment: Environment<'static>,
    language: Language,
    has_html: bool,
}

/// The sources of a built-in mail in one language.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TemplateSource {
    /// The language of its words.
    pub language: String,
    /// The subject.
    pub subject: String,
    /// The text part.
    pub text: String,
    /// The HTML part.
    pub html: String,
}

/// How the built-in text writes a space at the end of a line, which editors would remove. A custom template has no
/// constants.
const QUOTED_SPACE: &str = "{{ \" \" }}";

vestibule_protocol::words! {
    /// The built-in messages, by the names that are stored and shown.
    pub enum TemplateName {
        /// Registration with an address that has an account already: says so, without a code.
        AccountExists = "account_exists",
        /// The code for a passwordless login.
        LoginOtp = "login_otp",
        /// Reports to a user that the password was changed, without a code.
        PasswordChanged = "password_changed",
        /// The code for choosing a new password.
        PasswordResetOtp = "password_reset_otp",
        /// The code that verifies an address during registration.
        RegistrationOtp = "registration_otp",
    }
}

/// A language of the built-in messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// English, also for every locale without a translation.
    English,
    /// German.
    German,
}

/// The values of a message. A template may use all of them except the host. Stored sealed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Variables {
    /// The site's name as people know it.
    pub site_name: String,
    /// The host that a text message binds its code to.
    pub host: String,
    /// The code, if the message carries one.
    #[serde(serialize_with = "write_code", deserialize_with = "read_code")]
    pub code: Option<Secret>,
    /// How long the code lives.
    pub valid_minutes: u32,
    /// The recipient's given name.
    pub first_name: Option<String>,
}

/// Why a template was refused or has no result. Never contains a value of the context.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateProblem {
    /// The template needs a code and the context has none.
    #[error("the template needs a one-time password and none was given")]
    CodeMissing,
    /// There is no text message for this template.
    #[error("there is no such text message")]
    MailOnly,
    /// It exceeds the step limit, a constant of this file.
    #[error("the template takes too many steps")]
    OutOfFuel,
    /// It uses a construct that is not allowed, or its syntax is wrong.
    #[error("{part}, line {line}: {reason}")]
    Refused {
        /// `subject`, `text` or `html`.
        part: &'static str,
        /// Counted from one.
        line: usize,
        /// What is wrong, for the template's author.
        reason: String,
    },
    /// The source or the result exceeds the size of a message.
    #[error("the template or what it renders is too large")]
    TooLarge,
}

impl Templates {
    /// Compiles the built-in templates in all languages.
    pub fn new() -> Templates {
        let mut environment = environment();
        for language in Language::ALL {
            for name in TemplateName::ALL {
                let words = name.words(language.vocabulary());
                for (part, source) in sources(language.vocabulary(), words) {
                    environment
                        .add_template_owned(key(name, language, part), source)
                        .expect("a built-in template compiles");
                }
                if let Some(line) = words.sms {
                    environment
                        .add_template_owned(key(name, language, SMS), line)
                        .expect("a built-in template compiles");
                }
            }
        }
        Templates { environment }
    }

    /// Renders a built-in mail in the language of the locale (`de_AT`), English if it has none.
    ///
    /// # Refusals
    /// [`TemplateProblem::CodeMissing`] if the mail contains a code and the context does not.
    pub fn render(
        &self,
        name: TemplateName,
        locale: &str,
        values: &Variables,
    ) -> Result<Rendered, TemplateProblem> {
        let language = Language::from_locale(locale);
        if name.has_code() && values.code.is_none() {
            return Err(TemplateProblem::CodeMissing);
        }
        let render = |part: &'static str| {
            render_part(
                &self.environment,
                &key(name, language, part),
                part,
                language,
                values,
            )
        };
        Ok(Rendered {
            subject: render(SUBJECT)?,
            text: render(TEXT)?,
            html: Some(render(HTML)?),
        })
    }

    /// Renders the text message with the code: one line, and with a domain a last line `@domain #code`, which lets
    /// a phone's browser fill in the code on that domain only.
    ///
    /// The first line has at most 160 characters: a longer site name is truncated.
    ///
    /// # Refusals
    /// [`TemplateProblem::MailOnly`] if there is no text message for it; [`TemplateProblem::CodeMissing`] without a
    /// code.
    ///
    /// Source: WICG, Origin-bound one-time codes delivered via SMS.
    pub fn render_sms(
        &self,
        name: TemplateName,
        locale: &str,
        domain: Option<&str>,
        values: &Variables,
    ) -> Result<String, TemplateProblem> {
        let language = Language::from_locale(locale);
        if name.words(language.vocabulary()).sms.is_none() {
            return Err(TemplateProblem::MailOnly);
        }
        let code = values.code.as_ref().ok_or(TemplateProblem::CodeMissing)?;
        let mut values = values.clone();
        values.site_name = single_line(&values.site_name, SMS_SITE_NAME_CHARS_MAX);
        let line = render_part(
            &self.environment,
            &key(name, language, SMS),
            TEXT,
            language,
            &values,
        )?;
        let binding = domain
            .map(|domain| format!("\n@{domain} #{}", code.expose()))
            .filter(|binding| line.chars().count() + binding.chars().count() <= SMS_CHARS_MAX);
        Ok(line + &binding.unwrap_or_default())
    }

    /// Checks and compiles a site's custom template, and renders it with sample values. The language affects only
    /// `valid_for`, which is English for an unknown language.
    ///
    /// # Refusals
    /// [`TemplateProblem::Refused`] for anything but values, the filters `default`, `lower`, `trim`, `upper`, and
    /// `{% if %}`, for a body that may lack the code, and for a subject that contains it;
    /// [`TemplateProblem::TooLarge`] for a source beyond 64 KiB.
    pub fn compile_custom(
        language: &str,
        subject: &str,
        text: &str,
        html: Option<&str>,
    ) -> Result<CustomTemplate, TemplateProblem> {
        let mut environment = environment();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        let parts = [(SUBJECT, Some(subject)), (TEXT, Some(text)), (HTML, html)];
        for (part, source) in parts {
            let Some(source) = source else { continue };
            if source.len() > PART_BYTES_MAX {
                return Err(TemplateProblem::TooLarge);
            }
            let mut checked = grammar::check(source);
            if part == HTML {
                checked = checked.and_then(|()| grammar::check_places(source));
            }
            checked.map_err(|(line, reason)| TemplateProblem::Refused { part, line, reason })?;
            environment
                .add_template_owned(part, source.to_owned())
                .map_err(|error| problem(part, &error))?;
        }
        let template = CustomTemplate {
            environment,
            language: Language::from_locale(language),
            has_html: html.is_some(),
        };
        template.try_out()?;
        Ok(template)
    }
}

impl Default for Templates {
    fn default() -> Self {
        Templates::new()
    }
}

impl CustomTemplate {
    /// Renders the template.
    ///
    /// # Refusals
    /// [`TemplateProblem::OutOfFuel`] and [`TemplateProblem::TooLarge`] when it exceeds its limits;
    /// [`TemplateProblem::Refused`] if it leaves out the code or has it in the subject.
    pub fn render(&self, values: &Variables) -> Result<Rendered, TemplateProblem> {
        let code = values.code.as_ref().ok_or(TemplateProblem::CodeMissing)?;
        let render = |part| render_part(&self.environment, part, part, self.language, values);
        let refuse = |part, reason: &str| {
            Err(TemplateProblem::Refused {
                part,
                line: 1,
                reason: reason.to_owned(),
            })
        };
        let subject = render(SUBJECT)?;
        if subject.is_empty() {
            return refuse(SUBJECT, "a mail needs a subject");
        }
        if subject.contains(code.expose()) {
            let reason = "leave the code out: relays write subjects into their logs";
            return refuse(SUBJECT, reason);
        }
        let text = render(TEXT)?;
        let html = self.has_html.then(|| render(HTML)).transpose()?;
        for (part, body) in [(TEXT, Some(&text)), (HTML, html.as_ref())] {
            if body.is_some_and(|body| !body.contains(code.expose())) {
                let reason =
                    "show the code, unchanged and whatever the other values are: {{ code }}";
                return refuse(part, reason);
            }
        }
        Ok(Rendered {
            subject,
            text,
            html,
        })
    }

    /// Renders it for recipients with a name and without one.
    fn try_out(&self) -> Result<(), TemplateProblem> {
        let mut values = Variables::sample();
        values.code = Some(Secret::from(UNLIKELY_CODE.to_owned()));
        self.render(&values)?;
        values.first_name = None;
        self.render(&values).map(drop)
    }
}

impl TemplateName {
    /// The message that carries a code.
    pub fn of(purpose: Purpose) -> TemplateName {
        match purpose {
            Purpose::ForgotPassword => TemplateName::PasswordResetOtp,
            Purpose::PasswordlessLogin => TemplateName::LoginOtp,
            Purpose::Registration => TemplateName::RegistrationOtp,
        }
    }

    /// What the code of the message is for; `None` for a notice. A site may have a custom template for a message
    /// with a code.
    pub fn purpose(self) -> Option<Purpose> {
        Purpose::ALL
            .into_iter()
            .find(|purpose| TemplateName::of(*purpose) == self)
    }

    /// The sources of the mail in the language of a locale, as a custom template may have them.
    pub fn source(self, locale: &str) -> TemplateSource {
        let vocabulary = Language::from_locale(locale).vocabulary();
        let mut source = TemplateSource {
            language: vocabulary.tag.to_owned(),
            ..TemplateSource::default()
        };
        for (part, text) in sources(vocabulary, self.words(vocabulary)) {
            match part {
                SUBJECT => source.subject = text,
                TEXT => source.text = text.replace(QUOTED_SPACE, " "),
                _ => source.html = text,
            }
        }
        source
    }

    /// Whether the mail contains a one-time password.
    pub fn has_code(self) -> bool {
        self.purpose().is_some()
    }

    fn words(self, vocabulary: &'static Vocabulary) -> &'static Words {
        match self {
            TemplateName::AccountExists => &vocabulary.account_exists,
            TemplateName::LoginOtp => &vocabulary.login_otp,
            TemplateName::PasswordChanged => &vocabulary.password_changed,
            TemplateName::PasswordResetOtp => &vocabulary.password_reset_otp,
            TemplateName::RegistrationOtp => &vocabulary.registration_otp,
        }
    }
}

impl Language {
    /// Every language with a translation.
    pub const ALL: [Language; 2] = [Language::English, Language::German];

    /// The language of a locale by its first part: `de`, `de_DE`, `de-AT` are German, all unknown ones English.
    pub fn from_locale(locale: &str) -> Language {
        match language_of(locale).as_str() {
            "de" => Language::German,
            _ => Language::English,
        }
    }

    /// The language tag, as in the `lang` attribute.
    pub fn tag(self) -> &'static str {
        self.vocabulary().tag
    }

    fn vocabulary(self) -> &'static Vocabulary {
        match self {
            Language::English => &ENGLISH,
            Language::German => &GERMAN,
        }
    }

    /// `10 minutes`, `1 hour`, in this language.
    fn duration(self, minutes: u32) -> String {
        let words = self.vocabulary();
        let (count, [one, many]) = match minutes {
            60.. if minutes.is_multiple_of(60) => (minutes / 60, words.hour),
            _ => (minutes, words.minute),
        };
        format!("{count} {}", if count == 1 { one } else { many })
    }
}

/// The three sources of a built-in mail: the sentences set into the layouts.
fn sources(vocabulary: &Vocabulary, words: &Words) -> [(&'static str, String); 3] {
    let fill = |layout: &str, code_block: &str| {
        let validity = words.validity.unwrap_or_default();
        let code_block = if words.validity.is_some() {
            code_block
        } else {
            ""
        };
        layout
            .replace("[[code_block]]", code_block)
            .replace("[[lang]]", vocabulary.tag)
            .replace("[[greeting]]", vocabulary.greeting)
            .replace("[[subject]]", words.subject)
            .replace("[[preheader]]", words.preheader)
            .replace("[[heading]]", words.heading)
            .replace("[[intro]]", words.intro)
            .replace("[[validity]]", validity)
            .replace("[[closing]]", words.closing)
    };
    [
        (SUBJECT, words.subject.to_owned()),
        (
            TEXT,
            fill(include_str!("mail.txt"), include_str!("code.txt")),
        ),
        (
            HTML,
            fill(include_str!("mail.html"), include_str!("code.html")),
        ),
    ]
}

impl Variables {
    /// Values to try a template with.
    pub fn sample() -> Variables {
        Variables {
            site_name: "Example".to_owned(),
            host: "localhost".to_owned(),
            code: Some(Secret::from("123456".to_owned())),
            valid_minutes: 10,
            first_name: Some("Ada".to_owned()),
        }
    }
}

// A secret does not serialise by itself; here it must, because what is written is sealed at once.
fn write_code<S: serde::Serializer>(
    code: &Option<Secret>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    code.as_ref().map(Secret::expose).serialize(serializer)
}

fn read_code<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Secret>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.map(Secret::from))
}

fn key(name: TemplateName, language: Language, part: &str) -> String {
    format!("{}.{}.{part}", name.as_str(), language.tag())
}

const SUBJECT: &str = "subject";
const SMS: &str = "sms";
const TEXT: &str = "text";
const HTML: &str = "html";

/// The limit of a source and of a rendered part. Mail programs truncate HTML at about 100 KiB.
const PART_BYTES_MAX: usize = 64 * 1024;
/// A code that no template contains by chance, and that a change of case would change.
const UNLIKELY_CODE: &str = "Zq7xW2kP9v";
/// One text message in the GSM alphabet.
const SMS_CHARS_MAX: usize = 160;
/// The rest of the longest sentence, with a code of ten characters.
const SMS_SITE_NAME_CHARS_MAX: usize = 60;

#[cfg(test)]
mod tests;
