//! The facts that Twilio tells of a call: which ones the agent is told (`CALL_PARAMETERS`), and which never stand in the URL
//! of a hand-off.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::call_numbers::{CallNumbers, written};
use crate::dial_target::{DialTarget, ascii_sign, digits_of};
use crate::ids::CallSid;
use crate::parameters::NameCase;

/// The `<Parameter>`s that hold the two numbers, and the facts that they are.
const NUMBERS: [(&str, &str); 2] = [("from", FROM), ("to", TO)];

/// The prefix of a `<Parameter>` that holds another fact: `call.Direction`.
pub const FACT_PREFIX: &str = "call.";

/// The prefix of a `<Parameter>` that holds a session parameter of the voice-url: `param.shop`.
pub const PARAMETER_PREFIX: &str = "param.";

/// The session parameter that says how a transfer ended, as Twilio's `DialCallStatus`.
pub const DIAL_STATUS: &str = "DialCallStatus";

/// The session parameter that says in Twilio's words why a transfer failed.
pub const DIAL_ERROR_MESSAGE: &str = "DialErrorMessage";

/// The session parameter that has Twilio's code of a failed transfer.
pub const DIAL_ERROR_CODE: &str = "DialErrorCode";

const FROM: &str = "From";
const TO: &str = "To";
const CALL_SID: &str = "CallSid";
const ACCOUNT_SID: &str = "AccountSid";
const DIRECTION: &str = "Direction";
const SIP_HEADER_PREFIX: &str = "SipHeader_";

/// A fact of the call that the agent is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CallParameter {
    /// Twilio's name of it, such as `From` or `SipHeader_X-Shop`.
    pub fact: String,
    /// The session parameter that holds it.
    pub name: String,
}

impl CallParameter {
    /// The fact under Twilio's own name.
    #[must_use]
    pub fn same(fact: &str) -> Self {
        Self { fact: fact.to_owned(), name: fact.to_owned() }
    }

    /// The facts that the agent gets if `CALL_PARAMETERS` is not set.
    #[must_use]
    pub fn defaults() -> Vec<Self> {
        [FROM, TO, CALL_SID].map(Self::same).to_vec()
    }
}

/// What Twilio says of the call, by Twilio's names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallFacts(BTreeMap<String, String>);

impl CallFacts {
    /// The facts of a media stream's `start`.
    pub(crate) fn of(call_sid: &CallSid, account_sid: &str, custom: &BTreeMap<String, String>) -> Self {
        let fact = |(name, value): (&String, &String)| Some((fact_of(name)?.to_owned(), value.clone()));
        let mut facts: BTreeMap<String, String> = custom.iter().filter_map(fact).collect();
        facts.insert(CALL_SID.to_owned(), call_sid.as_str().to_owned());
        if !account_sid.is_empty() {
            facts.insert(ACCOUNT_SID.to_owned(), account_sid.to_owned());
        }
        Self(facts)
    }

    pub(crate) fn get(&self, fact: &str) -> Option<&str> {
        self.0.get(fact).map(String::as_str)
    }

    /// Who called, as Twilio says it.
    pub(crate) fn from(&self) -> Option<&str> {
        self.get(FROM)
    }

    /// Who was called, as Twilio says it.
    pub(crate) fn to(&self) -> Option<&str> {
        self.get(TO)
    }

    /// The address of the person on the line: `From`, but `To` of a call that Twilio placed.
    pub(crate) fn caller(&self) -> Option<&str> {
        if is_outbound(self.get(DIRECTION)) { self.to() } else { self.from() }
    }

    /// Our own address in the call.
    fn called(&self) -> Option<&str> {
        if is_outbound(self.get(DIRECTION)) { self.from() } else { self.to() }
    }

