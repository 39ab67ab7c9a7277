//! Reading one value: what is given as text becomes what it means, or an error that says what it should have been.

use std::fmt::{self, Display};
use std::ops::RangeInclusive;
use std::str::FromStr;

use http::Uri;

use super::SettingError;

/// The longest name of an event, in bytes.
const MOST_EVENT_BYTES: usize = 100;

/// The longest language tag, in bytes.
const MOST_LANGUAGE_BYTES: usize = 35;

/// How much of a value is shown, in characters.
const MOST_SHOWN_CHARS: usize = 80;

/// The longest name of a session parameter, in bytes.
const MOST_NAME_BYTES: usize = 100;

/// A value for a line that is to stay one: in quotes, and no more of it than a person wants to read.
pub(super) struct Shown<'a>(pub(super) &'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.char_indices().nth(MOST_SHOWN_CHARS) {
            Some((end, _)) => write!(f, "\"{}…\"", &self.0[..end]),
            None => write!(f, "\"{}\"", self.0),
        }
    }
}

/// A setting that was given; an empty one counts as not given.
pub(super) fn set(value: &Option<String>) -> Option<&str> {
    value.as_deref().map(str::trim).filter(|value| !value.is_empty())
}

/// [`set`], as a text of its own.
pub(super) fn text(value: &Option<String>) -> Option<String> {
    set(value).map(ToOwned::to_owned)
}

/// The items between the commas.
pub(super) fn list(value: Option<&str>) -> Vec<String> {
    let items = value.unwrap_or_default().split(',').map(str::trim);
    items.filter(|item| !item.is_empty()).map(ToOwned::to_owned).collect()
}

/// That `name` is needed where `beside` is set.
pub(super) fn missing(name: &'static str, beside: &str, example: &'static str) -> SettingError {
    SettingError::new(name, format!("is not set, but {beside} is"), example)
}

/// A whole number.
pub(super) fn number<T: TryFrom<u64>>(
    name: &'static str,
    value: Option<&str>,
    default: T,
    range: RangeInclusive<u64>,
    example: &'static str,
) -> Result<T, SettingError> {
    let Some(value) = value else { return Ok(default) };
    let number = value.parse().ok().filter(|number| range.contains(number)).and_then(|number| T::try_from(number).ok());
    number.ok_or_else(|| out_of(name, value, &range, example))
}

/// A number, with a fraction or without.
pub(super) fn decimal(
    name: &'static str,
    value: Option<&str>,
    range: RangeInclusive<f64>,
    example: &'static str,
) -> Result<Option<f64>, SettingError> {
    let Some(value) = value else { return Ok(None) };
    let number = f64::from_str(value).ok().filter(|number| range.contains(number));
    number.map(Some).ok_or_else(|| out_of(name, value, &range, example))
}

fn out_of<T: Display>(
    name: &'static str,
    value: &str,
    range: &RangeInclusive<T>,
    example: &'static str,
) -> SettingError {
    let fault = format!("is {}; it must be a number from {} to {}", Shown(value), range.start(), range.end());
    SettingError::new(name, fault, example)
}

/// `true` or `false`.
pub(super) fn boolean(name: &'static str, value: Option<&str>, default: bool) -> Result<bool, SettingError> {
    match value.map(str::trim) {
        None | Some("") => Ok(default),
        Some("true" | "1") => Ok(true),
        Some("false" | "0") => Ok(false),
        Some(other) => Err(SettingError::new(name, format!("is {}; it must be true or false", Shown(other)), "true")),
    }
}

/// One of some words.
pub(super) fn choice<T: Copy>(
    name: &'static str,
    value: Option<&str>,
    choices: &[(&'static str, T)],
) -> Result<Option<T>, SettingError> {
    let Some(value) = value else { return Ok(None) };
    if let Some((_, chosen)) = choices.iter().find(|(word, _)| *word == value) {
        return Ok(Some(*chosen));
    }
    let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
    let (last, others) = words.split_last().map_or(("", &[][..]), |(last, others)| (*last, others));
    let fault = format!("is {}; it can be {} or {last}", Shown(value), others.join(", "));
    Err(SettingError::new(name, fault, last))
}

/// A URL with `http` or `https`.
pub(super) fn url(name: &'static str, value: Option<&str>) -> Result<Option<String>, SettingError> {
    let Some(value) = value else { return Ok(None) };
    let uri: Option<Uri> = value.split('#').next().unwrap_or_default().parse().ok();
    let is_http = uri.as_ref().is_some_and(|uri| matches!(uri.scheme_str(), Some("http" | "https")));
    if !is_http || uri.and_then(|uri| uri.host().map(str::is_empty)) != Some(false) || value.len() > 2_000 {
        let fault = format!("is {}; it must be a URL with http or https", Shown(value));
        return Err(SettingError::new(name, fault, "https://example.com/next"));
    }
    Ok(Some(value.to_owned()))
}

/// The URL of an API, which paths follow.
pub(super) fn base_url(
    name: &'static str,
    value: Option<&str>,
    example: &'static str,
) -> Result<Option<String>, SettingError> {
    let wrong = || {
        let fault =
            format!("is {}; it must be a URL with http or https, without a query", Shown(value.unwrap_or_default()));
        SettingError::new(name, fault, example)
    };
    let url = url(name, value).map_err(|_| wrong())?;
    if url.as_ref().is_some_and(|url| url.contains(['?', '#'])) {
        return Err(wrong());
    }
    Ok(url.map(|url| url.trim_end_matches('/').to_owned()))
}

/// Whether it has the form of a language tag (RFC 5646: letters, digits and hyphens).
pub(crate) fn is_language_tag(tag: &str) -> bool {
    let is_part = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric());
    tag.len() <= MOST_LANGUAGE_BYTES && tag.split('-').all(is_part)
}

/// Whether it can be the name of an event.
pub(crate) fn is_event_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= MOST_EVENT_BYTES && !name.chars().any(char::is_control)
}

/// The name of an event.
pub(super) fn event(name: &'static str, value: Option<&str>) -> Result<Option<String>, SettingError> {
    let Some(value) = value else { return Ok(None) };
    if !is_event_name(value) {
        let fault = format!("is no event's name of at most {MOST_EVENT_BYTES} bytes");
        return Err(SettingError::new(name, fault, "NO_ANSWER"));
    }
    Ok(Some(value.to_owned()))
}

/// Whether it can be the name of a session parameter.
pub(super) fn is_parameter_name(name: &str) -> bool {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    !name.is_empty() && name.len() <= MOST_NAME_BYTES && name.bytes().all(is_plain)
}
