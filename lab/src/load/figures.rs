//! What a load measured, and the conclusions.

use dialbridge_core::audio::BYTES_PER_MS;
use serde::Serialize;

use crate::load::drive::CallerFigures;
use crate::load::histogram::Latency;
use crate::load::ledger::AgentFigures;
use crate::load::process::Usage;

/// If of a hundred frames the latest is sent later than this, the tool is at fault and the figures are no measurement:
/// microseconds.
const MAX_LATENESS_US: u64 = 5_000;

/// The longest that a frame may wait for the others of its message, in microseconds: CES wants messages of 120 ms at
/// most.
const MAX_GATHERING_US: u64 = 100_000;

/// A core that is busier than this queues by itself, in percent.
const MAX_PERCENT: f64 = 90.0;

/// The raw readings.
#[derive(Debug, Clone, Default)]
pub struct Readings {
    /// Calls at once.
    pub calls: u16,
    /// How long the window was, in milliseconds.
    pub window_ms: u64,
    /// The calling side.
    pub caller: CallerFigures,
    /// The agent's side.
    pub agent: AgentFigures,
    /// What the service used in the window; `None` if its process is not known.
    pub service: Option<Usage>,
    /// The service's memory before the first call, in KiB.
    pub idle_kib: u64,
    /// The service's memory and files in the window, in order.
    pub held: Vec<Held>,
    /// What the tool and the agent used in the window.
    pub tool: Usage,
    /// What the agent's process used; `None` if it is the tool's process.
    pub agent_process: Option<Usage>,
    /// What all processes of the machine used in the window, in milliseconds.
    pub machine_busy_ms: u64,
    /// Whether tool and agent share one core.
    pub share_a_core: bool,
}

/// Memory and files of the service at one moment of the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Held {
    /// The moment, in milliseconds of the window.
    pub at_ms: u64,
    /// Memory, in KiB.
    pub resident_kib: u64,
    /// Open files and sockets.
    pub files: u64,
}

/// The report of a load; all times in milliseconds.
#[derive(Debug, Clone, Serialize)]
pub struct Measurement {
    /// Calls at once.
    pub calls: u16,
    /// Length of the window.
    pub window_ms: u64,
    /// From the moment a frame was due to its arrival at the agent.
    pub uplink: Latency,
    /// From the moment it was actually sent to its arrival: the bridge and the system alone.
    pub uplink_from_sending: Latency,
    /// The same as `uplink`, but of frames that had to wait until their message was full: with CES, which wants
    /// messages of 40 to 120 ms. The frame that fills a message counts in `uplink`.
    pub gathered: Latency,
    /// From the moment a frame was sent to its arrival, if it had to wait for the stream of its turn.
    pub held: Latency,
    /// From the moment the agent sends audio to its arrival at the caller.
    pub downlink: Latency,
    /// From the end of an utterance to the first audio of its answer, without the agent's thinking time.
    pub turn: Latency,
    /// What went wrong.
    pub faults: Faults,
    /// Frames of the window, sent and arrived.
    pub frames: Frames,
    /// Frames that went to the next stream again since the beginning, because the last one no longer listened, and silence
    /// shortly before them.
    pub resent: u64,
    /// Silence in place of missing frames of the window, in milliseconds: with CES, whose audio must not pause.
    pub filled_ms: u64,
    /// Answers that came, since the beginning.
    pub answers: u64,
    /// Barge-ins.
    pub barge_ins: u64,
    /// How often an answer was cut off for a barge-in.
    pub clears: u64,
    /// Connections from the service to the agent.
    pub connections: u64,
    /// The most streams that were open at once.
    pub streams: u64,
    /// What the service used.
    pub cost: Option<Cost>,
    /// Memory and files of the service, from the window's beginning to its end: if a figure only rises, something
    /// leaks.
    pub service_held: Vec<Held>,
    /// What the tool used.
    pub tool: Tool,
}

