//! `vestibule site list|show|create|update`.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::place::{Exit, Installation, Place};
use super::resolve;
use crate::changes::Invalid;
use crate::identity::prefix;
use crate::settings::{self, Settings, Site, check_base_url};
use crate::store;
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
            print(place, &site);
            Ok(())
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
    place.print(&json!({ "sites": rows }), lines.join("\n"));
    Ok(())
}

async fn create(
    place: &Place,
    installation: &Installation,
    name: String,
    base_url: &str,
    changes: &Changes,
) -> Result<(), Exit> {
    let at = installation.clock.now();
    let site = Site {
        id: RecordId::from_random(prefix::SITE, installation.entropy.bytes()).to_string(),
        name,
        base_url: check_base_url(base_url).map_err(Exit::refused)?,
        settings: changed(installation, &Settings::default(), changes).await?,
        activated_at: Some(at),
        created_at: at,
    };
    let saved = installation
        .store
        .write("site.create", site.clone(), |tx, site| {
            Box::pin(async move {
                let is_new = store::site::insert(tx, site).await?;
                store::installation::bump(tx).await?;
                Ok(is_new)
            })
        })
        .await?;
    if !saved {
        return Err(Exit::refused(
            "a site with this name or base URL exists already",
        ));
    }
    print(place, &site);
    Ok(())
}

async fn update(
    place: &Place,
    installation: &Installation,
    name: &str,
    base_url: Option<&str>,
    changes: &Changes,
) -> Result<(), Exit> {
    let mut site = find(installation, name).await?;
    if let Some(base_url) = base_url {
        site.base_url = check_base_url(base_url).map_err(Exit::refused)?;
        let is_taken = all(installation)
            .await?
            .iter()
            .any(|other| other.id != site.id && other.base_url == site.base_url);
        if is_taken {
            return Err(Exit::refused("another site has this base URL"));
        }
    }
    site.settings = changed(installation, &site.settings, changes).await?;
    installation
        .store
        .write("site.update", site.clone(), |tx, site| {
            Box::pin(async move {
                store::site::update(tx, site).await?;
                store::installation::bump(tx).await
            })
        })
        .await?;
    print(place, &site);
    Ok(())
}

/// The settings with changes from the command line or a file. Whatever is wrong is told by its
/// name, and in a file by its line, before anything is changed.
async fn changed(
    installation: &Installation,
    current: &Settings,
    changes: &Changes,
) -> Result<Settings, Exit> {
    let Some(path) = &changes.from else {
        let map = settings::parse_changes(&changes.set).map_err(Exit::refused)?;
        return apply(installation, current, map).await;
    };
    let text = std::fs::read_to_string(path)
        .map_err(|error| Exit::refused(format!("{}: {error}", path.display())))?;
    let map = settings::parse_file(&text)
        .map_err(|problem| at_line(path, problem.line, &problem.reason))?;
    apply(installation, current, map).await.map_err(|exit| {
        // The message begins with the setting's name; the line is where that is set.
        let key = exit.message.split([':', ' ']).next().unwrap_or_default();
        at_line(path, settings::line_of_key(&text, key), &exit.message)
    })
}

fn at_line(path: &Path, line: usize, reason: &str) -> Exit {
    Exit::refused(format!("{}, line {line}: {reason}", path.display()))
}

async fn apply(
    installation: &Installation,
    current: &Settings,
    mut changes: Map<String, Value>,
) -> Result<Settings, Exit> {
    for key in ["registrationUserDefaultProfile", "memberProfiles"] {
        resolve::profile_setting(installation, &mut changes, key).await?;
    }
    resolve::user_setting(installation, &mut changes, "registrationExecutionUser").await?;
    let settings = current.updated(&changes)?;
    let default = settings.registration_user_default_profile.as_ref();
    let members = &settings.member_profiles;
    if let Some(default) = default
        && !members.is_empty()
        && !members.contains(default)
    {
        let reason = "the default profile of registrations must be a member of the site";
        return Err(Invalid::new("memberProfiles", reason).into());
    }
    Ok(settings)
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
    let known: Vec<String> = sites.iter().map(|site| site.name.clone()).collect();
    sites
        .into_iter()
        .find(|site| site.id == name || site.name == name)
        .ok_or_else(|| {
            Exit::missing(format!(
                "there is no site {name:?}; there are {}",
                known.join(", ")
            ))
        })
}

fn print(place: &Place, site: &Site) {
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
    place.print(&json, text);
}
