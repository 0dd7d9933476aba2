//! The points about existing users: login by password, and by code.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use http::HeaderMap;
use serde_json::{Value, json};

use super::{AUTHORIZE, ECHO, authorize_query, identifier};
use crate::fixture::{
    Answer, Call, Database, PASSWORD, Site, on_both_databases, on_sqlite, registration,
};

const LOGIN: &str = "/services/auth/headless/init/passwordless/login";
const JANICE: &str = "janice@example.com";

fn by_mail(username: &str) -> Value {
    json!({"verificationmethod": "email", "username": username, "recaptcha": "test-pass"})
}

async fn begin(site: &Site, body: &Value) -> Answer {
    site.send(Call::post(LOGIN).on_public().json(body)).await
}

/// Starts a login of Janice and reads the code: the request that presents it.
async fn begun(site: &Site) -> Call {
    let answer = begin(site, &by_mail(JANICE)).await;
    let code = site.code_to(JANICE).await;
    site.public_authorize_call("passwordless-login", &identifier(answer), &code)
}

on_both_databases! {
    async fn point_05_the_channel_is_named_at_both_steps_of_a_login(site: Site) {
        site.register(JANICE).await;
        let mut body = by_mail(JANICE);
        for wrong in [Value::Null, json!(""), json!("pigeon"), json!(["email"]), json!("EMAIL ")] {
            body["verificationmethod"] = wrong;
            let answer = begin(&site, &body).await.expect_status(400).json();
            let found = (&answer["status_code"], &answer["invalid_field"]);
            assert_eq!(found, (&json!("invalid_params"), &json!("verificationmethod")), "{body}");
        }
        let call = begun(&site).await;
        let bare = call.clone().without_header("auth-verification-type");
        for call in [bare.clone(), bare.clone().header("auth-verification-type", ""), bare.header("auth-verification-type", "sms")] {
            assert_eq!(site.send(call).await.expect_status(400).json()["error"], "invalid_request");
        }
        site.send(call).await.expect_status(302);
    }
}

on_sqlite! {
    async fn point_06_a_password_has_colons_and_letters_of_every_kind(site: Site) {
        // The published vector's password, and what a policy also requires.
        let password = "pa:ss?>~\u{ff}:Gr\u{fc}\u{df}e-1";
        let mut body = registration(JANICE);
        body["password"] = json!(password);
        let id = identifier(site.init(&body).await);
        let code = site.code_to(JANICE).await;
        site.send(site.authorize_call(&id, &code)).await.expect_status(302);
        for engine in [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD] {
            for (password, status) in [(password, 302), (&password[..password.len() - 1], 400), ("pa", 400)] {
                let header = format!("Basic {}", engine.encode(format!("{JANICE}:{password}")));
                let call = site.password_call("", "").without_header("authorization").header("authorization", &header);
                site.send(call).await.expect_status(status);
            }
        }
    }
}

on_sqlite! {
    async fn point_08_get_logs_in_by_headers_and_takes_no_password_from_the_url(site: Site) {
        site.register(JANICE).await;
        let query = authorize_query(&site);
        let get = |more: &str| {
            Call::get(&format!("{AUTHORIZE}?{query}{more}")).header("auth-request-type", "Named-User")
        };
        site.send(get("").basic(JANICE, PASSWORD)).await.expect_status(302);
        let in_query = format!("&username={JANICE}&password={PASSWORD}");
        for call in [
            get(&in_query), get(&in_query).basic(JANICE, PASSWORD), get(&format!("&password={PASSWORD}")),
            get("").body(format!("username={JANICE}&password={PASSWORD}").as_bytes()),
        ] {
            let answer = site.send(call).await.expect_status(400);
            assert_eq!(answer.json()["error"], "invalid_request", "{}", answer.body);
        }
        // An app that requires credentials in the body refuses every GET.
        site.update_client(&site.client.id, json!({"isCodeCredPostOnly": true})).await;
        site.send(get("").basic(JANICE, PASSWORD)).await.expect_status(400);
    }
}

