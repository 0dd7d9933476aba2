//! Configs by command: written, checked, printed, and refused by their line.

use serde_json::json;
use tempfile::tempdir;

use super::expect_refused;
use crate::process::binary::run;
use crate::process::serve::{Installation, set_mode, write_private};

#[test]
fn a_master_key_that_is_not_there_is_named_with_what_to_do() {
    let installation = Installation::new("sqlite:vestibule.db", "");
    installation.run(&["migrate", "up"]).expect_code(0);
    std::fs::remove_file(installation.path("master.key")).unwrap();
    for command in [&["config", "check"][..], &["user", "list"], &["serve"]] {
        let words = [
            "master.key",
            "[keys] master_key_file",
            "--config",
            "--data-dir",
            "openssl rand -base64 32",
        ];
        expect_refused(installation.run(command), 3, &words);
    }
    assert!(!installation.path("master.key").exists());

    let mut named =
        crate::process::binary::command(installation.directory.path(), &["config", "check"]);
    named.env("VESTIBULE_KEYS__MASTER_KEY_FILE", "no.key");
    expect_refused(crate::process::binary::finish(named, ""), 3, &["no.key"]);
}

/// The warning about a database on another machine without mandatory TLS.
const IN_CLEAR: &str = "the connection to the database on another machine is encrypted only if the server offers \
                        it (sslmode=prefer): set [database] sslmode = \"verify-full\"";

/// The certificate and key of the test mail server, and another key.
fn tls_files(installation: &Installation) -> [String; 3] {
    let tests = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let files = [
        ("delivery/tls/localhost.pem", "tls.pem"),
        ("delivery/tls/localhost.key.pem", "tls.key"),
        ("store/tls/client.key.pem", "other.key"),
    ];
    files.map(|(from, to)| {
        let text = std::fs::read_to_string(tests.join(from)).unwrap();
        write_private(&installation.path(to), &text);
        to.to_owned()
    })
}

