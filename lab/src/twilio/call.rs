//! One simulated call, from the voice-url to its end.

use std::collections::VecDeque;
use std::time::Duration;

use dialbridge_core::CallTime;
use dialbridge_core::replay::Playout;
use http::StatusCode;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::twilio::account::Account;
use crate::twilio::caller::{Caller, CallerStep, Ear, FRAME_MS};
use crate::twilio::events::{CallEvent, What};
use crate::twilio::habits::{AbnormalClose, Habits};
use crate::twilio::media_socket::{FromService, MediaSocket};
use crate::twilio::twiml::{self, Verb};
use crate::twilio::{SimulatedTwilio, Update, http_client};

/// A document may lead to another, and that one to a third; a call that goes round for ever is ended.
const MOST_DOCUMENTS: usize = 20;

/// How fast a `<Say>` speaks, in milliseconds for a character.
const SAY_MS_PER_CHAR: u64 = 65;

/// How many updates wait for a call.
const UPDATES: usize = 4;

/// What is to be played.
#[derive(Debug, Clone)]
pub struct CallPlan {
    /// The number's voice-url.
    pub voice_url: String,
    /// The caller's number.
    pub from: String,
    /// The called number.
    pub to: String,
    /// What the caller does.
    pub steps: Vec<CallerStep>,
    /// With nothing left to do, the caller hangs up when the agent has been silent for so long.
    pub patience: Duration,
    /// The longest call.
    pub limit: Duration,
    /// How Twilio does what its pages do not say.
    pub habits: Habits,
    /// Where each event goes at once, for those who watch.
    pub watch: Option<mpsc::Sender<CallEvent>>,
}

impl CallPlan {
    /// A call at that voice-url by a caller who does these things.
    #[must_use]
    pub fn new(voice_url: impl Into<String>, steps: Vec<CallerStep>) -> Self {
        Self {
            voice_url: voice_url.into(),
            from: "+15550100".to_owned(),
            to: "+15550199".to_owned(),
            steps,
            patience: Duration::from_secs(20),
            limit: Duration::from_secs(300),
            habits: Habits::default(),
            watch: None,
        }
    }
}

/// How a call went.
#[derive(Debug, Clone, Default)]
pub struct CallRecord {
    /// The call.
    pub call_sid: String,
    /// What happened, in order.
    pub events: Vec<CallEvent>,
    /// The documents that were run, in order.
    pub documents: Vec<String>,
    /// What the caller said, from the first stream on: mu-law at 8,000 Hz.
    pub said: Vec<u8>,
    /// What the caller heard, as long as that.
    pub heard: Vec<u8>,
}

impl CallRecord {
    /// The first event that `wanted` wants.
    pub fn find<T>(&self, wanted: impl Fn(&What) -> Option<T>) -> Option<T> {
        self.events.iter().find_map(|event| wanted(&event.what))
    }

    /// How many events are so.
    pub fn count(&self, wanted: impl Fn(&What) -> bool) -> usize {
        self.events.iter().filter(|event| wanted(&event.what)).count()
    }
}

impl SimulatedTwilio {
    /// Places a call and plays it to its end.
    pub async fn call(&self, plan: CallPlan) -> CallRecord {
        let call_sid = Account::new_sid("CA");
        let (updates, update_receiver) = mpsc::channel(UPDATES);
        self.live().insert(call_sid.clone(), updates);
        let mut call = Line {
            twilio: self,
            caller: Caller::new(plan.steps.clone()),
            began: Instant::now(),
            record: CallRecord { call_sid: call_sid.clone(), ..CallRecord::default() },
            updates: update_receiver,
            lingering: JoinSet::new(),
            plan,
        };
        let limit = call.plan.limit;
        let by = match tokio::time::timeout(limit, call.run()).await {
            Ok(by) => by,
            Err(_) => "the call's limit".to_owned(),
        };
        call.tell(What::Ended { by }).await;
        self.live().remove(&call_sid);
        call.record
    }
}

