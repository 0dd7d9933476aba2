//! The conformance points, by their numbers. Those of registration are here; the logins of
//! users who exist (`logins`), guests (`guests`), the password reset (`resets`), and codes and tokens (`tokens`)
//! have files of their own.

mod guests;
mod logins;
mod resets;
mod tokens;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::fixture::{
    Answer, BASE_URL, Call, Database, PASSWORD, PUBLIC_URL, Site, on_sqlite, registration,
};

const INIT: &str = "/services/auth/headless/init/registration";
const AUTHORIZE: &str = "/services/oauth2/authorize";
const TOKEN: &str = "/services/oauth2/token";
const ECHO: &str = "/services/oauth2/echo";

/// A registration as the app sends it, without the members under test.
fn without(username: &str, name: &str) -> Value {
    let mut body = registration(username);
    body.as_object_mut().expect("an object").remove(name);
    body
}

fn identifier(answer: Answer) -> String {
    answer.expect_ok().json()["identifier"]
        .as_str()
        .expect("an identifier")
        .to_owned()
}

on_sqlite! {
    async fn point_01_init_works_whatever_the_content_type(site: Site) {
        let token = site.integration_token(None).await;
        for (number, content_type) in [
            None, Some("application/json"), Some("application/json; charset=utf-8"), Some("text/plain"),
            Some("application/x-www-form-urlencoded"), Some("nonsense"),
        ].into_iter().enumerate() {
            let username = format!("u{number}@example.com");
            let mut call = Call::post(INIT).bearer(&token).json(&registration(&username));
            if let Some(content_type) = content_type {
                call = call.header("content-type", content_type);
            }
            let answer = site.send(call).await.expect_ok();
            assert_eq!(answer.header("content-type"), Some("application/json;charset=UTF-8"));
            let body = answer.json();
            let names: Vec<&String> = body.as_object().unwrap().keys().collect();
            assert_eq!(names, ["status", "email", "identifier"]);
            assert_eq!((&body["status"], &body["email"]), (&json!("success"), &json!(username)));
            let identifier = body["identifier"].as_str().unwrap();
            assert!(identifier.starts_with("0RX") && identifier.bytes().all(|byte| byte.is_ascii_alphanumeric()));
            site.code_to(&username).await;
        }
    }
}

on_sqlite! {
    async fn point_02_a_nested_password_alone_is_invalid_params(site: Site) {
        let mut body = without("janice@example.com", "password");
        body["userdata"]["password"] = json!(PASSWORD);
        let answer = site.init(&body).await.expect_status(400).json();
        assert_eq!((&answer["status_code"], &answer["invalid_field"]), (&json!("invalid_params"), &json!("password")));
        // Elsewhere than at the top level it is ignored and not stored.
        body["password"] = json!(PASSWORD);
        body["userdata"]["password"] = json!("Another-Pa55");
        let answer = site.init(&body).await;
        let code = site.code_to("janice@example.com").await;
        site.send(site.authorize_call(&identifier(answer), &code)).await.expect_status(302);
        let attributes = site.user("janice@example.com").await.unwrap().attributes;
        assert!(!Value::Object(attributes).to_string().contains("Another"));
    }
}

on_sqlite! {
    async fn point_03_and_04_the_channel_at_authorize_is_the_one_of_init(site: Site) {
        let with_phone = |username: &str, method: Option<&str>| {
            let mut body = without(username, "verificationmethod");
            body["customdata"] = json!({"mobilePhone": "+12035550100"});
            if let Some(method) = method {
                body["verificationmethod"] = json!(method);
            }
            body
        };
        // (init, header) → accepted.
        for (number, (method, header, works)) in [
            (None, None, true), (None, Some("email"), true), (None, Some("sms"), false),
            (Some("email"), Some("email"), true), (Some("email"), Some("EMAIL"), true), (Some("email"), None, false),
            (Some("email"), Some("sms"), false), (Some("sms"), Some("sms"), true), (Some("sms"), Some("email"), false),
            (Some("sms"), None, false), (Some("email"), Some("pigeon"), false), (None, Some(""), false),
        ].into_iter().enumerate() {
            let username = format!("u{number}@example.com");
            let mut body = with_phone(&username, method);
            let phone = format!("+1203555{:04}", 100 + number);
            body["customdata"]["mobilePhone"] = json!(phone);
            let identifier = identifier(site.init(&body).await);
            let recipient = if method == Some("sms") { &phone } else { &username };
            let code = site.code_to(recipient).await;
            let mut call = site.authorize_call(&identifier, &code).without_header("auth-verification-type");
            if let Some(header) = header {
                call = call.header("auth-verification-type", header);
            }
            let answer = site.send(call).await;
            assert_eq!(answer.status, if works { 302 } else { 400 }, "{method:?} {header:?}: {}", answer.body);
            if !works {
                assert_eq!(answer.json()["error"], "invalid_request");
                assert!(site.user(&username).await.is_none());
                continue;
            }
            let user = site.user(&username).await.unwrap();
            let is_sms = method == Some("sms");
            assert_eq!((user.phone_verified_at.is_some(), user.email_verified_at.is_some()), (is_sms, !is_sms));
        }
    }
}

