//! Good and wrong values of every setting.

use std::fs;

use dialbridge_core::agent::DigitsForm;
use dialbridge_core::audio::wav::write_wav;
use dialbridge_core::audio::{AudioFormat, Encoding};
use dialbridge_core::call_facts::CallParameter;
use dialbridge_core::config::{
    BargeIn, BargeInMode, CallConfig, CallLimits, DtmfConfig, Fillers, StreamShape, Timeouts,
};
use dialbridge_core::handoff::DialRules;
use dialbridge_core::parameters::NameCase;
use dialbridge_core::tape::Mask;

use super::*;
use crate::settings::{CesTransport, Product, Secret};
use crate::settings::{PromptsConfig, ToolWebhook};
use dialbridge_agents::{CesConfig, ModelVariant, SpeechConfig, VoiceGender};

#[test]
fn every_wrong_setting_is_one_line_with_its_name_and_an_example() {
    let long = "x".repeat(501);
    let (phrase, phrases) = ("x".repeat(101), vec!["x"; 5_001].join(","));
    let wrong = [
        ("PORT", vec!["99999", "abc", "-1"]),
        ("HOST", vec!["everywhere", "127.0.0.1:8080", "localhost", "10.0.0.0/8"]),
        ("PUBLIC_URL", vec!["example.com", "https://example.com/?a=b", "https://example.com/phone/twiml"]),
        ("DIALBRIDGE_CONFIG", vec!["/nowhere/agents.toml"]),
        ("MAX_CALLS", vec!["0", "many"]),
        ("HISTORY_DAYS", vec!["0", "week"]),
        ("MAX_WAITING_SOCKETS", vec!["0", "x"]),
        ("MAX_CONNECTIONS", vec!["0"]),
        ("HEAD_SECONDS", vec!["0", "301"]),
        ("MAX_HEAD_BYTES", vec!["8191", "2000000"]),
        ("BODY_SECONDS", vec!["0"]),
        ("MAX_BODY_BYTES", vec!["0", "2000000"]),
        ("MAX_MESSAGE_BYTES", vec!["0", "2000000"]),
        ("START_SECONDS", vec!["0", "soon"]),
        ("QUIET_SOCKET_SECONDS", vec!["0"]),
        ("SLOW_SOCKET_SECONDS", vec!["0"]),
        ("MAX_QUEUED_MESSAGES", vec!["0", "100001"]),
        ("STREAMS_PER_CONNECTION", vec!["0", "101", "many"]),
        ("COALESCE_MICROSECONDS", vec!["5001", "-1", "1 ms"]),
        ("AUDIO_CHUNK_MS", vec!["0", "19", "201", "25", "40 ms"]),
        ("ALLOW_BARE_MEDIA", vec!["yes"]),
        ("OVERFLOW_URL", vec!["tel:1"]),
        ("LOG_FORMAT", vec!["xml"]),
        ("LOG_LEVEL", vec!["loud"]),
        ("MIGRATE_AFTER_SECONDS", vec!["60", "1", "90000", "1 h"]),
        ("ADMIN_TOKEN", vec!["fifteen-chars-x", "there is a space in it", "umlaute-können-das-nicht"]),
        ("PAGE_TRANSCRIPTS", vec!["yes"]),
        ("RECORD_DIGITS", vec!["yes"]),
        ("RECORD_MASKED", vec!["no"]),
        ("DIALOGFLOW_AGENT", vec!["my agent\nx", "projects/p"]),
        ("DIALOGFLOW_PROJECT_ID", vec!["my/project"]),
        ("DIALOGFLOW_ENDPOINT", vec!["ftp://x"]),
        ("DIALOGFLOW_ES_API", vec!["v3"]),
        ("DIALOGFLOW_LANGUAGE", vec!["klingon", "en-", "a-language-tag-of-more-than-35-bytes-is-none"]),
        ("RETRY_ANSWERING_TURN", vec!["maybe"]),
        ("ANSWER_SECONDS", vec!["0", "301"]),
        ("STALLED_STREAM_SECONDS", vec!["301", "-1", "never"]),
        ("RETRY_BUDGET_SECONDS", vec!["301", "-1"]),
        ("ROTATION_MARGIN_MS", vec!["0", "1999", "115001"]),
        ("TIME_ZONE", vec!["CET", "Berlin", "Europe/", "/Berlin", "Europe/Ber lin", "+01:00"]),
        ("SENTIMENT", vec!["good"]),
        ("WEBHOOK_HEADERS", vec!["X-Tenant", "X Tenant: a", ": a", "host: a", "From: a", "X-A: 1,x-a: 2", "X-A: ä"]),
        ("FLOW_VERSIONS", vec!["1", "projects/p/locations/l/agents/a/flows//versions/1"]),
        ("SESSION_TTL_MINUTES", vec!["0", "1441", "1h"]),
        ("CES_TRANSPORT", vec!["http", "gRPC"]),
        ("CES_INPUT_AUDIO", vec!["mp3", "linear16", "linear16-48000"]),
        ("CES_OUTPUT_AUDIO", vec!["opus", "linear16-44100"]),
        ("CES_CHUNK_MS", vec!["39", "121", "60 ms"]),
        ("CES_ENTRY_AGENT", vec!["front desk", "agents/desk", "projects/p/locations/us/apps//agents/a"]),
        ("CES_VARIABLES_MS", vec!["5001", "-1", "0.5"]),
        ("CES_STREAM_SECONDS", vec!["59", "86401", "1h"]),
        ("CES_NOISE_SUPPRESSION", vec!["some", "very high"]),
        ("CES_TOOL_WEBHOOK_URL", vec!["example.com/tools", "ftp://x"]),
        ("EVENT_WEBHOOK_SECRET", vec!["whsec_planted", "whsec_cGxhbnRlZA==", "whsec_?"]),
        ("CES_TOOL_WEBHOOK_MS", vec!["99", "60001"]),
        ("BARGE_IN", vec!["on", "Speech"]),
        ("END_OF_UTTERANCE", vec!["fast", "800", "100ms", "30s"]),
        ("BARGE_IN_MIN_WORDS", vec!["0", "101", "one"]),
        ("BARGE_IN_MIN_MS", vec!["60001", "0.5"]),
        ("BARGE_IN_MIN_CONFIDENCE", vec!["101", "0.6"]),
        ("ECHO_GUARD", vec!["true", "On", "1"]),
        ("BARGE_IN_IGNORE", vec!["mhm,...", "mhm,!", &long]),
        ("CALL_PARAMETERS", vec!["from", "From=", "Digits", "SipHeader_", "SipHeader_x y", "From=a b", "From=a,To=A"]),
        ("HEARD_PARAMETER", vec!["what was heard", "heard.ms", "ä"]),
        ("NO_INPUT_EVENT", vec![&long, "a\tb"]),
        ("NO_INPUT_MS", vec!["499", "600001"]),
        ("FILLER_FILE", vec!["/nowhere/filler.wav"]),
        ("FILLER_AFTER_MS", vec!["60001"]),
        ("RETRY_FILE", vec!["/nowhere/retry.wav"]),
        ("DTMF_FINISH_DIGIT", vec!["##", "a", "E", "pound"]),
        ("DTMF_MAX_DIGITS", vec!["101", "-1"]),
        ("DTMF_INTERDIGIT_MS", vec!["99", "60001"]),
        ("DTMF_FIRST_DIGIT_MS", vec!["300001"]),
        ("DTMF_AS", vec!["digits", "event:", "event", &long]),
        ("MAX_CALL_SECONDS", vec!["86401"]),
        ("MAX_SILENCE_SECONDS", vec!["86401"]),
        ("MAX_ANSWER_SECONDS", vec!["9", "7201"]),
        ("MAX_FAILED_TURNS", vec!["1000001"]),
        ("MAX_NO_INPUT_TURNS", vec!["1000001"]),
        ("TEXT_GOODBYE", vec![&long]),
        ("TEXT_BUSY", vec![&long]),
        ("TEXT_FAILED", vec![&long]),
        ("TEXT_LOST", vec![&long]),
        ("VOICE_GENDER", vec!["man"]),
        ("SPEAKING_RATE", vec!["0.2", "4.1", "fast", "NaN"]),
        ("PITCH", vec!["-20.5", "21"]),
        ("VOLUME_GAIN_DB", vec!["-97", "17", "inf"]),
        ("SPEECH_MODEL_VARIANT", vec!["worst"]),
        ("PHRASE_HINTS", vec![&phrase, &phrases]),
        ("PROMPT_MAX_BYTES", vec!["0", "33554433"]),
        ("PROMPT_FETCH_MS", vec!["99", "60001"]),
        ("PROMPT_HOSTS", vec!["*", "public *", "public\t*", "public,http://cdn.example.com", "10.0.0.0/33"]),
        ("STORAGE_ENDPOINT", vec!["storage.googleapis.com", "https://example.com/?a=b"]),
        ("TEXT_TO_SPEECH_ENDPOINT", vec!["gs://x"]),
        ("TWILIO_ACCOUNT_SID", vec!["AC12"]),
        ("TWILIO_API_URL", vec!["api.twilio.com"]),
        ("TWILIO_EDGE", vec!["Dublin", "a.b"]),
        ("TWILIO_REGION", vec!["IE1", "ie 1"]),
        ("ALLOW_UNSIGNED", vec!["perhaps"]),
        ("END_OF_INTERACTION_URL", vec!["/next"]),
        ("FALLBACK_TWIML", vec!["sorry", "<Response>&</Response>", "<Response><a></Response>", "<Play/>"]),
        ("HANDOFF_FIELDS", vec!["intent,everything"]),
        ("DIAL_CALLER_ID", vec!["+1 555 0100", "our number", "15550100123"]),
        ("DIAL_TIMEOUT", vec!["0", "601"]),
        ("DIAL_ANSWER_ON_BRIDGE", vec!["2"]),
        ("DIAL_FAILED_EVENT", vec![&long]),
        ("SLOW_TURN_MS", vec!["600001", "-1", "3 s"]),
        ("SLOW_STAGES_MS", vec!["agent", "agents=1", "agent=fast", "agent=1,playout=600001", "=1"]),
        ("EVENT_WEBHOOK_URL", vec!["example.com/events", "mailto:a@example.com"]),
        ("STATUS_CALLBACK_URL", vec!["example.com/turns", "ftp://example.com"]),
        ("EVENT_REDACTION", vec!["some", "digits"]),
        ("GOOGLE_CLOUD_PROJECT", vec!["my project", "a/b"]),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", vec!["localhost:4318", "http://h/?a=b"]),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", vec!["localhost:4318"]),
        ("OTEL_EXPORTER_OTLP_HEADERS", vec!["api-key", "=x", "a b=c", "a=%0A"]),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", vec!["grpc", "http/json"]),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", vec!["0", "60001", "10 s"]),
        ("OTEL_RESOURCE_ATTRIBUTES", vec!["region", "=eu", "a=%FF"]),
        ("OTEL_TRACES_SAMPLER", vec!["sometimes", "xray"]),
        ("OTEL_TRACES_SAMPLER_ARG", vec!["1.5", "-0.1", "NaN"]),
    ];
    for (name, values) in &wrong {
        for value in values {
            let error = only(&config(&[(name, value)]).expect_err(&format!("{name}={value}")));
            let line = error.to_string();
            assert_eq!(error.name(), *name, "{line}");
            assert!(
                line.starts_with(&format!("{name} ")) && line.contains(&format!("; for example {name}=")),
                "{line}"
            );
            assert!(!line.contains('\n') && line.len() < 400, "{line}");
        }
    }
}

