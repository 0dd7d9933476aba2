//! Accounts, users, their credentials and the audit log.

use serde_json::json;
use vestibule::identity::{Account, Attributes, User};
use vestibule::moment::Moment;
use vestibule::store;
use vestibule::store::audit::AuditEvent;

use super::{in_read, in_write};
use crate::fixture::{START, Site, on_both_databases};

/// A user with a value in every column, of the first profile there is.
pub(super) async fn user(site: &Site, id: &str, username: &str) -> User {
    let profiles = in_read!(site, |tx| store::profile::list(tx).await);
    let at = |seconds| Some(START.plus_seconds(seconds));
    User {
        id: id.to_owned(),
        username: username.to_owned(),
        username_key: username.to_lowercase(),
        email: String::from("Jänice+tag@Example.com"),
        email_key: String::from("jänice+tag@example.com"),
        phone: Some(String::from("+12035550100")),
        first_name: Some(String::from("Jänice '; DROP TABLE app_user; --")),
        last_name: String::from("Edwards 😀"),
        profile_id: profiles[0].id.clone(),
        account_id: None,
        locale: String::from("de_DE"),
        timezone: String::from("Europe/Berlin"),
        attributes: Attributes::from_iter([
            (String::from("z"), json!({"deep": [1, null, "\u{1F600}"]})),
            (String::from("a"), json!(9_007_199_254_740_993_i64)),
        ]),
        is_integration: true,
        email_verified_at: at(1),
        phone_verified_at: at(2),
        locked_at: at(3),
        disabled_at: at(4),
        session_generation: 0,
        created_at: Moment::from_millis(START.millis() + 123),
        updated_at: START.plus_seconds(5),
    }
}

on_both_databases! {
    async fn a_user_is_loaded_unchanged_by_id_and_by_username(site: Site) {
        let saved = user(&site, "005000000000009AAA", "Janice@Example.com").await;
        assert!(in_write!(site, saved.clone(), |tx, user| store::user::insert(tx, user).await));
        let by_id = in_read!(site, &saved.id, |tx, id| store::user::find_by_id(tx, id).await).expect("it is there");
        let by_name = in_read!(site, &saved.username_key, |tx, key| {
            store::user::find_by_username(tx, key).await
        }).expect("it is there");
        // Every column has a distinct value, so swapped columns would be noticed.
        assert_eq!(format!("{by_id:?}"), format!("{saved:?}"));
        assert_eq!(format!("{by_name:?}"), format!("{saved:?}"));
        assert!(in_read!(site, &saved.username, |tx, key| {
            store::user::find_by_username(tx, key).await
        }).is_none(), "only the compared form finds a user");
    }
}

on_both_databases! {
    async fn an_absent_column_of_a_user_is_absent_when_loaded(site: Site) {
        let mut saved = user(&site, "005000000000009AAA", "janice@example.com").await;
        saved.phone = None;
        saved.first_name = None;
        saved.attributes = Attributes::new();
        saved.is_integration = false;
        (saved.email_verified_at, saved.phone_verified_at) = (None, None);
        (saved.locked_at, saved.disabled_at) = (None, None);
        in_write!(site, saved.clone(), |tx, user| store::user::insert(tx, user).await);
        let found = in_read!(site, &saved.id, |tx, id| store::user::find_by_id(tx, id).await).expect("it is there");
        assert_eq!(format!("{found:?}"), format!("{saved:?}"));
    }
}

on_both_databases! {
    async fn a_username_is_given_once_and_the_first_owner_keeps_it(site: Site) {
        let first = user(&site, "005000000000001AAA", "janice@example.com").await;
        let second = user(&site, "005000000000002AAA", "JANICE@example.com").await;
        assert!(in_write!(site, first.clone(), |tx, user| store::user::insert(tx, user).await));
        assert!(!in_write!(site, second.clone(), |tx, user| store::user::insert(tx, user).await));
        let owner = site.user("janice@example.com").await.expect("it is there");
        assert_eq!(owner.id, first.id);
        assert!(in_read!(site, &second.id, |tx, id| store::user::find_by_id(tx, id).await).is_none());
    }
}

on_both_databases! {
    async fn a_user_of_an_unknown_profile_or_account_is_a_fault(site: Site) {
        let mut stray = user(&site, "005000000000001AAA", "a@example.com").await;
        stray.profile_id = String::from("00e000000000099AAA");
        let mut lost = user(&site, "005000000000002AAA", "b@example.com").await;
        lost.account_id = Some(String::from("001000000000099AAA"));
        for user in [stray, lost] {
            let written = site.app.store.write("test.write", user, |tx, user| {
                Box::pin(store::user::insert(tx, user))
            });
            written.await.expect_err("a foreign key holds");
        }
        assert_eq!(site.count("SELECT COUNT(*) FROM app_user").await, 1);
    }
}

