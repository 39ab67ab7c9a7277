//! Traces for OpenTelemetry. A call is a span, its turns are children of it, and their stages are children of the
//! turns. We export each span once, when it is over.
//!
//! The types are OpenTelemetry's own. The exporter is ours: it uses the service's HTTP client and drains with it.

mod call_trace;
mod exporter;
mod span;

pub(super) use call_trace::CallTrace;
pub(super) use exporter::Exporter;
pub(super) use span::{Finished, Kind};
