//! Log lines for the reports of a call. Transcripts appear at DEBUG only; digits, parameters and numbers never.

use dialbridge_core::report::{Field, FieldValue, Personal, Stages};
use dialbridge_core::stages::{SlowStage, TurnStage};
use dialbridge_core::{CallSid, CallTime, Report};
use serde_json::{Map, Value};
use tracing::Level;

/// Logs one report. Stages and the end have lines of their own: see [`log_stages`] and [`log_end`].
pub(crate) fn log(call_sid: &CallSid, at: CallTime, report: &Report) {
    let Some(level) = level(report) else { return };
    line(level, call_sid, at, report.sentence(), || values(report, |field| may_stand_at(level, field)));
    if matches!(report, Report::Answered { .. }) {
        let is_words = |field: &Field<'_>| field.name == "turn" || field.personal == Personal::Words;
        line(Level::DEBUG, call_sid, at, "the answer in words", || values(report, is_words));
    }
}

/// Logs a turn in one line: how long each stage took, and when things happened, in milliseconds of the call. A slow
/// turn is a warning and names the slow stage.
pub(crate) fn log_stages(
    call_sid: &CallSid,
    at: CallTime,
    report: &Report,
    stages: &Stages,
    slow_stage: Option<SlowStage>,
) {
    let (level, sentence) = match slow_stage {
        Some(_) => (Level::WARN, "a slow turn and its stages"),
        None => (Level::INFO, report.sentence()),
    };
    line(level, call_sid, at, sentence, || {
        let mut values = values(report, |field| may_stand_at(level, field));
        values.insert("slow".to_owned(), slow_stage.is_some().into());
        if let Some(SlowStage { stage, took_ms }) = slow_stage {
            values.insert("slow_stage".to_owned(), stage.as_str().into());
            values.insert("slow_stage_ms".to_owned(), took_ms.into());
        }
        if let Some(whole) = stages.whole() {
            values.insert("whole_ms".to_owned(), whole.ms().into());
        }
        for stage in TurnStage::ALL {
            if let Some(stretch) = stages.interval(stage) {
                values.insert(format!("{}_ms", stage.as_str().replace('-', "_")), stretch.ms().into());
            }
        }
        values
    });
}

/// Logs the end of a call in one line: what the call was, and its last `report`. `summary` gives the fields that the report
/// does not have, and its own `reason`: the report's says how the media stream ended.
pub(crate) fn log_end(
    call_sid: &CallSid,
    at: CallTime,
    report: Option<&Report>,
    summary: impl Fn() -> Map<String, Value>,
) {
    line(Level::INFO, call_sid, at, "the call is over", || {
        let mut values =
            report.map(|report| values(report, |field| may_stand_at(Level::INFO, field))).unwrap_or_default();
        values.extend(summary());
        values
    });
}

/// Whether the log has a warning or an error for a report. A slow turn is one by the settings, and does not count.
#[must_use]
pub fn is_warning(report: &Report) -> bool {
    level(report).is_some_and(|level| level <= Level::WARN)
}

/// The level of a report; `None` if it is not logged here.
fn level(report: &Report) -> Option<Level> {
    let level = match report {
        Report::Stages(_) | Report::Ended { .. } => return None,
        Report::TurnFailed { retry_in_ms: None, .. } => Level::ERROR,
        Report::TurnFailed { retry_in_ms: Some(_), .. }
        | Report::PromptRefused { .. }
        | Report::AnswerWithoutAudio { is_first: true, .. }
        | Report::PayloadRefused { .. }
        | Report::ToolRefused { .. }
        | Report::ToolRun { fault: Some(_), .. }
        | Report::WebhookFailed { .. }
        | Report::StartingEventUnanswered { .. }
        | Report::TurnUnanswered { .. }
        | Report::BackupTookOver { .. }
        | Report::DigitDropped
        | Report::HandoffShortened { .. }
        | Report::ToolResultsDropped { .. }
        | Report::TransferRefused { .. }
        | Report::CallerIdMissing
        | Report::TurnedAway
        | Report::AnswerTruncated { .. }
        | Report::LimitReached(_) => Level::WARN,
        Report::Started { .. }
        | Report::Answered { .. }
        | Report::ToolRun { fault: None, .. }
        | Report::Succeeded { .. }
        | Report::BargeIn { .. }
        | Report::NoInput { .. }
        | Report::HandedOff { .. } => Level::INFO,
        Report::TurnOpened { .. }
        | Report::Transcript { .. }
        | Report::EndOfUtterance { .. }
        | Report::MoreAudio { .. }
        | Report::AnswerWithoutAudio { is_first: false, .. }
        | Report::Cancelled { .. }
        | Report::Filler { .. }
        | Report::Payload { .. }
        | Report::PromptGuarded { .. }
        | Report::Played { .. }
        | Report::NoInputTurnReplaced { .. }
        | Report::Rotated { .. }
        | Report::AudioDropped { .. }
        | Report::Digit
        | Report::DigitsComplete { .. }
        | Report::UnknownEvent { .. } => Level::DEBUG,
    };
    Some(level)
}

