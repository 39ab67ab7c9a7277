//! What a `<Dial>` may dial: reads a number or an address as a console, an API or a person writes it, and refuses all else.
//!
//! An agent's transfer, and a caller who talks a generative agent into one, must reach no premium-rate number and put nothing
//! else into a document.

use std::fmt;

/// The longest text that we read, in characters.
const MAX_CHARS: usize = 255;

/// The fewest and the most digits of a number with its country code (ITU-T E.164).
const DIGITS: std::ops::RangeInclusive<usize> = 7..=15;

/// The most digits of an extension.
const MAX_EXTENSION_DIGITS: usize = 16;

/// The longest identity of a Twilio client, in characters.
const MAX_CLIENT_CHARS: usize = 121;

/// The prefixes of premium-rate numbers, by the numbering plans: international (+979), North America, France, Netherlands,
/// Belgium, Italy, Switzerland, Austria, United Kingdom, Denmark, Sweden, Norway, Poland, Germany, Brazil, Australia, Japan,
/// South Korea, Portugal, Spain, Finland. [`is_premium`] has those of North America's exchanges and of Ireland.
const PREMIUM: [&str; 37] = [
    "979", "1900", "3389", "31900", "31906", "31909", "3290", "39199", "39892", "39894", "39895", "39899", "41900",
    "41901", "41906", "43900", "43930", "43931", "43939", "449", "4590", "46900", "46939", "46944", "47829", "4870",
    "49137", "49900", "55900", "61190", "81990", "8260", "351760", "34803", "34806", "34807", "358700",
];

/// The other side of a `<Dial>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DialTarget {
    /// `+` and digits, or an address that begins with `sip:`, `sips:` or `client:`.
    pub address: String,
    /// The digits to press when a number has answered.
    pub extension: Option<String>,
}

/// Why a text cannot be dialled. Its sentence follows the name of the field, and never shows the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DialFault {
    /// It is empty.
    Empty,
    /// It is too long.
    TooLong,
    /// It has a character that no number has.
    Characters,
    /// It is a number without its country code.
    NoCountryCode,
    /// It is a number with too few or too many digits.
    Length,
    /// Its extension is no extension.
    Extension,
    /// It is a premium-rate number.
    Premium,
    /// It is no SIP address.
    Sip,
    /// It is no identity of a client.
    Client,
}

impl fmt::Display for DialFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "is empty: it must be a number such as +15550123, or an address with sip: or client:",
            Self::TooLong => "is longer than 255 characters",
            Self::Characters => {
                "has characters that no number has: write a number such as +15550123, or sip:, sips:, client:"
            }
            Self::NoCountryCode => "has no country code: write + and the country's code before the number",
            Self::Length => "does not have 7 to 15 digits with its country code",
            Self::Extension => "has an extension that is not 1 to 16 digits",
            Self::Premium => "is a premium-rate number, which the service does not dial",
            Self::Sip => "is no SIP address: write sip:USER@HOST",
            Self::Client => "is no identity of a Twilio client: letters, digits and _ . - @ + after client:",
        })
    }
}

impl std::error::Error for DialFault {}

impl DialTarget {
    /// Reads what is to be dialled.
    ///
    /// # Errors
    /// [`DialFault`] if Twilio could not dial it, or should not.
    pub fn parse(text: &str) -> Result<Self, DialFault> {
        if text.chars().count() > MAX_CHARS {
            return Err(DialFault::TooLong);
        }
        let text = plain(text);
        let text = in_brackets(text.trim());
        if text.is_empty() {
            return Err(DialFault::Empty);
        }
        let (scheme, rest) = text.split_once(':').map_or(("", text), |(scheme, rest)| (scheme.trim(), rest.trim()));
        match scheme.to_ascii_lowercase().as_str() {
            "sip" | "sips" => sip(&scheme.to_ascii_lowercase(), rest),
            "client" => client(rest),
            "tel" | "" => number(rest),
            _ => Err(DialFault::Characters),
        }
    }

    /// Whether it is a number, and not an address.
    #[must_use]
    pub fn is_number(&self) -> bool {
        self.address.starts_with('+')
    }
}

/// The text with ASCII in place of full-width signs and of the hyphens and spaces of typography, and without marks that are
/// not seen.
fn plain(text: &str) -> String {
    text.chars().filter_map(ascii_sign).collect()
}

/// The ASCII sign of a full-width one, or of a hyphen or space of typography. `None` for a mark that is not seen.
pub(crate) fn ascii_sign(c: char) -> Option<char> {
    match c {
        '\u{FF01}'..='\u{FF5E}' => char::from_u32(c as u32 - 0xFEE0),
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{30FC}' => Some('-'),
        '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{2069}' | '\u{FEFF}' => None,
        c if c.is_whitespace() && !c.is_control() => Some(' '),
        c => Some(c),
    }
}

/// Whether people write this sign between the digits of a number.
pub(crate) fn is_separator(sign: char) -> bool {
    matches!(sign, ' ' | '-' | '.' | '(' | ')' | '/')
}

