//! Reads one value. Each function returns what the text means, or what is wrong with it, as a text that follows the
//! setting's name.

use roxmltree::Document;
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use dialbridge_core::agent::DigitsForm;
use dialbridge_core::call_facts::CallParameter;
use dialbridge_core::config::EndOfUtterance;
use dialbridge_core::handoff::{HandoffField, MAX_TWIML_CHARS};
use dialbridge_core::language;
use dialbridge_core::parameters::NameCase;
use dialbridge_core::stages::TurnStage;
use dialbridge_core::words::MAX_SENTENCE_CHARS;
use dialbridge_net::Secret;
use dialbridge_net::hosts::without_brackets;
use http::{HeaderName, HeaderValue, Uri};
use percent_encoding::percent_decode_str;

use super::numbers::is_number;
use super::severity::Severity;
use dialbridge_agents::{AgentAddress, Endpoint, EsApi};

/// The longest event name, in bytes.
const MAX_EVENT_BYTES: usize = 100;

/// How much of a value a message shows, in characters.
const MAX_SHOWN_CHARS: usize = 80;

/// The longest name of a session parameter, in bytes.
const MAX_NAME_BYTES: usize = 100;

/// What Twilio says of a call. A header of a SIP call is a fact too.
const CALL_FACTS: [&str; 9] =
    ["From", "To", "CallSid", "Direction", "CallerName", "ForwardedFrom", "StirVerstat", "AnsweredBy", "AccountSid"];
const SIP_HEADER: &str = "SipHeader_";

/// The longest URL, in bytes.
const MAX_URL_BYTES: usize = 2_000;

/// The shortest token. 16 random characters of base64 are 96 bits, which nobody guesses.
const MIN_ADMIN_TOKEN_CHARS: usize = 16;

/// A call that migrates sooner looks like a call whose media streams keep breaking.
const MIN_RENEWAL_SECONDS: u64 = 120;
const MAX_RENEWAL_SECONDS: u64 = 86_400;

/// The longest time for a turn or a stage, in milliseconds.
pub(super) const MAX_STAGE_MS: u64 = 600_000;

/// Dialogflow's limits for phrase hints, which are Cloud Speech's for a request: how many, and how long each may be, in
/// characters.
const MAX_PHRASES: usize = 5_000;
const MAX_PHRASE_CHARS: usize = 100;

/// How many phrases may be ignored.
const MAX_IGNORED_PHRASES: usize = 200;

/// Audio in one of Twilio's frames, in milliseconds.
const FRAME_MS: usize = 20;

/// Headers that Google refuses (`google.cloud.dialogflow.cx.v3.QueryParameters.webhook_headers`).
const REFUSED_HEADERS: [&str; 9] = [
    "host",
    "content-length",
    "connection",
    "from",
    "user-agent",
    "accept-encoding",
    "if-modified-since",
    "if-none-match",
    "x-forwarded-for",
];

/// A value in quotes, shortened so that its message stays one line.
pub(super) struct Quoted<'a>(pub(super) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.char_indices().nth(MAX_SHOWN_CHARS) {
            Some((end, _)) => write!(f, "\"{}…\"", &self.0[..end]),
            None => write!(f, "\"{}\"", self.0),
        }
    }
}

/// Returns the value as it is if it is right, else the fault.
fn right(value: &str, is_right: bool, fault: impl FnOnce() -> String) -> Result<String, String> {
    if is_right { Ok(value.to_owned()) } else { Err(fault()) }
}

/// The same, with a fault that shows the value.
fn kept(value: &str, is_right: bool, fault: &str) -> Result<String, String> {
    right(value, is_right, || format!("is {}{fault}", Quoted(value)))
}

/// The items of a comma-separated list.
pub(super) fn list(value: &str) -> Vec<String> {
    let items = value.split(',').map(str::trim);
    items.filter(|item| !item.is_empty()).map(ToOwned::to_owned).collect()
}

pub(super) fn boolean(value: &str) -> Result<bool, String> {
    match value {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        other => Err(format!("is {}; it must be true or false", Quoted(other))),
    }
}

