//! TwiML: the few verbs with which this service answers, written as XML. By hand: a library for XML would replace the
//! escaping, which is fifteen lines, and core depends on little.
//!
//! Source: <https://www.twilio.com/docs/voice/twiml>.

/// Placeholder for the URL of `<Dial action>`, where the call comes back to if nobody answered. Only the driver knows
/// this URL. It is a secret of the call, so the driver puts it into the document at the end.
pub const DIAL_ACTION: &str = "dialbridge:dial-ended";

/// Replaces [`DIAL_ACTION`] in a document with the driver's URL.
#[must_use]
pub fn with_dial_action(document: &str, url: &str) -> String {
    let mut escaped = String::new();
    escape(url, &mut escaped);
    document.replace(DIAL_ACTION, &escaped)
}

/// A verb of a TwiML document.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verb {
    /// `<Connect action><Stream url>`: streams the call to a WebSocket until that closes, then requests `action`.
    ConnectStream {
        /// `<Connect action>`: absolute URL, requested by POST.
        action: String,
        /// `<Stream url>`: `wss://`, without a query, which Twilio does not support there.
        url: String,
        /// `<Stream statusCallback>`: absolute URL. Twilio reports by POST that the stream has started, stopped or
        /// failed.
        status_callback: Option<String>,
        /// `<Parameter>`s. Name and value of each must be under 500 characters together.
        parameters: Vec<(String, String)>,
    },
    /// `<Redirect>`: goes on with the document at that URL, requested by POST.
    Redirect {
        /// Absolute URL.
        url: String,
    },
    /// `<Dial>`.
    Dial(Dial),
    /// `<Enqueue workflowSid><Task>`, or `<Enqueue>` with a queue's name.
    Enqueue {
        /// A TaskRouter workflow.
        workflow_sid: Option<String>,
        /// The task's attributes as JSON, or the queue's name.
        content: String,
    },
    /// `<Say>`.
    Say(Say),
    /// `<Hangup>`.
    Hangup,
}

/// `<Dial>` with a `<Number>`, a `<Sip>` or a `<Client>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dial {
    /// E.164 number, a SIP address, or `client:` and an identity.
    pub to: String,
    /// `<Number sendDigits>`: the digits to press when the number has answered.
    pub extension: Option<String>,
    /// `callerId`.
    pub caller_id: Option<String>,
    /// `timeout`: how long to ring, in seconds.
    pub timeout_s: u32,
    /// `answerOnBridge`: the caller hears ringing until the other side answers.
    pub answer_on_bridge: bool,
    /// `action`: requested by POST when the call is over.
    pub action: String,
}

/// `<Say>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Say {
    /// The text to say.
    pub text: String,
    /// `language`, one that Twilio speaks. `None`: the account's own.
    pub language: Option<String>,
    /// `voice`. `None`: Twilio's own for the language.
    pub voice: Option<String>,
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
        Verb::ConnectStream { action, url, status_callback, parameters } => {
            tag("Connect", &[("action", action), ("method", "POST")], xml);
            let mut attributes = vec![("url", url.as_str())];
            attributes.extend(status_callback.as_deref().map(|callback| ("statusCallback", callback)));
            tag("Stream", &attributes, xml);
            for (name, value) in parameters {
                tag("Parameter", &[("name", name), ("value", value)], xml);
                xml.push_str("</Parameter>");
            }
            xml.push_str("</Stream></Connect>");
        }
        Verb::Redirect { url } => element("Redirect", &[("method", "POST")], url, xml),
        Verb::Dial(dial) => write_dial(dial, xml),
        Verb::Enqueue { workflow_sid: Some(workflow), content } => {
            tag("Enqueue", &[("workflowSid", workflow)], xml);
            element("Task", &[], content, xml);
            xml.push_str("</Enqueue>");
        }
        Verb::Enqueue { workflow_sid: None, content } => element("Enqueue", &[], content, xml),
        Verb::Say(Say { text, language, voice }) => {
            let voice = voice.as_deref().map(|voice| ("voice", voice));
            let language = language.as_deref().map(|language| ("language", language));
            element("Say", &voice.into_iter().chain(language).collect::<Vec<_>>(), text, xml);
        }
        Verb::Hangup => xml.push_str("<Hangup/>"),
    }
}

