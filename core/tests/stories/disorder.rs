//! What no agent of the Customer Engagement Suite should do, and one may: the call goes on, or ends in time.

use crate::line::Line;
use crate::one_stream::{config, end_session, greeted, says};

#[test]
fn an_agent_that_sends_audio_for_ever_after_its_end_does_not_keep_the_call() {
    let mut line = greeted();
    line.agent(1, end_session());
    for _ in 0..400 {
        line.agent(1, says(200));
        line.hush(200);
    }
    let (at, twiml) = line.update().unwrap();
    assert!((60_000..63_000).contains(&at.as_ms()), "{at}");
    assert!(twiml.contains("VirtualAgentStatus=completed"));
}

#[test]
fn a_goodbye_of_most_of_a_minute_is_heard_to_its_end() {
    let mut line = Line::started(config());
    line.agent(1, end_session());
    for _ in 0..250 {
        line.agent(1, says(200));
        line.hush(200);
    }
    line.wait(1_100);
    assert!(line.update().is_some_and(|(at, _)| at.as_ms() >= 50_000));
    assert_eq!((line.played_ms(), line.clears()), (50_000, 0));
}
