//! A call as lines of text, as it happens: what Twilio and the caller saw, and what the service reports.

use std::io::Write;

use dialbridge_core::Report;
use dialbridge_core::audio::g711::mulaw_to_linear;
use dialbridge_core::audio::wav::write_wav;
use dialbridge_core::audio::{AudioFormat, Encoding, SAMPLE_RATE};
use dialbridge_core::report::Stages;
use dialbridge_core::stages::{StageLimits, TurnStage};
use dialbridge_lab::twilio::{CallEvent, CallEventKind, CallRecord};

/// A line as it is printed.
pub(super) fn written(at_ms: u64, who: &str, what: &str) -> String {
    format!("{:>4}.{:03}  {who:<7} {what}", at_ms / 1000, at_ms % 1000)
}

/// Prints a sentence.
pub(super) fn say(text: &str) {
    // The reader may have closed the pipe.
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Tells what Twilio and the caller saw, and how long the caller waited for each answer.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    caller_silent_since_ms: Option<u64>,
}

impl Timeline {
    /// Who did what; `None` for an event that has no line of its own.
    pub(super) fn described(&mut self, event: &CallEvent) -> Option<(&'static str, String)> {
        Some(match &event.kind {
            CallEventKind::Twiml { path, verbs } => ("twilio", format!("POST {path}: {}", verbs.join(", "))),
            CallEventKind::WebhookFailed { why } => ("twilio", format!("the webhook failed: {why}")),
            CallEventKind::StreamOpened => ("twilio", "the media stream is open".to_owned()),
            CallEventKind::StreamRefused { why } => ("twilio", format!("the media socket was refused: {why}")),
            CallEventKind::CallerSpeaks { label, ms } => ("caller", format!("says {label} ({})", seconds(*ms))),
            CallEventKind::CallerSpoke { .. } => {
                self.caller_silent_since_ms = Some(event.at_ms);
                return None;
            }
            CallEventKind::Digit { .. } => ("caller", "presses a key".to_owned()),
            CallEventKind::AgentSpeaks => ("agent", self.agent_speaks(event.at_ms)),
            CallEventKind::AgentSpoke { played_ms, cut } => {
                let end = if *cut { "was cut off after" } else { "was heard to the end," };
                ("agent", format!("{end} {}", seconds(*played_ms)))
            }
            CallEventKind::StreamClosed { code: Some(code) } => {
                ("twilio", format!("the service closed the stream ({code})"))
            }
            CallEventKind::StreamClosed { code: None } => ("twilio", "the media stream broke off".to_owned()),
            CallEventKind::Updated => ("twilio", "REST: the call has new TwiML".to_owned()),
            CallEventKind::Redirected { url } => ("twilio", format!("<Redirect> {}", decoded(url))),
            CallEventKind::Said { text } => ("twilio", format!("<Say> \"{text}\"")),
            CallEventKind::Dialled { to, .. } => ("twilio", format!("<Dial> {to}")),
            CallEventKind::Warning { code, why } => ("twilio", format!("warning {code}: {why}")),
            CallEventKind::Ended { by } => ("twilio", format!("the call is over: {by}")),
            other => ("twilio", format!("{other:?}")),
        })
    }

    fn agent_speaks(&mut self, at_ms: u64) -> String {
        match self.caller_silent_since_ms.take() {
            Some(since) => {
                let waited_ms = at_ms - since;
                let is_slow = StageLimits::default().whole_ms.is_some_and(|bound| waited_ms > bound);
                let slow = if is_slow { ", which is slow" } else { "" };
                format!("is heard, {} after the caller has fallen silent{slow}", seconds(waited_ms))
            }
            None => "is heard".to_owned(),
        }
    }
}

