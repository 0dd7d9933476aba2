//! Refusals on the wire: one table, three shapes.
//!
//! This file owns the public form of a refusal: its code, its name, its text, its HTTP status and whether it may be
//! sent in a redirect. Why a request was refused, and what is logged, belongs to the server, which chooses one
//! [`WireError`] per refusal. Sources: the Headless Identity error tables, the OAuth Authorization Errors page, RFC
//! 6749 4.1.2.1 and 5.2, RFC 6750 3.1.
//!
//! Not used: `invalid_client_credentials`, an alternate name that only old clients know; `invalid_client` has the
//! same meaning for all clients.

use serde_json::Value;

use crate::format::{Format, Layout, Members, render_members};

mod table;

pub use table::TABLE;

/// Every error response of the server. Its [`ErrorRow`] defines the meaning of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)] // The row of each variant describes it, and is printed as a page.
pub enum WireError {
    AccessTokenInvalid,
    AppAccessInvalid,
    AttestationChallengeNeeded,
    AttestationInvalid,
    AttestationStale,
    AuthSessionInvalid,
    AuthenticationFailure,
    AuthenticationRequired,
    BodyTooLarge,
    ClientAttestationRequired,
    ClientCredentialsInvalid,
    ClientCredentialsInvalidBasic,
    ClientIdUnknown,
    ClientNotApproved,
    CodeChallengeInvalid,
    CodeChallengeMissing,
    CodeExpired,
    CodeInvalid,
    CodeVerifierInvalid,
    CodesExhausted,
    ContentEncodingUnsupported,
    FlowNotEnabled,
    ForgotPasswordDisabled,
    GrantNotEnabled,
    GrantTypeUnsupported,
    HeadlessRegistrationDisabled,
    HttpsRequired,
    InsufficientScope,
    InvalidAuthorization,
    InvalidDomain,
    InvalidOtp,
    InvalidParameters,
    InvalidRequest,
    MissingAuthParameters,
    OtpGenerationFailed,
    PasswordExpired,
    PasswordPolicyCheckFailure,
    PasswordlessLoginDisabled,
    PostRequired,
    RateLimitExceeded,
    RecaptchaInvalid,
    RecaptchaRequired,
    RedirectUriMismatch,
    RedirectUriMissing,
    RegenerateOtp,
    RegistrationError,
    ResponseTypeUnsupported,
    ScopeInvalid,
    ServerError,
    TemplateInvalid,
    TemplateNotAllowed,
    TemporarilyUnavailable,
    TokenExpired,
    TokenTypeUnsupported,
    UnauthorizedClient,
    UnknownError,
    UserAccountLocked,
    UserInactive,
    UvidInvalid,
}

impl WireError {
    /// The row of this error in the table.
    pub fn row(self) -> &'static ErrorRow {
        &TABLE[self as usize]
    }
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct ErrorRow {
    /// The error that this row describes.
    pub error: WireError,
    /// `status_code` of the headless shapes; the same as `name` where no headless endpoint returns this error.
    pub status_code: &'static str,
    /// `error` of the OAuth shapes.
    pub name: &'static str,
    /// The name of the middle member of the headless shapes. It equals `name`, except for the password policy,
    /// whose documented name contains a space.
    pub member: &'static str,
    /// The public text.
    pub description: &'static str,
    /// The HTTP status of an answer that is not a redirect.
    pub http_status: u16,
    /// The scheme to name in `WWW-Authenticate`, with a 401 or 403.
    pub challenge: Option<AuthenticationScheme>,
    /// Whether the error may be sent to a registered `redirect_uri` (RFC 6749 4.1.2.1) in the
    /// browser flow.
    pub may_redirect: bool,
    /// The shapes in which endpoints return this error.
    pub shapes: &'static [Shape],
    /// The source of the names and the text.
    pub source: &'static str,
}

/// An authentication scheme that `WWW-Authenticate` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthenticationScheme {
    /// OAuth-Client-Attestation, for a client that must send an attestation. No scheme is registered for it, so it
    /// has the name of the required header.
    Attestation,
    /// Basic, for a client that used it at the token endpoint (RFC 6749 5.2).
    Basic,
    /// Bearer without parameters: the request had no token, so no reason is given (RFC 6750 3.1).
    Bearer,
    /// Bearer with `error="insufficient_scope"`.
    BearerInsufficientScope,
    /// Bearer with `error="invalid_token"`.
    BearerInvalidToken,
}

