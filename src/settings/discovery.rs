//! The strategies by which the built-in discovery finds the user of a `login_hint`, tried in order.

use serde::{Deserialize, Serialize};

/// Longest name of a kind or an attribute.
const NAME_LENGTH_MAX: usize = 80;

/// One way to read a hint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Strategy {
    /// As the value of an attribute: `attribute:NAME`.
    Attribute(String),
    /// As an external identifier of a kind: `identifier:KIND`.
    Identifier(String),
    /// As a username: `username`.
    Username,
    /// As a verified address: `verifiedEmail`.
    VerifiedEmail,
    /// As a verified phone number: `verifiedPhone`.
    VerifiedPhone,
}

impl TryFrom<String> for Strategy {
    type Error = String;

    fn try_from(word: String) -> Result<Strategy, String> {
        let named = |prefix| {
            let name = word.strip_prefix(prefix)?;
            is_name(name).then(|| name.to_owned())
        };
        match word.as_str() {
            "username" => Ok(Strategy::Username),
            "verifiedEmail" => Ok(Strategy::VerifiedEmail),
            "verifiedPhone" => Ok(Strategy::VerifiedPhone),
            _ => named("attribute:")
                .map(Strategy::Attribute)
                .or_else(|| named("identifier:").map(Strategy::Identifier))
                .ok_or_else(|| {
                    format!(
                        "{word:?} is none of username, verifiedEmail, verifiedPhone, identifier:KIND, attribute:NAME"
                    )
                }),
        }
    }
}

impl From<Strategy> for String {
    fn from(strategy: Strategy) -> String {
        match strategy {
            Strategy::Attribute(name) => format!("attribute:{name}"),
            Strategy::Identifier(kind) => format!("identifier:{kind}"),
            Strategy::Username => String::from("username"),
            Strategy::VerifiedEmail => String::from("verifiedEmail"),
            Strategy::VerifiedPhone => String::from("verifiedPhone"),
        }
    }
}

/// Whether a text can name a kind of external identifiers or an attribute: 1 to 80 printable
/// characters without blanks.
pub fn is_name(text: &str) -> bool {
    let is_plain = |c: char| !c.is_control() && !c.is_whitespace();
    !text.is_empty() && text.chars().count() <= NAME_LENGTH_MAX && text.chars().all(is_plain)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::changes::Invalid;
    use crate::settings::Settings;

    fn updated(changes: Value) -> Result<Settings, Invalid> {
        Settings::default().updated(changes.as_object().unwrap())
    }

    #[test]
    fn strategies_are_read_in_their_order() {
        let settings = updated(json!({"headlessDiscoveryHandler": "builtin",
            "headlessDiscoveryStrategies": ["identifier:order", "verifiedEmail", "attribute:card"]}));
        let strategies = settings.unwrap().headless_discovery_strategies;
        assert_eq!(
            strategies,
            [
                Strategy::Identifier("order".into()),
                Strategy::VerifiedEmail,
                Strategy::Attribute("card".into())
            ]
        );
    }

    #[test]
    fn what_cannot_work_is_named() {
        for (changes, key) in [
            (
                json!({"headlessDiscoveryStrategies": ["email"]}),
                "headlessDiscoveryStrategies",
            ),
            (
                json!({"headlessDiscoveryStrategies": ["identifier:"]}),
                "headlessDiscoveryStrategies",
            ),
            (
                json!({"headlessDiscoveryStrategies": ["identifier:a b"]}),
                "headlessDiscoveryStrategies",
            ),
            (
                json!({"headlessDiscoveryStrategies": vec!["username"; 11]}),
                "headlessDiscoveryStrategies",
            ),
            (
                json!({"headlessDiscoveryHandler": "builtin"}),
                "headlessDiscoveryStrategies",
            ),
            (
                json!({"headlessDiscoveryHandler": "Orders"}),
                "headlessDiscoveryExecutionUser",
            ),
            (
                json!({"isUserDisambiguationAllowedUsernamePwd": true}),
                "isUserDisambiguationAllowedUsernamePwd",
            ),
            (
                json!({"isUserDisambiguationAllowedForgotPwd": true}),
                "isUserDisambiguationAllowedForgotPwd",
            ),
            (
                json!({"defaultPhoneCountryCode": "49"}),
                "defaultPhoneCountryCode",
            ),
            (
                json!({"defaultPhoneCountryCode": "+0"}),
                "defaultPhoneCountryCode",
            ),
        ] {
            assert_eq!(updated(changes.clone()).unwrap_err().key, key, "{changes}");
        }
    }
}
