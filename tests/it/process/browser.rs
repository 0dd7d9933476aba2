//! A page of another origin in a real browser: registration, both logins and a forgotten password against
//! `vestibule dev`, with nothing but fetch, PKCE and echo. The page and its driver script are in `tests/browser`.

use std::path::{Path, PathBuf};

use tempfile::tempdir;

use super::binary::Launch;
use super::script;

/// The path of the browser, if it is not in `PATH`.
const CHROMIUM_VARIABLE: &str = "VESTIBULE_TEST_CHROMIUM";

/// Makes a missing browser a failure; `cargo xtask test` sets it.
const REQUIRE_VARIABLE: &str = "VESTIBULE_TEST_REQUIRE_BROWSER";

#[test]
fn a_page_of_another_origin_goes_through_every_flow_in_chromium() {
    let folder = script::folder("browser");
    let Some(chromium) = chromium().filter(|_| is_installed(&folder)) else {
        let message = format!(
            "the browser test is SKIPPED: it needs Node.js, Chromium ({CHROMIUM_VARIABLE} or in PATH) \
             and `npm ci` in tests/browser. `cargo xtask test` installs them."
        );
        return script::skip(&message, REQUIRE_VARIABLE);
    };
    let directory = tempdir().unwrap();
    let mut server = Launch::dev(directory.path()).until_ready();
    let data = directory.path().join("data");
    let mut run = script::node(&folder, "run.mjs");
    run.env("VESTIBULE_READY", data.join("ready.json"))
        .env("VESTIBULE_BINARY", env!("CARGO_BIN_EXE_vestibule"))
        .env("VESTIBULE_DATA_DIR", &data)
        .env("VESTIBULE_CHROMIUM", chromium);
    assert_eq!(script::run_steps(run, &server), 8);
    server.stop();
}

fn chromium() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os(CHROMIUM_VARIABLE) {
        return Some(PathBuf::from(named));
    }
    ["chromium", "chromium-browser", "google-chrome"]
        .iter()
        .find_map(|name| in_path(name))
}

fn is_installed(folder: &Path) -> bool {
    in_path("node").is_some() && folder.join("node_modules/playwright-core").is_dir()
}

fn in_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|program| program.is_file())
}
