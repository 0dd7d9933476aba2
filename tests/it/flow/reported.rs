//! Input that people and clients were reported to send, and the answers that audits missed, one test for each report.

use serde_json::{Value, json};

use crate::fixture::{Answer, Call, PASSWORD, on_both_databases, on_sqlite, registration};

const FORGOT: &str = "/services/auth/headless/forgot_password";
const JANICE: &str = "janice@example.com";

/// A registration by text message, with the number as `customdata.mobilePhone`.
fn by_text(username: &str, number: &str) -> Value {
    let mut body = registration(username);
    body["verificationmethod"] = json!("sms");
    body["customdata"] = json!({"mobilePhone": number});
    body
}

#[track_caller]
fn assert_detail(answer: &Answer, member: &str, detail: &str) {
    assert_eq!(answer.status, 400, "{}", answer.body);
    assert_eq!(answer.json()["status_code"], "invalid_params", "{member}");
    assert_eq!(
        answer.json()["invalid_request"],
        "invalid parameters",
        "{member}"
    );
    let shown = answer.header("error-detail").unwrap_or_default();
    assert_eq!(shown, format!("{member} {detail}"));
}

on_sqlite! {
    async fn the_zero_of_the_national_form_is_no_part_of_a_number(site: Site) {
        for (number, dialled) in [
            ("+49015143518319", "+4915143518319"),
            ("+49 0151 43518319", "+4915143518319"),
            ("+6104 1234 5678", "+61412345678"),
            ("+44 07911 123456", "+447911123456"),
            ("+49\u{a0}151\u{2011}43518319", "+4915143518319"),
            ("\u{202a}+49 151/43518319\u{202c}\n", "+4915143518319"),
            ("+٤٩١٥١٤٣٥١٨٣١٩", "+4915143518319"),
        ] {
            site.init(&by_text(&format!("u{dialled}@example.com"), number)).await.expect_ok();
            assert!(!site.code_to(dialled).await.is_empty(), "{number}");
        }
        // One number is one number for the budget, however it is written.
        let end = site.init(&by_text("last@example.com", "0049 151 43518319")).await.expect_status(429);
        assert_eq!(end.json()["rate_limit_exceeded"], "too many one-time passwords requested");
    }
}

on_sqlite! {
    async fn a_refusal_names_the_member_that_was_sent(site: Site) {
        for (number, detail) in [
            ("", "empty"),
            (" \n", "empty"),
            ("12345", "the phone number must begin with + and the country code"),
            ("+999123456789", "the phone number begins with a country code that no country has"),
        ] {
            let answer = site.init(&by_text(JANICE, number)).await;
            assert_detail(&answer, "customdata.mobilePhone", detail);
        }
        for (member, meant) in [("FirstName", "firstName"), ("EMAIL", "email"), ("mobilephone", "mobilePhone")] {
            let mut body = registration(JANICE);
            body["userdata"][member] = json!("x");
            let answer = site.init(&body).await;
            assert_detail(&answer, &format!("userdata.{member}"), &format!("this name is written {meant}"));
        }
        let body = json!({"username": JANICE, "otp": 123_456, "newpassword": PASSWORD});
        let answer = site.send(Call::post(FORGOT).on_public().json(&body)).await.expect_status(400);
        assert_eq!(answer.json(), json!({
            "status_code": "invalid_params", "invalid_request": "invalid parameters", "status": "failed"}));
        assert_eq!(answer.header("error-detail"), Some("otp not a string"));
    }
}

on_sqlite! {
    async fn a_locale_has_one_form_and_anything_else_is_refused(site: Site) {
        for (number, (sent, locale)) in [("de-DE", "de_DE"), ("EN_us", "en_US"), (" fr ", "fr")].into_iter().enumerate() {
            let name = format!("u{number}@example.com");
            let mut body = registration(&name);
            body["userdata"]["languageLocaleKey"] = json!(sent);
            let identifier = site.init(&body).await.expect_ok().json()["identifier"].as_str().unwrap().to_owned();
            let code = site.code_to(&name).await;
            site.send(site.authorize_call(&identifier, &code)).await.expect_status(302);
            assert_eq!(site.user(&name).await.unwrap().locale, locale);
        }
        for member in ["languageLocaleKey", "locale", "language"] {
            for text in ["<script>", "../..", "German"] {
                let mut body = registration(JANICE);
                body["userdata"][member] = json!(text);
                let answer = site.init(&body).await;
                assert_detail(&answer, &format!("userdata.{member}"), "is not a locale such as en_US");
            }
        }
    }
}

