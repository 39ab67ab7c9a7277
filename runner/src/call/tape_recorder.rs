//! Writes a tape of a call to a file, off the call's path.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use dialbridge_core::tape::{Mask, TapeWriter};
use dialbridge_core::{Call, CallConfig, CallSid, CallTime, Input, Output, StreamSid};

/// How many lines wait for a disk that is slow. A tape with holes would replay to another call, so it ends there.
const QUEUE: usize = 4_096;

/// The tape of one call.
#[derive(Debug)]
pub struct TapeRecorder {
    writer: TapeWriter,
    lines: Option<SyncSender<String>>,
}

impl TapeRecorder {
    /// Begins a tape in that folder. When it cannot be written, the call goes on without one.
    #[must_use]
    pub fn begin(
        folder: &Path,
        mask: Mask,
        call_sid: &CallSid,
        issued_ms: u64,
        edition: &str,
        config: &CallConfig,
    ) -> Self {
        let writer = TapeWriter::new(mask);
        let path = folder.join(format!("{call_sid}-{issued_ms}.jsonl"));
        let file = match File::create(&path) {
            Ok(file) => file,
            Err(error) => {
                tracing::error!(call_sid = %call_sid, %error, "the tape cannot be written");
                return Self { writer, lines: None };
            }
        };
        let (lines, waiting) = sync_channel(QUEUE);
        // It ends with the recorder. A file has no asynchronous way to be written.
        std::thread::spawn(move || write(file, &waiting));
        let header = writer.header(edition, config);
        let mut recorder = Self { writer, lines: Some(lines) };
        recorder.line(header);
        recorder
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
        let Some(lines) = &self.lines else { return };
        match lines.try_send(line) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => {
                tracing::warn!("the disk is too slow for the tape: it ends here");
                self.lines = None;
            }
            Err(TrySendError::Disconnected(_)) => self.lines = None,
        }
    }
}

fn write(file: File, lines: &Receiver<String>) {
    let mut file = BufWriter::new(file);
    while let Ok(line) = lines.recv() {
        if let Err(error) = writeln!(file, "{line}") {
            tracing::error!(%error, "the tape cannot be written on");
            return;
        }
    }
}
