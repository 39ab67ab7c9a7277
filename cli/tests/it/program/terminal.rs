//! The program at a terminal.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Termios, Winsize, tcgetattr, tcsetwinsize};

/// A program at a terminal.
pub(crate) struct Terminal {
    pub(crate) child: Child,
    master: File,
    /// Keeps the terminal open, or the last output could be lost with it.
    _slave: File,
    shown: mpsc::Receiver<Vec<u8>>,
    seen: String,
    /// How much of the output was already searched.
    at: usize,
    /// The terminal's modes before the program started.
    before: Termios,
}

/// A terminal that is wide enough for the longest question.
const SIZE: Winsize = Winsize { ws_row: 40, ws_col: 200, ws_xpixel: 0, ws_ypixel: 0 };

impl Terminal {
    /// A terminal that can draw, whose user wants no colours.
    pub(crate) fn start(mut command: Command) -> Self {
        command.env("TERM", "xterm-256color").env("NO_COLOR", "1");
        Self::open(command)
    }

    /// A terminal that can draw, with colours.
    pub(crate) fn in_colours(mut command: Command) -> Self {
        command.env("TERM", "xterm-256color");
        Self::open(command)
    }

    /// A terminal for lines alone.
    pub(crate) fn without_drawing(mut command: Command) -> Self {
        command.env("TERM", "dumb");
        Self::open(command)
    }

    /// The terminal that the command's `TERM` and `NO_COLOR` describe.
    pub(crate) fn open(mut command: Command) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let slave = PathBuf::from(ptsname(&master, Vec::new()).unwrap().into_string().unwrap());
        let slave = File::options().read(true).write(true).open(slave).unwrap();
        tcsetwinsize(&slave, SIZE).unwrap();
        let before = tcgetattr(&slave).unwrap();
        let end = || Stdio::from(OwnedFd::from(slave.try_clone().unwrap()));
        let child = command.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
        let master = File::from(master);
        let (sender, shown) = mpsc::sync_channel(64);
        let mut reader = master.try_clone().unwrap();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut bytes) {
                if sender.send(bytes[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { child, master, _slave: slave, shown, seen: String::new(), at: 0, before }
    }

    /// Waits until the terminal shows this text, after the text of the last wait.
    pub(crate) fn expect(&mut self, text: &str) {
        loop {
            if let Some(found) = self.seen[self.at..].find(text) {
                self.at += found + text.len();
                return;
            }
            let Ok(bytes) = self.shown.recv_timeout(Duration::from_secs(20)) else {
                panic!("{text:?} is not shown: {}", self.seen);
            };
            self.seen.push_str(&String::from_utf8_lossy(&bytes));
        }
    }

    pub(crate) fn answer(&mut self, prompt: &str, answer: &str) {
        self.expect(prompt);
        self.press(answer);
        self.press("\r");
    }

    /// Sends what the keys of a keyboard send.
    pub(crate) fn press(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).unwrap();
    }

    /// Presses a key again and again until the terminal shows this text. Between two reads of the program, a terminal that
    /// is not the one that controls it loses Ctrl-C.
    pub(crate) fn press_until(&mut self, keys: &str, text: &str) {
        for _ in 0..40 {
            self.press(keys);
            while !self.seen[self.at..].contains(text) {
                let Ok(bytes) = self.shown.recv_timeout(Duration::from_millis(500)) else { break };
                self.seen.push_str(&String::from_utf8_lossy(&bytes));
            }
            if self.seen[self.at..].contains(text) {
                return self.expect(text);
            }
        }
        panic!("{text:?} is not shown: {}", self.seen);
    }

    pub(crate) fn has_echo(&self) -> bool {
        tcgetattr(&self.master).unwrap().local_modes.contains(LocalModes::ECHO)
    }

    /// The whole output, and the exit code.
    pub(crate) fn end(mut self) -> (String, i32) {
        let code = self.child.wait().unwrap().code().unwrap();
        while let Ok(bytes) = self.shown.recv_timeout(Duration::from_millis(200)) {
            self.seen.push_str(&String::from_utf8_lossy(&bytes));
        }
        let after = tcgetattr(&self.master).unwrap();
        assert_eq!(after.local_modes, self.before.local_modes, "the terminal is as it was");
        assert_eq!((after.input_modes, after.output_modes), (self.before.input_modes, self.before.output_modes));
        (std::mem::take(&mut self.seen), code)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
