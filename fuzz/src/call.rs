//! Decodes a call from the input with `arbitrary`: the settings first, then operations until the bytes are used up.

use std::sync::LazyLock;

use arbitrary::{Arbitrary, Unstructured};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dialbridge_core::agent::{
    AgentEnd, AgentFault, Answer, AnswerPart, DigitsForm, DtmfRules, Matched, Prompt, ToolCall, Transcript, Transfer,
};
use dialbridge_core::audio::AudioFormat;
use dialbridge_core::carried::StandIn;
use dialbridge_core::config::{BargeInMode, Clip, StreamShape};
use dialbridge_core::tape::{Tape, TapeError, TapeInput};
use dialbridge_core::{AgentEvent, CallConfig, Input, StreamId, UpdateResult};
use serde_json::{Map, Value, json};

use crate::watch::{START, WatchedCall};
use crate::wav::declared;

/// How many operations are run. More are slow and find nothing new.
const MAX_OPERATIONS: usize = 500;

/// The most frames of caller speech: 50 s, more than the service keeps.
const MAX_FRAMES: u32 = 2_500;

/// The longest prompt, and the longest prompt that needs conversion, in bytes. Conversion is slow and has its own
/// target.
const MAX_PROMPT_BYTES: usize = 20_000;
const MAX_CONVERTED_BYTES: usize = 2_000;

/// 20 ms of the caller's audio, silent and loud.
static FRAMES: LazyLock<[String; 2]> = LazyLock::new(|| [media(false, 160), media(true, 160)]);

/// Durations in milliseconds for settings and agents, by index: usual values and the limits of the range.
const MS: [u64; 16] = [
    0,
    1,
    20,
    100,
    500,
    1_000,
    3_000,
    5_000,
    10_000,
    15_000,
    30_000,
    60_000,
    120_000,
    3_600_000,
    u64::MAX / 8,
    u64::MAX,
];

/// Twilio's messages other than media, marks, DTMF and stop, by index.
const MESSAGES: [&str; 10] = [
    START,
    r#"{"event":"connected","protocol":"Call","version":"1.0.0"}"#,
    r#"{"event":"start","streamSid":"MZ2","start":{"callSid":"CA2"}}"#,
    r#"{"event":"start","streamSid":"MZ1","start":{"callSid":"CA1","mediaFormat":{"encoding":"audio/l16"}}}"#,
    r#"{"event":"media","media":{"track":"outbound","payload":"/w=="}}"#,
    r#"{"event":"media","media":{"payload":"no base64"}}"#,
    r#"{"event":"mark","mark":{"name":"a mark of somebody else"}}"#,
    r#"{"event":"mark","mark":{"name":"e0m4294967295"}}"#,
    r#"{"event":"dtmf","dtmf":{"digit":"12"}}"#,
    "no message",
];

const DIGITS: [char; 8] = ['1', '2', '0', '#', '*', 'A', 'd', '9'];

/// Custom payloads, by index. The first is none.
static PAYLOADS: LazyLock<[Value; 8]> = LazyLock::new(|| {
    [
        Value::Null,
        json!({ "dialbridge": { "play": "https://example.com/a.wav", "bargeIn": false } }),
        json!({ "dialbridge": { "transfer": { "to": "+15550123", "timeout": 20 } } }),
        json!({ "dialbridge": { "enqueue": { "queue": "support" } } }),
        json!({ "dialbridge": { "handoff": { "story": "x".repeat(5_000) } } }),
        json!({ "dialbridge": { "pause": {} } }),
        json!({ "dialbridge": { "end": true, "pause": {} } }),
        json!({ "richContent": [] }),
    ]
});

