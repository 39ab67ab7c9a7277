//! Conversations from the phone to the agent and back.

use std::time::Duration;

use dialbridge_core::Report;
use dialbridge_lab::agent::Script;
use dialbridge_lab::twilio::{CallEventKind, CallerStep, When};
use dialbridge_tests::{Edition, Harness, bakery, ended_by, numbered_speech, pause, redirected, say, tone_ms};

/// An agent that answers every utterance with a tone of 300 ms.
const ECHO: &str = r#"
    think_ms = 120
    [start]
    say = "hello"
    tone = { hz = 400, ms = 600 }
    [[utterance]]
    say = "yes"
    intent = "again"
    tone = { hz = 500, ms = 300 }
"#;

each_edition!(the_bakery_takes_an_order_is_interrupted_and_puts_the_caller_through, ALL);
async fn the_bakery_takes_an_order_is_interrupted_and_puts_the_caller_through(edition: Edition) {
    let mut harness = Harness::with(Script::bakery().unwrap()).edition(edition).start();
    let call = harness.call(bakery()).await;
    let intents: Vec<String> = harness
        .reports()
        .into_iter()
        .filter_map(
            |report| if let Report::Answered { intent, .. } = report { Some(intent.display_name) } else { None },
        )
        .collect();
    assert_eq!(intents, ["welcome", "order.bread", "order.time", "speak-to-an-agent"]);
    assert_eq!(call.count(|what| matches!(what, CallEventKind::AgentSpoke { cut: true, .. })), 1);
    let url = redirected(&call).unwrap();
    assert!(url.contains("VirtualAgentStatus=live-agent-handoff"), "{url}");
    assert_eq!(ended_by(&call), "twiml");
    assert_eq!(call.count(|what| matches!(what, CallEventKind::Warning { .. })), 0);
    assert_eq!(harness.agent.record().overlaps(), 0, "never two turns of one session at once");
}

each_edition!(the_goodbye_is_heard_to_its_end_before_the_call_is_updated, ANY);
async fn the_goodbye_is_heard_to_its_end_before_the_call_is_updated(edition: Edition) {
    let mut harness = Harness::with_script("[start]\nsay = \"bye\"\ntone = { hz = 400, ms = 2300 }\nend = true")
        .edition(edition)
        .start();
    let call = harness.call(Vec::new()).await;
    let heard = call.find(|what| match what {
        CallEventKind::AgentSpoke { played_ms, cut } => Some((*played_ms, *cut)),
        _ => None,
    });
    assert_eq!(heard, Some((2_300, false)));
    let place = |wanted: fn(&CallEventKind) -> bool| call.events.iter().position(|event| wanted(&event.kind)).unwrap();
    let (spoke, updated) = (
        place(|what| matches!(what, CallEventKind::AgentSpoke { .. })),
        place(|what| matches!(what, CallEventKind::Updated)),
    );
    assert!(spoke < updated);
    assert!(
        harness.reports().iter().any(|report| matches!(report, Report::Played { played_ms: 2_300, by_mark: true }))
    );
}

each_edition!(a_yes_said_before_the_prompt_is_the_next_turn_and_does_not_cut_it, ALL);
async fn a_yes_said_before_the_prompt_is_the_next_turn_and_does_not_cut_it(edition: Edition) {
    let script = r#"
        [start]
        think_ms = 1500
        tone = { hz = 400, ms = 3000 }
        [[utterance]]
        tone = { hz = 500, ms = 700 }
    "#;
    let harness = Harness::with_script(script).edition(edition).start();
    let call = harness.call(vec![say(When::After(100), numbered_speech(0, 600)), pause(9_000)]).await;
    assert_eq!(call.count(|what| matches!(what, CallEventKind::AgentSpoke { cut: true, .. })), 0);
    let heard: u64 = call
        .events
        .iter()
        .map(|event| if let CallEventKind::AgentSpoke { played_ms, .. } = event.kind { played_ms } else { 0 })
        .sum();
    assert_eq!(heard, 3_700, "the prompt, and after it the answer to the early yes");
}

each_edition!(both_ways_in_which_google_ends_a_stream_lead_to_the_next_turn, [Cx, EsV2, EsV2Beta1]);
async fn both_ways_in_which_google_ends_a_stream_lead_to_the_next_turn(edition: Edition) {
    for closes in ["after-answer", "after-half-close"] {
        for answers in ["after-half-close", "at-once"] {
            for transcripts in ["before-end", "after-end"] {
                let script =
                    format!("closes = \"{closes}\"\nanswers = \"{answers}\"\ntranscripts = \"{transcripts}\"\n{ECHO}");
                let harness = Harness::with_script(&script).edition(edition).start();
                let steps = (0..3).map(|n| say(When::AgentSilent(300), numbered_speech(n * 40, 800))).collect();
                let call = harness.call(steps).await;
                let answered =
                    harness.turns(&call).iter().filter(|turn| turn.input == "audio" && turn.answered).count();
                assert_eq!(answered, 3, "{closes}, {answers}, {transcripts}");
                tokio::time::sleep(Duration::from_secs(6)).await;
                assert_eq!(
                    harness.agent.record().open(),
                    0,
                    "no stream is left behind: {closes} {answers} {transcripts}"
                );
            }
        }
    }
}

