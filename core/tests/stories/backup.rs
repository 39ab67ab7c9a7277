//! The agent cannot be had: its backup goes on with the call in the same media stream.

use dialbridge_core::agent::{Answer, PastTurn, TurnInput};
use dialbridge_core::carried::StandIn;
use dialbridge_core::config::{Clip, StartingInput};
use dialbridge_core::edition::Edition;
use dialbridge_core::{AgentCommand, AgentEvent, CallConfig, Output, Report, UpdateResult};
use serde_json::json;

use crate::failures::fault;
use crate::fillers::fetches;
use crate::test_call::{TestCall, answer, answered, digits, empty, goodbye, interim, numbers, with};

const EDITIONS: [Edition; 3] = [Edition::Es, Edition::Cx, Edition::Ces];

/// A call to an agent of one edition, with a backup of another one.
fn backed(first: Edition, second: Edition) -> CallConfig {
    with(first.config(), |config| {
        config.session = "sessions/first".to_owned();
        config.handoff.end_of_interaction_url = Some("https://example.com/next".to_owned());
        config.backup = Some(Box::new(with(second.config(), |config| {
            config.session = "sessions/backup".to_owned();
            config.handoff.end_of_interaction_url = Some("https://example.com/next".to_owned());
            let (agent, backup_of) = ("old".to_owned(), "new".to_owned());
            config.stands_in = Some(StandIn { agent, backup_of });
        })));
    })
}

fn pairs() -> impl Iterator<Item = (Edition, Edition)> {
    EDITIONS.into_iter().flat_map(|first| EDITIONS.map(|second| (first, second)))
}

/// The agent refuses us, which no retry can change.
fn refuse(test: &mut TestCall) {
    let stream = test.last_stream();
    test.agent(stream, fault("PERMISSION_DENIED", false));
}

/// How often a backup has taken over.
fn take_overs(test: &TestCall) -> usize {
    test.count(|output| matches!(output, Output::UseBackup))
}

/// The agent has greeted the caller, and he begins to speak.
fn greeted(config: CallConfig) -> TestCall {
    let mut test = TestCall::started(config);
    let set = json!({ "loaves": 2, "shop": "south" }).as_object().cloned().unwrap();
    test.agent(1, AgentEvent::Answer(Box::new(Answer { parameters: set, ..answer(200) })));
    test.agent(1, AgentEvent::Ended);
    test.hush(500);
    test
}

#[test]
fn a_backup_of_any_edition_greets_a_caller_whom_nobody_has_greeted() {
    for (first, second) in pairs() {
        let mut test = TestCall::started(backed(first, second));
        refuse(&mut test);
        let what = format!("{first:?} {second:?}");
        assert_eq!((take_overs(&test), test.last_stream()), (1, 2), "{what}");
        let StartingInput { event, text } = second.config().starting_input;
        assert_eq!(Some(test.opened_with(2)), event.map(TurnInput::Event).or(text.map(TurnInput::Text)), "{what}");
        assert_eq!(test.start_of(2).parameters["shop"], "north", "{what}");
        let took = |report: &Report| matches!(report, Report::BackupTookOver { backup, backup_of } if backup == "old" && backup_of == "new");
        assert_eq!(test.reports().filter(|report| took(report)).count(), 1, "{what}");
    }
}

#[test]
fn a_backup_of_any_edition_hears_what_was_not_answered_and_greets_nobody_twice() {
    for (first, second) in pairs() {
        let mut test = greeted(backed(first, second));
        let stream = test.last_stream();
        let before = test.written(stream).len();
        test.speak(400);
        test.agent(stream, interim("two loaves"));
        test.agent(stream, fault("PERMISSION_DENIED", false));
        test.speak(100);
        let (what, next) = (format!("{first:?} {second:?}"), test.last_stream());
        assert_eq!(test.opened_with(next), TurnInput::Audio, "{what}");
        let unanswered = numbers(&test.written(stream))[before / 160..].to_vec();
        let heard = numbers(&test.written(next));
        assert!(unanswered.iter().all(|frame| heard.contains(frame)), "{what}: {unanswered:?} {heard:?}");
        let start = test.start_of(next);
        assert_eq!((&start.parameters["loaves"], &start.parameters["shop"]), (&json!(2), &json!("south")), "{what}");
    }
}