#[test]
fn every_setting_but_free_texts_can_be_wrong() {
    // Their values are texts of any kind, or can be wrong only beside another setting.
    let free = [
        "HISTORY_DIR",
        "RECORD_DIR",
        "DIALOGFLOW_STARTING_EVENT_NAME",
        "DIALOGFLOW_STARTING_TEXT",
        "GOOGLE_APPLICATION_CREDENTIALS",
        "VOICE_NAME",
        "EFFECTS_PROFILE",
        "SPEECH_MODEL",
        "CHANNEL",
        "CES_TOOL_WEBHOOK_SECRET",
        "TWILIO_AUTH_TOKEN",
        "TWILIO_API_KEY_SID",
        "TWILIO_API_KEY_SECRET",
        "TICKET_KEY",
        "OTEL_SERVICE_NAME",
    ];
    let source = include_str!("values.rs");
    for name in Settings::names() {
        let is_tried = source.contains(&format!("(\"{name}\", vec!["));
        assert_eq!(is_tried, !free.contains(&name), "{name}");
    }
}

#[test]
fn what_needs_another_setting_says_so() {
    for (values, name) in [
        (&[("TWILIO_API_KEY_SID", "SK1")][..], "TWILIO_API_KEY_SECRET"),
        (&[("TWILIO_API_KEY_SECRET", "s")], "TWILIO_API_KEY_SID"),
        (&[("TWILIO_REGION", "ie1")], "TWILIO_EDGE"),
        (&[ES, ("DTMF_AS", "dtmf")], "DTMF_AS"),
        (&[ES, ("ROTATION_MARGIN_MS", "55001")], "ROTATION_MARGIN_MS"),
        (&[ES, ("CHANNEL", "telephony")], "CHANNEL"),
        (&[CES, ("SESSION_TTL_MINUTES", "240")], "SESSION_TTL_MINUTES"),
        (&[ES, ("FLOW_VERSIONS", "projects/p/locations/l/agents/a/flows/f/versions/1")], "FLOW_VERSIONS"),
    ] {
        let error = only(&config(values).unwrap_err());
        assert_eq!(error.name(), name, "{error}");
    }
}

