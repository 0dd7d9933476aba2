//! Sources as the tidy rules see them: code without its comments and texts, the texts apart, and the paths that the code
//! names. This is no Rust parser; it knows just enough of the language not to take a comment for code.

use std::collections::BTreeMap;
use std::path::Path;

/// A text in the code, and where it starts.
#[derive(Debug, PartialEq)]
pub struct Literal {
    pub line: usize,
    pub text: String,
}

/// One file, read once for all rules.
#[derive(Debug)]
pub struct Source {
    /// From the root of the workspace, with forward slashes.
    pub path: String,
    pub text: String,
    /// The text with comments and the insides of literals blanked; the lines are the same.
    pub code: String,
    pub literals: Vec<Literal>,
    /// The modules written inside this file, outer ones first.
    pub modules: Vec<Module>,
}

impl Source {
    pub fn new(path: &str, text: &str) -> Self {
        let (code, literals) = lex(text);
        let modules = modules(&code);
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
            code,
            literals,
            modules,
        }
    }

    /// Lines of code, numbered from one.
    pub fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.code
            .lines()
            .enumerate()
            .map(|(index, line)| (index + 1, line))
    }

    /// Whether a line belongs to tests: a file of them, or a module behind `#[cfg(test)]`.
    pub fn is_test(&self, line: usize) -> bool {
        self.path.ends_with("/tests.rs")
            || self.path.contains("/tests/")
            || self
                .modules
                .iter()
                .any(|module| module.is_test && module.lines.contains(&line))
    }

    /// What the code names below `crate::`, with `super::` worked out: `[["moment", "Moment"], …]` and lines.
    pub fn named_paths(&self) -> Vec<(usize, Vec<String>)> {
        let mut found = Vec::new();
        let (mut line, mut counted_to) = (1, 0);
        for (at, _) in self.code.match_indices("::") {
            let before = &self.code[..at];
            line += self.code[counted_to..at].matches('\n').count();
            counted_to = at;
            let word = last_word(before);
            let start = at - word.len();
            if self.code[..start].ends_with("::") {
                continue;
            }
            let base = match word {
                "crate" => Vec::new(),
                "super" => {
                    let mut here = module_path(&self.path);
                    here.extend(
                        self.modules
                            .iter()
                            .filter(|m| m.lines.contains(&line))
                            .map(|m| m.name.clone()),
                    );
                    here
                }
                _ => continue,
            };
            let mut paths = Vec::new();
            expand(&self.code[start..], base, &mut paths);
            found.extend(paths.into_iter().map(|path| (line, path)));
        }
        found
    }
}

/// A module that is written inside a file.
#[derive(Clone, Debug)]
pub struct Module {
    pub name: String,
    pub is_test: bool,
    pub lines: std::ops::Range<usize>,
}

/// The place of a file in its crate: `src/flow/guest.rs` is `["flow", "guest"]`.
pub fn module_path(path: &str) -> Vec<String> {
    let inside = path.strip_prefix("src/").unwrap_or(path);
    let inside = inside.strip_suffix(".rs").unwrap_or(inside);
    let mut parts: Vec<String> = inside.split('/').map(str::to_owned).collect();
    if parts
        .last()
        .is_some_and(|last| matches!(last.as_str(), "mod" | "lib" | "main"))
    {
        parts.pop();
    }
    parts
}

/// Every Rust file of the workspace.
pub fn workspace() -> BTreeMap<String, Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = BTreeMap::new();
    for folder in ["src", "tests", "benches", "examples", "protocol", "xtask"] {
        collect(root, &root.join(folder), &mut found);
    }
    found
}

fn collect(root: &Path, folder: &Path, found: &mut BTreeMap<String, Source>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.expect("a folder of the workspace can be read").path();
        if path.is_dir() {
            if path
                .file_name()
                .is_some_and(|name| name != "target" && name != "node_modules")
            {
                collect(root, &path, found);
            }
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            let name = path
                .strip_prefix(root)
                .expect("it was found below the root");
            let name = name.to_string_lossy().replace('\\', "/");
            let text = std::fs::read_to_string(&path).expect("a source is text");
            found.insert(name.clone(), Source::new(&name, &text));
        }
    }
}

