//! `vestibule site list|show|create|update`.

use std::path::{Path, PathBuf};

use clap::{ArgGroup, Args, Subcommand};
use serde_json::{Map, Value, json};

use super::output;
use super::place::{Exit, Installation, Place};
use super::resolve::{self, Unresolved};
use crate::app::CAPTCHA_SECRET_OWNER;
use crate::captcha::Provider;
use crate::changes::Invalid;
use crate::identity::prefix;
use crate::refusal::Fault;
use crate::sealing::{Purpose, is_sealed_text};
use crate::settings::{self, Settings, Site, Template, check_base_url, line_of_key};
use crate::store::handler::Handler;
use crate::store::{self, Transaction};
use vestibule_protocol::identifier::RecordId;

/// Shows and changes sites.
#[derive(Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// All sites
    List,
    /// One site with all its settings
    Show {
        /// Name or record id
        site: String,
    },
    /// Make a site and publish it
    Create {
        /// Its name, which messages show to people
        name: String,
        /// Where apps reach it: https://host or https://host/prefix
        #[arg(long, value_name = "URL")]
        base_url: String,
        #[command(flatten)]
        changes: Changes,
    },
    /// Change settings; a running server has them within a second
    #[command(group(
        ArgGroup::new("change").args(["base_url", "set", "from"]).required(true).multiple(true)
    ))]
    Update {
        /// Name or record id
        site: String,
        /// Where apps reach it
        #[arg(long, value_name = "URL")]
        base_url: Option<String>,
        #[command(flatten)]
        changes: Changes,
    },
}

#[derive(Args)]
struct Changes {
    /// A setting, under its documented name: isHeadlessUserRegistrationAllowed=true
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// A TOML file of settings; all of it is checked before anything is changed
    #[arg(long, value_name = "FILE", conflicts_with = "set")]
    from: Option<PathBuf>,
}

/// Runs it.
pub async fn run(place: &Place, arguments: Arguments) -> Result<(), Exit> {
    let installation = place.open().await?;
    match arguments.action {
        Action::List => list(place, &installation).await,
        Action::Show { site } => {
            let site = find(&installation, &site).await?;
            print(place, &site)
        }
        Action::Create {
            name,
            base_url,
            changes,
        } => create(place, &installation, name, &base_url, &changes).await,
        Action::Update {
            site,
            base_url,
            changes,
        } => update(place, &installation, &site, base_url.as_deref(), &changes).await,
    }
}

async fn list(place: &Place, installation: &Installation) -> Result<(), Exit> {
    let sites = all(installation).await?;
    let rows: Vec<_> = sites
        .iter()
        .map(|site| json!({"id": site.id, "name": site.name, "base_url": site.base_url}))
        .collect();
    let lines: Vec<String> = sites
        .iter()
        .map(|site| format!("{}  {:<20} {}", site.id, site.name, site.base_url))
        .collect();
    place.print(&json!({ "sites": rows }), lines.join("\n"))
}

async fn create(
    place: &Place,
    installation: &Installation,
    name: String,
    base_url: &str,
    changes: &Changes,
) -> Result<(), Exit> {
    let at = installation.clock.now();
    let given = Given::read(installation, changes).await?;
    let settings = with_changes(&Settings::default(), &given.map, &given.names)
        .map_err(|invalid| given.refuse(&invalid, &Settings::default()))?;
    let site = Site {
        id: RecordId::from_random(prefix::SITE, installation.entropy.bytes()).to_string(),
        name,
        base_url: check_base_url(base_url).map_err(Exit::refused)?,
        settings,
        activated_at: Some(at),
        created_at: at,
    };
    let saved = installation
        .store
        .write("site.create", site.clone(), |tx, site| {
            Box::pin(async move {
                store::installation::bump(tx).await?;
                store::site::insert(tx, site).await
            })
        })
        .await?;
    if !saved {
        return Err(Exit::refused(
            "a site with this name or base URL exists already",
        ));
    }
    tell_of_test_captcha(&site);
    print(place, &site)
}

async fn update(
    place: &Place,
    installation: &Installation,
    name: &str,
    base_url: Option<&str>,
    changes: &Changes,
) -> Result<(), Exit> {
    let given = Given::read(installation, changes).await?;
    let change = Change {
        name: name.to_owned(),
        base_url: base_url
            .map(check_base_url)
            .transpose()
            .map_err(Exit::refused)?,
        changes: given.map.clone(),
    };
    let outcome = installation
        .store
        .write("site.update", change, |tx, change| {
            Box::pin(write_change(tx, change))
        })
        .await?;
    match outcome {
        Ok(site) => {
            tell_of_test_captcha(&site);
            print(place, &site)
        }
        Err(Refused::Missing { known }) => Err(missing(name, &known)),
        Err(Refused::Taken) => Err(Exit::refused("another site has this base URL")),
        Err(Refused::Invalid(invalid, current)) => Err(given.refuse(&invalid, &current)),
    }
}