/// What an unauthenticated caller can compare of an answer: all but the request's id and the opaque identifier.
fn seen(answer: &Answer) -> (u16, HeaderMap, String) {
    let mut headers = answer.headers.clone();
    headers.remove("x-request-id");
    let mut body = answer.json();
    if let Some(identifier) = body.get_mut("identifier") {
        *identifier = json!(identifier.as_str().expect("text").len());
    }
    (answer.status, headers, body.to_string())
}

on_both_databases! {
    async fn point_20_no_answer_discloses_whether_there_is_a_user(site: Site) {
        let states = [
            ("known", "locale = 'en_US'"), ("unverified", "email_verified_at = NULL"),
            ("locked", "locked_at = 1"), ("disabled", "disabled_at = 1"),
        ];
        for (name, change) in states {
            site.register(&format!("{name}@example.com")).await;
            site.execute(format!("UPDATE app_user SET {change} WHERE username_key = '{name}@example.com'")).await;
        }
        let names = ["known", "unverified", "locked", "disabled", "absent"];
        let mut answers: Vec<Vec<(u16, HeaderMap, String)>> = Vec::new();
        for name in names {
            // As long as the others, so that the length of an echoed name discloses nothing here.
            let username = format!("{name}@example.com");
            let begun = begin(&site, &by_mail(&username)).await;
            let id = identifier(begun.clone());
            let mut answered = vec![seen(&begun)];
            for _ in 0..6 {
                let call = site.public_authorize_call("passwordless-login", &id, "000000x");
                answered.push(seen(&site.send(call).await));
            }
            let path = "/services/auth/headless/forgot_password";
            let ask = json!({"username": username, "recaptcha": "test-pass"});
            answered.push(seen(&site.send(Call::post(path).on_public().json(&ask)).await));
            for _ in 0..6 {
                let choose = json!({"username": username, "otp": "000000x", "newpassword": "Another-Pa55word"});
                answered.push(seen(&site.send(Call::post(path).on_public().json(&choose)).await));
            }
            let password = site.password_call(&username, "Wr0ng-password");
            answered.push(seen(&site.send(password).await));
            // Each response echoes the sent name and nothing else of it.
            answered.iter_mut().for_each(|answer| answer.2 = answer.2.replace(name, "…"));
            for answer in &mut answered {
                answer.1.remove("content-length");
            }
            answers.push(answered);
        }
        for (answered, name) in answers.iter().zip(names) {
            assert_eq!(answered, &answers[0], "{name}");
        }
        site.deliver().await;
        let sent: Vec<String> = site.inbox.list(None).iter()
            .filter(|message| message.suppressed.is_none()).map(|message| message.to.clone()).collect();
        assert_eq!(sent, ["known@example.com", "known@example.com"], "and only one of them was sent anything");
        site.inbox.clear();
    }
}

on_both_databases! {
    async fn point_26_a_login_code_expires_belongs_to_its_request_and_is_used_once(site: Site) {
        site.register(JANICE).await;
        site.register("other@example.com").await;
        let foreign = identifier(begin(&site, &by_mail("other@example.com")).await);
        site.code_to("other@example.com").await;
        let call = begun(&site).await;
        let refused = json!({"error": "invalid_grant", "error_description": "authentication failure"});
        let exchanged = site.public_authorize_call("passwordless-login", &foreign, "000000x");
        assert_eq!(site.send(exchanged).await.expect_status(400).json(), refused);
        site.send(call.clone()).await.expect_status(302);
        assert_eq!(site.send(call).await.expect_status(400).json(), refused);
        let call = begun(&site).await;
        site.advance(std::time::Duration::from_secs(600));
        assert_eq!(site.send(call).await.expect_status(400).json(), refused);
    }
}

on_both_databases! {
    async fn point_27_an_app_that_is_not_pre_authorized(site: Site) {
        site.register(JANICE).await;
        let refused = json!({"error": "invalid_app_access", "error_description": "user is not admin approved to access this app"});
        let call = begun(&site).await;
        let pending = site.pending("new@example.com").await;
        let code = site.code_to("new@example.com").await;
        for client in [&site.client, &site.public_client] {
            site.update_client(&client.id, json!({"permittedProfiles": []})).await;
        }
        for call in [site.password_call(JANICE, PASSWORD), call, site.authorize_call(&pending, &code)] {
            assert_eq!(site.send(call).await.expect_status(400).json(), refused);
        }
        assert!(site.user("new@example.com").await.is_none());
        // A caller with a wrong password does not learn it.
        let wrong = site.send(site.password_call(JANICE, "Wr0ng-password")).await.expect_status(400);
        assert_eq!(wrong.json()["error_description"], "authentication failure");
    }
}

