//! Fuzz targets: no input from an unauthenticated caller makes the parsers panic, and what they accept keeps its
//! invariants.
//!
//! Each target is an ordinary test, written with bolero. `cargo test` tries the committed corpus
//! (`fuzz/__fuzz__/<target>/corpus`, plain request texts) and then random inputs for half a second; `cargo xtask
//! fuzz` does so for minutes, as does `BOLERO_RANDOM_TEST_TIME_MS=600000 BOLERO_RANDOM_ITERATIONS=100000000 cargo
//! test --test fuzz`. An input that once failed belongs into the corpus. `fuzz/inputs.rs` generates the inputs.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};
use url::form_urlencoded;
use vestibule_protocol::authorization::{
    AuthorizationAnswer, AuthorizationRequest, ECHOED_BYTES_MAX, check_code_challenge,
    redirect_location,
};
use vestibule_protocol::basic::{BasicError, parse_bearer, parse_client, parse_user};
use vestibule_protocol::form::{FormError, PARAMETERS_MAX, Parameters};
use vestibule_protocol::headless::{
    CaptchaProof, EMAIL_LENGTH_MAX, ForgotPassword, ForgotPasswordPhase, HINT_LENGTH_MAX,
    InitPasswordlessLogin, InitRegistration, NAME_LENGTH_MAX, NEVER_APPLIED, USERNAME_LENGTH_MAX,
    VerificationMethod,
};
use vestibule_protocol::secret::Secret;
use vestibule_protocol::strict_json::{self, JsonError};
use vestibule_protocol::token::TokenRequest;

use inputs::{
    AUTHORIZATION, BASIC, BASIC_WORDS, FORM, FORM_WORDS, JSON_WORDS, LOGIN_WORDS, REGISTRATION,
    RESET, TOKEN, fuzz,
};

#[path = "fuzz/inputs.rs"]
mod inputs;

#[test]
fn a_form_is_parsed_completely_or_refused() {
    fuzz(
        "a_form_is_parsed_completely_or_refused",
        FORM,
        FORM_WORDS,
        |input| {
            let Ok(parameters) = Parameters::parse(None, input) else {
                return;
            };
            let pairs: Vec<(&str, &str)> = parameters.iter().collect();
            let names: BTreeSet<&str> = pairs.iter().map(|(name, _)| *name).collect();
            assert_eq!(names.len(), pairs.len(), "each name once");
            assert!(pairs.len() <= PARAMETERS_MAX);
            for (name, value) in &pairs {
                assert!(!name.is_empty() && !value.is_empty());
                assert_printable(name);
                assert_printable(value);
                assert!(!parameters.came_in_query(name));
                let form = print(&[(name, value), (name, &format!("{value}x"))]);
                let refusal = Parameters::parse(None, form.as_bytes()).unwrap_err();
                assert!(matches!(refusal, FormError::Duplicate(_)));
            }
            let form = print(&pairs);
            let again = Parameters::parse(Some(&form), form.as_bytes()).unwrap();
            assert!(pairs.iter().all(|(name, _)| again.came_in_query(name)));
            assert_eq!(again.iter().collect::<Vec<_>>(), pairs);
        },
    );
}

#[test]
fn the_body_of_a_login_or_a_reset_is_parsed_completely_or_refused() {
    fuzz(
        "the_body_of_a_login_or_a_reset_is_parsed_completely_or_refused",
        RESET,
        LOGIN_WORDS,
        |input| {
            check_strict_json(input);
            let is_named = |username: &Option<String>, login_hint: &Option<String>| {
                let named = username.as_ref().or(login_hint.as_ref());
                named.is_some_and(|text| {
                    assert_printable(text);
                    !text.is_empty() && text.chars().count() <= HINT_LENGTH_MAX
                })
            };
            if let Ok(login) = InitPasswordlessLogin::parse(input) {
                assert!(is_named(&login.user.username, &login.user.login_hint));
            }
            let is_second = ForgotPassword::is_second_phase(input);
            match ForgotPassword::parse(input) {
                Ok(reset) => {
                    assert!(is_named(&reset.user.username, &reset.user.login_hint));
                    let chooses = matches!(reset.phase, ForgotPasswordPhase::Choose { .. });
                    assert_eq!(chooses, is_second, "both ways to determine the phase agree");
                }
                Err(refusal) => {
                    assert!(refusal.field.len() <= 80, "a path, not a value");
                    assert!(refusal.field.is_ascii() && !refusal.reason.is_empty());
                }
            }
        },
    );
}

