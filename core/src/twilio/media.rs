//! `media`, the message of which fifty come in a second of each call.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use memchr::memchr;

use super::parse_error::ParseError;
use super::text::Text;

/// The content of `media`. Nothing is copied: the payload points into the message.
#[derive(Debug, Clone, PartialEq)]
pub struct Media<'a> {
    /// Whether it is the caller's side: `track` is `inbound` or absent.
    pub is_inbound: bool,
    /// `payload`: base64 of mu-law bytes at 8,000 Hz, 160 of them for 20 ms.
    pub payload: Text<'a>,
}

impl Media<'_> {
    /// How many bytes of mu-law the payload has.
    #[must_use]
    pub fn payload_bytes(&self) -> usize {
        let base64 = self.payload.as_bytes();
        let padding = base64.iter().rev().take_while(|byte| **byte == b'=').count();
        (base64.len() * 3 / 4).saturating_sub(padding)
    }

    /// Decodes the payload and appends its mu-law bytes to `audio`. The caller can reuse `audio` for the next frame.
    ///
    /// # Errors
    /// [`ParseError::Payload`] if the payload is not base64. `audio` is then unchanged.
    pub fn decode(&self, audio: &mut Vec<u8>) -> Result<(), ParseError> {
        let before = audio.len();
        STANDARD.decode_vec(self.payload.as_bytes(), audio).map_err(|_| {
            audio.truncate(before);
            ParseError::Payload
        })
    }
}

/// Reads a `media` message as Twilio writes it: its members in this order, without space, and its strings without escapes.
/// The JSON parser takes more than three times as long. `None` for everything else, valid or not: the JSON parser decides
/// about that.
pub(super) fn scan_media(text: &str) -> Option<Media<'_>> {
    // Not `any`: this form looks at many bytes at once.
    let is_plain = text.bytes().fold(true, |is_plain, byte| is_plain & (byte >= b' ') & (byte != b'\\'));
    let rest = text.strip_prefix(r#"{"event":"media","sequenceNumber":""#)?;
    let (_, rest) = string(rest, r#"","media":{"track":""#)?;
    let (track, rest) = string(rest, r#"","chunk":""#)?;
    let (_, rest) = string(rest, r#"","timestamp":""#)?;
    let (_, rest) = string(rest, r#"","payload":""#)?;
    let (payload, rest) = string(rest, r#""},"streamSid":""#)?;
    let (_, rest) = string(rest, r#""}"#)?;
    (is_plain && rest.is_empty()).then(|| Media { is_inbound: track == "inbound", payload: Text::from(payload) })
}

/// The text up to its first quote, and what follows on `then`, which begins there.
fn string<'a>(text: &'a str, then: &str) -> Option<(&'a str, &'a str)> {
    let (string, rest) = text.split_at_checked(memchr(b'"', text.as_bytes())?)?;
    Some((string, rest.strip_prefix(then)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::twilio::{Inbound, ParseError};
    use proptest::prelude::*;

    const MESSAGE: &str = concat!(
        r#"{"event":"media","sequenceNumber":"4","media":{"track":"inbound","chunk":"2","timestamp":"5","#,
        r#""payload":"AQL/"},"streamSid":"MZ1"}"#
    );

    fn parsed(text: &str) -> Result<Inbound<'_>, ParseError> {
        crate::twilio::inbound::parse_json(text)
    }

    #[test]
    fn twilios_message_is_read_and_means_what_its_json_means() {
        let media = scan_media(MESSAGE).unwrap();
        assert_eq!((media.is_inbound, &*media.payload), (true, "AQL/"));
        assert_eq!(parsed(MESSAGE), Ok(Inbound::Media(media)));
    }

    #[test]
    fn what_has_another_form_is_left_to_the_parser() {
        for text in [
            r#"{"event":"media","event":"media","media":{"payload":""}}"#,
            r#"{"event":"media","media":{"payload":""},"media":{"payload":""}}"#,
            r#"{"event":"media","media":{"payload":"\/"}}"#,
            "{\"event\":\"media\",\"media\":{\"payload\":\"\n\"}}",
            r#"{"event":"media","media":{"payload":"","chunk":1}}"#,
            r#"{"event":"media","media":{"payload":""},"mark":"m"}"#,
            r#"{"event":"media","media":{"payload":""}} "#,
            r#"{"event":"media","media":{"payload":""}},"#,
            r#"{"event":"media","media":{"payload":""}"#,
            r#"{"event":"media","media":{}}"#,
            r#"{"event":"mark","media":{"payload":""}}"#,
            r#"{"event":"media","sequenceNumber":"4","streamSid":"MZ1","media":{"track":"inbound","payload":"AQL/"}}"#,
            concat!(
                r#"{"event":"media","sequenceNumber":"4","media":{"track":"inbound","chunk":"2","timestamp":"5","#,
                r#""payload":"AQL/"},"streamSid":"MZ1","more":""}"#
            ),
            r#"{"media":{"payload":""}}"#,
        ] {
            assert_eq!(scan_media(text), None, "{text}");
        }
    }

    proptest! {
        /// Cuts, doubles and replaces parts of the message.
        #[test]
        fn no_text_is_read_otherwise_than_by_the_parser(
            edits in prop::collection::vec((0..MESSAGE.len(), 0..12_usize, "[\"{}:,\\\\ \u{1}0aé]{0,2}|\"(event|media|payload)\""), 0..3)
        ) {
            let mut text = MESSAGE.to_owned();
            for (at, len, put) in edits {
                let begin = text.floor_char_boundary(at.min(text.len()));
                let end = text.floor_char_boundary((at + len).min(text.len()));
                text.replace_range(begin..end.max(begin), &put);
            }
            if let Some(media) = scan_media(&text) {
                prop_assert_eq!(parsed(&text), Ok(Inbound::Media(media)));
            }
        }
    }
}
