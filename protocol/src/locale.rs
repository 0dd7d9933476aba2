//! Locales: the language and the region of a user, in the one form in which they are stored.
//!
//! The documentation writes `en_US` (`languageLocaleKey`), browsers and phones `en-US` (BCP 47). Both mean the same.

/// Maximum code points of a locale such as `zh_Hant_TW`.
pub const LOCALE_LENGTH_MAX: usize = 40;

/// A locale in the form of the documentation: a language of two or three letters, then words that are separated by `_`
/// (a script, a region, a variant). `None` for a text that is no locale.
///
/// ```
/// use vestibule_protocol::locale::parse_locale;
/// assert_eq!(parse_locale("de-de").as_deref(), Some("de_DE"));
/// assert_eq!(parse_locale("zh-hant-tw").as_deref(), Some("zh_Hant_TW"));
/// assert_eq!(parse_locale("German"), None);
/// ```
pub fn parse_locale(text: &str) -> Option<String> {
    if text.len() > LOCALE_LENGTH_MAX {
        return None;
    }
    let mut words = text.split(['_', '-']);
    let language = words.next()?;
    let is_language =
        matches!(language.len(), 2 | 3) && language.bytes().all(|b| b.is_ascii_alphabetic());
    if !is_language {
        return None;
    }
    let mut locale = language.to_ascii_lowercase();
    for word in words {
        let is_word =
            (2..=8).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_alphanumeric());
        if !is_word {
            return None;
        }
        locale.push('_');
        match word.len() {
            4 if word.bytes().all(|b| b.is_ascii_alphabetic()) => {
                locale.push_str(&word[..1].to_ascii_uppercase());
                locale.push_str(&word[1..].to_ascii_lowercase());
            }
            _ => locale.push_str(&word.to_ascii_uppercase()),
        }
    }
    Some(locale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_locale_has_one_form() {
        for (text, locale) in [
            ("de", "de"),
            ("DE", "de"),
            ("en_US", "en_US"),
            ("en-us", "en_US"),
            ("es-419", "es_419"),
            ("sr-latn-RS", "sr_Latn_RS"),
            ("ca_ES_VALENCIA", "ca_ES_VALENCIA"),
        ] {
            assert_eq!(parse_locale(text).as_deref(), Some(locale), "{text}");
            assert_eq!(parse_locale(locale).as_deref(), Some(locale));
        }
        for text in [
            "",
            "d",
            "German",
            "de_",
            "de__DE",
            "de_D",
            "../..",
            "<script>",
            "de DE",
            "de_DE\n",
            "d\u{e9}",
            "de_abcdefghi",
            "en_US_aaaaaaaa_aaaaaaaa_aaaaaaaa_aaaaaaaa",
        ] {
            assert_eq!(parse_locale(text), None, "{text:?}");
        }
    }
}
