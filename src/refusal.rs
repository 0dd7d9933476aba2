//! Saying no, and breaking.
//!
//! A [`Refusal`] is "we say no": the reason as seen by us. What a stranger is told of it is decided
//! in one exhaustive match, [`Refusal::wire`], over the rows of `vestibule_protocol::error::TABLE`.
//! A [`Fault`] is "we broke": opaque on the wire, logged once with the request's id. Nothing else
//! crosses from one room to another.

use std::fmt;

use vestibule_protocol::error::{ErrorAnswer, WireError};

/// Why we say no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The access token at userinfo or the identity URL is unknown, over or revoked.
    AccessTokenInvalid,
    /// No access token was presented where one is needed.
    AccessTokenMissing,
    /// The access token lacks the scope that the endpoint needs.
    AccessTokenScopeMissing,
    /// `Auth-Request-Type` names something that is no request type, or one this site does not speak.
    AuthRequestTypeUnknown,
    /// The body is larger than the endpoint takes.
    BodyTooLarge,
    /// The one-time password was sent by another way than the request says.
    ChannelMismatch,
    /// The channel that was asked for has no gateway here.
    ChannelUnavailable,
    /// The one-time password is wrong, or its request is unknown, over, closed or out of tries.
    ChallengeFailed,
    /// The client is not enabled for the authorization code and credentials flow.
    ClientFlowDisabled,
    /// The client is not enabled for the client credentials flow, or its user is gone.
    ClientCredentialsFlowDisabled,
    /// Two ways of client authentication at once.
    ClientAuthenticationAmbiguous,
    /// The user's profile is not permitted to use the client.
    ClientNotApproved,
    /// The client needs a secret and sent none.
    ClientSecretMissing,
    /// The client's secret is wrong.
    ClientSecretWrong,
    /// The same, sent in the Basic header, which asks for a 401.
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
    /// The `format` parameter names no format.
    FormatUnknown,
    /// The form cannot be read, or repeats a parameter with another value.
    FormMalformed {
        /// A sentence without any value of the request.
        reason: String,
    },
    /// The grant type is not one of ours.
    GrantTypeUnsupported,
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
    /// The password does not meet the policy of the profile.
    PasswordPolicy {
        /// Which rule, for the caller that is trusted; never the password.
        reason: String,
    },
    /// The verifier is missing, not wanted, malformed or does not match.
    PkceMismatch,
    /// Nothing proves that the caller may knock: neither a token nor a captcha.
    ProofMissing,
    /// A limit was reached.
    RateLimited {
        /// When to come back.
        retry_after_seconds: i64,
    },
    /// The redirect URI of the token request is not the one of the authorization request.
    RedirectUriChanged,
    /// The redirect URI is none of the client's callbacks.
    RedirectUriMismatch,
    /// No redirect URI.
    RedirectUriMissing,
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
    /// The hashing queue is full.
    TooBusy,
    /// The user was disabled.
    UserDisabled,
    /// The user was locked by an administrator.
    UserLocked,
    /// The username belongs to somebody.
    UsernameTaken,
}

