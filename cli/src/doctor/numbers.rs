//! Twilio's numbers: whether their calls come to this service, and come back when something fails.

use std::time::Duration;

use http::{StatusCode, Uri};
use serde::Deserialize;
use serde_json::Value;

use super::Doctor;
use super::finding::{Finding, Mark};
use super::subject::Subject;
use super::twilio::{Refused, TwilioApi};
use super::voice_request::{VoiceRequest, same_authority};
use dialbridge_runner::settings::PublicUrl;

pub(crate) const CHECK: &str = "number";

/// How many numbers one page holds.
const PAGE_SIZE: usize = 200;

/// How many pages are read at most.
const MAX_PAGES: usize = 50;

/// A number of the account, as Twilio's `IncomingPhoneNumbers` resource has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Number {
    pub(crate) sid: String,
    pub(crate) phone_number: String,
    pub(crate) friendly_name: Option<String>,
    pub(crate) voice_url: Option<String>,
    pub(crate) voice_method: Option<String>,
    pub(crate) voice_fallback_url: Option<String>,
    pub(crate) voice_fallback_method: Option<String>,
    pub(crate) status_callback: Option<String>,
    pub(crate) status_callback_method: Option<String>,
    pub(crate) voice_application_sid: Option<String>,
    pub(crate) trunk_sid: Option<String>,
    capabilities: Option<Capabilities>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Capabilities {
    #[serde(default)]
    voice: bool,
}

/// All pages together get as much time as this many requests.
const PAGES_IN_TIME: u32 = 4;

/// How many voice-urls are requested at most.
const MAX_NUMBERS_ASKED: usize = 20;

/// Checks the numbers that were named, or all that lead here. Requests their voice-urls only if the service `is_up`.
pub(crate) async fn check(
    doctor: &Doctor,
    api: Option<&TwilioApi>,
    subject: &Subject,
    named: &[String],
    is_up: bool,
) -> Vec<Finding> {
    let public = subject.public_url.as_ref();
    let Some(api) = api else { return vec![Finding::skipped(CHECK, "Twilio cannot be asked")] };
    let Some(public) = public else {
        return vec![Finding::skipped(CHECK, "PUBLIC_URL is not set, and no --url is given: where should it lead?")];
    };
    if !named.is_empty() {
        let mut findings = Vec::new();
        for number in named {
            findings.push(match find(doctor, api, number).await {
                Ok(Some(found)) if is_up => found.check_and_ask(doctor, subject, public).await,
                Ok(Some(found)) => found.check(public),
                Ok(None) => not_there(api, number),
                Err(refused) => refused.fault(CHECK),
            });
        }
        return findings;
    }
    let deadline = list_deadline(doctor);
    let all = match tokio::time::timeout(deadline, list(doctor, api, &api.account_sid, "")).await {
        Ok(Ok(all)) => all,
        Ok(Err(refused)) => return vec![refused.fault(CHECK)],
        Err(_) => {
            let says = format!("the list of the account's numbers does not end within {} s", deadline.as_secs());
            return vec![Finding::fault(CHECK, says, "name the numbers that are to lead here with --number")];
        }
    };
    let mut ours = Vec::new();
    for number in all.iter().filter(|number| number.leads_to(public)) {
        ours.push(if is_up && ours.len() < MAX_NUMBERS_ASKED {
            number.check_and_ask(doctor, subject, public).await
        } else {
            number.check(public)
        });
    }
    if ours.is_empty() { vec![none(&all, public)] } else { ours }
}

/// How long a list of numbers may take.
pub(crate) fn list_deadline(doctor: &Doctor) -> Duration {
    doctor.web.deadline * PAGES_IN_TIME
}

/// Finds the number with that name in the account.
pub(crate) async fn find(doctor: &Doctor, api: &TwilioApi, number: &str) -> Result<Option<Number>, Refused> {
    let query = form_urlencoded::Serializer::new(String::new()).append_pair("PhoneNumber", number).finish();
    // Twilio also lists numbers that merely contain this one.
    let found = list(doctor, api, &api.account_sid, &format!("&{query}")).await?;
    Ok(found.into_iter().find(|found| found.phone_number == number))
}

