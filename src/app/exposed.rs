//! The names at which an exposed `vestibule dev` answers in addition to those of its base URLs.

use std::net::IpAddr;

/// The additional names of the public listener. A site of `vestibule serve` answers at the host of its base URL only.
#[derive(Clone, Debug)]
pub struct ExposedHosts {
    /// Host names, without a port. An address is always accepted: a foreign page cannot make one its own name, as
    /// it can with a host name in the DNS.
    pub names: Vec<String>,
    /// The authority (`host:port`) of the sites.
    pub authority: String,
}

impl ExposedHosts {
    /// The authority of the sites if this one is accepted for it, and this one otherwise.
    pub fn resolve<'a>(&'a self, authority: &'a str) -> &'a str {
        let host = match authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
            _ => authority,
        };
        let is_address = host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
        let is_name = self
            .names
            .iter()
            .any(|name| name.eq_ignore_ascii_case(host));
        match is_address || is_name {
            true => &self.authority,
            false => authority,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_listed_names_are_accepted_and_no_other() {
        let hosts = ExposedHosts {
            names: vec![
                String::from("vestibule"),
                String::from("host.docker.internal"),
            ],
            authority: String::from("127.0.0.1:8080"),
        };
        for (authority, is_accepted) in [
            ("vestibule:8080", true),
            ("VESTIBULE", true),
            ("host.docker.internal:9999", true),
            ("192.168.1.5:8080", true),
            ("[2001:db8::1]:8080", true),
            ("evil.example:8080", false),
            ("vestibule.evil.example:8080", false),
            ("", false),
        ] {
            let resolved = hosts.resolve(authority);
            assert_eq!(
                resolved == "127.0.0.1:8080",
                is_accepted,
                "{authority}: {resolved}"
            );
        }
    }
}
