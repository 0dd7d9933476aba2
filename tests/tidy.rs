//! Tidy: an ordinary test that reads the sources and fails where they break a rule of the house.
//!
//! It owns the rules that no compiler checks. This file has those about modules: which may import which, that every file
//! says what it is, that time and randomness come in as values, that the server does not print past `cli::output`, that no file is
//! forgotten, and that SQL stays in the store. The table of layers below *is* the architecture; a new module starts with
//! a line in it. `tidy/` has the rules about import cycles, names, words, sizes and boundaries. What a lint can check is
//! left to `Cargo.toml` and `clippy.toml`. Each rule is a function over the files, with a test that shows it can fail.

use std::collections::{BTreeMap, BTreeSet};

use source::{Source, module_path};

#[path = "tidy/boundaries.rs"]
mod boundaries;
#[path = "tidy/cycles.rs"]
mod cycles;
#[path = "tidy/entries.rs"]
mod entries;
#[path = "tidy/names.rs"]
mod names;
#[path = "tidy/size.rs"]
mod size;
#[path = "tidy/source.rs"]
mod source;
#[path = "tidy/words.rs"]
mod words;

/// The modules of `src/` from the bottom to the top. A file imports from lower layers and from its own module; sideways, from
/// another module of its own layer, only where the layer says so.
const LAYERS: &[Layer] = &[
    Layer {
        name: "0 vocabulary",
        modules: &[
            "moment",
            "refusal",
            "algorithm",
            "captcha_provider",
            "changes",
            "contract",
            "jose",
            "network",
        ],
        sideways: Sideways::Allowed,
    },
    Layer {
        name: "0 vocabulary, sealed",
        modules: &["sealing"],
        sideways: Sideways::Refused,
    },
    Layer {
        name: "1 rules",
        modules: &[
            "captcha",
            "identity",
            "client",
            "verification",
            "token",
            "settings",
            "outgoing",
            "audit",
        ],
        sideways: Sideways::Refused,
    },
    // An effect may count what it does; a rule has nothing to count.
    Layer {
        name: "2 effects, counted",
        modules: &["metrics", "outbound"],
        sideways: Sideways::Refused,
    },
    Layer {
        name: "2 effects",
        modules: &[
            "store",
            "delivery",
            "handler",
            "admission",
            "captcha/verifier",
            "hashing",
        ],
        sideways: Sideways::Refused,
    },
    Layer {
        name: "App, between",
        modules: &["app", "config", "telemetry"],
        sideways: Sideways::Allowed,
    },
    Layer {
        name: "3 stories",
        modules: &["flow", "grant", "admin"],
        sideways: Sideways::Refused,
    },
    Layer {
        name: "4 entry points",
        modules: &["endpoint", "emulator", "worker"],
        sideways: Sideways::Refused,
    },
    // The commands `dev` and `serve` start the other entry points, so they are above them.
    Layer {
        name: "4 entry points, wired",
        modules: &["cli"],
        sideways: Sideways::Refused,
    },
];

/// A layer of the table.
struct Layer {
    name: &'static str,
    /// Files and folders of `src/`; the longer name wins.
    modules: &'static [&'static str],
    sideways: Sideways,
}

/// Whether modules of one layer know each other.
#[derive(PartialEq)]
enum Sideways {
    Allowed,
    Refused,
}

/// The parts of a story that others may call: the tail that all flows share, the head of those with a
/// one-time password, and the head that all grants share.
const SHARED_STORIES: &[&str] = &[
    "flow::addressee",
    "flow::authorization",
    "flow::one_time_password",
    "grant::client_authentication",
    "grant::issue",
];

/// The stories that call others: a first-party login has no flow of its own
/// (docs/decisions/0017-first-party-logins.md).
const STORIES_THAT_CALL_OTHERS: &[&str] = &["flow::first_party"];

/// Ambient time and randomness, by the name that code would use.
const AMBIENT: &[&str] = &[
    "SystemTime::now",
    "Instant::now",
    "OffsetDateTime::now",
    "Timestamp::now",
    "Zoned::now",
    "SystemRandom",
    "rand::fill",
    "getrandom",
    "thread_rng",
];

