//! `vestibule template list|show|create|update|delete|preview|send`: mails in words of one's own.
//!
//! What a command takes is read in `template/input.rs`; how a mail is tried out stands in `template/trial.rs`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::place::{Exit, Installation, Place};
use super::resolve;
use crate::refusal::Fault;
use crate::settings::{Site, Template, TemplateFlow};
use crate::store::{self, Transaction};

mod input;
mod trial;

use input::Sources;

/// Shows and changes the templates of mails.
#[derive(Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// All templates, the built-in ones too
    List,
    /// One template with its sources, as `--from` reads it
    Show {
        /// Developer name: folder/Name
        template: String,
    },
    /// Make a template
    Create {
        /// Developer name, such as 'unfiled$public/Welcome'
        name: String,
        /// The flow that its words belong to
        #[arg(long, value_enum)]
        flow: Option<Flow>,
        #[command(flatten)]
        sources: Sources,
    },
    /// Change language or sources; a running server has them within a second
    Update {
        /// Developer name
        template: String,
        #[command(flatten)]
        sources: Sources,
    },
    /// Remove a template that no site names
    Delete {
        /// Developer name
        template: String,
    },
    /// Print the mail with sample values
    Preview {
        /// Developer name
        template: String,
        /// Write the HTML part into this file
        #[arg(long, value_name = "FILE")]
        html: Option<PathBuf>,
        /// The language of a built-in one
        #[arg(long, default_value = "en")]
        language: String,
    },
    /// Send the mail with a sample code, through the relay or into the inbox
    Send {
        /// Developer name
        template: String,
        /// Who gets it
        #[arg(long, value_name = "ADDRESS")]
        to: String,
        /// How long to wait for a running server, where there is no relay
        #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=60))]
        seconds: u64,
        /// The language of a built-in one
        #[arg(long, default_value = "en")]
        language: String,
    },
}

/// The flows that mail a code.
#[derive(Clone, Copy, ValueEnum)]
enum Flow {
    Registration,
    PasswordlessLogin,
    ForgotPassword,
}

impl Flow {
    fn of(self) -> TemplateFlow {
        match self {
            Flow::Registration => TemplateFlow::Registration,
            Flow::PasswordlessLogin => TemplateFlow::PasswordlessLogin,
            Flow::ForgotPassword => TemplateFlow::ForgotPassword,
        }
    }
}

/// The flow as the command line and a file write it.
fn flow_word(flow: TemplateFlow) -> String {
    flow.as_str().replace('_', "-")
}

/// Runs it.
pub async fn run(place: &Place, arguments: Arguments) -> Result<(), Exit> {
    let installation = place.open().await?;
    match arguments.action {
        Action::List => list(place, &installation).await,
        Action::Show { template } => print(place, &find(&installation, &template).await?),
        Action::Create {
            name,
            flow,
            sources,
        } => {
            let given = sources.read()?;
            let flow = flow.map(Flow::of);
            let template = given.new_template(name, flow, installation.clock.now())?;
            create(place, &installation, template).await
        }
        Action::Update { template, sources } => {
            let given = sources.read()?;
            given.expect_some()?;
            update(place, &installation, (template, given)).await
        }
        Action::Delete { template } => delete(place, &installation, template).await,
        Action::Preview {
            template,
            html,
            language,
        } => {
            let mail = trial::Mail::find(&installation, &template, &language).await?;
            mail.preview(place, &installation, html.as_deref()).await
        }
        Action::Send {
            template,
            to,
            seconds,
            language,
        } => {
            let mail = trial::Mail::find(&installation, &template, &language).await?;
            mail.send(place, &installation, &to, seconds).await
        }
    }
}

async fn list(place: &Place, installation: &Installation) -> Result<(), Exit> {
    let own = resolve::templates(installation).await?;
    let built_in = TemplateFlow::ALL.map(|flow| (flow.built_in().to_owned(), flow, None));
    let mut all: Vec<_> = built_in.into_iter().collect();
    all.extend(
        own.into_iter()
            .map(|template| (template.name, template.flow, Some(template.language))),
    );
    let rows: Vec<Value> = all
        .iter()
        .map(|(name, flow, language)| {
            json!({"name": name, "flow": flow_word(*flow), "language": language,
                "is_built_in": language.is_none()})
        })
        .collect();
    let lines: Vec<String> = all
        .iter()
        .map(|(name, flow, language)| {
            let language = language.as_deref().unwrap_or("built in");
            format!("{name:<40} {:<18} {language}", flow_word(*flow))
        })
        .collect();
    place.print(&json!({ "templates": rows }), lines.join("\n"))
}

