//! Seeds of the target `call`.

use super::Made;
use super::encode::Encode as _;
use crate::call::{AgentAnswer, AgentPrompt, AgentSays, Operation, Settings, read};

use Operation::{Agent, Closed, Fetched, Key, Mark, Message, Migrate, Stop, Talk, ToolsRun, Updated, Wait};

/// A call that first listens, with usual settings.
fn listening() -> Settings {
    Settings {
        starts: true,
        barge_in: 1,
        min_words: 1,
        knows_prompts: true,
        dtmf_rules: crate::call::DtmfSettings { finish_digit: Some(3), interdigit_ms: 6, ..Default::default() },
        audio_limit_ms: 12,
        rotation_margin_ms: 8,
        answering_turn: true,
        ..Settings::default()
    }
}

fn greeted() -> Settings {
    Settings { text: true, has_url: true, ..listening() }
}

/// Two seconds of mu-law.
fn prompt() -> AgentPrompt {
    AgentPrompt { format: 1, bytes: 16_000, interruptible: true, ..AgentPrompt::default() }
}

fn says(prompt: AgentPrompt) -> AgentAnswer {
    AgentAnswer { prompts: [Some(prompt), None], has_text: true, ..AgentAnswer::default() }
}

fn answers(answer: AgentAnswer) -> Operation {
    Agent(0, AgentSays::Answer(answer))
}

fn transcript(is_final: bool) -> Operation {
    Agent(0, AgentSays::Transcript { words: 2, is_final, confidence: Some(90), start_ms: None, end_ms: None })
}

fn end_of_utterance() -> Operation {
    Agent(0, AgentSays::EndOfUtterance { end_ms: None })
}

pub(super) fn all() -> Made {
    let calls = conversations().into_iter().chain(failures());
    calls.map(|(name, settings, operations)| (name, bytes(&settings, &operations))).collect()
}

/// The bytes that decode to these operations.
fn bytes(settings: &Settings, operations: &[Operation]) -> Vec<u8> {
    let mut bytes = settings.encoded();
    operations.iter().for_each(|operation| operation.encode(&mut bytes));
    assert_eq!(read(&bytes), Some((settings.clone(), operations.to_vec())), "arbitrary reads them otherwise");
    bytes
}

