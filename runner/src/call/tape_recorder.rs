//! Writes a tape of a call to a file, off the call's path, or hands it whole to whoever wants it.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use dialbridge_core::tape::{Mask, TapeWriter};
use dialbridge_core::{Call, CallConfig, CallSid, CallTime, Input, Output, StreamSid};
use tokio::sync::mpsc::Sender;
use tracing::Span;

/// How many lines wait for a disk that is slow. A tape with holes would replay to another call, so it ends there.
const QUEUE: usize = 4_096;

/// The tape of one call.
#[derive(Debug)]
pub struct TapeRecorder {
    writer: TapeWriter,
    to: TapeTarget,
    /// The call's log lines.
    span: Span,
}

/// Where a tape goes.
#[derive(Debug)]
enum TapeTarget {
    /// Nowhere any more.
    Nowhere,
    /// Into a file.
    File(SyncSender<String>),
    /// To a test, when the call is over.
    Test(HeldTape),
}

/// A call's tape that a test gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallTape {
    /// The call.
    pub call_sid: CallSid,
    /// The tape.
    pub text: String,
}

/// A tape in memory. It is sent when the recorder goes.
#[derive(Debug)]
struct HeldTape {
    tape: CallTape,
    to: Sender<CallTape>,
}

impl Drop for HeldTape {
    fn drop(&mut self) {
        let CallTape { call_sid, text } = &mut self.tape;
        // The test may have ended.
        let _ = self.to.try_send(CallTape { call_sid: call_sid.clone(), text: std::mem::take(text) });
    }
}

impl TapeRecorder {
    /// Begins a tape in that file, for the call of the current log span. When it cannot be written, the call goes on without one.
    #[must_use]
    pub fn begin(path: PathBuf, mask: Mask, edition: &str, config: &CallConfig) -> Self {
        let (writer, span) = (TapeWriter::new(mask), Span::current());
        let (lines, waiting) = sync_channel(QUEUE);
        // It ends with the recorder. A file has no asynchronous way to be written, and a mounted bucket opens it late.
        let of_call = span.clone();
        std::thread::spawn(move || of_call.in_scope(|| write(&path, &waiting)));
        Self { writer, to: TapeTarget::File(lines), span }.begun(edition, config)
    }

    /// Begins a tape that a test gets whole when the call is over. Nothing on it is masked: the caller is the test.
    #[must_use]
    pub fn for_test(to: Sender<CallTape>, call_sid: &CallSid, edition: &str, config: &CallConfig) -> Self {
        let tape = CallTape { call_sid: call_sid.clone(), text: String::new() };
        let to = TapeTarget::Test(HeldTape { tape, to });
        Self { writer: TapeWriter::new(Mask::default()), to, span: Span::none() }.begun(edition, config)
    }

    fn begun(mut self, edition: &str, config: &CallConfig) -> Self {
        let header = self.writer.header(edition, config);
        self.line(header);
        self
    }

    /// Records an input, before that call has it.
    pub fn input(&mut self, at: CallTime, input: &Input<'_>, call: &Call) {
        let timer = match input {
            Input::Timeout => call.poll_timeout().map(|(_, timer)| timer.to_string()),
            _ => None,
        };
        let line = self.writer.input(at, input, timer.as_deref(), call.finish_digit());
        self.line(line);
    }

    /// Records an output.
    pub fn output(&mut self, at: CallTime, output: &Output, stream: &StreamSid) {
        if let Some(line) = self.writer.output(at, output, stream) {
            self.line(line);
        }
    }

    fn line(&mut self, line: String) {
        let sent = match &mut self.to {
            TapeTarget::Nowhere => return,
            TapeTarget::Test(held) => {
                held.tape.text.push_str(&line);
                held.tape.text.push('\n');
                return;
            }
            TapeTarget::File(lines) => lines.try_send(line),
        };
        match sent {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => {
                self.span.in_scope(|| tracing::warn!("the disk is too slow for the tape: it ends here"));
                self.to = TapeTarget::Nowhere;
            }
            Err(TrySendError::Disconnected(_)) => self.to = TapeTarget::Nowhere,
        }
    }
}

fn write(path: &Path, lines: &Receiver<String>) {
    let mut file = match File::create(path) {
        Ok(file) => BufWriter::new(file),
        Err(error) => {
            tracing::error!(%error, "the tape cannot be written");
            return;
        }
    };
    while let Ok(line) = lines.recv() {
        if let Err(error) = writeln!(file, "{line}") {
            tracing::error!(%error, "the tape cannot be written on");
            return;
        }
    }
}
