//! Headless registration, from the init request to the tokens.

use crate::fixture::{BASE_URL, Call, on_both_databases};

on_both_databases! {
    async fn a_user_registers_and_gets_tokens(site: Site) {
        let identifier = site.pending("janice@example.com").await;
        assert!(site.user("janice@example.com").await.is_none(), "no user before the code");
        let code = site.code_to("janice@example.com").await;
        let answer = site.send(site.authorize_call(&identifier, &code).form("state", "x y&z")).await;
        let answer = answer.expect_status(302);
        let names: Vec<String> =
            answer.location_parameters().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["code", "sfdc_community_url", "sfdc_community_id", "state"]);
        assert_eq!(answer.location_parameter("state"), "x y&z");
        assert_eq!(answer.location_parameter("sfdc_community_url"), BASE_URL);

        let tokens = site.send(site.token_call(&answer.location_parameter("code"))).await.expect_ok().json();
        assert_eq!(tokens["state"], "x y&z");
        let token = tokens["access_token"].as_str().unwrap();
        let info = site.send(Call::get("/services/oauth2/userinfo").bearer(token)).await.expect_ok().json();
        assert_eq!(info["preferred_username"], "janice@example.com");
        assert_eq!(info["email_verified"], true);
        assert_eq!(info["sub"], tokens["id"]);

        let path = tokens["id"].as_str().unwrap().strip_prefix("https://site.example.com").unwrap();
        let identity = site.send(Call::get("").at(path).bearer(token)).await.expect_ok().json();
        assert_eq!(identity["username"], "janice@example.com");
    }
}