#[test]
fn an_empty_value_counts_as_not_given() {
    let empty: Vec<(&str, &str)> = Settings::names().map(|name| (name, "  ")).collect();
    let of_empty = agent(&empty);
    let greeting = CallConfig::default().starting_input;
    assert_eq!(
        of_empty.call.starting_input, greeting,
        "but for the starting event and text, where none is a value too"
    );
    assert!(of_empty.call.call_parameters.is_empty(), "nor is the agent told anything of the call");
    let default = agent(&[]);
    assert_eq!(of_empty.call.barge_in.ignore, Some(Vec::new()), "and every word interrupts");
    let call_parameters = Vec::new();
    let barge_in = of_empty.call.barge_in.clone();
    assert_eq!(of_empty.call, CallConfig { starting_input: greeting, call_parameters, barge_in, ..default.call });
    assert_eq!((of_empty.speech, of_empty.prompts), (default.speech, default.prompts));
}

#[test]
fn the_defaults_are_those_that_are_documented() {
    let AgentConfig { call, speech, dial_failed_event, tape_mask, notices, .. } = agent(&[CX]);
    assert_eq!(call.barge_in, BargeIn::default());
    assert_eq!(call.dtmf, DtmfConfig::default());
    assert_eq!((call.no_input.event.as_deref(), call.no_input.after_ms), (None, 8_000));
    let bounds = CallLimits { call_ms: 7_200_000, silence_ms: 300_000, failed_turns: 20, no_input_turns: 8 };
    assert_eq!(call.limits, bounds);
    assert_eq!(call.fillers, Fillers { thinking_after_ms: 2_000, greeting_after_ms: 3_000, ..Fillers::default() });
    assert_eq!((call.audio_limit_ms, call.rotation_margin_ms), (120_000, 10_000));
    assert_eq!((call.timeouts.answer_ms, call.timeouts.fetch_ms, call.retry.budget_ms), (20_000, 5_000, 15_000));
    assert_eq!((call.handoff.dial, dial_failed_event), (DialRules::default(), None));
    assert_eq!(tape_mask, Mask { digits: true, audio: false });
    assert_eq!((speech, notices.len()), (SpeechConfig { audio_chunk_ms: 20, ..SpeechConfig::default() }, 0));
}

