//! The installation under load, as `vestibule dev` describes it in its ready file: where it listens and who may speak to it.

use serde_json::Value;

use super::http::{Base, Client};
use crate::outcome::Outcome;

/// The installation that is driven, as the ready file describes it.
// No Debug: it holds the secrets of the throw-away installation, and no log needs them.
#[derive(Clone)]
pub struct Installation {
    /// The private site.
    pub site: Base,
    /// The management listener.
    pub management: Base,
    /// What opens the management listener.
    pub admin_token: String,
    /// The id of the private client, for which users log in.
    pub client_id: String,
    /// Its secret.
    pub client_secret: String,
    /// Its callback.
    pub redirect_uri: String,
    /// The id of the integration client, which speaks for the app's backend.
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

    /// Seconds that the server says it spent on hashing passwords so far; `None` if it does not say.
    pub fn hash_cpu_seconds(&self) -> Option<f64> {
        let bearer = format!("Bearer {}", self.admin_token);
        let answer = Client::new(&self.management)
            .get("/metrics", &[("Authorization", &bearer)])
            .ok()?;
        metric(
            &String::from_utf8_lossy(&answer.body),
            "vestibule_hash_busy_seconds_total",
        )
    }
}

/// The sum of a metric over all its labels, from the text format of Prometheus.
fn metric(text: &str, name: &str) -> Option<f64> {
    let values = text.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        if !rest.starts_with([' ', '{']) {
            return None;
        }
        rest.rsplit_once([' ', '}'])?.1.trim().parse::<f64>().ok()
    });
    values.fold(None, |sum, value| Some(sum.unwrap_or(0.0) + value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_summed_over_its_labels() {
        let text =
            "# HELP x_total x\nx_total{a=\"b c\"} 1.5\nx_total{a=\"d\"} 2\nx_total_created 7\n";
        assert_eq!(metric(text, "x_total"), Some(3.5));
        assert_eq!(metric("x_total 4\n", "x_total"), Some(4.0));
        assert_eq!(metric(text, "y_total"), None);
    }
}