/// The configuration of a call. Numbers are indexes into the tables above.
#[derive(Debug, Clone, Default, PartialEq, Eq, Arbitrary)]
#[allow(missing_docs, reason = "as in dialbridge_core::CallConfig")]
pub struct Settings {
    pub starts: bool,
    pub event: bool,
    pub text: bool,
    pub barge_in: u8,
    pub min_words: u8,
    pub min_ms: u8,
    pub min_confidence: u8,
    pub tells_heard: bool,
    pub knows_prompts: bool,
    pub dtmf_rules: DtmfSettings,
    pub no_input: Option<u8>,
    /// Limits: milliseconds of the call and of silence, failed turns, turns without input.
    pub limits: Option<(u8, u8, u8, u8)>,
    /// The clip's length in chunks of 400 ms, and its delay.
    pub thinking: Option<(u8, u8)>,
    pub retrying: Option<u8>,
    pub has_url: bool,
    pub audio_limit_ms: u8,
    pub rotation_margin_ms: u8,
    pub migrate_after_ms: u8,
    /// The timeouts. Without it each has its default.
    pub timeouts: Option<[u8; 10]>,
    /// The retry budget and the first pause.
    pub retry: Option<(u8, u8)>,
    pub answering_turn: bool,
    pub seed: u8,
    /// Whether one stream lasts for the whole call.
    pub session_stream: bool,
    /// Whether tools can be run.
    pub has_tools: bool,
    /// Whether there is a backup, whose streams are of the other kind.
    pub has_backup: bool,
}

/// How DTMF digits are collected.
#[derive(Debug, Clone, Default, PartialEq, Eq, Arbitrary)]
#[allow(missing_docs, reason = "as in dialbridge_core::config::Keys")]
pub struct DtmfSettings {
    pub finish_digit: Option<u8>,
    pub max_digits: u8,
    pub interdigit_ms: u8,
    pub first_digit_ms: u8,
    pub form: u8,
}

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Arbitrary)]
pub enum Operation {
    /// A frame of the caller's audio with that many bytes.
    Media(bool, u8),
    /// Frames of 20 ms, each at its time; the number is their count.
    Talk(bool, u8),
    /// The mark that was sent that many marks ago comes back.
    Mark(u8),
    /// A digit, by index.
    Key(u8),
    /// A message, by index.
    Message(u8),
    /// A binary frame.
    Binary,
    /// The stream of the last turn, or of a turn that many turns earlier, says something.
    Agent(u8, AgentSays),
    /// The fetch of that many fetches ago ends: with that many bytes, or without a result.
    Fetched(u8, Option<u16>),
    /// The tools that were requested that many requests ago have run: how many, and whether they succeeded.
    ToolsRun(u8, u8, bool),
    /// The response to the REST update, by index.
    Updated(u8),
    /// The call must migrate.
    Migrate,
    /// Milliseconds pass, and each due deadline fires.
    Wait(u16),
    /// Twilio ends the stream.
    Stop,
    /// The socket closes.
    Closed,
}

/// An event of the agent's stream.
#[derive(Debug, Clone, PartialEq, Eq, Arbitrary)]
#[allow(missing_docs, reason = "as in dialbridge_core::agent")]
pub enum AgentSays {
    Transcript { words: u8, is_final: bool, confidence: Option<u8>, start_ms: Option<u8>, end_ms: Option<u8> },
    EndOfUtterance { end_ms: Option<u8> },
    Answer(AgentAnswer),
    Interrupted(bool),
    GoAway,
    Ended,
    Failed(bool),
}

/// An answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Arbitrary)]
#[allow(missing_docs, reason = "as in dialbridge_core::agent::Answer")]
pub struct AgentAnswer {
    pub part: u8,
    pub prompts: [Option<AgentPrompt>; 2],
    pub has_words: bool,
    pub has_text: bool,
    pub matched: u8,
    pub end: u8,
    pub payload: u8,
    /// The number of digits and the pause between them.
    pub dtmf_rules: Option<(u8, u8)>,
    /// The number of tools.
    pub tools: u8,
}

/// The audio of an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Arbitrary)]
pub struct AgentPrompt {
    /// As in the target `wav`.
    pub format: u8,
    /// The length in bytes, up to the maximum.
    pub bytes: u16,
    /// Whether it begins like a WAV.
    pub is_wav: bool,
    /// Whether it has to be fetched.
    pub is_elsewhere: bool,
    /// Whether the caller may interrupt it.
    pub interruptible: bool,
    /// Whether a later response cuts it off.
    pub cancellable: bool,
}

