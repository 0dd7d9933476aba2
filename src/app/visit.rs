//! The visit: who asks, where and when. Every story is told this besides the request itself.

use std::net::IpAddr;
use std::sync::Arc;

use super::SiteEntry;
use crate::admission::prefix_of;
use crate::moment::Moment;
use crate::store::audit::AuditEvent;
use crate::verification::Origin;

/// Who asks, where and when: what every story is told besides the request itself.
#[derive(Clone)]
pub struct Visit {
    /// The site that is asked.
    pub site: Arc<SiteEntry>,
    /// The present instant; one request has one.
    pub at: Moment,
    /// Where the request came from.
    pub ip: IpAddr,
    /// Where a trusted proxy says that this is.
    pub place: Place,
    /// `User-Agent`, as sent.
    pub user_agent: Option<String>,
    /// Its id, on the answer and on every log line.
    pub request_id: String,
}

/// Where a caller is, as far as a trusted proxy says so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// City.
    pub city: Option<String>,
    /// Country.
    pub country: Option<String>,
    /// Region of the country.
    pub subdivision: Option<String>,
}

impl Visit {
    /// Where a guess of this visit comes from.
    pub fn origin(&self) -> Origin {
        Origin {
            site_id: self.site.site.id.clone(),
            network: prefix_of(self.ip),
        }
    }

    /// An audit row of this visit.
    pub fn event(&self, id: String, event: &'static str) -> AuditEvent {
        AuditEvent {
            id,
            at: self.at,
            event,
            user_id: None,
            client_id: None,
            site_id: Some(self.site.site.id.clone()),
            ip: Some(self.ip.to_string()),
            request_id: Some(self.request_id.clone()),
            detail: String::from("{}"),
        }
    }
}
