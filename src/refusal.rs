//! Saying no, and breaking.
//!
//! A [`Refusal`] is "we say no": the reason as seen by us. What a stranger is told of it is decided
//! in one place, [`Refusal::wire`], over the rows of `vestibule_protocol::error::TABLE`.
//! A [`Fault`] is "we broke": opaque on the wire, logged once with the request's id. Nothing else
//! crosses from one room to another.

use std::fmt;

use vestibule_protocol::error::{ErrorAnswer, Shape, WireError};
use vestibule_protocol::form::FormError;
use vestibule_protocol::headless::InvalidParams;

/// Why we say no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The access token at userinfo or the identity URL is unknown, over or revoked.
    AccessTokenInvalid,
    /// No access token was presented where one is needed.
    AccessTokenMissing,
    /// The access token lacks the scope that the endpoint needs.
    AccessTokenScopeMissing,
    /// The proof of possession names no challenge of ours that is fresh.
    AttestationChallengeMissing,
    /// The client attestation is over.
    AttestationExpired,
    /// `Auth-Request-Type` names something that is no request type, or one this site does not speak.
    AuthRequestTypeUnknown,
    /// The login that a step continues is unknown, over, used, or another client's.
    AuthSessionInvalid,
    /// The body is larger than the endpoint takes.
    BodyTooLarge,
    /// The one-time password is wrong, or its request is unknown, over, closed or out of tries.
    ChallengeFailed,
    /// The one-time password was sent by another way than the request says.
    ChannelMismatch,
    /// The channel that was asked for has no gateway here.
    ChannelUnavailable,
    /// The client assertion does not prove the client.
    ClientAssertionInvalid,
    /// The client attestation, or the proof that its key is held, does not prove the client.
    ClientAttestationInvalid,
    /// The client must attest what it is and does not.
    ClientAttestationMissing,
    /// Two ways of client authentication at once.
    ClientAuthenticationAmbiguous,
    /// The client is not enabled for the client credentials flow, or its user is gone.
    ClientCredentialsFlowDisabled,
    /// The client is not enabled for the authorization code and credentials flow.
    ClientFlowDisabled,
    /// The code or the refresh token was issued to a client that proved itself in another way.
    ClientKeyMismatch,
    /// The user's profile is not permitted to use the client.
    ClientNotApproved,
    /// The client needs a secret and sent none.
    ClientSecretMissing,
    /// The client's secret is wrong.
    ClientSecretWrong,
    /// The client's secret is wrong, and was sent in the Basic header, which asks for a 401.
    ClientSecretWrongInHeader,
    /// No client has that id, or it was switched off.
    ClientUnknown,
    /// The challenge is not 43 characters of base64url.
    CodeChallengeInvalid,
    /// The client must send a challenge and did not.
    CodeChallengeMissing,
    /// The authorization code is over.
    CodeExpired,
    /// The authorization code was redeemed before; its tokens are revoked now.
    CodeSpent,
    /// There is no such authorization code for this client.
    CodeUnknown,
    /// The request body is compressed, which no endpoint takes.
    ContentEncodingUnsupported,
    /// The Basic header of the end user cannot be read.
    CredentialsMalformed,
    /// Credentials came in the query of a URL, or in two places.
    CredentialsMisplaced,
    /// No Basic header where the flow needs one.
    CredentialsMissing,
    /// The client takes the user's credentials in the body of a POST and nowhere else.
    CredentialsMustBePosted,
    /// The username or the password is wrong, or the account cannot be entered by this door now.
    CredentialsWrong,
    /// User discovery found nobody, at a site that shows what its handler says of that.
    DiscoveryFailed {
        /// The handler's words.
        message: String,
    },
    /// The client is not enabled for the first-party flows, or not at this endpoint.
    FirstPartyClientDisabled,
    /// The site does not offer the first-party flows.
    FirstPartySiteDisabled,
    /// The site does not let people choose a new password.
    ForgotPasswordDisabled,
    /// The form cannot be read, or repeats a parameter with another value.
    FormMalformed {
        /// A sentence without any value of the request.
        reason: String,
    },
    /// The `format` parameter names no format.
    FormatUnknown,
    /// The grant type is not one of ours.
    GrantTypeUnsupported,
    /// The client has no guests.
    GuestFlowDisabled,
    /// Somebody who comes as a guest brings credentials.
    GuestHasCredentials,
    /// The headers of a token request speak of another guest than its code, or of one where there is none.
    GuestMismatch,
    /// The request came in clear.
    HttpsRequired,
    /// The integration user's access token is unknown, over, revoked or lacks the scope.
    IntegrationTokenInvalid,
    /// The site asks for an integration user's access token and none came.
    IntegrationTokenMissing,
    /// The method is not one of the endpoint's.
    MethodNotAllowed {
        /// For the `Allow` header.
        allow: &'static str,
    },
    /// A required parameter is missing.
    ParameterMissing {
        /// Its name.
        name: &'static str,
    },
    /// A parameter has a value that cannot be.
    ParametersInvalid {
        /// The name of the member that is wrong.
        field: String,
        /// What about it, without its value.
        reason: String,
    },
    /// The password is right and older than the policy allows.
    PasswordExpired,
    /// The password does not meet the policy of the profile.
    PasswordPolicy {
        /// Which rule, for the caller that is trusted; never the password.
        reason: String,
    },
    /// The site does not offer passwordless login.
    PasswordlessLoginDisabled,
    /// The verifier is missing, not wanted, malformed or does not match.
    PkceMismatch,
    /// Nothing proves that the caller may knock: neither a token nor a captcha.
    ProofMissing,
    /// A limit was reached.
    RateLimited {
        /// When to come back.
        retry_after_seconds: i64,
    },
    /// The verifier does not believe the captcha token, or it was spent before.
    RecaptchaInvalid {
        /// The documented members of the verifier's answer, if it was asked.
        response: Option<serde_json::Value>,
    },
    /// The site asks for a captcha token and none came.
    RecaptchaMissing,
    /// The redirect URI of the token request is not the one of the authorization request.
    RedirectUriChanged,
    /// The redirect URI is none of the client's callbacks.
    RedirectUriMismatch,
    /// No redirect URI.
    RedirectUriMissing,
    /// The login of the refresh token is over: revoked, ended by policy, or its user is not active.
    RefreshTokenEnded,
    /// The refresh token was replaced before; its family is over now.
    RefreshTokenReused,
    /// There is no such refresh token for this client.
    RefreshTokenUnknown,
    /// The site does not let people register themselves.
    RegistrationDisabled,
    /// The registration handler failed.
    RegistrationFailed {
        /// `ExceptionType: message`, for `apex_error`.
        apex_error: String,
    },
    /// `response_type` is not one of ours.
    ResponseTypeUnsupported,
    /// A scope is unknown or not the client's.
    ScopeNotAllowed,
    /// The site does not offer the authorization code and credentials flow.
    SiteFlowDisabled,
    /// No published site answers at that host and path.
    SiteUnknown,
    /// The template exists and is not on the allowlist, or naming one is not allowed here.
    TemplateNotAllowed,
    /// There is no such template.
    TemplateUnknown,
    /// No text message is sent to that number, or the day's messages are used up.
    TextMessageBlocked,
    /// The token is of a kind that cannot be revoked: a JWT that is not stored.
    TokenTypeUnsupported,
    /// The hashing queue is full.
    TooBusy,
    /// The code of a password reset has no tries left.
    TriesSpent,
    /// The user was disabled.
    UserDisabled,
    /// The user was disabled, for a caller who may know.
    UserInactive,
    /// The user was locked by an administrator.
    UserLocked,
    /// The username belongs to somebody.
    UsernameTaken,
    /// The hint of a visitor is neither an id nor a token of a guest of this client, or there are two.
    UvidInvalid,
}

