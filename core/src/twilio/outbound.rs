//! What we send to Twilio: `media`, `mark`, `clear`, and nothing else.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::ids::{MarkName, StreamSid};

/// One message to Twilio.
///
/// Twilio reports a message with an extra field as malformed (warning 31951), so [`TwilioMessage::write`] writes only
/// the documented fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TwilioMessage {
    /// Audio for the caller: mu-law, 8,000 Hz, mono, no header, any length. Twilio plays it after what it has queued.
    Media(Vec<u8>),
    /// Twilio returns it when it has played all audio queued before it, or at once after a `clear`.
    Mark(MarkName),
    /// Twilio drops all audio that it has queued for the caller.
    Clear,
}

impl TwilioMessage {
    /// Appends the message as JSON text, ready for one text frame.
    pub fn write(&self, stream: &StreamSid, text: &mut String) {
        text.push_str(match self {
            Self::Media(_) => r#"{"event":"media","streamSid":"#,
            Self::Mark(_) => r#"{"event":"mark","streamSid":"#,
            Self::Clear => r#"{"event":"clear","streamSid":"#,
        });
        push_json_string(stream.as_str(), text);
        match self {
            Self::Media(audio) => {
                text.push_str(r#","media":{"payload":""#);
                STANDARD.encode_string(audio, text);
                text.push_str("\"}}");
            }
            Self::Mark(name) => {
                text.push_str(r#","mark":{"name":""#);
                text.push_str(&name.to_string());
                text.push_str("\"}}");
            }
            Self::Clear => text.push('}'),
        }
    }
}

fn push_json_string(value: &str, text: &mut String) {
    let plain = value.bytes().all(|b| b.is_ascii_alphanumeric());
    if plain {
        text.push('"');
        text.push_str(value);
        text.push('"');
    } else {
        text.push_str(&serde_json::Value::from(value).to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(message: &TwilioMessage, stream: &str) -> String {
        let mut text = String::new();
        message.write(&StreamSid::new(stream).unwrap(), &mut text);
        text
    }

    #[test]
    fn media_mark_and_clear_are_written_exactly_as_documented() {
        let media = TwilioMessage::Media(vec![1, 2, 0xFF]);
        assert_eq!(written(&media, "MZ1"), r#"{"event":"media","streamSid":"MZ1","media":{"payload":"AQL/"}}"#);
        let mark = TwilioMessage::Mark(MarkName { epoch: 0, number: 7 });
        assert_eq!(written(&mark, "MZ1"), r#"{"event":"mark","streamSid":"MZ1","mark":{"name":"e0m7"}}"#);
        assert_eq!(written(&TwilioMessage::Clear, "MZ1"), r#"{"event":"clear","streamSid":"MZ1"}"#);
    }

    #[test]
    fn a_strange_stream_sid_cannot_break_out_of_its_string() {
        let text = written(&TwilioMessage::Clear, "M\"Z\\,\n");
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["streamSid"], "M\"Z\\,\n");
    }
}
