//! The network prefix of an address, which limits count instead of the address itself.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The prefix of an IPv4 address that a translator writes as IPv6 (RFC 6052 section 2.1).
const TRANSLATED: [u16; 6] = [0x64, 0xff9b, 0, 0, 0, 0];

/// The whole of an IPv4 address, the first 64 bits of an IPv6 one: one customer has at least a /64
/// and changes the rest at will (threat NET-13). An IPv4 address written as IPv6 is IPv4.
pub fn prefix_of(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) if ip.segments()[..6] == TRANSLATED => {
            let [.., a, b, c, d] = ip.octets();
            IpAddr::V4(Ipv4Addr::new(a, b, c, d))
        }
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX))),
        ip => ip,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn net_13_spellings_and_the_addresses_of_a_64_are_one_prefix() {
        let prefix = |text: &str| prefix_of(text.parse().unwrap());
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
}
