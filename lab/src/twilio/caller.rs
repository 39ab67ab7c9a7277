//! The caller: says recordings, presses keys and hangs up, each step at its time.

use std::collections::VecDeque;
use std::sync::Arc;

use dialbridge_core::audio::MULAW_SILENCE;

use crate::twilio::events::CallEventKind;

/// Bytes of a frame: 20 ms.
pub(super) const FRAME_BYTES: usize = 160;

/// Milliseconds of a frame.
pub(super) const FRAME_MS: u64 = 20;

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
    /// When the agent has been speaking for this many milliseconds.
    AgentSpeaking(u64),
    /// After this many milliseconds, whatever the agent does.
    After(u64),
}

/// Finds a recording by its name: mu-law at 8,000 Hz, or a sentence that says why there is none.
pub type Recordings<'a> = dyn Fn(&str) -> Result<Arc<[u8]>, String> + 'a;

/// The steps of a command line: `a.wav,b.wav@1500` says the first when the agent has fallen silent, the second when it
/// has been speaking for 1,500 ms; a trailing list of digits is pressed at the end.
///
/// # Errors
/// With a sentence that says what is wrong.
pub fn parse_steps(audio: &[String], digits: Option<&str>, load: &Recordings<'_>) -> Result<Vec<CallerStep>, String> {
    let mut steps = Vec::new();
    for item in audio {
        let (file, when) = match item.rsplit_once('@') {
            Some((file, ms)) => {
                let ms = ms.parse().map_err(|_| format!("\"{item}\": after @ stand milliseconds, e.g. a.wav@1500"))?;
                (file, When::AgentSpeaking(ms))
            }
            None => (item.as_str(), When::AgentSilent(PAUSE_MS)),
        };
        steps.push(CallerStep::Say { when, label: file.to_owned(), audio: load(file)? });
    }
    if let Some(digits) = digits {
        if let Some(other) = digits.chars().find(|key| !matches!(key, '0'..='9' | '*' | '#' | 'A'..='D')) {
            return Err(format!("'{other}' is no key of a telephone"));
        }
        steps.push(CallerStep::Press { when: When::AgentSilent(PAUSE_MS), digits: digits.to_owned() });
    }
    Ok(steps)
}

/// How long people wait before they answer, in milliseconds.
const PAUSE_MS: u64 = 400;

impl CallerStep {
    fn when(&self) -> When {
        match self {
            Self::Say { when, .. } | Self::Press { when, .. } | Self::HangUp { when } => *when,
        }
    }
}

/// What the caller hears at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct AgentAudio {
    pub(super) now_ms: u64,
    pub(super) agent_is_speaking: bool,
}

/// A caller in a call.
#[derive(Debug)]
pub(super) struct Caller {
    steps: VecDeque<CallerStep>,
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
}

/// What the caller does in one frame.
#[derive(Debug, Default)]
pub(super) struct CallerFrame {
    /// What the microphone hears.
    pub(super) frame: Vec<u8>,
    pub(super) events: Vec<CallEventKind>,
    pub(super) hangs_up: bool,
}

impl Caller {
    pub(super) fn new(steps: Vec<CallerStep>) -> Self {
        Self {
            steps: steps.into(),
            doing: Doing::Nothing,
            since_ms: 0,
            agent_spoke: false,
            agent_began_ms: None,
            agent_silent_since_ms: 0,
        }
    }

    /// A stream begins: the caller does not wait for a prompt of an earlier stream.
    pub(super) fn stream_begins(&mut self, now_ms: u64) {
        self.agent_spoke = false;
        self.agent_began_ms = None;
        self.agent_silent_since_ms = now_ms;
    }

    /// Whether nothing is left to do.
    pub(super) fn is_done(&self) -> bool {
        self.steps.is_empty() && matches!(self.doing, Doing::Nothing)
    }

    /// When the last step ended.
    pub(super) fn since_ms(&self) -> u64 {
        self.since_ms.max(self.agent_silent_since_ms)
    }

    /// The next frame.
    pub(super) fn next(&mut self, agent_audio: AgentAudio) -> CallerFrame {
        self.listen(agent_audio);
        let mut moment = CallerFrame { frame: vec![MULAW_SILENCE; FRAME_BYTES], ..CallerFrame::default() };
        if matches!(self.doing, Doing::Nothing) && self.is_time(agent_audio.now_ms) {
            self.begin(agent_audio.now_ms, &mut moment);
        }
        self.continue_step(agent_audio.now_ms, &mut moment);
        moment
    }