pub(super) fn url(value: &str) -> Result<String, String> {
    let uri: Option<Uri> = value.split('#').next().unwrap_or_default().parse().ok();
    let is_http = uri.as_ref().is_some_and(|uri| matches!(uri.scheme_str(), Some("http" | "https")));
    let has_host = uri.and_then(|uri| uri.host().map(str::is_empty)) == Some(false);
    kept(value, is_http && has_host && value.len() <= MAX_URL_BYTES, "; it must be a URL with http or https")
}

/// The base URL of an API, without a slash at its end.
pub(super) fn base_url(value: &str) -> Result<String, String> {
    let is_base = url(value).is_ok() && !value.contains(['?', '#']);
    kept(value.trim_end_matches('/'), is_base, "; it must be a URL with http or https, without a query")
}

/// The address to listen on.
pub(super) fn listening_address(value: &str) -> Result<IpAddr, String> {
    without_brackets(value).parse().map_err(|_| format!("is {}; it must be an address of this machine", Quoted(value)))
}

/// An agent's resource name, or `lab:` with or without a file.
pub(super) fn agent_name(value: &str) -> Result<String, String> {
    if !value.starts_with("lab:") {
        AgentAddress::parse(value, EsApi::default()).map_err(|error| format!("is {}, {error}", Quoted(value)))?;
    }
    Ok(value.to_owned())
}

/// Turns a project's id into the resource name of its ES agent.
pub(super) fn agent_of_project(value: &str) -> Result<String, String> {
    let name = format!("projects/{value}/agent");
    match AgentAddress::parse(&name, EsApi::default()) {
        Ok(_) => Ok(name),
        Err(_) => Err(format!("is {}, which is no project's id", Quoted(value))),
    }
}

pub(super) fn endpoint(value: &str) -> Result<Endpoint, String> {
    Endpoint::parse(value).map_err(|error| format!("is {}, {error}", Quoted(value)))
}

pub(super) fn language(value: &str) -> Result<String, String> {
    language::read(value).ok_or_else(|| format!("is {}, which is no language", Quoted(value)))
}

/// Whether the text can be an event name.
pub(crate) fn is_event_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= MAX_EVENT_BYTES && !name.chars().any(char::is_control)
}

pub(super) fn event(value: &str) -> Result<String, String> {
    right(value, is_event_name(value), || format!("is no event's name of at most {MAX_EVENT_BYTES} bytes"))
}

/// Whether the text can be a session parameter's name.
pub(super) fn is_parameter_name(name: &str) -> bool {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    !name.is_empty() && name.len() <= MAX_NAME_BYTES && name.bytes().all(is_plain)
}

/// Facts of the call, each with the session parameter that holds it: `NAME` or `NAME=parameter`.
pub(super) fn call_parameters(value: &str) -> Result<Vec<CallParameter>, String> {
    let mut told: Vec<CallParameter> = Vec::new();
    for item in list(value) {
        let (fact, name) = item.split_once('=').map_or((&*item, &*item), |(fact, name)| (fact.trim(), name.trim()));
        let is_header = fact.strip_prefix(SIP_HEADER).is_some_and(is_parameter_name);
        if !is_header && !CALL_FACTS.contains(&fact) {
            let known = CALL_FACTS.join(", ");
            return Err(format!("names {}; the facts of a call are {known} and {SIP_HEADER}…", Quoted(fact)));
        }
        if !is_parameter_name(name) {
            return Err(format!("has {}; a session parameter is made of letters, digits, _ and -", Quoted(&item)));
        }
        if told.iter().any(|other| NameCase::Ignored.is_same(&other.name, name)) {
            return Err(format!("names the session parameter {} twice", Quoted(name)));
        }
        told.push(CallParameter { fact: fact.to_owned(), name: name.to_owned() });
    }
    Ok(told)
}

pub(super) fn parameter_name(value: &str) -> Result<String, String> {
    kept(value, is_parameter_name(value), "; it must be made of letters, digits, _ and -")
}

