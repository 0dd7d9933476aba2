//! What `template create` and `template update` are given: files of sources, or one file of everything.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::{Deserialize, Serialize};
use vestibule_protocol::purpose::Purpose;

use crate::admin::template::TemplateParts;
use crate::cli::exit::Exit;
use crate::settings::Template;

/// Where the parts of a template are read from.
#[derive(Args)]
pub struct Sources {
    /// The language of its words: de, en …
    #[arg(long)]
    language: Option<String>,
    /// The subject
    #[arg(long, value_name = "FILE")]
    subject_file: Option<PathBuf>,
    /// The text part
    #[arg(long, value_name = "FILE")]
    text_file: Option<PathBuf>,
    /// The HTML part; a mail needs none
    #[arg(long, value_name = "FILE")]
    html_file: Option<PathBuf>,
    /// A TOML file with flow, language, subject, text and html; options override it
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
}

/// The parts that were given.
#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct GivenTemplate {
    flow: Option<String>,
    language: Option<String>,
    subject: Option<String>,
    text: Option<String>,
    html: Option<String>,
}

impl Sources {
    /// Reads the files.
    pub fn read(&self) -> Result<GivenTemplate, Exit> {
        let mut given = match &self.from {
            None => GivenTemplate::default(),
            Some(path) => toml::from_str(&read(path)?)
                .map_err(|error| Exit::refused(format!("{}: {error}", path.display())))?,
        };
        if self.language.is_some() {
            given.language.clone_from(&self.language);
        }
        for (path, part) in [
            (&self.subject_file, &mut given.subject),
            (&self.text_file, &mut given.text),
            (&self.html_file, &mut given.html),
        ] {
            if let Some(path) = path {
                *part = Some(read(path)?);
            }
        }
        // The line break that editors put at the end of a file does not belong to the subject.
        given.subject = given.subject.map(|subject| subject.trim().to_owned());
        Ok(given)
    }
}

impl GivenTemplate {
    /// The parts of an existing template.
    pub fn of(template: &Template) -> GivenTemplate {
        GivenTemplate {
            flow: Some(template.flow.hyphenated().to_owned()),
            language: Some(template.language.clone()),
            subject: Some(template.subject.clone()),
            text: Some(template.text.clone()),
            html: template.html.clone(),
        }
    }

    /// The language, if it was given.
    pub fn language(&self) -> Option<&str> {
        self.language.as_deref()
    }

    /// The parts that were given, and the others from a model.
    pub fn or(self, model: &GivenTemplate) -> GivenTemplate {
        let model = model.clone();
        GivenTemplate {
            flow: self.flow.or(model.flow),
            language: self.language.or(model.language),
            subject: self.subject.or(model.subject),
            text: self.text.or(model.text),
            html: self.html.or(model.html),
        }
    }

    /// As a file that `--from` reads.
    pub fn to_toml(&self) -> String {
        toml::to_string_pretty(self).unwrap_or_default()
    }

    /// Refuses a change of nothing.
    pub fn expect_some(&self) -> Result<(), Exit> {
        let parts = [&self.language, &self.subject, &self.text, &self.html];
        if parts.into_iter().all(Option::is_none) {
            return Err(Exit::misused(
                "there is nothing to change: give --language, --subject-file, --text-file, --html-file or --from",
            ));
        }
        Ok(())
    }

    /// The parts of a new template, of the flow of the command line if it names one.
    pub fn new_parts(&self, flow: Option<Purpose>) -> Result<TemplateParts, Exit> {
        let parts = self.parts()?;
        let parts = TemplateParts {
            flow: flow.or(parts.flow),
            ..parts
        };
        for (option, is_given) in [
            ("--flow", parts.flow.is_some()),
            ("--language", parts.language.is_some()),
            ("--subject-file", parts.subject.is_some()),
            ("--text-file", parts.text.is_some()),
        ] {
            if !is_given {
                return Err(Exit::misused(format!("a new template needs {option}")));
            }
        }
        Ok(parts)
    }

    /// The parts that were given.
    pub fn parts(&self) -> Result<TemplateParts, Exit> {
        let given = self.clone();
        Ok(TemplateParts {
            flow: self.flow()?,
            language: given.language,
            subject: given.subject,
            text: given.text,
            html: given.html,
        })
    }

    fn flow(&self) -> Result<Option<Purpose>, Exit> {
        let Some(word) = &self.flow else {
            return Ok(None);
        };
        Purpose::parse_hyphenated(word).map(Some).ok_or_else(|| {
            let known = Purpose::ALL.map(Purpose::hyphenated);
            Exit::refused(format!(
                "flow: there is no {word:?}; there are {}",
                known.join(", ")
            ))
        })
    }
}

fn read(path: &Path) -> Result<String, Exit> {
    std::fs::read_to_string(path)
        .map_err(|error| Exit::refused(format!("{}: {error}", path.display())))
}
