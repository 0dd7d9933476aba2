//! `vestibule site list|show|create|update|settings`. What a file of settings has wrong is reported with its line.

use std::path::{Path, PathBuf};

use clap::{ArgGroup, Args, Subcommand};
use serde_json::{Map, Value, json};

use super::exit::Exit;
use super::noun::{differences, print_list, print_with_names, read_changes, with_names};
use super::output;
use super::place::Place;
use crate::admin::site::{self, CreateSite, UpdateSite};
use crate::admin::{Admin, AdminFailure, AdminRefusal};
use crate::captcha::CaptchaProvider;
use crate::changes::Invalid;
use crate::settings::{self, Settings, Site, line_of_key};

/// The actions of the noun.
#[derive(Subcommand)]
pub enum Action {
    /// List all sites
    List,
    /// Show a site with all its settings
    Show {
        /// Name or record id
        site: String,
    },
    /// List every setting with its default value
    Settings,
    /// Create a site and publish it
    Create {
        /// Its name, which messages show to people
        name: String,
        /// Where apps reach it: https://host or https://host/prefix
        #[arg(long, value_name = "URL")]
        base_url: String,
        #[command(flatten)]
        changes: Changes,
    },
    /// Change settings; a running server uses them within a second
    #[command(group(
        ArgGroup::new("change").args(["base_url", "set", "set_from", "from"]).required(true).multiple(true)
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
pub struct Changes {
    /// A setting, by its documented name: isHeadlessUserRegistrationAllowed=true
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// A setting whose value is the content of a file; - is standard input. For secrets:
    /// recaptchaSecretKey=FILE
    #[arg(long, value_name = "KEY=FILE")]
    set_from: Vec<String>,
    /// A TOML file of settings; all of it is checked before anything is changed
    #[arg(long, value_name = "FILE", conflicts_with_all = ["set", "set_from"])]
    from: Option<PathBuf>,
}

/// Runs it.
pub async fn run(place: &Place, action: Action) -> Result<(), Exit> {
    if matches!(action, Action::Settings) {
        return list_settings(place);
    }
    let installation = place.open().await?;
    let admin = installation.admin();
    match action {
        Action::Settings => list_settings(place),
        Action::List => list(place, &site::list(&admin).await?),
        Action::Show { site } => print(place, &admin, &site::load(&admin, &site).await?).await,
        Action::Create {
            name,
            base_url,
            changes,
        } => {
            let given = GivenSettings::read(&changes)?;
            let request = CreateSite {
                name,
                base_url,
                changes: given.map.clone(),
            };
            let created = site::create(&admin, request).await;
            let site = report(&admin, created, &given, None).await?;
            print(place, &admin, &site).await
        }
        Action::Update {
            site,
            base_url,
            changes,
        } => {
            let given = GivenSettings::read(&changes)?;
            let request = UpdateSite {
                site: site.clone(),
                base_url,
                changes: given.map.clone(),
            };
            let before = site::load(&admin, &site).await?;
            let updated = site::update(&admin, request).await;
            let after = report(&admin, updated, &given, Some(&site)).await?;
            print_update(place, &admin, &before, &after).await
        }
    }
}

fn list(place: &Place, sites: &[Site]) -> Result<(), Exit> {
    print_list(
        place,
        "sites",
        sites,
        |site| json!({"id": site.id, "name": site.name, "base_url": site.base_url}),
        |site| format!("{}  {:<20} {}", site.id, site.name, site.base_url),
    )
}

/// Every setting and its default, without an installation.
fn list_settings(place: &Place) -> Result<(), Exit> {
    let defaults = serde_json::to_value(Settings::default()).unwrap_or_default();
    let rows: Vec<(String, Value)> = match &defaults {
        Value::Object(settings) => settings.clone().into_iter().collect(),
        _ => Vec::new(),
    };
    print_list(
        place,
        "settings",
        &rows,
        |(key, default)| json!({"name": key, "type": type_of(default), "default": default}),
        |(key, default)| {
            let shown = match default {
                Value::Null => String::from("none"),
                other => other.to_string(),
            };
            format!("{key:<48} {:<14} {shown}", type_of(default))
        },
    )
}

/// The type of a setting by its default. Those without a default are text.
fn type_of(default: &Value) -> &'static str {
    match default {
        Value::Array(_) => "list",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "number",
        Value::Object(_) => "table",
        Value::Null | Value::String(_) => "text",
    }
}

