//! Interruptions, and other cases in which both sides speak at once.

use dialbridge_lab::agent::Gap;

use super::client::{BOTH, Say, Transport, World, pause};
use super::got::Got;

const BEHAVIOUR: &str = "end_of_utterance_ms = 500\ninterim = false\n";

const ANSWERS: &str = r#"
    [start]
    say = "a long greeting"
    tone = { hz = 400, ms = 4000 }
    [[utterance]]
    say = "yes"
    tone = { hz = 500, ms = 1000 }
    [[utterance]]
    say = "no"
    tone = { hz = 500, ms = 1000 }
    [digits.1]
    say = "one"
"#;

fn audio_bytes(got: &[Got], of: i64) -> usize {
    let each = got.iter().map(|got| match got {
        Got::Audio(turn, audio) if *turn == of => audio.len(),
        _ => 0,
    });
    each.sum()
}

fn place(got: &[Got], of: &Got) -> usize {
    got.iter().position(|other| other == of).unwrap_or_else(|| panic!("{of:?} is not there"))
}

fn completed(got: &[Got]) -> Vec<i64> {
    got.iter().filter_map(|got| if let Got::Completed(turn, _) = got { Some(*turn) } else { None }).collect()
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_speaks_while_the_audio_would_still_be_playing_interrupts_it() {
    for transport in BOTH {
        let world = World::new(&format!("{BEHAVIOUR}{ANSWERS}"));
        let mut client = world.greeted(transport, 2_000).await;
        let got = client.got();
        assert_eq!((audio_bytes(&got, 1), completed(&got)), (32_000, vec![1]), "all audio was sent");
        client.speak(100).await;
        assert_eq!(client.got(), [Got::Interrupted(true)]);
        client.speak(600).await;
        client.silence(1_200).await;
        let got = client.got();
        assert_eq!(got[0], Got::Transcript("[0.7 s of speech]".to_owned()));
        assert!(!got.contains(&Got::Interrupted(true)) && !got.contains(&Got::Interrupted(false)), "once is enough");
        assert_eq!(completed(&got), [2]);
        client.silence(1_000).await;
        client.speak(500).await;
        client.silence(1_000).await;
        assert_eq!(world.stream().interruptions, [true], "what has been played cannot be interrupted");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_not_yet_sent_of_an_interrupted_answer_is_not_sent() {
    for completes in [true, false] {
        let script = format!(
            "interim = false\nend_of_utterance_ms = 500\n[ces]\nspeed = 1\ncompletes_interrupted = {completes}\n{ANSWERS}"
        );
        let world = World::new(&script);
        let mut client = world.greeted(Transport::Grpc, 1_000).await;
        client.speak(500).await;
        client.silence(1_500).await;
        let got = client.got();
        let at = place(&got, &Got::Interrupted(true));
        assert_eq!(audio_bytes(&got[at..], 1), 0);
        assert!((8_000..=9_600).contains(&audio_bytes(&got, 1)));
        assert_eq!(completed(&got), if completes { vec![1, 2] } else { vec![2] });
    }
}

#[tokio::test(start_paused = true)]
async fn a_newer_answer_replaces_the_one_that_is_being_played() {
    for transport in BOTH {
        let world = World::new(&format!("{BEHAVIOUR}{ANSWERS}"));
        let mut client = world.greeted(transport, 2_000).await;
        client.got();
        client.say(Say::Digits("1#")).await;
        client.silence(100).await;
        let got = client.got();
        assert_eq!(got[..2], [Got::Interrupted(false), Got::Text(2, "one".to_owned())]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_protected_answer_is_not_interrupted_and_the_caller_not_heard() {
    let world = World::new(
        "end_of_utterance_ms = 300\n[start]\ntone = { hz = 400, ms = 2000 }\nprotected = true\n[[utterance]]\nsay = \"yes\"",
    );
    let mut client = world.greeted(Transport::Grpc, 100).await;
    client.speak(1_000).await;
    client.silence(1_500).await;
    let got = client.got();
    assert!(!got.iter().any(|got| matches!(got, Got::Interrupted(_) | Got::Transcript(_))), "{got:?}");
    client.speak(500).await;
    client.silence(500).await;
    assert!(client.got().contains(&Got::Text(2, "yes".to_owned())));
}

#[tokio::test(start_paused = true)]
async fn no_utterance_ends_without_audio() {
    for transport in BOTH {
        let world = World::new(&format!("{BEHAVIOUR}{ANSWERS}"));
        let mut client = world.open(transport).await;
        client.speak(800).await;
        pause(5_000).await;
        assert_eq!(client.got(), [], "silence that is not sent is no silence");
        client.silence(600).await;
        assert_eq!(
            client.got()[..2],
            [Got::Transcript("[0.8 s of speech]".to_owned()), Got::Text(1, "yes".to_owned())]
        );
        let [gap] = world.stream().gaps[..] else { panic!() };
        assert_eq!(gap, Gap { at_ms: 700, ms: 5_100 });
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_caller_is_spoken_to() {
    let script = format!("no_speech_ms = 3000\n{BEHAVIOUR}{ANSWERS}\n[no_input]\nsay = \"still there?\"");
    let world = World::new(&script);
    let mut client = world.open(Transport::Grpc).await;
    client.silence(5_000).await;
    assert_eq!(client.got(), [], "not before there was a turn");
    client.say(Say::Event("session_start")).await;
    client.silence(6_900).await;
    client.got();
    client.silence(300).await;
    assert_eq!(client.got()[0], Got::Text(2, "still there?".to_owned()));
    client.silence(3_300).await;
    assert_eq!(client.got()[0], Got::Text(3, "still there?".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn noise_goes_on_while_nothing_is_said_and_interrupts_nothing() {
    let script = format!("{BEHAVIOUR}[ces]\nambient = true\n{ANSWERS}");
    let world = World::new(&script);
    let mut client = world.open(Transport::WebSocket).await;
    client.silence(1_000).await;
    let got = client.got();
    assert!((9..=10).contains(&got.len()), "{}", got.len());
    for got in got {
        let Got::Audio(0, audio) = got else { panic!("{got:?}") };
        assert_eq!(audio.len(), 800);
        assert!(audio.iter().any(|code| *code != 0xFF), "noise is no digital silence");
        assert!(audio.iter().all(|code| code & 0x7F >= 0x78), "and it is low");
    }
    client.speak(500).await;
    client.silence(1_500).await;
    assert!(world.stream().interruptions.is_empty(), "over noise a caller speaks freely");
    client.say(Say::Event("session_start")).await;
    client.silence(3_000).await;
    let got = client.got();
    assert_eq!(audio_bytes(&got, 2), 32_000, "while the agent speaks there is no noise");
}

#[tokio::test(start_paused = true)]
async fn parts_of_an_answer_come_in_one_turn_and_the_last_may_cut_the_first() {
    for (cuts, expected) in [(false, vec![]), (true, vec![false])] {
        let world = World::new(&format!(
            "[start]\nfirst = [{{ say = \"one moment\", tone = {{ hz = 400, ms = 2000 }}, allow_cancellation = {cuts}, think_ms = 800 }}]\nsay = \"here\"\ntone = {{ hz = 500, ms = 200 }}"
        ));
        let mut client = world.greeted(Transport::Grpc, 3_000).await;
        let got = client.got();
        assert!(got.contains(&Got::Text(1, "one moment".to_owned())) && got.contains(&Got::Text(1, "here".to_owned())));
        assert_eq!((completed(&got), world.stream().interruptions), (vec![1], expected));
    }
}
