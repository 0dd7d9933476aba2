//! Passwords: their normalisation and the password policy.
//!
//! This file owns the one normalisation of passwords, the same when a password is set and when it is presented, and
//! the policy that decides whether a new one is accepted: length, kinds of characters, nothing taken from the
//! user's name, nothing from the list of common passwords. It also defines the numbers of the policy that others
//! use (history, expiry, lockout), and checks that they are among the documented ones.
//!
//! Hashing is left to `hashing`, counting failures and keeping the history to `store` and the flows.
//!
//! Follows the members and values of the Salesforce metadata type ProfilePasswordPolicy. The normalisation is NFKC, as
//! in RFC 4013 section 2.2, where RFC 8265 section 4.2 has NFC: with NFKC a full-width digit from a Japanese keyboard is
//! the same digit as on any other.

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use unicode_normalization::UnicodeNormalization;
use vestibule_protocol::secret::Secret;

use super::User;

/// A password in the only form that is hashed: NFKC, at most 16,000 bytes, without NUL.
#[derive(Clone, Debug)]
pub struct Prepared(Secret);

impl Prepared {
    /// The normalised text.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// The normalised text, for the hasher.
    pub fn into_secret(self) -> Secret {
        self.0
    }
}

/// Normalises a password: NFKC once, nothing trimmed, nothing folded. The operation is idempotent.
///
/// When a presented password is refused here, the caller must still do the work of a comparison, so that the
/// response time does not depend on it.
///
/// # Refusals
/// [`PasswordProblem::TooLong`] over 16,000 bytes before or after normalising; [`PasswordProblem::NulInside`].
pub fn prepare(password: &str) -> Result<Prepared, PasswordProblem> {
    if password.len() > BYTES_MAX {
        return Err(PasswordProblem::TooLong);
    }
    if password.contains('\0') {
        return Err(PasswordProblem::NulInside);
    }
    let normalised = Secret::from(password.nfkc().collect::<String>());
    // NFKC may turn one code point into eighteen.
    if normalised.expose().len() > BYTES_MAX {
        return Err(PasswordProblem::TooLong);
    }
    Ok(Prepared(normalised))
}

/// Why a password is refused. Contains nothing of the password; the texts may be shown to the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordProblem {
    /// Kinds of characters that the policy's complexity requires are missing; carries the complexity, 1 to 4.
    #[error("the password must contain {}", kinds_wanted(*.0))]
    CharactersMissing(u8),
    /// Nothing but the user's names, digits and punctuation.
    #[error("the password must not be made of your name")]
    ContainsName,
    /// The username, or its part before the `@` when that is four code points or longer.
    #[error("the password must not contain the username")]
    ContainsUsername,
    /// U+0000, which some libraries would treat as the end.
    #[error("the password must not contain a NUL character")]
    NulInside,
    /// Clients trim what is typed, so such a password could be set and never used.
    #[error("the password must not begin or end with whitespace")]
    OuterWhitespace,
    /// Among the most frequent passwords.
    #[error("the password is too common")]
    TooCommon,
    /// More than 16,000 bytes.
    #[error("the password must not be longer than 16000 bytes")]
    TooLong,
    /// Fewer code points than the policy asks for; carries the policy's minimum.
    #[error("the password must have at least {0} characters")]
    TooShort(u8),
}

