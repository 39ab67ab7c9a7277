//! One simulated call, from the voice-url to the hang-up.

use dialbridge_core::replay::Caller;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::twilio::SimulatedTwilio;
use crate::twilio::account::Account;
use crate::twilio::behaviour::AbnormalClose;
use crate::twilio::call_state::{ActiveCall, CallRecord, Next, StatusCallback};
use crate::twilio::events::{CallEvent, CallEventKind};
use crate::twilio::faults::StreamFaults;
use crate::twilio::media_stream::SimulatedMediaStream;
use crate::twilio::plan::CallPlan;
use crate::twilio::streaming::Streaming;
use crate::twilio::twiml::{self, Stream};

/// How many documents a call may run: a call whose documents lead round in circles is ended.
const MAX_DOCUMENTS: usize = 20;

/// How many updates may wait for a call.
const UPDATES: usize = 4;

impl SimulatedTwilio {
    /// Places a call and plays it to its end.
    pub async fn call(&self, plan: CallPlan) -> CallRecord {
        let call_sid = Account::new_sid("CA");
        let (updates, update_receiver) = mpsc::channel(UPDATES);
        self.live().insert(call_sid.clone(), updates);
        if let Some(subaccount) = &plan.subaccount {
            self.account_state().of_subaccounts.insert(call_sid.clone(), subaccount.sid.clone());
        }
        let mut call = ActiveCall {
            twilio: self,
            caller: Caller::new(plan.steps.clone()),
            began: Instant::now(),
            record: CallRecord { call_sid: call_sid.clone(), ..CallRecord::default() },
            updates: update_receiver,
            streams: 0,
            dialled: 0,
            lingering: JoinSet::new(),
            plan,
        };
        let limit = call.plan.limit;
        let by = match tokio::time::timeout(limit, call.run()).await {
            Ok(by) => by,
            Err(_) => "the call's limit".to_owned(),
        };
        call.record_event(CallEventKind::Ended { by }).await;
        self.live().remove(&call_sid);
        call.record
    }
}

impl ActiveCall<'_> {
    /// The account that the call belongs to.
    pub(super) fn account(&self) -> &Account {
        self.plan.subaccount.as_ref().unwrap_or(&self.twilio.account)
    }

    async fn run(&mut self) -> String {
        let mut next = Next::Fetch(self.plan.voice_url.clone(), Vec::new());
        for _ in 0..MAX_DOCUMENTS {
            next = match next {
                Next::Fetch(url, more) => self.fetch(&url, more).await,
                Next::Document(xml) => self.document(&xml).await,
                Next::Verb => return "nothing left to do".to_owned(),
                Next::End(by) => return by,
            };
        }
        "too many documents".to_owned()
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
                other @ (Next::Document(_) | Next::Fetch(..) | Next::End(_)) => return other,
            }
        }
        Next::End("nothing left to do".to_owned())
    }

    pub(super) async fn stream(&mut self, stream: &Stream) -> Next {
        let Stream { url, status_callback, parameters } = stream;
        let stream_sid = Account::new_sid("MZ");
        let status = StatusCallback { url: status_callback.clone(), stream_sid: stream_sid.clone() };
        let (account, call_sid) = (self.account().clone(), self.record.call_sid.clone());
        let behaviour = self.plan.behaviour;
        let mut socket = match SimulatedMediaStream::open(&self.twilio.net, &account, url, stream_sid, behaviour).await
        {
            Ok(socket) => socket,
            Err(why) => {
                self.send_status(&status, "stream-error", Some(&why));
                self.record_event(CallEventKind::StreamRefused { why }).await;
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
        self.send_status(&status, "stream-started", None);
        self.record_event(CallEventKind::StreamOpened).await;
        self.streams += 1;
        let faults = StreamFaults::of_stream(self.streams, &self.plan.faults);
        let next = Streaming::new(self, faults).run(&mut socket).await;
        self.send_status(&status, "stream-stopped", None);
        let (stops, closes) = match &next {
            // The service has closed the WebSocket, or it broke.
            Next::Verb => (false, false),
            Next::End(_) => (behaviour.stop_on_hang_up, true),
            Next::Document(_) | Next::Fetch(..) => (behaviour.stop_after_update, behaviour.stop_after_update),
        };
        // The WebSocket may be gone; then nobody needs to know.
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

    pub(super) async fn broken(&mut self) -> Next {
        self.record_event(CallEventKind::StreamClosed { code: None }).await;
        match self.plan.behaviour.abnormal_close {
            AbnormalClose::GoesOn => Next::Verb,
            AbnormalClose::EndsCall => Next::End("a broken socket".to_owned()),
        }
    }

    pub(super) fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    pub(super) async fn record_event(&mut self, kind: CallEventKind) {
        let event = CallEvent { at_ms: self.now_ms(), kind };
        self.record.events.push(event.clone());
        if let Some(watch) = &self.plan.watch {
            // The call does not care whether its watcher still listens.
            let _ = watch.send(event).await;
        }
    }
}
