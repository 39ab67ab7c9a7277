//! What the page tells of a report: a line of the call's timeline.

use dialbridge_core::report::Stages;
use dialbridge_core::stages::StageBounds;
use dialbridge_core::{CallTime, Report};
use serde_json::{Map, Value, json};

/// How much of a text is shown, in characters.
const MOST_TEXT_CHARS: usize = 1_000;

/// The longest JSON of parameters or of a payload that is shown, in bytes.
const MOST_JSON_BYTES: usize = 4_000;

/// Parameters that an agent gets with every call and gives back: nobody has said them.
const NUMBERS: [&str; 2] = ["From", "To"];

/// What is told of a report, `what` it is among it; `None` where nothing is. Keys are told nowhere; what was said, and what
/// the agent made of it, only with `words`. A turn that is beyond `slow` names its guilty stage.
pub(super) fn told(report: &Report, words: bool, slow: StageBounds) -> Option<Map<String, Value>> {
    let value = match report {
        Report::Started { .. } => json!({ "what": "started" }),
        Report::TurnOpened { turn, input, waited_ms } => {
            json!({ "what": "turn", "turn": turn.0, "input": input, "waitedMs": waited_ms })
        }
        Report::Transcript { turn, text, is_final } if words => {
            json!({ "what": "transcript", "turn": turn.0, "text": short(text), "isFinal": is_final })
        }
        Report::EndOfUtterance { turn, spoken } => {
            json!({ "what": "utterance-over", "turn": turn.0, "spoken": spoken })
        }
        Report::Answered { turn, query_text, text, intent, parameters, audio_ms, thought_ms } => {
            let mut line = json!({
                "what": "answered", "turn": turn.0, "intent": short(&intent.display_name),
                "audioMs": audio_ms, "thoughtMs": thought_ms,
            });
            if words {
                line["heard"] = short(query_text).into();
                line["text"] = short(text).into();
                let mut parameters = parameters.clone();
                for number in NUMBERS {
                    parameters.remove(number);
                }
                line["parameters"] = bounded(parameters.len(), &parameters);
            }
            line
        }
        Report::Stages(stages) => of_stages(stages, slow),
        Report::BargeIn { turn, by, heard_ms, cut_ms } => {
            let turn = turn.map(|turn| turn.0);
            json!({ "what": "barge-in", "turn": turn, "by": by.as_str(), "heardMs": heard_ms, "cutMs": cut_ms })
        }
        Report::Heard { heard_ms, by_mark } => json!({ "what": "heard", "heardMs": heard_ms, "byMark": by_mark }),
        Report::TurnFailed { turn, fault, retry_in_ms, .. } => json!({
            "what": "failed", "turn": turn.0, "code": short(&fault.code), "text": short(&fault.message),
            "retryInMs": retry_in_ms,
        }),
        Report::PromptRefused { why } => noted("a prompt cannot be played", why),
        Report::Filler { which } => noted("a recording of ours is played", which),
        Report::Payload { payload, .. } if words => {
            json!({ "what": "payload", "payload": bounded(1, payload) })
        }
        Report::PayloadRefused { why, .. } => noted("a custom payload is not understood", why),
        Report::ToolRefused { tool, .. } => noted("the agent wants a tool run, which is refused", tool),
        Report::Succeeded { .. } => noted("the agent counts the call as a success", ""),
        Report::WebhookFailed { why, .. } => noted("a webhook of the agent's has failed", why),
        Report::StartingEventUnanswered { .. } => noted("the starting event got no answer", ""),
        Report::Rotated { .. } => noted("another stream takes over, for the agent's limit of audio", ""),
        Report::AudioDropped { ms } => noted("audio of the caller's was dropped", &format!("{ms} ms")),
        Report::Digit => json!({ "what": "key" }),
        Report::DigitsComplete { count } => json!({ "what": "keys", "count": count }),
        Report::DigitDropped => noted("too many keys wait: one was dropped", ""),
        Report::NoInput { in_a_row, .. } => json!({ "what": "no-input", "inARow": in_a_row }),
        Report::BoundReached(bound) => noted("a bound ends the call", bound.as_str()),
        Report::HandedOff { status } => json!({ "what": "handed-off", "status": status.as_str() }),
        Report::Ended { reason, .. } => json!({ "what": "ended", "reason": reason.to_string() }),
        _ => return None,
    };
    if let Value::Object(line) = value { Some(line) } else { None }
}

fn of_stages(stages: &Stages, slow: StageBounds) -> Value {
    let ms = |at: Option<CallTime>| at.map(CallTime::as_ms);
    json!({
        "what": "stages", "turn": stages.turn.0, "input": stages.input, "latencyMs": latency_ms(stages),
        "openedMs": stages.opened.as_ms(), "speechBeganMs": ms(stages.speech_began), "speechEndedMs": ms(stages.speech_ended),
        "inputCompleteMs": ms(stages.input_complete), "finalTranscriptMs": ms(stages.final_transcript),
        "answeredMs": ms(stages.answered), "firstAudioSentMs": ms(stages.first_audio_sent),
        "firstAudioHeardMs": ms(stages.first_audio_heard),
        "guilty": slow.guilty(stages).map(|guilty| guilty.stage.as_str()),
    })
}

