//! Token responses, userinfo and the identity URL.

use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use vestibule::admin;

use super::{USERINFO, access_token, code_with, userinfo_status};
use crate::fixture::{BASE_URL, Call, START, on_both_databases, on_sqlite};

fn signature(secret: &str, tokens: &Value) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let text = format!(
        "{}{}",
        tokens["id"].as_str().unwrap(),
        tokens["issued_at"].as_str().unwrap()
    );
    STANDARD.encode(hmac::sign(&key, text.as_bytes()))
}

on_sqlite! {
    async fn a_token_answer_has_the_documented_members(site: Site) {
        let code = site.registered_code("janice@example.com").await;
        let answer = site.send(site.token_call(&code)).await.expect_ok();
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("pragma"), Some("no-cache"));
        let tokens = answer.json();
        let mut names: Vec<&String> = tokens.as_object().unwrap().keys().collect();
        names.sort();
        assert_eq!(names, [
            "access_token", "expires_in", "id", "id_token", "instance_url", "issued_at", "refresh_token", "scope",
            "sfdc_community_id", "sfdc_community_url", "signature", "token_format", "token_type",
        ]);
        assert_eq!(tokens["token_type"], "Bearer");
        assert_eq!(tokens["token_format"], "opaque");
        assert_eq!(tokens["issued_at"], START.millis().to_string(), "a string of milliseconds");
        assert_eq!(tokens["expires_in"], 7_200);
        assert_eq!(tokens["scope"], "openid api id profile email refresh_token");
        assert_eq!(tokens["instance_url"], BASE_URL);
        assert_eq!(tokens["sfdc_community_url"], BASE_URL);
        assert!(tokens["sfdc_community_id"].as_str().unwrap().starts_with("0DB"));
        // <15 characters of the organisation>!<random>
        let org: String = tokens["id"].as_str().unwrap().rsplit('/').nth(1).unwrap().chars().take(15).collect();
        assert!(access_token(&tokens).starts_with(&format!("{org}!AQEAQ")), "{}", access_token(&tokens));
        let parts: Vec<&str> = tokens["id"].as_str().unwrap().split('/').collect();
        assert_eq!(parts[parts.len() - 3], "id");
        assert!(parts[parts.len() - 2].starts_with("00D") && parts[parts.len() - 1].starts_with("005"));
    }
}

on_both_databases! {
    async fn tok_09_the_signature_verifies_and_follows_the_secret(site: Site) {
        let tokens = site.register("janice@example.com").await;
        assert_eq!(tokens["signature"], signature(&site.client.secret, &tokens));
        let id = tokens["id"].as_str().unwrap().to_owned();
        assert_ne!(tokens["signature"], signature(&site.client.secret, &json!({"id": id, "issued_at": "0"})));

        let code = site.registered_code("other@example.com").await;
        let rotated = admin::client::rotate_secret(&site.admin(), &site.client.id).await.unwrap();
        let secret = rotated.secret.expose();
        site.app.refresh().await.unwrap();

        let answer = site.send(site.token_call(&code)).await.expect_status(400);
        assert_eq!(answer.json()["error"], "invalid_client");
        let answer = site.send(site.token_call(&code).with("client_secret", Some(secret))).await.expect_ok();
        assert_eq!(answer.json()["signature"], signature(secret, &answer.json()));
        assert_eq!(userinfo_status(&site, access_token(&tokens)).await, 200, "tokens outlive the old secret");
    }
}

