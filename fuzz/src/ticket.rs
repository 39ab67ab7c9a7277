//! A ticket or a state as text, and the parts of tickets and states.

use arbitrary::{Arbitrary, Unstructured};
use dialbridge_core::CallSid;
use dialbridge_core::carried::Opening;
use dialbridge_runner::settings::Secret;
use dialbridge_runner::telemetry::trace_context::TraceContext;
use dialbridge_runner::twilio::ticket::{
    BadTicket, CallInfo, STATE_LIFE_MS, State, TICKET_LIFE_MS, Ticket, TicketSigner,
};

/// The key of the tickets in the seeds.
pub const KEY: &str = "the key of the fuzz targets";

/// The longest language and event that `/twiml` accepts, in bytes. Here an agent's name has the same limit as a
/// language.
const MAX_LANGUAGE_BYTES: usize = 35;
const MAX_EVENT_BYTES: usize = 100;

/// The parts of a ticket and a state.
#[derive(Debug, Clone, PartialEq, Eq, Arbitrary)]
pub struct Parts {
    /// The characters of the CallSid, by index.
    pub call_sid: [u8; 6],
    /// When the ticket is issued, in milliseconds since 1970.
    pub issued_ms: u64,
    /// How much later it is checked, in milliseconds.
    pub later_ms: u32,
    /// How many streams broke.
    pub attempt: u32,
    /// The byte to change, and the bits to flip in it.
    pub change: (u16, u8),
    /// 0: the agent greets; 1: the call is resumed; else it begins with an event.
    pub opening: u8,
    /// Whether there is a language.
    pub has_language: bool,
    /// The agent's name, the language and the event.
    pub text: String,
}

/// Checks the input as a ticket and as a state, and as the parts of both.
///
/// # Panics
/// If a property does not hold.
pub fn run(data: &[u8]) {
    let signer = signer(KEY);
    if let Ok(text) = std::str::from_utf8(data) {
        check_text(&signer, text);
    }
    if let Ok(parts) = Parts::arbitrary_take_rest(Unstructured::new(data)) {
        check_issued(&signer, &parts);
    }
}

/// The signer of the seeds.
///
/// # Panics
/// If the system has no randomness. With a key it is not used.
#[must_use]
pub fn signer(key: &str) -> TicketSigner {
    TicketSigner::new(&[Secret::new(key)], &[]).expect("a key needs no randomness")
}

/// A text that verifies at any time is exactly what was issued.
fn check_text(signer: &TicketSigner, text: &str) {
    for now_ms in [0, 1_000_000, 1_800_000_000_000, u64::MAX] {
        if let Ok(ticket) = signer.check(text, now_ms) {
            assert_eq!(signer.issue(&ticket), text);
        }
        if let Ok(state) = signer.check_state(text, now_ms) {
            assert_eq!(signer.issue_state(&state), text);
        }
    }
}

fn check_issued(signer: &TicketSigner, parts: &Parts) {
    let (ticket, state) = (parts.ticket(), parts.state());
    let (ticket_text, state_text) = (signer.issue(&ticket), signer.issue_state(&state));
    for text in [&ticket_text, &state_text] {
        assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.')), "{text}");
        check_text(signer, text);
    }

    let now_ms = parts.issued_ms.saturating_add(parts.later_ms.into());
    let later_ms = now_ms - parts.issued_ms;
    let fresh = |life_ms: u64| later_ms <= life_ms;
    assert_eq!(
        signer.check(&ticket_text, now_ms),
        if fresh(TICKET_LIFE_MS) { Ok(ticket) } else { Err(BadTicket::Expired) }
    );
    assert_eq!(
        signer.check_state(&state_text, now_ms),
        if fresh(STATE_LIFE_MS) { Ok(state) } else { Err(BadTicket::Expired) }
    );
    assert_eq!(signer.check(&state_text, now_ms), Err(BadTicket::Forged), "a state is no ticket");
    assert_eq!(signer.check_state(&ticket_text, now_ms), Err(BadTicket::Forged), "a ticket is no state");

    let elsewhere = self::signer("another key");
    assert_eq!(elsewhere.check(&ticket_text, now_ms), Err(BadTicket::Forged));
    for text in parts.changed(&ticket_text) {
        assert_eq!(signer.check(&text, now_ms), Err(BadTicket::Forged), "{text} for {ticket_text}");
    }
    for text in parts.changed(&state_text) {
        assert_eq!(signer.check_state(&text, now_ms), Err(BadTicket::Forged), "{text} for {state_text}");
    }
}

impl Parts {
    /// The ticket.
    #[must_use]
    pub fn ticket(&self) -> Ticket {
        let opening = match self.opening {
            0 => Opening::Greet,
            1 => Opening::Resume,
            _ => Opening::Event(self.text(MAX_EVENT_BYTES)),
        };
        Ticket { call_sid: self.call_sid(), issued_ms: self.issued_ms, info: self.info(), opening }
    }

    /// The state.
    #[must_use]
    pub fn state(&self) -> State {
        let Self { issued_ms, attempt, .. } = *self;
        State { call_sid: self.call_sid(), issued_ms, info: self.info(), attempt }
    }

    fn call_sid(&self) -> CallSid {
        let plain = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_";
        let text: String = self.call_sid.iter().map(|n| char::from(plain[usize::from(*n) % plain.len()])).collect();
        CallSid::new(&text).expect("six plain characters")
    }

    fn info(&self) -> CallInfo {
        let text = self.text(MAX_LANGUAGE_BYTES);
        // A trace id is never 0. A span id may be.
        let trace_id = u128::from(self.issued_ms).max(1);
        let trace = TraceContext { trace_id, span_id: self.later_ms.into(), is_sampled: self.attempt > 0 };
        CallInfo {
            backup_of: None,
            agent: text.clone(),
            language: self.has_language.then_some(text),
            began_ms: self.issued_ms,
            failed_turns: self.attempt,
            account: (self.opening == 1).then(|| format!("AC{:032x}", self.issued_ms)),
            trace: (self.opening != 0).then_some(trace),
        }
    }

    fn text(&self, max_bytes: usize) -> String {
        let end = self.text.floor_char_boundary(max_bytes);
        self.text[..end].to_owned()
    }

    /// The text with one byte changed, with its end or its beginning cut off, and with one more byte.
    fn changed(&self, text: &str) -> Vec<String> {
        let (at, bits) = (usize::from(self.change.0) % text.len(), self.change.1);
        let mut bytes = text.as_bytes().to_vec();
        bytes[at] ^= bits;
        let flipped = String::from_utf8(bytes).ok().filter(|_| bits != 0);
        let longer = format!("{}{}{}", &text[..at], char::from(bits & 0x7F), &text[at..]);
        let cut = [text[..at].to_owned(), text[text.len() - at..].to_owned(), longer];
        flipped.into_iter().chain(cut).collect()
    }
}