/// The modules written inside a file, outer ones first.
fn modules(code: &str) -> Vec<Module> {
    let mut found = Vec::new();
    let mut open: Vec<(Module, usize)> = Vec::new();
    let mut depth = 0_usize;
    let mut line = 1;
    for (at, letter) in code.char_indices() {
        match letter {
            '\n' => line += 1,
            '{' => {
                depth += 1;
                if let Some((name, is_test)) = module_before(&code[..at]) {
                    let module = Module {
                        name,
                        is_test,
                        lines: line..usize::MAX,
                    };
                    open.push((module, depth));
                }
            }
            '}' => {
                if open
                    .last()
                    .is_some_and(|(_, opened_at)| *opened_at == depth)
                {
                    let (mut module, _) = open.pop().expect("just looked at");
                    module.lines.end = line + 1;
                    found.push(module);
                }
                depth = depth.saturating_sub(1);
            }
            _ => {}
        }
    }
    found.sort_by_key(|module| module.lines.start);
    found
}

/// Whether the code before a brace is `mod name`, and whether only tests see it.
fn module_before(code: &str) -> Option<(String, bool)> {
    let head = code.trim_end();
    let name = last_word(head);
    let before = head[..head.len() - name.len()].trim_end();
    if name.is_empty() || last_word(before) != "mod" {
        return None;
    }
    let statement = &before[before.rfind([';', '}', '{']).map_or(0, |at| at + 1)..];
    Some((
        name.to_owned(),
        statement.contains("#[cfg(test)]") || statement.contains("#[cfg(all(test"),
    ))
}

/// Follows a path or a tree of paths (`a::{b, c::d}`), from `crate` or `super` on.
pub fn expand(code: &str, base: Vec<String>, found: &mut Vec<Vec<String>>) {
    let mut path = base;
    let mut rest = code;
    loop {
        let word: String = rest
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect();
        rest = &rest[word.len()..];
        match word.as_str() {
            "" => break,
            "crate" => path.clear(),
            "self" => {}
            "super" => drop(path.pop()),
            _ => path.push(word),
        }
        let Some(next) = rest.trim_start().strip_prefix("::") else {
            break;
        };
        rest = next.trim_start();
        if let Some(group) = rest.strip_prefix('{') {
            for item in items(group) {
                expand(item.trim(), path.clone(), found);
            }
            return;
        }
    }
    found.push(path);
}

