//! `vestibule dev`: runs everything on this machine, without any preparation.
//!
//! It creates its data directory, its master key, its schema and a demo, puts mail and text messages
//! into an inbox, and prints what to try next. An existing data directory is used as it is.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use super::actor;
use super::exit::Exit;
use super::place::{DEFAULT_DATA_DIR, Place, read_keyring};
use super::process;
use super::ready::{ENV_FILE, READY_FILE, Ready, write_private, write_private_once};
use crate::admin::installation::Installation;
use crate::admin::{Admin, seed, site};
use crate::app::{App, World};
use crate::config::{Config, LogFormat};
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
}

/// Runs it.
pub async fn run(place: &Place, arguments: Arguments) -> Result<(), Exit> {
    let data_dir = place
        .data_dir()
        .unwrap_or_else(|| PathBuf::from(DEFAULT_DATA_DIR));
    let config = config_of(place, &arguments, &data_dir)?;
    let listeners = Listeners::bind(config.listen.public, config.listen.management)?;
    make_data_dir(&data_dir)?;
    let _lock = process::lock_database(&config)?;
    let entropy = match arguments.seed {
        Some(seed) => seeded(seed, &data_dir)?,
        None => Entropy::Os,
    };
    let keyring = own_keyring(&config)?;
    telemetry::start(&config.log).map_err(Exit::refused)?;

    let (public, management) = listeners.addresses()?;
    let mut installation = Installation::open(&config, keyring, actor::current())?;
    installation.entropy = entropy;
    let origin = format!("http://{public}");
    prepare(&installation.admin(), &origin, arguments.no_demo).await?;

    let inbox = Arc::new(Inbox::new());
    let admin_token = mint_client_secret(&Entropy::Os);
    let emulator = Emulator {
        inbox: Arc::clone(&inbox),
        admin_token_hash: admin_token.hash,
    };
    let world = World {
        inbox: Some(inbox),
        ..installation.into_world()
    };
    let app = Arc::new(App::assemble(&config, world).await?);
    let management_url = format!("http://{management}");
    let ready = Ready::of(&app, management_url, admin_token.text.expose().to_owned());
    let running = process::start(app, &config, listeners, true, emulator::router(emulator)).await?;
    let has_relay = config.smtp.url.is_some();
    announce(place, &arguments, &ready, &data_dir, has_relay)?;
    running.until_stopped().await
}

/// The config of this directory, with the addresses of the command line.
fn config_of(place: &Place, arguments: &Arguments, data_dir: &Path) -> Result<Config, Exit> {
    let mut config = place.load_config()?.for_data_dir(data_dir);
    config.listen.public = arguments.listen.unwrap_or(config.listen.public);
    config.listen.management = arguments.management.unwrap_or(config.listen.management);
    check_loopback(&config)?;
    config.limits = config.limits.without_addresses();
    config.otp = config.otp.in_dev();
    config.handlers = config.handlers.on_this_machine();
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
    data_dir: &Path,
    has_relay: bool,
) -> Result<(), Exit> {
    ready.write(&data_dir.join(READY_FILE))?;
    ready.write_env(&data_dir.join(ENV_FILE))?;
    if let Some(path) = &arguments.ready_file {
        ready.write(path)?;
    }
    place.print(
        &serde_json::json!(ready),
        banner(ready, data_dir, has_relay),
    )
}

