//! The error table, row by row and shape by shape.

use std::collections::HashSet;

use serde_json::json;

use super::*;

fn json_of(answer: &ErrorAnswer, shape: Shape) -> Value {
    serde_json::from_str(&answer.render(shape, Format::Json)).unwrap()
}

#[test]
fn every_error_has_exactly_one_row_in_alphabetical_order() {
    let names: Vec<String> = TABLE.iter().map(|row| format!("{:?}", row.error)).collect();
    let mut sorted = names.clone();
    sorted.sort();
    assert_eq!(names, sorted);
    for row in &TABLE {
        assert_eq!(row.error.row().error, row.error);
    }
}

#[test]
fn no_row_would_overwrite_a_member_of_its_own_answer() {
    let reserved = ["error", "error_description", "status", "status_code"];
    for row in &TABLE {
        assert!(!reserved.contains(&row.member), "{:?}", row.error);
    }
}

#[test]
fn the_words_of_every_row_are_within_rfc_6749_5_2() {
    for row in &TABLE {
        let answer = ErrorAnswer::new(row.error);
        assert_eq!(answer.public_description(), row.description);
        for word in [row.name, row.status_code] {
            let plain = |b: u8| b.is_ascii_lowercase() || b == b'_';
            assert!(word.bytes().all(plain), "{word}");
        }
    }
}

#[test]
fn statuses_are_never_success_and_401_always_names_a_scheme() {
    for row in &TABLE {
        assert!(
            matches!(
                row.http_status,
                400 | 401 | 403 | 404 | 405 | 413 | 415 | 429 | 500 | 503
            ),
            "{:?}",
            row.error
        );
        let answer = ErrorAnswer::new(row.error);
        assert_eq!(answer.www_authenticate().is_some(), row.challenge.is_some());
        if row.http_status == 401 {
            assert!(row.challenge.is_some(), "{:?}", row.error);
        }
    }
}

#[test]
fn only_errors_of_rfc_6749_4_1_2_1_are_sent_in_a_redirect() {
    let known = [
        "access_denied",
        "invalid_request",
        "invalid_scope",
        "server_error",
        "temporarily_unavailable",
        "unauthorized_client",
        "unsupported_response_type",
    ];
    for row in TABLE.iter().filter(|row| row.may_redirect) {
        assert!(known.contains(&row.name), "{:?}", row.error);
    }
    for never in [WireError::ClientIdUnknown, WireError::RedirectUriMismatch] {
        assert!(!never.row().may_redirect);
    }
}

#[test]
fn the_documented_codes_of_forgot_password_all_stand_in_the_table() {
    let documented = [
        ("authentication_req", "invalid_request"),
        ("headless_forgot_password_disabled", "invalid_experience"),
        ("https_required", "invalid_request"),
        ("invalid_authorization", "invalid_request"),
        ("invalid_domain", "invalid_request"),
        ("invalid_otp", "otp_error"),
        ("invalid_params", "invalid_request"),
        ("invalid_recaptcha", "invalid_request"),
        ("invalid_template", "invalid_param"),
        ("missing_auth_params", "invalid_request"),
        ("not_allowed_template", "invalid_param"),
        ("otp_generation_failed", "otp_error"),
        ("password_policy_check_failure", "password error"),
        ("post_required", "invalid_request"),
        ("recaptcha_req", "invalid_request"),
        ("regenerate_otp", "otp_error"),
        ("unknown_error", "unknown_error"),
        ("user_account_locked", "invalid_user"),
    ];
    for (code, member) in documented {
        let is_documented = |row: &&ErrorRow| {
            row.status_code == code && row.member == member && row.shapes.contains(&Shape::Headless)
        };
        assert!(TABLE.iter().any(|row| is_documented(&row)), "{code}");
    }
}

#[test]
fn the_headless_shape_is_keyed_by_the_error_name() {
    assert_eq!(
        ErrorAnswer::new(WireError::InvalidOtp).render(Shape::Headless, Format::Json),
        r#"{"status_code":"invalid_otp","otp_error":"invalid OTP","status":"failed"}"#
    );
}

#[test]
fn the_merged_shape_contains_both_others() {
    let answer = ErrorAnswer::new(WireError::RecaptchaRequired);
    assert_eq!(
        json_of(&answer, Shape::Merged),
        json!({
            "status": "failed",
            "status_code": "recaptcha_req",
            "invalid_request": "include a reCAPTCHA parameter",
            "error": "invalid_request",
            "error_description": "include a reCAPTCHA parameter",
        })
    );
}

#[test]
fn the_password_policy_row_has_a_name_with_a_space_and_an_alias() {
    let answer = ErrorAnswer::new(WireError::PasswordPolicyCheckFailure);
    assert_eq!(
        json_of(&answer, Shape::Headless),
        json!({
            "status_code": "password_policy_check_failure",
            "password error": "password does not follow policy",
            "password_error": "password does not follow policy",
            "status": "failed",
        })
    );
    assert_eq!(json_of(&answer, Shape::Merged)["error"], "invalid_request");
}

