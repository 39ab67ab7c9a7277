//! The Rust side of `tests/interop/`: it starts what Google's and Twilio's libraries talk to, and signs, checks and
//! writes TwiML for them to judge.
//!
//! One task a line on stdin, as JSON (`{"id":1,"do":"sign",…}`, see [`task::Task`]); one answer a line on stdout, in
//! the order of the tasks (`{"id":1,"is":…}` or `{"id":1,"fault":"…"}`). It ends when stdin ends, and everything that
//! it started ends with it.
//!
//! `cargo run -p dialbridge-tests --example interop`
#![expect(clippy::print_stdout, reason = "stdout is where its answers go")]

mod documents;
mod servers;
mod task;

use std::io::{self, BufRead, Read};

use serde_json::{Value, json};

use servers::Servers;
use task::{Line, Task};

/// The longest line, in bytes: several hundred requests to sign are a tenth of it.
const MAX_LINE_BYTES: u64 = 8 << 20;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> io::Result<()> {
    let mut servers = Servers::default();
    while let Some(line) = tokio::task::spawn_blocking(next_line).await?? {
        println!("{}", answer(&mut servers, &line).await);
    }
    Ok(())
}

/// The next line; `None` at the end of stdin.
fn next_line() -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    io::stdin().lock().take(MAX_LINE_BYTES).read_until(b'\n', &mut line)?;
    match line.last() {
        None => Ok(None),
        Some(b'\n') => Ok(Some(line)),
        Some(_) => Err(io::Error::other("a line that is too long, or that has no end")),
    }
}

async fn answer(servers: &mut Servers, line: &[u8]) -> Value {
    match serde_json::from_slice::<Line>(line) {
        Ok(Line { id, task }) => match run(servers, task).await {
            Ok(is) => json!({ "id": id, "is": is }),
            Err(fault) => json!({ "id": id, "fault": fault }),
        },
        Err(error) => json!({ "id": null, "fault": error.to_string() }),
    }
}

async fn run(servers: &mut Servers, task: Task) -> Result<Value, String> {
    match task {
        Task::Agent(agent) => servers.serve_agent(&agent).await,
        Task::Service(service) => servers.serve(service).await,
        Task::Twilio { token } => servers.serve_twilio(&token).await,
        Task::Call(call) => servers.call(call).await,
        Task::Sign { token, requests } => Ok(requests.iter().map(|request| request.sign(&token)).collect()),
        Task::Check { tokens, requests } => Ok(requests.iter().map(|request| request.check(&tokens)).collect()),
        Task::Documents { documents } => Ok(documents.into_iter().map(documents::written).collect()),
        Task::Ended(ended) => Ok(ended.written().into()),
        Task::Failed(failed) => Ok(failed.written().into()),
    }
}
