use dialbridge_core::{ending::VirtualAgentStatus, kit::Recording, tape::Tape};

#[test]
fn a_caller_who_interrupts_is_understood_and_put_through() {
    let call = Tape::build()
        .agent_greets("Corner Bakery, good morning. What can I do for you?", Recording::ms(3_300))
        .caller_says(include_bytes!("../../lab/agents/bakery/order.wav"))
        .barge_in_at_ms(1_500)
        .agent_hears("I would like two loaves of rye bread")
        .agent_answers("Two loaves. Your number, please, and the pound key.", Recording::ms(2_800))
        .with_intent("order.bread")
        .with_parameter("loaves", 2)
        .caller_presses("5550100#")
        .agent_answers("One moment please.", Recording::ms(900))
        .transfers_to("+15550142")
        .play();
    call.turn(1).prompt().assert_cut_at_ms(1_500..2_300);
    call.turn(2).assert_intent("order.bread").assert_parameter("loaves", 2).assert_wait_ms(..1_500);
    call.handoff().assert_status(VirtualAgentStatus::LiveAgentHandoff).assert_twiml("+15550142</Number>");
}
