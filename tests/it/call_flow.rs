use dialbridge_core::{Report, replay::replay, tape::Tape};

#[test]
fn a_caller_who_interrupts_stops_the_prompt() {
    let tape = Tape::parse(include_str!("../frames/barge_in_during_long_prompt.jsonl")).unwrap();
    let call = replay(&tape);
    let heard = |report: &Report| match report {
        Report::BargeIn { played_ms, .. } => Some(*played_ms),
        _ => None,
    };
    assert_eq!(call.reports().find_map(heard), Some(1_600));
}