#[tokio::test]
async fn point_28_of_a_login_transport_host_and_method_come_before_the_switch() {
    let site = Site::open_with_tls_required().await;
    let off = json!({"isPwdlessLoginAllowed": false});
    site.update_settings_of("public", off.clone()).await;
    let call = Call::get(LOGIN).on_public().host("other.example.com");
    let answer = site.send(call).await.expect_status(403).json();
    assert_eq!(answer["status_code"], "https_required");

    let site = Site::open(Database::Sqlite).await;
    site.register(JANICE).await;
    let in_flight = begun(&site).await;
    site.update_settings_of("public", off).await;
    let post = || Call::post(LOGIN).on_public();
    for (call, status, status_code) in [
        (
            Call::get(LOGIN).on_public().host("other.example.com"),
            405,
            "post_required",
        ),
        (post().host("other.example.com"), 404, "invalid_domain"),
        (
            post().body(b"{"),
            400,
            "headless_passwordless_login_disabled",
        ),
        (
            post().bearer("unknown"),
            400,
            "headless_passwordless_login_disabled",
        ),
    ] {
        let answer = site.send(call).await.expect_status(status).json();
        assert_eq!(answer["status_code"], status_code);
    }
    // A code that was sent before the switch was turned off is refused, and not spent.
    let answer = site.send(in_flight.clone()).await.expect_status(400).json();
    let disabled = "enable the headless passwordless login flow";
    assert_eq!(
        (&answer["error"], &answer["error_description"]),
        (&json!("invalid_experience"), &json!(disabled))
    );
    let on = json!({"isPwdlessLoginAllowed": true});
    site.update_settings_of("public", on).await;
    site.send(in_flight).await.expect_status(302);
}

on_sqlite! {
    async fn point_10_pages_read_the_redirect_the_errors_and_the_echo(site: Site) {
        let page = "https://shop.example.com";
        site.register(JANICE).await;
        let settings = json!({"corsAllowedOrigins": [page], "enableOauthCorsPolicy": true});
        site.update_settings_of("public", settings).await;
        let body = by_mail(JANICE);
        let begun = site.send(Call::post(LOGIN).on_public().header("origin", page).json(&body)).await.expect_ok();
        let code = site.code_to(JANICE).await;
        let call = site.public_authorize_call("passwordless-login", &identifier(begun.clone()), &code).header("origin", page);
        let wrong = site.send(call.clone().with("client_id", Some("x"))).await.expect_status(400);
        let reset = "/services/auth/headless/forgot_password";
        let bare = |path: &str| Call::post(path).on_public().header("origin", page);
        let refused = [site.send(bare(LOGIN)).await.expect_status(400), site.send(bare(reset)).await.expect_status(400)];
        let ask = json!({"username": "unknown@example.com", "recaptcha": "test-pass"});
        let asked = site.send(bare(reset).json(&ask)).await.expect_ok();
        let redirect = site.send(call).await.expect_status(302);
        for answer in refused.iter().chain([&begun, &wrong, &asked, &redirect]) {
            assert_eq!(answer.header("access-control-allow-origin"), Some(page), "{}", answer.body);
            assert_eq!(answer.header("vary"), Some("Origin"));
            assert_eq!(answer.header("access-control-allow-credentials"), None);
        }
        // Whichever origin the browser sends after the redirect.
        for origin in [page, "null"] {
            let echo = Call::get(&format!("{ECHO}?code=aPrx")).on_public().header("origin", origin);
            assert_eq!(site.send(echo).await.expect_ok().header("access-control-allow-origin"), Some("*"));
        }
        // Another page can read none of it.
        for path in [LOGIN, reset, AUTHORIZE] {
            let answer = site.send(Call::post(path).on_public().header("origin", "https://evil.example")).await;
            assert_eq!(answer.header("access-control-allow-origin"), None);
        }
        site.deliver().await;
        site.inbox.clear();
    }
}
