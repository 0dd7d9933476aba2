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

/// A first name, if it is safe to use in a greeting.
///
/// The recipient of a registration mail need not be the person who typed the name, so the name could be used to
/// send advertisements. A name is short, and one that a mail program would turn into a link is left out.
fn greetable(name: &str) -> String {
    let name = single_line(name, FIRST_NAME_CHARS_MAX);
    let lower = name.to_lowercase();
    let has_domain = lower
        .split(|c: char| !c.is_alphanumeric() && c != '.' && c != '-')
        .any(|word| {
            word.rsplit_once('.').is_some_and(|(host, ending)| {
                !host.is_empty() && ending.len() >= 2 && ending.chars().all(char::is_alphabetic)
            })
        });
    if has_domain || lower.contains("://") || lower.contains("www.") || lower.contains('@') {
        return String::new();
    }
    name
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
/// Steps of the engine. The longest built-in mail takes about a hundred.
const FUEL: u64 = 50_000;
const SITE_NAME_CHARS_MAX: usize = 80;
const SUBJECT_CHARS_MAX: usize = 150;
