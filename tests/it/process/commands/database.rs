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

/// A user of the backup, and one lock that the backup does not know.
fn with_backup() -> Installation {
    let installation = with_site_and_client("sqlite:vestibule.db");
    let create = ["user", "create", "kim@example.com", "--last-name", "Doe"];
    installation.run(&create).expect_code(0);
    installation.run(&["backup", "copy.db"]).expect_code(0);
    installation
        .run(&["user", "lock", "kim@example.com"])
        .expect_code(0);
    installation
}

fn is_locked(installation: &Installation) -> bool {
    let shown = installation
        .run(&["user", "show", "kim@example.com", "--json"])
        .json();
    !shown["locked_at"].is_null()
}

#[test]
fn a_backup_takes_the_place_of_the_database_only_when_asked_to_and_is_not_changed() {
    let installation = with_backup();
    let backup = std::fs::read(installation.path("copy.db")).unwrap();
    let refused = installation.run(&["restore", "--from", "copy.db"]);
    expect_refused(refused, 3, &["vestibule.db exists already", "--replace"]);
    assert!(is_locked(&installation));
    let restore = ["restore", "--from", "copy.db", "--replace"];
    let text = installation.run(&restore).expect_code(0).stdout;
    for words in [
        "the data is as of",
        "ended: 0 logins",
        "cannot be known",
        "vestibule key rotate",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(
        !is_locked(&installation),
        "the lock is newer than the backup"
    );
    crate::process::binary::expect_intact_database(&installation.path("vestibule.db"));
    assert_eq!(std::fs::read(installation.path("copy.db")).unwrap(), backup);
    for left in [
        "vestibule.db.restoring",
        "vestibule.db.restoring-wal",
        "vestibule.db.restoring-shm",
    ] {
        assert!(!installation.path(left).exists(), "{left}");
    }
    // Where there is no database, nothing is replaced.
    std::fs::remove_file(installation.path("vestibule.db")).unwrap();
    let restore = ["restore", "--from", "copy.db", "--keep-sessions", "--json"];
    let restored = installation.run(&restore).json();
    assert_eq!(restored["ended"], Value::Null);
    assert!(restored["data_as_of"].is_string());
    assert!(!is_locked(&installation));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let metadata = std::fs::metadata(installation.path("vestibule.db")).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn what_is_no_backup_of_this_installation_changes_nothing() {
    let installation = with_backup();
    std::fs::write(installation.path("junk.db"), "x".repeat(10_000)).unwrap();
    std::fs::write(installation.path("empty.db"), "").unwrap();
    let other = Installation::new("sqlite:vestibule.db", "");
    let key = "OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk=\n";
    std::fs::write(other.path("master.key"), key).unwrap();
    other.run(&["migrate", "up"]).expect_code(0);
    other.run(&["backup", "copy.db"]).expect_code(0);
    std::fs::copy(other.path("copy.db"), installation.path("other.db")).unwrap();
    for (file, code, words) in [
        ("missing.db", 4, "there is no file missing.db"),
        ("junk.db", 1, "not a database"),
        ("empty.db", 3, "no backup of a Vestibule installation"),
        ("other.db", 3, "another master key"),
    ] {
        let ran = installation.run(&["restore", "--from", file, "--replace"]);
        expect_refused(ran, code, &[words]);
        assert!(
            is_locked(&installation),
            "{file}: the database is the one before"
        );
        assert!(
            !installation.path("vestibule.db.restoring").exists(),
            "{file}"
        );
    }
    installation.run(&["restore"]).expect_code(2);
    let both = ["restore", "--from", "copy.db", "--after-database-restore"];
    installation.run(&both).expect_code(2);
}

#[test]
fn a_restore_waits_for_no_running_server() {
    let installation = with_backup();
    let lock = std::fs::File::create(installation.path("vestibule.db.lock")).unwrap();
    lock.lock().unwrap();
    for arguments in [
        &["restore", "--from", "copy.db", "--replace"][..],
        &["restore", "--after-database-restore"],
    ] {
        expect_refused(installation.run(arguments), 1, &["already running"]);
    }
    drop(lock);
    assert!(is_locked(&installation));
    let restore = ["restore", "--after-database-restore"];
    installation.run(&restore).expect_code(0);
}

#[tokio::test]
async fn on_postgresql_a_restore_is_completed_and_a_file_is_refused() {
    let Some(url) = postgres::database().await else {
        return;
    };
    let installation = Installation::new(&url, "");
    let complete = ["restore", "--after-database-restore", "--json"];
    installation.run(&complete).expect_code(1);
    installation.run(&["migrate", "up"]).expect_code(0);
    let ran = installation.run(&["restore", "--from", "copy.db"]);
    expect_refused(ran, 3, &["pg_restore", "--after-database-restore"]);
    let restored = installation.run(&complete).json();
    assert_eq!(restored["ended"]["logins"], 0);
}