impl Refusal {
    /// What the caller is told, in the shape that the endpoint speaks.
    pub fn wire(&self, shape: Shape) -> ErrorAnswer {
        let mut answer = ErrorAnswer::new(self.error(shape));
        answer.description = self.description(shape);
        match self {
            Refusal::ParametersInvalid { field, .. } if !field.is_empty() => {
                answer.with_field(field.clone())
            }
            Refusal::RecaptchaInvalid {
                response: Some(response),
            } => answer.with_recaptcha_response(response.clone()),
            Refusal::RegistrationFailed { apex_error } => {
                answer.with_apex_error(apex_error.clone())
            }
            Refusal::DiscoveryFailed { .. } if shape != Shape::OAuth => {
                answer.with_field("login_hint".to_owned())
            }
            Refusal::UsernameTaken => answer.with_field("userdata.username".to_owned()),
            _ => answer,
        }
    }

    /// Which error, in a shape. Where only the words of OAuth are spoken, what has a row of its own in
    /// the headless tables alone is a request that cannot be granted.
    fn error(&self, shape: Shape) -> WireError {
        let error = self.row(shape);
        let is_headless_only = shape == Shape::OAuth && !error.row().shapes.contains(&shape);
        match is_headless_only {
            true => WireError::InvalidRequest,
            false => error,
        }
    }