/// What went wrong since the first call, not only in the window.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Faults {
    /// Frames of callers that never reached the agent and may have held words.
    pub lost: u64,
    /// Silent frames that never reached the agent: they were on their way into a stream that broke, and only words are
    /// sent again.
    pub lost_silence: u64,
    /// Frames of speech that reached the agent only where it no longer listened.
    pub unheard: u64,
    /// Frames that the agent got twice.
    pub doubled: u64,
    /// Frames that the agent got after later ones.
    pub disordered: u64,
    /// Frames that the agent got in another call's stream, and bytes that are no frame.
    pub strange: u64,
    /// Blocks of answers that callers did not hear, 20 ms each.
    pub answer_lost: u64,
    /// Blocks of answers that callers heard twice.
    pub answer_doubled: u64,
    /// Bytes of audio that are not an answer to the call that got them.
    pub answer_strange: u64,
    /// Utterances without an answer.
    pub unanswered: u64,
    /// Streams that broke off.
    pub failed_streams: u64,
    /// Calls that broke off.
    pub broken: u64,
    /// Why the first of them broke off.
    pub first_break: Option<String>,
}

impl Faults {
    /// Whether nothing went wrong.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// Frames of the window.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Frames {
    /// How many were sent.
    pub sent: u64,
    /// How many of them arrived.
    pub arrived: u64,
    /// How many were in one message, on average.
    pub per_message: f64,
}

/// What the service used in the window.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Cost {
    /// CPU milliseconds per minute of one call.
    pub cpu_ms_per_call_minute: f64,
    /// Of these, in user mode.
    pub user_ms_per_call_minute: f64,
    /// Of these, in the system.
    pub system_ms_per_call_minute: f64,
    /// Percent of one core.
    pub cpu_percent: f64,
    /// Memory before the first call, in KiB.
    pub idle_kib: u64,
    /// Memory with all calls, in KiB.
    pub loaded_kib: u64,
    /// Memory per call, in KiB.
    pub kib_per_call: f64,
    /// Threads.
    pub threads: u64,
}

/// What the tool used in the window, and whether it was the bottleneck.
#[derive(Debug, Clone, Serialize)]
pub struct Tool {
    /// How late its frames were sent.
    pub lateness: Latency,
    /// Percent of one core.
    pub cpu_percent: f64,
    /// The agent's percent of one core.
    pub agent_cpu_percent: Option<f64>,
    /// What other processes used meanwhile, in percent of one core: figures of a busy machine are of little worth.
    pub others_cpu_percent: f64,
    /// Why the figures measure the tool rather than the service.
    pub was_limit: Option<String>,
}

impl Measurement {
    /// Draws the conclusions.
    #[must_use]
    pub fn of(readings: &Readings) -> Self {
        let Readings { caller, agent, .. } = readings;
        let percent = |usage: &Usage| per_cent(usage.cpu_ms(), readings.window_ms);
        let (tool, agent_percent) = (percent(&readings.tool), readings.agent_process.as_ref().map(percent));
        Self {
            calls: readings.calls,
            window_ms: readings.window_ms,
            uplink: agent.uplink,
            uplink_from_sending: agent.uplink_from_sending,
            gathered: agent.gathered,
            held: agent.held,
            downlink: caller.downlink,
            turn: caller.turn,
            faults: faults(caller, agent),
            frames: Frames {
                sent: caller.frames,
                arrived: agent.frames,
                per_message: ratio(agent.frames, agent.messages),
            },
            resent: agent.resent,
            filled_ms: agent.filled_bytes / BYTES_PER_MS as u64,
            answers: caller.answers,
            barge_ins: caller.barge_ins,
            clears: caller.clears,
            connections: agent.connections,
            streams: agent.streams,
            cost: readings.service.as_ref().map(|usage| cost(readings, usage)),
            service_held: readings.held.clone(),
            tool: Tool {
                lateness: caller.lateness,
                cpu_percent: tool,
                agent_cpu_percent: agent_percent,
                others_cpu_percent: per_cent(others_ms(readings), readings.window_ms),
                was_limit: limit(caller.lateness, tool, agent_percent, readings.share_a_core),
            },
        }
    }

