//! A first-party app with another JOSE library, against `vestibule dev`: the certificate is registered by
//! command, and the app walks through both authorization challenge endpoints. It is in `tests/jose`.

use std::io::Write;
use std::path::Path;
use std::process::Command;

use tempfile::tempdir;

use super::binary::{Launch, run};
use crate::first_party::mint::registered;

/// Makes missing packages a failure; `cargo xtask test` sets it.
const REQUIRE_VARIABLE: &str = "VESTIBULE_TEST_REQUIRE_JOSE";

#[test]
fn an_app_with_another_jose_library_logs_in_at_both_endpoints() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/jose");
    if !folder.join("node_modules/jose").is_dir() {
        say_what_is_skipped();
        return;
    }
    let directory = tempdir().unwrap();
    let mut server = Launch::dev(directory.path()).until_ready();
    let at = directory.path();
    std::fs::write(at.join("app.pem"), registered().certificate()).unwrap();
    std::fs::write(at.join("app.key"), registered().pkcs8()).unwrap();
    let vestibule = |words: &[&str]| {
        run(at, &[words, &["--data-dir", "data"]].concat()).expect_code(0);
    };
    for (site, captchas) in [
        ("private", &[][..]),
        (
            "public",
            &[
                "--set",
                "doesRegistrationRequireAuth=true",
                "--set",
                "isRecaptchaRequiredRgstr=false",
            ],
        ),
    ] {
        vestibule(&["client", "certificate", "add", site, "--file", "app.pem"]);
        let enable = ["client", "update", site, "--set", "isPkceRequired=true"];
        vestibule(&[&enable[..], &["--set", "isFirstPartyAppEnabled=true"]].concat());
        let allow = [
            "site",
            "update",
            site,
            "--set",
            "isFirstPartyAppsAllowed=true",
        ];
        vestibule(&[&allow[..], captchas].concat());
    }
    let ran = Command::new("node")
        .arg("walk.mjs")
        .current_dir(&folder)
        .env("VESTIBULE_READY", at.join("data/ready.json"))
        .env("APP_KEY", at.join("app.key"))
        .output()
        .expect("node starts");
    let said = String::from_utf8_lossy(&ran.stdout);
    let complaint = String::from_utf8_lossy(&ran.stderr);
    assert!(
        ran.status.success(),
        "{said}\n{complaint}\n{}",
        server.output()
    );
    let steps = said.lines().filter(|line| line.starts_with("ok: ")).count();
    assert_eq!(steps, 13, "{said}");
    server.stop();
}

/// Past the capture of the test harness: a test that is skipped in silence looks like one that ran.
fn say_what_is_skipped() {
    let what = "ATTENTION: the test with another JOSE library is SKIPPED: it needs Node.js and `npm ci` in \
                tests/jose. `cargo xtask test` brings them.";
    assert!(std::env::var_os(REQUIRE_VARIABLE).is_none(), "{what}");
    let _ = writeln!(std::io::stderr(), "{what}");
}
