//! The prerequisites of the browser test: Node.js, the packages that `tests/browser/package-lock.json` pins, and
//! Chromium. The test itself is one of `cargo test`; it starts a browser with an empty profile.

use std::path::PathBuf;

use crate::outcome::Outcome;
use crate::{packages, step};

/// An explicit path of the browser; the test reads the same variable.
pub const CHROMIUM_VARIABLE: &str = "VESTIBULE_TEST_CHROMIUM";

/// Set for the tests when everything is present, so that the browser test cannot be skipped silently.
pub const REQUIRE_VARIABLE: &str = "VESTIBULE_TEST_REQUIRE_BROWSER";

/// Finds what is needed; installs it when that can be done without asking anybody. False means that the test will be
/// skipped, and that this was reported.
pub fn find_or_install(may_install: bool) -> Outcome<bool> {
    let missing: Vec<&str> = NEEDED
        .iter()
        .filter(|(programs, _)| !programs.iter().any(|program| packages::is_in_path(program)))
        .filter(|(_, package)| {
            *package != "chromium" || std::env::var_os(CHROMIUM_VARIABLE).is_none()
        })
        .map(|(_, package)| *package)
        .collect();
    packages::install_for_node_test("the browser test", &missing, &folder(), may_install)
}

/// Reported before and after the tests when something is missing.
pub fn absence() -> String {
    format!(
        "ATTENTION: the browser test is SKIPPED: it needs Node.js, Chromium and the packages of tests/browser.\n    \
         To run it: install them (Debian: `apt-get install chromium nodejs npm`), run `npm ci` in tests/browser, and set\n    \
         {CHROMIUM_VARIABLE} if Chromium is not in PATH."
    )
}

fn folder() -> PathBuf {
    step::workspace().join("tests").join("browser")
}

/// Required programs, one of each group, and the package that contains one.
const NEEDED: &[(&[&str], &str)] = &[
    (&["node"], "nodejs"),
    (&["npm"], "npm"),
    (
        &["chromium", "chromium-browser", "google-chrome"],
        "chromium",
    ),
];
