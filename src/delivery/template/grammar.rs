//! The syntax of a site's custom template.
//!
//! This file owns the one check that runs before such a template is compiled. The engine's language has loops,
//! macros, string repetition and inclusion, with which a few characters of source can allocate gigabytes before any
//! step counter stops them. A message needs none of it, so only these are allowed: a value, a value through a
//! filter, a comparison, `if`, and comments.

/// Checks every tag of a template.
///
/// # Refusals
/// The line (counted from one) and a sentence for its author, for the first tag that is not allowed.
pub(super) fn check(source: &str) -> Result<(), (usize, String)> {
    let mut rest = source;
    while let Some((start, kind)) = next_tag(rest) {
        let line = source[..source.len() - rest.len() + start]
            .matches('\n')
            .count()
            + 1;
        let refuse = |reason: &str| Err((line, reason.to_owned()));
        let inner = &rest[start + 2..];
        let Some(length) = inner.find(kind.end) else {
            return refuse("a tag is not closed");
        };
        if kind.end != "#}" {
            let body = inner[..length].trim_matches(['-', '+']).trim();
            if let Err(reason) = check_tag(body, kind.is_statement) {
                return refuse(&reason);
            }
        }
        rest = &inner[length + 2..];
    }
    Ok(())
}

/// Checks where an HTML part contains the recipient's name. Escaping makes it harmless between tags; inside a tag
/// it could still end an attribute without quotes or begin a `javascript:` link, and in a style it is not escaped
/// at all.
///
/// # Refusals
/// As for [`check`], which must have accepted the source.
pub(super) fn check_places(source: &str) -> Result<(), (usize, String)> {
    let lower = source.to_ascii_lowercase();
    let line_of = |at: usize| source[..at].matches('\n').count() + 1;
    if let Some(at) = lower.find("<script") {
        return Err((line_of(at), "a mail holds no scripts".to_owned()));
    }
    let mut markup = Markup::Outside;
    let mut at = 0;
    while let Some((length, kind)) = next_tag(&source[at..]) {
        let start = at + length;
        markup = markup.after(&source[at..start]);
        let inner = &source[start + 2..];
        let end = inner.find(kind.end).unwrap_or(inner.len());
        let is_name = kind.end == "}}" && inner[..end].contains("first_name");
        let is_in_style = lower[..start].rfind("<style") > lower[..start].rfind("</style");
        if is_name && (is_in_style || !matches!(markup, Markup::Outside)) {
            let reason = "first_name may not stand inside a tag or a style";
            return Err((line_of(start), reason.to_owned()));
        }
        at = (start + 2 + end + 2).min(source.len());
    }
    Ok(())
}

/// The kind of a position in HTML.
#[derive(Clone, Copy)]
enum Markup {
    Outside,
    Tag,
    Quoted(char),
}

impl Markup {
    fn after(self, text: &str) -> Markup {
        let mut next = text.chars().skip(1).map(Some).chain([None]);
        text.chars().fold(self, |markup, c| {
            let is_name = |c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '!');
            let is_opening = next.next().flatten().is_none_or(is_name);
            match (markup, c) {
                (Markup::Outside, '<') if is_opening => Markup::Tag,
                (Markup::Tag, '>') => Markup::Outside,
                (Markup::Tag, '"' | '\'') => Markup::Quoted(c),
                (Markup::Quoted(quote), _) if c == quote => Markup::Tag,
                _ => markup,
            }
        })
    }
}

struct Tag {
    end: &'static str,
    is_statement: bool,
}

fn next_tag(text: &str) -> Option<(usize, Tag)> {
    let (start, _) = text
        .match_indices('{')
        .find(|(at, _)| matches!(text.as_bytes().get(at + 1), Some(b'{' | b'%' | b'#')))?;
    let tag = match text.as_bytes()[start + 1] {
        b'{' => Tag {
            end: "}}",
            is_statement: false,
        },
        b'%' => Tag {
            end: "%}",
            is_statement: true,
        },
        _ => Tag {
            end: "#}",
            is_statement: false,
        },
    };
    Some((start, tag))
}

fn check_tag(body: &str, is_statement: bool) -> Result<(), String> {
    let mut words = tokens(body)?;
    if is_statement {
        if words.is_empty() || !STATEMENTS.contains(&words.remove(0)) {
            return Err("only if, elif, else and endif are allowed here".to_owned());
        }
    } else if words.is_empty() {
        return Err("a value is missing".to_owned());
    }
    for (at, word) in words.iter().enumerate() {
        let follows_pipe = at > 0 && words[at - 1] == "|";
        let is_known = match word.chars().next() {
            Some('a'..='z') if follows_pipe => FILTERS.contains(word),
            Some('a'..='z') => VALUES.contains(word) || OPERATORS.contains(word),
            Some('"' | '\'') => true,
            _ => ["|", "(", ")", "==", "!="].contains(word),
        };
        if !is_known {
            return Err(format!(
                "`{}` is not known here",
                super::single_line(word, 40)
            ));
        }
    }
    Ok(())
}

/// Splits a tag into words, strings and signs. A string may not contain a brace, a percent sign or an escape, so
/// that this check and the engine agree on the end of a tag.
fn tokens(body: &str) -> Result<Vec<&str>, String> {
    let mut found = Vec::new();
    let mut rest = body.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            'a'..='z' | 'A'..='Z' | '_' => rest
                .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .unwrap_or(rest.len()),
            '"' | '\'' => match rest[1..].find(first) {
                Some(inner) => inner + 2,
                None => return Err("a string is not closed".to_owned()),
            },
            '=' | '!' if rest[1..].starts_with('=') => 2,
            _ => first.len_utf8(),
        };
        let (token, after) = rest.split_at(length);
        if matches!(first, '"' | '\'') && token.contains(['{', '}', '%', '#', '\\']) {
            return Err("a string may not hold braces, %, # or a backslash".to_owned());
        }
        found.push(token);
        rest = after.trim_start();
    }
    Ok(found)
}

const FILTERS: [&str; 4] = ["default", "lower", "trim", "upper"];
const OPERATORS: [&str; 3] = ["and", "not", "or"];
const STATEMENTS: [&str; 4] = ["if", "elif", "else", "endif"];
const VALUES: [&str; 6] = [
    "code",
    "first_name",
    "language",
    "site_name",
    "valid_for",
    "valid_minutes",
];