#[test]
fn a_backup_that_keeps_the_conversation_itself_is_told_of_it() {
    let mut test = greeted(backed(Edition::Cx, Edition::Ces));
    refuse(&mut test);
    let start = test.start_of(test.last_stream());
    assert_eq!(start.past_turns, [PastTurn { caller: String::new(), agent: "an answer".to_owned() }]);

    let mut test = greeted(backed(Edition::Ces, Edition::Cx));
    refuse(&mut test);
    assert!(test.start_of(test.last_stream()).past_turns.is_empty(), "CX takes none");
}

#[test]
fn keys_that_wait_go_to_the_backup_in_the_form_that_it_takes() {
    let mut test = greeted(backed(Edition::Es, Edition::Cx));
    test.press("12#");
    refuse(&mut test);
    assert_eq!(test.opened_with(test.last_stream()), digits("12", Some('#')));
}

#[test]
fn keys_that_the_agent_takes_one_by_one_are_collected_by_the_backups_rules() {
    let mut test = greeted(backed(Edition::Ces, Edition::Cx));
    let stream = test.last_stream();
    test.agent(stream, fault("UNAVAILABLE", true));
    test.press("12");
    test.wait(200);
    test.press("3#");
    refuse(&mut test);
    test.wait(100);
    assert_eq!(test.opened_with(test.last_stream()), digits("123", Some('#')));

    let mut test = greeted(backed(Edition::Cx, Edition::Ces));
    test.press("12#");
    refuse(&mut test);
    let stream = test.last_stream();
    let sent: Vec<AgentCommand> =
        test.commands(stream).into_iter().filter(|it| matches!(it, AgentCommand::Send(_))).collect();
    assert_eq!(sent, [AgentCommand::Send(digits("12", Some('#')))], "CES takes them as they are");
}

#[test]
fn the_limit_of_a_call_is_the_backups_and_counts_from_the_calls_beginning() {
    for (first, backup) in [(0, 20_000), (60_000, 20_000), (5_000, 20_000)] {
        let mut config = backed(Edition::Es, Edition::Cx);
        config.limits.call_ms = first;
        config.backup.as_mut().unwrap().limits.call_ms = backup;
        let mut test = greeted(config);
        refuse(&mut test);
        test.hush(19_000);
        assert!(test.update().is_none(), "{first}");
        test.hush(1_000);
        assert!(test.reports().any(|report| matches!(report, Report::LimitReached(_))), "{first}");
    }
}

#[test]
fn a_backup_that_listens_first_is_waited_for_with_no_filler() {
    let mut test = TestCall::started(with(backed(Edition::Cx, Edition::Cx), |config| {
        config.fillers.greeting_after_ms = 3_000;
        let backup = config.backup.as_mut().unwrap();
        backup.starting_input = StartingInput::default();
        backup.fillers.greeting_after_ms = 0;
    }));
    refuse(&mut test);
    test.hush(10_000);
    assert_eq!(test.reports().filter(|report| matches!(report, Report::Filler { .. })).count(), 0);
}

#[test]
fn a_caller_who_waits_for_the_backup_hears_its_sentence_and_not_the_first_agents() {
    let mut test = TestCall::started(with(backed(Edition::Cx, Edition::Es), |config| {
        let backup = config.backup.as_mut().unwrap();
        (config.fillers.greeting_after_ms, backup.fillers.greeting_after_ms) = (3_000, 3_000);
        (config.words.language, backup.words.language) = ("de-DE".to_owned(), "fr-FR".to_owned());
    }));
    test.hush(2_000);
    refuse(&mut test);
    test.hush(2_000);
    let [(first, german), (second, french)] = fetches(&test)[..] else { panic!("{:?}", fetches(&test)) };
    assert_eq!([german, french], ["text:Einen Moment, bitte.", "text:Un instant, s'il vous plaît."]);
    test.fetched(second, Ok(&[0x20; 800]));
    test.fetched(first, Ok(&[0x30; 8_000]));
    test.hush(1_500);
    assert_eq!(test.played_ms(), 100, "the second sentence");
}

