//! Numbers of subaccounts that lead here. A subaccount signs its requests with a token of its own (Twilio's staff in
//! twilio/twilio-php#436), so the service must have that token.

use super::Doctor;
use super::finding::{Finding, Mark};
use super::numbers;
use super::subject::Subject;
use super::twilio::{Subaccount, TwilioApi};

const CHECK: &str = "subaccount";

/// Checks the numbers of subaccounts that lead here. Other subaccounts are not reported.
pub(super) async fn check(doctor: &Doctor, api: Option<&TwilioApi>, subject: &Subject) -> Vec<Finding> {
    let (Some(api), Some(public)) = (api, subject.public_url.as_ref()) else { return Vec::new() };
    let mut findings = Vec::new();
    for Subaccount { sid, token } in &api.subaccounts {
        let all = match tokio::time::timeout(numbers::list_deadline(doctor), numbers::list(doctor, api, sid, "")).await
        {
            Ok(Ok(all)) => all,
            Ok(Err(refused)) => {
                let why = format!("the numbers of {sid} cannot be read ({})", refused.says);
                findings.push(Finding::skipped(CHECK, why));
                continue;
            }
            Err(_) => {
                findings
                    .push(Finding::skipped(CHECK, format!("the list of the numbers of {sid} does not end in time")));
                continue;
            }
        };
        let ours: Vec<_> = all.iter().filter(|number| number.leads_to(public)).collect();
        if ours.is_empty() {
            continue;
        }
        let leads = format!("{} of the numbers of subaccount {sid} lead here", ours.len());
        let Some(token) = token else {
            findings.push(Finding::skipped(CHECK, format!("{leads}; Twilio does not show its token")));
            continue;
        };
        let known = subject.twilio.tokens_of(Some(sid));
        let is_known = known.iter().any(|known| known.expose() == token.expose());
        findings.push(if let Some(account) = subject.twilio.others.get(sid) {
            let name = format!("accounts.{} of the agents' file", account.name);
            if is_known {
                Finding::ok(CHECK, format!("{leads}, and its token is that of {name}"))
            } else {
                let says = format!("{leads}; it signs with another token than {name} has: their calls are refused");
                Finding::fault(CHECK, says, "put the subaccount's auth token where the agents' file says it is")
            }
        } else if is_known {
            Finding::ok(CHECK, format!("{leads}, and its token is in TWILIO_AUTH_TOKEN"))
        } else {
            let says = format!(
                "{leads}; it signs with a token of its own, which TWILIO_AUTH_TOKEN lacks: their calls are refused"
            );
            Finding::fault(
                CHECK,
                says,
                "append the subaccount's auth token to TWILIO_AUTH_TOKEN, after the main account's",
            )
        });
        findings.extend(ours.iter().map(|number| number.check(public)).filter(|finding| finding.mark != Mark::Ok));
    }
    findings
}
