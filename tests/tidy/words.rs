//! Retired words: house words that a reader with average English has to decode. The rule reads everything that people read:
//! comments, names, texts and help of the sources, and the documents.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Problem, assert_none, source};

/// A word that is not used any more, and the words of the field in its place.
const RETIRED: &[(&str, &str)] = &[
    ("knock", "send a request"),
    ("door", "endpoint, or login method"),
    ("stranger", "unauthenticated caller"),
    ("nobody", "name the subject: no user, an unknown user"),
    ("somebody", "name the subject: a user, a caller"),
    ("whoever", "name the subject: the caller, the client"),
    ("whom", "name the object: the user, the client"),
    ("comer", "subject"),
    ("told", "disclosed, reported, logged, returned"),
    ("tell", "disclose, report, log, return"),
    ("proven", "verified"),
    ("held", "locked out, kept"),
    ("besides", "also"),
    ("travel", "is sent, is passed"),
    ("stands", "is, is defined"),
];

/// Texts in which a retired word is the right one, and why.
const ALLOWED: &[(&str, &str)] = &[
    ("Nobody from", "a mail to a user, in everyday words"),
    ("nobody else can", "a mail to a user, in everyday words"),
    (
        "has not proven the registrant's",
        "an `apex_error`, which is sent to apps",
    ),
    ("user=nobody", "a user of Unix"),
    ("held_until", "a column of the database"),
    (
        "what the caller is told",
        "the heading of docs/reference/errors.md, which stays as it is",
    ),
];

/// Files that say which words are retired, or that are kept as they were written.
const LEFT_OUT: &[&str] = &["tests/tidy/words.rs"];

#[test]
fn no_retired_word_is_used() {
    assert_none(&retired(&texts()));
}

#[test]
fn every_allowed_text_is_there() {
    let texts = texts();
    for (allowed, _) in ALLOWED {
        let is_used = texts.values().any(|text| text.contains(allowed));
        assert!(
            is_used,
            "no file has {allowed:?}; remove it from ALLOWED of tests/tidy/words.rs"
        );
    }
}

/// What people read, by its path: the sources, the scripts and the documents of the workspace.
fn texts() -> BTreeMap<String, String> {
    let mut texts: BTreeMap<String, String> = source::workspace()
        .into_iter()
        .map(|(path, file)| (path, file.text))
        .collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for folder in ["", "docs", "tests", "src"] {
        documents(root, &root.join(folder), &mut texts, !folder.is_empty());
    }
    texts.retain(|path, _| !LEFT_OUT.contains(&path.as_str()));
    texts
}

fn documents(root: &Path, folder: &Path, found: &mut BTreeMap<String, String>, is_deep: bool) {
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.expect("a folder of the workspace can be read").path();
        if path.is_dir() && is_deep && !path.ends_with("node_modules") {
            documents(root, &path, found, is_deep);
        } else if path
            .extension()
            .is_some_and(|kind| ["md", "js", "mjs", "ts"].iter().any(|read| kind == *read))
        {
            let name = path
                .strip_prefix(root)
                .expect("it was found below the root");
            let name = name.to_string_lossy().replace('\\', "/");
            let text = std::fs::read_to_string(&path).expect("a document is text");
            found.insert(name, text);
        }
    }
}

fn retired(texts: &BTreeMap<String, String>) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (path, text) in texts {
        for (number, line) in text.lines().enumerate() {
            let read = ALLOWED.iter().fold(line.to_owned(), |line, (allowed, _)| {
                line.replace(allowed, "")
            });
            for word in words(&read) {
                if let Some((_, instead)) =
                    RETIRED.iter().find(|(retired, _)| is_form(&word, retired))
                {
                    let number = number + 1;
                    problems.push(format!(
                        "{path}:{number}: `{word}` is retired; write: {instead}"
                    ));
                }
            }
        }
    }
    problems
}

/// The words of a line in lower case; names of code are taken apart: `is_block_told`, `NobodyKnows`.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = ' ';
    for letter in line.chars() {
        if !letter.is_alphabetic() || (letter.is_uppercase() && before.is_lowercase()) {
            words.push(String::new());
        }
        if letter.is_alphabetic() {
            let word = words.last_mut().expect("there is always one");
            word.extend(letter.to_lowercase());
        }
        before = letter;
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Whether a word is a retired one or a form of it.
fn is_form(word: &str, retired: &str) -> bool {
    let Some(ending) = word.strip_prefix(retired) else {
        return false;
    };
    ["", "s", "ed", "ing", "led", "ling"].contains(&ending)
}

#[test]
fn a_retired_word_is_found_in_prose_and_in_names() {
    let found = |text: &str| {
        let texts = BTreeMap::from([(String::from("docs/a.md"), text.to_owned())]);
        retired(&texts)
    };
    for text in [
        "Nobody is there.",
        "let is_block_told = true;",
        "struct NobodyKnows;",
        "The stranger's door",
    ] {
        assert!(!found(text).is_empty(), "{text}");
    }
    assert_eq!(found("The stranger's door").len(), 2);
    assert!(
        found("\nfine\nIt tells")
            .first()
            .is_some_and(|one| one.starts_with("docs/a.md:3: "))
    );
    assert_eq!(
        found("a storyteller outdoors, understands standstill"),
        Vec::<Problem>::new()
    );
}
