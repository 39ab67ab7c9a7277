//! What Twilio sends: `connected`, `start`, `media`, `dtmf`, `mark`, `stop`.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, Deserialize, Deserializer, Visitor};

use super::media::{Media, scan_media};
use super::parse_error::ParseError;
use super::text::Text;

/// One message from Twilio. It tolerates what Twilio may add later: unknown fields are skipped, and an unknown event is
/// [`Inbound::Unknown`].
#[derive(Debug, Clone, PartialEq)]
pub enum Inbound<'a> {
    /// The WebSocket is open. Comes first.
    Connected,
    /// Which call this is, and its parameters. Comes once, after `connected`.
    Start(Box<Start>),
    /// A frame of the caller's audio.
    Media(Media<'a>),
    /// The caller pressed a key.
    Dtmf(Dtmf),
    /// A mark of ours came back: Twilio has played or cleared everything queued before it.
    Mark {
        /// The name we gave it.
        name: Text<'a>,
    },
    /// The media stream stopped or the call ended.
    Stop,
    /// An event that this version does not know.
    Unknown {
        /// The event's name.
        event: Text<'a>,
    },
}

/// The content of `start`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// `streamSid`: every message that we send must carry it.
    pub stream_sid: String,
    /// `start.callSid`.
    pub call_sid: String,
    /// `start.accountSid`.
    pub account_sid: String,
    /// `start.mediaFormat`.
    pub media_format: MediaFormat,
    /// `start.customParameters`, from TwiML's `<Parameter>`s. Empty if Twilio sends none.
    pub custom_parameters: BTreeMap<String, String>,
}

/// `start.mediaFormat`. Twilio documents only `audio/x-mulaw`, 8,000 Hz, 1 channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaFormat {
    /// MIME name of the coding.
    pub encoding: String,
    /// Samples per second.
    pub sample_rate: u64,
    /// Number of channels.
    pub channels: u64,
}

impl MediaFormat {
    /// Whether the format is the one that we handle: mu-law, 8,000 Hz, mono.
    #[must_use]
    pub fn is_telephone(&self) -> bool {
        self.encoding == "audio/x-mulaw" && self.sample_rate == 8000 && self.channels == 1
    }
}

/// The content of `dtmf`.
#[derive(Clone, PartialEq, Eq)]
pub struct Dtmf {
    /// One of `0` to `9`, `*`, `#`, `A` to `D`.
    pub digit: char,
}

/// Digits may be secrets (a PIN, a card number), so `Debug` does not print them.
impl fmt::Debug for Dtmf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Dtmf(…)")
    }
}

/// Parses one text frame.
///
/// # Errors
/// [`ParseError`] if the text is not a Twilio message, or lacks a part that its event requires.
pub fn parse(text: &str) -> Result<Inbound<'_>, ParseError> {
    scan_media(text).map_or_else(|| parse_json(text), |media| Ok(Inbound::Media(media)))
}

pub(super) fn parse_json(text: &str) -> Result<Inbound<'_>, ParseError> {
    let raw: Raw<'_> = serde_json::from_str(text).map_err(|_| ParseError::NotAMessage)?;
    match raw.event.as_ref() {
        "media" => media(raw.media).map(Inbound::Media),
        "mark" => {
            let mark = raw.mark.and_then(|mark| mark.name).ok_or(ParseError::Incomplete { part: "mark.name" })?;
            Ok(Inbound::Mark { name: mark })
        }
        "dtmf" => dtmf(raw.dtmf).map(Inbound::Dtmf),
        "start" => start(raw.stream_sid, raw.start).map(|start| Inbound::Start(Box::new(start))),
        "connected" => Ok(Inbound::Connected),
        "stop" => Ok(Inbound::Stop),
        _ => Ok(Inbound::Unknown { event: raw.event }),
    }
}

