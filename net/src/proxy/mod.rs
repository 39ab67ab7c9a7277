//! Proxies: `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`, in capitals or in small letters, as curl and Go read them.
//!
//! A connection that will carry TLS goes through a tunnel (`CONNECT`). A plaintext connection is always direct: a
//! collector, a lab and the metadata server are on this machine or beside it. Loopback hosts are never proxied.

mod tunnel;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Uri;
use http::uri::Authority;
use percent_encoding::percent_decode_str;

use crate::dial::{Dial, Dialled};
use crate::hosts::{HostList, NameRule, without_brackets};
use crate::secret::Secret;

/// The variables that name the proxy for TLS, the first one first. google-cloud-auth reads them in the same order, but takes an
/// empty `HTTPS_PROXY` or `ALL_PROXY` for a value where `https_proxy` or `all_proxy` has one.
const PROXY_VARIABLES: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];

/// The variables with the hosts that are reached without the proxy.
const EXCEPTION_VARIABLES: [&str; 2] = ["NO_PROXY", "no_proxy"];

/// Google's metadata server, which also is where other clouds have theirs.
const METADATA_HOSTS: [&str; 2] = ["metadata.google.internal", "169.254.169.254"];

/// The names of all variables that say which proxy is used.
pub fn variables() -> impl Iterator<Item = &'static str> {
    PROXY_VARIABLES.into_iter().chain(EXCEPTION_VARIABLES)
}

/// A proxy, and the hosts that are reached without it.
#[derive(Debug)]
pub struct Proxy {
    /// `http://` or `https://`, host and port.
    url: Uri,
    /// The value of `Proxy-Authorization`.
    authorization: Option<Secret>,
    exceptions: HostList,
}

/// A variable that cannot be used, and why. It never shows a proxy's URL, which may have a password in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyFault {
    variable: &'static str,
    fault: String,
    example: &'static str,
}

impl fmt::Display for ProxyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}; for example {}={}", self.variable, self.fault, self.variable, self.example)
    }
}

impl std::error::Error for ProxyFault {}

impl Proxy {
    /// Reads the variables. An empty one counts as not set. `None` if there is no proxy.
    ///
    /// # Errors
    /// [`ProxyFault`] if a variable that applies has a wrong value.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, ProxyFault> {
        let first = |names: &[&'static str]| {
            let given = |name: &'static str| Some((name, variable(name)?.trim().to_owned()));
            names.iter().filter_map(|name| given(name)).find(|(_, value)| !value.is_empty())
        };
        let Some((name, value)) = first(&PROXY_VARIABLES) else { return Ok(None) };
        let fault = |fault| ProxyFault { variable: name, fault, example: "http://proxy.example.com:3128" };
        let (url, authorization) = read_url(&value).map_err(fault)?;
        let exceptions = first(&EXCEPTION_VARIABLES).map(|(variable, list)| {
            HostList::parse(&list, NameRule::WithSubdomains).map_err(|item| ProxyFault {
                variable,
                fault: format!("has \"{item}\", which is no host, .suffix, address, range such as 10.0.0.0/8, or *"),
                example: "localhost,10.0.0.0/8,.internal.example.com",
            })
        });
        Ok(Some(Self { url, authorization, exceptions: exceptions.transpose()?.unwrap_or_default() }))
    }

    /// The proxy's address, without a login.
    #[must_use]
    pub fn url(&self) -> String {
        self.url.to_string().trim_end_matches('/').to_owned()
    }

    /// Whether connections with TLS to that host go through the proxy.
    fn is_for(&self, host: &str, port: u16) -> bool {
        !is_loopback(host) && !self.exceptions.contains(host, port)
    }
}

/// The value that `NO_PROXY` needs for google-cloud-auth. `None`: no proxy is set, or the value is right as it is.
///
/// That library reads the variables by itself, asks the metadata server over plaintext HTTP, and sends such requests
/// through `HTTP_PROXY` and `ALL_PROXY`. But only this machine has the metadata server. The library takes only commas between
/// items.
pub fn exceptions_for_google(variable: impl Fn(&str) -> Option<String>) -> Option<String> {
    let is_set = |name: &str| variable(name).is_some_and(|value| !value.trim().is_empty());
    let plaintext = ["HTTP_PROXY", "http_proxy"];
    if !plaintext.iter().chain(&PROXY_VARIABLES).any(|name| is_set(name)) {
        return None;
    }
    let given = EXCEPTION_VARIABLES.iter().find(|name| is_set(name)).and_then(|name| variable(name));
    let given = given.unwrap_or_default();
    let mut items: Vec<&str> = given.split([',', ' ', '\t']).filter(|item| !item.is_empty()).collect();
    let elsewhere: Option<Authority> = variable("GCE_METADATA_HOST").and_then(|host| host.trim().parse().ok());
    let elsewhere = elsewhere.as_ref().map_or("", |authority| without_brackets(authority.host()));
    for host in METADATA_HOSTS.into_iter().chain([elsewhere]) {
        if !host.is_empty() && !items.contains(&host) && !items.contains(&"*") {
            items.push(host);
        }
    }
    let list = items.join(",");
    (list != given).then_some(list)
}

