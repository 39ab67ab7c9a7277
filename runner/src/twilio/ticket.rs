//! Tickets for media streams, and the state that `/connect-ended` gets back.
//!
//! A call from the browser has its own kind of ticket, for a path that Twilio does not use.
//!
//! Each one is base64url of JSON, a dot, and base64url of its HMAC-SHA256. They are stateless: any instance with the
//! key can read them. Each kind has its own key, so that none can be used in place of another.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dialbridge_core::CallSid;
use dialbridge_core::carried::{Opening, StandIn};
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::settings::Secret;
use crate::telemetry::trace_context::TraceContext;

/// How long a ticket is valid, in milliseconds.
pub const TICKET_LIFE_MS: u64 = 60_000;

/// How long a state is valid, in milliseconds: the longest call that Twilio allows.
pub const STATE_LIFE_MS: u64 = 4 * 60 * 60 * 1000;

/// How far the clocks of two instances may differ, in milliseconds.
const CLOCK_SKEW_MS: u64 = 5_000;

/// The longest ticket or state that we read, in bytes.
const MAX_BYTES: usize = 2_048;

/// Permission to open one media stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// The call.
    #[serde(rename = "c")]
    pub call_sid: CallSid,
    /// When it was issued, in milliseconds since 1970.
    #[serde(rename = "t")]
    pub issued_ms: u64,
    /// What we know of the call.
    #[serde(flatten)]
    pub info: CallInfo,
    /// How the stream begins.
    #[serde(rename = "o", default, skip_serializing_if = "is_greeting")]
    pub opening: Opening,
}

fn is_greeting(opening: &Opening) -> bool {
    *opening == Opening::Greet
}

/// What `/connect-ended` needs to continue a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The call.
    #[serde(rename = "c")]
    pub call_sid: CallSid,
    /// When it was issued, in milliseconds since 1970.
    #[serde(rename = "t")]
    pub issued_ms: u64,
    /// What we know of the call.
    #[serde(flatten)]
    pub info: CallInfo,
    /// The number of this attempt: 1, plus one for each stream in a row that broke early.
    #[serde(rename = "n")]
    pub attempt: u32,
}

/// Which agent has the call, in which language, and since when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallInfo {
    /// The agent's name in the settings.
    #[serde(rename = "a")]
    pub agent: String,
    /// The agent that this one stands in for, because it could not be had.
    #[serde(rename = "k", default, skip_serializing_if = "Option::is_none")]
    pub backup_of: Option<String>,
    /// The language that the voice-url names, if any.
    #[serde(rename = "l", default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// When the call's first stream was issued, in milliseconds since 1970. 0: not known.
    #[serde(rename = "b", default)]
    pub began_ms: u64,
    /// How many turns failed in earlier streams, as far as the issuing instance knew.
    #[serde(rename = "f", default, skip_serializing_if = "is_zero")]
    pub failed_turns: u32,
    /// The call's account, if it is not the configured one.
    #[serde(rename = "u", default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The trace of the request that started the call, with that request's span.
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<TraceContext>,
}

/// A call of an account. Accounts may not reach each other's calls, whatever CallSid they send.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct AccountCall {
    /// The account's id; `None`: the configured one.
    pub account: Option<String>,
    /// The call.
    pub call_sid: CallSid,
}

impl Ticket {
    /// The call of its account.
    #[must_use]
    pub fn call(&self) -> AccountCall {
        self.info.of_account(&self.call_sid)
    }
}

impl CallInfo {
    /// That call of the account.
    #[must_use]
    pub fn of_account(&self, call_sid: &CallSid) -> AccountCall {
        AccountCall { account: self.account.clone(), call_sid: call_sid.clone() }
    }

    /// This agent has the call from here on, as the backup of the one that had it.
    pub(crate) fn stand_in(&mut self, backup: &str) {
        self.backup_of = Some(std::mem::replace(&mut self.agent, backup.to_owned()));
    }

