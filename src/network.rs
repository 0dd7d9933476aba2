//! Networks: those in CIDR form (which proxies are trusted, which private addresses may be called), and the prefixes
//! of an address by which limits count.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An address with a prefix length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// `127.0.0.0/8`
    pub const LOOPBACK_V4: Network = Network {
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        prefix: 8,
    };

    /// `::1`
    pub const LOOPBACK_V6: Network = Network {
        address: IpAddr::V6(Ipv6Addr::LOCALHOST),
        prefix: 128,
    };

    /// Whether an address belongs to the network. An IPv4 address written as IPv6 counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let shift = 32 - u32::from(self.prefix);
                let cut = |bits: u32| bits.checked_shr(shift).unwrap_or(0);
                cut(network.to_bits()) == cut(address.to_bits())
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let shift = 128 - u32::from(self.prefix);
                let cut = |bits: u128| bits.checked_shr(shift).unwrap_or(0);
                cut(network.to_bits()) == cut(address.to_bits())
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("{text:?} is not an address or a network such as 10.0.0.0/8");
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(prefix) => prefix
                .parse()
                .ok()
                .filter(|p| *p <= longest)
                .ok_or_else(wrong)?,
            None => longest,
        };
        Ok(Network { address, prefix })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl Serialize for Network {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// Whether a `Host` header with an optional port names a machine directly: by an address, as `localhost`, or by one of these
/// names. Any other name may be one that a foreign DNS resolves to this machine, so that a web page of its owner
/// can read the answer (DNS rebinding).
pub fn is_direct_host(host: &str, names: &[String]) -> bool {
    let is_port = |text: &str| text.parse::<u16>().is_ok();
    if let Some(rest) = host.strip_prefix('[') {
        let Some((address, rest)) = rest.split_once(']') else {
            return false;
        };
        let is_end = rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port);
        return is_end && address.parse::<Ipv6Addr>().is_ok();
    }
    let name = match host.split_once(':') {
        Some((name, port)) if is_port(port) => name,
        Some(_) => return false,
        None => host,
    };
    name.parse::<Ipv4Addr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || names.iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// A network prefix that limits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Prefix {
    /// Its first address.
    pub network: IpAddr,
    /// Its length in bits.
    pub length: u8,
}

impl Prefix {
    /// How many times as much a prefix may have as the narrowest one, which is 1. One customer has an IPv6 /48 or an
    /// IPv4 /24 to itself and changes the rest at will; but one of these may also be many customers.
    pub fn factor(&self) -> usize {
        match (self.network, self.length) {
            (IpAddr::V4(_), 24) | (IpAddr::V6(_), 48) => 4,
            (IpAddr::V6(_), 56) => 2,
            _ => 1,
        }
    }

    fn of(ip: IpAddr, length: u8) -> Prefix {
        let network = match ip {
            IpAddr::V4(ip) => {
                let mask = u32::MAX << (32 - u32::from(length));
                IpAddr::V4(Ipv4Addr::from_bits(ip.to_bits() & mask))
            }
            IpAddr::V6(ip) => {
                let mask = u128::MAX << (128 - u32::from(length));
                IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & mask))
            }
        };
        Prefix { network, length }
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.length)
    }
}

/// The prefix of an IPv4 address that a translator writes as IPv6 (RFC 6052 section 2.1).
const TRANSLATED: [u16; 6] = [0x64, 0xff9b, 0, 0, 0, 0];

/// The prefixes of an address that limits count, the narrowest first: the whole of an IPv4 address and its /24; the
/// /64, the /56 and the /48 of an IPv6 one. One customer has at least a /64 and changes the rest at will (threat
/// NET-13). An IPv4 address written as IPv6 is IPv4.
pub fn prefixes_of(ip: IpAddr) -> impl Iterator<Item = Prefix> {
    let narrowest = narrowest_prefix(ip);
    let wider: &[u8] = match narrowest.network {
        IpAddr::V4(_) => &[24],
        IpAddr::V6(_) => &[56, 48],
    };
    let wider = wider.iter();
    std::iter::once(narrowest)
        .chain(wider.map(move |length| Prefix::of(narrowest.network, *length)))
}

