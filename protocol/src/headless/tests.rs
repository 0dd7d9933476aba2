//! Which bodies the headless endpoints accept and refuse: the documentation's sample, corrected, and then one
//! change at a time.

use super::*;

fn sample() -> Value {
    // The documentation's sample with corrected quotes and commas.
    json!({
        "userdata": {
            "firstName": "Janice",
            "lastName": "Edwards",
            "email": "janice.edwards@example.com",
            "username": "jedwards@myapp.com"
        },
        "customdata": {"mobilePhone": "+15551234567"},
        "password": "Sup3rSecret",
        "recaptcha": "03AGdBq2",
        "verificationmethod": "email",
        "emailtemplate": "unfiled$public/SalesNewCustomerEmail"
    })
}

/// The sample with the member at this path set; `null` removes it.
fn with(path: &str, value: Value) -> Value {
    let mut body = sample();
    match path.split_once('.') {
        Some((object, name)) => body[object][name] = value,
        None => body[path] = value,
    }
    body
}

fn parse(body: &Value) -> Result<InitRegistration, InvalidParams> {
    InitRegistration::parse(body.to_string().as_bytes())
}

fn refused(body: &Value) -> (String, &'static str) {
    let refusal = parse(body).unwrap_err();
    (refusal.field, refusal.reason)
}

#[test]
fn the_documented_sample_is_read() {
    let registration = parse(&sample()).unwrap();
    assert_eq!(registration.userdata.username, "jedwards@myapp.com");
    assert_eq!(registration.userdata.email, "janice.edwards@example.com");
    assert_eq!(registration.userdata.last_name, "Edwards");
    assert_eq!(registration.userdata.first_name.as_deref(), Some("Janice"));
    assert!(registration.userdata.extra.is_empty());
    assert_eq!(registration.password.expose(), "Sup3rSecret");
    assert_eq!(
        registration.verification_method,
        Some(VerificationMethod::Email)
    );
    assert_eq!(
        registration.email_template.as_deref(),
        Some("unfiled$public/SalesNewCustomerEmail")
    );
    let token = CaptchaProof::Token(Secret::from("03AGdBq2".to_owned()));
    assert_eq!(registration.captcha, Some(token));
    assert_eq!(
        registration.phone_number(),
        Some(("customdata.mobilePhone", "+15551234567"))
    );
    let shown = format!("{registration:?}");
    for hidden in ["Sup3rSecret", "15551234567", "03AGdBq2", "Edwards"] {
        assert!(!shown.contains(hidden), "{shown}");
    }
}

#[test]
fn nulls_and_empty_options_are_absent() {
    let mut body = sample();
    for name in [
        "customdata",
        "recaptcha",
        "recaptchaevent",
        "verificationmethod",
        "emailtemplate",
        "otp",
        "newpassword",
    ] {
        body[name] = Value::Null;
    }
    body["userdata"]["firstName"] = json!("");
    body["userdata"]["title"] = Value::Null;
    let registration = parse(&body).unwrap();
    assert_eq!(registration.verification_method, None);
    assert_eq!(registration.customdata, None);
    assert_eq!(registration.userdata.first_name, None);
    assert!(registration.userdata.extra.is_empty());
}

#[test]
fn a_required_member_that_is_not_a_text_is_named() {
    // REG-08.
    for field in [
        "userdata.username",
        "userdata.lastName",
        "userdata.email",
        "password",
    ] {
        for (value, reason) in [
            (Value::Null, "missing"),
            (json!(""), "missing"),
            (json!("  "), "empty"),
            (json!(7), "not a string"),
            (json!(true), "not a string"),
            (json!(["a"]), "not a string"),
            (json!({"a": 1}), "not a string"),
        ] {
            assert_eq!(
                refused(&with(field, value)),
                (field.to_owned(), reason),
                "{field}"
            );
        }
    }
    for value in [json!("{}"), json!([]), json!(1)] {
        let expected = ("userdata".to_owned(), "not an object");
        assert_eq!(refused(&with("userdata", value)), expected);
    }
    assert_eq!(
        refused(&with("userdata", Value::Null)),
        ("userdata".to_owned(), "missing")
    );
}

#[test]
fn a_body_that_is_no_object_is_refused() {
    for (body, reason) in [
        ("", "not JSON"),
        ("[]", "not an object"),
        ("\"text\"", "not an object"),
        ("username=a&password=b", "not JSON"),
        ("\u{FEFF}\u{FEFF}{}", "not JSON"),
    ] {
        let refusal = InitRegistration::parse(body.as_bytes()).unwrap_err();
        assert_eq!((refusal.field.as_str(), refusal.reason), ("", reason));
    }
}

