//! Builds the call of a test, step by step, and plays it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::agent::{AgentEnd, Answer, Intent, Matched, Transfer};
use crate::config::{CallConfig, StartingInput};
use crate::edition::Edition;
use crate::kit::recording::Recording;
use crate::replay::script::{NO_INPUT_MS, Script, ScriptAnswer, ScriptTurn, TurnBegin};
use crate::replay::{CallerStep, PlayedCall, ScriptedCall, When, play_script};
use crate::tape::Tape;

/// How long people wait before they answer, in milliseconds.
const PAUSE_MS: u64 = 400;

/// How long the caller stays on the line after the last answer, in milliseconds.
const STAY_MS: u64 = 1_000;

/// How long the agent thinks, in milliseconds.
const THINKS_MS: u64 = 250;

impl Tape {
    /// Begins the call of a test, to a CX agent: see [`kit`](crate::kit). Without
    /// [`agent_greets`](TapeBuilder::agent_greets) the agent listens first.
    ///
    /// ```
    /// use dialbridge_core::kit::Recording;
    /// use dialbridge_core::tape::Tape;
    ///
    /// let call = Tape::build()
    ///     .caller_says(Recording::ms(900))
    ///     .agent_hears("two loaves please")
    ///     .agent_answers("Two loaves.", Recording::ms(1_200))
    ///     .play();
    /// assert_eq!(call.turn(1).transcript(), "two loaves please");
    /// ```
    pub fn build() -> TapeBuilder {
        TapeBuilder {
            edition: Edition::default(),
            config: None,
            from: "+15550100".to_owned(),
            to: "+15550199".to_owned(),
            turns: vec![ScriptTurn { begin: TurnBegin::Greeting, understood: String::new(), answers: Vec::new() }],
            steps: Vec::new(),
            recordings: BTreeMap::new(),
        }
    }
}

/// The call of a test. Each `caller_` method adds a step of the caller's. The `agent_` methods after it say what the agent
/// makes of it, and the rest what its last answer holds.
///
/// A method that cannot be where it is panics, and says where it belongs.
///
/// ```
/// use dialbridge_core::edition::Edition;
/// use dialbridge_core::kit::Recording;
/// use dialbridge_core::tape::Tape;
///
/// let call = Tape::build()
///     .edition(Edition::Es)
///     .agent_greets("Your number, please.", Recording::ms(1_000))
///     .caller_presses("5550100#")
///     .agent_answers("Thank you.", Recording::ms(600))
///     .after_ms(400)
///     .caller_stays_silent_ms(8_000)
///     .agent_answers("Is there anything else?", Recording::ms(900))
///     .caller_hangs_up()
///     .play();
/// assert_eq!(call.turn(3).reply(), "Is there anything else?");
/// assert!(call.turn(2).wait_ms().is_some_and(|ms| ms < 500));
/// ```
#[derive(Debug, Clone)]
#[must_use = "nothing happens until it is played"]
pub struct TapeBuilder {
    edition: Edition,
    config: Option<CallConfig>,
    from: String,
    to: String,
    /// The greeting, and then a turn for each step.
    turns: Vec<ScriptTurn>,
    steps: Vec<CallerStep>,
    /// What the call may fetch, by address.
    recordings: BTreeMap<String, Vec<u8>>,
}

/// The call.
impl TapeBuilder {
    /// Which product the agent belongs to. CX, unless this says otherwise.
    pub fn edition(self, edition: Edition) -> Self {
        Self { edition, ..self }
    }

    /// The settings of the call. Without them they are [`Edition::config`]. If the agent greets, and these settings have no
    /// starting input, it gets that of its edition; if it does not greet, it gets none. A recorded call's settings can be
    /// taken as they are (`tape.header.config`).
    ///
    /// ```
    /// use dialbridge_core::config::BargeInMode;
    /// use dialbridge_core::edition::Edition;
    /// use dialbridge_core::tape::Tape;
    ///
    /// let mut config = Edition::Ces.config();
    /// config.barge_in.mode = BargeInMode::Off;
    /// let call = Tape::build().edition(Edition::Ces).config(config);
    /// ```
    pub fn config(self, config: CallConfig) -> Self {
        Self { config: Some(config), ..self }
    }

    /// A recording that the call finds at this address, because a payload of the agent's names it.
    ///
    /// # Panics
    /// If it is no WAV.
    #[track_caller]
    pub fn recording_at(mut self, uri: &str, recording: impl Into<Recording>) -> Self {
        let wav = playable("recording_at", recording.into().to_wav());
        self.recordings.insert(uri.to_owned(), wav);
        self
    }

