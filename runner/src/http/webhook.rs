//! A webhook request from Twilio: its parameters, and whether Twilio signed it.

use dialbridge_core::call_facts::{is_outbound, tells_caller};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;

use super::answer::{Refusal, refusal};
use super::forwarded::{ClientTls, client_tls, is_out_of_reach, named_hosts};
use crate::service::admission::Admission;
use crate::settings::{Config, Limits, PublicUrl, Secret};
use crate::telemetry::RefusalReason;
use crate::telemetry::trace_context::TraceContext;
use crate::twilio::signature::signed_place;

// Public for the fuzz targets, as this module is.
pub use super::forwarded::{called_urls, forwarded_url};

/// A request that Twilio signed, or any request if no token is set.
#[derive(Debug)]
pub(super) struct Webhook {
    /// The URL of this service as Twilio sees it.
    pub(super) public: PublicUrl,
    /// Whether Twilio can open that URL.
    pub(super) reach: Reach,
    /// The account of the request, whose token has signed it. `None`: the configured one.
    pub(super) account: Option<String>,
    /// The parameters of the URL.
    pub(super) query: Vec<(String, String)>,
    /// The parameters of the body, or of the URL for GET.
    pub(super) form: Vec<(String, String)>,
    /// The trace of the request.
    pub(super) trace: Option<TraceContext>,
}

/// Whether Twilio can open the URLs that we give to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// As far as we know.
    Open,
    /// Only this network knows the host, and the request comes from elsewhere.
    Closed,
}

impl Webhook {
    /// Reads and checks a request.
    pub(super) async fn read(admission: &Admission, request: Request<Incoming>) -> Result<Self, Refusal> {
        let (head, body) = request.into_parts();
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        let query = pairs(head.uri.query().unwrap_or_default().as_bytes());
        let form = match head.method {
            Method::POST => {
                let read = read_form(&admission.config.limits, &head.headers, body).await;
                pairs(&read.inspect_err(|_| admission.telemetry.refused(RefusalReason::Form))?)
            }
            _ => Vec::new(),
        };
        let told = if head.method == Method::POST { &form } else { &query };
        let account = admission.config.twilio.other_account(find(told, "AccountSid"));
        let tokens = [admission.config.twilio.tokens_of(account.as_deref())];
        let (public, _) =
            signed_url(admission, account.as_deref(), &tokens, |public| public.http(&path), &form, &head.headers)?;
        let reach = check_reach(admission, &public, &head.headers);
        let form = if head.method == Method::POST { form } else { query.clone() };
        let trace = head.extensions.get().copied();
        Ok(Self { public, reach, account, query, form, trace })
    }

    /// A parameter that Twilio sets.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        find(&self.form, name)
    }

    /// A fact of the call. The name of a SIP header is compared without regard to case, as SIP does.
    pub(super) fn fact(&self, name: &str) -> Option<&str> {
        let is_fact = |other: &str| other.eq_ignore_ascii_case(name);
        self.form.iter().find(|(other, _)| is_fact(other)).map(|(_, value)| value.as_str())
    }

    /// Our own number in the call: `To`, but `From` of a call that Twilio placed.
    pub(super) fn called(&self) -> Option<&str> {
        self.parameter(if is_outbound(self.parameter("Direction")) { "From" } else { "To" })
    }

    /// The caller's address, if he shows one: `From`, but `To` of a call that Twilio placed.
    pub(super) fn caller(&self) -> Option<&str> {
        let caller = self.parameter(if is_outbound(self.parameter("Direction")) { "To" } else { "From" });
        caller.filter(|caller| tells_caller(caller))
    }

    /// A parameter of the URL.
    pub(super) fn in_query(&self, name: &str) -> Option<&str> {
        find(&self.query, name)
    }
}

fn find<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    pairs.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
}

/// The parameters of a query or of a form's body.
#[must_use]
pub fn pairs(encoded: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(encoded).into_owned().collect()
}

/// Reads the body of a form.
pub(super) async fn read_form(limits: &Limits, headers: &HeaderMap, body: Incoming) -> Result<Vec<u8>, Refusal> {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !kind.to_ascii_lowercase().starts_with("application/x-www-form-urlencoded") {
        return Err(refusal(StatusCode::UNSUPPORTED_MEDIA_TYPE, "a form is expected\n"));
    }
    let whole = Limited::new(body, limits.body_bytes).collect();
    let Ok(read) = tokio::time::timeout(limits.body, whole).await else {
        return Err(refusal(StatusCode::REQUEST_TIMEOUT, "the body took too long\n"));
    };
    match read {
        Ok(body) => Ok(body.to_bytes().to_vec()),
        Err(error) if error.is::<LengthLimitError>() => Err(refusal(StatusCode::PAYLOAD_TOO_LARGE, "too long\n")),
        Err(_) => Err(refusal(StatusCode::BAD_REQUEST, "the body broke off\n")),
    }
}

