//! Usernames: the names that people type to log in, and their unique keys.
//!
//! This file owns the syntax of a username (like an e-mail address, which it need not be), the folding that makes
//! two spellings of one name equal, and the refusal of names that only look like another one. Uniqueness is left to
//! `store`, which keeps the key under a constraint; no database collation ever decides whether two names are the
//! same.
//!
//! Follows RFC 8265 section 3.3 (UsernameCaseMapped) for the part before the `@`, UTS #46 for the part after it, and the
//! single-script idea of UTS #39 section 5.

use std::fmt;

use idna::uts46::{AsciiDenyList, Hyphens, Uts46};
use precis_profiles::UsernameCaseMapped;
use precis_profiles::precis_core::profile::{Profile, Rules};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;
use vestibule_protocol::characters::is_invisible;

use super::email::canonical_domain;

/// A username: its spelling and its key.
///
/// Two usernames are equal when their keys are.
#[derive(Clone, Debug)]
pub struct Username {
    text: String,
    key: String,
}

impl Username {
    /// Parses a username. Whitespace around it is removed: phone keyboards put a blank behind a completed name.
    ///
    /// The syntax is that of an address, 80 code points at most after NFC:
    ///
    /// * before the `@` every `atext` of RFC 5322 section 3.2.3 and the dot, and letters, combining marks and digits of
    ///   other scripts, as far as RFC 8265 admits them
    ///   (compatibility characters such as the ligature `ﬁ` or `ⓐ` are not; full-width forms become ordinary ones);
    /// * after the `@` any domain that UTS #46 can write as A-labels, with a dot in it and an alphabetic last label.
    ///
    /// The key is the lower-case form of RFC 8265 and the A-labels of the domain. Lower-casing is Unicode's,
    /// without the exceptions of any language: Turkish `İ` and `ı` remain distinct from `i`, `ß` remains distinct
    /// from `ss`, and the final sigma `ς` equals `σ`, since upper case makes no difference between them.
    ///
    /// The part before the `@`, and each label after it, may contain letters of only one of the scripts that look
    /// alike: Latin, Greek, Cyrillic, Armenian, Cherokee, Coptic. A name entirely in Cyrillic is allowed, even
    /// where it looks like a Latin one; its key is different.
    ///
    /// # Refusals
    /// Any [`UsernameProblem`].
    ///
    /// Source: RFC 8265 section 3.3; the pattern and length that mobile SDKs check before sending.
    pub fn parse(text: &str) -> Result<Username, UsernameProblem> {
        // Normalising costs work; no code point has more than sixteen bytes when decomposed.
        if text.len() > LENGTH_MAX * 16 {
            return Err(UsernameProblem::TooLong);
        }
        let text = text.trim();
        if text.chars().any(is_invisible) {
            return Err(UsernameProblem::InvisibleCharacter);
        }
        let text: String = text.nfc().collect();
        let narrow = UsernameCaseMapped::new()
            .width_mapping_rule(text.as_str())
            .map_err(|_| UsernameProblem::LocalPartInvalid)?;
        if text.chars().count() > LENGTH_MAX {
            return Err(UsernameProblem::TooLong);
        }
        // The Basic header of RFC 7617 splits at the first colon: such a user could never log in.
        if narrow.contains(':') {
            return Err(UsernameProblem::ColonInside);
        }
        let (local_part, domain) = narrow
            .split_once('@')
            .ok_or(UsernameProblem::NotLikeEmail)?;
        if local_part.is_empty() || domain.contains('@') {
            return Err(UsernameProblem::NotLikeEmail);
        }
        let local_key = local_key(local_part)?;
        let domain_key = canonical_domain(domain).ok_or(UsernameProblem::DomainInvalid)?;
        if mixes_scripts(local_part) || domain_mixes_scripts(&domain_key) {
            return Err(UsernameProblem::ScriptsMixed);
        }
        let key = format!("{local_key}@{domain_key}");
        Ok(Username { text, key })
    }

    /// The name as entered, in NFC.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The name for look-ups and for uniqueness. Parsing a key gives the same key, unless its A-labels make it
    /// longer than a username may be.
    pub fn key(&self) -> &str {
        &self.key
    }
}

impl PartialEq for Username {
    fn eq(&self, other: &Username) -> bool {
        self.key == other.key
    }
}

impl Eq for Username {}

