//! `vestibule dev`: runs everything on this machine, without any preparation.
//!
//! It creates its data directory, its master key, its schema and a demo, puts mail and text messages
//! into an inbox, and prints what to try next. An existing data directory is used as it is.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use super::actor;
use super::banner::{Shown, banner, page};
use super::exit::Exit;
use super::loose_files::loose_files;
use super::output;
use super::place::{DEFAULT_DATA_DIR, Place, open};
use super::process;
use super::ready::{ENV_FILE, READY_FILE, Ready, write_private, write_private_once};
use crate::admin::installation::{Installation, KeyCheck};
use crate::admin::{Admin, seed, site};
use crate::app::{App, ExposedHosts, World};
use crate::config::{Config, LogConfig, LogFormat};
use crate::delivery::Inbox;
use crate::emulator::{self, Emulator};
use crate::endpoint::Listeners;
use crate::moment::Entropy;
use crate::sealing::Keyring;
use crate::telemetry;
use crate::token::mint_client_secret;

/// How often a data directory was started with a seed.
const SEEDED_STARTS_FILE: &str = "seeded_starts";

/// Distance between the seeds of two starts: odd, and far from the numbers that people choose.
const SEED_STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// What to do if a port is in use.
const BIND_HINT: &str = "\nAdd --listen 127.0.0.1:0 --management 127.0.0.1:0 to use free ports.";

/// Runs until Ctrl-C, then ends running requests and leaves a clean database
#[derive(Args)]
pub struct Arguments {
    /// The address of the sites; port 0 picks a free port [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// The address of health, metrics and the inbox [default: 127.0.0.1:8081]
    #[arg(long, value_name = "ADDRESS")]
    management: Option<SocketAddr>,
    /// Write the URLs and the demo's credentials into this file, as JSON, once the server is ready
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
    /// Make ids, codes and tokens repeatable by this seed (signing keys stay random)
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// Create no demo sites and no demo apps
    #[arg(long)]
    no_demo: bool,
    /// Allow --listen and --management to be addresses of a network, for containers, phones and CI services.
    /// Every call of the inbox then needs the admin token
    #[arg(long)]
    expose: bool,
    /// With --expose: a host name at which the sites also answer. With TLS files the first one is the host of
    /// the base URLs
    #[arg(long, value_name = "NAME", requires = "expose", value_parser = host_name)]
    host: Vec<String>,
}

/// Runs it.
pub async fn run(place: &Place, arguments: Arguments) -> Result<(), Exit> {
    let data_dir = place
        .data_dir()
        .unwrap_or_else(|| PathBuf::from(DEFAULT_DATA_DIR));
    let config = config_of(place, &arguments, &data_dir)?;
    for warning in loose_files(&config) {
        output::report(format_args!("warning: {warning}\n"));
    }
    let listeners = Listeners::bind(config.listen.public, config.listen.management)
        .map_err(|fault| Exit::broken(format!("{fault}{BIND_HINT}")))?;
    make_data_dir(&data_dir)?;
    let _lock = process::lock_database(&config)?;
    let entropy = match arguments.seed {
        Some(seed) => seeded(seed, &data_dir)?,
        None => Entropy::Os,
    };
    telemetry::start(&config.log).map_err(Exit::refused)?;

    let (public, management) = listeners.addresses()?;
    let origin = origin(&config, &arguments, public);
    let mut installation = open_with_own_key(&config).await?;
    installation.entropy = entropy;
    prepare(&installation.admin(), &origin, arguments.no_demo).await?;

    let inbox = Arc::new(Inbox::new());
    let admin_token = mint_client_secret(&Entropy::Os);
    let exposed = arguments.expose.then(|| ExposedHosts {
        names: arguments.host.clone(),
        authority: origin.split("://").last().unwrap_or_default().to_owned(),
    });
    let world = World {
        exposed,
        inbox: Some(Arc::clone(&inbox)),
        ..installation.into_world()
    };
    let app = Arc::new(App::assemble(&config, world).await?);
    let management_url = format!("http://{}", reachable(management));
    let mut ready = Ready::of(&app, management_url, admin_token.text.expose().to_owned());
    ready.tls_certificate_file = absolute(config.listen.tls_certificate_file.as_deref());
    let shown = Shown {
        data_dir: &data_dir,
        has_relay: config.smtp.url.is_some(),
        is_exposed: arguments.expose,
    };
    let emulator = Emulator {
        inbox,
        admin_token_hash: admin_token.hash,
        requires_token: arguments.expose,
        page: page(&ready, &shown).into(),
    };
    let running = process::start(app, &config, listeners, true, emulator::router(emulator)).await?;
    announce(place, &arguments, &ready, &shown)?;
    running.until_stopped().await
}

/// The URL of the public listener, without a path. A name of another machine needs TLS.
fn origin(config: &Config, arguments: &Arguments, public: SocketAddr) -> String {
    let has_tls = config.listen.tls_certificate_file.is_some();
    match (has_tls, arguments.host.first()) {
        (true, Some(name)) => format!("https://{name}:{}", public.port()),
        (true, None) => format!("https://{}", reachable(public)),
        (false, _) => format!("http://{}", reachable(public)),
    }
}