/// The password policy of a profile, with the member names and values of ProfilePasswordPolicy.
///
/// Members that are absent take their defaults, unknown ones are ignored; call [`PasswordPolicy::validate`] on a
/// policy that comes from outside.
///
/// Source: Metadata API, ProfilePasswordPolicy. Its default is a password that expires after 90 days; the default
/// here is one that never expires.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PasswordPolicy {
    /// Minimum code points, 5 to 50.
    #[serde(rename = "minimumPasswordLength")]
    pub length_min: u8,
    /// 0 anything; 1 letters and digits; 2 also special characters; 3 digits, upper and lower case; 4 all of them.
    #[serde(rename = "passwordComplexity")]
    pub complexity: u8,
    /// Number of earlier passwords that may not be reused, 0 to 24; 0 only when passwords never expire.
    #[serde(rename = "passwordHistory")]
    pub history: u8,
    /// Days until a password must be replaced: 0 (never), 30, 60, 90, 180 or 365.
    #[serde(rename = "passwordExpiration")]
    pub expiration_days: u16,
    /// Wrong passwords until login with a password is locked out: 0 (no limit), 3, 5 or 10.
    #[serde(rename = "maxLoginAttempts")]
    pub failed_attempts_max: u8,
    /// Minutes of the lockout: 15, 30, 60, or 0 until an administrator ends it.
    #[serde(rename = "lockoutInterval")]
    pub lockout_minutes: u8,
    /// A password must be a day old before it may be changed.
    #[serde(rename = "minimumPasswordLifetime")]
    pub has_minimum_lifetime: bool,
    /// Accepts the passwords of the list of common ones. Not a member of ProfilePasswordPolicy: the original has no such
    /// list.
    #[serde(rename = "isCommonPasswordAllowed")]
    pub is_common_allowed: bool,
    /// Members that this version does not know, which a newer one has saved: they have no effect and are kept.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

impl Default for PasswordPolicy {
    fn default() -> PasswordPolicy {
        PasswordPolicy {
            length_min: 8,
            complexity: 1,
            history: 3,
            expiration_days: 0,
            failed_attempts_max: 10,
            lockout_minutes: 15,
            has_minimum_lifetime: false,
            is_common_allowed: false,
            unknown: Map::new(),
        }
    }
}

/// A member of a policy has a value that is not among the documented ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} must be {allowed}")]
pub struct PolicyProblem {
    /// The member, as it is spelled in JSON.
    pub field: &'static str,
    /// The allowed values, in words.
    pub allowed: &'static str,
}

/// The user of a password, in words that the password must not be made of.
#[derive(Clone, Copy, Debug)]
pub struct Owner<'o> {
    /// The username.
    pub username: &'o str,
    /// The given name.
    pub first_name: Option<&'o str>,
    /// The family name.
    pub last_name: &'o str,
}

impl<'o> From<&'o User> for Owner<'o> {
    fn from(user: &'o User) -> Self {
        Owner {
            username: &user.username,
            first_name: user.first_name.as_deref(),
            last_name: &user.last_name,
        }
    }
}

impl PasswordPolicy {
    /// Checks that every number is among the documented ones.
    ///
    /// # Refusals
    /// [`PolicyProblem`] with the first member that is not.
    pub fn validate(&self) -> Result<(), PolicyProblem> {
        let history_min = u8::from(self.expiration_days != 0);
        let rules = [
            (
                (5..=50).contains(&self.length_min),
                "minimumPasswordLength",
                "5 to 50",
            ),
            (self.complexity <= 4, "passwordComplexity", "0 to 4"),
            (
                [0, 30, 60, 90, 180, 365].contains(&self.expiration_days),
                "passwordExpiration",
                "0, 30, 60, 90, 180 or 365 days",
            ),
            (
                (history_min..=24).contains(&self.history),
                "passwordHistory",
                "0 to 24, and 0 only when passwords never expire",
            ),
            (
                [0, 3, 5, 10].contains(&self.failed_attempts_max),
                "maxLoginAttempts",
                "0, 3, 5 or 10",
            ),
            (
                [0, 15, 30, 60].contains(&self.lockout_minutes),
                "lockoutInterval",
                "0, 15, 30 or 60 minutes",
            ),
        ];
        match rules.into_iter().find(|(holds, ..)| !holds) {
            Some((_, field, allowed)) => Err(PolicyProblem { field, allowed }),
            None => Ok(()),
        }
    }

    /// Checks a user's new password, as typed, and prepares it for hashing. Every way to set a password calls this
    /// function.
    ///
    /// # Refusals
    /// Everything [`prepare`] refuses, then any other [`PasswordProblem`].
    ///
    /// Source: Set Password Policies; NIST SP 800-63B-4 section 3.1.1.2 (lists of common and expected passwords).
    pub fn accept(&self, password: &str, owner: &Owner<'_>) -> Result<Prepared, PasswordProblem> {
        let first_name = owner.first_name.unwrap_or_default();
        let names = [first_name, owner.last_name, PRODUCT];
        self.check(password, owner.username, &names)?;
        prepare(password)
    }

