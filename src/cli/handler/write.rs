//! `handler create` and `handler set`: versions are made, and one becomes the current one.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::json;

use super::{ContractWord, input, missing, of_version};
use crate::cli::output;
use crate::cli::place::{Exit, Installation, Place};
use crate::handler::HANDLER_PREFIX;
use crate::handler::body::Body;
use crate::handler::contract::Contract;
use crate::handler::types;
use crate::moment::{BASE62, Entropy, Moment};
use crate::refusal::Fault;
use crate::sealing::{Keyring, Purpose};
use crate::store::audit::AuditEvent;
use crate::store::handler::{Handler, HandlerVersion};
use crate::store::{self, Transaction};
use vestibule_protocol::identifier::RecordId;
use vestibule_protocol::secret::Secret;

/// Makes a handler.
#[derive(Args)]
pub struct Create {
    /// Its name, which a setting of a site will hold
    name: String,
    /// What it is for; a template and most scripts say so themselves
    #[arg(long, value_enum)]
    contract: Option<ContractWord>,
    /// Begin with a commented script
    #[arg(long, value_enum)]
    template: Option<Template>,
    /// Begin with a script of your own
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Call this URL instead of running a script
    #[arg(long, value_name = "URL", requires = "contract")]
    webhook: Option<String>,
    /// The key of a webhook's signatures, from a file or standard input (-); one is made without
    #[arg(long, value_name = "FILE", requires = "webhook")]
    secret_file: Option<PathBuf>,
    /// A host that the script may call: api.example.com, *.example.com, either with :port
    #[arg(long, value_name = "HOST", conflicts_with = "webhook")]
    allow_host: Vec<String>,
    /// Print the template and make nothing
    #[arg(long, requires = "template", conflicts_with = "out")]
    print: bool,
    /// Write the template into this new file, too
    #[arg(long, value_name = "FILE", requires = "template")]
    out: Option<PathBuf>,
}

/// Makes a version.
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
    /// A host that the script may call; without any the hosts stay as they are
    #[arg(long, value_name = "HOST")]
    allow_host: Vec<String>,
    /// The script may call no host any more
    #[arg(long, conflicts_with = "allow_host")]
    no_hosts: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Template {
    Registration,
    Discovery,
    Delivery,
}

impl Template {
    fn contract(self) -> Contract {
        match self {
            Template::Registration => Contract::CreateUser,
            Template::Discovery => Contract::DiscoverUser,
            Template::Delivery => Contract::SendOneTimePassword,
        }
    }
}

impl Create {
    /// Runs it.
    pub async fn run(self, place: &Place) -> Result<(), Exit> {
        input::check_name(&self.name)?;
        let template = self
            .template
            .map(|template| types::template(template.contract()).1);
        if self.print {
            let text = template.unwrap_or_default();
            return match place.is_json() {
                true => output::print(json!({ "source": text })),
                false => output::print(text.trim_end()),
            };
        }
        let installation = place.open().await?;
        let (contract, body) = self.body(place).await?;
        let (entropy, at) = (&installation.entropy, installation.clock.now());
        let id = RecordId::from_random(HANDLER_PREFIX, entropy.bytes()).to_string();
        let given = self.secret_file.as_deref().map(input::secret).transpose()?;
        let is_made = given.is_none();
        let secret = matches!(body, Body::Webhook { .. })
            .then(|| given.unwrap_or_else(|| Secret::from(entropy.text(BASE62, 43))));
        let sealed = secret
            .as_ref()
            .map(|secret| seal(&installation.keyring, &id, secret, entropy));
        let handler = Handler {
            name: self.name.clone(),
            contract: contract.as_str().to_owned(),
            kind: body.kind().to_owned(),
            version: 1,
            secret_sealed: sealed,
            created_at: at,
            updated_at: at,
            id,
        };
        // The file first: a handler whose text did not reach its author is of less use than none.
        if let (Some(path), Some(text)) = (&self.out, template) {
            write_new(path, text)?;
        }
        let inserted = insert(&installation, handler.clone(), &body, at).await;
        if let (Err(_), Some(path), Some(_)) = (&inserted, &self.out, template) {
            // Nothing was made, so nothing is left; the file is ours, for it was not there before.
            let _ = std::fs::remove_file(path);
        }
        inserted?;
        self.tell(place, &handler, secret.filter(|_| is_made))
    }

