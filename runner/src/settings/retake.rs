//! The configuration of a recorded call, with other settings.

use dialbridge_core::CallConfig;
use serde_json::Value;

use super::faults::Faults;
use super::given::Settings;
use super::layer::Values;
use dialbridge_agents::{CesTransport, EsApi, Product};

/// Changes some settings of a call's configuration; each change is `NAME=VALUE`. All else stays. Only the settings of
/// the conversation, the greeting and the hand-off have an effect.
///
/// # Errors
/// A sentence if a name is not a setting or a value is wrong.
pub fn with_settings(config: &CallConfig, edition: &str, changes: &[String]) -> Result<CallConfig, String> {
    let product = match edition {
        "es" if config.knows_prompts => Product::Es(EsApi::V2Beta1),
        "es" => Product::Es(EsApi::V2),
        "ces" => Product::Ces(CesTransport::default()),
        _ => Product::Cx,
    };
    let mut changed = Settings::default();
    for change in changes {
        let (name, value) = change.split_once('=').ok_or_else(|| format!("{change} has no '=', e.g. BARGE_IN=off"))?;
        if !changed.try_set(name, value) {
            return Err(format!("{name} is no setting"));
        }
    }
    let faults = Faults::default();
    let [before, after] = [&Settings::default(), &changed].map(|given| Values::of(given, &faults).call(product));
    faults.told().map_err(|errors| errors.to_string())?;
    let mut whole = json(config);
    overlay(&mut whole, &json(&before), &json(&after));
    serde_json::from_value(whole).map_err(|error| error.to_string())
}

fn json(config: &CallConfig) -> Value {
    // A configuration always has a JSON form: every tape's header contains one.
    serde_json::to_value(config).unwrap_or_default()
}

/// Makes the changes from `before` to `after` in `whole`.
fn overlay(whole: &mut Value, before: &Value, after: &Value) {
    let (Value::Object(whole), Value::Object(before), Value::Object(after)) = (&mut *whole, before, after) else {
        if before != after {
            whole.clone_from(after);
        }
        return;
    };
    // JSON leaves out some fields that have their default, so a field may be in one of the two only.
    for name in before.keys().chain(after.keys()) {
        match (before.get(name), after.get(name)) {
            (Some(old), None) if !old.is_null() => {
                whole.remove(name);
            }
            (old, Some(new)) => {
                overlay(whole.entry(name.clone()).or_insert(Value::Null), old.unwrap_or(&Value::Null), new);
            }
            (_, None) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(config: &CallConfig, changes: &[&str]) -> Result<CallConfig, String> {
        with_settings(config, "cx", &changes.iter().map(|change| (*change).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn what_is_set_is_changed_and_all_else_stays() {
        let mut recorded = CallConfig { session: "s".to_owned(), seed: 7, ..CallConfig::default() };
        recorded.barge_in.min_ms = 300;
        recorded.dtmf.interdigit_ms = 1_234;
        let changed =
            with(&recorded, &["BARGE_IN_MIN_WORDS=2", "NO_INPUT_EVENT=QUIET", "DTMF_FINISH_DIGIT=none"]).unwrap();
        let mut expected = recorded.clone();
        expected.barge_in.min_words = 2;
        expected.no_input.event = Some("QUIET".to_owned());
        expected.dtmf.finish_digit = None;
        assert_eq!(changed, expected);
        assert_eq!(with(&recorded, &[]).unwrap(), recorded);
        assert_eq!(with(&recorded, &["LOG_LEVEL=debug"]).unwrap(), recorded);
    }

    #[test]
    fn a_greeting_can_be_taken_away() {
        let greeting = Values::of(&Settings::default(), &Faults::default()).call(Product::Cx).starting_input;
        let recorded = CallConfig { starting_input: greeting, ..CallConfig::default() };
        assert!(recorded.starting_input.text.is_some());
        assert_eq!(with(&recorded, &["DIALOGFLOW_STARTING_TEXT="]).unwrap().starting_input.text, None);
    }

    #[test]
    fn a_wrong_setting_is_told() {
        let told = |change| with(&CallConfig::default(), &[change]).unwrap_err();
        assert!(told("BARGE_IN=on").contains("it can be off, speech or voice"));
        assert!(told("BARGING=off").contains("is no setting"));
        assert!(told("BARGE_IN").contains("has no '='"));
    }
}
