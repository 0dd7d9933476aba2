//! Usernames, accounts and budgets: constraints decide, and the losing writes leave no rows.

use std::sync::Arc;

use serde_json::json;

use super::{WIDTH, all_at_once, codes_to, init_from, rounds, two_nodes, won_and_lost};
use crate::fixture::{Answer, Call, Site, on_both_databases, registration};

/// The number of competing registrations.
const RIVALS: usize = 20;

/// Accounts without a user.
const ORPHANS: &str = "SELECT COUNT(*) FROM account WHERE id NOT IN
    (SELECT account_id FROM app_user WHERE account_id IS NOT NULL)";

/// Opens a registration for each username and address, and returns the requests that complete them.
async fn completions(site: &Site, people: &[(String, String)]) -> Vec<Call> {
    let mut identifiers = Vec::new();
    for (username, email) in people {
        identifiers.push(init_from(site, username, email).await);
    }
    let emails: Vec<String> = people.iter().map(|(_, email)| email.clone()).collect();
    let codes = codes_to(site, &emails).await;
    let both = identifiers.iter().zip(&codes);
    both.map(|(identifier, code)| site.authorize_call(identifier, code))
        .collect()
}

#[track_caller]
fn assert_is_duplicate_username(answer: &Answer) {
    assert_eq!(answer.status, 400, "{}", answer.body);
    assert!(
        answer.body.contains("registration_error"),
        "{}",
        answer.body
    );
    assert!(answer.body.contains("apex_error"), "{}", answer.body);
    assert!(
        answer.body.contains("DuplicateUsernameException"),
        "{}",
        answer.body
    );
}

/// Twenty registrations of one username from twenty addresses, under an account rule.
async fn one_username(nodes: &[Arc<Site>; 2], username: &str) {
    let site = &nodes[0];
    let people: Vec<(String, String)> = (0..RIVALS)
        .map(|number| (username.to_owned(), format!("{number}.{username}")))
        .collect();
    let calls = completions(site, &people).await;
    let (won, lost) = won_and_lost(all_at_once(nodes, calls).await, 302);
    assert_eq!((won.len(), lost.len()), (1, RIVALS - 1));
    lost.iter().for_each(assert_is_duplicate_username);
    let user = site.user(username).await.expect("the winner");
    assert!(user.account_id.is_some(), "the winner has its account");
    // The winner's code is valid, so no losing write has changed it.
    let code = won[0].location_parameter("code");
    let answer = site.send(site.token_call(&code)).await.expect_ok().json();
    assert!(
        answer["id"]
            .as_str()
            .expect("an identity URL")
            .ends_with(&user.id)
    );
    assert_eq!(
        site.count(ORPHANS).await,
        0,
        "a loser left an account behind"
    );
}

on_both_databases! {
    async fn reg_05_concurrent_registrations_of_one_username_succeed_once_and_leave_no_orphan_account(site: Site) {
        site.update_settings(json!({"registrationAccount": {"rule": "own"}})).await;
        let nodes = two_nodes(site).await;
        for round in 0..rounds() {
            one_username(&nodes, &format!("u{round}@example.com")).await;
        }
        let rounds = i64::try_from(rounds()).unwrap();
        assert_eq!(nodes[0].count("SELECT COUNT(*) FROM account").await, rounds);
        assert_eq!(nodes[0].count("SELECT COUNT(*) FROM app_user").await, rounds + 1);
        assert_eq!(nodes[0].count("SELECT COUNT(*) FROM challenge WHERE closed_at IS NULL").await, 0);
    }
}

on_both_databases! {
    async fn reg_05_concurrent_registrations_of_one_username_succeed_once_and_create_one_named_account(site: Site) {
        let rule = json!({"rule": "customdata", "member": "company", "create": true});
        site.update_settings(json!({"registrationAccount": rule})).await;
        let nodes = two_nodes(site).await;
        one_username(&nodes, "janice@example.com").await;
        assert_eq!(nodes[0].count("SELECT COUNT(*) FROM account").await, 1);
    }
}

on_both_databases! {
    async fn concurrent_registrations_with_one_named_account_share_it(site: Site) {
        let rule = json!({"rule": "shared", "name": "Acme", "create": true});
        site.update_settings(json!({"registrationAccount": rule})).await;
        let nodes = two_nodes(site).await;
        let people: Vec<(String, String)> = (0..RIVALS)
            .map(|number| (format!("u{number}@example.com"), format!("u{number}@example.com")))
            .collect();
        let calls = completions(&nodes[0], &people).await;
        let (won, _) = won_and_lost(all_at_once(&nodes, calls).await, 302);
        assert_eq!(won.len(), RIVALS);
        assert_eq!(nodes[0].count("SELECT COUNT(*) FROM account").await, 1, "one name, one account");
        assert_eq!(nodes[0].count("SELECT COUNT(*) FROM app_user WHERE account_id IS NOT NULL").await, RIVALS as i64);
    }
}

