//! Username and password: `Auth-Request-Type: Named-User`.

use std::time::Duration;

use serde_json::json;

use crate::fixture::{Call, PASSWORD, Site, on_both_databases};

fn posted(site: &Site, username: &str, password: &str) -> Call {
    site.password_call(username, password)
        .without_header("authorization")
        .form("username", username)
        .form("password", password)
}

on_both_databases! {
    async fn a_password_logs_in_from_the_header_and_from_the_body(site: Site) {
        site.register("janice@example.com").await;
        for call in [site.password_call("Janice@Example.com", PASSWORD), posted(&site, "janice@example.com", PASSWORD)] {
            let answer = site.send(call).await.expect_status(302);
            let tokens = site.send(site.token_call(&answer.location_parameter("code"))).await.expect_ok().json();
            assert!(tokens["id_token"].is_string());
        }
    }
}

on_both_databases! {
    async fn credentials_come_once_and_never_in_the_url(site: Site) {
        site.register("janice@example.com").await;
        let both = site.password_call("janice@example.com", PASSWORD).form("username", "janice@example.com");
        assert_eq!(site.send(both).await.expect_status(400).json()["error"], "invalid_request");
        let query = "/backend/services/oauth2/authorize?username=janice@example.com&password=x";
        let in_query = site.password_call("janice@example.com", PASSWORD).without_header("authorization").at(query);
        assert_eq!(site.send(in_query).await.expect_status(400).json()["error"], "invalid_request");
        let nothing = site.password_call("a", "b").without_header("authorization");
        assert_eq!(site.send(nothing).await.expect_status(400).json()["error"], "invalid_request");
    }
}

on_both_databases! {
    async fn a_client_may_take_credentials_in_the_body_only(site: Site) {
        site.register("janice@example.com").await;
        site.update_client(&site.client.id, json!({"isCodeCredPostOnly": true})).await;
        let header = site.send(site.password_call("janice@example.com", PASSWORD)).await;
        assert_eq!(header.expect_status(400).json()["error"], "invalid_request");
        site.send(posted(&site, "janice@example.com", PASSWORD)).await.expect_status(302);
    }
}

on_both_databases! {
    async fn lock_01_failures_lock_out_password_login_for_a_while_and_nothing_else(site: Site) {
        site.register("janice@example.com").await;
        let wrong = site.send(site.password_call("janice@example.com", "Wr0ng-password")).await.expect_status(400);
        assert_eq!(wrong.json()["error_description"], "authentication failure");
        for _ in 0..9 {
            let again = site.send(site.password_call("janice@example.com", "Wr0ng-password")).await;
            assert_eq!(again.body, wrong.body);
        }
        let right = || site.password_call("janice@example.com", PASSWORD);
        assert_eq!(site.send(right()).await.expect_status(400).body, wrong.body, "locked out");
        // Login by one-time password is not locked out, and a reset ends the lockout.
        site.advance(Duration::from_secs(15 * 60));
        site.send(right()).await.expect_status(302);
        // A success deletes the failures.
        for _ in 0..9 {
            site.send(site.password_call("janice@example.com", "Wr0ng-password")).await.expect_status(400);
        }
        site.send(right()).await.expect_status(302);
    }
}

on_both_databases! {
    async fn an_expired_password_is_reported_only_if_it_is_right(site: Site) {
        site.register("janice@example.com").await;
        site.execute(r#"UPDATE profile SET password_policy = '{"passwordExpiration": 30}'; UPDATE installation SET version = version + 1"#).await;
        site.app.refresh().await.unwrap();
        site.advance(Duration::from_secs(30 * 86_400));
        let expired = site.send(site.password_call("janice@example.com", PASSWORD)).await.expect_status(400).json();
        assert_eq!((&expired["error"], &expired["error_description"]), (&json!("invalid_grant"), &json!("expired password")));
        let wrong = site.send(site.password_call("janice@example.com", "Wr0ng-password")).await.expect_status(400).json();
        assert_eq!(wrong["error_description"], "authentication failure");
    }
}

on_both_databases! {
    async fn the_profile_must_be_permitted_to_use_the_client(site: Site) {
        site.register("janice@example.com").await;
        site.update_client(&site.client.id, json!({"permittedProfiles": []})).await;
        let answer = site.send(site.password_call("janice@example.com", PASSWORD)).await.expect_status(400).json();
        assert_eq!(answer["error_description"], "user is not admin approved to access this app");
        let wrong = site.send(site.password_call("janice@example.com", "Wr0ng-password")).await.expect_status(400).json();
        assert_eq!(wrong["error_description"], "authentication failure");
    }
}
