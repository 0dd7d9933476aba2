//! The command line: one file per noun; `dev` and `serve` wire the rest together.
//!
//! Every command finds its installation by `--data-dir` or `--config`, takes `--json`, and changes a
//! running server within a second. Secrets come from files or standard input, never from arguments.
//! Exit codes are those of [`Exit`].

mod actor;
mod backup;
mod banner;
mod client;
mod config;
mod dev;
mod exit;
mod handler;
mod inbox;
mod isready;
mod key;
mod loose_files;
mod migrate;
mod noun;
mod output;
mod perform;
mod place;
mod process;
mod profile;
mod ready;
mod restore;
mod serve;
mod site;
mod template;
mod user;
mod version;
mod wire;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
pub use exit::Exit;
use place::Place;

/// A headless customer-identity server, compatible with the Salesforce Headless Identity API.
#[derive(Parser)]
#[command(name = "vestibule", version, about, long_about = None, after_help = EXIT_CODES)]
struct Arguments {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Exit codes:
  0  success
  1  failure; the message gives the reason
  2  the command line is wrong
  3  the input was refused and nothing was changed
  4  the named object does not exist
  5  the server is not ready, or nothing arrived in time

`vestibule dev` needs no setup and prints what to try next.";

#[derive(Subcommand)]
enum Command {
    /// Run a complete server on this machine: database, inbox, demo sites and their client apps
    Dev(dev::Arguments),
    /// Run a server with a config file
    Serve(serve::Arguments),
    /// Show or apply the schema's migrations
    Migrate {
        #[command(subcommand)]
        action: migrate::Action,
    },
    /// Write, check or print the config
    Config {
        #[command(subcommand)]
        action: config::Action,
    },
    /// Show and change sites
    Site {
        #[command(subcommand)]
        action: site::Action,
    },
    /// Create, show and change client apps
    Client {
        #[command(subcommand)]
        action: client::Action,
    },
    /// Custom code for registration, user discovery and delivery of codes
    Handler {
        #[command(subcommand)]
        action: handler::Action,
    },
    /// Custom mail templates: create, preview, send a sample
    Template {
        #[command(subcommand)]
        action: template::Action,
    },
    /// Kinds of users and their password policies
    Profile {
        #[command(subcommand)]
        action: profile::Action,
    },
    /// Signing keys: list, rotate, retire, remove
    Key {
        #[command(subcommand)]
        action: key::Action,
    },
    /// Create, show and change users
    User {
        #[command(subcommand)]
        action: user::Action,
    },
    /// Run a flow from the terminal
    Perform(perform::Arguments),
    /// Read the messages that `vestibule dev` has sent
    Inbox {
        #[command(subcommand)]
        action: inbox::Action,
    },
    /// Ask whether the server is ready, and wait for it
    Isready(isready::Arguments),
    /// Copy the SQLite database into a file, consistently and while serving
    Backup(backup::Arguments),
    /// Put a backup in the place of the SQLite database, or complete the restore of a PostgreSQL database
    Restore(restore::Arguments),
    /// Print the version
    Version,
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// The command tree, with every option and its help text.
pub fn command() -> clap::Command {
    Arguments::command()
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let (arguments, is_json) = match read() {
        Ok(read) => read,
        Err(code) => return code,
    };
    // One TLS provider for everything that opens a connection; a second call would be an error.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(run(arguments)),
        Err(error) => Err(Exit::broken(format!("starting the runtime: {error}"))),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(exit) => end(&exit, is_json),
    }
}

/// The command line of this process, and whether it asks for JSON.
fn read() -> Result<(Arguments, bool), ExitCode> {
    let read = Arguments::command().try_get_matches().and_then(|matches| {
        let arguments = Arguments::from_arg_matches(&matches)?;
        Ok((arguments, matches))
    });
    match read {
        Ok((mut arguments, matches)) => {
            let is_json = arguments.place.is_json();
            match arguments.place.settle(&matches) {
                Ok(()) => Ok((arguments, is_json)),
                Err(exit) => Err(end(&exit, is_json)),
            }
        }
        // What cannot be parsed is searched for the word alone.
        Err(error) if error.use_stderr() && std::env::args_os().any(|word| word == "--json") => {
            let text = error.render().to_string();
            let message = text.strip_prefix("error: ").unwrap_or(&text).trim_end();
            Err(end(&Exit::misused(message), true))
        }
        Err(error) => error.exit(),
    }
}

/// Reports why the command failed: under `--json` as one line of JSON.
fn end(exit: &Exit, is_json: bool) -> ExitCode {
    if is_json {
        let report = serde_json::json!({ "error": exit.message, "code": exit.code });
        output::report(format_args!("{report}\n"));
    } else {
        output::report(format_args!("vestibule: {}\n", exit.message));
    }
    ExitCode::from(exit.code)
}

async fn run(arguments: Arguments) -> Result<(), Exit> {
    let place = arguments.place;
    match arguments.command {
        Command::Dev(arguments) => Box::pin(dev::run(&place, arguments)).await,
        Command::Serve(arguments) => serve::run(&place, &arguments).await,
        Command::Migrate { action } => migrate::run(&place, action).await,
        Command::Config { action } => config::run(&place, action).await,
        Command::Site { action } => site::run(&place, action).await,
        Command::Client { action } => client::run(&place, action).await,
        Command::Handler { action } => Box::pin(handler::run(&place, action)).await,
        Command::Template { action } => template::run(&place, action).await,
        Command::Profile { action } => profile::run(&place, action).await,
        Command::Key { action } => key::run(&place, action).await,
        Command::User { action } => user::run(&place, action).await,
        Command::Perform(arguments) => perform::run(&place, arguments).await,
        Command::Inbox { action } => inbox::run(&place, action).await,
        Command::Isready(arguments) => isready::run(&place, arguments).await,
        Command::Backup(arguments) => backup::run(&place, &arguments).await,
        Command::Restore(arguments) => restore::run(&place, &arguments).await,
        Command::Version => version::run(&place),
        Command::Completions { .. } if place.is_json() => Err(Exit::misused(
            "completions prints a script for a shell and takes no --json",
        )),
        Command::Completions { shell } => {
            let mut command = Arguments::command();
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut command, "vestibule", &mut script);
            output::print(String::from_utf8_lossy(&script).trim_end())
        }
    }
}
