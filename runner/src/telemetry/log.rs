//! The log: one JSON object a line, with the fields that Cloud Logging knows
//! (<https://docs.cloud.google.com/logging/docs/structured-logging>), or a line of text for a person.
//!
//! By hand: tracing-stackdriver costs the first build 28 s of CPU (regex and time among its crates), and writes neither the
//! text nor the call's fields at the top of the object.

use std::ffi::OsStr;
use std::fmt;
use std::io::{IsTerminal, Write};

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use crate::settings::{LogFormat, Severity};

/// How a line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineStyle {
    /// For Cloud Logging.
    Json,
    /// For a person.
    Text,
    /// For a person at a terminal.
    ColoredText,
}

impl LineStyle {
    /// The style for a log that goes to `out`. Without a `format`, a terminal gets text. Only a terminal gets colour, and
    /// none with `NO_COLOR` in the environment (<https://no-color.org>).
    pub fn of(format: Option<LogFormat>, out: &impl IsTerminal, no_color: Option<&OsStr>) -> Self {
        let is_terminal = out.is_terminal();
        match format {
            Some(LogFormat::Json) => Self::Json,
            None if !is_terminal => Self::Json,
            None | Some(LogFormat::Text) if is_terminal && no_color.is_none_or(OsStr::is_empty) => Self::ColoredText,
            None | Some(LogFormat::Text) => Self::Text,
        }
    }
}

/// Starts the log of this process. A second call does nothing.
pub fn start(level: Severity, style: LineStyle, writer: impl for<'a> MakeWriter<'a> + Send + Sync + 'static) {
    let lines = tracing_subscriber::fmt::layer().event_format(Lines(style)).with_writer(writer);
    let filter = filter(level);
    // This fails if a log was started before, as in a test that starts two services.
    if tracing_subscriber::registry().with(filter).with(SpanFields).with(lines).try_init().is_ok() {
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

/// Keeps the fields of a span for its lines.
struct SpanFields;

/// The trace fields of a span, and Cloud Logging's names for them.
const TRACE_FIELDS: [(&str, &str); 3] = [
    ("trace", "logging.googleapis.com/trace"),
    ("span_id", "logging.googleapis.com/spanId"),
    ("trace_sampled", "logging.googleapis.com/trace_sampled"),
];

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for SpanFields {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }
}

struct Lines(LineStyle);

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        let mut fields = Fields::default();
        event.record(&mut fields);
        let mut trace = Vec::new();
        if let Some(span) = context.lookup_current()
            && let Some(of_span) = span.extensions().get()
        {
            trace = fields.add_span(of_span);
        }
        // People look for these first. The other fields follow in the order of their names.
        let message = fields.0.remove("message").unwrap_or_default();
        let level = *event.metadata().level();
        match self.0 {
            LineStyle::Json => {}
            LineStyle::Text => return write_text(&mut writer, &time, Painted(level, false), &message, &fields.0),
            LineStyle::ColoredText => return write_text(&mut writer, &time, Painted(level, true), &message, &fields.0),
        }
        let severity = severity(level);
        write!(writer, r#"{{"severity":"{severity}","time":"{time}","message":{message}"#)?;
        let fields = fields.0.iter().map(|(name, value)| (name.as_str(), value));
        for (name, value) in fields.chain(trace.iter().map(|(name, value)| (*name, value))) {
            write!(writer, ",{}:{value}", Value::from(name))?;
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

/// Writes a line for a person: the time of day in UTC, the severity, the message, the fields. Its trace is left out.
fn write_text(
    writer: &mut Writer<'_>,
    time: &str,
    severity: Painted,
    message: &Value,
    fields: &Map<String, Value>,
) -> fmt::Result {
    let time = time.split_once('T').map_or(time, |(_, time)| time.get(..12).unwrap_or(time));
    write!(writer, "{time} {severity} {}", plain(message))?;
    for (name, value) in fields {
        match value.as_str() {
            Some("") => {}
            Some(text) if !text.contains([' ', '"', '\n']) => write!(writer, "  {name}={}", plain(value))?,
            _ => write!(writer, "  {name}={}", without_controls(&value.to_string()))?,
        }
    }
    writeln!(writer)
}

/// A text without its quotes. A control character could move a terminal's cursor, so it stays escaped.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), without_controls)
}

fn without_controls(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() { plain.extend(c.escape_default()) } else { plain.push(c) }
    }
    plain
}

/// A severity, and whether it has a colour.
struct Painted(Level, bool);

impl fmt::Display for Painted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (color, name) = match self.0 {
            Level::ERROR => ("31", "ERROR"),
            Level::WARN => ("33", "WARN "),
            Level::INFO => ("32", "INFO "),
            Level::DEBUG | Level::TRACE => ("2", "DEBUG"),
        };
        if self.1 { write!(f, "\x1b[{color}m{name}\x1b[0m") } else { f.write_str(name) }
    }
}

