//! The agent's own words come back, and what a caller says meanwhile.

use dialbridge_core::agent::{Answer, AnswerPart, Prompt, Transcript};
use dialbridge_core::config::{BargeInMode, EndOfUtterance, StreamShape};
use dialbridge_core::report::GuardedFrom;
use dialbridge_core::{AgentCommand, AgentEvent, CallConfig, Report};

use crate::test_call::{TestCall, answer, answered, digits, interim, prompt, starting_text, with};

pub(crate) const HOURS: &str = "Our opening hours are Monday to Friday from nine to five.";

/// Echo that is softer than the prompt by 12 and by 20 dB.
const SOFT: [i16; 2] = [1_900, 770];

fn says(text: &str, ms: usize) -> AgentEvent {
    AgentEvent::Answer(Box::new(Answer { text: text.to_owned(), ..answer(ms) }))
}

pub(crate) fn last(text: &str) -> AgentEvent {
    AgentEvent::Transcript(Transcript { text: text.to_owned(), is_final: true, ..Transcript::default() })
}

/// A call in which the agent has just begun to say a text of that length.
pub(crate) fn saying(text: &str, ms: usize, change: impl FnOnce(&mut CallConfig)) -> TestCall {
    let mut test = TestCall::started(with(starting_text(), change));
    test.agent(1, says(text, ms));
    test
}

pub(crate) fn guarded(test: &TestCall) -> Vec<GuardedFrom> {
    let from = |report: &Report| match report {
        Report::PromptGuarded { from, .. } => Some(*from),
        _ => None,
    };
    test.reports().filter_map(from).collect()
}

/// The recogniser understands the words one after the other, at the pace at which the prompt says them.
fn come_back(test: &mut TestCall, stream: u32, text: &str, ms: u64, amplitude: i16) {
    let words: Vec<&str> = text.split_inclusive(' ').collect();
    for count in 1..=words.len() {
        test.echo(ms / words.len() as u64, amplitude);
        test.agent(stream, interim(words[..count].concat().trim()));
    }
}

#[test]
fn a_prompt_that_comes_back_whole_does_not_interrupt_itself_and_is_no_turn() {
    for amplitude in SOFT {
        let mut test = saying(HOURS, 5_000, |_| {});
        test.hush(200);
        come_back(&mut test, 2, HOURS, 4_900, amplitude);
        test.agent(2, last(HOURS));
        test.agent(2, AgentEvent::EndOfUtterance { end_ms: None });
        assert_eq!((test.clears(), test.commands(2).last()), (0, Some(&AgentCommand::Cancel)));
        assert_eq!((test.last_stream(), guarded(&test)), (3, vec![GuardedFrom::Echo]));
        test.hush(1_000);
        assert_eq!(test.heard(), [5_000]);
    }
}

#[test]
fn a_recogniser_that_is_ahead_of_the_prompt_or_repeats_it_is_told_by_the_rest() {
    // The voice detector does not hear the softest one.
    for amplitude in [1_900, 770, 100] {
        let mut test = saying(HOURS, 5_000, |_| {});
        test.hush(400);
        for stream in [2, 3, 4] {
            come_back(&mut test, stream, HOURS, 2_200, if stream < 4 { amplitude } else { 0 });
            test.agent(stream, last(HOURS));
            test.agent(stream, AgentEvent::EndOfUtterance { end_ms: None });
        }
        assert_eq!((test.clears(), test.last_stream()), (0, 5), "{amplitude}");
    }
}

#[test]
fn a_part_of_a_prompt_that_comes_back_is_echo_and_misheard_words_in_it_are_too() {
    let mut test = saying(HOURS, 5_000, |_| {});
    test.hush(1_200);
    come_back(&mut test, 2, "hours are monday to fry from nine", 2_900, 1_900);
    test.agent(2, AgentEvent::EndOfUtterance { end_ms: None });
    assert_eq!((test.clears(), test.commands(2).last()), (0, Some(&AgentCommand::Cancel)));
}

