//! The settings of a conversation: interruptions, keys, silence, bounds, waiting, recordings of our own.

use dialbridge_core::agent::DigitsForm;
use dialbridge_core::config::{
    BargeIn, BargeInMode, Bounds, CallConfig, Fillers, Keys, NoInput, Patience, Retry, StreamShape,
};

use super::recording::recording;
use super::value::{Shown, boolean, choice, event, is_parameter_name, number, set};
use super::{EsApi, Product, SettingError, Settings};

/// So much audio must fit into a stream before another one takes over, in milliseconds.
const LEAST_STREAM_MS: u64 = 5_000;

/// Two seconds before the agent's limit a stream is ended even in the middle of a word.
const LEAST_MARGIN_MS: u64 = 2_000;

/// The longest goodbye, in characters.
const MOST_GOODBYE_CHARS: usize = 500;

/// After so long a stream to a CES agent is replaced, where nothing else is set. What Google's servers bear is not
/// documented; their clients wait for an hour.
const CES_STREAM_SECONDS: u64 = 3_600;

/// How long an answer is waited for: less than the 30 s of audio that are kept, so that what was said can be said again.
const ANSWER_SECONDS: u64 = 20;

const SECOND: u64 = 1_000;
const DAY_SECONDS: u64 = 24 * 60 * 60;

impl Settings {
    /// What core is told of a conversation. The greeting, the hand-off, and what is the service's, come from elsewhere.
    pub(super) fn conversation(&self, product: Product) -> Result<CallConfig, SettingError> {
        // A wrong value is told whatever agent it is for.
        let ces_stream_ms = self.ces_stream_ms()?;
        let (shape, audio_limit_ms) = match product {
            Product::Cx => (StreamShape::PerTurn, 120_000),
            Product::Es(_) => (StreamShape::PerTurn, 60_000),
            Product::Ces(_) => (StreamShape::PerCall, ces_stream_ms),
        };
        let margin = LEAST_MARGIN_MS..=audio_limit_ms - LEAST_STREAM_MS;
        let margin = number("ROTATION_MARGIN_MS", set(&self.rotation_margin_ms), 10_000, margin, "10000")?;
        Ok(CallConfig {
            barge_in: self.barge_in()?,
            knows_prompts: match product {
                Product::Cx | Product::Es(EsApi::V2Beta1) => true,
                Product::Es(EsApi::V2) | Product::Ces(_) => false,
            },
            keys: self.keys(product)?,
            no_input: self.no_input()?,
            bounds: self.bounds()?,
            fillers: self.fillers()?,
            shape,
            audio_limit_ms,
            rotation_margin_ms: margin,
            patience: self.patience()?,
            retry: self.retry()?,
            ..CallConfig::default()
        })
    }

    fn ces_stream_ms(&self) -> Result<u64, SettingError> {
        let seconds = set(&self.ces_stream_seconds);
        Ok(number("CES_STREAM_SECONDS", seconds, CES_STREAM_SECONDS, 60..=DAY_SECONDS, "900")? * SECOND)
    }

    fn barge_in(&self) -> Result<BargeIn, SettingError> {
        let modes = [("off", BargeInMode::Off), ("speech", BargeInMode::Speech), ("voice", BargeInMode::Voice)];
        let (words, ms) = (set(&self.barge_in_least_words), set(&self.barge_in_least_ms));
        let confidence = set(&self.barge_in_least_confidence);
        Ok(BargeIn {
            mode: choice("BARGE_IN", set(&self.barge_in), &modes)?.unwrap_or_default(),
            least_words: number("BARGE_IN_LEAST_WORDS", words, 1, 1..=100, "2")?,
            least_ms: number("BARGE_IN_LEAST_MS", ms, 0, 0..=60_000, "300")?,
            least_confidence: number("BARGE_IN_LEAST_CONFIDENCE", confidence, 0, 0..=100, "60")?,
            heard_parameter: self.heard_parameter()?,
        })
    }

    fn heard_parameter(&self) -> Result<Option<String>, SettingError> {
        let Some(name) = set(&self.heard_parameter) else { return Ok(None) };
        if !is_parameter_name(name) {
            let fault = format!("is {}; it must be made of letters, digits, _ and -", Shown(name));
            return Err(SettingError::new("HEARD_PARAMETER", fault, "heard"));
        }
        Ok(Some(name.to_owned()))
    }

    fn keys(&self, product: Product) -> Result<Keys, SettingError> {
        let (gap, first) = (set(&self.keys_gap_ms), set(&self.keys_first_ms));
        let is_ces = matches!(product, Product::Ces(_));
        Ok(Keys {
            finish: self.finish_key()?,
            // A CES agent collects them itself.
            most: number("KEYS_MOST", set(&self.keys_most), u32::from(is_ces), 0..=100, "4")?,
            gap_ms: number("KEYS_GAP_MS", gap, 3_000, 100..=60_000, "3000")?,
            first_ms: number("KEYS_FIRST_MS", first, 0, 0..=300_000, "5000")?,
            form: self.form_of_keys(product)?,
        })
    }

    fn finish_key(&self) -> Result<Option<char>, SettingError> {
        let mut keys = match set(&self.keys_finish) {
            None => return Ok(Some('#')),
            Some("none") => return Ok(None),
            Some(keys) => keys.chars(),
        };
        let key = keys.next().filter(|key| matches!(key, '0'..='9' | '*' | '#' | 'A'..='D'));
        match (key, keys.next()) {
            (Some(key), None) => Ok(Some(key)),
            _ => Err(SettingError::new("KEYS_FINISH", "is neither none nor one key of 0 to 9, *, #, A to D", "#")),
        }
    }