/// A call on its way.
struct Line<'a> {
    twilio: &'a SimulatedTwilio,
    plan: CallPlan,
    caller: Caller,
    began: Instant,
    record: CallRecord,
    updates: mpsc::Receiver<Update>,
    /// Sockets that nobody closed. They end with the call.
    lingering: JoinSet<()>,
}

/// How a stream or a document ended.
enum Next {
    /// The document goes on with its next verb.
    Verb,
    /// Another document is to be run.
    Document(String),
    /// Another document is to be fetched.
    Fetch(String),
    /// The call is over.
    End(String),
}

impl Line<'_> {
    async fn run(&mut self) -> String {
        let mut next = Next::Fetch(self.plan.voice_url.clone());
        for _ in 0..MOST_DOCUMENTS {
            next = match next {
                Next::Fetch(url) => self.fetch(&url).await,
                Next::Document(xml) => self.document(&xml).await,
                Next::Verb => return "nothing left to do".to_owned(),
                Next::End(by) => return by,
            };
        }
        "too many documents".to_owned()
    }

    async fn fetch(&mut self, url: &str) -> Next {
        // Twilio answers the call when the first document has come.
        let form = self.form(if self.record.documents.is_empty() { "ringing" } else { "in-progress" });
        match http_client::post(&self.twilio.net, &self.twilio.account, url, &form).await {
            Ok(answer) if answer.status == StatusCode::OK => {
                let verbs = twiml::parse(&answer.body).unwrap_or_default();
                let verbs = verbs.iter().map(|verb| verb.name().to_owned()).collect();
                self.tell(What::Twiml { path: path_of(url), verbs }).await;
                Next::Document(answer.body)
            }
            Ok(answer) => self.webhook_failed(format!("11200: {} from {}", answer.status, path_of(url))).await,
            Err(why) => self.webhook_failed(format!("{why} from {}", path_of(url))).await,
        }
    }

    async fn webhook_failed(&mut self, why: String) -> Next {
        self.tell(What::WebhookFailed { why: why.clone() }).await;
        Next::End(why)
    }

    async fn document(&mut self, xml: &str) -> Next {
        self.record.documents.push(xml.to_owned());
        let verbs = match twiml::parse(xml) {
            Ok(verbs) => verbs,
            Err(why) => return Next::End(why),
        };
        for verb in verbs {
            match self.verb(verb).await {
                Next::Verb => {}
                other @ (Next::Document(_) | Next::Fetch(_) | Next::End(_)) => return other,
            }
        }
        Next::End("nothing left to do".to_owned())
    }

    async fn verb(&mut self, verb: Verb) -> Next {
        match verb {
            Verb::ConnectStream { action, url, parameters, .. } => {
                let next = self.stream(&url, &parameters).await;
                match (next, action) {
                    (Next::Verb, Some(action)) => Next::Fetch(action),
                    (Next::End(by), Some(action)) => {
                        if self.plan.habits.action_after_hang_up {
                            self.tell_action_of_the_end(&action).await;
                        }
                        Next::End(by)
                    }
                    (next, _) => next,
                }
            }
            Verb::Redirect { url } => {
                self.tell(What::Redirected { url: url.clone() }).await;
                Next::Fetch(url)
            }
            Verb::Say { text } => {
                tokio::time::sleep(Duration::from_millis(text.chars().count() as u64 * SAY_MS_PER_CHAR)).await;
                self.tell(What::Said { text }).await;
                Next::Verb
            }
            Verb::Pause { seconds } => {
                tokio::time::sleep(Duration::from_secs(seconds)).await;
                Next::Verb
            }
            Verb::Dial { to, .. } => {
                self.tell(What::Dialled { to }).await;
                Next::End("the other side".to_owned())
            }
            Verb::Hangup => Next::End("twiml".to_owned()),
            Verb::Other { name } => Next::End(format!("<{name}>, which the lab does not play")),
        }
    }

    /// When the caller has hung up, the action is asked once more, with the call's end as its status.
    async fn tell_action_of_the_end(&mut self, action: &str) {
        let form = self.form("completed");
        if let Err(why) = http_client::post(&self.twilio.net, &self.twilio.account, action, &form).await {
            self.tell(What::WebhookFailed { why }).await;
        }
    }

    async fn stream(&mut self, url: &str, parameters: &[(String, String)]) -> Next {
        let stream_sid = Account::new_sid("MZ");
        let (account, call_sid) = (&self.twilio.account, self.record.call_sid.clone());
        let habits = self.plan.habits;
        let mut socket = match MediaSocket::open(&self.twilio.net, account, url, stream_sid, habits).await {
            Ok(socket) => socket,
            Err(why) => {
                self.tell(What::StreamRefused { why }).await;
                return Next::Verb;
            }
        };
        let opened = match socket.connected().await {
            Ok(()) => socket.start(&account.sid, &call_sid, parameters).await,
            Err(error) => Err(error),
        };
        if opened.is_err() {
            return self.broken().await;
        }
        self.tell(What::StreamOpened).await;
        let next = Streaming::new(self).run(&mut socket).await;
        let (stops, closes) = match &next {
            // The service has closed the socket, or it broke.
            Next::Verb => (false, false),
            Next::End(_) => (habits.stop_on_hang_up, true),
            Next::Document(_) | Next::Fetch(_) => (habits.stop_after_update, habits.stop_after_update),
        };
        // The socket may be gone; then nobody is there to be told.
        if stops {
            let _ = socket.stop(&account.sid, &call_sid).await;
        }
        if closes {
            socket.close().await;
        } else if !matches!(next, Next::Verb) {
            self.lingering.spawn(async move { socket.until_closed().await });
        }
        next
    }

    async fn broken(&mut self) -> Next {
        self.tell(What::SocketClosed { code: None }).await;
        match self.plan.habits.abnormal_close {
            AbnormalClose::GoesOn => Next::Verb,
            AbnormalClose::EndsCall => Next::End("a broken socket".to_owned()),
        }
    }

    fn form(&self, status: &str) -> Vec<(String, String)> {
        let pairs = [
            ("AccountSid", self.twilio.account.sid.as_str()),
            ("ApiVersion", "2010-04-01"),
            ("CallSid", &self.record.call_sid),
            ("CallStatus", status),
            ("Called", &self.plan.to),
            ("Caller", &self.plan.from),
            ("Direction", "inbound"),
            ("From", &self.plan.from),
            ("To", &self.plan.to),
        ];
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    async fn tell(&mut self, what: What) {
        let event = CallEvent { at_ms: self.now_ms(), what };
        self.record.events.push(event.clone());
        if let Some(watch) = &self.plan.watch {
            // A watcher that has gone away does not matter to the call.
            let _ = watch.send(event).await;
        }
    }
}

