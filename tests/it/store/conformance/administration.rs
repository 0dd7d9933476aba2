//! Administrative changes: what is recorded with them, and that nothing is kept without a record.

use serde_json::json;
use vestibule::audit::{Actor, AuditEntry, AuditObject, AuditSource, ObjectKind};
use vestibule::identity::password::PasswordPolicy;
use vestibule::identity::{Profile, UserType};
use vestibule::moment::Entropy;
use vestibule::store::{self, Act, Change, ChangeFailure};

use super::in_read;
use crate::fixture::{START, Site, on_both_databases};

const VERSION: &str = "SELECT version FROM installation";

fn act(kind: ObjectKind) -> Act {
    Act {
        actor: Actor::Administrator {
            id: String::from("0ADM"),
            name: String::from("kim"),
        },
        source: AuditSource::Address([203, 0, 113, 7].into()),
        kind,
        at: START.plus_seconds(1),
        random: Entropy::Os.bytes(),
    }
}

fn partner() -> Profile {
    Profile {
        id: String::from("00e000000000009AAA"),
        name: String::from("Partner"),
        user_type: UserType::CspLitePortal,
        password_policy: PasswordPolicy::default(),
        created_at: START,
    }
}

fn entry(number: u8) -> AuditEntry {
    let object = AuditObject::new(ObjectKind::Site, &format!("0DB{number}"), "shop");
    let (before, after) = (json!({"n": 0}), json!({ "n": number }));
    AuditEntry::new("site.updated", object, &before, &after)
}

/// What a body of these tests does after it has changed something.
#[derive(Clone, Copy)]
enum End {
    Made(u8),
    Nothing,
    Refused,
}

async fn change(
    site: &Site,
    kind: ObjectKind,
    end: End,
) -> Result<bool, ChangeFailure<&'static str>> {
    let input = (partner(), end);
    let changed =
        site.app
            .store
            .administer("test.change", act(kind), input, |tx, (profile, end)| {
                Box::pin(async move {
                    let is_new = store::profile::insert(tx, profile).await?;
                    match end {
                        End::Made(count) => Ok(Change::Made {
                            outcome: is_new,
                            entries: (1..=*count).map(entry).collect(),
                        }),
                        End::Nothing => Ok(Change::Nothing(is_new)),
                        End::Refused => Err(ChangeFailure::Refused("no")),
                    }
                })
            });
    changed.await
}

async fn profile_count(site: &Site) -> usize {
    in_read!(site, |tx| store::profile::list(tx).await).len()
}

on_both_databases! {
    async fn a_change_is_kept_with_the_version_and_an_event_for_each_object(site: Site) {
        let before = site.count(VERSION).await;
        assert!(change(&site, ObjectKind::Site, End::Made(2)).await.unwrap());
        assert_eq!(site.count(VERSION).await, before + 1);
        assert_eq!(profile_count(&site).await, 3);
        let mut events = in_read!(site, |tx| store::audit::list(tx, 2).await);
        events.sort_by(|one, other| one.site_id.cmp(&other.site_id));
        assert_ne!(events[0].id, events[1].id);
        for (number, event) in (1..).zip(events) {
            assert_eq!(event.event, "site.updated");
            assert_eq!(event.at, START.plus_seconds(1));
            assert_eq!(event.site_id, Some(format!("0DB{number}")));
            assert_eq!((event.user_id, event.client_id, event.request_id), (None, None, None));
            assert_eq!(event.ip.as_deref(), Some("203.0.113.7"));
            assert_eq!(event.detail, json!({
                "actor": {"kind": "administrator", "id": "0ADM", "name": "kim"},
                "source": "203.0.113.7",
                "object": {"kind": "site", "id": format!("0DB{number}"), "name": "shop"},
                "changes": [{"field": "n", "before": 0, "after": number}],
            }));
        }
    }
}

on_both_databases! {
    async fn nothing_is_kept_without_an_event(site: Site) {
        let version = site.count(VERSION).await;
        let events = site.count("SELECT COUNT(*) FROM audit_event").await;
        assert!(change(&site, ObjectKind::Site, End::Nothing).await.unwrap());
        let refused = change(&site, ObjectKind::Site, End::Refused).await;
        assert!(matches!(refused, Err(ChangeFailure::Refused("no"))));
        let without_entry = change(&site, ObjectKind::Site, End::Made(0)).await;
        assert!(matches!(without_entry, Err(ChangeFailure::Broken(_))));
        // The object of the entry is in the directory, so every node must learn of the change.
        let of_another_kind = change(&site, ObjectKind::User, End::Made(1)).await;
        assert!(matches!(of_another_kind, Err(ChangeFailure::Broken(_))));
        assert_eq!(profile_count(&site).await, 2);
        assert_eq!(site.count(VERSION).await, version);
        assert_eq!(site.count("SELECT COUNT(*) FROM audit_event").await, events);
    }
}