#[test]
fn languages_without_spaces_are_compared_by_characters() {
    for (language, text) in [
        ("ja-JP", "営業時間は月曜から金曜の九時から五時までです。"),
        ("zh-CN", "我们的营业时间是星期一到星期五，九点到五点。"),
        ("th-TH", "เวลาทำการของเราคือวันจันทร์ถึงวันศุกร์"),
    ] {
        let mut test = saying(text, 5_000, |config| config.words.language = language.to_owned());
        test.hush(200);
        let characters: Vec<char> = text.chars().collect();
        for count in (2..characters.len()).step_by(2) {
            test.echo(400, 1_900);
            test.agent(2, interim(&characters[..count].iter().collect::<String>()));
        }
        test.agent(2, AgentEvent::EndOfUtterance { end_ms: None });
        assert_eq!((test.clears(), test.commands(2).last()), (0, Some(&AgentCommand::Cancel)), "{language}");
    }
}

#[test]
fn other_words_interrupt_at_once_however_soft_they_are() {
    for amplitude in SOFT {
        let mut test = saying(HOURS, 5_000, |_| {});
        test.hush(200);
        test.echo(400, amplitude);
        test.agent(2, interim("no wait"));
        assert_eq!((test.clears(), guarded(&test)), (1, vec![]));
    }
}

#[test]
fn an_utterance_that_begins_as_echo_interrupts_when_other_words_come() {
    let mut test = saying(HOURS, 5_000, |_| {});
    test.hush(200);
    come_back(&mut test, 2, "our opening hours are", 1_600, 1_900);
    assert_eq!(test.clears(), 0);
    test.speak(400);
    test.agent(2, interim("our opening hours are stop"));
    assert_eq!(test.clears(), 1);
    test.agent(2, last("our opening hours are stop it"));
    test.agent(2, AgentEvent::EndOfUtterance { end_ms: None });
    assert_eq!(test.commands(2).last(), Some(&AgentCommand::HalfClose), "it is the next turn");
}

#[test]
fn only_words_that_are_not_echo_count_towards_the_minimum() {
    let mut test = saying(HOURS, 5_000, |config| config.barge_in.min_words = 2);
    test.hush(200);
    come_back(&mut test, 2, "our opening hours are", 1_600, 1_900);
    test.echo(400, 1_900);
    test.agent(2, interim("our opening hours are cancel"));
    assert_eq!(test.clears(), 0);
    test.agent(2, interim("our opening hours are cancel it"));
    assert_eq!(test.clears(), 1);
}

#[test]
fn a_caller_who_quotes_the_prompt_as_loud_as_he_speaks_interrupts() {
    let mut test = TestCall::started(CallConfig::default());
    test.utter(1, 800);
    test.agent(1, last("when are you open"));
    test.agent(1, says(HOURS, 5_000));
    test.hush(600);
    test.speak(1_200);
    test.agent(2, interim("our opening hours are"));
    assert_eq!(test.clears(), 1);
}

#[test]
fn a_telephone_that_lets_some_echo_through_now_and_then_interrupts_nothing() {
    let mut test = saying(HOURS, 5_000, |_| {});
    test.hush(1_800);
    test.echo(1_200, 1_900);
    test.agent(2, interim("are monday to friday from"));
    assert_eq!(test.clears(), 0);
}

#[test]
fn a_recording_that_never_comes_back_leaves_even_a_soft_caller_his_words() {
    let mut test = saying("", 5_000, |_| {});
    test.hush(1_800);
    test.echo(600, 1_900);
    test.agent(2, interim("a person please"));
    assert_eq!(test.clears(), 1, "we have heard for 1,800 ms that nothing comes back");
}

#[test]
fn words_of_another_place_in_the_prompt_are_the_callers() {
    let text = "Thank you for calling. You can ask for many things, for instance: please tell me the price.";
    let mut test = saying(text, 12_000, |_| {});
    test.hush(100);
    test.echo(1_200, 1_900);
    test.agent(2, interim("please tell me the price"));
    assert_eq!(test.clears(), 1, "the prompt says it some seconds later");
}

