//! How the page shows a report: as a line of the call's timeline.

use dialbridge_core::Report;
use dialbridge_core::call_facts::is_telephone_address;
use dialbridge_core::report::{Field, FieldValue, Personal, Stages};
use dialbridge_core::stages::{Interval, StageLimits, TurnStage};
use serde_json::{Map, Value};

use crate::telemetry::is_warning;

/// How much of a text is shown, in characters.
const MAX_TEXT_CHARS: usize = 1_000;

/// The longest JSON of parameters or of a payload that is shown, in bytes.
const MAX_JSON_BYTES: usize = 4_000;

/// How the page shows a report.
enum Form {
    /// Not at all.
    Hidden,
    /// By its name and its fields. The page words each of them.
    Fields,
    /// By its sentence and its values.
    Note,
}

/// How a report is shown, with transcripts or without.
fn form(report: &Report, words: bool) -> Form {
    match report {
        // An interim one says that the caller speaks. It is passing: nothing of it is kept.
        Report::Transcript { is_final: true, .. } | Report::Payload { .. } if !words => Form::Hidden,
        Report::MoreAudio { .. }
        | Report::Cancelled { .. }
        | Report::NoInputTurnReplaced { .. }
        | Report::UnknownEvent { .. } => Form::Hidden,
        Report::Started { .. }
        | Report::TurnOpened { .. }
        | Report::Transcript { .. }
        | Report::EndOfUtterance { .. }
        | Report::Answered { .. }
        | Report::Stages(_)
        | Report::Payload { .. }
        | Report::BargeIn { .. }
        | Report::Played { .. }
        | Report::TurnFailed { .. }
        | Report::Digit
        | Report::DigitsComplete { .. }
        | Report::NoInput { .. }
        | Report::HandedOff { .. }
        | Report::Ended { .. } => Form::Fields,
        Report::PromptRefused { .. }
        | Report::AnswerWithoutAudio { .. }
        | Report::Filler { .. }
        | Report::PromptGuarded { .. }
        | Report::PayloadRefused { .. }
        | Report::ToolRefused { .. }
        | Report::ToolRun { .. }
        | Report::Succeeded { .. }
        | Report::WebhookFailed { .. }
        | Report::StartingEventUnanswered { .. }
        | Report::TurnUnanswered { .. }
        | Report::BackupTookOver { .. }
        | Report::Rotated { .. }
        | Report::AudioDropped { .. }
        | Report::DigitDropped
        | Report::HandoffShortened { .. }
        | Report::ToolResultsDropped { .. }
        | Report::TransferRefused { .. }
        | Report::CallerIdMissing
        | Report::TurnedAway
        | Report::AnswerTruncated { .. }
        | Report::LimitReached(_) => Form::Note,
    }
}

/// The line for a report, named in `what`; `None` if the report is not shown. Digits and numbers are never shown.
/// Transcripts and parameters are shown only with `words`. A turn beyond the limits of `slow` names its slow stage. A
/// report that the log has as a warning says so.
pub(super) fn event_line(report: &Report, words: bool, slow: StageLimits) -> Option<Map<String, Value>> {
    let mut line = match form(report, words) {
        Form::Hidden => return None,
        Form::Fields => fields(report, words, slow),
        Form::Note => note(report),
    };
    if is_warning(report) {
        line.insert("isWarning".to_owned(), true.into());
    }
    Some(line)
}

fn fields(report: &Report, words: bool, slow: StageLimits) -> Map<String, Value> {
    let is_shown = |field: &Field<'_>| match field.personal {
        Personal::No => true,
        Personal::Words | Personal::Parameters => words,
        Personal::Number => false,
    };
    let shown = report.fields().into_iter().filter(is_shown);
    let mut line: Map<_, _> = shown.map(|field| (camel_case(field.name), value(&field.value))).collect();
    line.insert("what".to_owned(), report.name().into());
    if let Report::Stages(stages) = report {
        line.insert("latencyMs".to_owned(), latency_ms(stages).into());
        line.insert("intervals".to_owned(), intervals(stages));
        line.insert("slowStage".to_owned(), slow.slow_stage(stages).map(|slow_stage| slow_stage.stage.as_str()).into());
    }
    line
}