on_both_databases! {
    async fn reg_06_one_request_verified_by_many_at_once_makes_one_user_and_one_account(site: Site) {
        site.update_settings(json!({"registrationAccount": {"rule": "own"}})).await;
        let nodes = two_nodes(site).await;
        let person = [(String::from("a@example.com"), String::from("a@example.com"))];
        let call = completions(&nodes[0], &person).await.remove(0);
        let (won, lost) = won_and_lost(all_at_once(&nodes, vec![call; WIDTH]).await, 302);
        assert_eq!((won.len(), lost.len()), (1, WIDTH - 1));
        assert_eq!(nodes[0].count("SELECT COUNT(*) FROM account").await, 1);
        assert_eq!(nodes[0].count("SELECT COUNT(*) FROM app_user").await, 2);
        assert_eq!(nodes[0].count("SELECT COUNT(*) FROM authorization_code").await, 1);
        assert_eq!(nodes[0].count(ORPHANS).await, 0);
    }
}

on_both_databases! {
    async fn reg_07_a_username_taken_between_init_and_verify_is_refused_and_its_owner_untouched(site: Site) {
        site.update_settings(json!({"registrationAccount": {"rule": "own"}})).await;
        let people = [(String::from("Janice@Example.com"), String::from("late@example.com"))];
        let late = completions(&site, &people).await.remove(0);
        site.register("janice@example.com").await;
        let owner = format!("{:?}", site.user("janice@example.com").await);
        let phc = "SELECT COUNT(DISTINCT phc) FROM credential";
        assert_is_duplicate_username(&site.send(late.clone()).await);
        assert_eq!(format!("{:?}", site.user("janice@example.com").await), owner);
        assert_eq!(site.count(phc).await, 1);
        assert_eq!(site.count("SELECT COUNT(*) FROM account").await, 1);
        // The request has ended, even if the name became free again.
        let answer = site.send(late).await;
        assert!(answer.body.contains("authentication failure"), "{}", answer.body);
    }
}

on_both_databases! {
    async fn otp_08_requests_at_once_for_one_mailbox_stay_within_its_budget(site: Site) {
        let budget = usize::try_from(site.app.otp.registration.codes_per_hour()).unwrap();
        let nodes = two_nodes(site).await;
        let token = nodes[0].integration_token(None).await;
        let calls = (0..RIVALS).map(|number| {
            let mut body = registration(&format!("u{number}@example.com"));
            body["userdata"]["email"] = json!(format!("janice+{number}@example.com"));
            Call::post("/services/auth/headless/init/registration").bearer(&token).json(&body)
        });
        let (won, lost) = won_and_lost(all_at_once(&nodes, calls.collect()).await, 200);
        assert_eq!(won.len(), budget, "{} were refused", lost.len());
        assert!(lost.iter().all(|answer| answer.status == 429 && answer.header("retry-after").is_some()));
        assert_eq!(nodes[0].count("SELECT COUNT(*) FROM challenge").await, budget as i64);
        nodes[0].deliver().await;
        assert_eq!(nodes[0].inbox.list(None).len(), budget, "a mail for each, and none for the refused");
        nodes[0].inbox.clear();
    }
}

on_both_databases! {
    async fn otp_07_requests_at_once_for_one_address_have_one_code(site: Site) {
        let nodes = two_nodes(site).await;
        let token = nodes[0].integration_token(None).await;
        let calls = (0..5).map(|number| {
            let mut body = registration(&format!("u{number}@example.com"));
            body["userdata"]["email"] = json!("janice@example.com");
            Call::post("/services/auth/headless/init/registration").bearer(&token).json(&body)
        });
        let (won, _) = won_and_lost(all_at_once(&nodes, calls.collect()).await, 200);
        assert_eq!(won.len(), 5);
        assert_eq!(nodes[0].count("SELECT COUNT(*) FROM challenge WHERE closed_at IS NULL").await, 5);
        assert_eq!(nodes[0].count("SELECT COUNT(DISTINCT code_seed) FROM challenge").await, 1);
        nodes[0].deliver().await;
        let codes: Vec<_> = nodes[0].inbox.list(None).iter().map(|message| message.code.clone()).collect();
        assert_eq!(codes.len(), 5);
        assert!(codes[0].is_some() && codes.iter().all(|code| *code == codes[0]));
        nodes[0].inbox.clear();
    }
}
