//! What a turn's first message asks for besides its input: how the agent should hear and speak, and what its webhook
//! gets. The lab records it for tests, and speaks and hears as always.

use std::collections::BTreeMap;

use googleapis_tonic_google_cloud_dialogflow_cx_v3::google::cloud::dialogflow::cx::v3 as cx;
use googleapis_tonic_google_cloud_dialogflow_v2beta1::google::cloud::dialogflow::v2beta1 as es;
use serde_json::{Map, Value};

use crate::agent::protobuf::json_object;

/// The requested settings; empty, or 0, if not requested.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RequestedConfig {
    /// Name of the voice.
    pub voice: String,
    /// `SSML_VOICE_GENDER_…`.
    pub gender: String,
    /// How fast it speaks.
    pub speaking_rate: f64,
    /// How high it is, in semitones.
    pub pitch: f64,
    /// How loud it is, in decibels.
    pub volume_gain_db: f64,
    /// Effects profiles.
    pub effects: Vec<String>,
    /// Model of the recogniser.
    pub model: String,
    /// The model's variant, `USE_…`.
    pub model_variant: String,
    /// Phrase hints.
    pub phrase_hints: Vec<String>,
    /// Whether sentiment analysis is requested.
    pub sentiment: bool,
    /// The caller's time zone.
    pub time_zone: String,
    /// Headers for the webhook.
    pub webhook_headers: BTreeMap<String, String>,
    /// Versions of flows (CX).
    pub flow_versions: Vec<String>,
    /// The page at which the session goes on (CX).
    pub page: String,
    /// What is known of the caller (CX).
    pub end_user: Map<String, Value>,
    /// Whether debugging info is requested (CX).
    pub debugging_info: bool,
}

impl RequestedConfig {
    /// Reads a request to CX.
    pub(super) fn of_cx(first: &cx::StreamingDetectIntentRequest) -> Self {
        let params = first.query_params.clone().unwrap_or_default();
        let speech = first.output_audio_config.clone().and_then(|config| config.synthesize_speech_config);
        let speech = speech.unwrap_or_default();
        let gender = speech.voice.as_ref().map(|voice| voice.ssml_gender().as_str_name().to_owned());
        let audio = match first.query_input.clone().and_then(|query| query.input) {
            Some(cx::query_input::Input::Audio(audio)) => audio.config.unwrap_or_default(),
            _ => cx::InputAudioConfig::default(),
        };
        Self {
            voice: speech.voice.map(|voice| voice.name).unwrap_or_default(),
            gender: gender.unwrap_or_default(),
            speaking_rate: speech.speaking_rate,
            pitch: speech.pitch,
            volume_gain_db: speech.volume_gain_db,
            effects: speech.effects_profile_id,
            model_variant: audio.model_variant().as_str_name().to_owned(),
            model: audio.model,
            phrase_hints: audio.phrase_hints,
            sentiment: params.analyze_query_text_sentiment,
            time_zone: params.time_zone,
            webhook_headers: params.webhook_headers,
            flow_versions: params.flow_versions,
            page: params.current_page,
            end_user: params.end_user_metadata.map(json_object).unwrap_or_default(),
            debugging_info: first.enable_debugging_info,
        }
    }

    /// Reads a request to ES.
    pub(super) fn of_es(first: &es::StreamingDetectIntentRequest) -> Self {
        let params = first.query_params.clone().unwrap_or_default();
        let speech = first.output_audio_config.clone().and_then(|config| config.synthesize_speech_config);
        let speech = speech.unwrap_or_default();
        let gender = speech.voice.as_ref().map(|voice| voice.ssml_gender().as_str_name().to_owned());
        let audio = match first.query_input.clone().and_then(|query| query.input) {
            Some(es::query_input::Input::AudioConfig(config)) => config,
            _ => es::InputAudioConfig::default(),
        };
        let sentiment = params.sentiment_analysis_request_config;
        Self {
            voice: speech.voice.map(|voice| voice.name).unwrap_or_default(),
            gender: gender.unwrap_or_default(),
            speaking_rate: speech.speaking_rate,
            pitch: speech.pitch,
            volume_gain_db: speech.volume_gain_db,
            effects: speech.effects_profile_id,
            model_variant: audio.model_variant().as_str_name().to_owned(),
            model: audio.model,
            phrase_hints: audio.speech_contexts.into_iter().flat_map(|context| context.phrases).collect(),
            sentiment: sentiment.is_some_and(|config| config.analyze_query_text_sentiment),
            time_zone: params.time_zone,
            webhook_headers: params.webhook_headers,
            ..Self::default()
        }
    }
}
