//! Lists of hosts, as `NO_PROXY` and `PROMPT_HOSTS` have them: names, suffixes, addresses and CIDR ranges, each with a port
//! or without one.

use std::net::IpAddr;

use ipnet::IpNet;

/// A host as a URL names it, without the brackets of an IPv6 address.
#[must_use]
pub fn without_brackets(host: &str) -> &str {
    host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host)
}

/// A list of hosts.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostList(Vec<Item>);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Item {
    host: HostPattern,
    /// `None`: every port.
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum HostPattern {
    /// `*`: every host.
    Any,
    /// This name.
    Name(String),
    /// Each name that ends with this suffix, which begins with a dot.
    Suffix(String),
    /// The addresses of a range. A single address is a range of one.
    Range(IpNet),
}

/// Which names an item without a dot at its beginning stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameRule {
    /// The name alone.
    Exact,
    /// The name, and all names below it.
    WithSubdomains,
}

impl HostList {
    /// The items of a list, which commas, spaces or tabs separate.
    pub fn items(list: &str) -> impl Iterator<Item = &str> {
        list.split([',', ' ', '\t']).filter(|item| !item.is_empty())
    }

    /// Reads the [items](Self::items) of a list. `.example.com` and `*.example.com` stand for the names
    /// below `example.com`, and by [`NameRule::WithSubdomains`] for `example.com` too.
    ///
    /// # Errors
    /// The first item that is none of these.
    pub fn parse(list: &str, rule: NameRule) -> Result<Self, String> {
        let read = |item: &str| items_of(item, rule).ok_or_else(|| item.to_owned());
        let items: Result<Vec<Vec<Item>>, String> = Self::items(list).map(read).collect();
        Ok(Self(items?.concat()))
    }

    /// Whether a host, as a URL names it, is in the list. A name is compared as it is: it is not resolved.
    #[must_use]
    pub fn contains(&self, host: &str, port: u16) -> bool {
        let host = without_brackets(host);
        if let Ok(address) = host.parse() {
            return self.contains_address(address, port);
        }
        let name = host.trim_end_matches('.').to_ascii_lowercase();
        self.0.iter().filter(|item| item.is_for(port)).any(|item| match &item.host {
            HostPattern::Any => true,
            HostPattern::Name(other) => *other == name,
            HostPattern::Suffix(suffix) => name.ends_with(suffix.as_str()),
            HostPattern::Range(_) => false,
        })
    }

    /// Whether an address is in the list. An IPv4 address may be written as an IPv6 address.
    #[must_use]
    pub fn contains_address(&self, address: IpAddr, port: u16) -> bool {
        let address = address.to_canonical();
        self.0.iter().filter(|item| item.is_for(port)).any(|item| match &item.host {
            HostPattern::Any => true,
            HostPattern::Range(range) => range.contains(&address),
            HostPattern::Name(_) | HostPattern::Suffix(_) => false,
        })
    }
}

impl Item {
    fn is_for(&self, port: u16) -> bool {
        self.port.is_none_or(|other| other == port)
    }
}

/// What an item of the list stands for.
fn items_of(item: &str, rule: NameRule) -> Option<Vec<Item>> {
    let of = |host, port| Item { host, port };
    if item == "*" {
        return Some(vec![of(HostPattern::Any, None)]);
    }
    if let Some(range) = range(item) {
        return Some(vec![of(HostPattern::Range(range), None)]);
    }
    let (host, port) = match item.rsplit_once(':') {
        Some((host, port)) => (host, Some(port.parse().ok()?)),
        None => (item, None),
    };
    if let Some(range) = range(host) {
        return Some(vec![of(HostPattern::Range(range), port)]);
    }
    let host = host.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(host);
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    let bare = name.strip_prefix('.').unwrap_or(&name);
    if !is_name(bare) {
        return None;
    }
    let (exact, below) = (HostPattern::Name(bare.to_owned()), HostPattern::Suffix(format!(".{bare}")));
    Some(match (rule, bare.len() == name.len()) {
        (NameRule::WithSubdomains, _) => vec![of(exact, port), of(below, port)],
        (NameRule::Exact, true) => vec![of(exact, port)],
        (NameRule::Exact, false) => vec![of(below, port)],
    })
}

