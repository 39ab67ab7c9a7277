//! Sends a call's first webhook as Twilio does. The service must answer the signed one with TwiML and refuse the
//! unsigned one.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Request, Response, StatusCode, Uri};
use http_body_util::Full;
use ring::rand::{SecureRandom, SystemRandom};

use super::Doctor;
use super::finding::Finding;
use super::twiml::{NoStream, Twiml};
use super::url::{location, unreached};
use super::web::WebError;
use dialbridge_runner::settings::{PublicUrl, Secret, TwilioConfig};
use dialbridge_runner::twilio::signature::sign;

pub(crate) const SIGNED: &str = "signed-request";
pub(crate) const UNSIGNED: &str = "unsigned-request";

/// The longest document that Twilio accepts from a webhook, in bytes (its error 11750).
const MAX_TWIML_BYTES: usize = 64_000;

/// Requests `/twiml` of a service for a call that does not exist.
pub(crate) struct VoiceRequest<'a> {
    doctor: &'a Doctor,
    twilio: &'a TwilioConfig,
    public: &'a PublicUrl,
    /// PUBLIC_URL as it is set here.
    set: Option<&'a str>,
    /// The voice-url's path and query.
    path: String,
    form: Vec<(String, String)>,
}

impl<'a> VoiceRequest<'a> {
    pub(crate) fn new(
        doctor: &'a Doctor,
        twilio: &'a TwilioConfig,
        public: &'a PublicUrl,
        set: Option<&'a str>,
    ) -> Self {
        let account = twilio.account_sid.clone().unwrap_or_else(|| "AC00000000000000000000000000000000".to_owned());
        let call_sid = call_sid();
        let fields = [
            ("AccountSid", account.as_str()),
            ("ApiVersion", "2010-04-01"),
            ("CallSid", &call_sid),
            ("CallStatus", "ringing"),
            ("Direction", "inbound"),
            ("From", "+15005550006"),
            ("To", "+15005550006"),
        ];
        let form = fields.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        Self { doctor, twilio, public, set, path: "/twiml".to_owned(), form }
    }

    /// Posts a signed request to a number's voice-url at that path and query, and returns the answer. `None` if there
    /// is no token to sign with.
    pub(crate) async fn of_number(mut self, path: &str, number: &str) -> Option<Result<Response<Bytes>, WebError>> {
        path.clone_into(&mut self.path);
        for (name, value) in &mut self.form {
            if name == "To" {
                number.clone_into(value);
            }
        }
        let token = self.twilio.auth_tokens.first()?;
        Some(self.send(Some(&self.signature(token, &self.url()))).await)
    }

    /// The answers to the signed and the unsigned request, and the TwiML of whichever was answered.
    pub(crate) async fn check(&self) -> (Finding, Finding, Option<Twiml>) {
        let unsigned = self.send(None).await;
        let Some(token) = self.twilio.auth_tokens.first() else {
            let signed = Finding::skipped(SIGNED, "TWILIO_AUTH_TOKEN is not set here: nothing can be signed");
            let twiml = unsigned.as_ref().ok().and_then(|response| self.read(response).ok());
            return (signed, self.unsigned(&unsigned), twiml);
        };
        let signed = self.send(Some(&self.signature(token, &self.url()))).await;
        let (signed, twiml) = match &signed {
            Err(error) => (Finding::fault(SIGNED, format!("{}: {error}", self.url()), unreached(error)), None),
            Ok(response) if is_refusal(response) => (self.refused().await, None),
            Ok(response) => match self.read(response) {
                Ok(twiml) => (self.addresses(&twiml), Some(twiml)),
                Err(finding) => (*finding, None),
            },
        };
        let unsigned = match &unsigned {
            // The fault of the signed request is already reported, and the unsigned one has the same.
            Ok(response) if signed.is_fault() && !(response.status().is_success() || is_refusal(response)) => {
                Finding::skipped(UNSIGNED, "the signed request must be answered first")
            }
            Err(_) if signed.is_fault() => Finding::skipped(UNSIGNED, "the signed request must be answered first"),
            _ => self.unsigned(&unsigned),
        };
        (signed, unsigned, twiml)
    }