    /// Why the bridge cannot carry this load; `None` if nothing is lost and 99 of a hundred frames are in time.
    #[must_use]
    pub fn fails(&self, max_p99_us: u64) -> Option<String> {
        let p99_us = self.uplink.p99_us;
        if let Some(why) = &self.tool.was_limit {
            Some(format!("the tool was the limit: {why}"))
        } else if !self.faults.is_none() {
            Some(format!("not all went right: {:?}", self.faults))
        } else if self.uplink.count == 0 {
            Some("no frame has arrived".to_owned())
        } else {
            let gathered_us = self.gathered.p99_us;
            let waited = gathered_us > max_p99_us + MAX_GATHERING_US;
            let late = (p99_us > max_p99_us).then(|| format!("uplink p99 {} ms", p99_us / 1_000));
            late.or_else(|| waited.then(|| format!("uplink p99 of gathered frames {} ms", gathered_us / 1_000)))
        }
    }
}

fn faults(caller: &CallerFigures, agent: &AgentFigures) -> Faults {
    Faults {
        lost: caller.sent.saturating_sub(agent.arrived + agent.missing_silence),
        lost_silence: agent.missing_silence,
        unheard: agent.unheard,
        doubled: agent.doubled,
        disordered: agent.disordered,
        strange: agent.misrouted + agent.strange_bytes,
        answer_lost: caller.answer_lost,
        answer_doubled: caller.answer_doubled,
        answer_strange: caller.answer_strange,
        unanswered: caller.unanswered,
        failed_streams: agent.failed_streams,
        broken: caller.broken,
        first_break: caller.first_break.clone(),
    }
}

fn cost(readings: &Readings, usage: &Usage) -> Cost {
    let per_call_minute = |ms: u64| cpu_ms_per_call_minute(ms, readings.calls, readings.window_ms);
    Cost {
        cpu_ms_per_call_minute: per_call_minute(usage.cpu_ms()),
        user_ms_per_call_minute: per_call_minute(usage.user_ms),
        system_ms_per_call_minute: per_call_minute(usage.system_ms),
        cpu_percent: per_cent(usage.cpu_ms(), readings.window_ms),
        idle_kib: readings.idle_kib,
        loaded_kib: usage.resident_kib,
        kib_per_call: ratio(usage.resident_kib.saturating_sub(readings.idle_kib), readings.calls.into()),
        threads: usage.threads,
    }
}

/// CPU milliseconds per minute of one call, if `calls` of them used `cpu_ms` in `window_ms`.
#[must_use]
pub fn cpu_ms_per_call_minute(cpu_ms: u64, calls: u16, window_ms: u64) -> f64 {
    ratio(cpu_ms * 60_000, u64::from(calls) * window_ms)
}

fn others_ms(readings: &Readings) -> u64 {
    let ours = [readings.service.as_ref(), Some(&readings.tool), readings.agent_process.as_ref()];
    readings.machine_busy_ms.saturating_sub(ours.into_iter().flatten().map(Usage::cpu_ms).sum())
}

fn limit(lateness: Latency, tool: f64, agent: Option<f64>, share_a_core: bool) -> Option<String> {
    let both = tool + agent.unwrap_or(0.0);
    if lateness.p99_us > MAX_LATENESS_US {
        return Some(format!("its frames were late: p99 {} ms", lateness.p99_us / 1_000));
    }
    if share_a_core && both > MAX_PERCENT {
        return Some(format!("tool and agent had {both:.0} percent of their core"));
    }
    let busiest = agent.map_or(tool, |agent| agent.max(tool));
    (busiest > MAX_PERCENT).then(|| format!("the busier of tool and agent had {busiest:.0} percent of a core"))
}

fn per_cent(part_ms: u64, whole_ms: u64) -> f64 {
    100.0 * ratio(part_ms, whole_ms)
}

