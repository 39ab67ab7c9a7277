//! The caller of a call that is played: says recordings, presses keys, sends texts, waits and hangs up, each step at
//! its time. Both the simulated Twilio and the offline run of a conversation file play this caller.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use crate::audio::level::{MIN_VOICE_LEVEL, mulaw_level};
use crate::audio::{BYTES_PER_MS, FRAME_BYTES, FRAME_MS, MULAW_SILENCE};
use crate::checksum::Checksum;
use crate::tape::StepInput;

/// How long a caller waits for the time of his next step while nobody speaks, in milliseconds. Then he hangs up.
pub const STEP_TIMEOUT_MS: u64 = 20_000;

/// How long a key and the pause after it last, in milliseconds.
const KEY_MS: u64 = 240;

/// One thing that the caller does.
#[derive(Debug, Clone, PartialEq)]
pub enum CallerStep {
    /// Says a recording: mu-law at 8,000 Hz.
    Say {
        /// When.
        when: When,
        /// The recording's name.
        label: String,
        /// The recording.
        audio: Arc<[u8]>,
    },
    /// Presses keys, one after another.
    Press {
        /// When.
        when: When,
        /// Which ones.
        digits: String,
    },
    /// Sends a text as if he had said it. No telephone can do that, so the driver passes it in beside the media stream.
    Text {
        /// When.
        when: When,
        /// The text.
        text: String,
    },
    /// Does nothing for a while.
    Wait {
        /// When the wait begins.
        when: When,
        /// How long it is, in milliseconds.
        ms: u64,
    },
    /// Hangs up.
    HangUp {
        /// When.
        when: When,
    },
}

/// When the caller takes a step, counted from the end of the step before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// When the agent has spoken and then been silent for this many milliseconds.
    AgentSilent(u64),
    /// The same, or after three seconds in which the agent has said nothing.
    AgentSilentOrMute(u64),
    /// When the agent has been speaking for this many milliseconds.
    AgentSpeaking(u64),
    /// After this many milliseconds, whatever the agent does.
    After(u64),
}

/// How long a caller waits for the first word of an agent that may say none, in milliseconds.
const MUTE_MS: u64 = 3_000;

impl CallerStep {
    /// When he takes it.
    #[must_use]
    pub fn when(&self) -> When {
        match self {
            Self::Say { when, .. }
            | Self::Press { when, .. }
            | Self::Text { when, .. }
            | Self::Wait { when, .. }
            | Self::HangUp { when } => *when,
        }
    }

    /// Where its speech begins and ends, in milliseconds from its beginning. `None`: nobody speaks in it.
    pub(crate) fn speech_span(&self) -> Option<Range<u64>> {
        let Self::Say { audio, .. } = self else { return None };
        let is_voiced = |frame: &[u8]| frame.iter().any(|&code| code != MULAW_SILENCE) && is_voice(frame);
        let first = audio.chunks(FRAME_BYTES).position(is_voiced)?;
        let last = audio.chunks(FRAME_BYTES).rposition(is_voiced)?;
        let ms = |bytes: usize| (bytes.min(audio.len()) / BYTES_PER_MS) as u64;
        Some(ms(first * FRAME_BYTES)..ms((last + 1) * FRAME_BYTES))
    }

    /// Where its speech ends, in milliseconds from its beginning. `None`: nobody speaks in it.
    #[must_use]
    pub fn speech_ms(&self) -> Option<u64> {
        self.speech_span().map(|span| span.end)
    }

    /// From when on he waits for the answer, in milliseconds from its beginning. `None`: from its end.
    #[must_use]
    pub fn waits_from_ms(&self) -> Option<u64> {
        if matches!(self, Self::Wait { .. }) { Some(0) } else { self.speech_ms() }
    }

    /// The step as the header of a recorded run has it.
    #[must_use]
    pub fn input(&self) -> StepInput {
        match self {
            Self::Say { audio, .. } => {
                StepInput::Audio { ms: (audio.len() / BYTES_PER_MS) as u64, sum: Checksum::of(audio).to_string() }
            }
            Self::Press { digits, .. } => StepInput::Digits { digits: digits.clone() },
            Self::Text { text, .. } => StepInput::Text { text: text.clone() },
            Self::Wait { ms, .. } => StepInput::Wait { ms: *ms },
            Self::HangUp { .. } => StepInput::HangUp,
        }
    }
}