/// The arrangement of the members of an error response; the endpoint decides it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shape {
    /// `{"status_code":…,"<name>":<description>,"status":"failed"}`: forgot password.
    Headless,
    /// `{"error":…,"error_description":…}`: authorize, token and related endpoints.
    OAuth,
    /// Both at once: the two `init` endpoints, for which no error table is published.
    Merged,
}

/// An error response. It contains no secrets: every member is sent to the caller.
#[derive(Clone, Debug, PartialEq)]
pub struct ErrorAnswer {
    /// Which error.
    pub error: WireError,
    /// Replaces the description of the row.
    pub description: Option<String>,
    /// What is wrong in the caller's own input, in more detail than the documented text says. It is sent beside the
    /// documented members, never in them.
    pub detail: Option<String>,
    /// `apex_error`: the message of the customer's registration handler.
    pub apex_error: Option<String>,
    /// `invalid_field`, in [`Shape::Merged`] only: the public name of the offending member.
    pub field: Option<String>,
    /// `recaptcha_response`, in the headless shapes: the response of the captcha verifier.
    pub recaptcha_response: Option<Value>,
}

impl From<WireError> for ErrorAnswer {
    fn from(error: WireError) -> Self {
        ErrorAnswer::new(error)
    }
}

impl ErrorAnswer {
    /// The error with the name and text of its row.
    pub fn new(error: WireError) -> Self {
        ErrorAnswer {
            error,
            description: None,
            detail: None,
            apex_error: None,
            field: None,
            recaptcha_response: None,
        }
    }

    /// Replaces the row's text, for an error that no document describes. Characters that RFC 6749 5.2 forbids in
    /// `error_description` are replaced when the response is rendered.
    pub fn with_description(mut self, description: String) -> Self {
        self.description = Some(description);
        self
    }

    /// Adds what is wrong in the caller's own input.
    pub fn with_detail(mut self, detail: String) -> Self {
        self.detail = Some(detail);
        self
    }

    /// Adds the message of the customer's registration handler.
    pub fn with_apex_error(mut self, apex_error: String) -> Self {
        self.apex_error = Some(apex_error);
        self
    }

    /// Names the offending member of the request: its public name, never its value.
    pub fn with_field(mut self, field: String) -> Self {
        self.field = Some(field);
        self
    }

    /// Adds the response of the reCAPTCHA verifier.
    pub fn with_recaptcha_response(mut self, recaptcha_response: Value) -> Self {
        self.recaptcha_response = Some(recaptcha_response);
        self
    }

    /// The documented text, or the one that replaces it, in the characters of RFC 6749 5.2.
    pub fn public_description(&self) -> String {
        public(
            self.description
                .as_deref()
                .unwrap_or(self.error.row().description),
        )
    }

    /// The value of the header `Error-Detail`: what is wrong in the caller's own input.
    pub fn public_detail(&self) -> Option<String> {
        self.detail.as_deref().map(public)
    }

    /// The text of `error_description`. No document describes the merged shape as a whole, so its alias carries the
    /// documented text and the detail. In the OAuth shape only `invalid_request` has no documented text: RFC 6749
    /// leaves its description to the server.
    fn error_description(&self, shape: Shape) -> String {
        let documented = self.public_description();
        match (shape, self.public_detail()) {
            (Shape::Merged, Some(detail)) => format!("{documented}: {detail}"),
            (Shape::OAuth, Some(detail)) if self.error == WireError::InvalidRequest => detail,
            _ => documented,
        }
    }

    /// The HTTP status of the answer when it is not a redirect.
    pub fn http_status(&self) -> u16 {
        self.error.row().http_status
    }