on_sqlite! {
    async fn point_06_basic_in_both_alphabets_padded_or_not(site: Site) {
        let identifier = site.pending("janice@example.com").await;
        let code = site.code_to("janice@example.com").await;
        // A wrong code with the characters in which the alphabets differ is only a wrong code.
        let header = format!("Basic {}", URL_SAFE_NO_PAD.encode(format!("{identifier}:?>~?>~")));
        let call = site.authorize_call(&identifier, &code).without_header("authorization");
        let answer = site.send(call.header("authorization", &header)).await.expect_status(400);
        assert_eq!(answer.json()["error_description"], "authentication failure");
        let header = format!("Basic {}", URL_SAFE_NO_PAD.encode(format!("{identifier}:{code}")));
        let call = site.authorize_call(&identifier, &code).without_header("authorization");
        site.send(call.header("authorization", &header)).await.expect_status(302);
        // The vector: user `janice@example.com`, password `pa:ss?>~ÿ`, in the alphabets of both kinds of client.
        for vector in ["amFuaWNlQGV4YW1wbGUuY29tOnBhOnNzPz5+w78=", "amFuaWNlQGV4YW1wbGUuY29tOnBhOnNzPz5-w78"] {
            let call = site.authorize_call("x", "y").without_header("authorization");
            let answer = site.send(call.header("authorization", &format!("Basic {vector}"))).await.expect_status(400);
            assert_eq!(answer.json()["error"], "invalid_grant");
        }
    }
}

on_sqlite! {
    async fn point_07_raw_unencoded_bodies_as_the_mobile_sdks_send_them(site: Site) {
        let identifier = site.pending("janice@example.com").await;
        let code = site.code_to("janice@example.com").await;
        let body = format!(
            "response_type=code_credentials&client_id={}&redirect_uri={}&code_challenge={}",
            site.client.id, site.redirect_uri, "m9v0o6VZCkA61J5U-X1Tz5TKs3SgkIws3KAW_OnRzjg",
        );
        let call = Call::post(AUTHORIZE)
            .header("auth-request-type", "user-registration")
            .header("auth-verification-type", "email")
            .header("content-type", "application/x-www-form-urlencoded; charset=utf-8")
            .header("authorization", &format!("Basic {}", URL_SAFE_NO_PAD.encode(format!("{identifier}:{code}"))))
            .body(body.as_bytes());
        let code = site.send(call).await.expect_status(302).location_parameter("code");
        // Point 12: the hybrid grant name, a verifier of 171 characters, no secret where the policy makes it
        // optional.
        site.update_client(&site.client.id, json!({"isConsumerSecretOptional": true, "isPkceRequired": true})).await;
        let verifier = URL_SAFE_NO_PAD.encode((0..=0x7F).collect::<Vec<u8>>());
        let body = format!(
            "code={code}&grant_type=hybrid_auth_code&client_id={}&redirect_uri={}&code_verifier={verifier}",
            site.client.id, site.redirect_uri,
        );
        let tokens = site.send(Call::post(TOKEN).body(body.as_bytes())).await.expect_ok().json();
        assert!(tokens["access_token"].is_string());
    }
}

/// The parameters of an authorization call of the private client, as a query.
fn authorize_query(site: &Site) -> String {
    url::form_urlencoded::Serializer::new(String::new())
        .append_pair("response_type", "code_credentials")
        .append_pair("client_id", &site.client.id)
        .append_pair("redirect_uri", &site.redirect_uri)
        .finish()
}