type Story = (&'static str, Settings, Vec<Operation>);

fn conversations() -> Vec<Story> {
    let goodbye = AgentAnswer { end: 1, ..says(prompt()) };
    let music = AgentPrompt { cancellable: true, interruptible: false, bytes: 20_000, ..prompt() };
    vec![
        (
            "question_answer_goodbye",
            greeted(),
            vec![
                answers(says(prompt())),
                Talk(false, 50),
                Mark(0),
                Talk(true, 30),
                transcript(false),
                transcript(true),
                end_of_utterance(),
                answers(goodbye),
                Agent(0, AgentSays::Ended),
                Mark(0),
                Updated(0),
                Stop,
            ],
        ),
        (
            "barge_in",
            Settings { tells_heard: true, ..greeted() },
            vec![
                answers(says(prompt())),
                Talk(false, 40),
                Talk(true, 20),
                transcript(false),
                Mark(3),
                end_of_utterance(),
            ],
        ),
        (
            "barge_in_by_voice_into_what_may_not_be_cut",
            Settings { barge_in: 2, knows_prompts: false, ..greeted() },
            vec![answers(says(AgentPrompt { interruptible: false, ..prompt() })), Talk(true, 60), Wait(6_000)],
        ),
        (
            "keys",
            Settings { no_input: Some(5), ..greeted() },
            vec![
                answers(AgentAnswer { dtmf_rules: Some((4, 5)), ..says(prompt()) }),
                Key(0),
                Key(1),
                Talk(false, 10),
                Key(3),
                answers(AgentAnswer { part: 1, has_words: true, ..AgentAnswer::default() }),
                Wait(1_000),
                Key(0),
                Wait(4_000),
            ],
        ),
        (
            "partial_answers_with_music_and_fetched_audio",
            greeted(),
            vec![
                answers(AgentAnswer { part: 2, ..says(music) }),
                Wait(900),
                answers(AgentAnswer { payload: 1, ..says(AgentPrompt { format: 18, is_wav: true, ..prompt() }) }),
                Fetched(0, Some(8_000)),
                answers(says(AgentPrompt { is_elsewhere: true, ..prompt() })),
                Fetched(0, None),
            ],
        ),
        (
            "one_stream_for_the_whole_call",
            Settings { session_stream: true, ..greeted() },
            vec![
                answers(says(prompt())),
                Talk(true, 40),
                transcript(false),
                Agent(0, AgentSays::Interrupted(true)),
                answers(AgentAnswer { part: 1, ..says(prompt()) }),
                Key(0),
                Key(3),
                Agent(0, AgentSays::GoAway),
                Talk(true, 30),
                Agent(0, AgentSays::Ended),
                Talk(false, 20),
                Agent(0, AgentSays::Failed(true)),
                Wait(3_000),
                answers(AgentAnswer { end: 1, part: 1, ..says(prompt()) }),
                Wait(9_000),
            ],
        ),
        (
            "silence_until_a_bound",
            Settings { limits: Some((11, 8, 2, 2)), no_input: Some(6), ..greeted() },
            vec![answers(says(prompt())), Wait(9_000), answers(says(prompt())), Wait(60_000), Updated(1)],
        ),
        (
            "rotation_and_renewal",
            Settings { audio_limit_ms: 9, ..listening() },
            vec![Talk(false, 250), Talk(true, 240), Migrate, Closed],
        ),
    ]
}

fn failures() -> Vec<Story> {
    let half = Some(AgentPrompt { bytes: 20_000, ..prompt() });
    let five_seconds = AgentAnswer { prompts: [half.clone(), half], ..AgentAnswer::default() };
    let tool = AgentAnswer { part: 2, tools: 1, ..AgentAnswer::default() };
    vec![
        (
            "failure_and_retry",
            Settings { retrying: Some(2), thinking: Some((2, 4)), ..greeted() },
            vec![
                Agent(0, AgentSays::Failed(true)),
                Wait(200),
                answers(says(prompt())),
                Talk(true, 20),
                transcript(true),
                Agent(0, AgentSays::Failed(true)),
                Talk(true, 20),
                end_of_utterance(),
                Wait(40_000),
                Agent(0, AgentSays::Failed(false)),
                Wait(40_000),
            ],
        ),
        (
            "no_patience_and_no_pause",
            Settings { timeouts: Some([8, 15, 0, 0, 0, 0, 0, 0, 0, 0]), retry: Some((9, 0)), ..greeted() },
            vec![Wait(500), end_of_utterance(), Wait(20_000)],
        ),
        (
            "the_rest_of_an_answer_does_not_come",
            greeted(),
            vec![answers(AgentAnswer { part: 2, ..says(prompt()) }), Wait(35_000), Talk(false, 5)],
        ),
        ("the_last_moment_and_an_overdue_mark_at_once", greeted(), vec![answers(five_seconds), Migrate, Wait(9_000)]),
        (
            "nothing_is_answered_for_long",
            listening(),
            vec![
                end_of_utterance(),
                Talk(true, 255),
                Talk(true, 255),
                Talk(true, 255),
                Talk(true, 255),
                Talk(true, 255),
                Talk(true, 255),
                Talk(true, 255),
            ],
        ),
        ("a_tool_is_asked_for_again_and_again", greeted(), vec![answers(tool.clone()); 60]),
        (
            "tools_are_run_while_the_caller_speaks",
            Settings { session_stream: true, has_tools: true, ..greeted() },
            vec![
                answers(AgentAnswer { tools: 3, ..tool.clone() }),
                Talk(true, 20),
                ToolsRun(0, 3, true),
                answers(tool),
                ToolsRun(0, 2, false),
                Agent(0, AgentSays::Failed(true)),
                Wait(3_000),
                answers(says(prompt())),
            ],
        ),
        (
            "an_agent_refuses_us_and_its_backup_takes_over",
            Settings { has_backup: true, ..greeted() },
            vec![
                answers(says(prompt())),
                Talk(true, 20),
                Agent(0, AgentSays::Failed(false)),
                Wait(3_000),
                answers(says(prompt())),
                Talk(true, 20),
                Agent(0, AgentSays::Failed(false)),
                Wait(3_000),
            ],
        ),
        (
            "a_stream_says_nothing_of_what_it_hears",
            Settings { timeouts: Some([8, 10, 10, 5, 8, 5, 7, 8, 8, 7]), ..listening() },
            vec![Talk(true, 255), Talk(true, 100), Wait(2_000), Talk(false, 100), Wait(9_000)],
        ),
        (
            "no_start",
            Settings { starts: false, ..greeted() },
            vec![Message(1), Talk(true, 1), Key(0), Message(2), Message(0), Wait(20_000)],
        ),
    ]
}
