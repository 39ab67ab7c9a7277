//! What the agent says and does: a TOML file, with WAV files beside it.
//!
//! ```toml
//! end_of_utterance_ms = 600        # silence that ends an utterance
//! no_speech_ms = 5000              # silence that counts as no-input; 0: never
//! think_ms = 200                   # thinking time of an answer that sets none
//! distance_ms = 0                  # how far away the agent is, each way
//!
//! [start]                          # the answer to the starting event or text
//! event = "WELCOME"                # an event of another name gets no answer
//! say = "Hello."
//! audio = "hello.wav"
//!
//! [[utterance]]                    # the answer to the first utterance, then to the second, and so on
//! heard = "two loaves please"      # the transcript; without it the length of the speech
//! say = "Two loaves."
//! audio = "loaves.wav"             # or tone = { hz = 400, ms = 900 }
//! intent = "order.bread"
//! parameters = { loaves = 2 }
//!
//! [[utterance]]
//! say = "I will put you through."
//! handoff = { queue = "cakes" }    # or end = true, or transfer = "+15550123"
//!
//! [digits.1]                       # the answer to digits, as DTMF, as a text, or as an event with the parameter `digits`
//! say = "You pressed one."
//!
//! [other_digits]                   # the answer to all others
//! say = "Please try again."
//!
//! [event.NO_INPUT]                 # the answer to an event of that name
//! say = "Are you still there?"
//!
//! [no_input]                       # the answer to no-input
//! say = "I did not hear you."
//! ```
//!
//! # What else an answer can carry
//!
//! ```toml
//! [[utterance]]
//! think_ms = 900                   # how long the agent thinks
//! protected = true                 # the caller may not interrupt (CX)
//! no_match = true                  # the caller was not understood
//! page = "Confirm"                 # the page that the conversation is on then, and its flow (CX)
//! flow = "Checkout"
//! success = true                   # the conversation is a success (CX)
//! webhook_fault = "down"           # a webhook failed on the way
//! payload = { dialbridge = { end = true } }    # a custom payload, or a list of them
//! play = "gs://bucket/jingle.wav"  # a recording that the client fetches (CX, v2beta1); https: too
//! speech = "Good morning."         # words for the client to synthesise (v2beta1); <speak>…</speak> is SSML
//! dtmf = { finish_digit = "*", max_digits = 4, interdigit_ms = 2000, endpointing_ms = 900 }    # how digits are collected from here on (CX)
//! tool_call = { tool = "tools/1", action = "look-up", args = { n = 1 } }    # the next turn (CX) or input (CES) must bring its
//!                                  # result, which the utterance after this one answers
//! mixed = [                        # mixed audio (CX): each part a recording, a tone or an address
//!     { tone = { hz = 400, ms = 300 }, protected = true },
//!     { uri = "https://example.com/music.wav" },
//! ]
//!
//! [[utterance]]
//! first = [                        # what the agent says while it still works: partial responses (CX)
//!     { say = "One moment.", tone = { hz = 400, ms = 500 } },
//!     { audio = "music.wav", allow_cancellation = true },    # the next response cuts it
//! ]
//! repeats_partials = true          # the last response's audio begins with the audio of the partial ones
//! tone = { hz = 500, ms = 300 }
//!
//! [[utterance]]
//! fault = "UNAVAILABLE"            # no answer: the stream fails with that gRPC code. The next attempt gets the next answer
//! fault_after_ms = 800             # not at the answer, but after this much speech
//!
//! [[utterance]]
//! fault = "DOWN"                   # another fault: see below
//! fault_at = "opening"             # before the stream is accepted (CX, ES); or "answer", "middle"
//! fault_times = 2                  # how often it fails before the answer is given
//! down_ms = 3000
//! say = "Good to have you back."
//! ```
//!
//! A fault is a gRPC code as Google spells it (`RESOURCE_EXHAUSTED`, `UNAUTHENTICATED`, `DEADLINE_EXCEEDED`…), or one
//! of these faults below gRPC ([`Fault`]; over CES each becomes what comes closest to it):
//!
//! | fault | what happens |
//! | --- | --- |
//! | `RESET` | the stream is reset (`RST_STREAM` with `INTERNAL_ERROR`) |
//! | `REFUSED_STREAM` | the same with `REFUSED_STREAM`: at `fault_at = "opening"` the server has not seen the stream |
//! | `STALL` | the stream stays open, but nothing is read from it and nothing comes any more |
//! | `GOAWAY` | the connection takes no more streams; those that are on it go on, and this one is answered (CES: the stream is told to go away after its answer) |
//! | `CUT` | the connection breaks, with all streams on it |
//! | `DOWN` | all connections break, and nobody can connect for `down_ms` (2000) |
//!
//! # What Google's documentation leaves open
//!
//! A client must cope with every variant, so the lab can play each: [`Closes`], [`Answers`], [`Transcripts`],
//! [`AudioMessages`], [`MixedAudio`], [`Output`], and `repeats_partials`.
//!
//! ```toml
//! closes = "after-answer"          # or "after-half-close"
//! answers = "after-half-close"     # or "at-once"
//! transcripts = "before-end"       # or "after-end", "without-end", "interim-only" (ES, CX)
//! speech_ends = "in-transcripts"   # or "in-end", "nowhere": what has a `speech_end_offset`
//! recogniser_lag_ms = 0            # how late transcripts and ends come, and by how much more at most
//! recogniser_jitter_ms = 0
//! audio_messages = "after"         # or "with-result", "split" (ES)
//! mixed_audio = "apart"            # or "in-output-audio" (CX)
//! parameter_names = "as-set"       # or "lower", "upper" (CX)
//! interim = true                   # whether there are transcripts before the last one
//! word_times = false               # whether words get times, for a client that asks for them
//! understands_itself = false       # whether words of `say` that a telephone returns are understood
//! confidence = 0.9                 # of the transcripts; without it they have none
//! output = { encoding = "linear16", sample_rate = 24000 }    # a fixed coding; without it the requested one; with
//!                                  # announced = "mp3" or "ogg-opus" the answer names that coding
//! ```
//!
//! # What the REST API shows of the agent
//!
//! ```toml
//! [agent]                          # as Google's API spells it (CX); refuses = 403 shows nothing
//! advancedSettings.speechSettings = { endpointerSensitivity = 90, models = { en-US = "telephony_short" } }
//! ```
//!
//! # CES
//!
//! The same scripts serve as agents of the Customer Engagement Suite. The lab maps what CES does not have as Google
//! does: a hand-off, a transfer and an end become an `end_session` with metadata, parameters become updated variables,
//! `[no_input]` becomes the inactivity prompt (after `no_speech_ms` of silence), and partial responses become parts of
//! one turn. `play`, `speech`, `success` and addresses in mixed audio have no effect. Settings that only CES has, with
//! their defaults except for the lists:
//!
//! ```toml
//! [ces]
//! token = ""                       # the token that streams must bring; empty: none
//! serves = "both"                  # or "grpc", "websocket": the other transport is not found
//! frames = "binary"                # or "text": the frame type of JSON
//! unpublished_fields = false       # whether JSON has a field that is in no published proto
//! deployments = ["live"]           # the deployments that exist; without it any name works
//! refuses = ["served", 503, "UNAVAILABLE", "reset"]    # what happens to the first stream, the second…: an HTTP
//!                                  # status, a gRPC or close code, "close", "reset", "stall"
//! breaks = ["RESOURCE_EXHAUSTED"]  # the same, but after the configuration
//! idle_ms = 30000                  # a stream without input ends after this time
//! idle = "close"                   # how it ends (as in refuses)
//! go_away_ms = 0                   # the age at which a stream is told to go away; 0: never
//! go_away_lead_ms = 5000           # how long it stays open after that
//! go_away = "close"                # how it ends
//! end_session = "top-level"        # or "in-output", "both": where the end of the session stands
//! end_order = "after-audio"        # or "before-audio"
//! end_delay_ms = 0                 # how long after the last audio it comes
//! turn_completed = "apart"         # or "with-audio": in the last audio's message
//! completes_interrupted = true     # whether an interrupted turn is completed
//! half_close = "answers"           # or "drops": what happens to unfinished speech at the half-close
//! unknown_event = "ignored"        # or "refused"
//! digits = "many"                  # or "one": a message with more is refused
//! digit_gap_ms = 2000              # the longest pause between digits, unless an answer's `dtmf` sets one
//! tool_calls = "session"           # or "stream": a later stream refuses their results
//! tool_timeout_ms = 30000          # after this time the tool has failed, and its result is refused
//! piece_ms = 200                   # audio in one message
//! speed = 4                        # how many times faster than real time audio is sent
//! riff = false                     # whether an answer's audio begins with a WAV header
//! ambient = false                  # whether low noise is sent while nobody speaks
//! turn_index = "session"           # or "stream": a new stream counts from 1
//! after_end = "continues"          # or "refused": a new stream of a session that has ended
//!
//! [[utterance]]
//! breaks = "reset"                 # the stream breaks in the middle of the audio (as in refuses), or while it listens
//!                                  # if `fault_after_ms` is set
//! [[utterance]]
//! tool_call = { tool = "tools/1" } # the agent puts the app's name before it
//! more_tool_calls = [{ tool = "tools/2" }]    # all results must come
//! [[utterance]]
//! go_away = true                   # after the answer the stream is told to go away
//! [[utterance]]
//! end_session = { reason = "done", params = { order = 7 } }    # the metadata, beside those of handoff and transfer
//! ```

