//! The installation under load, as `vestibule dev` describes it in its ready file: its listeners and its clients.

use serde_json::Value;

use super::http::Base;
use crate::outcome::Outcome;

/// The driven installation, as the ready file describes it. It has no `Debug`: it contains secrets, and no log
/// needs them.
#[derive(Clone)]
pub struct Installation {
    /// The private site.
    pub site: Base,
    /// The management listener.
    pub management: Base,
    /// The token for the management listener.
    pub admin_token: String,
    /// The id of the private client, for which users log in.
    pub client_id: String,
    /// Its secret.
    pub client_secret: String,
    /// Its callback.
    pub redirect_uri: String,
    /// The id of the integration client, which represents the app's backend.
    pub integration_id: String,
    /// Its secret.
    pub integration_secret: String,
}

impl Installation {
    /// Reads the ready file.
    pub fn read(ready: &Value) -> Outcome<Self> {
        let text = |pointer: &str| -> Outcome<String> {
            match ready.pointer(pointer).and_then(Value::as_str) {
                Some(text) => Ok(text.to_owned()),
                None => Err(format!("the ready file has no {pointer}").into()),
            }
        };
        Ok(Self {
            site: Base::parse(&text("/sites/private/base_url")?)?,
            management: Base::parse(&text("/management_url")?)?,
            admin_token: text("/admin_token")?,
            client_id: text("/sites/private/client/client_id")?,
            client_secret: text("/sites/private/client/client_secret")?,
            redirect_uri: text("/sites/private/client/redirect_uri")?,
            integration_id: text("/sites/private/integration/client_id")?,
            integration_secret: text("/sites/private/integration/client_secret")?,
        })
    }
}
