//! What the agent says and does: a TOML file, with WAV files beside it.
//!
//! ```toml
//! end_of_utterance_ms = 600        # silence after which an utterance is over
//! no_speech_ms = 5000              # silence after which the agent asks whether anybody is there; 0: never
//! think_ms = 200                   # how long an answer takes that has no time of its own
//!
//! [start]                          # the answer to the starting event or text
//! event = "WELCOME"                # an event of another name gets no answer
//! say = "Hello."
//! audio = "hello.wav"
//!
//! [[utterance]]                    # the answer to the first utterance, then to the second, and so on
//! heard = "two loaves please"      # what the transcripts say; without it, for how long somebody spoke
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
//! [no_input]                       # the answer to silence
//! say = "I did not hear you."
//! ```
//!
//! # What else an answer can carry
//!
//! ```toml
//! [[utterance]]
//! think_ms = 900                   # for so long the agent thinks
//! protected = true                 # the caller may not interrupt (CX)
//! no_match = true                  # it is the answer to something that was not understood
//! success = true                   # the conversation is a success (CX)
//! webhook_fault = "down"           # a webhook failed on the way
//! payload = { dialbridge = { end = true } }    # a custom payload, or a list of them
//! play = "gs://bucket/jingle.wav"  # a recording that the client fetches (CX, v2beta1); https: too
//! speech = "Good morning."         # words that the client has synthesised (v2beta1); <speak>…</speak> is SSML
//! dtmf = { finish_digit = "*", max_digits = 4, interdigit_ms = 2000 }    # how keys are collected from now on (CX)
//! tool_call = { tool = "tools/1", action = "look-up", args = { n = 1 } }    # the next turn (CX) or input (CES) must bring its
//!                                  # result, which the utterance after this one answers
//! mixed = [                        # mixed audio (CX): each part a recording, a tone or an address
//!     { tone = { hz = 400, ms = 300 }, protected = true },
//!     { uri = "https://example.com/music.wav" },
//! ]
//!
//! [[utterance]]
//! first = [                        # what is said while the agent still works: partial responses (CX)
//!     { say = "One moment.", tone = { hz = 400, ms = 500 } },
//!     { audio = "music.wav", allow_cancellation = true },    # the next response cuts it
//! ]
//! repeats_partials = true          # the last response's audio begins with that of those before it
//! tone = { hz = 500, ms = 300 }
//!
//! [[utterance]]
//! fault = "UNAVAILABLE"            # no answer: the stream fails with that gRPC code. The next attempt gets the next answer
//! fault_after_ms = 800             # not at the answer, but when so much has been said
//!
//! [[utterance]]
//! fault = "DOWN"                   # what can break besides: see below
//! fault_at = "opening"             # before the stream is taken (CX, ES); or "answer", "middle"
//! fault_times = 2                  # it fails so many times, and then the answer is given
//! down_ms = 3000
//! say = "Good to have you back."
//! ```
//!
//! A fault is a gRPC code as Google spells it (`RESOURCE_EXHAUSTED`, `UNAUTHENTICATED`, `DEADLINE_EXCEEDED`…) or, for what
//! breaks below gRPC, one of these ([`Fault`]; over CES each as what comes closest to it):
//!
//! | fault | what happens |
//! | --- | --- |
//! | `RESET` | the stream is reset (`RST_STREAM` with `INTERNAL_ERROR`) |
//! | `REFUSED_STREAM` | the same with `REFUSED_STREAM`: at `fault_at = "opening"` nobody has looked at the stream |
//! | `STALL` | the stream stays open, nothing is read from it and nothing comes any more |
//! | `GOAWAY` | the connection takes no more streams; those that are on it go on, and this one is answered (CES: the stream is told to go away after its answer) |
//! | `CUT` | the connection breaks off, with all streams on it |
//! | `DOWN` | all connections break off, and nobody can connect for `down_ms` (2000) |
//!
//! # What Google's documentation leaves open
//!
//! A client must bear either answer, so each can be played: [`Closes`], [`Answers`], [`Transcripts`], [`AudioMessages`],
//! [`MixedAudio`], [`Output`], and `repeats_partials`.
//!
//! ```toml
//! closes = "after-answer"          # or "after-half-close"
//! answers = "after-half-close"     # or "at-once"
//! transcripts = "before-end"       # or "after-end"
//! audio_messages = "after"         # or "with-result", "split" (ES)
//! mixed_audio = "apart"            # or "in-output-audio" (CX)
//! interim = true                   # whether there are transcripts before the last one
//! word_times = false               # whether words are timed, for a client that asks for it
//! confidence = 0.9                 # of the transcripts; without it there is none
//! output = { encoding = "linear16", sample_rate = 24000 }    # a coding of its own; without it, as it is asked for
//! ```
//!
//! # CES
//!
//! The same scripts serve as agents of the Customer Engagement Suite. What it has no notion of comes as Google maps it: a
//! hand-off, a transfer and an end are an `end_session` with metadata, parameters are updated variables, `[no_input]` is
//! its inactivity prompt (after `no_speech_ms` of silence), partial responses are parts of one turn. `play`, `speech`,
//! `success` and addresses in mixed audio are nothing there. What only CES has, with its defaults but for the lists:
//!
//! ```toml
//! [ces]
//! token = ""                       # that streams must bring; empty: none is asked for
//! serves = "both"                  # or "grpc", "websocket": the other one is not found
//! frames = "binary"                # or "text": those that JSON comes in
//! unpublished_fields = false       # whether JSON has a field that no published proto has
//! deployments = ["live"]           # those that there are; without it any
//! refuses = ["served", 503, "UNAVAILABLE", "reset"]    # what becomes of the first stream, the second and so on: an HTTP
//!                                  # status, a gRPC or close code, "close", "reset", "stall"
//! breaks = ["RESOURCE_EXHAUSTED"]  # the same, but once the configuration has come
//! idle_ms = 30000                  # a stream without input for so long ends
//! idle = "close"                   # like that (as in refuses)
//! go_away_ms = 0                   # a stream of that age is told to go away; 0: never
//! go_away_lead_ms = 5000           # after that it ends
//! go_away = "close"                # like that
//! end_session = "top-level"        # or "in-output", "both": where the end of the session stands
//! end_order = "after-audio"        # or "before-audio"
//! end_delay_ms = 0                 # how long after the last audio
//! turn_completed = "apart"         # or "with-audio": in the last audio's message
//! completes_interrupted = true     # whether an interrupted turn is completed
//! half_close = "answers"           # or "drops": unfinished speech at the half-close
//! unknown_event = "ignored"        # or "refused"
//! digits = "many"                  # or "one": more in one message are refused
//! digit_gap_ms = 2000              # the longest pause between digits, where no answer's `keys` say so
//! tool_calls = "session"           # or "stream": its successor refuses their results
//! tool_timeout_ms = 30000          # after that a tool has failed, and its result is no longer taken
//! piece_ms = 200                   # audio in one message
//! speed = 4                        # so many times faster than real time
//! riff = false                     # whether an answer's audio begins with a WAV header
//! ambient = false                  # whether low noise is sent while nothing is said
//! turn_index = "session"           # or "stream": a new stream counts from 1
//! after_end = "continues"          # or "refused": a new stream of a session that has ended
//!
//! [[utterance]]
//! breaks = "reset"                 # in the middle of its audio the stream breaks (as in refuses), or with `fault_after_ms`
//!                                  # while it listens
//! [[utterance]]
//! tool_call = { tool = "tools/1" } # the app's name is put before it
//! more_tool_calls = [{ tool = "tools/2" }]    # the results of all of them must come
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

