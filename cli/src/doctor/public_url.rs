//! The public URL: whether it leads to the service, and whether Twilio can use it.

use http::{StatusCode, Uri};

use super::Doctor;
use super::finding::{Finding, Mark};
use super::media;
use super::subject::{Subject, first_token};
use super::url::{is_loopback, location, unreached};
use super::voice_request::{SIGNED, UNSIGNED, VoiceRequest};
use dialbridge_runner::settings::PublicUrl;

const URL: &str = "public-url";
const HEALTH: &str = "health";
const READY: &str = "ready";

/// The checks of the public URL, in order.
const ALL: [&str; 6] = [URL, HEALTH, READY, SIGNED, UNSIGNED, media::CHECK];

/// Checks the public URL. `set` is PUBLIC_URL as it is set; `--url` may override it.
pub(crate) async fn check(doctor: &Doctor, subject: &Subject, set: Option<&str>) -> Vec<Finding> {
    let Some(public) = &subject.public_url else {
        return skipped(&ALL, "PUBLIC_URL is not set, and no --url is given");
    };
    let health = probe(doctor, public, HEALTH, "/health", "ok").await;
    let address = address(public, health.as_ref().err());
    if address.is_fault() {
        let rest = skipped(&ALL[1..], "the URL must be right first");
        return std::iter::once(address).chain(rest).collect();
    }
    let mut findings = vec![address];
    match health {
        Ok(fine) => findings.push(fine),
        Err(fault) => {
            findings.push(fault.finding);
            findings.extend(skipped(&ALL[2..], "/health must answer first"));
            return findings;
        }
    }
    let ready = probe(doctor, public, READY, "/ready", "ready").await;
    findings.push(ready.unwrap_or_else(|fault| fault.finding));
    let request = VoiceRequest::new(doctor, &subject.twilio, public, set);
    let (signed, unsigned, twiml) = request.check().await;
    findings.extend([signed, unsigned]);
    findings.push(match twiml {
        Some(twiml) => media::check(doctor, &twiml, first_token(&subject.twilio)).await,
        None => Finding::skipped(media::CHECK, "there is no <Stream> to open"),
    });
    findings
}

/// Whether the service accepts signed requests there.
pub(crate) fn is_up(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| finding.check == SIGNED && finding.mark == Mark::Ok)
}

fn skipped(checks: &[&'static str], why: &str) -> Vec<Finding> {
    checks.iter().map(|check| Finding::skipped(check, why)).collect()
}

/// Checks the URL itself.
fn address(public: &PublicUrl, fault: Option<&ProbeFault>) -> Finding {
    let url = public.http("");
    if let Some(location) = fault.and_then(|fault| fault.location.as_deref()) {
        let target = origin(location, &url);
        let says = format!(
            "{url} redirects to {target}: Twilio signs the URL that it calls, and follows no redirect to a media socket"
        );
        return Finding::fault(URL, says, format!("set PUBLIC_URL and the number's voice-url to {target}"));
    }
    if public.is_tls {
        return Finding::ok(URL, url);
    }
    if is_loopback(&public.authority) {
        return Finding::ok(URL, format!("{url}, which only this machine can reach"));
    }
    let says = format!("{url} is not https: Twilio opens media sockets over wss only (its error 31922)");
    Finding::fault(URL, says, "give the service a URL with https://, and set PUBLIC_URL to it")
}

/// Why a probe does not answer as it should.
struct ProbeFault {
    finding: Finding,
    /// Where it redirects to.
    location: Option<String>,
}

/// Requests a probe that answers with that word.
async fn probe(
    doctor: &Doctor,
    public: &PublicUrl,
    check: &'static str,
    path: &str,
    word: &str,
) -> Result<Finding, ProbeFault> {
    let url = public.http(path);
    let fault = |says: String, mend: &str| ProbeFault { finding: Finding::fault(check, says, mend), location: None };
    let response = match doctor.web.get(&url).await {
        Ok(response) => response,
        Err(error) => return Err(fault(format!("{url}: {error}"), unreached(&error))),
    };
    if let Some(location) = location(&response) {
        let fault = fault(format!("{url} redirects to {location}"), "let the URL lead to the service itself");
        return Err(ProbeFault { location: Some(location), ..fault });
    }
    let status = response.status();
    let says = format!("{url} answers {status}");
    match status {
        StatusCode::OK if response.body().trim_ascii() == word.as_bytes() => Ok(Finding::ok(check, says)),
        StatusCode::OK => Err(fault(
            format!("{url} answers, but not as this service does"),
            "let the URL lead to the service itself, with its paths at the root",
        )),
        StatusCode::SERVICE_UNAVAILABLE if path == "/ready" => {
            Err(fault(says, "it is just starting or ending: wait a few seconds, and look at its log"))
        }
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(fault(
            format!("{says}: something before the service refuses who has no identity, and Twilio has none"),
            "on Cloud Run deploy with --no-invoker-iam-check, or with --allow-unauthenticated, and with --ingress all: \
             Twilio's requests are checked by their signature",
        )),
        StatusCode::NOT_FOUND => Err(fault(
            says,
            "let the URL lead to the service itself, with its paths at the root; is the host's name right?",
        )),
        _ => Err(fault(says, "look at the service's log: gcloud run services logs read NAME")),
    }
}

/// The scheme and host of a redirect's target, which may be a path alone.
fn origin(location: &str, from: &str) -> String {
    let uri: Option<Uri> = location.parse().ok();
    match uri.as_ref().and_then(|uri| Some((uri.scheme_str()?, uri.authority()?))) {
        Some((scheme, authority)) => format!("{scheme}://{authority}"),
        None => format!("{from}{location}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_leads_to_an_origin() {
        assert_eq!(origin("https://b.example/health", "http://a.example"), "https://b.example");
        assert_eq!(origin("/login", "http://a.example"), "http://a.example/login");
    }
}
