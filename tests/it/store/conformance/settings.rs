//! The configuration of administrators: the installation, profiles, signing keys, sites and clients.

use serde_json::json;
use vestibule::algorithm::Algorithm;
use vestibule::client::Policies;
use vestibule::identity::{Profile, UserType};
use vestibule::moment::Moment;
use vestibule::sealing::Keyring;
use vestibule::settings::{Settings, Site as SiteRow};
use vestibule::store;
use vestibule::store::client::SealedClient;
use vestibule::store::signing_key::SealedKey;
use vestibule::token::{KeyRecord, KeyState};

use super::{in_change, in_read, in_write};
use crate::fixture::{MASTER_KEY, START, on_both_databases};

fn profile(id: &str, name: &str) -> Profile {
    let policy = json!({"minimumPasswordLength": 12});
    Profile {
        id: id.to_owned(),
        name: name.to_owned(),
        user_type: UserType::CspLitePortal,
        password_policy: vestibule::changes::apply(
            &vestibule::identity::password::PasswordPolicy::default(),
            policy.as_object().unwrap(),
        )
        .expect("a known member of the policy"),
        created_at: START.plus_seconds(1),
    }
}

fn site_row(id: &str, name: &str, base_url: &str) -> SiteRow {
    SiteRow {
        id: id.to_owned(),
        name: name.to_owned(),
        base_url: base_url.to_owned(),
        settings: Settings {
            default_locale: String::from("de_DE"),
            ..Settings::default()
        },
        activated_at: None,
        created_at: START.plus_seconds(1),
    }
}

fn client(id: &str, name: &str) -> SealedClient {
    SealedClient {
        id: id.to_owned(),
        name: name.to_owned(),
        secret_hash: [7; 32],
        secret_sealed: vec![0, 255, 1, 254],
        policies: Policies {
            callback_url: vec![String::from("https://app.example/cb?x=1")],
            id_token_lifetime_seconds: 77,
            ..Policies::default()
        },
        disabled_at: Some(START.plus_seconds(9)),
        created_at: START.plus_seconds(1),
    }
}

on_both_databases! {
    async fn an_installation_is_found_and_its_version_grows_by_one(site: Site) {
        let before = in_read!(site, |tx| store::installation::find(tx).await).expect("it was seeded");
        assert_eq!(before.org_id, site.app.directory().org_id);
        assert_eq!(before.key_check, Keyring::new(&MASTER_KEY).check_value());
        in_write!(site, (), |tx, _in| store::installation::bump(tx).await);
        let after = in_read!(site, |tx| store::installation::find(tx).await).expect("it is still there");
        assert_eq!(after.version, before.version + 1);
        assert_eq!(after.org_id, before.org_id);
    }
}

on_both_databases! {
    async fn a_database_belongs_to_one_installation(site: Site) {
        let own = site.app.directory().org_id.clone();
        for org_id in [own, String::from("00D000000000099AAA")] {
            assert!(!in_write!(site, org_id, |tx, id| store::installation::insert(tx, id, b"check", START).await));
        }
        assert_eq!(site.count("SELECT COUNT(*) FROM installation").await, 1);
        let found = in_read!(site, |tx| store::installation::find(tx).await).expect("the first");
        assert_eq!(found.key_check, Keyring::new(&MASTER_KEY).check_value());
    }
}

on_both_databases! {
    async fn a_profile_is_loaded_unchanged_and_its_name_is_unique(site: Site) {
        let saved = profile("00e000000000009AAA", "Partner");
        assert!(in_change!(site, saved.clone(), |tx, p| store::profile::insert(tx, p).await));
        let found = in_read!(site, |tx| store::profile::list(tx).await);
        let found = found.iter().find(|p| p.id == saved.id).expect("it is listed");
        assert_eq!(found.name, "Partner");
        assert_eq!(found.user_type, UserType::CspLitePortal);
        assert_eq!(found.created_at, saved.created_at);
        assert_eq!(
            serde_json::to_value(&found.password_policy).unwrap(),
            serde_json::to_value(&saved.password_policy).unwrap()
        );
        let namesake = profile("00e000000000010AAA", "Partner");
        assert!(!in_change!(site, namesake, |tx, p| store::profile::insert(tx, p).await));
        assert_eq!(in_read!(site, |tx| store::profile::list(tx).await).len(), 3);
    }
}

