//! The test kit: calls that a test describes, in every edition.

use dialbridge_core::audio::g711::linear_to_mulaw;
use dialbridge_core::audio::wav::write_wav;
use dialbridge_core::audio::{AudioFormat, Encoding};
use dialbridge_core::config::{BargeInMode, EndOfUtterance, NoInput};
use dialbridge_core::edition::Edition;
use dialbridge_core::ending::VirtualAgentStatus;
use dialbridge_core::kit::{Recording, TapeBuilder};
use dialbridge_core::replay::{PlayedCall, replay};
use dialbridge_core::report::EndFoundBy;
use dialbridge_core::tape::Tape;
use dialbridge_core::{CloseReason, Report};
use serde_json::json;

const EDITIONS: [Edition; 3] = [Edition::Es, Edition::Cx, Edition::Ces];

/// A caller who interrupts the greeting, types his number, and is handed over.
pub(crate) fn order(edition: Edition) -> TapeBuilder {
    Tape::build()
        .edition(edition)
        .agent_greets("Corner Bakery, good morning. We have rye and wheat today.", Recording::ms(4_000))
        .caller_says(Recording::ms(900))
        .barge_in_at_ms(1_500)
        .agent_hears("two loaves please")
        .agent_answers("Which number may I call?", Recording::ms(1_200))
        .with_intent("order.bread")
        .with_page("Number")
        .with_flow("Order")
        .with_parameter("loaves", 2)
        .caller_presses("5550100#")
        .agent_answers("One moment.", Recording::ms(600))
        .after_ms(400)
        .hands_off(json!({ "queue": "orders" }))
}

#[test]
fn a_call_goes_as_described_in_every_edition() {
    for edition in EDITIONS {
        let call = order(edition).play();
        assert_eq!((call.turns(), call.gave_up), (3, false), "{edition:?}");
        let turn = call.turn(2);
        assert_eq!(
            (turn.transcript().as_str(), turn.reply().as_str()),
            ("two loaves please", "Which number may I call?")
        );
        assert_eq!((turn.intent(), turn.page(), turn.flow()), ("order.bread", "Number", "Order"));
        assert_eq!(turn.parameter("loaves"), Some(json!(2)));
        assert_eq!(call.turn(3).reply(), "One moment.", "{edition:?}");
        assert_eq!(call.handoff().status(), VirtualAgentStatus::LiveAgentHandoff);
        assert_eq!(call.close_reason(), Some(CloseReason::Stop));
    }
}

#[test]
fn a_caller_who_interrupts_cuts_the_prompt_that_plays() {
    for edition in EDITIONS {
        let call = order(edition).play();
        let cut = call.turn(1).prompt().was_cut_at();
        assert!(cut.is_some_and(|ms| (1_500..2_400).contains(&ms)), "{edition:?}: {cut:?}");
        assert_eq!(call.turn(2).prompt_cut().map(|cut| cut.played_ms), cut, "{edition:?}");
        assert_eq!(call.turn(2).prompt().was_cut_at(), None, "{edition:?}");
    }
}

#[test]
fn the_caller_waits_from_his_last_voiced_frame_to_the_first_audio() {
    let call = order(Edition::Cx).play();
    // 700 ms of silence less the 20 ms that a frame brings at once, and 250 ms of thought.
    assert_eq!(call.turn(2).wait_ms(), Some(930));
    assert_eq!(call.turn(2).utterance_ended_by(), Some(EndFoundBy::Agent));
    // The keys end with a finish digit.
    assert!(call.turn(3).wait_ms().is_some_and(|ms| (380..=400).contains(&ms)), "{:?}", call.turn(3).wait_ms());
}

#[test]
fn an_utterance_that_we_end_sooner_is_answered_sooner() {
    let with = |end_of_utterance| {
        let mut config = Edition::Cx.config();
        config.end_of_utterance = end_of_utterance;
        let call = order(Edition::Cx).config(config).play();
        (call.turn(2).wait_ms().unwrap(), call.turn(2).utterance_ended_by().unwrap())
    };
    let (agent_ms, _) = with(EndOfUtterance::Agent);
    let (ours_ms, found_by) = with(EndOfUtterance::After(400));
    assert_eq!(found_by, EndFoundBy::Silence);
    assert!((250..=350).contains(&(agent_ms - ours_ms)), "{agent_ms} {ours_ms}");
}