mod ces;
mod fault;
mod load;
mod reply;
mod switches;

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

pub use ces::{
    AfterEnd, Break, Ces, Digits, EndOrder, EndSession, Frames, HalfClose, History, Outputs, PlannedBreak, Routing,
    Serves, SessionState, ToolCalls, TurnCompleted, TurnIndex, UnknownEvent,
};
pub use fault::{Fault, FaultAt, PlannedFault};
pub use load::{AudioError, ScriptError, bakery_caller, mulaw_of};
pub use reply::{DtmfRules, Reply, Segment, Tone, ToolCall};
pub use switches::{
    Announced, Answers, AudioMessages, Closes, DebuggingInfo, Edition, MixedAudio, Output, ReturnedNames, SpeechEnds,
    Transcripts,
};

/// An agent's script.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Script {
    /// A name for people.
    pub name: String,
    /// The edition that the embedded agent is served as: `cx`, `es` or `ces`.
    pub edition: Edition,
    /// Silence that ends an utterance, in milliseconds.
    pub end_of_utterance_ms: u64,
    /// Silence after which the agent ends the turn as no-input, in milliseconds; 0: it waits for ever.
    pub no_speech_ms: u64,
    /// How long the agent thinks about an answer that sets no time of its own, in milliseconds.
    pub think_ms: u64,
    /// How long everything takes from the client to the agent, and as long back, in milliseconds.
    pub distance_ms: u64,
    /// Whether the stream closes after the answer, or stays open until the client half-closes it.
    pub closes: Closes,
    /// Whether the answer waits for the half-close.
    pub answers: Answers,
    /// Whether the last final transcript comes before `END_OF_SINGLE_UTTERANCE` or after it.
    pub transcripts: Transcripts,
    /// What says where the recognised speech ends.
    pub speech_ends: SpeechEnds,
    /// Which message carries the answer's audio (ES).
    pub audio_messages: AudioMessages,
    /// Whether mixed audio is also in the answer's audio (CX).
    pub mixed_audio: MixedAudio,
    /// Where the debugging info stands (CX).
    pub debugging_info: DebuggingInfo,
    /// In which case the names of parameters come back.
    pub parameter_names: ReturnedNames,
    /// How late transcripts and the end of an utterance come, in milliseconds.
    pub recogniser_lag_ms: u64,
    /// How much later than that some of them come, in milliseconds.
    pub recogniser_jitter_ms: u64,
    /// Whether there are transcripts before the last one.
    pub interim: bool,
    /// Whether words get times, for a client that asks for them.
    pub word_times: bool,
    /// Whether the recogniser understands the agent's own words where a telephone returns them.
    pub understands_itself: bool,
    /// Confidence of the transcripts, from 0 to 1. Google gives it for final ones, and not always.
    pub confidence: Option<f32>,
    /// The coding of the agent's audio: the requested one, or a fixed one, like agents with fixed output settings.
    pub output: Option<Output>,
    /// The pages that the agent has, as `flows/F/pages/P`; none: all (CX).
    pub pages: Vec<String>,
    /// What the REST API shows of the agent (CX).
    pub agent: AgentResource,
    /// Settings of CES only.
    pub ces: Ces,
    /// The answer to the starting event or text.
    pub start: Start,
    /// The answers to the utterances, in order. After the last one they start over.
    pub utterance: Vec<Reply>,
    /// The answers to digits.
    pub digits: BTreeMap<String, Reply>,
    /// The answer to all other digits.
    pub other_digits: Option<Reply>,
    /// The answers to events other than the starting one.
    pub event: BTreeMap<String, Reply>,
    /// The answer to no-input.
    pub no_input: Reply,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            name: String::new(),
            edition: Edition::Cx,
            end_of_utterance_ms: 600,
            no_speech_ms: 0,
            think_ms: 0,
            distance_ms: 0,
            closes: Closes::AfterAnswer,
            answers: Answers::AfterHalfClose,
            transcripts: Transcripts::BeforeEnd,
            speech_ends: SpeechEnds::default(),
            audio_messages: AudioMessages::After,
            mixed_audio: MixedAudio::Apart,
            debugging_info: DebuggingInfo::WithAnswer,
            parameter_names: ReturnedNames::AsSet,
            recogniser_lag_ms: 0,
            recogniser_jitter_ms: 0,
            interim: true,
            word_times: false,
            understands_itself: false,
            confidence: None,
            output: None,
            pages: Vec::new(),
            agent: AgentResource::default(),
            ces: Ces::default(),
            start: Start::default(),
            utterance: Vec::new(),
            digits: BTreeMap::new(),
            other_digits: None,
            event: BTreeMap::new(),
            no_input: Reply::default(),
        }
    }
}

