//! What a call gets from its driver, and what the driver must do for it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::agent::{AgentCommand, AgentEvent, ToolCall};
#[cfg(doc)]
use crate::config::CallConfig;
use crate::ids::{FetchId, StreamId, ToolsId};
use crate::report::{CloseReason, Report};
use crate::twilio::TwilioMessage;

/// An input of the call: what happened outside.
#[derive(Debug, Clone, PartialEq)]
pub enum Input<'a> {
    /// A text message came over the WebSocket.
    Twilio(&'a str),
    /// A binary message came, which Twilio never sends.
    TwilioBinary,
    /// The WebSocket closed.
    TwilioClosed,
    /// Twilio does not read what we send, so the WebSocket's queue is full.
    NotReading,
    /// Another media stream has the call now.
    TakenOver,
    /// The answer to [`Output::Admit`]: whether there is room for the call.
    Admitted(bool),
    /// The caller sends a text as if he had said it. No telephone does: it comes from a test of a call flow.
    Text(&'a str),
    /// The agent stream with this id sent an event.
    Agent(StreamId, AgentEvent),
    /// Twilio's REST API answered [`Output::Update`], or could not be reached.
    Updated(UpdateResult),
    /// The result of [`Output::Fetch`]: the bytes of a WAV, or a sentence that says why there are none. Anything but a
    /// WAV is not played.
    Fetched(FetchId, Result<&'a [u8], &'a str>),
    /// The results of [`Output::RunTools`], one for each tool call, in the same order. An `Err` is a sentence for the
    /// agent that says why there is no result.
    ToolsRun(ToolsId, Vec<Result<Map<String, Value>, String>>),
    /// How much of the agent's audio may wait from now on, in milliseconds, if that is less than
    /// [`CallConfig::max_answer_ms`]: the driver has many calls and one memory. What waits already stays.
    AudioRoom(u64),
    /// The call should migrate because this instance will end. The call closes its media stream in the next gap of the
    /// conversation, after [`Timeouts::migration_ms`](crate::config::Timeouts) at the latest.
    Migrate,
    /// The deadline has passed. A `Timeout` that comes too early or twice brings nothing but the time.
    Timeout,
}

/// The result of a REST update.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum UpdateResult {
    /// Twilio accepted it and will stop the stream.
    Accepted,
    /// The call is already over (404, 21220).
    CallGone,
    /// It could not be done, or not in time. The call must go on through `<Connect action>`.
    Impossible,
}

/// What the driver must do. The outputs come in the order in which it must do them.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Send this over the WebSocket.
    Twilio(TwilioMessage),
    /// Pass this to that stream.
    Agent(StreamId, AgentCommand),
    /// The media stream has started, with these `<Parameter>`s: is there room for the call? Comes only if
    /// [`CallConfig::busy`] is set. Answer with one [`Input::Admitted`], before any other input.
    Admit(BTreeMap<String, String>),
    /// Update the call with this TwiML over REST. If the WebSocket closes before that, the driver answers
    /// `/connect-ended` with this TwiML. Answer with one [`Input::Updated`].
    Update {
        /// A whole document. If it contains [`DIAL_ACTION`](crate::twiml::DIAL_ACTION), the driver puts its own URL
        /// there.
        twiml: String,
    },
    /// Fetch audio from this address. Answer with one [`Input::Fetched`]. The driver limits its size and time.
    Fetch(FetchId, String),
    /// Run these tools. Comes only if [`CallConfig::has_tools`] is set. Answer with one [`Input::ToolsRun`]. The driver
    /// limits how long it takes.
    RunTools(ToolsId, Vec<ToolCall>),
    /// The agent cannot be had: streams that open from here on go to its backup, as [`CallConfig::backup`] says.
    /// Fetches and tools go by the backup's settings too. Comes once at most.
    UseBackup,
    /// A fact for logs and metrics.
    Report(Report),
    /// Close the WebSocket. The last output.
    Close(CloseReason),
}

impl Output {
    /// The report, if it is one.
    #[must_use]
    pub fn report(&self) -> Option<&Report> {
        if let Self::Report(report) = self { Some(report) } else { None }
    }
}
