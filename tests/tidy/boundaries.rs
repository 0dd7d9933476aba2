//! Names that stop at a boundary: the command line does not speak to the store, its exit codes do not leave it, and the
//! shapes of error answers are known to endpoints alone.

use super::{Files, Problem, Source, assert_tidy, has_name, is_library, problem, source};

/// A name, the only places that may use it, and what others do instead.
struct Boundary {
    name: &'static str,
    allowed: &'static [&'static str],
    instead: &'static str,
}

const BOUNDARIES: &[Boundary] = &[
    Boundary {
        name: "Exit",
        allowed: &["src/cli/"],
        instead: "return a refusal or a fault, and let src/cli turn it into an exit code",
    },
    Boundary {
        name: "Shape",
        allowed: &[
            "src/endpoint/",
            "src/refusal/",
            "src/refusal.rs",
            "protocol/",
        ],
        instead: "return the failure; the dispatcher of src/endpoint writes it in the shape of the route",
    },
];

#[test]
fn names_stay_inside_their_boundaries() {
    assert_tidy(boundaries, &source::workspace());
}

#[test]
fn the_command_line_does_not_speak_to_the_store() {
    assert_tidy(store_in_cli, &source::workspace());
}

#[test]
fn every_allowed_place_uses_its_name() {
    let files = source::workspace();
    for Boundary { name, allowed, .. } in BOUNDARIES {
        let is_used = allowed.iter().any(|place| is_used_in(&files, place, name));
        assert!(
            is_used,
            "no place that may name `{name}` does; remove the entry from BOUNDARIES"
        );
    }
}

fn is_used_in(files: &Files, place: &str, name: &str) -> bool {
    let mut below = files.values().filter(|file| file.path.starts_with(place));
    below.any(|file| file.lines().any(|(_, code)| has_name(code, name)))
}

fn boundaries(file: &Source) -> Vec<Problem> {
    let mut problems = Vec::new();
    for Boundary {
        name,
        allowed,
        instead,
    } in BOUNDARIES
    {
        if !is_library(file) || allowed.iter().any(|place| file.path.starts_with(place)) {
            continue;
        }
        for (line, code) in file.lines() {
            if has_name(code, name) && !file.is_test(line) {
                let what = format!("`{name}` does not belong here; {instead}");
                problems.push(problem(file, line, what));
            }
        }
    }
    problems
}

fn store_in_cli(file: &Source) -> Vec<Problem> {
    if !file.path.starts_with("src/cli/") {
        return Vec::new();
    }
    let named = file.named_paths().into_iter();
    let named = named.filter(|(line, path)| {
        path.first().is_some_and(|module| module == "store") && !file.is_test(*line)
    });
    named
        .map(|(line, path)| {
            let what = format!(
                "the command line names `{}`; make it an operation of src/admin, which writes the audit event, and call \
                 that",
                path.join("::")
            );
            problem(file, line, what)
        })
        .collect()
}

#[test]
fn a_name_outside_its_boundary_is_found() {
    let found = |path: &str, text: &str| boundaries(&Source::new(path, text)).len();
    assert_eq!(found("src/app/mod.rs", "fn f() -> Exit {}"), 1);
    assert_eq!(found("src/flow/guest.rs", "let a = Shape::OAuth;"), 1);
    assert_eq!(found("src/cli/mod.rs", "fn f() -> Exit {}"), 0);
    assert_eq!(found("src/app/mod.rs", "// Exit\nfn f() -> ExitCode {}"), 0);
}

#[test]
fn the_store_in_a_command_is_found() {
    let found = |path: &str, text: &str| store_in_cli(&Source::new(path, text)).len();
    assert_eq!(
        found("src/cli/site.rs", "use crate::store::{self, Store};"),
        2
    );
    assert_eq!(found("src/cli/site.rs", "use crate::admin::site;"), 0);
    assert_eq!(found("src/admin/site.rs", "use crate::store;"), 0);
}
