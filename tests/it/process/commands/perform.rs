//! Flows from the terminal: what `perform` takes for the answer to its own request, and what not.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::Value;
use tempfile::tempdir;

use crate::process::binary::{Launch, run};

#[test]
fn a_code_that_came_earlier_is_not_taken_for_the_new_one() {
    let directory = tempdir().unwrap();
    let mut server = Launch::dev(directory.path()).until_ready();
    let to = "shared@example.com";
    let here = ["--data-dir", "data"];
    for name in ["one", "two", "three"] {
        let username = format!("{name}@example.com");
        let register = [
            "perform",
            "register",
            "--username",
            &username,
            "--email",
            to,
        ];
        run(directory.path(), &[&register[..], &here].concat()).expect_code(0);
    }
    let listed = ["inbox", "list", "--json", "--to", to];
    let messages = run(directory.path(), &[&listed[..], &here].concat()).json();
    assert_eq!(messages["messages"].as_array().unwrap().len(), 3);
    let newest = ["inbox", "wait", "--json", "--to", to];
    let newest = run(directory.path(), &[&newest[..], &here].concat()).json();
    assert_eq!(newest, messages["messages"][2]);

    let late = ["inbox", "wait", "--new", "--seconds", "1", "--to", to];
    run(directory.path(), &[&late[..], &here].concat()).expect_code(5);
    let wait = [
        &[
            "inbox",
            "wait",
            "--new",
            "--json",
            "--seconds",
            "30",
            "--to",
            to,
        ],
        &here[..],
    ];
    let mut child = crate::process::binary::command(directory.path(), &wait.concat())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    stderr.read_line(&mut line).unwrap();
    assert_eq!(line, "waiting\n");
    let register = [
        "perform",
        "register",
        "--username",
        "four@example.com",
        "--email",
        to,
    ];
    run(directory.path(), &[&register[..], &here].concat()).expect_code(0);
    let output = child.wait_with_output().unwrap();
    let came: Value = serde_json::from_slice(&output.stdout).unwrap();
    let known = messages["messages"].as_array().unwrap();
    assert!(known.iter().all(|old| old["id"] != came["id"]), "{came}");
    assert_eq!(came["to"], to);
    server.stop();
}

#[test]
fn a_guest_comes_once_and_again_under_the_same_id() {
    let directory = tempdir().unwrap();
    let mut server = Launch::dev(directory.path()).until_ready();
    let here = ["--data-dir", "data"];
    let guest = |arguments: &[&str]| {
        run(
            directory.path(),
            &[&["perform", "guest"], arguments, &here[..]].concat(),
        )
    };
    let uuid = "6f9619ff-8b86-4d01-b42d-00cf4fc964ff";
    let first = guest(&["--json", "--uvid", uuid]).json();
    assert_eq!(first["claims"]["uvid"], uuid);
    let token = first["tokens"]["access_token"].as_str().unwrap();
    std::fs::write(directory.path().join("token"), token).unwrap();
    let again = guest(&["--token-file", "token"]).expect_code(0);
    let claims: Value = serde_json::from_str(&again.stdout).unwrap();
    assert_eq!(claims["uvid"], uuid);
    assert!(!again.stderr.contains(token), "{}", again.stderr);
    let fresh = guest(&["--json"]).json();
    assert_ne!(fresh["claims"]["uvid"], uuid);
    guest(&["--uvid", "nonsense"]).expect_code(2);
    guest(&["--scope", "openid"]).expect_code(3);
    guest(&["--base-url", "http://127.0.0.1:1"]).expect_code(2);
    server.stop();
}
