//! Which addresses may be called when a handler or a setting names the host.
//!
//! The machine of this process can reach more than the public network: itself, its neighbours, and the metadata
//! service of its cloud, which returns keys. So the addresses of a name are resolved once, here, all of them are
//! judged, and the connection is made to one of them. There is no second look-up with a different result. An IPv4
//! address is public unless a row below excludes it; of IPv6 only global unicast is public, without the excluded
//! rows.
//!
//! Sources: IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890); RFC 4291 sections 2.4, 2.5.5.2; RFC
//! 6052 (addresses that contain an IPv4 address); RFC 6761 section 6.3 (`localhost`).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::Semaphore;
use url::{Host, Url};

use super::{ForwardProxy, NoReply};
use crate::network::Network;

/// Which addresses a guarded client may call: every public address, and these.
#[derive(Clone, Debug, Default)]
pub struct AddressRule {
    /// Networks that may be called although they are not public.
    pub allowed: Vec<Network>,
    /// The resolver of names.
    pub names: NameResolver,
    /// The proxy of other calls. A host that it would be asked for is refused, because it would resolve the name
    /// again, and the guard could not judge the address to which it connects.
    pub proxy: Option<ForwardProxy>,
}

/// A function from a name to its addresses.
type Known = dyn Fn(&str) -> Vec<IpAddr> + Send + Sync;

/// The resolver of names.
#[derive(Clone, Default)]
pub enum NameResolver {
    /// A function, for tests.
    Fixed(Arc<Known>),
    /// The machine's resolver.
    #[default]
    System,
}

/// An address rule with the limit of its look-ups.
pub(super) struct Guard {
    rule: AddressRule,
    lookups: Arc<Semaphore>,
}

impl Guard {
    pub(super) fn new(rule: AddressRule) -> Guard {
        Guard {
            rule,
            lookups: Arc::new(Semaphore::new(LOOKUPS_MAX)),
        }
    }

    /// Judges the host of a URL if it is an address, because an address is not resolved. The URL parser has
    /// converted every notation (`2130706433`, `0x7f.1`, `[::ffff:127.0.0.1]`) into one address.
    pub(super) fn check_host(&self, url: &Url) -> Result<(), NoReply> {
        let judged = match url.host() {
            Some(Host::Domain(_)) => Ok(()),
            Some(Host::Ipv4(address)) => self.judge_literal(url, IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => self.judge_literal(url, IpAddr::V6(address)),
            None => Err("it names no host"),
        };
        judged.map_err(NoReply::Forbidden)
    }

    fn judge_literal(&self, url: &Url, address: IpAddr) -> Result<(), &'static str> {
        self.judge(address)?;
        self.check_direct(|proxy| proxy.is_direct(url), &[address])
    }

    /// Refuses a host that is called through the proxy. Hosts of the operator's exceptions are called directly.
    fn check_direct(
        &self,
        is_direct: impl Fn(&ForwardProxy) -> bool,
        addresses: &[IpAddr],
    ) -> Result<(), &'static str> {
        let is_allowed = |ip: &IpAddr| self.rule.allowed.iter().any(|n| n.contains(*ip));
        match &self.rule.proxy {
            Some(proxy) if !is_direct(proxy) && !addresses.iter().all(is_allowed) => Err(
                "handlers are not called through the proxy; [outbound] no_proxy does not list the host",
            ),
            _ => Ok(()),
        }
    }

    /// The reason why an address may not be called.
    fn judge(&self, address: IpAddr) -> Result<(), &'static str> {
        match not_public(address) {
            Some(_) if self.rule.allowed.iter().any(|n| n.contains(address)) => Ok(()),
            Some(why) => Err(why),
            None => Ok(()),
        }
    }

    /// One forbidden address makes the name forbidden: otherwise chance would decide which one is connected to.
    fn judge_name(&self, name: &str, addresses: &[IpAddr]) -> Result<(), Stopped> {
        if addresses.is_empty() {
            return Err(Stopped(NoReply::Unreachable));
        }
        for address in addresses {
            self.judge(*address)
                .map_err(|why| Stopped(NoReply::Forbidden(why)))?;
            // Plain HTTP is allowed to this name, so it must not resolve to another machine.
            if is_this_machine(name) && !address.is_loopback() {
                return Err(Stopped(NoReply::Forbidden("localhost is another machine")));
            }
        }
        self.check_direct(|proxy| proxy.is_direct_name(name), addresses)
            .map_err(|why| Stopped(NoReply::Forbidden(why)))
    }
}

/// Whether a host name is the name of this machine.
pub(super) fn is_this_machine(name: &str) -> bool {
    name.eq_ignore_ascii_case("localhost")
}

