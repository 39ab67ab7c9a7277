//! The connection settings that a webhook's URL carries in its fragment
//! (<https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides>).

use http::StatusCode;

use crate::twilio::http_client::Fault;

/// Twilio's limit for `rc`.
const MAX_RETRIES: u32 = 5;

/// How often Twilio tries a webhook again, and after which faults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Overrides {
    /// `rc`: how many attempts follow the first one.
    pub(super) retries: u32,
    /// `rp`: `4xx`, `5xx`, `ct`, `rt`, `all`.
    policy: Vec<String>,
}

impl Overrides {
    /// The overrides of a URL. The default is Twilio's: one more attempt if the connection failed.
    pub(super) fn of(url: &str) -> Self {
        let fragment = url.split_once('#').map_or("", |(_, fragment)| fragment);
        let named = |name: &str| {
            let mut pairs = fragment.split('&').filter_map(|pair| pair.split_once('='));
            pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
        };
        let retries = named("rc").and_then(|count| count.parse().ok()).unwrap_or(1).min(MAX_RETRIES);
        let policy = named("rp").unwrap_or("ct").split(',').map(ToOwned::to_owned).collect();
        Self { retries, policy }
    }

    /// Whether another attempt follows that fault.
    pub(super) fn tries_again(&self, fault: &Fault) -> bool {
        let kind = match fault {
            Fault::NotConnected(_) => "ct",
            Fault::NoAnswer(_) => "rt",
            Fault::Status(status) => kind_of(*status),
        };
        self.policy.iter().any(|policy| policy == kind || policy == "all")
    }
}

fn kind_of(status: StatusCode) -> &'static str {
    if status.is_client_error() { "4xx" } else { "5xx" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_how_often_it_is_tried_and_twilio_where_it_does_not() {
        let (usual, own) = (Overrides::of("https://h/twiml"), Overrides::of("https://h/twiml#rc=9&rp=5xx,rt"));
        assert_eq!((usual.retries, own.retries), (1, 5));
        let faults = [
            Fault::NotConnected(String::new()),
            Fault::NoAnswer(String::new()),
            Fault::Status(StatusCode::FORBIDDEN),
            Fault::Status(StatusCode::BAD_GATEWAY),
        ];
        let tried = |overrides: &Overrides| faults.each_ref().map(|fault| overrides.tries_again(fault));
        assert_eq!(tried(&usual), [true, false, false, false]);
        assert_eq!(tried(&own), [false, true, false, true]);
        assert_eq!(tried(&Overrides::of("https://h/#rp=all")), [true; 4]);
    }
}