    /// The backup that has the call and the agent that it stands in for, if so.
    pub(crate) fn stands_in(&self) -> Option<StandIn> {
        let backup_of = self.backup_of.clone()?;
        Some(StandIn { agent: self.agent.clone(), backup_of })
    }

    /// How long the call has lasted, in milliseconds.
    #[must_use]
    pub fn elapsed_ms(&self, now_ms: u64) -> u64 {
        if self.began_ms == 0 { 0 } else { now_ms.saturating_sub(self.began_ms) }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// Why a ticket or state is not valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadTicket {
    /// We did not make it, or somebody changed it.
    Forged,
    /// It has expired, or its time is in the future.
    Expired,
}

impl fmt::Display for BadTicket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Forged => "it was not issued here",
            Self::Expired => "its time is over",
        })
    }
}

impl std::error::Error for BadTicket {}

/// Issues and checks tickets and states. The first key signs; all keys verify.
pub struct TicketSigner {
    tickets: Vec<hmac::Key>,
    browsers: Vec<hmac::Key>,
    states: Vec<hmac::Key>,
}

impl fmt::Debug for TicketSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TicketSigner(…)")
    }
}

impl TicketSigner {
    /// A signer with these keys; without keys it derives them from these tokens; without tokens it uses a random key
    /// that no other process has.
    ///
    /// # Errors
    /// When the system cannot give random bytes.
    pub fn new(keys: &[Secret], tokens: &[Secret]) -> Result<Self, ring::error::Unspecified> {
        let mut masters: Vec<Vec<u8>> = if keys.is_empty() { tokens } else { keys }
            .iter()
            .map(|secret| secret.expose().as_bytes().to_vec())
            .collect();
        if masters.is_empty() {
            let mut random = vec![0; 32];
            SystemRandom::new().fill(&mut random)?;
            masters.push(random);
        }
        let derive = |label: &str| masters.iter().map(|master| derived(master, label)).collect();
        Ok(Self {
            tickets: derive("dialbridge media ticket"),
            browsers: derive("dialbridge browser ticket"),
            states: derive("dialbridge call state"),
        })
    }

    /// The text of a ticket.
    #[must_use]
    pub fn issue(&self, ticket: &Ticket) -> String {
        seal(&self.tickets, ticket)
    }

    /// Reads a ticket.
    ///
    /// # Errors
    /// [`BadTicket`] when it is not valid.
    pub fn check(&self, text: &str, now_ms: u64) -> Result<Ticket, BadTicket> {
        let ticket: Ticket = open(&self.tickets, text)?;
        is_fresh(ticket.issued_ms, now_ms, TICKET_LIFE_MS).then_some(ticket).ok_or(BadTicket::Expired)
    }

    /// The text of a ticket for a call from the browser.
    #[must_use]
    pub fn issue_browser(&self, ticket: &Ticket) -> String {
        seal(&self.browsers, ticket)
    }

    /// Reads a ticket for a call from the browser. We refuse a ticket whose CallSid could be one of Twilio's, whoever
    /// signed it.
    ///
    /// # Errors
    /// [`BadTicket`] when it is not valid.
    pub fn check_browser(&self, text: &str, now_ms: u64) -> Result<Ticket, BadTicket> {
        let ticket: Ticket = open(&self.browsers, text)?;
        if ticket.call_sid.is_twilio() {
            return Err(BadTicket::Forged);
        }
        is_fresh(ticket.issued_ms, now_ms, TICKET_LIFE_MS).then_some(ticket).ok_or(BadTicket::Expired)
    }

    /// The text of a state.
    #[must_use]
    pub fn issue_state(&self, state: &State) -> String {
        seal(&self.states, state)
    }

    /// Reads a state.
    ///
    /// # Errors
    /// [`BadTicket`] when it is not valid.
    pub fn check_state(&self, text: &str, now_ms: u64) -> Result<State, BadTicket> {
        let state: State = open(&self.states, text)?;
        is_fresh(state.issued_ms, now_ms, STATE_LIFE_MS).then_some(state).ok_or(BadTicket::Expired)
    }
}

