//! TwiML: the few verbs that this service answers with, written as XML.
//!
//! Source: <https://www.twilio.com/docs/voice/twiml>.

/// A verb of a TwiML document.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verb {
    /// `<Connect action><Stream url>`: streams the call to a WebSocket until that closes, then asks `action`.
    ConnectStream {
        /// `<Connect action>`: absolute URL, asked by POST.
        action: String,
        /// `<Stream url>`: `wss://`, without a query, which Twilio does not support there.
        url: String,
        /// `<Parameter>`s: each pair under 500 characters together.
        parameters: Vec<(String, String)>,
    },
    /// `<Redirect>`: goes on with the document at that URL, asked by POST.
    Redirect {
        /// Absolute URL.
        url: String,
    },
    /// `<Dial>` with a number.
    Dial {
        /// E.164 number.
        number: String,
    },
    /// `<Say>`.
    Say {
        /// What is said.
        text: String,
    },
    /// `<Hangup>`.
    Hangup,
}

/// Writes a whole document.
#[must_use]
pub fn document(verbs: &[Verb]) -> String {
    let mut xml = String::from(r#"<?xml version="1.0" encoding="UTF-8"?><Response>"#);
    for verb in verbs {
        write_verb(verb, &mut xml);
    }
    xml.push_str("</Response>");
    xml
}

fn write_verb(verb: &Verb, xml: &mut String) {
    match verb {
        Verb::ConnectStream { action, url, parameters } => {
            tag("Connect", &[("action", action), ("method", "POST")], xml);
            tag("Stream", &[("url", url)], xml);
            for (name, value) in parameters {
                tag("Parameter", &[("name", name), ("value", value)], xml);
                xml.push_str("</Parameter>");
            }
            xml.push_str("</Stream></Connect>");
        }
        Verb::Redirect { url } => element("Redirect", &[("method", "POST")], url, xml),
        Verb::Dial { number } => element("Dial", &[], number, xml),
        Verb::Say { text } => element("Say", &[], text, xml),
        Verb::Hangup => xml.push_str("<Hangup/>"),
    }
}

fn element(name: &str, attributes: &[(&str, &str)], text: &str, xml: &mut String) {
    tag(name, attributes, xml);
    escape(text, xml);
    xml.push_str("</");
    xml.push_str(name);
    xml.push('>');
}

fn tag(name: &str, attributes: &[(&str, &str)], xml: &mut String) {
    xml.push('<');
    xml.push_str(name);
    for (name, value) in attributes {
        xml.push(' ');
        xml.push_str(name);
        xml.push_str("=\"");
        escape(value, xml);
        xml.push('"');
    }
    xml.push('>');
}

/// Writes text so that it can stand in an element or in an attribute. Characters that XML 1.0 cannot hold at all
/// (section 2.2: most control characters) are left out; a line break in an attribute keeps its meaning.
fn escape(text: &str, xml: &mut String) {
    for c in text.chars() {
        match c {
            '&' => xml.push_str("&amp;"),
            '<' => xml.push_str("&lt;"),
            '>' => xml.push_str("&gt;"),
            '"' => xml.push_str("&quot;"),
            '\'' => xml.push_str("&apos;"),
            '\n' => xml.push_str("&#10;"),
            '\r' => xml.push_str("&#13;"),
            '\t' => xml.push_str("&#9;"),
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => {}
            other => xml.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_connected_with_its_parameters_and_an_action() {
        let verb = Verb::ConnectStream {
            action: "https://example.com/connect-ended?s=abc".to_owned(),
            url: "wss://example.com/media/t.1".to_owned(),
            parameters: vec![("from".to_owned(), "+15550100".to_owned())],
        };
        let body = r#"<Connect action="https://example.com/connect-ended?s=abc" method="POST"><Stream url="wss://example.com/media/t.1"><Parameter name="from" value="+15550100"></Parameter></Stream></Connect><Hangup/>"#;
        assert_eq!(
            document(&[verb, Verb::Hangup]),
            format!(r#"<?xml version="1.0" encoding="UTF-8"?><Response>{body}</Response>"#)
        );
    }

    #[test]
    fn a_callers_text_cannot_become_a_verb() {
        let xml = document(&[Verb::Say { text: "</Say><Dial>+1</Dial>&\"'\u{0}\u{7}x\n".to_owned() }]);
        let said = "&lt;/Say&gt;&lt;Dial&gt;+1&lt;/Dial&gt;&amp;&quot;&apos;x&#10;";
        assert!(xml.ends_with(&format!("<Response><Say>{said}</Say></Response>")), "{xml}");
    }
}