/// The URLs of this service that Twilio can have called: PUBLIC_URL alone, else those that the request names. The first one
/// is the likeliest.
///
/// # Errors
/// The response to send: the request names no host.
fn public_urls(config: &Config, headers: &HeaderMap) -> Result<Vec<PublicUrl>, Refusal> {
    let urls = config.public_url.clone().map_or_else(|| called_urls(headers), |url| vec![url]);
    if urls.is_empty() { Err(refusal(StatusCode::BAD_REQUEST, "no host\n")) } else { Ok(urls) }
}

/// The likeliest URL of this service, for a request that Twilio does not sign.
///
/// # Errors
/// The same.
pub(super) fn likely_url(config: &Config, headers: &HeaderMap) -> Result<PublicUrl, Refusal> {
    public_urls(config, headers).map(|urls| urls[0].clone())
}

/// Finds the URL of this service that Twilio called: the one for which the signature is right, or the likeliest if no account
/// has a token to check a signature with. `url_of` makes the signed URL. `account` is the request's, as far as it is known, and
/// `tokens` are those of each account that may have signed it; returns the place of the one that has.
///
/// # Errors
/// The response to send: Twilio did not sign the request, or it names no host.
pub(super) fn signed_url(
    admission: &Admission,
    account: Option<&str>,
    tokens: &[&[Secret]],
    url_of: impl Fn(&PublicUrl) -> String,
    form: &[(String, String)],
    headers: &HeaderMap,
) -> Result<(PublicUrl, usize), Refusal> {
    let mut urls = public_urls(&admission.config, headers)?;
    if !admission.config.twilio.checks_signatures() {
        return Ok((urls.swap_remove(0), 0));
    }
    let signature = headers.get("x-twilio-signature").and_then(|value| value.to_str().ok());
    let signed = signature.and_then(|signature| {
        let place = |tokens: &&[Secret]| signed_place(tokens, urls.iter().map(&url_of), form, signature);
        tokens.iter().enumerate().find_map(|(signer, tokens)| Some((signer, place(tokens)?)))
    });
    match signed {
        Some((signer, place)) => Ok((urls.swap_remove(place), signer)),
        None => Err(refuse(admission, account, tokens, &url_of(&urls[0]), form, headers, signature)),
    }
}

/// Counts and logs a request that Twilio did not sign.
fn refuse(
    admission: &Admission,
    account: Option<&str>,
    tokens: &[&[Secret]],
    url: &str,
    form: &[(String, String)],
    headers: &HeaderMap,
    signature: Option<&str>,
) -> Refusal {
    admission.telemetry.refused(if signature.is_some() { RefusalReason::Signature } else { RefusalReason::Unsigned });
    if let Some(withheld) = admission.refusal_log.allow() {
        let Some(signature) = signature else {
            tracing::warn!(url = redacted(url), withheld, "a request was refused: it has no X-Twilio-Signature");
            return refusal(StatusCode::FORBIDDEN, "");
        };
        let named = account.and_then(|sid| admission.config.twilio.others.get(sid));
        let others = neighbours(url, headers);
        let place = |tokens: &&[Secret]| signed_place(tokens, others.iter().cloned(), form, signature);
        let signed_url = tokens.iter().find_map(place).map(|place| redacted(&others[place]));
        let url = redacted(url);
        match signed_url {
            Some(signed_url) => tracing::warn!(
                url,
                signed_url,
                withheld,
                "a request was refused: Twilio signed another URL than the one checked; PUBLIC_URL must be what Twilio calls"
            ),
            None if named.is_some() => tracing::warn!(
                url,
                account,
                withheld,
                "a request was refused: no token of its account in the agents' file has signed it"
            ),
            None if account.is_some() => tracing::warn!(
                url,
                account,
                withheld,
                "a request was refused: it is of another account than TWILIO_ACCOUNT_SID, and a subaccount signs with its own \
                 token: add that to TWILIO_AUTH_TOKEN, after the main account's"
            ),
            None => tracing::warn!(
                url,
                withheld,
                "a request was refused: its signature matches no form of its URL; is TWILIO_AUTH_TOKEN that account's? Does \
                 Twilio call another host or path? Then set PUBLIC_URL to what it calls"
            ),
        }
    }
    refusal(StatusCode::FORBIDDEN, "")
}

