//! Admission: which callers may use a headless API, and how many requests they may make.
//!
//! The headless APIs require an access token of an integration user, a captcha, or both. What an API
//! requires is a table in `settings`; whether a request satisfies it is decided here, as a rule over
//! values. The endpoints look the token up, and `App` has the captcha verified, before any transaction.
//! How many requests one caller may make is limited in `limits`, by the rules of `rule`.

mod limits;
mod rule;

use vestibule_protocol::headless::CaptchaProof;
use vestibule_protocol::scope::ScopeSet;

use crate::refusal::{Reason, Refusal};
use crate::settings::ApiRequirements;
pub use limits::{Keys, RateLimiter, SiteShare};
pub use rule::{DEFAULT_RULES, Per, Rule, Surface};

/// The caller of a headless API, by how it authenticates itself.
#[derive(Clone, Debug)]
pub enum Caller {
    /// A first-party app that has attested itself. The attestation takes the place of the access token, but
    /// does not make the caller trusted.
    Attested,
    /// It sent an access token that is unknown, expired or revoked, or a text that cannot be a token; with the reason
    /// for the log.
    BadToken(Reason),
    /// It sent an `Authorization` header of another scheme.
    OtherScheme,
    /// It sent a live access token.
    Token {
        /// The client that the token was issued to.
        client_id: String,
        /// The scopes of the token.
        scopes: ScopeSet,
        /// Whether the token's user is an integration user. The token of any other user admits to no API,
        /// whatever its scopes.
        is_integration: bool,
    },
    /// It sent nothing.
    Unauthenticated,
}

impl Caller {
    /// The client id of a backend: of a caller with a live token of an integration user.
    pub fn backend(&self) -> Option<&str> {
        match self {
            Caller::Token {
                client_id,
                is_integration: true,
                ..
            } => Some(client_id),
            _ => None,
        }
    }
}

/// What a request has to satisfy the requirement of a captcha.
#[derive(Clone, Copy, Debug)]
pub enum CaptchaSent<'r> {
    /// Nothing.
    Nothing,
    /// A proof, which is still to be verified.
    Proof(&'r CaptchaProof),
    /// A one-time password. It was sent only after the captcha of an earlier request was verified, so a
    /// second captcha is not asked for.
    OneTimePassword,
}

impl<'r> From<Option<&'r CaptchaProof>> for CaptchaSent<'r> {
    fn from(proof: Option<&'r CaptchaProof>) -> CaptchaSent<'r> {
        proof.map_or(CaptchaSent::Nothing, CaptchaSent::Proof)
    }
}

/// How far a caller is trusted. A trusted caller gets the documented errors; any other caller never learns
/// whether an account exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// A backend with an integration user's token.
    Backend,
    /// Any other caller.
    Public,
}

/// A caller that may use an API, once its captcha is verified.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CheckedCaller<'r> {
    /// How far the caller is trusted.
    pub trust: Trust,
    /// The captcha that must still be verified.
    pub captcha: Option<&'r CaptchaProof>,
}

/// Decides whether a caller may use an API. A captcha that is required and was sent must still be verified.
///
/// A token that is sent is checked even where none is required: a bad token is a mistake of a backend that
/// it should learn of.
///
/// # Refusals
/// In this order: those of [`ApiRequirements::check_allowed`]; `IntegrationTokenInvalid`; `ProofMissing`
/// when both a token and a captcha are required and neither was sent, or when nothing at all is required
/// (no site can be saved like that, and none may be open by accident); `IntegrationTokenMissing`, also for
/// a header of another scheme where a token is required; `RecaptchaMissing`.
pub fn check<'r>(
    required: &ApiRequirements,
    caller: &Caller,
    captcha: CaptchaSent<'r>,
) -> Result<CheckedCaller<'r>, Refusal> {
    required.check_allowed()?;
    let is_captcha_missing =
        required.is_captcha_required && matches!(captcha, CaptchaSent::Nothing);
    let has_scope = |scopes: &ScopeSet| {
        let token = required.token;
        token.is_some_and(|token| scopes.contains(token.scope))
    };
    let trust = match caller {
        Caller::Attested => Trust::Public,
        Caller::Token {
            scopes,
            is_integration: true,
            ..
        } if has_scope(scopes) => Trust::Backend,
        // "You don't send the access token correctly" is the documented case of this answer.
        Caller::OtherScheme if required.is_token_required() => {
            return Err(Refusal::IntegrationTokenMissing);
        }
        Caller::Token {
            is_integration: true,
            ..
        } => return Err(token_invalid(Reason::AccessTokenScopeMissing)),
        Caller::Token { .. } => {
            return Err(token_invalid(Reason::AccessTokenNotOfIntegrationUser));
        }
        Caller::BadToken(because) => return Err(token_invalid(*because)),
        Caller::OtherScheme => return Err(token_invalid(Reason::AuthorizationSchemeUnknown)),
        Caller::Unauthenticated if required.is_token_required() => {
            return Err(if is_captcha_missing {
                Refusal::ProofMissing
            } else {
                Refusal::IntegrationTokenMissing
            });
        }
        Caller::Unauthenticated if !required.is_captcha_required => {
            return Err(Refusal::ProofMissing);
        }
        Caller::Unauthenticated => Trust::Public,
    };
    if is_captcha_missing {
        return Err(Refusal::RecaptchaMissing);
    }
    let captcha = match captcha {
        CaptchaSent::Proof(proof) if required.is_captcha_required => Some(proof),
        _ => None,
    };
    Ok(CheckedCaller { trust, captcha })
}