/// The beginning and the end of each stage that took any time.
fn intervals(stages: &Stages) -> Value {
    let all = TurnStage::ALL.into_iter().filter_map(|stage| Some((stage, stages.interval(stage)?)));
    let long = all.filter(|(_, interval)| interval.ms() > 0);
    long.map(|(stage, Interval { from, to })| (stage.as_str().to_owned(), [from.as_ms(), to.as_ms()].as_slice().into()))
        .collect::<Map<String, Value>>()
        .into()
}

fn note(report: &Report) -> Map<String, Value> {
    let more = |field: &Field<'_>| {
        let is_told = !matches!(field.value, FieldValue::Absent | FieldValue::Turn(_) | FieldValue::Flag(_));
        (is_told && field.personal == Personal::No).then(|| short(&field.value.to_string()))
    };
    let more: Vec<String> = report.fields().iter().filter_map(more).collect();
    let line = [("what", "note".into()), ("text", report.sentence().into()), ("more", more.join(", ").into())];
    line.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn value(value: &FieldValue<'_>) -> Value {
    match value {
        FieldValue::Text(text) => short(text).into(),
        FieldValue::Parameters(parameters) => {
            let mut parameters = (*parameters).clone();
            // They are told with every call, and are not something that was said.
            parameters.retain(|_, value| !value.as_str().is_some_and(is_telephone_address));
            bounded(parameters.len(), &parameters)
        }
        FieldValue::Json(json) => bounded(1, json),
        FieldValue::Absent
        | FieldValue::Turn(_)
        | FieldValue::Moment(_)
        | FieldValue::Ms(_)
        | FieldValue::Count(_)
        | FieldValue::Flag(_)
        | FieldValue::Resource(_) => value.into(),
    }
}

fn camel_case(name: &str) -> String {
    let mut parts = name.split('_');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |name, part| {
        let (initial, rest) = part.split_at(usize::from(!part.is_empty()));
        name + &initial.to_ascii_uppercase() + rest
    })
}

/// How long the caller waited in a turn, in milliseconds: from the end of the utterance to the playout of the answer,
/// as far as it is known. `None` if the turn got no answer.
pub(super) fn latency_ms(stages: &Stages) -> Option<u64> {
    let until = stages.first_audio_played.or(stages.first_audio_sent).or(stages.answered)?;
    Some(until.ms_since(stages.caller_waits_from()))
}

