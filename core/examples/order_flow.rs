//! A team's own tests of a call flow that they have only on paper: the test kit plays it, before there is an agent.
//! `docs/testing.md` has all that a test can say and read.
//!
//! ```text
//! cargo test -p dialbridge-core --example order_flow       # its tests, which CI runs too
//! cargo run -p dialbridge-core --example order_flow        # what the call did
//! ```

use std::io::Write as _;

use dialbridge_core::CallConfig;
use dialbridge_core::edition::Edition;
use dialbridge_core::kit::Recording;
use dialbridge_core::replay::PlayedCall;
use dialbridge_core::tape::Tape;
use serde_json::json;

/// "I would like two loaves of rye bread, please", and a time.
const ORDER: &[u8] = include_bytes!("../../lab/agents/bakery/order.wav");
const NINE: &[u8] = include_bytes!("../../lab/agents/bakery/nine.wav");

/// The agent's own first sentence.
const HELLO: &[u8] = include_bytes!("../../lab/agents/bakery/hello.wav");

fn main() -> Result<(), Box<dyn std::error::Error>> {
    std::io::stdout().write_all(order(settings()).replayed.trace().as_bytes())?;
    Ok(())
}

/// The settings of the team's service.
fn settings() -> CallConfig {
    let mut config = Edition::Cx.config();
    config.handoff.end_of_interaction_url = Some("https://shop.test/after-the-agent".to_owned());
    config
}

/// A caller orders bread, interrupts the agent, types his number, and is put through to a person.
fn order(settings: CallConfig) -> PlayedCall {
    Tape::build()
        .config(settings)
        .agent_greets("Corner Bakery, good morning. What can I do for you?", HELLO)
        .caller_says(ORDER)
        .agent_hears("I would like two loaves of rye bread")
        .agent_answers(
            "Two loaves of rye bread. They are ready from seven on, tomorrow or the day after.",
            Recording::ms(6_000),
        )
        .with_intent("order.bread")
        .with_page("Order")
        .with_parameter("loaves", 2)
        .caller_says(NINE)
        .barge_in_at_ms(2_000)
        .agent_hears("nine o'clock please")
        .agent_answers("Nine o'clock. Please type your number, and then the pound key.", Recording::ms(3_500))
        .after_ms(400)
        .with_intent("order.time")
        .with_page("Number")
        .caller_presses("5550100#")
        .agent_answers("Thank you. A colleague will confirm it.", Recording::ms(2_000))
        .hands_off(json!({ "queue": "orders" }))
        .play()
}

#[cfg(test)]
mod tests {
    use super::*;
    use dialbridge_core::config::{BargeInMode, EndOfUtterance};
    use dialbridge_core::ending::VirtualAgentStatus;
    use dialbridge_core::report::EndFoundBy;

    #[test]
    fn an_order_ends_with_a_person() {
        let call = order(settings());
        call.turn(2).assert_transcript("two loaves").assert_intent("order.bread").assert_parameter("loaves", 2);
        call.turn(3).assert_page("Number").assert_utterance_ended_by(EndFoundBy::Agent);
        call.turn(4).assert_reply("colleague").assert_wait_ms(..500);
        let handoff = call.handoff().assert_status(VirtualAgentStatus::LiveAgentHandoff);
        let json = handoff.parameter("dialogflowJSON").unwrap();
        assert!(json.contains(r#""queue":"orders""#), "{json}");
    }

    #[test]
    fn a_caller_who_knows_the_time_need_not_wait() {
        order(settings()).turn(2).prompt().assert_cut_at_ms(2_000..3_000);
    }

    #[test]
    fn without_barge_in_he_hears_the_whole_sentence() {
        let mut settings = settings();
        settings.barge_in.mode = BargeInMode::Off;
        let call = order(settings);
        call.turn(2).prompt().assert_not_cut();
        call.turn(3).assert_intent("order.time");
    }

    #[test]
    fn a_shorter_silence_brings_the_answer_sooner() {
        let wait_ms =
            |end_of_utterance| order(CallConfig { end_of_utterance, ..settings() }).turn(3).wait_ms().unwrap();
        assert!(wait_ms(EndOfUtterance::After(400)) + 200 < wait_ms(EndOfUtterance::Agent));
    }
}
