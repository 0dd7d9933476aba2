//! The command line as a client: the few HTTP calls that `perform`, `inbox` and `isready` make, over
//! the same wire as any app.

use std::time::Duration;

use http::Method;
use reqwest::Response;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::Value;

use super::exit::Exit;
use super::ready::Ready;
use crate::outbound;

/// How long one answer may take; waiting for the inbox included.
const TIMEOUT: Duration = Duration::from_secs(70);

/// An HTTP client that follows no redirects.
pub struct Wire(reqwest::Client);

/// An answer.
pub struct Answer {
    pub status: u16,
    pub location: Option<String>,
    pub text: String,
}

impl Wire {
    /// A client.
    pub fn new() -> Result<Wire, Exit> {
        outbound::client(TIMEOUT)
            .map(Wire)
            .map_err(|fault| Exit::broken(fault.to_string()))
    }

    /// A client of a `vestibule dev`, which trusts the certificate of its public listener.
    pub fn to_dev(ready: &Ready) -> Result<Wire, Exit> {
        let Some(path) = &ready.tls_certificate_file else {
            return Wire::new();
        };
        let certificate = CertificateDer::from_pem_file(path)
            .map_err(|error| Exit::refused(format!("{}: {error}", path.display())))?;
        outbound::pinned_client(TIMEOUT, certificate)
            .map(Wire)
            .map_err(|fault| Exit::broken(fault.to_string()))
    }

    /// Asks.
    pub async fn send(
        &self,
        method: Method,
        url: &str,
        headers: &[(&'static str, String)],
        body: Option<String>,
    ) -> Result<Answer, Exit> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let value = HeaderValue::from_str(value)
                .map_err(|_| Exit::refused(format!("the header {name} cannot carry this value")))?;
            map.insert(HeaderName::from_static(name), value);
        }
        let mut request = self.0.request(method, url).headers(map);
        if let Some(body) = body {
            request = request.body(body);
        }
        let response = request
            .send()
            .await
            .map_err(|error| unreachable(url, &error))?;
        Answer::read(url, response).await
    }
}

impl Answer {
    async fn read(url: &str, response: Response) -> Result<Answer, Exit> {
        let status = response.status().as_u16();
        let location = response
            .headers()
            .get(http::header::LOCATION)
            .and_then(|location| location.to_str().ok())
            .map(str::to_owned);
        let text = response
            .text()
            .await
            .map_err(|error| unreachable(url, &error))?;
        Ok(Answer {
            status,
            location,
            text,
        })
    }

    /// The answer as JSON, if it is a 200.
    pub fn json(&self, step: &str) -> Result<Value, Exit> {
        if self.status != 200 {
            return Err(Exit::refused(format!(
                "{step} was answered {}: {}",
                self.status, self.text
            )));
        }
        serde_json::from_str(&self.text)
            .map_err(|error| Exit::broken(format!("{step}: the answer is not JSON: {error}")))
    }
}

fn unreachable(url: &str, error: &reqwest::Error) -> Exit {
    let host = url.split('/').take(3).collect::<Vec<_>>().join("/");
    let reason = if error.is_timeout() {
        "no answer in time"
    } else {
        "no connection"
    };
    Exit::late(format!("{host}: {reason}. Is the server running?"))
}

/// Joins parameters into a form.
pub fn form(parameters: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(parameters)
        .finish()
}
