//! External identifiers, attributes by value, and users by address and number.

use serde_json::json;
use vestibule::identity::Attributes;
use vestibule::identity::external_identifier::ExternalIdentifier;
use vestibule::store;

use super::people::user;
use super::{in_change, in_read, in_write};
use crate::fixture::{START, Site, on_both_databases};

fn identifier(user_id: &str, kind: &str, value: &str) -> ExternalIdentifier {
    ExternalIdentifier {
        kind: kind.to_owned(),
        value: value.to_owned(),
        user_id: user_id.to_owned(),
        created_at: START,
    }
}

async fn insert(site: &Site, identifier: &ExternalIdentifier) -> bool {
    let saved = (identifier.clone(), identifier.value.to_lowercase());
    in_change!(site, saved, |tx, saved| {
        store::external_identifier::insert(tx, &saved.0, &saved.1).await
    })
}

async fn whose(site: &Site, kind: &str, key: &str) -> Option<String> {
    let sought = (kind.to_owned(), key.to_owned());
    let found = in_read!(site, &sought, |tx, sought| {
        store::external_identifier::find(tx, &sought.0, &sought.1).await
    });
    found.map(|user| user.id)
}

on_both_databases! {
    async fn a_kind_and_value_are_one_users(site: Site) {
        for (id, name) in [("005000000000009AAA", "a@x.example"), ("005000000000008AAA", "b@x.example")] {
            let saved = user(&site, id, name).await;
            assert!(in_write!(site, saved, |tx, user| store::user::insert(tx, user).await));
        }
        let first = identifier("005000000000009AAA", "order", "ORD-1");
        assert!(insert(&site, &first).await);
        assert!(!insert(&site, &identifier("005000000000008AAA", "order", "ord-1")).await);
        assert!(insert(&site, &identifier("005000000000008AAA", "case", "ord-1")).await);
        assert_eq!(whose(&site, "order", "ord-1").await.as_deref(), Some("005000000000009AAA"));
        assert_eq!(whose(&site, "case", "ord-1").await.as_deref(), Some("005000000000008AAA"));
        assert_eq!(whose(&site, "order", "ord-2").await, None);
        let listed = in_read!(site, &first.user_id, |tx, id| store::external_identifier::list(tx, id).await);
        assert_eq!(listed, std::slice::from_ref(&first));

        // An identifier of another user is not deleted, a user's own is.
        for (id, is_removed) in [("005000000000008AAA", false), ("005000000000009AAA", true)] {
            let removed = in_change!(site, id.to_owned(), |tx, id| {
                store::external_identifier::delete(tx, "order", "ord-1", id).await
            });
            assert_eq!(removed, is_removed, "{id}");
        }
        assert_eq!(whose(&site, "order", "ord-1").await, None);
    }
}

on_both_databases! {
    async fn users_are_found_by_address_number_and_attribute(site: Site) {
        let mut ids = Vec::new();
        for (id, name, card) in [
            ("005000000000009AAA", "a@x.example", json!(" C-7 ")),
            ("005000000000008AAA", "b@x.example", json!("c-7")),
            ("005000000000007AAA", "c@x.example", json!(["c-7"])),
        ] {
            let mut saved = user(&site, id, name).await;
            saved.attributes = Attributes::from_iter([(String::from("card"), card)]);
            assert!(in_write!(site, saved, |tx, user| store::user::insert(tx, user).await));
            ids.push(id);
        }
        let (email, phone) = ("jänice+tag@example.com".to_owned(), "+12035550100".to_owned());
        let count = in_read!(site, &email, |tx, key| store::user::find_by_email(tx, key, 2).await).len();
        assert_eq!(count, 2, "no more than asked for");
        let found = in_read!(site, &phone, |tx, key| store::user::find_by_phone(tx, key, 9).await);
        assert_eq!(found.len(), 3);
        let by_card = |key: &str| {
            let (site, key) = (&site, key.to_owned());
            async move {
                let found = in_read!(site, &key, |tx, key| {
                    store::user_attribute::find(tx, "card", key, 9).await
                });
                found.into_iter().map(|user| user.id).collect::<Vec<_>>()
            }
        };
        assert_eq!(by_card("c-7").await, ["005000000000008AAA", "005000000000009AAA"]);
        assert!(by_card("c").await.is_empty());

        // The deletion of a user deletes all of it.
        let order = identifier("005000000000009AAA", "order", "ORD-1");
        assert!(insert(&site, &order).await);
        assert!(in_change!(site, order.user_id.clone(), |tx, id| store::user::delete(tx, id).await));
        assert_eq!(by_card("c-7").await, ["005000000000008AAA"]);
        assert_eq!(whose(&site, "order", "ord-1").await, None);
    }
}
