//! Entries of the tables that match nothing any more: an exception for a file that is gone, or that no longer needs it, hides
//! the next fault that happens to match it.

use super::{
    AMBIENT, AMBIENT_ALLOWED, Files, LAYERS, SHARED_STORIES, assert_none, has_name, is_library,
    module_path, source,
};

#[test]
fn every_entry_matches_something() {
    assert_none(&unmatched(&source::workspace()));
}

fn unmatched(files: &Files) -> Vec<String> {
    let mut problems = Vec::new();
    for module in LAYERS.iter().flat_map(|layer| layer.modules) {
        let is_there = files.keys().any(|path| {
            let path = format!("{}/", module_path(path).join("/"));
            path.starts_with(&format!("{module}/"))
        });
        if !is_there {
            problems.push(format!(
                "LAYERS: there is no module `{module}` any more; remove it"
            ));
        }
    }
    for (path, allowed, _) in AMBIENT_ALLOWED {
        let names = AMBIENT
            .iter()
            .filter(|name| allowed.is_empty() || *name == allowed);
        let is_needed = files.get(*path).is_some_and(|file| {
            names.into_iter().any(|name| {
                let mut lines = file.lines();
                lines.any(|(line, code)| has_name(code, name) && !file.is_test(line))
            })
        });
        if !is_needed {
            problems.push(format!(
                "AMBIENT_ALLOWED: {path} needs no exception for {allowed:?}; remove it"
            ));
        }
    }
    for story in SHARED_STORIES {
        let path: Vec<&str> = story.split("::").collect();
        let is_named = files.values().filter(|file| is_library(file)).any(|file| {
            let here = module_path(&file.path);
            !here.iter().take(2).eq(path.iter())
                && here.first().is_some_and(|module| module == path[0])
                && here.len() > 1
                && file
                    .named_paths()
                    .iter()
                    .any(|(_, named)| named.iter().take(2).eq(path.iter()))
        });
        if !is_named {
            problems.push(format!(
                "SHARED_STORIES: no other story calls `{story}`; remove it"
            ));
        }
    }
    problems
}

#[test]
fn an_entry_that_matches_nothing_is_found() {
    let problems = unmatched(&Files::new());
    let count = LAYERS
        .iter()
        .map(|layer| layer.modules.len())
        .sum::<usize>()
        + AMBIENT_ALLOWED.len()
        + SHARED_STORIES.len();
    assert_eq!(problems.len(), count, "{problems:?}");
}
