//! Text frames of the media stream, one on a line. They are read alone, by a call that has started, and by one that has
//! not.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dialbridge_core::audio::FRAME_MS;
use dialbridge_core::twilio::{Inbound, Media, parse};
use dialbridge_core::{CallConfig, CallSid, Input};
use serde_json::Value;

use crate::watch::{START, WatchedCall};

/// Runs lines of text.
///
/// # Panics
/// If a property does not hold.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let lines: Vec<&str> = text.split('\n').collect();
    lines.iter().for_each(|line| check(line));
    // One media stream of a known call that has started, and one of any call, where the first line decides.
    let own = CallConfig { call_sid: CallSid::new("CA1").ok(), ..CallConfig::default() };
    hear(own, [START].iter().chain(&lines));
    hear(CallConfig::default(), lines.iter());
}

fn hear<'a>(config: CallConfig, lines: impl Iterator<Item = &'a &'a str>) {
    let mut call = WatchedCall::new(config);
    for line in lines {
        call.feed(&Input::Twilio(line));
        call.wait(FRAME_MS);
    }
    call.finish();
}

/// The parsed message must match a generic JSON parser.
fn check(text: &str) {
    let read = parse(text);
    assert_eq!(parse(text), read);
    let Ok(message) = read else { return };
    // A generic JSON parser rejects what is skipped here: deep nesting and numbers out of range.
    let Ok(value) = serde_json::from_str::<Value>(text) else { return };
    let event = value["event"].as_str();
    match message {
        Inbound::Connected => assert_eq!(event, Some("connected")),
        Inbound::Stop => assert_eq!(event, Some("stop")),
        Inbound::Unknown { event: name } => assert_eq!(event, Some(&*name)),
        Inbound::Mark { name } => assert_eq!(value["mark"]["name"].as_str(), Some(&*name)),
        Inbound::Dtmf(dtmf) => {
            assert!(matches!(dtmf.digit, '0'..='9' | '*' | '#' | 'A'..='D'));
            let digit = value["dtmf"]["digit"].as_str().unwrap_or_default();
            assert_eq!(digit.to_ascii_uppercase(), dtmf.digit.to_string());
        }
        Inbound::Start(start) => {
            assert_eq!(value["start"]["callSid"].as_str(), Some(&*start.call_sid));
            assert!(
                start.custom_parameters.len()
                    <= value["start"]["customParameters"].as_object().map_or(0, |all| all.len())
            );
        }
        Inbound::Media(media) => {
            assert_eq!(value["media"]["payload"].as_str(), Some(&*media.payload));
            check_payload(&media);
        }
    }
}

fn check_payload(media: &Media<'_>) {
    let before = [7; 3];
    let mut audio = before.to_vec();
    match media.decode(&mut audio) {
        Ok(()) => {
            assert_eq!(audio[..3], before);
            assert_eq!(STANDARD.encode(&audio[3..]), *media.payload, "there is one way to write these bytes");
        }
        Err(_) => assert_eq!(audio, before, "what is no base64 leaves nothing behind"),
    }
}