/// The resolver of a guarded client: all of its results were judged.
pub(super) struct Resolver(pub(super) Arc<Guard>);

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = Arc::clone(&self.0);
        Box::pin(async move {
            let name = name.as_str();
            let addresses = look_up(&guard, name).await?;
            guard.judge_name(name, &addresses)?;
            let addresses = addresses.into_iter().map(|ip| SocketAddr::new(ip, 0));
            Ok(Box::new(addresses) as Addrs)
        })
    }
}

async fn look_up(guard: &Guard, name: &str) -> Result<Vec<IpAddr>, Stopped> {
    let name = match &guard.rule.names {
        NameResolver::Fixed(addresses) => return Ok(addresses(name)),
        NameResolver::System => name.to_owned(),
    };
    // A look-up that hangs cannot be cancelled, so it keeps its permit past the deadline of the call.
    let permit = Arc::clone(&guard.lookups).try_acquire_owned();
    let permit = permit.map_err(|_| Stopped(NoReply::Busy))?;
    let looked_up = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        (name.as_str(), 0).to_socket_addrs()
    });
    match looked_up.await {
        Ok(Ok(found)) => Ok(found.map(|address| address.ip()).collect()),
        _ => Err(Stopped(NoReply::Unreachable)),
    }
}

/// Why a look-up returned no address; the HTTP client passes it on as the cause of its error.
#[derive(Debug)]
pub(super) struct Stopped(pub(super) NoReply);

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Stopped {}

/// The reason why an address is not public, in a few words; `None` if it is public.
fn not_public(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => not_public_v4(address),
        IpAddr::V6(address) => not_public_v6(address),
    }
}

fn not_public_v4(address: Ipv4Addr) -> Option<&'static str> {
    let bits = address.to_bits();
    let is_in = |network: [u8; 4], prefix: u32| {
        let network = Ipv4Addr::from(network).to_bits();
        (bits ^ network).leading_zeros() >= prefix
    };
    let mut rows = NOT_PUBLIC_V4.iter();
    rows.find(|(network, prefix, _)| is_in(*network, *prefix))
        .map(|(_, _, why)| *why)
}

fn not_public_v6(address: Ipv6Addr) -> Option<&'static str> {
    let bits = address.to_bits();
    let is_in =
        |network: Ipv6Addr, prefix: u32| (bits ^ network.to_bits()).leading_zeros() >= prefix;
    let embedded = || Ipv4Addr::from_bits(u32::try_from(bits & 0xFFFF_FFFF).unwrap_or_default());
    // These contain an IPv4 address, and are public if that is.
    if is_in(MAPPED, 96) || is_in(TRANSLATED, 96) {
        return not_public_v4(embedded());
    }
    let mut rows = NOT_PUBLIC_V6.iter();
    if let Some((_, _, why)) = rows.find(|(network, prefix, _)| is_in(*network, *prefix)) {
        return Some(why);
    }
    (!is_in(GLOBAL_UNICAST, 3)).then_some("it is reserved")
}

/// The maximum number of concurrent look-ups, including those of expired calls.
const LOOKUPS_MAX: usize = 64;

/// `::ffff:0:0/96`
const MAPPED: Ipv6Addr = Ipv6Addr::new(0, 0, 0, 0, 0, 0xFFFF, 0, 0);

/// `64:ff9b::/96`, which a gateway translates into the IPv4 address in it.
const TRANSLATED: Ipv6Addr = Ipv6Addr::new(0x64, 0xFF9B, 0, 0, 0, 0, 0, 0);

/// `2000::/3`
const GLOBAL_UNICAST: Ipv6Addr = Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0);

const NOT_PUBLIC_V4: &[([u8; 4], u32, &str)] = &[
    ([0, 0, 0, 0], 8, "it means this network (0.0.0.0/8)"),
    ([10, 0, 0, 0], 8, "it is private (RFC 1918)"),
    ([100, 64, 0, 0], 10, "it is shared by a carrier (RFC 6598)"),
    ([127, 0, 0, 0], 8, "it is this machine (loopback)"),
    // Azure's services respond at this address, to virtual machines only.
    ([168, 63, 129, 16], 32, "it is a service of the cloud"),
    ([169, 254, 0, 0], 16, "it is link-local (RFC 3927)"),
    ([172, 16, 0, 0], 12, "it is private (RFC 1918)"),
    ([192, 0, 0, 0], 24, "it is for protocols (192.0.0.0/24)"),
    ([192, 0, 2, 0], 24, "it is for documentation (RFC 5737)"),
    ([192, 88, 99, 0], 24, "it is a relay (RFC 7526)"),
    ([192, 168, 0, 0], 16, "it is private (RFC 1918)"),
    ([198, 18, 0, 0], 15, "it is for benchmarks (RFC 2544)"),
    ([198, 51, 100, 0], 24, "it is for documentation (RFC 5737)"),
    ([203, 0, 113, 0], 24, "it is for documentation (RFC 5737)"),
    ([224, 0, 0, 0], 4, "it is multicast"),
    ([240, 0, 0, 0], 4, "it is reserved or broadcast"),
];