    /// Which row of the table. What a stranger must not tell apart shares one.
    fn row(&self, shape: Shape) -> WireError {
        use Refusal as R;
        use WireError as Wire;
        match self {
            R::AccessTokenInvalid => Wire::AccessTokenInvalid,
            // Who sent no token is told the scheme and no reason (RFC 6750 section 3.1).
            R::AccessTokenMissing | R::IntegrationTokenMissing => Wire::AuthenticationRequired,
            R::AccessTokenScopeMissing => Wire::InsufficientScope,
            R::AttestationChallengeMissing => Wire::AttestationChallengeNeeded,
            R::AttestationExpired => Wire::AttestationStale,
            R::AuthSessionInvalid => Wire::AuthSessionInvalid,
            R::BodyTooLarge => Wire::BodyTooLarge,
            R::ChallengeFailed if shape != Shape::OAuth => Wire::InvalidOtp,
            R::ChallengeFailed | R::CredentialsMalformed => Wire::AuthenticationFailure,
            R::CredentialsWrong | R::UserDisabled => Wire::AuthenticationFailure,
            R::DiscoveryFailed { .. } if shape == Shape::OAuth => Wire::AuthenticationFailure,
            R::DiscoveryFailed { .. } => Wire::InvalidParameters,
            R::UserLocked if shape != Shape::OAuth => Wire::UserAccountLocked,
            R::UserLocked => Wire::AuthenticationFailure,
            R::ChannelUnavailable | R::TextMessageBlocked => Wire::OtpGenerationFailed,
            R::ClientAssertionInvalid => Wire::ClientAttestationRequired,
            R::ClientAttestationInvalid => Wire::AttestationInvalid,
            R::ClientAttestationMissing => Wire::ClientAttestationRequired,
            R::ClientCredentialsFlowDisabled => Wire::GrantNotEnabled,
            R::ClientFlowDisabled | R::SiteFlowDisabled => Wire::FlowNotEnabled,
            R::ClientNotApproved => Wire::ClientNotApproved,
            R::ClientSecretMissing | R::ClientSecretWrong => Wire::ClientCredentialsInvalid,
            R::ClientSecretWrongInHeader => Wire::ClientCredentialsInvalidBasic,
            R::ClientUnknown => Wire::ClientIdUnknown,
            R::CodeChallengeInvalid => Wire::CodeChallengeInvalid,
            R::CodeChallengeMissing => Wire::CodeChallengeMissing,
            R::CodeExpired => Wire::CodeExpired,
            R::ClientKeyMismatch | R::CodeSpent | R::CodeUnknown => Wire::CodeInvalid,
            R::RedirectUriChanged => Wire::CodeInvalid,
            R::ContentEncodingUnsupported => Wire::ContentEncodingUnsupported,
            // The headless tables have no other word for a request that cannot be read.
            R::FormMalformed { .. } if shape != Shape::OAuth => Wire::InvalidParameters,
            R::AuthRequestTypeUnknown | R::ChannelMismatch => Wire::InvalidRequest,
            R::ClientAuthenticationAmbiguous | R::CredentialsMisplaced => Wire::InvalidRequest,
            R::CredentialsMissing | R::FormMalformed { .. } => Wire::InvalidRequest,
            R::CredentialsMustBePosted => Wire::InvalidRequest,
            R::FirstPartyClientDisabled | R::FirstPartySiteDisabled => Wire::UnauthorizedClient,
            R::ForgotPasswordDisabled => Wire::ForgotPasswordDisabled,
            R::FormatUnknown | R::ParameterMissing { .. } => Wire::InvalidRequest,
            R::GrantTypeUnsupported => Wire::GrantTypeUnsupported,
            R::GuestFlowDisabled | R::GuestHasCredentials => Wire::InvalidRequest,
            R::GuestMismatch => Wire::CodeInvalid,
            R::HttpsRequired => Wire::HttpsRequired,
            R::IntegrationTokenInvalid => Wire::InvalidAuthorization,
            R::MethodNotAllowed { .. } => Wire::PostRequired,
            R::ParametersInvalid { .. } | R::UsernameTaken => Wire::InvalidParameters,
            R::PasswordExpired => Wire::PasswordExpired,
            R::PasswordlessLoginDisabled => Wire::PasswordlessLoginDisabled,
            R::PasswordPolicy { .. } => Wire::PasswordPolicyCheckFailure,
            R::PkceMismatch => Wire::CodeVerifierInvalid,
            R::ProofMissing => Wire::MissingAuthParameters,
            R::RateLimited { .. } => Wire::RateLimitExceeded,
            R::RecaptchaInvalid { .. } => Wire::RecaptchaInvalid,
            R::RecaptchaMissing => Wire::RecaptchaRequired,
            R::RedirectUriMismatch => Wire::RedirectUriMismatch,
            R::RedirectUriMissing => Wire::RedirectUriMissing,
            R::RefreshTokenEnded | R::RefreshTokenReused => Wire::TokenExpired,
            R::RefreshTokenUnknown => Wire::TokenExpired,
            R::RegistrationDisabled => Wire::HeadlessRegistrationDisabled,
            R::RegistrationFailed { .. } => Wire::RegistrationError,
            R::ResponseTypeUnsupported => Wire::ResponseTypeUnsupported,
            R::ScopeNotAllowed => Wire::ScopeInvalid,
            R::SiteUnknown => Wire::InvalidDomain,
            R::TemplateNotAllowed => Wire::TemplateNotAllowed,
            R::TemplateUnknown => Wire::TemplateInvalid,
            R::TokenTypeUnsupported => Wire::TokenTypeUnsupported,
            R::TooBusy => Wire::TemporarilyUnavailable,
            R::TriesSpent => Wire::RegenerateOtp,
            R::UserInactive => Wire::UserInactive,
            R::UvidInvalid => Wire::UvidInvalid,
        }
    }