pub(super) fn log_level(value: &str) -> Result<Severity, String> {
    let fault = || format!("is {}; it can be debug, info, warning or error", Quoted(value));
    Severity::parse(value).ok_or_else(fault)
}

pub(super) fn renewal_seconds(value: &str) -> Result<u64, String> {
    let is_right = |seconds: &u64| *seconds == 0 || (MIN_RENEWAL_SECONDS..=MAX_RENEWAL_SECONDS).contains(seconds);
    let fault = || {
        let range = format!("a number from {MIN_RENEWAL_SECONDS} to {MAX_RENEWAL_SECONDS}");
        format!("is {}; it must be 0, or {range}", Quoted(value))
    };
    value.parse().ok().filter(is_right).ok_or_else(fault)
}

/// The token goes into a header, so it may only have characters that a header allows. No fault shows the token.
pub(super) fn admin_token(value: &str) -> Result<Secret, String> {
    if value.len() < MIN_ADMIN_TOKEN_CHARS {
        let fault = format!("is too short: {MIN_ADMIN_TOKEN_CHARS} characters at least");
        return Err(format!("{fault}, for example from openssl rand -hex 24"));
    }
    if !value.bytes().all(|b| b.is_ascii_graphic()) {
        return Err("may have letters, digits and signs of ASCII, and no space".to_owned());
    }
    Ok(Secret::new(value))
}

pub(super) fn account_sid(value: &str) -> Result<String, String> {
    right(value, is_account_sid(value), || "is no account's id: AC and 32 hexadecimal digits".to_owned())
}