impl Script {
    /// Adds a fault to the first utterance; it fails before it is answered.
    #[must_use]
    pub fn with_fault(mut self, fault: PlannedFault) -> Self {
        self.utterance.first_mut().into_iter().for_each(|reply| fault.apply_to(reply));
        self
    }

    fn replies_mut(&mut self) -> impl Iterator<Item = &mut Reply> {
        let single = [&mut self.start.reply, &mut self.no_input].into_iter().chain(&mut self.other_digits);
        let named = self.digits.values_mut().chain(self.event.values_mut());
        single.chain(&mut self.utterance).chain(named)
    }
}

/// What the REST API shows of the agent, beside its name.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct AgentResource {
    /// The status with which the API refuses to show it.
    pub refuses: Option<u16>,
    /// The fields, as Google's API spells them.
    #[serde(flatten)]
    pub fields: Map<String, Value>,
}

/// The answer to the starting event or text.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Start {
    /// The event that the agent knows; empty: any.
    pub event: String,
    /// The answer.
    pub reply: Reply,
}

impl<'de> Deserialize<'de> for Start {
    // Written by hand, because serde's `flatten` would accept a misspelt field.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        let mut fields = toml::Table::deserialize(deserializer)?;
        let event = match fields.remove("event") {
            None => String::new(),
            Some(toml::Value::String(event)) => event,
            Some(_) => return Err(D::Error::custom("`event` is a name")),
        };
        let reply = toml::Value::Table(fields).try_into().map_err(|error| D::Error::custom(error.to_string()))?;
        Ok(Self { event, reply })
    }
}
