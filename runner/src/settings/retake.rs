//! The configuration of a recorded call, with other settings.

use dialbridge_core::CallConfig;
use dialbridge_core::words::starting_text;
use serde_json::Value;

use super::faults::Faults;
use super::given::{Settings, declared};
use super::layer::Values;
use super::spelling::no_setting;
use dialbridge_agents::{CesTransport, EsApi, Product};

/// Changes some settings of a call's configuration; each change is `NAME=VALUE`. All else stays. A setting gets its value
/// even if that is the default.
///
/// # Errors
/// A sentence if a name is not a setting, the setting is no part of a call's configuration, or its value is wrong.
pub fn with_settings(config: &CallConfig, edition: &str, changes: &[String]) -> Result<CallConfig, String> {
    let product = match edition {
        "es" if config.knows_prompts => Product::Es(EsApi::V2Beta1),
        "es" => Product::Es(EsApi::V2),
        "ces" => Product::Ces(CesTransport::default()),
        _ => Product::Cx,
    };
    let (mut changed, mut fields) = (Settings::default(), Vec::new());
    for change in changes {
        let (name, value) = change.split_once('=').ok_or_else(|| format!("{change} has no '=', e.g. BARGE_IN=off"))?;
        let setting = declared(name).ok_or_else(|| no_setting(name))?;
        if !Settings::is_of_call(name) {
            return Err(format!("{name} changes nothing in a recorded call: place a call with it, by test --live"));
        }
        changed.set(name, value);
        fields.extend(setting.facts().call_fields);
    }
    let faults = Faults::default();
    let set = json(&Values::of(&changed, &faults).call(product));
    faults.told().map_err(|errors| errors.to_string())?;
    if has_own_text(config) && changed.given("DIALOGFLOW_STARTING_TEXT").is_none() {
        fields.retain(|field| *field != STARTING_TEXT);
    }
    let mut whole = json(config);
    fields.into_iter().for_each(|field| put(&mut whole, field, set.pointer(field)));
    serde_json::from_value(whole).map_err(|error| error.to_string())
}

/// The starting text. The language sets it too, unless somebody has written it.
const STARTING_TEXT: &str = "/greeting/text";

fn has_own_text(config: &CallConfig) -> bool {
    config.starting_input.text.as_deref() != Some(starting_text(&config.words.language))
}

fn json(config: &CallConfig) -> Value {
    // A configuration always has a JSON form: every tape's header contains one.
    serde_json::to_value(config).unwrap_or_default()
}

/// Sets a field. JSON leaves out some fields that have their default: `None`.
fn put(whole: &mut Value, field: &str, value: Option<&Value>) {
    let Some((parent, name)) = field.rsplit_once('/') else { return };
    let Some(Value::Object(parent)) = whole.pointer_mut(parent) else { return };
    match value {
        Some(value) => parent.insert(name.to_owned(), value.clone()),
        None => parent.remove(name),
    };
}

#[cfg(test)]
mod tests {
    use super::super::table::ALL;
    use super::*;
    use std::collections::BTreeSet;

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
    }

    #[test]
    fn a_setting_is_put_back_to_its_default() {
        let mut recorded = CallConfig::default();
        recorded.barge_in.min_words = 3;
        recorded.barge_in.ignore = Some(Vec::new());
        recorded.dtmf.interdigit_ms = 1_234;
        recorded.handoff.fallback_twiml = Some("<Response/>".to_owned());
        let changes = ["BARGE_IN_MIN_WORDS=1", "BARGE_IN_IGNORE=mhm", "DTMF_INTERDIGIT_MS=", "FALLBACK_TWIML="];
        let mut expected = CallConfig::default();
        expected.barge_in.ignore = Some(vec!["mhm".to_owned()]);
        assert_eq!(with(&recorded, &changes).unwrap(), expected);
    }

    #[test]
    fn a_greeting_can_be_taken_away_and_a_language_leaves_a_text_that_somebody_wrote() {
        let greeting = Values::of(&Settings::default(), &Faults::default()).call(Product::Cx).starting_input;
        let mut recorded = CallConfig { starting_input: greeting, ..CallConfig::default() };
        let text = |config: &CallConfig, change: &str| with(config, &[change]).unwrap().starting_input.text;
        assert_eq!(text(&recorded, "DIALOGFLOW_STARTING_TEXT="), None);
        assert_eq!(text(&recorded, "DIALOGFLOW_LANGUAGE=de-DE").as_deref(), Some(starting_text("de-DE")));
        recorded.starting_input.text = Some("good morning".to_owned());
        assert_eq!(text(&recorded, "DIALOGFLOW_LANGUAGE=de-DE").as_deref(), Some("good morning"));
    }

    /// The fields in which two configurations differ.
    fn differing(before: &Value, after: &Value, at: &str, fields: &mut BTreeSet<String>) {
        let (Value::Object(old), Value::Object(new)) = (before, after) else {
            if before != after {
                fields.insert(at.to_owned());
            }
            return;
        };
        for name in old.keys().chain(new.keys()) {
            let [old, new] = [old, new].map(|object| object.get(name).unwrap_or(&Value::Null));
            differing(old, new, &format!("{at}/{name}"), fields);
        }
    }

    #[test]
    fn each_setting_sets_the_fields_that_it_names_and_no_others() {
        for setting in ALL {
            let facts = setting.facts();
            let mut moved = BTreeSet::new();
            for product in [Product::Cx, Product::Es(EsApi::V2Beta1), Product::Ces(CesTransport::default())] {
                let call = |given: &Settings| json(&Values::of(given, &Faults::default()).call(product));
                let values = setting.values();
                for value in values.split(", ").flat_map(|values| values.split(" to ")).chain([setting.example()]) {
                    let given = Settings::of([(facts.name, value)]);
                    differing(&call(&Settings::default()), &call(&given), "", &mut moved);
                }
            }
            let named: BTreeSet<String> = facts.call_fields.iter().map(ToString::to_string).collect();
            // A file is not there.
            assert!(moved == named || (moved.is_empty() && facts.is_path), "{}: {moved:?}", facts.name);
        }
    }

    #[test]
    fn a_wrong_setting_is_told() {
        let told = |change| with(&CallConfig::default(), &[change]).unwrap_err();
        assert!(told("BARGE_IN=on").contains("it can be off, speech or voice"));
        assert!(told("BARGING=off").contains("is no setting"));
        assert!(told("BARGE_IN").contains("has no '='"));
        assert!(told("SPEAKING_RATE=2").contains("SPEAKING_RATE changes nothing in a recorded call"));
    }
}