on_sqlite! {
    async fn tok_10_every_format_of_a_token_answer_and_of_its_errors(site: Site) {
        let mark = r#"a<b>&"c' é"#;
        for (number, (format, content_type)) in [
            ("xml", "application/xml;charset=UTF-8"),
            ("urlencoded", "application/x-www-form-urlencoded"),
            ("json", "application/json;charset=UTF-8"),
            ("", "application/json;charset=UTF-8"),
        ].into_iter().enumerate() {
            let username = format!("u{number}@example.com");
            let code = code_with(&site, &username, &[("state", mark)]).await;
            let wrong = site.send(site.token_call("x").with("format", Some(format))).await.expect_status(400);
            assert_eq!(wrong.header("content-type"), Some(content_type));
            let answer = site.send(site.token_call(&code).with("format", Some(format))).await.expect_ok();
            assert_eq!(answer.header("content-type"), Some(content_type));
            assert_eq!(answer.header("cache-control"), Some("no-store"));
            match format {
                "xml" => {
                    assert_eq!(wrong.body, "<?xml version=\"1.0\" encoding=\"UTF-8\"?><OAuth><error>invalid_grant</error>\
                         <error_description>invalid authorization code</error_description></OAuth>");
                    assert!(answer.body.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?><OAuth><access_token>00D"));
                    assert!(answer.body.contains("<state>a&lt;b&gt;&amp;&quot;c&apos; é</state>"), "{}", answer.body);
                    assert!(answer.body.ends_with("</OAuth>"));
                }
                "urlencoded" => {
                    assert_eq!(wrong.body, "error=invalid_grant&error_description=invalid+authorization+code");
                    let members: std::collections::HashMap<String, String> =
                        url::form_urlencoded::parse(answer.body.as_bytes()).into_owned().collect();
                    assert_eq!(members["state"], mark);
                    assert_eq!(members["token_type"], "Bearer");
                    assert_eq!(userinfo_status(&site, &members["access_token"]).await, 200);
                }
                _ => assert_eq!(answer.json()["state"], mark),
            }
        }
        for junk in ["html", "JSONP", "../x", "json;x"] {
            let answer = site.send(site.token_call("x").with("format", Some(junk))).await.expect_status(400);
            assert_eq!(answer.json()["error"], "invalid_request", "{junk}");
        }
        let by_header = site.send(site.token_call("x").header("accept", "application/xml")).await;
        assert_eq!(by_header.header("content-type"), Some("application/xml;charset=UTF-8"));
    }
}

on_sqlite! {
    async fn tok_11_a_token_is_accepted_in_the_header_or_the_body_and_never_in_the_url(site: Site) {
        let tokens = site.register("janice@example.com").await;
        let token = access_token(&tokens);
        site.send(Call::get(USERINFO).bearer(token)).await.expect_ok();
        site.send(Call::post(USERINFO).bearer(token)).await.expect_ok();
        site.send(Call::get(USERINFO).header("authorization", &format!("bearer  {token}"))).await.expect_ok();
        site.send(Call::post(USERINFO).form("access_token", token)).await.expect_ok();
        for name in ["access_token", "oauth_token"] {
            let url = format!("{USERINFO}?{name}={token}");
            site.send(Call::get(&url)).await.expect_status(401);
            // It is ignored beside the header; some libraries always send both.
            site.send(Call::get(&url).bearer(token)).await.expect_ok();
        }
        site.send(Call::get(&format!("{USERINFO}?access_token={token}")).form("access_token", token)).await
            .expect_status(401);
        let twice = Call::post(USERINFO).bearer(token).form("access_token", token);
        site.send(twice).await.expect_status(400);
    }
}

on_both_databases! {
    async fn an_access_token_ends_in_its_time_with_its_user_and_with_the_users_state(site: Site) {
        for (number, state) in ["locked_at", "disabled_at"].into_iter().enumerate() {
            let username = format!("u{number}@example.com");
            let tokens = site.register(&username).await;
            site.execute(format!("UPDATE app_user SET {state} = 1 WHERE username_key = '{username}'")).await;
            assert_eq!(userinfo_status(&site, access_token(&tokens)).await, 401, "{state}");
            site.execute(format!("UPDATE app_user SET {state} = NULL WHERE username_key = '{username}'")).await;
            assert_eq!(userinfo_status(&site, access_token(&tokens)).await, 200);
        }
        let tokens = site.register("janice@example.com").await;
        site.advance(Duration::from_secs(7_199));
        assert_eq!(userinfo_status(&site, access_token(&tokens)).await, 200);
        site.advance(Duration::from_secs(1));
        assert_eq!(userinfo_status(&site, access_token(&tokens)).await, 401);
    }
}

on_sqlite! {
    async fn a_token_with_one_wrong_character_is_no_token(site: Site) {
        let tokens = site.register("janice@example.com").await;
        let token = access_token(&tokens);
        for at in 0..token.len() {
            let mut wrong = token.to_owned().into_bytes();
            wrong[at] = if wrong[at] == b'x' { b'y' } else { b'x' };
            let wrong = String::from_utf8(wrong).unwrap();
            assert_eq!(userinfo_status(&site, &wrong).await, 401, "{at}");
        }
        for wrong in [format!("{token}x"), token[1..].to_owned(), token.to_lowercase(), token.replace('!', ".")] {
            assert_eq!(userinfo_status(&site, &wrong).await, 401, "{wrong}");
        }
    }
}

on_sqlite! {
    async fn a_scope_that_reads_nothing_reads_nothing(site: Site) {
        let token = site.integration_token(Some("user_registration_api")).await;
        let answer = site.send(Call::get(USERINFO).bearer(&token)).await.expect_status(403);
        assert_eq!(answer.json()["error"], "insufficient_scope");
        let token = site.integration_token(Some("api")).await;
        let info = site.send(Call::get(USERINFO).bearer(&token)).await.expect_ok().json();
        assert_eq!(info["is_salesforce_integration_user"], true);
    }
}

on_sqlite! {
    async fn an_authorized_scope_is_what_was_asked_for(site: Site) {
        let code = code_with(&site, "janice@example.com", &[("scope", "api")]).await;
        let tokens = site.send(site.token_call(&code)).await.expect_ok().json();
        assert_eq!(tokens["scope"], "api");
        assert_eq!(tokens.get("id_token"), None, "no openid, no id_token");
        // A scope at the token endpoint cannot extend the granted scopes.
        let code = code_with(&site, "other@example.com", &[("scope", "api")]).await;
        let answer = site.send(site.token_call(&code).form("scope", "openid api")).await;
        if answer.status == 200 {
            assert_eq!(answer.json()["scope"], "api");
        }
    }
}

on_both_databases! {
    async fn c18_the_identity_url_is_complete_for_the_mobile_sdks(site: Site) {
        let tokens = site.register("janice@example.com").await;
        let path = tokens["id"].as_str().unwrap().strip_prefix("https://site.example.com").unwrap();
        let call = |query: &str| Call::get("").at(&format!("{path}{query}")).bearer(access_token(&tokens));
        let identity = site.send(call("")).await.expect_ok().json();
        for name in [
            "enterprise", "metadata", "partner", "rest", "sobjects", "search", "query", "recent", "profile",
            "feeds", "groups", "users", "feed_items", "custom_domain",
        ] {
            assert!(identity["urls"][name].as_str().is_some_and(|url| url.starts_with(BASE_URL)), "{name}");
        }
        for name in ["picture", "thumbnail"] {
            assert!(identity["photos"][name].as_str().is_some_and(|url| url.starts_with(BASE_URL)), "{name}");
        }
        for name in [
            "id", "asserted_user", "user_id", "organization_id", "username", "nick_name", "display_name", "email",
            "email_verified", "first_name", "last_name", "timezone", "addr_street", "addr_city", "addr_state",
            "addr_country", "addr_zip", "mobile_phone", "mobile_phone_verified", "status", "active", "user_type",
            "language", "locale", "utcOffset", "last_modified_date", "is_app_installed",
        ] {
            assert!(identity.get(name).is_some(), "{name}");
        }
        assert_eq!(identity["id"], tokens["id"]);
        assert_eq!(identity["user_type"], "CSP_LITE_PORTAL");
        assert!(identity["utcOffset"].is_i64(), "an integer of milliseconds");
        assert_eq!(identity["last_modified_date"], "2026-01-05T10:00:00Z");
        assert_eq!(identity["status"], json!({"created_date": null, "body": null}));

        let latest = site.send(call("?version=62.0")).await.expect_ok().json();
        assert!(latest["urls"]["rest"].as_str().unwrap().contains("62.0"));
        assert!(identity["urls"]["rest"].as_str().unwrap().contains("{version}"));
        let xml = site.send(call("?format=xml")).await.expect_ok();
        assert_eq!(xml.header("content-type"), Some("application/xml;charset=UTF-8"));
        let pretty = site.send(call("").header("x-prettyprint", "1")).await.expect_ok();
        assert!(pretty.body.contains('\n') && !site.send(call("")).await.body.contains('\n'));
        // Fifteen characters identify the same record.
        let mut parts: Vec<String> = path.split('/').map(str::to_owned).collect();
        for at in [parts.len() - 1, parts.len() - 2] {
            parts[at].truncate(15);
        }
        site.send(Call::get("").at(&parts.join("/")).bearer(access_token(&tokens))).await.expect_ok();
    }
}

on_sqlite! {
    async fn userinfo_returns_the_documented_members(site: Site) {
        let tokens = site.register("janice@example.com").await;
        let answer = site.send(Call::get(USERINFO).bearer(access_token(&tokens))).await.expect_ok();
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let info = answer.json();
        assert_eq!(info["sub"], tokens["id"]);
        assert_eq!(info["given_name"], "Janice");
        assert_eq!(info["family_name"], "Edwards");
        assert_eq!(info["name"], "Janice Edwards");
        assert_eq!(info["email"], "janice@example.com");
        assert_eq!(info["zoneinfo"], "UTC");
        assert_eq!(info["updated_at"], "2026-01-05T10:00:00Z");
        for name in [
            "user_id", "organization_id", "preferred_username", "nickname", "photos", "profile", "picture", "address",
            "urls", "active", "user_type", "language", "locale", "utcOffset", "is_app_installed",
        ] {
            assert!(info.get(name).is_some(), "{name}");
        }
        assert_eq!(info["is_salesforce_integration_user"], false);
        assert_eq!(info.get("phone_number"), None);
    }
}
