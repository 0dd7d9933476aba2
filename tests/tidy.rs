//! Tidy: an ordinary test that reads the sources and fails where they leave the house order.
//!
//! It owns the rules that no compiler checks: which room may import which, that every file says what it is, that time and
//! randomness come in as values, that only command line tools print, that no file is forgotten and that SQL stays in the
//! store. The table of rooms below *is* the architecture; a new room starts with a line in it. What a lint can say is left to
//! `Cargo.toml` and `clippy.toml`. Each rule is a function over one file, with a test that shows it can fail.

use std::collections::{BTreeMap, BTreeSet};

use source::{Source, module_path};

#[path = "tidy/source.rs"]
mod source;

/// The rooms of `src/` from the bottom to the top. A file imports from lower rows and from its own room; sideways, from
/// another room of its own row, only where the row says so.
const ROWS: &[Row] = &[
    Row {
        name: "0 words",
        rooms: &[
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
    Row {
        name: "0 words, sealed",
        rooms: &["sealing"],
        sideways: Sideways::Refused,
    },
    Row {
        name: "1 rules",
        rooms: &[
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
    // Whoever acts may count; a rule has nothing to count.
    Row {
        name: "2 effects, counted",
        rooms: &["metrics", "outbound"],
        sideways: Sideways::Refused,
    },
    Row {
        name: "2 effects",
        rooms: &[
            "store",
            "delivery",
            "handler",
            "admission",
            "captcha/verifier",
            "hashing",
        ],
        sideways: Sideways::Refused,
    },
    Row {
        name: "App, between",
        rooms: &["app", "config", "telemetry"],
        sideways: Sideways::Allowed,
    },
    Row {
        name: "3 stories",
        rooms: &["flow", "grant", "admin"],
        sideways: Sideways::Refused,
    },
    Row {
        name: "4 doors",
        rooms: &["endpoint", "emulator", "worker"],
        sideways: Sideways::Refused,
    },
    // The commands `dev` and `serve` wire the doors together, so they stand above them.
    Row {
        name: "4 doors, wired",
        rooms: &["cli"],
        sideways: Sideways::Refused,
    },
];

/// A row of the table.
struct Row {
    name: &'static str,
    /// Files and folders of `src/`; the longer name wins.
    rooms: &'static [&'static str],
    sideways: Sideways,
}

/// Whether rooms of one row know each other.
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

/// The stories that are told by another door and call the others: a first-party login has no flow of its
/// own (docs/decisions/0017-first-party-logins.md).
const STORIES_BY_ANOTHER_DOOR: &[&str] = &["flow::first_party"];

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

/// Where they may stand all the same, and why.
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

/// Where printing is the purpose.
const PRINTING_ALLOWED: &[&str] = &["src/cli/", "src/main.rs", "xtask/"];

/// Where SQL stands.
const SQL_ALLOWED: &str = "src/store/";

/// Where the shape of an error is named: a route states it, `answer` writes it, and `refusal` maps a reason to it.
const SHAPE_ALLOWED: &[&str] = &[
    "src/endpoint/answer.rs",
    "src/endpoint/mod.rs",
    "src/refusal/mod.rs",
];

/// A paragraph that is shorter says nothing.
const PARAGRAPH_CHARACTERS_MIN: usize = 30;

type Files = BTreeMap<String, Source>;

/// `file:line: what is wrong; what to do`.
type Problem = String;

fn problem(file: &Source, line: usize, what: impl std::fmt::Display) -> Problem {
    format!("{}:{line}: {what}", file.path)
}

fn assert_tidy(rule: impl Fn(&Source) -> Vec<Problem>, files: &Files) {
    let problems: Vec<Problem> = files.values().flat_map(rule).collect();
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
    assert_tidy(|file| strangers(file, &stories), &files);
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
fn only_command_line_tools_print() {
    assert_tidy(printing, &source::workspace());
}

#[test]
fn sql_stays_in_the_store() {
    assert_tidy(sql, &source::workspace());
}

#[test]
fn the_shape_of_an_error_is_stated_by_its_route() {
    assert_tidy(shape, &source::workspace());
}

#[test]
fn commands_leave_the_database_to_the_operations() {
    assert_tidy(store_in_commands, &source::workspace());
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

/// The place of a module in the table: the index of its row, and the room's name.
fn place(path: &[String]) -> Option<(usize, &'static str)> {
    let joined = path.join("/") + "/";
    let rooms = ROWS
        .iter()
        .enumerate()
        .flat_map(|(row, Row { rooms, .. })| rooms.iter().map(move |room| (row, *room)));
    rooms
        .filter(|(_, room)| joined.starts_with(&format!("{room}/")))
        .max_by_key(|(_, room)| room.len())
}

fn imports(file: &Source) -> Vec<Problem> {
    let here = module_path(&file.path);
    if !file.path.starts_with("src/") || here.is_empty() {
        return Vec::new();
    }
    let Some((row, room)) = place(&here) else {
        let what = format!(
            "the room `{}` is not in the table; give it a row in ROWS of tests/tidy.rs",
            here[0]
        );
        return vec![problem(file, 1, what)];
    };
    let mut problems = Vec::new();
    for (line, path) in file.named_paths() {
        let Some((named_row, named_room)) = place(&path) else {
            // A macro or a type of the crate's root says nothing about where it comes from.
            if path
                .first()
                .is_some_and(|name| name.starts_with(char::is_uppercase))
            {
                let what = format!(
                    "`crate::{}` hides its room; name the path with the room",
                    path.join("::")
                );
                problems.push(problem(file, line, what));
            }
            continue;
        };
        let is_sideways =
            named_row == row && named_room != room && ROWS[row].sideways == Sideways::Refused;
        if named_row > row || is_sideways {
            let what = format!(
                "`{room}` (row {}) imports `{}` ({} `{named_room}`, row {}); hand the value down as an argument, or move \
                 what both need to a lower row",
                ROWS[row].name,
                path.join("::"),
                if is_sideways {
                    "sideways from"
                } else {
                    "upwards from"
                },
                ROWS[named_row].name
            );
            problems.push(problem(file, line, what));
        }
    }
    problems
}

/// The files of `flow/` and `grant/` that tell a story: `flow::guest`, `grant::refresh_token` …
fn stories(files: &Files) -> BTreeSet<String> {
    let paths = files.keys().map(|path| module_path(path));
    let stories = paths.filter(|path| path.len() > 1 && (path[0] == "flow" || path[0] == "grant"));
    stories.map(|path| path[..2].join("::")).collect()
}

fn strangers(file: &Source, stories: &BTreeSet<String>) -> Vec<Problem> {
    let here = module_path(&file.path);
    if !file.path.starts_with("src/") || here.len() < 2 {
        return Vec::new();
    }
    let own = here[..2].join("::");
    if !stories.contains(&own) || STORIES_BY_ANOTHER_DOOR.contains(&own.as_str()) {
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
                "`{own}` calls `{story}`; move what both need to `{}/mod.rs` or to a lower row",
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
    let what = "the file does not say what it is; open it with a `//!` paragraph: what it owns, what it leaves to whom";
    vec![problem(file, 1, what)]
}

/// Whether code has the name as a name of its own, and not as the end or the beginning of a longer one.
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
    let is_allowed = PRINTING_ALLOWED
        .iter()
        .any(|place| file.path.starts_with(place));
    if is_allowed || !is_library(file) {
        return Vec::new();
    }
    let prints = |code: &str| {
        ["println!", "print!", "eprintln!", "eprint!", "dbg!"]
            .into_iter()
            .find(|name| has_name(code, name))
    };
    let found = file.lines().filter(|(line, _)| !file.is_test(*line));
    let found = found.filter_map(|(line, code)| Some((line, prints(code)?)));
    found
        .map(|(line, name)| {
            problem(
                file,
                line,
                format!("`{name}` outside src/cli; use `tracing`"),
            )
        })
        .collect()
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

fn shape(file: &Source) -> Vec<Problem> {
    if !file.path.starts_with("src/") || SHAPE_ALLOWED.contains(&file.path.as_str()) {
        return Vec::new();
    }
    let found = file.lines().filter(|(_, code)| has_name(code, "Shape"));
    found
        .map(|(line, _)| {
            let what = "`Shape` outside the routes; return a `Failure`, and the dispatcher writes it in the shape of the route";
            problem(file, line, what)
        })
        .collect()
}

/// Commands read arguments and print results. Rules and reads of the database are administrative operations.
fn store_in_commands(file: &Source) -> Vec<Problem> {
    if !file.path.starts_with("src/cli/") {
        return Vec::new();
    }
    let named = file.named_paths().into_iter();
    let of_store = named.filter(|(_, path)| path.first().is_some_and(|module| module == "store"));
    of_store
        .map(|(line, path)| {
            let what = format!(
                "a command names `{}`; make it an operation of src/admin and call that",
                path.join("::")
            );
            problem(file, line, what)
        })
        .collect()
}

/// House style writes keywords in upper case, which tells a statement from a sentence.
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
