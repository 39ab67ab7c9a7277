//! What a log shows of a text that others wrote.

/// What people write between the digits of a number.
const BETWEEN_DIGITS: [char; 5] = [' ', '-', '.', '(', ')'];

/// The text with `…` in place of each number of at least so many digits.
pub(super) fn without_numbers(text: &str, min_digits: usize) -> String {
    let (mut shown, mut rest) = (String::new(), text);
    while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, from_digit) = rest.split_at(at);
        let is_part = |c: char| c.is_ascii_digit() || BETWEEN_DIGITS.contains(&c);
        let end = from_digit.find(|c| !is_part(c)).unwrap_or(from_digit.len());
        let number = from_digit[..end].trim_end_matches(BETWEEN_DIGITS);
        let digits = number.bytes().filter(u8::is_ascii_digit).count();
        shown.push_str(before);
        shown.push_str(if digits < min_digits { number } else { "…" });
        rest = &from_digit[number.len()..];
    }
    shown + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_not_shown_however_it_is_written() {
        for (text, shown) in [
            ("13224: +15550100100 is not a valid phone number", "13224: +… is not a valid phone number"),
            ("+1 (555) 010-0100 is not valid", "+… is not valid"),
            ("to 555.010.0100, code 13224.", "to …, code 13224."),
            ("15550100100", "…"),
            ("1 (2) ", "1 (2) "),
            ("ä 123456 ü", "ä … ü"),
            ("", ""),
        ] {
            assert_eq!(without_numbers(text, 6), shown);
        }
        assert_eq!(without_numbers("/v2/a123/1 234", 4), "/v2/a123/…");
    }
}
