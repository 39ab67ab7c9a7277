//! The caller's steps on a command line. Core plays the caller.

use std::sync::Arc;

use dialbridge_core::replay::{CallerStep, When};

/// Finds a recording by its name: mu-law at 8,000 Hz, or a sentence that says why there is none.
pub type Recordings<'a> = dyn Fn(&str) -> Result<Arc<[u8]>, String> + 'a;

/// The steps of a command line: `a.wav,b.wav@1500` says the first when the agent has fallen silent, the second when it
/// has been speaking for 1,500 ms; a trailing list of digits is pressed at the end.
///
/// # Errors
/// With a sentence that says what is wrong.
pub fn parse_steps(audio: &[String], digits: Option<&str>, load: &Recordings<'_>) -> Result<Vec<CallerStep>, String> {
    let mut steps = Vec::new();
    for item in audio {
        let (file, when) = match item.rsplit_once('@') {
            Some((file, ms)) => {
                let ms = ms.parse().map_err(|_| format!("\"{item}\": after @ stand milliseconds, e.g. a.wav@1500"))?;
                (file, When::AgentSpeaking(ms))
            }
            None => (item.as_str(), When::AgentSilent(PAUSE_MS)),
        };
        steps.push(CallerStep::Say { when, label: file.to_owned(), audio: load(file)? });
    }
    if let Some(digits) = digits {
        if let Some(other) = digits.chars().find(|key| !matches!(key, '0'..='9' | '*' | '#' | 'A'..='D')) {
            return Err(format!("'{other}' is no key of a telephone"));
        }
        steps.push(CallerStep::Press { when: When::AgentSilent(PAUSE_MS), digits: digits.to_owned() });
    }
    Ok(steps)
}

/// How long people wait before they answer, in milliseconds.
const PAUSE_MS: u64 = 400;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_becomes_steps() {
        let load = |file: &str| if file == "no.wav" { Err("no".to_owned()) } else { Ok(Arc::from(&[1_u8][..])) };
        let steps = parse_steps(&["a.wav".to_owned(), "b.wav@1500".to_owned()], Some("1#"), &load).unwrap();
        let whens: Vec<When> = steps.iter().map(CallerStep::when).collect();
        assert_eq!(whens, [When::AgentSilent(400), When::AgentSpeaking(1500), When::AgentSilent(400)]);
        assert!(parse_steps(&["a.wav@soon".to_owned()], None, &load).unwrap_err().contains("a.wav@1500"));
        assert!(parse_steps(&[], Some("12x"), &load).unwrap_err().contains("'x'"));
        assert_eq!(parse_steps(&["no.wav".to_owned()], None, &load).unwrap_err(), "no");
    }
}
