//! `--fault`: what goes wrong in a call, at Twilio or at the agent.

use dialbridge_lab::agent::Script;
use dialbridge_lab::agent::script::PlannedFault;
use dialbridge_lab::twilio::CallFault;

/// A fault.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Faults {
    /// At Twilio, or on the way to it.
    pub(super) call: Vec<CallFault>,
    /// At the agent.
    pub(super) agent: Option<PlannedFault>,
}

impl Faults {
    pub(super) fn parse(texts: &[String]) -> Result<Self, String> {
        let mut faults = Self::default();
        for text in texts {
            match (CallFault::parse(text), PlannedFault::parse(text)) {
                (Ok(fault), _) => faults.call.push(fault),
                (_, Ok(_)) if faults.agent.is_some() => {
                    return Err(format!("--fault {text}: there can be one fault of the agent's"));
                }
                (_, Ok(fault)) => faults.agent = Some(fault),
                _ => {
                    let (call, agent) = (CallFault::NAMES, PlannedFault::NAMES);
                    return Err(format!(
                        "--fault {text}: there is no such fault. Of Twilio and the way to it there are {call}; of the agent {agent}"
                    ));
                }
            }
        }
        Ok(faults)
    }

    /// The embedded agent, with its fault.
    pub(super) fn bakery(&self) -> Result<Script, String> {
        let script = Script::bakery().map_err(|error| error.to_string())?;
        Ok(self.agent.map_or(script.clone(), |fault| script.with_fault(fault)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_of_both_sides_are_told_apart_and_an_unknown_one_names_all() {
        let parse = |texts: &[&str]| Faults::parse(&texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>());
        let faults = parse(&["break@5000", "cut@800", "no-marks"]).unwrap();
        assert_eq!(faults.call, [CallFault::Breaks { at_ms: 5_000 }, CallFault::NoMarks]);
        assert_eq!(faults.agent, PlannedFault::parse("cut@800").ok());
        let error = parse(&["crash"]).unwrap_err();
        assert!(error.contains("crash") && error.contains("late@MS+MS") && error.contains("goaway"), "{error}");
        assert!(parse(&["cut", "reset"]).unwrap_err().contains("one fault"));
    }
}
