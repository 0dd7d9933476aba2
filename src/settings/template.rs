//! A custom mail template, as it is stored: its name, its flow and its sources.
//!
//! What the sources may contain, and what they render to, is `delivery`'s.

use vestibule_protocol::purpose::Purpose;

use super::is_language;
use crate::moment::Moment;

/// A custom template. It has one language; only built-in ones follow the recipient's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// Developer name, `folder/Name`, which never changes.
    pub name: String,
    /// The flow that its words belong to, which never changes.
    pub flow: Purpose,
    /// The language of its words: `de`, `en` …
    pub language: String,
    /// Source of the subject.
    pub subject: String,
    /// Source of the text part.
    pub text: String,
    /// Source of the HTML part, if there is one.
    pub html: Option<String>,
    /// When it was made.
    pub created_at: Moment,
    /// When it was last changed.
    pub updated_at: Moment,
}

impl Template {
    /// Checks the name and the language of a template that is to be made or changed.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    ///
    /// Source: Headless Registration API, `emailtemplate` (`unfiled$public/SalesNewCustomerEmail`).
    pub fn check_names(&self) -> Result<(), String> {
        let shape = "a developer name is FOLDER/NAME, such as unfiled$public/Welcome: each part begins with \
                     a letter and goes on with letters, digits and underscores (a folder also with $)";
        let is_well_formed = self.name.split_once('/').is_some_and(|(folder, name)| {
            is_part(folder, |byte| byte == b'$') && is_part(name, |_| false)
        });
        if !is_well_formed {
            return Err(format!("{:?}: {shape}", self.name));
        }
        if self.name.starts_with(BUILT_IN_FOLDER) {
            return Err(format!(
                "{:?}: templates in {BUILT_IN_FOLDER} are built in and cannot be changed",
                self.name
            ));
        }
        if !is_language(&self.language) {
            return Err(format!(
                "{:?} is no language: write de, en or another one of two or three small letters",
                self.language
            ));
        }
        Ok(())
    }
}

fn is_part(text: &str, is_also: impl Fn(u8) -> bool) -> bool {
    let is_in = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || is_also(byte);
    text.len() <= PART_BYTES_MAX
        && text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(is_in)
}

/// The folder of the templates that every installation has.
const BUILT_IN_FOLDER: &str = "vestibule$public/";

/// Of a folder and of a name.
const PART_BYTES_MAX: usize = 80;

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str, language: &str) -> Template {
        Template {
            name: name.into(),
            flow: Purpose::Registration,
            language: language.into(),
            subject: String::new(),
            text: String::new(),
            html: None,
            created_at: Moment::from_millis(0),
            updated_at: Moment::from_millis(0),
        }
    }

    #[test]
    fn a_name_is_a_folder_and_a_developer_name() {
        for name in ["unfiled$public/SalesNewCustomerEmail", "Shop/A", "a_b/C_1"] {
            assert_eq!(named(name, "de").check_names(), Ok(()), "{name}");
        }
        let long = format!("shop/{}", "a".repeat(81));
        for name in [
            "",
            "Name",
            "/Name",
            "shop/",
            "shop/a/b",
            "shop/../a",
            "shop/a$b",
            "1shop/a",
            "shop/a b",
            "shop/ä",
            "shop/a\r\n",
            "vestibule$public/Own",
            long.as_str(),
        ] {
            assert!(named(name, "de").check_names().is_err(), "{name:?}");
        }
        for language in ["", "DE", "de_DE", "german", "d"] {
            assert!(
                named("shop/A", language).check_names().is_err(),
                "{language:?}"
            );
        }
    }
}