/// The digits of a text that is a telephone number and nothing else, and whether a country code is at their beginning for
/// sure. `None` for other texts, and for too few or too many digits.
pub(crate) fn digits_of(text: &str) -> Option<(String, bool)> {
    // Four bytes are the longest character.
    if text.len() > 4 * MAX_CHARS {
        return None;
    }
    let text = plain(text);
    let text = in_brackets(text.trim());
    let rest = match text.split_once(':') {
        Some((scheme, rest)) if scheme.trim().eq_ignore_ascii_case("tel") => rest,
        _ => text,
    };
    let WrittenNumber { digits, is_international, .. } = WrittenNumber::parse(rest).ok()?;
    DIGITS.contains(&digits.len()).then_some((digits, is_international))
}

/// The address in `"Desk" <sip:desk@example.com>`.
fn in_brackets(text: &str) -> &str {
    let inner = text.strip_suffix('>').and_then(|text| text.rsplit_once('<'));
    inner.map_or(text, |(_, address)| address.trim())
}

fn sip(scheme: &str, rest: &str) -> Result<DialTarget, DialFault> {
    let is_sign =
        |c: char| c.is_ascii_graphic() && !matches!(c, '<' | '>' | '"' | '\'' | '\\' | '^' | '`' | '{' | '}' | '|');
    let (user, host) = rest.split_once('@').ok_or(DialFault::Sip)?;
    let name = host.split([';', '?']).next().unwrap_or_default();
    let is_host = name.chars().any(|c| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']'));
    if user.is_empty() || !is_host || host.contains('@') || !rest.chars().all(is_sign) {
        return Err(DialFault::Sip);
    }
    Ok(DialTarget { address: format!("{scheme}:{rest}"), extension: None })
}

fn client(identity: &str) -> Result<DialTarget, DialFault> {
    let is_sign = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | '@' | '+');
    let is_right = (1..=MAX_CLIENT_CHARS).contains(&identity.len()) && identity.chars().all(is_sign);
    if is_right {
        Ok(DialTarget { address: format!("client:{identity}"), extension: None })
    } else {
        Err(DialFault::Client)
    }
}

/// A number as it is written.
struct WrittenNumber {
    /// Without the sign or the zeros of a call abroad.
    digits: String,
    /// Whether it had them.
    is_international: bool,
    extension: Option<String>,
}

impl WrittenNumber {
    fn parse(text: &str) -> Result<Self, DialFault> {
        let (text, extension) = without_extension(text)?;
        // "+44 (0)20": the zero is dialled within the country only.
        let text = if text.trim_start().starts_with(['+', '0']) { text.replacen("(0)", "", 1) } else { text };
        let compact: String = text.chars().filter(|c| !is_separator(*c)).collect();
        let international = compact.strip_prefix('+').or_else(|| compact.strip_prefix("00"));
        let digits = international.unwrap_or(&compact);
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(DialFault::Characters);
        }
        Ok(Self { digits: digits.to_owned(), is_international: international.is_some(), extension })
    }
}

fn number(text: &str) -> Result<DialTarget, DialFault> {
    let WrittenNumber { digits, is_international, extension } = WrittenNumber::parse(text)?;
    if !is_international || digits.starts_with('0') {
        return Err(DialFault::NoCountryCode);
    }
    if !DIGITS.contains(&digits.len()) {
        return Err(DialFault::Length);
    }
    if is_premium(&digits) {
        return Err(DialFault::Premium);
    }
    Ok(DialTarget { address: format!("+{digits}"), extension })
}

fn is_premium(digits: &str) -> bool {
    // "+1 212 976 0100": 976 is an exchange, in any area.
    let is_exchange = digits.starts_with('1') && digits.get(4..7) == Some("976");
    // "+353 1520 123 456": a number of Dublin also begins with 3531, and is shorter.
    let is_irish = digits.starts_with("35315") && digits.len() == 13;
    is_exchange || is_irish || PREMIUM.iter().any(|start| digits.starts_with(start))
}

