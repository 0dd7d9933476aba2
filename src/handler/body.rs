//! The content of a handler's version, as stored in the database.

use serde::{Deserialize, Serialize};

use crate::contract::HandlerKind;

/// A version's body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "kind",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum Body {
    /// A JavaScript module.
    Script {
        /// Its source.
        source: String,
        /// The hosts that it may call.
        #[serde(default)]
        allowed_hosts: Vec<String>,
    },
    /// A server of the customer.
    Webhook {
        /// Its URL.
        url: String,
    },
}

impl Body {
    /// Where it runs.
    pub fn kind(&self) -> HandlerKind {
        match self {
            Body::Script { .. } => HandlerKind::Script,
            Body::Webhook { .. } => HandlerKind::Webhook,
        }
    }

    /// The stored text.
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Parses the stored text.
    ///
    /// # Errors
    /// It was written by a newer version of the server, or by hand.
    pub fn parse(text: &str) -> Result<Body, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_reads_back() {
        for body in [
            Body::Script {
                source: "export function createUser() {}\n".into(),
                allowed_hosts: vec!["api.example.com".into()],
            },
            Body::Webhook {
                url: "https://hooks.example.com/a".into(),
            },
        ] {
            assert_eq!(Body::parse(&body.to_text()).unwrap(), body);
            assert!(body.to_text().contains(body.kind().as_str()));
        }
        assert!(Body::parse("{}").is_err());
    }
}