#[test]
fn an_agent_that_is_not_greeted_listens_first() {
    for edition in EDITIONS {
        let call = Tape::build()
            .edition(edition)
            .caller_says(Recording::ms(900))
            .agent_hears("two loaves")
            .agent_answers("Two loaves.", Recording::ms(1_000))
            .ends_interaction()
            .play();
        assert_eq!(call.turn(1).transcript(), "two loaves", "{edition:?}");
        call.handoff().assert_status(VirtualAgentStatus::Completed);
    }
}

#[test]
fn an_agent_answers_silence() {
    for edition in EDITIONS {
        let call = Tape::build()
            .edition(edition)
            .agent_greets("What can I do for you?", Recording::ms(1_000))
            .caller_stays_silent_ms(8_000)
            .agent_answers("Are you still there?", Recording::ms(1_000))
            .caller_says(Recording::ms(500))
            .agent_hears("yes")
            .agent_answers("Good.", Recording::ms(400))
            .play();
        let silence = call.turn(2);
        assert_eq!(
            (silence.reply().as_str(), silence.transcript().as_str()),
            ("Are you still there?", ""),
            "{edition:?}"
        );
        assert_eq!(call.turn(3).reply(), "Good.", "{edition:?}");
    }
}

#[test]
fn an_agent_that_is_told_of_silence_answers_the_event() {
    for edition in EDITIONS {
        let mut config = edition.config();
        config.no_input = NoInput { event: Some("silence".to_owned()), after_ms: 3_000 };
        let call = Tape::build()
            .edition(edition)
            .config(config)
            .agent_greets("What can I do for you?", Recording::ms(1_000))
            .caller_stays_silent_ms(4_000)
            .agent_answers("Are you still there?", Recording::ms(1_000))
            .play();
        assert_eq!(call.turn(2).reply(), "Are you still there?", "{edition:?}");
    }
}

#[test]
fn a_short_silence_needs_no_answer() {
    let call = Tape::build()
        .agent_greets("What can I do for you?", Recording::ms(1_000))
        .caller_stays_silent_ms(2_000)
        .caller_sends_text("two loaves")
        .agent_answers("Two loaves.", Recording::ms(400))
        .play();
    assert!(!call.turn(2).is_answered());
    call.turn(3).assert_reply("Two loaves.").assert_transcript("two loaves");
}

#[test]
fn a_caller_who_hangs_up_is_not_handed_off() {
    let call = Tape::build()
        .agent_greets("We are open from seven to six.", Recording::ms(3_000))
        .caller_hangs_up()
        .barge_in_at_ms(800)
        .play();
    assert_eq!((call.status(), call.close_reason()), (None, Some(CloseReason::Stop)));
    assert!(call.ended().as_ms() < 2_000, "{}", call.ended());
}

#[test]
fn an_agent_may_have_nothing_to_say() {
    for edition in EDITIONS {
        let call = Tape::build()
            .edition(edition)
            .agent_greets("Yes?", Recording::ms(400))
            .caller_presses("1#")
            .agent_says_nothing()
            .caller_presses("2#")
            .agent_answers("Two.", Recording::ms(400))
            .play();
        assert_eq!((call.turn(2).is_answered(), call.turn(3).reply().as_str()), (false, "Two."), "{edition:?}");
    }
}

#[test]
fn a_text_without_audio_is_synthesised_and_a_recording_is_fetched() {
    let play = json!({ "dialbridge": { "play": "https://shop.test/hours.wav" } });
    let call = Tape::build()
        .recording_at("https://shop.test/hours.wav", Recording::ms(2_000))
        .agent_greets("Yes?", Recording::ms(0))
        .caller_presses("1#")
        .agent_answers("", Recording::ms(0))
        .with_payload(play)
        .play();
    let heard: Vec<u64> = call
        .reports()
        .filter_map(|(_, report)| if let Report::Played { played_ms, .. } = report { Some(*played_ms) } else { None })
        .collect();
    assert_eq!(heard, [240, 2_000]);
}