/// Runs settings and operations.
///
/// # Panics
/// If a property does not hold.
pub fn run(data: &[u8]) {
    let Some((settings, operations)) = read(data) else { return };
    let (starts, mut frames) = (settings.starts, MAX_FRAMES);
    let mut call = WatchedCall::new(settings.config());
    if starts {
        call.feed(&Input::Twilio(START));
    }
    for operation in &operations {
        happen(&mut call, operation, &mut frames);
    }
    call.settle();
    call.finish();
}

/// Decodes settings and operations.
#[must_use]
pub fn read(data: &[u8]) -> Option<(Settings, Vec<Operation>)> {
    let mut bytes = Unstructured::new(data);
    let settings = Settings::arbitrary(&mut bytes).ok()?;
    let mut operations = Vec::new();
    while !bytes.is_empty() && operations.len() < MAX_OPERATIONS {
        operations.push(Operation::arbitrary(&mut bytes).ok()?);
    }
    Some((settings, operations))
}

/// Feeds a tape to a watched call, with the tape's deadlines. If the tape has none, each deadline fires at its time.
///
/// # Errors
/// [`TapeError`] if the text is not a tape.
///
/// # Panics
/// If a property does not hold.
pub fn run_tape(text: &str) -> Result<(), TapeError> {
    let tape = Tape::parse(text)?;
    let meets_deadlines = !tape.inputs.iter().any(|(_, input)| *input == TapeInput::Timeout);
    let mut call = WatchedCall::new(tape.header.config);
    let mut before = dialbridge_core::CallTime::START;
    for (at, input) in &tape.inputs {
        if meets_deadlines {
            call.wait(at.ms_since(before));
        }
        call.jump(*at);
        call.feed(&input.as_input());
        before = *at;
    }
    call.settle();
    call.finish();
    Ok(())
}

