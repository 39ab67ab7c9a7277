//! Code that ES and CX share. Their messages have the same fields with the same names, but different types.

/// Defines the requests that ES and CX share, for the protobuf types of `$dialogflow`.
macro_rules! common_requests {
    ($dialogflow:ident) => {
        /// The telephone's sample rate in Hz.
        const RATE: i32 = dialbridge_core::audio::SAMPLE_RATE.cast_signed();

        fn output_audio_config(voice: Option<$dialogflow::SynthesizeSpeechConfig>) -> $dialogflow::OutputAudioConfig {
            $dialogflow::OutputAudioConfig {
                audio_encoding: $dialogflow::OutputAudioEncoding::Mulaw.into(),
                sample_rate_hertz: RATE,
                synthesize_speech_config: voice,
            }
        }

        #[allow(clippy::needless_update, reason = "ES has one field more")]
        fn voice(speech: &crate::speech::SpeechConfig, is_named: bool) -> $dialogflow::SynthesizeSpeechConfig {
            use crate::speech::VoiceGender;
            use $dialogflow::SsmlVoiceGender::{Female, Male, Neutral, Unspecified};
            let gender = match speech.voice_gender {
                None => Unspecified,
                Some(VoiceGender::Male) => Male,
                Some(VoiceGender::Female) => Female,
                Some(VoiceGender::Neutral) => Neutral,
            };
            $dialogflow::SynthesizeSpeechConfig {
                speaking_rate: speech.speaking_rate.unwrap_or_default(),
                pitch: speech.pitch.unwrap_or_default(),
                volume_gain_db: speech.volume_gain_db.unwrap_or_default(),
                effects_profile_id: speech.effects.clone(),
                voice: is_named.then(|| $dialogflow::VoiceSelectionParams {
                    name: speech.voice_name.clone().unwrap_or_default(),
                    ssml_gender: gender.into(),
                }),
                ..Default::default()
            }
        }

        fn model_variant(speech: &crate::speech::SpeechConfig) -> i32 {
            use crate::speech::ModelVariant;
            use $dialogflow::SpeechModelVariant::{Unspecified, UseBestAvailable, UseEnhanced, UseStandard};
            let variant = match speech.model_variant {
                None => Unspecified,
                Some(ModelVariant::BestAvailable) => UseBestAvailable,
                Some(ModelVariant::Standard) => UseStandard,
                Some(ModelVariant::Enhanced) => UseEnhanced,
            };
            variant.into()
        }

        fn barge_in_config(window: dialbridge_core::agent::BargeInWindow) -> $dialogflow::BargeInConfig {
            $dialogflow::BargeInConfig {
                no_barge_in_duration: Some(crate::protobuf::to_duration(window.protected_ms)),
                total_duration: Some(crate::protobuf::to_duration(window.total_ms)),
            }
        }
    };
}

/// Defines the responses that ES and CX share, for the protobuf types of `$dialogflow`. `$status` is the type of a
/// webhook's status there.
macro_rules! common_responses {
    ($dialogflow:ident, $status:ty) => {
        /// A recognition result; `None` if core does not need it.
        fn recognition(result: $dialogflow::StreamingRecognitionResult) -> Option<dialbridge_core::AgentEvent> {
            use crate::protobuf::from_duration;
            use $dialogflow::streaming_recognition_result::MessageType;
            match result.message_type() {
                MessageType::EndOfSingleUtterance => {
                    Some(dialbridge_core::AgentEvent::EndOfUtterance { end_ms: speech_end(&result) })
                }
                MessageType::Transcript => {
                    Some(dialbridge_core::AgentEvent::Transcript(dialbridge_core::agent::Transcript {
                        is_final: result.is_final,
                        confidence: (result.confidence > 0.0).then_some(result.confidence),
                        start_ms: result.speech_word_info.first().and_then(|word| word.start_offset).map(from_duration),
                        end_ms: speech_end(&result),
                        text: result.transcript,
                    }))
                }
                _ => None,
            }
        }

        /// Where the recognised speech ends, in milliseconds of the stream's audio: the end of the result, else of its last
        /// word.
        fn speech_end(result: &$dialogflow::StreamingRecognitionResult) -> Option<u64> {
            let last_word = || result.speech_word_info.last().and_then(|word| word.end_offset);
            result.speech_end_offset.or_else(last_word).map(crate::protobuf::from_duration)
        }

        /// The coding of the answer's audio, which may differ from the one that we requested. Fails with its name if we
        /// cannot play it.
        fn format(
            config: Option<&$dialogflow::OutputAudioConfig>,
        ) -> Result<dialbridge_core::audio::AudioFormat, String> {
            use dialbridge_core::audio::{AudioFormat, Encoding};
            use $dialogflow::OutputAudioEncoding::{Alaw, Linear16, Mp3, Mp364Kbps, Mulaw, OggOpus, Unspecified};
            let Some(config) = config else { return Ok(AudioFormat::TELEPHONE) };
            let encoding = match config.audio_encoding() {
                Linear16 => Encoding::Linear16,
                Mulaw | Unspecified => Encoding::Mulaw,
                Alaw => Encoding::Alaw,
                other @ (Mp3 | Mp364Kbps | OggOpus) => return Err(other.as_str_name().to_owned()),
            };
            Ok(AudioFormat { encoding, sample_rate: u32::try_from(config.sample_rate_hertz).unwrap_or(0) })
        }

        /// The code and message of a failed webhook. The webhook writes the message, and it may be long.
        fn webhook_fault(status: &$status) -> Option<String> {
            let message: String = status.message.chars().take(200).collect();
            (status.code != 0).then(|| format!("code {}: {message}", status.code))
        }
    };
}

pub(crate) use {common_requests, common_responses};
