//! Stories of whole calls.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

/// Tests a story with each of these editions, so that a failure names its edition: `ALL` (one stream for each turn),
/// `CES` (one stream for the whole call), `ANY`, or a list. The names are those of `dialbridge_tests::Edition`. The
/// clock is tokio's paused one, or the real one with `start_paused = false`.
///
/// ES v2beta1 differs from v2 by its path and a few fields, so only stories that touch those list it.
macro_rules! each_edition {
    ($story:ident, ALL) => {
        each_edition!($story, [Cx, EsV2]);
    };
    ($story:ident, CES) => {
        each_edition!($story, [CesWebSocket, CesGrpc]);
    };
    ($story:ident, ANY) => {
        each_edition!($story, [Cx, EsV2, CesWebSocket, CesGrpc]);
    };
    ($story:ident, [$($edition:ident),+]) => {
        each_edition!($story, [$($edition),+], start_paused = true);
    };
    ($story:ident, [$($edition:ident),+], $clock:ident = $is_paused:literal) => {
        #[expect(non_snake_case, reason = "tests are named as the editions are")]
        mod $story {
            $(
                #[tokio::test($clock = $is_paused)]
                async fn $edition() {
                    super::$story(dialbridge_tests::Edition::$edition).await;
                }
            )+
        }
    };
}

mod access;
mod accounts;
mod agent_down;
mod agent_faults;
mod assumptions;
mod attacker;
mod backup;
mod bad_input;
mod bare_media;
mod barge_in;
mod call_facts;
mod call_flow;
mod call_log;
mod ces;
mod comparison;
mod conversation;
mod conversations;
mod deploy;
mod doctor;
mod dtmf;
mod echo;
mod events;
mod fillers;
mod front_ends;
mod gapless;
mod golden;
mod limits;
#[cfg(target_os = "linux")]
mod load;
mod long_answers;
mod messages;
mod metrics;
mod overload;
mod page;
mod readme;
mod recording;
mod relay;
mod routing;
mod settings;
mod silence;
mod slow_turns;
mod stages;
mod status_callbacks;
mod survival;
mod synthesis;
mod tapes;
mod tasks;
mod traces;
mod transfer;
mod turn_data;
mod turn_taking;
mod twilio_faults;
mod twiml;
mod ungreeted;
mod words;