on_sqlite! {
    async fn point_08_get_authorize_works_with_header_credentials_only(site: Site) {
        let identifier = site.pending("janice@example.com").await;
        let code = site.code_to("janice@example.com").await;
        let query = authorize_query(&site);
        let get = |more: &str| {
            Call::get(&format!("{AUTHORIZE}?{query}{more}"))
                .header("auth-request-type", "User-Registration")
                .header("auth-verification-type", "email")
                .basic(&identifier, &code)
        };
        for secret in ["&password=x", "&username=x", "&username=x&password=y"] {
            let answer = site.send(get(secret)).await.expect_status(400);
            assert_eq!(answer.json()["error"], "invalid_request", "{secret}");
        }
        let answer = site.send(get("&state=s")).await.expect_status(302);
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.location_parameter("state"), "s");
        // Parameters on the URL of a POST are equivalent.
        let identifier = site.pending("other@example.com").await;
        let code = site.code_to("other@example.com").await;
        let call = Call::post(&format!("{AUTHORIZE}?{query}"))
            .header("auth-request-type", "user-registration")
            .header("auth-verification-type", "email")
            .basic(&identifier, &code);
        site.send(call).await.expect_status(302);
    }
}

on_sqlite! {
    async fn point_09_the_redirect_has_exactly_the_documented_parameters(site: Site) {
        for (username, state) in [("a@example.com", None), ("b@example.com", Some("%41+&=#?<\"é"))] {
            let identifier = site.pending(username).await;
            let code = site.code_to(username).await;
            let call = site.authorize_call(&identifier, &code);
            let call = state.map_or(call.clone(), |state| call.form("state", state));
            let answer = site.send(call).await.expect_status(302);
            let mut expected = vec!["code", "sfdc_community_url", "sfdc_community_id"];
            expected.extend(state.map(|_| "state"));
            let names: Vec<String> = answer.location_parameters().into_iter().map(|(name, _)| name).collect();
            assert_eq!(names, expected);
            // sfdc_community_url contains the prefix without a trailing slash: a client appends to it.
            assert_eq!(answer.location_parameter("sfdc_community_url"), BASE_URL);
            let tokens = site.send(site.token_call(&answer.location_parameter("code"))).await.expect_ok().json();
            assert_eq!(tokens.get("state"), state.map(Value::from).as_ref());
        }
    }
}

