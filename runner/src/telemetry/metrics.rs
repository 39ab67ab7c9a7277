//! Metrics for Prometheus. Each report of a call updates counters and histograms. Gauges are read when Prometheus asks.
//! A frame of audio updates nothing.

mod format;
mod labels;
mod refusal;
mod zeros;

use std::sync::atomic::AtomicU64;

use dialbridge_core::report::AudioAccount;
use dialbridge_core::report::Stages;
use dialbridge_core::stages::{SlowStage, TurnStage};
use dialbridge_core::{Report, UpdateResult};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use labels::{AUDIO_OUTCOMES, CODES, Labels, OTHER_CODE};

pub(crate) use format::TextFormat;
pub(crate) use labels::{AgentLabels, TookOver};
pub use refusal::RefusalReason;

/// Upper bounds of the histograms' buckets, in seconds: fine where a caller begins to notice a delay, coarse where the
/// turn is lost anyway.
const SECONDS: [f64; 14] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0];

/// The same for the lengths of calls.
const CALL_SECONDS: [f64; 14] =
    [5.0, 10.0, 20.0, 30.0, 45.0, 60.0, 90.0, 120.0, 180.0, 300.0, 600.0, 1_200.0, 1_800.0, 3_600.0];

/// Bytes of mu-law per second.
const BYTES_PER_SECOND: f64 = 8_000.0;

/// The values of the gauges when Prometheus asks.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Now {
    pub(crate) live_calls: usize,
    pub(crate) waiting_sockets: usize,
    pub(crate) connections: usize,
    pub(crate) streams: usize,
    pub(crate) events_waiting: u64,
    pub(crate) spans_waiting: u64,
    pub(crate) is_ready: bool,
    pub(crate) is_draining: bool,
}

type Count = Family<Labels, Counter>;
type CountByAgent = Family<AgentLabels, Counter>;
type CountByKind = Family<[(&'static str, &'static str); 1], Counter>;
type Seconds = Counter<f64, AtomicU64>;
type Times<L> = Family<L, Histogram>;

/// All metrics of this instance.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    calls: CountByAgent,
    calls_ended: Count,
    call_seconds: Times<AgentLabels>,
    handoffs: Count,
    limits: Count,
    turns: Count,
    turn_seconds: Times<AgentLabels>,
    utterance_end_seconds: Times<Labels>,
    first_audio_seconds: Times<AgentLabels>,
    stage_seconds: Times<Labels>,
    slow_turns: Count,
    barge_ins: Count,
    prompts_guarded: Count,
    no_inputs: CountByAgent,
    no_matches: CountByAgent,
    faults: Count,
    retries: CountByAgent,
    unanswered: CountByAgent,
    backups: Count,
    taken_over: CountByAgent,
    agent_down: Family<AgentLabels, Gauge>,
    prompts_refused: CountByAgent,
    answers_without_audio: CountByAgent,
    left_out: Count,
    audio: Family<Labels, Seconds>,
    speech_in_flight: Family<AgentLabels, Seconds>,
    updates: CountByKind,
    refused: CountByKind,
    /// By `sent` and `lost`.
    events: CountByKind,
    spans: CountByKind,
    live_calls: Gauge,
    waiting_sockets: Gauge,
    connections: Gauge,
    streams: Gauge,
    queue: Gauge<u64, AtomicU64>,
    events_waiting: Gauge,
    spans_waiting: Gauge,
    ready: Gauge,
    draining: Gauge,
}

/// A registry that also returns what it registers.
struct Names(Registry);

