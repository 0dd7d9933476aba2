//! What the audit log says of wrong codes (threat LOG-01).

use serde_json::json;

use super::{FLOWS, Flow};
use crate::fixture::on_both_databases;
use crate::flow::abuse::audited::{assert_counted, counted};
use crate::flow::abuse::other_code;

on_both_databases! {
    async fn wrong_codes_of_a_flow_are_one_row_with_their_number(site: Site) {
        for flow in FLOWS {
            let username = format!("{flow:?}@example.com").to_lowercase();
            let pending = flow.open(&site, &username).await;
            for _ in 0..3 {
                let call = flow.present(&site, &username, &pending.identifier, &other_code(&pending.code));
                site.send(call).await.expect_status(400);
            }
            let purpose = match flow {
                Flow::Registration => "registration",
                Flow::PasswordlessLogin => "passwordless_login",
                Flow::ForgotPassword => "forgot_password",
            };
            let detail = json!({"purpose": purpose});
            let user = site.user(&username).await.map(|user| user.id);
            assert_eq!(user.is_some(), flow != Flow::Registration);
            let found = counted(&site, "verification.failed").await;
            let row = found.iter().find(|row| row.detail == detail);
            let row = row.unwrap_or_else(|| panic!("no row with {detail}"));
            assert_eq!((row.count, &row.user_id), (3, &user), "{flow:?}");
            assert_eq!(row.ip.as_deref(), Some("203.0.113.7"));
            assert!(row.site_id.is_some() && row.request_id.is_some());
        }
        assert_counted(&site, "verification.failed", &[3, 3, 3]).await;
    }
}

on_both_databases! {
    async fn a_code_for_an_unknown_user_is_recorded_like_one_for_a_user_and_names_none(site: Site) {
        let answer = site.send(Flow::PasswordlessLogin.ask("unknown@example.com")).await.expect_ok().json();
        let identifier = answer["identifier"].as_str().expect("an identifier");
        let call = Flow::PasswordlessLogin.present(&site, "unknown@example.com", identifier, "000000");
        site.send(call).await.expect_status(400);
        let found = counted(&site, "verification.failed").await;
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].count, &found[0].user_id), (1, &None));
    }
}