#[test]
fn the_agent_is_told_the_facts_that_are_chosen_under_their_names() {
    let chosen = agent(&[CX, ("CALL_PARAMETERS", "From=ani, Direction,SipHeader_X-Shop=shop")]).call.call_parameters;
    let named = |(fact, name): (&str, &str)| CallParameter { fact: fact.to_owned(), name: name.to_owned() };
    let expected = [("From", "ani"), ("Direction", "Direction"), ("SipHeader_X-Shop", "shop")].map(named);
    assert_eq!(chosen, expected);
    assert_eq!(agent(&[CX]).call.call_parameters, CallParameter::defaults());
    let names = [CX, ES, CES].map(|product| agent(&[product]).call.parameter_names);
    assert_eq!(names, [NameCase::Ignored, NameCase::Exact, NameCase::Exact]);
}

#[test]
fn an_es_agent_has_defaults_of_its_own() {
    for (values, knows_prompts) in [(&[ES][..], false), (&[ES, BETA], true)] {
        let call = agent(values).call;
        assert_eq!((call.dtmf.form, call.knows_prompts), (DigitsForm::Text, knows_prompts));
        assert_eq!(call.audio_limit_ms, 60_000);
    }
    assert!(agent(&[CX]).call.knows_prompts);
    assert_eq!(agent(&[ES, BETA, ("DTMF_AS", "dtmf")]).call.dtmf.form, DigitsForm::Dtmf);
    assert_eq!(agent(&[ES, ("ROTATION_MARGIN_MS", "55000")]).call.rotation_margin_ms, 55_000);
}

#[test]
fn a_ces_agent_has_defaults_of_its_own() {
    let AgentConfig { address, call, ces, .. } = agent(&[CES]);
    assert_eq!(address.product(), Product::Ces(CesTransport::WebSocket));
    assert_eq!((call.shape, call.audio_limit_ms, call.knows_prompts), (StreamShape::PerSession, 3_600_000, false));
    let greeting = (call.starting_input.event.as_deref(), call.starting_input.text.as_deref());
    assert_eq!(greeting, (Some("session_start"), None));
    assert_eq!(call.dtmf, DtmfConfig { max_digits: 1, ..DtmfConfig::default() }, "each key is an input of its own");
    assert_eq!(ces, CesConfig::default());
    let keys = agent(&[CES, ("DTMF_MAX_DIGITS", "0"), ("DTMF_AS", "text")]).call.dtmf;
    assert_eq!((keys.max_digits, keys.form), (0, DigitsForm::Text));
    assert_eq!(agent(&[CES, ("ROTATION_MARGIN_MS", "600000")]).call.rotation_margin_ms, 600_000);
    assert_eq!(agent(&[CES, ("CES_STREAM_SECONDS", "60")]).call.audio_limit_ms, 60_000);
}

