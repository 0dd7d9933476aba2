//! The exchange of the mobile SDKs in native login, byte by byte: requests as the classes of Android and iOS write
//! them, and responses parsed as strictly as they do.
//!
//! Both put username and password into a Basic header in the URL-safe alphabet without padding, join `name=value`
//! pairs without encoding, hash a verifier of 171 characters, follow the redirect to the echo endpoint with a GET
//! that keeps the request's headers, and call the identity URL right after every token response.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::fixture::{Answer, Call, PUBLIC_URL, Site, on_both_databases};

/// Base64url of the bytes 0 to 127: 171 characters, more than RFC 7636 allows.
fn verifier() -> String {
    URL_SAFE_NO_PAD.encode((0..128).collect::<Vec<u8>>())
}

/// Its SHA-256.
const CHALLENGE: &str = "m9v0o6VZCkA61J5U-X1Tz5TKs3SgkIws3KAW_OnRzjg";
const JANICE: &str = "janice@example.com";
/// Its base64 contains both characters in which the alphabets differ.
const PASSWORD: &str = "Pa55:w0rd?>~\u{ff}\u{fe}";
/// The header that OkHttp makes of the SDK's.
const ANDROID_FORM: &str = "application/x-www-form-urlencoded; charset=utf-8";
const ANDROID_JSON: &str = "application/json; charset=utf-8";
const IOS_FORM: &str = "application/x-www-form-urlencoded";
const IOS_JSON: &str = "application/json";

/// The redirect's JSON, of which iOS requires all three members.
#[derive(Deserialize)]
struct Echoed {
    code: String,
    sfdc_community_url: String,
    sfdc_community_id: String,
}

/// The token response: without one of these members the Android SDK fails.
#[derive(Clone, Deserialize)]
struct TokenAnswer {
    access_token: String,
    refresh_token: Option<String>,
    instance_url: String,
    id: String,
    scope: String,
    token_format: String,
}

/// The identity URL: the strict getters, which stop at the first missing member.
#[derive(Deserialize)]
#[expect(dead_code, reason = "the test verifies that the members are present")]
struct Identity {
    user_id: String,
    organization_id: String,
    username: String,
    nick_name: String,
    display_name: String,
    email: String,
    first_name: String,
    last_name: String,
    photos: Photos,
    urls: Urls,
    active: bool,
    user_type: String,
    language: String,
    locale: String,
    #[serde(rename = "utcOffset")]
    utc_offset: i64,
    asserted_user: bool,
    last_modified_date: String,
    is_app_installed: bool,
    email_verified: bool,
    mobile_phone_verified: bool,
    status: Value,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "the test verifies that the members are present")]
struct Photos {
    picture: String,
    thumbnail: String,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "the test verifies that the members are present")]
struct Urls {
    enterprise: String,
    metadata: String,
    partner: String,
    rest: String,
    sobjects: String,
    search: String,
    query: String,
    recent: String,
    profile: String,
    feeds: String,
    groups: String,
    users: String,
    feed_items: String,
    custom_domain: String,
}

/// A phone with the public app.
struct Phone<'s> {
    site: &'s Site,
    form: &'static str,
    json: &'static str,
}

/// An app as set up by the documentation of the SDKs: the echo endpoint as its callback, no secret.
async fn native_app(site: &Site) {
    let policies = json!({"scopes": "id api openid refresh_token"});
    site.update_client(&site.public_client.id, policies).await;
}

