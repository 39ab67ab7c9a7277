//! The description of each report. Log, page and tape text are made from it.

use super::{AudioAccount, Report, Stages};
use crate::report::field::{Field, FieldValue, Personal, filled};

impl Report {
    /// The kind of report, in `kebab-case`. Unique for each kind.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.wording().0
    }

    /// What happened, without the values: the message of a log line.
    #[must_use]
    pub fn sentence(&self) -> &'static str {
        self.wording().1
    }

    /// What happened, with the values: the report's line in the text of a replayed call. Shows personal fields.
    #[must_use]
    pub fn tape_text(&self) -> String {
        filled(self.wording().2, &self.fields())
    }

    /// Name, sentence, and the template of the tape text.
    fn wording(&self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Started { .. } => ("started", "the stream has started", "started {call_sid} {stream_sid}"),
            Self::TurnOpened { .. } => (
                "turn",
                "a turn has opened",
                "{turn} opened with {input}, {waited_ms} waited[, {resent_ms} of it was not heard]",
            ),
            Self::Transcript { is_final: true, .. } => ("transcript", "a transcript came", "{turn} final \"{text}\""),
            Self::Transcript { is_final: false, .. } => {
                ("transcript", "a transcript came", "{turn} interim \"{text}\"")
            }
            Self::EndOfUtterance { spoken: true, silence_ms: Some(_), .. } => (
                "utterance-over",
                "the utterance is over",
                "{turn} end of utterance by {found_by}, {silence_ms} after the voice",
            ),
            Self::EndOfUtterance { spoken: true, silence_ms: None, .. } => {
                ("utterance-over", "the utterance is over", "{turn} end of utterance by {found_by}")
            }
            Self::EndOfUtterance { spoken: false, .. } => {
                ("utterance-over", "the utterance is over", "{turn} end of utterance, nothing said")
            }
            Self::Answered { .. } => (
                "answered",
                "the agent has answered",
                "{turn} answered after {thought_ms}: \"{query_text}\" -> {intent} \"{text}\", {audio_ms} of audio",
            ),
            Self::MoreAudio { .. } => {
                ("more-audio", "more audio of the answer came", "{turn} {audio_ms} more of audio")
            }
            Self::Stages(_) => ("stages", "a turn and its stages", STAGES),
            Self::PromptRefused { .. } => {
                ("prompt-refused", "a prompt of the agent's cannot be played", "prompt refused: {why}")
            }
            Self::AnswerWithoutAudio { .. } => (
                "answer-without-audio",
                "an answer has no audio that can be played, and is synthesised here",
                "{turn} answer without audio[: {fault}]",
            ),
            Self::Cancelled { .. } => {
                ("cancelled", "the answer has cut what played in its place", "{cut_ms} cancelled by the answer")
            }
            Self::Filler { .. } => ("filler", "the caller hears a filler", "filler: {which}"),
            Self::Payload { .. } => ("payload", "a custom payload came", "{turn} payload {payload}"),
            Self::PayloadRefused { .. } => {
                ("payload-refused", "a custom payload is not understood", "{turn} payload refused: {why}")
            }
            Self::ToolRefused { .. } => (
                "tool-refused",
                "the agent wants a tool run, which this service does not do",
                "{turn} tool refused: {tool}",
            ),
            Self::ToolRun { fault: None, .. } => {
                ("tool-run", "a tool that the agent wants was run", "{turn} tool run: {tool}")
            }
            Self::ToolRun { fault: Some(_), .. } => {
                ("tool-run", "a tool that the agent wants could not be run", "{turn} tool failed: {tool}, {fault}")
            }
            Self::Succeeded { .. } => ("succeeded", "the agent counts the call as a success", "{turn} success"),
            Self::WebhookFailed { .. } => {
                ("webhook-failed", "a webhook of the agent's has failed", "{turn} webhook failed: {why}")
            }
            Self::StartingEventUnanswered { .. } => (
                "starting-event-unanswered",
                "the agent does not answer DIALOGFLOW_STARTING_EVENT_NAME",
                "{turn} starting event unanswered",
            ),
            Self::TurnUnanswered { asks_again: true, .. } => (
                "turn-unanswered",
                "the agent has understood the caller and answers nothing: it is asked again",
                "{turn} unanswered, asked again",
            ),
            Self::TurnUnanswered { asks_again: false, .. } => {
                ("turn-unanswered", "the agent has understood the caller and answers nothing", "{turn} unanswered")
            }
            Self::BargeIn { .. } => (
                "barge-in",
                "the caller has interrupted the agent",
                "barge-in by {by}[ ({turn})]: {played_ms} played, {cut_ms} cut",
            ),
            Self::PromptGuarded { .. } => {
                ("prompt-guarded", "words did not interrupt the prompt", "{turn} prompt guarded: {from}")
            }
            Self::Played { by_mark: true, .. } => {
                ("played", "the prompt was played to its end", "all played, {played_ms}")
            }
            Self::Played { by_mark: false, .. } => {
                ("played", "the prompt was played to its end", "all played, {played_ms}, mark timeout")
            }
            Self::NoInputTurnReplaced { .. } => {
                ("no-input-turn-replaced", "a turn without speech was replaced", "{turn} replaced, nothing said")
            }
            Self::Rotated { in_speech: true, .. } => {
                ("rotated", "a turn has reached the agent's audio limit", "{turn} at its limit, in speech")
            }
            Self::Rotated { in_speech: false, .. } => {
                ("rotated", "a turn has reached the agent's audio limit", "{turn} at its limit")
            }
            Self::TurnFailed { retry_in_ms: Some(_), .. } => (
                "failed",
                "a turn has failed, and is tried again",
                "{turn} failed, {fault}; again in {retry_in_ms} with {again_ms} of audio",
            ),
            Self::TurnFailed { retry_in_ms: None, .. } => {
                ("failed", "a turn has failed, and is not tried again", "{turn} failed, {fault}; not again")
            }
            Self::BackupTookOver { .. } => (
                "backup-took-over",
                "the agent cannot be had, and its backup has the call",
                "backup: {backup} has the call in place of {backup_of}",
            ),
            Self::AudioDropped { .. } => {
                ("audio-dropped", "audio of the caller's was dropped", "{ms} of audio dropped")
            }
            Self::Digit => ("digit", "a digit was pressed", "digit"),
            Self::DigitsComplete { .. } => ("digits", "the digits are complete", "{count} digits complete"),
            Self::DigitDropped => ("digit-dropped", "too many digits wait already: one was dropped", "digit dropped"),
            Self::NoInput { by_event: true, .. } => {
                ("no-input", "the caller has said nothing", "no input, {in_a_row} in a row, told by an event")
            }
            Self::NoInput { by_event: false, .. } => {
                ("no-input", "the caller has said nothing", "no input, {in_a_row} in a row")
            }
            Self::UnknownEvent { .. } => {
                ("unknown-event", "Twilio sent an event of an unknown kind", "unknown event \"{event}\"")
            }
            Self::AnswerTruncated { .. } => (
                "answer-truncated",
                "an answer is too long to be kept: a part is missing in reports",
                "{turn} answer truncated",
            ),
            Self::HandoffShortened { .. } => (
                "handoff-shortened",
                "the hand-off has no room for all that the agent knows: a part is left out or shortened",
                "hand-off: left out {left_out}; shortened {shortened}",
            ),
            Self::ToolResultsDropped { .. } => (
                "tool-results-dropped",
                "results of tools were dropped: too many wait, or two streams have failed of them",
                "{turn} tool results dropped",
            ),
            Self::TransferRefused { .. } => (
                "transfer-refused",
                "the agent asks for a transfer to an address that the service does not dial",
                "{turn} transfer refused: {why}",
            ),
            Self::CallerIdMissing => (
                "caller-id-missing",
                "the caller has no number that a transfer could show, and Twilio demands one: set DIAL_CALLER_ID",
                "no caller ID for a transfer",
            ),
            Self::TurnedAway => {
                ("turned-away", "all places are taken (MAX_CALLS): the call is turned away", "turned away")
            }
            Self::LimitReached(_) => ("limit-reached", "a limit ends the call", "limit reached: {limit}"),
            Self::HandedOff { .. } => ("handed-off", "the agent's part is over", "handed off, {status}"),
            Self::Ended { .. } => ("ended", "the call is over", ENDED),
        }
    }

    /// All values.
    #[must_use]
    pub fn fields(&self) -> Vec<Field<'_>> {
        match self {
            Self::Started { call_sid, stream_sid, from, to } => vec![
                field("call_sid", call_sid.as_str()),
                field("stream_sid", stream_sid.as_str()),
                personal(Personal::Number, "from", from.as_ref()),
                personal(Personal::Number, "to", to.as_ref()),
            ],
            Self::TurnOpened { turn, input, waited_ms, resent_ms } => vec![
                field("turn", *turn),
                field("input", *input),
                ms("waited_ms", *waited_ms),
                field("resent_ms", (*resent_ms > 0).then_some(FieldValue::Ms(*resent_ms))),
            ],
            Self::Transcript { turn, text, is_final } => {
                vec![field("turn", *turn), personal(Personal::Words, "text", text), field("is_final", *is_final)]
            }
            Self::EndOfUtterance { turn, spoken, found_by, silence_ms } => vec![
                field("turn", *turn),
                field("spoken", *spoken),
                field("found_by", found_by.as_str()),
                silence_ms.map_or_else(|| field("silence_ms", FieldValue::Absent), |length| ms("silence_ms", length)),
            ],
            Self::Answered { turn, query_text, text, intent, is_no_match, parameters, audio_ms, thought_ms } => vec![
                field("turn", *turn),
                personal(Personal::Words, "query_text", query_text),
                personal(Personal::Words, "text", text),
                field("intent", &intent.display_name),
                field("no_match", is_no_match.then_some(FieldValue::Flag(true))),
                personal(Personal::Parameters, "parameters", FieldValue::Parameters(parameters)),
                ms("audio_ms", *audio_ms),
                ms("thought_ms", *thought_ms),
            ],
            Self::MoreAudio { turn, audio_ms } => vec![field("turn", *turn), ms("audio_ms", *audio_ms)],
            Self::Stages(stages) => of_stages(stages),
            Self::PromptRefused { why } => vec![field("why", why)],
            Self::AnswerWithoutAudio { turn, fault, is_first } => {
                vec![field("turn", *turn), field("fault", fault.as_ref()), field("is_first", *is_first)]
            }
            Self::Cancelled { cut_ms } => vec![ms("cut_ms", *cut_ms)],
            Self::Filler { which } => vec![field("which", *which)],
            Self::Payload { turn, payload } => {
                vec![field("turn", *turn), personal(Personal::Words, "payload", FieldValue::Json(payload))]
            }
            Self::PayloadRefused { turn, why }
            | Self::WebhookFailed { turn, why }
            | Self::TransferRefused { turn, why } => {
                vec![field("turn", *turn), field("why", why)]
            }
            Self::ToolRefused { turn, tool } => vec![field("turn", *turn), field("tool", FieldValue::Resource(tool))],
            Self::ToolRun { turn, tool, fault } => {
                vec![field("turn", *turn), field("tool", FieldValue::Resource(tool)), field("fault", fault.as_ref())]
            }
            Self::TurnUnanswered { turn, asks_again } => {
                vec![field("turn", *turn), field("asks_again", *asks_again)]
            }
            Self::HandoffShortened { left_out, shortened } => {
                vec![field("left_out", left_out), field("shortened", shortened)]
            }
            Self::AnswerTruncated { turn }
            | Self::ToolResultsDropped { turn }
            | Self::Succeeded { turn }
            | Self::StartingEventUnanswered { turn }
            | Self::NoInputTurnReplaced { turn } => {
                vec![field("turn", *turn)]
            }
            Self::BargeIn { turn, by, played_ms, cut_ms } => {
                vec![field("turn", *turn), field("by", by.as_str()), ms("played_ms", *played_ms), ms("cut_ms", *cut_ms)]
            }
            Self::PromptGuarded { turn, from } => vec![field("turn", *turn), field("from", from.as_str())],
            Self::Played { played_ms, by_mark } => vec![ms("played_ms", *played_ms), field("by_mark", *by_mark)],
            Self::Rotated { turn, in_speech } => vec![field("turn", *turn), field("in_speech", *in_speech)],
            Self::TurnFailed { turn, fault, retry_in_ms, again_ms } => vec![
                field("turn", *turn),
                field("fault", FieldValue::Text(fault.to_string().into())),
                field("retry_in_ms", retry_in_ms.map(FieldValue::Ms)),
                field("again_ms", retry_in_ms.map(|_| FieldValue::Ms(*again_ms))),
            ],
            Self::BackupTookOver { backup, backup_of } => {
                vec![field("backup", backup), field("backup_of", backup_of)]
            }
            Self::AudioDropped { ms: dropped_ms } => vec![ms("ms", *dropped_ms)],
            Self::TurnedAway | Self::CallerIdMissing | Self::Digit | Self::DigitDropped => Vec::new(),
            Self::DigitsComplete { count: digits } => vec![count("count", *digits as u64)],
            Self::NoInput { in_a_row, by_event } => {
                vec![count("in_a_row", u64::from(*in_a_row)), field("by_event", *by_event)]
            }
            Self::UnknownEvent { event } => vec![field("event", event)],
            Self::LimitReached(limit) => vec![field("limit", limit.as_str())],
            Self::HandedOff { status } => vec![field("status", status.as_str())],
            Self::Ended { reason, audio, unheard_ms } => of_end(reason.as_str(), audio, *unheard_ms),
        }
    }
}