/// The number, and its extension: `;ext=12` (RFC 3966), `ext. 12`, `x12`, `#12`, `,12`. Reads `phone-context` as a country
/// code and ignores all other parameters of a `tel:` address.
fn without_extension(text: &str) -> Result<(String, Option<String>), DialFault> {
    let lower = text.to_ascii_lowercase();
    let mut parts = lower.split(';').map(str::trim);
    let first = parts.next().unwrap_or_default();
    let mut number = first.to_owned();
    let mut extension = None;
    for part in parts {
        match part.split_once('=') {
            Some(("ext", digits)) => extension = Some(digits.to_owned()),
            Some(("phone-context", context)) if context.starts_with('+') && !number.starts_with('+') => {
                number = format!("{context}{number}");
            }
            _ => {}
        }
    }
    if let Some(at) = number.find(['e', 'x', '#', ',']) {
        let digits = number[at..].trim_start_matches(|c: char| c.is_ascii_alphabetic());
        let word = &number[at..number.len() - digits.len()];
        if !matches!(word, "extension" | "extn" | "ext" | "x" | "") {
            return Err(DialFault::Characters);
        }
        let is_sign = |c: char| matches!(c, ' ' | '.' | ':' | '#' | ',' | '=');
        extension = Some(digits.trim_matches(is_sign).to_owned());
        number.truncate(at);
    }
    let extension = extension.map(|digits| digits.replace(['-', ' '], ""));
    let is_extension = |digits: &String| {
        (1..=MAX_EXTENSION_DIGITS).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit())
    };
    if extension.as_ref().is_some_and(|digits| !is_extension(digits)) {
        return Err(DialFault::Extension);
    }
    Ok((number, extension))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_read_as_a_console_an_api_or_a_person_writes_it() {
        for text in [
            "+15550100100",
            "+1 (555) 010-0100",
            " +1.555.010.0100 ",
            "+1/555/010/0100",
            "0015550100100",
            "tel:+1-555-010-0100",
            "TEL:+15550100100;phone-context=example.com",
            "tel:5550100100;phone-context=+1",
            "\u{202A}+1\u{2011}555\u{A0}010\u{2013}0100\u{202C}",
            "\u{FF0B}\u{FF11}\u{FF15}\u{FF15}\u{FF15}\u{FF10}\u{FF11}\u{FF10}\u{FF10}\u{FF11}\u{FF10}\u{FF10}",
            "\"The desk\" <tel:+15550100100>",
        ] {
            let target = DialTarget { address: "+15550100100".to_owned(), extension: None };
            assert_eq!(DialTarget::parse(text), Ok(target), "{text}");
        }
        let german = DialTarget::parse("0049 (0)30 1234567").unwrap();
        assert_eq!((german.address.as_str(), german.is_number()), ("+49301234567", true));
    }

    #[test]
    fn an_extension_is_kept_apart_from_its_number() {
        for text in [
            "tel:+15550100100;ext=12",
            "+1 555 010 0100 ext. 12",
            "+1 555 010 0100 Extension 12",
            "+15550100100x12",
            "+15550100100#12",
            "+15550100100,,12",
        ] {
            let target = DialTarget { address: "+15550100100".to_owned(), extension: Some("12".to_owned()) };
            assert_eq!(DialTarget::parse(text), Ok(target), "{text}");
        }
    }

    #[test]
    fn an_address_is_read_in_any_case_of_its_scheme() {
        for (text, address) in [
            ("sip:desk@example.com", "sip:desk@example.com"),
            (
                "SIPS:Desk@example.com:5061;transport=tls?X-Shop=north",
                "sips:Desk@example.com:5061;transport=tls?X-Shop=north",
            ),
            ("Desk <sip:desk@[2001:db8::1]>", "sip:desk@[2001:db8::1]"),
            ("client:alice", "client:alice"),
            ("Client: bob_1", "client:bob_1"),
        ] {
            let target = DialTarget::parse(text).unwrap();
            assert_eq!((target.address.as_str(), target.is_number()), (address, false));
        }
    }

    #[test]
    fn each_premium_number_is_refused_and_its_neighbours_are_not() {
        let refused = |digits: &str| DialTarget::parse(&format!("+{digits}")) == Err(DialFault::Premium);
        for start in PREMIUM {
            assert!(refused(&format!("{start:0<12}")), "{start}");
        }
        for (premium, other) in [
            ("12129760100", "12125760100"),
            ("3531520123456", "35315201234"),
            ("3531599123456", "35315991234"),
            ("19005550100", "19015550100"),
            ("449098790000", "442079460000"),
        ] {
            assert!(refused(premium) && !refused(other), "{premium}, {other}");
        }
    }

    #[test]
    fn all_else_is_refused_with_the_reason_and_without_the_text() {
        for (text, fault) in [
            ("", DialFault::Empty),
            ("  \u{200B} ", DialFault::Empty),
            ("the desk", DialFault::Characters),
            ("+1555010010o", DialFault::Characters),
            ("+1-800-FLOWERS", DialFault::Characters),
            ("+1555\n0100", DialFault::Characters),
            ("12", DialFault::NoCountryCode),
            ("(555) 010-0100", DialFault::NoCountryCode),
            ("030 1234567", DialFault::NoCountryCode),
            ("+0301234567", DialFault::NoCountryCode),
            ("+911", DialFault::Length),
            ("+1555010010055501", DialFault::Length),
            ("+1 900 555 0100", DialFault::Premium),
            ("0044 909 8790000", DialFault::Premium),
            ("+979 1 2345678", DialFault::Premium),
            ("+15550100100;ext=", DialFault::Extension),
            ("+15550100100 ext twelve", DialFault::Extension),
            ("sip:desk", DialFault::Sip),
            ("sip:@example.com", DialFault::Sip),
            ("sip:a b@c", DialFault::Sip),
            ("sip:a@b<c", DialFault::Sip),
            ("client:", DialFault::Client),
            ("client:a b", DialFault::Client),
            ("https://example.com", DialFault::Characters),
        ] {
            assert_eq!(DialTarget::parse(text), Err(fault), "{text}");
            assert!(text.len() < 4 || text == "client:" || !fault.to_string().contains(text), "{text}");
        }
        assert_eq!(DialTarget::parse(&"1".repeat(256)), Err(DialFault::TooLong));
    }
}