/// One divided by the other; 0 if the divisor is 0.
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn readings() -> Readings {
        Readings {
            calls: 100,
            window_ms: 30_000,
            caller: CallerFigures { frames: 150_000, sent: 200_000, ..CallerFigures::default() },
            agent: AgentFigures { frames: 150_000, messages: 50_000, arrived: 200_000, ..AgentFigures::default() },
            service: Some(Usage { user_ms: 1_500, system_ms: 2_500, threads: 1, resident_kib: 30_000, files: 120 }),
            idle_kib: 20_000,
            held: Vec::new(),
            tool: Usage { user_ms: 3_000, ..Usage::default() },
            agent_process: Some(Usage { system_ms: 6_000, ..Usage::default() }),
            machine_busy_ms: 16_000,
            share_a_core: true,
        }
    }

    #[test]
    fn the_cost_of_a_call_minute_is_the_processes_time_over_the_calls_minutes() {
        assert!((cpu_ms_per_call_minute(4_000, 100, 30_000) - 80.0).abs() < 1e-9);
        let cost = Measurement::of(&readings()).cost.unwrap();
        let all = [
            (cost.cpu_ms_per_call_minute, 80.0),
            (cost.user_ms_per_call_minute, 30.0),
            (cost.system_ms_per_call_minute, 50.0),
            (cost.cpu_percent, 40.0 / 3.0),
            (cost.kib_per_call, 100.0),
        ];
        assert!(all.iter().all(|(told, expected)| (told - expected).abs() < 1e-9), "{all:?}");
        assert!(cpu_ms_per_call_minute(1, 0, 0).abs() < 1e-9);
    }

    #[test]
    fn frames_that_never_came_are_lost() {
        let mut readings = readings();
        assert!(Measurement::of(&readings).faults.is_none());
        readings.agent.arrived -= 3;
        assert_eq!(Measurement::of(&readings).faults, Faults { lost: 3, ..Faults::default() });
        readings.agent.missing_silence = 2;
        assert_eq!(Measurement::of(&readings).faults, Faults { lost: 1, lost_silence: 2, ..Faults::default() });
    }

    #[test]
    fn a_bridge_holds_when_nothing_is_lost_and_frames_are_in_time() {
        let mut readings = readings();
        readings.agent.uplink = Latency { count: 9, p50_us: 1, p99_us: 20_000, max_us: 90_000 };
        let fails = |readings: &Readings, max_p99_us| Measurement::of(readings).fails(max_p99_us).unwrap_or_default();
        assert_eq!(fails(&readings, 20_000), "");
        assert_eq!(fails(&readings, 19_999), "uplink p99 20 ms");
        let mut gathering = readings.clone();
        gathering.agent.gathered.p99_us = 120_001;
        assert_eq!(fails(&gathering, 20_000), "uplink p99 of gathered frames 120 ms");
        gathering.agent.gathered.p99_us = 120_000;
        assert_eq!(Measurement::of(&gathering).fails(20_000), None);
        assert_eq!(fails(&Readings::default(), 20_000), "no frame has arrived", "nothing measured is nothing proved");
        readings.agent.doubled = 1;
        assert!(fails(&readings, 20_000).contains("doubled: 1"));
        readings.caller.lateness.p99_us = 9_000;
        assert!(fails(&readings, 20_000).starts_with("the tool was the limit"));
    }

    #[test]
    fn what_is_nobodys_of_the_load_is_others() {
        let tool = Measurement::of(&readings()).tool;
        let all = [(tool.cpu_percent, 10.0), (tool.others_cpu_percent, 10.0)];
        assert!(all.iter().all(|(told, expected)| (told - expected).abs() < 1e-9), "{all:?}");
    }

    #[test]
    fn a_tool_that_is_late_or_has_no_core_left_says_so() {
        let mut readings = readings();
        assert_eq!(Measurement::of(&readings).tool.was_limit, None);
        readings.tool.user_ms = 22_000;
        assert!(Measurement::of(&readings).tool.was_limit.unwrap().contains("93 percent"));
        readings.share_a_core = false;
        assert_eq!(Measurement::of(&readings).tool.was_limit, None);
        readings.tool.user_ms = 29_000;
        assert!(Measurement::of(&readings).tool.was_limit.unwrap().contains("97 percent"));
        readings.caller.lateness.p99_us = 7_000;
        assert!(Measurement::of(&readings).tool.was_limit.unwrap().contains("late"));
    }
}
