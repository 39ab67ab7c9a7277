//! What a call reports, as log lines. Words of the caller's and the agent's stand at DEBUG only, digits nowhere.

use dialbridge_core::report::Stages;
use dialbridge_core::stages::{Guilty, TurnStage};
use dialbridge_core::{CallSid, CallTime, Report};
use tracing::{debug, error, info, warn};

/// Logs one fact.
pub(crate) fn log(call_sid: &CallSid, at: CallTime, report: &Report) {
    let (call_sid, at_ms) = (call_sid.as_str(), at.as_ms());
    match report {
        Report::Started { stream_sid, .. } => {
            info!(call_sid, at_ms, stream_sid = stream_sid.as_str(), "the stream has started");
        }
        Report::TurnOpened { turn, input, waited_ms } => {
            debug!(call_sid, at_ms, turn = turn.0, input, waited_ms, "a turn has opened");
        }
        Report::Transcript { turn, text, is_final } => {
            debug!(call_sid, at_ms, turn = turn.0, text, is_final, "a transcript came");
        }
        Report::EndOfUtterance { turn, spoken } => {
            debug!(call_sid, at_ms, turn = turn.0, spoken, "the utterance is over");
        }
        Report::Answered { turn, query_text, text, intent, audio_ms, thought_ms, parameters: _ } => {
            let intent = intent.display_name.as_str();
            info!(call_sid, at_ms, turn = turn.0, intent, audio_ms, thought_ms, "the agent has answered");
            debug!(call_sid, at_ms, turn = turn.0, query_text, text, "the answer in words");
        }
        Report::MoreAudio { turn, audio_ms } => {
            debug!(call_sid, at_ms, turn = turn.0, audio_ms, "more audio of the answer came");
        }
        // Whoever knows the bounds tells them.
        Report::Stages(_) => {}
        Report::PromptRefused { why } => warn!(call_sid, at_ms, why, "a prompt of the agent's cannot be played"),
        Report::Cancelled { cut_ms } => debug!(call_sid, at_ms, cut_ms, "the answer has cut what played in its place"),
        Report::Filler { which } => debug!(call_sid, at_ms, which, "a recording of ours is played"),
        Report::Payload { turn, payload } => {
            debug!(call_sid, at_ms, turn = turn.0, payload = payload.to_string(), "a custom payload came");
        }
        Report::PayloadRefused { turn, why } => {
            warn!(call_sid, at_ms, turn = turn.0, why, "a custom payload is not understood");
        }
        Report::ToolRefused { turn, tool } => {
            let tool = last_part(tool);
            warn!(call_sid, at_ms, turn = turn.0, tool, "the agent wants a tool run, which this service does not do");
        }
        Report::ToolRun { turn, tool, fault: None } => {
            info!(call_sid, at_ms, turn = turn.0, tool = last_part(tool), "a tool that the agent wants was run");
        }
        Report::ToolRun { turn, tool, fault: Some(fault) } => {
            let tool = last_part(tool);
            warn!(call_sid, at_ms, turn = turn.0, tool, fault, "a tool that the agent wants could not be run");
        }
        Report::Succeeded { turn } => info!(call_sid, at_ms, turn = turn.0, "the agent counts the call as a success"),
        Report::WebhookFailed { turn, why } => {
            warn!(call_sid, at_ms, turn = turn.0, why, "a webhook of the agent's has failed");
        }
        Report::StartingEventUnanswered { turn } => {
            warn!(call_sid, at_ms, turn = turn.0, "the agent does not answer DIALOGFLOW_STARTING_EVENT_NAME");
        }
        Report::BargeIn { turn, by, heard_ms, cut_ms } => {
            let (turn, by) = (turn.map(|turn| turn.0), by.as_str());
            info!(call_sid, at_ms, turn, by, heard_ms, cut_ms, "the caller has interrupted the agent");
        }
        Report::Heard { heard_ms, by_mark } => {
            debug!(call_sid, at_ms, heard_ms, by_mark, "the caller has heard the agent out");
        }
        Report::SilentTurnReplaced { turn } => {
            debug!(call_sid, at_ms, turn = turn.0, "a turn without a word was replaced");
        }
        Report::Rotated { turn, in_speech } => {
            debug!(call_sid, at_ms, turn = turn.0, in_speech, "a turn has reached the agent's audio limit");
        }
        Report::TurnFailed { turn, fault, retry_in_ms, again_ms } => {
            let (turn, fault) = (turn.0, fault.to_string());
            match retry_in_ms {
                Some(pause) => {
                    warn!(
                        call_sid,
                        at_ms,
                        turn,
                        fault,
                        retry_in_ms = *pause,
                        again_ms,
                        "a turn has failed, and is tried again"
                    );
                }
                None => error!(call_sid, at_ms, turn, fault, "a turn has failed, and is not tried again"),
            }
        }
        Report::AudioDropped { ms } => {
            debug!(call_sid, at_ms, ms, "audio of the caller's was dropped");
        }
        Report::Digit => debug!(call_sid, at_ms, "a key was pressed"),
        Report::DigitsComplete { count } => debug!(call_sid, at_ms, count, "the keys are complete"),
        Report::DigitDropped => warn!(call_sid, at_ms, "too many keys wait already: one was dropped"),
        Report::NoInput { in_a_row, by_event } => {
            info!(call_sid, at_ms, in_a_row, by_event, "the caller has said nothing");
        }
        Report::BoundReached(bound) => warn!(call_sid, at_ms, bound = bound.as_str(), "a bound ends the call"),
        Report::UnknownEvent { event } => debug!(call_sid, at_ms, event, "Twilio sent an event of an unknown kind"),
        Report::HandedOff { status } => {
            info!(call_sid, at_ms, status = status.as_str(), "the agent's part is over");
        }
        Report::Ended { reason, audio } => info!(
            call_sid,
            at_ms,
            reason = reason.to_string(),
            audio_received = audio.received,
            audio_written = audio.written,
            audio_resent = audio.resent,
            audio_withheld = audio.withheld,
            audio_dropped = audio.dropped,
            audio_after_end = audio.after_end,
            audio_left = audio.left,
            "the call is over"
        ),
        other => debug!(call_sid, at_ms, report = ?other, "a report"),
    }
}