    /// The caller ID of a transfer to a number. If Twilio does not name the caller, we assume that he has a number.
    pub(crate) fn caller_id(&self) -> CallerId {
        match (self.caller(), self.called()) {
            (None, _) => CallerId::Own,
            (Some(caller), _) if is_shown(caller) => CallerId::Own,
            (Some(_), Some(called)) if is_shown(called) => CallerId::Called(called.to_owned()),
            (Some(_), _) => CallerId::Missing,
        }
    }
}

/// The number that a transfer shows if neither the agent nor the settings name one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum CallerId {
    /// The caller's own, which Twilio shows without being told.
    #[default]
    Own,
    /// Our own number in the call: the caller has none, and Twilio demands one (error 13214).
    Called(String),
    /// Twilio demands one, and there is none.
    Missing,
}

/// Values of `From` that networks send for a withheld number: the keys that spell ANONYMOUS, RESTRICTED, UNAVAILABLE, UNKNOWN
/// and BLOCKED.
const WITHHELD: [&str; 5] = ["+266696687", "+7378742833", "+86282452253", "+8656696", "+2562533"];

fn is_shown(address: &str) -> bool {
    DialTarget::parse(address).is_ok_and(|target| target.is_number()) && !WITHHELD.contains(&address)
}

/// Whether an address tells one caller from another: a number that is not withheld, or a SIP or client address.
#[must_use]
pub fn tells_caller(address: &str) -> bool {
    is_shown(address) || address.contains(':')
}

/// Whether Twilio placed the call (`outbound-api`, `outbound-dial`). The person is then the one who was called.
#[must_use]
pub fn is_outbound(direction: Option<&str>) -> bool {
    direction.is_some_and(|direction| direction.starts_with("outbound"))
}

/// The fact that a `<Parameter>` of this name holds. `None` if it holds a session parameter.
pub(crate) fn fact_of(name: &str) -> Option<&str> {
    let number = NUMBERS.into_iter().find(|(parameter, _)| *parameter == name).map(|(_, fact)| fact);
    number.or_else(|| name.strip_prefix(FACT_PREFIX))
}

/// The facts of the call that the agent was told. An agent may return them with its own parameters. The handler of a
/// hand-off has them from Twilio, and a telephone number must not stand in a URL.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ToldFacts {
    names: NameCase,
    /// Each fact's parameter and value.
    told: Vec<(String, String)>,
    /// The parameters that hold a telephone address: those that are told one, and `From` and `To` themselves.
    number_names: Vec<String>,
    /// The addresses of both sides, and those among the told facts.
    numbers: CallNumbers,
}

impl ToldFacts {
    pub(crate) fn new(facts: &CallFacts, chosen: &[CallParameter], names: NameCase) -> Self {
        let told = chosen.iter().filter_map(|told| Some((told, facts.get(&told.fact)?)));
        let is_address = |told: &CallParameter| {
            [FROM, TO].contains(&told.fact.as_str()) || facts.get(&told.fact).is_some_and(is_telephone_address)
        };
        let number_names = chosen.iter().filter(|told| is_address(told)).map(|told| told.name.as_str());
        let number_names = number_names.chain([FROM, TO]).map(ToOwned::to_owned).collect();
        let addresses = told.clone().map(|(_, value)| value).filter(|value| is_telephone_address(value));
        let numbers = CallNumbers::new([facts.from(), facts.to()].into_iter().flatten().chain(addresses));
        let told = told.map(|(told, value)| (told.name.clone(), value.to_owned())).collect();
        Self { names, told, number_names, numbers }
    }

    /// Whether the agent is told one of the call's numbers.
    pub(crate) fn has_number(&self) -> bool {
        self.told.iter().any(|(_, value)| self.numbers.contains(value))
    }

    /// The parameters that the agent is told.
    pub(crate) fn parameters(&self) -> impl Iterator<Item = (&str, Value)> {
        self.told.iter().map(|(name, value)| (name.as_str(), value.as_str().into()))
    }