/// The key for one kind of signed text.
pub(crate) fn derived(master: &[u8], label: &str) -> hmac::Key {
    let master = hmac::Key::new(hmac::HMAC_SHA256, master);
    hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&master, label.as_bytes()).as_ref())
}

/// Whether it was issued at most `life_ms` ago, and not in the future.
pub(crate) fn is_fresh(issued_ms: u64, now_ms: u64, life_ms: u64) -> bool {
    issued_ms <= now_ms.saturating_add(CLOCK_SKEW_MS) && now_ms <= issued_ms.saturating_add(life_ms)
}

/// Signs the content with the first key.
pub(crate) fn seal(keys: &[hmac::Key], content: &impl Serialize) -> String {
    // Plain data with string keys always has a JSON form.
    let json = serde_json::to_vec(content).unwrap_or_default();
    let content = URL_SAFE_NO_PAD.encode(json);
    let tag = keys.first().map(|key| URL_SAFE_NO_PAD.encode(hmac::sign(key, content.as_bytes()))).unwrap_or_default();
    format!("{content}.{tag}")
}

/// Reads a text that one of the keys signed.
pub(crate) fn open<T: DeserializeOwned>(keys: &[hmac::Key], text: &str) -> Result<T, BadTicket> {
    if text.len() > MAX_BYTES {
        return Err(BadTicket::Forged);
    }
    let (content, tag) = text.split_once('.').ok_or(BadTicket::Forged)?;
    let tag = URL_SAFE_NO_PAD.decode(tag).map_err(|_| BadTicket::Forged)?;
    if !keys.iter().any(|key| hmac::verify(key, content.as_bytes(), &tag).is_ok()) {
        return Err(BadTicket::Forged);
    }
    let json = URL_SAFE_NO_PAD.decode(content).map_err(|_| BadTicket::Forged)?;
    serde_json::from_slice(&json).map_err(|_| BadTicket::Forged)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer(keys: &[&str]) -> TicketSigner {
        TicketSigner::new(&keys.iter().map(|key| Secret::new(*key)).collect::<Vec<_>>(), &[]).unwrap()
    }

    fn info() -> CallInfo {
        CallInfo {
            agent: "default".to_owned(),
            backup_of: None,
            language: None,
            began_ms: 7,
            failed_turns: 0,
            account: None,
            trace: None,
        }
    }

    fn ticket(issued_ms: u64) -> Ticket {
        Ticket { call_sid: CallSid::new("CA1").unwrap(), issued_ms, info: info(), opening: Opening::Greet }
    }

    #[test]
    fn a_ticket_reads_back_for_a_minute() {
        let signer = signer(&["k"]);
        let text = signer.issue(&ticket(1_000_000));
        assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.')), "{text}");
        assert_eq!(signer.check(&text, 1_000_000), Ok(ticket(1_000_000)));
        assert_eq!(signer.check(&text, 1_060_000), Ok(ticket(1_000_000)));
        assert_eq!(signer.check(&text, 1_060_001), Err(BadTicket::Expired));
        assert_eq!(signer.check(&text, 990_000), Err(BadTicket::Expired), "a ticket from the future");
        assert_eq!(signer.check(&text, u64::MAX), Err(BadTicket::Expired), "whatever the clock says");
    }

    #[test]
    fn a_ticket_that_was_changed_truncated_or_made_elsewhere_is_forged() {
        let (signer, elsewhere) = (signer(&["k"]), signer(&["other"]));
        let text = signer.issue(&ticket(1_000));
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(signer.check(&String::from_utf8(bytes).unwrap(), 1_000), Err(BadTicket::Forged), "{at}");
            assert_eq!(signer.check(&text[..at], 1_000), Err(BadTicket::Forged), "{at}");
        }
        assert_eq!(signer.check(&elsewhere.issue(&ticket(1_000)), 1_000), Err(BadTicket::Forged));
        assert_eq!(signer.check(&"A".repeat(100_000), 1_000), Err(BadTicket::Forged));
    }

    #[test]
    fn a_trace_goes_with_the_call() {
        let signer = signer(&["k"]);
        let trace = TraceContext::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
        let traced = Ticket { info: CallInfo { trace, ..info() }, ..ticket(1_000) };
        let text = signer.issue(&traced);
        assert_eq!(signer.check(&text, 1_000), Ok(traced));
        assert!(text.len() < 300, "{text}");
    }

    #[test]
    fn the_count_of_failed_turns_goes_with_the_call_and_an_older_instances_state_has_none() {
        let signer = signer(&["k"]);
        let failing = Ticket { info: CallInfo { failed_turns: 7, ..info() }, ..ticket(1_000) };
        assert_eq!(signer.check(&signer.issue(&failing), 1_000), Ok(failing));
        let older =
            seal(&signer.states, &serde_json::json!({ "c": "CA1", "t": 1_000, "a": "default", "b": 7, "n": 2 }));
        let state = State { call_sid: CallSid::new("CA1").unwrap(), issued_ms: 1_000, info: info(), attempt: 2 };
        assert_eq!(signer.check_state(&older, 1_000), Ok(state));
    }

    #[test]
    fn a_state_is_no_ticket_and_a_ticket_no_state() {
        let signer = signer(&["k"]);
        let state = State { call_sid: CallSid::new("CA1").unwrap(), issued_ms: 1_000, info: info(), attempt: 1 };
        let text = signer.issue_state(&state);
        assert_eq!(signer.check_state(&text, 1_000), Ok(state));
        assert_eq!(signer.check(&text, 1_000), Err(BadTicket::Forged));
        assert_eq!(signer.check_state(&signer.issue(&ticket(1_000)), 1_000), Err(BadTicket::Forged));
        assert_eq!(signer.check_state(&text, 1_001 + STATE_LIFE_MS), Err(BadTicket::Expired));
    }

    #[test]
    fn a_browsers_ticket_is_of_another_kind_and_of_no_call_that_twilio_knows() {
        let signer = signer(&["k"]);
        let browsers = Ticket { call_sid: CallSid::new("browser-1f").unwrap(), ..ticket(1_000) };
        let text = signer.issue_browser(&browsers);
        assert_eq!(signer.check_browser(&text, 1_000), Ok(browsers.clone()));
        assert_eq!(signer.check(&text, 1_000), Err(BadTicket::Forged));
        assert_eq!(signer.check_state(&text, 1_000), Err(BadTicket::Forged));
        assert_eq!(signer.check_browser(&signer.issue(&browsers), 1_000), Err(BadTicket::Forged));
        assert_eq!(signer.check_browser(&text, 61_001), Err(BadTicket::Expired));
        let twilios = CallSid::new("CA0123456789abcdef0123456789abcdef").unwrap();
        let text = signer.issue_browser(&Ticket { call_sid: twilios, ..ticket(1_000) });
        assert_eq!(signer.check_browser(&text, 1_000), Err(BadTicket::Forged));
    }

    #[test]
    fn keys_rotate_without_a_gap() {
        let (old, both, new) = (signer(&["old"]), signer(&["new", "old"]), signer(&["new"]));
        assert!(both.check(&old.issue(&ticket(0)), 0).is_ok());
        assert!(new.check(&both.issue(&ticket(0)), 0).is_ok());
        assert!(new.check(&old.issue(&ticket(0)), 0).is_err());
    }

    #[test]
    fn without_keys_the_token_serves_and_without_both_a_random_one() {
        let tokens = [Secret::new("t")];
        let (one, other) = (TicketSigner::new(&[], &tokens).unwrap(), TicketSigner::new(&[], &tokens).unwrap());
        assert!(other.check(&one.issue(&ticket(0)), 0).is_ok());
        let (one, other) = (TicketSigner::new(&[], &[]).unwrap(), TicketSigner::new(&[], &[]).unwrap());
        assert!(other.check(&one.issue(&ticket(0)), 0).is_err());
    }
}
