//! An account's numbers, as Twilio's `IncomingPhoneNumbers` resource has them
//! (<https://www.twilio.com/docs/phone-numbers/api/incomingphonenumber-resource>).

use http::{StatusCode, Uri};
use serde_json::{Value, json};

/// The default number of numbers on a page.
const PAGE_SIZE: usize = 50;

/// The highest number of numbers on a page.
const MAX_ON_PAGE: usize = 1_000;

/// A number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PhoneNumber {
    /// `PN` and 32 hexadecimal digits.
    pub sid: String,
    /// As `+15550100`.
    pub phone_number: String,
    /// Requested when a call comes.
    pub voice_url: String,
    /// `POST` or `GET`; empty: `POST`.
    pub voice_method: String,
    /// Requested when the voice-url has failed.
    pub voice_fallback_url: String,
    /// `POST` or `GET`; empty: `POST`.
    pub voice_fallback_method: String,
    /// Told how a call has ended; empty: nobody.
    pub status_callback: String,
    /// `POST` or `GET`; empty: `POST`.
    pub status_callback_method: String,
    /// A TwiML app that Twilio uses before the voice-url; empty: none.
    pub voice_application_sid: String,
    /// A SIP trunk that Twilio uses before it; empty: none.
    pub trunk_sid: String,
    /// Whether updates leave it in its trunk.
    pub is_trunk_kept: bool,
    /// Whether it takes messages only.
    pub is_mute: bool,
}

/// Why a request fails: status, Twilio's code and message.
pub(super) type Refusal = (StatusCode, u32, String);

impl PhoneNumber {
    /// A number whose calls go to that service.
    #[must_use]
    pub fn leading_to(sid: u32, phone_number: &str, service: &str) -> Self {
        Self {
            sid: format!("PN{sid:032x}"),
            phone_number: phone_number.to_owned(),
            voice_url: format!("{service}/twiml"),
            voice_fallback_url: format!("{service}/twiml?resume=1"),
            ..Self::default()
        }
    }

    pub(super) fn json(&self, account: &str) -> Value {
        let or_null = |text: &str| if text.is_empty() { Value::Null } else { text.into() };
        let method = |text: &str| if text.is_empty() { "POST".to_owned() } else { text.to_owned() };
        json!({
            "sid": self.sid, "account_sid": account, "phone_number": self.phone_number,
            "friendly_name": self.phone_number, "api_version": "2010-04-01", "status": "in-use",
            "voice_url": self.voice_url, "voice_method": method(&self.voice_method),
            "voice_fallback_url": self.voice_fallback_url, "voice_fallback_method": method(&self.voice_fallback_method),
            "status_callback": self.status_callback, "status_callback_method": method(&self.status_callback_method),
            "voice_application_sid": or_null(&self.voice_application_sid), "trunk_sid": or_null(&self.trunk_sid),
            "capabilities": { "voice": !self.is_mute, "sms": true, "mms": false, "fax": false },
            "uri": format!("/2010-04-01/Accounts/{account}/IncomingPhoneNumbers/{}.json", self.sid),
        })
    }

    /// Applies the parameters of an update; all of them or none.
    pub(super) fn update(&mut self, form: &[(String, String)]) -> Result<(), Refusal> {
        let mut changed = self.clone();
        for (name, value) in form {
            match name.as_str() {
                "VoiceUrl" => changed.voice_url = checked_url("VoiceUrl", value)?,
                "VoiceFallbackUrl" => changed.voice_fallback_url = checked_url("VoiceFallbackUrl", value)?,
                "VoiceMethod" => changed.voice_method = checked_method("VoiceMethod", value)?,
                "VoiceFallbackMethod" => changed.voice_fallback_method = checked_method("VoiceFallbackMethod", value)?,
                "StatusCallback" => changed.status_callback = checked_url("StatusCallback", value)?,
                "StatusCallbackMethod" => {
                    changed.status_callback_method = checked_method("StatusCallbackMethod", value)?;
                }
                // "Setting a trunk_sid will automatically delete your voice_application_sid and vice versa."
                "VoiceApplicationSid" => changed.set_detour(value, ""),
                "TrunkSid" => changed.set_detour("", value),
                // Twilio accepts many more, but no voice call depends on them.
                _ => {}
            }
        }
        *self = changed;
        Ok(())
    }

    /// What Twilio uses before the voice-url: at most one of an app and a trunk.
    fn set_detour(&mut self, app: &str, trunk: &str) {
        if self.is_trunk_kept {
            return;
        }
        app.clone_into(&mut self.voice_application_sid);
        trunk.clone_into(&mut self.trunk_sid);
    }
}

fn checked_url(name: &str, value: &str) -> Result<String, Refusal> {
    let uri: Option<Uri> = value.split('#').next().unwrap_or_default().parse().ok();
    let is_web = uri.is_some_and(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some());
    if is_web || value.is_empty() {
        Ok(value.to_owned())
    } else {
        Err((StatusCode::BAD_REQUEST, 21_402, format!("{name} is not valid: {value}")))
    }
}

fn checked_method(name: &str, value: &str) -> Result<String, Refusal> {
    if matches!(value, "GET" | "POST") {
        Ok(value.to_owned())
    } else {
        Err((StatusCode::BAD_REQUEST, 21_403, format!("{name} is not valid: {value}")))
    }
}