/// Runs one operation. `frames` is how many frames the caller may still speak.
fn happen(call: &mut WatchedCall, operation: &Operation, frames_left: &mut u32) {
    match operation {
        Operation::Media(is_loud, bytes) => call.feed(&Input::Twilio(&media(*is_loud, usize::from(*bytes)))),
        Operation::Talk(is_loud, frames) => {
            let frames = u32::from(*frames).min(*frames_left);
            *frames_left -= frames;
            for _ in 0..frames {
                call.feed_frame(&FRAMES[usize::from(*is_loud)], 160);
                call.wait(20);
            }
        }
        Operation::Mark(back) => {
            if let Some(name) = call.mark(usize::from(*back)) {
                call.feed(&Input::Twilio(&format!(r#"{{"event":"mark","mark":{{"name":"{name}"}}}}"#)));
            }
        }
        Operation::Key(key) => {
            let key = pick(&DIGITS, *key);
            call.feed(&Input::Twilio(&format!(r#"{{"event":"dtmf","dtmf":{{"digit":"{key}"}}}}"#)));
        }
        Operation::Message(message) => call.feed(&Input::Twilio(MESSAGES[usize::from(*message) % MESSAGES.len()])),
        Operation::Binary => call.feed(&Input::TwilioBinary),
        Operation::Agent(back, said) => {
            let turn = StreamId(call.last_stream().saturating_sub((*back).into()));
            call.feed(&Input::Agent(turn, said.event()));
        }
        Operation::Fetched(back, bytes) => {
            if let Some(id) = call.fetch(usize::from(*back)) {
                let audio = bytes.map(|bytes| vec![0xFD; usize::from(bytes)]);
                call.feed(&Input::Fetched(id, audio.as_deref().ok_or("404")));
            }
        }
        Operation::ToolsRun(back, tools, is_well) => {
            if let Some(id) = call.tools(usize::from(*back)) {
                let result = if *is_well { Ok(Map::new()) } else { Err("no such tool".to_owned()) };
                call.feed(&Input::ToolsRun(id, vec![result; usize::from(*tools % 8)]));
            }
        }
        Operation::Updated(result) => {
            let results = [UpdateResult::Accepted, UpdateResult::CallGone, UpdateResult::Impossible];
            call.feed(&Input::Updated(*pick(&results, *result)));
        }
        Operation::Migrate => call.feed(&Input::Migrate),
        Operation::Wait(ms) => call.wait((*ms).into()),
        Operation::Stop => call.feed(&Input::Twilio(r#"{"event":"stop"}"#)),
        Operation::Closed => call.feed(&Input::TwilioClosed),
    }
}

fn media(is_loud: bool, bytes: usize) -> String {
    let wave = |n| if n % 16 < 8 { 0x12 } else { 0x92 };
    let audio: Vec<u8> = (0..bytes).map(|n| if is_loud { wave(n) } else { 0xFF }).collect();
    let payload = STANDARD.encode(audio);
    format!(r#"{{"event":"media","media":{{"payload":"{payload}"}}}}"#)
}

fn pick<T>(table: &[T], number: u8) -> &T {
    &table[usize::from(number) % table.len()]
}

fn ms(number: u8) -> u64 {
    *pick(&MS, number)
}

fn clip(chunks: u8) -> Option<Clip> {
    Some(Clip(vec![0x33; usize::from(chunks % 8) * 3_200].into()))
}

impl Settings {
    /// The configuration of the call.
    #[must_use]
    pub fn config(self) -> CallConfig {
        let mut config = CallConfig {
            knows_prompts: self.knows_prompts,
            audio_limit_ms: ms(self.audio_limit_ms),
            rotation_margin_ms: ms(self.rotation_margin_ms),
            migrate_after_ms: ms(self.migrate_after_ms),
            seed: self.seed.into(),
            has_tools: self.has_tools,
            shape: if self.session_stream { StreamShape::PerSession } else { StreamShape::PerTurn },
            ..CallConfig::default()
        };
        config.starting_input.event = self.event.then(|| "WELCOME".to_owned());
        config.starting_input.text = self.text.then(|| "hi".to_owned());
        config.handoff.end_of_interaction_url = self.has_url.then(|| "https://example.com/next?a=1".to_owned());
        config.barge_in.mode = *pick(&[BargeInMode::Off, BargeInMode::Speech, BargeInMode::Voice], self.barge_in);
        config.barge_in.min_words = self.min_words.into();
        config.barge_in.min_ms = ms(self.min_ms);
        config.barge_in.min_confidence = self.min_confidence;
        config.barge_in.heard_parameter = self.tells_heard.then(|| "heard".to_owned());
        config.dtmf.finish_digit = self.dtmf_rules.finish_digit.map(|key| *pick(&DIGITS, key));
        config.dtmf.max_digits = self.dtmf_rules.max_digits.into();
        config.dtmf.interdigit_ms = ms(self.dtmf_rules.interdigit_ms);
        config.dtmf.first_digit_ms = ms(self.dtmf_rules.first_digit_ms);
        config.dtmf.form = match self.dtmf_rules.form % 3 {
            0 => DigitsForm::Dtmf,
            1 => DigitsForm::Text,
            _ => DigitsForm::Event("keys".to_owned()),
        };
        if let Some(after) = self.no_input {
            config.no_input.event = Some("silence".to_owned());
            config.no_input.after_ms = ms(after);
        }
        if let Some((call, silence, failed, silent)) = self.limits {
            config.limits.call_ms = ms(call);
            config.limits.silence_ms = ms(silence);
            config.limits.failed_turns = failed.into();
            config.limits.no_input_turns = silent.into();
            config.words.goodbye = Some("Good bye.".to_owned());
        }
        if let Some((chunks, after)) = self.thinking {
            config.fillers.thinking = clip(chunks);
            config.fillers.thinking_after_ms = ms(after);
        }
        config.fillers.greeting_after_ms = 3_000;
        config.fillers.retrying = self.retrying.and_then(clip);
        if let Some((budget, first_pause)) = self.retry {
            config.retry.budget_ms = ms(budget);
            config.retry.first_backoff_ms = ms(first_pause);
        }
        config.retry.answering_turn = self.answering_turn;
        if let Some(timeouts) = self.timeouts {
            let [start, frames, answer, stalled, first, more, fetch, renewal, update, stop] = timeouts.map(ms);
            config.timeouts = dialbridge_core::config::Timeouts {
                start_ms: start,
                frames_ms: frames,
                answer_ms: answer,
                stalled_ms: stalled,
                first_audio_ms: first,
                more_audio_ms: more,
                fetch_ms: fetch,
                migration_ms: renewal,
                update_ms: update,
                stop_ms: stop,
                ..dialbridge_core::config::Timeouts::default()
            };
        }
        if self.has_backup {
            let shape = if self.session_stream { StreamShape::PerTurn } else { StreamShape::PerSession };
            let stands_in = Some(StandIn { agent: "old".to_owned(), backup_of: "new".to_owned() });
            config.backup = Some(Box::new(CallConfig { shape, stands_in, ..config.clone() }));
        }
        config
    }
}

impl AgentSays {
    fn event(&self) -> AgentEvent {
        match self {
            Self::Transcript { words, is_final, confidence, start_ms, end_ms } => AgentEvent::Transcript(Transcript {
                text: "word ".repeat(usize::from(*words % 8)),
                is_final: *is_final,
                confidence: confidence.map(|percent| f32::from(percent) / 100.0),
                start_ms: start_ms.map(ms),
                end_ms: end_ms.map(ms),
            }),
            Self::EndOfUtterance { end_ms } => AgentEvent::EndOfUtterance { end_ms: end_ms.map(ms) },
            Self::Answer(answer) => AgentEvent::Answer(Box::new(answer.answer())),
            Self::Interrupted(barge_in) => AgentEvent::Interrupted { barge_in: *barge_in },
            Self::GoAway => AgentEvent::GoAway,
            Self::Ended => AgentEvent::Ended,
            Self::Failed(transient) => {
                AgentEvent::Failed(AgentFault { code: "X".to_owned(), message: String::new(), transient: *transient })
            }
        }
    }
}

impl AgentAnswer {
    fn answer(&self) -> Answer {
        let payload = pick(&*PAYLOADS, self.payload);
        Answer {
            part: *pick(&[AnswerPart::Final, AnswerPart::Open, AnswerPart::Partial], self.part),
            prompts: self.prompts.iter().flatten().map(AgentPrompt::prompt).collect(),
            query_text: if self.has_words { "words".to_owned() } else { String::new() },
            text: if self.has_text { "text".to_owned() } else { String::new() },
            matched: *pick(&[Matched::Yes, Matched::NoMatch, Matched::NoInput], self.matched),
            end: match self.end % 8 {
                1 => Some(AgentEnd::EndInteraction),
                2 => Some(AgentEnd::LiveAgentHandoff { metadata: Value::from("m".repeat(5_000)) }),
                3 => Some(AgentEnd::Transfer(Transfer::to("+15550199"))),
                _ => None,
            },
            payloads: if payload.is_null() { Vec::new() } else { vec![payload.clone()] },
            dtmf_rules: self.dtmf_rules.map(|(digits, interdigit)| DtmfRules {
                finish_digit: None,
                max_digits: Some(digits.into()),
                interdigit_ms: Some(ms(interdigit)),
            }),
            tool_calls: vec![ToolCall::default(); usize::from(self.tools % 8)],
            ..Answer::default()
        }
    }
}

impl AgentPrompt {
    fn prompt(&self) -> Prompt {
        let format = declared(self.format);
        let most = if format == AudioFormat::TELEPHONE { MAX_PROMPT_BYTES } else { MAX_CONVERTED_BYTES };
        let mut audio = vec![0x55; if self.is_elsewhere { 0 } else { usize::from(self.bytes).min(most) }];
        if self.is_wav && audio.len() >= 12 {
            audio[..12].copy_from_slice(b"RIFF\0\0\0\0WAVE");
        }
        Prompt {
            format,
            audio: audio.into(),
            uri: self.is_elsewhere.then(|| "https://example.com/a.wav".to_owned()),
            interruptible: self.interruptible,
            cancellable: self.cancellable,
        }
    }
}
