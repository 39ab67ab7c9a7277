//! Seeds that we write ourselves: a few for each target. They reach code that a fuzzer reaches only slowly. `cargo run
//! --example make_seeds` writes them to `seeds/`, and a test compares.

mod calls;
mod encode;

use dialbridge_core::audio::wav::{wav_header, write_wav};
use dialbridge_core::audio::{AudioFormat, Encoding};
use dialbridge_core::tape::{Tape, TapeInput};

use crate::ticket::{KEY, Parts, signer};
use encode::Encode as _;

/// A seed: its target, its name, its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seed {
    /// The target's name.
    pub target: &'static str,
    /// The file's name.
    pub name: String,
    /// The input of the target.
    pub bytes: Vec<u8>,
}

/// All seeds.
#[must_use]
pub fn all() -> Vec<Seed> {
    let made = [messages(), wavs(), webhooks(), tickets(), calls::all()];
    let mut seeds = Vec::new();
    for (target, made) in ["twilio_message", "wav", "webhook", "ticket", "call"].into_iter().zip(made) {
        seeds.extend(made.into_iter().map(|(name, bytes)| Seed { target, name: name.to_owned(), bytes }));
    }
    seeds
}

/// Twilio's messages on a tape, in the form that `twilio_message` reads.
#[must_use]
pub fn messages_of(tape: &Tape) -> Vec<u8> {
    let text =
        |(_, input): &(_, TapeInput)| if let TapeInput::Twilio(text) = input { Some(text.clone()) } else { None };
    tape.inputs.iter().filter_map(text).collect::<Vec<_>>().join("\n").into_bytes()
}

