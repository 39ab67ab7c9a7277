//! `<Stream statusCallback>`: tells the service when a stream has started, stopped or failed, beside the call.

use crate::twilio::call_state::{ActiveCall, StatusCallback};
use crate::twilio::http_client;

impl ActiveCall<'_> {
    /// Tells the service, if the document asks for it. The call does not wait for it.
    pub(super) fn send_status(&mut self, status: &StatusCallback, event: &str, error: Option<&str>) {
        let Some(url) = status.url.clone() else { return };
        let ms = self.now_ms();
        // The lab has no calendar: its calls begin at New Year.
        let timestamp = format!("2026-01-01T00:{:02}:{:02}.{:03}Z", ms / 60_000 % 60, ms / 1_000 % 60, ms % 1_000);
        let mut form = vec![
            ("AccountSid", self.account().sid.clone()),
            ("CallSid", self.record.call_sid.clone()),
            ("StreamSid", status.stream_sid.clone()),
            ("StreamName", status.stream_sid.clone()),
            ("StreamEvent", event.to_owned()),
            ("Timestamp", timestamp),
        ];
        form.extend(error.map(|error| ("StreamError", error.to_owned())));
        let form: Vec<_> = form.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let (net, account) = (self.twilio.net.clone(), self.account().clone());
        self.lingering.spawn(async move {
            // Twilio does not tell the call about a failed callback.
            let _ = http_client::post(&net, &account, &url, &form).await;
        });
    }
}