    /// The value of `WWW-Authenticate`, when the response must have one (RFC 6750 3, RFC 7617 2).
    pub fn www_authenticate(&self) -> Option<String> {
        let reason = match self.error.row().challenge? {
            AuthenticationScheme::Attestation => {
                return Some(r#"OAuth-Client-Attestation realm="Vestibule""#.to_owned());
            }
            AuthenticationScheme::Basic => {
                return Some(r#"Basic realm="Vestibule", charset="UTF-8""#.to_owned());
            }
            AuthenticationScheme::Bearer => return Some(r#"Bearer realm="Vestibule""#.to_owned()),
            AuthenticationScheme::BearerInsufficientScope => "insufficient_scope",
            AuthenticationScheme::BearerInvalidToken => "invalid_token",
        };
        Some(format!(
            r#"Bearer realm="Vestibule", error="{reason}", error_description="{}""#,
            self.public_description()
        ))
    }

    /// The members of the response in the given shape, which must be one of the row's shapes.
    pub fn members(&self, shape: Shape) -> Members {
        let row = self.error.row();
        debug_assert!(
            row.shapes.contains(&shape),
            "the row of {:?} denies the shape {shape:?}",
            self.error
        );
        let description = self.public_description();
        let mut members = Members::new();
        if shape != Shape::OAuth {
            members.insert("status_code".to_owned(), row.status_code.into());
            members.insert(row.member.to_owned(), description.as_str().into());
            if row.member.contains(' ') {
                // Some existing clients read the documented name with its space, others the name with an
                // underscore. The response contains both.
                let alias = row.member.replace(' ', "_");
                members.insert(alias, description.as_str().into());
            }
            members.insert("status".to_owned(), "failed".into());
        }
        if shape != Shape::Headless {
            // A middle member named `error` would be overwritten here; a test verifies that no row has that name.
            members.insert("error".to_owned(), row.name.into());
            let description = self.error_description(shape);
            members.insert("error_description".to_owned(), description.into());
        }
        if let Some(apex_error) = &self.apex_error {
            members.insert("apex_error".to_owned(), apex_error.as_str().into());
        }
        if let (Shape::Merged, Some(field)) = (shape, &self.field) {
            members.insert("invalid_field".to_owned(), field.as_str().into());
        }
        if let (Shape::Headless | Shape::Merged, Some(response)) = (shape, &self.recaptcha_response)
        {
            members.insert("recaptcha_response".to_owned(), response.clone());
        }
        members
    }

    /// The body of the response.
    ///
    /// ```
    /// use vestibule_protocol::error::{ErrorAnswer, Shape, WireError};
    /// use vestibule_protocol::format::Format;
    /// assert_eq!(
    ///     ErrorAnswer::new(WireError::AuthenticationFailure).render(Shape::OAuth, Format::Json),
    ///     r#"{"error":"invalid_grant","error_description":"authentication failure"}"#
    /// );
    /// ```
    pub fn render(&self, shape: Shape, format: Format) -> String {
        render_members(format, "OAuth", &self.members(shape), Layout::Compact)
    }
}

/// A text in the characters of RFC 6749 5.2 (`%x20-21`, `%x23-5B`, `%x5D-7E`): a double quote becomes a single one,
/// anything else that is forbidden a `?`.
fn public(text: &str) -> String {
    text.chars()
        .map(|character| match character {
            '"' => '\'',
            '\\' => '/',
            ' '..='~' => character,
            character if character.is_whitespace() => ' ',
            _ => '?',
        })
        .collect()
}

/// The whole table as Markdown, for the reference page on errors.
pub fn table_markdown() -> String {
    let mut page = String::from(
        "| `status_code` | `error` | Description | HTTP | Challenge | Redirect | Shapes | Source |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    for row in &TABLE {
        let name = if row.member == row.name {
            format!("`{}`", row.name)
        } else {
            format!("`{}` (member `{}`)", row.name, row.member)
        };
        let challenge = match row.challenge {
            None => "",
            Some(AuthenticationScheme::Attestation) => "Attestation",
            Some(AuthenticationScheme::Basic) => "Basic",
            Some(_) => "Bearer",
        };
        let shapes: Vec<&str> = row.shapes.iter().map(|shape| shape.letter()).collect();
        page.push_str(&format!(
            "| `{}` | {name} | {} | {} | {challenge} | {} | {} | {} |\n",
            row.status_code,
            row.description,
            row.http_status,
            if row.may_redirect { "yes" } else { "" },
            shapes.join(" "),
            row.source,
        ));
    }
    page
}

impl Shape {
    fn letter(self) -> &'static str {
        match self {
            Shape::Headless => "H",
            Shape::OAuth => "O",
            Shape::Merged => "M",
        }
    }
}

#[cfg(test)]
mod tests;
