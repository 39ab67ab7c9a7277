//! The addresses of a call, and where they stand in what an agent returns, in whatever spelling.

use serde_json::{Map, Value};

use crate::dial_target::{ascii_sign, digits_of, is_separator};

/// What is dialled within a country before a number of it: most countries, Hungary, Russia.
const TRUNK_PREFIXES: [&str; 4] = ["", "0", "06", "8"];

/// The fewest digits of a number without its country code.
const MIN_NATIONAL_DIGITS: usize = 6;

/// The most digits of a number in any spelling: `011` or `00`, the country code, `(0)`, the number.
const MAX_SPELLED_DIGITS: usize = 20;

/// The country codes of two digits (ITU-T E.164). Those that begin with 1 and 7 have one digit, all others three.
const TWO_DIGITS: [&str; 43] = [
    "20", "27", "30", "31", "32", "33", "34", "36", "39", "40", "41", "43", "44", "45", "46", "47", "48", "49", "51",
    "52", "53", "54", "55", "56", "57", "58", "60", "61", "62", "63", "64", "65", "66", "81", "82", "84", "86", "90",
    "91", "92", "93", "94", "95",
];

/// What stands in a text in place of a number.
const MASK: char = '…';

/// The addresses of a call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct CallNumbers(Vec<Address>);

/// An address, and the telephone number that it is, or has before its `@`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Address {
    text: String,
    number: Option<Number>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Number {
    /// Empty if the number has come without it.
    country_code: String,
    national: String,
}

impl CallNumbers {
    pub(crate) fn new<'a>(addresses: impl IntoIterator<Item = &'a str>) -> Self {
        let address = |text: &str| Address { text: text.to_owned(), number: Number::of(text) };
        Self(addresses.into_iter().map(address).collect())
    }

    /// Whether the text is one of the addresses, as Twilio writes it.
    pub(crate) fn contains(&self, text: &str) -> bool {
        self.0.iter().any(|address| address.text == text)
    }

    /// Takes out every value that is one of the addresses, however deep it stands, and every value under a name with one.
    /// In longer texts, `…` takes its place.
    pub(crate) fn remove_from(&self, map: &mut Map<String, Value>) {
        map.retain(|name, value| self.masked(name).is_none() && self.keep(value));
    }

    /// The value without the addresses.
    pub(crate) fn without(&self, value: &Value) -> Value {
        let mut value = value.clone();
        if self.keep(&mut value) { value } else { Value::Null }
    }

    /// The text with `…` in place of the addresses. `None` if there are none in it.
    pub(crate) fn masked(&self, text: &str) -> Option<String> {
        let mut masked = String::new();
        let (mut at, mut copied) = (0, 0);
        let mut is_within_number = false;
        while let Some(c) = text[at..].chars().next() {
            if !is_within_number
                && let Some(len) = self.0.iter().filter_map(|address| address.len_at(&text[at..])).max()
            {
                masked.push_str(text[copied..at].trim_end_matches(['+', '(', '＋', '（']));
                masked.push(MASK);
                at += len;
                copied = at;
                continue;
            }
            if let Some(sign) = ascii_sign(c) {
                is_within_number = sign.is_ascii_digit();
            }
            at += c.len_utf8();
        }
        masked.push_str(&text[copied..]);
        (copied > 0).then_some(masked)
    }

    /// Returns `false` if the value is one of the addresses. Else takes them out of it.
    fn keep(&self, value: &mut Value) -> bool {
        match value {
            Value::String(text) => {
                if self.is_one(text) {
                    return false;
                }
                if let Some(masked) = self.masked(text) {
                    *text = masked;
                }
                true
            }
            Value::Number(number) => !self.is_one(&written(number)),
            Value::Array(values) => {
                values.retain_mut(|value| self.keep(value));
                true
            }
            Value::Object(map) => {
                self.remove_from(map);
                true
            }
            Value::Null | Value::Bool(_) => true,
        }
    }

    fn is_one(&self, text: &str) -> bool {
        let digits = digits_of(text).map(|(digits, _)| digits);
        self.0.iter().any(|address| match (&address.number, &digits) {
            (Some(number), Some(digits)) => number.is_spelled(digits),
            _ => address.is_searched() && address.text.eq_ignore_ascii_case(text.trim()),
        })
    }
}

impl Address {
    /// Whether a text is searched for the address itself: `anonymous` is a word.
    fn is_searched(&self) -> bool {
        self.text.contains(':')
    }

    /// How much of the text's beginning the address takes, in bytes.
    fn len_at(&self, text: &str) -> Option<usize> {
        let start = text.get(..self.text.len()).filter(|_| self.is_searched());
        let whole = start.filter(|start| start.eq_ignore_ascii_case(&self.text)).map(str::len);
        whole.or_else(|| self.number.as_ref()?.len_at(text))
    }
}

impl Number {
    fn of(address: &str) -> Option<Self> {
        let user = match address.split_once(':') {
            Some((scheme, rest)) if !scheme.eq_ignore_ascii_case("tel") => rest.split('@').next().unwrap_or_default(),
            _ => address,
        };
        let (digits, has_country_code) = digits_of(user)?;
        let len = match has_country_code {
            true if digits.starts_with(['1', '7']) => 1,
            true if TWO_DIGITS.iter().any(|code| digits.starts_with(code)) => 2,
            true => 3,
            false => 0,
        };
        let (country_code, national) = digits.split_at(len);
        let national = if has_country_code { national } else { national.trim_start_matches('0') };
        let number = Self { country_code: country_code.to_owned(), national: national.to_owned() };
        (has_country_code || national.len() >= MIN_NATIONAL_DIGITS).then_some(number)
    }