    /// The numbers of the caller and the called, as `<Stream>`'s parameters have them.
    pub fn numbers(self, from: &str, to: &str) -> Self {
        Self { from: from.to_owned(), to: to.to_owned(), ..self }
    }
}

/// What the caller does. A step begins 400 ms after the agent has fallen silent.
impl TapeBuilder {
    /// Says a recording.
    ///
    /// # Panics
    /// If it is no WAV that can be played, or nobody speaks in it.
    #[track_caller]
    pub fn caller_says(self, recording: impl Into<Recording>) -> Self {
        let audio = playable("caller_says", recording.into().to_caller());
        let understood = format!("[{}.{} s of speech]", audio.len() / 8_000, audio.len() / 800 % 10);
        let step = CallerStep::Say { when: self.when(), label: format!("step {}", self.steps.len() + 1), audio };
        let Some(span) = step.speech_span() else {
            panic!("caller_says: nobody speaks in this recording; for silence there is caller_stays_silent_ms");
        };
        self.step(step, TurnBegin::Speech { span, barges_in: false }, understood)
    }

    /// Presses keys: `0` to `9`, `*`, `#`.
    pub fn caller_presses(self, digits: &str) -> Self {
        let step = CallerStep::Press { when: self.when(), digits: digits.to_owned() };
        self.step(step, TurnBegin::Digits(digits.chars().count()), String::new())
    }

    /// Sends a text, as if he had said it. No telephone can do that, but a test can do without a recording.
    pub fn caller_sends_text(self, text: &str) -> Self {
        let step = CallerStep::Text { when: self.when(), text: text.to_owned() };
        self.step(step, TurnBegin::Text, text.to_owned())
    }

    /// Says nothing for this long, in milliseconds from the end of the prompt. An agent that answers silence notices it
    /// after five seconds, or gets the event of [`NoInput`](crate::config::NoInput).
    pub fn caller_stays_silent_ms(self, ms: u64) -> Self {
        let when = if self.is_answered_aloud() { When::AgentSilent(0) } else { When::After(0) };
        self.step(CallerStep::Wait { when, ms }, TurnBegin::Silence, String::new())
    }

    /// Hangs up. Without this step he does so a second after the last answer.
    pub fn caller_hangs_up(self) -> Self {
        let step = CallerStep::HangUp { when: self.when() };
        self.step(step, TurnBegin::HangUp, String::new())
    }

    /// The last step begins while the agent speaks, this many milliseconds after the first audio of its prompt.
    ///
    /// # Panics
    /// If the last step is none in which the caller speaks, presses keys, sends a text or hangs up.
    #[track_caller]
    pub fn barge_in_at_ms(mut self, ms: u64) -> Self {
        match self.steps.last_mut() {
            Some(
                CallerStep::Say { when, .. }
                | CallerStep::Press { when, .. }
                | CallerStep::Text { when, .. }
                | CallerStep::HangUp { when },
            ) => *when = When::AgentSpeaking(ms),
            Some(CallerStep::Wait { .. }) | None => panic!("barge_in_at_ms: it belongs after caller_says and the like"),
        }
        if let Some(ScriptTurn { begin: TurnBegin::Speech { barges_in, .. }, .. }) = self.turns.last_mut() {
            *barges_in = true;
        }
        self
    }

    fn step(mut self, step: CallerStep, begin: TurnBegin, understood: String) -> Self {
        self.steps.push(step);
        self.turns.push(ScriptTurn { begin, understood, answers: Vec::new() });
        self
    }

    /// When the next step begins. A caller who hears nothing waits for three seconds.
    fn when(&self) -> When {
        match self.is_answered_aloud() {
            true => When::AgentSilent(PAUSE_MS),
            false if self.steps.is_empty() => When::After(PAUSE_MS),
            false => When::AgentSilentOrMute(PAUSE_MS),
        }
    }

    /// Whether the caller hears an answer to what he did last.
    fn is_answered_aloud(&self) -> bool {
        let answers = self.turns.last().into_iter().flat_map(|turn| &turn.answers);
        let mut aloud = answers.filter(|part| !part.answer.prompts.is_empty() || !part.answer.text.is_empty());
        aloud.next().is_some()
    }
}

/// What the agent hears and answers.
impl TapeBuilder {
    /// The agent speaks first: this text, with this audio.
    ///
    /// # Panics
    /// If it comes after a step of the caller's, or the recording cannot be played.
    #[track_caller]
    pub fn agent_greets(self, text: &str, recording: impl Into<Recording>) -> Self {
        assert!(self.steps.is_empty(), "agent_greets: it belongs before the first step of the caller");
        self.answered(text, recording.into())
    }

