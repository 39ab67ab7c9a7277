//! TwiML, read as Twilio reads it.

use roxmltree::{Document, Node};

/// Twilio's limit for a document, in bytes (beyond it: error 11750).
pub const MAX_BYTES: usize = 64 * 1024;

/// A verb that the lab plays.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verb {
    /// `<Connect><Stream>`.
    ConnectStream {
        /// `<Connect action>`.
        action: Option<String>,
        /// `<Stream>`.
        stream: Stream,
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
    Dial(Dial),
    /// `<Enqueue>`.
    Enqueue(Enqueue),
    /// `<Hangup>`.
    Hangup,
    /// A verb of which the lab knows only the name.
    Other {
        /// Its name.
        name: String,
    },
}

/// `<Stream>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream {
    /// `url`.
    pub url: String,
    /// `statusCallback`.
    pub status_callback: Option<String>,
    /// `<Parameter>`s.
    pub parameters: Vec<(String, String)>,
}

/// `<Dial>` with a number or a SIP address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dial {
    /// A number, a SIP address, or `client:` and an identity.
    pub to: String,
    /// `callerId`.
    pub caller_id: Option<String>,
    /// `timeout`, in seconds.
    pub timeout_s: u64,
    /// `action`.
    pub action: Option<String>,
}

/// `<Enqueue>` with a queue's name, or with a task for a workflow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enqueue {
    /// `workflowSid`.
    pub workflow_sid: Option<String>,
    /// The queue's name, if there is no workflow.
    pub queue: Option<String>,
    /// The content of `<Task>`: JSON.
    pub attributes: String,
    /// `action`.
    pub action: Option<String>,
}

/// The default ringing time of a `<Dial>`, in seconds.
const DIAL_TIMEOUT_S: u64 = 30;

/// The longest name of a queue, in characters.
const QUEUE_CHARS: usize = 64;

impl Verb {
    /// The verb's name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::ConnectStream { .. } => "Connect",
            Self::Redirect { .. } => "Redirect",
            Self::Say { .. } => "Say",
            Self::Pause { .. } => "Pause",
            Self::Dial(_) => "Dial",
            Self::Enqueue(_) => "Enqueue",
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
        "Dial" => dial(node)?,
        "Enqueue" => enqueue(node)?,
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
        if name.encode_utf16().count() + value.encode_utf16().count() >= 500 {
            return Err(format!("<Parameter> {name} is not under 500 characters"));
        }
        parameters.push((name, value));
    }
    let status_callback = stream.attribute("statusCallback").map(ToOwned::to_owned);
    Ok(Verb::ConnectStream {
        action: node.attribute("action").map(ToOwned::to_owned),
        stream: Stream { url: url.to_owned(), status_callback, parameters },
    })
}

fn dial(node: Node<'_, '_>) -> Result<Verb, String> {
    let attribute = |name| node.attribute(name).map(ToOwned::to_owned);
    let noun = node.children().find(Node::is_element);
    let to = noun.and_then(|noun| noun.text()).or(node.text()).unwrap_or_default().trim().to_owned();
    let is_sip = noun.is_some_and(|noun| noun.has_tag_name("Sip"));
    let is_client = noun.is_some_and(|noun| noun.has_tag_name("Client"));
    let is_known = noun.is_none_or(|noun| noun.has_tag_name("Number")) || is_sip || is_client;
    if !is_known {
        return Err("the lab dials a <Number>, a <Sip> or a <Client> only".to_owned());
    }
    let to = if is_client { format!("client:{to}") } else { to };
    if is_sip != (to.starts_with("sip:") || to.starts_with("sips:")) {
        return Err(format!("\"{to}\" is not what its noun says"));
    }
    let timeout_s = match node.attribute("timeout") {
        None => DIAL_TIMEOUT_S,
        Some(timeout) => timeout.parse().ok().filter(|seconds| *seconds > 0).ok_or("13212: a wrong timeout")?,
    };
    Ok(Verb::Dial(Dial { to, caller_id: attribute("callerId"), timeout_s, action: attribute("action") }))
}

fn enqueue(node: Node<'_, '_>) -> Result<Verb, String> {
    let attribute = |name| node.attribute(name).map(ToOwned::to_owned);
    let workflow_sid = attribute("workflowSid");
    let task = node.children().find(|child| child.has_tag_name("Task"));
    let attributes = task.and_then(|task| task.text()).unwrap_or_default().trim().to_owned();
    let name = node.text().unwrap_or_default().trim().to_owned();
    if workflow_sid.is_some() && serde_json::from_str::<serde_json::Map<_, serde_json::Value>>(&attributes).is_err() {
        return Err("<Task> holds no JSON object".to_owned());
    }
    let queue = workflow_sid.is_none().then_some(name);
    if queue.as_ref().is_some_and(|name| name.is_empty() || name.chars().count() > QUEUE_CHARS) {
        return Err(format!("the name of a queue has 1 to {QUEUE_CHARS} characters"));
    }
    Ok(Verb::Enqueue(Enqueue { workflow_sid, queue, attributes, action: attribute("action") }))
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
        let Verb::ConnectStream { stream: Stream { parameters, .. }, action } = &verbs[0] else { panic!() };
        assert_eq!(parameters[0], ("from".to_owned(), "<x>".to_owned()));
        assert_eq!(action.as_deref(), Some("https://e.com/a?s=1"));
    }

    #[test]
    fn a_number_a_sip_address_and_a_queue_are_read() {
        let one = |body: &str| parse(&format!("<Response>{body}</Response>")).unwrap().remove(0);
        let dial = Dial { to: "+15550123".to_owned(), caller_id: None, timeout_s: 30, action: None };
        assert_eq!(one("<Dial>+15550123</Dial>"), Verb::Dial(dial.clone()));
        let sip = r#"<Dial action="a" timeout="5" callerId="+15550199"><Sip>sip:desk@e.com</Sip></Dial>"#;
        let expected = Dial {
            to: "sip:desk@e.com".to_owned(),
            caller_id: Some("+15550199".to_owned()),
            timeout_s: 5,
            action: Some("a".to_owned()),
        };
        assert_eq!(one(sip), Verb::Dial(expected));
        let task = one(r#"<Enqueue workflowSid="WW1"><Task>{"skill":"cakes"}</Task></Enqueue>"#);
        let Verb::Enqueue(task) = task else { panic!() };
        assert_eq!((task.workflow_sid.as_deref(), task.attributes.as_str()), (Some("WW1"), r#"{"skill":"cakes"}"#));
        let Verb::Enqueue(queue) = one("<Enqueue>support</Enqueue>") else { panic!() };
        assert_eq!(queue.queue.as_deref(), Some("support"));
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
        assert!(error(r#"<Dial timeout="0">+1555</Dial>"#).starts_with("13212"));
        assert!(error("<Dial><Number>sip:a@b</Number></Dial>").contains("noun"));
        assert!(error(r#"<Enqueue workflowSid="WW1"><Task>cakes</Task></Enqueue>"#).contains("JSON"));
        assert!(error("<Enqueue/>").contains("queue"));
        assert!(error(&"<Say/>".repeat(20_000)).starts_with("11750"));
    }
}
