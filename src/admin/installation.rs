//! An installation as the commands open it: its database and the keys under its master key.

use std::path::PathBuf;
use std::sync::Arc;

use super::Admin;
use crate::app::{AssemblyProblem, World};
use crate::audit::{Actor, AuditSource};
use crate::config::{Config, ConfigProblem};
use crate::metrics::Metrics;
use crate::moment::{Clock, Entropy};
use crate::refusal::Fault;
use crate::sealing::Keyring;
use crate::store::{self, Location, PostgresUrl, Store};

/// An open installation.
pub struct Installation {
    /// The database.
    pub store: Store,
    /// The keys under the master key.
    pub keyring: Keyring,
    /// Where randomness comes from.
    pub entropy: Entropy,
    /// What time it is.
    pub clock: Clock,
    /// The counters, which the store has too.
    pub metrics: Arc<Metrics>,
    /// Who opened it, and performs the operations on it.
    pub actor: Actor,
}

/// What a database holds, for a master key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyCheck {
    /// No installation.
    Empty,
    /// An installation under another master key. Nothing may be sealed for it: no server could open it.
    OtherKey,
    /// An installation under this master key.
    SameKey,
}

impl Installation {
    /// Opens the database that a config names; a missing SQLite file is made. The schema is not touched.
    ///
    /// # Errors
    /// The config names no database, or it cannot be opened.
    pub fn open(
        config: &Config,
        keyring: Keyring,
        actor: Actor,
    ) -> Result<Installation, AssemblyProblem> {
        let location = config.location().map_err(ConfigProblem::Rule)?;
        let metrics = Arc::new(Metrics::new());
        Ok(Installation {
            store: Store::open(&location, Arc::clone(&metrics))?,
            keyring,
            entropy: Entropy::Os,
            clock: Clock::System,
            metrics,
            actor,
        })
    }

    /// The context of an administrative operation on it, by a command.
    pub fn admin(&self) -> Admin<'_> {
        Admin {
            store: &self.store,
            keyring: &self.keyring,
            entropy: &self.entropy,
            at: self.clock.now(),
            actor: self.actor.clone(),
            source: AuditSource::CommandLine,
        }
    }

    /// Whether the database holds an installation, and under which master key.
    ///
    /// # Faults
    /// The database is away, or has no schema.
    pub async fn check_key(&self) -> Result<KeyCheck, Fault> {
        let found = self
            .store
            .read("installation.find", &(), |tx, ()| {
                Box::pin(store::installation::find(tx))
            })
            .await?;
        Ok(match found {
            None => KeyCheck::Empty,
            Some(found) if found.key_check == self.keyring.check_value() => KeyCheck::SameKey,
            Some(_) => KeyCheck::OtherKey,
        })
    }

    /// Whether any migration was applied to the database.
    ///
    /// # Faults
    /// As those of [`Store::migrations`].
    pub async fn has_schema(&self) -> Result<bool, Fault> {
        let migrations = self.store.migrations().await?;
        Ok(migrations.iter().any(|m| m.applied_at.is_some()))
    }

    /// How many migrations the database lacks.
    ///
    /// # Faults
    /// As those of [`Store::migrations`].
    pub async fn waiting_migrations(&self) -> Result<usize, Fault> {
        let migrations = self.store.migrations().await?;
        let waiting = migrations.iter().filter(|m| m.applied_at.is_none());
        Ok(waiting.count())
    }

    /// What an app of this installation is assembled from, with the randomness of the installation.
    pub fn into_world(self) -> World {
        World {
            clock: self.clock,
            entropy: self.entropy,
            ..World::of_server(self.keyring, self.metrics, self.store)
        }
    }
}

/// The file of an embedded database; none where the database is a server.
///
/// # Errors
/// The config names no database.
pub fn database_file(config: &Config) -> Result<Option<PathBuf>, ConfigProblem> {
    Ok(match config.location().map_err(ConfigProblem::Rule)? {
        Location::Sqlite(path, _) => Some(path),
        Location::Postgres(..) => None,
    })
}

/// A warning for the log, if the connection to the database may cross a network in clear.
pub fn database_warning(config: &Config) -> Option<String> {
    match config.location().ok()? {
        Location::Sqlite(..) => None,
        Location::Postgres(url, _) => PostgresUrl::parse(url.expose()).ok()?.warning(),
    }
}

/// What is wrong with the location of the database, without opening it: the directory of an SQLite database must exist,
/// unless it is `vestibule dev` that creates it, and the certificates for PostgreSQL must be usable.
pub fn location_problem(config: &Config, has_directory: bool) -> Option<String> {
    match config.location() {
        Err(problem) => Some(problem),
        Ok(Location::Sqlite(path, _)) => {
            let directory = path.parent()?;
            let is_missing = !directory.as_os_str().is_empty() && !directory.is_dir();
            (has_directory && is_missing).then(|| {
                format!(
                    "[database] url: there is no directory {}",
                    directory.display()
                )
            })
        }
        Ok(Location::Postgres(url, _)) => {
            let usable = PostgresUrl::parse(url.expose()).and_then(|url| url.tls().map(|_| ()));
            usable.err().map(|reason| format!("[database] {reason}"))
        }
    }
}