each_edition!(whatever_coding_the_agent_sends_the_caller_hears_the_same, ANY);
async fn whatever_coding_the_agent_sends_the_caller_hears_the_same(edition: Edition) {
    for (encoding, rate, wav) in [
        ("mulaw", 8000, false),
        ("mulaw", 8000, true),
        ("alaw", 8000, false),
        ("alaw", 8000, true),
        ("linear16", 8000, true),
        ("linear16", 16000, true),
        ("linear16", 24000, true),
    ] {
        let output = format!("output = {{ encoding = \"{encoding}\", sample_rate = {rate}, wav = {wav} }}\n");
        let harness = Harness::with_script(&(output + "[start]\ntone = { hz = 1000, ms = 1000 }\nend = true"))
            .edition(edition)
            .start();
        let call = harness.call(Vec::new()).await;
        let heard = call
            .find(|what| if let CallEventKind::AgentSpoke { played_ms, .. } = what { Some(*played_ms) } else { None });
        assert_eq!(heard, Some(1_000), "{encoding} {rate} {wav}");
        let heard_ms = tone_ms(&call.heard, 1_000.0);
        assert!((950.0..1_050.0).contains(&heard_ms), "{encoding} {rate} {wav}: {heard_ms}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_agent_is_told_who_calls_and_what_the_voice_url_says() {
    let harness = Harness::with_script(ECHO).start();
    let mut plan = harness.plan(vec![say(When::AgentSilent(300), numbered_speech(0, 800))]);
    plan.voice_url += "?param.shop=north%20side&param.vip=%C3%A4%3C%22";
    plan.from = "anonymous".to_owned();
    let call = harness.twilio.call(plan).await;
    let turns = harness.turns(&call);
    assert_eq!((turns[0].input, turns[0].text.as_str()), ("text", "hi"));
    let told = &turns[0].parameters;
    assert_eq!((&told["From"], &told["To"]), (&"anonymous".into(), &"+15550199".into()));
    assert_eq!((&told["shop"], &told["vip"]), (&"north side".into(), &"ä<\"".into()));
    assert_eq!(told["CallSid"], call.call_sid.as_str());
    assert!(turns[1].parameters.is_empty(), "told once");
}

#[tokio::test(start_paused = true)]
async fn an_event_that_the_agent_does_not_know_is_followed_by_the_starting_text() {
    let script = "[start]\nevent = \"WELCOME\"\nsay = \"hello\"\ntone = { hz = 400, ms = 500 }\nend = true";
    for (event, inputs) in [("WELCOME", vec!["event"]), ("OTHER", vec!["event", "text"])] {
        let harness = Harness::with_script(script)
            .settings(|settings| settings.set("DIALOGFLOW_STARTING_EVENT_NAME", event))
            .start();
        let call = harness.call(Vec::new()).await;
        let turns = harness.turns(&call);
        assert_eq!(turns.iter().map(|turn| turn.input).collect::<Vec<_>>(), inputs);
        assert_eq!(ended_by(&call), "twiml", "{event}");
    }
}

each_edition!(a_caller_who_says_nothing_is_asked_by_the_agents_own_no_input_handler, ALL);
async fn a_caller_who_says_nothing_is_asked_by_the_agents_own_no_input_handler(edition: Edition) {
    let script = "no_speech_ms = 3000\n[start]\ntone = { hz = 400, ms = 2000 }\n[no_input]\nsay = \"still there?\"\ntone = { hz = 600, ms = 500 }\nend = true";
    let harness = Harness::with_script(script).edition(edition).start();
    let call = harness.call(Vec::new()).await;
    let turns = harness.turns(&call);
    let silent = turns.iter().filter(|turn| turn.input == "audio" && turn.answered).count();
    assert_eq!(silent, 1);
    // v2 has no such configuration. There we replace the stream that ends for lack of speech during the prompt.
    let window = (edition != Edition::EsV2).then_some((0, 2_020));
    assert_eq!(turns[1].barge_in, window, "a frame that waited, and the prompt: no no-input before that");
    assert_eq!(turns[1].answered, edition != Edition::EsV2);
    let spoken = call.count(|what| matches!(what, CallEventKind::AgentSpoke { cut: false, .. }));
    assert_eq!((spoken, ended_by(&call).as_str()), (2, "twiml"));
}

each_edition!(a_caller_may_hang_up_at_any_moment, ALL);
async fn a_caller_may_hang_up_at_any_moment(edition: Edition) {
    for after in [0, 50, 130, 400, 700, 1_000, 1_300, 1_600, 1_900, 2_050, 2_200] {
        let mut harness = Harness::with_script(ECHO).edition(edition).start();
        let speech = numbered_speech(0, after.min(800) / 20 * 20);
        let steps =
            vec![say(When::After(0), speech), CallerStep::HangUp { when: When::After(after.saturating_sub(800)) }];
        let call = harness.call(steps).await;
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!(ended_by(&call), "caller");
        assert_eq!(harness.service.calls().live(), 0);
        assert_eq!(harness.agent.record().open(), 0, "no stream is left behind after {after} ms");
        assert!(matches!(harness.reports().last(), Some(Report::Ended { .. })));
        let half_closed = harness.turns(&call).iter().any(|turn| turn.input == "audio" && turn.half_closed);
        assert_eq!(
            half_closed,
            after >= 1_400,
            "hung up after {after} ms: a stream is reset before the end of the utterance, not half-closed"
        );
    }
}