pub(crate) fn not_there(api: &TwilioApi, number: &str) -> Finding {
    let says = format!("account {} has no number {number}", api.account_sid);
    Finding::fault(CHECK, says, "write it as +15550100; is it another account's or subaccount's (TWILIO_ACCOUNT_SID)?")
}

fn none(all: &[Number], public: &PublicUrl) -> Finding {
    let says = format!("none of the account's {} numbers leads to {}", all.len(), public.http(""));
    let mend = match all.first() {
        Some(number) => format!("for example {}", number.command(public)),
        None => "buy a number in Twilio's console, or name one with --number".to_owned(),
    };
    Finding::warning(CHECK, says, mend)
}

/// All numbers of an account, page by page.
pub(crate) async fn list(
    doctor: &Doctor,
    api: &TwilioApi,
    account: &str,
    filter: &str,
) -> Result<Vec<Number>, Refused> {
    let mut numbers: Vec<Number> = Vec::new();
    let first = format!("/2010-04-01/Accounts/{account}/IncomingPhoneNumbers.json?PageSize={PAGE_SIZE}{filter}");
    let mut next = Some(first);
    for _ in 0..MAX_PAGES {
        let Some(path) = next.take() else { break };
        let mut page = api.get(doctor, &path).await?;
        let entries = page["incoming_phone_numbers"].as_array_mut().map(std::mem::take).unwrap_or_default();
        numbers.extend(entries.into_iter().filter_map(|entry| serde_json::from_value(entry).ok()));
        // Only a path is accepted: a whole URL could send the credentials elsewhere.
        next = page["next_page_uri"].as_str().filter(|uri| uri.starts_with("/2010-04-01/")).map(ToOwned::to_owned);
        if page["next_page_uri"] == Value::Null {
            break;
        }
    }
    Ok(numbers)
}

/// The Twilio CLI command that sets both URLs of a number.
pub(crate) fn command(sid: &str, voice: &str, fallback: &str) -> String {
    format!(
        "twilio api:core:incoming-phone-numbers:update --sid {sid} --voice-url '{voice}' --voice-method POST \
         --voice-fallback-url '{fallback}' --voice-fallback-method POST"
    )
}

/// What is wrong with a number, and whether it still works.
struct NumberFault {
    is_fault: bool,
    what: String,
}

impl Number {
    /// The voice-url and the fallback URL that lead here. They keep the query of a voice-url that already leads here.
    pub(crate) fn urls_here(&self, public: &PublicUrl) -> (String, String) {
        let here = self.voice_url.as_deref().and_then(webhook).filter(|url| is_here(url, public));
        let query = here.as_ref().and_then(Uri::query).unwrap_or_default();
        let kept: Vec<&str> =
            query.split('&').filter(|pair| !pair.is_empty() && !pair.starts_with("resume=")).collect();
        let resuming: Vec<&str> = kept.iter().copied().chain(["resume=1"]).collect();
        let of = |query: &[&str]| public.http(&format!("/twiml?{}", query.join("&")));
        (of(&kept).trim_end_matches('?').to_owned(), of(&resuming))
    }

    /// The command that points the number here.
    pub(crate) fn command(&self, public: &PublicUrl) -> String {
        let freed = if self.is_an_apps() { " --voice-application-sid ''" } else { "" };
        let (voice, fallback) = self.urls_here(public);
        command(&self.sid, &voice, &fallback) + freed
    }

    /// Whether it takes voice calls.
    pub(crate) fn takes_calls(&self) -> bool {
        self.capabilities.as_ref().is_none_or(|capabilities| capabilities.voice)
    }

    fn is_an_apps(&self) -> bool {
        self.voice_application_sid.as_deref().is_some_and(|sid| !sid.is_empty())
    }

    pub(super) fn leads_to(&self, public: &PublicUrl) -> bool {
        [&self.voice_url, &self.voice_fallback_url]
            .into_iter()
            .flatten()
            .filter_map(|url| url.parse::<Uri>().ok())
            .any(|url| is_here(&url, public))
    }

