//! Which addresses and names the whole Internet can reach, and which only this machine or its network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

use crate::hosts::without_brackets;

/// Addresses that are not public: the special-purpose registries of IANA (RFC 6890), and Azure's metadata server, which has
/// a public address.
const NOT_PUBLIC_V4: [Ipv4Net; 17] = [
    v4([0, 0, 0, 0], 8),
    v4([10, 0, 0, 0], 8),
    v4([100, 64, 0, 0], 10),
    v4([127, 0, 0, 0], 8),
    v4([168, 63, 129, 16], 32),
    v4([169, 254, 0, 0], 16),
    v4([172, 16, 0, 0], 12),
    v4([192, 0, 0, 0], 24),
    v4([192, 0, 2, 0], 24),
    v4([192, 31, 196, 0], 24),
    v4([192, 88, 99, 0], 24),
    v4([192, 168, 0, 0], 16),
    v4([198, 18, 0, 0], 15),
    v4([198, 51, 100, 0], 24),
    v4([203, 0, 113, 0], 24),
    v4([224, 0, 0, 0], 4),
    v4([240, 0, 0, 0], 4),
];

/// All public IPv6 addresses are in here.
const GLOBAL_V6: Ipv6Net = v6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);

/// Addresses in [`GLOBAL_V6`] that are not public: protocol assignments with Teredo, and two ranges for examples.
const NOT_PUBLIC_V6: [Ipv6Net; 3] = [
    v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23),
    v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32),
    v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20),
];

/// IPv6 addresses with an IPv4 address in them, which a gateway reaches: NAT64 in its last 32 bits, 6to4 after its first 16.
const NAT64: Ipv6Net = v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96);
const SIX_TO_FOUR: Ipv6Net = v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16);

/// Domains that the public DNS does not have: RFC 6761, RFC 6762 and its appendix G, RFC 8375, ICANN's for private use, and
/// `localdomain`, which many hosts files have.
const PRIVATE_DOMAINS: [&str; 12] = [
    "localhost",
    "local",
    "internal",
    "test",
    "invalid",
    "home.arpa",
    "corp",
    "home",
    "lan",
    "intranet",
    "private",
    "localdomain",
];

const fn v4([a, b, c, d]: [u8; 4], bits: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), bits)
}

const fn v6([a, b, c, d, e, f, g, h]: [u16; 8], bits: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, e, f, g, h), bits)
}

/// Whether the whole Internet can reach an address. An IPv4 address may be written as an IPv6 address.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => !NOT_PUBLIC_V4.iter().any(|range| range.contains(&address)),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let bits = address.to_bits();
    let embedded = |shift: u32| {
        let bytes = u32::try_from((bits >> shift) & u128::from(u32::MAX)).unwrap_or(0);
        is_public(Ipv4Addr::from_bits(bytes).into())
    };
    if NAT64.contains(&address) {
        return embedded(0);
    }
    if SIX_TO_FOUR.contains(&address) {
        return embedded(80);
    }
    GLOBAL_V6.contains(&address) && !NOT_PUBLIC_V6.iter().any(|range| range.contains(&address))
}

/// Whether the whole Internet may know a host, as a URL names it: a public address, or a name that the public DNS may have.
/// A name is not resolved.
#[must_use]
pub fn may_be_public(host: &str) -> bool {
    let host = without_brackets(host);
    if let Ok(address) = host.parse() {
        return is_public(address);
    }
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    let last = name.rsplit('.').next().unwrap_or_default();
    // Resolvers read 0x7f.1 and 2130706433 as addresses.
    let is_number = last.starts_with(|c: char| c.is_ascii_digit());
    let is_private = PRIVATE_DOMAINS
        .iter()
        .any(|domain| name.strip_suffix(domain).is_some_and(|before| before.is_empty() || before.ends_with('.')));
    name.contains('.') && !is_number && !is_private
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_public_if_the_whole_internet_reaches_it() {
        for public in [
            "8.8.8.8",
            "172.32.0.1",
            "100.128.0.1",
            "169.253.1.1",
            "2606:4700::1111",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
            "2002:808:808::1",
        ] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for other in [
            "0.0.0.0",
            "0.1.2.3",
            "10.1.2.3",
            "100.64.0.1",
            "100.100.100.200",
            "127.0.0.1",
            "127.9.9.9",
            "168.63.129.16",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.168.1.1",
            "198.18.0.1",
            "224.0.0.1",
            "239.255.255.250",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "2001::1",
            "2001:db8::1",
            "100::1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::808:808",
            "2002:7f00:1::",
            "2002:a9fe:a9fe::1",
        ] {
            assert!(!is_public(other.parse().unwrap()), "{other}");
        }
    }

    #[test]
    fn a_name_may_be_public_if_the_public_dns_may_have_it() {
        for public in [
            "example.com",
            "calls.example.com.",
            "EXAMPLE.COM",
            "8.8.8.8",
            "[2606:4700::1111]",
            "a.latest",
            "lan.example.com",
        ] {
            assert!(may_be_public(public), "{public}");
        }
        for other in [
            "localhost",
            "LOCALHOST.",
            "a.localhost",
            "dialbridge",
            "service.test",
            "printer.local",
            "metadata.google.internal",
            "metadata",
            "router.home.arpa",
            "wiki.corp",
            "router.home",
            "nas.lan",
            "portal.intranet",
            "db.private",
            "localhost.localdomain",
            "127.0.0.1",
            "[::1]",
            "127.1",
            "0x7f.0.0.1",
            "0x7f000001",
            "2130706433",
            "0177.0.0.1",
            "",
        ] {
            assert!(!may_be_public(other), "{other}");
        }
    }
}