type Made = Vec<(&'static str, Vec<u8>)>;

fn messages() -> Made {
    let lines = |lines: &[&str]| lines.join("\n").into_bytes();
    vec![
        (
            "a_call",
            lines(&[
                r#"{"event":"connected","protocol":"Call","version":"1.0.0"}"#,
                r#"{"event":"start","sequenceNumber":"1","streamSid":"MZ1","start":{"accountSid":"AC1","streamSid":"MZ1","callSid":"CA1","tracks":["inbound"],"mediaFormat":{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1},"customParameters":{"from":"+15550100","param.a":"b","n":1,"t":true}}}"#,
                r#"{"event":"media","sequenceNumber":"2","streamSid":"MZ1","media":{"track":"inbound","chunk":"1","timestamp":"5","payload":"//9/EhI="}}"#,
                r##"{"event":"dtmf","streamSid":"MZ1","sequenceNumber":"3","dtmf":{"track":"inbound_track","digit":"#"}}"##,
                r#"{"event":"mark","streamSid":"MZ1","sequenceNumber":"4","mark":{"name":"e0m1"}}"#,
                r#"{"event":"stop","streamSid":"MZ1","sequenceNumber":"5","stop":{"accountSid":"AC1","callSid":"CA1"}}"#,
            ]),
        ),
        (
            "escapes_and_strange_numbers",
            lines(&[
                r#"{"\u0065vent":"m\u0065dia","media":{"chunk":1e3,"timestamp":-1,"payload":"\/w=="}}"#,
                r#"{"event":"media","media":{"chunk":null,"timestamp":true,"payload":""}}"#,
                r#"{"event":"dtmf","dtmf":{"digit":"a"}}"#,
                r#"{"event":"a new event","new":[[{"deep":1e400}]]}"#,
            ]),
        ),
        (
            "what_is_no_message",
            lines(&["", "null", "{}", r#"{"event":1}"#, r#"{"event":"media"}"#, r#"{"event":"start","start":{}}"#]),
        ),
    ]
}

/// An input of the target `wav`: the number of the declared format, two sizes, and audio.
fn wav(format: u8, first: u8, later: u8, audio: &[u8]) -> Vec<u8> {
    [&[format, first, later], audio].concat()
}

fn wavs() -> Made {
    let linear = |sample_rate| AudioFormat { encoding: Encoding::Linear16, sample_rate };
    let ramp: Vec<u8> = (0..600_u16).flat_map(|n| (n * 50).to_le_bytes()).collect();
    let open = [wav_header(1, AudioFormat::TELEPHONE, u32::MAX), vec![0x55; 40]].concat();
    let chunks =
        [&b"RIFF\x60\0\0\0WAVEJUNK\x03\0\0\0abc\0"[..], &write_wav(1, linear(8_000), &ramp[..40])[12..]].concat();
    let two = [write_wav(1, linear(24_000), &ramp[..301]), write_wav(1, linear(44_100), &ramp[..90])].concat();
    let same = [write_wav(1, linear(16_000), &ramp[..65]), write_wav(1, linear(16_000), &ramp[..64])].concat();
    vec![
        ("mulaw_without_a_header", wav(1, 5, 7, &[0x55; 60])),
        ("alaw_without_a_header", wav(2, 1, 1, &[0x55; 20])),
        ("linear_without_a_header_at_48000", wav(27, 33, 1, &ramp)),
        ("linear_with_a_header_at_22050", wav(1, 20, 77, &write_wav(1, linear(22_050), &ramp))),
        ("an_open_length", wav(0, 9, 3, &open)),
        ("a_chunk_before_the_format", wav(0, 30, 2, &chunks)),
        ("two_rates_one_after_the_other", wav(0, 44, 50, &two)),
        ("two_of_one_rate_with_half_a_sample", wav(0, 200, 9, &same)),
        ("stereo", wav(0, 200, 9, &write_wav(2, linear(8_000), &ramp[..42]))),
        ("six_channels", wav(0, 200, 9, &write_wav(6, linear(8_000), &ramp[..40]))),
        ("a_header_cut_short", wav(0, 13, 1, &open[..30])),
    ]
}

fn webhooks() -> Made {
    let request = |text: &str| text.as_bytes().to_vec();
    vec![
        (
            "an_incoming_call",
            request(
                "/twiml?agent=default&param.shop=a%20b&language=de\nhost: calls.example.com\nx-forwarded-proto: https\nx-twilio-signature: L/OH5YylLD5NRKLltdqwSvS0BnU=\n\nCallSid=CA1&From=%2B15550100&To=%2B15550199&CallStatus=ringing&Caller=",
            ),
        ),
        (
            "behind_a_proxy",
            request(
                "/connect-ended?s=e30.AAAA\nhost: internal:8080\nx-forwarded-proto: https,http\nx-forwarded-host: calls.example.com, proxy\nx-original-host: other\n\nCallSid=CA1&CallStatus=in-progress&A=b&A=a&A=b",
            ),
        ),
        ("a_media_socket", request("/media/eyJjIjoiQ0ExIn0.AAAA\nhost: [::1]:443\n\n")),
        ("a_query_of_odd_forms", request("/twiml?a=O'Brien+1&b=&a=(x)&&c&=d&%zz=%ff?e\nhost: user@h:80\n\n%ff=+&&=&a")),
        ("no_host", request("/\n\n")),
    ]
}

fn tickets() -> Made {
    let parts = Parts {
        call_sid: [12, 10, 1, 2, 3, 4],
        issued_ms: 1_000_000,
        later_ms: 1_000,
        attempt: 2,
        change: (40, 1),
        opening: 0,
        has_language: true,
        text: "default".to_owned(),
    };
    let resumed = Parts { opening: 1, has_language: false, change: (3, 0x20), ..parts.clone() };
    let by_event = Parts { opening: 2, text: "ä \"q\"\n😀".to_owned(), later_ms: 60_001, ..parts.clone() };
    let signer = signer(KEY);
    let mut forged = signer.issue(&parts.ticket());
    forged.pop();
    vec![
        ("a_ticket", signer.issue(&parts.ticket()).into_bytes()),
        ("a_ticket_with_an_event", signer.issue(&by_event.ticket()).into_bytes()),
        ("a_state", signer.issue_state(&parts.state()).into_bytes()),
        ("a_ticket_cut_short", forged.into_bytes()),
        ("parts_that_greet", parts.encoded()),
        ("parts_that_resume", resumed.encoded()),
        ("parts_with_an_event_that_is_late", by_event.encoded()),
        ("no_ticket", b".".to_vec()),
    ]
}