/// How long a caller waited in a turn, in milliseconds: from the end of his words until the answer began to be heard, or
/// what is known of it. `None` for a turn that got no answer.
pub(super) fn latency_ms(stages: &Stages) -> Option<u64> {
    let until = stages.first_audio_heard.or(stages.first_audio_sent).or(stages.answered)?;
    Some(until.ms_since(stages.caller_waits_from()))
}

fn noted(what: &str, more: &str) -> Value {
    json!({ "what": "note", "text": what, "more": short(more) })
}

fn short(text: &str) -> String {
    match text.char_indices().nth(MOST_TEXT_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// JSON that is not too long; `null` where there is nothing in it.
fn bounded(count: usize, value: &(impl serde::Serialize + ?Sized)) -> Value {
    match serde_json::to_value(value) {
        Ok(_) if count == 0 => Value::Null,
        Ok(value) if value.to_string().len() <= MOST_JSON_BYTES => value,
        _ => Value::from("too long to be shown"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dialbridge_core::TurnId;
    use dialbridge_core::agent::Intent;

    const SLOW: StageBounds = StageBounds::NONE;

    fn answered() -> Report {
        let parameters =
            json!({ "bread": "rye-secret", "From": "+15550100", "To": "+15550199" }).as_object().cloned().unwrap();
        Report::Answered {
            turn: TurnId(2),
            query_text: "query-secret".to_owned(),
            text: "text-secret".to_owned(),
            intent: Intent { display_name: "order.bread".to_owned(), ..Intent::default() },
            parameters,
            audio_ms: 900,
            thought_ms: 250,
        }
    }

    #[test]
    fn what_was_said_is_told_with_words_only() {
        let transcript = Report::Transcript { turn: TurnId(1), text: "said-secret".to_owned(), is_final: true };
        let payload = Report::Payload { turn: TurnId(1), payload: json!({ "a": "payload-secret" }) };
        assert_eq!((told(&transcript, false, SLOW), told(&payload, false, SLOW)), (None, None));
        assert_eq!(told(&transcript, true, SLOW).unwrap()["text"], "said-secret");
        let without = Value::Object(told(&answered(), false, SLOW).unwrap());
        assert_eq!((&without["intent"], &without["thoughtMs"]), (&"order.bread".into(), &250.into()));
        assert!(!without.to_string().contains("secret"), "{without}");
        let with = told(&answered(), true, SLOW).unwrap();
        assert_eq!((&with["heard"], &with["text"]), (&"query-secret".into(), &"text-secret".into()));
        assert_eq!(with["parameters"], json!({ "bread": "rye-secret" }));
    }

    #[test]
    fn long_texts_and_parameters_are_cut() {
        let long = Report::Transcript { turn: TurnId(1), text: "ä".repeat(5_000), is_final: false };
        assert_eq!(told(&long, true, SLOW).unwrap()["text"].as_str().unwrap().chars().count(), MOST_TEXT_CHARS + 1);
        let Report::Answered { turn, query_text, text, intent, audio_ms, thought_ms, .. } = answered() else {
            panic!()
        };
        let parameters = json!({ "all": "x".repeat(5_000) }).as_object().cloned().unwrap();
        let report = Report::Answered { turn, query_text, text, intent, parameters, audio_ms, thought_ms };
        assert_eq!(told(&report, true, SLOW).unwrap()["parameters"], "too long to be shown");
    }

    #[test]
    fn a_latency_ends_when_the_answer_is_heard_or_where_that_is_not_known_when_it_came() {
        let at = |ms| Some(CallTime::from_ms(ms));
        let heard = Stages {
            turn: TurnId(1),
            input: "audio",
            opened: CallTime::from_ms(100),
            speech_began: at(200),
            speech_ended: None,
            input_complete: at(1_000),
            final_transcript: at(990),
            answered: at(1_300),
            first_audio_sent: at(1_301),
            first_audio_heard: at(1_350),
        };
        assert_eq!(latency_ms(&heard), Some(350));
        assert_eq!(latency_ms(&Stages { speech_ended: at(600), ..heard.clone() }), Some(750));
        assert_eq!(latency_ms(&Stages { first_audio_heard: None, ..heard.clone() }), Some(301));
        let event = Stages { input_complete: None, first_audio_heard: None, first_audio_sent: None, ..heard };
        assert_eq!(latency_ms(&event), Some(1_200));
        assert_eq!(latency_ms(&Stages { answered: None, ..event.clone() }), None);
        let line = |slow| told(&Report::Stages(Box::new(event.clone())), false, slow).unwrap();
        assert_eq!(line(StageBounds { agent_ms: Some(299), ..SLOW })["guilty"], "agent");
        assert_eq!(line(SLOW)["guilty"], Value::Null);
    }
}