#[test]
fn the_streams_of_a_ces_agent_are_as_they_are_set() {
    let set = agent(&[
        ("DIALOGFLOW_AGENT", "projects/p/locations/us/apps/a/deployments/d"),
        ("CES_TRANSPORT", "grpc"),
        ("CES_INPUT_AUDIO", "linear16-16000"),
        ("CES_OUTPUT_AUDIO", "linear16-48000"),
        ("CES_CHUNK_MS", "40"),
        ("CES_ENTRY_AGENT", "desk"),
        ("CES_VARIABLES_MS", "0"),
        ("CES_NOISE_SUPPRESSION", "very_high"),
    ]);
    assert_eq!(set.address.product(), Product::Ces(CesTransport::Grpc));
    assert_eq!(set.endpoint().url, "https://ces.us.rep.googleapis.com");
    let linear = |sample_rate| AudioFormat { encoding: Encoding::Linear16, sample_rate };
    let expected = CesConfig {
        deployment: Some("projects/p/locations/us/apps/a/deployments/d".to_owned()),
        input: linear(16_000),
        output: linear(48_000),
        chunk: std::time::Duration::from_millis(40),
        entry_agent: Some("desk".to_owned()),
        variables: std::time::Duration::ZERO,
        noise_suppression: Some("very_high"),
    };
    assert_eq!(set.ces, expected);
    for (name, rate) in [("linear16-8000", 8_000), ("linear16-16000", 16_000), ("linear16-24000", 24_000)] {
        let ces = agent(&[CES, ("CES_INPUT_AUDIO", name), ("CES_OUTPUT_AUDIO", name)]).ces;
        assert_eq!((ces.input, ces.output), (linear(rate), linear(rate)));
    }
    let telephone = agent(&[CES, ("CES_INPUT_AUDIO", "mulaw"), ("CES_OUTPUT_AUDIO", "mulaw")]).ces;
    assert_eq!(telephone, CesConfig::default());
    let overridden = agent(&[CES, ("DIALOGFLOW_ENDPOINT", "ces.eu.rep.googleapis.com")]);
    assert_eq!(overridden.endpoint().url, "https://ces.eu.rep.googleapis.com");
}

#[test]
fn the_tools_of_a_ces_agent_are_run_where_it_is_set() {
    let url = ("CES_TOOL_WEBHOOK_URL", "https://example.com/tools");
    let set = agent(&[CES, url, ("CES_TOOL_WEBHOOK_SECRET", "s3cret"), ("CES_TOOL_WEBHOOK_MS", "500")]);
    let secret = Some(Secret::new("s3cret"));
    let timeout = std::time::Duration::from_millis(500);
    assert_eq!(set.tools, Some(ToolWebhook { url: url.1.to_owned(), secret, timeout }));
    assert!(set.call.has_tools);
    let default = agent(&[CES, url]).tools.unwrap();
    assert_eq!((default.secret, default.timeout.as_millis()), (None, 10_000));
    assert!(agent(&[CX, url]).call.has_tools, "CX asks for tools too");
    for values in [&[CES][..], &[CX], &[ES, url]] {
        let agent = agent(values);
        assert_eq!((agent.tools, agent.call.has_tools), (None, false));
    }
}

#[test]
fn interruptions_are_as_they_are_set() {
    let of = |mode| agent(&[("BARGE_IN", mode)]).call.barge_in.mode;
    assert_eq!([of("off"), of("speech"), of("voice")], [BargeInMode::Off, BargeInMode::Speech, BargeInMode::Voice]);
    let rule = agent(&[
        ("BARGE_IN_MIN_WORDS", "3"),
        ("BARGE_IN_MIN_MS", "250"),
        ("BARGE_IN_MIN_CONFIDENCE", "60"),
        ("HEARD_PARAMETER", "what_was-heard1"),
        ("ECHO_GUARD", "off"),
        ("BARGE_IN_IGNORE", "mhm, i see"),
    ]);
    let heard_parameter = Some("what_was-heard1".to_owned());
    let expected = BargeIn {
        mode: BargeInMode::Speech,
        min_words: 3,
        min_ms: 250,
        min_confidence: 60,
        heard_parameter,
        echo_guard: false,
        ignore: Some(vec!["mhm".to_owned(), "i see".to_owned()]),
    };
    assert_eq!(rule.call.barge_in, expected);
    let nothing_ignored = agent(&[("BARGE_IN_IGNORE", "")]).call.barge_in.ignore;
    assert_eq!(nothing_ignored, Some(Vec::new()), "as against the words of the language");
}