/// Where they are allowed all the same, and why.
const AMBIENT_ALLOWED: &[(&str, &str, &str)] = &[
    (
        "src/moment.rs",
        "",
        "this is where the clock and the source of randomness come in",
    ),
    (
        "src/token/signing_key.rs",
        "SystemRandom",
        "the signing functions of the library demand a generator",
    ),
];

/// Where SQL is written.
const SQL_ALLOWED: &str = "src/store/";

/// A paragraph that is shorter says nothing.
const PARAGRAPH_CHARACTERS_MIN: usize = 30;

type Files = BTreeMap<String, Source>;

/// `file:line: what is wrong; what to do`.
type Problem = String;

fn problem(file: &Source, line: usize, what: impl std::fmt::Display) -> Problem {
    format!("{}:{line}: {what}", file.path)
}

fn assert_tidy(rule: impl Fn(&Source) -> Vec<Problem>, files: &Files) {
    assert_none(&files.values().flat_map(rule).collect::<Vec<_>>());
}

fn assert_none(problems: &[Problem]) {
    assert!(
        problems.is_empty(),
        "{} problems\n\n{}\n",
        problems.len(),
        problems.join("\n")
    );
}

#[test]
fn imports_point_downwards() {
    let files = source::workspace();
    assert_tidy(imports, &files);
}

#[test]
fn stories_do_not_know_each_other() {
    let files = source::workspace();
    let stories = stories(&files);
    assert_tidy(|file| calls_of_other_stories(file, &stories), &files);
}

#[test]
fn every_file_opens_with_a_paragraph() {
    assert_tidy(paragraph, &source::workspace());
}

#[test]
fn time_and_randomness_come_in_as_values() {
    assert_tidy(ambient, &source::workspace());
}

#[test]
fn the_server_does_not_print() {
    assert_tidy(printing, &source::workspace());
}

#[test]
fn sql_stays_in_the_store() {
    assert_tidy(sql, &source::workspace());
}

#[test]
fn no_file_is_an_orphan() {
    let files = source::workspace();
    let reached = reached(&files);
    assert_tidy(|file| orphan(file, &reached), &files);
}

#[test]
fn a_module_with_files_below_it_is_a_mod_rs() {
    let files = source::workspace();
    assert_tidy(|file| module_style(file, &files), &files);
}

/// The place of a module in the table: the index of its layer, and the module's name.
fn place(path: &[String]) -> Option<(usize, &'static str)> {
    let joined = path.join("/") + "/";
    let modules = LAYERS
        .iter()
        .enumerate()
        .flat_map(|(layer, Layer { modules, .. })| {
            modules.iter().map(move |module| (layer, *module))
        });
    modules
        .filter(|(_, module)| joined.starts_with(&format!("{module}/")))
        .max_by_key(|(_, module)| module.len())
}

fn imports(file: &Source) -> Vec<Problem> {
    let here = module_path(&file.path);
    if !file.path.starts_with("src/") || here.is_empty() {
        return Vec::new();
    }
    let Some((layer, module)) = place(&here) else {
        let what = format!(
            "the module `{}` is not in the table; give it a layer in LAYERS of tests/tidy.rs",
            here[0]
        );
        return vec![problem(file, 1, what)];
    };
    let mut problems = Vec::new();
    for (line, path) in file.named_paths() {
        let Some((named_layer, named_module)) = place(&path) else {
            // A macro or a type of the crate's root says nothing about where it comes from.
            if path
                .first()
                .is_some_and(|name| name.starts_with(char::is_uppercase))
            {
                let what = format!(
                    "`crate::{}` hides its module; name the path with the module",
                    path.join("::")
                );
                problems.push(problem(file, line, what));
            }
            continue;
        };
        let is_sideways = named_layer == layer
            && named_module != module
            && LAYERS[layer].sideways == Sideways::Refused;
        if named_layer > layer || is_sideways {
            let what = format!(
                "`{module}` (layer {}) imports `{}` ({} `{named_module}`, layer {}); hand the value down as an argument, or move \
                 what both need to a lower layer",
                LAYERS[layer].name,
                path.join("::"),
                if is_sideways {
                    "sideways from"
                } else {
                    "upwards from"
                },
                LAYERS[named_layer].name
            );
            problems.push(problem(file, line, what));
        }
    }
    problems
}

