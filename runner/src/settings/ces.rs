//! The settings of agents of the Customer Engagement Suite.

use std::time::Duration;

use dialbridge_core::audio::{AudioFormat, Encoding};

use super::tools::ToolWebhook;
use super::value::{choice, number, set, url};
use super::{AgentAddress, CesTransport, Product, Secret, SettingError, Settings};
use dialbridge_agents::CesConfig;

/// What Google advises for a message of audio, in milliseconds (`BidiRunSession`).
const CHUNK_MS: std::ops::RangeInclusive<u64> = 40..=120;

/// Codings of audio by their names.
const MULAW: (&str, AudioFormat) = ("mulaw", AudioFormat::TELEPHONE);
const LINEAR16_8000: (&str, AudioFormat) = ("linear16-8000", linear16(8_000));
const LINEAR16_16000: (&str, AudioFormat) = ("linear16-16000", linear16(16_000));
const LINEAR16_24000: (&str, AudioFormat) = ("linear16-24000", linear16(24_000));
const LINEAR16_48000: (&str, AudioFormat) = ("linear16-48000", linear16(48_000));

const fn linear16(sample_rate: u32) -> AudioFormat {
    AudioFormat { encoding: Encoding::Linear16, sample_rate }
}

impl Settings {
    /// How an agent's streams are carried, where it is one of CES.
    pub(super) fn ces_transport(&self) -> Result<CesTransport, SettingError> {
        let transports = [("grpc", CesTransport::Grpc), ("websocket", CesTransport::WebSocket)];
        Ok(choice("CES_TRANSPORT", set(&self.ces_transport), &transports)?.unwrap_or_default())
    }

    /// What the streams of an agent are like, where it is one of CES.
    pub(super) fn ces(&self, address: &AgentAddress) -> Result<CesConfig, SettingError> {
        let inputs = [LINEAR16_8000, LINEAR16_16000, LINEAR16_24000, MULAW];
        let outputs = [LINEAR16_8000, LINEAR16_16000, LINEAR16_24000, LINEAR16_48000, MULAW];
        let levels = [("low", "low"), ("moderate", "moderate"), ("high", "high"), ("very_high", "very_high")];
        let default = CesConfig::default();
        Ok(CesConfig {
            deployment: address.deployment().map(ToOwned::to_owned),
            input: choice("CES_INPUT_AUDIO", set(&self.ces_input_audio), &inputs)?.unwrap_or(default.input),
            output: choice("CES_OUTPUT_AUDIO", set(&self.ces_output_audio), &outputs)?.unwrap_or(default.output),
            chunk: Duration::from_millis(number("CES_CHUNK_MS", set(&self.ces_chunk_ms), 60, CHUNK_MS, "60")?),
            noise_suppression: choice("CES_NOISE_SUPPRESSION", set(&self.ces_noise_suppression), &levels)?,
        })
    }

    /// Where the tools are run that an agent of that product asks for; only those of CES are.
    pub(super) fn tools(&self, product: Product) -> Result<Option<ToolWebhook>, SettingError> {
        let address = url("CES_TOOL_WEBHOOK_URL", set(&self.ces_tool_webhook_url))?;
        let ms = number("CES_TOOL_WEBHOOK_MS", set(&self.ces_tool_webhook_ms), 10_000, 100..=60_000, "10000")?;
        let webhook = address.map(|url| ToolWebhook {
            url,
            secret: set(&self.ces_tool_webhook_secret).map(Secret::new),
            patience: Duration::from_millis(ms),
        });
        Ok(webhook.filter(|_| matches!(product, Product::Ces(_))))
    }

    /// Settings that say something and do nothing for an agent of that product.
    pub(super) fn ces_notices(&self, product: Product) -> Vec<String> {
        if !matches!(product, Product::Ces(_)) {
            return Vec::new();
        }
        let idle = [
            ("DIALOGFLOW_ES_API", &self.dialogflow_es_api),
            ("SENTIMENT", &self.sentiment),
            ("BARGE_IN_LEAST_WORDS", &self.barge_in_least_words),
            ("BARGE_IN_LEAST_CONFIDENCE", &self.barge_in_least_confidence),
            ("VOICE_NAME", &self.voice_name),
            ("VOICE_GENDER", &self.voice_gender),
            ("SPEAKING_RATE", &self.speaking_rate),
            ("PITCH", &self.pitch),
            ("VOLUME_GAIN_DB", &self.volume_gain_db),
            ("EFFECTS_PROFILE", &self.effects_profile),
            ("SPEECH_MODEL", &self.speech_model),
            ("SPEECH_MODEL_VARIANT", &self.speech_model_variant),
            ("PHRASE_HINTS", &self.phrase_hints),
        ];
        let idle = idle.into_iter().filter(|(_, value)| set(value).is_some());
        let mut notices: Vec<String> = idle
            .map(|(name, _)| format!("{name} has no effect for an agent of the Customer Engagement Suite"))
            .collect();
        let of_webhook = [
            ("CES_TOOL_WEBHOOK_SECRET", &self.ces_tool_webhook_secret),
            ("CES_TOOL_WEBHOOK_MS", &self.ces_tool_webhook_ms),
        ];
        for (name, _) in of_webhook.into_iter().filter(|(_, value)| set(value).is_some()) {
            if set(&self.ces_tool_webhook_url).is_none() {
                notices.push(format!("{name} has no effect without CES_TOOL_WEBHOOK_URL"));
            }
        }
        notices
    }
}
