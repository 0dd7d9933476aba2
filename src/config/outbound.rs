//! `[outbound]`: the HTTP proxy for calls to other servers.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use vestibule_protocol::secret::Secret;

use super::{ConfigProblem, read_secret};
use crate::outbound::ForwardProxy;

/// The proxy for calls to captcha verifiers and providers of text messages.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OutboundConfig {
    /// `http://HOST:PORT` or `https://HOST:PORT`.
    pub proxy: Option<String>,
    /// The hosts that are called without the proxy.
    pub no_proxy: Vec<String>,
    /// The user of the proxy.
    pub proxy_user: Option<String>,
    /// A file with the user's password.
    pub proxy_password_file: Option<PathBuf>,
}

impl OutboundConfig {
    /// Checks the keys without reading a file.
    pub(super) fn validate(&self) -> Result<(), String> {
        let has_credentials = self.proxy_user.is_some() || self.proxy_password_file.is_some();
        if self.proxy_user.is_some() != self.proxy_password_file.is_some() {
            return Err("[outbound] proxy_user and proxy_password_file go together".into());
        }
        match &self.proxy {
            Some(url) => ForwardProxy::parse(url, None, &self.no_proxy)
                .map(|_| ())
                .map_err(|reason| format!("[outbound] {reason}")),
            None if has_credentials || !self.no_proxy.is_empty() => {
                Err("[outbound] proxy is not set, and the other keys of the section need it".into())
            }
            None => Ok(()),
        }
    }

    /// The proxy, if the config names one.
    ///
    /// # Errors
    /// A key is wrong, or the file of the password cannot be read.
    pub fn forward_proxy(&self) -> Result<Option<ForwardProxy>, ConfigProblem> {
        self.validate().map_err(ConfigProblem::Rule)?;
        let Some(url) = &self.proxy else {
            return Ok(None);
        };
        let password = self.proxy_password_file.as_deref();
        let password = password.map(|path| read_secret("[outbound] proxy_password_file", path));
        let password = password.transpose()?.map(Secret::from);
        ForwardProxy::parse(url, self.proxy_user.clone().zip(password), &self.no_proxy)
            .map(Some)
            .map_err(|reason| ConfigProblem::Rule(format!("[outbound] {reason}")))
    }
}