    /// What the first version consists of. A script must compile.
    async fn body(&self, place: &Place) -> Result<(Contract, Body), Exit> {
        let named = self.contract.map(ContractWord::contract);
        if let Some(url) = &self.webhook {
            let contract = named.ok_or_else(|| Exit::misused("a webhook needs --contract"))?;
            let url = input::webhook_url(url)?;
            return Ok((contract, Body::Webhook { url }));
        }
        let (own, source) = match (&self.template, &self.file) {
            (Some(template), _) => {
                let contract = template.contract();
                (Some(contract), types::template(contract).1.to_owned())
            }
            (None, Some(path)) => (None, input::read_script(path)?),
            (None, None) => return Err(Exit::misused("give --template, --file or --webhook")),
        };
        if own.is_some() && named.is_some() && own != named {
            return Err(Exit::misused("this template is for another contract"));
        }
        let engine = input::engine(place)?;
        let program = input::compile_version(&engine, &self.name, 1, &source).await?;
        let contract = input::contract_of(&program, own.or(named))?;
        let allowed_hosts = input::hosts(&self.allow_host)?;
        Ok((
            contract,
            Body::Script {
                source,
                allowed_hosts,
            },
        ))
    }

    fn tell(&self, place: &Place, handler: &Handler, made: Option<Secret>) -> Result<(), Exit> {
        let mut json = super::row(handler);
        let name = &self.name;
        let mut text = format!(
            "{name} is a {} for {}, version 1",
            handler.kind, handler.contract
        );
        if let Some(secret) = made {
            json["secret"] = json!(secret.expose());
            text.push_str(&format!(
                "\nits secret, shown this once: {}",
                secret.expose()
            ));
        }
        if handler.kind == "script" {
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

fn seal(keyring: &Keyring, id: &str, secret: &Secret, entropy: &Entropy) -> Vec<u8> {
    keyring.seal(
        Purpose::HandlerSecret,
        id,
        secret.expose().as_bytes(),
        entropy,
    )
}

async fn insert(
    installation: &Installation,
    handler: Handler,
    body: &Body,
    at: Moment,
) -> Result<(), Exit> {
    let name = handler.name.clone();
    let version = HandlerVersion {
        handler_id: handler.id.clone(),
        version: 1,
        body: body.to_text(),
        created_at: at,
    };
    let event = super::event(installation, "handler.created", at);
    let is_new = installation
        .store
        .write(
            "handler.create",
            (handler, version, event),
            |tx, (handler, version, event)| {
                Box::pin(async move {
                    store::installation::bump(tx).await?;
                    let is_new = store::handler::insert(tx, handler, version).await?;
                    if is_new {
                        store::audit::insert(tx, &of_version(event, &handler.name, 1)).await?;
                    }
                    Ok(is_new)
                })
            },
        )
        .await?;
    match is_new {
        true => Ok(()),
        false => Err(Exit::refused(format!(
            "a handler named {name:?} exists already"
        ))),
    }
}

/// A new version that waits to be written.
struct Change {
    name: String,
    /// The script, the URL, or what the current version has.
    body: NewBody,
    hosts: Option<Vec<String>>,
    /// The new secret, sealed for the handler of this record id.
    secret: Option<(String, Vec<u8>)>,
    event: AuditEvent,
}

/// What a new version begins with.
enum NewBody {
    AsBefore,
    Script(String),
    Webhook(String),
}

/// Why no version was made.
enum Refused {
    Missing,
    Other(String),
}

impl Set {
    /// Runs it.
    pub async fn run(self, place: &Place, installation: &Installation) -> Result<(), Exit> {
        let hosts = match (self.no_hosts, self.allow_host.as_slice()) {
            (true, _) => Some(Vec::new()),
            (false, []) => None,
            (false, given) => Some(input::hosts(given)?),
        };
        let body = match (&self.file, &self.webhook) {
            (Some(path), _) => {
                let source = input::read_script(path)?;
                let file = path.display().to_string();
                let program = input::compile(&input::engine(place)?, &file, &source).await?;
                let handler = super::find(installation, &self.name).await?;
                input::contract_of(&program, Contract::parse(&handler.contract))?;
                NewBody::Script(source)
            }
            (None, Some(url)) => NewBody::Webhook(input::webhook_url(url)?),
            (None, None) => NewBody::AsBefore,
        };
        let secret = match &self.secret_file {
            None => None,
            Some(path) => {
                let id = super::find(installation, &self.name).await?.id;
                let (keyring, entropy) = (&installation.keyring, &installation.entropy);
                let sealed = seal(keyring, &id, &input::secret(path)?, entropy);
                Some((id, sealed))
            }
        };
        let change = Change {
            name: self.name.clone(),
            body,
            hosts,
            secret,
            event: super::event(installation, "handler.set", installation.clock.now()),
        };
        let outcome = installation
            .store
            .write("handler.set", change, |tx, change| {
                Box::pin(write_change(tx, change))
            })
            .await?;
        let name = &self.name;
        let version = outcome.map_err(|refused| match refused {
            Refused::Missing => missing(name),
            Refused::Other(reason) => Exit::refused(reason),
        })?;
        let json = json!({"name": name, "version": version});
        place.print(&json, format!("{name} is at version {version}"))
    }
}

/// Adds a version to what there is now and makes it the current one. The bump locks the installation's
/// row, so that two versions never get one number.
async fn write_change(
    tx: &mut Transaction<'_>,
    change: &Change,
) -> Result<Result<i64, Refused>, Fault> {
    store::installation::bump(tx).await?;
    let Some(handler) = store::handler::find(tx, &change.name).await? else {
        return Ok(Err(Refused::Missing));
    };
    let versions = store::handler::list_versions(tx, &handler.id).await?;
    let current = versions.iter().find(|one| one.version == handler.version);
    let current = current.and_then(|current| Body::parse(&current.body).ok());
    let body = match change.body_after(&handler, current) {
        Ok(body) => body,
        Err(reason) => return Ok(Err(Refused::Other(reason))),
    };
    if let Some((id, sealed)) = &change.secret {
        // One that was removed and made again meanwhile is another.
        if *id != handler.id {
            return Ok(Err(Refused::Missing));
        }
        store::handler::set_secret(tx, id, sealed, change.event.at).await?;
    }
    let number = versions.last().map_or(0, |last| last.version) + 1;
    let version = HandlerVersion {
        handler_id: handler.id.clone(),
        version: number,
        body: body.to_text(),
        created_at: change.event.at,
    };
    store::handler::insert_version(tx, &version).await?;
    store::handler::set_current(tx, &handler.id, number, change.event.at).await?;
    store::audit::insert(tx, &of_version(&change.event, &handler.name, number)).await?;
    Ok(Ok(number))
}

impl Change {
    fn body_after(&self, handler: &Handler, current: Option<Body>) -> Result<Body, String> {
        let is_script = handler.kind == "script";
        let other_kind = || {
            format!(
                "{:?} is a {}: make another handler for the other kind",
                handler.name, handler.kind
            )
        };
        if is_script && self.secret.is_some() || !is_script && self.hosts.is_some() {
            return Err(other_kind());
        }
        let no_current = || format!("the current version of {:?} cannot be read", handler.name);
        match (&self.body, current) {
            (NewBody::Script(source), current) if is_script => {
                let before = match current {
                    Some(Body::Script { allowed_hosts, .. }) => allowed_hosts,
                    _ => Vec::new(),
                };
                Ok(Body::Script {
                    source: source.clone(),
                    allowed_hosts: self.hosts.clone().unwrap_or(before),
                })
            }
            (NewBody::Webhook(url), _) if !is_script => Ok(Body::Webhook { url: url.clone() }),
            (
                NewBody::AsBefore,
                Some(Body::Script {
                    source,
                    allowed_hosts,
                }),
            ) => Ok(Body::Script {
                source,
                allowed_hosts: self.hosts.clone().unwrap_or(allowed_hosts),
            }),
            (NewBody::AsBefore, current) => current.ok_or_else(no_current),
            _ => Err(other_kind()),
        }
    }
}