impl Phone<'_> {
    fn android(site: &Site) -> Phone<'_> {
        let (form, json) = (ANDROID_FORM, ANDROID_JSON);
        Phone { site, form, json }
    }

    fn ios(site: &Site) -> Phone<'_> {
        let (form, json) = (IOS_FORM, IOS_JSON);
        Phone { site, form, json }
    }

    /// A JSON request without `Authorization`; 2xx is required.
    async fn post_json(&self, path: &str, body: &str) -> String {
        let call = Call::printed(&format!(
            "POST {path} HTTP/1.1
             Host: site.example.com
             Content-Type: {}",
            self.json
        ));
        let answer = self.site.send(call.body(body.as_bytes())).await;
        assert!((200..300).contains(&answer.status), "{}", answer.body);
        answer.body
    }

    /// A form whose pairs are joined without encoding.
    async fn post_form(&self, path: &str, body: &str) -> Answer {
        let call = Call::printed(&format!(
            "POST {path} HTTP/1.1
             Host: site.example.com
             Content-Type: {}

             {body}",
            self.form
        ));
        self.site.send(call).await
    }

    /// The authorization request and the GET that follows its redirect.
    async fn authorize(&self, headers: &[(&str, &str)], left: &str, right: &str) -> Option<Echoed> {
        let site = self.site;
        let credentials = URL_SAFE_NO_PAD.encode(format!("{left}:{right}"));
        assert!(!credentials.contains(['+', '/', '=']));
        let mut call = Call::printed(&format!(
            "POST /services/oauth2/authorize HTTP/1.1
             Host: site.example.com
             Content-Type: {}
             Authorization: Basic {credentials}

             response_type=code_credentials&client_id={}&redirect_uri={PUBLIC_URL}/services/oauth2/echo&code_challenge={CHALLENGE}",
            self.form, site.public_client.id,
        ));
        for (name, value) in headers {
            call = call.header(name, value);
        }
        let answer = site.send(call).await;
        if answer.status != 302 {
            return None;
        }
        let location = answer.header("location").expect("a Location header");
        let path = location.strip_prefix(PUBLIC_URL).expect("the same origin");
        let mut follow = Call::get("").at(path);
        for (name, value) in headers {
            follow = follow.header(name, value);
        }
        let follow = follow.header("authorization", &format!("Basic {credentials}"));
        let echoed = site.send(follow).await.expect_ok();
        Some(serde_json::from_str(&echoed.body).expect("what both SDKs read"))
    }

    async fn log_in(&self, username: &str, password: &str) -> Option<Echoed> {
        let headers = [("Auth-Request-Type", "Named-User")];
        self.authorize(&headers, username, password).await
    }

    /// The token request, with the grant name of a hybrid app, and the identity URL.
    async fn redeem(&self, echoed: &Echoed, grant_type: &str) -> TokenAnswer {
        assert!(echoed.sfdc_community_id.starts_with("0DB"));
        assert_eq!(echoed.sfdc_community_url, PUBLIC_URL);
        let body = format!(
            "code={}&grant_type={grant_type}&client_id={}&redirect_uri={PUBLIC_URL}/services/oauth2/echo&code_verifier={}",
            echoed.code,
            self.site.public_client.id,
            verifier(),
        );
        let answer = self
            .post_form("/services/oauth2/token", &body)
            .await
            .expect_ok();
        let tokens: TokenAnswer = serde_json::from_str(&answer.body).expect("what Android reads");
        assert_eq!(
            (tokens.instance_url.as_str(), tokens.token_format.as_str()),
            (PUBLIC_URL, "opaque")
        );
        self.identify(&tokens).await;
        tokens
    }

    /// The identity URL, from which the ids of the user and the organization are parsed.
    async fn identify(&self, tokens: &TokenAnswer) -> Identity {
        let path = tokens.id.strip_prefix(PUBLIC_URL).expect("the same origin");
        let call = Call::get("").at(path).bearer(&tokens.access_token);
        let answer = self.site.send(call).await.expect_ok();
        let identity: Identity =
            serde_json::from_str(&answer.body).expect("every member of the getters");
        let mut parts = tokens.id.rsplit('/');
        assert_eq!(parts.next(), Some(identity.user_id.as_str()));
        assert_eq!(parts.next(), Some(identity.organization_id.as_str()));
        // Android parses yyyy-MM-dd'T'HH:mm:ss'Z'.
        let date = identity.last_modified_date.as_bytes();
        assert!(date.len() == 20 && date[10] == b'T' && date[19] == b'Z');
        identity
    }

    async fn refresh(&self, grant_type: &str, refresh_token: &str) -> Answer {
        let body = format!(
            "grant_type={grant_type}&client_id={}&refresh_token={refresh_token}&format=json",
            self.site.public_client.id,
        );
        self.post_form("/services/oauth2/token", &body).await
    }

    async fn revoke(&self, token: &str, reason: &str) {
        let body = format!("token={token}&revoke_reason={reason}");
        let answer = self
            .post_form("/services/oauth2/revoke", &body)
            .await
            .expect_ok();
        assert_eq!(answer.body, "");
    }

    async fn register(&self) -> Echoed {
        let body = format!(
            r#"{{"recaptcha":"test-pass","userdata":{{"email":"{JANICE}","username":"{JANICE}","firstName":"Janice","lastName":"Edwards\/Ng"}},"password":"{PASSWORD}","verificationmethod":"email"}}"#
        );
        let body = self
            .post_json("/services/auth/headless/init/registration", &body)
            .await;
        let begun: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(begun["email"], JANICE);
        let otp = self.site.code_to(JANICE).await;
        let headers = [
            ("Auth-Request-Type", "user-registration"),
            ("Auth-Verification-Type", "email"),
        ];
        let identifier = begun["identifier"].as_str().unwrap();
        self.authorize(&headers, identifier, &otp)
            .await
            .expect("the code is right")
    }
}

on_both_databases! {
    async fn android_registers_logs_in_refreshes_and_logs_out(site: Site) {
        native_app(&site).await;
        let phone = Phone::android(&site);
        let first = phone.redeem(&phone.register().await, "hybrid_auth_code").await;
        assert_eq!(first.scope.split(' ').count(), 4);
        assert_eq!(phone.identify(&first).await.last_name, "Edwards/Ng");

        let echoed = phone.log_in(JANICE, PASSWORD).await.expect("the password is right");
        let tokens = phone.redeem(&echoed, "hybrid_auth_code").await;
        let refresh_token = tokens.refresh_token.as_deref().expect("a refresh token");
        // The SDK never stores a successor, so nothing rotates unless the app's policy says so.
        let mut refreshed = tokens.clone();
        for _ in 0..3 {
            let answer = phone.refresh("hybrid_refresh", refresh_token).await.expect_ok();
            refreshed = serde_json::from_str(&answer.body).unwrap();
            assert_eq!(refreshed.refresh_token, None);
            phone.identify(&refreshed).await;
        }

        phone.revoke(refresh_token, "user_logout").await;
        let path = refreshed.id.strip_prefix(PUBLIC_URL).unwrap();
        let identity = Call::get("").at(path).bearer(&refreshed.access_token);
        site.send(identity).await.expect_status(401);
        // The SDK treats 400 as a logout.
        let ended = phone.refresh("hybrid_refresh", refresh_token).await.expect_status(400).json();
        assert!(ended["error"].is_string() && ended["error_description"].is_string());
        // The other login of the same user is not affected.
        phone.identify(&first).await;
    }
}