    /// Requests the voice-url too, if that tells more than the path that was already requested.
    async fn check_and_ask(&self, doctor: &Doctor, subject: &Subject, public: &PublicUrl) -> Finding {
        let finding = self.check(public);
        let url = self.voice_url.as_deref().and_then(webhook);
        let path = url.as_ref().and_then(Uri::path_and_query).filter(|path| path.query().is_some());
        let Some(path) = path.filter(|_| finding.mark == Mark::Ok) else { return finding };
        let request = VoiceRequest::new(doctor, &subject.twilio, public, None);
        let (says, mend) = match request.of_number(public.own_path(path.as_str()), &self.phone_number).await {
            None => return finding,
            Some(Ok(response)) if response.status().is_success() => return finding,
            Some(Ok(response)) if response.status() == StatusCode::NOT_FOUND => (
                "its voice-url names an agent that the service does not have".to_owned(),
                "correct agent=NAME in the voice-url, or configure that agent at the service",
            ),
            Some(Ok(response)) => (format!("its voice-url answers {}", response.status()), "look at the service's log"),
            Some(Err(error)) => (format!("its voice-url gives {error}"), "look at the service's log"),
        };
        Finding::fault(CHECK, format!("{}: {says}", self.phone_number), mend)
    }

    pub(super) fn check(&self, public: &PublicUrl) -> Finding {
        let number = &self.phone_number;
        if let Some(trunk) = self.trunk_sid.as_deref().filter(|trunk| !trunk.is_empty()) {
            let says = format!("{number}: it belongs to a SIP trunk, so that its voice-url is not used");
            let sid = &self.sid;
            let mend = format!("twilio api:trunking:v1:trunks:phone-numbers:remove --trunk-sid {trunk} --sid {sid}");
            return Finding::fault(CHECK, says, mend);
        }
        let wrong = self.detour().or_else(|| self.voice(public)).or_else(|| self.fallback(public));
        let Some(wrong) = wrong else {
            return Finding::ok(CHECK, format!("{number}: voice-url and fallback-url lead here"));
        };
        let says = format!("{number}: {}", wrong.what);
        if wrong.is_fault {
            Finding::fault(CHECK, says, self.command(public))
        } else {
            Finding::warning(CHECK, says, self.command(public))
        }
    }

    /// What Twilio uses before the voice-url.
    fn detour(&self) -> Option<NumberFault> {
        if !self.takes_calls() {
            return Some(fault("it takes no voice calls"));
        }
        if self.is_an_apps() {
            return Some(fault("it belongs to a TwiML app, so that its voice-url is not used"));
        }
        None
    }

    fn voice(&self, public: &PublicUrl) -> Option<NumberFault> {
        let text = self.voice_url.as_deref().unwrap_or_default();
        let Some(url) = webhook(text) else {
            return Some(fault(if text.is_empty() { "it has no voice-url" } else { "its voice-url is no URL" }));
        };
        if !is_here(&url, public) {
            return Some(fault(format!("its voice-url leads to {}", place(&url))));
        }
        if let Some(wrong) = address("voice-url", &url, public, self.voice_method.as_deref()) {
            return Some(wrong);
        }
        if in_query(&url, "resume").as_deref() == Some("1") {
            return Some(fault("its voice-url has resume=1, so that no caller is greeted"));
        }
        None
    }

    fn fallback(&self, public: &PublicUrl) -> Option<NumberFault> {
        let text = self.voice_fallback_url.as_deref().unwrap_or_default();
        let Some(url) = webhook(text) else {
            let none = "it has no fallback-url: a call whose webhook fails ends with an error of Twilio's";
            return Some(fault(if text.is_empty() { none } else { "its fallback-url is no URL" }));
        };
        if !is_here(&url, public) {
            let what = format!("its fallback-url leads to {}: a call that fails does not come back here", place(&url));
            return Some(NumberFault { is_fault: false, what });
        }
        if let Some(wrong) = address("fallback-url", &url, public, self.voice_fallback_method.as_deref()) {
            return Some(wrong);
        }
        let voice = self.voice_url.as_deref().and_then(webhook);
        let agents = [voice.as_ref(), Some(&url)].map(|url| url.and_then(|url| in_query(url, "agent")));
        (agents[0] != agents[1]).then(|| fault("its fallback-url names another agent than its voice-url"))
    }
}