const NOT_PUBLIC_V6: &[(Ipv6Addr, u32, &str)] = &[
    (Ipv6Addr::LOCALHOST, 128, "it is this machine (loopback)"),
    (Ipv6Addr::UNSPECIFIED, 128, "it is unspecified"),
    (
        Ipv6Addr::new(0x64, 0xFF9B, 1, 0, 0, 0, 0, 0),
        48,
        "it is translated within a site (RFC 8215)",
    ),
    (
        Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0),
        23,
        "it is for protocols (2001::/23)",
    ),
    (
        Ipv6Addr::new(0x2001, 0xDB8, 0, 0, 0, 0, 0, 0),
        32,
        "it is for documentation (RFC 3849)",
    ),
    (
        Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0),
        16,
        "it is a relay (RFC 3056)",
    ),
    (
        Ipv6Addr::new(0x3FFF, 0, 0, 0, 0, 0, 0, 0),
        20,
        "it is for documentation (RFC 9637)",
    ),
    (
        Ipv6Addr::new(0xFC00, 0, 0, 0, 0, 0, 0, 0),
        7,
        "it is private (RFC 4193)",
    ),
    (
        Ipv6Addr::new(0xFE80, 0, 0, 0, 0, 0, 0, 0),
        10,
        "it is link-local (RFC 4291)",
    ),
    (
        Ipv6Addr::new(0xFEC0, 0, 0, 0, 0, 0, 0, 0),
        10,
        "it is site-local (RFC 3879)",
    ),
    (
        Ipv6Addr::new(0xFF00, 0, 0, 0, 0, 0, 0, 0),
        8,
        "it is multicast",
    ),
];

