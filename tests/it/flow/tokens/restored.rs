//! A database that was restored: what the backup would bring back has ended (threat OPS-01).

use std::time::Duration;

use serde_json::{Value, json};
use vestibule::admin::restore;

use super::{
    access_token, assert_expired, refresh_call, refresh_token, register_with, rotating,
    userinfo_status,
};
use crate::fixture::{Call, PASSWORD, Site, on_both_databases};
use crate::flow::abuse::INIT;

const JANICE: &str = "janice@example.com";

/// What is valid at the time of the backup.
struct Before {
    opaque: Value,
    jwt: Value,
    integration: String,
    code: String,
    identifier: String,
    otp: String,
}

async fn before(site: &Site) -> Before {
    let opaque = register_with(site, rotating(), JANICE).await;
    site.update_client(&site.client.id, json!({"accessTokenFormat": "jwt"}))
        .await;
    let jwt = site.register("jwt@example.com").await;
    let code = site.registered_code("code@example.com").await;
    let identifier = site.pending("otp@example.com").await;
    let otp = site.code_to("otp@example.com").await;
    Before {
        opaque,
        jwt,
        integration: site.integration_token(None).await,
        code,
        identifier,
        otp,
    }
}

async fn init_status(site: &Site, token: &str) -> u16 {
    let body = crate::fixture::registration("new@example.com");
    site.send(Call::post(INIT).bearer(token).json(&body))
        .await
        .status
}

on_both_databases! {
    async fn ops_01_after_a_restore_nothing_that_was_issued_before_is_valid(site: Site) {
        let before = before(&site).await;
        site.pending("unsent@example.com").await;
        site.advance(Duration::from_secs(1));
        let done = restore::complete(&site.admin(), false).await.expect("the restore is completed");
        let ended = done.ended.expect("sessions were ended");
        assert_eq!((ended.codes, ended.logins), (3, 2));
        assert!(ended.access_tokens >= 2, "{}", ended.access_tokens);
        assert_eq!((ended.messages, ended.one_time_passwords, ended.sessions), (1, 2, 0));
        assert_eq!(done.as_of, Some(site.app.now().plus_seconds(-1)));
        site.refresh().await;
        for tokens in [&before.opaque, &before.jwt] {
            assert_eq!(userinfo_status(&site, access_token(tokens)).await, 401);
            assert_expired(&site.send(refresh_call(&site, refresh_token(tokens))).await);
        }
        assert_eq!(init_status(&site, &before.integration).await, 401);
        site.send(site.token_call(&before.code)).await.expect_status(400);
        site.send(site.authorize_call(&before.identifier, &before.otp)).await.expect_status(400);
        site.deliver().await;
        assert_eq!(site.inbox.list(None).len(), 0, "a message with a dead code is not sent");
        // Users, passwords and clients are as they were.
        site.send(site.password_call(JANICE, PASSWORD)).await.expect_status(302);
        let new = site.integration_token(None).await;
        assert_eq!(init_status(&site, &new).await, 200);
    }
}

on_both_databases! {
    async fn after_a_restore_that_keeps_sessions_everything_is_valid(site: Site) {
        let before = before(&site).await;
        let done = restore::complete(&site.admin(), true).await.expect("the restore is completed");
        assert_eq!(done.ended, None);
        site.refresh().await;
        for tokens in [&before.opaque, &before.jwt] {
            assert_eq!(userinfo_status(&site, access_token(tokens)).await, 200);
            site.send(refresh_call(&site, refresh_token(tokens))).await.expect_ok();
        }
        assert_eq!(init_status(&site, &before.integration).await, 200);
        site.send(site.token_call(&before.code)).await.expect_ok();
        site.send(site.authorize_call(&before.identifier, &before.otp)).await.expect_status(302);
        let events = site.count("SELECT COUNT(*) FROM audit_event WHERE event = 'installation.restored'").await;
        assert_eq!(events, 1);
    }
}

on_both_databases! {
    async fn two_restores_of_one_backup_give_no_generation_twice(site: Site) {
        site.register(JANICE).await;
        restore::complete(&site.admin(), false).await.expect("the first restore");
        let first = site.user(JANICE).await.map(|user| user.session_generation);
        // The same backup again, later.
        site.execute("UPDATE app_user SET session_generation = 0").await;
        site.advance(Duration::from_secs(1));
        restore::complete(&site.admin(), false).await.expect("the second restore");
        let second = site.user(JANICE).await.map(|user| user.session_generation);
        assert!(second > first, "{first:?} {second:?}");
    }
}