/// The files of `flow/` and `grant/` that are stories: `flow::guest`, `grant::refresh_token` …
fn stories(files: &Files) -> BTreeSet<String> {
    let paths = files.keys().map(|path| module_path(path));
    let stories = paths.filter(|path| path.len() > 1 && (path[0] == "flow" || path[0] == "grant"));
    stories.map(|path| path[..2].join("::")).collect()
}

fn calls_of_other_stories(file: &Source, stories: &BTreeSet<String>) -> Vec<Problem> {
    let here = module_path(&file.path);
    if !file.path.starts_with("src/") || here.len() < 2 {
        return Vec::new();
    }
    let own = here[..2].join("::");
    if !stories.contains(&own) || STORIES_THAT_CALL_OTHERS.contains(&own.as_str()) {
        return Vec::new();
    }
    let other = |path: &[String]| {
        let story = path.get(..2)?.join("::");
        (path[0] == here[0]
            && story != own
            && stories.contains(&story)
            && !SHARED_STORIES.contains(&story.as_str()))
        .then_some(story)
    };
    let named = file.named_paths().into_iter();
    let named = named.filter_map(|(line, path)| Some((line, other(&path)?)));
    named
        .map(|(line, story)| {
            let what = format!(
                "`{own}` calls `{story}`; move what both need to `{}/mod.rs` or to a lower layer",
                here[0]
            );
            problem(file, line, what)
        })
        .collect()
}

fn paragraph(file: &Source) -> Vec<Problem> {
    let lines = file.text.lines().map_while(|line| line.strip_prefix("//!"));
    if lines.map(|line| line.trim().len()).sum::<usize>() >= PARAGRAPH_CHARACTERS_MIN {
        return Vec::new();
    }
    let what = "the file does not say what it is; open it with a `//!` paragraph: what it owns, what it leaves to others";
    vec![problem(file, 1, what)]
}

/// Whether code has the name as a whole name, and not as the end or the beginning of a longer one.
fn has_name(line: &str, name: &str) -> bool {
    let is_part = |letter: char| letter.is_alphanumeric() || letter == '_';
    line.match_indices(name).any(|(at, _)| {
        !line[..at].ends_with(is_part)
            && (name.ends_with('!') || !line[at + name.len()..].starts_with(is_part))
    })
}

fn is_library(file: &Source) -> bool {
    file.path.starts_with("src/") || file.path.starts_with("protocol/src/")
}

fn ambient(file: &Source) -> Vec<Problem> {
    let mut problems = Vec::new();
    let allowed = |name: &str| {
        AMBIENT_ALLOWED
            .iter()
            .any(|(path, what, _)| *path == file.path && (what.is_empty() || *what == name))
    };
    for (line, code) in file.lines() {
        for name in AMBIENT
            .iter()
            .filter(|name| has_name(code, name) && !allowed(name))
        {
            if is_library(file) && !file.is_test(line) {
                let what = format!(
                    "`{name}` is ambient; take the moment or the entropy as an argument, from `moment.rs`. If a library leaves no \
                     choice, say why in AMBIENT_ALLOWED of tests/tidy.rs"
                );
                problems.push(problem(file, line, what));
            }
        }
    }
    problems
}

fn printing(file: &Source) -> Vec<Problem> {
    if !is_library(file) {
        return Vec::new();
    }
    let found = file.lines().filter(|(line, _)| !file.is_test(*line));
    let found = found.filter_map(|(line, code)| Some((line, prints(code)?)));
    found
        .map(|(line, name)| {
            problem(
                file,
                line,
                format!("`{name}` in the server; use `tracing`, or `cli::output` for the result of a command"),
            )
        })
        .collect()
}

/// The macro by which a line prints, if it does.
fn prints(code: &str) -> Option<&'static str> {
    ["println!", "print!", "eprintln!", "eprint!", "dbg!"]
        .into_iter()
        .find(|name| has_name(code, name))
}