#[test]
fn what_the_prompt_offers_is_answered() {
    let text = "Would you like rye or wheat? You can have both of them too.";
    let mut test = saying(text, 4_000, |_| {});
    test.hush(1_600);
    test.speak(400);
    test.agent(2, interim("rye"));
    assert_eq!(test.clears(), 1, "as loud as a caller is");

    let mut test = saying(text, 4_000, |_| {});
    test.hush(300);
    test.echo(900, 1_900);
    test.agent(2, last("rye"));
    test.agent(2, AgentEvent::EndOfUtterance { end_ms: None });
    assert_eq!((test.clears(), guarded(&test)), (0, vec![GuardedFrom::Doubt]));
    assert_eq!(
        test.commands(2).last(),
        Some(&AgentCommand::HalfClose),
        "soft words are in doubt: they are the next turn"
    );
}

#[test]
fn a_long_choice_is_no_echo_either() {
    for (language, text, choice) in [
        (
            "en-US",
            "Do you pay, by credit card right now, or by bank transfer within a month?",
            "by credit card right now",
        ),
        ("de-DE", "Zahlen Sie, jetzt gleich mit der Karte, oder später?", "jetzt gleich mit der Karte"),
        ("zh-CN", "您想用信用卡支付还是用银行转账？", "用银行转账"),
        ("en-US", "Please say “I want to pay” after the tone.", "I want to pay"),
    ] {
        let mut test = saying(text, 4_000, |config| config.words.language = language.to_owned());
        test.hush(300);
        test.echo(3_000, 1_900);
        test.agent(2, last(choice));
        test.agent(2, AgentEvent::EndOfUtterance { end_ms: None });
        assert_eq!((test.clears(), guarded(&test)), (0, vec![GuardedFrom::Doubt]), "{text}");
        assert_eq!(test.commands(2).last(), Some(&AgentCommand::HalfClose), "{text}");
    }
}

#[test]
fn a_prompt_without_text_is_guarded_by_level_alone() {
    let untold = |ms| AgentEvent::Answer(Box::new(Answer { text: String::new(), ..answer(ms) }));
    for (amplitude, clears, from) in [(1_900, 0, vec![GuardedFrom::Doubt]), (6_000, 1, vec![])] {
        let mut test = TestCall::started(starting_text());
        test.agent(1, untold(5_000));
        test.hush(200);
        test.echo(900, amplitude);
        test.agent(2, last("all our lines are busy"));
        test.agent(2, AgentEvent::EndOfUtterance { end_ms: None });
        assert_eq!((test.clears(), guarded(&test)), (clears, from), "{amplitude}");
        assert_eq!(test.commands(2).last(), Some(&AgentCommand::HalfClose), "words in doubt are the next turn");
    }
}

#[test]
fn a_text_beside_a_recording_may_be_anywhere_in_it() {
    let mut test = TestCall::started(starting_text());
    let recording =
        Prompt { audio: [].as_slice().into(), uri: Some("https://example.com/a.wav".to_owned()), ..prompt(0) };
    let both = Answer { text: HOURS.to_owned(), prompts: vec![recording, prompt(2_000)], ..answer(0) };
    test.agent(1, AgentEvent::Answer(Box::new(both)));
    test.fetched(1, Ok(&[0x21; 6_000 * 8]));
    test.hush(200);
    test.echo(5_800, 1_900);
    test.agent(2, interim("welcome to our shop"));
    assert_eq!(test.clears(), 0, "the recording may say so");
    test.echo(2_000, 1_900);
    test.agent(2, interim("our opening hours are monday"));
    test.agent(2, AgentEvent::EndOfUtterance { end_ms: None });
    assert_eq!((test.clears(), test.commands(2).last()), (0, Some(&AgentCommand::Cancel)));
}