/// A page of the list, with the paths of the pages around it.
pub(super) fn page(numbers: &[PhoneNumber], account: &str, query: &str) -> Result<Value, Refusal> {
    let invalid = |what: &str| (StatusCode::BAD_REQUEST, 20_001, format!("{what} is not valid"));
    let asked = |name: &str| form_urlencoded::parse(query.as_bytes()).find(|(other, _)| other == name).map(|(_, v)| v);
    let number = |name: &str, default: usize| match asked(name) {
        None => Ok(default),
        Some(text) => text.parse::<usize>().map_err(|_| invalid(name)),
    };
    let size = number("PageSize", PAGE_SIZE)?;
    if !(1..=MAX_ON_PAGE).contains(&size) {
        return Err(invalid("PageSize"));
    }
    let index = number("Page", 0)?;
    let filter = asked("PhoneNumber").unwrap_or_default();
    let filtered: Vec<&PhoneNumber> =
        numbers.iter().filter(|number| number.phone_number.contains(filter.trim())).collect();
    let start = match asked("PageToken") {
        // A page link names the last number of the page before, not an index.
        Some(token) => {
            let last = filtered.iter().position(|number| format!("PA{}", number.sid) == token);
            last.ok_or_else(|| invalid("PageToken"))? + 1
        }
        None if index == 0 => 0,
        None => return Err(invalid("Page")),
    };
    let shown = &filtered[start..filtered.len().min(start + size)];
    let filter = if filter.is_empty() { String::new() } else { encoded("PhoneNumber", &filter) };
    let path = |index: usize, token: &str| {
        format!("/2010-04-01/Accounts/{account}/IncomingPhoneNumbers.json?{filter}PageSize={size}&Page={index}{token}")
    };
    let has_more = start + shown.len() < filtered.len();
    let next = shown.last().filter(|_| has_more).map(|last| path(index + 1, &format!("&PageToken=PA{}", last.sid)));
    Ok(json!({
        "incoming_phone_numbers": shown.iter().map(|number| number.json(account)).collect::<Vec<_>>(),
        "page": index, "page_size": size, "start": start, "end": (start + shown.len()).saturating_sub(1),
        "uri": path(index, ""), "first_page_uri": path(0, ""), "previous_page_uri": null, "next_page_uri": next,
    }))
}

fn encoded(name: &str, value: &str) -> String {
    form_urlencoded::Serializer::new(String::new()).append_pair(name, value).finish() + "&"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(count: u32) -> Vec<PhoneNumber> {
        (0..count).map(|n| PhoneNumber::leading_to(n, &format!("+1555{n:04}"), "https://h")).collect()
    }

    #[test]
    fn pages_hang_together_and_miss_nobody() {
        let all = numbers(7);
        let mut seen = Vec::new();
        let mut query = "PageSize=3".to_owned();
        loop {
            let page = page(&all, "AC1", &query).unwrap();
            for number in page["incoming_phone_numbers"].as_array().unwrap() {
                seen.push(number["phone_number"].as_str().unwrap().to_owned());
            }
            let Some(next) = page["next_page_uri"].as_str() else { break };
            assert!(next.starts_with("/2010-04-01/Accounts/AC1/IncomingPhoneNumbers.json?"));
            query = next.split_once('?').unwrap().1.to_owned();
        }
        assert_eq!(seen, all.iter().map(|number| number.phone_number.clone()).collect::<Vec<_>>());
        let one = page(&all, "AC1", "PhoneNumber=%2B15550003").unwrap();
        assert_eq!(one["incoming_phone_numbers"].as_array().unwrap().len(), 1);
    }

    #[test]
    fn a_wrong_page_is_refused() {
        for query in ["PageSize=0", "PageSize=1001", "PageSize=x", "Page=1", "PageToken=PA1"] {
            assert_eq!(page(&numbers(3), "AC1", query).unwrap_err().0, StatusCode::BAD_REQUEST, "{query}");
        }
    }

    #[test]
    fn an_update_is_taken_whole_or_not_at_all() {
        let mut number = numbers(1).remove(0);
        let before = number.clone();
        let form = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        assert!(number.update(&form(&[("VoiceUrl", "https://other/twiml"), ("VoiceMethod", "PUT")])).is_err());
        assert!(number.update(&form(&[("VoiceFallbackUrl", "other")])).is_err());
        assert_eq!(number, before);
        number.update(&form(&[("VoiceUrl", "https://other/twiml#rc=2"), ("VoiceMethod", "GET")])).unwrap();
        assert_eq!((number.voice_url.as_str(), number.voice_method.as_str()), ("https://other/twiml#rc=2", "GET"));
    }

    #[test]
    fn a_number_is_an_apps_or_a_trunks_and_not_both() {
        let mut number = numbers(1).remove(0);
        let mut set = |name: &str, value: &str| {
            number.update(&[(name.to_owned(), value.to_owned())]).unwrap();
            (number.voice_application_sid.clone(), number.trunk_sid.clone())
        };
        assert_eq!(set("VoiceApplicationSid", "AP1"), ("AP1".to_owned(), String::new()));
        assert_eq!(set("TrunkSid", "TK1"), (String::new(), "TK1".to_owned()));
        assert_eq!(set("TrunkSid", ""), (String::new(), String::new()));
    }
}
