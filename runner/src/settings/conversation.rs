//! The settings that `core` needs for a conversation: barge-in, DTMF, no-input, limits, timeouts, fillers.

use dialbridge_core::agent::DigitsForm;
use dialbridge_core::config::{
    BargeIn, CallConfig, CallLimits, DtmfConfig, Fillers, NoInput, Retry, StreamShape, Timeouts,
};
use dialbridge_core::parameters::NameCase;
use dialbridge_core::turn_data::TurnData;

use super::layer::Values;
use super::table;
use dialbridge_agents::{EsApi, Product};

/// A stream must have room for this much audio before another one takes over, in milliseconds.
const MIN_STREAM_MS: u64 = 5_000;

/// How long a caller waits for the greeting in silence, in milliseconds.
const GREETING_AFTER_MS: u64 = 3_000;

const SECOND: u64 = 1_000;

impl Values<'_> {
    /// The call configuration without the greeting, the hand-off and the service's settings.
    pub(super) fn conversation(&self, product: Product) -> CallConfig {
        let ces_stream_ms = self.get(&table::CES_STREAM_SECONDS) * SECOND;
        let (shape, audio_limit_ms) = match product {
            Product::Cx => (StreamShape::PerTurn, 120_000),
            Product::Es(_) => (StreamShape::PerTurn, 60_000),
            Product::Ces(_) => (StreamShape::PerSession, ces_stream_ms),
        };
        CallConfig {
            barge_in: self.barge_in(),
            knows_prompts: match product {
                Product::Cx | Product::Es(EsApi::V2Beta1) => true,
                Product::Es(EsApi::V2) | Product::Ces(_) => false,
            },
            dtmf: self.dtmf(product),
            no_input: NoInput { event: self.find(&table::NO_INPUT_EVENT), after_ms: self.get(&table::NO_INPUT_MS) },
            limits: self.call_limits(),
            fillers: Fillers {
                thinking: self.find(&table::FILLER_FILE),
                thinking_after_ms: self.get(&table::FILLER_AFTER_MS),
                retrying: self.find(&table::RETRY_FILE),
                greeting_after_ms: GREETING_AFTER_MS,
            },
            max_answer_ms: self.get(&table::MAX_ANSWER_SECONDS) * SECOND,
            end_of_utterance: self.get(&table::END_OF_UTTERANCE),
            call_parameters: self.get(&table::CALL_PARAMETERS),
            parameter_names: if product == Product::Cx { NameCase::Ignored } else { NameCase::Exact },
            turn_data: match product {
                Product::Cx => TurnData::EachTurn,
                Product::Ces(_) => TurnData::AtOpening,
                Product::Es(_) => TurnData::None,
            },
            shape,
            audio_limit_ms,
            rotation_margin_ms: self.rotation_margin_ms(audio_limit_ms),
            timeouts: Timeouts {
                answer_ms: self.get(&table::ANSWER_SECONDS) * SECOND,
                stalled_ms: self.get(&table::STALLED_STREAM_SECONDS) * SECOND,
                fetch_ms: self.get(&table::PROMPT_FETCH_MS),
                ..Timeouts::default()
            },
            retry: Retry {
                budget_ms: self.get(&table::RETRY_BUDGET_SECONDS) * SECOND,
                answering_turn: self.get(&table::RETRY_ANSWERING_TURN),
                ..Retry::default()
            },
            ..CallConfig::default()
        }
    }

    fn rotation_margin_ms(&self, audio_limit_ms: u64) -> u64 {
        let (margin, max) = (self.get(&table::ROTATION_MARGIN_MS), audio_limit_ms - MIN_STREAM_MS);
        if margin > max {
            let fault = format!("is \"{margin}\"; it must be at most {max} for this agent");
            self.conflicting(&table::ROTATION_MARGIN_MS, fault);
        }
        margin
    }

    fn barge_in(&self) -> BargeIn {
        BargeIn {
            mode: self.get(&table::BARGE_IN),
            min_words: self.get(&table::BARGE_IN_MIN_WORDS),
            min_ms: self.get(&table::BARGE_IN_MIN_MS),
            min_confidence: self.get(&table::BARGE_IN_MIN_CONFIDENCE),
            heard_parameter: self.find(&table::HEARD_PARAMETER),
            echo_guard: self.get(&table::ECHO_GUARD),
            ignore: self.find(&table::BARGE_IN_IGNORE),
        }
    }

    fn dtmf(&self, product: Product) -> DtmfConfig {
        let is_ces = matches!(product, Product::Ces(_));
        let form = self.find(&table::DTMF_AS);
        if form == Some(DigitsForm::Dtmf) && product == Product::Es(EsApi::V2) {
            let fault = "is \"dtmf\", and Dialogflow ES takes keys as an input of their own by v2beta1 only \
                         (DIALOGFLOW_ES_API)";
            self.conflicting(&table::DTMF_AS, fault);
        }
        let of_product = if matches!(product, Product::Es(_)) { DigitsForm::Text } else { DigitsForm::Dtmf };
        DtmfConfig {
            finish_digit: self.get(&table::DTMF_FINISH_DIGIT),
            // A CES agent collects digits itself.
            max_digits: self.find(&table::DTMF_MAX_DIGITS).unwrap_or(u32::from(is_ces)),
            interdigit_ms: self.get(&table::DTMF_INTERDIGIT_MS),
            first_digit_ms: self.get(&table::DTMF_FIRST_DIGIT_MS),
            form: form.unwrap_or(of_product),
        }
    }

    fn call_limits(&self) -> CallLimits {
        CallLimits {
            call_ms: self.get(&table::MAX_CALL_SECONDS) * SECOND,
            silence_ms: self.get(&table::MAX_SILENCE_SECONDS) * SECOND,
            failed_turns: self.get(&table::MAX_FAILED_TURNS),
            no_input_turns: self.get(&table::MAX_NO_INPUT_TURNS),
        }
    }
}
