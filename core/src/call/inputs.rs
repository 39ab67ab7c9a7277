//! What the agent gets besides the caller's audio: input that waits for a stream, and session parameters.

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Map, Value, json};

use crate::agent::{Digits, DigitsForm, PastTurn, TurnInput, TurnStart};
use crate::call::streams::{AgentStreams, Broken};
use crate::call_facts::{CallFacts, PARAMETER_PREFIX, ToldFacts, fact_of};
use crate::carried::Opening;
use crate::config::{CallConfig, StartingInput};
use crate::parameters::NameCase;
use crate::turn_data::{END_USER_PREFIX, PAGE_PARAMETER, TurnData, is_page};

/// How many complete inputs of digits may wait for the agent. An agent may take each key as one (CES).
const MAX_QUEUED_DIGITS: usize = 128;

/// How many texts of the caller's may wait for the agent.
const MAX_QUEUED_TEXTS: usize = 16;

/// How many results of tools may wait for the agent.
const MAX_QUEUED_TOOL_RESULTS: usize = 16;

/// What the agent gets besides the caller's audio.
#[derive(Debug)]
pub(super) struct AgentInputs {
    /// [`TurnInput::Audio`] stands for words of the caller's that go before the rest.
    queue: VecDeque<TurnInput>,
    /// Session parameters that the agent does not know yet.
    pub(super) parameters: Map<String, Value>,
    /// All session parameters.
    pub(super) known_parameters: Map<String, Value>,
    /// How the agent compares the names of parameters.
    names: NameCase,
    /// The payload of every turn for the agent's webhook.
    payload: Map<String, Value>,
    /// What every turn tells of the caller.
    pub(super) end_user: Map<String, Value>,
    /// The page at which the session goes on, until the agent has answered a turn that brings it.
    pub(super) page: Option<String>,
    turn_data: TurnData,
    /// Whether the call begins here. One that comes back goes on where it was.
    opening: Opening,
    /// What the agent gets before the caller says anything.
    starting_input: StartingInput,
}

impl AgentInputs {
    pub(super) fn new(config: &CallConfig) -> Self {
        Self {
            queue: VecDeque::new(),
            parameters: config.parameters.clone(),
            known_parameters: Map::new(),
            names: config.parameter_names,
            payload: Map::new(),
            end_user: Map::new(),
            page: None,
            turn_data: config.turn_data,
            opening: config.carried.opening.clone(),
            starting_input: config.first_input(),
        }
    }

    /// The call has started. The agent is told the facts of the call, and the session parameters of the voice-url,
    /// which override an agent's own and the facts: `param.NAME` is `NAME` for the agent. `user.NAME` tells of the
    /// caller, and `page` is where the session begins. The agent's webhook is told who calls, unless the settings keep
    /// both numbers from it.
    pub(super) fn start(&mut self, facts: &CallFacts, told: &ToldFacts, custom: &BTreeMap<String, String>) {
        for (name, value) in told.parameters() {
            self.names.insert(&mut self.parameters, name, value);
        }
        for (name, value) in custom.iter().filter(|(name, _)| fact_of(name).is_none()) {
            // A backup of another edition may take what this agent does not.
            if let Some(name) = name.strip_prefix(END_USER_PREFIX) {
                if self.turn_data.has_end_user() {
                    self.end_user.insert(name.to_owned(), value.as_str().into());
                }
            } else if name == PAGE_PARAMETER && is_page(value) {
                if self.turn_data.has_pages() && self.opening == Opening::Greet {
                    self.page = Some(value.clone());
                }
            } else {
                let name = name.strip_prefix(PARAMETER_PREFIX).unwrap_or(name);
                self.names.insert(&mut self.parameters, name, value.as_str().into());
            }
        }
        self.known_parameters = self.parameters.clone();
        if let Some(caller) = facts.caller().filter(|_| told.has_number()) {
            self.payload.insert("telephony".to_owned(), json!({ "caller_id": caller }));
        }
        let StartingInput { event, text } = self.starting_input.clone();
        self.queue.extend(event.map(TurnInput::Event).or(text.map(TurnInput::Text)));
    }

