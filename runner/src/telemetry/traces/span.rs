//! A finished span, and its form in the protocol.

use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyValue;
use opentelemetry_proto::tonic::common::v1::{AnyValue as Wrapped, KeyValue};
use opentelemetry_proto::tonic::trace::v1::span::{Event, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};

/// The kind of a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::telemetry) enum Kind {
    /// A request from outside.
    Server,
    /// A part of the work inside the service.
    Internal,
}

/// A value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::telemetry) enum Value {
    Text(String),
    Number(u64),
    Flag(bool),
}

/// Attributes of a span or of one of its events.
pub(in crate::telemetry) type Attributes = Vec<(&'static str, Value)>;

/// A finished span. Times are in milliseconds since 1970.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::telemetry) struct Finished {
    pub(in crate::telemetry) trace_id: u128,
    pub(in crate::telemetry) span_id: u64,
    /// 0: the span has no parent.
    pub(in crate::telemetry) parent_id: u64,
    pub(in crate::telemetry) name: &'static str,
    pub(in crate::telemetry) kind: Kind,
    pub(in crate::telemetry) from_ms: u64,
    pub(in crate::telemetry) to_ms: u64,
    pub(in crate::telemetry) attributes: Attributes,
    pub(in crate::telemetry) events: Vec<(u64, &'static str, Attributes)>,
    /// The error, if the span failed.
    pub(in crate::telemetry) failed: Option<String>,
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl Finished {
    pub(super) fn into_span(self) -> Span {
        let parent = if self.parent_id == 0 { Vec::new() } else { self.parent_id.to_be_bytes().to_vec() };
        let status = self.failed.map(|message| Status { message, code: StatusCode::Error.into() });
        let kind = match self.kind {
            Kind::Server => SpanKind::Server,
            Kind::Internal => SpanKind::Internal,
        };
        Span {
            trace_id: self.trace_id.to_be_bytes().to_vec(),
            span_id: self.span_id.to_be_bytes().to_vec(),
            parent_span_id: parent,
            name: self.name.to_owned(),
            kind: kind.into(),
            start_time_unix_nano: nanoseconds(self.from_ms),
            end_time_unix_nano: nanoseconds(self.to_ms),
            attributes: key_values(self.attributes),
            events: self.events.into_iter().map(event).collect(),
            status,
            ..Span::default()
        }
    }
}

fn event((at_ms, name, attributes): (u64, &'static str, Attributes)) -> Event {
    Event {
        time_unix_nano: nanoseconds(at_ms),
        name: name.to_owned(),
        attributes: key_values(attributes),
        ..Event::default()
    }
}

fn key_values(attributes: Attributes) -> Vec<KeyValue> {
    attributes.into_iter().map(|(name, value)| key_value(name, value)).collect()
}

pub(super) fn key_value(name: &str, value: Value) -> KeyValue {
    let value = match value {
        Value::Text(text) => AnyValue::StringValue(text),
        Value::Number(number) => AnyValue::IntValue(i64::try_from(number).unwrap_or(i64::MAX)),
        Value::Flag(flag) => AnyValue::BoolValue(flag),
    };
    KeyValue { key: name.to_owned(), value: Some(Wrapped { value: Some(value) }), ..KeyValue::default() }
}

fn nanoseconds(ms: u64) -> u64 {
    ms.saturating_mul(1_000_000)
}
