//! The content of a hand-off, and how we make it fit Twilio's limit.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

use crate::carried::StandIn;
use crate::ending::VirtualAgentStatus;
use crate::handoff::shortening::{fitted, in_query, shortened};
use crate::handoff::{HandoffField, Loss, MAX_TWIML_CHARS, Outcome};

/// Characters that need no escape in a URL's query: RFC 3986 section 2.3, unreserved.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The parts of the query that may have to be left out.
pub(super) struct Content {
    /// `dialogflowJSON`, its fields in order.
    pub(super) fields: Vec<(HandoffField, Value)>,
    /// The object for the handler, in `VirtualAgentProviderData`.
    pub(super) given: Option<Given>,
    /// Set if a backup has the call.
    pub(super) stands_in: Option<StandIn>,
    /// Why the call ends, if the agent did not end it.
    pub(super) reason: Option<&'static str>,
    /// What did not fit.
    pub(super) loss: Loss,
}

/// The object for the handler: the metadata of a live-agent hand-off, or the parameters of a pause.
pub(super) struct Given {
    name: &'static str,
    value: Value,
}

impl Content {
    pub(super) fn new(allowed: &[HandoffField], outcome: &Outcome, metadata: Option<Value>) -> Self {
        let metadata = metadata.filter(|_| allowed.contains(&HandoffField::LiveAgentHandoff));
        let value = |field| match field {
            HandoffField::Intent => {
                Some(json!({ "name": outcome.intent.name, "displayName": outcome.intent.display_name }))
            }
            HandoffField::Parameters => Some(Value::Object(outcome.parameters.clone())),
            HandoffField::QueryText => {
                let masked = outcome.told.numbers().masked(&outcome.query_text);
                Some(masked.map_or_else(|| Value::from(outcome.query_text.as_str()), Value::from))
            }
            HandoffField::Action => (!outcome.action.is_empty()).then(|| Value::from(outcome.action.as_str())),
            HandoffField::LiveAgentHandoff => metadata.clone(),
            HandoffField::Session => Some(Value::from(outcome.session.as_str())),
        };
        let fields = HandoffField::ALL.into_iter().filter(|field| allowed.contains(field));
        let fields = fields.filter_map(|field| Some((field, value(field)?))).collect();
        let given = metadata.map(|value| Given { name: "AgentHandoffParameters", value });
        Self { fields, given, stands_in: outcome.stands_in.clone(), reason: None, loss: Loss::default() }
    }

    /// The same for a pause.
    pub(super) fn pausing(self, parameters: Value) -> Self {
        Self { given: Some(Given { name: "PauseParameters", value: parameters }), ..self }
    }

