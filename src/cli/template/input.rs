//! What `template create` and `template update` are given: files of sources, or one file of everything.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::{Deserialize, Serialize};

use super::flow_word;
use crate::cli::place::Exit;
use crate::delivery::template::Templates;
use crate::moment::Moment;
use crate::settings::{Template, TemplateFlow};

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
    /// A TOML file with flow, language, subject, text and html; what is on the command line stands over it
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
}

/// The parts that were given.
#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Given {
    flow: Option<String>,
    language: Option<String>,
    subject: Option<String>,
    text: Option<String>,
    html: Option<String>,
}

impl Sources {
    /// Reads the files.
    pub fn read(&self) -> Result<Given, Exit> {
        let mut given = match &self.from {
            None => Given::default(),
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
        // The line break that editors put at the end of a file is none of the subject's.
        given.subject = given.subject.map(|subject| subject.trim().to_owned());
        Ok(given)
    }
}

impl Given {
    /// The parts of a template that there is.
    pub fn of(template: &Template) -> Given {
        Given {
            flow: Some(flow_word(template.flow)),
            language: Some(template.language.clone()),
            subject: Some(template.subject.clone()),
            text: Some(template.text.clone()),
            html: template.html.clone(),
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
                "nothing is to be changed: give --language, --subject-file, --text-file, --html-file or --from",
            ));
        }
        Ok(())
    }

    /// A new template, checked.
    pub fn new_template(
        self,
        name: String,
        flow: Option<TemplateFlow>,
        at: Moment,
    ) -> Result<Template, Exit> {
        let flow = match flow {
            Some(flow) => Some(flow),
            None => self.flow()?,
        };
        let lacking = |part: &str| Exit::misused(format!("a new template needs {part}"));
        let template = Template {
            name,
            flow: flow.ok_or_else(|| lacking("--flow"))?,
            language: self.language.ok_or_else(|| lacking("--language"))?,
            subject: self.subject.ok_or_else(|| lacking("--subject-file"))?,
            text: self.text.ok_or_else(|| lacking("--text-file"))?,
            html: self.html,
            created_at: at,
            updated_at: at,
        };
        checked(template)
    }

    /// A template that there is, with the parts that were given, checked.
    pub fn applied_to(&self, template: Template, at: Moment) -> Result<Template, Exit> {
        if self.flow()?.is_some_and(|flow| flow != template.flow) {
            return Err(Exit::refused(format!(
                "{:?} belongs to {}, and that cannot be changed",
                template.name,
                flow_word(template.flow)
            )));
        }
        let given = self.clone();
        checked(Template {
            language: given.language.unwrap_or(template.language),
            subject: given.subject.unwrap_or(template.subject),
            text: given.text.unwrap_or(template.text),
            html: given.html.or(template.html),
            updated_at: at,
            ..template
        })
    }

    fn flow(&self) -> Result<Option<TemplateFlow>, Exit> {
        let Some(word) = &self.flow else {
            return Ok(None);
        };
        let known = TemplateFlow::ALL.into_iter();
        let found = known.clone().find(|flow| flow_word(*flow) == *word);
        found.map(Some).ok_or_else(|| {
            let known: Vec<String> = known.map(flow_word).collect();
            Exit::refused(format!(
                "flow: there is no {word:?}; there are {}",
                known.join(", ")
            ))
        })
    }
}

fn checked(template: Template) -> Result<Template, Exit> {
    template.check_names().map_err(Exit::refused)?;
    let (subject, text) = (&template.subject, &template.text);
    Templates::compile_custom(&template.language, subject, text, template.html.as_deref())
        .map_err(|problem| Exit::refused(problem.to_string()))?;
    Ok(template)
}

fn read(path: &Path) -> Result<String, Exit> {
    std::fs::read_to_string(path)
        .map_err(|error| Exit::refused(format!("{}: {error}", path.display())))
}
