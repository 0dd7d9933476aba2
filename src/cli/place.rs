//! Where the installation is, and how to print: what every command shares.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use clap::{ArgMatches, Args};
use serde_json::Value;
use vestibule_protocol::secret::Secret;

use super::exit::Exit;
use super::{actor, output};
use crate::admin::installation::{Installation, KeyCheck, database_file};
use crate::config::{self, Config};
use crate::sealing::Keyring;

/// The data directory when none is named.
pub const DEFAULT_DATA_DIR: &str = ".vestibule";

/// The master key of a data directory.
pub const MASTER_KEY: &str = "master.key";

/// Options of every command.
#[derive(Args, Clone, Debug)]
pub struct Place {
    /// The directory of a `vestibule dev` installation [default: .vestibule]. Use --data-dir or
    /// --config, not both (only `dev` accepts both). An option overrides the environment variable
    #[arg(long, global = true, value_name = "DIR", env = "VESTIBULE_DATA_DIR")]
    data_dir: Option<PathBuf>,
    /// The config file of a server
    #[arg(long, global = true, value_name = "FILE", env = "VESTIBULE_CONFIG")]
    config: Option<PathBuf>,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
}

impl Place {
    /// Lets the command line override the environment. `dev` runs by a config in a data directory; for every
    /// other command one of the two names the installation, and the other one would be ignored in part.
    ///
    /// # Errors
    /// Both were named on the command line.
    pub fn settle(&mut self, matches: &ArgMatches) -> Result<(), Exit> {
        if matches.subcommand_name() == Some("dev") {
            return Ok(());
        }
        let is_typed = |id| matches.value_source(id) == Some(ValueSource::CommandLine);
        match (is_typed("data_dir"), is_typed("config")) {
            (true, true) => {
                return Err(Exit::misused(
                    "--data-dir and --config name two installations: use one of them \
                     (only `vestibule dev` accepts both)",
                ));
            }
            (true, false) => self.config = None,
            (false, true) => self.data_dir = None,
            (false, false) => {}
        }
        Ok(())
    }

    /// Whether a config file is named.
    pub fn has_config(&self) -> bool {
        self.config.is_some()
    }

    /// The data directory of a running `vestibule dev`, for commands that talk to nothing else.
    ///
    /// # Errors
    /// A config is named: it says nothing of a `vestibule dev`.
    pub fn dev_dir(&self) -> Result<PathBuf, Exit> {
        self.data_dir().ok_or_else(|| {
            Exit::misused(
                "this command talks to a running `vestibule dev`: name its --data-dir, not a config",
            )
        })
    }

    /// The data directory; a config file without `--data-dir` has none.
    pub fn data_dir(&self) -> Option<PathBuf> {
        match (&self.data_dir, &self.config) {
            (Some(directory), _) => Some(directory.clone()),
            (None, Some(_)) => None,
            (None, None) => Some(PathBuf::from(DEFAULT_DATA_DIR)),
        }
    }

    /// The config: of the file, or of the data directory, with the environment over it.
    pub fn load_config(&self) -> Result<Config, Exit> {
        let config = config::load(self.config.as_deref(), std::env::vars_os())?;
        Ok(match self.data_dir() {
            Some(directory) => config.for_data_dir(&directory),
            None => config,
        })
    }

    /// Opens the installation that is there.
    pub async fn open(&self) -> Result<Installation, Exit> {
        let config = self.load_config()?;
        if let Ok(Some(path)) = database_file(&config)
            && !path.exists()
        {
            return Err(Exit::missing(format!(
                "there is no installation at {} (start one with `vestibule dev`, or name another \
                 with --data-dir or --config)",
                path.display()
            )));
        }
        let installation = open(&config)?;
        check(&installation, &config).await?;
        Ok(installation)
    }

    /// Prints a result: as JSON, or as text for people.
    pub fn print(&self, json: &Value, text: impl std::fmt::Display) -> Result<(), Exit> {
        if self.json {
            output::print(json)
        } else {
            output::print(text)
        }
    }

    /// Whether JSON was asked for.
    pub fn is_json(&self) -> bool {
        self.json
    }
}

/// Checks that a database holds an installation under the master key of the config.
pub async fn check(installation: &Installation, config: &Config) -> Result<(), Exit> {
    match installation.check_key().await? {
        KeyCheck::SameKey => Ok(()),
        KeyCheck::OtherKey => Err(Exit::refused(other_key(config))),
        KeyCheck::Empty => Err(Exit::missing(
            "the database holds no installation: run `vestibule migrate up` first",
        )),
    }
}

/// Opens the database of a config, whatever it holds.
pub fn open(config: &Config) -> Result<Installation, Exit> {
    let keyring = read_keyring(config)?;
    Ok(Installation::open(config, keyring, actor::current())?)
}

/// The message about a master key that is not the one of the database, which names the file.
pub fn other_key(config: &Config) -> String {
    let path = config.keys.master_key_file.as_deref();
    let path = path.map_or(String::from("[keys] master_key_file"), |path| {
        path.display().to_string()
    });
    format!("this database was sealed under another master key than the one in {path}")
}

/// Reads the master key that the config names.
pub fn read_keyring(config: &Config) -> Result<Keyring, Exit> {
    let path = config.keys.master_key_file.as_deref().ok_or_else(|| {
        Exit::refused(
            "[keys] master_key_file is not set; make one with: openssl rand -base64 32 > master.key",
        )
    })?;
    if matches!(path.try_exists(), Ok(false)) {
        return Err(Exit::refused(format!(
            "there is no file {0}, which [keys] master_key_file names: is this the right --config or \
             --data-dir? For a new installation make a key with: openssl rand -base64 32 > {0}",
            path.display()
        )));
    }
    let text = Secret::from(config::read_secret("[keys] master_key_file", path)?);
    Keyring::parse(text.expose())
        .map_err(|fault| Exit::refused(format!("{}: {}", path.display(), fault.detail)))
}

/// Reads the secret of an option from a file, or from standard input when the file is `-`.
pub fn read_secret(option: &str, path: &Path) -> Result<Secret, Exit> {
    if path.as_os_str() != "-" {
        return Ok(Secret::from(config::read_secret(option, path)?));
    }
    let mut text = String::new();
    std::io::stdin()
        .read_to_string(&mut text)
        .map_err(|error| Exit::broken(format!("reading standard input: {error}")))?;
    let secret = text.trim_end_matches(['\r', '\n']).to_owned();
    Ok(Secret::from(secret))
}
