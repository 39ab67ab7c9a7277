//! The log: one JSON object a line, with the fields that Cloud Logging knows
//! (<https://docs.cloud.google.com/logging/docs/structured-logging>).

use std::fmt;
use std::io::Write;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use crate::settings::Severity;

/// Starts the log of this process. A second call does nothing.
pub fn start(level: Severity, writer: impl for<'a> MakeWriter<'a> + Send + Sync + 'static) {
    let lines = tracing_subscriber::fmt::layer().event_format(CloudLogging).with_writer(writer);
    let filter = filter(level);
    // This fails if a log was started before, as in a test that starts two services.
    if tracing_subscriber::registry().with(filter).with(Traces).with(lines).try_init().is_ok() {
        std::panic::set_hook(Box::new(panicked));
    }
}

/// Which lines are logged. Libraries' debug lines are not: they are not about calls, and may show what ours hide.
fn filter(level: Severity) -> Targets {
    let (ours, libraries) = match level {
        Severity::Debug => (LevelFilter::DEBUG, LevelFilter::WARN),
        Severity::Info => (LevelFilter::INFO, LevelFilter::WARN),
        Severity::Warning => (LevelFilter::WARN, LevelFilter::WARN),
        Severity::Error => (LevelFilter::ERROR, LevelFilter::ERROR),
    };
    // The name of every crate in the workspace begins with this.
    Targets::new().with_target("dialbridge", ours).with_default(libraries)
}

/// Logs a panic as one line. Its message is left out, because it may contain what a caller said.
fn panicked(panic: &std::panic::PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    tracing::error!(place, "a panic: please report it");
}

/// Keeps the trace fields of a span for its lines.
struct Traces;

/// The fields of a trace, in Cloud Logging's names.
struct Trace(Vec<(&'static str, Value)>);

/// The trace fields of a span, and their names in a line.
const TRACE_FIELDS: [(&str, &str); 3] = [
    ("trace", "logging.googleapis.com/trace"),
    ("span_id", "logging.googleapis.com/spanId"),
    ("trace_sampled", "logging.googleapis.com/trace_sampled"),
];

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Traces {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let known = TRACE_FIELDS.into_iter().filter_map(|(name, line)| Some((line, fields.0.remove(name)?))).collect();
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(Trace(known));
        }
    }
}

struct CloudLogging;

impl<S, N> FormatEvent<S, N> for CloudLogging
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        let mut fields = Fields::default();
        event.record(&mut fields);
        // People look for these first. The other fields follow in the order of their names.
        let message = fields.0.remove("message").unwrap_or_default();
        let severity = severity(*event.metadata().level());
        write!(writer, r#"{{"severity":"{severity}","time":"{time}","message":{message}"#)?;
        for (name, value) in fields.0 {
            write!(writer, ",{}:{value}", Value::from(name))?;
        }
        if let Some(span) = context.lookup_current()
            && let Some(Trace(trace)) = span.extensions().get()
        {
            for (name, value) in trace {
                write!(writer, ",{}:{value}", Value::from(*name))?;
            }
        }
        writeln!(writer, "}}")
    }
}

fn severity(level: Level) -> &'static str {
    match level {
        Level::ERROR => "ERROR",
        Level::WARN => "WARNING",
        Level::INFO => "INFO",
        Level::DEBUG | Level::TRACE => "DEBUG",
    }
}

#[derive(Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        self.0.insert(field.name().to_owned(), value);
    }
}

impl Visit for Fields {
    /// `tracing` needs the names of fields at compile time. A line whose names are known only later has them in the
    /// field `fields`, as a JSON object.
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        if field.name() == "fields"
            && let Ok(Value::Object(fields)) = serde_json::from_str(&text)
        {
            self.0.extend(fields);
        } else {
            self.put(field, text.into());
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }
}

/// Writes one line to stderr for a person at a terminal: why the program ends.
pub fn log_and_exit(message: &str, code: u8) -> std::process::ExitCode {
    // If stderr is closed, nobody is there to read it.
    let _ = writeln!(std::io::stderr(), "dialbridge: {message}");
    std::process::ExitCode::from(code)
}

/// The lines from DEBUG on that this thread logs during `run`.
#[cfg(test)]
pub(crate) fn logged(run: impl FnOnce()) -> Vec<Value> {
    let lines = tests::Lines::default();
    let writer = lines.clone();
    let layer = tracing_subscriber::fmt::layer().event_format(CloudLogging).with_writer(move || writer.clone());
    tracing::subscriber::with_default(tracing_subscriber::registry().with(Traces).with(layer), run);
    lines.parsed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    pub(super) struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Lines {
        pub(super) fn parsed(&self) -> Vec<Value> {
            let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
        }
    }

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_is_one_json_object_in_cloud_loggings_words() {
        let lines = logged(|| {
            tracing::warn!(call_sid = "CA1", turn = 7, "a \"quoted\"\nmessage");
            let span = tracing::error_span!("traced", trace = "projects/p/traces/1", trace_sampled = true);
            span.in_scope(|| tracing::info!("a line in a trace"));
        });
        let [line, traced] = &lines[..] else { panic!("{lines:?}") };
        assert_eq!(traced["logging.googleapis.com/trace"], "projects/p/traces/1");
        assert_eq!(traced["logging.googleapis.com/trace_sampled"], true);
        assert_eq!((&line["severity"], &line["turn"]), (&"WARNING".into(), &7.into()));
        assert_eq!(line["message"], "a \"quoted\"\nmessage");
        assert!(line["time"].as_str().unwrap().ends_with('Z'));
    }
}