fn short(text: &str) -> String {
    match text.char_indices().nth(MAX_TEXT_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The JSON, unless it is too long; `null` if it is empty.
fn bounded(count: usize, value: &(impl serde::Serialize + ?Sized)) -> Value {
    match serde_json::to_value(value) {
        Ok(_) if count == 0 => Value::Null,
        Ok(value) if value.to_string().len() <= MAX_JSON_BYTES => value,
        _ => Value::from("too long to be shown"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dialbridge_core::agent::Intent;
    use dialbridge_core::report::{PLANTED, samples};
    use dialbridge_core::{CallTime, TurnId};
    use serde_json::json;

    const SLOW: StageLimits = StageLimits::NONE;

    fn answered() -> Report {
        let parameters =
            json!({ "bread": "rye-secret", "From": "+15550100", "To": "+15550199" }).as_object().cloned().unwrap();
        Report::Answered {
            turn: TurnId(2),
            query_text: "query-secret".to_owned(),
            text: "text-secret".to_owned(),
            intent: Intent { display_name: "order.bread".to_owned(), ..Intent::default() },
            is_no_match: false,
            parameters,
            audio_ms: 900,
            thought_ms: 250,
        }
    }

    #[test]
    fn what_was_said_is_told_with_words_only() {
        let transcript = Report::Transcript { turn: TurnId(1), text: "said-secret".to_owned(), is_final: true };
        let payload = Report::Payload { turn: TurnId(1), payload: json!({ "a": "payload-secret" }) };
        assert_eq!((event_line(&transcript, false, SLOW), event_line(&payload, false, SLOW)), (None, None));
        let interim = Report::Transcript { turn: TurnId(1), text: "said-secret".to_owned(), is_final: false };
        let speaks = event_line(&interim, false, SLOW).unwrap();
        assert_eq!((&speaks["turn"], speaks.get("text")), (&1.into(), None), "that the caller speaks, and no word");
        assert_eq!(event_line(&transcript, true, SLOW).unwrap()["text"], "said-secret");
        let without = Value::Object(event_line(&answered(), false, SLOW).unwrap());
        assert_eq!((&without["intent"], &without["thoughtMs"]), (&"order.bread".into(), &250.into()));
        assert!(!without.to_string().contains("secret"), "{without}");
        let with = event_line(&answered(), true, SLOW).unwrap();
        assert_eq!((&with["queryText"], &with["text"]), (&"query-secret".into(), &"text-secret".into()));
        assert_eq!(with["parameters"], json!({ "bread": "rye-secret" }));
    }

    #[test]
    fn no_report_shows_a_personal_value_without_words_and_a_number_with_them() {
        let shown = |words| samples().iter().filter_map(|report| event_line(report, words, SLOW)).collect::<Vec<_>>();
        assert!(!format!("{:?}", shown(false)).contains(PLANTED), "{:?}", shown(false));
        let with = format!("{:?}", shown(true));
        assert!(with.contains(&format!("{PLANTED} query_text")), "{with}");
        for number in ["from", "to"] {
            assert!(!with.contains(&format!("{PLANTED} {number}")), "{with}");
        }
    }

    #[test]
    fn a_warning_of_the_log_is_shown_as_one_and_any_other_note_is_not() {
        for report in samples() {
            let line = event_line(&report, false, SLOW);
            let is_shown_as_warning = line.is_some_and(|line| line.get("isWarning") == Some(&true.into()));
            assert_eq!(is_shown_as_warning, is_warning(&report), "{}", report.name());
        }
    }

    #[test]
    fn a_tool_that_was_run_is_a_note() {
        let runs = samples().into_iter().filter(|report| matches!(report, Report::ToolRun { .. }));
        let notes: Vec<String> = runs
            .map(|run| event_line(&run, false, SLOW).unwrap())
            .map(|line| [&line["what"], &line["text"], &line["more"]].map(|part| part.as_str().unwrap()).join(" | "))
            .collect();
        let expected = [
            "note | a tool that the agent wants was run | projects/p/locations/us/apps/a/tools/stock",
            "note | a tool that the agent wants could not be run | projects/p/locations/us/apps/a/tools/stock, the shop is closed",
        ];
        assert_eq!(notes, expected);
    }

    #[test]
    fn long_texts_and_parameters_are_cut() {
        let long = Report::Transcript { turn: TurnId(1), text: "ä".repeat(5_000), is_final: false };
        assert_eq!(
            event_line(&long, true, SLOW).unwrap()["text"].as_str().unwrap().chars().count(),
            MAX_TEXT_CHARS + 1
        );
        let mut report = answered();
        let Report::Answered { parameters, .. } = &mut report else { panic!() };
        *parameters = json!({ "all": "x".repeat(5_000) }).as_object().cloned().unwrap();
        assert_eq!(event_line(&report, true, SLOW).unwrap()["parameters"], "too long to be shown");
    }

    #[test]
    fn a_latency_ends_when_the_answer_is_heard_or_where_that_is_not_known_when_it_came() {
        let at = |ms| Some(CallTime::from_ms(ms));
        let heard = Stages {
            turn: TurnId(1),
            input: "audio",
            opened: CallTime::from_ms(100),
            speech_began: at(200),
            speech_ended: None,
            input_complete: at(1_000),
            final_transcript: at(990),
            answered: at(1_300),
            first_audio_sent: at(1_301),
            first_audio_played: at(1_350),
        };
        assert_eq!(latency_ms(&heard), Some(350));
        assert_eq!(latency_ms(&Stages { speech_ended: at(600), ..heard.clone() }), Some(750));
        assert_eq!(latency_ms(&Stages { first_audio_played: None, ..heard.clone() }), Some(301));
        let event = Stages { input_complete: None, first_audio_played: None, first_audio_sent: None, ..heard };
        assert_eq!(latency_ms(&event), Some(1_200));
        assert_eq!(latency_ms(&Stages { answered: None, ..event.clone() }), None);
        let line = |slow| event_line(&Report::Stages(Box::new(event.clone())), false, slow).unwrap();
        assert_eq!(line(StageLimits { agent_ms: Some(299), ..SLOW })["slowStage"], "agent");
        assert_eq!(line(SLOW)["slowStage"], Value::Null);
        assert_eq!(line(SLOW)["intervals"]["agent"], json!([990, 1_300]));
    }
}
