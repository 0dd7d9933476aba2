//! One name, one type: a reader who searches for a type finds one definition in the server and the protocol crate.

use std::collections::BTreeMap;

use super::{Files, Problem, Source, assert_none, is_library, problem, source};

/// Names that several files may define, and why.
const SHARED_NAMES: &[(&str, &str)] = &[
    (
        "Arguments",
        "each command of src/cli has its own, read by the parser of the command line",
    ),
    ("Action", "the subcommands of a noun of src/cli"),
];

#[test]
fn a_type_name_is_defined_once() {
    assert_none(&types_twice(&source::workspace()));
}

#[test]
fn every_shared_name_is_shared() {
    let files = source::workspace();
    let defined = defined(&files);
    for (name, _) in SHARED_NAMES {
        assert!(
            defined.get(name).is_some_and(|places| places.len() > 1),
            "`{name}` is defined once or not at all; remove it from SHARED_NAMES of tests/tidy/names.rs"
        );
    }
}

fn types_twice(files: &Files) -> Vec<Problem> {
    let is_shared = |name: &str| SHARED_NAMES.iter().any(|(shared, _)| *shared == name);
    let mut problems = Vec::new();
    for (name, places) in defined(files) {
        if places.len() < 2 || is_shared(name) {
            continue;
        }
        let others: Vec<String> = places[1..]
            .iter()
            .map(|(file, line)| format!("{}:{line}", file.path))
            .collect();
        let (file, line) = places[0];
        let what = format!(
            "the type name `{name}` is defined again at {}; give each a name that says whose it is",
            others.join(", ")
        );
        problems.push(problem(file, line, what));
    }
    problems
}

/// The types of the libraries, by name.
fn defined(files: &Files) -> BTreeMap<&str, Vec<(&Source, usize)>> {
    let mut found: BTreeMap<&str, Vec<(&Source, usize)>> = BTreeMap::new();
    for file in files.values().filter(|file| is_library(file)) {
        for (line, code) in file.lines() {
            if !file.is_test(line)
                && let Some(name) = type_name(code)
            {
                found.entry(name).or_default().push((file, line));
            }
        }
    }
    found
}

/// The name that a line defines: `pub struct Draft {` is `Draft`. Associated types of an `impl` are no definitions.
fn type_name(code: &str) -> Option<&str> {
    let is_inside = code.starts_with("    ");
    let mut words = code.split_whitespace().peekable();
    if words
        .peek()
        .is_some_and(|word| *word == "pub" || word.starts_with("pub("))
    {
        words.next();
    }
    match words.next()? {
        "struct" | "enum" | "trait" | "union" => {}
        "type" if !is_inside => {}
        _ => return None,
    }
    let name = words.next()?;
    let end = name.find(|c: char| !c.is_alphanumeric() && c != '_');
    Some(&name[..end.unwrap_or(name.len())])
}

#[test]
fn a_type_name_that_is_used_twice_is_found() {
    let list = [
        ("src/a.rs", "pub struct Draft {\n}\nenum Only {}"),
        (
            "src/b.rs",
            "pub(crate) enum Draft<'a> {}\n#[cfg(test)]\nmod tests {\n    struct Only;\n}",
        ),
        (
            "src/c.rs",
            "impl Tr for X {\n    type Only = u8;\n}\nstruct Arguments;",
        ),
        ("src/cli/d.rs", "struct Arguments;"),
        ("xtask/src/e.rs", "struct Draft;"),
    ];
    let files: Files = list
        .iter()
        .map(|(path, text)| ((*path).to_owned(), Source::new(path, text)))
        .collect();
    let problems = types_twice(&files);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].starts_with("src/a.rs:1: "), "{problems:?}");
    assert!(problems[0].contains("src/b.rs:1"), "{problems:?}");
}