/// The agent has played a recording of three seconds, whose text it told. The caller speaks that long after it, and
/// then repeats the recording's words into the next prompt.
fn repeats_a_recording(speaks_after_ms: u64, repeats_after_ms: u64) -> TestCall {
    let mut test = TestCall::started(starting_text());
    let recording =
        Prompt { audio: [].as_slice().into(), uri: Some("https://example.com/a.wav".to_owned()), ..prompt(0) };
    let told = Answer { text: HOURS.to_owned(), prompts: vec![recording], ..answer(0) };
    test.agent(1, AgentEvent::Answer(Box::new(told)));
    test.fetched(1, Ok(&[0x21; 3_000 * 8]));
    test.hush(3_000 + speaks_after_ms);
    test.utter(2, 400);
    test.agent(2, says("One moment please while I look that up for you.", 9_000));
    test.hush(repeats_after_ms);
    test.echo(1_200, 1_900);
    test.agent(3, last("our opening hours are monday"));
    test
}

#[test]
fn what_an_old_recording_said_is_the_callers_and_what_one_said_just_now_is_in_doubt() {
    let test = repeats_a_recording(2_000, 4_000);
    assert_eq!((test.clears(), guarded(&test)), (1, vec![]));
    let mut test = repeats_a_recording(200, 2_000);
    assert_eq!((test.clears(), guarded(&test)), (0, vec![]));
    test.agent(3, AgentEvent::EndOfUtterance { end_ms: None });
    assert_eq!((test.commands(3).last(), guarded(&test)), (Some(&AgentCommand::HalfClose), vec![GuardedFrom::Doubt]));
}

#[test]
fn what_a_caller_repeats_after_the_prompt_is_his() {
    let mut test = saying(HOURS, 3_000, |_| {});
    test.hush(3_800);
    test.echo(1_200, 1_900);
    test.agent(2, last("friday from nine to five"));
    test.agent(2, AgentEvent::EndOfUtterance { end_ms: None });
    assert_eq!((test.commands(2).last(), guarded(&test)), (Some(&AgentCommand::HalfClose), vec![]));
}

#[test]
fn echo_whose_end_is_found_after_the_prompt_is_no_turn() {
    let mut test = saying(HOURS, 3_000, |_| {});
    test.hush(400);
    come_back(&mut test, 2, HOURS, 3_000, 1_900);
    test.hush(600);
    test.agent(2, last(HOURS));
    test.agent(2, AgentEvent::EndOfUtterance { end_ms: None });
    assert_eq!((test.heard(), test.commands(2).last()), (vec![3_000], Some(&AgentCommand::Cancel)));
}

#[test]
fn an_echo_that_the_recogniser_does_not_understand_is_no_turn() {
    let mut test = saying(HOURS, 9_000, |_| {});
    test.hush(200);
    test.echo(5_000, 770);
    test.agent(2, AgentEvent::EndOfUtterance { end_ms: None });
    assert_eq!(test.commands(2).last(), Some(&AgentCommand::Cancel));
}

#[test]
fn a_digit_into_a_prompt_that_comes_back_is_the_only_input() {
    let mut test = saying(HOURS, 9_000, |_| {});
    test.hush(200);
    test.echo(2_000, 1_900);
    test.press("1#");
    assert_eq!((test.clears(), test.commands(2).last()), (1, Some(&AgentCommand::Cancel)));
    assert_eq!(test.opened_with(3), digits("1", Some('#')));
}

#[test]
fn echo_is_no_input_of_the_callers() {
    let mut config = starting_text();
    config.no_input.event = Some("QUIET".to_owned());
    config.no_input.after_ms = 3_000;
    config.limits.no_input_turns = 2;
    let mut test = TestCall::started(config);
    test.agent(1, says(HOURS, 3_000));
    for round in 1_u32..=3 {
        let (listening, event) = (3 * round - 1, 3 * round + 1);
        test.hush(200);
        come_back(&mut test, listening, HOURS, 2_750, 1_900);
        test.agent(listening, AgentEvent::EndOfUtterance { end_ms: None });
        test.hush(5_000);
        if round < 3 {
            test.agent(event, says(HOURS, 3_000));
        }
    }
    let counted: Vec<u32> = test
        .reports()
        .filter_map(|report| if let Report::NoInput { in_a_row, .. } = report { Some(*in_a_row) } else { None })
        .collect();
    assert_eq!(counted, [1, 2, 3], "echo does not begin the count anew");
}

