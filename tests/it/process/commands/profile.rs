//! Profiles by command: the policy that is set is the policy that holds.

use serde_json::json;
use tempfile::tempdir;

use crate::process::binary::{Launch, run};

#[test]
fn a_policy_that_is_set_holds_at_the_next_registration() {
    let directory = tempdir().unwrap();
    let mut server = Launch::dev(directory.path()).until_ready();
    let data = ["--data-dir", "data", "--json"];
    let profile =
        |arguments: &[&str]| run(directory.path(), &[&["profile"], arguments, &data].concat());

    let listed = profile(&["list"]).json();
    assert_eq!(listed["profiles"].as_array().unwrap().len(), 2);
    let made = profile(&["create", "Partner", "--set", "minimumPasswordLength=30"]).json();
    assert_eq!(made["password_policy"]["minimumPasswordLength"], json!(30));
    profile(&["create", "Partner"]).expect_code(3);
    profile(&["show", "Unknown"]).expect_code(4);

    for (change, word) in [
        ("minimumPasswordLength=3", "minimumPasswordLength"),
        ("minimumPasswordLength=long", "minimumPasswordLength"),
        ("passwordExpiration=7", "passwordExpiration"),
        ("noSuchRule=1", "noSuchRule"),
    ] {
        let refused = profile(&["update", "Customer", "--set", change]).expect_code(3);
        assert!(refused.stderr.contains(word), "{}", refused.stderr);
    }
    let shown = profile(&["show", "Customer"]).json();
    assert_eq!(shown["password_policy"]["minimumPasswordLength"], json!(8));

    server.app().register("ada@example.com");
    let updated = profile(&["update", "Customer", "--set", "minimumPasswordLength=40"]).json();
    assert_eq!(
        updated["password_policy"]["minimumPasswordLength"],
        json!(40)
    );
    let register = ["perform", "register", "--data-dir", "data"];
    let refused = (0..20).find_map(|_| {
        let ran = run(directory.path(), &register);
        (ran.code == 3).then_some(ran.stderr)
    });
    let refused = refused.expect("the running server takes the policy over within a second or so");
    assert!(
        refused.contains("password_policy_check_failure"),
        "{refused}"
    );
    server.stop();
}

#[test]
fn a_level_that_is_none_is_refused_instead_of_logging_nothing() {
    let directory = tempdir().unwrap();
    let config = directory.path().join("vestibule.toml");
    for (text, word) in [
        ("[log]\nlevel = \"loud\"\n", "[log] level"),
        ("[smtp]\ntimeout_seconds = 0\n", "[smtp] timeout_seconds"),
        ("[hashing]\nthreads = 1000000\n", "[hashing] threads"),
    ] {
        std::fs::write(&config, text).unwrap();
        let refused = run(
            directory.path(),
            &["config", "check", "--config", "vestibule.toml"],
        )
        .expect_code(3);
        assert!(refused.stderr.contains(word), "{}", refused.stderr);
    }
}
