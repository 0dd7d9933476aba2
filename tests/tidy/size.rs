//! The size of functions: one that fits a screen is read at once, and one with few parameters is called without counting.
//! Tests are left out: a long one is a list of cases.

use super::{Problem, Source, assert_tidy, is_library, problem, source};

/// More lines than a screen has.
const LINES_MAX: usize = 80;
/// More parameters than a reader keeps apart.
const PARAMETERS_MAX: usize = 7;

#[test]
fn functions_fit_a_screen() {
    assert_tidy(size, &source::workspace());
}

fn size(file: &Source) -> Vec<Problem> {
    let mut problems = Vec::new();
    let is_read = is_library(file) || file.path.starts_with("xtask/");
    let functions = functions(&file.code).into_iter();
    for function in functions.filter(|function| is_read && !file.is_test(function.line)) {
        let Function {
            name,
            line,
            lines,
            parameters,
        } = function;
        if lines > LINES_MAX {
            let what = format!(
                "`{name}` has {lines} lines, more than {LINES_MAX}; give its second purpose a function of its own"
            );
            problems.push(problem(file, line, what));
        }
        if parameters > PARAMETERS_MAX {
            let what = format!(
                "`{name}` has {parameters} parameters, more than {PARAMETERS_MAX}; those that come together are a struct"
            );
            problems.push(problem(file, line, what));
        }
    }
    problems
}

/// A function with a body.
struct Function<'c> {
    name: &'c str,
    line: usize,
    /// From `fn` to the closing brace.
    lines: usize,
    parameters: usize,
}

fn functions(code: &str) -> Vec<Function<'_>> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        let is_word = !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let rest = &code[at + 3..];
        let name_length = rest
            .find(|c: char| !c.is_alphanumeric() && c != '_')
            .unwrap_or(rest.len());
        if !is_word || name_length == 0 {
            continue;
        }
        let Some((parameters, end)) = parameters(&rest[name_length..]) else {
            continue;
        };
        let body = &rest[name_length + end..];
        let Some(length) = body_length(body) else {
            continue;
        };
        let whole = &code[at..at + 3 + name_length + end + length];
        found.push(Function {
            name: &rest[..name_length],
            line: code[..at].matches('\n').count() + 1,
            lines: whole.matches('\n').count() + 1,
            parameters,
        });
    }
    found
}

/// How many parameters there are, without `self`, and where the list ends.
fn parameters(code: &str) -> Option<(usize, usize)> {
    let open = code.find('(')?;
    let (mut depth, mut count, mut is_empty) = (0_usize, 0, true);
    let mut first = String::new();
    let mut before = ' ';
    for (at, letter) in code[open..].char_indices() {
        match letter {
            '(' | '[' | '{' | '<' => depth += 1,
            '>' if before == '-' || before == '=' => {}
            ')' | ']' | '}' | '>' => depth -= 1,
            ',' if depth == 1 => {
                count += usize::from(!is_empty);
                is_empty = true;
            }
            letter if !letter.is_whitespace() => {
                is_empty = false;
                if count == 0 {
                    first.push(letter);
                }
            }
            _ => {}
        }
        before = letter;
        if depth == 0 {
            count += usize::from(!is_empty);
            let has_self = first
                .trim_start_matches(['&', '\''])
                .trim_start_matches("mut")
                .starts_with("self")
                || first.ends_with("self");
            return Some((count - usize::from(has_self), open + at + 1));
        }
    }
    None
}

/// The length up to the brace that closes the body; `None` for a declaration without one.
fn body_length(code: &str) -> Option<usize> {
    let open = code.find(['{', ';'])?;
    if code[open..].starts_with(';') {
        return None;
    }
    let mut depth = 0_usize;
    for (at, letter) in code[open..].char_indices() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(open + at + 1);
        }
    }
    None
}

#[test]
fn a_function_that_is_too_long_or_takes_too_much_is_found() {
    let long = format!("fn long() {{\n{}}}\n", "    a();\n".repeat(79));
    let fits = format!("fn fits() {{\n{}}}\n", "    a();\n".repeat(78));
    let wide = "fn wide(a: A, b: B<C, D>, c: (E, F), d: G, e: H, f: I, g: J, h: K) -> L {}\n";
    let seven =
        "fn seven(&'a mut self, a: A, b: impl Fn(B, C) -> D, c: E, d: G, e: H, f: I, g: J,) {}\n";
    let declared = "trait T {\n    fn declared(&self);\n}\n";
    let text = [&long, &fits, wide, seven, declared].concat();
    let problems = size(&Source::new("src/x.rs", &text));
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems[0].contains("`long` has 81 lines"), "{problems:?}");
    assert!(
        problems[1].contains("`wide` has 8 parameters"),
        "{problems:?}"
    );
}