#[test]
fn digits_are_collected_as_it_is_set() {
    let keys = |values: &[(&str, &str)]| agent(values).call.dtmf;
    for (value, key) in [("none", None), ("#", Some('#')), ("*", Some('*')), ("7", Some('7')), ("D", Some('D'))] {
        assert_eq!(keys(&[("DTMF_FINISH_DIGIT", value)]).finish_digit, key);
    }
    let event = DigitsForm::Event("KEYS TYPED".to_owned());
    for (value, form) in [("dtmf", DigitsForm::Dtmf), ("text", DigitsForm::Text), ("event: KEYS TYPED", event)] {
        assert_eq!(keys(&[("DTMF_AS", value)]).form, form);
    }
    let set = keys(&[("DTMF_MAX_DIGITS", "4"), ("DTMF_INTERDIGIT_MS", "1500"), ("DTMF_FIRST_DIGIT_MS", "5000")]);
    assert_eq!((set.max_digits, set.interdigit_ms, set.first_digit_ms), (4, 1_500, 5_000));
}

#[test]
fn silence_limits_and_timeouts_are_as_they_are_set() {
    let call = agent(&[
        ("NO_INPUT_EVENT", "SILENCE"),
        ("NO_INPUT_MS", "4000"),
        ("MAX_CALL_SECONDS", "600"),
        ("MAX_SILENCE_SECONDS", "0"),
        ("MAX_ANSWER_SECONDS", "900"),
        ("MAX_FAILED_TURNS", "2"),
        ("MAX_NO_INPUT_TURNS", "3"),
        ("TEXT_GOODBYE", "Thank you, good bye."),
        ("ANSWER_SECONDS", "12"),
        ("STALLED_STREAM_SECONDS", "20"),
        ("RETRY_BUDGET_SECONDS", "0"),
        ("PROMPT_FETCH_MS", "800"),
        ("ROTATION_MARGIN_MS", "20000"),
    ])
    .call;
    assert_eq!((call.no_input.event.as_deref(), call.no_input.after_ms), (Some("SILENCE"), 4_000));
    assert_eq!(call.words.goodbye.as_deref(), Some("Thank you, good bye."));
    assert_eq!(call.limits, CallLimits { call_ms: 600_000, silence_ms: 0, failed_turns: 2, no_input_turns: 3 });
    assert_eq!(call.max_answer_ms, 900_000);
    let timeouts = &call.timeouts;
    assert_eq!((timeouts.answer_ms, timeouts.stalled_ms, timeouts.fetch_ms), (12_000, 20_000, 800));
    assert_eq!(agent(&[("STALLED_STREAM_SECONDS", "0")]).call.timeouts.stalled_ms, 0, "never");
    assert_eq!(agent(&[]).call.timeouts, Timeouts::default(), "core's own where nothing is set");
    assert_eq!((call.retry.budget_ms, call.rotation_margin_ms), (0, 20_000));
}

#[test]
fn transfers_recordings_and_tapes_are_as_they_are_set() {
    let set = agent(&[
        ("DIAL_CALLER_ID", "+15550100"),
        ("DIAL_TIMEOUT", "45"),
        ("DIAL_ANSWER_ON_BRIDGE", "false"),
        ("DIAL_FAILED_EVENT", "NO_ANSWER"),
        ("PROMPT_MAX_BYTES", "1000000"),
        ("PROMPT_HOSTS", "public, cdn.corp.internal"),
        ("STORAGE_ENDPOINT", "http://127.0.0.1:9000/"),
        ("TEXT_TO_SPEECH_ENDPOINT", "https://eu-texttospeech.googleapis.com"),
        ("RECORD_DIGITS", "true"),
        ("RECORD_MASKED", "true"),
    ]);
    let dial = DialRules {
        caller_id: Some("+15550100".to_owned()),
        timeout_s: 45,
        answer_on_bridge: false,
        ..DialRules::default()
    };
    assert_eq!((set.call.handoff.dial, set.dial_failed_event.as_deref()), (dial, Some("NO_ANSWER")));
    assert_eq!(set.tape_mask, Mask { digits: false, audio: true });
    assert_eq!((set.prompts.max_bytes, set.prompts.storage_endpoint.as_str()), (1_000_000, "http://127.0.0.1:9000"));
    assert_eq!(set.prompts.text_to_speech_endpoint, "https://eu-texttospeech.googleapis.com");
    let hosts = |prompts: &PromptsConfig| {
        let named = ["cdn.corp.internal", "a.cdn.corp.internal"].map(|host| prompts.hosts.named.contains(host, 443));
        (prompts.hosts.public, named)
    };
    assert_eq!((hosts(&set.prompts), hosts(&agent(&[]).prompts)), ((true, [true, false]), (true, [false, false])));
    assert_eq!(
        hosts(&agent(&[("PROMPT_HOSTS", "public cdn.corp.internal")]).prompts),
        (true, [true, false]),
        "a space"
    );
    assert_eq!(hosts(&agent(&[("PROMPT_HOSTS", ".corp.internal")]).prompts), (false, [true, true]), "these alone");
}

