//! The HTTP proxy through which a company lets its servers call others.
//!
//! An HTTPS server is called by CONNECT (RFC 9110 section 9.3.6), so the proxy sees only the host and port. The
//! hosts of `no_proxy` and this machine are called directly. URLs of handlers are never given to the proxy: it would
//! resolve the name again, and the guard could not judge the address to which it connects.

use std::fmt;

use url::{Host, Url};
use vestibule_protocol::secret::Secret;

use crate::network::Network;

/// A proxy, and the hosts that are called without it.
#[derive(Clone)]
pub struct ForwardProxy {
    url: Url,
    /// User and password.
    credentials: Option<(String, Secret)>,
    direct: Vec<DirectHost>,
}

/// A row of `no_proxy`.
#[derive(Clone, Debug, PartialEq, Eq)]
enum DirectHost {
    /// A name and every name below it, in lower case.
    Name(String),
    /// Hosts that are written as an address of the network.
    Network(Network),
}

impl ForwardProxy {
    /// A proxy by its URL (`http://HOST:PORT`, or `https://` for TLS to the proxy itself) and the rows of
    /// `no_proxy`: a name, which includes the names below it, an address, or a network.
    ///
    /// # Errors
    /// A sentence with the form that is expected; it does not repeat the URL.
    pub fn parse(
        url: &str,
        credentials: Option<(String, Secret)>,
        direct: &[String],
    ) -> Result<ForwardProxy, String> {
        let form = || String::from("proxy has the form http://HOST:PORT or https://HOST:PORT");
        let url = Url::parse(url).map_err(|_| form())?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(String::from(
                "proxy must hold neither user nor password: use proxy_user and proxy_password_file",
            ));
        }
        let is_plain =
            matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
        if !matches!(url.scheme(), "http" | "https") || url.host().is_none() || !is_plain {
            return Err(form());
        }
        let direct = direct.iter().map(|row| DirectHost::parse(row));
        Ok(ForwardProxy {
            url,
            credentials,
            direct: direct.collect::<Result<Vec<_>, String>>()?,
        })
    }

    /// Whether a URL is called without the proxy.
    pub(super) fn is_direct(&self, url: &Url) -> bool {
        match url.host() {
            Some(Host::Domain(name)) => self.is_direct_name(name),
            Some(Host::Ipv4(address)) => self.is_direct_address(address.into()),
            Some(Host::Ipv6(address)) => self.is_direct_address(address.into()),
            None => false,
        }
    }

    pub(super) fn is_direct_name(&self, name: &str) -> bool {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let is_row = |row: &DirectHost| match row {
            DirectHost::Name(known) => name
                .strip_suffix(known.as_str())
                .is_some_and(|before| before.is_empty() || before.ends_with('.')),
            DirectHost::Network(_) => false,
        };
        super::is_this_machine(&name) || self.direct.iter().any(is_row)
    }

    fn is_direct_address(&self, address: std::net::IpAddr) -> bool {
        let is_row = |row: &DirectHost| matches!(row, DirectHost::Network(network) if network.contains(address));
        address.to_canonical().is_loopback() || self.direct.iter().any(is_row)
    }

    /// The proxy for the HTTP client.
    pub(super) fn to_client(&self) -> reqwest::Proxy {
        let rule = self.clone();
        let proxy =
            reqwest::Proxy::custom(move |url| (!rule.is_direct(url)).then(|| rule.url.clone()));
        match &self.credentials {
            Some((user, password)) => proxy.basic_auth(user, password.expose()),
            None => proxy,
        }
    }
}

impl DirectHost {
    fn parse(row: &str) -> Result<DirectHost, String> {
        if let Ok(network) = row.trim_matches(['[', ']']).parse() {
            return Ok(DirectHost::Network(network));
        }
        let name = row
            .strip_prefix("*.")
            .or(row.strip_prefix('.'))
            .unwrap_or(row);
        let name = name.to_ascii_lowercase();
        let is_name = !name.is_empty()
            && !name.starts_with('.')
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || ".-_".contains(c));
        match is_name {
            true => Ok(DirectHost::Name(name)),
            false => Err(String::from(
                "no_proxy takes hosts such as \"api.example.com\", addresses and networks such as \"10.0.0.0/8\"",
            )),
        }
    }
}

impl fmt::Debug for ForwardProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ForwardProxy")
            .field("url", &self.url.as_str())
            .field("direct", &self.direct)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_of_the_list_and_this_machine_are_called_directly() {
        let rows = [
            "corp.example",
            ".shop.example",
            "*.lab.example",
            "10.0.0.0/8",
            "[2001:db8::1]",
        ];
        let rows = rows.map(str::to_owned);
        let proxy = ForwardProxy::parse("http://proxy.example:3128", None, &rows).unwrap();
        for (url, is_direct) in [
            ("https://corp.example/", true),
            ("https://API.corp.example/", true),
            ("https://corp.example./", true),
            ("https://notcorp.example/", false),
            ("https://corp.example.evil.example/", false),
            ("https://shop.example/", true),
            ("https://a.lab.example/", true),
            ("https://10.1.2.3/", true),
            ("https://11.1.2.3/", false),
            ("https://[2001:db8::1]/", true),
            ("http://localhost:9/", true),
            ("http://127.0.0.1:9/", true),
            ("http://[::1]:9/", true),
            ("https://www.google.com/", false),
        ] {
            assert_eq!(proxy.is_direct(&url.parse().unwrap()), is_direct, "{url}");
        }
    }

    #[test]
    fn a_wrong_proxy_or_row_is_refused_and_not_repeated() {
        for url in [
            "proxy.example:3128",
            "socks5://proxy.example",
            "http://user:s3cret@proxy.example",
            "http://proxy.example/s3cret",
            "http://proxy.example?s3cret",
            "",
        ] {
            let problem = ForwardProxy::parse(url, None, &[]).unwrap_err();
            assert!(
                problem.starts_with("proxy ") && !problem.contains("s3cret"),
                "{problem}"
            );
        }
        for row in [
            "",
            "*",
            ".",
            "https://api.example.com",
            "a b",
            "10.0.0.0/64",
        ] {
            assert!(
                ForwardProxy::parse("http://p:1", None, &[row.to_owned()]).is_err(),
                "{row}"
            );
        }
        let credentials = Some((String::from("u"), Secret::from(String::from("s3cret"))));
        let proxy = ForwardProxy::parse("https://p:1", credentials, &[]).unwrap();
        assert!(!format!("{proxy:?}").contains("s3cret"));
    }
}