impl fmt::Display for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Why a text cannot be a username.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UsernameProblem {
    /// A colon, which ends the username in a Basic header.
    #[error("the username must not contain a colon")]
    ColonInside,
    /// The part after the `@` is not a domain.
    #[error("the username is not valid after the @")]
    DomainInvalid,
    /// Controls, zero-width characters, direction overrides, tags, variation selectors.
    #[error("the username contains a character that cannot be seen")]
    InvisibleCharacter,
    /// A character outside the pattern, or outside RFC 8265.
    #[error("the username is not valid before the @")]
    LocalPartInvalid,
    /// No `@`, more than one, or nothing in front of it.
    #[error("the username must look like an email address")]
    NotLikeEmail,
    /// Letters of scripts that look alike in one label.
    #[error("the username mixes letters of different alphabets")]
    ScriptsMixed,
    /// More than 80 code points.
    #[error("the username must not be longer than 80 characters")]
    TooLong,
}

fn local_key(local_part: &str) -> Result<String, UsernameProblem> {
    let is_allowed = |c: char| match c {
        c if c.is_ascii() => c.is_ascii_alphanumeric() || ".!#$%&'*+-/=?^_`{|}~".contains(c),
        c => c.is_alphanumeric() || is_combining_mark(c),
    };
    if !local_part.chars().all(is_allowed) {
        return Err(UsernameProblem::LocalPartInvalid);
    }
    // The profile's case mapping leaves title-case letters unchanged unless a capital precedes them, so that one
    // name would have two keys; every character is lower-cased here first.
    let lower: String = local_part
        .chars()
        .flat_map(char::to_lowercase)
        .map(|c| if c == 'ς' { 'σ' } else { c })
        .nfc()
        .collect();
    match UsernameCaseMapped::new().enforce(lower) {
        Ok(key) => Ok(key.into_owned()),
        Err(_) => Err(UsernameProblem::LocalPartInvalid),
    }
}

fn domain_mixes_scripts(domain_key: &str) -> bool {
    let (unicode, _) = Uts46::new().to_unicode(
        domain_key.as_bytes(),
        AsciiDenyList::STD3,
        Hyphens::CheckFirstLast,
    );
    unicode.split('.').any(mixes_scripts)
}