    fn url(&self) -> String {
        self.public.http(&self.path)
    }

    fn signature(&self, token: &Secret, url: &str) -> String {
        sign(token, url, &self.form)
    }

    async fn send(&self, signature: Option<&str>) -> Result<Response<Bytes>, WebError> {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.form).finish();
        let mut request = Request::post(self.url())
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded; charset=utf-8")
            .header("user-agent", "TwilioProxy/1.1");
        if let Some(signature) = signature {
            request = request.header("x-twilio-signature", signature);
        }
        let request = request.body(Full::from(body)).map_err(|error| WebError::NoUrl(error.to_string()))?;
        self.doctor.web.send(request).await
    }

    /// Why the service refuses our signature: tries other tokens and URLs until it accepts one.
    async fn refused(&self) -> Finding {
        let says = format!("{} refuses a request that TWILIO_AUTH_TOKEN signed (403)", self.url());
        for token in &self.twilio.auth_tokens {
            if token != &self.twilio.auth_tokens[0] && self.is_taken(token, &self.url()).await {
                let says = format!("{says}: it knows a later token of the list only");
                return Finding::fault(SIGNED, says, "deploy the service with the same TWILIO_AUTH_TOKEN list as here");
            }
            for url in self.other_urls() {
                if self.is_taken(token, &url).await {
                    let says = format!("{says}: it takes its own URL for {url}");
                    let mend = format!(
                        "set PUBLIC_URL={} at the service; or let the proxy before it pass on Host and \
                         X-Forwarded-Proto as they came",
                        self.public.http("")
                    );
                    return Finding::fault(SIGNED, says, mend);
                }
            }
        }
        let mend = "give the service and this command the same TWILIO_AUTH_TOKEN (the account's primary one); if they \
                    are the same, set PUBLIC_URL at the service";
        Finding::fault(SIGNED, says, mend)
    }

    async fn is_taken(&self, token: &Secret, url: &str) -> bool {
        let response = self.send(Some(&self.signature(token, url))).await;
        response.is_ok_and(|response| !is_refusal(&response))
    }

    /// The URLs that the service may take for its own: with the other scheme, or PUBLIC_URL as it is set here.
    fn other_urls(&self) -> Vec<String> {
        let other = PublicUrl { is_tls: !self.public.is_tls, ..self.public.clone() };
        let set = self.set.map(|set| format!("{}/twiml", set.trim_end_matches('/')));
        let urls = std::iter::once(other.http("/twiml")).chain(set);
        urls.filter(|url| *url != self.url()).collect()
    }

    /// The TwiML of an answer.
    fn read(&self, response: &Response<Bytes>) -> Result<Twiml, Box<Finding>> {
        let url = self.url();
        let fault = |says: String, mend: &str| Box::new(Finding::fault(SIGNED, says, mend));
        if let Some(location) = location(response) {
            return Err(fault(format!("{url} redirects to {location}"), "let the URL lead to the service itself"));
        }
        if response.status() != StatusCode::OK {
            let says = format!("{url} answers {} to a signed request", response.status());
            return Err(fault(says, "let the URL lead to the service itself, and look at its log"));
        }
        if response.body().len() > MAX_TWIML_BYTES {
            return Err(fault(
                format!("{url} answers more than Twilio reads"),
                "let the URL lead to the service itself",
            ));
        }
        Twiml::read(&String::from_utf8_lossy(response.body())).map_err(|why| match why {
            NoStream::NotTwiml => fault(
                format!("{url} answers with no TwiML"),
                "let the URL lead to the service itself, and look at its log",
            ),
            NoStream::Verbs(verbs) => Box::new(Finding::warning(
                SIGNED,
                format!("{url} connects no call now: its TwiML has {verbs}"),
                "all lines are busy: raise MAX_CALLS or --max-instances, or wait",
            )),
        })
    }

    /// Whether the TwiML leads back to this service, over TLS.
    fn addresses(&self, twiml: &Twiml) -> Finding {
        let mend = format!("set PUBLIC_URL={} at the service", self.public.http(""));
        let (scheme, authority) = parts(&twiml.stream);
        let socket = if self.public.is_tls || !self.public.is_local() { "wss" } else { "ws" };
        if scheme != socket {
            let says = format!("its <Stream url> is {scheme}://{authority}/…, and Twilio takes {socket} only");
            return Finding::fault(SIGNED, says, mend);
        }
        if !self.is_ours(&authority, scheme == "wss") {
            let says = format!("its <Stream url> leads to {authority}, not to {}", self.public.authority);
            return Finding::fault(SIGNED, says, mend);
        }
        let (_, action) = parts(twiml.action.as_deref().unwrap_or_default());
        if !self.is_ours(&action, self.public.is_tls) {
            let says = format!("its <Connect action> leads to \"{action}\", not to {}", self.public.authority);
            return Finding::fault(SIGNED, says, mend);
        }
        Finding::ok(SIGNED, format!("taken, and its <Stream url> is {scheme}://{authority}/media/…"))
    }

    fn is_ours(&self, authority: &str, is_tls: bool) -> bool {
        same_authority(authority, &self.public.authority, is_tls)
    }

    fn unsigned(&self, response: &Result<Response<Bytes>, WebError>) -> Finding {
        let url = self.url();
        let status = match response {
            Ok(response) => response.status(),
            Err(error) => return Finding::fault(UNSIGNED, format!("{url}: {error}"), unreached(error)),
        };
        if status == StatusCode::FORBIDDEN {
            return Finding::ok(UNSIGNED, "refused (403)");
        }
        if !status.is_success() {
            let says = format!("{url} answers {status} to an unsigned request, where 403 is expected");
            return Finding::warning(UNSIGNED, says, "look at the service's log");
        }
        let says = "ANYONE CAN USE THIS SERVICE: a request without a signature is taken, so whoever knows the URL talks to \
                    the agent at your cost";
        let mend = "set TWILIO_AUTH_TOKEN at the service (and ALLOW_UNSIGNED no longer)";
        if self.twilio.auth_tokens.is_empty() {
            Finding::warning(UNSIGNED, says, mend)
        } else {
            // Whoever set a token here wants unsigned requests refused.
            Finding::fault(UNSIGNED, says, mend)
        }
    }
}