/// Who did what; `None` if Twilio sees the same, or if it matters to nobody who watches a call.
pub(super) fn reported(report: &Report) -> Option<(&'static str, String)> {
    Some(match report {
        Report::Transcript { text, is_final: true, .. } => ("agent", format!("understands {text}")),
        Report::EndOfUtterance { turn, spoken: false, .. } => ("agent", format!("has heard nothing ({turn})")),
        Report::EndOfUtterance { turn, spoken: true, found_by, silence_ms } => {
            let after = silence_ms.map(|ms| format!(", {} after the voice", seconds(ms))).unwrap_or_default();
            ("bridge", format!("ends the utterance ({turn}), found by {}{after}", found_by.as_str()))
        }
        Report::Answered { turn, text, intent, thought_ms, .. } => {
            let intent = if intent.display_name.is_empty() { "-" } else { &intent.display_name };
            ("agent", format!("answers ({turn}, {intent}) after {} of thought: \"{text}\"", seconds(*thought_ms)))
        }
        Report::BargeIn { by, played_ms, cut_ms, .. } => {
            let (by, heard, cut) = (by.as_str(), seconds(*played_ms), seconds(*cut_ms));
            let told = format!("barge-in by {by}: {heard} of the prompt heard, {cut} cut");
            ("bridge", told)
        }
        Report::PromptGuarded { from, .. } => ("bridge", format!("goes on with the prompt: {}", from.as_str())),
        Report::TurnFailed { turn, fault, .. } => ("bridge", format!("{turn} failed: {fault}")),
        Report::Stages(stages) => ("bridge", stages_text(stages)),
        Report::HandedOff { status } => ("bridge", format!("hands the call on: {}", status.as_str())),
        Report::Started { .. }
        | Report::TurnOpened { .. }
        | Report::Transcript { is_final: false, .. }
        | Report::MoreAudio { .. }
        | Report::PromptRefused { .. }
        | Report::AnswerWithoutAudio { .. }
        | Report::Cancelled { .. }
        | Report::Filler { .. }
        | Report::Payload { .. }
        | Report::PayloadRefused { .. }
        | Report::ToolRefused { .. }
        | Report::ToolRun { .. }
        | Report::Succeeded { .. }
        | Report::WebhookFailed { .. }
        | Report::StartingEventUnanswered { .. }
        | Report::TurnUnanswered { .. }
        | Report::BackupTookOver { .. }
        | Report::Played { .. }
        | Report::NoInputTurnReplaced { .. }
        | Report::Rotated { .. }
        | Report::AudioDropped { .. }
        | Report::Digit
        | Report::DigitsComplete { .. }
        | Report::DigitDropped
        | Report::NoInput { .. }
        | Report::UnknownEvent { .. }
        | Report::HandoffShortened { .. }
        | Report::ToolResultsDropped { .. }
        | Report::TransferRefused { .. }
        | Report::CallerIdMissing
        | Report::TurnedAway
        | Report::AnswerTruncated { .. }
        | Report::LimitReached(_)
        | Report::Ended { .. } => return None,
    })
}

/// Where the time of a turn went, and which stage was slow.
fn stages_text(stages: &Stages) -> String {
    let took = |stage: TurnStage| {
        let ms = stages.interval(stage)?.ms();
        // Nobody notices shorter ones.
        (ms >= 10).then(|| format!("{} {}", stage.as_str(), seconds(ms)))
    };
    let times: Vec<String> = TurnStage::ALL.into_iter().filter_map(took).collect();
    let whole = stages.whole().map_or("was not heard".to_owned(), |whole| format!("took {}", seconds(whole.ms())));
    let slow_stage = StageLimits::default().slow_stage(stages);
    let slow =
        slow_stage.map(|slow_stage| format!("; slow because of {}", slow_stage.stage.as_str())).unwrap_or_default();
    format!("{} {whole}: {}{slow}", stages.turn, times.join(", "))
}

pub(super) fn seconds(ms: u64) -> String {
    format!("{}.{:02} s", ms / 1000, ms % 1000 / 10)
}

/// Decodes the percent-escapes of a URL for people.
fn decoded(url: &str) -> String {
    percent_encoding::percent_decode_str(url).decode_utf8_lossy().into_owned()
}

/// The call's audio as a WAV: 16 bits, 8,000 Hz, the caller on the left, the agent on the right.
pub(super) fn stereo(record: &CallRecord) -> Vec<u8> {
    let samples = record.said.iter().zip(&record.heard);
    let data: Vec<u8> = samples
        .flat_map(|(&said, &heard)| [mulaw_to_linear(said), mulaw_to_linear(heard)])
        .flat_map(i16::to_le_bytes)
        .collect();
    write_wav(2, AudioFormat { encoding: Encoding::Linear16, sample_rate: SAMPLE_RATE }, &data)
}
