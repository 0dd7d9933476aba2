//! The handlers that a site's settings name.

use serde::{Deserialize, Serialize};

/// The text of a setting that chooses the built-in handler.
const BUILT_IN: &str = "builtin";

/// Which handler a setting chooses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum HandlerChoice {
    /// `builtin`: the one that is part of the server.
    BuiltIn,
    /// A custom one, by its name.
    Named(String),
}

impl HandlerChoice {
    /// The name of the custom handler; `None` for the built-in one.
    pub fn name(&self) -> Option<&str> {
        match self {
            HandlerChoice::BuiltIn => None,
            HandlerChoice::Named(name) => Some(name),
        }
    }

    /// Whether a custom handler cannot have this name, because it chooses the built-in one.
    pub fn is_reserved(name: &str) -> bool {
        name == BUILT_IN
    }
}

impl TryFrom<String> for HandlerChoice {
    type Error = &'static str;

    fn try_from(text: String) -> Result<HandlerChoice, Self::Error> {
        match text.as_str() {
            "" => Err("select \"builtin\", or a handler by its name"),
            BUILT_IN => Ok(HandlerChoice::BuiltIn),
            _ => Ok(HandlerChoice::Named(text)),
        }
    }
}

impl From<HandlerChoice> for String {
    fn from(choice: HandlerChoice) -> String {
        match choice {
            HandlerChoice::BuiltIn => String::from(BUILT_IN),
            HandlerChoice::Named(name) => name,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Contract;
    use crate::settings::Settings;

    fn choice(text: &str) -> HandlerChoice {
        HandlerChoice::try_from(text.to_owned()).unwrap()
    }

    #[test]
    fn a_choice_of_a_handler_keeps_its_text() {
        assert_eq!(choice("builtin"), HandlerChoice::BuiltIn);
        for text in ["builtin", "Builtin", "welcome"] {
            assert_eq!(String::from(choice(text)), text);
        }
        assert!(HandlerChoice::try_from(String::new()).is_err());
    }

    #[test]
    fn a_setting_names_a_handler_of_its_contract_or_the_built_in_one() {
        let contract_of = |name: &str| match name {
            "welcome" => Some(Contract::CreateUser),
            "orders" => Some(Contract::DiscoverUser),
            _ => None,
        };
        let check = |registration: &str, discovery: Option<&str>| {
            let settings = Settings {
                registration_handler: choice(registration),
                headless_discovery_handler: discovery.map(choice),
                ..Settings::default()
            };
            settings
                .check_handlers(contract_of)
                .map_err(|invalid| invalid.to_string())
        };
        assert_eq!(check("builtin", None), Ok(()));
        assert_eq!(check("welcome", Some("orders")), Ok(()));
        assert_eq!(check("builtin", Some("builtin")), Ok(()));
        for (registration, discovery, words) in [
            (
                "Welcome",
                None,
                "registrationHandler: there is no handler \"Welcome\"",
            ),
            (
                "orders",
                None,
                "is one for discoverUser, and not for createUser",
            ),
            ("builtin", Some("welcome"), "headlessDiscoveryHandler"),
        ] {
            let refused = check(registration, discovery).unwrap_err();
            assert!(refused.contains(words), "{refused}");
        }
    }
}
