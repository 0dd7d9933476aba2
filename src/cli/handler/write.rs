//! `handler create` and `handler set`: versions are made, and one becomes the current one.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::json;

use super::{ContractWord, input};
use crate::admin::Admin;
use crate::admin::handler::{
    self, CreateHandler, HandlerCode, HandlerWithSecret, ScriptSource, SetHandler,
};
use crate::app::handlers::script_name;
use crate::cli::exit::Exit;
use crate::cli::output;
use crate::cli::place::{Place, read_secret};
use crate::contract::HandlerKind;
use crate::handler::contract::Contract;
use crate::handler::types;

/// Create a handler.
#[derive(Args)]
pub struct NewHandlerArguments {
    /// Its name, by which a setting of a site names it
    name: String,
    /// Its contract [default: that of the template, or of the function that the script exports]
    #[arg(long, value_enum)]
    contract: Option<ContractWord>,
    /// Start with a commented script
    #[arg(long, value_enum)]
    template: Option<HandlerTemplate>,
    /// Start with this script
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Call this URL instead of running a script
    #[arg(long, value_name = "URL", requires = "contract")]
    webhook: Option<String>,
    /// The key of a webhook's signatures, from a file or standard input (-) [default: a new one]
    #[arg(long, value_name = "FILE", requires = "webhook")]
    secret_file: Option<PathBuf>,
    /// A host that the script may call: api.example.com, *.example.com, either with :port
    #[arg(long, value_name = "HOST", conflicts_with = "webhook")]
    allow_host: Vec<String>,
    /// Print the template and create nothing
    #[arg(long, requires = "template", conflicts_with = "out")]
    print: bool,
    /// Also write the template into this new file
    #[arg(long, value_name = "FILE", requires = "template")]
    out: Option<PathBuf>,
}

/// Make the next version of a handler.
#[derive(Args)]
pub struct Set {
    /// The handler's name
    name: String,
    /// The script
    #[arg(long, value_name = "FILE", conflicts_with = "webhook")]
    file: Option<PathBuf>,
    /// The URL of a webhook
    #[arg(long, value_name = "URL")]
    webhook: Option<String>,
    /// The new key of a webhook's signatures, from a file or standard input (-)
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// A host that the script may call [default: the hosts of the current version]
    #[arg(long, value_name = "HOST")]
    allow_host: Vec<String>,
    /// Allow the script no hosts
    #[arg(long, conflicts_with = "allow_host")]
    no_hosts: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum HandlerTemplate {
    Registration,
    Discovery,
    Delivery,
}

impl HandlerTemplate {
    fn contract(self) -> Contract {
        match self {
            HandlerTemplate::Registration => Contract::CreateUser,
            HandlerTemplate::Discovery => Contract::DiscoverUser,
            HandlerTemplate::Delivery => Contract::SendOneTimePassword,
        }
    }
}

impl NewHandlerArguments {
    /// Runs it.
    pub async fn run(self, place: &Place) -> Result<(), Exit> {
        handler::check_name(&self.name)?;
        let template = self
            .template
            .map(|template| types::template(template.contract()).1);
        if self.print {
            let text = template.unwrap_or_default();
            return if place.is_json() {
                output::print(json!({ "source": text }))
            } else {
                output::print(text.trim_end())
            };
        }
        let installation = place.open().await?;
        let request = self.request()?;
        // The file first: a handler whose text did not reach its author is of less use than none.
        if let (Some(path), Some(text)) = (&self.out, template) {
            write_new(path, text)?;
        }
        let engine = input::engine(place)?;
        let created = handler::create(&installation.admin(), &engine, request).await;
        if let (Err(_), Some(path), Some(_)) = (&created, &self.out, template) {
            // No handler was created, so no file is left. It is ours: it did not exist before.
            let _ = std::fs::remove_file(path);
        }
        self.report(place, created.map_err(input::exit_of)?)
    }

    fn request(&self) -> Result<CreateHandler, Exit> {
        let named = self.contract.map(ContractWord::contract);
        let of_template = self.template.map(HandlerTemplate::contract);
        if of_template.is_some() && named.is_some() && of_template != named {
            return Err(Exit::misused("this template is for another contract"));
        }
        let contract = of_template.or(named);
        let hosts = self.allow_host.clone();
        let code = match (&self.webhook, of_template, &self.file) {
            (Some(url), _, _) => {
                let secret = self
                    .secret_file
                    .as_deref()
                    .map(|path| read_secret("--secret-file", path))
                    .transpose()?;
                HandlerCode::Webhook(url.clone(), secret)
            }
            (None, Some(contract), _) => {
                let script = ScriptSource {
                    label: script_name(&self.name, 1),
                    text: types::template(contract).1.to_owned(),
                };
                HandlerCode::Script(script, hosts)
            }
            (None, None, Some(path)) => {
                let script = ScriptSource {
                    label: script_name(&self.name, 1),
                    text: input::read_text(path)?,
                };
                HandlerCode::Script(script, hosts)
            }
            (None, None, None) => {
                return Err(Exit::misused("give --template, --file or --webhook"));
            }
        };
        Ok(CreateHandler {
            name: self.name.clone(),
            contract,
            code,
        })
    }

    fn report(&self, place: &Place, created: HandlerWithSecret) -> Result<(), Exit> {
        let handler = &created.handler;
        let mut json = super::row(handler);
        let name = &self.name;
        let mut text = format!(
            "{name} is a {} for {}, version 1",
            handler.kind, handler.contract
        );
        if let Some(secret) = created.secret {
            json["secret"] = json!(secret.expose());
            text.push_str(&format!(
                "\nits secret, shown this once: {}",
                secret.expose()
            ));
        }
        if handler.kind == HandlerKind::Script {
            let file = self.out.as_ref().or(self.file.as_ref());
            let file = file.map_or(format!("{name}.js"), |path| path.display().to_string());
            if self.template.is_some() && self.out.is_none() {
                text.push_str(&format!(
                    "\nedit it:     vestibule handler show {name} --source > {file}"
                ));
            }
            text.push_str(&format!(
                "\ntry it out:  vestibule handler check {file}\nput it in:   vestibule handler set {name} --file {file}"
            ));
        }
        place.print(&json, text)
    }
}

fn write_new(path: &std::path::Path, text: &str) -> Result<(), Exit> {
    use std::io::Write;
    let written =
        std::fs::File::create_new(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| Exit::refused(format!("{}: {error}", path.display())))
}

impl Set {
    /// Runs it.
    pub async fn run(self, place: &Place, admin: &Admin<'_>) -> Result<(), Exit> {
        let name = self.name.clone();
        let request = SetHandler {
            script: self.file.as_deref().map(input::read_script).transpose()?,
            hosts: match (self.no_hosts, self.allow_host) {
                (true, _) => Some(Vec::new()),
                (false, given) => Some(given).filter(|given| !given.is_empty()),
            },
            url: self.webhook,
            secret: self
                .secret_file
                .as_deref()
                .map(|path| read_secret("--secret-file", path))
                .transpose()?,
            name: self.name,
        };
        let version = handler::set(admin, &input::engine(place)?, request).await?;
        let json = json!({"name": name, "version": version});
        place.print(&json, format!("{name} is at version {version}"))
    }
}