fn path_of(url: &str) -> String {
    url.parse::<http::Uri>().map_or_else(|_| "…".to_owned(), |uri| uri.path().to_owned())
}

/// A call whose media socket is open.
struct Streaming<'l, 'a> {
    line: &'l mut Line<'a>,
    playout: Playout,
    /// When the stream began, in milliseconds of the call.
    began_ms: u64,
    frames: u64,
    /// What was said and is not sent yet, for messages of more than 20 ms.
    unsent: Vec<u8>,
    /// What the caller heard when the agent last began to speak.
    speaking_since: Option<usize>,
    /// What was said and heard before this stream.
    said_before: usize,
}

impl<'l, 'a> Streaming<'l, 'a> {
    fn new(line: &'l mut Line<'a>) -> Self {
        let began_ms = line.now_ms();
        let said_before = line.record.said.len();
        Self {
            line,
            playout: Playout::default(),
            began_ms,
            frames: 0,
            unsent: Vec::new(),
            speaking_since: None,
            said_before,
        }
    }

    async fn run(mut self, socket: &mut MediaSocket) -> Next {
        let mut ticks = interval_at(Instant::now(), Duration::from_millis(FRAME_MS));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let next = loop {
            let next = tokio::select! {
                biased;
                message = socket.next() => self.on_message(message, socket).await,
                Some(update) = self.line.updates.recv() => self.on_update(update).await,
                _ = ticks.tick() => self.on_tick(socket).await,
            };
            if let Some(next) = next {
                break next;
            }
        };
        let heard = self.playout.into_heard();
        let length = self.line.record.said.len();
        self.line.record.heard.resize(self.said_before, dialbridge_core::audio::MULAW_SILENCE);
        self.line.record.heard.extend(heard);
        self.line.record.heard.resize(length, dialbridge_core::audio::MULAW_SILENCE);
        next
    }

