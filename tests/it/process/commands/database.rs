//! The database by command: its migrations and its backup.

use serde_json::{Value, json};

use super::{both, expect_refused, with_site_and_client};
use crate::fixture::postgres;
use crate::process::serve::Installation;

#[tokio::test]
async fn migrations_are_shown_planned_and_applied_once() {
    let mut all = vec![Installation::new("sqlite:vestibule.db", "")];
    all.extend(
        postgres::database()
            .await
            .map(|url| Installation::new(&url, "")),
    );
    for installation in all {
        let (status, _) = both(&installation, &["migrate", "status"]);
        assert_eq!(status["migrations"][0]["number"], 1);
        assert_eq!(status["migrations"][0]["applied_at"], Value::Null);
        let (plan, text) = both(&installation, &["migrate", "plan"]);
        assert!(
            plan["waiting"][0]["sql"]
                .as_str()
                .unwrap()
                .contains("CREATE TABLE app_user")
        );
        assert!(text.contains("CREATE TABLE app_user"));
        let first = installation.run(&["migrate", "up", "--json"]).json();
        assert_eq!(first["is_new"], true);
        assert_eq!(
            first["applied"].as_array().unwrap().len(),
            status["migrations"].as_array().unwrap().len()
        );
        let second = installation.run(&["migrate", "up", "--json"]).json();
        assert_eq!(second, json!({"applied": [], "is_new": false}));
        assert_eq!(
            both(&installation, &["migrate", "plan"]).0["waiting"],
            json!([])
        );
        let (status, _) = both(&installation, &["migrate", "status"]);
        assert_ne!(status["migrations"][0]["applied_at"], Value::Null);
    }
}

#[cfg(unix)]
#[test]
fn a_backup_is_for_its_owner_only_and_removes_nothing_that_was_there() {
    use std::os::unix::fs::PermissionsExt;
    let installation = with_site_and_client("sqlite:vestibule.db");
    installation.run(&["backup", "copy.db"]).expect_code(0);
    let metadata = std::fs::metadata(installation.path("copy.db")).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    crate::process::binary::expect_intact_database(&installation.path("copy.db"));

    std::fs::write(installation.path("empty"), "").unwrap();
    std::fs::write(installation.path("precious"), "mine").unwrap();
    // A link that points nowhere is there, too, although nothing exists behind it.
    std::os::unix::fs::symlink("nowhere", installation.path("link")).unwrap();
    for name in ["copy.db", "empty", "precious", "link", "vestibule.db"] {
        let before = std::fs::read(installation.path(name)).ok();
        expect_refused(
            installation.run(&["backup", name]),
            3,
            &[name, "exists already"],
        );
        assert!(installation.path(name).symlink_metadata().is_ok(), "{name}");
        assert_eq!(std::fs::read(installation.path(name)).ok(), before);
    }
    assert!(!installation.path("nowhere").exists());
}