on_sqlite! {
    async fn what_cannot_be_seen_is_dropped_at_the_ends_and_refused_in_a_name(site: Site) {
        let mut body = registration(JANICE);
        body["userdata"]["username"] = json!("\u{200b} janice@example.com\n");
        body["userdata"]["email"] = json!("janice@example.com\u{a0}");
        body["userdata"]["firstName"] = json!("  Janice\u{200b}");
        let identifier = site.init(&body).await.expect_ok().json()["identifier"].as_str().unwrap().to_owned();
        let code = site.code_to(JANICE).await;
        site.send(site.authorize_call(&identifier, &code)).await.expect_status(302);
        let user = site.user(JANICE).await.unwrap();
        assert_eq!((user.username.as_str(), user.first_name.as_deref()), (JANICE, Some("Janice")));
        body["userdata"]["username"] = json!("other@example.com");
        body["userdata"]["lastName"] = json!("Ed\u{202e}wards");
        assert_detail(&site.init(&body).await, "userdata.lastName", "invisible character");
    }
}

on_both_databases! {
    async fn a_user_with_a_verified_number_only_resets_the_password_by_text_message(site: Site) {
        let number = "+491511234567";
        let answer = site.init(&by_text(JANICE, number)).await.expect_ok().json();
        let code = site.code_to(number).await;
        let call = site.authorize_call(answer["identifier"].as_str().unwrap(), &code);
        site.send(call.without_header("auth-verification-type").header("auth-verification-type", "sms"))
            .await.expect_status(302);
        let ask = json!({"username": JANICE, "recaptcha": "test-pass"});
        let asked = site.send(Call::post(FORGOT).on_public().json(&ask)).await.expect_ok();
        assert_eq!(asked.json(), json!({"status": "success", "status_code": "otp_sent"}));
        let code = site.code_to(number).await;
        let choose = json!({"username": JANICE, "otp": code, "newpassword": "Another-Pa55word"});
        site.send(Call::post(FORGOT).on_public().json(&choose)).await.expect_ok();
        site.send(site.password_call(JANICE, "Another-Pa55word")).await.expect_status(302);
        site.deliver().await;
        site.inbox.clear();
    }
}

on_sqlite! {
    async fn a_profile_that_is_not_permitted_has_another_error_than_an_app_that_is_not_approved(site: Site) {
        site.register(JANICE).await;
        for (policy, error, description) in [
            (json!({"permittedProfiles": ["Integration"]}),
                "invalid_app_access", "user is not admin approved to access this app"),
            (json!({"permittedUsers": "AllSelfAuthorized"}), "invalid_grant", "user hasn't approved this consumer"),
        ] {
            site.update_client(&site.client.id, policy).await;
            let answer = site.send(site.password_call(JANICE, PASSWORD)).await.expect_status(400);
            assert_eq!(answer.json(), json!({"error": error, "error_description": description}));
        }
    }
}