/// Tells once if Twilio cannot open the URLs that it gets, and once if it may not be able to.
fn check_reach(admission: &Admission, public: &PublicUrl, headers: &HeaderMap) -> Reach {
    if admission.config.public_url.is_some() {
        return Reach::Open;
    }
    let host = public.authority.as_str();
    if is_out_of_reach(public, headers) {
        admission.closed_log.call_once(|| {
            tracing::error!(
                host,
                "requests come from the Internet with a host that only this network knows: calls get their fallback. Set \
                 PUBLIC_URL to the URL that Twilio calls, or let the proxy pass Host on"
            );
        });
        return Reach::Closed;
    }
    if !public.is_local() && client_tls(headers) != ClientTls::Yes {
        admission.no_tls_log.call_once(|| {
            tracing::warn!(
                host,
                "no header says that callers of this host have TLS, but Twilio opens media streams with TLS only: the \
                 service gives Twilio wss:// URLs. Set PUBLIC_URL to the URL that Twilio calls, or let the proxy send X-Forwarded-Proto"
            );
        });
    }
    Reach::Open
}

/// Other URLs that Twilio may have called: the other scheme, the hosts in the headers, with or without a slash at the
/// end. They let no request in. They only tell what PUBLIC_URL should be.
#[must_use]
pub fn neighbours(url: &str, headers: &HeaderMap) -> Vec<String> {
    let Some((scheme, rest)) = url.split_once("://") else { return Vec::new() };
    let (authority, path) = rest.find(['/', '?']).map_or((rest, ""), |at| rest.split_at(at));
    let is_socket = scheme.starts_with("ws");
    let schemes = if is_socket { ["wss", "ws"] } else { ["https", "http"] };
    let named = named_hosts(headers).map(|host| host.as_str().to_owned());
    let (path, query) = path.split_once('?').map_or((path, String::new()), |(path, query)| (path, format!("?{query}")));
    let other_end = path.strip_suffix('/').map_or_else(|| format!("{path}/"), ToOwned::to_owned);
    let mut urls = Vec::new();
    for host in std::iter::once(authority.to_owned()).chain(named).take(4) {
        for scheme in schemes {
            urls.extend([path, &other_end].map(|path| format!("{scheme}://{host}{path}{query}")));
        }
    }
    urls
}

/// A URL without what may be secret or personal: the values of its query, nameless parts of the query, and a ticket.
#[must_use]
pub fn redacted(url: &str) -> String {
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let path = path.split_once("/media/").map_or_else(|| path.to_owned(), |(before, _)| format!("{before}/media/…"));
    if query.is_empty() {
        return path;
    }
    let names =
        query.split('&').map(|pair| pair.split_once('=').map_or("…".to_owned(), |(name, _)| format!("{name}=…")));
    format!("{path}?{}", names.collect::<Vec<_>>().join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_twilio_may_have_signed_instead_is_known() {
        let mut headers = HeaderMap::new();
        headers.insert("host", http::HeaderValue::from_static("internal:8080"));
        headers.insert("x-forwarded-host", http::HeaderValue::from_static("calls.example.com, proxy"));
        let urls = neighbours("http://internal:8080/twiml?agent=a", &headers);
        for url in [
            "https://internal:8080/twiml?agent=a",
            "https://calls.example.com/twiml?agent=a",
            "https://calls.example.com/twiml/?agent=a",
        ] {
            assert!(urls.iter().any(|other| other == url), "{url} in {urls:?}");
        }
        assert!(neighbours("ws://h/media/t", &headers).contains(&"wss://calls.example.com/media/t".to_owned()));
        assert!(neighbours("nonsense", &headers).is_empty());
        let called = "https://internal:8080/twiml".to_owned();
        assert!(neighbours("https://public.example.com/twiml", &headers).contains(&called), "not what PUBLIC_URL says");
        headers.clear();
        headers.insert("forwarded", http::HeaderValue::from_static("for=192.0.2.60;host=calls.example.com"));
        assert!(neighbours("http://h/twiml", &headers).contains(&"https://calls.example.com/twiml".to_owned()));
    }

    #[test]
    fn a_logged_url_shows_neither_values_nor_tickets() {
        assert_eq!(redacted("https://e.com/twiml?agent=a&param.pin=1234"), "https://e.com/twiml?agent=…&param.pin=…");
        assert_eq!(redacted("wss://e.com/media/abc.def"), "wss://e.com/media/…");
        assert_eq!(redacted("https://e.com/twiml"), "https://e.com/twiml");
        assert_eq!(
            redacted("https://e.com/twiml?4242&&a=b=c"),
            "https://e.com/twiml?…&…&a=…",
            "a value without a name"
        );
    }
}