const STAGES: &str = "{turn} stages: opened {opened_at_ms}[, speech began {speech_began_at_ms}]\
    [, input complete {input_complete_at_ms}][, final transcript {final_transcript_at_ms}]\
    [, answered {answered_at_ms}][, audio sent {first_audio_sent_at_ms}][, audio played {first_audio_heard_at_ms}]";

const ENDED: &str = "ended: {reason}; audio {audio_received} received, {audio_written} written, {audio_resent} resent, \
    {audio_withheld} withheld, {audio_dropped} dropped, {audio_after_end} after the end, {audio_left} left\
    [; {unheard_ms} ms of the agent not heard]";

fn field<'a>(name: &'static str, value: impl Into<FieldValue<'a>>) -> Field<'a> {
    personal(Personal::No, name, value)
}

fn personal<'a>(personal: Personal, name: &'static str, value: impl Into<FieldValue<'a>>) -> Field<'a> {
    Field { name, value: value.into(), personal }
}

fn ms<'a>(name: &'static str, ms: u64) -> Field<'a> {
    field(name, FieldValue::Ms(ms))
}

fn count<'a>(name: &'static str, count: u64) -> Field<'a> {
    field(name, FieldValue::Count(count))
}

fn of_stages(stages: &Stages) -> Vec<Field<'_>> {
    vec![
        field("turn", stages.turn),
        field("input", stages.input),
        field("opened_at_ms", stages.opened),
        field("speech_began_at_ms", stages.speech_began),
        field("speech_ended_at_ms", stages.speech_ended),
        field("input_complete_at_ms", stages.input_complete),
        field("final_transcript_at_ms", stages.final_transcript),
        field("answered_at_ms", stages.answered),
        field("first_audio_sent_at_ms", stages.first_audio_sent),
        field("first_audio_heard_at_ms", stages.first_audio_played),
    ]
}