    pub(super) fn query(&self, status: VirtualAgentStatus, outcome: &Outcome) -> [(&'static str, String); 3] {
        let mut provider = Map::new();
        provider.insert("ConversationId".to_owned(), Value::from(outcome.call_sid.as_str()));
        provider.insert("EndUserId".to_owned(), Value::from(outcome.call_sid.as_str()));
        if let Some(Given { name, value }) = &self.given {
            provider.insert((*name).to_owned(), value.clone());
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
        if let Some(StandIn { agent, backup_of }) = &self.stands_in {
            fields.push(format!("\"agent\":{},\"backupOf\":{}", json!(agent), json!(backup_of)));
        }
        if let Some(reason) = self.reason {
            fields.push(format!("\"reason\":\"{reason}\""));
        }
        if !self.loss.is_nothing() {
            fields.push("\"truncated\":true".to_owned());
        }
        format!("{{{}}}", fields.join(","))
    }

    /// Makes the content smaller until `fits` holds for it. The object for the handler stands in both objects while there is
    /// room, else in `VirtualAgentProviderData` alone, its texts shortened, the longest first. Other parts are left out, the
    /// largest first: of the parameters one after the other, and the intent last. A part is left out if no text of the
    /// object for the handler is longer.
    pub(super) fn make_fit(&mut self, fits: impl Fn(&Self) -> bool) {
        if fits(self) {
            return;
        }
        self.leave_out_field(HandoffField::LiveAgentHandoff);
        self.leave_out_oversized();
        while !fits(self) {
            let largest = self.largest().or_else(|| self.largest_of_last());
            let Some((len, part)) = largest else { return };
            let min = if part.is_last() { 0 } else { len };
            match self.fitted_given(min, &fits) {
                Some(value) => return self.shorten_given(value),
                None => self.leave_out(part),
            }
        }
    }

    /// Leaves out or shortens in one pass what can never fit, so that the steps after it are few and short: an agent may send
    /// megabytes.
    fn leave_out_oversized(&mut self) {
        let is_large =
            |field: &HandoffField, value| *field != HandoffField::Parameters && encoded_len(value) > MAX_TWIML_CHARS;
        let large: Vec<HandoffField> =
            self.fields.iter().filter(|(field, value)| is_large(field, value)).map(|(field, _)| *field).collect();
        large.into_iter().for_each(|field| self.leave_out_field(field));
        let lost = self.parameters().map(|map| leave_out_beyond(map, encoded_len)).unwrap_or_default();
        self.loss.left_out.extend(lost.into_iter().map(|name| format!("parameters.{name}")));
        let Some(Given { name: given, value }) = &mut self.given else { return };
        if let Value::Object(map) = value {
            let lost = leave_out_beyond(map, |value| encoded_len(&shortened(value, 0, in_query)));
            self.loss.left_out.extend(lost.into_iter().map(|name| format!("{given}.{name}")));
        }
        // No text of that length fits, so each has to be shortened further.
        *value = shortened(value, MAX_TWIML_CHARS, in_query);
    }

    /// Shortens the object for the handler until the document fits. `None` if a text would take less than `min`.
    fn fitted_given(&self, min: usize, fits: &impl Fn(&Self) -> bool) -> Option<Value> {
        let Given { name, value } = self.given.as_ref()?;
        // The mark of a loss takes room too.
        let loss = Loss { shortened: vec![(*name).to_owned()], ..Loss::default() };
        let with = |value: &Value| Self {
            fields: self.fields.clone(),
            given: Some(Given { name, value: value.clone() }),
            stands_in: self.stands_in.clone(),
            reason: self.reason,
            loss: loss.clone(),
        };
        fitted(value, in_query, min, |value| fits(&with(value)))
    }

    fn shorten_given(&mut self, value: Value) {
        let Some(given) = &mut self.given else { return };
        let whole = std::mem::replace(&mut given.value, value);
        self.loss.shortened = match (&whole, &given.value) {
            (Value::Object(whole), Value::Object(short)) => {
                let changed = whole.iter().filter(|(name, value)| short.get(*name) != Some(value));
                changed.map(|(name, _)| format!("{}.{name}", given.name)).collect()
            }
            _ => vec![given.name.to_owned()],
        };
    }

    /// The largest part that can be left out, and how much it takes. The intent and the object for the handler are not among
    /// them.
    fn largest(&mut self) -> Option<(usize, Part)> {
        let parameter = self.largest_parameter().map(|(len, name)| (len, Part::Parameter(name)));
        let is_part = |field: HandoffField| !matches!(field, HandoffField::Parameters | HandoffField::Intent);
        let fields = self.fields.iter().filter(|(field, _)| is_part(*field));
        let field = fields.map(|(field, value)| (encoded_len(value), Part::Field(*field))).max_by_key(|(len, _)| *len);
        parameter.into_iter().chain(field).max_by_key(|(len, _)| *len)
    }

    /// The same of the intent and of the object for the handler, when all others are left out.
    fn largest_of_last(&self) -> Option<(usize, Part)> {
        let intent = self.fields.iter().find(|(field, _)| *field == HandoffField::Intent);
        let intent = intent.map(|(_, value)| (encoded_len(value), Part::Intent));
        let given = self.given.as_ref().map(|given| match given.value.as_object() {
            Some(map) if !map.is_empty() => {
                let entry = map.iter().map(|(name, value)| (encoded_len(value) + name.len(), name)).max();
                entry.map_or((0, Part::Given), |(len, name)| (len, Part::GivenEntry(name.clone())))
            }
            _ => (encoded_len(&given.value), Part::Given),
        });
        intent.into_iter().chain(given).max_by_key(|(len, _)| *len)
    }

    fn leave_out(&mut self, part: Part) {
        match part {
            Part::Field(field) => self.leave_out_field(field),
            Part::Intent => self.leave_out_field(HandoffField::Intent),
            Part::Parameter(name) => {
                self.parameters().map(|parameters| parameters.remove(&name));
                self.loss.left_out.push(format!("parameters.{name}"));
            }
            Part::GivenEntry(name) => {
                let Some(given) = &mut self.given else { return };
                given.value.as_object_mut().map(|map| map.remove(&name));
                self.loss.left_out.push(format!("{}.{name}", given.name));
            }
            Part::Given => self.loss.left_out.extend(self.given.take().map(|given| given.name.to_owned())),
        }
    }

    fn leave_out_field(&mut self, field: HandoffField) {
        let before = self.fields.len();
        self.fields.retain(|(other, _)| *other != field);
        if self.fields.len() < before {
            self.loss.left_out.push(field.name().to_owned());
        }
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

/// A part that can be left out.
enum Part {
    Field(HandoffField),
    Parameter(String),
    Intent,
    /// One entry of the object for the handler.
    GivenEntry(String),
    Given,
}

impl Part {
    /// Whether it is left out only when nothing else is left.
    fn is_last(&self) -> bool {
        matches!(self, Self::Intent | Self::GivenEntry(_) | Self::Given)
    }
}

/// Leaves out the largest entries of a map that is too large for any document. Returns their names.
fn leave_out_beyond(map: &mut Map<String, Value>, len: impl Fn(&Value) -> usize) -> Vec<String> {
    // The colon and the comma take three characters each.
    let entry = |name: &String, value: &Value| len(value) + encoded_len(&name.as_str().into()) + 6;
    let mut entries: Vec<(usize, String)> =
        map.iter().map(|(name, value)| (entry(name, value), name.clone())).collect();
    entries.sort_unstable();
    let mut whole: usize = entries.iter().map(|(len, _)| len).sum();
    let mut lost = Vec::new();
    while whole > MAX_TWIML_CHARS
        && let Some((len, name)) = entries.pop()
    {
        whole -= len;
        map.remove(&name);
        lost.push(name);
    }
    lost
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
