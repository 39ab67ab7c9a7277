//! This machine's clock beside Google's and Twilio's.

use super::Doctor;
use super::finding::Finding;
use super::subject::Subject;

const CHECK: &str = "clock";

/// So far apart a ticket or a token is refused that was made a moment ago.
const MAX_SKEW_MS: u64 = 30_000;

/// Looks at what the answers of Google and Twilio said of the time; Google is asked once more for it.
pub(crate) async fn check(doctor: &Doctor, subject: &Subject) -> Finding {
    if let Some(agent) = subject.agents.iter().find(|agent| !agent.endpoint.is_plaintext) {
        let url = agent.endpoint.url.as_str();
        // Without an answer there is nothing to compare; why there is none stands in the line on the agent.
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
    // An answer tells the time to a second, and was on its way for a while.
    let seconds = other.ahead_ms.unsigned_abs() / 10_000 * 10;
    let host = &other.host;
    let says =
        format!("this machine's clock is over {seconds} s {direction} {host}: tickets and tokens would not hold");
    Finding::fault(CHECK, says, "set the clock by the network: timedatectl set-ntp true")
}