#[derive(Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        self.0.insert(field.name().to_owned(), value);
    }
}

impl Fields {
    /// Adds the fields of the line's span that the line does not have itself. Returns those of its trace, in Cloud
    /// Logging's names.
    fn add_span(&mut self, Self(of_span): &Self) -> Vec<(&'static str, Value)> {
        let mut trace = Vec::new();
        for (name, value) in of_span {
            match TRACE_FIELDS.into_iter().find(|(of_trace, _)| of_trace == name) {
                Some((_, name)) => trace.push((name, value.clone())),
                None => {
                    self.0.entry(name).or_insert_with(|| value.clone());
                }
            }
        }
        trace
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
    let lines = tests::Written::default();
    let writer = lines.clone();
    log_to(writer, LineStyle::Json, run);
    lines.parsed()
}

#[cfg(test)]
fn log_to(writer: tests::Written, style: LineStyle, run: impl FnOnce()) {
    let layer = tracing_subscriber::fmt::layer().event_format(Lines(style)).with_writer(move || writer.clone());
    tracing::subscriber::with_default(tracing_subscriber::registry().with(SpanFields).with(layer), run);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    pub(super) struct Written(Arc<Mutex<Vec<u8>>>);

    impl Written {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }

        pub(super) fn parsed(&self) -> Vec<Value> {
            self.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
        }
    }

    impl Write for Written {
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

    /// What `run` logs as text.
    fn text(style: LineStyle, run: impl FnOnce()) -> String {
        let written = Written::default();
        log_to(written.clone(), style, run);
        written.text()
    }

    #[test]
    fn a_line_of_text_has_the_time_of_day_the_severity_the_message_and_the_fields() {
        let line = text(LineStyle::Text, || {
            tracing::warn!(
                call_sid = "CA1",
                turn = 7,
                why = "no \"key\" \u{9b}2J",
                unset = "",
                "a prompt is\n\x1b[2Jcut"
            );
        });
        let (time, rest) = line.split_at("12:34:56.789".len());
        assert!(time.chars().all(|c| c.is_ascii_digit() || ":.".contains(c)), "{line}");
        assert_eq!(
            rest,
            " WARN  a prompt is\\n\\u{1b}[2Jcut  call_sid=CA1  turn=7  why=\"no \\\"key\\\" \\u{9b}2J\"\n"
        );
        let colored = text(LineStyle::ColoredText, || tracing::error!("it failed"));
        assert!(colored.ends_with(" \x1b[31mERROR\x1b[0m it failed\n"), "{colored:?}");
    }

    #[test]
    fn what_is_no_terminal_gets_json_unless_text_is_asked_for_and_never_colour() {
        let file = std::fs::File::open("/dev/null").unwrap();
        let of = |format| LineStyle::of(format, &file, None);
        assert_eq!((of(None), of(Some(LogFormat::Json))), (LineStyle::Json, LineStyle::Json));
        assert_eq!(of(Some(LogFormat::Text)), LineStyle::Text);
    }
}