on_sqlite! {
    async fn one_template_serves_every_flow_and_the_list_takes_the_metadata_form(site: Site) {
        site.register(JANICE).await;
        let template = "Experience Cloud: One-Time Password Email for Headless Registration Verification";
        site.update_settings_of("public", json!({
            "isEmailTemplateAllowlistingEnabled": true, "isForgotPwdEmailTemplateAllowlistingEnabled": true,
            "emailTmplsAllowlist": [{"emailTemplate": "vestibule$public/RegistrationOtp"}],
        })).await;
        let login = json!({"username": JANICE, "verificationmethod": "email", "recaptcha": "test-pass", "emailtemplate": template});
        let login = Call::post("/services/auth/headless/init/passwordless/login").on_public().json(&login);
        let forgot = json!({"username": JANICE, "recaptcha": "test-pass", "emailtemplate": template});
        let mut other = registration("other@example.com");
        other["recaptcha"] = json!("test-pass");
        other["emailtemplate"] = json!(template);
        let register = Call::post("/services/auth/headless/init/registration").on_public().json(&other);
        for call in [login, Call::post(FORGOT).on_public().json(&forgot), register] {
            site.send(call).await.expect_ok();
            site.deliver().await;
            assert_eq!(site.inbox.list(None)[0].template, "registration_otp");
            site.inbox.clear();
        }
    }
}

on_both_databases! {
    async fn a_token_of_an_integration_user_is_good_at_each_site_and_a_user_s_at_its_own(site: Site) {
        let tokens = site.register(JANICE).await;
        for jwt in [false, true] {
            let format = if jwt { "jwt" } else { "opaque" };
            site.update_client(&site.integration.id, json!({"accessTokenFormat": format})).await;
            let token = site.integration_token(None).await;
            let body = json!({"username": JANICE, "verificationmethod": "email", "recaptcha": "test-pass"});
            let call = Call::post("/services/auth/headless/init/passwordless/login").on_public().bearer(&token);
            let answer = site.send(call.json(&body)).await.expect_ok();
            assert_eq!(answer.json()["email"], JANICE, "a trusted caller learns the address");
            site.deliver().await;
            site.inbox.clear();
        }
        let users = tokens["access_token"].as_str().unwrap();
        let userinfo = || Call::get("/services/oauth2/userinfo");
        site.send(userinfo().bearer(users)).await.expect_ok();
        site.send(userinfo().on_public().bearer(users)).await.expect_status(401);
    }
}

on_sqlite! {
    async fn a_resource_server_introspects_the_tokens_of_other_apps_if_its_policy_says_so(site: Site) {
        let tokens = site.register(JANICE).await;
        let token = tokens["access_token"].as_str().unwrap();
        let call = || Call::post("/services/oauth2/introspect").form("token", token)
            .form("client_id", &site.integration.id).form("client_secret", &site.integration.secret);
        assert_eq!(site.send(call()).await.expect_ok().json(), json!({"active": false}));
        site.update_client(&site.integration.id, json!({"isIntrospectAllTokens": true})).await;
        let answer = site.send(call()).await.expect_ok().json();
        assert_eq!((&answer["active"], &answer["username"]), (&json!(true), &json!(JANICE)));
        assert_eq!(answer["client_id"], site.client.id);
    }
}

on_sqlite! {
    async fn no_url_that_an_answer_names_is_unknown(site: Site) {
        let tokens = site.register(JANICE).await;
        let token = tokens["access_token"].as_str().unwrap();
        let info = site.send(Call::get("/services/oauth2/userinfo").bearer(token)).await.expect_ok().json();
        let path = |url: &Value| url.as_str().unwrap().splitn(4, '/').nth(3).map(|rest| format!("/{rest}")).unwrap();
        for photo in ["picture", "thumbnail"] {
            let call = Call::get("/").at(&path(&info["photos"][photo]));
            let answer = site.send(call).await.expect_ok();
            assert_eq!(answer.header("content-type"), Some("image/png"));
        }
        let urls: Vec<&Value> = info["urls"].as_object().unwrap().values().chain([&info["profile"]]).collect();
        for url in urls {
            let text = url.as_str().unwrap();
            if text == info["urls"]["custom_domain"] {
                continue;
            }
            let answer = site.send(Call::get("/").at(&path(url))).await.expect_status(403);
            assert_eq!(answer.json()[0]["errorCode"], "API_DISABLED_FOR_ORG", "{text}");
        }
    }
}

