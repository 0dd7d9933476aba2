//! Scopes: the rights of a token.
//!
//! This file owns how a scope list is parsed, compared and rendered (RFC 6749 3.3) and which scopes are known.
//! Which scopes a client or a user may have belongs to the clients and the grants.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The known scopes, in alphabetical order. Words that begin with [`CDP_PREFIX`] are known too.
///
/// Source: OAuth Tokens and Scopes.
pub const KNOWN: &[&str] = &[
    "address",
    "api",
    "chatbot_api",
    "chatter_api",
    "content",
    "custom_permissions",
    "data_cloud_user_claims",
    "eclair_api",
    "einstein_gpt_api",
    "email",
    "forgot_password",
    "full",
    "id",
    "interaction_api",
    "lightning",
    "mcp_api",
    "offline_access",
    "openid",
    "pardot_api",
    "phone",
    "profile",
    "pwdless_login_api",
    "refresh_token",
    "scrt_api",
    "sfap_api",
    "user_registration_api",
    "visualforce",
    "wave_api",
    "web",
];

/// The family of customer-data scopes, which grows without notice.
pub const CDP_PREFIX: &str = "cdp_";

/// The maximum length of a scope parameter in bytes: several times the whole vocabulary.
pub const SCOPE_BYTES_MAX: usize = 4096;

/// A scope list that contains a character that RFC 6749 3.3 forbids, or is longer than [`SCOPE_BYTES_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidScope;

impl fmt::Display for InvalidScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the scope is not a list of words separated by spaces")
    }
}

impl std::error::Error for InvalidScope {}

/// A list of scopes without repetition, in the order in which they were first named. Two lists with the same scopes
/// are equal, whatever their order.
///
/// `refresh_token` and `offline_access` are two names of one scope: each is kept as it was written, because callers
/// look for the name they sent, and either satisfies the other.
///
/// ```
/// use vestibule_protocol::scope::ScopeSet;
/// let granted: ScopeSet = "openid api refresh_token openid".parse()?;
/// assert_eq!(granted.to_string(), "openid api refresh_token");
/// assert!(granted.contains("offline_access"));
/// # Ok::<(), vestibule_protocol::scope::InvalidScope>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct ScopeSet(Vec<String>);

impl ScopeSet {
    /// Parses a list separated by spaces. Commas separate too: one page of the documentation writes lists so. An
    /// empty list is valid.
    ///
    /// # Refusals
    ///
    /// [`InvalidScope`] for characters outside `%x21 / %x23-5B / %x5D-7E` (RFC 6749 3.3) and for
    /// lists that are too long. Unknown words are not refused here; see [`ScopeSet::unknown`].
    pub fn parse(text: &str) -> Result<ScopeSet, InvalidScope> {
        if text.len() > SCOPE_BYTES_MAX {
            return Err(InvalidScope);
        }
        let mut scopes = ScopeSet::default();
        for word in text.split([' ', ',']).filter(|word| !word.is_empty()) {
            let is_scope_token = word
                .bytes()
                .all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e));
            if !is_scope_token {
                return Err(InvalidScope);
            }
            if !scopes.contains(word) {
                scopes.0.push(word.to_owned());
            }
        }
        Ok(scopes)
    }

    /// Whether the list grants the scope, under either of its names.
    pub fn contains(&self, scope: &str) -> bool {
        self.0
            .iter()
            .any(|word| canonical(word) == canonical(scope))
    }

    /// Whether no scope is in the list.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many scopes are in the list.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the other list grants every scope of this one.
    pub fn is_subset_of(&self, other: &ScopeSet) -> bool {
        self.iter().all(|scope| other.contains(scope))
    }

    /// The scopes of this list that the other list grants too, in the order and spelling of this list.
    pub fn intersection(&self, other: &ScopeSet) -> ScopeSet {
        let kept = self.0.iter().filter(|scope| other.contains(scope));
        ScopeSet(kept.cloned().collect())
    }

    /// The list without a scope, under either of its names.
    pub fn without(&self, scope: &str) -> ScopeSet {
        let kept = self
            .iter()
            .filter(|word| canonical(word) != canonical(scope));
        ScopeSet(kept.map(str::to_owned).collect())
    }

    /// The scopes that are not known. They are an error when a client is registered; when a token is requested, the
    /// client's registered list already limits them.
    pub fn unknown(&self) -> Vec<String> {
        self.iter()
            .filter(|scope| !KNOWN.contains(scope) && !scope.starts_with(CDP_PREFIX))
            .map(str::to_owned)
            .collect()
    }

    /// The scopes in their order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