/// Whether a label contains letters of two scripts whose letters look alike.
fn mixes_scripts(label: &str) -> bool {
    let mut scripts = label.chars().filter_map(lookalike_script);
    let first = scripts.next();
    scripts.any(|script| Some(script) != first)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Script {
    Armenian,
    Cherokee,
    Coptic,
    Cyrillic,
    Greek,
    Latin,
}

/// The script of a letter, by the blocks of Unicode; `None` for digits, marks, punctuation and all other scripts.
fn lookalike_script(c: char) -> Option<Script> {
    if !c.is_alphabetic() {
        return None;
    }
    let script = match u32::from(c) {
        0x0041..=0x007a
        | 0x00aa
        | 0x00ba
        | 0x00c0..=0x02af
        | 0x1d00..=0x1d25
        | 0x1d6b..=0x1d77
        | 0x1d79..=0x1d9a
        | 0x1e00..=0x1eff
        | 0x2c60..=0x2c7f
        | 0xa722..=0xa7ff
        | 0xab30..=0xab64
        | 0xff21..=0xff5a => Script::Latin,
        0x03e2..=0x03ef | 0x2c80..=0x2cff => Script::Coptic,
        0x0370..=0x03ff | 0x1d26..=0x1d2a | 0x1f00..=0x1fff => Script::Greek,
        0x0400..=0x052f | 0x1c80..=0x1c8f | 0x1d2b | 0x1d78 | 0x2de0..=0x2dff | 0xa640..=0xa69f => {
            Script::Cyrillic
        }
        0x0530..=0x058f => Script::Armenian,
        0x13a0..=0x13ff | 0xab70..=0xabbf => Script::Cherokee,
        _ => return None,
    };
    Some(script)
}

/// In code points, after NFC; what the mobile SDKs check.
const LENGTH_MAX: usize = 80;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(text: &str) -> String {
        Username::parse(text)
            .unwrap_or_else(|problem| panic!("{text:?}: {problem}"))
            .key()
            .to_owned()
    }

    fn problem(text: &str) -> UsernameProblem {
        Username::parse(text).expect_err(text)
    }

    // USR-01
    #[test]
    fn every_case_is_one_account() {
        let entered = Username::parse("JEdwards@MyApp.Com").unwrap();
        assert_eq!(entered.as_str(), "JEdwards@MyApp.Com");
        assert_eq!(entered.key(), "jedwards@myapp.com");
        for text in ["jedwards@myapp.com", "JEDWARDS@MYAPP.COM"] {
            assert_eq!(Username::parse(text).unwrap(), entered);
        }
        assert_eq!(key("ÉMILIE@x.example"), key("émilie@x.example"));
        assert_eq!(key("ИВАН@x.example"), key("иван@x.example"));
    }

    // USR-02
    #[test]
    fn two_encodings_of_one_text_are_one_account_or_refused() {
        let decomposed = Username::parse("rene\u{301}@x.example").unwrap();
        assert_eq!(decomposed.as_str(), "ren\u{e9}@x.example");
        assert_eq!(decomposed.key(), key("ren\u{e9}@x.example"));
        assert_eq!(key("ａｌｉｃｅ１@x.example"), "alice1@x.example");
        assert_eq!(key("ALICE＠ｘ.example"), "alice@x.example");
        for text in [
            "o\u{fb01}x@x.example",
            "\u{24d0}lice@x.example",
            "x\u{b2}@x.example",
            "\u{2167}@x.example",
        ] {
            assert_eq!(problem(text), UsernameProblem::LocalPartInvalid, "{text}");
        }
    }

    // USR-03
    #[test]
    fn folding_is_unicode_s_and_idempotent() {
        assert_eq!(key("STRASSE@x.example"), "strasse@x.example");
        assert_eq!(key("STRAẞE@x.example"), "straße@x.example");
        assert_ne!(key("straße@x.example"), key("strasse@x.example"));
        assert_eq!(key("ΝΙΚΟΣ@x.example"), key("νικος@x.example"));
        assert_eq!(key("ΝΙΚΟΣ@x.example"), key("νικοσ@x.example"));
        let i = ["i", "ı", "İ"].map(|i| key(&format!("{i}rem@x.example")));
        assert!(i[0] != i[1] && i[1] != i[2] && i[0] != i[2], "{i:?}");
        assert_eq!(key("I\u{307}rem@x.example"), i[2]);
        assert_eq!(key("Irem@x.example"), i[0]);
    }

    #[test]
    fn title_case_letters_are_lower_cased_wherever_they_stand() {
        assert_eq!(key("\u{1f88}@x.example"), key("\u{1f80}@x.example"));
        assert_eq!(key("Α\u{1f88}@x.example"), key("α\u{1f80}@x.example"));
        assert_eq!(key("α\u{1f88}@x.example"), key("Α\u{1f80}@x.example"));
    }

    // USR-04
    #[test]
    fn similar_scripts_may_not_be_mixed_in_one_label() {
        for text in [
            "\u{430}lice@x.example",
            "alic\u{435}@x.example",
            "\u{430}.smith@x.example",
            "pay\u{3c1}al@x.example",
            "\u{585}livia@x.example",
            "αлфа@x.example",
            "alice@\u{430}pple.example",
            "alice@xn--pple-43d.example",
            "alice@apple.e\u{445}ample",
        ] {
            assert_eq!(problem(text), UsernameProblem::ScriptsMixed, "{text}");
        }
        assert_ne!(
            key("\u{430}\u{441}\u{435}@x.example"),
            key("ace@x.example"),
            "wholly Cyrillic"
        );
        for text in [
            "иван@почта.example",
            "иван9@x.example",
            "田中taro@x.example",
            "ivan@почта.рф",
        ] {
            assert!(Username::parse(text).is_ok(), "{text}");
        }
    }

    // USR-05
    #[test]
    fn what_cannot_be_seen_is_refused() {
        for c in [
            '\u{200b}',
            '\u{200c}',
            '\u{200d}',
            '\u{200e}',
            '\u{202e}',
            '\u{2066}',
            '\u{2060}',
            '\u{feff}',
            '\u{ad}',
            '\u{34f}',
            '\u{61c}',
            '\u{180e}',
            '\u{3164}',
            '\u{fe0f}',
            '\u{e0041}',
            '\u{e0100}',
            '\u{fffd}',
        ] {
            for text in [
                format!("al{c}ice@x.example"),
                format!("alice@x{c}.example"),
                format!("alice@x.example{c}"),
            ] {
                assert_eq!(
                    problem(&text),
                    UsernameProblem::InvisibleCharacter,
                    "{text:?}"
                );
            }
        }
    }

    // USR-06
    #[test]
    fn every_spelling_of_a_domain_is_one_account() {
        for text in [
            "jo@bücher.example",
            "jo@BÜCHER.example",
            "jo@XN--BCHER-KVA.Example",
            "jo@bu\u{308}cher.example",
        ] {
            assert_eq!(key(text), "jo@xn--bcher-kva.example", "{text}");
        }
        assert_eq!(
            problem("jo@exam\u{ad}ple.com"),
            UsernameProblem::InvisibleCharacter
        );
        assert_eq!(
            problem("jo@xn--zzzzzzzz.example"),
            UsernameProblem::DomainInvalid
        );
    }

    // USR-07
    #[test]
    fn control_characters_and_noncharacters_are_refused() {
        for c in [
            '\0',
            '\n',
            '\r',
            '\t',
            '\u{7f}',
            '\u{85}',
            '\u{ffff}',
            '\u{fdd0}',
            '\u{10ffff}',
        ] {
            assert_eq!(
                problem(&format!("al{c}ice@x.example")),
                UsernameProblem::InvisibleCharacter,
                "{c:?}"
            );
        }
    }

    #[test]
    fn a_username_looks_like_an_email_address() {
        for text in [
            "a@b.co",
            "A.b_c%d+e-f@sub.domain.example",
            ".a.@x.example",
            "用户@例子.example",
            "१२@x.example",
            " alice@x.example\n",
            "o'hara@x.example",
            "a/b@x.example",
            "!#$%&'*+-/=?^_`{|}~@x.example",
        ] {
            assert!(Username::parse(text).is_ok(), "{text}");
        }
        for (text, expected) in [
            ("", UsernameProblem::NotLikeEmail),
            ("alice", UsernameProblem::NotLikeEmail),
            ("@x.example", UsernameProblem::NotLikeEmail),
            ("a@b@x.example", UsernameProblem::NotLikeEmail),
            ("alice@", UsernameProblem::DomainInvalid),
            ("alice@localhost", UsernameProblem::DomainInvalid),
            ("alice@x.example.", UsernameProblem::DomainInvalid),
            ("alice@192.0.2.1", UsernameProblem::DomainInvalid),
            ("alice@x.e", UsernameProblem::DomainInvalid),
            ("al ice@x.example", UsernameProblem::LocalPartInvalid),
            ("(a)@x.example", UsernameProblem::LocalPartInvalid),
            ("\"a\"@x.example", UsernameProblem::LocalPartInvalid),
            ("a,b@x.example", UsernameProblem::LocalPartInvalid),
            ("☃@x.example", UsernameProblem::LocalPartInvalid),
            ("a\nb@x.example", UsernameProblem::InvisibleCharacter),
            ("al:ice@x.example", UsernameProblem::ColonInside),
            ("al\u{ff1a}ice@x.example", UsernameProblem::ColonInside),
            ("alice@x.example:443", UsernameProblem::ColonInside),
        ] {
            assert_eq!(problem(text), expected, "{text:?}");
        }
    }

    #[test]
    fn eighty_code_points_are_enough() {
        let suffix = "@x.example";
        let longest = format!("{}{suffix}", "é".repeat(80 - suffix.len()));
        assert_eq!(Username::parse(&longest).unwrap().as_str(), longest);
        let decomposed = format!("{}{suffix}", "e\u{301}".repeat(80 - suffix.len()));
        assert_eq!(Username::parse(&decomposed).unwrap().as_str(), longest);
        let hangul = format!(
            "{}{suffix}",
            "\u{1112}\u{1161}\u{11ab}".repeat(80 - suffix.len())
        );
        assert!(
            Username::parse(&hangul).is_ok(),
            "nine bytes a syllable, decomposed"
        );
        assert_eq!(problem(&format!("é{longest}")), UsernameProblem::TooLong);
        assert_eq!(
            problem(&format!("{}{suffix}", "a".repeat(10_000))),
            UsernameProblem::TooLong
        );
    }

    proptest! {
        #[test]
        fn the_key_of_a_key_is_itself(
            text in prop_oneof![
                any::<String>(),
                "\\PC{1,6}@x\\.example",
                "[\\p{Alphabetic}\\p{M}\\p{Nd}._+-]{1,6}@x\\.example",
                "[\\p{Latin}\\p{Greek}]{1,6}@[\\p{Latin}]{1,4}\\.example",
            ],
        ) {
            if let Ok(username) = Username::parse(&text) {
                prop_assert_eq!(username.key().matches('@').count(), 1);
                prop_assert!(!username.key().chars().any(|c| c.is_control() || c.is_whitespace() || c == ':'));
                let again = Username::parse(username.key());
                prop_assert_eq!(again.as_ref().map(Username::key), Ok(username.key()), "{:?}", text);
                let reread = Username::parse(username.as_str());
                prop_assert_eq!(reread.as_ref().map(Username::key), Ok(username.key()), "{:?}", text);
            }
        }
    }
}