    /// What the recogniser understands of the caller's last step. Without it, a text that tells how long he spoke.
    ///
    /// # Panics
    /// If the last step is no speech.
    #[track_caller]
    pub fn agent_hears(mut self, text: &str) -> Self {
        match self.turns.last_mut() {
            Some(ScriptTurn { begin: TurnBegin::Speech { .. }, understood, .. }) => text.clone_into(understood),
            Some(_) | None => panic!("agent_hears: it belongs after caller_says"),
        }
        self
    }

    /// What the agent answers: a text, and its audio. A text with a length of 0 is synthesised, as the service does it, at
    /// 60 ms for a character. A second answer to the same step makes the first one a partial
    /// response.
    ///
    /// # Panics
    /// If it comes before the caller has done anything, or the recording cannot be played.
    #[track_caller]
    pub fn agent_answers(self, text: &str, recording: impl Into<Recording>) -> Self {
        assert!(!self.steps.is_empty(), "agent_answers: it belongs after a step of the caller; agent_greets is first");
        self.answered(text, recording.into())
    }

    /// The agent answers nothing that the caller would hear.
    ///
    /// # Panics
    /// If it comes before the caller has done anything.
    #[track_caller]
    pub fn agent_says_nothing(self) -> Self {
        self.agent_answers("", Recording::ms(0))
    }

    #[track_caller]
    fn answered(mut self, text: &str, recording: Recording) -> Self {
        let prompts = playable("the agent's audio", recording.to_agent());
        let Some(turn) = self.turns.last_mut() else { return self };
        let is_silence = turn.begin == TurnBegin::Silence;
        let matched = if is_silence { Matched::NoInput } else { Matched::Yes };
        let answer = Answer { text: text.to_owned(), prompts, matched, ..Answer::default() };
        turn.answers.push(ScriptAnswer { answer, after_ms: THINKS_MS });
        self
    }
}

/// What the last answer holds. Each panics if there is no answer yet.
impl TapeBuilder {
    /// How long the agent thinks before it, in milliseconds: 250, unless this says otherwise.
    #[track_caller]
    pub fn after_ms(mut self, ms: u64) -> Self {
        self.last_answer("after_ms").after_ms = ms;
        self
    }

    /// The display name of the intent that matches.
    #[track_caller]
    pub fn with_intent(self, display_name: &str) -> Self {
        let intent = Intent { name: String::new(), display_name: display_name.to_owned() };
        self.with("with_intent", |answer| answer.intent = Some(intent))
    }

    /// The display name of the page that the conversation is on then (CX).
    #[track_caller]
    pub fn with_page(self, display_name: &str) -> Self {
        self.with("with_page", |answer| display_name.clone_into(&mut answer.page))
    }

    /// The display name of the flow (CX).
    #[track_caller]
    pub fn with_flow(self, display_name: &str) -> Self {
        self.with("with_flow", |answer| display_name.clone_into(&mut answer.flow))
    }

    /// A parameter of the result.
    #[track_caller]
    pub fn with_parameter(self, name: &str, value: impl Into<Value>) -> Self {
        let value = value.into();
        self.with("with_parameter", |answer| drop(answer.parameters.insert(name.to_owned(), value)))
    }

    /// A custom payload, as the agent sends it ([`payload`](crate::payload)).
    #[track_caller]
    pub fn with_payload(self, payload: Value) -> Self {
        self.with("with_payload", |answer| answer.payloads.push(payload))
    }

    /// Its audio must not be interrupted, and the agent does not hear what the caller says meanwhile.
    #[track_caller]
    pub fn without_barge_in(self) -> Self {
        self.with("without_barge_in", |answer| {
            answer.is_protected = true;
            answer.prompts.iter_mut().for_each(|prompt| prompt.interruptible = false);
        })
    }

    /// The agent is done.
    #[track_caller]
    pub fn ends_interaction(self) -> Self {
        self.with("ends_interaction", |answer| answer.end = Some(AgentEnd::EndInteraction))
    }

    /// The agent asks for a live agent, with metadata of any form.
    #[track_caller]
    pub fn hands_off(self, metadata: Value) -> Self {
        self.with("hands_off", |answer| answer.end = Some(AgentEnd::LiveAgentHandoff { metadata }))
    }

    /// The agent asks for a transfer to a number or an address.
    #[track_caller]
    pub fn transfers_to(self, number: &str) -> Self {
        self.with("transfers_to", |answer| answer.end = Some(AgentEnd::Transfer(Transfer::to(number))))
    }

    /// Anything else of the answer.
    #[track_caller]
    pub fn with_answer(self, change: impl FnOnce(&mut Answer)) -> Self {
        self.with("with_answer", change)
    }