/// Whether a host is this machine. No proxy can reach it.
fn is_loopback(host: &str) -> bool {
    let host = without_brackets(host);
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    match host.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => name == "localhost" || name.ends_with(".localhost"),
    }
}

/// Reads a proxy's URL: its address, and the login in it.
fn read_url(value: &str) -> Result<(Uri, Option<Secret>), String> {
    let no_url = || "is no URL of a proxy".to_owned();
    let whole = if value.contains("://") { value.to_owned() } else { format!("http://{value}") };
    let uri: Uri = whole.parse().map_err(|_| no_url())?;
    let scheme = match uri.scheme_str() {
        Some(scheme @ ("http" | "https")) => scheme,
        Some(other) => return Err(format!("names a proxy that speaks {other}; it must be http:// or https://")),
        None => return Err(no_url()),
    };
    let authority = uri.authority().ok_or_else(no_url)?;
    let host = authority.host();
    if host.is_empty() || !matches!(uri.path(), "" | "/") || uri.query().is_some() {
        return Err(no_url());
    }
    let port = authority.port_u16().unwrap_or(if scheme == "https" { 443 } else { 80 });
    let address = format!("{scheme}://{host}:{port}").parse().map_err(|_| no_url())?;
    let login = authority.as_str().rsplit_once('@').map(|(login, _)| authorization(login)).transpose()?;
    Ok((address, login))
}

/// The value of `Proxy-Authorization` for the login in a URL.
fn authorization(login: &str) -> Result<Secret, String> {
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    let decoded = |text: &str| percent_decode_str(text).decode_utf8().map(std::borrow::Cow::into_owned);
    let (Ok(user), Ok(password)) = (decoded(user), decoded(password)) else {
        return Err("has a login that is no UTF-8 when it is decoded".to_owned());
    };
    Ok(Secret::new(format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))))
}

/// Opens connections. Those that will carry TLS go through the proxy, except to its exceptions.
#[derive(Debug)]
struct Proxied {
    dial: Arc<dyn Dial>,
    proxy: Arc<Proxy>,
}

/// How connections are opened with this proxy. `dial` opens the connection to it, and all direct ones.
#[must_use]
pub fn proxied(dial: Arc<dyn Dial>, proxy: Option<Proxy>) -> Arc<dyn Dial> {
    match proxy {
        Some(proxy) => Arc::new(Proxied { dial, proxy: Arc::new(proxy) }),
        None => dial,
    }
}

impl Dial for Proxied {
    fn dial(&self, host: &str, port: u16) -> Dialled {
        self.dial.dial(host, port)
    }

    fn dial_for_tls(&self, host: &str, port: u16) -> Dialled {
        if !self.is_proxied(host, port) {
            return self.dial.dial_for_tls(host, port);
        }
        let (dial, proxy) = (self.dial.clone(), self.proxy.clone());
        let target = match without_brackets(host) {
            host if host.contains(':') => format!("[{host}]:{port}"),
            host => format!("{host}:{port}"),
        };
        Box::pin(async move { tunnel::open(&*dial, &proxy.url, proxy.authorization.as_ref(), &target).await })
    }