/// The narrowest of the [`prefixes_of`] an address.
pub fn narrowest_prefix(ip: IpAddr) -> Prefix {
    let ip = match ip.to_canonical() {
        IpAddr::V6(ip) if ip.segments()[..6] == TRANSLATED => {
            let [.., a, b, c, d] = ip.octets();
            IpAddr::V4(Ipv4Addr::new(a, b, c, d))
        }
        ip => ip,
    };
    Prefix::of(ip, if ip.is_ipv4() { 32 } else { 64 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn net_13_spellings_and_the_addresses_of_a_64_are_one_prefix() {
        let prefix = |text: &str| prefixes_of(text.parse().unwrap()).next();
        let first = prefix("2001:db8:1:2::1");
        for same in [
            "2001:DB8:1:2::1",
            "2001:db8:1:2:ffff:ffff:ffff:ffff",
            "2001:0db8:0001:0002:0:0:0:2",
        ] {
            assert_eq!(prefix(same), first, "{same}");
        }
        for other in ["2001:db8:1:3::1", "2001:db8::1", "::1"] {
            assert_ne!(prefix(other), first, "{other}");
        }
        for mapped in ["::ffff:192.0.2.1", "64:ff9b::192.0.2.1", "::FFFF:c000:0201"] {
            assert_eq!(prefix(mapped), prefix("192.0.2.1"), "{mapped}");
        }
        assert_ne!(prefix("192.0.2.1"), prefix("192.0.2.2"));
        assert_ne!(prefix("64:ff9b::192.0.2.1"), prefix("64:ff9b::192.0.2.2"));
    }

    #[test]
    fn a_name_that_anybody_can_choose_is_no_direct_host() {
        let names = [String::from("vestibule.internal")];
        for host in [
            "127.0.0.1",
            "127.0.0.1:8081",
            "10.1.2.3:9",
            "[::1]",
            "[::1]:8081",
            "localhost",
            "LocalHost:8081",
            "vestibule.internal:8081",
        ] {
            assert!(is_direct_host(host, &names), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "evil.example:8081",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "evil.localhost",
            "localhost:8081.evil.example",
            "localhost:",
            "127.0.0.1@evil.example",
            "[::1",
            "[::1]evil.example",
            "[evil]",
            "vestibule.internal.evil.example",
            "0x7f000001",
        ] {
            assert!(!is_direct_host(host, &names), "{host}");
        }
    }

    #[test]
    fn net_13_wider_prefixes_have_more() {
        let prefixes = |text: &str| -> Vec<(String, usize)> {
            let all = prefixes_of(text.parse().unwrap());
            all.map(|prefix| (prefix.to_string(), prefix.factor()))
                .collect()
        };
        let of = |text: &str, factor| (text.to_owned(), factor);
        assert_eq!(
            prefixes("2001:db8:1:234:5::1"),
            [
                of("2001:db8:1:234::/64", 1),
                of("2001:db8:1:200::/56", 2),
                of("2001:db8:1::/48", 4)
            ]
        );
        assert_eq!(
            prefixes("::ffff:192.0.2.77"),
            [of("192.0.2.77/32", 1), of("192.0.2.0/24", 4)]
        );
    }

    #[test]
    fn a_network_contains_only_its_addresses() {
        let network: Network = "10.1.0.0/16".parse().unwrap();
        assert!(network.contains("10.1.255.255".parse().unwrap()));
        assert!(network.contains("::ffff:10.1.2.3".parse().unwrap()));
        assert!(!network.contains("10.2.0.0".parse().unwrap()));
        let all: Network = "0.0.0.0/0".parse().unwrap();
        assert!(all.contains("192.0.2.1".parse().unwrap()));
        assert!(!all.contains("2001:db8::1".parse().unwrap()));
        let one: Network = "2001:db8::1".parse().unwrap();
        assert!(one.contains("2001:db8::1".parse().unwrap()));
        for bad in ["", "10.0.0.0/33", "example.com", "10.0.0.0/x"] {
            assert!(bad.parse::<Network>().is_err(), "{bad}");
        }
    }
}