/// Prints what a change has changed; under `--json` the whole site.
async fn print_update(
    place: &Place,
    admin: &Admin<'_>,
    before: &Site,
    after: &Site,
) -> Result<(), Exit> {
    if place.is_json() {
        return print(place, admin, after).await;
    }
    let mut lines = differences(&before.settings, &after.settings);
    if before.base_url != after.base_url {
        lines = format!(
            "base URL: {} -> {}\n{lines}",
            before.base_url, after.base_url
        );
    }
    match lines.trim_end() {
        "" => output::print(format_args!("{}: nothing was changed", after.name)),
        lines => output::print(with_names(admin, lines).await?),
    }
}

/// The site that was created or changed, or what the changes to `site` have wrong.
async fn report(
    admin: &Admin<'_>,
    outcome: Result<Site, AdminFailure>,
    given: &GivenSettings,
    site: Option<&str>,
) -> Result<Site, Exit> {
    match outcome {
        Ok(site) => {
            warn_of_test_captcha(&site);
            Ok(site)
        }
        Err(AdminFailure::Refused(AdminRefusal::Invalid(invalid))) => {
            Err(given.refuse(admin, site, &invalid).await?)
        }
        Err(failure) => Err(failure.into()),
    }
}

/// The test verifier accepts every caller that knows its tokens, so only `vestibule dev` has it.
fn warn_of_test_captcha(site: &Site) {
    if site.settings.recaptcha_provider == CaptchaProvider::Test {
        output::report(format_args!(
            "warning: {}: only `vestibule dev` answers recaptchaProvider=test; `vestibule serve` refuses \
             every captcha of this site\n",
            site.name
        ));
    }
}

/// The changes of the command line, or of a file and then with its text, so that the line of what is wrong can
/// be reported.
struct GivenSettings {
    map: Map<String, Value>,
    file: Option<(PathBuf, String)>,
}

impl GivenSettings {
    fn read(changes: &Changes) -> Result<GivenSettings, Exit> {
        let Some(path) = &changes.from else {
            let map = read_changes(&changes.set, &changes.set_from)?;
            return Ok(GivenSettings { map, file: None });
        };
        let text = std::fs::read_to_string(path)
            .map_err(|error| Exit::refused(format!("{}: {error}", path.display())))?;
        let map = settings::parse_file(&text)
            .map_err(|problem| at_line(path, problem.line, &problem.reason))?;
        Ok(GivenSettings {
            map,
            file: Some((path.clone(), text)),
        })
    }

    /// The refusal of these changes to `site`, with the line that is to blame.
    async fn refuse(
        &self,
        admin: &Admin<'_>,
        site: Option<&str>,
        invalid: &Invalid,
    ) -> Result<Exit, Exit> {
        let Some((path, text)) = &self.file else {
            return Ok(invalid.clone().into());
        };
        Ok(match self.line(admin, site, text, invalid).await? {
            Some(line) => at_line(path, line, &invalid.to_string()),
            None => Exit::refused(format!("{}: {invalid}", path.display())),
        })
    }

    /// The line of the setting. In a table it is the line of the member to blame, which is the first
    /// one without which the finding would be another; and the same goes for the file as a whole when
    /// it does not set the setting that is wrong.
    async fn line(
        &self,
        admin: &Admin<'_>,
        site: Option<&str>,
        text: &str,
        invalid: &Invalid,
    ) -> Result<Option<usize>, Exit> {
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
        for (line, member) in lines {
            let left = without(&self.map, &member);
            let is_to_blame = match site::check(admin, site, left).await {
                Err(AdminFailure::Refused(AdminRefusal::Invalid(found))) => found != *invalid,
                Err(AdminFailure::Broken(fault)) => return Err(fault.into()),
                _ => true,
            };
            if is_to_blame {
                return Ok(Some(line));
            }
        }
        Ok(line_of_key(text, &[key]))
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

async fn print(place: &Place, admin: &Admin<'_>, site: &Site) -> Result<(), Exit> {
    let (name, id, base_url) = (&site.name, &site.id, &site.base_url);
    let json = json!({
        "id": id, "name": name, "base_url": base_url,
        "activated_at": site.activated_at.map(|at| at.iso_seconds()),
        "settings": site.settings,
    });
    let heading = format!("# {name} ({id})\n# {base_url}");
    print_with_names(place, admin, &json, &heading, &site.settings).await
}
