//! `vestibule serve`: runs a server with its config.

use std::net::IpAddr;
use std::sync::Arc;

use clap::Args;

use super::exit::Exit;
use super::loose_files::loose_files;
use super::place::{Place, open};
use super::process;
use crate::admin::installation::database_warning;
use crate::app::App;
use crate::config::Config;
use crate::endpoint::Listeners;
use crate::telemetry;

/// Runs until SIGTERM or SIGINT, then ends running requests and stops. The schema must be up to date
/// (`vestibule migrate up`)
#[derive(Args)]
pub struct Arguments {}

/// What a server without a mail relay cannot do. That may be intended: text messages need no relay.
pub fn lacks_relay(config: &Config) -> Option<&'static str> {
    let is_bare = config.smtp.url.is_none();
    is_bare.then_some("no mail relay is configured: registrations by e-mail will be refused")
}

/// Runs it.
pub async fn run(place: &Place, _: &Arguments) -> Result<(), Exit> {
    let config = place.load_config()?;
    telemetry::start(&config.log).map_err(Exit::refused)?;
    let _lock = process::lock_database(&config)?;
    let installation = open(&config)?;
    let waiting = installation.waiting_migrations().await?;
    if waiting > 0 {
        return Err(Exit::refused(format!(
            "{waiting} migration(s) are not applied: run `vestibule migrate up` with the same config first"
        )));
    }
    let app = Arc::new(App::assemble(&config, installation.into_world()).await?);
    let is_exposed = |ip: IpAddr| !ip.is_loopback();
    let is_bare = config.listen.tls_certificate_file.is_none() && config.proxies.trusted.is_empty();
    if is_bare {
        tracing::warn!(
            "neither TLS files nor trusted proxies are configured: every request will be refused \
             with https_required"
        );
    }
    if is_exposed(config.listen.management.ip()) {
        tracing::warn!("the management listener is not on a loopback address: keep it private");
    }
    for warning in loose_files(&config)
        .into_iter()
        .chain(database_warning(&config))
    {
        tracing::warn!("{warning}");
    }
    if let Some(note) = lacks_relay(&config) {
        tracing::warn!("{note}");
    }
    if config.sms.webhook_url.is_some() && config.sms.webhook_secret_file.is_none() {
        tracing::warn!("[sms] webhook_secret_file is not set: text messages are sent unsigned");
    }
    let listeners = Listeners::bind(config.listen.public, config.listen.management)?;
    let (public, management) = listeners.addresses()?;
    let running = process::start(app, &config, listeners, false, axum::Router::new()).await?;
    tracing::info!(%public, %management, "serving");
    running.until_stopped().await
}