#[test]
fn a_config_check_reports_all_problems_at_once() {
    let installation = Installation::new("sqlite:missing/vestibule.db", "");
    let [certificate, key, other] = tls_files(&installation);
    let with = |key: &str| {
        let path = installation.path("vestibule.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        let text = text.split("tls_").next().unwrap().to_owned();
        let pair = format!("tls_certificate_file = \"{certificate}\"\ntls_key_file = \"{key}\"\n");
        std::fs::write(&path, format!("{text}{pair}")).unwrap();
        installation.run(&["config", "check"])
    };
    let words = [
        "there is no directory missing",
        "other.key: it is not the key of the certificate in tls.pem",
    ];
    expect_refused(with(&other), 3, &words);
    std::fs::create_dir(installation.path("missing")).unwrap();
    with(&key).expect_code(0);
    expect_refused(with("gone.key"), 3, &["[listen] tls_key_file = gone.key"]);
}

#[test]
fn files_that_other_users_can_read_are_reported_by_the_check_and_by_the_server() {
    let installation = Installation::new("sqlite:vestibule.db", "");
    installation.run(&["migrate", "up"]).expect_code(0);
    let warnings = || installation.run(&["config", "check"]).expect_code(0).stderr;
    assert!(!warnings().contains("warning"), "{}", warnings());
    set_mode(&installation.path("master.key"), 0o640);
    assert!(!warnings().contains("warning"), "the group may read");
    set_mode(&installation.path("master.key"), 0o644);
    set_mode(&installation.path("vestibule.db"), 0o666);
    for part in [
        "master.key can be read",
        "mode 644",
        "chmod 600 vestibule.db",
    ] {
        assert!(warnings().contains(part), "{part}: {}", warnings());
    }
    let mut server = installation.serve();
    server.stop();
    assert!(server.output().contains("master.key can be read"));
}

#[tokio::test]
async fn a_check_with_connect_looks_into_the_database() {
    let check = ["config", "check", "--connect"];
    let installation = Installation::new("sqlite:vestibule.db", "");
    expect_refused(
        installation.run(&check),
        3,
        &["there is no database at vestibule.db"],
    );
    assert!(
        !installation.path("vestibule.db").exists(),
        "checking changes nothing"
    );
    let away = Installation::new("postgres://u:hunter2@127.0.0.1:1/x", "");
    away.run(&["config", "check"]).expect_code(0);
    let refused = away.run(&check);
    assert!(!refused.stderr.contains("hunter2"), "{refused:?}");
    expect_refused(refused, 3, &["connecting to PostgreSQL"]);
    for installation in super::installations().await {
        installation.run(&check).expect_code(0);
        let other = "MTEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\n";
        write_private(&installation.path("master.key"), other);
        expect_refused(
            installation.run(&check),
            3,
            &["another master key than the one in master.key"],
        );
    }
}

#[test]
fn a_config_check_says_what_is_not_configured() {
    let installation = Installation::new("sqlite:vestibule.db", "");
    let note = "no mail relay is configured";
    let bare = installation.run(&["config", "check"]).expect_code(0);
    assert!(bare.stderr.contains(note), "{bare:?}");
    let relay = "[smtp]\nurl = \"smtp://127.0.0.1:25\"\nfrom = \"a@example.com\"\n";
    let installation = Installation::new("sqlite:vestibule.db", relay);
    let whole = installation.run(&["config", "check"]).expect_code(0);
    assert_eq!(whole.stderr, "");
    let none = run(installation.directory.path(), &["config", "check"]).expect_code(0);
    assert!(
        none.stderr.contains("defaults of `vestibule dev`") && !none.stderr.contains(note),
        "{none:?}"
    );
}

#[tokio::test]
async fn a_config_is_written_checked_and_printed_without_secrets() {
    let directory = tempdir().unwrap();
    let at = |arguments: &[&str]| run(directory.path(), arguments);
    let printed = at(&["config", "init"]).expect_code(0).stdout;
    at(&["config", "init", "v.toml"]).expect_code(0);
    let written = std::fs::read_to_string(directory.path().join("v.toml")).unwrap();
    assert_eq!(written.trim_end(), printed.trim_end());
    expect_refused(
        at(&["config", "init", "v.toml"]),
        3,
        &["v.toml already exists"],
    );
    assert_eq!(
        at(&["config", "init", "--json"]).json()["config"],
        json!(written)
    );

    let checked = at(&["config", "check", "--config", "v.toml"]);
    expect_refused(checked, 3, &["master_key_file"]);
    let key = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\n";
    write_private(&directory.path().join("master.key"), key);
    let more = "[database]\nurl = \"postgres://shop:hunter2@db.example:5432/shop?password=hunter3\"\n\
                [keys]\nmaster_key_file = \"master.key\"\n[smtp]\nurl = \"smtp://127.0.0.1:25\"\nfrom = \"a@example.com\"\n";
    std::fs::write(directory.path().join("v.toml"), more).unwrap();
    assert_eq!(
        at(&["config", "check", "--config", "v.toml", "--json"]).json(),
        json!({"valid": true, "warnings": [IN_CLEAR]})
    );
    for arguments in [
        &["config", "print", "--config", "v.toml", "--json"][..],
        &["config", "print", "--config", "v.toml"],
    ] {
        let ran = at(arguments).expect_code(0);
        assert!(!ran.stdout.contains("hunter"), "{ran:?}");
        assert!(!ran.stdout.contains("MDEy"), "{ran:?}");
        assert!(ran.stdout.contains("postgres://db.example/shop"), "{ran:?}");
    }
    let json = at(&["config", "print", "--config", "v.toml", "--json"]).json();
    assert_eq!(json["smtp"]["from"], "a@example.com");
    assert_eq!(json["otp"]["registration"]["length"], 6);
    assert!(
        !directory.path().join("vestibule.db").exists(),
        "checking changes nothing"
    );
}

#[tokio::test]
async fn an_unknown_key_is_fatal_to_every_command_and_its_line_is_named() {
    let installation = Installation::new("sqlite:vestibule.db", "[smtp]\ntimeout = 4\n");
    for command in [
        &["serve"][..],
        &["migrate", "up"],
        &["config", "check"],
        &["config", "print"],
        &["site", "list"],
        &["user", "list"],
        &["dev"],
    ] {
        expect_refused(
            installation.run(command),
            3,
            &["vestibule.toml, line 9", "timeout"],
        );
    }
    for (text, line) in [
        ("[limits]\nenabled = 1\n", "line 2"),
        ("[limits\n", "line 1"),
        ("[otp.registration]\nlength = 6\nlentgh = 6\n", "line 3"),
    ] {
        std::fs::write(installation.path("vestibule.toml"), text).unwrap();
        expect_refused(installation.run(&["config", "check"]), 3, &[line]);
    }
    for (text, word) in [
        ("[otp.registration]\nlength = 5\n", "length"),
        ("[log]\nformat = \"xml\"\n", "[log] format"),
        ("[smtp]\nurl = \"smtp://127.0.0.1\"\n", "[smtp] from"),
        ("[listen]\ntls_key_file = \"x\"\n", "tls_certificate_file"),
        (
            "[database]\nurl = \"mysql://a:hunter2@b/c\"\n",
            "[database] url",
        ),
    ] {
        std::fs::write(installation.path("vestibule.toml"), text).unwrap();
        let ran = installation.run(&["config", "check"]);
        assert!(!ran.stderr.contains("hunter2"), "{ran:?}");
        expect_refused(ran, 3, &[word]);
    }
    let mut command =
        crate::process::binary::command(installation.directory.path(), &["config", "print"]);
    command.env("VESTIBULE_SMPT__URL", "smtp://127.0.0.1");
    expect_refused(
        crate::process::binary::finish(command, ""),
        3,
        &["VESTIBULE_SMPT__URL"],
    );
    let gone = run(
        installation.directory.path(),
        &["config", "check", "--config", "gone.toml"],
    );
    expect_refused(gone, 3, &["gone.toml"]);
}
