//! The settings that `core` needs for a conversation: barge-in, DTMF, no-input, limits, timeouts, fillers.

use dialbridge_core::agent::DigitsForm;
use dialbridge_core::config::{
    BargeIn, CallConfig, CallLimits, DtmfConfig, Fillers, NoInput, Retry, StreamShape, Timeouts,
};

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
        let of_edition = product.edition().config();
        let is_ces = of_edition.shape == StreamShape::PerSession;
        let audio_limit_ms = if is_ces { ces_stream_ms } else { of_edition.audio_limit_ms };
        CallConfig {
            barge_in: self.barge_in(),
            knows_prompts: of_edition.knows_prompts || product == Product::Es(EsApi::V2Beta1),
            dtmf: self.dtmf(product, &of_edition.dtmf),
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
            ..of_edition
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

    fn dtmf(&self, product: Product, of_edition: &DtmfConfig) -> DtmfConfig {
        let form = self.find(&table::DTMF_AS);
        if form == Some(DigitsForm::Dtmf) && product == Product::Es(EsApi::V2) {
            let fault = "is \"dtmf\", and Dialogflow ES takes keys as an input of their own by v2beta1 only \
                         (DIALOGFLOW_ES_API)";
            self.conflicting(&table::DTMF_AS, fault);
        }
        DtmfConfig {
            finish_digit: self.get(&table::DTMF_FINISH_DIGIT),
            max_digits: self.find(&table::DTMF_MAX_DIGITS).unwrap_or(of_edition.max_digits),
            interdigit_ms: self.get(&table::DTMF_INTERDIGIT_MS),
            first_digit_ms: self.get(&table::DTMF_FIRST_DIGIT_MS),
            form: form.unwrap_or_else(|| of_edition.form.clone()),
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