/// A verifier that lets everybody in who knows its tokens is none; a server that is not `vestibule dev`
/// lets nobody in by it.
fn tell_of_test_captcha(site: &Site) {
    if site.settings.recaptcha_provider == Provider::Test.as_str() {
        output::tell(format_args!(
            "warning: {}: only `vestibule dev` answers recaptchaProvider=test; `vestibule serve` refuses \
             every captcha of this site\n",
            site.name
        ));
    }
}

/// A change of a site that waits to be written.
struct Change {
    name: String,
    base_url: Option<String>,
    changes: Map<String, Value>,
}

/// Why a change was not written.
enum Refused {
    Missing {
        known: Vec<String>,
    },
    Taken,
    /// A setting is wrong, given the settings that there were.
    Invalid(Invalid, Box<Settings>),
}

/// Changes the site as it is now. The version of all settings is raised first: that row is locked
/// from then on, so that of two administrators the second reads what the first has written.
async fn write_change(
    tx: &mut Transaction<'_>,
    change: &Change,
) -> Result<Result<Site, Refused>, Fault> {
    store::installation::bump(tx).await?;
    let sites = store::site::list(tx).await?;
    let Some(mut site) = named(&sites, &change.name) else {
        let known = sites.into_iter().map(|site| site.name).collect();
        return Ok(Err(Refused::Missing { known }));
    };
    if let Some(base_url) = &change.base_url {
        site.base_url.clone_from(base_url);
        let is_taken = |other: &Site| other.id != site.id && other.base_url == *base_url;
        if sites.iter().any(is_taken) {
            return Ok(Err(Refused::Taken));
        }
    }
    let names = Names {
        templates: store::template::list(tx).await?,
        handlers: store::handler::list(tx).await?,
    };
    site.settings = match with_changes(&site.settings, &change.changes, &names) {
        Ok(settings) => settings,
        Err(invalid) => return Ok(Err(Refused::Invalid(invalid, Box::new(site.settings)))),
    };
    store::site::update(tx, &site).await?;
    Ok(Ok(site))
}

/// The settings with changes, all of them or none.
fn with_changes(
    current: &Settings,
    changes: &Map<String, Value>,
    names: &Names,
) -> Result<Settings, Invalid> {
    let settings = current.updated(changes)?;
    settings.check_templates(|name| {
        let mut found = names.templates.iter();
        let found = found.find(|template| template.name == name);
        found.map(|template| template.flow)
    })?;
    settings.check_handlers(|name| {
        let mut found = names.handlers.iter();
        let found = found.find(|handler| handler.name == name);
        found.map(|handler| handler.contract.clone())
    })?;
    let default = settings.registration_user_default_profile.as_ref();
    let members = &settings.member_profiles;
    if let Some(default) = default
        && !members.is_empty()
        && !members.contains(default)
    {
        let reason = "the default profile of registrations must be a member of the site";
        return Err(Invalid::new("memberProfiles", reason));
    }
    Ok(settings)
}

/// What a setting may name.
#[derive(Default)]
struct Names {
    templates: Vec<Template>,
    handlers: Vec<Handler>,
}

/// The changes of the command line, or of a file and then with its text, so that what is wrong can
/// be told by its line.
struct Given {
    map: Map<String, Value>,
    file: Option<(PathBuf, String)>,
    names: Names,
}

