//! What all commands share: versions, help, errors, exit codes, the environment and the output.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::process::Stdio;

use serde_json::Value;
use tempfile::tempdir;

use super::{expect_refused, with_site_and_client};
use crate::process::binary::run;
use crate::process::serve::Installation;

#[test]
fn the_version_and_completions_need_no_installation() {
    let directory = tempdir().unwrap();
    let version = run(directory.path(), &["version", "--json"]).json();
    assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
    let text = run(directory.path(), &["version"]).expect_code(0).stdout;
    assert!(
        text.starts_with(&format!("vestibule {}", env!("CARGO_PKG_VERSION"))),
        "{text}"
    );
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = run(directory.path(), &["completions", shell])
            .expect_code(0)
            .stdout;
        for word in ["perform", "rotate-secret", "isready"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    assert_eq!(
        std::fs::read_dir(directory.path()).unwrap().count(),
        0,
        "nothing was made"
    );
}

#[test]
fn a_wrong_command_line_ends_with_2_and_help_with_0() {
    let directory = tempdir().unwrap();
    for wrong in [
        &["sing"][..],
        &[],
        &["site"],
        &["site", "update"],
        &["site", "update", "x"],
        &["client", "update", "x"],
        &["completions", "bash", "--json"],
        &["user", "list", "--data-dir", "d", "--config", "f.toml"],
        &["inbox", "list", "--config", "f.toml"],
        &["perform", "register", "--config", "f.toml"],
        &["perform", "register", "--client-id", "x"],
        &["perform", "register", "--base-url", "http://127.0.0.1:1"],
        &["perform", "register", "--method", "sms"],
        &["perform", "register", "--method", "pigeon"],
        &["isready", "--wait", "-1"],
        &["inbox", "wait", "--to", "a@example.com", "--seconds", "0"],
        &["user", "list", "--limit", "201"],
        &["site", "update", "x", "--set", "a=b", "--from", "f"],
        &[
            "user",
            "create",
            "a@example.com",
            "--last-name",
            "A",
            "--integration",
            "--password-file",
            "-",
        ],
    ] {
        run(directory.path(), wrong).expect_code(2);
    }
    let help = run(directory.path(), &["--help"]).expect_code(0).stdout;
    assert!(help.contains("Exit codes:"), "{help}");
}

#[test]
fn an_error_is_json_when_json_was_asked_for() {
    let directory = tempdir().unwrap();
    for (command, code, word) in [
        (&["site", "list"][..], 4, "no installation"),
        (
            &["config", "check", "--config", "gone.toml"],
            3,
            "gone.toml",
        ),
        (&["inbox", "list"], 4, "vestibule dev"),
        (&["isready"], 5, "not ready"),
        (&["site", "update", "x"], 2, "--base-url"),
        (&["completions", "bash"], 2, "--json"),
        (
            &["site", "list", "--data-dir", "d", "--config", "f"],
            2,
            "--data-dir and --config",
        ),
    ] {
        let ran = run(directory.path(), &[command, &["--json"]].concat()).expect_code(code);
        assert_eq!((ran.stdout.as_str(), ran.stderr.lines().count()), ("", 1));
        let error: Value = serde_json::from_str(&ran.stderr).unwrap();
        assert_eq!(error["code"], code, "{ran:?}");
        assert!(error["error"].as_str().unwrap().contains(word), "{ran:?}");
        let plain = run(directory.path(), command);
        assert!(
            code == 2 || plain.stderr.starts_with("vestibule: "),
            "{plain:?}"
        );
    }
    let help = run(directory.path(), &["site", "--help", "--json"]).expect_code(0);
    assert!(help.stdout.contains("Usage:"), "{help:?}");
}

#[test]
fn an_option_takes_precedence_over_the_variable_of_the_other_option() {
    let installation = Installation::new("sqlite:vestibule.db", "");
    let list = |arguments: &[&str], variables: &[(&str, &str)]| {
        let mut command = crate::process::binary::command(installation.directory.path(), arguments);
        command.envs(variables.iter().copied());
        crate::process::binary::finish(command, "")
    };
    installation.run(&["migrate", "up"]).expect_code(0);
    let config = ("VESTIBULE_CONFIG", "vestibule.toml");
    let data_dir = ("VESTIBULE_DATA_DIR", "elsewhere");
    let by_option = ["user", "list", "--config", "vestibule.toml"];
    list(&by_option, &[data_dir]).expect_code(0);
    list(&["user", "list"], &[config]).expect_code(0);
    let other = ["user", "list", "--data-dir", "other"];
    expect_refused(list(&other, &[config]), 4, &["other/vestibule.db"]);
}

#[test]
fn no_command_takes_a_secret_as_an_argument() {
    let directory = tempdir().unwrap();
    for (command, options) in [
        (
            &["user", "create", "a@example.com", "--last-name", "A"][..],
            &["--password", "--pass"][..],
        ),
        (&["client", "create", "a"], &["--secret", "--client-secret"]),
        (&["perform", "register"], &["--password", "--code", "--otp"]),
        (&["serve"], &["--master-key", "--smtp-password"]),
        (&["dev"], &["--master-key", "--admin-token"]),
    ] {
        for option in options {
            run(directory.path(), &[command, &[*option, "hunter2"]].concat()).expect_code(2);
        }
    }
}

#[test]
fn without_an_installation_a_command_ends_with_4_and_makes_none() {
    let directory = tempdir().unwrap();
    for command in [
        &["site", "list"][..],
        &["client", "list"],
        &["user", "list"],
        &["inbox", "list"],
        &["perform", "register"],
        &["backup", "copy.db"],
    ] {
        let ran = run(directory.path(), command);
        expect_refused(ran, 4, &["vestibule dev"]);
    }
    assert_eq!(
        std::fs::read_dir(directory.path()).unwrap().count(),
        0,
        "nothing was made"
    );
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let installation = with_site_and_client("sqlite:vestibule.db");
    let closed = || {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        writer
    };
    for arguments in [
        &["user", "list"][..],
        &["site", "list", "--json"],
        &["config", "print"],
        &["migrate", "plan"],
        &["completions", "bash"],
        &["version"],
    ] {
        let all = [arguments, &["--config", "vestibule.toml"]].concat();
        let mut command = crate::process::binary::command(installation.directory.path(), &all);
        let output = command
            .stdout(closed())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
            .wait_with_output()
            .unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        assert!(output.stderr.is_empty(), "{arguments:?}: {output:?}");
    }
    // A refusal has its exit code even where the output is closed.
    let mut command = crate::process::binary::command(
        installation.directory.path(),
        &["site", "show", "x", "--config", "vestibule.toml"],
    );
    let status = command.stdout(closed()).stderr(closed()).status().unwrap();
    assert_eq!(status.code(), Some(4));
}

#[cfg(target_os = "linux")]
#[test]
fn an_output_that_takes_nothing_is_a_failure() {
    let directory = tempdir().unwrap();
    let full = std::fs::File::options().write(true).open("/dev/full");
    let mut command = crate::process::binary::command(directory.path(), &["version"]);
    let output = command
        .stdout(full.unwrap())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
        .wait_with_output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
}

#[test]
fn an_environment_that_is_not_utf_8_and_a_closed_output_stop_no_command() {
    let directory = tempdir().unwrap();
    let foreign = |arguments: &[&str]| {
        let mut command = crate::process::binary::command(directory.path(), arguments);
        command
            .env(OsStr::from_bytes(b"F\xffREIGN"), "x")
            .env("FOREIGN", OsStr::from_bytes(b"\xff"));
        command
    };
    crate::process::binary::finish(foreign(&["config", "print"]), "").expect_code(0);
    let mut command = foreign(&["config", "print"]);
    command.env("VESTIBULE_SMTP__FROM", OsStr::from_bytes(b"a\xff"));
    let ran = crate::process::binary::finish(command, "");
    expect_refused(ran, 3, &["VESTIBULE_SMTP__FROM", "UTF-8"]);

    let (reader, closed) = std::io::pipe().unwrap();
    drop(reader);
    let free = ["--listen", "127.0.0.1:0", "--management", "127.0.0.1:0"];
    let dev = [&["dev", "--ready-file", "ready.json"], &free[..]].concat();
    let mut child = foreign(&dev)
        .stdout(closed)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let ready = directory.path().join("ready.json");
    crate::process::binary::eventually(crate::process::binary::PATIENCE, "the ready file", || {
        assert!(child.try_wait().unwrap().is_none(), "it ended early");
        ready.exists().then_some(())
    });
    let server: Value = serde_json::from_slice(&std::fs::read(&ready).unwrap()).unwrap();
    let address = server["management_url"].as_str().unwrap();
    run(directory.path(), &["isready", "--management", address]).expect_code(0);
    let id = child.id().to_string();
    let mut signal = std::process::Command::new("kill");
    let sent = signal.args(["-s", "INT", &id]).status().unwrap();
    assert!(sent.success());
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_wrong_value_in_the_environment_is_not_repeated() {
    let directory = tempdir().unwrap();
    for (variable, word) in [
        (
            "VESTIBULE_HASHING__QUEUE",
            "[hashing] queue takes a whole number",
        ),
        ("VESTIBULE_SMTP__PASSWORD", "password_file"),
        ("VESTIBULE_LOG__FORMAT", "\"json\" or \"pretty\""),
    ] {
        let mut command = crate::process::binary::command(directory.path(), &["config", "check"]);
        command.env(variable, "s3cretvalue");
        let ran = crate::process::binary::finish(command, "");
        assert!(!ran.stderr.contains("s3cret"), "{ran:?}");
        expect_refused(ran, 3, &[word]);
    }
}
