//! The visit: what a flow or a grant needs to know of a request in addition to its parameters.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use super::SiteEntry;
use crate::client::Client;
use crate::hashing::QueueLine;
use crate::moment::{Entropy, Moment};
use crate::network::narrowest_prefix;
use crate::refusal::Refusal;
use crate::store::audit::AuditEvent;
use crate::verification::Origin;

/// What a flow or a grant needs to know of a request in addition to its parameters: its site, its instant, and where it
/// came from.
#[derive(Clone)]
pub struct Visit {
    /// The site that the request was sent to.
    pub site: Arc<SiteEntry>,
    /// The instant of the request. One request has one instant.
    pub at: Moment,
    /// The client's address.
    pub ip: IpAddr,
    /// The client's location, from the headers of a trusted proxy.
    pub location: ClientLocation,
    /// `User-Agent`, as sent.
    pub user_agent: Option<String>,
    /// The request's id, on its answer and on every log line.
    pub request_id: String,
    /// Method and path of the request. Only the log reads it.
    pub asked: String,
    /// The endpoint, by its name in metrics and logs.
    pub endpoint: &'static str,
    /// The client that the request names, once it was found. Only the log reads it.
    pub client: SeenClient,
}

/// A client that exists here, shared by all copies of one visit.
pub type SeenClient = Arc<OnceLock<Arc<Client>>>;

/// Where a client is, as far as a trusted proxy reports it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientLocation {
    /// City.
    pub city: Option<String>,
    /// Country.
    pub country: Option<String>,
    /// Region of the country.
    pub subdivision: Option<String>,
}

impl Visit {
    /// The origin by which failed guesses of this request are counted.
    pub fn origin(&self) -> Origin {
        Origin {
            site_id: self.site.site.id.clone(),
            network: narrowest_prefix(self.ip).network,
        }
    }

    /// The line in which a password of this request waits to be hashed, with the user that the request names.
    pub fn line(&self, user: &str) -> QueueLine {
        QueueLine::of(self.ip, user)
    }

    /// Notes which client the request names, for the log. The client must exist here, because a value of the request
    /// must not reach the log.
    pub fn note_client(&self, client: &Arc<Client>) {
        // The first value stays: one request names one client.
        let _ = self.client.set(Arc::clone(client));
    }

    /// The id of the client that the request names, once it was found; for the log.
    pub fn client_id(&self) -> Option<&str> {
        self.client.get().map(|client| client.id.as_str())
    }

    /// Writes the log line of a refusal: at `info` for a refused credential, with the reason that the answer does not
    /// disclose and, for a JWT, the part that is wrong; at `debug` for any other refusal, with the detail of the answer.
    /// The line has no value of the request but its method and path.
    pub fn log_refusal(&self, refusal: &Refusal) {
        let site = self.site.site.id.as_str();
        let client = self.client_id();
        match refusal.reason() {
            Some(reason) => tracing::info!(
                asked = self.asked, request = %self.request_id, endpoint = self.endpoint, site, client,
                refusal = refusal.name(), reason = reason.as_str(), part = refusal.jwt_part(),
                "a credential was refused"
            ),
            None => tracing::debug!(
                asked = self.asked, request = %self.request_id, endpoint = self.endpoint, site, client,
                refusal = refusal.name(), detail = refusal.detail(),
                "refused"
            ),
        }
    }

    /// An audit event of this visit.
    pub fn event(&self, entropy: &Entropy, event: &'static str) -> AuditEvent {
        AuditEvent {
            site_id: Some(self.site.site.id.clone()),
            ip: Some(self.ip.to_string()),
            request_id: Some(self.request_id.clone()),
            ..AuditEvent::new(event, self.at, entropy.bytes())
        }
    }
}