/// Whether it has the form of an account's id at Twilio.
pub(super) fn is_account_sid(text: &str) -> bool {
    text.strip_prefix("AC").is_some_and(|hex| hex.len() == 32 && hex.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// The name of a Twilio edge or region, as it stands in a host name.
pub(super) fn host_label(value: &str) -> Result<String, String> {
    let is_label = value.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    kept(value, is_label, "; it is written with small letters, digits and hyphens")
}

pub(super) fn project(value: &str) -> Result<String, String> {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b':' | b'.');
    kept(value, value.len() <= 100 && value.bytes().all(is_plain), ", which is no project's id")
}

pub(super) fn sentence(value: &str) -> Result<String, String> {
    right(value, value.chars().count() <= MAX_SENTENCE_CHARS, || {
        format!("has more than {MAX_SENTENCE_CHARS} characters")
    })
}

/// A telephone key. `None` for `none`.
pub(super) fn finish_digit(value: &str) -> Result<Option<char>, String> {
    let mut keys = value.chars();
    match (keys.next(), keys.next()) {
        _ if value == "none" => Ok(None),
        (Some(key @ ('0'..='9' | '*' | '#' | 'A'..='D')), None) => Ok(Some(key)),
        _ => Err("is neither none nor one key of 0 to 9, *, #, A to D".to_owned()),
    }
}

pub(super) fn end_of_utterance(value: &str) -> Result<EndOfUtterance, String> {
    EndOfUtterance::parse(value)
}

pub(super) fn digits_form(value: &str) -> Result<DigitsForm, String> {
    match (value, value.strip_prefix("event:").map(str::trim)) {
        ("dtmf", _) => Ok(DigitsForm::Dtmf),
        ("text", _) => Ok(DigitsForm::Text),
        (_, Some(name)) if !name.is_empty() => event(name).map(DigitsForm::Event),
        _ => Err(format!("is {}; it can be dtmf, text or event:NAME", Quoted(value))),
    }
}

/// A chunk holds whole frames of Twilio's.
pub(super) fn audio_chunk(value: &str) -> Result<usize, String> {
    let is_right = |ms: &usize| (FRAME_MS..=10 * FRAME_MS).contains(ms) && ms.is_multiple_of(FRAME_MS);
    let fault = || format!("is {}; it must be {FRAME_MS} to {}, in steps of {FRAME_MS}", Quoted(value), 10 * FRAME_MS);
    value.parse().ok().filter(is_right).ok_or_else(fault)
}

pub(super) fn phrases(value: &str) -> Result<Vec<String>, String> {
    let phrases = list(value);
    if phrases.len() > MAX_PHRASES {
        return Err(format!("has {} phrases, of which {MAX_PHRASES} are taken", phrases.len()));
    }
    match phrases.iter().find(|phrase| phrase.chars().count() > MAX_PHRASE_CHARS) {
        Some(long) => {
            let begin: String = long.chars().take(30).collect();
            Err(format!("has a phrase of more than {MAX_PHRASE_CHARS} characters, which begins with \"{begin}\""))
        }
        None => Ok(phrases),
    }
}

/// Words and phrases that alone do not interrupt.
pub(super) fn ignored_phrases(value: &str) -> Result<Vec<String>, String> {
    let phrases = list(value);
    if phrases.len() > MAX_IGNORED_PHRASES {
        return Err(format!("has {} phrases, of which {MAX_IGNORED_PHRASES} are taken", phrases.len()));
    }
    let is_spoken = |phrase: &str| phrase.chars().any(char::is_alphanumeric);
    match phrases.iter().find(|phrase| phrase.chars().count() > MAX_PHRASE_CHARS || !is_spoken(phrase)) {
        Some(wrong) => {
            let begin: String = wrong.chars().take(30).collect();
            Err(format!("has \"{begin}\", which is no word and no phrase of at most {MAX_PHRASE_CHARS} characters"))
        }
        None => Ok(phrases),
    }
}

/// Flow versions by their resource names.
pub(super) fn flow_versions(value: &str) -> Result<Vec<String>, String> {
    let is_version = |name: &String| {
        let parts: Vec<&str> = name.split('/').collect();
        matches!(parts[..], ["projects", _, "locations", _, "agents", _, "flows", _, "versions", _])
            && !parts.contains(&"")
    };
    let versions = list(value);
    match versions.iter().find(|name| !is_version(name)) {
        Some(name) => Err(format!("names {}, which is no version of a flow", Quoted(name))),
        None => Ok(versions),
    }
}

/// An agent of a CES app: its id, or its full name.
pub(super) fn ces_entry_agent(value: &str) -> Result<String, String> {
    let is_id = |id: &str| !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    let is_name = match value.split('/').collect::<Vec<_>>()[..] {
        [id] => is_id(id),
        ["projects", project, "locations", location, "apps", app, "agents", id] => {
            !project.is_empty() && [location, app, id].into_iter().all(is_id)
        }
        _ => false,
    };
    kept(value, is_name, "; it must be an agent's id, or projects/P/locations/L/apps/A/agents/ID")
}

/// We check the form only: Google has the tz database.
pub(super) fn time_zone(value: &str) -> Result<String, String> {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'+');
    let is_part = |part: &str| part.starts_with(|c: char| c.is_ascii_alphabetic()) && part.bytes().all(is_plain);
    let is_zone = value == "UTC" || (value.contains('/') && value.split('/').all(is_part));
    kept(value, is_zone, "; it must be UTC, or Area/City as in the tz database")
}

/// Headers by name. A value may be a secret, so no fault shows one.
pub(super) fn webhook_headers(value: &str) -> Result<BTreeMap<String, Secret>, String> {
    let mut headers: BTreeMap<String, Secret> = BTreeMap::new();
    for (n, item) in list(value).iter().enumerate() {
        let (name, value) = item.split_once(':').map_or(("", ""), |(name, value)| (name.trim(), value.trim()));
        let is_name = HeaderName::from_bytes(name.as_bytes()).is_ok();
        if !is_name || HeaderValue::from_str(value).is_err() || !value.is_ascii() {
            return Err(format!("has no header in the form Name: value at place {} of its list", n + 1));
        }
        if REFUSED_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
            return Err(format!("names {name}, which Google does not let a request set"));
        }
        if headers.keys().any(|other| other.eq_ignore_ascii_case(name)) {
            return Err(format!("names {name} twice"));
        }
        headers.insert(name.to_owned(), Secret::new(value));
    }
    Ok(headers)
}

