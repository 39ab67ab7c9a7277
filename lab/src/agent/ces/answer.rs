//! Turns a script's answer into what a CES agent sends, and when.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use dialbridge_core::audio::AudioFormat;
use dialbridge_core::audio::g711::linear_to_mulaw;
use dialbridge_core::audio::wav::write_wav;
use googleapis_tonic_google_cloud_ces_v1::google::cloud::ces::v1 as ces;
use serde_json::{Map, Value, json};
use tokio::time::Instant;
use tonic::Status;

use ces::session_output::OutputType;

use crate::agent::ces::check::Opened;
use crate::agent::conversation::CallerInput;
use crate::agent::protobuf::{duration, protobuf_struct};
use crate::agent::script::{Break, EndOrder, EndSession, Fault, Reply, Script, ToolCall, TurnCompleted};
use crate::agent::speech::headless;

/// A step and its time.
#[derive(Debug)]
pub(super) struct Timed {
    pub(super) at: Instant,
    pub(super) step: Step,
}

/// A step of an answer.
#[derive(Debug)]
pub(super) enum Step {
    /// The audio that is playing gives way to what follows.
    Replace,
    /// Output with `audio_ms` of audio.
    Output { output: Box<ces::SessionOutput>, audio_ms: u64, is_protected: bool },
    /// Tool calls.
    Tools(Vec<ToolCall>),
    /// The end of the session in a message of its own.
    EndSession(ces::EndSession),
    /// Tells the client to go away.
    GoAway,
    /// Breaks the stream.
    Break(Break),
}

impl Step {
    /// Whether an interruption by the caller drops this step.
    pub(super) fn is_spoken(&self) -> bool {
        match self {
            Self::Output { output, .. } => {
                matches!(output.output_type, Some(OutputType::Text(_) | OutputType::Audio(_)))
            }
            Self::Replace | Self::Tools(_) | Self::EndSession(_) | Self::GoAway | Self::Break(_) => false,
        }
    }

    /// Whether this step completes the turn.
    pub(super) fn completes(&self) -> bool {
        matches!(self, Self::Output { output, .. } if output.turn_completed)
    }
}

/// An answer to give.
pub(super) struct Answer<'a> {
    pub(super) script: &'a Script,
    pub(super) opened: &'a Opened,
    pub(super) said: &'a CallerInput,
    pub(super) reply: &'a Reply,
    pub(super) turn: i32,
    /// Whether it continues a turn in which the agent has already spoken.
    pub(super) goes_on: bool,
}

/// A list of steps with a clock.
struct Steps {
    at: Instant,
    list: VecDeque<Timed>,
}

impl Steps {
    fn push(&mut self, step: Step) {
        self.list.push_back(Timed { at: self.at, step });
    }

    fn wait(&mut self, ms: u64) {
        self.at += Duration::from_millis(ms);
    }
}