    /// `password` is the typed text, before preparing; `names` are the other words that belong to the user and the
    /// site.
    fn check(&self, password: &str, username: &str, names: &[&str]) -> Result<(), PasswordProblem> {
        let prepared = prepare(password)?;
        // Checked on the text as typed, because that is what clients trim; NFKC may itself produce a leading space.
        if password.starts_with(is_trimmed_by_clients) || password.ends_with(is_trimmed_by_clients)
        {
            return Err(PasswordProblem::OuterWhitespace);
        }
        if prepared.expose().chars().count() < usize::from(self.length_min) {
            return Err(PasswordProblem::TooShort(self.length_min));
        }
        if !has_kinds(prepared.expose(), self.complexity) {
            return Err(PasswordProblem::CharactersMissing(self.complexity));
        }
        let folded = Secret::from(prepared.expose().to_lowercase());
        if contains_username(folded.expose(), username) {
            return Err(PasswordProblem::ContainsUsername);
        }
        if is_made_of_names(folded.expose(), names) {
            return Err(PasswordProblem::ContainsName);
        }
        if !self.is_common_allowed && is_common(folded.expose()) {
            return Err(PasswordProblem::TooCommon);
        }
        Ok(())
    }
}

/// The name of the product, which is not allowed as a password either.
const PRODUCT: &str = "vestibule";

/// White space by Unicode, and the characters that the string libraries of phones and browsers also trim: the
/// information separators (Java), U+200B and U+180E (older Apple systems), U+FEFF (JavaScript).
fn is_trimmed_by_clients(c: char) -> bool {
    c.is_whitespace()
        || matches!(
            c,
            '\u{1c}'..='\u{1f}' | '\u{180e}' | '\u{200b}' | '\u{feff}'
        )
}

/// Letters, cases and digits are those of all of Unicode, special characters only the documented ten. A value above
/// 4 cannot pass [`PasswordPolicy::validate`] and counts as the strictest.
fn has_kinds(password: &str, complexity: u8) -> bool {
    let has = |kind: fn(char) -> bool| password.chars().any(kind);
    let digit = || has(char::is_numeric);
    let letter = || has(char::is_alphabetic);
    let both_cases = || has(char::is_uppercase) && has(char::is_lowercase);
    let special = || has(|c| SPECIAL_CHARACTERS.contains(c));
    match complexity {
        0 => true,
        1 => letter() && digit(),
        2 => letter() && digit() && special(),
        3 => digit() && both_cases(),
        _ => digit() && both_cases() && special(),
    }
}

fn kinds_wanted(complexity: u8) -> &'static str {
    match complexity {
        0 => "any characters",
        1 => "letters and digits",
        2 => "letters, digits and special characters (! # $ % - _ = + < >)",
        3 => "digits, upper-case and lower-case letters",
        _ => {
            "digits, upper-case and lower-case letters and special characters (! # $ % - _ = + < >)"
        }
    }
}

fn contains_username(folded: &str, username: &str) -> bool {
    let username = folded_nfkc(username);
    if username.is_empty() {
        return false;
    }
    let local_part = username.split('@').next().unwrap_or_default();
    folded.contains(&username)
        || local_part.chars().count() >= LOCAL_PART_LENGTH_MIN && folded.contains(local_part)
}

/// True when the letters of the password are only names, one after another: `Janice.Edwards1` for Janice Edwards. A
/// name inside a longer password is allowed, or Mark could not have `Supermarket-12`.
fn is_made_of_names(folded: &str, names: &[&str]) -> bool {
    let letters = Secret::from(
        folded
            .chars()
            .filter(|c| c.is_alphabetic())
            .collect::<String>(),
    );
    let letters = letters.expose().as_bytes();
    let names = folded_nfkc(&names.join(" "));
    let words: Vec<&str> = names
        .split(|c: char| !c.is_alphabetic())
        .filter(|word| !word.is_empty())
        .collect();
    // `is_reached[n]`: the first n bytes are names. Removing one name after the other would not work: with
    // the names Ann and Anna, "annanna" begins with "anna", and the rest "nna" is not a name.
    let mut is_reached = vec![false; letters.len() + 1];
    is_reached[0] = true;
    for start in 0..letters.len() {
        if is_reached[start] {
            for word in words
                .iter()
                .filter(|word| letters[start..].starts_with(word.as_bytes()))
            {
                is_reached[start + word.len()] = true;
            }
        }
    }
    !letters.is_empty() && is_reached[letters.len()]
}