fn of_end(reason: &'static str, audio: &AudioAccount, unheard_ms: u64) -> Vec<Field<'static>> {
    vec![
        field("reason", reason),
        count("audio_received", audio.received),
        count("audio_written", audio.written),
        count("audio_resent", audio.resent),
        count("audio_withheld", audio.withheld),
        count("audio_dropped", audio.dropped),
        count("audio_after_end", audio.after_end),
        count("audio_left", audio.left),
        field("unheard_ms", (unheard_ms > 0).then_some(FieldValue::Ms(unheard_ms))),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::mem::discriminant;

    use super::*;
    use crate::report::{PLANTED, samples};

    #[test]
    fn transcripts_numbers_and_parameters_are_marked_personal_and_nothing_else_is() {
        let mut marked = BTreeSet::new();
        for report in samples() {
            for field in report.fields() {
                let is_planted = field.value.to_string().contains(PLANTED);
                assert_eq!(field.personal != Personal::No, is_planted, "{}: {field:?}", report.name());
                if is_planted {
                    marked.insert(format!("{}.{} {:?}", report.name(), field.name, field.personal));
                }
            }
            let shown = format!("{:?}", report.fields());
            let all = format!("{report:?}");
            assert_eq!(all.matches(PLANTED).count(), shown.matches(PLANTED).count(), "a value is left out: {all}");
        }
        let expected = [
            "answered.parameters Parameters",
            "answered.query_text Words",
            "answered.text Words",
            "payload.payload Words",
            "started.from Number",
            "started.to Number",
            "transcript.text Words",
        ];
        assert_eq!(marked.iter().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn each_kind_has_a_name_of_its_own_and_a_tape_text_that_is_filled_in() {
        let mut kinds = BTreeMap::new();
        for report in samples() {
            let kind = discriminant(&report);
            assert_eq!(*kinds.entry(report.name()).or_insert(kind), kind, "{}", report.name());
            let template = report.wording().2;
            let names = template.split('{').skip(1).map(|part| part.split('}').next().unwrap());
            for name in names {
                assert!(report.fields().iter().any(|field| field.name == name), "{name} in {template}");
            }
            assert!(!report.tape_text().contains(['[', ']']), "{}", report.tape_text());
        }
        let kinds: Vec<_> = kinds.into_values().collect();
        assert!(kinds.iter().enumerate().all(|(n, kind)| !kinds[..n].contains(kind)), "a kind has several names");
    }

    #[test]
    fn a_part_in_brackets_needs_its_field() {
        let fields = [field("turn", None::<FieldValue<'_>>), field("by", "[{key}]"), ms("played_ms", 5)];
        assert_eq!(filled("by {by}[ ({turn})][, {played_ms}]", &fields), "by [{key}], 5 ms");
    }
}