    #[track_caller]
    fn with(mut self, method: &str, change: impl FnOnce(&mut Answer)) -> Self {
        change(&mut self.last_answer(method).answer);
        self
    }

    #[track_caller]
    fn last_answer(&mut self, method: &str) -> &mut ScriptAnswer {
        let answers = self.turns.last_mut().map(|turn| &mut turn.answers);
        let Some(answer) = answers.and_then(|answers| answers.last_mut()) else {
            panic!("{method}: it belongs after agent_greets or agent_answers");
        };
        answer
    }
}

impl TapeBuilder {
    /// Plays the call.
    ///
    /// # Panics
    /// If a step has no answer, the call gives the agent something that the test does not describe, or the caller never
    /// comes to one of his steps.
    #[track_caller]
    #[must_use]
    pub fn play(self) -> PlayedCall {
        self.played().0
    }

    /// Plays the call and writes its tape, as the service writes one of a real call: for `dialbridge replay`, or for
    /// [`replay`](crate::replay::replay()).
    ///
    /// # Panics
    /// As [`play`](Self::play).
    #[track_caller]
    #[must_use]
    pub fn tape_text(self) -> String {
        self.played().1
    }

    #[track_caller]
    fn played(mut self) -> (PlayedCall, String) {
        let config = self.config_of_call();
        self.check_answers(&config);
        let steps = self.steps.len();
        if !matches!(self.steps.last(), Some(CallerStep::HangUp { .. })) {
            let when = if self.is_answered_aloud() { When::AgentSilent } else { When::AgentSilentOrMute }(STAY_MS);
            self = self.step(CallerStep::HangUp { when }, TurnBegin::HangUp, String::new());
        }
        let (call, tape) = play_script(ScriptedCall {
            edition: self.edition,
            opening: self.opening(),
            steps: self.steps,
            script: Script::new(self.edition, self.turns, config.no_input.event.is_some()),
            recordings: self.recordings,
            config,
        });
        call.assert_no_divergence();
        call.assert_steps_taken(steps);
        (call, tape)
    }

    #[track_caller]
    fn config_of_call(&mut self) -> CallConfig {
        let of_edition = self.edition.config();
        let mut config = self.config.take().unwrap_or_else(|| of_edition.clone());
        // Those of a recorded call are for that call alone.
        config.call_sid = None;
        assert!(
            config.shape == of_edition.shape,
            "config: it is for another edition than {}: begin with Edition::config",
            self.edition.as_str()
        );
        let greets = self.turns.first().is_some_and(|greeting| !greeting.answers.is_empty());
        if !greets {
            config.starting_input = StartingInput::default();
        } else if config.starting_input == StartingInput::default() {
            config.starting_input = of_edition.starting_input;
        }
        config
    }

    /// Every step that the agent hears must have an answer.
    #[track_caller]
    fn check_answers(&self, config: &CallConfig) {
        let is_told = config.no_input.event.is_some();
        for (step, (turn, caller)) in self.turns.iter().skip(1).zip(&self.steps).enumerate() {
            let number = step + 1;
            match (&turn.begin, caller, turn.answers.is_empty()) {
                (TurnBegin::Speech { .. } | TurnBegin::Digits(_) | TurnBegin::Text, _, true) => panic!(
                    "step {number} of the caller has no answer: add agent_answers, or agent_says_nothing if the agent has none"
                ),
                (TurnBegin::Silence, CallerStep::Wait { ms, .. }, false) if !is_told && *ms <= NO_INPUT_MS => panic!(
                    "step {number} of the caller is a silence of {ms} ms, and the agent notices one after {NO_INPUT_MS} ms: \
                     make it longer, or take its answer away"
                ),
                (TurnBegin::HangUp, _, false) => {
                    panic!("step {number} of the caller ends the call: nobody hears an answer")
                }
                _ => {}
            }
        }
    }

    /// What Twilio sends before the first frame.
    fn opening(&self) -> Vec<String> {
        let parameters = json!({ "from": self.from, "to": self.to });
        let (call_sid, stream_sid) = ("CA00000000000000000000000000000001", "MZ00000000000000000000000000000001");
        let start = json!({ "callSid": call_sid, "streamSid": stream_sid, "customParameters": parameters });
        let connected = json!({ "event": "connected", "protocol": "Call", "version": "1.0.0" });
        [connected, json!({ "event": "start", "streamSid": stream_sid, "start": start })].map(|m| m.to_string()).into()
    }
}

/// A recording, or a panic in the line of the test.
#[track_caller]
fn playable<T>(method: &str, recording: Result<T, String>) -> T {
    match recording {
        Ok(recording) => recording,
        Err(why) => panic!("{method}: {why}"),
    }
}
