//! Traces for OpenTelemetry: a call is a span, its turns are children of it, and their stages are children of the
//! turns.
//! Each span is exported once, when it is over.
//!
//! The types are OpenTelemetry's own. The exporter is ours, because it uses the service's connections and drains with
//! it.

mod call_trace;
mod exporter;
mod span;

pub(super) use call_trace::CallTrace;
pub(super) use exporter::Exporter;
pub(super) use span::{Finished, Kind};