#[test]
fn speech_is_as_it_is_set() {
    let version = "projects/p/locations/l/agents/a/flows/f/versions/1";
    let set = agent(&[
        ("VOICE_NAME", "en-US-Neural2-F"),
        ("VOICE_GENDER", "female"),
        ("SPEAKING_RATE", "1.25"),
        ("PITCH", "-20"),
        ("VOLUME_GAIN_DB", "6"),
        ("EFFECTS_PROFILE", "telephony-class-application, handset-class-device"),
        ("SPEECH_MODEL", "telephony"),
        ("SPEECH_MODEL_VARIANT", "best"),
        ("PHRASE_HINTS", "rye bread, sourdough,,"),
        ("SENTIMENT", "1"),
        ("TIME_ZONE", "America/Argentina/Buenos_Aires"),
        ("AUDIO_CHUNK_MS", "60"),
        ("WEBHOOK_HEADERS", "X-Tenant: north, Authorization: Bearer a:b"),
        ("FLOW_VERSIONS", version),
        ("CHANNEL", "telephony"),
        ("SESSION_TTL_MINUTES", "240"),
    ]);
    let headers: Vec<(&str, &str)> =
        set.speech.webhook_headers.iter().map(|(name, value)| (name.as_str(), value.expose())).collect();
    assert_eq!(headers, [("Authorization", "Bearer a:b"), ("X-Tenant", "north")]);
    let expected = SpeechConfig {
        voice_name: Some("en-US-Neural2-F".to_owned()),
        voice_gender: Some(VoiceGender::Female),
        speaking_rate: Some(1.25),
        pitch: Some(-20.0),
        volume_gain_db: Some(6.0),
        effects: vec!["telephony-class-application".to_owned(), "handset-class-device".to_owned()],
        model: Some("telephony".to_owned()),
        model_variant: Some(ModelVariant::BestAvailable),
        phrase_hints: vec!["rye bread".to_owned(), "sourdough".to_owned()],
        sentiment: true,
        time_zone: Some("America/Argentina/Buenos_Aires".to_owned()),
        webhook_headers: set.speech.webhook_headers.clone(),
        flow_versions: vec![version.to_owned()],
        channel: Some("telephony".to_owned()),
        session_ttl_minutes: Some(240),
        audio_chunk_ms: 60,
    };
    assert_eq!(set.speech, expected);
    for zone in ["UTC", "Etc/GMT+5", "Europe/Berlin"] {
        assert_eq!(agent(&[("TIME_ZONE", zone)]).speech.time_zone.as_deref(), Some(zone));
    }
}

#[test]
fn what_may_not_be_meant_is_told_and_allowed() {
    let told = |values: &[(&str, &str)]| agent(values).notices;
    assert!(told(&[CX, ("SPEAKING_RATE", "1.2")])[0].contains("whole voice of a CX agent"));
    assert!(told(&[CX, ("SPEAKING_RATE", "1.2"), ("VOICE_GENDER", "male")]).is_empty());
    assert!(told(&[ES, ("SPEAKING_RATE", "1.2")]).is_empty(), "ES replaces only what is set");
    assert_eq!(told(&[("NO_INPUT_MS", "5000")]), ["NO_INPUT_MS has no effect without NO_INPUT_EVENT"]);
    assert_eq!(told(&[("DTMF_FIRST_DIGIT_MS", "5000")]), ["DTMF_FIRST_DIGIT_MS has no effect without NO_INPUT_EVENT"]);
    assert_eq!(told(&[("FILLER_AFTER_MS", "500")]), ["FILLER_AFTER_MS has no effect without FILLER_FILE"]);
    assert!(told(&[("NO_INPUT_MS", "5000"), ("NO_INPUT_EVENT", "SILENCE")]).is_empty());
    assert!(told(&[CES, ("STALLED_STREAM_SECONDS", "20")]).is_empty());
    let no_effect = ["SENTIMENT has no effect for an agent of the Customer Engagement Suite"];
    assert_eq!(told(&[CES, ("SENTIMENT", "true")]), no_effect);
    let own = told(&[CES, ("VOICE_NAME", "en-US-Neural2-F")]);
    assert!(own.len() == 1 && own[0].contains("a CES agent has a voice of its own"), "{own:?}");
    let secret = ("CES_TOOL_WEBHOOK_SECRET", "s");
    assert_eq!(told(&[CES, secret]), ["CES_TOOL_WEBHOOK_SECRET has no effect without CES_TOOL_WEBHOOK_URL"]);
    assert!(told(&[CES]).is_empty() && told(&[CX, ("VOICE_NAME", "en-US-Neural2-F")]).is_empty());
}