#[test]
fn a_detail_is_beside_the_documented_members_and_never_in_them() {
    let policy = ErrorAnswer::new(WireError::PasswordPolicyCheckFailure)
        .with_detail("at least 8 \"characters\"".to_owned());
    assert_eq!(
        policy.public_detail().as_deref(),
        Some("at least 8 'characters'")
    );
    let documented = "password does not follow policy";
    let headless = json_of(&policy, Shape::Headless);
    assert_eq!(headless["password error"], documented);
    assert!(!headless.to_string().contains("at least"));
    let merged = json_of(&policy, Shape::Merged);
    assert_eq!(merged["password error"], documented);
    assert_eq!(
        merged["error_description"],
        "password does not follow policy: at least 8 'characters'"
    );
    // The OAuth shape has a documented text for each error but `invalid_request`.
    for (error, expected) in [
        (WireError::AuthenticationFailure, "authentication failure"),
        (WireError::InvalidRequest, "the detail"),
    ] {
        let answer = ErrorAnswer::new(error).with_detail("the detail".to_owned());
        assert_eq!(
            json_of(&answer, Shape::OAuth)["error_description"],
            expected
        );
    }
}

#[test]
fn a_handler_failure_carries_apex_error() {
    let answer = ErrorAnswer::new(WireError::RegistrationError)
        .with_apex_error("MyException: exception message".to_owned());
    assert_eq!(
        answer.render(Shape::OAuth, Format::Json),
        "{\"error\":\"registration_error\",\
         \"error_description\":\"user was unable to be created in apex\",\
         \"apex_error\":\"MyException: exception message\"}"
    );
}

// REG-08: the offending member is named, apart from the text.
#[test]
fn an_offending_field_is_named_in_the_merged_shape_only() {
    let answer = ErrorAnswer::new(WireError::InvalidParameters).with_field("email".to_owned());
    assert_eq!(json_of(&answer, Shape::Merged)["invalid_field"], "email");
    let headless = json_of(&answer, Shape::Headless);
    assert!(headless.get("invalid_field").is_none());
}

#[test]
fn the_answer_of_the_recaptcha_verifier_is_handed_on_in_the_headless_shapes() {
    let response = json!({"success": false, "error-codes": ["timeout-or-duplicate"]});
    let answer =
        ErrorAnswer::new(WireError::RecaptchaInvalid).with_recaptcha_response(response.clone());
    assert_eq!(
        json_of(&answer, Shape::Headless)["recaptcha_response"],
        response
    );
    let everywhere =
        ErrorAnswer::new(WireError::RateLimitExceeded).with_recaptcha_response(response);
    assert!(
        json_of(&everywhere, Shape::OAuth)
            .get("recaptcha_response")
            .is_none()
    );
}

#[test]
#[cfg(debug_assertions)]
#[should_panic(expected = "denies the shape")]
fn an_answer_in_a_shape_that_its_row_denies_is_a_defect() {
    json_of(&ErrorAnswer::new(WireError::CodeInvalid), Shape::Merged);
}

#[test]
fn a_description_cannot_break_out_of_a_header() {
    let answer = ErrorAnswer::new(WireError::InsufficientScope)
        .with_description("a\"b\\c\r\nSet-Cookie: é".to_owned());
    assert_eq!(
        answer.www_authenticate().unwrap(),
        "Bearer realm=\"Vestibule\", error=\"insufficient_scope\", \
         error_description=\"a'b/c  Set-Cookie: ?\""
    );
}

#[test]
fn a_caller_without_a_token_gets_no_reason() {
    let answer = ErrorAnswer::new(WireError::AuthenticationRequired);
    assert_eq!(
        answer.www_authenticate().unwrap(),
        "Bearer realm=\"Vestibule\""
    );
}

#[test]
fn errors_follow_the_format_of_the_request() {
    let answer = ErrorAnswer::new(WireError::ClientNotApproved);
    assert_eq!(
        answer.render(Shape::OAuth, Format::UrlEncoded),
        "error=invalid_grant&error_description=user+hasn%27t+approved+this+consumer"
    );
    assert_eq!(
        answer.render(Shape::OAuth, Format::Xml),
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><OAuth><error>invalid_grant</error>\
         <error_description>user hasn&apos;t approved this consumer</error_description></OAuth>"
    );
}

#[test]
fn the_page_has_a_line_for_every_row() {
    let page = table_markdown();
    assert_eq!(page.lines().count(), TABLE.len() + 2);
    let columns: HashSet<usize> = page.lines().map(|l| l.matches('|').count()).collect();
    assert_eq!(columns, HashSet::from([9]));
}
