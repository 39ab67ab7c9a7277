//! Fetches the documents of a call from its webhooks: tries again after a failure, and at last uses the number's
//! fallback URL.

use crate::twilio::call_state::{ActiveCall, Next};
use crate::twilio::events::CallEventKind;
use crate::twilio::faults::CallFault;
use crate::twilio::http_client;
use crate::twilio::overrides::Overrides;
use crate::twilio::twiml;

impl ActiveCall<'_> {
    pub(super) async fn fetch(&mut self, url: &str, more: Vec<(&'static str, String)>) -> Next {
        let more: Vec<_> = more.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        if self.record.documents.is_empty() && self.plan.faults.contains(&CallFault::AsksTwice) {
            // The first answer is thrown away.
            let _ = self.ask(url, &more).await;
        }
        let why = match self.ask(url, &more).await {
            Ok(document) => return Next::Document(document),
            Err(why) => why,
        };
        self.record_event(CallEventKind::WebhookFailed { why: why.clone() }).await;
        let Some(fallback) = self.plan.fallback_url.clone() else { return Next::End(why) };
        let mut told = Vec::new();
        if self.plan.behaviour.error_parameters {
            told.push(("ErrorCode".to_owned(), "11200".to_owned()));
            told.push(("ErrorUrl".to_owned(), without_fragment(url).to_owned()));
        }
        match self.ask(&fallback, &told).await {
            Ok(document) => Next::Document(document),
            Err(why) => {
                self.record_event(CallEventKind::WebhookFailed { why: why.clone() }).await;
                Next::End(why)
            }
        }
    }

    /// Requests a document from a webhook, with the retries that its URL allows.
    async fn ask(&mut self, url: &str, more: &[(String, String)]) -> Result<String, String> {
        // Twilio answers the call when the first document has come.
        let mut form = self.form(if self.record.documents.is_empty() { "ringing" } else { "in-progress" });
        form.extend_from_slice(more);
        let overrides = Overrides::of(url);
        let mut retries = overrides.retries;
        loop {
            let fault = match http_client::post(&self.twilio.net, self.account(), url, &form).await {
                Ok(answer) => match twiml::parse(&answer.body) {
                    Ok(verbs) => {
                        let verbs = verbs.iter().map(|verb| verb.name().to_owned()).collect();
                        self.record_event(CallEventKind::Twiml { path: path_of(url), verbs }).await;
                        return Ok(answer.body);
                    }
                    Err(why) => return Err(format!("12100: {why} from {}", path_of(url))),
                },
                Err(fault) => fault,
            };
            if retries == 0 || !overrides.tries_again(&fault) {
                return Err(format!("11200: {fault} from {}", path_of(url)));
            }
            retries -= 1;
        }
    }

    /// After the caller has hung up, requests the action once more, with the call's end as its status.
    pub(super) async fn send_final_action(&mut self, action: &str) {
        let form = self.form("completed");
        if let Err(fault) = http_client::post(&self.twilio.net, self.account(), action, &form).await {
            self.record_event(CallEventKind::WebhookFailed { why: format!("11200: {fault}") }).await;
        }
    }

    fn form(&self, status: &str) -> Vec<(String, String)> {
        let pairs = [
            ("AccountSid", self.account().sid.as_str()),
            ("ApiVersion", "2010-04-01"),
            ("CallSid", &self.record.call_sid),
            ("CallStatus", status),
            ("Called", &self.plan.to),
            ("Caller", &self.plan.from),
            ("Direction", "inbound"),
            ("From", &self.plan.from),
            ("To", &self.plan.to),
        ];
        let usual = pairs.into_iter().filter(|(name, _)| !self.plan.facts.iter().any(|(other, _)| other == name));
        let usual = usual.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let has_headers = self.record.documents.is_empty() || self.plan.behaviour.repeats_sip_headers;
        let further = self.plan.facts.iter().filter(|(name, _)| has_headers || !name.starts_with("SipHeader_"));
        usual.chain(further.cloned()).collect()
    }
}

fn without_fragment(url: &str) -> &str {
    url.split('#').next().unwrap_or_default()
}

fn path_of(url: &str) -> String {
    without_fragment(url).parse::<http::Uri>().map_or_else(|_| "…".to_owned(), |uri| uri.path().to_owned())
}