impl Names {
    fn add<M: prometheus_client::registry::Metric + Clone>(&mut self, metric: M, name: &str, help: &str) -> M {
        self.0.register(name, help, metric.clone());
        metric
    }
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut names = Names(Registry::with_prefix("dialbridge"));
        let times = || Histogram::new(SECONDS);
        let build: Family<[(&'static str, &'static str); 1], Gauge> = Family::default();
        build.get_or_create(&[("version", env!("CARGO_PKG_VERSION"))]).set(1);
        names.add(build, "build_info", "What runs; always 1");
        let metrics = Self {
            calls: names.add(Family::default(), "calls", "Streams that have started; a call that goes over to another one has several"),
            calls_ended: names.add(Family::default(), "calls_ended", "Streams that have ended, by the reason"),
            call_seconds: names.add(
                Times::new_with_constructor(|| Histogram::new(CALL_SECONDS)),
                "call_seconds",
                "From the beginning of a stream that has started to its end",
            ),
            handoffs: names.add(Family::default(), "handoffs", "Calls whose agent was done, by the status of the hand-off"),
            limits: names.add(Family::default(), "limits_reached", "Calls that a bound of the settings has ended"),
            turns: names.add(Family::default(), "turns", "Turns that were opened, by their input"),
            turn_seconds: names.add(
                Times::new_with_constructor(times),
                "turn_seconds",
                "From the end of the caller's words to the beginning of the answer in his ear",
            ),
            utterance_end_seconds: names.add(
                Times::new_with_constructor(times),
                "utterance_end_seconds",
                "From the last frame with the caller's voice to the end of the utterance, by who found it",
            ),
            first_audio_seconds: names.add(
                Times::new_with_constructor(times),
                "first_audio_seconds",
                "From the last frame with the caller's voice to the first audio of the answer that goes to Twilio",
            ),
            stage_seconds: names.add(Times::new_with_constructor(times), "turn_stage_seconds", "The stages of that, one by one"),
            slow_turns: names.add(Family::default(), "slow_turns", "Turns that passed a bound, by the slow stage"),
            barge_ins: names.add(Family::default(), "barge_ins", "Prompts that were cut, by what cut them"),
            prompts_guarded: names.add(
                Family::default(),
                "prompts_guarded",
                "Turns whose words did not interrupt a prompt, by what they were",
            ),
            no_inputs: names.add(Family::default(), "no_inputs", "Turns in which the caller said nothing"),
            no_matches: names.add(
                Family::default(),
                "no_matches",
                "Answers of the agent to something that it did not understand",
            ),
            faults: names.add(Family::default(), "turn_faults", "Turns that failed, by gRPC's code"),
            retries: names.add(Family::default(), "turn_retries", "Turns that failed and were tried again"),
            unanswered: names.add(
                Family::default(),
                "turns_unanswered",
                "Turns in which the agent understood the caller and answered nothing",
            ),
            backups: names.add(
                Family::default(),
                "backups",
                "Calls that the agent's backup has got, because the agent could not be had, by when",
            ),
            taken_over: names.add(
                Family::default(),
                "taken_over",
                "Streams that this agent has got in their middle, as the backup of another one",
            ),
            answers_without_audio: names.add(
                Family::default(),
                "answers_without_audio",
                "Answers of the agent without audio that can be played",
            ),
            agent_down: names.add(
                Family::default(),
                "agent_down",
                "1 while the agent fails for all calls and new calls get their fallback",
            ),
            prompts_refused: names.add(Family::default(), "prompts_refused", "Prompts of the agent that could not be played"),
            left_out: names.add(Family::default(), "left_out", "What had no room or was not understood, by what it was"),
            audio: names.add(
                Family::default(),
                "caller_audio_seconds",
                "What became of the callers' audio in streams that have ended; resent and withheld are part of the others",
            ),
            speech_in_flight: names.add(
                Family::default(),
                "speech_in_flight_seconds",
                "Callers' audio that went to a second stream because the first one no longer listened",
            ),
            updates: names.add(Family::default(), "rest_updates", "Calls that were to get new TwiML over REST, by the result"),
            refused: names.add(Family::default(), "refused_requests", "Requests that were refused, by the reason"),
            events: names.add(Family::default(), "events", "Events for the users' systems that were sent or lost"),
            spans: names.add(Family::default(), "spans", "Spans of traces that were sent or lost"),
            live_calls: names.add(Gauge::default(), "live_calls", "Media sockets that are open and have a call"),
            waiting_sockets: names.add(Gauge::default(), "waiting_sockets", "Media sockets whose stream has not started"),
            connections: names.add(Gauge::default(), "agent_connections", "Connections to agents"),
            streams: names.add(Gauge::default(), "agent_streams", "Streams that are open to agents"),
            queue: names.add(
                Gauge::default(),
                "socket_queue_max",
                "The most messages that have waited for one media socket since the start, as seen when something is told of a call",
            ),
            events_waiting: names.add(Gauge::default(), "events_waiting", "Events that wait to be sent"),
            spans_waiting: names.add(Gauge::default(), "spans_waiting", "Spans that wait to be sent"),
            ready: names.add(Gauge::default(), "ready", "1 while the instance takes calls"),
            draining: names.add(Gauge::default(), "draining", "1 while the instance is ending"),
            registry: names.0,
        };
        metrics.show_zeros();
        metrics
    }

    /// Shows counters as 0 before their first event. An alert does not notice a counter that first appears as 1.
    fn show_zeros(&self) {
        for kind in RefusalReason::ALL {
            let _ = self.refused.get_or_create(&[("kind", kind.as_str())]);
        }
        let results = [UpdateResult::Accepted, UpdateResult::CallGone, UpdateResult::Impossible];
        for result in results.map(Some).into_iter().chain([None]) {
            let _ = self.updates.get_or_create(&[("result", result_of(result))]);
        }
        for family in [&self.events, &self.spans] {
            for result in ["sent", "lost"] {
                let _ = family.get_or_create(&[("result", result)]);
            }
        }
    }

    /// Counts a report of a call. Stages and the end have their own methods.
    pub(super) fn report(&self, agent: &AgentLabels, report: &Report) {
        let count = |family: &Count, name, value| {
            family.get_or_create(&Labels { agent: agent.clone(), more: (name, value) }).inc();
        };
        match report {
            Report::Started { .. } => {
                self.calls.get_or_create(agent).inc();
            }
            Report::TurnOpened { input, resent_ms, .. } => {
                count(&self.turns, "input", input);
                self.speech_in_flight.get_or_create(agent).inc_by(seconds(*resent_ms));
            }
            Report::BargeIn { by, .. } => count(&self.barge_ins, "by", by.as_str()),
            Report::PromptGuarded { from, .. } => count(&self.prompts_guarded, "from", from.as_str()),
            Report::NoInput { .. } => {
                self.no_inputs.get_or_create(agent).inc();
            }
            Report::TurnFailed { fault, retry_in_ms, .. } => {
                let code = CODES.into_iter().find(|code| *code == fault.code).unwrap_or(OTHER_CODE);
                count(&self.faults, "code", code);
                if retry_in_ms.is_some() {
                    self.retries.get_or_create(agent).inc();
                }
            }
            Report::BackupTookOver { .. } => self.backup_took_over(agent.clone(), TookOver::Stream),
            Report::Answered { is_no_match: true, .. } => {
                self.no_matches.get_or_create(agent).inc();
            }
            Report::PromptRefused { .. } => {
                self.prompts_refused.get_or_create(agent).inc();
            }
            Report::TurnUnanswered { .. } => {
                self.unanswered.get_or_create(agent).inc();
            }
            Report::AnswerWithoutAudio { .. } => {
                self.answers_without_audio.get_or_create(agent).inc();
            }
            Report::TurnedAway => self.refused(RefusalReason::Busy),
            Report::AnswerTruncated { .. } => count(&self.left_out, "what", "answer"),
            Report::DigitDropped => count(&self.left_out, "what", "digit"),
            Report::HandoffShortened { .. } => count(&self.left_out, "what", "handoff"),
            Report::PayloadRefused { .. } => count(&self.left_out, "what", "payload"),
            Report::ToolResultsDropped { .. } => count(&self.left_out, "what", "tool-result"),
            Report::TransferRefused { .. } => count(&self.left_out, "what", "transfer"),
            Report::LimitReached(bound) => count(&self.limits, "limit", bound.as_str()),
            Report::HandedOff { status } => count(&self.handoffs, "status", status.as_str()),
            Report::EndOfUtterance { found_by, silence_ms: Some(ms), .. } => {
                let labels = Labels { agent: agent.clone(), more: ("found_by", found_by.as_str()) };
                self.utterance_end_seconds.get_or_create(&labels).observe(seconds(*ms));
            }
            // These are not counted, or have their own methods.
            Report::Transcript { .. }
            | Report::EndOfUtterance { silence_ms: None, .. }
            | Report::Answered { is_no_match: false, .. }
            | Report::MoreAudio { .. }
            | Report::Stages(_)
            | Report::Cancelled { .. }
            | Report::Filler { .. }
            | Report::Payload { .. }
            | Report::ToolRefused { .. }
            | Report::ToolRun { .. }
            | Report::Succeeded { .. }
            | Report::WebhookFailed { .. }
            | Report::StartingEventUnanswered { .. }
            | Report::Played { .. }
            | Report::NoInputTurnReplaced { .. }
            | Report::Rotated { .. }
            | Report::AudioDropped { .. }
            | Report::CallerIdMissing
            | Report::Digit
            | Report::DigitsComplete { .. }
            | Report::UnknownEvent { .. }
            | Report::Ended { .. } => {}
        }
    }

    /// Counts a call that the backup of this agent has got.
    pub(super) fn backup_took_over(&self, agent: AgentLabels, when: TookOver) {
        self.backups.get_or_create(&Labels { agent, more: ("during", when.as_str()) }).inc();
    }

    /// Counts a stream that this agent has got in its middle.
    pub(super) fn has_taken_over(&self, agent: &AgentLabels) {
        self.taken_over.get_or_create(agent).inc();
    }

    /// Counts a turn, and the time of each stage.
    pub(super) fn stages(&self, agent: &AgentLabels, stages: &Stages, slow_stage: Option<SlowStage>) {
        if let Some(whole) = stages.whole().filter(|_| stages.is_spoken()) {
            self.turn_seconds.get_or_create(agent).observe(seconds(whole.ms()));
        }
        if let Some((from, to)) = stages.speech_ended.zip(stages.first_audio_sent) {
            self.first_audio_seconds.get_or_create(agent).observe(seconds(to.ms_since(from)));
        }
        for stage in TurnStage::ALL {
            if let Some(stretch) = stages.interval(stage).filter(|_| stages.is_spoken()) {
                let labels = Labels { agent: agent.clone(), more: ("stage", stage.as_str()) };
                self.stage_seconds.get_or_create(&labels).observe(seconds(stretch.ms()));
            }
        }
        if let Some(slow_stage) = slow_stage {
            let labels = Labels { agent: agent.clone(), more: ("stage", slow_stage.stage.as_str()) };
            self.slow_turns.get_or_create(&labels).inc();
        }
    }

    /// Counts the end of a stream.
    pub(super) fn ended(&self, agent: &AgentLabels, reason: &'static str, audio: &AudioAccount) {
        self.calls_ended.get_or_create(&Labels { agent: agent.clone(), more: ("reason", reason) }).inc();
        let AudioAccount { received, written, resent, withheld, dropped, after_end, left } = *audio;
        for (outcome, bytes) in
            AUDIO_OUTCOMES.into_iter().zip([received, written, resent, withheld, dropped, after_end, left])
        {
            let labels = Labels { agent: agent.clone(), more: ("outcome", outcome) };
            #[expect(clippy::cast_precision_loss, reason = "a call has far fewer than 2^52 bytes")]
            self.audio.get_or_create(&labels).inc_by(bytes as f64 / BYTES_PER_SECOND);
        }
    }

    /// Notes the length of a stream that has started.
    pub(super) fn call_lasted(&self, agent: &AgentLabels, ms: u64) {
        self.call_seconds.get_or_create(agent).observe(seconds(ms));
    }

    /// Counts an update of a call. `None`: Twilio ended the stream before it answered.
    pub(super) fn updated(&self, result: Option<UpdateResult>) {
        self.updates.get_or_create(&[("result", result_of(result))]).inc();
    }

    /// Notes whether an agent is down for all calls.
    pub(super) fn agent_is_down(&self, agent: &AgentLabels, is_down: bool) {
        self.agent_down.get_or_create(agent).set(is_down.into());
    }

    /// Counts what is left out of a call's request.
    pub(super) fn left_out(&self, agent: AgentLabels, what: &'static str, count: usize) {
        let labels = Labels { agent, more: ("what", what) };
        self.left_out.get_or_create(&labels).inc_by(count as u64);
    }

    /// Counts a refused request.
    pub(crate) fn refused(&self, why: RefusalReason) {
        self.refused.get_or_create(&[("kind", why.as_str())]).inc();
    }

    /// Notes how many messages wait to be sent over a media socket.
    pub(super) fn queued(&self, messages: usize) {
        self.queue.inner().fetch_max(messages as u64, std::sync::atomic::Ordering::Relaxed);
    }

    pub(super) fn events(&self, result: &'static str, count: usize) {
        self.events.get_or_create(&[("result", result)]).inc_by(count as u64);
    }

    pub(super) fn spans(&self, result: &'static str, count: usize) {
        self.spans.get_or_create(&[("result", result)]).inc_by(count as u64);
    }

    /// All metrics as text, in OpenMetrics' format, which Prometheus reads.
    pub(crate) fn text(&self, now: &Now) -> String {
        let set = |gauge: &Gauge, value: u64| gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        set(&self.live_calls, now.live_calls as u64);
        set(&self.waiting_sockets, now.waiting_sockets as u64);
        set(&self.connections, now.connections as u64);
        set(&self.streams, now.streams as u64);
        set(&self.events_waiting, now.events_waiting);
        set(&self.spans_waiting, now.spans_waiting);
        set(&self.ready, now.is_ready.into());
        set(&self.draining, now.is_draining.into());
        self.encoded()
    }

    /// Returns the text without setting the gauges. The page uses it, so that it does not overwrite the gauges of a scrape.
    pub(crate) fn encoded(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

fn seconds(ms: u64) -> f64 {
    std::time::Duration::from_millis(ms).as_secs_f64()
}

pub(super) fn result_of(result: Option<UpdateResult>) -> &'static str {
    match result {
        Some(UpdateResult::Accepted) => "accepted",
        Some(UpdateResult::CallGone) => "call-gone",
        Some(UpdateResult::Impossible) => "impossible",
        None => "overtaken",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dialbridge_core::TurnId;
    use dialbridge_core::agent::AgentFault;

    fn agent() -> AgentLabels {
        AgentLabels { name: "sales".into(), edition: "cx" }
    }

    #[test]
    fn a_service_that_has_done_nothing_shows_its_zeros() {
        let text = Metrics::new().text(&Now { live_calls: 3, ..Now::default() });
        for line in [
            concat!("dialbridge_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
            "dialbridge_live_calls 3",
            "dialbridge_refused_requests_total{kind=\"ticket\"} 0",
            "dialbridge_events_total{result=\"lost\"} 0",
            "# EOF",
        ] {
            assert!(text.lines().any(|other| other == line), "{line}: {text}");
        }
    }

    #[test]
    fn a_code_that_grpc_does_not_have_is_another_one() {
        let metrics = Metrics::new();
        for code in ["UNAVAILABLE", "made up by a server", "made up again"] {
            let fault = AgentFault { code: code.to_owned(), message: "m".to_owned(), transient: true };
            metrics.report(&agent(), &Report::TurnFailed { turn: TurnId(1), fault, retry_in_ms: None, again_ms: 0 });
        }
        let text = metrics.text(&Now::default());
        let line = |code, count| {
            format!("dialbridge_turn_faults_total{{agent=\"sales\",edition=\"cx\",code=\"{code}\"}} {count}")
        };
        assert!(text.contains(&line("UNAVAILABLE", 1)) && text.contains(&line("OTHER", 2)), "{text}");
        assert!(!text.contains("made up"));
    }

    #[test]
    fn the_longest_queue_is_kept() {
        let metrics = Metrics::new();
        for messages in [3, 9, 4] {
            metrics.queued(messages);
        }
        assert!(metrics.text(&Now::default()).contains("dialbridge_socket_queue_max 9\n"));
    }

    #[test]
    fn who_reads_only_counters_leaves_the_gauges_alone() {
        let metrics = Metrics::new();
        let seen = metrics.text(&Now { is_ready: true, live_calls: 3, connections: 2, ..Now::default() });
        assert_eq!(metrics.encoded(), seen);
        assert!(seen.contains("dialbridge_ready 1\n"));
    }
}