    fn listen(&mut self, agent_audio: AgentAudio) {
        match (agent_audio.agent_is_speaking, self.agent_began_ms) {
            (true, None) => self.agent_began_ms = Some(agent_audio.now_ms),
            (false, Some(_)) => {
                self.agent_began_ms = None;
                self.agent_silent_since_ms = agent_audio.now_ms;
            }
            (true, Some(_)) | (false, None) => {}
        }
        self.agent_spoke |= agent_audio.agent_is_speaking;
    }

    fn is_time(&self, now_ms: u64) -> bool {
        let Some(step) = self.steps.front() else { return false };
        match step.when() {
            When::After(ms) => now_ms >= self.since_ms + ms,
            When::AgentSilent(ms) => {
                self.agent_spoke && self.agent_began_ms.is_none() && now_ms >= self.agent_silent_since_ms + ms
            }
            When::AgentSpeaking(ms) => {
                self.agent_began_ms.is_some_and(|began| began >= self.since_ms && now_ms >= began + ms)
            }
        }
    }

    fn begin(&mut self, now_ms: u64, moment: &mut CallerFrame) {
        match self.steps.pop_front() {
            Some(CallerStep::Say { label, audio, .. }) => {
                let ms = (audio.len() / 8) as u64;
                moment.events.push(CallEventKind::CallerSpeaks { label: label.clone(), ms });
                self.doing = Doing::Saying { label, audio, at: 0 };
            }
            Some(CallerStep::Press { digits, .. }) => {
                self.doing = Doing::Pressing { digits: digits.chars().collect(), next_ms: now_ms };
            }
            Some(CallerStep::HangUp { .. }) => moment.hangs_up = true,
            None => {}
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
                moment.events.push(CallEventKind::CallerSpoke { label: std::mem::take(label) });
            }
            Doing::Pressing { digits, next_ms } => {
                if now_ms < *next_ms {
                    return;
                }
                *next_ms += KEY_MS;
                if let Some(digit) = digits.pop_front() {
                    moment.events.push(CallEventKind::Digit { digit });
                }
                if !digits.is_empty() {
                    return;
                }
            }
        }
        self.doing = Doing::Nothing;
        self.since_ms = now_ms + FRAME_MS;
        self.agent_spoke = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a caller for some frames; the agent speaks in the given span. Returns what happened and when.
    fn run(steps: Vec<CallerStep>, agent: std::ops::Range<u64>, until_ms: u64) -> Vec<(u64, CallEventKind)> {
        let mut caller = Caller::new(steps);
        let mut events = Vec::new();
        for now_ms in (0..until_ms).step_by(20) {
            let moment = caller.next(AgentAudio { now_ms, agent_is_speaking: agent.contains(&now_ms) });
            events.extend(moment.events.into_iter().map(|what| (now_ms, what)));
        }
        events
    }

    fn say(when: When) -> CallerStep {
        CallerStep::Say { when, label: "a".to_owned(), audio: vec![1; 480].into() }
    }

    #[test]
    fn a_caller_waits_until_the_agent_has_spoken() {
        let events = run(vec![say(When::AgentSilent(400))], 100..1_000, 3_000);
        assert_eq!(events[0], (1_400, CallEventKind::CallerSpeaks { label: "a".to_owned(), ms: 60 }));
        assert_eq!(events[1], (1_440, CallEventKind::CallerSpoke { label: "a".to_owned() }));
    }

    #[test]
    fn a_caller_interrupts() {
        let events = run(vec![say(When::AgentSpeaking(500))], 100..5_000, 3_000);
        assert_eq!(events[0].0, 600);
    }

    #[test]
    fn digits_are_pressed_one_after_the_other() {
        let events = run(vec![CallerStep::Press { when: When::After(100), digits: "1#".to_owned() }], 0..0, 1_000);
        assert_eq!(events, [(100, CallEventKind::Digit { digit: '1' }), (340, CallEventKind::Digit { digit: '#' })]);
    }

    #[test]
    fn a_command_line_becomes_steps() {
        let load = |file: &str| if file == "no.wav" { Err("no".to_owned()) } else { Ok(Arc::from(&[1_u8][..])) };
        let steps = parse_steps(&["a.wav".to_owned(), "b.wav@1500".to_owned()], Some("1#"), &load).unwrap();
        let whens: Vec<When> = steps.iter().map(CallerStep::when).collect();
        assert_eq!(whens, [When::AgentSilent(400), When::AgentSpeaking(1500), When::AgentSilent(400)]);
        assert!(parse_steps(&["a.wav@soon".to_owned()], None, &load).unwrap_err().contains("a.wav@1500"));
        assert!(parse_steps(&[], Some("12x"), &load).unwrap_err().contains("'x'"));
        assert_eq!(parse_steps(&["no.wav".to_owned()], None, &load).unwrap_err(), "no");
    }
}