/// Refuses addresses other than loopback: plain HTTP and an open inbox are for this machine only.
fn check_loopback(config: &Config) -> Result<(), Exit> {
    for address in [config.listen.public, config.listen.management] {
        if !address.ip().is_loopback() {
            return Err(Exit::refused(format!(
                "{address} is not a loopback address: `vestibule dev` uses plain HTTP and shows \
                 every code, so it serves this machine only. Use `vestibule serve` for other machines."
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

/// Reads the master key of the data directory, or creates it. It never depends on the seed, because the
/// directory may become that of a real server.
fn own_keyring(config: &Config) -> Result<Keyring, Exit> {
    if let Some(path) = &config.keys.master_key_file
        && !path.exists()
    {
        write_private_once(
            path,
            &format!("{}\n", Keyring::generate(&Entropy::Os).as_str()),
        )?;
    }
    read_keyring(config)
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
        (true, false) => seed::demo(admin, origin).await?,
        (false, _) => seed::move_demo(admin, origin).await?,
    }
    Ok(())
}

fn banner(ready: &Ready, data_dir: &Path, has_relay: bool) -> String {
    let data_dir = data_dir.display();
    let management = &ready.management_url;
    let mail = if has_relay {
        "mail is sent by the relay".to_owned()
    } else {
        format!("mail is in the inbox: {management}/_emulator/v1/inbox")
    };
    let Some(private) = &ready.sites.private else {
        return format!(
            "\n  Vestibule is ready, without a demo. Data: {data_dir}\n  Management: {management}\n  \
             Next: vestibule site create NAME --base-url URL, vestibule client create NAME\n"
        );
    };
    let next = if has_relay {
        ASK.replace("{data_dir}", &data_dir.to_string())
    } else {
        let curl: String = CURL.lines().map(|line| format!("    {line}\n")).collect();
        format!(
            "    vestibule perform register --data-dir {data_dir}\n\n  or with curl, as an app does it (paste the whole \
                 block):\n\n    . {data_dir}/env.sh\n{curl}"
        )
    };
    let public = match &ready.sites.public {
        Some(public) => format!(
            "  Public site   {}   (apps without a secret; the captcha is \"test-pass\")\n",
            public.base_url
        ),
        None => String::new(),
    };
    format!(
        r#"
  Vestibule is ready.   Ctrl-C stops it and leaves a clean database in {data_dir}

{public}  Private site  {base_url}   (apps with a backend)
  Management    {management}   (health, metrics; {mail})
  Discovery     {base_url}/.well-known/openid-configuration

  Register a user from another terminal, with one command:

{next}
  Then: vestibule perform login|passwordless|reset --data-dir {data_dir}
"#,
        base_url = private.base_url,
    )
}

/// What to try if the code is sent to a real mailbox.
const ASK: &str = "    vestibule perform register --data-dir {data_dir} --email YOU@EXAMPLE.COM --code-from ask\n";

/// A whole registration in curl. The README prints the same lines.
pub const CURL: &str = r#"member() { sed 's/.*"'$1'":"\([^"]*\)".*/\1/'; }
TOKEN=$(curl -s "$VESTIBULE_BASE_URL/services/oauth2/token" -d grant_type=client_credentials \
  -d client_id="$VESTIBULE_INTEGRATION_ID" -d client_secret="$VESTIBULE_INTEGRATION_SECRET" | member access_token)
NAME=janice$RANDOM
REQUEST=$(curl -s "$VESTIBULE_BASE_URL/services/auth/headless/init/registration" \
  -H "Authorization: Bearer $TOKEN" -d '{"userdata":{"firstName":"Janice","lastName":"Edwards",
  "email":"'$NAME'@example.com","username":"'$NAME'@example.com"},"password":"Sup3r-Secret-Pa55","verificationmethod":"email"}' | member identifier)
CODE=$(curl -s "$VESTIBULE_MANAGEMENT_URL/_emulator/v1/inbox?to=$NAME@example.com&wait_ms=5000" | member code)
GRANT=$(curl -s -L "$VESTIBULE_BASE_URL/services/oauth2/authorize" -H "Auth-Request-Type: user-registration" \
  -H "Auth-Verification-Type: email" -H "Authorization: Basic $(printf %s "$REQUEST:$CODE" | base64 | tr -d '\n')" \
  -d response_type=code_credentials -d client_id="$VESTIBULE_CLIENT_ID" -d redirect_uri="$VESTIBULE_REDIRECT_URI" | member code)
ACCESS=$(curl -s "$VESTIBULE_BASE_URL/services/oauth2/token" -d grant_type=authorization_code -d code="$GRANT" \
  -d client_id="$VESTIBULE_CLIENT_ID" -d client_secret="$VESTIBULE_CLIENT_SECRET" \
  -d redirect_uri="$VESTIBULE_REDIRECT_URI" | member access_token)
curl -s "$VESTIBULE_BASE_URL/services/oauth2/userinfo" -H "Authorization: Bearer $ACCESS" -H "X-PrettyPrint: 1""#;