on_both_databases! {
    async fn users_are_listed_in_the_order_of_their_usernames_page_by_page(site: Site) {
        for (id, name) in ["zoe@x.example", "anna@x.example", "ben@x.example", "Äon@x.example"].iter().enumerate() {
            let user = user(&site, &format!("00500000000000{id}AAA"), name).await;
            in_write!(site, user, |tx, user| store::user::insert(tx, user).await);
        }
        let all = in_read!(site, |tx| store::user::list(tx, None, 100).await);
        let names: Vec<&str> = all.iter().map(|user| user.username_key.as_str()).collect();
        assert_eq!(names, ["anna@x.example", "ben@x.example", "integration@vestibule.example", "zoe@x.example",
            "äon@x.example"], "by code point, in both databases");
        let page = in_read!(site, |tx| store::user::list(tx, Some("anna@x.example"), 2).await);
        let names: Vec<&str> = page.iter().map(|user| user.username_key.as_str()).collect();
        assert_eq!(names, ["ben@x.example", "integration@vestibule.example"]);
        assert!(in_read!(site, |tx| store::user::list(tx, Some("äon@x.example"), 2).await).is_empty());
    }
}

on_both_databases! {
    async fn a_credential_belongs_to_one_user_and_is_set_once(site: Site) {
        let saved = user(&site, "005000000000001AAA", "janice@example.com").await;
        in_write!(site, saved.clone(), |tx, user| store::user::insert(tx, user).await);
        assert!(in_read!(site, &saved.id, |tx, id| store::credential::find(tx, id).await).is_none());
        in_write!(site, saved.id.clone(), |tx, id| {
            store::credential::insert(tx, id, "$argon2id$…", START).await
        });
        let found = in_read!(site, &saved.id, |tx, id| store::credential::find(tx, id).await);
        assert_eq!(found.unwrap().phc, "$argon2id$…");
        for id in [saved.id.as_str(), "005000000000099AAA"] {
            let written = site.app.store.write("test.write", id.to_owned(), |tx, id| {
                Box::pin(store::credential::insert(tx, id, "$other", START))
            });
            written.await.expect_err("a second credential, or one without a user");
        }
        let found = in_read!(site, &saved.id, |tx, id| store::credential::find(tx, id).await);
        assert_eq!(found.unwrap().phc, "$argon2id$…");
    }
}

on_both_databases! {
    async fn an_account_is_found_by_its_folded_name_and_the_lowest_id_wins(site: Site) {
        let account = |id: &str, name: &str| Account {
            id: id.to_owned(),
            name: name.to_owned(),
            created_at: START.plus_seconds(7),
        };
        for account in [account("001b", "Äcme GmbH"), account("001a", " äCME gmbh "), account("001c", "Other")] {
            in_write!(site, account, |tx, account| store::account::insert(tx, account).await);
        }
        let found = in_read!(site, |tx| store::account::find_by_name(tx, "  ÄCME GMBH").await).expect("it is there");
        assert_eq!((found.id.as_str(), found.name.as_str()), ("001a", " äCME gmbh "));
        assert_eq!(found.created_at, START.plus_seconds(7));
        assert!(in_read!(site, |tx| store::account::find_by_name(tx, "Äcme").await).is_none());
    }
}

on_both_databases! {
    async fn a_user_is_linked_to_an_account_that_exists(site: Site) {
        let saved = user(&site, "005000000000001AAA", "janice@example.com").await;
        let account = Account { id: "001a".into(), name: "Acme".into(), created_at: START };
        in_write!(site, (saved.clone(), account), |tx, both| {
            store::user::insert(tx, &both.0).await?;
            store::account::insert(tx, &both.1).await?;
            store::user::set_account(tx, &both.0.id, &both.1.id).await
        });
        assert_eq!(site.user("janice@example.com").await.unwrap().account_id.as_deref(), Some("001a"));
        let linked = site.app.store.write("test.write", saved.id, |tx, id| {
            Box::pin(store::user::set_account(tx, id, "001none"))
        });
        linked.await.expect_err("a foreign key holds");
        assert_eq!(site.user("janice@example.com").await.unwrap().account_id.as_deref(), Some("001a"));
    }
}

on_both_databases! {
    async fn audit_events_of_a_user_are_listed_oldest_first(site: Site) {
        let event = |id: &str, seconds, user: Option<&str>| AuditEvent {
            id: id.to_owned(),
            at: START.plus_seconds(seconds),
            event: "user.registered",
            user_id: user.map(str::to_owned),
            client_id: Some(String::from("3MVG")),
            site_id: Some(String::from("0DB")),
            ip: Some(String::from("203.0.113.7")),
            request_id: None,
            detail: format!("{{\"n\":{seconds}}}"),
        };
        let events = [event("0AE2", 2, Some("005a")), event("0AE1", 1, Some("005a")),
            event("0AE3", 3, Some("005b")), event("0AE4", 4, None), event("0AE0", 2, Some("005a"))];
        in_write!(site, events, |tx, events| {
            for event in events {
                store::audit::insert(tx, event).await?;
            }
            Ok(())
        });
        let found = in_read!(site, |tx| store::audit::list_of_user(tx, "005a").await);
        let details: Vec<i64> = found.iter().map(|event| event.detail["n"].as_i64().unwrap()).collect();
        assert_eq!(details, [1, 2, 2]);
        assert_eq!(found[0].at, START.plus_seconds(1));
        assert_eq!(found[0].event, "user.registered");
        assert_eq!(found[0].client_id.as_deref(), Some("3MVG"));
        assert_eq!(site.count("SELECT COUNT(*) FROM audit_event WHERE ip = '203.0.113.7' AND site_id = '0DB'
            AND request_id IS NULL").await, 5);
    }
}