fn media(raw: Option<RawMedia<'_>>) -> Result<Media<'_>, ParseError> {
    let raw = raw.ok_or(ParseError::Incomplete { part: "media" })?;
    Ok(Media {
        is_inbound: raw.track.is_none_or(|track| track.as_ref() == "inbound"),
        payload: raw.payload.ok_or(ParseError::Incomplete { part: "media.payload" })?,
    })
}

fn dtmf(raw: Option<RawDtmf<'_>>) -> Result<Dtmf, ParseError> {
    let text = raw.and_then(|dtmf| dtmf.digit).ok_or(ParseError::Incomplete { part: "dtmf.digit" })?;
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(digit @ ('0'..='9' | '*' | '#' | 'A'..='D')), None) => Ok(Dtmf { digit }),
        (Some(digit @ 'a'..='d'), None) => Ok(Dtmf { digit: digit.to_ascii_uppercase() }),
        _ => Err(ParseError::Digit),
    }
}

fn start(outer_sid: Option<Text<'_>>, raw: Option<RawStart<'_>>) -> Result<Start, ParseError> {
    let raw = raw.ok_or(ParseError::Incomplete { part: "start" })?;
    let stream_sid = outer_sid.or(raw.stream_sid).ok_or(ParseError::Incomplete { part: "streamSid" })?;
    let format = raw.media_format.unwrap_or_default();
    Ok(Start {
        stream_sid: stream_sid.to_string(),
        call_sid: raw.call_sid.ok_or(ParseError::Incomplete { part: "start.callSid" })?.to_string(),
        account_sid: raw.account_sid.map(|sid| sid.to_string()).unwrap_or_default(),
        media_format: MediaFormat {
            encoding: format.encoding.map_or_else(|| "audio/x-mulaw".to_owned(), |name| name.to_string()),
            sample_rate: if format.sample_rate.0 == 0 { 8000 } else { format.sample_rate.0 },
            channels: if format.channels.0 == 0 { 1 } else { format.channels.0 },
        },
        custom_parameters: raw.custom_parameters.unwrap_or_default().0,
    })
}

// One flat struct for all events: serde_json reads it in one pass, about twice as fast as a tagged enum.
#[derive(serde::Deserialize)]
struct Raw<'a> {
    #[serde(borrow)]
    event: Text<'a>,
    #[serde(borrow, rename = "streamSid", default)]
    stream_sid: Option<Text<'a>>,
    #[serde(borrow, default)]
    media: Option<RawMedia<'a>>,
    #[serde(borrow, default)]
    mark: Option<RawMark<'a>>,
    #[serde(borrow, default)]
    dtmf: Option<RawDtmf<'a>>,
    #[serde(borrow, default)]
    start: Option<RawStart<'a>>,
}

#[derive(serde::Deserialize)]
struct RawMedia<'a> {
    #[serde(borrow, default)]
    track: Option<Text<'a>>,
    #[serde(borrow, default)]
    payload: Option<Text<'a>>,
}

#[derive(serde::Deserialize)]
struct RawMark<'a> {
    #[serde(borrow, default)]
    name: Option<Text<'a>>,
}

#[derive(serde::Deserialize)]
struct RawDtmf<'a> {
    #[serde(borrow, default)]
    digit: Option<Text<'a>>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawStart<'a> {
    #[serde(borrow, default)]
    account_sid: Option<Text<'a>>,
    #[serde(borrow, default)]
    call_sid: Option<Text<'a>>,
    #[serde(borrow, default)]
    stream_sid: Option<Text<'a>>,
    #[serde(borrow, default)]
    media_format: Option<RawMediaFormat<'a>>,
    #[serde(default)]
    custom_parameters: Option<Parameters>,
}

#[derive(serde::Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct RawMediaFormat<'a> {
    #[serde(borrow, default)]
    encoding: Option<Text<'a>>,
    #[serde(default)]
    sample_rate: Counter,
    #[serde(default)]
    channels: Counter,
}

/// A count of the audio format, which Twilio's examples show sometimes as a string and sometimes as a number.
#[derive(Clone, Copy, Default)]
struct Counter(u64);

