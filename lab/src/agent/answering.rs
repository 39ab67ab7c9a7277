//! Answers a turn: partial responses, then the last one, each with its audio.

use std::time::Duration;

use bytes::Bytes;
use dialbridge_core::audio::AudioFormat;
use serde_json::{Map, Value};
use tonic::Status;

use crate::agent::conversation::CallerInput;
use crate::agent::dialect::{Answered, Dialect};
use crate::agent::script::{FaultAt, MixedAudio, Output, Reply};
use crate::agent::speech::coded;
use crate::agent::turn::{Failure, ScriptedTurn, Writer, send};

/// How long the first message of an answer gets before the stream fails: a reset may discard what was not sent yet.
const MIDDLE: Duration = Duration::from_millis(100);

impl ScriptedTurn {
    /// Answers the input as the script says.
    pub(super) async fn answer<D: Dialect>(&mut self, said: &CallerInput, writer: &Writer<D>) -> Result<(), Failure> {
        let script = self.sessions.script.clone();
        let reply = self.sessions.conversations.answer(&self.opened.name, said);
        let is_matched = reply.as_ref().is_some_and(|reply| !reply.no_match);
        if D::COLLECTS_PARAMETERS {
            if !self.opened.requested.page.is_empty() {
                // "If `current_page` is specified, the previous state of the session will be ignored."
                self.sessions.conversations.forget_parameters(&self.opened.name);
            }
            self.sessions.conversations.collect(&self.opened.name, &self.opened.parameters);
        }
        let think_ms = reply.as_ref().and_then(|reply| reply.think_ms).unwrap_or(script.think_ms);
        tokio::time::sleep(Duration::from_millis(think_ms)).await;
        let reply = reply.unwrap_or_default();
        let mut before = Vec::new();
        if self.opened.partial_responses {
            for first in &reply.first {
                let mulaw = self.mulaw(first, &[]);
                before.extend_from_slice(&mulaw);
                self.say::<D>(first, mulaw, said, Part { is_matched, is_partial: true }, writer).await?;
                tokio::time::sleep(Duration::from_millis(first.think_ms.unwrap_or(script.think_ms))).await;
            }
        }
        if reply.fault_at == FaultAt::Answer {
            self.fail(&reply)?;
        }
        let repeated = if reply.repeats_partials { &before[..] } else { &[] };
        let mulaw = self.mulaw(&reply, repeated);
        self.say::<D>(&reply, mulaw, said, Part { is_matched, is_partial: false }, writer).await
    }

    /// Fails as the script says.
    fn fail(&self, reply: &Reply) -> Result<(), Failure> {
        match reply.fault {
            Some(fault) if fault.fails_stream() => return Err(Failure::of(fault, reply)),
            Some(_) => self.context.go_away(),
            None => {}
        }
        Ok(())
    }

    async fn say<D: Dialect>(
        &mut self,
        reply: &Reply,
        mulaw: Vec<u8>,
        said: &CallerInput,
        part: Part,
        writer: &Writer<D>,
    ) -> Result<(), Failure> {
        let audio = self.coded(&mulaw)?;
        let segments = reply.mixed.iter().map(|segment| match &segment.mulaw {
            Some(mulaw) => Ok(self.coded(mulaw)?.map(|(audio, _)| audio)),
            None => Ok(None),
        });
        let segments = segments.collect::<Result<_, Status>>()?;
        let response_id = self.sessions.next_response_id();
        let parameters = self.parameters::<D>(reply);
        let responses = D::answer(&Answered {
            opened: &self.opened,
            said,
            reply,
            is_matched: part.is_matched,
            response_id,
            parameters: &parameters,
            audio,
            segments,
            script: &self.sessions.script,
            is_partial: part.is_partial,
        });
        if !part.is_partial {
            self.entry.answered();
        }
        for (place, response) in responses.into_iter().enumerate() {
            send::<D>(writer, response).await?;
            if place == 0 && !part.is_partial && reply.fault_at == FaultAt::Middle {
                tokio::time::sleep(MIDDLE).await;
                self.fail(reply)?;
            }
        }
        Ok(())
    }

    fn parameters<D: Dialect>(&self, reply: &Reply) -> Map<String, Value> {
        if !D::COLLECTS_PARAMETERS {
            return reply.parameters.clone();
        }
        self.sessions.conversations.collect(&self.opened.name, &reply.parameters)
    }

    /// The audio of an answer: repeated partial responses, its own audio, and mixed audio if the script puts it there.
    fn mulaw(&self, reply: &Reply, repeated: &[u8]) -> Vec<u8> {
        let mut mulaw = [repeated, reply.mulaw.as_deref().unwrap_or_default()].concat();
        if self.sessions.script.mixed_audio == MixedAudio::InOutputAudio {
            for segment in &reply.mixed {
                mulaw.extend_from_slice(segment.mulaw.as_deref().unwrap_or_default());
            }
        }
        mulaw
    }

    /// Audio in the requested coding, or in the agent's fixed one; `None` if there is none, or none is wanted.
    fn coded(&self, mulaw: &[u8]) -> Result<Option<(Bytes, Output)>, Status> {
        let Some(asked) = self.opened.output.filter(|_| !mulaw.is_empty()) else { return Ok(None) };
        let output = self.sessions.script.output.unwrap_or(asked);
        let format = AudioFormat { encoding: output.encoding, sample_rate: output.sample_rate };
        let audio = coded(mulaw, format, output.wav).map_err(|error| Status::unimplemented(error.to_string()))?;
        Ok(Some((audio.into(), output)))
    }
}

/// Which part of an answer it is.
#[derive(Clone, Copy)]
struct Part {
    is_matched: bool,
    is_partial: bool,
}