fn is_common(folded: &str) -> bool {
    let hash = digest(&SHA256, folded.as_bytes());
    let (prefixes, _) = COMMON_PASSWORDS.as_chunks::<COMMON_PREFIX_BYTES>();
    prefixes
        .binary_search_by(|prefix| prefix.as_slice().cmp(&hash.as_ref()[..COMMON_PREFIX_BYTES]))
        .is_ok()
}

fn folded_nfkc(text: &str) -> String {
    text.nfkc().collect::<String>().to_lowercase()
}

/// The documented maximum; it also bounds the work of normalising.
const BYTES_MAX: usize = 16_000;
/// The special characters that count, as documented.
const SPECIAL_CHARACTERS: &str = "!#$%-_=+<>";
/// A shorter local part (`jo@…`) occurs in too many good passwords.
const LOCAL_PART_LENGTH_MIN: usize = 4;
/// Sorted prefixes of SHA-256 hashes; `data/README.md` describes how the file is made.
const COMMON_PASSWORDS: &[u8] = include_bytes!("data/common_passwords.bin");
const COMMON_PREFIX_BYTES: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(password: &str) -> Result<(), PasswordProblem> {
        PasswordPolicy::default().check(
            password,
            "jedwards@myapp.com",
            &["Janice", "Edwards", "Acme"],
        )
    }

    fn text(password: &str) -> String {
        prepare(password).unwrap().expose().to_owned()
    }

    #[test]
    fn the_sample_password_passes_the_default_policy() {
        assert_eq!(check("Sup3rSecret"), Ok(()));
    }

    // PWD-04, PWD-05
    #[test]
    fn preparing_is_nfkc_once_and_trims_nothing() {
        assert_eq!(text("cafe\u{301} 1"), text("caf\u{e9} 1"));
        assert_eq!(text("１２３"), "123");
        assert_eq!(text(" two  blanks "), " two  blanks ");
        assert_eq!(text("🔑e\u{301}\u{327}"), text("🔑e\u{327}\u{301}"));
        assert_eq!(text(""), "");
        for password in ["ﬁ ﷺ ½", "İıſẞ", "\u{344}\u{1f71}", "각가"] {
            assert_eq!(text(&text(password)), text(password));
        }
    }

    // PWD-02, PWD-03
    #[test]
    fn sixteen_thousand_bytes_are_accepted_and_one_more_is_not() {
        assert!(prepare(&"é".repeat(8_000)).is_ok());
        assert_eq!(
            prepare(&format!("{}x", "é".repeat(8_000))).unwrap_err(),
            PasswordProblem::TooLong
        );
        assert_eq!(
            prepare(&"ﷺ".repeat(5_000)).unwrap_err(),
            PasswordProblem::TooLong,
            "NFKC makes it 18 times as long"
        );
        assert_eq!(check(&"x1".repeat(8_001)), Err(PasswordProblem::TooLong));
    }

    #[test]
    fn a_nul_character_is_refused_anywhere() {
        for password in ["\0Sup3rSecret", "Sup3r\0Secret", "Sup3rSecret\0"] {
            assert_eq!(prepare(password).unwrap_err(), PasswordProblem::NulInside);
        }
    }

    #[test]
    fn a_prepared_password_does_not_print() {
        assert!(!format!("{:?}", prepare("Sup3rSecret").unwrap()).contains("Sup3r"));
    }

    #[test]
    fn length_counts_code_points_not_bytes() {
        assert_eq!(check("🔑🔑🔑🔑🔑🔑a1"), Ok(()));
        assert_eq!(check("🔑🔑🔑🔑🔑a1"), Err(PasswordProblem::TooShort(8)));
        assert_eq!(
            check("e\u{301}e\u{301}e\u{301}e\u{301}1"),
            Err(PasswordProblem::TooShort(8)),
            "after normalising"
        );
    }

    #[test]
    fn outer_whitespace_is_refused_when_a_password_is_set() {
        for blank in [
            " ", "\t", "\n", "\u{a0}", "\u{3000}", "\u{1f}", "\u{feff}", "\u{200b}",
        ] {
            assert_eq!(
                check(&format!("{blank}Sup3rSecret")),
                Err(PasswordProblem::OuterWhitespace),
                "{blank:?}"
            );
            assert_eq!(
                check(&format!("Sup3rSecret{blank}")),
                Err(PasswordProblem::OuterWhitespace),
                "{blank:?}"
            );
        }
        assert_eq!(check("Sup3r Secret"), Ok(()));
        assert_eq!(
            check("´Sup3rSecret"),
            Ok(()),
            "NFKC begins with a space here, the typed text does not"
        );
    }

    #[test]
    fn each_complexity_asks_for_its_kinds_of_characters() {
        for (complexity, good, bad) in [
            (0, "zzqqzzqq", None),
            (1, "zzqqzzq1", Some("zzqqzzqq")),
            (1, "пароль-9", Some("93948571")),
            (2, "zzqqzz-1", Some("zzqqzz?1")),
            (3, "Zzqqzzq1", Some("zzqqzzq1")),
            (3, "zqqzzq1Z", Some("ZZQQZZQ1")),
            (4, "Zzqqzz1<", Some("Zzqqzzq1")),
            (4, "Zzqqzz1_", Some("Zzqqzzq_")),
        ] {
            let policy = PasswordPolicy {
                complexity,
                ..PasswordPolicy::default()
            };
            assert_eq!(
                policy.check(good, "u@x.example", &[]),
                Ok(()),
                "{complexity} {good}"
            );
            if let Some(bad) = bad {
                let problem = PasswordProblem::CharactersMissing(complexity);
                assert_eq!(
                    policy.check(bad, "u@x.example", &[]),
                    Err(problem),
                    "{complexity} {bad}"
                );
            }
        }
    }

    // PWD-06
    #[test]
    fn a_password_with_the_username_inside_is_refused_in_any_case() {
        for password in [
            "jedwards@myapp.com1",
            "xJEDWARDS@MyApp.Com1",
            "JEdwards2026",
            "1jedwards",
            "ｊｅｄｗａｒｄｓ１",
        ] {
            assert_eq!(
                check(password),
                Err(PasswordProblem::ContainsUsername),
                "{password}"
            );
        }
        let policy = PasswordPolicy::default();
        assert_eq!(
            policy.check("jobless-12", "job@x.example", &[]),
            Ok(()),
            "three code points are too few to matter"
        );
        assert_eq!(policy.check("Sup3rSecret", "", &[]), Ok(()));
    }

    // PWD-06
    #[test]
    fn a_password_made_of_the_user_s_names_is_refused() {
        for password in [
            "Janice123",
            "EDWARDS-1",
            "Janice.Edwards1",
            "edwardsjanice42",
            "Acme2026!",
            "1acmejanice",
        ] {
            assert_eq!(
                check(password),
                Err(PasswordProblem::ContainsName),
                "{password}"
            );
        }
        let policy = PasswordPolicy::default();
        assert_eq!(
            policy.check("Supermarket-12", "x@y.example", &["Mark"]),
            Ok(())
        );
        assert_eq!(
            policy.check("Annalise12", "x@y.example", &["Ann", "Anna"]),
            Ok(())
        );
        assert_eq!(
            policy.check("AnnAnna12", "x@y.example", &["Ann", "Anna", ""]),
            Err(PasswordProblem::ContainsName)
        );
        assert_eq!(
            policy.check("maryjane-12", "x@y.example", &["Mary Jane"]),
            Err(PasswordProblem::ContainsName)
        );
        let digits_only = PasswordPolicy {
            complexity: 0,
            ..PasswordPolicy::default()
        };
        assert_eq!(
            digits_only.check("93948571", "x@y.example", &["Ann"]),
            Ok(())
        );
    }

    // PWD-06
    #[test]
    fn common_passwords_are_refused_in_any_case() {
        for password in [
            "password1",
            "PassWord1",
            "1q2w3e4r5t",
            "ｐａｓｓｗｏｒｄ１",
            "abcd1234",
        ] {
            assert_eq!(
                check(password),
                Err(PasswordProblem::TooCommon),
                "{password}"
            );
        }
        let lenient = PasswordPolicy {
            length_min: 5,
            complexity: 0,
            ..PasswordPolicy::default()
        };
        for password in ["123456", "qwerty", "iloveyou", "dragon", "monkey"] {
            assert_eq!(
                lenient.check(password, "x@y.example", &[]),
                Err(PasswordProblem::TooCommon),
                "{password}"
            );
        }
        assert_eq!(lenient.check("tuesday's lamp", "x@y.example", &[]), Ok(()));
        let unlisted = PasswordPolicy {
            is_common_allowed: true,
            ..PasswordPolicy::default()
        };
        for password in ["abcd1234", "Password1", "Test1234"] {
            assert_eq!(
                unlisted.check(password, "x@y.example", &[]),
                Ok(()),
                "{password}"
            );
        }
    }

    #[test]
    fn the_list_of_common_passwords_is_complete_and_sorted() {
        let (prefixes, rest) = COMMON_PASSWORDS.as_chunks::<COMMON_PREFIX_BYTES>();
        assert_eq!((prefixes.len(), rest.len()), (10_000, 0));
        assert!(prefixes.is_sorted_by(|earlier, later| earlier < later));
    }

    #[test]
    fn the_default_policy_is_valid_and_spelled_as_documented() {
        let policy = PasswordPolicy::default();
        assert_eq!(policy.validate(), Ok(()));
        let json = serde_json::to_value(&policy).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "minimumPasswordLength": 8, "passwordComplexity": 1, "passwordHistory": 3, "passwordExpiration": 0,
                "maxLoginAttempts": 10, "lockoutInterval": 15, "minimumPasswordLifetime": false,
                "isCommonPasswordAllowed": false,
            })
        );
        assert_eq!(
            serde_json::from_value::<PasswordPolicy>(json).unwrap(),
            policy
        );
        assert_eq!(
            serde_json::from_str::<PasswordPolicy>(r#"{"newer":true}"#).unwrap(),
            PasswordPolicy {
                unknown: Map::from_iter([(String::from("newer"), Value::from(true))]),
                ..PasswordPolicy::default()
            },
            "kept for the version that knows it"
        );
    }

    #[test]
    fn validation_names_the_member_that_is_out_of_range() {
        for (json, field) in [
            (r#"{"minimumPasswordLength":4}"#, "minimumPasswordLength"),
            (r#"{"minimumPasswordLength":51}"#, "minimumPasswordLength"),
            (r#"{"passwordComplexity":5}"#, "passwordComplexity"),
            (r#"{"passwordHistory":25}"#, "passwordHistory"),
            (
                r#"{"passwordHistory":0,"passwordExpiration":90}"#,
                "passwordHistory",
            ),
            (r#"{"passwordExpiration":31}"#, "passwordExpiration"),
            (r#"{"maxLoginAttempts":4}"#, "maxLoginAttempts"),
            (r#"{"lockoutInterval":5}"#, "lockoutInterval"),
        ] {
            let policy: PasswordPolicy = serde_json::from_str(json).unwrap();
            assert_eq!(policy.validate().unwrap_err().field, field, "{json}");
        }
        for json in [
            r#"{"passwordHistory":0}"#,
            r#"{"passwordHistory":1,"passwordExpiration":365}"#,
            r#"{"maxLoginAttempts":0,"lockoutInterval":0}"#,
            r#"{"minimumPasswordLength":50,"passwordComplexity":4,"minimumPasswordLifetime":true}"#,
        ] {
            assert_eq!(
                serde_json::from_str::<PasswordPolicy>(json)
                    .unwrap()
                    .validate(),
                Ok(()),
                "{json}"
            );
        }
    }
}
