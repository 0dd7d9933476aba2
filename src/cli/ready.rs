//! The ready object: what a test or a tool must know of a running `vestibule dev`.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::exit::Exit;
use crate::admin::seed::{self, echo_of};
use crate::app::App;

/// The file of the ready object inside the data directory.
pub const READY_FILE: &str = "ready.json";
/// The same for a shell.
pub const ENV_FILE: &str = "env.sh";

/// What `--ready-file` holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ready {
    pub management_url: String,
    pub admin_token: String,
    pub org_id: String,
    /// The organisation's own base URL, where integration users get tokens for every site.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub org: Option<ReadyOrganisation>,
    /// The certificate of the public listener, if it uses TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_certificate_file: Option<PathBuf>,
    pub sites: ReadySites,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReadyOrganisation {
    pub base_url: String,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ReadySites {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public: Option<ReadyPublicSite>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private: Option<ReadyPrivateSite>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReadyPublicSite {
    pub site_id: String,
    pub base_url: String,
    pub client: ReadyPublicClient,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReadyPublicClient {
    pub client_id: String,
    pub redirect_uri: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReadyPrivateSite {
    pub site_id: String,
    pub base_url: String,
    pub client: ReadyClient,
    pub integration: ReadyIntegration,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReadyClient {
    pub client_id: String,
    pub client_secret: String,
    pub redirect_uri: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReadyIntegration {
    pub client_id: String,
    pub client_secret: String,
}

impl Ready {
    /// What is there to know of an app. The demo's parts are left out where they are gone.
    pub fn of(app: &App, management_url: String, admin_token: String) -> Ready {
        let directory = app.directory();
        let named = |name: &str| {
            directory
                .clients()
                .into_iter()
                .find(|client| client.name == name)
                .cloned()
        };
        let site = |name: &str| {
            directory
                .sites()
                .iter()
                .find(|entry| entry.site.name == name)
        };
        let public = site(seed::PUBLIC).zip(named(seed::PUBLIC));
        let public = public.map(|(entry, client)| ReadyPublicSite {
            site_id: entry.site.id.clone(),
            base_url: entry.site.base_url.clone(),
            client: ReadyPublicClient {
                client_id: client.id.clone(),
                redirect_uri: echo_of(&entry.site.base_url),
            },
        });
        let private = site(seed::PRIVATE)
            .zip(named(seed::PRIVATE))
            .zip(named(seed::INTEGRATION));
        let private = private.map(|((entry, client), integration)| ReadyPrivateSite {
            site_id: entry.site.id.clone(),
            base_url: entry.site.base_url.clone(),
            client: ReadyClient {
                client_id: client.id.clone(),
                client_secret: client.secret.expose().to_owned(),
                redirect_uri: echo_of(&entry.site.base_url),
            },
            integration: ReadyIntegration {
                client_id: integration.id.clone(),
                client_secret: integration.secret.expose().to_owned(),
            },
        });
        Ready {
            management_url,
            admin_token,
            org_id: directory.org_id.clone(),
            org: site(seed::ORGANISATION).map(|entry| ReadyOrganisation {
                base_url: entry.site.base_url.clone(),
            }),
            tls_certificate_file: None,
            sites: ReadySites { public, private },
        }
    }

    /// Writes the object into a file that only its owner can read, in one step.
    pub fn write(&self, path: &Path) -> Result<(), Exit> {
        let text = serde_json::to_string_pretty(self)
            .map_err(|error| Exit::broken(format!("writing the ready object: {error}")))?;
        write_private(path, &format!("{text}\n"))
    }

    /// Writes the object as shell variables.
    pub fn write_env(&self, path: &Path) -> Result<(), Exit> {
        let mut lines = vec![
            ("VESTIBULE_MANAGEMENT_URL", &self.management_url),
            ("VESTIBULE_ADMIN_TOKEN", &self.admin_token),
        ];
        if let Some(private) = &self.sites.private {
            let integration = &private.integration;
            lines.extend([
                ("VESTIBULE_BASE_URL", &private.base_url),
                ("VESTIBULE_CLIENT_ID", &private.client.client_id),
                ("VESTIBULE_CLIENT_SECRET", &private.client.client_secret),
                ("VESTIBULE_REDIRECT_URI", &private.client.redirect_uri),
                ("VESTIBULE_INTEGRATION_ID", &integration.client_id),
                ("VESTIBULE_INTEGRATION_SECRET", &integration.client_secret),
            ]);
        }
        if let Some(public) = &self.sites.public {
            lines.extend([
                ("VESTIBULE_PUBLIC_BASE_URL", &public.base_url),
                ("VESTIBULE_PUBLIC_CLIENT_ID", &public.client.client_id),
                ("VESTIBULE_PUBLIC_REDIRECT_URI", &public.client.redirect_uri),
            ]);
        }
        let text: String = lines
            .iter()
            .map(|(name, value)| format!("export {name}='{value}'\n"))
            .collect();
        write_private(path, &text)
    }

    /// Reads the object of a data directory.
    pub fn read(data_dir: &Path) -> Result<Ready, Exit> {
        let path = data_dir.join(READY_FILE);
        let text = std::fs::read_to_string(&path).map_err(|_| {
            Exit::missing(format!(
                "no `vestibule dev` has run in {} (there is no {READY_FILE})",
                data_dir.display()
            ))
        })?;
        serde_json::from_str(&text)
            .map_err(|error| Exit::broken(format!("{}: {error}", path.display())))
    }
}

/// Writes a file with secrets in it: readable by its owner only, and never half-written, because it
/// appears under its name only when it is whole.
pub fn write_private(path: &Path, text: &str) -> Result<(), Exit> {
    let new = write_beside(path, text)?;
    std::fs::rename(&new, path)
        .map_err(|error| Exit::broken(format!("{}: {error}", path.display())))
}

/// The same for a file that must not be replaced: of two processes that make it, one does.
pub fn write_private_once(path: &Path, text: &str) -> Result<(), Exit> {
    let new = write_beside(path, text)?;
    let linked = std::fs::hard_link(&new, path);
    let _ = std::fs::remove_file(&new);
    match linked {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(Exit::broken(format!("{}: {error}", path.display())))
        }
        _ => Ok(()),
    }
}

fn write_beside(path: &Path, text: &str) -> Result<PathBuf, Exit> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let new = path.with_file_name(name);
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
        .open(&new)
        .and_then(|mut file| {
            file.write_all(text.as_bytes())
                .and_then(|()| file.sync_all())
        })
        .map_err(|error| Exit::broken(format!("{}: {error}", new.display())))?;
    Ok(new)
}
