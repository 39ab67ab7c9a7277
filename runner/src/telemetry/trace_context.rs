//! The trace that a request belongs to: W3C's `traceparent` (<https://www.w3.org/TR/trace-context/>) or Google's older
//! `X-Cloud-Trace-Context` (<https://cloud.google.com/trace/docs/trace-context>).

use std::fmt;

use http::HeaderMap;
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};

/// A place in a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TraceContext {
    /// The trace's id, never 0.
    pub trace_id: u128,
    /// The id of the parent span for new spans. 0: there is none.
    pub span_id: u64,
    /// Whether the trace is kept.
    pub is_sampled: bool,
}

/// Bit 0 of `trace-flags`.
const SAMPLED: u8 = 1;

impl TraceContext {
    /// Reads the headers of a request.
    #[must_use]
    pub fn of_request(headers: &HeaderMap) -> Option<Self> {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let standard = header("traceparent").and_then(Self::parse);
        standard.or_else(|| header("x-cloud-trace-context").and_then(Self::parse_google))
    }

    /// Reads a `traceparent`. Versions after 00 may have more fields; the known ones come first.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut fields = text.split('-');
        let (version, trace_id, span_id, flags) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        let (version, flags) = (hex(version, 2)?, hex(flags, 2)?);
        if version == 0xFF || (version == 0 && fields.next().is_some()) {
            return None;
        }
        let trace_id = hex(trace_id, 32).filter(|id| *id != 0)?;
        let span_id = hex(span_id, 16).and_then(|id| u64::try_from(id).ok()).filter(|id| *id != 0)?;
        Some(Self { trace_id, span_id, is_sampled: flags & u128::from(SAMPLED) != 0 })
    }

    /// Reads `TRACE_ID/SPAN_ID;o=OPTIONS`. The trace id is hexadecimal, the span id decimal.
    fn parse_google(text: &str) -> Option<Self> {
        let (ids, options) = text.split_once(';').unwrap_or((text, ""));
        let (trace_id, span_id) = ids.split_once('/').unwrap_or((ids, "0"));
        let trace_id = hex(&trace_id.to_ascii_lowercase(), 32).filter(|id| *id != 0)?;
        let options = options.trim().strip_prefix("o=").and_then(|options| options.parse::<u8>().ok());
        let is_sampled = options.is_some_and(|options| options & SAMPLED != 0);
        Some(Self { trace_id, span_id: span_id.trim().parse().unwrap_or(0), is_sampled })
    }

    /// Begins a new trace. `None` if the system has no random bytes.
    #[must_use]
    pub fn begin(is_sampled: bool) -> Option<Self> {
        let mut bytes = [0; 16];
        SystemRandom::new().fill(&mut bytes).ok()?;
        Some(Self { trace_id: u128::from_be_bytes(bytes).max(1), span_id: 0, is_sampled })
    }

    /// The trace's id as 32 hexadecimal digits.
    #[must_use]
    pub fn trace_hex(&self) -> String {
        format!("{:032x}", self.trace_id)
    }

    /// The span's id as 16 hexadecimal digits, if there is one.
    #[must_use]
    pub fn span_hex(&self) -> Option<String> {
        (self.span_id != 0).then(|| format!("{:016x}", self.span_id))
    }
}

/// A new span id. `None` if the system has no random bytes.
pub(super) fn new_span_id() -> Option<u64> {
    let mut bytes = [0; 8];
    SystemRandom::new().fill(&mut bytes).ok()?;
    Some(u64::from_be_bytes(bytes).max(1))
}

fn hex(text: &str, digits: usize) -> Option<u128> {
    let is_hex = text.len() == digits && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    is_hex.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

impl fmt::Display for TraceContext {
    /// Writes a `traceparent`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span_id, u8::from(self.is_sampled))
    }
}

impl From<TraceContext> for String {
    fn from(context: TraceContext) -> Self {
        context.to_string()
    }
}

impl TryFrom<String> for TraceContext {
    type Error = &'static str;

    /// Reads what [`Display`](fmt::Display) writes, even without a span.
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let mut fields = text.split('-').skip(1);
        let mut field = |digits| hex(fields.next().unwrap_or_default(), digits).ok_or("it is no traceparent");
        let (trace_id, span_id, flags) = (field(32)?, field(16)?, field(2)?);
        let span_id = u64::try_from(span_id).map_err(|_| "it is no traceparent")?;
        Ok(Self { trace_id, span_id, is_sampled: flags & u128::from(SAMPLED) != 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    fn headers(pairs: &[(&'static str, String)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_traceparent_is_read_and_written() {
        let text = format!("00-{TRACE}-00f067aa0ba902b7-01");
        let context = TraceContext::parse(&text).unwrap();
        assert_eq!((context.trace_hex().as_str(), context.span_hex().as_deref()), (TRACE, Some("00f067aa0ba902b7")));
        assert!(context.is_sampled);
        assert_eq!(context.to_string(), text);
        assert_eq!(TraceContext::try_from(text), Ok(context));
        let without_span = TraceContext { span_id: 0, ..context };
        assert_eq!(TraceContext::try_from(without_span.to_string()), Ok(without_span));
    }

    #[test]
    fn what_is_no_traceparent_is_none() {
        let zeros = "0".repeat(32);
        for text in [
            String::new(),
            TRACE.to_owned(),
            format!("00-{TRACE}-00f067aa0ba902b7"),
            format!("ff-{TRACE}-00f067aa0ba902b7-01"),
            format!("00-{zeros}-00f067aa0ba902b7-01"),
            format!("00-{TRACE}-0000000000000000-01"),
            format!("00-{}-00f067aa0ba902b7-01", TRACE.to_uppercase()),
            format!("00-{TRACE}-00f067aa0ba902b7-01-more"),
            format!("00-{TRACE}-+0f067aa0ba902b7-01"),
        ] {
            assert_eq!(TraceContext::parse(&text), None, "{text}");
        }
        assert!(TraceContext::parse(&format!("01-{TRACE}-00f067aa0ba902b7-01-more")).is_some(), "a later version");
    }

    #[test]
    fn googles_header_is_read_where_there_is_no_other() {
        let google = |text: String| TraceContext::of_request(&headers(&[("x-cloud-trace-context", text)]));
        let context = google(format!("{TRACE}/67667974448284343;o=1")).unwrap();
        assert_eq!((context.span_id, context.is_sampled), (67_667_974_448_284_343, true));
        let bare = google(TRACE.to_uppercase()).unwrap();
        assert_eq!((bare.trace_hex().as_str(), bare.span_id, bare.is_sampled), (TRACE, 0, false));
        assert_eq!(google("nonsense/1;o=1".to_owned()), None);
        let both = headers(&[
            ("traceparent", format!("00-{}-00f067aa0ba902b7-00", "1".repeat(32))),
            ("x-cloud-trace-context", format!("{TRACE}/1;o=1")),
        ]);
        assert_eq!(TraceContext::of_request(&both).unwrap().trace_hex(), "1".repeat(32));
    }

    #[test]
    fn a_trace_of_its_own_has_an_id_and_no_span() {
        let (one, other) = (TraceContext::begin(true).unwrap(), TraceContext::begin(false).unwrap());
        assert_ne!(one.trace_id, other.trace_id);
        assert_eq!((one.span_hex(), one.is_sampled, other.is_sampled), (None, true, false));
    }
}
