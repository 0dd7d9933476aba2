//! The echo endpoint: refused methods, and states that are too long or have control characters.

use super::{Row, body_too_large, invalid_request, method_not_allowed};
use crate::fixture::Call;

const ECHO: &str = "/services/oauth2/echo";

pub fn echo_rows() -> Vec<(Call, Row)> {
    let long = format!("{ECHO}?state={}", "x".repeat(16 * 1024));
    vec![
        (
            Call::post(ECHO),
            method_not_allowed("GET", "allowed methods: GET"),
        ),
        (Call::get(&long), body_too_large()),
        (
            Call::get(&format!("{ECHO}?state=a%00")),
            invalid_request("control character", "control character in parameter: state"),
        ),
    ]
}
