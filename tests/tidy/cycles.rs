//! Import cycles inside a module: two files that import each other, directly or through others, are one file in two
//! places. A file may import from its ancestors' `mod.rs`, which declares the files; a name that a `mod.rs` only
//! re-exports counts as an import of the file that defines it.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{Source, expand, module_path};
use super::{Files, Problem, assert_none, is_library, source};

/// Which files a file imports, by their paths.
type Graph<'f> = BTreeMap<&'f str, BTreeSet<&'f str>>;

#[test]
fn the_files_of_a_module_do_not_import_each_other_in_a_circle() {
    assert_none(&cycles(&source::workspace()));
}

fn cycles(files: &Files) -> Vec<Problem> {
    let graph = graph(files);
    let mut problems = Vec::new();
    let mut reported: BTreeSet<&str> = BTreeSet::new();
    for start in graph.keys() {
        if reported.contains(start) {
            continue;
        }
        if let Some(path) = path_back(&graph, start) {
            reported.extend(&path);
            problems.push(format!(
                "{}: these files import each other in a circle; move what both need to a file below them, or make one \
                 file of them",
                [path.as_slice(), &[*start]].concat().join(" -> ")
            ));
        }
    }
    problems
}

/// The shortest way from a file back to itself.
fn path_back<'f>(graph: &Graph<'f>, start: &'f str) -> Option<Vec<&'f str>> {
    let mut ways = vec![vec![start]];
    let mut seen = BTreeSet::new();
    while !ways.is_empty() {
        let mut longer = Vec::new();
        for way in ways {
            let last = way[way.len() - 1];
            for next in graph.get(last).into_iter().flatten() {
                if *next == start {
                    return Some(way);
                }
                if seen.insert(*next) {
                    longer.push([way.as_slice(), &[*next]].concat());
                }
            }
        }
        ways = longer;
    }
    None
}

fn graph(files: &Files) -> Graph<'_> {
    let library = || files.values().filter(|file| is_library(file));
    let by_module: BTreeMap<(&str, Vec<String>), &Source> = library()
        .map(|file| ((root(&file.path), module_path_of(&file.path)), file))
        .collect();
    let mut graph = Graph::new();
    for file in library() {
        let here = module_path_of(&file.path);
        let Some(module) = here.first() else { continue };
        for (line, path) in file.named_paths() {
            let path = below_source(&file.path, path);
            if file.is_test(line) || path.first() != Some(module) {
                continue;
            }
            let Some(target) = definition(&by_module, root(&file.path), &path) else {
                continue;
            };
            let is_ancestor = here.starts_with(&module_path_of(&target.path));
            if target.path != file.path && !is_ancestor {
                let edges = graph.entry(file.path.as_str()).or_default();
                edges.insert(target.path.as_str());
            }
        }
    }
    graph
}

/// The file that defines what a path names: the file of its longest known module or, where that file only re-exports the
/// next name, the file that it comes from.
fn definition<'f>(
    by_module: &BTreeMap<(&str, Vec<String>), &'f Source>,
    root: &str,
    path: &[String],
) -> Option<&'f Source> {
    let (length, file) = (1..=path.len())
        .rev()
        .find_map(|length| Some((length, *by_module.get(&(root, path[..length].to_vec()))?)))?;
    let Some(name) = path.get(length) else {
        return Some(file);
    };
    let from = re_exports(file)
        .into_iter()
        .find(|exported| exported.last() == Some(name));
    let from = from.and_then(|exported| {
        let module = [&path[..length], &exported[..exported.len() - 1]].concat();
        by_module.get(&(root, module)).copied()
    });
    Some(from.unwrap_or(file))
}

/// What a file re-exports from the files below it: `pub use draft::Draft;` is `["draft", "Draft"]`.
fn re_exports(file: &Source) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for statement in file.code.split(';') {
        let Some((before, tree)) = statement.rsplit_once("use ") else {
            continue;
        };
        if before.trim_end().ends_with("pub") || before.trim_end().ends_with(')') {
            expand(tree.trim(), Vec::new(), &mut found);
        }
    }
    found
}

/// Paths are worked out from the file's own place, which for the protocol crate begins with the crate's folder.
fn below_source(file: &str, path: Vec<String>) -> Vec<String> {
    let is_protocol = file.starts_with("protocol/");
    let skipped = ["protocol", "src"];
    if is_protocol && path.iter().take(2).eq(skipped) {
        return path[2..].to_vec();
    }
    path
}

fn root(path: &str) -> &'static str {
    if path.starts_with("protocol/") {
        "protocol"
    } else {
        "src"
    }
}

fn module_path_of(path: &str) -> Vec<String> {
    module_path(path.strip_prefix("protocol/").unwrap_or(path))
}

#[test]
fn a_circle_of_files_is_found() {
    let files = |list: &[(&str, &str)]| -> Files {
        let sources = list.iter();
        let sources = sources.map(|(path, text)| ((*path).to_owned(), Source::new(path, text)));
        sources.collect()
    };
    let circle = files(&[
        ("src/flow/mod.rs", "pub mod a;\npub use c::C;"),
        ("src/flow/a.rs", "use super::b::B;"),
        ("src/flow/b.rs", "use crate::flow::C;"),
        ("src/flow/c.rs", "fn f() { super::a::g() }"),
    ]);
    let problems = cycles(&circle);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(
        problems[0].starts_with("src/flow/a.rs -> src/flow/b.rs -> src/flow/c.rs -> src/flow/a.rs"),
        "{problems:?}"
    );
    let straight = files(&[
        ("src/flow/mod.rs", "mod a;\nmod b;\nuse a::A;"),
        ("src/flow/a.rs", "use super::b::B;\nuse super::Shared;"),
        (
            "src/flow/b.rs",
            "use super::Shared;\nuse crate::store::a::A;",
        ),
        ("src/store/a.rs", "use crate::flow::a::A;"),
        (
            "src/flow/d.rs",
            "#[cfg(test)]\nmod tests {\n    use super::super::e::E;\n}",
        ),
        ("src/flow/e.rs", "use super::d::D;"),
    ]);
    assert_eq!(cycles(&straight), Vec::<Problem>::new());
}