    /// Sets a session parameter for the next stream and all later ones.
    pub(super) fn set_parameter(&mut self, name: &str, value: &Value) {
        self.names.insert(&mut self.known_parameters, name, value.clone());
        self.names.insert(&mut self.parameters, name, value.clone());
    }

    /// Puts back session parameters that a stream did not confirm, so that the next stream sends them. Newer values
    /// stay.
    pub(super) fn restore_parameters(&mut self, unconfirmed: Map<String, Value>) {
        for (name, value) in unconfirmed {
            if self.names.get(&self.parameters, &name).is_none() {
                self.parameters.insert(name, value);
            }
        }
    }

    /// The session goes on without its parameters, or the server may have lost them: the next stream sends all of them.
    /// `agents`: those that the agent has set.
    fn resend_parameters(&mut self, agents: &Map<String, Value>) {
        let unsent = std::mem::replace(&mut self.parameters, self.known_parameters.clone());
        self.names.extend(&mut self.parameters, agents.clone());
        self.names.extend(&mut self.parameters, unsent);
    }

    /// What the next stream begins with, and brings of the session. `past_turns`: it must bring all. `agents`: the
    /// parameters that the agent has set.
    pub(super) fn turn_start(
        &mut self,
        input: TurnInput,
        past_turns: Option<Vec<PastTurn>>,
        agents: &Map<String, Value>,
    ) -> TurnStart {
        if past_turns.is_some() || self.page.is_some() {
            self.resend_parameters(agents);
        }
        TurnStart {
            parameters: std::mem::take(&mut self.parameters),
            known_parameters: self.known_parameters.clone(),
            payload: self.payload.clone(),
            end_user: self.end_user.clone(),
            page: self.page.clone(),
            past_turns: past_turns.unwrap_or_default(),
            ..TurnStart::new(input)
        }
    }

    /// Goes on where another agent's inputs were, with what is not for that agent alone: texts that wait, what is known
    /// of the caller, and the session parameters that the other agent has set (`agents`). Returns those. `greets`:
    /// nobody has greeted the caller.
    pub(super) fn take_over(
        &mut self,
        other: &mut Self,
        greets: bool,
        agents: &Map<String, Value>,
    ) -> Map<String, Value> {
        if !greets {
            self.queue.clear();
            self.page = None;
        }
        for input in &other.queue {
            match input {
                TurnInput::Text(_) if !other.is_starting_text(input) => self.queue.push_back(input.clone()),
                TurnInput::Audio
                | TurnInput::Event(_)
                | TurnInput::Text(_)
                | TurnInput::Digits(..)
                | TurnInput::ToolResults(_) => {}
            }
        }
        // CX answers with all parameters of the session, also those that the settings gave it.
        let is_new = |name: &str, value: &Value| other.names.get(&other.known_parameters, name) != Some(value);
        let set = agents.iter().filter(|(name, value)| is_new(name, value));
        let set: Map<String, Value> = set.map(|(name, value)| (name.clone(), value.clone())).collect();
        for (name, value) in &set {
            self.set_parameter(name, value);
        }
        if self.turn_data.has_end_user() {
            self.end_user.append(&mut other.end_user);
        }
        set
    }

    /// Takes out the digits that wait, in order.
    pub(super) fn take_digits(&mut self) -> Vec<Digits> {
        let digits = self.queue.drain(..).filter_map(|input| match input {
            TurnInput::Digits(digits, _) => Some(digits),
            TurnInput::Audio | TurnInput::Event(_) | TurnInput::Text(_) | TurnInput::ToolResults(_) => None,
        });
        digits.collect()
    }

    pub(super) fn is_starting_event(&self, input: &TurnInput) -> bool {
        matches!(input, TurnInput::Event(event) if self.starting_input.event.as_ref() == Some(event))
    }

    fn is_starting_text(&self, input: &TurnInput) -> bool {
        matches!(input, TurnInput::Text(text) if self.starting_input.text.as_ref() == Some(text))
    }

    /// The agent does not know the starting event. It gets the starting text, if there is one.
    pub(super) fn add_starting_text(&mut self) {
        self.queue.extend(self.starting_input.text.clone().map(TurnInput::Text));
    }

