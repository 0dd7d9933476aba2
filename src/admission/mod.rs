//! Admission: who may even knock.
//!
//! The headless init endpoints ask for an integration user's access token with a scope of their
//! own. The decision stands here as a rule over values; looking the token up is `App`'s. How many
//! requests one caller may make is `limits`, over the rules of `rule`; where a captcha joins, it
//! joins here, before any transaction.

mod limits;
mod prefix;
mod rule;

use vestibule_protocol::scope::ScopeSet;

use crate::refusal::Refusal;
pub use limits::{Edge, Keys};
pub use prefix::prefix_of;
pub use rule::{DEFAULT_RULES, Per, Rule, Surface};

/// What a headless API asks of its callers.
#[derive(Clone, Copy, Debug)]
pub struct Requirement {
    /// "Require authentication to access this API".
    pub is_authentication_required: bool,
    /// The scope that the token must hold.
    pub scope: &'static str,
}

/// The token that a caller presents.
#[derive(Clone, Debug)]
pub enum Presented {
    /// None.
    Nothing,
    /// One that is unknown, over or revoked, or not a Bearer token at all.
    Bad,
    /// A live one.
    Token {
        /// The client that it was issued to.
        client_id: String,
        /// What it is good for.
        scopes: ScopeSet,
        /// Whether it speaks for an integration user. A customer's token knocks for nobody else,
        /// whatever its scopes.
        is_integration: bool,
    },
}

/// How far a caller is trusted. A trusted caller gets the documented errors; a stranger never
/// learns whether an account exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Proved itself by an integration user's token.
    Bearer,
    /// Anybody.
    Stranger,
}

/// Decides whether a caller may knock.
///
/// A token that is sent is checked even where none is required: a bad one is a mistake worth
/// telling, not a stranger.
///
/// # Refusals
/// `ProofMissing` when nothing at all is required or shown (no site can be saved like that, and
/// none may be open by accident), `IntegrationTokenMissing`, `IntegrationTokenInvalid`.
pub fn check(requirement: Requirement, presented: &Presented) -> Result<Trust, Refusal> {
    match presented {
        Presented::Token {
            scopes,
            is_integration: true,
            ..
        } if scopes.contains(requirement.scope) => Ok(Trust::Bearer),
        Presented::Token { .. } | Presented::Bad => Err(Refusal::IntegrationTokenInvalid),
        Presented::Nothing if requirement.is_authentication_required => {
            Err(Refusal::IntegrationTokenMissing)
        }
        Presented::Nothing => Err(Refusal::ProofMissing),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reg_01_02_only_an_integration_users_live_token_with_the_scope_is_let_in() {
        let token = |text: &str, is_integration| Presented::Token {
            client_id: String::from("client"),
            scopes: ScopeSet::parse(text).unwrap(),
            is_integration,
        };
        let scopes = |text: &str| token(text, true);
        let open = Requirement {
            is_authentication_required: false,
            scope: "user_registration_api",
        };
        let closed = Requirement {
            is_authentication_required: true,
            ..open
        };
        let cases = [
            (
                closed,
                Presented::Nothing,
                Err(Refusal::IntegrationTokenMissing),
            ),
            (
                closed,
                Presented::Bad,
                Err(Refusal::IntegrationTokenInvalid),
            ),
            (closed, scopes("api"), Err(Refusal::IntegrationTokenInvalid)),
            (
                closed,
                scopes("api user_registration_api"),
                Ok(Trust::Bearer),
            ),
            (
                closed,
                token("user_registration_api", false),
                Err(Refusal::IntegrationTokenInvalid),
            ),
            (open, Presented::Nothing, Err(Refusal::ProofMissing)),
            (open, Presented::Bad, Err(Refusal::IntegrationTokenInvalid)),
            (open, scopes("user_registration_api"), Ok(Trust::Bearer)),
        ];
        for (requirement, presented, expected) in cases {
            assert_eq!(check(requirement, &presented), expected, "{presented:?}");
        }
    }
}