    fn form_of_keys(&self, product: Product) -> Result<DigitsForm, SettingError> {
        let name = "KEYS_AS";
        match set(&self.keys_as) {
            None if matches!(product, Product::Cx | Product::Ces(_)) => Ok(DigitsForm::Dtmf),
            None | Some("text") => Ok(DigitsForm::Text),
            Some("dtmf") if product == Product::Es(EsApi::V2) => {
                let fault = "is \"dtmf\", and Dialogflow ES takes keys as an input of their own by v2beta1 only \
                             (DIALOGFLOW_ES_API)";
                Err(SettingError::new(name, fault, "text"))
            }
            Some("dtmf") => Ok(DigitsForm::Dtmf),
            Some(form) => {
                let of_event = form.strip_prefix("event:").map(str::trim).filter(|name| !name.is_empty());
                let Some(event_name) = event(name, of_event)? else {
                    let fault = format!("is {}; it can be dtmf, text or event:NAME", Shown(form));
                    return Err(SettingError::new(name, fault, "event:KEYS"));
                };
                Ok(DigitsForm::Event(event_name))
            }
        }
    }

    fn no_input(&self) -> Result<NoInput, SettingError> {
        Ok(NoInput {
            event: event("NO_INPUT_EVENT", set(&self.no_input_event))?,
            after_ms: number("NO_INPUT_MS", set(&self.no_input_ms), 8_000, 500..=600_000, "8000")?,
        })
    }

    fn bounds(&self) -> Result<Bounds, SettingError> {
        let (call, silence) = (set(&self.most_call_seconds), set(&self.most_silence_seconds));
        let (failed, silent) = (set(&self.most_failed_turns), set(&self.most_silent_turns));
        let call: u64 = number("MOST_CALL_SECONDS", call, 7_200, 0..=DAY_SECONDS, "7200")?;
        let silence: u64 = number("MOST_SILENCE_SECONDS", silence, 300, 0..=DAY_SECONDS, "300")?;
        let goodbye = set(&self.goodbye_text).map(ToOwned::to_owned);
        if goodbye.as_ref().is_some_and(|text| text.chars().count() > MOST_GOODBYE_CHARS) {
            let fault = format!("has more than {MOST_GOODBYE_CHARS} characters");
            return Err(SettingError::new("GOODBYE_TEXT", fault, "Thank you for calling. Good bye."));
        }
        Ok(Bounds {
            call_ms: call * SECOND,
            silence_ms: silence * SECOND,
            failed_turns: number("MOST_FAILED_TURNS", failed, 20, 0..=1_000_000, "20")?,
            silent_turns: number("MOST_SILENT_TURNS", silent, 8, 0..=1_000_000, "8")?,
            goodbye,
        })
    }

    fn fillers(&self) -> Result<Fillers, SettingError> {
        let after = set(&self.filler_after_ms);
        Ok(Fillers {
            thinking: recording("FILLER_FILE", set(&self.filler_file))?,
            thinking_after_ms: number("FILLER_AFTER_MS", after, 2_000, 0..=60_000, "2000")?,
            retrying: recording("RETRY_FILE", set(&self.retry_file))?,
        })
    }

    fn patience(&self) -> Result<Patience, SettingError> {
        let answer: u64 = number("ANSWER_SECONDS", set(&self.answer_seconds), ANSWER_SECONDS, 1..=300, "20")?;
        let stalled = set(&self.stalled_stream_seconds);
        let stalled: u64 = number("STALLED_STREAM_SECONDS", stalled, 15, 0..=300, "15")?;
        let fetch_ms = number("PROMPT_FETCH_MS", set(&self.prompt_fetch_ms), 5_000, 100..=60_000, "5000")?;
        let (answer_ms, stalled_ms) = (answer * SECOND, stalled * SECOND);
        Ok(Patience { answer_ms, stalled_ms, fetch_ms, ..Patience::default() })
    }

    fn retry(&self) -> Result<Retry, SettingError> {
        let budget = set(&self.retry_budget_seconds);
        let budget: u64 = number("RETRY_BUDGET_SECONDS", budget, 15, 0..=300, "15")?;
        let answering_turn = boolean("RETRY_ANSWERING_TURN", self.retry_answering_turn.as_deref(), true)?;
        Ok(Retry { budget_ms: budget * SECOND, answering_turn, ..Retry::default() })
    }

    /// Settings that say something and do nothing.
    pub(super) fn conversation_notices(&self) -> Vec<String> {
        let idle = [
            ("NO_INPUT_MS", &self.no_input_ms, "NO_INPUT_EVENT", &self.no_input_event),
            ("KEYS_FIRST_MS", &self.keys_first_ms, "NO_INPUT_EVENT", &self.no_input_event),
            ("FILLER_AFTER_MS", &self.filler_after_ms, "FILLER_FILE", &self.filler_file),
        ];
        let idle = idle.into_iter().filter(|(_, value, _, needed)| set(value).is_some() && set(needed).is_none());
        idle.map(|(name, _, needed, _)| format!("{name} has no effect without {needed}")).collect()
    }
}
