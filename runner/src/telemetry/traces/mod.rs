//! Traces for OpenTelemetry: a call is a span, its turns are children of it, and their stages are children of these. They
//! are told when they are over, so a span is written once, with both its ends.
//!
//! The types of the protocol are OpenTelemetry's own; what sends them is ours, for it has to run on the service's
//! connections and within its drain.

mod call_trace;
mod exporter;
mod span;

pub(super) use call_trace::CallTrace;
pub(super) use exporter::Exporter;
pub(super) use span::{Finished, Kind};
