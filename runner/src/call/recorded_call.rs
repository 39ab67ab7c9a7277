//! A call of core's, and the tape of it where one is recorded.

use std::sync::Arc;

use dialbridge_core::carried::CallProgress;
use dialbridge_core::{Call, CallConfig, CallTime, Input, InputError, Output, Report, StreamSid, Timer};

use crate::call::tape_recorder::TapeRecorder;

/// A call whose inputs and outputs go onto a tape, where there is one.
#[derive(Debug)]
pub(super) struct RecordedCall {
    call: Call,
    recorder: Option<TapeRecorder>,
    stream_sid: StreamSid,
}

impl RecordedCall {
    pub(super) fn new(config: Arc<CallConfig>, recorder: Option<TapeRecorder>) -> Self {
        Self { call: Call::new(config, CallTime::START), recorder, stream_sid: StreamSid::default() }
    }

    /// The media stream, as its `start` names it; empty before.
    pub(super) fn stream_sid(&self) -> &StreamSid {
        &self.stream_sid
    }

    /// Hands an input to the call.
    ///
    /// # Errors
    /// [`InputError`] when core refuses it. The tape has it all the same.
    pub(super) fn handle_input(&mut self, input: Input<'_>, now: CallTime) -> Result<(), InputError> {
        if let Some(recorder) = &mut self.recorder {
            recorder.input(now, &input, &self.call);
        }
        self.call.handle_input(input, now)
    }

    /// The next output of the last input.
    pub(super) fn poll_output(&mut self, now: CallTime) -> Option<Output> {
        let output = self.call.poll_output()?;
        if let Some(recorder) = &mut self.recorder {
            recorder.output(now, &output, &self.stream_sid);
        }
        if let Output::Report(Report::Started { stream_sid, .. }) = &output {
            self.stream_sid = stream_sid.clone();
        }
        Some(output)
    }

    /// How much of the agent's audio waits, in bytes.
    pub(super) fn waiting_audio_bytes(&self) -> usize {
        self.call.waiting_audio_bytes()
    }

    /// How far the call has come.
    pub(super) fn progress(&self) -> CallProgress {
        self.call.progress()
    }

    /// When the call wants to be woken, and why.
    pub(super) fn poll_timeout(&self) -> Option<(CallTime, Timer)> {
        self.call.poll_timeout()
    }
}