/// An address, with brackets or without them, or a range in CIDR notation.
fn range(text: &str) -> Option<IpNet> {
    let one = |address: IpAddr| IpNet::from(address.to_canonical());
    without_brackets(text).parse().map(one).ok().or_else(|| text.parse().ok())
}

/// Whether it can be a host's name. A name whose last part is a number would be an address, and a wrong one.
fn is_name(name: &str) -> bool {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    let is_part = |part: &str| !part.is_empty() && part.bytes().all(is_plain);
    let last = name.rsplit('.').next().unwrap_or_default();
    name.len() <= 253 && name.split('.').all(is_part) && !last.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_in(list: &str, host: &str, port: u16) -> bool {
        HostList::parse(list, NameRule::WithSubdomains).unwrap().contains(host, port)
    }

    #[test]
    fn a_name_stands_for_itself_and_its_subdomains_as_with_curl() {
        for list in
            ["example.com", ".example.com", "*.example.com", "example.com.", "EXAMPLE.com", "a.test,example.com"]
        {
            for host in ["example.com", "api.example.com", "a.b.example.com", "Example.COM", "example.com."] {
                assert!(is_in(list, host, 443), "{host} in {list}");
            }
            for host in ["notexample.com", "example.com.evil.test", "example.org", "com"] {
                assert!(!is_in(list, host, 443), "{host} in {list}");
            }
        }
    }

    #[test]
    fn by_the_exact_rule_a_name_is_one_host() {
        let is_in = |list, host| HostList::parse(list, NameRule::Exact).unwrap().contains(host, 443);
        assert!(is_in("cdn.example.com", "cdn.example.com") && !is_in("cdn.example.com", "a.cdn.example.com"));
        assert!(is_in(".example.com", "cdn.example.com") && !is_in(".example.com", "example.com"));
    }

    #[test]
    fn a_port_an_address_and_a_range_are_compared_as_with_go() {
        for (list, host, port, expected) in [
            ("example.com:8443", "example.com", 8443, true),
            ("example.com:8443", "example.com", 443, false),
            ("10.1.2.3", "10.1.2.3", 443, true),
            ("10.1.2.3", "10.1.2.30", 443, false),
            ("10.1.2.3:443", "10.1.2.3", 443, true),
            ("10.1.2.3:443", "10.1.2.3", 80, false),
            ("10.0.0.0/8", "10.200.0.1", 443, true),
            ("10.0.0.0/8", "11.0.0.1", 443, false),
            ("10.0.0.0/8", "::ffff:10.1.1.1", 443, true),
            ("2001:db8::/32", "[2001:db8::7]", 443, true),
            ("[2001:db8::7]", "2001:db8::7", 443, true),
            ("[2001:db8::7]:443", "[2001:db8::7]", 443, true),
            ("[2001:db8::7]:443", "[2001:db8::7]", 80, false),
            ("10.0.0.0/8 example.com", "example.com", 443, true),
            ("10.0.0.0/8", "ten.example.com", 443, false),
            ("*", "anything.test", 1, true),
            ("*", "203.0.113.7", 1, true),
            ("", "anything.test", 1, false),
            (" , ,", "anything.test", 1, false),
        ] {
            assert_eq!(is_in(list, host, port), expected, "{host}:{port} in {list:?}");
        }
    }

    #[test]
    fn what_stands_for_no_host_is_named() {
        for wrong in
            ["http://example.com", "10.0.0.0/33", "10.0.0", "a..b", "example.com:port", "*com", "10.1.2.3.4", "ä.de"]
        {
            let list = format!("example.com,{wrong}");
            assert_eq!(HostList::parse(&list, NameRule::Exact), Err(wrong.to_owned()));
        }
    }
}