#[test]
fn an_answer_comes_in_parts() {
    for edition in EDITIONS {
        let call = Tape::build()
            .edition(edition)
            .caller_says(Recording::ms(600))
            .agent_answers("Let me look.", Recording::ms(500))
            .agent_answers("We are open.", Recording::ms(500))
            .after_ms(1_000)
            .play();
        assert_eq!(call.turn(1).reply(), "Let me look. We are open.", "{edition:?}");
    }
}

#[test]
fn settings_decide_what_a_call_does() {
    let mut config = Edition::Cx.config();
    config.barge_in.mode = BargeInMode::Off;
    let call = order(Edition::Cx).config(config).play();
    call.turn(1).prompt().assert_not_cut();
    let call = order(Edition::Cx).with_answer(|answer| answer.text.clear()).numbers("+15550123", "+15550124").play();
    let from = |report: &Report| matches!(report, Report::Started { from: Some(from), .. } if from == "+15550123");
    assert!(call.reports().any(|(at, report)| at.as_ms() == 0 && from(report)));
}

#[test]
fn a_protected_prompt_is_heard_to_its_end() {
    let call = Tape::build()
        .agent_greets("This call is recorded.", Recording::ms(3_000))
        .without_barge_in()
        .caller_presses("1#")
        .barge_in_at_ms(500)
        .agent_answers("One.", Recording::ms(400))
        .play();
    call.turn(1).prompt().assert_not_cut();
}

#[test]
fn what_a_caller_says_into_a_protected_prompt_is_not_heard() {
    for edition in EDITIONS {
        let greeted = || {
            let built = Tape::build().edition(edition);
            built.agent_greets("This call is recorded.", Recording::ms(3_000)).without_barge_in()
        };
        let call = greeted()
            .caller_says(Recording::ms(900))
            .barge_in_at_ms(500)
            .agent_answers("Never said.", Recording::ms(400))
            .caller_says(Recording::ms(900))
            .agent_hears("two loaves")
            .agent_answers("Two loaves.", Recording::ms(400))
            .play();
        call.turn(1).prompt().assert_not_cut();
        assert_eq!((call.turn(2).is_answered(), call.turn(3).reply().as_str()), (false, "Two loaves."), "{edition:?}");
    }
}

#[test]
fn an_agent_may_understand_nothing() {
    for edition in [Edition::Es, Edition::Cx] {
        let call = Tape::build()
            .edition(edition)
            .agent_greets("Yes?", Recording::ms(400))
            .caller_says(Recording::ms(900))
            .agent_hears("")
            .agent_answers("Pardon?", Recording::ms(400))
            .play();
        assert_eq!((call.turn(2).transcript().as_str(), call.turn(2).reply().as_str()), ("", "Pardon?"), "{edition:?}");
    }
}

/// A second of a tone of 1,000 Hz as a WAV, between two silences of half a second.
fn wav(encoding: Encoding, sample_rate: u32) -> Vec<u8> {
    let rate = sample_rate as usize;
    let level = |n: usize| {
        if !(rate / 2..3 * rate / 2).contains(&n) {
            0
        } else if (n * 2_000 / rate).is_multiple_of(2) {
            6_000
        } else {
            -6_000
        }
    };
    let samples = (0..2 * rate).map(level);
    let data: Vec<u8> = match encoding {
        Encoding::Linear16 => samples.flat_map(i16::to_le_bytes).collect(),
        Encoding::Mulaw | Encoding::Alaw => samples.map(linear_to_mulaw).collect(),
    };
    write_wav(1, AudioFormat { encoding, sample_rate }, &data)
}