on_sqlite! {
    async fn point_11_echo_turns_the_redirect_into_strings_of_json(site: Site) {
        let identifier = site.pending("janice@example.com").await;
        let code = site.code_to("janice@example.com").await;
        let answer = site.send(site.authorize_call(&identifier, &code).form("state", "<b>&\"é 1")).await.expect_status(302);
        let location = answer.header("location").unwrap().strip_prefix("https://site.example.com").unwrap().to_owned();
        // A client that follows the redirect sends its headers again; they are ignored here.
        let follow = Call::get("").at(&location).basic(&identifier, &code).header("auth-request-type", "user-registration");
        let echoed = site.send(follow.header("accept", "text/html")).await.expect_ok();
        assert_eq!(echoed.header("content-type"), Some("application/json;charset=UTF-8"));
        assert_eq!(echoed.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(echoed.header("cache-control"), Some("no-store"));
        assert_eq!(echoed.header("referrer-policy"), Some("no-referrer"));
        let body = echoed.json();
        assert_eq!(body["state"], "<b>&\"é 1");
        assert_eq!(body["sfdc_community_url"], BASE_URL);
        assert_eq!(body.as_object().unwrap().len(), 4);
        // Numbers remain text, nothing else is reflected, and nothing was redeemed.
        let call = Call::get(&format!("{ECHO}?code=1&state=true&x=%3Cscript%3E&sfdc_community_id=0"));
        let body = site.send(call).await.expect_ok().json();
        assert_eq!(body, json!({"code": "1", "sfdc_community_id": "0", "state": "true"}));
        assert_eq!(site.send(Call::get(ECHO)).await.expect_ok().json(), json!({}));
        site.send(site.token_call(&answer.location_parameter("code"))).await.expect_ok();
    }
}

on_sqlite! {
    async fn point_24_the_issuer_is_the_issuer_everywhere(site: Site) {
        let tokens = site.register("janice@example.com").await;
        let payload = tokens["id_token"].as_str().unwrap().split('.').nth(1).unwrap().to_owned();
        let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap();
        let call = Call::get("/services/oauth2/userinfo").bearer(tokens["access_token"].as_str().unwrap());
        let info = site.send(call).await.expect_ok().json();
        assert_eq!(claims["sub"], info["sub"]);
        assert_eq!(claims["sub"], tokens["id"]);
        // Appended (OpenID Connect), inserted (RFC 8414 section 3.1), and under the RFC's own name.
        let mut documents = Vec::new();
        for path in [
            "/backend/.well-known/openid-configuration", "/.well-known/openid-configuration/backend",
            "/backend/.well-known/oauth-authorization-server", "/.well-known/oauth-authorization-server/backend",
        ] {
            let answer = site.send(Call::get("").at(path)).await.expect_ok();
            let document = answer.json();
            assert_eq!(document["issuer"], claims["iss"], "{path}");
            assert_eq!(document["issuer"], BASE_URL);
            documents.push(answer.body);
        }
        documents.dedup();
        assert_eq!(documents.len(), 1, "one document");
        let at_the_root = site.send(Call::get("").at("/.well-known/openid-configuration")).await.expect_ok();
        assert_eq!(at_the_root.json()["issuer"], PUBLIC_URL, "the other site's");
    }
}

on_sqlite! {
    async fn point_26_an_expired_code_a_foreign_code_and_a_used_code(site: Site) {
        let first = site.pending("a@example.com").await;
        let first_code = site.code_to("a@example.com").await;
        let second = site.pending("b@example.com").await;
        let second_code = site.code_to("b@example.com").await;
        let refused = json!({"error": "invalid_grant", "error_description": "authentication failure"});
        if first_code != second_code {
            let answer = site.send(site.authorize_call(&first, &second_code)).await.expect_status(400);
            assert_eq!(answer.json(), refused);
        }
        site.send(site.authorize_call(&first, &first_code)).await.expect_status(302);
        assert_eq!(site.send(site.authorize_call(&first, &first_code)).await.expect_status(400).json(), refused);
        site.advance(std::time::Duration::from_secs(600));
        assert_eq!(site.send(site.authorize_call(&second, &second_code)).await.expect_status(400).json(), refused);
    }
}

#[tokio::test]
async fn point_28_transport_host_and_method_come_before_the_switch() {
    let site = Site::open_with_tls_required().await;
    site.update_settings(json!({"isHeadlessUserRegistrationAllowed": false}))
        .await;
    let answer = site.send(Call::get(INIT).host("other.example.com")).await;
    assert_eq!(
        answer.expect_status(403).json()["status_code"],
        "https_required"
    );

    let site = Site::open(Database::Sqlite).await;
    site.update_settings(json!({"isHeadlessUserRegistrationAllowed": false}))
        .await;
    let answer = site.send(Call::get(INIT).host("other.example.com")).await;
    assert_eq!(
        answer.expect_status(405).json()["status_code"],
        "post_required"
    );
    let answer = site.send(Call::post(INIT).host("other.example.com")).await;
    assert_eq!(
        answer.expect_status(404).json()["status_code"],
        "invalid_domain"
    );
    let answer = site
        .send(Call::post(INIT).body(b"{"))
        .await
        .expect_status(400);
    assert_eq!(
        answer.json()["status_code"],
        "headless_registration_disabled"
    );
}

on_sqlite! {
    async fn the_registration_of_the_postman_collection(site: Site) {
        let mut body = registration("janice@example.com");
        body["customdata"] = json!({
            "mobilePhone": "+12035550100", "streetAddress": "1 Main St\nApt 2", "city": "Paris", "state": "TX",
            "zip": "75460", "privacyPolicy": true,
        });
        for name in ["recaptcha", "recaptchaevent", "emailtemplate"] {
            body[name] = Value::Null;
        }
        let answer = site.init(&body).await;
        let code = site.code_to("janice@example.com").await;
        site.send(site.authorize_call(&identifier(answer), &code)).await.expect_status(302);
        let user = site.user("janice@example.com").await.unwrap();
        assert_eq!(user.attributes["privacyPolicy"], true);
        assert_eq!(user.attributes["city"], "Paris");
    }
}
