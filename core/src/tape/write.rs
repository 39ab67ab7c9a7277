//! Writing a tape, line by line.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::agent::{AgentCommand, TurnInput};
use crate::call::{Input, Output};
use crate::checksum::Checksum;
use crate::config::CallConfig;
use crate::ids::StreamSid;
use crate::tape::mask::{AudioMask, Typed, masked_digit, masked_digits};
use crate::tape::{Header, Marks, Mask, TAPE_VERSION};
use crate::time::CallTime;
use crate::twilio::TwilioMessage;

/// Writes the lines of one tape, without line breaks. Remembers the secrets that must not be found on it.
#[derive(Debug, Default)]
pub struct TapeWriter {
    mask: Mask,
    typed: Typed,
    audio: AudioMask,
}

impl TapeWriter {
    /// A writer for a tape that is masked this way.
    #[must_use]
    pub fn new(mask: Mask) -> Self {
        Self { mask, typed: Typed::default(), audio: AudioMask::default() }
    }

    /// The first line.
    #[must_use]
    pub fn header(&self, edition: &str, config: &CallConfig) -> String {
        let header = Header {
            tape: TAPE_VERSION,
            edition: edition.to_owned(),
            config: config.clone(),
            marks: Marks::Recorded,
            mask: self.mask,
            note: String::new(),
            conversation: None,
        };
        serde_json::to_value(header).map(|header| header.to_string()).unwrap_or_default()
    }

    /// The line of an input. Write it before the call gets the input. `timer` names the deadline of an
    /// [`Input::Timeout`]; `finish` is [`Call::finish_digit`](crate::Call::finish_digit).
    pub fn input(&mut self, at: CallTime, input: &Input<'_>, timer: Option<&str>, finish: Option<char>) -> String {
        let at = at.as_ms();
        let line = match input {
            Input::Twilio(text) => match serde_json::from_str::<Value>(text) {
                Ok(message) => json!({ "at_ms": at, "from": "twilio", "message": self.masked(message, finish) }),
                // A text that is not a message may contain anything, so a masked tape leaves it out.
                Err(_) if self.mask.digits || self.mask.audio => json!({ "at_ms": at, "from": "twilio", "text": "…" }),
                Err(_) => json!({ "at_ms": at, "from": "twilio", "text": text }),
            },
            Input::TwilioBinary => json!({ "at_ms": at, "from": "twilio", "binary": true }),
            Input::TwilioClosed => json!({ "at_ms": at, "from": "twilio", "closed": true }),
            Input::Text(text) => json!({ "at_ms": at, "from": "runner", "message": { "text": text } }),
            Input::Agent(stream, event) => {
                self.typed.note_event(event);
                let masked = self.typed.masked(*stream, event).filter(|_| self.mask.digits);
                let event = masked.as_ref().unwrap_or(event);
                json!({ "at_ms": at, "from": "agent", "turn": stream, "message": event })
            }
            Input::Updated(result) => json!({ "at_ms": at, "from": "runner", "message": { "updated": result } }),
            Input::Fetched(id, Ok(audio)) => {
                let fetched = json!({ "id": id, "audio": STANDARD.encode(audio) });
                json!({ "at_ms": at, "from": "runner", "message": { "fetched": fetched } })
            }
            Input::Fetched(id, Err(fault)) => {
                json!({ "at_ms": at, "from": "runner", "message": { "fetched": { "id": id, "fault": fault } } })
            }
            Input::ToolsRun(id, results) => {
                let results: Vec<Value> = results.iter().map(|result| self.tool_run(result)).collect();
                json!({ "at_ms": at, "from": "runner", "message": { "toolsRun": { "id": id, "results": results } } })
            }
            Input::AudioRoom(ms) => json!({ "at_ms": at, "from": "runner", "message": { "audioRoom": ms } }),
            Input::Admitted(has_room) => json!({ "at_ms": at, "from": "runner", "message": { "admitted": has_room } }),
            Input::NotReading => json!({ "at_ms": at, "from": "runner", "message": { "notReading": {} } }),
            Input::TakenOver => json!({ "at_ms": at, "from": "runner", "message": { "takenOver": {} } }),
            Input::Migrate => json!({ "at_ms": at, "from": "runner", "message": { "renew": {} } }),
            Input::Timeout => json!({ "at_ms": at, "from": "timer", "message": { "timer": timer } }),
        };
        line.to_string()
    }