impl Answer<'_> {
    /// The steps, in order.
    pub(super) fn steps(&self, now: Instant) -> Result<VecDeque<Timed>, Status> {
        let mut steps = Steps { at: now, list: VecDeque::new() };
        steps.wait(self.reply.think_ms.unwrap_or(self.script.think_ms));
        let mut replaces = !self.goes_on;
        for first in &self.reply.first {
            self.begin(first, replaces, &mut steps);
            self.speak(first, &mut steps)?;
            steps.wait(first.think_ms.unwrap_or(self.script.think_ms));
            replaces = first.allow_cancellation;
        }
        if let Some(fault) = self.reply.fault.filter(|fault| fault.fails_stream()) {
            steps.push(Step::Break(fault.as_break()));
            return Ok(steps.list);
        }
        self.begin(self.reply, replaces, &mut steps);
        let behaviour = &self.script.ces;
        let end = end_metadata(self.reply).map(|metadata| end_session(&metadata));
        if let Some(end) = end.clone().filter(|_| behaviour.end_order == EndOrder::BeforeAudio) {
            self.end(end, &mut steps);
        }
        let audio_begins = steps.list.len();
        self.speak(self.reply, &mut steps)?;
        if let Some(broken) = self.reply.breaks {
            let spoken = steps.list.len() - audio_begins;
            steps.list.truncate(audio_begins + spoken.div_ceil(2));
            steps.at = steps.list.back().map_or(steps.at, |last| last.at);
            steps.push(Step::Break(broken));
            return Ok(steps.list);
        }
        self.close(end.filter(|_| behaviour.end_order == EndOrder::AfterAudio), &mut steps);
        Ok(steps.list)
    }

    /// The steps before the audio of a part.
    fn begin(&self, part: &Reply, replaces: bool, steps: &mut Steps) {
        if replaces {
            steps.push(Step::Replace);
        }
        if !part.say.is_empty() {
            steps.push(self.output(Some(OutputType::Text(part.say.clone()))));
        }
        for payload in &part.payload {
            steps.push(self.output(Some(OutputType::Payload(protobuf_struct(payload)))));
        }
    }

    /// The audio of a part, in messages that are sent faster than they play.
    fn speak(&self, part: &Reply, steps: &mut Steps) -> Result<(), Status> {
        let mixed = part.mixed.iter().filter_map(|segment| segment.mulaw.as_deref());
        let mut mulaw: Vec<u8> = part.mulaw.as_deref().into_iter().chain(mixed).flatten().copied().collect();
        let Some(format) = self.opened.output.filter(|_| !mulaw.is_empty()) else { return Ok(()) };
        let behaviour = &self.script.ces;
        mulaw.splice(..0, quiet(behaviour.lead_ms));
        let data = headless(&mulaw, format).map_err(|error| Status::unimplemented(error.to_string()))?;
        let audio = Bytes::from(if behaviour.riff { write_wav(1, format, &data) } else { data });
        let piece_bytes = bytes_of(behaviour.piece_ms.max(1), format);
        for begin in (0..audio.len()).step_by(piece_bytes) {
            let piece = audio.slice(begin..audio.len().min(begin + piece_bytes));
            let audio_ms = piece.len() as u64 * 1000 / bytes_of(1000, format) as u64;
            let output = Box::new(ces::SessionOutput {
                turn_index: self.turn,
                output_type: Some(OutputType::Audio(piece)),
                ..Default::default()
            });
            steps.push(Step::Output { output, audio_ms, is_protected: part.protected });
            steps.wait(audio_ms / behaviour.speed.max(1));
        }
        Ok(())
    }

    /// The steps after the audio: the tool calls, or the end of the turn and perhaps of the session.
    fn close(&self, end: Option<ces::EndSession>, steps: &mut Steps) {
        let tools: Vec<ToolCall> = self.reply.tool_call.iter().chain(&self.reply.more_tool_calls).cloned().collect();
        if !tools.is_empty() {
            steps.push(Step::Tools(tools));
            return;
        }
        let behaviour = &self.script.ces;
        if end.is_some() {
            steps.wait(behaviour.end_delay_ms);
        }
        // Inside the output it must precede the turn's last message; at the top level the turn is completed first.
        let (in_output, top_level) = places(end, behaviour.end_session);
        if let Some(end) = in_output {
            steps.push(self.output(Some(OutputType::EndSession(end))));
        }
        self.complete(steps);
        if let Some(end) = top_level {
            steps.push(Step::EndSession(end));
        }
        if self.reply.go_away || self.reply.fault == Some(Fault::Goaway) {
            steps.push(Step::GoAway);
        }
    }

    fn end(&self, end: ces::EndSession, steps: &mut Steps) {
        let (in_output, top_level) = places(Some(end), self.script.ces.end_session);
        if let Some(end) = in_output {
            steps.push(self.output(Some(OutputType::EndSession(end))));
        }
        if let Some(end) = top_level {
            steps.push(Step::EndSession(end));
        }
    }

    fn complete(&self, steps: &mut Steps) {
        let last = steps.list.back_mut().map(|timed| &mut timed.step);
        match last {
            Some(Step::Output { output, audio_ms, .. })
                if self.script.ces.turn_completed == TurnCompleted::WithAudio && *audio_ms > 0 =>
            {
                output.turn_completed = true;
                output.diagnostic_info = Some(self.diagnostic_info());
            }
            _ => steps.push(self.completed()),
        }
    }

    /// The message that completes the turn, without output.
    pub(super) fn completed(&self) -> Step {
        let output = Box::new(ces::SessionOutput {
            turn_index: self.turn,
            turn_completed: true,
            diagnostic_info: Some(self.diagnostic_info()),
            output_type: None,
        });
        Step::Output { output, audio_ms: 0, is_protected: false }
    }

    fn output(&self, output_type: Option<OutputType>) -> Step {
        let output = Box::new(ces::SessionOutput { turn_index: self.turn, output_type, ..Default::default() });
        Step::Output { output, audio_ms: 0, is_protected: self.reply.protected }
    }

    fn diagnostic_info(&self) -> ces::session_output::DiagnosticInfo {
        use ces::chunk::Data;
        let heard = match self.said {
            CallerInput::Utterance { transcript } => Some(Data::Transcript(transcript.clone())),
            CallerInput::Text(text) => Some(Data::Text(text.clone())),
            CallerInput::Event { .. }
            | CallerInput::Digits { .. }
            | CallerInput::ToolResult { .. }
            | CallerInput::Nothing => None,
        };
        let reply = self.reply;
        let text = (!reply.say.is_empty()).then(|| Data::Transcript(reply.say.clone()));
        let variables =
            (!reply.parameters.is_empty()).then(|| Data::UpdatedVariables(protobuf_struct(&reply.parameters)));
        let message = |role: &str, data: Vec<Data>| ces::Message {
            role: role.to_owned(),
            chunks: data.into_iter().map(|data| ces::Chunk { data: Some(data) }).collect(),
            event_time: None,
        };
        let messages = [
            message("user", heard.into_iter().collect()),
            message("agent", text.into_iter().chain(variables).collect()),
        ];
        let attributes = json!({ "intent": reply.intent, "webhook_fault": reply.webhook_fault });
        let root_span = ces::Span {
            name: "turn".to_owned(),
            duration: Some(duration(reply.think_ms.unwrap_or(self.script.think_ms))),
            attributes: attributes.as_object().map(protobuf_struct),
            ..Default::default()
        };
        ces::session_output::DiagnosticInfo {
            messages: messages.into_iter().filter(|message| !message.chunks.is_empty()).collect(),
            root_span: Some(root_span),
        }
    }
}