    fn stream_time(&self) -> CallTime {
        CallTime::from_ms(self.line.now_ms() - self.began_ms)
    }

    async fn on_message(&mut self, message: FromService, socket: &mut MediaSocket) -> Option<Next> {
        self.play(socket).await;
        match message {
            FromService::Media(audio) => {
                self.playout.media(self.stream_time(), &audio);
                self.notice_speech(false).await;
            }
            FromService::Mark(name) => {
                self.playout.mark(name);
                self.play(socket).await;
            }
            FromService::Clear => {
                self.playout.clear();
                self.notice_speech(true).await;
                self.play(socket).await;
            }
            FromService::Malformed { code, why } => self.line.tell(What::Warning { code, why }).await,
            FromService::Closed { code: None } => return Some(self.line.broken().await),
            FromService::Closed { code } => {
                self.line.tell(What::SocketClosed { code }).await;
                socket.close().await;
                return Some(Next::Verb);
            }
        }
        None
    }

    async fn on_update(&mut self, update: Update) -> Option<Next> {
        // Whoever asked may have gone; the update holds all the same.
        let _ = update.taken.send(());
        self.line.tell(What::Updated).await;
        Some(Next::Document(update.twiml))
    }

    async fn on_tick(&mut self, socket: &mut MediaSocket) -> Option<Next> {
        self.play(socket).await;
        let now_ms = self.line.now_ms();
        let moment = self.line.caller.next(Ear { now_ms, agent_is_speaking: self.playout.is_playing() });
        for what in moment.events {
            if let What::Digit { digit } = &what
                && socket.dtmf(*digit).await.is_err()
            {
                return Some(self.line.broken().await);
            }
            self.line.tell(what).await;
        }
        if moment.hangs_up || self.has_lost_patience(now_ms) {
            return Some(Next::End("caller".to_owned()));
        }
        self.line.record.said.extend_from_slice(&moment.frame);
        self.unsent.extend_from_slice(&moment.frame);
        self.frames += 1;
        let frame_ms = self.line.plan.habits.frame_ms;
        if !(self.frames * FRAME_MS).is_multiple_of(frame_ms) {
            return None;
        }
        let timestamp = self.frames * FRAME_MS - frame_ms;
        match socket.media(timestamp, &std::mem::take(&mut self.unsent)).await {
            Ok(()) => None,
            Err(_) => Some(self.line.broken().await),
        }
    }

    fn has_lost_patience(&self, now_ms: u64) -> bool {
        let patience = u64::try_from(self.line.plan.patience.as_millis()).unwrap_or(u64::MAX);
        let since = self.line.caller.since_ms().max(self.began_ms);
        self.line.caller.is_done() && !self.playout.is_playing() && now_ms > since + patience
    }

    /// Plays on and returns the marks that are due.
    async fn play(&mut self, socket: &mut MediaSocket) {
        let marks: VecDeque<String> = self.playout.advance(self.stream_time()).into();
        for name in marks {
            // When the socket is gone, the next tick notices it.
            let _ = socket.mark(&name).await;
        }
        self.notice_speech(false).await;
    }

    async fn notice_speech(&mut self, cut: bool) {
        match (self.playout.is_playing(), self.speaking_since) {
            (true, None) => {
                self.speaking_since = Some(self.playout.heard_bytes());
                self.line.tell(What::AgentSpeaks).await;
            }
            (false, Some(since)) => {
                self.speaking_since = None;
                let heard_ms = ((self.playout.heard_bytes() - since) / 8) as u64;
                self.line.tell(What::AgentSpoke { heard_ms, cut }).await;
            }
            (true, Some(_)) | (false, None) => {}
        }
    }
}