fn token_invalid(because: Reason) -> Refusal {
    Refusal::IntegrationTokenInvalid { because }
}

#[cfg(test)]
mod tests {
    use vestibule_protocol::secret::Secret;

    use super::*;
    use crate::settings::{Api, Settings};

    /// Whether the site asks for a captcha, and whether this step of the flow does.
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum CaptchaSwitch {
        Off,
        Required,
        Waived,
    }

    #[test]
    fn reg_01_02_cap_01_each_proof_that_is_required_must_be_shown() {
        use CaptchaSwitch::{Off, Required, Waived};
        let token = |text: &str, is_integration| Caller::Token {
            client_id: String::from("client"),
            scopes: ScopeSet::parse(text).unwrap(),
            is_integration,
        };
        let good = || token("api user_registration_api", true);
        let nothing = || Caller::Unauthenticated;
        let bad_token = || Caller::BadToken(Reason::AccessTokenExpired);
        let invalid = |because| Err(token_invalid(because));
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
                bad_token(),
                false,
                invalid(Reason::AccessTokenExpired),
            ),
            (
                true,
                Off,
                Caller::OtherScheme,
                false,
                Err(Refusal::IntegrationTokenMissing),
            ),
            (
                true,
                Off,
                token("api", true),
                false,
                invalid(Reason::AccessTokenScopeMissing),
            ),
            (
                true,
                Off,
                token("user_registration_api", false),
                false,
                invalid(Reason::AccessTokenNotOfIntegrationUser),
            ),
            (true, Off, good(), false, Ok(Trust::Backend)),
            // A captcha alone.
            (
                false,
                Required,
                nothing(),
                false,
                Err(Refusal::RecaptchaMissing),
            ),
            (false, Required, nothing(), true, Ok(Trust::Public)),
            (
                false,
                Required,
                bad_token(),
                true,
                invalid(Reason::AccessTokenExpired),
            ),
            (
                false,
                Required,
                Caller::OtherScheme,
                true,
                invalid(Reason::AuthorizationSchemeUnknown),
            ),
            (
                false,
                Required,
                good(),
                false,
                Err(Refusal::RecaptchaMissing),
            ),
            (false, Required, good(), true, Ok(Trust::Backend)),
            (false, Waived, nothing(), false, Ok(Trust::Public)),
            // Both.
            (true, Required, nothing(), false, Err(Refusal::ProofMissing)),
            (
                true,
                Required,
                Caller::OtherScheme,
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
            (true, Required, good(), true, Ok(Trust::Backend)),
            (
                true,
                Waived,
                nothing(),
                false,
                Err(Refusal::IntegrationTokenMissing),
            ),
            (true, Waived, good(), false, Ok(Trust::Backend)),
            // Neither; no site can be saved like that.
            (false, Off, nothing(), true, Err(Refusal::ProofMissing)),
            (false, Off, good(), false, Ok(Trust::Backend)),
        ];
        let proof = CaptchaProof::Token(Secret::default());
        for (does_registration_require_auth, captcha, caller, is_captcha_sent, expected) in cases {
            let settings = Settings {
                is_headless_user_registration_allowed: true,
                does_registration_require_auth,
                is_recaptcha_required_rgstr: captcha != Off,
                ..Settings::default()
            };
            let sent = if captcha == Waived {
                CaptchaSent::OneTimePassword
            } else {
                CaptchaSent::from(is_captcha_sent.then_some(&proof))
            };
            let found = check(&settings.api(Api::Registration), &caller, sent);
            let is_verified = found.as_ref().is_ok_and(|found| found.captcha.is_some());
            assert_eq!(
                found.map(|found| found.trust),
                expected,
                "{does_registration_require_auth} {captcha:?} {caller:?} {is_captcha_sent}"
            );
            assert_eq!(is_verified, expected.is_ok() && captcha == Required);
        }
    }

    #[test]
    fn an_api_that_is_off_refuses_before_it_asks_for_anything() {
        let off = Settings::default();
        let refused = |api| {
            check(
                &off.api(api),
                &Caller::BadToken(Reason::AccessTokenNotLive),
                CaptchaSent::Nothing,
            )
        };
        for (api, refusal) in [
            (Api::ForgotPassword, Refusal::ForgotPasswordDisabled),
            (Api::PasswordLogin, Refusal::FirstPartySiteDisabled),
            (Api::PasswordlessLogin, Refusal::PasswordlessLoginDisabled),
            (Api::Registration, Refusal::RegistrationDisabled),
        ] {
            assert_eq!(refused(api), Err(refusal));
        }
    }

    #[test]
    fn an_attestation_replaces_the_token_and_not_the_captcha() {
        let settings = |is_recaptcha_required_rgstr| Settings {
            is_headless_user_registration_allowed: true,
            does_registration_require_auth: true,
            is_recaptcha_required_rgstr,
            ..Settings::default()
        };
        let required = |is_captcha| settings(is_captcha).api(Api::Registration);
        let check = |is_captcha, sent| {
            let admission = check(&required(is_captcha), &Caller::Attested, sent);
            admission.map(|admission| (admission.trust, admission.captcha.is_some()))
        };
        let proof = CaptchaProof::Token(Secret::default());
        let sent = CaptchaSent::Proof(&proof);
        assert_eq!(
            check(false, CaptchaSent::Nothing),
            Ok((Trust::Public, false))
        );
        assert_eq!(check(false, sent), Ok((Trust::Public, false)));
        assert_eq!(check(true, sent), Ok((Trust::Public, true)));
        assert_eq!(
            check(true, CaptchaSent::Nothing),
            Err(Refusal::RecaptchaMissing)
        );
    }
}