    /// Words that are more exact than those of the row.
    fn description(&self, shape: Shape) -> Option<String> {
        // What a site has said that it shows stands before every table.
        if let Refusal::DiscoveryFailed { message } = self {
            return Some(message.clone());
        }
        // Forgot password has a published table, and its words are answered to the letter.
        if shape == Shape::Headless {
            return None;
        }
        Some(match self {
            Refusal::AuthRequestTypeUnknown => {
                String::from("missing or unknown Auth-Request-Type header")
            }
            Refusal::ChannelMismatch => String::from(
                "Auth-Verification-Type must match the verificationmethod of the request",
            ),
            Refusal::ClientAuthenticationAmbiguous => {
                String::from("use one method of client authentication")
            }
            Refusal::CredentialsMisplaced => {
                String::from("send credentials once, and never in the URL")
            }
            Refusal::CredentialsMissing => String::from("missing Basic authorization header"),
            Refusal::CredentialsMustBePosted => {
                String::from("send username and password in the body of a POST")
            }
            Refusal::FirstPartyClientDisabled => {
                String::from("the app is not enabled for first-party flows at this endpoint")
            }
            Refusal::FirstPartySiteDisabled => {
                String::from("first-party apps are not enabled for this site")
            }
            Refusal::FormMalformed { reason } if shape == Shape::OAuth => reason.clone(),
            Refusal::FormMalformed { reason } => format!("invalid parameters: {reason}"),
            Refusal::FormatUnknown => String::from("format must be json, urlencoded or xml"),
            Refusal::GuestFlowDisabled => String::from("guest flow not enabled"),
            Refusal::GuestHasCredentials => String::from("a guest sends no credentials"),
            // For the method that nearly every endpoint wants, the row has the documented words.
            Refusal::MethodNotAllowed { allow: "POST" } => return None,
            Refusal::MethodNotAllowed { allow } => format!("allowed methods: {allow}"),
            Refusal::ParameterMissing { name } => format!("missing required parameter: {name}"),
            // A body that cannot be read has no member to name.
            Refusal::ParametersInvalid { field, reason } if field.is_empty() => {
                format!("invalid parameters: {reason}")
            }
            Refusal::ParametersInvalid { field, reason } => {
                format!("invalid parameters: {field} {reason}")
            }
            Refusal::UsernameTaken => {
                String::from("invalid parameters: username is already in use")
            }
            // The words of a row whose name is not spoken here.
            _ if self.row(shape) != self.error(shape) => self.row(shape).row().description.into(),
            _ => return None,
        })
    }

