//! Admission: who may even knock.
//!
//! The headless endpoints ask for an integration user's access token with a scope of their own, for a
//! captcha, or for both. The decision stands here as a rule over values; looking the token up and
//! having the captcha verified is `App`'s, before any transaction. How many requests one caller may
//! make is `limits`, over the rules of `rule`.

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
    /// "Require reCAPTCHA to access this API".
    pub captcha: CaptchaRule,
    /// The scope that the token must hold.
    pub scope: &'static str,
}

/// What an API makes of captchas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CaptchaRule {
    /// None is asked for.
    Off,
    /// One is asked for.
    Required,
    /// The site asks for one and this step does without: somebody who passed asked for the code that
    /// is presented now.
    Waived,
}

impl CaptchaRule {
    /// What a setting says.
    pub fn required_if(is_required: bool) -> CaptchaRule {
        match is_required {
            true => CaptchaRule::Required,
            false => CaptchaRule::Off,
        }
    }

    /// The same for a step that asks for none.
    pub fn waived_if(is_required: bool) -> CaptchaRule {
        match is_required {
            true => CaptchaRule::Waived,
            false => CaptchaRule::Off,
        }
    }
}

/// The token that a caller presents.
#[derive(Clone, Debug)]
pub enum Presented {
    /// None.
    Nothing,
    /// One that is unknown, over or revoked, or that cannot be a token.
    Bad,
    /// A header of another scheme.
    Misplaced,
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

impl Presented {
    /// The client of a backend: of a caller that showed a live token of an integration user.
    pub fn backend(&self) -> Option<&str> {
        match self {
            Presented::Token {
                client_id,
                is_integration: true,
                ..
            } => Some(client_id),
            _ => None,
        }
    }
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

/// Decides whether a caller may knock. Whether the captcha that came along holds is still to be
/// asked, of its verifier, when the rule requires one.
///
/// A token that is sent is checked even where none is required: a bad one is a mistake worth
/// telling, not a stranger.
///
/// # Refusals
/// `IntegrationTokenInvalid`; `ProofMissing` when both proofs are required and neither came, or when
/// nothing at all is required (no site can be saved like that, and none may be open by accident);
/// `IntegrationTokenMissing`, also for a header of another scheme where a token is required;
/// `RecaptchaMissing`.
pub fn check(
    requirement: Requirement,
    presented: &Presented,
    is_captcha_sent: bool,
) -> Result<Trust, Refusal> {
    let is_captcha_missing = requirement.captcha == CaptchaRule::Required && !is_captcha_sent;
    let trust = match presented {
        Presented::Token {
            scopes,
            is_integration: true,
            ..
        } if scopes.contains(requirement.scope) => Trust::Bearer,
        // "You don't send the access token correctly" is the documented case of this answer.
        Presented::Misplaced if requirement.is_authentication_required => {
            return Err(Refusal::IntegrationTokenMissing);
        }
        Presented::Token { .. } | Presented::Bad | Presented::Misplaced => {
            return Err(Refusal::IntegrationTokenInvalid);
        }
        Presented::Nothing if requirement.is_authentication_required => {
            return Err(match is_captcha_missing {
                true => Refusal::ProofMissing,
                false => Refusal::IntegrationTokenMissing,
            });
        }
        Presented::Nothing if requirement.captcha == CaptchaRule::Off => {
            return Err(Refusal::ProofMissing);
        }
        Presented::Nothing => Trust::Stranger,
    };
    match is_captcha_missing {
        true => Err(Refusal::RecaptchaMissing),
        false => Ok(trust),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reg_01_02_cap_01_each_proof_that_is_required_must_be_shown() {
        use CaptchaRule::{Off, Required, Waived};
        let token = |text: &str, is_integration| Presented::Token {
            client_id: String::from("client"),
            scopes: ScopeSet::parse(text).unwrap(),
            is_integration,
        };
        let good = || token("api user_registration_api", true);
        let nothing = || Presented::Nothing;
        let cases = [
            // Authentication alone.
            (
                true,
                Off,
                nothing(),
                false,
                Err(Refusal::IntegrationTokenMissing),
            ),
            (
                true,
                Off,
                nothing(),
                true,
                Err(Refusal::IntegrationTokenMissing),
            ),
            (
                true,
                Off,
                Presented::Bad,
                false,
                Err(Refusal::IntegrationTokenInvalid),
            ),
            (
                true,
                Off,
                Presented::Misplaced,
                false,
                Err(Refusal::IntegrationTokenMissing),
            ),
            (
                true,
                Off,
                token("api", true),
                false,
                Err(Refusal::IntegrationTokenInvalid),
            ),
            (
                true,
                Off,
                token("user_registration_api", false),
                false,
                Err(Refusal::IntegrationTokenInvalid),
            ),
            (true, Off, good(), false, Ok(Trust::Bearer)),
            // A captcha alone.
            (
                false,
                Required,
                nothing(),
                false,
                Err(Refusal::RecaptchaMissing),
            ),
            (false, Required, nothing(), true, Ok(Trust::Stranger)),
            (
                false,
                Required,
                Presented::Bad,
                true,
                Err(Refusal::IntegrationTokenInvalid),
            ),
            (
                false,
                Required,
                Presented::Misplaced,
                true,
                Err(Refusal::IntegrationTokenInvalid),
            ),
            (
                false,
                Required,
                good(),
                false,
                Err(Refusal::RecaptchaMissing),
            ),
            (false, Required, good(), true, Ok(Trust::Bearer)),
            (false, Waived, nothing(), false, Ok(Trust::Stranger)),
            // Both.
            (true, Required, nothing(), false, Err(Refusal::ProofMissing)),
            (
                true,
                Required,
                Presented::Misplaced,
                false,
                Err(Refusal::IntegrationTokenMissing),
            ),
            (
                true,
                Required,
                nothing(),
                true,
                Err(Refusal::IntegrationTokenMissing),
            ),
            (
                true,
                Required,
                good(),
                false,
                Err(Refusal::RecaptchaMissing),
            ),
            (true, Required, good(), true, Ok(Trust::Bearer)),
            (
                true,
                Waived,
                nothing(),
                false,
                Err(Refusal::IntegrationTokenMissing),
            ),
            (true, Waived, good(), false, Ok(Trust::Bearer)),
            // Neither, which no site can be saved with.
            (false, Off, nothing(), true, Err(Refusal::ProofMissing)),
            (false, Off, good(), false, Ok(Trust::Bearer)),
        ];
        for (is_authentication_required, captcha, presented, is_captcha_sent, expected) in cases {
            let requirement = Requirement {
                is_authentication_required,
                captcha,
                scope: "user_registration_api",
            };
            let found = check(requirement, &presented, is_captcha_sent);
            assert_eq!(
                found, expected,
                "{requirement:?} {presented:?} {is_captcha_sent}"
            );
        }
    }
}