/// Checks scheme, path and method of a URL whose host is ours.
fn address(what: &str, url: &Uri, public: &PublicUrl, method: Option<&str>) -> Option<NumberFault> {
    let scheme = if public.is_tls { "https" } else { "http" };
    if url.scheme_str() != Some(scheme) {
        return Some(fault(format!(
            "its {what} begins with {}://, not {scheme}://",
            url.scheme_str().unwrap_or_default()
        )));
    }
    if url.path() != format!("{}/twiml", public.prefix) {
        return Some(fault(format!("its {what} has the path {}, where this service answers nothing", url.path())));
    }
    match method {
        Some("POST") | None => None,
        Some("GET") => Some(NumberFault {
            is_fault: false,
            what: format!(
                "its {what} is asked with GET, which puts callers' numbers into the logs of whatever is between"
            ),
        }),
        Some(other) => Some(fault(format!("its {what} is asked with {other}, not with POST"))),
    }
}

fn fault(what: impl Into<String>) -> NumberFault {
    NumberFault { is_fault: true, what: what.into() }
}

/// A webhook's URL without the fragment, in which Twilio's connection settings stand.
fn webhook(text: &str) -> Option<Uri> {
    let uri: Uri = text.split('#').next().unwrap_or_default().trim().parse().ok()?;
    uri.host()?;
    uri.scheme_str()?;
    Some(uri)
}

fn is_here(url: &Uri, public: &PublicUrl) -> bool {
    let authority = url.authority().map(|authority| authority.as_str()).unwrap_or_default();
    let is_tls = url.scheme_str() == Some("https");
    let (theirs, ours) =
        (without_standard_port(authority, is_tls), without_standard_port(&public.authority, public.is_tls));
    same_authority(theirs, ours, true)
}

/// A URL that differs in the scheme only also leads here, but wrongly.
fn without_standard_port(authority: &str, is_tls: bool) -> &str {
    authority.strip_suffix(if is_tls { ":443" } else { ":80" }).unwrap_or(authority)
}

/// Scheme and host. The query may hold secrets, so it is left out.
fn place(url: &Uri) -> String {
    format!("{}://{}", url.scheme_str().unwrap_or_default(), url.authority().map_or("", |authority| authority.as_str()))
}

fn in_query(url: &Uri, name: &str) -> Option<String> {
    let mut pairs = form_urlencoded::parse(url.query().unwrap_or_default().as_bytes());
    pairs.find(|(other, _)| other == name).map(|(_, value)| value.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn public() -> PublicUrl {
        PublicUrl::at_root(true, "calls.example.com")
    }

    fn found(voice: &str, fallback: &str) -> Finding {
        let number = Number {
            sid: "PN1".to_owned(),
            phone_number: "+15550100".to_owned(),
            voice_url: Some(voice.to_owned()),
            voice_method: Some("POST".to_owned()),
            voice_fallback_url: Some(fallback.to_owned()),
            voice_fallback_method: Some("POST".to_owned()),
            ..Number::default()
        };
        number.check(&public())
    }

    #[test]
    fn a_fallback_url_may_say_that_it_resumes_or_leave_it_to_twilios_error_code() {
        use super::super::Mark;
        let voice = "https://calls.example.com/twiml?agent=a&param.shop=north#rc=2";
        for fallback in ["twiml?agent=a", "twiml?resume=1&agent=a", "twiml?agent=a&resume=1&event=BACK#rp=all"] {
            let found = found(voice, &format!("https://calls.example.com/{fallback}"));
            assert_eq!(found.mark, Mark::Ok, "{fallback}: {found}");
        }
        for fallback in ["twiml", "twiml?agent=b", "other?agent=a"] {
            let found = found(voice, &format!("https://calls.example.com/{fallback}"));
            assert_eq!(found.mark, Mark::Fault, "{fallback}: {found}");
        }
        assert_eq!(found("https://CALLS.example.com:443/twiml", "https://calls.example.com/twiml").mark, Mark::Ok);
        assert!(found("http://calls.example.com/twiml", "").says.contains("begins with http://"));
    }
}
