//! Connections to hosts that somebody else names, such as the recordings in an agent's payload: only to public addresses,
//! unless a list allows others. The address that is connected to is the one that was checked.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crate::dial::{Dial, Dialled, Io};
use crate::hosts::{HostList, without_brackets};
use crate::public_address::{is_public, may_be_public};

/// How many addresses of a host are tried.
const MAX_ADDRESSES: usize = 8;

/// How long a look-up may take before a proxy is asked. Behind a proxy this network may know no names of the Internet.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(1);

/// Which hosts may be connected to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct AllowedHosts {
    /// Whether each public address may be.
    pub public: bool,
    /// Hosts that may be, whatever their addresses.
    pub named: HostList,
}

impl Default for AllowedHosts {
    /// All public addresses, and no others.
    fn default() -> Self {
        Self { public: true, named: HostList::default() }
    }
}

impl AllowedHosts {
    fn allows_address(&self, address: IpAddr, port: u16) -> bool {
        (self.public && is_public(address)) || self.named.contains_address(address, port)
    }

    /// The addresses of a host that may be connected to.
    fn allowed(&self, host: &str, port: u16, addresses: Vec<IpAddr>) -> Vec<IpAddr> {
        let is_named = self.named.contains(host, port);
        addresses.into_iter().filter(|address| is_named || self.allows_address(*address, port)).collect()
    }
}

/// Opens connections to allowed hosts.
#[derive(Debug, Clone)]
pub struct Guarded {
    dial: Arc<dyn Dial>,
    hosts: Arc<AllowedHosts>,
}

impl Guarded {
    /// Opens connections with `dial` to these hosts.
    #[must_use]
    pub fn new(dial: Arc<dyn Dial>, hosts: AllowedHosts) -> Self {
        Self { dial, hosts: Arc::new(hosts) }
    }

    /// Connects to one of the addresses that were checked.
    async fn direct(self, host: String, port: u16) -> io::Result<Box<dyn Io>> {
        let addresses = self.hosts.allowed(&host, port, addresses(&host, port).await?);
        let mut failed = refused(&host);
        for address in addresses.into_iter().take(MAX_ADDRESSES) {
            match self.dial.dial(&address.to_string(), port).await {
                Ok(connection) => return Ok(connection),
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }

    /// Connects through the proxy, which looks the host up by itself. We refuse hosts that cannot be public, and hosts that our
    /// own look-up finds at a private address.
    async fn proxied(self, host: String, port: u16) -> io::Result<Box<dyn Io>> {
        let known = tokio::time::timeout(LOOKUP_TIMEOUT, addresses(&host, port)).await;
        let known = known.ok().and_then(Result::ok).unwrap_or_default();
        let is_named = self.hosts.named.contains(&host, port);
        let may_be_right = !known.is_empty() || (self.hosts.public && may_be_public(&host));
        let is_right = known.iter().all(|address| self.hosts.allows_address(*address, port));
        if !(is_named || may_be_right && is_right) {
            return Err(refused(&host));
        }
        self.dial.dial_for_tls(&host, port).await
    }
}

impl Dial for Guarded {
    fn dial(&self, host: &str, port: u16) -> Dialled {
        Box::pin(self.clone().direct(without_brackets(host).to_owned(), port))
    }

    fn dial_for_tls(&self, host: &str, port: u16) -> Dialled {
        if !self.dial.is_proxied(host, port) {
            return self.dial(host, port);
        }
        Box::pin(self.clone().proxied(without_brackets(host).to_owned(), port))
    }

    fn is_proxied(&self, host: &str, port: u16) -> bool {
        self.dial.is_proxied(host, port)
    }
}

async fn addresses(host: &str, port: u16) -> io::Result<Vec<IpAddr>> {
    if let Ok(address) = host.parse() {
        return Ok(vec![address]);
    }
    let found = tokio::net::lookup_host((host, port)).await?;
    Ok(found.map(|address: SocketAddr| address.ip()).collect())
}

fn refused(host: &str) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, format!("PROMPT_HOSTS does not allow {host}"))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::hosts::NameRule;

    /// Notes what is dialled. Everything is reached.
    #[derive(Debug, Default)]
    struct Noted {
        dialled: Mutex<Vec<String>>,
        has_proxy: bool,
    }

