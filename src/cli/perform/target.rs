//! The server of a performance: a `vestibule dev` on this machine, or the server that the command line
//! names.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::exit::Exit;
use crate::cli::place::{Place, read_secret};
use crate::cli::ready::{Ready, ReadyClient, ReadyIntegration};

/// A server that is no `vestibule dev` on this machine. Either all options are given, or none.
#[derive(Args)]
#[group(multiple = true, requires_all = [
    "base_url", "client_id", "client_secret_file", "redirect_uri", "integration_id",
    "integration_secret_file",
])]
pub(super) struct Server {
    /// The site of any server, with the five options below, in place of a `vestibule dev`
    #[arg(long, value_name = "URL")]
    pub base_url: Option<String>,
    /// Consumer key of the app
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,
    /// A file with the secret of the app
    #[arg(long, value_name = "FILE")]
    pub client_secret_file: Option<PathBuf>,
    /// A callback of the app
    #[arg(long, value_name = "URI")]
    redirect_uri: Option<String>,
    /// Consumer key of the integration
    #[arg(long, value_name = "ID")]
    integration_id: Option<String>,
    /// A file with the secret of the integration
    #[arg(long, value_name = "FILE")]
    pub integration_secret_file: Option<PathBuf>,
}

impl Server {
    /// The server, if the command line names one.
    pub fn target(&self) -> Result<Option<PerformTarget>, Exit> {
        let (
            Some(base_url),
            Some(client_id),
            Some(client_secret_file),
            Some(redirect_uri),
            Some(integration_id),
            Some(integration_secret_file),
        ) = (
            &self.base_url,
            &self.client_id,
            &self.client_secret_file,
            &self.redirect_uri,
            &self.integration_id,
            &self.integration_secret_file,
        )
        else {
            return Ok(None);
        };
        let secret = |option: &str, path: &Path| {
            read_secret(option, path).map(|text| text.expose().to_owned())
        };
        Ok(Some(PerformTarget {
            base_url: base_url.trim_end_matches('/').to_owned(),
            client: ReadyClient {
                client_id: client_id.clone(),
                client_secret: secret("--client-secret-file", client_secret_file)?,
                redirect_uri: redirect_uri.clone(),
            },
            integration: ReadyIntegration {
                client_id: integration_id.clone(),
                client_secret: secret("--integration-secret-file", integration_secret_file)?,
            },
            inbox: None,
        }))
    }
}

/// The site, and the apps that send requests to it.
pub(super) struct PerformTarget {
    pub base_url: String,
    pub client: ReadyClient,
    pub integration: ReadyIntegration,
    /// The `vestibule dev` whose inbox can be read.
    pub inbox: Option<Ready>,
}

impl PerformTarget {
    /// The demo site of a running `vestibule dev`.
    pub fn of_dev(place: &Place) -> Result<PerformTarget, Exit> {
        let ready = Ready::read(&place.dev_dir()?)?;
        let site = ready.sites.private.clone().ok_or_else(|| {
            Exit::missing("this installation has no demo site (it was made with --no-demo)")
        })?;
        Ok(PerformTarget {
            base_url: site.base_url,
            client: site.client,
            integration: site.integration,
            inbox: Some(ready),
        })
    }
}