#[test]
fn a_protected_prompt_is_never_cut() {
    let mut test = TestCall::started(starting_text());
    let fixed = Prompt { interruptible: false, ..prompt(4_000) };
    let told = Answer { prompts: vec![fixed], text: HOURS.to_owned(), ..answer(0) };
    test.agent(1, AgentEvent::Answer(Box::new(told)));
    test.hush(200);
    come_back(&mut test, 2, "our opening hours are stop it now", 2_100, 1_900);
    test.speak(800);
    test.agent(2, interim("our opening hours are stop it now at once"));
    assert_eq!(test.clears(), 0);
}

#[test]
fn without_the_guard_echo_is_what_it_was() {
    let mut test = saying(HOURS, 5_000, |config| config.barge_in.echo_guard = false);
    test.hush(200);
    come_back(&mut test, 2, "our opening hours are", 1_600, 1_900);
    assert_eq!((test.clears(), guarded(&test)), (1, vec![]));
}

#[test]
fn echo_that_nobody_interrupts_is_no_turn_with_barge_in_off_either() {
    let mut test = saying(HOURS, 5_000, |config| config.barge_in.mode = BargeInMode::Off);
    test.hush(200);
    come_back(&mut test, 2, "our opening hours are monday", 2_000, 1_900);
    test.agent(2, AgentEvent::EndOfUtterance { end_ms: None });
    assert_eq!(test.commands(2).last(), Some(&AgentCommand::Cancel));
}

fn by_voice(config: &mut CallConfig) {
    config.barge_in.mode = BargeInMode::Voice;
}

#[test]
fn by_voice_echo_does_not_interrupt_and_a_voice_above_it_does() {
    for amplitude in SOFT {
        let mut test = saying(HOURS, 9_000, by_voice);
        test.hush(300);
        test.echo(4_000, amplitude);
        assert_eq!(test.clears(), 0, "{amplitude}");
        test.speak(60);
        assert_eq!(test.clears(), 0, "{amplitude}: shorter than a word");
        test.speak(160);
        assert_eq!(test.clears(), 1, "{amplitude}");
    }
}

#[test]
fn by_voice_a_soft_caller_is_heard_once_we_know_that_nothing_comes_back() {
    let mut test = saying(HOURS, 9_000, by_voice);
    test.hush(1_400);
    test.echo(300, 770);
    assert_eq!(test.clears(), 1);
}

fn session() -> CallConfig {
    CallConfig { shape: StreamShape::PerSession, knows_prompts: false, ..starting_text() }
}

fn part(text: &str, ms: usize) -> AgentEvent {
    let prompts = if ms > 0 { vec![prompt(ms)] } else { Vec::new() };
    AgentEvent::Answer(Box::new(Answer { text: text.to_owned(), prompts, ..Answer::default() }))
}

/// An agent with one stream for the whole call says a text. Its parts come one by one.
pub(crate) fn session_saying(text: &str) -> TestCall {
    let mut test = TestCall::started(session());
    test.agent(1, part("", 1_000));
    for piece in text.split_inclusive(' ') {
        test.agent(1, part(piece, 0));
    }
    test.agent(1, part("", 4_000));
    test.agent(1, AgentEvent::Answer(Box::new(Answer { part: AnswerPart::Final, ..Answer::default() })));
    test
}

#[test]
fn an_agent_that_hears_itself_does_not_stop_its_prompt() {
    for amplitude in SOFT {
        let mut test = session_saying(HOURS);
        test.hush(200);
        test.echo(200, amplitude);
        test.agent(1, AgentEvent::Interrupted { barge_in: true });
        come_back(&mut test, 1, HOURS, 4_000, amplitude);
        test.hush(2_000);
        assert_eq!((test.clears(), test.heard()), (0, vec![5_000]), "{amplitude}");
    }
}