impl Refusal {
    /// What the caller is told.
    pub fn wire(&self) -> ErrorAnswer {
        use WireError as Wire;
        let plain = ErrorAnswer::new;
        let described =
            |error: Wire, text: &str| ErrorAnswer::new(error).with_description(text.to_owned());
        match self {
            Refusal::AccessTokenInvalid => plain(Wire::AccessTokenInvalid),
            // Who sent no token is told the scheme and no reason (RFC 6750 section 3.1).
            Refusal::AccessTokenMissing | Refusal::IntegrationTokenMissing => {
                plain(Wire::AuthenticationRequired)
            }
            Refusal::AccessTokenScopeMissing => plain(Wire::InsufficientScope),
            Refusal::AuthRequestTypeUnknown => described(
                Wire::InvalidRequest,
                "missing or unknown Auth-Request-Type header",
            ),
            Refusal::BodyTooLarge => plain(Wire::BodyTooLarge),
            Refusal::ChannelMismatch => described(
                Wire::InvalidRequest,
                "Auth-Verification-Type must match the verificationmethod of the request",
            ),
            Refusal::ChannelUnavailable => plain(Wire::OtpGenerationFailed),
            // A wrong code, a wrong identifier and a dead request are one answer for a stranger.
            Refusal::ChallengeFailed
            | Refusal::CredentialsMalformed
            | Refusal::UserDisabled
            | Refusal::UserLocked => plain(Wire::AuthenticationFailure),
            Refusal::ClientFlowDisabled | Refusal::SiteFlowDisabled => plain(Wire::FlowNotEnabled),
            Refusal::ClientCredentialsFlowDisabled => plain(Wire::GrantNotEnabled),
            Refusal::ClientAuthenticationAmbiguous => described(
                Wire::InvalidRequest,
                "use one method of client authentication",
            ),
            Refusal::ClientNotApproved => plain(Wire::ClientNotApproved),
            Refusal::ClientSecretMissing | Refusal::ClientSecretWrong => {
                plain(Wire::ClientCredentialsInvalid)
            }
            Refusal::ClientSecretWrongInHeader => plain(Wire::ClientCredentialsInvalidBasic),
            Refusal::ClientUnknown => plain(Wire::ClientIdUnknown),
            Refusal::CodeChallengeInvalid => plain(Wire::CodeChallengeInvalid),
            Refusal::CodeChallengeMissing => plain(Wire::CodeChallengeMissing),
            Refusal::CodeExpired => plain(Wire::CodeExpired),
            Refusal::CodeSpent | Refusal::CodeUnknown | Refusal::RedirectUriChanged => {
                plain(Wire::CodeInvalid)
            }
            Refusal::ContentEncodingUnsupported => plain(Wire::ContentEncodingUnsupported),
            Refusal::CredentialsMisplaced => described(
                Wire::InvalidRequest,
                "send credentials once, and never in the URL",
            ),
            Refusal::CredentialsMissing => {
                described(Wire::InvalidRequest, "missing Basic authorization header")
            }
            Refusal::FormatUnknown => described(
                Wire::InvalidRequest,
                "format must be json, urlencoded or xml",
            ),
            Refusal::FormMalformed { reason } => described(Wire::InvalidRequest, reason),
            Refusal::GrantTypeUnsupported => plain(Wire::GrantTypeUnsupported),
            Refusal::HttpsRequired => plain(Wire::HttpsRequired),
            Refusal::IntegrationTokenInvalid => plain(Wire::InvalidAuthorization),
            Refusal::MethodNotAllowed { allow: "POST" } => plain(Wire::PostRequired),
            Refusal::MethodNotAllowed { allow } => {
                described(Wire::PostRequired, &format!("allowed methods: {allow}"))
            }
            Refusal::ParameterMissing { name } => described(
                Wire::InvalidRequest,
                &format!("missing required parameter: {name}"),
            ),
            // A body that cannot be read has no member to name.
            Refusal::ParametersInvalid { field, reason } if field.is_empty() => described(
                Wire::InvalidParameters,
                &format!("invalid parameters: {reason}"),
            ),
            Refusal::ParametersInvalid { field, reason } => plain(Wire::InvalidParameters)
                .with_description(format!("invalid parameters: {field} {reason}"))
                .with_field(field.clone()),
            Refusal::PasswordPolicy { .. } => plain(Wire::PasswordPolicyCheckFailure),
            Refusal::PkceMismatch => plain(Wire::CodeVerifierInvalid),
            Refusal::ProofMissing => plain(Wire::MissingAuthParameters),
            Refusal::RateLimited { .. } => plain(Wire::RateLimitExceeded),
            Refusal::RedirectUriMismatch => plain(Wire::RedirectUriMismatch),
            Refusal::RedirectUriMissing => plain(Wire::RedirectUriMissing),
            Refusal::RegistrationDisabled => plain(Wire::HeadlessRegistrationDisabled),
            Refusal::RegistrationFailed { apex_error } => {
                plain(Wire::RegistrationError).with_apex_error(apex_error.clone())
            }
            Refusal::ResponseTypeUnsupported => plain(Wire::ResponseTypeUnsupported),
            Refusal::ScopeNotAllowed => plain(Wire::ScopeInvalid),
            Refusal::SiteUnknown => plain(Wire::InvalidDomain),
            Refusal::TemplateNotAllowed => plain(Wire::TemplateNotAllowed),
            Refusal::TemplateUnknown => plain(Wire::TemplateInvalid),
            Refusal::TooBusy => plain(Wire::TemporarilyUnavailable),
            Refusal::UsernameTaken => plain(Wire::InvalidParameters)
                .with_description("invalid parameters: username is already in use".to_owned())
                .with_field("userdata.username".to_owned()),
        }
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