impl fmt::Debug for NameResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NameResolver::Fixed(_) => "Fixed",
            NameResolver::System => "System",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(allowed: &[&str]) -> Guard {
        Guard::new(AddressRule {
            allowed: allowed.iter().map(|text| text.parse().unwrap()).collect(),
            ..AddressRule::default()
        })
    }

    fn why(url: &str) -> Option<&'static str> {
        match guard(&[]).check_host(&Url::parse(url).unwrap()) {
            Ok(()) => None,
            Err(NoReply::Forbidden(why)) => Some(why),
            Err(other) => panic!("{url}: {other}"),
        }
    }

    fn assert_refused(rows: &[(&str, &str)]) {
        for (host, part) in rows {
            let said = why(&format!("https://{host}/")).unwrap_or("it may be called");
            assert!(said.contains(part), "{host}: {said}");
        }
    }

    #[test]
    fn ssrf_01_this_machine_is_refused() {
        assert_refused(&[
            ("127.0.0.1", "loopback"),
            ("127.255.255.254", "loopback"),
            ("0.0.0.0", "this network"),
            ("0.1.2.3", "this network"),
            ("[::1]", "loopback"),
            ("[::]", "unspecified"),
        ]);
    }

    #[test]
    fn ssrf_02_link_local_and_cloud_services_are_refused() {
        assert_refused(&[
            ("169.254.169.254", "link-local"),
            ("169.254.0.1", "link-local"),
            ("[fe80::1]", "link-local"),
            ("[febf::1]", "link-local"),
            ("[fd00:ec2::254]", "private"),
            ("100.100.100.200", "carrier"),
            ("168.63.129.16", "cloud"),
            ("192.0.0.192", "protocols"),
        ]);
    }

    #[test]
    fn ssrf_03_private_and_shared_networks_are_refused() {
        assert_refused(&[
            ("10.0.0.1", "1918"),
            ("10.255.255.255", "1918"),
            ("172.16.0.1", "1918"),
            ("172.31.255.255", "1918"),
            ("192.168.0.1", "1918"),
            ("100.64.0.1", "carrier"),
            ("100.127.255.255", "carrier"),
            ("198.18.0.1", "benchmarks"),
            ("198.19.255.255", "benchmarks"),
            ("192.0.2.1", "documentation"),
            ("198.51.100.1", "documentation"),
            ("203.0.113.1", "documentation"),
            ("192.88.99.1", "relay"),
            ("224.0.0.1", "multicast"),
            ("239.255.255.255", "multicast"),
            ("240.0.0.1", "reserved"),
            ("255.255.255.255", "broadcast"),
        ]);
    }

    #[test]
    fn ssrf_04_ipv6_that_is_not_public_or_contains_private_ipv4_is_refused() {
        assert_refused(&[
            ("[fc00::1]", "private"),
            ("[fdff:ffff::1]", "private"),
            ("[fec0::1]", "site-local"),
            ("[ff02::1]", "multicast"),
            ("[::ffff:127.0.0.1]", "loopback"),
            ("[::ffff:169.254.169.254]", "link-local"),
            ("[::ffff:a01:203]", "1918"),
            ("[64:ff9b::7f00:1]", "loopback"),
            ("[64:ff9b::10.1.2.3]", "1918"),
            ("[64:ff9b:1::1]", "translated"),
            ("[::127.0.0.1]", "reserved"),
            ("[2002:7f00:1::]", "relay"),
            ("[2001::1]", "protocols"),
            ("[2001:db8::1]", "documentation"),
            ("[3fff::1]", "documentation"),
            ("[100::1]", "reserved"),
            ("[5f00::1]", "reserved"),
            ("[4000::1]", "reserved"),
        ]);
    }

    #[test]
    fn ssrf_05_an_address_is_the_same_however_it_is_written() {
        assert_refused(&[
            ("2130706433", "loopback"),
            ("017700000001", "loopback"),
            ("0x7f000001", "loopback"),
            ("0x7f.1", "loopback"),
            ("127.1", "loopback"),
            ("0177.0.0.1", "loopback"),
            ("127.0.0.1.", "loopback"),
            ("%31%32%37.0.0.1", "loopback"),
            ("１２７.０.０.１", "loopback"),
            ("0xa9fea9fe", "link-local"),
            ("2852039166", "link-local"),
            ("0xA.0x01.0x02.0x03", "1918"),
            ("[0:0:0:0:0:ffff:7f00:1]", "loopback"),
        ]);
    }

    #[test]
    fn ssrf_03_next_to_each_network_that_is_refused_lies_one_that_is_not() {
        for host in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "168.63.129.17",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.0.3.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "[2001:200::1]",
            "[2606:4700::1111]",
            "[3ffe::1]",
            "[::ffff:1.1.1.1]",
            "[64:ff9b::1.1.1.1]",
        ] {
            assert_eq!(why(&format!("https://{host}/")), None, "{host}");
        }
    }

    #[test]
    fn ssrf_03_what_is_allow_listed_may_be_called_and_its_neighbour_may_not() {
        let guard = guard(&["127.0.0.1", "10.1.2.0/24", "fd00:1::/32"]);
        let is_fine = |host: &str| {
            let url = Url::parse(&format!("https://{host}/")).unwrap();
            guard.check_host(&url).is_ok()
        };
        for host in [
            "127.0.0.1",
            "2130706433",
            "[::ffff:127.0.0.1]",
            "10.1.2.200",
            "[fd00:1::7]",
            "1.1.1.1",
        ] {
            assert!(is_fine(host), "{host}");
        }
        for host in ["127.0.0.2", "[::1]", "10.1.3.0", "[fd00:2::7]"] {
            assert!(!is_fine(host), "{host}");
        }
    }

    #[test]
    fn ssrf_06_one_address_that_is_not_public_spoils_a_name() {
        let guard = guard(&["127.0.0.1", "10.1.2.0/24"]);
        let judge = |name: &str, addresses: &[&str]| {
            let addresses: Vec<IpAddr> = addresses.iter().map(|a| a.parse().unwrap()).collect();
            guard
                .judge_name(name, &addresses)
                .map_err(|stopped| stopped.0)
        };
        assert_eq!(judge("a.example", &["1.1.1.1", "2606:4700::1111"]), Ok(()));
        assert_eq!(judge("a.example", &["127.0.0.1", "10.1.2.3"]), Ok(()));
        let mixed = judge("a.example", &["1.1.1.1", "10.0.0.1"]);
        assert!(matches!(mixed, Err(NoReply::Forbidden(_))), "{mixed:?}");
        assert_eq!(judge("a.example", &[]), Err(NoReply::Unreachable));
        // Plain HTTP is allowed to this name.
        assert_eq!(judge("localhost", &["127.0.0.1"]), Ok(()));
        for elsewhere in ["1.1.1.1", "10.1.2.3"] {
            assert!(judge("LocalHost", &[elsewhere]).is_err(), "{elsewhere}");
        }
    }
}
