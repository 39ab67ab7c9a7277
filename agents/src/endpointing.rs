//! How Dialogflow CX waits for speech and for its end. An agent's settings, its flow's and its page's, and Google's own
//! rules decide that. Only the debugging info of a turn tells which ones are in force.
//!
//! Source: `CloudConversationDebuggingInfo` of `google.cloud.dialogflow.cx.v3`.

use std::future::poll_fn;

use bytes::Bytes;
use dialbridge_core::AgentEvent;
use dialbridge_core::agent::{AgentFault, TurnInput, TurnStart};
use googleapis_tonic_google_cloud_dialogflow_cx_v3::google::cloud::dialogflow::cx::v3 as cx;

use crate::cx_convert::Cx;
use crate::cx_request::first_request;
use crate::fault::fault;
use crate::pipe::{InputPipe, ResetOnDrop};
use crate::protobuf::from_duration;
use crate::session::SessionContext;
use crate::stream::{Dialect, Streams};

/// The times of the recogniser in one turn, as far as the agent tells them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Endpointing {
    /// How long it waits for speech, in milliseconds.
    pub no_speech_ms: Option<u64>,
    /// How much silence ends speech, in milliseconds.
    pub endpointing_ms: Option<u64>,
    /// Whether the first utterance ends the turn.
    pub single_utterance: bool,
}

/// A turn of CX that asks for its debugging info.
struct Debugged;

impl Dialect for Debugged {
    const METHOD: &'static str = Cx::METHOD;
    type Request = cx::StreamingDetectIntentRequest;
    type Response = cx::StreamingDetectIntentResponse;

    fn first(context: &SessionContext, start: &TurnStart) -> Self::Request {
        cx::StreamingDetectIntentRequest { enable_debugging_info: true, ..first_request(context, start) }
    }

    fn audio(audio: Bytes) -> Self::Request {
        Cx::audio(audio)
    }

    fn events(_response: Self::Response) -> Vec<AgentEvent> {
        Vec::new()
    }
}

/// Plays one turn with this audio, mu-law at 8,000 Hz. `None` if the agent sends no debugging info.
///
/// # Errors
/// What the agent refuses.
pub(super) async fn endpointing(
    streams: &Streams,
    context: &SessionContext,
    audio: &[u8],
) -> Result<Option<Endpointing>, AgentFault> {
    let pipe = InputPipe::new(0);
    // This is the first input, so there is room for it.
    let _ = pipe.write(audio);
    pipe.close();
    let _reset = ResetOnDrop(pipe.clone());
    let start = TurnStart::new(TurnInput::Audio);
    let mut turn = streams.open::<Debugged>(context, &start, &pipe).await?;
    let mut found = None;
    while let Some(response) = poll_fn(|cx| turn.poll_next(cx)).await {
        let response = response.map_err(|status| fault(&status))?;
        found = response.debugging_info.map(read).or(found);
    }
    Ok(found)
}

fn read(info: cx::CloudConversationDebuggingInfo) -> Endpointing {
    Endpointing {
        no_speech_ms: info.no_speech_timeout.map(from_duration),
        endpointing_ms: info.endpointing_timeout.map(from_duration),
        single_utterance: info.single_utterance || info.speech_single_utterance,
    }
}
