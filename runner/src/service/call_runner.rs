//! Runs the calls of this instance, each in a task of its own.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use dialbridge_core::CallConfig;
use dialbridge_core::handoff::{self, Outcome};
use tokio::task::JoinSet;
use tracing::Instrument as _;

use super::admission::Admission;
use super::call_setup::CallSetup;
use crate::call::bridge;
use crate::call::calls::CallRegistration;
use crate::call::context::CallKind;
use crate::call::tape_recorder::TapeRecorder;
use crate::media::media_socket::MediaSocket;
use crate::settings::PublicUrl;
use crate::tape_files::tape_path;
use crate::telemetry::CallIdentity;
use crate::twilio::rest::RestCall;
use crate::twilio::ticket::{AccountCall, Ticket};

/// Runs calls.
pub(crate) struct CallRunner {
    pub(crate) admission: Arc<Admission>,
    pub(super) setup: CallSetup,
    /// The calls' tasks.
    pub(super) tasks: Mutex<JoinSet<()>>,
}

impl CallRunner {
    /// Runs a call to its end.
    ///
    /// `public` is the URL at which Twilio reaches this service.
    pub(crate) async fn run(
        &self,
        ticket: Ticket,
        public: &PublicUrl,
        socket: MediaSocket,
        registration: CallRegistration,
        kind: CallKind,
    ) {
        let (admission, Ticket { call_sid, issued_ms, info, .. }) = (&self.admission, &ticket);
        let context = self.setup.context(&ticket, public, kind);
        let (Some(settings), Some(context)) = (admission.agent(&info.agent), context) else {
            tracing::error!(call_sid = %call_sid, agent = info.agent, "the call's agent is not configured");
            return;
        };
        let config = context.config.clone();
        let edition = settings.address.edition();
        let (agent, language, service) = (&info.agent, &context.side.session.language, public.http(""));
        let account = info.account.as_ref().or(admission.config.twilio.account_sid.as_ref());
        let identity = CallIdentity {
            call_sid,
            account_sid: account.map(String::as_str),
            issued_ms: *issued_ms,
            agent,
            backup_of: info.backup_of.as_deref(),
            language,
            service,
            trace: info.trace,
        };
        let telemetry = admission.telemetry.call(identity, settings);
        let span = telemetry.log_span().clone();
        let recorder = match (&self.setup.tapes, settings.record_dir.as_deref()) {
            (Some(test), _) => Some(TapeRecorder::for_test(test.clone(), call_sid, edition, &config)),
            (None, Some(folder)) => {
                let (path, mask) = (tape_path(folder, call_sid, *issued_ms), settings.tape_mask);
                Some(span.in_scope(|| TapeRecorder::begin(path, mask, edition, &config)))
            }
            (None, None) => None,
        };
        // The call has its own task, so that a panic ends this call and no other.
        let mut call = JoinSet::new();
        call.spawn(bridge::run(context, call_sid.clone(), telemetry, socket, registration, recorder));
        match call.join_next().await {
            Some(Err(error)) if error.is_panic() && kind != CallKind::Browser => {
                let on_backup = admission.calls.is_on_backup(&ticket.call(), admission.clock.now_ms());
                let config = config.backup.as_deref().filter(|_| on_backup).unwrap_or(&config);
                let call = RestCall { call_sid, account: info.account.as_deref() };
                self.rescue(call, config).instrument(span).await;
            }
            Some(Ok(()) | Err(_)) | None => {}
        }
    }

    /// Gives the fallback to a call whose task has panicked. `config` is that of the agent that had the call.
    async fn rescue(&self, call: RestCall<'_>, config: &CallConfig) {
        let call_sid = call.call_sid;
        tracing::error!(call_sid = %call_sid, "a call's task has panicked: the call gets its fallback");
        let (session, stands_in) = (config.session.clone(), config.stands_in.clone());
        let outcome = Outcome { call_sid: call_sid.to_string(), session, stands_in, ..Outcome::default() };
        let twiml = handoff::failed(&config.handoff, &config.words, &outcome).twiml;
        let kept = AccountCall { account: call.account.map(ToOwned::to_owned), call_sid: call_sid.clone() };
        self.admission.calls.keep_last_twiml(&kept, &twiml, self.admission.clock.now_ms());
        if let Some(rest) = &self.setup.rest {
            self.admission.telemetry.updated(rest.update(call, &twiml).await);
        }
    }

    /// Runs a call's task.
    pub(crate) fn spawn(&self, call: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.spawn(call);
        while let Some(ended) = tasks.try_join_next() {
            if let Err(error) = ended {
                tracing::error!(%error, "a call's task has failed");
            }
        }
    }
}
