//! The page `docs/reference/errors.md`: the table of what is answered, and which refusal
//! leads to which row. `VESTIBULE_UPDATE_DOCS=1` writes it again.

use std::path::Path;

use vestibule::refusal::Refusal;
use vestibule_protocol::error::{Shape, TABLE, WireError, table_markdown};

/// The shapes of the endpoints that can return a reason.
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
         2xx, then on `status_code` or `error`. A description may be more exact than the row.\n\n",
    );
    page.push_str(&table_markdown());
    page.push_str(
        "\n## Why we refuse\n\n\
         What we know of a refusal (its name is in the log, never on the wire) and what the caller is told.\n\n\
         | Reason | `status_code` | `error` | Description | HTTP |\n|---|---|---|---|---|\n",
    );
    for refusal in Refusal::samples() {
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
fn the_page_on_errors_equals_the_table() {
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

#[test]
fn an_answer_contains_no_more_than_its_reason() {
    // The rule that was broken is for trusted eyes; the wire has one text for all of them.
    let refusal = Refusal::PasswordPolicy {
        reason: "private detail".to_owned(),
    };
    assert!(!format!("{:?}", refusal.wire(Shape::Merged)).contains("private detail"));
}
