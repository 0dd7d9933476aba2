//! The page `docs/reference/errors.md`: the table of what is answered, and which of our reasons
//! leads to which row. `VESTIBULE_UPDATE_DOCS=1` writes it anew.

use std::path::Path;

use vestibule::refusal::Refusal;
use vestibule_protocol::error::{Shape, table_markdown};

/// The variant after this one, so that every one of them is in the list: a new variant does not
/// compile until it has its place here.
fn next(refusal: &Refusal) -> Option<Refusal> {
    use Refusal as R;
    let text = || String::from("…");
    Some(match refusal {
        R::AccessTokenInvalid => R::AccessTokenMissing,
        R::AccessTokenMissing => R::AccessTokenScopeMissing,
        R::AccessTokenScopeMissing => R::AttestationChallengeMissing,
        R::AttestationChallengeMissing => R::AttestationExpired,
        R::AttestationExpired => R::AuthRequestTypeUnknown,
        R::AuthRequestTypeUnknown => R::AuthSessionInvalid,
        R::AuthSessionInvalid => R::BodyTooLarge,
        R::BodyTooLarge => R::ChallengeFailed,
        R::ChallengeFailed => R::ChannelMismatch,
        R::ChannelMismatch => R::ChannelUnavailable,
        R::ChannelUnavailable => R::ClientAssertionInvalid,
        R::ClientAssertionInvalid => R::ClientAttestationInvalid,
        R::ClientAttestationInvalid => R::ClientAttestationMissing,
        R::ClientAttestationMissing => R::ClientAuthenticationAmbiguous,
        R::ClientAuthenticationAmbiguous => R::ClientCredentialsFlowDisabled,
        R::ClientCredentialsFlowDisabled => R::ClientFlowDisabled,
        R::ClientFlowDisabled => R::ClientKeyMismatch,
        R::ClientKeyMismatch => R::ClientNotApproved,
        R::ClientNotApproved => R::ClientSecretMissing,
        R::ClientSecretMissing => R::ClientSecretWrong,
        R::ClientSecretWrong => R::ClientSecretWrongInHeader,
        R::ClientSecretWrongInHeader => R::ClientUnknown,
        R::ClientUnknown => R::CodeChallengeInvalid,
        R::CodeChallengeInvalid => R::CodeChallengeMissing,
        R::CodeChallengeMissing => R::CodeExpired,
        R::CodeExpired => R::CodeSpent,
        R::CodeSpent => R::CodeUnknown,
        R::CodeUnknown => R::ContentEncodingUnsupported,
        R::ContentEncodingUnsupported => R::CredentialsMalformed,
        R::CredentialsMalformed => R::CredentialsMisplaced,
        R::CredentialsMisplaced => R::CredentialsMissing,
        R::CredentialsMissing => R::CredentialsMustBePosted,
        R::CredentialsMustBePosted => R::CredentialsWrong,
        R::CredentialsWrong => R::DiscoveryFailed { message: text() },
        R::DiscoveryFailed { .. } => R::FirstPartyClientDisabled,
        R::FirstPartyClientDisabled => R::FirstPartySiteDisabled,
        R::FirstPartySiteDisabled => R::ForgotPasswordDisabled,
        R::ForgotPasswordDisabled => R::FormMalformed { reason: text() },
        R::FormMalformed { .. } => R::FormatUnknown,
        R::FormatUnknown => R::GrantTypeUnsupported,
        R::GrantTypeUnsupported => R::GuestFlowDisabled,
        R::GuestFlowDisabled => R::GuestHasCredentials,
        R::GuestHasCredentials => R::GuestMismatch,
        R::GuestMismatch => R::HttpsRequired,
        R::HttpsRequired => R::IntegrationTokenInvalid,
        R::IntegrationTokenInvalid => R::IntegrationTokenMissing,
        R::IntegrationTokenMissing => R::MethodNotAllowed { allow: "POST" },
        R::MethodNotAllowed { .. } => R::ParameterMissing { name: "…" },
        R::ParameterMissing { .. } => R::ParametersInvalid {
            field: text(),
            reason: text(),
        },
        R::ParametersInvalid { .. } => R::PasswordExpired,
        R::PasswordExpired => R::PasswordPolicy { reason: text() },
        R::PasswordPolicy { .. } => R::PasswordlessLoginDisabled,
        R::PasswordlessLoginDisabled => R::PkceMismatch,
        R::PkceMismatch => R::ProofMissing,
        R::ProofMissing => R::RateLimited {
            retry_after_seconds: 1,
        },
        R::RateLimited { .. } => R::RecaptchaInvalid { response: None },
        R::RecaptchaInvalid { .. } => R::RecaptchaMissing,
        R::RecaptchaMissing => R::RedirectUriChanged,
        R::RedirectUriChanged => R::RedirectUriMismatch,
        R::RedirectUriMismatch => R::RedirectUriMissing,
        R::RedirectUriMissing => R::RefreshTokenEnded,
        R::RefreshTokenEnded => R::RefreshTokenReused,
        R::RefreshTokenReused => R::RefreshTokenUnknown,
        R::RefreshTokenUnknown => R::RegistrationDisabled,
        R::RegistrationDisabled => R::RegistrationFailed { apex_error: text() },
        R::RegistrationFailed { .. } => R::ResponseTypeUnsupported,
        R::ResponseTypeUnsupported => R::ScopeNotAllowed,
        R::ScopeNotAllowed => R::SiteFlowDisabled,
        R::SiteFlowDisabled => R::SiteUnknown,
        R::SiteUnknown => R::TemplateNotAllowed,
        R::TemplateNotAllowed => R::TemplateUnknown,
        R::TemplateUnknown => R::TextMessageBlocked,
        R::TextMessageBlocked => R::TokenTypeUnsupported,
        R::TokenTypeUnsupported => R::TooBusy,
        R::TooBusy => R::TriesSpent,
        R::TriesSpent => R::UserDisabled,
        R::UserDisabled => R::UserInactive,
        R::UserInactive => R::UserLocked,
        R::UserLocked => R::UsernameTaken,
        R::UsernameTaken => R::UvidInvalid,
        R::UvidInvalid => return None,
    })
}

