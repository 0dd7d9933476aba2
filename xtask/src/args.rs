//! The command line, parsed by hand: a few `--name value` options do not justify a parser crate, which would be
//! compiled before the first test on every fresh machine.

use std::str::FromStr;

use crate::outcome::Outcome;

/// The words after the command; each accessor removes its words, and [`Args::finish`] refuses the rest.
#[derive(Debug)]
pub struct Args {
    words: Vec<String>,
    passed_on: Vec<String>,
}

impl Args {
    /// Splits at a lone `--`: the words after it are passed on to another program unread.
    pub fn new(mut words: Vec<String>) -> Self {
        let passed_on = match words.iter().position(|word| word == "--") {
            Some(at) => {
                let tail = words.split_off(at + 1);
                words.pop();
                tail
            }
            None => Vec::new(),
        };
        Self { words, passed_on }
    }

    /// Whether the flag is present.
    pub fn flag(&mut self, name: &str) -> bool {
        let before = self.words.len();
        self.words.retain(|word| word != name);
        self.words.len() < before
    }

    /// The value of `--name value` or `--name=value`, if given.
    pub fn option<T: FromStr>(&mut self, name: &str) -> Outcome<Option<T>> {
        let prefix = format!("{name}=");
        let Some(at) = self
            .words
            .iter()
            .position(|word| word == name || word.starts_with(&prefix))
        else {
            return Ok(None);
        };
        let word = self.words.remove(at);
        let value = match word.strip_prefix(&prefix) {
            Some(value) => value.to_owned(),
            None if at < self.words.len() => self.words.remove(at),
            None => return Err(format!("{name} needs a value").into()),
        };
        match value.parse() {
            Ok(value) => Ok(Some(value)),
            Err(_) => Err(format!("{name} cannot be `{value}`").into()),
        }
    }

    /// The words after `--`.
    pub fn passed_on(&self) -> Vec<String> {
        self.passed_on.clone()
    }

    /// Refuses unknown words: a mistyped option must not be ignored.
    pub fn finish(self) -> Outcome {
        match self.words.first() {
            Some(word) => {
                Err(format!("`{word}` is not understood here; --help shows what is").into())
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(line: &str) -> Args {
        Args::new(line.split_whitespace().map(str::to_owned).collect())
    }

    #[test]
    fn options_are_taken_in_both_spellings() {
        let mut args = args("--seconds 5 --alg=RS256 --json");
        assert_eq!(args.option::<u64>("--seconds").unwrap(), Some(5));
        assert_eq!(
            args.option::<String>("--alg").unwrap().as_deref(),
            Some("RS256")
        );
        assert!(args.flag("--json"));
        args.finish().unwrap();
    }

    #[test]
    fn a_mistyped_option_is_refused() {
        assert!(args("--secnods 5").finish().is_err());
    }

    #[test]
    fn a_value_that_is_missing_or_wrong_is_refused() {
        assert!(args("--seconds").option::<u64>("--seconds").is_err());
        assert!(args("--seconds soon").option::<u64>("--seconds").is_err());
    }

    #[test]
    fn what_follows_two_dashes_is_passed_on_unread() {
        let args = args("-- --json -x");
        assert_eq!(args.passed_on(), ["--json", "-x"]);
        args.finish().unwrap();
    }
}