pub(super) fn fallback_twiml(value: &str) -> Result<String, String> {
    let is_response = |document: &Document<'_>| document.root_element().has_tag_name("Response");
    let fault = match Document::parse(value) {
        _ if value.chars().count() >= MAX_TWIML_CHARS => "is no TwiML document of under 4,000 characters".to_owned(),
        Ok(document) if is_response(&document) => return Ok(value.to_owned()),
        Ok(_) => "is no TwiML document: its root element is not <Response>".to_owned(),
        // The error names what the value holds only by its place.
        Err(error) => format!("is no TwiML document: not well-formed at {} (line:column)", error.pos()),
    };
    Err(fault)
}

pub(super) fn handoff_fields(value: &str) -> Result<Vec<HandoffField>, String> {
    let field = |name: &String| {
        let known = HandoffField::ALL.map(HandoffField::name).join(",");
        let field = HandoffField::ALL.into_iter().find(|field| field.name() == name);
        field.ok_or_else(|| format!("names {}; the fields are {known}", Quoted(name)))
    };
    list(value).iter().map(field).collect()
}

pub(super) fn caller_id(value: &str) -> Result<String, String> {
    right(value, is_number(value), || {
        "is no number: + and 15 digits at most, or a Twilio address such as client:NAME".to_owned()
    })
}

/// Items such as `agent=2500`, in milliseconds.
pub(super) fn stage_times(value: &str) -> Result<Vec<(TurnStage, u64)>, String> {
    let stage = |item: &String| {
        let (name, ms) = item.split_once('=')?;
        let stage = TurnStage::ALL.into_iter().find(|stage| stage.as_str() == name.trim());
        stage.zip(ms.trim().parse().ok().filter(|ms| *ms <= MAX_STAGE_MS))
    };
    let fault = |item: &str| {
        let stages = TurnStage::ALL.map(TurnStage::as_str).join(", ");
        format!("has {}; each item is a stage ({stages}), = and milliseconds up to {MAX_STAGE_MS}", Quoted(item))
    };
    list(value).iter().map(|item| stage(item).ok_or_else(|| fault(item))).collect()
}

/// Headers as `NAME=VALUE`. The values are secrets, so no fault shows one.
pub(super) fn trace_headers(value: &str) -> Result<Vec<(HeaderName, HeaderValue)>, String> {
    let header = |item: &String| {
        let (name, value) = pair(item)?;
        let mut value = HeaderValue::try_from(value).ok()?;
        value.set_sensitive(true);
        Some((HeaderName::try_from(name).ok()?, value))
    };
    let fault = |n| format!("has at place {} of its list what is no NAME=VALUE of a header", n + 1);
    list(value).iter().enumerate().map(|(n, item)| header(item).ok_or_else(|| fault(n))).collect()
}

/// Attributes as `NAME=VALUE`.
pub(super) fn attributes(value: &str) -> Result<Vec<(String, String)>, String> {
    let fault = |item: &str| format!("has {}; each item is a name, = and a value", Quoted(item));
    list(value).iter().map(|item| pair(item).ok_or_else(|| fault(item))).collect()
}

/// Splits `NAME=VALUE` and percent-decodes both, as in W3C Baggage.
fn pair(item: &str) -> Option<(String, String)> {
    let (name, value) = item.split_once('=')?;
    let decoded = |text: &str| percent_decode_str(text.trim()).decode_utf8().ok().map(std::borrow::Cow::into_owned);
    let (name, value) = (decoded(name)?, decoded(value)?);
    (!name.is_empty()).then_some((name, value))
}

/// The file of a name such as `lab:FILE`. `None` if the name has no `lab:`, `Some(None)` for `lab:` alone.
pub(super) fn lab_file(name: &str) -> Option<Option<PathBuf>> {
    name.strip_prefix("lab:").map(|file| (!file.is_empty()).then(|| file.into()))
}
