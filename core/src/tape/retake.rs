//! A recorded call under other settings.

use serde::Deserialize as _;
use serde_json::Value;

use crate::agent::AgentEvent;
use crate::config::CallConfig;
use crate::tape::{Header, Marks, TapeError, wrong};

/// The text of a tape of the same call with another configuration. The inputs of the caller and the agent stay as they were.
/// Recorded outputs, deadlines and marks are left out, because the call itself caused them. A replay then meets the
/// deadlines and plays Twilio's part itself.
///
/// If the call does something else at some point, the agent would have done something else from there on, and no tape
/// can know what. So a replay shows the effect of a setting only up to that point.
///
/// # Errors
/// [`TapeError`] with the first line that is wrong.
pub fn retake(text: &str, config: &CallConfig) -> Result<String, TapeError> {
    let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let (at, first) = lines.next().ok_or_else(|| wrong(0, "there is none: the tape is empty"))?;
    let header = Header::parse(first).map_err(|what| wrong(at, what))?;
    let is_recorded = header.marks != Marks::Simulated;
    let header = Header { config: config.clone(), marks: Marks::Simulated, ..header };
    let header = serde_json::to_value(header).map_err(|error| wrong(at, error.to_string()))?;
    let mut retaken = format!("{header}\n");
    for (at, line) in lines {
        let mut parsed: Value = serde_json::from_str(line).map_err(|error| wrong(at, error.to_string()))?;
        if !is_own_output(&parsed) {
            // A message that an older build recorded may have keys that are gone.
            if is_recorded
                && parsed["from"] == "agent"
                && let Ok(event) = AgentEvent::deserialize(&parsed["message"])
            {
                parsed["message"] = serde_json::to_value(event).map_err(|error| wrong(at, error.to_string()))?;
                retaken.push_str(&parsed.to_string());
            } else {
                retaken.push_str(line);
            }
            retaken.push('\n');
        }
    }
    Ok(retaken)
}

fn is_own_output(line: &Value) -> bool {
    line.get("to").is_some()
        || line["from"] == "timer"
        || (line["from"] == "twilio" && line["message"]["event"] == "mark")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::replay;
    use crate::report::Report;
    use crate::tape::Tape;

    /// Digits with a pause of four seconds between them, recorded with a limit of three.
    const KEYS: &str = r##"{"tape":1,"edition":"cx","note":"a test's"}
{"at_ms":0,"from":"twilio","message":{"event":"start","streamSid":"MZ1","start":{"callSid":"CA1"}}}
{"at_ms":0,"to":"agent","turn":1,"message":{"command":"open","input":"audio","parameters":{"CallSid":"CA1"}}}
{"at_ms":100,"from":"twilio","message":{"event":"dtmf","dtmf":{"digit":"1"}}}
{"at_ms":3100,"from":"timer","message":{"timer":"digits complete"}}
{"at_ms":3200,"from":"twilio","message":{"event":"mark","mark":{"name":"e0m1"}}}

{"at_ms":4100,"from":"twilio","message":{"event":"dtmf","dtmf":{"digit":"2"}}}
{"at_ms":5000,"from":"twilio","message":{"event":"dtmf","dtmf":{"digit":"#"}}}"##;

    fn entries(text: &str) -> Vec<usize> {
        let complete =
            |report: &Report| if let Report::DigitsComplete { count } = report { Some(*count) } else { None };
        replay(&Tape::parse(text).unwrap()).reports().filter_map(|(_, report)| complete(report)).collect()
    }

    #[test]
    fn a_call_is_replayed_as_with_other_settings() {
        assert_eq!(entries(KEYS), [1, 1]);
        let mut config = CallConfig::default();
        config.dtmf.interdigit_ms = 5_000;
        let retaken = retake(KEYS, &config).unwrap();
        assert_eq!(entries(&retaken), [2]);
        config.dtmf.interdigit_ms = 1_000;
        assert_eq!(entries(&retake(KEYS, &config).unwrap()), [1, 1], "deadlines are met that were none then");
    }

    #[test]
    fn what_the_call_did_itself_is_left_out_and_all_else_stays() {
        let retaken = retake(KEYS, &CallConfig::default()).unwrap();
        let tape = Tape::parse(&retaken).unwrap();
        assert_eq!((tape.inputs.len(), tape.outputs.len()), (4, 0));
        assert_eq!((tape.header.note.as_str(), tape.header.marks), ("a test's", Marks::Simulated));
        assert_eq!(retake(&retaken, &CallConfig::default()).unwrap(), retaken, "twice is once");
    }

    #[test]
    fn what_is_no_tape_is_refused() {
        assert!(retake("", &CallConfig::default()).is_err());
        let error = retake("{\"tape\":1,\"edition\":\"cx\"}\nhello", &CallConfig::default()).unwrap_err();
        assert_eq!(error.line, 2);
    }
}
