//! Finding or installing the PostgreSQL server binaries. The tests start temporary clusters; they need only a
//! folder with `initdb` and `postgres`. A cluster of the system is never used.

use std::path::{Path, PathBuf};

use crate::outcome::Outcome;
use crate::packages;

/// An explicit path of the folder; the tests read the same variable.
pub const BIN_VARIABLE: &str = "VESTIBULE_TEST_POSTGRES_BIN";

/// Set for the tests when the binaries are present, so that no test can skip its PostgreSQL part silently.
pub const REQUIRE_VARIABLE: &str = "VESTIBULE_TEST_REQUIRE_POSTGRES";

/// Finds the binaries; installs them when no confirmation is needed.
///
/// `None` means that the tests will run on SQLite alone, and that this was reported.
pub fn find_or_install(may_install: bool) -> Outcome<Option<PathBuf>> {
    if let Some(bin) = find()? {
        return Ok(Some(bin));
    }
    if may_install && packages::install("PostgreSQL", &["postgresql"])? {
        return match find()? {
            Some(bin) => Ok(Some(bin)),
            None => Err("PostgreSQL was installed, and yet no `initdb` was found".into()),
        };
    }
    Ok(None)
}

/// Reported before and after the tests when there is no PostgreSQL.
pub fn absence() -> String {
    format!(
        "ATTENTION: PostgreSQL is not on this machine. The tests that need it are SKIPPED; all others run on SQLite.\n    \
         To run them: install the server binaries (Debian, Ubuntu: `apt-get install postgresql`; macOS: `brew install\n    \
         postgresql`; Fedora: `dnf install postgresql-server`), or set {BIN_VARIABLE} to the folder with `initdb` in it."
    )
}

fn find() -> Outcome<Option<PathBuf>> {
    if let Some(named) = std::env::var_os(BIN_VARIABLE) {
        let named = PathBuf::from(named);
        if has_server(&named) {
            return Ok(Some(named));
        }
        return Err(format!(
            "{BIN_VARIABLE} is {}, but there is no `initdb` with a `postgres` there",
            named.display()
        )
        .into());
    }
    let mut found: Vec<(u32, PathBuf)> = Vec::new();
    for (parent, below) in PLACES {
        for entry in std::fs::read_dir(parent).into_iter().flatten().flatten() {
            let bin = entry.path().join(below);
            if has_server(&bin) {
                found.push((major(&entry.file_name().to_string_lossy()), bin));
            }
        }
    }
    // The newest of several is used, as for a new installation.
    if let Some((_, bin)) = found.into_iter().max() {
        return Ok(Some(bin));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    Ok(std::env::split_paths(&path).find(|folder| has_server(folder)))
}

/// `15`, `pgsql-15` and `postgresql@15` are all fifteen.
fn major(name: &str) -> u32 {
    let digits: String = name
        .chars()
        .skip_while(|c| !c.is_ascii_digit())
        .take_while(char::is_ascii_digit)
        .collect();
    digits.parse().unwrap_or(0)
}

fn has_server(bin: &Path) -> bool {
    bin.join("initdb").is_file() && bin.join("postgres").is_file()
}

/// Folders with one folder per version, and the path of the binaries below it.
const PLACES: &[(&str, &str)] = &[
    ("/usr/lib/postgresql", "bin"),
    ("/usr", "bin"),
    ("/opt/homebrew/opt", "bin"),
    ("/usr/local/opt", "bin"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_from_a_folder_name() {
        assert_eq!(major("15"), 15);
        assert_eq!(major("pgsql-16"), 16);
        assert_eq!(major("postgresql@17"), 17);
        assert_eq!(major("postgresql"), 0);
    }
}