#[test]
fn recordings_are_read_in_every_usual_form() {
    for (encoding, rate) in [
        (Encoding::Mulaw, 8_000),
        (Encoding::Linear16, 8_000),
        (Encoding::Linear16, 16_000),
        (Encoding::Linear16, 24_000),
        (Encoding::Linear16, 44_100),
    ] {
        let call = Tape::build()
            .caller_says(wav(encoding, rate))
            .agent_hears("two loaves")
            .agent_answers("Two loaves.", wav(encoding, rate))
            .play();
        // Half a second of silence in the agent's recording is no voice yet; half a second in the caller's is no
        // speech.
        let wait = call.turn(1).wait_ms();
        assert!(wait.is_some_and(|ms| (1_400..1_500).contains(&ms)), "{encoding:?} {rate}: {wait:?}");
        assert_eq!(call.turn(1).prompt().was_cut_at(), None);
    }
}

#[test]
fn the_tape_of_a_call_replays_as_it_was_played() {
    for edition in EDITIONS {
        let tape = Tape::parse(&order(edition).tape_text()).unwrap();
        assert_eq!(
            (tape.header.edition.as_str(), tape.header.conversation.unwrap().steps.len()),
            (edition.as_str(), 3)
        );
        let tape = Tape::parse(&order(edition).tape_text()).unwrap();
        assert_eq!(replay(&tape).trace(), order(edition).play().replayed.trace(), "{edition:?}");
    }
}

#[test]
fn the_settings_of_a_recorded_call_can_be_taken() {
    let recorded = Tape::parse(include_str!("../../../tests/frames/barge_in_during_long_prompt.jsonl")).unwrap();
    assert!(recorded.header.config.call_sid.is_some());
    order(Edition::Cx).config(recorded.header.config).play().handoff().assert_twiml("http://api.twilio.test/handoff?");
}

#[test]
fn a_recorded_call_has_the_same_reader() {
    let tapes = [
        include_str!("../../../tests/frames/barge_in_during_long_prompt.jsonl"),
        include_str!("../../../tests/frames/barge_in_during_long_prompt_es.jsonl"),
        include_str!("../../../tests/frames/barge_in_during_long_prompt_ces.jsonl"),
    ];
    for text in tapes {
        let call = PlayedCall::recorded(&Tape::parse(text).unwrap(), &[]);
        call.turn(1).assert_reply("a long prompt").prompt().assert_cut_at_ms(1_200..2_000);
        call.turn(2).assert_reply("yes, I am listening").assert_transcript("s of speech]").assert_wait_ms(100..1_500);
        let prompt = call.turn(1).prompt();
        assert_eq!(call.turn(2).prompt_cut().map(|cut| cut.at.ms_since(prompt.began())), prompt.was_cut_at());
    }
    let typed = include_str!("../../../tests/frames/digits_before_the_prompt.jsonl");
    let call = PlayedCall::recorded(&Tape::parse(typed).unwrap(), &[]);
    assert!(call.turn(2).is_answered(), "{}", call.replayed.trace());
}

#[test]
fn the_same_test_gives_the_same_call() {
    let trace = |call: PlayedCall| call.replayed.trace();
    for edition in EDITIONS {
        assert_eq!(trace(order(edition).play()), trace(order(edition).play()));
    }
}

#[test]
fn two_answers_that_follow_each_other_without_a_gap_are_two_prompts() {
    let mut config = Edition::Cx.config();
    config.barge_in.mode = BargeInMode::Off;
    let call = Tape::build()
        .config(config)
        .agent_greets("Good morning.", Recording::ms(1_000))
        .caller_says(Recording::ms(900))
        .agent_answers("Two loaves.", Recording::ms(6_000))
        .caller_says(Recording::ms(900))
        .barge_in_at_ms(1_000)
        .agent_answers("At nine.", Recording::ms(4_000))
        .ends_interaction()
        .play();
    let (second, third) = (call.turn(2).prompt(), call.turn(3).prompt());
    second.assert_not_cut();
    assert_eq!(third.began().ms_since(second.began()), 6_000, "it begins when the one before it is over");
    third.assert_not_cut();
}