    /// The numbers of the call that must not stand in a URL.
    pub(crate) fn numbers(&self) -> &CallNumbers {
        &self.numbers
    }

    /// Takes out of the agent's parameters what it was told, and every number of the call.
    pub(crate) fn remove_from(&self, parameters: &mut Map<String, Value>) {
        parameters.retain(|name, value| !self.is_told(name, value));
        self.numbers.remove_from(parameters);
    }

    fn is_told(&self, name: &str, value: &Value) -> bool {
        let text = value.as_str();
        let is_unchanged =
            self.told.iter().any(|(other, fact)| self.names.is_same(name, other) && text == Some(fact.as_str()));
        let is_number_name = self.number_names.iter().any(|other| NameCase::Ignored.is_same(name, other));
        is_unchanged || (is_number_name && is_number(value))
    }
}

/// Whether a value is a number or an address, under a name that says so.
fn is_number(value: &Value) -> bool {
    match value {
        Value::String(text) => {
            is_telephone_address(text) || (text.trim().starts_with('(') && digits_of(text).is_some())
        }
        Value::Number(number) => digits_of(&written(number)).is_some(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => false,
    }
}

/// Whether a fact is a header of a call by SIP (`SipHeader_X-Shop`).
#[must_use]
pub fn is_sip_header(fact: &str) -> bool {
    fact.get(..SIP_HEADER_PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(SIP_HEADER_PREFIX))
}

/// Whether the text is the address of a telephone: a number with its country code, or a SIP or client address.
#[must_use]
pub fn is_telephone_address(text: &str) -> bool {
    let text = text.trim();
    let has_scheme = ["sip:", "sips:", "client:", "tel:"]
        .iter()
        .any(|scheme| text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)));
    let is_dialled = text.chars().find_map(ascii_sign).is_some_and(|sign| matches!(sign, '+' | '0'));
    has_scheme || (is_dialled && digits_of(text).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn facts(direction: &str) -> CallFacts {
        let custom = [("from", "+15550100"), ("to", "+15550199"), ("call.Direction", direction), ("param.x", "1")];
        let custom = custom.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        CallFacts::of(&CallSid::new("CA1").unwrap(), "AC1", &custom)
    }

    fn without(told: &ToldFacts, parameters: Value) -> Value {
        let Value::Object(mut parameters) = parameters else { panic!() };
        told.remove_from(&mut parameters);
        parameters.into()
    }

    #[test]
    fn the_person_of_a_call_that_was_placed_is_who_was_called() {
        for (direction, caller, called) in [
            ("inbound", "+15550100", "+15550199"),
            ("outbound-api", "+15550199", "+15550100"),
            ("outbound-dial", "+15550199", "+15550100"),
        ] {
            assert_eq!((facts(direction).caller(), facts(direction).called()), (Some(caller), Some(called)));
        }
        assert_eq!((facts("").get("AccountSid"), facts("").get("CallSid")), (Some("AC1"), Some("CA1")));
        assert_eq!(facts("").get("x"), None, "a session parameter is no fact");
    }

    #[test]
    fn what_the_agent_was_told_and_the_calls_numbers_are_taken_out_in_every_spelling() {
        let told = ToldFacts::new(&facts(""), &CallParameter::defaults(), NameCase::Ignored);
        let returned = json!({ "from": "+15550100", "TO": "+15550199", "callsid": "CA1", "Shop": "north",
            "callback": "+1 (555) 0100", "as_number": 15_550_199.0, "deep": { "list": ["0015550100", "x"] } });
        assert_eq!(without(&told, returned), json!({ "Shop": "north", "deep": { "list": ["x"] } }));
    }

    #[test]
    fn what_the_agent_filled_in_itself_under_such_a_name_stays_unless_it_is_a_number() {
        let told = ToldFacts::new(&facts(""), &CallParameter::defaults(), NameCase::Ignored);
        assert_eq!(without(&told, json!({ "from": "Paris", "to": "+442079460000" })), json!({ "from": "Paris" }));
        let renamed = [CallParameter { fact: "From".to_owned(), name: "ani".to_owned() }];
        let told = ToldFacts::new(&facts(""), &renamed, NameCase::Ignored);
        assert_eq!(without(&told, json!({ "ANI": "sip:a@example.com", "from": "Rome" })), json!({ "from": "Rome" }));
    }

    #[test]
    fn under_a_numbers_name_a_number_goes_in_every_form_and_every_told_address_is_a_number_of_the_call() {
        let told = ToldFacts::new(&facts(""), &CallParameter::defaults(), NameCase::Ignored);
        for number in [
            json!(442_079_460_000_u64),
            json!(442_079_460_000.0),
            json!("(020) 7946 0000"),
            json!("＋４４２０７９４６００００"),
        ] {
            assert_eq!(without(&told, json!({ "from": number })), json!({}), "{number}");
        }
        let trip = json!({ "from": "2024-05-01", "to": 3 });
        assert_eq!(without(&told, trip.clone()), trip);
        let mut more = facts("");
        let header = "sip:+15550155@pbx.example.com".to_owned();
        more.0.extend([("ForwardedFrom".to_owned(), "+15550144".to_owned()), ("SipHeader_X-Desk".to_owned(), header)]);
        let chosen = ["From", "ForwardedFrom", "SipHeader_X-Desk"].map(CallParameter::same);
        let told = ToldFacts::new(&more, &chosen, NameCase::Ignored);
        let returned = json!({ "a": "+1 555 0144", "b": "for +1 555 0155", "forwardedfrom": "+15550166",
            "c": "sip:+15550155@pbx.example.com", "d": "+15550177" });
        assert_eq!(without(&told, returned), json!({ "b": "for …", "d": "+15550177" }));
        let untold = ToldFacts::new(&more, &[], NameCase::Ignored);
        assert_eq!(without(&untold, json!({ "a": "+1 555 0144" })), json!({ "a": "+1 555 0144" }), "the agent's own");
    }

    #[test]
    fn an_agent_that_compares_letter_by_letter_keeps_its_own_names() {
        let told = ToldFacts::new(&facts(""), &CallParameter::defaults(), NameCase::Exact);
        let returned = json!({ "CallSid": "CA1", "callsid": "CA1", "From": "+15550100" });
        assert_eq!(without(&told, returned), json!({ "callsid": "CA1" }));
    }

    #[test]
    fn a_transfer_shows_our_own_number_if_the_caller_has_none() {
        let shown = |from: &str, to: &str, direction: &str| {
            let mut facts = facts(direction);
            facts.0.extend([("From".to_owned(), from.to_owned()), ("To".to_owned(), to.to_owned())]);
            facts.caller_id()
        };
        for none in ["sip:bob@pbx.example.com", "client:alice", "anonymous", "+266696687", "", "12345"] {
            assert_eq!(shown(none, "+15550199", "inbound"), CallerId::Called("+15550199".to_owned()), "{none}");
            assert_eq!(shown(none, "sip:sales@example.com", "inbound"), CallerId::Missing, "{none}");
        }
        assert_eq!(shown("+15550100", "sip:sales@example.com", "inbound"), CallerId::Own);
        assert_eq!(shown("+15550199", "client:alice", "outbound-api"), CallerId::Called("+15550199".to_owned()));
        assert_eq!(CallFacts::default().caller_id(), CallerId::Own);
    }

    #[test]
    fn an_order_number_is_no_telephone_number() {
        let mut short = facts("");
        short.0.insert("To".to_owned(), "12345".to_owned());
        let told = ToldFacts::new(&short, &[], NameCase::Ignored);
        let own = json!({ "order": 12345, "n": "15550101", "t": "155501001", "price": 12.5 });
        assert_eq!(without(&told, own.clone()), own);
    }
}