on_both_databases! {
    async fn signing_keys_are_loaded_unchanged_and_oldest_first(site: Site) {
        let seeded = in_read!(site, |tx| store::signing_key::list(tx).await).len();
        let record = KeyRecord {
            id: String::from("kid-1"),
            algorithm: Algorithm::EdDSA,
            state: KeyState::Retired,
            created_at: START.plus_seconds(-60),
            activated_at: Some(START.plus_seconds(-50)),
            retired_at: Some(START.plus_seconds(-40)),
        };
        let saved = SealedKey { record: record.clone(), sealed: vec![0, 1, 255] };
        assert!(in_change!(site, saved, |tx, key| store::signing_key::insert(tx, key).await));
        let found = in_read!(site, |tx| store::signing_key::list(tx).await);
        assert_eq!(found.len(), seeded + 1);
        assert_eq!(found[0].record, record, "the oldest comes first");
        assert_eq!(found[0].sealed, [0, 1, 255]);
        assert_eq!(in_read!(site, |tx| store::signing_key::records(tx).await)[0], record);
        assert!(found[0].open(&Keyring::new(&MASTER_KEY)).is_err(), "these bytes are no sealed key");
    }
}

on_both_databases! {
    async fn an_algorithm_has_one_current_and_one_next_key(site: Site) {
        let key = |id: &str, state| SealedKey {
            record: KeyRecord {
                id: id.to_owned(),
                algorithm: Algorithm::RS256,
                state,
                created_at: START,
                activated_at: None,
                retired_at: None,
            },
            sealed: vec![1],
        };
        for (id, state, is_taken) in [
            ("a", KeyState::Current, false), ("b", KeyState::Next, true), ("c", KeyState::Next, false),
            ("d", KeyState::Retired, true), ("e", KeyState::Retired, true),
        ] {
            let inserted = in_change!(site, key(id, state), |tx, key| store::signing_key::insert(tx, key).await);
            assert_eq!(inserted, is_taken, "{id}");
        }
        let activate = async |id: &'static str| in_change!(site, id, |tx, id| {
            store::signing_key::activate(tx, Algorithm::RS256, id, START.plus_seconds(1)).await
        });
        assert!(activate("b").await);
        let records = in_read!(site, |tx| store::signing_key::records(tx).await);
        let current: Vec<_> = records.iter()
            .filter(|key| key.algorithm == Algorithm::RS256 && key.state == KeyState::Current).collect();
        assert_eq!(current.iter().map(|key| key.id.as_str()).collect::<Vec<_>>(), ["b"]);
        assert_eq!(current[0].activated_at, Some(START.plus_seconds(1)));
        let retired = records.iter().filter(|key| key.retired_at == Some(START.plus_seconds(1)));
        assert_eq!(retired.count(), 1, "its predecessor");
        assert!(in_change!(site, "e", |tx, id| store::signing_key::delete(tx, id).await));
        assert!(!in_change!(site, "e", |tx, id| store::signing_key::delete(tx, id).await));
    }
}

on_both_databases! {
    async fn a_site_is_loaded_unchanged_and_its_name_and_url_are_unique(site: Site) {
        let saved = site_row("0DB000000000009AAA", "shop", "https://shop.example");
        assert!(in_change!(site, saved.clone(), |tx, row| store::site::insert(tx, row).await));
        for (name, base_url) in [("shop", "https://other.example"), ("other", "https://shop.example")] {
            let twin = site_row("0DB000000000010AAA", name, base_url);
            assert!(!in_change!(site, twin, |tx, row| store::site::insert(tx, row).await), "{name}");
        }
        let found = in_read!(site, |tx| store::site::list(tx).await);
        assert_eq!(found.len(), 3, "with the two of the demo");
        let found = found.iter().find(|row| row.id == saved.id).expect("it is listed");
        assert_eq!((found.id.as_str(), found.name.as_str()), ("0DB000000000009AAA", "shop"));
        assert_eq!(found.base_url, "https://shop.example");
        assert_eq!(found.settings.default_locale, "de_DE");
        assert_eq!(found.activated_at, None);
        assert_eq!(found.created_at, saved.created_at);
    }
}

on_both_databases! {
    async fn a_site_is_updated_by_its_id_and_an_unknown_one_is_not(site: Site) {
        let mut row = site_row("0DB000000000009AAA", "shop", "https://shop.example");
        in_change!(site, row.clone(), |tx, row| store::site::insert(tx, row).await);
        row.base_url = String::from("https://shop2.example");
        row.settings.default_locale = String::from("fr_FR");
        row.activated_at = Some(Moment::from_millis(1_234_567_890_123));
        assert!(in_change!(site, row.clone(), |tx, row| store::site::update(tx, row).await));
        let found = in_read!(site, |tx| store::site::list(tx).await).pop().expect("two sites");
        assert_eq!(found.base_url, "https://shop2.example");
        assert_eq!(found.settings.default_locale, "fr_FR");
        assert_eq!(found.activated_at, row.activated_at);
        assert_eq!(found.name, "shop");
        row.id = String::from("0DB000000000099AAA");
        assert!(!in_change!(site, row, |tx, row| store::site::update(tx, row).await));
    }
}

