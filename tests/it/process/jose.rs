//! A first-party app with another JOSE library, against `vestibule dev`: the certificate is registered by a
//! command, and the app uses both authorization challenge endpoints. It is in `tests/jose`.

use tempfile::tempdir;

use super::binary::{Launch, run};
use super::script;
use crate::first_party::mint::registered;

/// Makes missing packages a failure; `cargo xtask test` sets it.
const REQUIRE_VARIABLE: &str = "VESTIBULE_TEST_REQUIRE_JOSE";

#[test]
fn an_app_with_another_jose_library_logs_in_at_both_endpoints() {
    let folder = script::folder("jose");
    if !folder.join("node_modules/jose").is_dir() {
        let message = "the test with another JOSE library is SKIPPED: it needs Node.js and `npm ci` in \
                       tests/jose. `cargo xtask test` installs them.";
        return script::skip(message, REQUIRE_VARIABLE);
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
    let mut walk = script::node(&folder, "walk.mjs");
    walk.env("VESTIBULE_READY", at.join("data/ready.json"))
        .env("APP_KEY", at.join("app.key"));
    assert_eq!(script::run_steps(walk, &server), 13);
    server.stop();
}