#[test]
fn an_agent_that_hears_the_caller_stops_its_prompt_at_once_or_when_we_know_that_it_is_he() {
    let mut test = session_saying(HOURS);
    test.hush(800);
    test.speak(200);
    test.agent(1, AgentEvent::Interrupted { barge_in: true });
    assert_eq!(test.clears(), 1);

    let mut test = session_saying(HOURS);
    test.hush(200);
    test.echo(200, 1_900);
    test.agent(1, AgentEvent::Interrupted { barge_in: true });
    test.echo(600, 1_900);
    test.agent(1, interim("our opening"));
    assert_eq!(test.clears(), 0);
    test.echo(400, 1_900);
    test.agent(1, interim("our opening wait please I want"));
    assert_eq!(test.clears(), 1);
}

#[test]
fn an_agent_that_ignores_its_own_words_has_not_failed() {
    let mut test = session_saying(HOURS);
    test.hush(200);
    come_back(&mut test, 1, HOURS, 4_400, 1_900);
    test.hush(40_000);
    assert!(!test.reports().any(|report| matches!(report, Report::TurnFailed { .. })), "no answer is due");
    assert_eq!(test.last_stream(), 1);
}

#[test]
fn where_we_end_utterances_ourselves_echo_and_a_listeners_word_are_no_turn_either() {
    for rule in [EndOfUtterance::Quick, EndOfUtterance::After(800)] {
        let mut test = saying(HOURS, 9_000, |config| config.end_of_utterance = rule);
        test.hush(200);
        come_back(&mut test, 2, "our opening hours are monday to friday", 5_300, 1_900);
        test.hush(1_500);
        assert_eq!((test.clears(), test.commands(2).len()), (0, 1), "{rule:?}: it listens on");

        let mut test = saying(HOURS, 9_000, |config| config.end_of_utterance = rule);
        test.hush(2_000);
        test.speak(400);
        test.agent(2, last("okay"));
        test.hush(1_500);
        assert_eq!((test.clears(), test.commands(2).last()), (0, Some(&AgentCommand::Cancel)), "{rule:?}");
    }
}

#[test]
fn no_prompt_of_two_hundred_is_cut_by_its_echo_and_every_caller_cuts_his() {
    let texts = [
        HOURS,
        "Thank you for calling the bakery. Please say what you would like to order today.",
        "Your order of three loaves will be ready on Thursday the 14th at 9:30 in the morning.",
        "Press 1 for sales, press 2 for support, or stay on the line.",
        "I am sorry, I did not get that. Could you please say it again?",
    ];
    for number in 0_u64..200 {
        let text = texts[(number % 5) as usize];
        let (amplitude, late_ms) = (SOFT[(number % 2) as usize], 100 + 20 * (number % 20));
        let length = text.len() as u64 * (60 + number % 13);
        let interrupts = number % 4 == 3;
        let mut test = saying(text, length as usize, |config| {
            if number % 3 == 0 {
                by_voice(config);
            }
        });
        test.hush(late_ms);
        let words: Vec<&str> = text.split(' ').collect();
        let said = if interrupts { words.len() / 2 } else { words.len() };
        come_back(&mut test, 2, &words[..said].join(" "), length * said as u64 / words.len() as u64, amplitude);
        assert_eq!(test.clears(), 0, "{number}: {text}");
        if interrupts {
            test.speak(300);
            test.agent(2, interim(&format!("{} no thanks", words[..said].join(" "))));
            assert_eq!(test.clears(), 1, "{number}: {text}");
        } else {
            test.agent(2, AgentEvent::EndOfUtterance { end_ms: None });
            assert_eq!(test.commands(2).last(), Some(&AgentCommand::Cancel), "{number}: {text}");
        }
    }
}

#[test]
fn the_callers_words_come_through_while_answers_go_on() {
    let mut test = TestCall::started(starting_text());
    test.agent(1, answered(1_000));
    test.hush(1_500);
    test.utter(2, 600);
    test.agent(2, says(HOURS, 3_000));
    test.hush(300);
    come_back(&mut test, 3, HOURS, 3_000, 1_900);
    test.agent(3, AgentEvent::EndOfUtterance { end_ms: None });
    test.hush(200);
    test.utter(4, 800);
    assert_eq!(test.commands(4).last(), Some(&AgentCommand::HalfClose));
}
