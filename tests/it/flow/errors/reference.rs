//! The page `docs/reference/errors.md`: the table of what is answered, and which refusal
//! leads to which row. `VESTIBULE_UPDATE_DOCS=1` writes it again.

use std::path::Path;

use vestibule::refusal::{Reason, Refusal};
use vestibule_protocol::error::{Shape, TABLE, WireError, table_markdown};

/// The shapes of the endpoints that can return a reason.
fn shapes(refusal: &Refusal) -> &'static [Shape] {
    use Refusal as R;
    match refusal {
        R::BodyTooLarge
        | R::CodesExhausted { .. }
        | R::ContentEncodingUnsupported
        | R::DiscoveryFailed { .. }
        | R::FormMalformed { .. }
        | R::HttpsRequired
        | R::MethodNotAllowed { .. }
        | R::RateLimited { .. }
        | R::SiteUnknown
        | R::TooBusy => &[Shape::OAuth, Shape::Merged, Shape::Headless],
        R::ChallengeFailed { .. } => &[Shape::OAuth, Shape::Headless],
        R::ForgotPasswordDisabled => &[Shape::Headless, Shape::OAuth],
        R::TriesSpent => &[Shape::Headless],
        R::PasswordlessLoginDisabled | R::RegistrationDisabled => &[Shape::Merged, Shape::OAuth],
        R::UserLocked => &[Shape::Merged, Shape::Headless, Shape::OAuth],
        R::IntegrationTokenInvalid { .. } | R::IntegrationTokenMissing | R::ProofMissing => {
            &[Shape::Merged, Shape::Headless]
        }
        // At the authorization challenge endpoint these are requests that cannot be granted.
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
         2xx, then on `status_code` or `error`.\n\n\
         The members of an answer have the documented texts, always. What is wrong in the caller's own input (which \
         member, which rule of the password policy) is in the header `Error-Detail`, which pages may read, and in the \
         log. Shape M has it in its alias `error_description` too (`invalid parameters: userdata.email missing`), \
         shape O in the description of `invalid_request`, which no document fixes. A detail never discloses the state of \
         an account.\n\n",
    );
    page.push_str(&table_markdown());
    page.push_str(
        "\n## Why we refuse\n\n\
         What we know of a refusal (its name is in the log, never on the wire) and what the caller is told.\n\n\
         | Reason | `status_code` | `error` | Description | `Error-Detail` | HTTP |\n|---|---|---|---|---|---|\n",
    );
    for refusal in Refusal::samples() {
        let answer = refusal.wire(shapes(&refusal)[0]);
        let row = answer.error.row();
        let description = answer.description.as_deref().unwrap_or(row.description);
        let detail = answer.detail.as_deref().unwrap_or_default();
        page.push_str(&format!(
            "| `{}` | `{}` | `{}` | {description} | {detail} | {} |\n",
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

/// The page for the people who support the users of an app.
fn page_of_reasons() -> String {
    let mut page = String::from(
        "# Refused credentials\n\n\
         This page is printed by a test from the code (`VESTIBULE_UPDATE_DOCS=1 cargo test --test it errors`).\n\n\
         A caller learns little of a refused credential: a finer answer would help an attacker. The log has one line at \
         `info` for each, with the message `a credential was refused` and the fields `request` (the value of \
         `X-Request-Id` of the answer), `endpoint`, `site`, `client` (if the request names a client that exists), \
         `refusal` (its row is in [Errors](errors.md)) and `reason`. No line has a value of the request: no username, no \
         code, no token. Ask the customer for the `X-Request-Id`, find the line, and look up its reason here.\n\n\
         | `reason` | What it means | What to answer |\n|---|---|---|\n",
    );
    for reason in Reason::ALL {
        page.push_str(&format!(
            "| `{}` | {} | {} |\n",
            reason.as_str(),
            reason.meaning(),
            reason.advice()
        ));
    }
    page.push_str(
        "\nThe reason of a client assertion or attestation names the part that failed instead, for instance \
         `client assertion: Claim(\"aud\")`, or `used before`. A one-time password whose request is unknown, expired, closed or out of \
         attempts has one reason: the server does not look further, because the time of the answer would disclose it.\n",
    );
    page
}

/// Compares a page with the committed one, or writes it.
#[track_caller]
fn assert_page(name: &str, page: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("docs/reference")
        .join(name);
    if std::env::var_os("VESTIBULE_UPDATE_DOCS").is_some() {
        std::fs::write(&path, page).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == page,
        "docs/reference/{name} is old: run this test with VESTIBULE_UPDATE_DOCS=1"
    );
}

#[test]
fn the_page_on_errors_is_what_the_code_says() {
    assert_page("errors.md", &page());
}

#[test]
fn the_page_on_refused_credentials_is_what_the_code_says() {
    assert_page("refused-credentials.md", &page_of_reasons());
}

/// Faults have no refusal: what they are answered with in each error format.
const FAULTS: [WireError; 3] = [
    WireError::ServerError,
    WireError::TemporarilyUnavailable,
    WireError::UnknownError,
];

#[test]
fn every_row_of_the_table_is_the_answer_to_a_refusal_or_a_fault() {
    let mut answered = FAULTS.to_vec();
    for refusal in Refusal::samples() {
        for shape in shapes(&refusal) {
            answered.push(refusal.wire(*shape).error);
        }
    }
    for row in &TABLE {
        assert!(answered.contains(&row.error), "{:?}", row.error);
    }
}

#[test]
fn every_reason_has_a_row_that_allows_the_shapes_of_its_endpoints() {
    for refusal in Refusal::samples() {
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
