//! Refreshes: several concurrent ones with one token have one successor, and a family that is ended meanwhile
//! remains ended.

use std::collections::BTreeSet;

use super::{WIDTH, all_at_once, rounds, two_nodes, won_and_lost};
use crate::fixture::{Call, on_both_databases};
use crate::flow::tokens::{
    access_token, assert_expired, refresh_call, refresh_token, refreshed, register_with, rotating,
    userinfo_status,
};

on_both_databases! {
    async fn rt_10_many_that_refresh_with_one_token_get_one_successor(site: Site) {
        let nodes = two_nodes(site).await;
        let tokens = register_with(&nodes[0], rotating(), "a@example.com").await;
        nodes[1].app.refresh().await.unwrap();
        let mut token = refresh_token(&tokens).to_owned();
        for round in 0..rounds() {
            // First on one node, then on both.
            for at in [&nodes[..1], &nodes[..]] {
                let calls = (0..WIDTH).map(|_| refresh_call(&nodes[0], &token)).collect();
                let (won, lost) = won_and_lost(all_at_once(at, calls).await, 200);
                assert_eq!(won.len(), WIDTH, "round {round}: {:?}", lost.first());
                let tokens: Vec<_> = won.iter().map(|answer| answer.json()).collect();
                let successors: BTreeSet<&str> = tokens.iter().map(refresh_token).collect();
                assert_eq!(successors.len(), 1, "round {round}");
                let access: BTreeSet<&str> = tokens.iter().map(access_token).collect();
                assert_eq!(access.len(), WIDTH, "each answer has an access token of its own");
                token = (*successors.first().unwrap()).to_owned();
            }
        }
        refreshed(&nodes[1], &token).await;
        assert_eq!(nodes[0].count("SELECT COUNT(*) FROM token_family WHERE ended_at IS NULL").await, 1);
    }
}

on_both_databases! {
    async fn rt_10_no_token_outlives_a_family_that_ends_while_it_is_refreshed(site: Site) {
        let nodes = two_nodes(site).await;
        for round in 0..rounds() {
            let tokens = register_with(&nodes[0], rotating(), &format!("u{round}@example.com")).await;
            nodes[1].app.refresh().await.unwrap();
            let calls = (0..WIDTH).map(|number| match number % 5 {
                0 => Call::post("/services/oauth2/revoke").form("token", refresh_token(&tokens)),
                _ => refresh_call(&nodes[0], refresh_token(&tokens)),
            });
            let answers = all_at_once(&nodes, calls.collect()).await;
            let granted: Vec<_> = answers.iter()
                .filter(|answer| answer.status == 200 && !answer.body.is_empty())
                .map(|answer| answer.json()).collect();
            // In either order, the logout had the current token or the one just replaced: another one with the
            // current token ends the family.
            let good = granted.first().map_or(refresh_token(&tokens), refresh_token);
            nodes[0].send(Call::post("/services/oauth2/revoke").form("token", good)).await.expect_ok();
            for tokens in &granted {
                assert_eq!(userinfo_status(&nodes[1], access_token(tokens)).await, 401, "round {round}");
            }
            assert_expired(&nodes[1].send(refresh_call(&nodes[0], good)).await);
        }
        assert_eq!(nodes[0].count("SELECT COUNT(*) FROM access_token WHERE code_hash IS NOT NULL AND revoked_at IS NULL").await, 0);
    }
}