/// An address at which this machine reaches a listener: that of every interface is none.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        // The sites are named by an IPv4 address, at which a listener of every IPv6 interface answers as well.
        ip if ip.is_unspecified() => std::net::Ipv4Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

fn absolute(path: Option<&Path>) -> Option<PathBuf> {
    path.and_then(|path| std::path::absolute(path).ok())
}

/// A host name, without scheme and port.
fn host_name(text: &str) -> Result<String, String> {
    let is_name = !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || ".-_".contains(c));
    match is_name {
        true => Ok(text.to_ascii_lowercase()),
        false => Err(String::from(
            "a host name such as vestibule or host.docker.internal, without a port",
        )),
    }
}

/// The config of this directory, with the addresses of the command line.
fn config_of(place: &Place, arguments: &Arguments, data_dir: &Path) -> Result<Config, Exit> {
    let mut config = place.load_config()?.for_data_dir(data_dir);
    config.listen.public = arguments.listen.unwrap_or(config.listen.public);
    config.listen.management = arguments.management.unwrap_or(config.listen.management);
    if !arguments.expose {
        check_loopback(&config)?;
    }
    config.limits = config.limits.without_addresses();
    config.otp = config.otp.in_dev();
    config.handlers = config.handlers.on_this_machine();
    if config.log.level == LogConfig::default().level {
        // One line for each refused request.
        config.log.level += ",vestibule::refused=debug,vestibule::app::visit=debug";
    }
    if std::env::var_os("VESTIBULE_LOG__FORMAT").is_none() {
        config.log.format = LogFormat::Pretty;
    }
    Ok(config)
}

/// Reports to people, shells and tests that the server is ready, and its addresses.
fn announce(
    place: &Place,
    arguments: &Arguments,
    ready: &Ready,
    shown: &Shown<'_>,
) -> Result<(), Exit> {
    ready.write(&shown.data_dir.join(READY_FILE))?;
    ready.write_env(&shown.data_dir.join(ENV_FILE))?;
    if let Some(path) = &arguments.ready_file {
        ready.write(path)?;
    }
    place.print(&serde_json::json!(ready), banner(ready, shown))
}

/// Refuses addresses other than loopback: plain HTTP and an open inbox are for this machine only.
fn check_loopback(config: &Config) -> Result<(), Exit> {
    for address in [config.listen.public, config.listen.management] {
        if !address.ip().is_loopback() {
            return Err(Exit::refused(format!(
                "{address} is not a loopback address: `vestibule dev` shows every code, so it serves this \
                 machine only. Add --expose to let containers, phones or CI services reach it; use \
                 `vestibule serve` for real users."
            )));
        }
    }
    Ok(())
}

fn make_data_dir(path: &Path) -> Result<(), Exit> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(path)
        .map_err(|error| Exit::broken(format!("{}: {error}", path.display())))
}

/// The random numbers of a seed. Every start on the same data directory gets different ones, because the
/// first ones again would repeat the ids that the database already contains.
fn seeded(seed: u64, data_dir: &Path) -> Result<Entropy, Exit> {
    let path = data_dir.join(SEEDED_STARTS_FILE);
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    let starts: u64 = text.trim().parse().unwrap_or(0);
    write_private(&path, &format!("{}\n", starts.wrapping_add(1)))?;
    let step = starts.wrapping_mul(SEED_STEP);
    Ok(Entropy::seeded(seed.wrapping_add(step)))
}

/// Opens the database with the master key of the data directory, and creates the key for a database without an
/// installation. The key never depends on the seed, because the directory may become that of a real server.
async fn open_with_own_key(config: &Config) -> Result<Installation, Exit> {
    let missing = config.keys.master_key_file.clone();
    let Some(path) = missing.filter(|path| !path.exists()) else {
        return open(config);
    };
    let text = Keyring::generate(&Entropy::Os);
    let keyring = Keyring::parse(text.as_str())?;
    let installation = Installation::open(config, keyring, actor::current())?;
    if installation.has_schema().await? && installation.check_key().await? != KeyCheck::Empty {
        return Err(Exit::refused(format!(
            "there is no master key at {0}, and the database contains an installation whose secrets only its own \
             master key can open. Copy that key to {0} (a backup of the database does not contain it), or start a \
             new installation with another --data-dir",
            path.display()
        )));
    }
    write_private_once(&path, &format!("{}\n", text.as_str()))?;
    // Of two processes that create the key, one does, and both use that one.
    drop(installation);
    open(config)
}

/// Prepares schema, installation and demo. The demo is created if there is no site at all, so that the
/// start after an interrupted one completes it. A demo that was created under another port is moved to
/// this one.
async fn prepare(admin: &Admin<'_>, origin: &str, is_bare: bool) -> Result<(), Exit> {
    admin.store.migrate(admin.at).await?;
    seed::installation(admin).await?;
    let is_new = site::list(admin).await?.is_empty();
    match (is_new, is_bare) {
        (true, true) => {}
        (true, false) => {
            seed::demo(admin, origin).await?;
            seed::organisation(admin, origin).await?;
        }
        (false, _) => seed::move_demo(admin, origin).await?,
    }
    Ok(())
}