#[test]
fn a_duplicate_username_is_refused() {
    // HTTP-05.
    let body = br#"{"userdata":{"username":"a@b.example","username":"c@d.example"}}"#;
    assert_eq!(
        InitRegistration::parse(body).unwrap_err().to_string(),
        "username: comes twice"
    );
}

#[test]
fn members_that_would_give_rights_are_dropped() {
    // REG-09.
    let mut body = sample();
    for name in [
        "profileId",
        "ProfileID",
        "isActive",
        "emailVerified",
        "email_verified",
        "role",
        "UserRoleId",
        "id",
        "__proto__",
        "constructor",
        "permission-sets",
        "password",
    ] {
        body["userdata"][name] = json!("00e000000000001");
    }
    body["userdata"]["favouriteColour"] = json!({"rgb": [1, 2, 3]});
    let registration = parse(&body).unwrap();
    assert_eq!(registration.password.expose(), "Sup3rSecret");
    let names: Vec<_> = registration.userdata.extra.keys().collect();
    assert_eq!(names, ["favouriteColour"]);
    assert!(NEVER_APPLIED.is_sorted());
}

#[test]
fn a_nested_password_alone_is_no_password() {
    let mut body = with("userdata.password", json!("Sup3rSecret"));
    body["password"] = Value::Null;
    assert_eq!(refused(&body), ("password".to_owned(), "missing"));
}

#[test]
fn a_verification_method_is_one_of_two_words() {
    // REG-15.
    let method = |value| parse(&with("verificationmethod", value));
    assert_eq!(
        method(json!("sms")).unwrap().verification_method,
        Some(VerificationMethod::Sms)
    );
    for value in ["SMS", "Sms"] {
        let read = method(json!(value)).unwrap().verification_method;
        assert_eq!(read, Some(VerificationMethod::Sms));
    }
    for value in ["", "email ", "fax"] {
        assert_eq!(method(json!(value)).unwrap_err().reason, "unknown");
    }
    assert_eq!(method(json!(1)).unwrap_err().reason, "not a string");
    assert_eq!(
        VerificationMethod::parse_any_case("Sms"),
        Some(VerificationMethod::Sms)
    );
    assert_eq!(VerificationMethod::parse_any_case("email, sms"), None);
}

#[test]
fn a_text_message_needs_a_number() {
    // REG-15.
    let mut body = with("verificationmethod", json!("sms"));
    for unusable in [Value::Null, json!({}), json!({"mobilePhone": 1555})] {
        body["customdata"] = unusable;
        assert_eq!(
            refused(&body),
            ("userdata.mobilePhone".to_owned(), "missing")
        );
    }
    for (empty, member) in [
        (json!({"phone": " "}), "customdata.phone"),
        (json!({"mobilePhone": ""}), "customdata.mobilePhone"),
    ] {
        body["customdata"] = empty;
        assert_eq!(refused(&body), (member.to_owned(), "empty"));
    }
}

#[test]
fn numbers_are_looked_for_in_order() {
    let mut body = sample();
    body["customdata"] = json!({"mobilePhone": "1", "phone": "4"});
    body["userdata"]["mobilePhone"] = json!("2");
    body["userdata"]["phone"] = json!("3");
    for (path, number) in [
        ("customdata.mobilePhone", "1"),
        ("userdata.mobilePhone", "2"),
        ("userdata.phone", "3"),
        ("customdata.phone", "4"),
    ] {
        assert_eq!(parse(&body).unwrap().phone_number(), Some((path, number)));
        let (object, member) = path.split_once('.').unwrap();
        body[object][member] = Value::Null;
    }
    body["customdata"] = json!("");
    assert_eq!(parse(&body).unwrap().phone_number(), None);
}