impl Given {
    /// Reads the changes and puts record ids in place of names.
    async fn read(installation: &Installation, changes: &Changes) -> Result<Given, Exit> {
        let mut given = match &changes.from {
            None => Given {
                map: settings::parse_changes(&changes.set).map_err(Exit::refused)?,
                file: None,
                names: Names::default(),
            },
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|error| Exit::refused(format!("{}: {error}", path.display())))?;
                let map = settings::parse_file(&text)
                    .map_err(|problem| at_line(path, problem.line, &problem.reason))?;
                Given {
                    map,
                    file: Some((path.clone(), text)),
                    names: Names::default(),
                }
            }
        };
        match given.resolve(installation).await {
            Ok(()) => Ok(given),
            Err(Unresolved::Broken(fault)) => Err(fault.into()),
            // Whatever the settings are now: a name without a record is wrong by itself.
            Err(Unresolved::Invalid(invalid)) => Err(given.refuse(&invalid, &Settings::default())),
        }
    }

    async fn resolve(&mut self, installation: &Installation) -> Result<(), Unresolved> {
        for key in ["registrationUserDefaultProfile", "memberProfiles"] {
            resolve::profile_setting(installation, &mut self.map, key).await?;
        }
        for key in [
            "registrationExecutionUser",
            "headlessDiscoveryExecutionUser",
        ] {
            resolve::user_setting(installation, &mut self.map, key).await?;
        }
        self.seal(installation).map_err(Unresolved::Invalid)?;
        self.names = Names {
            templates: resolve::templates(installation).await?,
            handlers: resolve::handlers(installation).await?,
        };
        Ok(())
    }

    /// Seals the secret that is among the settings. One that `site show` has printed is sealed already,
    /// and must be of this installation: what cannot be opened would let nobody through a captcha.
    fn seal(&mut self, installation: &Installation) -> Result<(), Invalid> {
        let Some(Value::String(secret)) = self.map.get_mut(CAPTCHA_SECRET_OWNER) else {
            return Ok(());
        };
        let (keyring, purpose) = (&installation.keyring, Purpose::CaptchaSecret);
        if !is_sealed_text(secret) {
            let entropy = &installation.entropy;
            *secret = keyring.seal_text(purpose, CAPTCHA_SECRET_OWNER, secret, entropy);
            return Ok(());
        }
        keyring
            .open_text(purpose, CAPTCHA_SECRET_OWNER, secret)
            .map(drop)
            .map_err(|_| {
                let reason = "this sealed value does not open under this installation's master key; \
                              give the secret itself";
                Invalid::new(CAPTCHA_SECRET_OWNER, reason)
            })
    }

    /// The refusal of these changes to `current`, with the line that is to blame.
    fn refuse(&self, invalid: &Invalid, current: &Settings) -> Exit {
        let Some((path, text)) = &self.file else {
            return invalid.clone().into();
        };
        match self.line(text, invalid, current) {
            Some(line) => at_line(path, line, &invalid.to_string()),
            None => Exit::refused(format!("{}: {invalid}", path.display())),
        }
    }

    /// The line of the setting. In a table it is the line of the member to blame, which is the first
    /// one without which the finding would be another; and the same goes for the file as a whole when
    /// it does not set the setting that is wrong.
    fn line(&self, text: &str, invalid: &Invalid, current: &Settings) -> Option<usize> {
        let key = invalid.key.as_str();
        let members: Vec<Vec<&str>> = match self.map.get(key) {
            Some(Value::Object(table)) => table.keys().map(|member| vec![key, member]).collect(),
            Some(_) => Vec::new(),
            None => self.map.keys().map(|key| vec![key.as_str()]).collect(),
        };
        let mut lines: Vec<(usize, Vec<&str>)> = members
            .into_iter()
            .filter_map(|member| Some((line_of_key(text, &member)?, member)))
            .collect();
        lines.sort();
        let is_to_blame = |member: &[&str]| {
            let without = without(&self.map, member);
            with_changes(current, &without, &self.names).err().as_ref() != Some(invalid)
        };
        lines
            .iter()
            .find(|(_, member)| is_to_blame(member))
            .map(|(line, _)| *line)
            .or_else(|| line_of_key(text, &[key]))
    }
}

fn without(changes: &Map<String, Value>, path: &[&str]) -> Map<String, Value> {
    let mut changes = changes.clone();
    match path {
        [] => {}
        [last] => changes.retain(|key, _| key != last),
        [first, rest @ ..] => {
            if let Some(Value::Object(inner)) = changes.get_mut(*first) {
                *inner = without(inner, rest);
            }
        }
    }
    changes
}

fn at_line(path: &Path, line: usize, reason: &str) -> Exit {
    Exit::refused(format!("{}, line {line}: {reason}", path.display()))
}

async fn all(installation: &Installation) -> Result<Vec<Site>, Exit> {
    let sites = installation
        .store
        .read("site.list", &(), |tx, ()| Box::pin(store::site::list(tx)))
        .await?;
    Ok(sites)
}

async fn find(installation: &Installation, name: &str) -> Result<Site, Exit> {
    let sites = all(installation).await?;
    named(&sites, name).ok_or_else(|| {
        let known: Vec<String> = sites.iter().map(|site| site.name.clone()).collect();
        missing(name, &known)
    })
}

fn named(sites: &[Site], name: &str) -> Option<Site> {
    sites
        .iter()
        .find(|site| site.id == name || site.name == name)
        .cloned()
}

fn missing(name: &str, known: &[String]) -> Exit {
    Exit::missing(format!(
        "there is no site {name:?}; there are {}",
        known.join(", ")
    ))
}

fn print(place: &Place, site: &Site) -> Result<(), Exit> {
    let json = json!({
        "id": site.id, "name": site.name, "base_url": site.base_url,
        "activated_at": site.activated_at.map(|at| at.iso_seconds()),
        "settings": site.settings,
    });
    let settings = toml::to_string_pretty(&site.settings).unwrap_or_default();
    let text = format!(
        "# {} ({})\n# {}\n{}",
        site.name,
        site.id,
        site.base_url,
        settings.trim_end()
    );
    place.print(&json, text)
}