    impl Noted {
        fn note(&self, how: &str, host: &str, port: u16) -> Dialled {
            self.dialled.lock().unwrap().push(format!("{how} {host}:{port}"));
            Box::pin(async { Ok(Box::new(tokio::io::duplex(1).0) as Box<dyn Io>) })
        }
    }

    impl Dial for Noted {
        fn dial(&self, host: &str, port: u16) -> Dialled {
            self.note("direct", host, port)
        }

        fn dial_for_tls(&self, host: &str, port: u16) -> Dialled {
            self.note(if self.has_proxy { "proxy" } else { "direct" }, host, port)
        }

        fn is_proxied(&self, _: &str, _: u16) -> bool {
            self.has_proxy
        }
    }

    fn named(list: &str, public: bool) -> AllowedHosts {
        AllowedHosts { public, named: HostList::parse(list, NameRule::Exact).unwrap() }
    }

    /// The addresses that are dialled for a host. Empty if the host is refused.
    async fn dialled(hosts: &AllowedHosts, has_proxy: bool, host: &str) -> Vec<String> {
        let noted = Arc::new(Noted { has_proxy, ..Noted::default() });
        let opened = Guarded::new(noted.clone(), hosts.clone()).dial_for_tls(host, 443).await;
        let dialled = noted.dialled.lock().unwrap().clone();
        assert_eq!(opened.is_ok(), !dialled.is_empty(), "{host}");
        assert!(opened.map(drop).err().is_none_or(|error| error.kind() == io::ErrorKind::PermissionDenied), "{host}");
        dialled
    }

    const LOCAL: [&str; 14] = [
        "127.0.0.1",
        "localhost",
        "0.0.0.0",
        "10.1.2.3",
        "169.254.169.254",
        "100.64.0.1",
        "192.168.1.1",
        "224.0.0.1",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[fd00::1]",
        "[fe80::1]",
        "[ff02::1]",
    ];

    #[tokio::test]
    async fn an_address_that_is_not_public_is_refused_with_a_proxy_and_without_one() {
        for has_proxy in [false, true] {
            for host in LOCAL {
                assert_eq!(dialled(&AllowedHosts::default(), has_proxy, host).await, [""; 0], "{host}");
            }
        }
        assert_eq!(dialled(&AllowedHosts::default(), false, "8.8.8.8").await, ["direct 8.8.8.8:443"]);
        assert_eq!(dialled(&AllowedHosts::default(), true, "8.8.8.8").await, ["proxy 8.8.8.8:443"]);
    }

    #[tokio::test]
    async fn a_host_that_is_named_is_connected_to_by_the_address_that_it_was_found_at() {
        let dialled_to = dialled(&named("localhost", true), false, "localhost").await;
        assert!(["direct 127.0.0.1:443", "direct ::1:443"].contains(&dialled_to[0].as_str()), "{dialled_to:?}");
        assert_eq!(dialled(&named("127.0.0.0/8", true), false, "127.0.0.1").await, ["direct 127.0.0.1:443"]);
        assert_eq!(dialled(&named("127.0.0.1:8443", true), false, "127.0.0.1").await, [""; 0], "another port");
        assert_eq!(dialled(&named("[::1]", true), false, "[::1]").await, ["direct ::1:443"]);
        assert_eq!(
            dialled(&named("8.8.4.4", false), false, "8.8.8.8").await,
            [""; 0],
            "a list without the public ones"
        );
    }

    #[tokio::test]
    async fn a_proxy_gets_names_that_may_be_public_and_no_others() {
        for host in ["metadata.google.internal", "metadata", "dialbridge", "printer.local", "2130706433", "0x7f.1"] {
            assert_eq!(dialled(&AllowedHosts::default(), true, host).await, [""; 0], "{host}");
        }
        // A name that no resolver asks for, because a part of it is too long. The proxy may know it all the same.
        let host = format!("{}.example.com", "x".repeat(64));
        assert_eq!(dialled(&AllowedHosts::default(), true, &host).await, [format!("proxy {host}:443")]);
        assert_eq!(dialled(&named("other.example", false), true, &host).await, [""; 0]);
        assert_eq!(dialled(&named("metadata", true), true, "metadata").await, ["proxy metadata:443"]);
        assert_eq!(dialled(&named("127.0.0.0/8,::1", false), true, "localhost").await, ["proxy localhost:443"]);
    }
}