#[test]
fn a_recording_is_any_wav_of_half_a_minute_and_nothing_else() {
    let linear = |hz, seconds: usize| {
        let format = AudioFormat { encoding: Encoding::Linear16, sample_rate: hz };
        write_wav(1, format, &vec![7; seconds * 2 * usize::try_from(hz).unwrap()])
    };
    let folder = Folder::new();
    let file = |name, bytes: &[u8]| {
        fs::write(folder.path(name), bytes).unwrap();
        folder.path(name)
    };
    let good = file("good.wav", &linear(24_000, 1));
    let set = agent(&[("FILLER_FILE", &good), ("FILLER_AFTER_MS", "900"), ("RETRY_FILE", &good)]);
    let fillers = set.call.fillers;
    assert_eq!((fillers.thinking.as_ref().unwrap().0.len(), fillers.thinking_after_ms), (8_000, 900));
    assert_eq!(fillers.thinking, fillers.retrying);

    let both = write_wav(2, AudioFormat::TELEPHONE, &[0x80; 320]);
    let mixed = agent(&[("RETRY_FILE", &file("stereo.wav", &both))]).call.fillers.retrying.unwrap();
    assert_eq!(*mixed.0, [0x80; 160], "two channels are mixed to one");

    for (name, bytes, fault) in [
        ("text.wav", b"hello, this is no WAV".to_vec(), "is no WAV file"),
        ("long.wav", linear(8_000, 31), "longer than 30 seconds"),
        ("empty.wav", linear(8_000, 0), "no audio in it"),
        ("surround.wav", write_wav(6, AudioFormat::TELEPHONE, &[0xFF; 960]), "6 channels instead of one or two"),
        ("rate.wav", linear(7_999, 1), "cannot be played"),
        ("huge.wav", vec![0; (16 << 20) + 1], "cannot be read"),
    ] {
        let file = file(name, &bytes);
        let error = config(&[("FILLER_FILE", &file)]).unwrap_err().to_string();
        assert!(error.starts_with("FILLER_FILE names ") && error.contains(fault), "{error}");
    }
}

#[test]
fn a_turns_limits_are_set_one_by_one_and_0_removes_one() {
    use dialbridge_core::stages::StageLimits;
    assert_eq!(agent(&[]).slow, StageLimits::default());
    let slow = agent(&[("SLOW_TURN_MS", "0"), ("SLOW_STAGES_MS", "agent=2500, waiting = 0")]).slow;
    let expected = StageLimits { whole_ms: None, agent_ms: Some(2_500), waiting_ms: None, ..StageLimits::default() };
    assert_eq!(slow, expected);
}

#[test]
fn events_say_nothing_personal_unless_they_are_told_to() {
    use crate::settings::Redaction;
    const SIGNING: &str = "whsec_plantedplantedplantedplantedplan";
    let url = ("EVENT_WEBHOOK_URL", "https://example.com/hook?token=planted");
    let events = |more: &[(&str, &str)]| agent(&[&[url], more].concat()).events.unwrap();
    assert_eq!(events(&[]).redaction, Redaction::All);
    assert_eq!(events(&[("EVENT_REDACTION", "words")]).redaction, Redaction::Words);
    let both = events(&[("EVENT_WEBHOOK_SECRET", &format!("{SIGNING}, {SIGNING}"))]);
    assert_eq!(both.secrets.len(), 2);
    assert!(!format!("{both:?}").contains("planted"));
    assert_eq!(agent(&[("EVENT_WEBHOOK_SECRET", SIGNING)]).events, None);
    let notices = |values: &[(&str, &str)]| agent(values).notices.join("; ");
    assert!(notices(&[url]).contains("EVENT_WEBHOOK_SECRET is not set"));
    assert!(notices(&[("EVENT_REDACTION", "none")]).contains("EVENT_REDACTION has no effect"));
}

#[test]
fn the_warnings_about_twilio_say_only_what_is_so() {
    let warning = |pairs: &[(&str, &str)]| {
        let config = config(pairs).unwrap();
        config.warnings().into_iter().find(|warning| warning.contains("TWILIO_")).unwrap_or_default()
    };
    let (token, sid) = (("TWILIO_AUTH_TOKEN", "12345"), ("TWILIO_ACCOUNT_SID", "AC00000000000000000000000000000000"));
    let key = [("TWILIO_API_KEY_SID", "SK00000000000000000000000000000000"), ("TWILIO_API_KEY_SECRET", "secret")];
    assert_eq!(warning(&[token, sid]), "");
    assert_eq!(warning(&[token]), "TWILIO_ACCOUNT_SID is not set: no call is updated over REST");
    assert_eq!(warning(&[sid, key[0], key[1]]), "TWILIO_AUTH_TOKEN is not set: anyone can use this service");
    assert!(warning(&[sid]).ends_with("and no call is updated over REST"));
}