#[test]
fn a_registration_body_is_parsed_completely_or_refused() {
    fuzz(
        "a_registration_body_is_parsed_completely_or_refused",
        REGISTRATION,
        JSON_WORDS,
        |input| {
            check_strict_json(input);
            let registration = match InitRegistration::parse(input) {
                Ok(registration) => registration,
                Err(refusal) => {
                    assert!(refusal.field.len() <= 80, "a path, not a value");
                    assert!(refusal.field.is_ascii() && !refusal.reason.is_empty());
                    return;
                }
            };
            let userdata = &registration.userdata;
            for (text, length_max) in [
                (Some(&userdata.username), USERNAME_LENGTH_MAX),
                (Some(&userdata.last_name), NAME_LENGTH_MAX),
                (userdata.first_name.as_ref(), NAME_LENGTH_MAX),
                (Some(&userdata.email), EMAIL_LENGTH_MAX),
            ] {
                let Some(text) = text else { continue };
                assert!(!text.is_empty() && text.chars().count() <= length_max);
                assert_printable(text);
            }
            assert_printable(registration.password.expose());
            for name in userdata.extra.keys() {
                let folded = name.replace(['_', '-'], "").to_ascii_lowercase();
                assert!(!NEVER_APPLIED.contains(&folded.as_str()), "{name}");
            }
            if registration.verification_method == Some(VerificationMethod::Sms) {
                // Custom data may have line breaks; those of a number are dropped where it is read.
                let (_, number) = registration.phone_number().unwrap();
                assert_printable(&number.replace(['\t', '\n', '\r'], ""));
            }
            let body = print_registration(&registration);
            let again = InitRegistration::parse(body.as_bytes());
            assert!(again.is_ok());
            if !holds_fraction(&serde_json::from_str(&body).unwrap()) {
                assert_eq!(again, Ok(registration));
            }
        },
    );
}

#[test]
fn an_authorization_header_is_parsed_completely_or_refused() {
    fuzz(
        "an_authorization_header_is_parsed_completely_or_refused",
        BASIC,
        BASIC_WORDS,
        |input| {
            // The halves themselves, wrapped properly: random text is hardly ever Base64.
            if let Ok(credentials) = parse_user(&format!("basic {}", URL_SAFE.encode(input))) {
                let credentials = credentials.unwrap();
                let text = format!("{}:{}", credentials.left, credentials.right.expose());
                // What is not UTF-8 is ISO-8859-1: one byte per character.
                let sent = match std::str::from_utf8(input) {
                    Ok(sent) => sent.to_owned(),
                    Err(_) => input.iter().copied().map(char::from).collect(),
                };
                assert_eq!(text, sent);
            }
            let Ok(header) = std::str::from_utf8(input) else {
                return;
            };
            if let Some(token) = parse_bearer(header) {
                assert!(token.expose().bytes().all(|byte| byte.is_ascii_graphic()));
                assert!(header.ends_with(token.expose()));
            }
            if let Ok(Some(client)) = parse_client(header) {
                assert!(!client.left.is_empty());
                assert_printable(&client.left);
                assert_printable(client.right.expose());
            }
            let Ok(Some(user)) = parse_user(header) else {
                return;
            };
            assert!(!user.left.is_empty() && !user.left.contains(':') && !user.right.is_empty());
            assert_printable(&user.left);
            assert_printable(user.right.expose());
            let text = format!("{}:{}", user.left, user.right.expose());
            for engine in [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD] {
                let again = parse_user(&format!("BASIC  {}", engine.encode(&text)));
                assert_eq!(again, Ok(Some(user.clone())));
            }
            if header.ends_with('=') {
                let more = parse_user(&format!("{header}="));
                assert_eq!(more, Err(BasicError::NotBase64), "padding is whole");
            }
        },
    );
}

#[test]
fn an_authorization_request_is_parsed_as_sent() {
    fuzz(
        "an_authorization_request_is_parsed_as_sent",
        AUTHORIZATION,
        FORM_WORDS,
        |input| {
            let Ok(parameters) = Parameters::parse(None, input) else {
                return;
            };
            let sent = parameters.clone();
            let Ok(request) = AuthorizationRequest::parse(parameters) else {
                let is_long = |name| sent.get(name).is_some_and(|v| v.len() > ECHOED_BYTES_MAX);
                assert!(is_long("state") || is_long("nonce"));
                return;
            };
            assert!(!request.credentials_in_query);
            assert_eq!(request.client_id.as_deref(), sent.get("client_id"));
            assert_eq!(request.redirect_uri.as_deref(), sent.get("redirect_uri"));
            assert_eq!(
                request.password.as_ref().map(Secret::expose),
                sent.get("password")
            );
            if let Some(challenge) = &request.code_challenge
                && check_code_challenge(challenge).is_ok()
            {
                let digest = URL_SAFE_NO_PAD.decode(challenge).unwrap();
                assert_eq!((digest.len(), challenge.len()), (32, 43));
            }
            let location = redirect_location(
                "https://site.example.com/callback?x=1",
                &AuthorizationAnswer {
                    code: Secret::from("aPrxC1".to_owned()),
                    sfdc_community_url: "https://site.example.com".to_owned(),
                    sfdc_community_id: "0DB000000000001EAA".to_owned(),
                    state: request.state.clone(),
                },
            );
            assert!(location.bytes().all(|byte| byte.is_ascii_graphic()));
            let (_, query) = location.split_once('?').unwrap();
            let echoed = Parameters::parse(Some(query), b"").unwrap();
            assert_eq!(echoed.get("state"), request.state.as_deref());
            assert_eq!(echoed.get("code"), Some("aPrxC1"));
            let read = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "state");
            assert_eq!(read.map(|(_, value)| value.into_owned()), request.state);
        },
    );
}

