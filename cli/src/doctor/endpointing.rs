//! How the recogniser of a CX agent waits in calls: the debugging info of one turn tells which of the agent's, the flow's and
//! Google's own settings are in force. Calls need none of it, so an agent that does not tell is no fault.

use dialbridge_agents::{Endpointing, Product};
use dialbridge_core::config::EndOfUtterance;

use super::finding::Finding;
use super::subject::{AgentSubject, session_id};
use super::{Doctor, in_short};

const CHECK: &str = "agent-endpointing";

/// Silence that ends an utterance, in milliseconds, beyond which a conversation is slow.
const SLOW_MS: u64 = 1_500;

/// Plays one turn of silence and says how long the recogniser waits.
pub(super) async fn check(doctor: &Doctor, subject: &AgentSubject) -> Finding {
    if subject.address.product() != Product::Cx {
        return skipped("only CX agents tell how their recogniser waits");
    }
    let session = session_id();
    let turn = subject.endpointing(doctor.tools.dial.clone(), &session);
    match tokio::time::timeout(doctor.web.deadline, turn).await {
        Err(_) => skipped(format!("no answer to a turn of silence within {} s", doctor.web.deadline.as_secs_f32())),
        Ok(Err(why)) => skipped(format!("a turn of silence fails ({})", in_short(&why))),
        Ok(Ok(None)) => skipped("the agent sends no debugging info"),
        Ok(Ok(Some(told))) => finding(told, subject.end_of_utterance()),
    }
}

pub(super) fn skipped(why: impl Into<String>) -> Finding {
    Finding::skipped(CHECK, why)
}

/// `rule`: who ends an utterance in calls.
fn finding(told: Endpointing, rule: EndOfUtterance) -> Finding {
    let no_speech = told.no_speech_ms.map(|ms| format!("the recogniser waits {ms} ms for speech"));
    let silence = told.endpointing_ms.map(|ms| format!("{ms} ms of silence end an utterance"));
    let says = match [no_speech, silence].into_iter().flatten().collect::<Vec<_>>().join(", and ") {
        nothing if nothing.is_empty() => "the agent does not tell how long its recogniser waits".to_owned(),
        says => says,
    };
    if !told.single_utterance {
        let mend =
            "callers get their answers all the same; report it with a tape (RECORD_DIR): see docs/assumptions.md";
        return Finding::warning(CHECK, format!("{says}; the agent did not take single_utterance"), mend);
    }
    match told.endpointing_ms {
        Some(ms) if ms > SLOW_MS && !matches!(rule, EndOfUtterance::After(_)) => {
            let mend = "lower the timeout in the agent's advanced speech settings, or set END_OF_UTTERANCE to a duration such as 800ms";
            Finding::warning(CHECK, says, mend)
        }
        Some(_) | None => Finding::ok(CHECK, says),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::Mark;

    #[test]
    fn what_the_agent_tells_is_said_and_a_long_wait_is_a_warning() {
        let told = |no_speech_ms, endpointing_ms, single_utterance| {
            let finding =
                finding(Endpointing { no_speech_ms, endpointing_ms, single_utterance }, EndOfUtterance::Agent);
            (finding.mark, finding.says)
        };
        let says = "the recogniser waits 5000 ms for speech, and 800 ms of silence end an utterance";
        assert_eq!(told(Some(5_000), Some(800), true), (Mark::Ok, says.to_owned()));
        assert_eq!(told(None, None, true).0, Mark::Ok);
        assert_eq!(told(Some(5_000), Some(1_600), true).0, Mark::Warning);
        let slow = Endpointing { no_speech_ms: None, endpointing_ms: Some(1_600), single_utterance: true };
        assert_eq!(finding(slow, EndOfUtterance::After(800)).mark, Mark::Ok, "the service ends utterances");
        let (mark, says) = told(Some(5_000), Some(800), false);
        assert!(mark == Mark::Warning && says.contains("single_utterance"), "{says}");
    }
}