    /// Its name, for logs and metrics; never anything that the request brought.
    pub fn name(&self) -> String {
        let debug = format!("{self:?}");
        debug
            .split([' ', '{'])
            .next()
            .unwrap_or_default()
            .to_owned()
    }

    /// For the `Retry-After` header, in seconds.
    pub fn retry_after_seconds(&self) -> Option<i64> {
        match self {
            Refusal::RateLimited {
                retry_after_seconds,
            } => Some(*retry_after_seconds),
            Refusal::TooBusy => Some(1),
            _ => None,
        }
    }
}

/// What can be done about a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// A defect of ours.
    Broken,
    /// Two transactions met; one may be tried again.
    Conflict,
    /// The connection went away before anything was committed.
    ConnectionLost,
    /// Somebody else's service was asked and did not answer as it must.
    Remote,
    /// Something that we need is away or full; it may come back.
    Unavailable,
}

/// We broke. Its text is for our log and never for the wire; no secret enters it.
#[derive(Clone)]
pub struct Fault {
    /// What was being done.
    pub context: &'static str,
    /// What went wrong.
    pub detail: String,
    /// What can be done about it.
    pub kind: FaultKind,
    /// The name of the write or read it happened in.
    pub during: Option<&'static str>,
}

impl Fault {
    /// A fault with its cause.
    pub fn new(context: &'static str, cause: impl fmt::Display) -> Fault {
        Fault::described(context, cause.to_string())
    }

    /// A fault with a sentence.
    pub fn described(context: &'static str, detail: String) -> Fault {
        Fault {
            context,
            detail,
            kind: FaultKind::Broken,
            during: None,
        }
    }

    /// The same fault, sorted otherwise.
    pub fn with_kind(mut self, kind: FaultKind) -> Fault {
        self.kind = kind;
        self
    }

    /// The same fault, with the name of what it happened in; the innermost name stays.
    pub fn during(mut self, name: &'static str) -> Fault {
        self.during.get_or_insert(name);
        self
    }

    /// The same fault for another who waited for the same commit.
    pub fn again(&self) -> Fault {
        self.clone()
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.context, self.detail)?;
        match self.during {
            Some(name) => write!(f, " (during {name})"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fault({self})")
    }
}

impl std::error::Error for Fault {}

/// Either way of not answering as asked.
#[derive(Clone, Debug)]
pub enum Failure {
    /// We say no.
    Refused(Refusal),
    /// We broke.
    Broken(Fault),
}

impl From<FormError> for Refusal {
    fn from(error: FormError) -> Refusal {
        let reason = match error {
            FormError::ControlCharacter(name) => format!("control character in parameter: {name}"),
            FormError::Duplicate(name) => format!("duplicate parameter: {name}"),
            FormError::NotUtf8 => String::from("the form is not UTF-8"),
            FormError::TooMany => String::from("too many parameters"),
        };
        Refusal::FormMalformed { reason }
    }
}

impl From<InvalidParams> for Refusal {
    fn from(invalid: InvalidParams) -> Refusal {
        Refusal::ParametersInvalid {
            field: invalid.field,
            reason: invalid.reason.to_owned(),
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Failure::Refused(refusal)
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Failure::Broken(fault)
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_reasons_stand_in_alphabetical_order() {
        let source = include_str!("refusal.rs");
        let (_, rest) = source.split_once("pub enum Refusal {\n").unwrap();
        let (variants, _) = rest.split_once("\n}\n").unwrap();
        let names: Vec<&str> = variants
            .lines()
            .filter_map(|line| line.strip_prefix("    "))
            .filter(|line| line.starts_with(|first: char| first.is_ascii_uppercase()))
            .map(|line| line.trim_end_matches([' ', '{', ',']))
            .collect();
        assert!(names.len() > 50, "{names:?}");
        let mut sorted = names.clone();
        sorted.sort_unstable();
        assert_eq!(names, sorted);
    }
}