#[test]
fn a_token_request_contains_the_sent_parameters() {
    fuzz(
        "a_token_request_contains_the_sent_parameters",
        TOKEN,
        FORM_WORDS,
        |input| {
            let Ok(parameters) = Parameters::parse(None, input) else {
                return;
            };
            let sent = parameters.clone();
            let request = TokenRequest::parse(parameters);
            for (name, secret) in [
                ("code", &request.code),
                ("code_verifier", &request.code_verifier),
                ("refresh_token", &request.refresh_token),
                ("client_secret", &request.client_secret),
                ("client_assertion", &request.client_assertion),
            ] {
                assert_eq!(secret.as_ref().map(Secret::expose), sent.get(name));
            }
            assert_eq!(request.client_id.as_deref(), sent.get("client_id"));
            assert_eq!(request.redirect_uri.as_deref(), sent.get("redirect_uri"));
            assert_eq!(request.grant_type.as_deref(), sent.get("grant_type"));
            assert!(!request.secret_came_in_query);
            // The same request with every parameter on the URL parses equally, except for that.
            let query = print(&sent.iter().collect::<Vec<_>>());
            let in_query = TokenRequest::parse(Parameters::parse(Some(&query), b"").unwrap());
            let has_secret = in_query.secret_came_in_query;
            assert!(has_secret || in_query.client_secret.is_none());
            assert_eq!(
                TokenRequest {
                    secret_came_in_query: false,
                    more: request.more.clone(),
                    ..in_query
                },
                request
            );
        },
    );
}

/// Where serde_json and `strict_json` disagree, `strict_json` has a reason.
fn check_strict_json(input: &[u8]) {
    // A byte order mark in front is ignored (RFC 8259 section 8.1); serde_json refuses it.
    let text = input.strip_prefix(b"\xef\xbb\xbf").unwrap_or(input);
    let lenient = serde_json::from_slice::<Value>(text);
    match strict_json::parse(input) {
        Ok(value) => {
            assert_eq!(lenient.ok().as_ref(), Some(&value));
            let again = strict_json::parse(value.to_string().as_bytes());
            assert!(again == Ok(value.clone()) || holds_fraction(&value));
        }
        Err(JsonError::NotJson) => assert!(lenient.is_err()),
        Err(JsonError::NotObject) => panic!("an object was not required"),
        Err(JsonError::DuplicateMember(_) | JsonError::TooDeep) => {}
    }
}

/// Whether a value contains a double, whose last digit serde_json may round when it reads it back.
fn holds_fraction(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_f64(),
        Value::Array(items) => items.iter().any(holds_fraction),
        Value::Object(members) => members.values().any(holds_fraction),
        _ => false,
    }
}

fn print(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish()
}

fn print_registration(registration: &InitRegistration) -> String {
    let userdata = &registration.userdata;
    let mut members: Map<String, Value> = userdata.extra.clone();
    members.insert("username".into(), json!(userdata.username));
    members.insert("email".into(), json!(userdata.email));
    members.insert("lastName".into(), json!(userdata.last_name));
    members.insert("firstName".into(), json!(userdata.first_name));
    if userdata.mobile_phone.is_some() {
        members.insert("mobilePhone".into(), json!(userdata.mobile_phone));
    } else {
        members.insert("phone".into(), json!(userdata.phone));
    }
    members.insert("languageLocaleKey".into(), json!(userdata.locale));
    let (token, event) = match &registration.captcha {
        None => (None, None),
        Some(CaptchaProof::Token(token)) => (Some(token.expose()), None),
        Some(CaptchaProof::Event(event)) => (None, Some(event)),
    };
    json!({
        "userdata": members,
        "password": registration.password.expose(),
        "verificationmethod": registration.verification_method.map(VerificationMethod::as_str),
        "customdata": registration.customdata,
        "emailtemplate": registration.email_template,
        "recaptcha": token,
        "recaptchaevent": event.map(|event| json!({
            "token": event.token.expose(),
            "siteKey": event.site_key,
            "projectId": event.project_id,
            "expectedAction": event.expected_action,
        })),
    })
    .to_string()
}

fn assert_printable(text: &str) {
    assert!(!text.chars().any(char::is_control), "{text:?}");
}