/// Audio that is too low to be a voice: -60 dB of full scale.
fn quiet(ms: u64) -> impl Iterator<Item = u8> {
    (0..ms).flat_map(|_| [32, 32, 32, 32, -32, -32, -32, -32].map(linear_to_mulaw))
}

fn places(end: Option<ces::EndSession>, place: EndSession) -> (Option<ces::EndSession>, Option<ces::EndSession>) {
    match place {
        EndSession::TopLevel => (None, end),
        EndSession::InOutput => (end, None),
        EndSession::Both => (end.clone(), end),
    }
}

/// Why the session ends with that answer; `None` if it continues. `params` holds the details of a hand-off or a
/// transfer, under the names of Google's hand-off guides.
fn end_metadata(reply: &Reply) -> Option<Map<String, Value>> {
    let ends = reply.end || reply.handoff.is_some() || reply.transfer.is_some() || reply.end_session.is_some();
    let mut metadata = ends.then(|| reply.end_session.clone().unwrap_or_default())?;
    let mut params = match metadata.remove("params") {
        Some(Value::Object(params)) => params,
        _ => Map::new(),
    };
    if let Some(handoff) = &reply.handoff {
        metadata.entry("session_escalated").or_insert(true.into());
        params.entry("LIVE_AGENT_HANDOFF").or_insert_with(|| handoff.clone());
    }
    if let Some(number) = &reply.transfer {
        params.entry("PHONE_GATEWAY_TRANSFER").or_insert_with(|| json!({ "phoneNumber": number }));
    }
    if !params.is_empty() {
        metadata.insert("params".to_owned(), params.into());
    }
    Some(metadata)
}

fn end_session(metadata: &Map<String, Value>) -> ces::EndSession {
    ces::EndSession { metadata: (!metadata.is_empty()).then(|| protobuf_struct(metadata)) }
}

/// How many bytes this much audio has.
pub(super) fn bytes_of(ms: u64, format: AudioFormat) -> usize {
    let samples = ms * u64::from(format.sample_rate) / 1000;
    usize::try_from(samples).unwrap_or(usize::MAX / 2) * usize::from(format.encoding.bytes_per_sample())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(toml: &str) -> Reply {
        let none = |_: &str| Err(std::io::ErrorKind::NotFound.into());
        Script::parse(&format!("[[utterance]]\n{toml}"), "test", &none).unwrap().utterance.remove(0)
    }

    fn metadata(toml: &str) -> Option<Value> {
        end_metadata(&reply(toml)).map(Value::Object)
    }

    #[test]
    fn an_end_says_why() {
        assert_eq!(metadata("say = \"a\""), None);
        assert_eq!(metadata("end = true"), Some(json!({})));
        let handoff = json!({ "session_escalated": true, "params": { "LIVE_AGENT_HANDOFF": { "queue": "cakes" } } });
        assert_eq!(metadata("handoff = { queue = \"cakes\" }"), Some(handoff));
        let transfer = json!({ "params": { "PHONE_GATEWAY_TRANSFER": { "phoneNumber": "+15550123" } } });
        assert_eq!(metadata("transfer = \"+15550123\""), Some(transfer));
        let both = json!({
            "reason": "angry", "session_escalated": false,
            "params": { "order": 7, "LIVE_AGENT_HANDOFF": {} },
        });
        let given =
            "end_session = { reason = \"angry\", session_escalated = false, params = { order = 7 } }\nhandoff = {}";
        assert_eq!(metadata(given), Some(both));
    }
}
