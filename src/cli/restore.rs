//! `vestibule restore`: a backup takes the place of the database, and what it would bring back ends.

use std::path::{Path, PathBuf};

use clap::{ArgGroup, Args};
use serde_json::json;

use super::backup::make_private;
use super::exit::Exit;
use super::place::{Place, check, open};
use super::process;
use crate::admin::installation::{Installation, database_file};
use crate::admin::restore::{self, Restored};
use crate::config::Config;

/// Restore a backup. Stop every server first.
///
/// A backup does not know what was changed after it. Every token, login, code and one-time password of the backup
/// ends, because any of them may have been revoked since, unless --keep-sessions is given. What else the backup
/// brings back cannot be known: users who were locked, disabled or deleted, passwords and secrets that were
/// replaced, and signing keys that were removed. The command lists what to do.
#[derive(Args)]
#[command(group(ArgGroup::new("source").required(true).args(["from", "after_database_restore"])))]
pub struct Arguments {
    /// The backup of an SQLite database, as `vestibule backup` writes it. It is not changed
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// Replace the SQLite database that is there; it is lost
    #[arg(long, requires = "from")]
    replace: bool,
    /// The database was restored by its own tools (PostgreSQL): complete the restore
    #[arg(long)]
    after_database_restore: bool,
    /// Keep the tokens, logins and codes of the backup valid, also those that were revoked after it
    #[arg(long)]
    keep_sessions: bool,
}

/// Runs it.
pub async fn run(place: &Place, arguments: &Arguments) -> Result<(), Exit> {
    let restored = match &arguments.from {
        Some(backup) => restore_file(place, backup, arguments).await?,
        None => complete_in_place(place, arguments.keep_sessions).await?,
    };
    print(place, &restored)
}

/// Ends the sessions of the database that is there.
async fn complete_in_place(place: &Place, are_sessions_kept: bool) -> Result<Restored, Exit> {
    let _lock = process::lock_database(&place.load_config()?)?;
    let installation = place.open().await?;
    let waiting = installation.waiting_migrations().await?;
    if waiting > 0 {
        return Err(Exit::refused(format!(
            "{waiting} migration(s) are not applied: run `vestibule migrate up` with the same config first"
        )));
    }
    Ok(restore::complete(&installation.admin(), are_sessions_kept).await?)
}

/// Prepares the backup in a file beside the database, and renames it only when it is ready.
async fn restore_file(
    place: &Place,
    backup: &Path,
    arguments: &Arguments,
) -> Result<Restored, Exit> {
    let config = place.load_config()?;
    let Ok(Some(database)) = database_file(&config) else {
        return Err(Exit::refused(
            "this installation is on PostgreSQL: restore with its tools (pg_restore), then run \
             `vestibule restore --after-database-restore`",
        ));
    };
    if !backup.is_file() {
        return Err(Exit::missing(format!(
            "there is no file {}",
            backup.display()
        )));
    }
    let _lock = process::lock_database(&config)?;
    if database.exists() && !arguments.replace {
        return Err(Exit::refused(format!(
            "{} exists already: --replace puts the backup in its place, and its data is lost",
            database.display()
        )));
    }
    let draft = with_suffix(&database, ".restoring");
    remove(&draft)?;
    let prepared = prepare(&config, backup, &draft, arguments.keep_sessions).await;
    let restored = match prepared {
        Ok(restored) => restored,
        Err(exit) => {
            remove(&draft)?;
            return Err(exit);
        }
    };
    // The write-ahead log of the old file must not be applied to the new one.
    remove(&database)?;
    std::fs::rename(&draft, &database)
        .map_err(|error| Exit::broken(format!("{}: {error}", database.display())))?;
    Ok(restored)
}

/// Copies the backup, checks it, brings its schema up to date and ends its sessions.
async fn prepare(
    config: &Config,
    backup: &Path,
    draft: &Path,
    are_sessions_kept: bool,
) -> Result<Restored, Exit> {
    make_private(draft)?;
    std::fs::copy(backup, draft)
        .map_err(|error| Exit::broken(format!("{}: {error}", backup.display())))?;
    // A copy has the permissions of its original.
    make_owners_only(draft)?;
    let mut config = config.clone();
    config.database.url = format!("sqlite:{}", draft.display());
    let installation = open(&config)?;
    installation.store.check_integrity()?;
    check_is_installation(&installation, backup).await?;
    installation.store.migrate(installation.admin().at).await?;
    check(&installation, &config).await?;
    Ok(restore::complete(&installation.admin(), are_sessions_kept).await?)
}

/// Refuses a file without an installation before its schema is touched.
async fn check_is_installation(installation: &Installation, backup: &Path) -> Result<(), Exit> {
    let states = installation.store.migrations().await?;
    if states.iter().any(|state| state.applied_at.is_some()) {
        return Ok(());
    }
    Err(Exit::refused(format!(
        "{} is no backup of a Vestibule installation",
        backup.display()
    )))
}

fn make_owners_only(file: &Path) -> Result<(), Exit> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600))
            .map_err(|error| Exit::broken(format!("{}: {error}", file.display())))?;
    }
    Ok(())
}

/// Removes an SQLite file with what lies beside it, if it is there.
fn remove(database: &Path) -> Result<(), Exit> {
    for file in ["", "-wal", "-shm"].map(|suffix| with_suffix(database, suffix)) {
        match std::fs::remove_file(&file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Exit::broken(format!("{}: {error}", file.display())));
            }
            _ => {}
        }
    }
    Ok(())
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn print(place: &Place, restored: &Restored) -> Result<(), Exit> {
    let as_of = restored.as_of.map(|at| at.iso_seconds());
    let json = json!({
        "data_as_of": as_of,
        "ended": restored.ended.map(|ended| json!({
            "access_tokens": ended.access_tokens, "codes": ended.codes, "logins": ended.logins,
            "messages": ended.messages, "one_time_passwords": ended.one_time_passwords,
            "sessions": ended.sessions,
        })),
    });
    let ended = match restored.ended {
        Some(ended) => format!(
            "ended: {} logins, {} access tokens, {} authorization codes, {} one-time passwords, \
             {} first-party sessions; not sent: {} messages\n",
            ended.logins,
            ended.access_tokens,
            ended.codes,
            ended.one_time_passwords,
            ended.sessions,
            ended.messages
        ),
        None => String::from(
            "kept: every token, login and code of the backup, also those that were revoked after it\n",
        ),
    };
    let text = format!(
        "restored; the data is as of {}\n{ended}{TO_DO}",
        as_of.as_deref().unwrap_or("an unknown instant")
    );
    place.print(&json, text)
}

/// What a backup does not contain.
const TO_DO: &str = "\
What was changed after the backup is not in it, and cannot be known. Before you start a server:
  lock again who was locked, disabled or deleted   vestibule user lock|disable|delete USER
  replace passwords and secrets that had leaked    vestibule client rotate-secret CLIENT
  replace signing keys that had been removed       vestibule key list, vestibule key rotate --now";