    /// The line of an output. `None` for a report, which nobody has to act on.
    pub fn output(&mut self, at: CallTime, output: &Output, stream: &StreamSid) -> Option<String> {
        let at = at.as_ms();
        let line = match output {
            Output::Twilio(message) => json!({ "at_ms": at, "to": "twilio", "message": to_twilio(message, stream) }),
            Output::Agent(stream, command) => {
                self.typed.note(*stream, command);
                json!({ "at_ms": at, "to": "agent", "turn": stream, "message": self.to_agent(command) })
            }
            // The stream's parameters stand in its `start`.
            Output::Admit(_) => json!({ "at_ms": at, "to": "runner", "message": { "admit": {} } }),
            Output::Update { twiml } => {
                let twiml = if self.mask.digits && self.typed.has_secrets() { "…" } else { twiml };
                json!({ "at_ms": at, "to": "runner", "message": { "update": twiml } })
            }
            Output::Fetch(id, uri) => {
                json!({ "at_ms": at, "to": "runner", "message": { "fetch": { "id": id, "uri": uri } } })
            }
            Output::RunTools(id, calls) => {
                let calls: Vec<&str> = calls.iter().map(|call| call.tool.as_str()).collect();
                json!({ "at_ms": at, "to": "runner", "message": { "runTools": { "id": id, "tools": calls } } })
            }
            Output::UseBackup => json!({ "at_ms": at, "to": "runner", "message": { "useBackup": {} } }),
            Output::Close(reason) => json!({ "at_ms": at, "to": "runner", "message": { "close": reason.to_string() } }),
            Output::Report(_) => return None,
        };
        Some(line.to_string())
    }

    fn tool_run(&self, result: &Result<Map<String, Value>, String>) -> Value {
        match result {
            Ok(result) => json!({ "result": self.typed.masked_object(result, self.mask) }),
            Err(why) => json!({ "fault": why }),
        }
    }

    fn masked(&mut self, mut message: Value, finish: Option<char>) -> Value {
        let payload = message.pointer("/media/payload").and_then(Value::as_str);
        if let Some(payload) = payload.filter(|_| self.mask.audio) {
            let masked = STANDARD.decode(payload).map(|audio| STANDARD.encode(self.audio.masked(&audio)));
            message["media"]["payload"] = masked.unwrap_or_default().into();
        }
        if let Some(digit) = message.pointer("/dtmf/digit").and_then(Value::as_str).filter(|_| self.mask.digits) {
            message["dtmf"]["digit"] = masked_digit(digit, finish).into();
        }
        message
    }

    fn to_agent(&self, command: &AgentCommand) -> Value {
        match command {
            AgentCommand::Open(start) => {
                let mut open =
                    json!({ "command": "open", "input": start.input.kind(), "parameters": start.parameters });
                if let Some(window) = start.barge_in {
                    open["bargeIn"] = json!({ "protectedMs": window.protected_ms, "totalMs": window.total_ms });
                }
                if let Some(page) = &start.page {
                    open["page"] = page.as_str().into();
                }
                if !start.past_turns.is_empty() {
                    open["pastTurns"] = start.past_turns.len().into();
                }
                self.describe(&start.input, &mut open);
                open
            }
            AgentCommand::Audio(audio) if self.mask.audio => json!({ "command": "audio", "bytes": audio.len() }),
            AgentCommand::Audio(audio) => {
                json!({ "command": "audio", "bytes": audio.len(), "sum": Checksum::of(audio).to_string() })
            }
            AgentCommand::Send(input) => {
                let mut send = json!({ "command": "send", "input": input.kind() });
                self.describe(input, &mut send);
                send
            }
            AgentCommand::Parameters(parameters) => json!({ "command": "parameters", "parameters": parameters }),
            AgentCommand::CallerSpeaks(speaks) => json!({ "command": "callerSpeaks", "speaks": speaks }),
            AgentCommand::HalfClose => json!({ "command": "finishInput" }),
            AgentCommand::Cancel => json!({ "command": "cancel" }),
            AgentCommand::Done => json!({ "command": "done" }),
        }
    }
}

impl TapeWriter {
    /// Adds what an input is, masked if the tape is.
    fn describe(&self, input: &TurnInput, to: &mut Value) {
        let (name, value) = match input {
            TurnInput::Audio => return,
            TurnInput::Event(name) => ("name", name.as_str().into()),
            TurnInput::Text(text) => ("text", text.as_str().into()),
            TurnInput::Digits(digits, _) if self.mask.digits => ("keys", masked_digits(&digits.digits).into()),
            TurnInput::Digits(digits, _) => ("keys", digits.digits.as_str().into()),
            TurnInput::ToolResults(results) => {
                ("tools", results.iter().map(|result| Value::from(result.call.tool.as_str())).collect())
            }
        };
        to[name] = value;
    }
}

fn to_twilio(message: &TwilioMessage, stream: &StreamSid) -> Value {
    if let TwilioMessage::Media(audio) = message {
        return json!({ "event": "media", "bytes": audio.len(), "sum": Checksum::of(audio).to_string() });
    }
    let mut text = String::new();
    message.write(stream, &mut text);
    serde_json::from_str(&text).unwrap_or_default()
}
