//! The content of a hand-off, and how we make it fit Twilio's limit.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

use crate::ending::VirtualAgentStatus;
use crate::handoff::{HandoffField, Outcome};

/// Characters that need no escape in a URL's query: RFC 3986 section 2.3, unreserved.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The parts of the query that may have to be left out.
pub(super) struct Content {
    /// `dialogflowJSON`, its fields in order.
    pub(super) fields: Vec<(HandoffField, Value)>,
    /// `AgentHandoffParameters` of `VirtualAgentProviderData`.
    pub(super) metadata: Option<Value>,
    /// `PauseParameters` of `VirtualAgentProviderData`.
    pub(super) pause: Option<Value>,
    /// Why the call ends, if the agent did not end it.
    pub(super) reason: Option<&'static str>,
    pub(super) truncated: bool,
}

impl Content {
    pub(super) fn new(allowed: &[HandoffField], outcome: &Outcome, metadata: Option<&Value>) -> Self {
        let value = |field| match field {
            HandoffField::Intent => {
                Some(json!({ "name": outcome.intent.name, "displayName": outcome.intent.display_name }))
            }
            HandoffField::Parameters => Some(Value::Object(outcome.parameters.clone())),
            HandoffField::QueryText => Some(Value::from(outcome.query_text.as_str())),
            HandoffField::Action => (!outcome.action.is_empty()).then(|| Value::from(outcome.action.as_str())),
            HandoffField::LiveAgentHandoff => metadata.cloned(),
            HandoffField::Session => Some(Value::from(outcome.session.as_str())),
        };
        let fields = HandoffField::ALL.into_iter().filter(|field| allowed.contains(field));
        let metadata = metadata.filter(|_| allowed.contains(&HandoffField::LiveAgentHandoff)).cloned();
        let fields = fields.filter_map(|field| Some((field, value(field)?))).collect();
        Self { fields, metadata, pause: None, reason: None, truncated: false }
    }

    pub(super) fn query(&self, status: VirtualAgentStatus, outcome: &Outcome) -> [(&'static str, String); 3] {
        let mut provider = Map::new();
        provider.insert("ConversationId".to_owned(), Value::from(outcome.call_sid.as_str()));
        provider.insert("EndUserId".to_owned(), Value::from(outcome.call_sid.as_str()));
        if let Some(metadata) = &self.metadata {
            provider.insert("AgentHandoffParameters".to_owned(), metadata.clone());
        }
        if let Some(pause) = &self.pause {
            provider.insert("PauseParameters".to_owned(), pause.clone());
        }
        [
            ("dialogflowJSON", self.dialogflow_json()),
            ("VirtualAgentStatus", status.as_str().to_owned()),
            ("VirtualAgentProviderData", Value::Object(provider).to_string()),
        ]
    }

    // Written field by field, so that a log always has them in the same order.
    fn dialogflow_json(&self) -> String {
        let mut fields: Vec<String> =
            self.fields.iter().map(|(field, value)| format!("\"{}\":{value}", field.name())).collect();
        if let Some(reason) = self.reason {
            fields.push(format!("\"reason\":\"{reason}\""));
        }
        if self.truncated {
            fields.push("\"truncated\":true".to_owned());
        }
        format!("{{{}}}", fields.join(","))
    }

    /// Removes the largest part. Of the parameters it removes only the largest one, and the intent goes last. `false`
    /// if nothing is left to remove.
    pub(super) fn leave_out_largest(&mut self) -> bool {
        let parameter = self.largest_parameter();
        let field = self
            .fields
            .iter()
            .filter(|(field, _)| !matches!(field, HandoffField::Parameters | HandoffField::Intent))
            .map(|(field, value)| (encoded_len(value), *field))
            .max_by_key(|(len, _)| *len);
        let metadata = self.metadata.as_ref().map(encoded_len);
        let pause = self.pause.as_ref().map(encoded_len);
        self.truncated = true;
        let largest = [parameter.as_ref().map(|found| found.0), field.map(|found| found.0), metadata, pause];
        let Some(largest) = largest.into_iter().flatten().max() else {
            let before = self.fields.len();
            self.fields.clear();
            return before > 0;
        };
        if metadata == Some(largest) {
            self.metadata = None;
        } else if pause == Some(largest) {
            self.pause = None;
        } else if let Some((_, field)) = field.filter(|(len, _)| *len == largest) {
            self.fields.retain(|(other, _)| *other != field);
        } else if let Some((_, name)) = parameter {
            self.parameters().map(|parameters| parameters.remove(&name));
        }
        true
    }

    fn parameters(&mut self) -> Option<&mut Map<String, Value>> {
        let (_, value) = self.fields.iter_mut().find(|(field, _)| *field == HandoffField::Parameters)?;
        value.as_object_mut()
    }

    fn largest_parameter(&mut self) -> Option<(usize, String)> {
        let parameters = self.parameters()?;
        parameters.iter().map(|(name, value)| (encoded_len(value) + name.len(), name.clone())).max()
    }
}

fn encoded_len(value: &Value) -> usize {
    utf8_percent_encode(&value.to_string(), UNRESERVED).map(str::len).sum()
}

/// Appends parameters after a URL's own query and before its fragment.
pub(super) fn with_query(url: &str, parameters: &[(&str, String)]) -> String {
    let (base, fragment) = url.find('#').map_or((url, ""), |at| url.split_at(at));
    let mut whole = base.to_owned();
    for (name, value) in parameters {
        let separator = match (whole.contains('?'), whole.ends_with(['?', '&'])) {
            (false, _) => "?",
            (true, false) => "&",
            (true, true) => "",
        };
        whole.push_str(separator);
        whole.push_str(name);
        whole.push('=');
        whole.extend(utf8_percent_encode(value, UNRESERVED));
    }
    whole + fragment
}