    /// Whether these digits are the number: with its country code, with `00` or `011` before it and `(0)` behind it, or as it
    /// is dialled within the country.
    fn is_spelled(&self, digits: &str) -> bool {
        let Some(before) = digits.strip_suffix(self.national.as_str()) else { return false };
        let country = before.strip_prefix("011").or_else(|| before.strip_prefix("00")).unwrap_or(before);
        let is_international = matches!(country.strip_prefix(self.country_code.as_str()), Some("" | "0"));
        is_international || (self.national.len() >= MIN_NATIONAL_DIGITS && TRUNK_PREFIXES.contains(&before))
    }

    /// How much of the text's beginning the number takes, in bytes. The text begins with its first digit.
    fn len_at(&self, text: &str) -> Option<usize> {
        let mut digits = String::new();
        let (mut end, mut found) = (0, None);
        for (at, c) in text.char_indices().chain([(text.len(), '\0')]) {
            match ascii_sign(c) {
                Some(sign) if sign.is_ascii_digit() => {
                    digits.push(sign);
                    end = at + c.len_utf8();
                    if digits.len() > MAX_SPELLED_DIGITS {
                        return found;
                    }
                }
                Some(sign) => {
                    if self.is_spelled(&digits) {
                        found = Some(end);
                    }
                    if digits.is_empty() || !is_separator(sign) {
                        return found;
                    }
                }
                None => {}
            }
        }
        found
    }
}

/// A number of JSON as it is written. They may be doubles: 15550100.0.
pub(crate) fn written(number: &serde_json::Number) -> String {
    match number.as_f64() {
        Some(whole) if whole.fract() == 0.0 => format!("{whole:.0}"),
        _ => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn numbers() -> CallNumbers {
        CallNumbers::new([
            "+442079460000",
            "+15550100100",
            "sip:+4930123456@pbx.example.com",
            "client:alice",
            "anonymous",
        ])
    }

    #[test]
    fn a_number_of_the_call_is_found_in_every_spelling() {
        for text in [
            "+442079460000",
            "tel:+442079460000",
            "TEL:+44-20-7946-0000;ext=1",
            "+44 (0)20 7946 0000",
            "0044 20 7946 0000",
            "00 44 (0) 20 7946 0000",
            "020 7946 0000",
            "(020) 7946 0000",
            "20 7946 0000",
            "+44\u{2011}20\u{2011}7946\u{2011}0000",
            "\u{202A}+44\u{A0}2079460000\u{202C}",
            "＋４４２０７９４６００００",
            "442079460000",
            "+442079460000 ext. 12",
            "555-010-0100",
            "(555) 010-0100",
            "011 1 555 010 0100",
            "030 123456",
            "SIP:+4930123456@PBX.example.com",
            "client:Alice",
        ] {
            assert_eq!(numbers().without(&json!(text)), Value::Null, "{text}");
            let said = numbers().masked(&format!("Please call {text}, today")).unwrap();
            assert!(said.starts_with("Please call ") && said.ends_with(", today") && !said.contains("00"), "{said}");
        }
        for number in [json!(442_079_460_000_u64), json!(442_079_460_000.0), json!(5_550_100_100_u64)] {
            assert_eq!(numbers().without(&number), Value::Null, "{number}");
        }
    }

    #[test]
    fn in_a_text_and_as_a_name_it_goes_and_the_rest_stays() {
        let told = json!({ "note": "Caller +1 (555) 010-0100 wants a refund of 20", "+15550100100": "open",
            "calls": { "from 020 7946 0000": 2, "today": ["client:alice again", 3] }, "twice": "5550100100/5550100100" });
        let expected = json!({ "note": "Caller … wants a refund of 20", "calls": { "today": ["… again", 3] },
            "twice": "…/…" });
        assert_eq!(numbers().without(&told), expected);
        assert_eq!(numbers().masked("番号は＋４４２０７９４６００００です。ー").as_deref(), Some("番号は…です。ー"));
        assert_eq!(numbers().masked("2 tickets, 555 010 0100").as_deref(), Some("2 tickets, …"));
        assert_eq!(numbers().masked("2 5550100100 7").as_deref(), Some("2 … 7"));
    }

    #[test]
    fn what_is_no_number_of_the_call_stays() {
        let own = json!({ "order": 442_079, "other": "+442079460001", "longer": "95550100100", "more": "55501001007",
            "price": 12.5, "date": "2024-01-02", "who": "anonymous", "text": "7946 0000, and 0100", "": "" });
        assert_eq!(numbers().without(&own), own);
        assert_eq!(CallNumbers::new(["12345", "", "anonymous", "0000000"]).masked("12345 anonymous 0"), None);
    }

    #[test]
    fn a_text_of_any_length_is_read_once() {
        let long = "1 ".repeat(500_000) + "5550100100";
        assert!(numbers().masked(&long).is_some_and(|masked| masked.ends_with("1 …")));
    }
}