fn sql(file: &Source) -> Vec<Problem> {
    if !is_library(file) || file.path.starts_with(SQL_ALLOWED) {
        return Vec::new();
    }
    let found = file
        .literals
        .iter()
        .filter(|literal| is_sql(&literal.text) && !file.is_test(literal.line));
    found
        .map(|literal| {
            let what = "SQL outside the store; make it a statement of src/store and call that by its function";
            problem(file, literal.line, what)
        })
        .collect()
}

/// House style writes keywords in upper case, which separates a statement from a sentence.
fn is_sql(text: &str) -> bool {
    let words: Vec<&str> = text
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
        .collect();
    let Some(first) = words.first() else {
        return false;
    };
    let second: &[&str] = match *first {
        "SELECT" | "DELETE" => &["FROM"],
        "INSERT" | "REPLACE" => &["INTO"],
        "UPDATE" => &["SET"],
        "WITH" => &["AS"],
        "CREATE" | "ALTER" | "DROP" => &["TABLE", "INDEX"],
        _ => return false,
    };
    words.iter().any(|word| second.contains(word))
}

/// All files that the compiler sees: the roots of crates and tests, and what their `mod` lines lead to.
fn reached(files: &Files) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    let mut next: Vec<String> = files.keys().filter(|path| is_root(path)).cloned().collect();
    while let Some(path) = next.pop() {
        if let Some(file) = files.get(&path)
            && reached.insert(path)
        {
            next.extend(children(file));
        }
    }
    reached
}

/// What cargo compiles by itself: `lib.rs`, `main.rs`, and single files of `tests`, `benches` and `examples`.
fn is_root(path: &str) -> bool {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let parent = folder.rsplit('/').next().unwrap_or_default();
    let is_target = matches!(parent, "tests" | "benches" | "examples") && !folder.contains("src/");
    is_target || name == "main.rs" || name == "build.rs" || (parent == "src" && name == "lib.rs")
}

/// The files that the `mod` lines of a file may mean.
fn children(file: &Source) -> Vec<String> {
    let (folder, name) = file.path.rsplit_once('/').unwrap_or(("", &file.path));
    let is_front = is_root(&file.path) || name == "mod.rs";
    let below = if is_front {
        folder.to_owned()
    } else {
        file.path.trim_end_matches(".rs").to_owned()
    };
    let texts: Vec<&str> = file.text.lines().collect();
    let mut found = Vec::new();
    for (line, code) in file.lines() {
        let Some(name) = code
            .trim_end()
            .strip_suffix(';')
            .and_then(|code| code.rsplit_once("mod "))
        else {
            continue;
        };
        let inside = file
            .modules
            .iter()
            .filter(|module| module.lines.contains(&line));
        let inside: String = inside.map(|module| format!("/{}", module.name)).collect();
        found.push(format!("{below}{inside}/{}.rs", name.1));
        found.push(format!("{below}{inside}/{}/mod.rs", name.1));
        let above = texts[..line]
            .iter()
            .rev()
            .take_while(|text| text.starts_with("#[") || text.contains("mod "));
        for (_, path) in above.filter_map(|text| text.split_once("#[path = \"")) {
            found.push(format!(
                "{folder}/{}",
                path.split('"').next().unwrap_or_default()
            ));
        }
    }
    found
}

fn module_style(file: &Source, files: &Files) -> Vec<Problem> {
    let folder = file.path.trim_end_matches(".rs");
    let prefix = format!("{folder}/");
    let has_files_below = files.keys().any(|path| path.starts_with(&prefix));
    if is_root(&file.path) || !has_files_below {
        return Vec::new();
    }
    let what = format!("the module has files below it; rename this file to {folder}/mod.rs");
    vec![problem(file, 1, what)]
}

fn orphan(file: &Source, reached: &BTreeSet<String>) -> Vec<Problem> {
    if reached.contains(&file.path) {
        return Vec::new();
    }
    vec![problem(
        file,
        1,
        "no `mod` line leads here, so nothing compiles it; add one, or remove the file",
    )]
}

#[path = "tidy/proof.rs"]
mod proof;