pub use ces::{
    AfterEnd, Break, Ces, Digits, EndOrder, EndSession, Frames, HalfClose, PlannedBreak, Serves, ToolCalls,
    TurnCompleted, TurnIndex, UnknownEvent,
};
pub use fault::{Fault, FaultAt, PlannedFault};
pub use load::{AudioError, ScriptError, bakery_caller, mulaw_of};
pub use reply::{DtmfRules, Reply, Segment, Tone, ToolCall};
pub use switches::{Answers, AudioMessages, Closes, Edition, MixedAudio, Output, Transcripts};

/// An agent's script.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Script {
    /// For people.
    pub name: String,
    /// What the agent is served as where it is the embedded one: `cx`, `es` or `ces`.
    pub edition: Edition,
    /// Silence after which an utterance is over, in milliseconds.
    pub end_of_utterance_ms: u64,
    /// Silence after which the agent ends the turn as no-input, in milliseconds; 0: it waits for ever.
    pub no_speech_ms: u64,
    /// How long the agent thinks about an answer that has no time of its own, in milliseconds.
    pub think_ms: u64,
    /// Whether the stream is closed after the answer, or stays open until the client half-closes it.
    pub closes: Closes,
    /// Whether the answer waits for the half-close.
    pub answers: Answers,
    /// Whether the last final transcript comes before `END_OF_SINGLE_UTTERANCE` or after it.
    pub transcripts: Transcripts,
    /// Where the answer's audio stands (ES).
    pub audio_messages: AudioMessages,
    /// Whether mixed audio is in the answer's audio too (CX).
    pub mixed_audio: MixedAudio,
    /// Whether there are transcripts before the last one.
    pub interim: bool,
    /// Whether words are timed, for a client that asks for it.
    pub word_times: bool,
    /// Confidence of the transcripts, from 0 to 1. Google gives it for final ones, and not always.
    pub confidence: Option<f32>,
    /// How the agent sends audio: as it was asked for, or in a way of its own, as agents with fixed output settings do.
    pub output: Option<Output>,
    /// What is peculiar to CES.
    pub ces: Ces,
    /// The answer to the starting event or text.
    pub start: Start,
    /// The answers to the utterances, in order. After the last one they begin anew.
    pub utterance: Vec<Reply>,
    /// The answers to digits.
    pub digits: BTreeMap<String, Reply>,
    /// The answer to all other digits.
    pub other_digits: Option<Reply>,
    /// The answers to events other than the starting one.
    pub event: BTreeMap<String, Reply>,
    /// The answer to silence.
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
            closes: Closes::AfterAnswer,
            answers: Answers::AfterHalfClose,
            transcripts: Transcripts::BeforeEnd,
            audio_messages: AudioMessages::After,
            mixed_audio: MixedAudio::Apart,
            interim: true,
            word_times: false,
            confidence: None,
            output: None,
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
    /// Has the first utterance met by a fault, before it is answered.
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

/// The answer to the starting event or text.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Start {
    /// The event that is known; empty: any.
    pub event: String,
    /// The answer.
    pub reply: Reply,
}

impl<'de> Deserialize<'de> for Start {
    // By hand, for serde's `flatten` would let a misspelt field pass.
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