on_both_databases! {
    async fn a_client_is_loaded_unchanged_and_its_id_and_name_are_unique(site: Site) {
        let saved = client("3MVGsaved", "shop");
        assert!(in_change!(site, saved.clone(), |tx, row| store::client::insert(tx, row).await));
        for (id, name) in [("3MVGsaved", "other"), ("3MVGother", "shop")] {
            assert!(!in_change!(site, client(id, name), |tx, row| store::client::insert(tx, row).await), "{id}");
        }
        let found = in_read!(site, |tx| store::client::list(tx).await);
        assert_eq!(found.len(), 4, "with the three of the demo");
        let found = found.iter().find(|row| row.id == saved.id).expect("it is listed");
        assert_eq!(found.name, "shop");
        assert_eq!(found.secret_hash, [7; 32]);
        assert_eq!(found.secret_sealed, [0, 255, 1, 254]);
        assert_eq!(found.policies.callback_url, saved.policies.callback_url);
        assert_eq!(found.policies.id_token_lifetime_seconds, 77);
        assert_eq!(found.disabled_at, saved.disabled_at);
        assert_eq!(found.created_at, saved.created_at);
    }
}

on_both_databases! {
    async fn a_clients_policies_and_secret_are_replaced_each_alone(site: Site) {
        let mut row = client("3MVGsaved", "shop");
        in_change!(site, row.clone(), |tx, row| store::client::insert(tx, row).await);
        row.policies.id_token_lifetime_seconds = 88;
        assert!(in_change!(site, row.clone(), |tx, row| {
            store::client::update_policies(tx, &row.id, &row.policies, START.plus_seconds(2)).await
        }));
        let find = |rows: Vec<SealedClient>| rows.into_iter().find(|row| row.name == "shop").expect("it is listed");
        let found = find(in_read!(site, |tx| store::client::list(tx).await));
        assert_eq!((found.policies.id_token_lifetime_seconds, found.secret_hash), (88, [7; 32]));
        assert!(in_change!(site, row.id.clone(), |tx, id| {
            store::client::update_secret(tx, id, &[8; 32], b"sealed", START.plus_seconds(3)).await
        }));
        let found = find(in_read!(site, |tx| store::client::list(tx).await));
        assert_eq!((found.policies.id_token_lifetime_seconds, found.secret_hash), (88, [8; 32]));
        assert_eq!(found.secret_sealed, b"sealed");
        assert!(!in_change!(site, row, |tx, row| {
            store::client::update_policies(tx, "3MVGnone", &row.policies, START).await
        }));
        assert!(!in_change!(site, (), |tx, _in| {
            store::client::update_secret(tx, "3MVGnone", &[8; 32], b"", START).await
        }));
    }
}

on_both_databases! {
    async fn a_setting_that_only_a_newer_version_knows_is_a_fault_that_names_site_and_setting(site: Site) {
        for (statement, owner, key, word) in [
            (r#"UPDATE site SET settings = '{"recaptchaProvider": "oracle"}'"#, "site ", "recaptchaProvider", "oracle"),
            (r#"UPDATE site SET settings = '{"headlessDiscoveryStrategies": ["username", "face"]}'"#, "site ", "headlessDiscoveryStrategies", "face"),
            (r#"UPDATE site SET settings = '{"registrationFieldMapping": {"a": "profileId"}}'"#, "site ", "registrationFieldMapping", "profileId"),
        ] {
            site.execute(statement).await;
            let read = site.app.store.read("test.read", &(), |tx, ()| Box::pin(store::site::list(tx))).await;
            let detail = read.unwrap_err().detail;
            for part in [owner, key, word] {
                assert!(detail.contains(part), "{detail}");
            }
        }
        site.execute(r#"UPDATE client SET policies = '{"accessTokenFormat": "paper"}'"#).await;
        let read = site.app.store.read("test.read", &(), |tx, ()| Box::pin(store::client::list(tx))).await;
        let detail = read.unwrap_err().detail;
        assert!(detail.contains("client ") && detail.contains("accessTokenFormat"), "{detail}");
    }
}