fn write_dial(dial: &Dial, xml: &mut String) {
    let timeout = dial.timeout_s.to_string();
    let mut attributes = vec![("action", dial.action.as_str()), ("method", "POST"), ("timeout", &timeout)];
    if dial.answer_on_bridge {
        attributes.push(("answerOnBridge", "true"));
    }
    if let Some(caller_id) = &dial.caller_id {
        attributes.push(("callerId", caller_id));
    }
    tag("Dial", &attributes, xml);
    match (dial.to.strip_prefix("client:"), &dial.extension) {
        (Some(identity), _) => element("Client", &[], identity, xml),
        (None, _) if dial.to.starts_with("sip") => element("Sip", &[], &dial.to, xml),
        // `w` waits half a second.
        (None, Some(digits)) => element("Number", &[("sendDigits", &format!("ww{digits}"))], &dial.to, xml),
        (None, None) => element("Number", &[], &dial.to, xml),
    }
    xml.push_str("</Dial>");
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

/// Escapes text for an element or an attribute. Leaves out characters that XML 1.0 cannot hold (section 2.2: most
/// control characters). A line break in an attribute keeps its meaning.
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
            status_callback: Some("https://h/stream-status".to_owned()),
            parameters: vec![("from".to_owned(), "+15550100".to_owned())],
        };
        let body = r#"<Connect action="https://example.com/connect-ended?s=abc" method="POST"><Stream url="wss://example.com/media/t.1" statusCallback="https://h/stream-status"><Parameter name="from" value="+15550100"></Parameter></Stream></Connect><Hangup/>"#;
        assert_eq!(
            document(&[verb, Verb::Hangup]),
            format!(r#"<?xml version="1.0" encoding="UTF-8"?><Response>{body}</Response>"#)
        );
    }

    #[test]
    fn a_number_or_a_sip_address_is_dialled() {
        let dial = Dial {
            to: "+15550123".to_owned(),
            extension: None,
            caller_id: Some("+15550199".to_owned()),
            timeout_s: 20,
            answer_on_bridge: true,
            action: DIAL_ACTION.to_owned(),
        };
        let xml = document(&[Verb::Dial(dial.clone())]);
        let body = r#"<Dial action="dialbridge:dial-ended" method="POST" timeout="20" answerOnBridge="true" callerId="+15550199"><Number>+15550123</Number></Dial>"#;
        assert!(xml.ends_with(&format!("<Response>{body}</Response>")), "{xml}");
        let given = with_dial_action(&xml, "https://e.com/dial-ended?s=a&b=1");
        assert!(given.contains(r#"<Dial action="https://e.com/dial-ended?s=a&amp;b=1" method"#), "{given}");
        let extended = document(&[Verb::Dial(Dial { extension: Some("12".to_owned()), ..dial.clone() })]);
        assert!(extended.contains(r#"><Number sendDigits="ww12">+15550123</Number></Dial>"#), "{extended}");
        let client = document(&[Verb::Dial(Dial { to: "client:alice".to_owned(), ..dial.clone() })]);
        assert!(client.contains("><Client>alice</Client></Dial>"), "{client}");
        let sip = Dial { to: "sip:desk@e.com".to_owned(), caller_id: None, answer_on_bridge: false, ..dial };
        assert!(document(&[Verb::Dial(sip)]).contains(r#" timeout="20"><Sip>sip:desk@e.com</Sip>"#));
    }

    #[test]
    fn a_task_or_a_queue_is_joined() {
        let task = Verb::Enqueue { workflow_sid: Some("WW1".to_owned()), content: r#"{"a":"<b>"}"#.to_owned() };
        let body = r#"<Enqueue workflowSid="WW1"><Task>{&quot;a&quot;:&quot;&lt;b&gt;&quot;}</Task></Enqueue>"#;
        assert!(document(&[task]).contains(body));
        let queue = Verb::Enqueue { workflow_sid: None, content: "support".to_owned() };
        assert!(document(&[queue]).contains("<Enqueue>support</Enqueue>"));
    }

    #[test]
    fn a_callers_text_cannot_become_a_verb() {
        let text = "</Say><Dial>+1</Dial>&\"'\u{0}\u{7}x\n".to_owned();
        let xml = document(&[Verb::Say(Say { text, language: None, voice: None })]);
        let said = "&lt;/Say&gt;&lt;Dial&gt;+1&lt;/Dial&gt;&amp;&quot;&apos;x&#10;";
        assert!(xml.ends_with(&format!("<Response><Say>{said}</Say></Response>")), "{xml}");
    }
}
