//! Compares this machine's clock with Google's and Twilio's.

use super::Doctor;
use super::finding::Finding;
use super::subject::Subject;

const CHECK: &str = "clock";

/// At this difference the other side refuses a ticket or a token that was just made.
const MAX_SKEW_MS: u64 = 30_000;

/// Checks the times in the answers of Google and Twilio; asks Google once more for it.
pub(crate) async fn check(doctor: &Doctor, subject: &Subject) -> Finding {
    if let Some(agent) = subject.agents.iter().find(|agent| !agent.endpoint.is_plaintext) {
        let url = agent.endpoint.url.as_str();
        // Without an answer there is nothing to compare. The finding about the agent says why there is none.
        if let Ok(response) = doctor.web.get(&format!("{url}/")).await {
            doctor.web.note_clock(url.trim_start_matches("https://"), &response);
        }
    }
    let clocks = doctor.web.clocks();
    if clocks.is_empty() {
        return Finding::skipped(CHECK, "neither Google nor Twilio has answered");
    }
    let Some(other) = clocks.iter().find(|clock| clock.ahead_ms.unsigned_abs() > MAX_SKEW_MS) else {
        let mut hosts: Vec<&str> = clocks.iter().map(|clock| clock.host.as_str()).collect();
        hosts.dedup();
        return Finding::ok(CHECK, format!("within {} s of {}", MAX_SKEW_MS / 1_000, hosts.join(" and ")));
    };
    let direction = if other.ahead_ms > 0 { "ahead of" } else { "behind" };
    // An answer gives the time in whole seconds, and took a while to arrive.
    let seconds = other.ahead_ms.unsigned_abs() / 10_000 * 10;
    let host = &other.host;
    let says =
        format!("this machine's clock is over {seconds} s {direction} {host}: tickets and tokens would not hold");
    Finding::fault(CHECK, says, "set the clock by the network: timedatectl set-ntp true")
}
