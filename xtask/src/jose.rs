//! The prerequisites of the test with another JOSE library: Node.js and the package that
//! `tests/jose/package-lock.json` pins.

use std::path::PathBuf;

use crate::outcome::Outcome;
use crate::{packages, step};

/// Set for the tests when everything is present, so that the test cannot be skipped silently.
pub const REQUIRE_VARIABLE: &str = "VESTIBULE_TEST_REQUIRE_JOSE";

/// Finds what is needed; installs it when that can be done without asking anybody. False means that the test will be
/// skipped, and that this was reported.
pub fn find_or_install(may_install: bool) -> Outcome<bool> {
    let missing: Vec<&str> = [("node", "nodejs"), ("npm", "npm")]
        .into_iter()
        .filter(|(program, _)| !packages::is_in_path(program))
        .map(|(_, package)| package)
        .collect();
    let test = "the test with another JOSE library";
    packages::install_for_node_test(test, &missing, &folder(), may_install)
}

/// Reported before and after the tests when something is missing.
pub fn absence() -> String {
    String::from(
        "ATTENTION: the test with another JOSE library is SKIPPED: it needs Node.js and the package of tests/jose.\n    \
         To run it: install Node.js (Debian: `apt-get install nodejs npm`) and run `npm ci` in tests/jose.",
    )
}

fn folder() -> PathBuf {
    step::workspace().join("tests").join("jose")
}