on_both_databases! {
    async fn ios_logs_in_without_a_password_and_refreshes_with_the_hybrid_grant(site: Site) {
        native_app(&site).await;
        let phone = Phone::ios(&site);
        phone.register().await;
        let body = format!(r#"{{"recaptcha":"test-pass","username":"{JANICE}","verificationmethod":"email"}}"#);
        let body = phone.post_json("/services/auth/headless/init/passwordless/login", &body).await;
        let begun: Value = serde_json::from_str(&body).unwrap();
        assert!(begun["status"].is_string() && begun["identifier"].is_string(), "{body}");
        let otp = site.code_to(JANICE).await;
        let headers = [("Auth-Request-Type", "passwordless-login"), ("Auth-Verification-Type", "email")];
        let identifier = begun["identifier"].as_str().unwrap();
        let echoed = phone.authorize(&headers, identifier, &otp).await.expect("the code is right");
        // With the hybrid flow switched off the grants have their standard names.
        let tokens = phone.redeem(&echoed, "authorization_code").await;
        let body = format!(
            "grant_type=refresh_token&client_id={}&redirect_uri={PUBLIC_URL}/services/oauth2/echo&device_id=4A5B&refresh_token={}&format=json",
            site.public_client.id, tokens.refresh_token.unwrap(),
        );
        let answer = phone.post_form("/services/oauth2/token?device_id=4A5B", &body).await.expect_ok();
        let refreshed: TokenAnswer = serde_json::from_str(&answer.body).unwrap();
        phone.identify(&refreshed).await;
    }
}

on_both_databases! {
    async fn a_phone_resets_a_password(site: Site) {
        native_app(&site).await;
        let phone = Phone::android(&site);
        phone.register().await;
        let path = "/services/auth/headless/forgot_password";
        phone.post_json(path, &format!(r#"{{"recaptcha":"test-pass","username":"{JANICE}"}}"#)).await;
        let otp = site.code_to(JANICE).await;
        let new_password = "N3w:pa55?>~\u{ff}\u{fe}";
        let body = format!(r#"{{"username":"{JANICE}","otp":"{otp}","newpassword":"{new_password}"}}"#);
        phone.post_json(path, &body).await;
        site.deliver().await;
        site.inbox.clear();
        assert!(phone.log_in(JANICE, PASSWORD).await.is_none(), "anything but 2xx is a wrong password to the SDK");
        let echoed = phone.log_in(JANICE, new_password).await.expect("the new password is right");
        phone.redeem(&echoed, "hybrid_auth_code").await;
    }
}

on_both_databases! {
    async fn the_enterprise_captcha_of_the_sdk_opens_each_of_the_three_flows(site: Site) {
        native_app(&site).await;
        site.update_settings_of("public", json!({
            "recaptchaSiteKey": "6Lc-site-key", "recaptchaProjectId": "shop-7", "recaptchaExpectedAction": "login",
        })).await;
        let phone = Phone::android(&site);
        // The action is always `login`.
        let event = |number: u8| format!(
            r#""recaptchaevent":{{"token":"test-pass-{number}","siteKey":"6Lc-site-key","expectedAction":"login","projectId":"shop-7"}}"#
        );
        let body = format!(
            r#"{{{},"userdata":{{"email":"{JANICE}","username":"{JANICE}","firstName":"Janice","lastName":"Edwards"}},"password":"{PASSWORD}","verificationmethod":"email"}}"#,
            event(1),
        );
        let body = phone.post_json("/services/auth/headless/init/registration", &body).await;
        let begun: Value = serde_json::from_str(&body).unwrap();
        let otp = site.code_to(JANICE).await;
        let headers = [("Auth-Request-Type", "user-registration"), ("Auth-Verification-Type", "email")];
        let identifier = begun["identifier"].as_str().unwrap();
        phone.authorize(&headers, identifier, &otp).await.expect("the code is right");
        let body = format!(r#"{{{},"username":"{JANICE}","verificationmethod":"email"}}"#, event(2));
        phone.post_json("/services/auth/headless/init/passwordless/login", &body).await;
        site.code_to(JANICE).await;
        let body = format!(r#"{{{},"username":"{JANICE}"}}"#, event(3));
        phone.post_json("/services/auth/headless/forgot_password", &body).await;
        site.code_to(JANICE).await;
    }
}
