//! Google's three products, and what a call to each of them is like.

use crate::agent::DigitsForm;
use crate::config::{CallConfig, DtmfConfig, StartingInput, StreamShape};
use crate::parameters::NameCase;
use crate::turn_data::TurnData;

/// Which of Google's products the agent belongs to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Edition {
    /// Dialogflow ES, version 2.
    Es,
    /// Dialogflow CX.
    #[default]
    Cx,
    /// The Customer Engagement Suite.
    Ces,
}

impl Edition {
    /// Its name on a tape.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Es => "es",
            Self::Cx => "cx",
            Self::Ces => "ces",
        }
    }

    /// How the service runs a call to such an agent if only the agent is set, without the settings that ask for more:
    /// without limits, recordings and a no-input event.
    ///
    /// ```
    /// use dialbridge_core::CallConfig;
    /// use dialbridge_core::edition::Edition;
    ///
    /// let mut config = Edition::Es.config();
    /// config.barge_in.min_words = 2;
    /// assert_eq!(config.starting_input.event.as_deref(), Some("WELCOME"));
    /// ```
    #[must_use]
    pub fn config(self) -> CallConfig {
        let config = CallConfig { starting_input: self.starting_input(), ..CallConfig::default() };
        match self {
            Self::Cx => config,
            Self::Es => CallConfig {
                knows_prompts: false,
                dtmf: DtmfConfig { form: DigitsForm::Text, ..DtmfConfig::default() },
                parameter_names: NameCase::Exact,
                turn_data: TurnData::None,
                audio_limit_ms: 60_000,
                ..config
            },
            Self::Ces => CallConfig {
                shape: StreamShape::PerSession,
                knows_prompts: false,
                // A CES agent collects digits itself.
                dtmf: DtmfConfig { max_digits: 1, ..DtmfConfig::default() },
                parameter_names: NameCase::Exact,
                turn_data: TurnData::AtOpening,
                audio_limit_ms: 3_600_000,
                ..config
            },
        }
    }

    fn starting_input(self) -> StartingInput {
        let event = |name: &str| StartingInput { event: Some(name.to_owned()), text: None };
        match self {
            Self::Cx => StartingInput { event: None, text: Some("hi".to_owned()) },
            Self::Es => event("WELCOME"),
            Self::Ces => event("session_start"),
        }
    }
}