    fn is_proxied(&self, host: &str, port: u16) -> bool {
        self.proxy.is_for(host, port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Option<Proxy>, String> {
        let variable =
            |name: &str| variables.iter().find(|(other, _)| *other == name).map(|(_, value)| (*value).to_owned());
        Proxy::from_variables(variable).map_err(|fault| fault.to_string())
    }

    fn url(variables: &[(&str, &str)]) -> Option<String> {
        read(variables).unwrap().map(|proxy| proxy.url())
    }

    #[test]
    fn the_first_variable_that_says_something_names_the_proxy() {
        let http = "http://p.test:3128".to_owned();
        for variables in [
            &[("HTTPS_PROXY", "http://p.test:3128/")][..],
            &[("https_proxy", "p.test:3128")],
            &[("HTTPS_PROXY", ""), ("https_proxy", " http://p.test:3128 ")],
            &[("ALL_PROXY", "http://p.test:3128")],
            &[("all_proxy", "http://p.test:3128")],
            &[("ALL_PROXY", "socks5://other.test"), ("HTTPS_PROXY", "http://p.test:3128")],
        ] {
            assert_eq!(url(variables), Some(http.clone()), "{variables:?}");
        }
        assert_eq!(url(&[("HTTPS_PROXY", "https://p.test")]), Some("https://p.test:443".to_owned()));
        assert_eq!(url(&[("HTTPS_PROXY", "p.test")]), Some("http://p.test:80".to_owned()));
        assert_eq!(url(&[("HTTPS_PROXY", "http://[2001:db8::1]:8080")]), Some("http://[2001:db8::1]:8080".to_owned()));
        assert_eq!(url(&[]), None);
        assert_eq!(
            url(&[("HTTP_PROXY", "http://p.test:3128"), ("NO_PROXY", "no list://")]),
            None,
            "it is for plaintext"
        );
    }

    #[test]
    fn a_login_in_the_url_is_decoded_and_nothing_shows_it() {
        let proxy = read(&[("HTTPS_PROXY", "http://us%40er:p%3Aw%C3%B6rd@p.test:3128")]).unwrap().unwrap();
        assert_eq!(
            proxy.authorization.as_ref().unwrap().expose(),
            format!("Basic {}", STANDARD.encode("us@er:p:w\u{f6}rd"))
        );
        let shown = format!("{proxy:?} {}", proxy.url());
        assert!(
            !shown.contains("us%40er") && !shown.contains("Basic") && proxy.url() == "http://p.test:3128",
            "{shown}"
        );
    }

    #[test]
    fn a_wrong_value_is_one_line_that_shows_no_password() {
        for wrong in [
            "socks5://u:planted@p.test",
            "http://",
            "http://u:planted@",
            "http://p test",
            "http://p.test/path",
            "http://%ff:planted@p.test",
        ] {
            let line = read(&[("HTTPS_PROXY", wrong)]).unwrap_err();
            assert!(
                line.starts_with("HTTPS_PROXY ") && !line.contains("planted") && !line.contains('\n'),
                "{wrong}: {line}"
            );
            assert!(line.ends_with("; for example HTTPS_PROXY=http://proxy.example.com:3128"), "{line}");
        }
        let line = read(&[("https_proxy", "p.test"), ("no_proxy", "a.test,http://b.test")]).unwrap_err();
        assert!(line.starts_with("no_proxy has \"http://b.test\""), "{line}");
    }

    #[test]
    fn googles_library_asks_the_metadata_server_without_a_proxy() {
        let exceptions = |variables: &[(&str, &str)]| {
            exceptions_for_google(|name| {
                variables.iter().find(|(other, _)| *other == name).map(|(_, value)| (*value).to_owned())
            })
        };
        assert_eq!(exceptions(&[("NO_PROXY", "a.test")]), None, "no proxy is set");
        let hosts = "metadata.google.internal,169.254.169.254";
        for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"] {
            assert_eq!(exceptions(&[(name, "http://p.test")]).as_deref(), Some(hosts), "{name}");
        }
        let proxy = ("ALL_PROXY", "http://p.test");
        assert_eq!(exceptions(&[proxy, ("no_proxy", "a.test b.test")]), Some(format!("a.test,b.test,{hosts}")));
        assert_eq!(exceptions(&[proxy, ("GCE_METADATA_HOST", "127.0.0.1:80")]), Some(format!("{hosts},127.0.0.1")));
        assert_eq!(exceptions(&[proxy, ("GCE_METADATA_HOST", "[::1]")]), Some(format!("{hosts},::1")));
        assert_eq!(exceptions(&[proxy, ("NO_PROXY", hosts)]), None);
        assert_eq!(exceptions(&[proxy, ("NO_PROXY", "*")]), None);
    }

    #[test]
    fn loopback_and_the_exceptions_are_reached_without_the_proxy() {
        let proxy = read(&[("HTTPS_PROXY", "p.test"), ("NO_PROXY", "example.com:8443,10.0.0.0/8")]).unwrap().unwrap();
        for (host, port, expected) in [
            ("dialogflow.googleapis.com", 443, true),
            ("example.com", 443, true),
            ("example.com", 8443, false),
            ("10.1.2.3", 443, false),
            ("localhost", 443, false),
            ("a.localhost", 443, false),
            ("127.0.0.53", 443, false),
            ("[::1]", 443, false),
        ] {
            assert_eq!(proxy.is_for(host, port), expected, "{host}:{port}");
        }
        let none = read(&[("HTTPS_PROXY", "p.test"), ("NO_PROXY", "*")]).unwrap().unwrap();
        assert!(!none.is_for("dialogflow.googleapis.com", 443));
    }
}