async fn create(
    place: &Place,
    installation: &Installation,
    template: Template,
) -> Result<(), Exit> {
    let is_new = installation
        .store
        .write("template.create", template.clone(), |tx, template| {
            Box::pin(async move {
                store::installation::bump(tx).await?;
                store::template::insert(tx, template).await
            })
        })
        .await?;
    if !is_new {
        return Err(Exit::refused(format!(
            "a template named {:?} exists already",
            template.name
        )));
    }
    print(place, &template)
}

async fn update(
    place: &Place,
    installation: &Installation,
    change: (String, input::Given),
) -> Result<(), Exit> {
    let at = installation.clock.now();
    let updated = installation
        .store
        .write("template.update", (change, at), |tx, (change, at)| {
            Box::pin(async move {
                // The bump locks the installation's row, so that of two changes none is lost.
                store::installation::bump(tx).await?;
                let (name, given) = change;
                let updated = named(store::template::list(tx).await?, name)
                    .and_then(|template| given.applied_to(template, *at));
                if let Ok(template) = &updated {
                    store::template::update(tx, template).await?;
                }
                Ok(updated)
            })
        })
        .await??;
    print(place, &updated)
}

async fn delete(place: &Place, installation: &Installation, name: String) -> Result<(), Exit> {
    let deleted = installation
        .store
        .write("template.delete", name.clone(), |tx, name| {
            Box::pin(delete_unless_named(tx, name))
        })
        .await?;
    match deleted {
        Ok(true) => {
            let text = format!("{name} is gone");
            place.print(&json!({"name": name, "deleted": true}), text)
        }
        Ok(false) => Err(missing(&name)),
        Err(named) => Err(Exit::refused(format!(
            "{name:?} is named by {}: change that first",
            named.join(", ")
        ))),
    }
}

/// Removes a template, or says which settings name it. A setting is written under the lock that the bump takes,
/// so that none comes to name it meanwhile.
async fn delete_unless_named(
    tx: &mut Transaction<'_>,
    name: &str,
) -> Result<Result<bool, Vec<String>>, Fault> {
    store::installation::bump(tx).await?;
    let sites = store::site::list(tx).await?;
    let names_it = |site: &Site| -> Vec<String> {
        let named = site.settings.named_templates();
        let settings = named.iter().filter(|(_, named)| *named == name);
        settings
            .map(|(setting, _)| format!("{setting} of site {}", site.name))
            .collect()
    };
    let named: Vec<String> = sites.iter().flat_map(names_it).collect();
    if !named.is_empty() {
        return Ok(Err(named));
    }
    store::template::delete(tx, name).await.map(Ok)
}

async fn find(installation: &Installation, name: &str) -> Result<Template, Exit> {
    named(resolve::templates(installation).await?, name)
}

fn named(templates: Vec<Template>, name: &str) -> Result<Template, Exit> {
    templates
        .into_iter()
        .find(|template| template.name == name)
        .ok_or_else(|| missing(name))
}

fn missing(name: &str) -> Exit {
    match TemplateFlow::of_built_in(name) {
        None => Exit::missing(format!("there is no template {name:?}")),
        Some(_) => Exit::refused(format!(
            "{name:?} is built in: it can be previewed and sent, and no more"
        )),
    }
}

fn print(place: &Place, template: &Template) -> Result<(), Exit> {
    let json = json!({
        "name": template.name, "flow": flow_word(template.flow), "language": template.language,
        "subject": template.subject, "text": template.text, "html": template.html,
        "created_at": template.created_at.iso_seconds(), "updated_at": template.updated_at.iso_seconds(),
    });
    let text = input::Given::of(template).to_toml();
    place.print(&json, format!("# {}\n{}", template.name, text.trim_end()))
}