impl<'de> Deserialize<'de> for Counter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct CounterVisitor;

        impl Visitor<'_> for CounterVisitor {
            type Value = Counter;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a count, as a number or a string")
            }

            fn visit_u64<E: de::Error>(self, count: u64) -> Result<Counter, E> {
                Ok(Counter(count))
            }

            fn visit_i64<E: de::Error>(self, count: i64) -> Result<Counter, E> {
                Ok(Counter(u64::try_from(count).unwrap_or(0)))
            }

            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` from a float saturates")]
            fn visit_f64<E: de::Error>(self, count: f64) -> Result<Counter, E> {
                Ok(Counter(count as u64))
            }

            // A strange one is 0, which no telephone has.
            fn visit_str<E: de::Error>(self, count: &str) -> Result<Counter, E> {
                Ok(Counter(count.parse().unwrap_or(0)))
            }

            fn visit_bool<E: de::Error>(self, _: bool) -> Result<Counter, E> {
                Ok(Counter(0))
            }

            fn visit_unit<E: de::Error>(self) -> Result<Counter, E> {
                Ok(Counter(0))
            }
        }

        deserializer.deserialize_any(CounterVisitor)
    }
}

/// `customParameters`: a map with string values. Other scalars become their text; anything else is skipped.
#[derive(Default)]
struct Parameters(BTreeMap<String, String>);

impl<'de> Deserialize<'de> for Parameters {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let map = BTreeMap::<String, serde_json::Value>::deserialize(deserializer)?;
        let text = |value| match value {
            serde_json::Value::String(text) => Some(text),
            serde_json::Value::Number(number) => Some(number.to_string()),
            serde_json::Value::Bool(flag) => Some(flag.to_string()),
            serde_json::Value::Null | serde_json::Value::Array(_) | serde_json::Value::Object(_) => None,
        };
        Ok(Self(map.into_iter().filter_map(|(name, value)| Some((name, text(value)?))).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn media_of(text: &str) -> Media<'_> {
        match parse(text) {
            Ok(Inbound::Media(media)) => media,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_first_message_is_read() {
        let text = r#"{"event":"connected","protocol":"Call","version":"1.0.0"}"#;
        assert_eq!(parse(text), Ok(Inbound::Connected));
    }

    #[test]
    fn start_tells_the_call_and_its_parameters() {
        let text = r#"{"event":"start","sequenceNumber":"1","streamSid":"MZ1","start":{"accountSid":"AC1",
            "streamSid":"MZ1","callSid":"CA1","tracks":["inbound"],"mediaFormat":{"encoding":"audio/x-mulaw",
            "sampleRate":8000,"channels":1},"customParameters":{"from":"+15550100","param.\u006e":"v"}}}"#;
        let Ok(Inbound::Start(start)) = parse(text) else { panic!() };
        assert_eq!((start.stream_sid.as_str(), start.call_sid.as_str()), ("MZ1", "CA1"));
        assert!(start.media_format.is_telephone());
        assert_eq!(start.custom_parameters["from"], "+15550100");
        assert_eq!(start.custom_parameters["param.n"], "v");
    }

    #[test]
    fn start_without_parameters_is_as_good_as_one_with_an_empty_list() {
        for parameters in ["", r#","customParameters":{}"#, r#","customParameters":null"#] {
            let text = format!(r#"{{"event":"start","streamSid":"MZ1","start":{{"callSid":"CA1"{parameters}}}}}"#);
            let Ok(Inbound::Start(start)) = parse(&text) else { panic!("{text}") };
            assert!(start.custom_parameters.is_empty());
        }
    }

    #[test]
    fn a_frame_is_taken_whatever_its_counters_are() {
        for counters in [
            r#""chunk":"2","timestamp":"5","#,
            r#""chunk":2,"timestamp":5,"#,
            r#""chunk":"x","timestamp":-1.5e300,"#,
            "",
        ] {
            let text = format!(r#"{{"event":"media","sequenceNumber":null,"media":{{{counters}"payload":"/w=="}}}}"#);
            assert_eq!(&*media_of(&text).payload, "/w==");
        }
    }

    #[test]
    fn a_payload_is_borrowed_from_the_message_and_decoded_into_the_callers_buffer() {
        // With a space, so that the JSON parser reads it.
        let text = r#"{"event": "media","streamSid":"MZ1","media":{"payload":"AQL/"}}"#;
        let media = media_of(text);
        assert!(text.as_bytes().as_ptr_range().contains(&media.payload.as_ptr()));
        let mut audio = vec![9];
        media.decode(&mut audio).unwrap();
        assert_eq!(audio, [9, 1, 2, 0xFF]);
    }

    #[test]
    fn an_escaped_payload_is_read_too() {
        let text = r#"{"event":"media","media":{"payload":"AQL\/"}}"#;
        let mut audio = Vec::new();
        media_of(text).decode(&mut audio).unwrap();
        assert_eq!(audio, [1, 2, 0xFF]);
    }

    #[test]
    fn a_payload_that_is_no_base64_leaves_the_buffer_as_it_was() {
        for payload in ["A", "AQL", "AQ=L", "AQL*", "AQL_"] {
            let text = format!(r#"{{"event":"media","media":{{"payload":"{payload}"}}}}"#);
            let mut audio = vec![1, 2, 3];
            assert_eq!(media_of(&text).decode(&mut audio), Err(ParseError::Payload), "{payload}");
            assert_eq!(audio, [1, 2, 3]);
        }
    }

    #[test]
    fn the_other_side_of_the_call_is_told_apart() {
        assert!(!media_of(r#"{"event":"media","media":{"track":"outbound","payload":""}}"#).is_inbound);
    }

    #[test]
    fn every_dtmf_digit_is_taken_and_nothing_else_is() {
        let digit = |text: &str| {
            let message = format!(r#"{{"event":"dtmf","dtmf":{{"track":"inbound_track","digit":"{text}"}}}}"#);
            match parse(&message) {
                Ok(Inbound::Dtmf(dtmf)) => Ok(dtmf.digit),
                Ok(other) => panic!("{other:?}"),
                Err(error) => Err(error),
            }
        };
        for key in "0123456789*#ABCD".chars() {
            assert_eq!(digit(&key.to_string()), Ok(key));
        }
        assert_eq!(digit("a"), Ok('A'));
        for other in ["", "12", "E", "x", "é"] {
            assert_eq!(digit(other), Err(ParseError::Digit), "{other}");
        }
    }

    #[test]
    fn a_digit_is_not_printed() {
        assert_eq!(format!("{:?}", Dtmf { digit: '7' }), "Dtmf(…)");
    }

    #[test]
    fn events_and_fields_of_the_future_are_tolerated() {
        let Ok(Inbound::Unknown { event }) = parse(r#"{"event":"hologram","payload":[1,{"a":2}]}"#) else { panic!() };
        assert_eq!(event.as_ref(), "hologram");
        assert_eq!(parse(r#"{"event":"stop","stop":{"callSid":"CA1"},"reason":{"x":1}}"#), Ok(Inbound::Stop));
    }

    #[test]
    fn what_is_no_message_has_a_name() {
        for text in ["", "hello", "[]", "{}", "7", r#"{"event":7}"#, r#"{"event":"media""#] {
            assert_eq!(parse(text), Err(ParseError::NotAMessage), "{text}");
        }
        assert_eq!(parse(r#"{"event":"media"}"#), Err(ParseError::Incomplete { part: "media" }));
        assert_eq!(parse(r#"{"event":"media","media":{}}"#), Err(ParseError::Incomplete { part: "media.payload" }));
        assert_eq!(parse(r#"{"event":"mark"}"#), Err(ParseError::Incomplete { part: "mark.name" }));
        assert_eq!(
            parse(r#"{"event":"start","start":{"callSid":"CA1"}}"#),
            Err(ParseError::Incomplete { part: "streamSid" })
        );
    }
}