/// The one name under which two names of a scope are compared.
fn canonical(scope: &str) -> &str {
    match scope {
        "offline_access" => "refresh_token",
        other => other,
    }
}

impl PartialEq for ScopeSet {
    fn eq(&self, other: &Self) -> bool {
        self.is_subset_of(other) && other.is_subset_of(self)
    }
}

impl Eq for ScopeSet {}

impl fmt::Display for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" "))
    }
}

impl FromStr for ScopeSet {
    type Err = InvalidScope;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        ScopeSet::parse(text)
    }
}

impl Serialize for ScopeSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ScopeSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        ScopeSet::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scopes(text: &str) -> ScopeSet {
        ScopeSet::parse(text).unwrap()
    }

    #[test]
    fn order_is_kept_and_repetition_is_not() {
        let granted = scopes("refresh_token openid user_registration_api api openid");
        assert_eq!(
            granted.to_string(),
            "refresh_token openid user_registration_api api"
        );
        assert_eq!(granted.len(), 4);
    }

    #[test]
    fn commas_and_runs_of_spaces_separate_too() {
        assert_eq!(
            scopes(" openid,api,, id  web ").to_string(),
            "openid api id web"
        );
        assert!(scopes("").is_empty());
        assert!(scopes(" , ").is_empty());
    }

    #[test]
    fn lists_with_the_same_words_are_equal() {
        assert_eq!(scopes("openid api"), scopes("api openid"));
        assert_ne!(scopes("openid api"), scopes("openid"));
    }

    #[test]
    fn a_list_is_narrowed_in_its_order_and_spelling() {
        let granted = scopes("offline_access openid api");
        let left = granted.intersection(&scopes("api web refresh_token"));
        assert_eq!(left.to_string(), "offline_access api");
        assert!(granted.intersection(&scopes("web")).is_empty());
        assert_eq!(granted.without("refresh_token").to_string(), "openid api");
        assert_eq!(granted.without("web").to_string(), granted.to_string());
    }

    #[test]
    fn refresh_token_and_offline_access_are_one_scope() {
        assert!(scopes("offline_access").contains("refresh_token"));
        assert!(scopes("refresh_token").is_subset_of(&scopes("openid offline_access")));
        assert_eq!(
            scopes("refresh_token offline_access").to_string(),
            "refresh_token"
        );
    }

    #[test]
    fn a_scope_is_compared_letter_by_letter() {
        let granted = scopes("openid api");
        assert!(!granted.contains("OpenID"));
        assert!(!granted.contains("ap"));
        assert!(!granted.contains(""));
        assert!(!scopes("openid web").is_subset_of(&granted));
        assert!(ScopeSet::default().is_subset_of(&granted));
    }

    #[test]
    fn words_outside_the_vocabulary_are_named_not_refused() {
        assert_eq!(
            scopes("openid nonsense cdp_query_api x").unknown(),
            ["nonsense", "x"]
        );
    }

    #[test]
    fn the_vocabulary_is_sorted_and_well_formed() {
        assert!(KNOWN.is_sorted());
        let all = scopes(&KNOWN.join(" "));
        // One scope has two names.
        assert_eq!(all.len(), KNOWN.len() - 1);
        assert!(all.unknown().is_empty());
    }

    #[test]
    fn forbidden_characters_and_endless_lists_are_refused() {
        for hostile in [
            "open\"id",
            "open\\id",
            "openid\tapi",
            "openid\r\napi",
            "openid\0",
            "öpenid",
            "openid\u{a0}api",
        ] {
            assert_eq!(ScopeSet::parse(hostile), Err(InvalidScope), "{hostile:?}");
        }
        assert_eq!(
            ScopeSet::parse(&"a".repeat(SCOPE_BYTES_MAX + 1)),
            Err(InvalidScope)
        );
    }

    #[test]
    fn a_list_is_a_string_to_serde() {
        let text = serde_json::to_string(&scopes("openid api")).unwrap();
        assert_eq!(text, "\"openid api\"");
        assert_eq!(
            serde_json::from_str::<ScopeSet>(&text).unwrap(),
            scopes("api openid")
        );
        assert!(serde_json::from_str::<ScopeSet>("\"a\\\"b\"").is_err());
    }

    proptest! {
        #[test]
        fn what_is_parsed_prints_and_parses_back(text in "[a-z_, ]{0,60}|\\PC{0,40}") {
            if let Ok(scopes) = ScopeSet::parse(&text) {
                let again = ScopeSet::parse(&scopes.to_string()).unwrap();
                prop_assert_eq!(&again.0, &scopes.0);
            }
        }
    }
}
