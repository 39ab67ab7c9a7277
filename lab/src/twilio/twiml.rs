//! TwiML, read as Twilio reads it.

use roxmltree::{Document, Node};

/// Twilio's bound for a document, in bytes (error 11750 beyond it).
pub const MAX_BYTES: usize = 64 * 1024;

/// A verb that the lab plays.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verb {
    /// `<Connect><Stream>`.
    ConnectStream {
        /// `<Connect action>`.
        action: Option<String>,
        /// `<Stream url>`.
        url: String,
        /// `<Stream statusCallback>`.
        status_callback: Option<String>,
        /// `<Parameter>`s.
        parameters: Vec<(String, String)>,
    },
    /// `<Redirect>`.
    Redirect {
        /// Where to.
        url: String,
    },
    /// `<Say>`.
    Say {
        /// The text.
        text: String,
    },
    /// `<Pause>`.
    Pause {
        /// Seconds.
        seconds: u64,
    },
    /// `<Dial>`.
    Dial {
        /// Number or SIP address.
        to: String,
        /// `action`.
        action: Option<String>,
    },
    /// `<Hangup>`.
    Hangup,
    /// A verb that the lab knows by name only.
    Other {
        /// Its name.
        name: String,
    },
}

impl Verb {
    /// The verb's name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::ConnectStream { .. } => "Connect",
            Self::Redirect { .. } => "Redirect",
            Self::Say { .. } => "Say",
            Self::Pause { .. } => "Pause",
            Self::Dial { .. } => "Dial",
            Self::Hangup => "Hangup",
            Self::Other { name } => name,
        }
    }
}

/// Reads a document.
///
/// # Errors
/// With a sentence that says what Twilio would refuse, and its error code.
pub fn parse(xml: &str) -> Result<Vec<Verb>, String> {
    if xml.len() > MAX_BYTES {
        return Err(format!("11750: the document has {} bytes", xml.len()));
    }
    let document = Document::parse(xml).map_err(|error| format!("12100: no XML: {error}"))?;
    let root = document.root_element();
    if root.tag_name().name() != "Response" {
        return Err(format!("12200: the root is <{}>, not <Response>", root.tag_name().name()));
    }
    root.children().filter(Node::is_element).map(verb).collect()
}

fn verb(node: Node<'_, '_>) -> Result<Verb, String> {
    let attribute = |name| node.attribute(name).map(ToOwned::to_owned);
    let text = || node.text().unwrap_or_default().trim().to_owned();
    Ok(match node.tag_name().name() {
        "Connect" => connect(node)?,
        "Redirect" => Verb::Redirect { url: text() },
        "Say" => Verb::Say { text: text() },
        "Pause" => Verb::Pause { seconds: attribute("length").and_then(|n| n.parse().ok()).unwrap_or(1) },
        "Dial" => Verb::Dial { to: dialled(node), action: attribute("action") },
        "Hangup" => Verb::Hangup,
        other => Verb::Other { name: other.to_owned() },
    })
}

fn connect(node: Node<'_, '_>) -> Result<Verb, String> {
    let stream = node.children().find(|child| child.has_tag_name("Stream"));
    let stream = stream.ok_or("the lab knows <Connect> with <Stream> only")?;
    let url = stream.attribute("url").ok_or("31923: <Stream> has no url")?;
    if !url.starts_with("wss://") && !url.starts_with("ws://") {
        return Err(format!("31922: the scheme of {url} is not wss"));
    }
    if url.contains('?') {
        return Err("<Stream url> does not take a query".to_owned());
    }
    let mut parameters = Vec::new();
    for parameter in stream.children().filter(|child| child.has_tag_name("Parameter")) {
        let part = |name| parameter.attribute(name).unwrap_or_default().to_owned();
        let (name, value) = (part("name"), part("value"));
        if name.len() + value.len() >= 500 {
            return Err(format!("<Parameter> {name} is not under 500 characters"));
        }
        parameters.push((name, value));
    }
    Ok(Verb::ConnectStream {
        action: node.attribute("action").map(ToOwned::to_owned),
        url: url.to_owned(),
        status_callback: stream.attribute("statusCallback").map(ToOwned::to_owned),
        parameters,
    })
}

fn dialled(node: Node<'_, '_>) -> String {
    let child = node.children().find(Node::is_element).and_then(|child| child.text());
    child.or(node.text()).unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_a_row_of_verbs() {
        let xml = r#"<?xml version="1.0"?><Response><Connect action="https://e.com/a?s=1"><Stream url="wss://e.com/m">
            <Parameter name="from" value="&lt;x&gt;"/></Stream></Connect><Say>Sorry.</Say><Hangup/></Response>"#;
        let verbs = parse(xml).unwrap();
        assert_eq!(verbs.iter().map(Verb::name).collect::<Vec<_>>(), ["Connect", "Say", "Hangup"]);
        let Verb::ConnectStream { parameters, action, .. } = &verbs[0] else { panic!() };
        assert_eq!(parameters[0], ("from".to_owned(), "<x>".to_owned()));
        assert_eq!(action.as_deref(), Some("https://e.com/a?s=1"));
    }

    #[test]
    fn what_twilio_refuses_is_refused() {
        let error = |body: &str| parse(&format!("<Response>{body}</Response>")).unwrap_err();
        assert!(parse("nonsense").unwrap_err().starts_with("12100"));
        assert!(parse("<Answer/>").unwrap_err().starts_with("12200"));
        assert!(error(r#"<Connect><Stream url="https://e.com"/></Connect>"#).starts_with("31922"));
        assert!(error(r#"<Connect><Stream url="wss://e.com/?a=1"/></Connect>"#).contains("query"));
        let long = "x".repeat(500);
        let body = format!(r#"<Connect><Stream url="wss://e"><Parameter name="a" value="{long}"/></Stream></Connect>"#);
        assert!(error(&body).contains("500"));
        assert!(error(&"<Say/>".repeat(20_000)).starts_with("11750"));
    }
}