/// Whether a frame is as loud as a voice.
pub(super) fn is_voice(frame: &[u8]) -> bool {
    mulaw_level(frame) > MIN_VOICE_LEVEL
}

/// How long a caller has waited who has been waiting from one moment and hears the answer at the other, both in
/// milliseconds. Negative: the answer began more than a frame before he waited for one.
#[must_use]
pub fn waited_ms(from_ms: u64, heard_ms: u64) -> i64 {
    let signed = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
    let early_ms = from_ms.saturating_sub(heard_ms);
    if early_ms > FRAME_MS { -signed(early_ms) } else { signed(heard_ms.saturating_sub(from_ms)) }
}

/// The audio that the caller hears at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AgentAudio {
    /// The time of the call, in milliseconds.
    pub now_ms: u64,
    /// Whether the agent is heard.
    pub agent_is_speaking: bool,
}

/// A caller in a call.
#[derive(Debug)]
pub struct Caller {
    steps: VecDeque<CallerStep>,
    /// How many steps have begun.
    begun: usize,
    doing: Doing,
    /// When the last step ended.
    since_ms: u64,
    /// Whether the agent has spoken since then.
    agent_spoke: bool,
    agent_began_ms: Option<u64>,
    agent_silent_since_ms: u64,
}

#[derive(Debug)]
enum Doing {
    Nothing,
    Saying { label: String, audio: Arc<[u8]>, at: usize },
    Pressing { digits: VecDeque<char>, next_ms: u64 },
    Waiting { until_ms: u64 },
}

/// A thing that happens when the caller takes a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallerAct {
    /// A step begins: its number, from 0.
    Begins(usize),
    /// He begins to say a recording.
    Speaks {
        /// Which one.
        label: String,
        /// How long it is, in milliseconds.
        ms: u64,
    },
    /// He has said it.
    Spoke {
        /// Which one.
        label: String,
    },
    /// He presses a key.
    Digit {
        /// Which one.
        digit: char,
    },
    /// He sends a text.
    Text {
        /// The text.
        text: String,
    },
    /// The step ends.
    Ends(usize),
}

/// The caller in one frame.
#[derive(Debug, Default)]
pub struct CallerFrame {
    /// The audio at the microphone: mu-law, [`FRAME_BYTES`].
    pub frame: Vec<u8>,
    /// His acts, in order.
    pub acts: Vec<CallerAct>,
    /// Whether he hangs up.
    pub hangs_up: bool,
}

impl Caller {
    /// A caller who takes these steps.
    #[must_use]
    pub fn new(steps: Vec<CallerStep>) -> Self {
        Self {
            steps: steps.into(),
            begun: 0,
            doing: Doing::Nothing,
            since_ms: 0,
            agent_spoke: false,
            agent_began_ms: None,
            agent_silent_since_ms: 0,
        }
    }

    /// A stream begins: the caller does not wait for a prompt of an earlier stream.
    pub fn stream_begins(&mut self, now_ms: u64) {
        self.agent_spoke = false;
        self.agent_began_ms = None;
        self.agent_silent_since_ms = now_ms;
    }