#[test]
fn custom_data_is_an_object_or_the_text_of_one() {
    let custom = |value| parse(&with("customdata", value));
    let expected = json!({"zip": "94105", "privacyPolicy": true});
    for value in [expected.clone(), json!(expected.to_string())] {
        let customdata = custom(value).unwrap().customdata.unwrap();
        assert_eq!(Value::Object(customdata), expected);
    }
    for value in [
        json!("text"),
        json!("[]"),
        json!(r#"{"a":1,"a":2}"#),
        json!([]),
        json!(5),
        json!({"a": "\0"}),
        json!("{\"a\":[{\"\\u0000\":1}]}"),
    ] {
        assert_eq!(
            custom(value.clone()).unwrap_err().field,
            "customdata",
            "{value}"
        );
    }
    assert!(custom(json!({"street": "1 Main St\nFlat 2"})).is_ok());
}

#[test]
fn control_characters_are_refused_in_every_field() {
    // USR-07.
    for field in [
        "userdata.username",
        "userdata.lastName",
        "userdata.firstName",
        "userdata.email",
        "userdata.mobilePhone",
        "userdata.locale",
        "password",
        "recaptcha",
        "emailtemplate",
    ] {
        for character in ['\0', '\n', '\t', '\r', '\u{7F}', '\u{85}', '\u{FFFF}'] {
            assert_eq!(
                refused(&with(field, json!(format!("a{character}b")))),
                (field.to_owned(), "control character")
            );
        }
    }
    assert_eq!(
        refused(&with("userdata.nick", json!("\0"))),
        ("userdata".to_owned(), "control character")
    );
    let lone_surrogate = sample().to_string().replace("Edwards", r"\ud800");
    assert_eq!(
        InitRegistration::parse(lone_surrogate.as_bytes())
            .unwrap_err()
            .reason,
        "not JSON"
    );
}

#[test]
fn lengths_count_code_points() {
    for (field, length_max) in [
        ("userdata.username", USERNAME_LENGTH_MAX),
        ("userdata.lastName", NAME_LENGTH_MAX),
        ("userdata.firstName", NAME_LENGTH_MAX),
        ("userdata.email", EMAIL_LENGTH_MAX),
    ] {
        assert!(parse(&with(field, json!("é".repeat(length_max)))).is_ok());
        assert_eq!(
            refused(&with(field, json!("é".repeat(length_max + 1)))),
            (field.to_owned(), "too long")
        );
    }
}

#[test]
fn a_documented_name_in_another_case_is_not_an_unknown_member() {
    assert_eq!(
        refused(&with("verificationMethod", json!("sms"))),
        (
            "verificationMethod".to_owned(),
            "this name is written in lower case"
        )
    );
    assert!(parse(&with("somethingElse", json!(1))).is_ok());
}

#[test]
fn an_enterprise_event_is_parsed_completely() {
    let mut body = sample();
    body["recaptcha"] = json!(null);
    body["recaptchaevent"] = json!({"token": "t", "siteKey": "s", "projectId": "p"});
    let Some(CaptchaProof::Event(event)) = parse(&body).unwrap().captcha else {
        panic!("an event")
    };
    assert_eq!((event.token.expose(), event.expected_action), ("t", None));
    body["recaptchaevent"] = json!({"token": "t", "siteKey": "s"});
    assert_eq!(refused(&body).0, "recaptchaevent.projectId");
}

#[test]
fn a_locale_is_found_under_any_of_its_names() {
    let mut body = with("userdata.locale", json!("de_AT"));
    assert_eq!(
        parse(&body).unwrap().userdata.locale.as_deref(),
        Some("de_AT")
    );
    body["userdata"]["languageLocaleKey"] = json!("de");
    let userdata = parse(&body).unwrap().userdata;
    assert_eq!(userdata.locale.as_deref(), Some("de"));
    assert_eq!(userdata.extra["locale"], "de_AT");
}

#[test]
fn request_types_have_no_case_and_are_four() {
    for (text, expected) in [
        ("Named-User", Some(AuthRequestType::NamedUser)),
        ("named-user", Some(AuthRequestType::NamedUser)),
        ("user-registration", Some(AuthRequestType::UserRegistration)),
        (
            "Passwordless-Login",
            Some(AuthRequestType::PasswordlessLogin),
        ),
        ("Guest", Some(AuthRequestType::Guest)),
        ("named_user", None),
        ("guest,guest", None),
        ("", None),
    ] {
        assert_eq!(AuthRequestType::parse_any_case(text), expected, "{text}");
    }
}

#[test]
fn the_answer_has_three_members() {
    let answer = InitAnswer {
        email: "janice.edwards@example.com".to_owned(),
        identifier: "0RX000000000001AAA".to_owned(),
    };
    assert_eq!(
        answer.to_json(),
        r#"{"status":"success","email":"janice.edwards@example.com","identifier":"0RX000000000001AAA"}"#
    );
}

#[test]
fn cap_13_two_captchas_in_one_request_are_refused() {
    let event = json!({"token": "t", "siteKey": "s", "projectId": "p"});
    assert_eq!(
        refused(&with("recaptchaevent", event)),
        (
            "recaptchaevent".to_owned(),
            "send either this or recaptcha, not both"
        )
    );
    // Members that are null or empty count as not sent.
    let mut body = with("recaptchaevent", json!(null));
    assert!(parse(&body).unwrap().captcha.is_some());
    body["recaptcha"] = json!("");
    assert_eq!(parse(&body).unwrap().captcha, None);
}