/// The comma-separated items of a group, up to its closing brace.
fn items(group: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let (mut depth, mut start) = (0, 0);
    for (at, letter) in group.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            '}' => {
                found.push(&group[start..at]);
                break;
            }
            ',' if depth == 0 => {
                found.push(&group[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    found.retain(|item| !item.trim().is_empty());
    found
}

fn last_word(code: &str) -> &str {
    let start = code.rfind(|c: char| !c.is_alphanumeric() && c != '_');
    &code[start.map_or(0, |at| {
        at + code[at..].chars().next().map_or(1, char::len_utf8)
    })..]
}

/// Blanks comments and the insides of literals, and sets the texts apart.
fn lex(text: &str) -> (String, Vec<Literal>) {
    let letters: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut literals = Vec::new();
    let (mut at, mut line) = (0, 1);
    while at < letters.len() {
        let length = match skipped(&letters[at..], code.chars().next_back()) {
            None => {
                line += usize::from(letters[at] == '\n');
                code.push(letters[at]);
                at += 1;
                continue;
            }
            Some(Skipped::Comment(length)) => length,
            Some(Skipped::Literal(length, inside)) => {
                literals.push(Literal {
                    line,
                    text: letters[at..][inside].iter().collect(),
                });
                length
            }
        };
        line += letters[at..at + length]
            .iter()
            .filter(|letter| **letter == '\n')
            .count();
        code.extend(
            letters[at..at + length]
                .iter()
                .map(|letter| if *letter == '\n' { '\n' } else { ' ' }),
        );
        at += length;
    }
    (code, literals)
}

enum Skipped {
    Comment(usize),
    Literal(usize, std::ops::Range<usize>),
}

/// What starts here and is not code: how long it is and, for a literal, where its inside is.
fn skipped(rest: &[char], before: Option<char>) -> Option<Skipped> {
    let is_in_word = before.is_some_and(|letter| letter.is_alphanumeric() || letter == '_');
    match rest {
        ['/', '/', ..] => Some(Skipped::Comment(
            rest.iter()
                .position(|letter| *letter == '\n')
                .unwrap_or(rest.len()),
        )),
        ['/', '*', ..] => Some(Skipped::Comment(block_comment(rest))),
        ['"', ..] => {
            let end = closing(rest, 1, '"');
            Some(Skipped::Literal(end + 1, 1..end))
        }
        ['r', '"' | '#', ..] | ['b' | 'c', 'r', '"' | '#', ..]
            if !is_in_word || before == Some('b') =>
        {
            raw(rest)
        }
        ['\'', '\\', ..] => Some(Skipped::Comment(closing(rest, 1, '\'') + 1)),
        ['\'', _, '\'', ..] => Some(Skipped::Comment(3)),
        _ => None,
    }
}

fn block_comment(rest: &[char]) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        match &rest[at..] {
            ['/', '*', ..] => (depth, at) = (depth + 1, at + 2),
            ['*', '/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at.min(rest.len())
}

/// The index of the closing quote, with escapes skipped.
fn closing(rest: &[char], from: usize, quote: char) -> usize {
    let mut at = from;
    while at < rest.len() && rest[at] != quote {
        at += if rest[at] == '\\' { 2 } else { 1 };
    }
    at.min(rest.len() - 1)
}

/// `r"…"` and `r#"…"#`; `r#name` is a name and not a literal.
fn raw(rest: &[char]) -> Option<Skipped> {
    let prefix = rest.iter().position(|letter| *letter == 'r')? + 1;
    let hashes = rest[prefix..]
        .iter()
        .take_while(|letter| **letter == '#')
        .count();
    let start = prefix + hashes + 1;
    if rest.get(start - 1) != Some(&'"') {
        return None;
    }
    let end = (start..rest.len()).find(|at| {
        rest[*at] == '"'
            && rest[at + 1..]
                .iter()
                .take(hashes)
                .filter(|letter| **letter == '#')
                .count()
                == hashes
    })?;
    Some(Skipped::Literal(end + 1 + hashes, start..end))
}

#[test]
fn comments_and_texts_are_no_code() {
    let text = "a(\"x // \\\" y\"); // b\n/* c /* d */ e */ f('\\'', 'g', \"h\\\"\"); r#\"i\"j\"#; fn k<'l>() {}\n";
    let source = Source::new("src/x.rs", text);
    let words: Vec<&str> = source
        .code
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    assert_eq!(words, ["a", "f", "fn", "k", "l"]);
    let texts: Vec<(usize, &str)> = source
        .literals
        .iter()
        .map(|literal| (literal.line, literal.text.as_str()))
        .collect();
    assert_eq!(texts, [(1, "x // \\\" y"), (2, "h\\\""), (2, "i\"j")]);
}

#[test]
fn paths_are_worked_out_through_groups_and_modules() {
    let text = "use crate::{a::B, c::{self, d::E}};\nuse super::f;\nmod g {\n    use super::h;\n    use super::super::i;\n}\n";
    let named = Source::new("src/room/story.rs", text).named_paths();
    let named: Vec<(usize, String)> = named
        .into_iter()
        .map(|(line, path)| (line, path.join("::")))
        .collect();
    let wanted = [
        "a::B",
        "c",
        "c::d::E",
        "room::f",
        "room::story::h",
        "room::i",
    ];
    assert_eq!(
        named
            .iter()
            .map(|(_, path)| path.as_str())
            .collect::<Vec<_>>(),
        wanted
    );
    assert_eq!(
        named.iter().map(|(line, _)| *line).collect::<Vec<_>>(),
        [1, 1, 1, 2, 4, 5]
    );
}

#[test]
fn tests_are_recognised() {
    let source = Source::new(
        "src/x.rs",
        "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\nfn c() {}\n",
    );
    assert_eq!(
        [1, 4, 6].map(|line| source.is_test(line)),
        [false, true, false]
    );
    assert!(Source::new("src/room/tests.rs", "").is_test(1));
}
