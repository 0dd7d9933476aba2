//! `vestibule template list|show|create|update|delete|preview|send`: custom mail templates.
//!
//! What a command takes is read in `template/input.rs`; how a mail is tried out is in `template/trial.rs`.

use std::path::PathBuf;

use clap::Subcommand;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde_json::json;
use vestibule_protocol::purpose::Purpose;

use super::exit::Exit;
use super::noun::{print_deleted, print_list};
use super::place::Place;
use crate::admin::{Admin, template};
use crate::delivery::template::TemplateName;
use crate::settings::Template;

mod input;
mod trial;

use input::Sources;

/// The actions of the noun.
#[derive(Subcommand)]
pub enum Action {
    /// List all templates, the built-in ones too
    List,
    /// Show a template with its sources, as `--from` reads it
    Show {
        /// Developer name: folder/Name
        template: String,
        /// The language of a built-in template
        #[arg(long, default_value = "en")]
        language: String,
    },
    /// Create a template
    Create {
        /// Developer name, such as 'unfiled$public/Welcome'
        name: String,
        /// The flow that its words belong to
        #[arg(long, value_parser = purpose_parser())]
        flow: Option<Purpose>,
        /// Copy what is not given from this template, built in or not; --language chooses the language of a
        /// built-in one
        #[arg(long, value_name = "TEMPLATE")]
        like: Option<String>,
        #[command(flatten)]
        sources: Sources,
    },
    /// Change language or sources; a running server uses them within a second
    Update {
        /// Developer name
        template: String,
        #[command(flatten)]
        sources: Sources,
    },
    /// Delete a template that no site names
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
        /// The language of a built-in template
        #[arg(long, default_value = "en")]
        language: String,
    },
    /// Send the mail with a sample code, through the relay or into the inbox
    Send {
        /// Developer name
        template: String,
        /// The recipient
        #[arg(long, value_name = "ADDRESS")]
        to: String,
        /// How long to wait for a running server, where there is no relay
        #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=60))]
        seconds: u64,
        /// The language of a built-in template
        #[arg(long, default_value = "en")]
        language: String,
    },
}

/// Reads the flow as the command line writes it. The help lists the words in this order.
fn purpose_parser() -> impl TypedValueParser<Value = Purpose> {
    PossibleValuesParser::new(Purpose::ALL.into_iter().rev().map(Purpose::hyphenated)).map(|word| {
        Purpose::parse_hyphenated(&word).expect("clap takes only the words that it was given")
    })
}

/// Runs it.
pub async fn run(place: &Place, action: Action) -> Result<(), Exit> {
    let installation = place.open().await?;
    let admin = installation.admin();
    match action {
        Action::List => list(place, &admin).await,
        Action::Show { template, language } => {
            print(place, &find(&admin, &template, &language).await?)
        }
        Action::Create {
            name,
            flow,
            like,
            sources,
        } => {
            let mut given = sources.read()?;
            if let Some(like) = like {
                let language = given.language().unwrap_or("en");
                let model = find(&admin, &like, language).await?;
                given = given.or(&input::GivenTemplate::of(&model));
            }
            let parts = given.new_parts(flow)?;
            print(place, &template::create(&admin, name, parts).await?)
        }
        Action::Update { template, sources } => {
            let given = sources.read()?;
            given.expect_some()?;
            print(
                place,
                &template::update(&admin, template, given.parts()?).await?,
            )
        }
        Action::Delete { template } => {
            let deleted = template::delete(&admin, &template).await?;
            print_deleted(place, &deleted.name)
        }
        Action::Preview {
            template,
            html,
            language,
        } => {
            let mail = trial::Mail::find(&admin, &template, &language).await?;
            mail.preview(place, &admin, html.as_deref()).await
        }
        Action::Send {
            template,
            to,
            seconds,
            language,
        } => {
            let mail = trial::Mail::find(&admin, &template, &language).await?;
            mail.send(place, &admin, &to, seconds).await
        }
    }
}

/// A template of an administrator, or the sources of a built-in one in a language.
async fn find(admin: &Admin<'_>, name: &str, language: &str) -> Result<Template, Exit> {
    let Some(flow) = Purpose::of_built_in_template(name) else {
        return Ok(template::load(admin, name).await?);
    };
    let source = TemplateName::of(flow).source(language);
    Ok(Template {
        name: flow.built_in_template().to_owned(),
        flow,
        language: source.language,
        subject: source.subject,
        text: source.text,
        html: Some(source.html),
        created_at: admin.at,
        updated_at: admin.at,
    })
}

async fn list(place: &Place, admin: &Admin<'_>) -> Result<(), Exit> {
    let built_in = Purpose::ALL.map(|flow| (flow.built_in_template().to_owned(), flow, None));
    let mut all: Vec<(String, Purpose, Option<String>)> = built_in.into_iter().collect();
    let custom = template::list(admin).await?.into_iter();
    all.extend(custom.map(|template| (template.name, template.flow, Some(template.language))));
    print_list(
        place,
        "templates",
        &all,
        |(name, flow, language)| {
            json!({"name": name, "flow": flow.hyphenated(), "language": language,
                "is_built_in": language.is_none()})
        },
        |(name, flow, language)| {
            let language = language.as_deref().unwrap_or("built in");
            format!("{name:<40} {:<18} {language}", flow.hyphenated())
        },
    )
}

fn print(place: &Place, template: &Template) -> Result<(), Exit> {
    let json = json!({
        "name": template.name, "flow": template.flow.hyphenated(), "language": template.language,
        "subject": template.subject, "text": template.text, "html": template.html,
        "created_at": template.created_at.iso_seconds(), "updated_at": template.updated_at.iso_seconds(),
    });
    let text = input::GivenTemplate::of(template).to_toml();
    place.print(&json, format!("# {}\n{}", template.name, text.trim_end()))
}