fn may_stand_at(level: Level, field: &Field<'_>) -> bool {
    match field.personal {
        Personal::No => true,
        Personal::Words => level == Level::DEBUG,
        Personal::Parameters | Personal::Number => false,
    }
}

/// The values of the wanted fields by name. Absent values are left out.
fn values(report: &Report, is_wanted: impl Fn(&Field<'_>) -> bool) -> Map<String, Value> {
    let fields = report.fields().into_iter().filter(|field| is_wanted(field) && field.value != FieldValue::Absent);
    fields.map(|field| (field.name.to_owned(), value(&field.value))).collect()
}

fn value(value: &FieldValue<'_>) -> Value {
    match value {
        // Only the last part of the name: the project and the agent are the same in every line.
        FieldValue::Resource(name) => name.rsplit('/').next().unwrap_or(name).into(),
        FieldValue::Json(json) => json.to_string().into(),
        FieldValue::Absent
        | FieldValue::Turn(_)
        | FieldValue::Moment(_)
        | FieldValue::Ms(_)
        | FieldValue::Count(_)
        | FieldValue::Flag(_)
        | FieldValue::Text(_)
        | FieldValue::Parameters(_) => value.into(),
    }
}

/// Writes a line. The values are computed only if the level is logged.
fn line(level: Level, call_sid: &CallSid, at: CallTime, sentence: &str, values: impl Fn() -> Map<String, Value>) {
    let (call_sid, at_ms) = (call_sid.as_str(), at.as_ms());
    // The macro needs its level and field names as literals; `log` spreads `fields` out.
    macro_rules! at {
        ($level:ident) => {
            tracing::$level!(call_sid, at_ms, fields = %serde_json::Value::Object(values()), "{sentence}")
        };
    }
    match level {
        Level::ERROR => at!(error),
        Level::WARN => at!(warn),
        Level::INFO => at!(info),
        Level::DEBUG | Level::TRACE => at!(debug),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::log::logged;
    use dialbridge_core::report::{PLANTED, samples};

    fn lines_of(report: &Report) -> Vec<Value> {
        let call_sid = CallSid::new("CA1").unwrap();
        logged(|| match report {
            Report::Ended { .. } => log_end(&call_sid, CallTime::from_ms(5), Some(report), Map::new),
            _ => log(&call_sid, CallTime::from_ms(5), report),
        })
    }

    #[test]
    fn no_personal_value_stands_above_debug_and_digits_and_numbers_nowhere() {
        let mut in_words = 0;
        for report in samples() {
            for line in lines_of(&report) {
                let text = line.to_string();
                assert!(line["severity"] == "DEBUG" || !text.contains(PLANTED), "{text}");
                for field in ["from", "to", "parameters"] {
                    assert!(!text.contains(&format!("{PLANTED} {field}")), "{text}");
                }
                in_words += text.matches(PLANTED).count();
            }
        }
        assert_eq!(in_words, 5, "two transcripts, two texts of an answer and a payload stand at DEBUG");
    }

    #[test]
    fn each_kind_has_a_line_with_all_values_that_are_not_personal() {
        for report in samples().into_iter().filter(|report| !matches!(report, Report::Stages(_))) {
            let line = &lines_of(&report)[0];
            assert_eq!((&line["message"], &line["at_ms"]), (&report.sentence().into(), &5.into()), "{line}");
            assert_eq!(line["call_sid"], "CA1");
            for field in report.fields() {
                let is_there = field.value != FieldValue::Absent && may_stand_at(Level::DEBUG, &field);
                let is_here = line["severity"] == "DEBUG" || field.personal == Personal::No;
                assert_eq!(line.get(field.name).is_some(), is_there && is_here, "{}: {line}", field.name);
            }
            assert!(line.get("fields").is_none(), "{line}");
        }
    }

    #[test]
    fn a_tools_name_is_its_own_id_and_a_payload_is_a_text() {
        let tool = samples().into_iter().find(|report| matches!(report, Report::ToolRun { .. })).unwrap();
        assert_eq!(lines_of(&tool)[0]["tool"], "stock");
        let payload = samples().into_iter().find(|report| matches!(report, Report::Payload { .. })).unwrap();
        assert!(lines_of(&payload)[0]["payload"].is_string());
    }
}