#[test]
fn a_backup_takes_over_when_the_budget_is_spent_and_not_before() {
    let clip = Clip(vec![0x30; 4_000].into());
    let mut test = TestCall::started(with(backed(Edition::Cx, Edition::Es), |config| {
        config.backup.as_mut().unwrap().fillers.retrying = Some(clip);
    }));
    let mut tries = 0;
    while take_overs(&test) == 0 {
        assert!(test.now.as_ms() < 60_000);
        let stream = test.last_stream();
        test.agent(stream, fault("UNAVAILABLE", true));
        tries += 1;
        test.wait(2_100);
    }
    assert!(tries > 5 && test.now.as_ms() > 10_000, "{tries} tries in {}", test.now);
    assert_eq!(test.opened_with(test.last_stream()), TurnInput::Event("WELCOME".to_owned()));
    assert_eq!(test.played_ms(), 500, "the backup's filler is heard after those of the first agent");
}

#[test]
fn too_many_failed_turns_end_the_first_agents_part_and_count_anew_for_the_backup() {
    let mut test = TestCall::started(with(backed(Edition::Cx, Edition::Cx), |config| {
        config.limits.failed_turns = 2;
        if let Some(backup) = &mut config.backup {
            backup.limits.failed_turns = 2;
        }
    }));
    let fail = |test: &mut TestCall| {
        let stream = test.last_stream();
        test.agent(stream, fault("UNAVAILABLE", true));
        test.wait(2_100);
    };
    (0..3).for_each(|_| fail(&mut test));
    assert_eq!((take_overs(&test), test.call.progress().failed_turns), (1, 0));
    (0..2).for_each(|_| fail(&mut test));
    assert!(test.update().is_none());
    fail(&mut test);
    assert!(test.update().is_some(), "the backup has failed three times too");
}

#[test]
fn a_call_has_one_backup_and_then_its_fallback() {
    let mut test = TestCall::started(with(backed(Edition::Cx, Edition::Es), |config| {
        let third = backed(Edition::Ces, Edition::Cx);
        config.backup.as_mut().unwrap().backup = Some(Box::new(third));
    }));
    refuse(&mut test);
    assert!(test.call.progress().on_backup && test.update().is_none());
    refuse(&mut test);
    assert_eq!(take_overs(&test), 1);
    let (_, twiml) = test.update().unwrap();
    assert!(twiml.contains("VirtualAgentStatus=failed"), "{twiml}");
}

#[test]
fn the_hand_off_tells_which_agent_had_the_call_and_in_place_of_which() {
    let mut test = greeted(with(backed(Edition::Es, Edition::Cx), |config| {
        config.backup.as_mut().unwrap().handoff.fields = vec![dialbridge_core::handoff::HandoffField::Session];
    }));
    refuse(&mut test);
    let stream = test.last_stream();
    test.utter(stream, 400);
    test.agent(stream, goodbye(0));
    test.hush(100);
    let (_, twiml) = test.update().unwrap();
    let told = "%7B%22session%22%3A%22sessions%2Fbackup%22%2C%22agent%22%3A%22old%22%2C%22backupOf%22%3A%22new%22%7D";
    assert!(twiml.contains(told), "{twiml}");
    test.updated(UpdateResult::Accepted);

    let mut test = greeted(backed(Edition::Es, Edition::Cx));
    let stream = test.last_stream();
    test.utter(stream, 400);
    test.agent(stream, goodbye(0));
    test.hush(100);
    assert!(!test.update().unwrap().1.contains("backupOf"), "the agent had the call itself");
}

#[test]
fn what_an_agent_sends_after_its_backup_has_taken_over_is_ignored() {
    let mut test = greeted(backed(Edition::Cx, Edition::Ces));
    let stream = test.last_stream();
    refuse(&mut test);
    let before = test.outputs.len();
    test.agent(stream, answered(300));
    assert_eq!(test.outputs.len(), before);
}