fn is_refusal(response: &Response<Bytes>) -> bool {
    response.status() == StatusCode::FORBIDDEN
}

/// Whether both are the same host and port.
pub(crate) fn same_authority(one: &str, other: &str, is_tls: bool) -> bool {
    let whole = |authority: &str| {
        let authority = authority.to_ascii_lowercase();
        let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
        if has_port { authority } else { format!("{authority}:{}", if is_tls { 443 } else { 80 }) }
    };
    whole(one) == whole(other)
}

/// Scheme and authority of a URL; empty where it has none.
pub(crate) fn parts(url: &str) -> (String, String) {
    let uri: Option<Uri> = url.parse().ok();
    let scheme = uri.as_ref().and_then(Uri::scheme_str).unwrap_or_default().to_owned();
    let authority = uri.as_ref().and_then(Uri::authority).map(|authority| authority.as_str()).unwrap_or_default();
    (scheme, authority.to_owned())
}

/// A CallSid that no call has, so that the service does not take the request for one of its calls.
fn call_sid() -> String {
    let mut bytes = [0; 16];
    // The same id twice does no harm.
    let _ = SystemRandom::new().fill(&mut bytes);
    format!("CA{:032x}", u128::from_be_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_the_same_with_and_without_its_standard_port() {
        assert!(same_authority("Calls.Example.com", "calls.example.com:443", true));
        assert!(same_authority("calls.example.com:80", "calls.example.com", false));
        assert!(!same_authority("calls.example.com:8080", "calls.example.com", false));
        assert!(!same_authority("", "calls.example.com", true));
    }

    #[test]
    fn a_call_that_there_is_not_has_an_id_of_twilios_form() {
        let (one, other) = (call_sid(), call_sid());
        assert_eq!((one.len(), &one[..2]), (34, "CA"));
        assert_ne!(one, other);
    }
}
