//! The request to Cloud Text-to-Speech: a text in the agent's own voice, as far as the settings name it.
//!
//! `POST /v1/text:synthesize` (<https://docs.cloud.google.com/text-to-speech/docs/reference/rest/v1/text/synthesize>).

use serde_json::{Value, json};

use dialbridge_agents::{SpeechConfig, VoiceGender};

/// Google's limit for the rate here; Dialogflow accepts twice as much.
const FASTEST: f64 = 2.0;

/// The body of a request. `kind` is `text` or `ssml`; `language` is the call's.
///
/// A voice speaks one language, and Google refuses it for another one. So we leave the voice out if its name does not
/// begin with a language, or if that is not the call's language. With a voice's name we send no gender, which could
/// only contradict it.
pub(super) fn body(kind: &str, words: &str, language: &str, speech: &SpeechConfig) -> Value {
    let name = speech.voice_name.as_deref();
    let named = name.and_then(|name| Some((name, language_of(name)?)));
    let voice = match (named.filter(|(_, own)| is_spoken_by(language, own)), speech.voice_gender) {
        (Some((name, own)), _) => json!({ "languageCode": own, "name": name }),
        (None, Some(gender)) => json!({ "languageCode": language, "ssmlGender": as_google_has_it(gender) }),
        (None, None) => json!({ "languageCode": language }),
    };
    let mut audio = json!({ "audioEncoding": "MULAW", "sampleRateHertz": 8000 });
    let rate = speech.speaking_rate.map(|rate| rate.min(FASTEST));
    for (name, value) in [("speakingRate", rate), ("pitch", speech.pitch), ("volumeGainDb", speech.volume_gain_db)] {
        if let Some(value) = value {
            audio[name] = value.into();
        }
    }
    if !speech.effects.is_empty() {
        audio["effectsProfileId"] = speech.effects.clone().into();
    }
    json!({ "input": { kind: words }, "voice": voice, "audioConfig": audio })
}

/// The language at the beginning of a voice's name: `en-US` of `en-US-Neural2-F`.
fn language_of(voice: &str) -> Option<&str> {
    let (language, rest) = voice.split_once('-')?;
    let (region, _) = rest.split_once('-')?;
    let is_language = (2..=3).contains(&language.len()) && (2..=3).contains(&region.len());
    is_language.then(|| &voice[..=language.len() + region.len()])
}

/// Whether a voice of the language `own` speaks the call's. The region does not matter: an `en-US` voice that was set
/// speaks `en` and `en-GB` too.
fn is_spoken_by(language: &str, own: &str) -> bool {
    let main = |tag: &str| tag.split('-').next().unwrap_or_default().to_ascii_lowercase();
    // For these languages Dialogflow's tags differ from those of the voices.
    let (language, own) = (main(language), main(own));
    language == own || matches!((&*language, &*own), ("zh", "cmn" | "yue") | ("no", "nb"))
}

fn as_google_has_it(gender: VoiceGender) -> &'static str {
    match gender {
        VoiceGender::Male => "MALE",
        VoiceGender::Female => "FEMALE",
        VoiceGender::Neutral => "NEUTRAL",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn voice(name: &str, gender: Option<VoiceGender>, language: &str) -> Value {
        let name = Some(name.to_owned()).filter(|name| !name.is_empty());
        let speech = SpeechConfig { voice_name: name, voice_gender: gender, ..SpeechConfig::default() };
        body("text", "a", language, &speech)["voice"].clone()
    }

    #[test]
    fn a_voice_is_named_with_its_own_language_where_the_call_has_it() {
        for (name, language, own) in [
            ("en-US-Neural2-F", "en-US", "en-US"),
            ("en-US-Neural2-F", "en", "en-US"),
            ("en-US-Chirp3-HD-Kore", "EN-gb", "en-US"),
            ("sr-rs-Standard-A", "sr-Latn-RS", "sr-rs"),
            ("cmn-CN-Wavenet-A", "zh-CN", "cmn-CN"),
            ("es-419-Standard-A", "es-MX", "es-419"),
        ] {
            let expected = json!({ "languageCode": own, "name": name });
            assert_eq!(voice(name, Some(VoiceGender::Male), language), expected, "{name} {language}");
        }
    }

    #[test]
    fn a_voice_of_another_language_or_of_none_is_left_out_and_the_gender_stays() {
        for (name, language) in [("en-US-Neural2-F", "de-DE"), ("Kore", "en-US"), ("en-US", "en-US"), ("", "en-US")] {
            assert_eq!(voice(name, None, language), json!({ "languageCode": language }), "{name} {language}");
            let expected = json!({ "languageCode": language, "ssmlGender": "FEMALE" });
            assert_eq!(voice(name, Some(VoiceGender::Female), language), expected, "{name} {language}");
        }
    }

    #[test]
    fn settings_of_the_voice_are_sent_within_googles_limits_and_nothing_else() {
        let plain = json!({
            "input": { "ssml": "<speak/>" }, "voice": { "languageCode": "en" },
            "audioConfig": { "audioEncoding": "MULAW", "sampleRateHertz": 8000 },
        });
        assert_eq!(body("ssml", "<speak/>", "en", &SpeechConfig::default()), plain);
        let speech = SpeechConfig {
            speaking_rate: Some(3.5),
            pitch: Some(-2.0),
            volume_gain_db: Some(6.0),
            effects: vec!["telephony-class-application".to_owned()],
            ..SpeechConfig::default()
        };
        let audio = json!({
            "audioEncoding": "MULAW", "sampleRateHertz": 8000, "speakingRate": 2.0, "pitch": -2.0, "volumeGainDb": 6.0,
            "effectsProfileId": ["telephony-class-application"],
        });
        assert_eq!(body("text", "a", "en", &speech)["audioConfig"], audio);
    }
}
