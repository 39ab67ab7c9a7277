//! Requests to a path that is none of ours but near one: a voice-url with another name, a slash too many, another case.
//! The answer stays 404; the log names the right path.

use http::{Method, Request};

use super::masked::without_numbers;
use crate::paths::{CONNECT_ENDED, DIAL_ENDED, HEALTH, METRICS, READY, STREAM_STATUS, VOICE_URL};
use crate::service::admission::Admission;
use crate::telemetry::RefusalReason;

/// The path of a media stream, for people.
const MEDIA_OF_TICKET: &str = "/media/TICKET";

/// Our paths.
const PATHS: [&str; 8] = [VOICE_URL, CONNECT_ENDED, DIAL_ENDED, STREAM_STATUS, MEDIA_OF_TICKET, HEALTH, READY, METRICS];

/// What others call the voice-url, in examples and tutorials.
const VOICE_NAMES: [&str; 17] = [
    "voice",
    "incoming",
    "incoming-call",
    "incoming-voice",
    "inbound",
    "inbound-call",
    "call",
    "calls",
    "answer",
    "twilio",
    "webhook",
    "webhooks",
    "twilio-webhook",
    "twilio/voice",
    "voice/incoming",
    "api/twiml",
    "api/voice",
];

/// What others call the other paths.
const OTHER_NAMES: [(&str, &str); 10] = [
    ("media-stream", MEDIA_OF_TICKET),
    ("stream", MEDIA_OF_TICKET),
    ("ws", MEDIA_OF_TICKET),
    ("media", MEDIA_OF_TICKET),
    ("status", STREAM_STATUS),
    ("healthz", HEALTH),
    ("readyz", READY),
    ("livez", HEALTH),
    ("index.html", "/"),
    ("prometheus", METRICS),
];

/// In how many characters a path may differ from ours.
const MAX_TYPING_ERRORS: usize = 2;

/// How much of a path a log shows, in characters.
const MAX_SHOWN_CHARS: usize = 80;

/// A number of at least this many digits may be a telephone number.
const MIN_NUMBER_DIGITS: usize = 4;

/// Counts and logs a request to a path that we do not have, if the path is near one of ours or the request is Twilio's.
pub(super) fn note_unknown_path<B>(admission: &Admission, request: &Request<B>) {
    let path = request.uri().path();
    let is_twilios = request.method() == Method::POST && is_twilios(request);
    let near = if is_twilios { Some(near(path).unwrap_or(VOICE_URL)) } else { near(path) };
    let Some(near) = near else { return };
    admission.telemetry.refused(RefusalReason::Path);
    let Some(withheld) = admission.path_log.allow() else { return };
    let (path, method) = (shown(path), request.method().as_str());
    // Whoever sends the request may have chosen its host, so we do not repeat it.
    let public = admission.config.public_url.as_ref().filter(|_| is_twilios && near == VOICE_URL);
    if let Some(voice_url) = public.map(|public| public.http(VOICE_URL)) {
        tracing::warn!(
            method,
            path,
            withheld,
            "there is nothing at this path: set the number's voice-url to {voice_url}"
        );
    } else {
        tracing::warn!(method, path, withheld, "there is nothing at this path: the right one is {near}");
    }
}

/// Whether a request looks like one of Twilio's.
fn is_twilios<B>(request: &Request<B>) -> bool {
    let agent = request.headers().get("user-agent").and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    request.headers().contains_key("x-twilio-signature") || agent.starts_with("Twilio")
}

/// The path of ours that a request meant.
fn near(path: &str) -> Option<&'static str> {
    let lower = path.to_ascii_lowercase();
    let parts: Vec<&str> = lower.split('/').filter(|part| !part.is_empty()).collect();
    let name = parts.join("/");
    if name.is_empty() || name.len() > MAX_SHOWN_CHARS {
        return None;
    }
    if VOICE_NAMES.contains(&name.as_str()) {
        return Some(VOICE_URL);
    }
    let others = OTHER_NAMES.iter().find(|(other, _)| *other == name).map(|(_, near)| *near);
    others.or_else(|| {
        let last = parts.last().copied().unwrap_or_default();
        PATHS.into_iter().find(|ours| {
            let ours = ours.trim_start_matches('/').split('/').next().unwrap_or_default();
            let errors = MAX_TYPING_ERRORS.min(ours.len() / 3);
            last == ours || strsim::osa_distance(&name, ours) <= errors
        })
    })
}

/// A path for the log, shortened, without what may be somebody's number or a ticket.
fn shown(path: &str) -> String {
    let path = path.split_once("/media/").map_or(path, |(before, _)| before);
    without_numbers(path, MIN_NUMBER_DIGITS).chars().take(MAX_SHOWN_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_is_near_one_of_ours_is_known() {
        for (path, right) in [
            ("/voice", VOICE_URL),
            ("/voice/", VOICE_URL),
            ("/twiml/", VOICE_URL),
            ("//twiml", VOICE_URL),
            ("/Twiml", VOICE_URL),
            ("/TWIML/", VOICE_URL),
            ("/twilm", VOICE_URL),
            ("/twmil", VOICE_URL),
            ("/incoming", VOICE_URL),
            ("/incoming-call", VOICE_URL),
            ("/api/twiml", VOICE_URL),
            ("/phone/twiml", VOICE_URL),
            ("/connect_ended", "/connect-ended"),
            ("/dial-ended/", "/dial-ended"),
            ("/healthz", "/health"),
            ("/Health", "/health"),
            ("/media", "/media/TICKET"),
            ("/media-stream", "/media/TICKET"),
            ("/index.html", "/"),
        ] {
            assert_eq!(near(path), Some(right), "{path}");
        }
        for path in ["/", "//", "/wp-login.php", "/.env", "/nowhere", "/favicon.ico", "/robots.txt", "/a/b/c"] {
            assert_eq!(near(path), None, "{path}");
        }
        assert_eq!(near(&"/".repeat(1_000)), None);
        assert_eq!(near(&format!("/{}", "x".repeat(10_000))), None);
    }

    #[test]
    fn numbers_and_tickets_in_a_path_are_not_logged() {
        assert_eq!(shown("/calls/15550100/voice"), "/calls/…/voice");
        assert_eq!(shown("/calls/1-555-0100/voice"), "/calls/…/voice");
        assert_eq!(shown("/v2/a123/voice"), "/v2/a123/voice");
        assert_eq!(shown(&format!("/{}15550100", "y".repeat(77))).len(), 78 + "…".len(), "a number at the cut");
        assert_eq!(shown("/x/media/abc.def"), "/x");
        assert_eq!(shown(&"y".repeat(500)).len(), MAX_SHOWN_CHARS);
    }
}
