//! Reads a service's TwiML as far as the checks need it.

use roxmltree::Document;

/// A document that connects a call to a media stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Twiml {
    /// `<Stream url>`.
    pub(crate) stream: String,
    /// `<Connect action>`.
    pub(crate) action: Option<String>,
}

/// Why a document connects no call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NoStream {
    /// It is not TwiML.
    NotTwiml,
    /// It is TwiML with these verbs.
    Verbs(String),
}

impl Twiml {
    /// Reads a document.
    pub(crate) fn read(text: &str) -> Result<Self, NoStream> {
        let document = Document::parse(text).map_err(|_| NoStream::NotTwiml)?;
        let root = document.root_element();
        if !root.has_tag_name("Response") {
            return Err(NoStream::NotTwiml);
        }
        let streams = root.descendants().find(|node| node.has_tag_name("Stream"));
        let url = streams.and_then(|stream| Some((stream.attribute("url")?, stream.parent()?)));
        let Some((url, connect)) = url.filter(|(_, parent)| parent.has_tag_name("Connect")) else {
            let verbs = root.children().filter(roxmltree::Node::is_element).map(|verb| verb.tag_name().name());
            return Err(NoStream::Verbs(verbs.collect::<Vec<_>>().join(", ")));
        };
        Ok(Self { stream: url.to_owned(), action: connect.attribute("action").map(ToOwned::to_owned) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_found_and_what_is_there_instead_is_told() {
        let of = |inner: &str| Twiml::read(&format!("<?xml version=\"1.0\"?><Response>{inner}</Response>"));
        let connected = of("<Connect action=\"https://h/a\"><Stream url=\"wss://h/media/t\"/></Connect><Hangup/>");
        let stream = "wss://h/media/t".to_owned();
        assert_eq!(connected, Ok(Twiml { stream, action: Some("https://h/a".to_owned()) }));
        assert_eq!(of("<Say>busy</Say><Hangup/>"), Err(NoStream::Verbs("Say, Hangup".to_owned())));
        assert_eq!(of("<Start><Stream url=\"wss://h\"/></Start>"), Err(NoStream::Verbs("Start".to_owned())));
        assert_eq!(Twiml::read("<html></html>"), Err(NoStream::NotTwiml));
        assert_eq!(Twiml::read("hello"), Err(NoStream::NotTwiml));
    }
}