fn all() -> Vec<Refusal> {
    std::iter::successors(Some(Refusal::AccessTokenInvalid), next).collect()
}

/// The shapes of the endpoints that can answer a reason.
fn shapes(refusal: &Refusal) -> &'static [Shape] {
    use Refusal as R;
    match refusal {
        R::BodyTooLarge
        | R::ContentEncodingUnsupported
        | R::DiscoveryFailed { .. }
        | R::FormMalformed { .. }
        | R::HttpsRequired
        | R::MethodNotAllowed { .. }
        | R::RateLimited { .. }
        | R::SiteUnknown
        | R::TooBusy => &[Shape::OAuth, Shape::Merged, Shape::Headless],
        R::ChallengeFailed => &[Shape::OAuth, Shape::Headless],
        R::ForgotPasswordDisabled => &[Shape::Headless, Shape::OAuth],
        R::TriesSpent => &[Shape::Headless],
        R::PasswordlessLoginDisabled | R::RegistrationDisabled => &[Shape::Merged, Shape::OAuth],
        R::UserLocked => &[Shape::Merged, Shape::Headless, Shape::OAuth],
        R::IntegrationTokenInvalid | R::IntegrationTokenMissing | R::ProofMissing => {
            &[Shape::Merged, Shape::Headless]
        }
        // At the authorization challenge endpoint they are requests that cannot be granted.
        R::ChannelUnavailable
        | R::ParametersInvalid { .. }
        | R::PasswordPolicy { .. }
        | R::RecaptchaInvalid { .. }
        | R::RecaptchaMissing
        | R::TemplateNotAllowed
        | R::TemplateUnknown
        | R::TextMessageBlocked => &[Shape::Merged, Shape::Headless, Shape::OAuth],
        R::UsernameTaken => &[Shape::Merged, Shape::OAuth],
        _ => &[Shape::OAuth],
    }
}

fn page() -> String {
    let mut page = String::from(
        "# Errors\n\n\
         This page is printed by a test from the code (`VESTIBULE_UPDATE_DOCS=1 cargo test --test it errors`).\n\n\
         ## On the wire\n\n\
         One row per answer. The endpoint decides the shape: H is `{\"status_code\", \"<error>\", \"status\"}` \
         (forgot password), O is `{\"error\", \"error_description\"}` (authorize, token, userinfo, the identity \
         URL, echo), M is both at once (the init endpoints). Callers key on the HTTP status first, which is never \
         2xx, then on `status_code` or `error`. A description may be more exact than the row.\n\n",
    );
    page.push_str(&table_markdown());
    page.push_str(
        "\n## Why we refuse\n\n\
         What we know of a refusal (its name is in the log, never on the wire) and what the caller is told.\n\n\
         | Reason | `status_code` | `error` | Description | HTTP |\n|---|---|---|---|---|\n",
    );
    for refusal in all() {
        let answer = refusal.wire(shapes(&refusal)[0]);
        let row = answer.error.row();
        let description = answer.description.as_deref().unwrap_or(row.description);
        page.push_str(&format!(
            "| `{}` | `{}` | `{}` | {description} | {} |\n",
            refusal.name(),
            row.status_code,
            row.name,
            answer.http_status(),
        ));
    }
    page.push_str(
        "\nWhat is not a refusal is a fault of ours: `unknown_error` (M, H) or `server_error` (O) with 500, or \
         `temporarily_unavailable` with 503 and `Retry-After` when it may pass. The log has one line for it, \
         with the value of the answer's `X-Request-Id`.\n",
    );
    page
}

#[test]
fn the_page_on_errors_is_what_the_code_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/errors.md");
    let page = page();
    if std::env::var_os("VESTIBULE_UPDATE_DOCS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &page).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == page,
        "docs/reference/errors.md is old: run this test with VESTIBULE_UPDATE_DOCS=1"
    );
}

#[test]
fn every_reason_is_listed_once_and_in_order() {
    let names: Vec<String> = all().iter().map(Refusal::name).collect();
    let mut sorted = names.clone();
    sorted.sort();
    sorted.dedup();
    assert_eq!(names, sorted);
}

#[test]
fn every_reason_has_a_row_that_allows_the_shapes_of_its_endpoints() {
    for refusal in all() {
        for shape in shapes(&refusal) {
            let row = refusal.wire(*shape).error.row();
            assert!(
                row.shapes.contains(shape),
                "{} in {shape:?}",
                refusal.name()
            );
        }
    }
}

#[test]
fn an_answer_holds_no_more_than_its_reason_was_given() {
    // The rule that was broken is for trusted eyes; the wire has one text for all of them.
    let refusal = Refusal::PasswordPolicy {
        reason: "private detail".to_owned(),
    };
    assert!(!format!("{:?}", refusal.wire(Shape::Merged)).contains("private detail"));
}