    /// Adds an event.
    pub(super) fn add_event(&mut self, event: Option<String>) {
        self.queue.extend(event.map(TurnInput::Event));
    }

    /// Whether no input waits.
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// The input that waits longest.
    pub(super) fn first(&self) -> Option<&TurnInput> {
        self.queue.front()
    }

    /// Takes it out.
    pub(super) fn take_first(&mut self) -> Option<TurnInput> {
        self.queue.pop_front()
    }

    /// Adds input that goes before all that waits.
    pub(super) fn add_first(&mut self, input: TurnInput) {
        self.queue.push_front(input);
    }

    /// Adds digits. Returns whether there was room.
    pub(super) fn add_digits(&mut self, digits: Digits, form: DigitsForm) -> bool {
        let waiting = self.queue.iter().filter(|input| matches!(input, TurnInput::Digits(..))).count();
        let has_room = waiting < MAX_QUEUED_DIGITS;
        if has_room {
            self.queue.push_back(TurnInput::Digits(digits, form));
        }
        has_room
    }

    /// Adds a text of the caller's. Returns whether there was room.
    pub(super) fn add_text(&mut self, text: &str) -> bool {
        let waiting = self.queue.iter().filter(|input| matches!(input, TurnInput::Text(_))).count();
        let has_room = waiting < MAX_QUEUED_TEXTS;
        if has_room {
            self.queue.push_back(TurnInput::Text(text.to_owned()));
        }
        has_room
    }

    /// Adds results of tools. The agent waits for them and takes nothing else meanwhile, so they go first, in order.
    /// Returns whether there was room.
    pub(super) fn add_tool_results(&mut self, results: TurnInput) -> bool {
        let waiting = self.tool_results();
        let has_room = waiting < MAX_QUEUED_TOOL_RESULTS;
        if has_room {
            self.queue.insert(waiting, results);
        }
        has_room
    }

    /// The agent gets the caller's words again. Where they are a turn of their own, they go before what waits: digits
    /// that he pressed after them. The agent greets him first.
    pub(super) fn hear_words_first(&mut self, streams: &dyn AgentStreams) {
        let is_greeting = |input: &&TurnInput| self.is_starting_event(input) || self.is_starting_text(input);
        let at = self.queue.iter().take_while(is_greeting).count();
        let waits = self.queue.get(at).is_some_and(|next| *next != TurnInput::Audio);
        if waits && streams.can_begin_with(&TurnInput::Audio) {
            self.queue.insert(at, TurnInput::Audio);
        }
    }

    /// The same, if he said them before the input that waits last.
    pub(super) fn hear_words_before_last(&mut self, streams: &dyn AgentStreams) {
        if streams.can_begin_with(&TurnInput::Audio) && !self.queue.contains(&TurnInput::Audio) {
            self.queue.insert(self.queue.len().saturating_sub(1), TurnInput::Audio);
        }
    }

    /// Takes over what the stream got besides audio and has not answered, so that the next stream sends it. It goes
    /// before what waits, and results of tools go before all.
    pub(super) fn requeue(&mut self, broken: &mut Broken) {
        let mut unanswered = std::mem::take(&mut broken.unanswered);
        // The starting event is sent again. The starting text follows only if the agent does not answer it.
        if !broken.is_answered && self.is_starting_event(&broken.input) {
            unanswered.retain(|input| !self.is_starting_text(input));
        }
        let (results, others): (Vec<_>, Vec<_>) =
            unanswered.into_iter().partition(|input| matches!(input, TurnInput::ToolResults(_)));
        let at = self.tool_results();
        others.into_iter().rev().for_each(|input| self.queue.insert(at, input));
        results.into_iter().rev().for_each(|input| self.queue.push_front(input));
    }

    /// How many results of tools stand first.
    fn tool_results(&self) -> usize {
        self.queue.iter().take_while(|input| matches!(input, TurnInput::ToolResults(_))).count()
    }

    /// Drops what waits.
    pub(super) fn clear(&mut self) {
        self.queue.clear();
    }
}