on_sqlite! {
    async fn a_user_without_a_first_name_has_an_empty_one_where_the_mobile_sdks_read_a_text(site: Site) {
        let mut body = registration(JANICE);
        body["userdata"].as_object_mut().unwrap().remove("firstName");
        let identifier = site.init(&body).await.expect_ok().json()["identifier"].as_str().unwrap().to_owned();
        let code = site.code_to(JANICE).await;
        let code = site.send(site.authorize_call(&identifier, &code)).await.expect_status(302).location_parameter("code");
        let tokens = site.send(site.token_call(&code)).await.expect_ok().json();
        let token = tokens["access_token"].as_str().unwrap();
        let id = tokens["id"].as_str().unwrap();
        let path = format!("/{}", id.splitn(4, '/').nth(3).unwrap());
        let identity = site.send(Call::get("/").at(&path).bearer(token)).await.expect_ok().json();
        assert_eq!(identity["first_name"], "");
        let info = site.send(Call::get("/services/oauth2/userinfo").bearer(token)).await.expect_ok().json();
        assert!(info.get("given_name").is_none());
    }
}

on_sqlite! {
    async fn the_private_app_may_refresh_and_a_registration_has_an_account(site: Site) {
        let tokens = site.register(JANICE).await;
        let refresh = tokens["refresh_token"].as_str().expect("the demo's private app has the scope");
        let call = Call::post("/services/oauth2/token").form("grant_type", "refresh_token").form("refresh_token", refresh)
            .form("client_id", &site.client.id).form("client_secret", &site.client.secret);
        site.send(call).await.expect_ok();
        assert!(site.user(JANICE).await.unwrap().account_id.is_some());
    }
}

on_sqlite! {
    async fn parameters_in_json_are_asked_for_as_a_form(site: Site) {
        let form = "send the parameters as a form: Content-Type: application/x-www-form-urlencoded";
        for (content_type, body) in [
            ("application/json", r#"{"grant_type":"client_credentials"}"#),
            ("multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"grant_type\"\r\n\r\nx\r\n--x--"),
        ] {
            let call = Call::post("/services/oauth2/token").header("content-type", content_type).body(body.as_bytes());
            let answer = site.send(call).await.expect_status(400).json();
            assert_eq!(answer, json!({"error": "invalid_request", "error_description": form}));
        }
    }
}

on_sqlite! {
    async fn a_body_that_is_no_json_is_reported_before_its_captcha_is_missed(site: Site) {
        let body = "{\u{201c}username\u{201d}: \u{201c}a@b.example\u{201d}, \u{201c}recaptcha\u{201d}: \u{201c}test-pass\u{201d}}";
        let answer = site.send(Call::post(FORGOT).on_public().body(body.as_bytes())).await.expect_status(400);
        assert_eq!(answer.json()["status_code"], "invalid_params");
        assert_eq!(answer.header("error-detail"), Some("not JSON"));
        // A body that is JSON lacks the captcha.
        let answer = site.send(Call::post(FORGOT).on_public().json(&json!({"username": "a@b.example"}))).await;
        assert_eq!(answer.expect_status(400).json()["status_code"], "recaptcha_req");
    }
}

on_sqlite! {
    async fn a_pair_for_pkce_is_generated_and_a_hint_beside_a_header_decides(site: Site) {
        let pair = site.send(Call::get("/services/oauth2/pkce/generator")).await.expect_ok().json();
        let digest = vestibule::sealing::sha256(pair["code_verifier"].as_str().unwrap().as_bytes());
        assert_eq!(pair["code_challenge"], vestibule_protocol::pkce::encode_challenge(&digest));
        site.register(JANICE).await;
        let hint = || site.password_call("left-half@example.com", PASSWORD).form("login_hint", JANICE);
        let refused = site.send(hint()).await.expect_status(400).json();
        assert_eq!(refused["error"], "invalid_grant", "without user discovery the username counts");
        site.update_settings(json!({
            "headlessDiscoveryHandler": "builtin", "headlessDiscoveryStrategies": ["verifiedEmail"],
            "isUserDisambiguationAllowedUsernamePwd": true,
        })).await;
        site.send(hint()).await.expect_status(302);
    }
}
