//! `Refusal` (the request is denied) and `Fault` (the server failed). Nothing else crosses from one module
//! to another.
//!
//! A [`Refusal`] is the reason as the server sees it. What the caller learns of it is decided in one place,
//! [`Refusal::wire`], over the rows of `vestibule_protocol::error::TABLE`. The declaration below is the one
//! list of all refusals: it gives the enum, the names, the samples and the row of each.

mod fault;
mod reason;

use vestibule_protocol::error::{ErrorAnswer, Shape, WireError};
use vestibule_protocol::form::FormError;
use vestibule_protocol::headless::InvalidParams;

use crate::jose::JwsProblem;
pub use fault::{Failure, Fault, FaultKind};
pub use reason::Reason;

/// Declares every refusal once.
///
/// `Name { field: Type = sample } => Row, Shape: OtherRow, "text";` is a variant, which row of the error
/// table is answered, which other row where the endpoint has that error format, and a detail that the row's
/// text does not have. The sample is the value of a field in [`Refusal::samples`].
macro_rules! refusals {
    ($(
        $(#[$doc:meta])*
        $name:ident $({ $( $(#[$field_doc:meta])* $field:ident: $type:ty = $sample:expr; )+ })?
            => $row:ident $(, $shape:ident: $other:ident)* $(, $text:literal)?;
    )+) => {
        /// Why a request is denied.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Refusal {
            $( $(#[$doc])* $name $({ $( $(#[$field_doc])* $field: $type, )+ })?, )+
        }

        impl Refusal {
            /// Its name, for logs and metrics; never a value of the request.
            pub fn name(&self) -> &'static str {
                match self {
                    $( Refusal::$name { .. } => stringify!($name), )+
                }
            }

            /// One of each, in alphabetical order, for the reference page and for tests.
            pub fn samples() -> Vec<Refusal> {
                vec![$( Refusal::$name $({ $( $field: $sample, )+ })?, )+]
            }

            /// Which row of the table. Reasons that an unauthenticated caller must not distinguish share
            /// one.
            fn row(&self, shape: Shape) -> WireError {
                match self {
                    $( Refusal::$name { .. } => {
                        $( if shape == Shape::$shape {
                            return WireError::$other;
                        } )*
                        WireError::$row
                    } )+
                }
            }

            /// A text without values of the request that is more exact than the row's.
            fn text(&self) -> Option<&'static str> {
                match self {
                    $( Refusal::$name { .. } => None $( .or(Some($text)) )?, )+
                }
            }
        }
    };
}

refusals! {
    /// The access token at userinfo or the identity URL is unknown, expired or revoked.
    AccessTokenInvalid {
        /// For the log.
        because: Reason = Reason::AccessTokenNotLive;
    } => AccessTokenInvalid;
    /// No access token was presented where one is needed. Such a caller learns the scheme and no reason (RFC
    /// 6750 section 3.1).
    AccessTokenMissing => AuthenticationRequired;
    /// The access token lacks the scope that the endpoint needs.
    AccessTokenScopeMissing => InsufficientScope;
    /// An administrator has not permitted the user's profile to use the client.
    AppAccessDenied => AppAccessInvalid;
    /// The proof of possession names no fresh challenge of this site.
    AttestationChallengeMissing => AttestationChallengeNeeded;
    /// The client attestation has expired.
    AttestationExpired => AttestationStale;
    /// `Auth-Request-Type` names no request type, or one that the site has not enabled.
    AuthRequestTypeUnknown => InvalidRequest, "missing or unknown Auth-Request-Type header";
    /// The login that a step continues is unknown, expired, used, or another client's.
    AuthSessionInvalid {
        /// For the log.
        because: Reason = Reason::AuthSessionNotLive;
    } => AuthSessionInvalid;
    /// The body is larger than the endpoint accepts.
    BodyTooLarge => BodyTooLarge;
    /// The one-time password is wrong, or its request is unknown, expired, closed or out of attempts.
    ChallengeFailed {
        /// For the log.
        because: Reason = Reason::OtpWrong;
    } => InvalidOtp, OAuth: AuthenticationFailure;
    /// The one-time password was sent by another channel than the request says.
    ChannelMismatch => InvalidRequest,
        "Auth-Verification-Type must match the verificationmethod of the request";
    /// The requested channel has no gateway here.
    ChannelUnavailable => OtpGenerationFailed;
    /// The client assertion does not authenticate the client.
    ClientAssertionInvalid {
        /// For the log.
        because: Reason = Reason::ClientAssertionInvalid;
        /// The problem of the JWT, for the log.
        problem: Option<JwsProblem> = None;
    } => ClientAttestationRequired;
    /// The client attestation, or its proof of possession, does not authenticate the client.
    ClientAttestationInvalid {
        /// For the log.
        because: Reason = Reason::ClientAttestationInvalid;
        /// The problem of the JWT, for the log.
        problem: Option<JwsProblem> = None;
    } => AttestationInvalid;
    /// The client must attest itself and does not.
    ClientAttestationMissing => ClientAttestationRequired;
    /// Two methods of client authentication at once.
    ClientAuthenticationAmbiguous => InvalidRequest, "use one method of client authentication";
    /// The client is not enabled for the client credentials flow, or its user is not active.
    ClientCredentialsFlowDisabled => GrantNotEnabled;
    /// The client is not enabled for the authorization code and credentials flow.
    ClientFlowDisabled => FlowNotEnabled;
    /// The code or the refresh token was issued to a client that authenticated in another way.
    ClientKeyMismatch => CodeInvalid;
    /// The user has not approved the client, where users approve it themselves.
    ClientNotApproved => ClientNotApproved;
    /// The client needs a secret and sent none.
    ClientSecretMissing => ClientCredentialsInvalid;
    /// The client's secret is wrong.
    ClientSecretWrong => ClientCredentialsInvalid;
    /// The client did not authenticate, and used the Basic header, which asks for a 401.
    ClientSecretWrongInHeader {
        /// For the log.
        because: Reason = Reason::ClientSecretWrong;
    } => ClientCredentialsInvalidBasic;
    /// No client has that id, or it was disabled.
    ClientUnknown => ClientIdUnknown;
    /// The challenge is not 43 characters of base64url.
    CodeChallengeInvalid => CodeChallengeInvalid;
    /// The client must send a challenge and did not.
    CodeChallengeMissing => CodeChallengeMissing;
    /// The authorization code has expired.
    CodeExpired {
        /// For the log.
        because: Reason = Reason::CodeExpired;
    } => CodeExpired;
    /// The authorization code was redeemed before; its tokens are revoked now.
    CodeSpent => CodeInvalid;
    /// There is no such authorization code for this client.
    CodeUnknown {
        /// For the log.
        because: Reason = Reason::CodeUnknown;
    } => CodeInvalid;
    /// The caller has asked for all one-time passwords of this hour or, for resets, of this day.
    CodesExhausted {
        /// When another request may succeed.
        retry_after_seconds: i64 = 1;
    } => CodesExhausted;
    /// The request body is compressed, which no endpoint accepts.
    ContentEncodingUnsupported => ContentEncodingUnsupported;
    /// The Basic header of the end user cannot be parsed.
    CredentialsMalformed => AuthenticationFailure;
    /// Credentials came in the query of a URL, or in two places.
    CredentialsMisplaced => InvalidRequest, "send credentials once, and never in the URL";
    /// No Basic header where the flow needs one.
    CredentialsMissing => InvalidRequest, "missing Basic authorization header";
    /// The client accepts the user's credentials in the body of a POST only.
    CredentialsMustBePosted => InvalidRequest, "send username and password in the body of a POST";
    /// The username or the password is wrong, or the account cannot use this login method now.
    CredentialsWrong {
        /// For the log.
        because: Reason = Reason::PasswordWrong;
    } => AuthenticationFailure;
    /// User discovery found no user, at a site that shows the message of its handler.
    DiscoveryFailed {
        /// The handler's message.
        message: String = String::from("…");
    } => InvalidParameters, OAuth: AuthenticationFailure;
    /// The client is not enabled for the first-party flows, or not at this endpoint.
    FirstPartyClientDisabled => UnauthorizedClient,
        "the app is not enabled for first-party flows at this endpoint";
    /// The site does not offer the first-party flows.
    FirstPartySiteDisabled => UnauthorizedClient, "first-party apps are not enabled for this site";
    /// The site does not offer password resets.
    ForgotPasswordDisabled => ForgotPasswordDisabled;
    /// The form cannot be parsed, or repeats a parameter with another value. The headless tables have no
    /// other row for that.
    FormMalformed {
        /// A sentence without any value of the request.
        reason: String = String::from("…");
    } => InvalidParameters, OAuth: InvalidRequest;
    /// The `format` parameter names no format.
    FormatUnknown => InvalidRequest, "format must be json, urlencoded or xml";
    /// The server has no such grant type.
    GrantTypeUnsupported => GrantTypeUnsupported;
    /// The client has no guests.
    GuestFlowDisabled => InvalidRequest, "guest flow not enabled";
    /// A guest sends credentials.
    GuestHasCredentials => InvalidRequest, "a guest sends no credentials";
    /// The headers of a token request name another guest than its code, or one where there is none.
    GuestMismatch => CodeInvalid;
    /// The request came over plain HTTP.
    HttpsRequired => HttpsRequired;
    /// The integration user's access token is unknown, expired, revoked or lacks the scope.
    IntegrationTokenInvalid {
        /// For the log.
        because: Reason = Reason::AccessTokenNotLive;
    } => InvalidAuthorization;
    /// The site requires an integration user's access token and none came. As of `AccessTokenMissing`, the
    /// caller learns the scheme only.
    IntegrationTokenMissing => AuthenticationRequired;
    /// The endpoint does not have the method.
    MethodNotAllowed {
        /// For the `Allow` header.
        allow: &'static str = "POST";
    } => PostRequired;
    /// A required parameter is missing.
    ParameterMissing {
        /// Its name.
        name: &'static str = "…";
    } => InvalidRequest;
    /// A parameter has a value that is not possible.
    ParametersInvalid {
        /// The name of the member that is wrong.
        field: String = String::from("…");
        /// What is wrong with it, without its value.
        reason: String = String::from("…");
    } => InvalidParameters;
    /// The password is right and older than the policy allows.
    PasswordExpired => PasswordExpired;
    /// The password does not meet the policy of the profile.
    PasswordPolicy {
        /// Which rule was broken; never the password.
        reason: String = String::from("…");
    } => PasswordPolicyCheckFailure;
    /// The site does not offer passwordless login.
    PasswordlessLoginDisabled => PasswordlessLoginDisabled;
    /// The verifier is missing, not expected, malformed or does not match.
    PkceMismatch => CodeVerifierInvalid;
    /// The caller shows neither a token nor a captcha, and the site requires one of them.
    ProofMissing => MissingAuthParameters;
    /// A rate limit was reached.
    RateLimited {
        /// When another request may succeed.
        retry_after_seconds: i64 = 1;
    } => RateLimitExceeded;
    /// The verifier does not accept the captcha token, or it was spent before.
    RecaptchaInvalid {
        /// The documented members of the verifier's answer, if it was asked.
        response: Option<serde_json::Value> = None;
    } => RecaptchaInvalid;
    /// The site requires a captcha token and none came.
    RecaptchaMissing => RecaptchaRequired;
    /// The redirect URI of the token request is not the one of the authorization request.
    RedirectUriChanged => RedirectUriMismatch;
    /// The redirect URI is none of the client's callbacks.
    RedirectUriMismatch => RedirectUriMismatch;
    /// No redirect URI.
    RedirectUriMissing => RedirectUriMissing;
    /// The login of the refresh token has ended: revoked, ended by policy, or its user is not active.
    RefreshTokenEnded {
        /// For the log.
        because: Reason = Reason::RefreshTokenEnded;
    } => TokenExpired;
    /// The refresh token was replaced before; its family is ended now.
    RefreshTokenReused => TokenExpired;
    /// There is no such refresh token for this client.
    RefreshTokenUnknown {
        /// For the log.
        because: Reason = Reason::RefreshTokenUnknown;
    } => TokenExpired;
    /// The site does not offer self-registration.
    RegistrationDisabled => HeadlessRegistrationDisabled;
    /// The registration handler failed.
    RegistrationFailed {
        /// `ExceptionType: message`, for `apex_error`.
        apex_error: String = String::from("…");
    } => RegistrationError;
    /// The server has no such `response_type`.
    ResponseTypeUnsupported => ResponseTypeUnsupported;
    /// A scope is unknown or not the client's.
    ScopeNotAllowed => ScopeInvalid;
    /// The site does not offer the authorization code and credentials flow.
    SiteFlowDisabled => FlowNotEnabled;
    /// No published site has that host and path.
    SiteUnknown => InvalidDomain;
    /// The template exists and is not on the allowlist, or naming one is not allowed here.
    TemplateNotAllowed => TemplateNotAllowed;
    /// There is no such template.
    TemplateUnknown => TemplateInvalid;
    /// No text message is sent to that number, or the messages of the day are used up.
    TextMessageBlocked => OtpGenerationFailed;
    /// The token is of a kind that cannot be revoked: a JWT that is not stored.
    TokenTypeUnsupported => TokenTypeUnsupported;
    /// The hashing queue is full.
    TooBusy => TemporarilyUnavailable;
    /// The code of a password reset has no attempts left.
    TriesSpent => RegenerateOtp;
    /// The user was disabled.
    UserDisabled => AuthenticationFailure;
    /// The user was disabled, for a caller that may learn it.
    UserInactive => UserInactive;
    /// The user was locked by an administrator.
    UserLocked => UserAccountLocked, OAuth: AuthenticationFailure;
    /// The username belongs to another user.
    UsernameTaken => InvalidParameters, "username is already in use";
    /// The hint of a visitor is neither an id nor a token of a guest of this client, or there are two.
    UvidInvalid {
        /// For the log.
        because: Reason = Reason::UvidMalformed;
    } => UvidInvalid;
}

impl Refusal {
    /// What the caller learns, in the error format of the endpoint.
    pub fn wire(&self, shape: Shape) -> ErrorAnswer {
        let mut answer = ErrorAnswer::new(self.error(shape));
        answer.description = self.description();
        let row = self.row(shape);
        // The text of a row whose name this endpoint does not use.
        let replaced = (row != answer.error).then(|| row.row().description.to_owned());
        answer.detail = self.detail().or(replaced);
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

    /// Which error, in a shape. A row of the headless tables that the OAuth endpoints do not have is a
    /// request that cannot be granted there.
    fn error(&self, shape: Shape) -> WireError {
        let error = self.row(shape);
        if shape == Shape::OAuth && !error.row().shapes.contains(&shape) {
            WireError::InvalidRequest
        } else {
            error
        }
    }

    /// A text in place of that of the row, where no document has one for the case.
    fn description(&self) -> Option<String> {
        match self {
            // A message that the site has chosen to show takes precedence over every table.
            Refusal::DiscoveryFailed { message } => Some(message.clone()),
            // For the method of nearly every endpoint, the row has the documented text.
            Refusal::MethodNotAllowed { allow: "POST" } => None,
            Refusal::MethodNotAllowed { allow } => Some(format!("allowed methods: {allow}")),
            _ => None,
        }
    }

    /// What is wrong in the caller's own input, for the caller and for the log: names of members and rules, never a
    /// value of the request or the state of an account.
    pub fn detail(&self) -> Option<String> {
        match self {
            Refusal::FormMalformed { reason } | Refusal::PasswordPolicy { reason } => {
                Some(reason.clone())
            }
            Refusal::ParameterMissing { name } => {
                Some(format!("missing required parameter: {name}"))
            }
            // A body that cannot be parsed has no member to name.
            Refusal::ParametersInvalid { field, reason } if field.is_empty() => {
                Some(reason.clone())
            }
            Refusal::ParametersInvalid { field, reason } => Some(format!("{field} {reason}")),
            _ => self.text().map(str::to_owned),
        }
    }

    /// Why a credential was refused, for the log; `None` when the request is denied for another reason.
    pub fn reason(&self) -> Option<Reason> {
        match self {
            Refusal::AccessTokenInvalid { because }
            | Refusal::AuthSessionInvalid { because }
            | Refusal::ChallengeFailed { because }
            | Refusal::ClientAssertionInvalid { because, .. }
            | Refusal::ClientAttestationInvalid { because, .. }
            | Refusal::ClientSecretWrongInHeader { because }
            | Refusal::CodeExpired { because }
            | Refusal::CodeUnknown { because }
            | Refusal::CredentialsWrong { because }
            | Refusal::IntegrationTokenInvalid { because }
            | Refusal::RefreshTokenEnded { because }
            | Refusal::RefreshTokenUnknown { because }
            | Refusal::UvidInvalid { because } => Some(*because),
            Refusal::AccessTokenScopeMissing => Some(Reason::AccessTokenScopeMissing),
            Refusal::AttestationChallengeMissing => Some(Reason::AttestationChallengeNotFresh),
            Refusal::AttestationExpired => Some(Reason::ClientAttestationExpired),
            Refusal::ChannelMismatch => Some(Reason::OtpChannelMismatch),
            Refusal::ClientKeyMismatch => Some(Reason::CodeOfAnotherKey),
            Refusal::ClientSecretMissing => Some(Reason::ClientSecretMissing),
            Refusal::ClientSecretWrong => Some(Reason::ClientSecretWrong),
            Refusal::ClientUnknown => Some(Reason::ClientUnknown),
            Refusal::CodeSpent => Some(Reason::CodeSpent),
            Refusal::GuestMismatch => Some(Reason::CodeOfAnotherGuest),
            Refusal::PasswordExpired => Some(Reason::PasswordExpired),
            Refusal::PkceMismatch => Some(Reason::CodePkceMismatch),
            Refusal::RedirectUriChanged => Some(Reason::CodeRedirectUriChanged),
            Refusal::RefreshTokenReused => Some(Reason::RefreshTokenReused),
            Refusal::TriesSpent => Some(Reason::OtpTriesSpent),
            Refusal::UserDisabled | Refusal::UserInactive => Some(Reason::UserDisabled),
            Refusal::UserLocked => Some(Reason::UserLocked),
            _ => None,
        }
    }

    /// The part of a JWT because of which it was refused, for the log.
    pub fn jwt_part(&self) -> Option<&'static str> {
        match self {
            Refusal::ClientAssertionInvalid { problem, .. }
            | Refusal::ClientAttestationInvalid { problem, .. } => problem.map(JwsProblem::part),
            _ => None,
        }
    }

    /// For the `Retry-After` header, in seconds.
    pub fn retry_after_seconds(&self) -> Option<i64> {
        match self {
            Refusal::CodesExhausted {
                retry_after_seconds,
            }
            | Refusal::RateLimited {
                retry_after_seconds,
            } => Some(*retry_after_seconds),
            Refusal::TooBusy => Some(1),
            _ => None,
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_refusals_are_declared_in_alphabetical_order() {
        let samples = Refusal::samples();
        let names: Vec<&str> = samples.iter().map(Refusal::name).collect();
        assert!(names.len() > 50, "{names:?}");
        let mut sorted = names.clone();
        sorted.sort_unstable();
        assert_eq!(names, sorted);
    }

    #[test]
    fn a_text_says_more_than_the_row_does() {
        for refusal in Refusal::samples() {
            let row = refusal.row(Shape::OAuth).row();
            assert_ne!(refusal.text(), Some(row.description), "{}", refusal.name());
        }
    }
}