    /// Whether nothing is left to do.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.steps.is_empty() && matches!(self.doing, Doing::Nothing)
    }

    /// When the last step ended, or the agent fell silent after it, in milliseconds of the call.
    #[must_use]
    pub fn since_ms(&self) -> u64 {
        self.since_ms.max(self.agent_silent_since_ms)
    }

    /// How long he has been waiting for the time of his next step while nobody speaks, in milliseconds. 0 if he is
    /// doing something.
    #[must_use]
    pub fn idle_ms(&self, now_ms: u64) -> u64 {
        let is_idle = matches!(self.doing, Doing::Nothing) && self.agent_began_ms.is_none();
        if is_idle { now_ms.saturating_sub(self.since_ms()) } else { 0 }
    }

    /// The next frame.
    pub fn next(&mut self, agent_audio: AgentAudio) -> CallerFrame {
        self.listen(agent_audio);
        let mut moment = CallerFrame { frame: vec![MULAW_SILENCE; FRAME_BYTES], ..CallerFrame::default() };
        if matches!(self.doing, Doing::Nothing) && self.is_time(agent_audio.now_ms) {
            self.begin(agent_audio.now_ms, &mut moment);
        }
        self.continue_step(agent_audio.now_ms, &mut moment);
        moment
    }

    /// How many steps have begun.
    #[must_use]
    pub fn begun(&self) -> usize {
        self.begun
    }

    /// The time of his next step counts from this moment on.
    pub fn hold(&mut self, now_ms: u64) {
        self.since_ms = now_ms;
    }

    /// The agent has spoken and is silent now. It may have done both between two frames.
    pub fn agent_has_spoken(&mut self, now_ms: u64) {
        self.agent_spoke = true;
        self.agent_began_ms = None;
        self.agent_silent_since_ms = now_ms;
    }

    fn listen(&mut self, agent_audio: AgentAudio) {
        match (agent_audio.agent_is_speaking, self.agent_began_ms) {
            (true, None) => self.agent_began_ms = Some(agent_audio.now_ms),
            (false, Some(_)) => self.agent_has_spoken(agent_audio.now_ms),
            (true, Some(_)) | (false, None) => {}
        }
        self.agent_spoke |= agent_audio.agent_is_speaking;
    }

    fn is_time(&self, now_ms: u64) -> bool {
        let Some(step) = self.steps.front() else { return false };
        let is_silent =
            |ms: u64| self.agent_spoke && self.agent_began_ms.is_none() && now_ms >= self.agent_silent_since_ms + ms;
        match step.when() {
            When::After(ms) => now_ms >= self.since_ms + ms,
            When::AgentSilent(ms) => is_silent(ms),
            When::AgentSilentOrMute(ms) => is_silent(ms) || (!self.agent_spoke && self.idle_ms(now_ms) >= MUTE_MS),
            When::AgentSpeaking(ms) => {
                self.agent_began_ms.is_some_and(|began| began >= self.since_ms && now_ms >= began + ms)
            }
        }
    }

    fn begin(&mut self, now_ms: u64, moment: &mut CallerFrame) {
        let Some(step) = self.steps.pop_front() else { return };
        moment.acts.push(CallerAct::Begins(self.begun));
        self.begun += 1;
        match step {
            CallerStep::Say { label, audio, .. } => {
                let ms = (audio.len() / BYTES_PER_MS) as u64;
                moment.acts.push(CallerAct::Speaks { label: label.clone(), ms });
                self.doing = Doing::Saying { label, audio, at: 0 };
            }
            CallerStep::Press { digits, .. } => {
                self.doing = Doing::Pressing { digits: digits.chars().collect(), next_ms: now_ms };
            }
            CallerStep::Text { text, .. } => {
                moment.acts.push(CallerAct::Text { text });
                self.end(now_ms, moment);
            }
            CallerStep::Wait { ms, .. } => self.doing = Doing::Waiting { until_ms: now_ms + ms },
            CallerStep::HangUp { .. } => moment.hangs_up = true,
        }
    }

    fn continue_step(&mut self, now_ms: u64, moment: &mut CallerFrame) {
        match &mut self.doing {
            Doing::Nothing => return,
            Doing::Saying { label, audio, at } => {
                let end = audio.len().min(*at + FRAME_BYTES);
                moment.frame[..end - *at].copy_from_slice(&audio[*at..end]);
                *at = end;
                if end < audio.len() {
                    return;
                }
                moment.acts.push(CallerAct::Spoke { label: std::mem::take(label) });
            }
            Doing::Pressing { digits, next_ms } => {
                if now_ms < *next_ms {
                    return;
                }
                *next_ms += KEY_MS;
                if let Some(digit) = digits.pop_front() {
                    moment.acts.push(CallerAct::Digit { digit });
                }
                if !digits.is_empty() {
                    return;
                }
            }
            Doing::Waiting { until_ms } => {
                if now_ms < *until_ms {
                    return;
                }
                self.end(now_ms, moment);
                // He does not wait for the agent again: whatever it had to say, it had its time.
                self.agent_spoke = true;
                return;
            }
        }
        self.end(now_ms, moment);
    }

    fn end(&mut self, now_ms: u64, moment: &mut CallerFrame) {
        moment.acts.push(CallerAct::Ends(self.begun - 1));
        self.doing = Doing::Nothing;
        self.since_ms = now_ms + FRAME_MS;
        self.agent_spoke = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_begins_before_the_caller_waits_for_one_is_told_from_a_quick_one() {
        assert_eq!([waited_ms(1_000, 1_300), waited_ms(1_000, 985), waited_ms(1_000, 700)], [300, 0, -300]);
        let wait = CallerStep::Wait { when: When::AgentSilent(0), ms: 2_000 };
        assert_eq!((wait.waits_from_ms(), wait.speech_ms()), (Some(0), None));
    }

    /// Runs a caller for some frames; the agent speaks in the given span. Returns what he does and when, without the
    /// beginnings and ends of his steps.
    fn run(steps: Vec<CallerStep>, agent: std::ops::Range<u64>, until_ms: u64) -> Vec<(u64, CallerAct)> {
        let mut caller = Caller::new(steps);
        let mut acts = Vec::new();
        for now_ms in (0..until_ms).step_by(20) {
            let moment = caller.next(AgentAudio { now_ms, agent_is_speaking: agent.contains(&now_ms) });
            acts.extend(moment.acts.into_iter().map(|act| (now_ms, act)));
        }
        acts.retain(|(_, act)| !matches!(act, CallerAct::Begins(_) | CallerAct::Ends(_)));
        acts
    }

    fn say(when: When) -> CallerStep {
        CallerStep::Say { when, label: "a".to_owned(), audio: vec![1; 480].into() }
    }

    #[test]
    fn a_caller_waits_until_the_agent_has_spoken() {
        let acts = run(vec![say(When::AgentSilent(400))], 100..1_000, 3_000);
        assert_eq!(acts[0], (1_400, CallerAct::Speaks { label: "a".to_owned(), ms: 60 }));
        assert_eq!(acts[1], (1_440, CallerAct::Spoke { label: "a".to_owned() }));
    }

    #[test]
    fn a_caller_hears_what_the_agent_says_between_two_frames() {
        let mut caller = Caller::new(vec![say(When::AgentSilent(400))]);
        let audio = |now_ms, agent_is_speaking| AgentAudio { now_ms, agent_is_speaking };
        caller.next(audio(0, false));
        caller.agent_has_spoken(400);
        assert_eq!(caller.next(audio(780, false)).acts, []);
        assert_eq!(caller.next(audio(800, false)).acts.len(), 2, "a step begins, and he speaks");
    }

    #[test]
    fn a_caller_interrupts() {
        let acts = run(vec![say(When::AgentSpeaking(500))], 100..5_000, 3_000);
        assert_eq!(acts[0].0, 600);
    }

    #[test]
    fn digits_are_pressed_one_after_the_other() {
        let acts = run(vec![CallerStep::Press { when: When::After(100), digits: "1#".to_owned() }], 0..0, 1_000);
        assert_eq!(acts, [(100, CallerAct::Digit { digit: '1' }), (340, CallerAct::Digit { digit: '#' })]);
    }

    #[test]
    fn a_caller_who_is_not_greeted_speaks_first_and_one_who_is_waits() {
        assert_eq!(run(vec![say(When::AgentSilentOrMute(400))], 0..0, 9_000)[0].0, 3_000);
        assert_eq!(run(vec![say(When::AgentSilentOrMute(400))], 2_000..4_000, 9_000)[0].0, 4_400);
        assert_eq!(run(vec![say(When::AgentSilent(400))], 0..0, 9_000), []);
    }

    #[test]
    fn a_caller_who_has_waited_does_not_wait_for_the_agent_again() {
        let wait = CallerStep::Wait { when: When::AgentSilent(0), ms: 2_000 };
        let acts = run(vec![wait, say(When::AgentSilent(400))], 100..1_000, 9_000);
        assert_eq!(acts[0].0, 3_020);
    }
}