#[test]
fn a_retry_filler_covers_the_change_of_agents() {
    let clip = Clip(vec![0x30; 4_000].into());
    let mut test = TestCall::started(with(backed(Edition::Cx, Edition::Es), |config| {
        config.backup.as_mut().unwrap().fillers.retrying = Some(clip);
    }));
    refuse(&mut test);
    assert_eq!(test.played_ms(), 500);
    let stream = test.last_stream();
    test.agent(stream, answered(300));
    assert_eq!(test.clears(), 1, "the backup's answer cuts it");
}

#[test]
fn a_stream_to_the_backup_is_opened_after_the_driver_was_told() {
    let mut test = greeted(backed(Edition::Cx, Edition::Es));
    refuse(&mut test);
    let at = |wanted: &dyn Fn(&Output) -> bool| test.outputs.iter().rposition(|(_, output)| wanted(output)).unwrap();
    let told = at(&|output| matches!(output, Output::UseBackup));
    assert!(told < at(&|output| matches!(output, Output::Agent(_, AgentCommand::Open(_)))));
}

#[test]
fn parameters_of_the_settings_are_each_agents_own() {
    let mut config = backed(Edition::Cx, Edition::Cx);
    config.parameters.insert("persona".to_owned(), "baker".into());
    config.backup.as_mut().unwrap().parameters.insert("persona".to_owned(), "clerk".into());
    let mut test = TestCall::started(config);
    // CX repeats all parameters of the session.
    let all = json!({ "persona": "baker", "shop": "north", "loaves": 2 }).as_object().cloned().unwrap();
    test.agent(1, AgentEvent::Answer(Box::new(Answer { parameters: all, ..answer(200) })));
    test.hush(500);
    refuse(&mut test);
    let start = test.start_of(test.last_stream());
    assert_eq!((&start.parameters["persona"], &start.parameters["loaves"]), (&json!("clerk"), &json!(2)));
}

#[test]
fn a_later_stream_of_the_backup_gets_nothing_that_was_the_first_agents_own() {
    let mut config = backed(Edition::Cx, Edition::Ces);
    config.parameters.insert("persona".to_owned(), "baker".into());
    config.parameters.insert("oven".to_owned(), "hot".into());
    config.backup.as_mut().unwrap().parameters.insert("persona".to_owned(), "clerk".into());
    let mut test = TestCall::started(config);
    let all = json!({ "persona": "baker", "oven": "hot", "loaves": 2 }).as_object().cloned().unwrap();
    test.agent(1, AgentEvent::Answer(Box::new(Answer { parameters: all, ..answer(200) })));
    test.hush(500);
    refuse(&mut test);
    for _ in 0..2 {
        let stream = test.last_stream();
        let parameters = test.start_of(stream).parameters;
        assert_eq!((&parameters["persona"], &parameters["loaves"]), (&json!("clerk"), &json!(2)));
        assert!(!parameters.contains_key("oven"));
        test.agent(stream, interim("hello"));
        test.agent(stream, fault("UNAVAILABLE", true));
        test.wait(2_000);
    }
}

#[test]
fn a_backup_greets_the_caller_before_it_hears_what_he_said_before_a_key() {
    let mut test = TestCall::started(backed(Edition::Ces, Edition::Cx));
    test.speak(400);
    test.hush(400);
    test.press("1");
    refuse(&mut test);
    let StartingInput { event, text } = Edition::Cx.config().starting_input;
    assert_eq!(Some(test.opened_with(2)), event.map(TurnInput::Event).or(text.map(TurnInput::Text)));
    test.agent(2, answered(200));
    test.hush(20);
    assert_eq!(test.opened_with(3), TurnInput::Audio);
}

#[test]
fn a_backup_gets_words_that_wait_to_be_asked_again() {
    let mut test = greeted(backed(Edition::Ces, Edition::Cx));
    let stream = test.last_stream();
    test.speak(400);
    test.agent(stream, interim("two loaves"));
    test.speak(100);
    test.agent(stream, empty());
    refuse(&mut test);
    assert_eq!(test.opened_with(test.last_stream()), TurnInput::Text("two loaves".to_owned()));
}
