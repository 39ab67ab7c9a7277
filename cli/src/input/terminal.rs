//! Asks at a terminal: lines that can be edited, secrets that are not shown, choices by arrow keys.

use std::io::{ErrorKind, Write, stderr};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use inquire::{InquireError, Password, PasswordDisplayMode, Select, Text};
use tokio::sync::oneshot;

use super::echo::EchoOff;

/// How long the signal of Ctrl-C may be on its way to whoever runs the command.
const SIGNAL_DEADLINE: Duration = Duration::from_secs(1);

/// How long a question that a signal has interrupted may take to end.
const QUESTION_DEADLINE: Duration = Duration::from_millis(50);

/// The key that ends the input. The library takes it for a letter.
const CTRL_D: char = '\u{4}';

/// Shows the cursor, which a drawn question hides.
const SHOW_CURSOR: &str = "\x1b[?25h";

/// Somebody at a terminal. Whoever asks must also wait for SIGINT: Ctrl-C causes it.
pub(crate) struct Terminal;

impl Terminal {
    /// Asks for a line, and returns it without the space around it; `None` if there are no more.
    pub(super) async fn ask(&mut self, prompt: &str) -> Option<String> {
        let prompt = prompt.trim_end().to_owned();
        let answer = put(move || Text::new(&prompt).with_formatter(&typed).prompt()).await?;
        (!answer.contains(CTRL_D)).then(|| typed(&answer))
    }

    /// Asks for a secret. Neither the secret nor its length is shown.
    pub(super) async fn ask_secret(&mut self, prompt: &str) -> Option<String> {
        let prompt = prompt.trim_end().to_owned();
        let ask = move || {
            let question = Password::new(&prompt).without_confirmation().with_display_mode(PasswordDisplayMode::Hidden);
            question.with_formatter(&masked).prompt()
        };
        let answer = put(ask).await?;
        (!answer.contains(CTRL_D)).then(|| typed(&answer))
    }

    /// Has one of the choices chosen, and returns which; `None` if the terminal is gone.
    pub(crate) async fn choose(&mut self, prompt: &str, choices: Vec<String>) -> Option<usize> {
        let prompt = prompt.trim_end().to_owned();
        let help = "arrow keys move, Enter chooses, letters filter";
        put(move || Select::new(&prompt, choices.clone()).with_help_message(help).raw_prompt())
            .await
            .map(|chosen| chosen.index)
    }
}

/// Removes control characters (keys such as Ctrl-U leave them) and the space around an answer.
fn typed(answer: &str) -> String {
    let letters: String = answer.chars().filter(|letter| !letter.is_control()).collect();
    letters.trim().to_owned()
}

fn masked(secret: &str) -> String {
    if secret.is_empty() { String::new() } else { "********".to_owned() }
}

/// Puts a question until it is answered; Esc puts it again.
async fn put<T: Send + 'static>(ask: impl Fn() -> Result<T, InquireError> + Send + 'static) -> Option<T> {
    let (sender, answer) = oneshot::channel();
    let alive = Arc::new(());
    let _open = OpenQuestion { is_open: Arc::downgrade(&alive), _echo: EchoOff::for_keys() };
    // Nobody waits for this thread: it may block in a read until the process ends, and must not keep the process from
    // ending.
    std::thread::spawn(move || {
        let answer = loop {
            match ask() {
                Err(InquireError::OperationCanceled) => {}
                answer => break answer,
            }
        };
        drop(alive);
        // Whoever asked may have been interrupted.
        let _ = sender.send(answer);
    });
    match answer.await {
        Ok(Ok(answer)) => Some(answer),
        Ok(Err(InquireError::IO(error))) if error.kind() == ErrorKind::Interrupted => {
            tokio::time::sleep(SIGNAL_DEADLINE).await;
            None
        }
        Ok(Err(_)) | Err(_) => None,
    }
}

/// A question that is being asked. When it is dropped, the terminal is as it was before the question.
struct OpenQuestion {
    is_open: Weak<()>,
    _echo: EchoOff,
}

impl Drop for OpenQuestion {
    fn drop(&mut self) {
        if self.is_open.strong_count() == 0 {
            return;
        }
        // A signal may have woken the thread that reads. It then sets the terminal too, and must be first.
        let deadline = Instant::now() + QUESTION_DEADLINE;
        while self.is_open.strong_count() > 0 && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        // A failed write means that nobody sees the cursor.
        let _ = write!(stderr(), "{SHOW_CURSOR}\r\n");
    }
}