/// A resource's own id, without the names of the project and the agent that it is part of.
fn last_part(resource: &str) -> &str {
    resource.rsplit('/').next().unwrap_or(resource)
}

/// A turn in one line: how long each of its stages took, and when what happened, in milliseconds of the call. One that was
/// slow is a warning, and says because of which stage.
pub(crate) fn log_stages(call_sid: &CallSid, at: CallTime, stages: &Stages, guilty: Option<Guilty>) {
    let (call_sid, at_ms) = (call_sid.as_str(), at.as_ms());
    let took = |stage| stages.stretch(stage).map(|stretch| stretch.ms());
    let when = |at: Option<CallTime>| at.map(CallTime::as_ms);
    // A macro takes its level as it is written, so the line stands here for both.
    macro_rules! line {
        ($level:ident, $message:literal) => {
            $level!(
                call_sid,
                at_ms,
                turn = stages.turn.0,
                input = stages.input,
                slow = guilty.is_some(),
                guilty = guilty.map(|guilty| guilty.stage.as_str()),
                guilty_ms = guilty.map(|guilty| guilty.took_ms),
                whole_ms = stages.whole().map(|whole| whole.ms()),
                waiting_ms = took(TurnStage::Waiting),
                recogniser_ms = took(TurnStage::Recogniser),
                agent_ms = took(TurnStage::Agent),
                first_audio_ms = took(TurnStage::FirstAudio),
                play_out_ms = took(TurnStage::PlayOut),
                opened_at_ms = stages.opened.as_ms(),
                speech_began_at_ms = when(stages.speech_began),
                speech_ended_at_ms = when(stages.speech_ended),
                input_complete_at_ms = when(stages.input_complete),
                final_transcript_at_ms = when(stages.final_transcript),
                answered_at_ms = when(stages.answered),
                first_audio_sent_at_ms = when(stages.first_audio_sent),
                first_audio_heard_at_ms = when(stages.first_audio_heard),
                $message
            )
        };
    }
    match guilty {
        Some(_) => line!(warn, "a slow turn and its stages"),
        None => line!(info, "a turn and its stages"),
    }
}
