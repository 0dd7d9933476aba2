//! Running a template: the values that it can use, and its limits.
//!
//! This file owns the engine's environment, the limits on steps and size, and the cleaning of values that
//! unauthenticated callers choose. The wording is left to `words`, the choice of template to the parent.

use std::io;

use minijinja::{AutoEscape, Environment, ErrorKind, context, filters};
use vestibule_protocol::secret::Secret;

use super::super::message::single_line;
use super::{HTML, Language, PART_BYTES_MAX, SUBJECT, TemplateProblem, Variables};

/// An environment with four harmless filters and limits, and nothing else.
pub(super) fn environment() -> Environment<'static> {
    let mut environment = Environment::empty();
    environment.add_filter("default", filters::default);
    environment.add_filter("lower", filters::lower);
    environment.add_filter("trim", filters::trim);
    environment.add_filter("upper", filters::upper);
    environment.set_auto_escape_callback(|name| match name.ends_with(HTML) {
        true => AutoEscape::Html,
        false => AutoEscape::None,
    });
    environment.set_fuel(Some(FUEL));
    // The engine's debug mode would include the values, and thus the code, in its errors.
    environment.set_debug(false);
    environment
}

/// Renders one part. A subject is rendered as one line.
pub(super) fn render_part(
    environment: &Environment<'static>,
    key: &str,
    part: &'static str,
    language: Language,
    values: &Variables,
) -> Result<String, TemplateProblem> {
    let context = context! {
        site_name => single_line(&values.site_name, SITE_NAME_CHARS_MAX),
        code => values.code.as_ref().map(Secret::expose).unwrap_or_default(),
        first_name => values.first_name.as_deref().map(greetable).unwrap_or_default(),
        valid_for => language.duration(values.valid_minutes),
        valid_minutes => values.valid_minutes,
        language => language.tag(),
    };
    let mut capped = Capped {
        bytes: Vec::new(),
        is_full: false,
    };
    let template = environment
        .get_template(key)
        .map_err(|error| problem(part, &error))?;
    let result = template.render_captured_to(context, &mut capped).map(drop);
    if capped.is_full {
        return Err(TemplateProblem::TooLarge);
    }
    result.map_err(|error| problem(part, &error))?;
    let text = String::from_utf8(capped.bytes).expect("a template of text renders text");
    Ok(if part == SUBJECT {
        single_line(&text, SUBJECT_CHARS_MAX)
    } else {
        text
    })
}

/// A first name, if it is safe to use in a greeting; otherwise nothing, and the mail is without a name.
///
/// The recipient of a registration mail need not be the person who typed the name, so the name could be used to send
/// a message of an unauthenticated caller (threat MAIL-03). A name is at most three words of letters. It has no digits (no phone
/// numbers), no punctuation of sentences, and no full stop but that of an abbreviation, in any script: so neither a
/// link nor a sentence can be made of it.
fn greetable(name: &str) -> String {
    let is_short = name.chars().count() <= FIRST_NAME_CHARS_MAX;
    let name = single_line(name, FIRST_NAME_CHARS_MAX);
    let words: Vec<&str> = name.split(' ').filter(|word| !word.is_empty()).collect();
    if is_short && words.len() <= FIRST_NAME_WORDS_MAX && words.iter().all(|word| is_name(word)) {
        name
    } else {
        String::new()
    }
}

/// Whether a word can be a part of a name: letters with their marks, joined by apostrophes, hyphens and middle dots. A
/// full stop may only end it.
fn is_name(word: &str) -> bool {
    let word = word.strip_suffix('.').unwrap_or(word);
    let is_letter = |c: char| c.is_alphabetic() && !c.is_numeric();
    word.starts_with(is_letter) && word.chars().all(|c| is_letter(c) || is_joining(c))
}

/// What joins the letters of a name, or marks one: punctuation, combining marks, and the signs of Indic
/// scripts that are no letters.
fn is_joining(c: char) -> bool {
    matches!(
        c,
        '\'' | '\u{2018}' | '\u{2019}' | '`' | '-' | '\u{2010}' | '\u{2011}' | '\u{b7}' | '\u{30fb}'
            | '\u{300}'..='\u{36f}' | '\u{200c}' | '\u{200d}'
            | '\u{94d}' | '\u{9cd}' | '\u{a4d}' | '\u{acd}' | '\u{b4d}' | '\u{bcd}' | '\u{c4d}' | '\u{ccd}'
            | '\u{d4d}' | '\u{dca}' | '\u{e31}'..='\u{e4e}' | '\u{1039}' | '\u{103a}'
    )
}

/// The engine's error, without the values that it may quote.
pub(super) fn problem(part: &'static str, error: &minijinja::Error) -> TemplateProblem {
    match error.kind() {
        ErrorKind::OutOfFuel => TemplateProblem::OutOfFuel,
        // The kind is a fixed phrase. The detail could quote a value, so it is dropped.
        kind => TemplateProblem::Refused {
            part,
            line: error.line().unwrap_or(1),
            reason: kind.to_string(),
        },
    }
}

/// A buffer with a maximum size, that of a message.
struct Capped {
    bytes: Vec<u8>,
    is_full: bool,
}

impl io::Write for Capped {
    fn write(&mut self, more: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + more.len() > PART_BYTES_MAX {
            self.is_full = true;
            return Err(io::Error::from(io::ErrorKind::FileTooLarge));
        }
        self.bytes.extend_from_slice(more);
        Ok(more.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// First names are shorter; a longer text is not a name.
const FIRST_NAME_CHARS_MAX: usize = 60;
/// First names of more words are rare, and a sentence has more.
const FIRST_NAME_WORDS_MAX: usize = 3;
/// Steps of the engine. The longest built-in mail takes about a hundred.
const FUEL: u64 = 50_000;
const SITE_NAME_CHARS_MAX: usize = 80;
const SUBJECT_CHARS_MAX: usize = 150;
