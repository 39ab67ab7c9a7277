//! Why a request was refused, as a label.

/// Why the service refused a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalReason {
    /// It has no signature.
    Unsigned,
    /// Its signature is not Twilio's.
    Signature,
    /// Its body is no form, is too long or took too long.
    Form,
    /// Its ticket is not valid.
    Ticket,
    /// Its state is not valid.
    State,
    /// It names an agent that is not configured.
    Agent,
    /// There is no room for another media socket.
    Room,
    /// The instance is ending.
    Draining,
    /// The maximum number of calls is reached.
    Busy,
    /// The agent is down for all calls.
    AgentDown,
    /// It asks for something that is for operators only.
    Admin,
    /// Its path is none of ours, but near one, or Twilio asks for it.
    Path,
    /// Twilio cannot open the URLs that it would get.
    Reach,
}

impl RefusalReason {
    pub(super) const ALL: [Self; 13] = [
        Self::Unsigned,
        Self::Signature,
        Self::Form,
        Self::Ticket,
        Self::State,
        Self::Agent,
        Self::Room,
        Self::Draining,
        Self::Busy,
        Self::AgentDown,
        Self::Admin,
        Self::Path,
        Self::Reach,
    ];

    /// The value of the label `kind`.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Unsigned => "unsigned",
            Self::Signature => "signature",
            Self::Form => "form",
            Self::Ticket => "ticket",
            Self::State => "state",
            Self::Agent => "agent",
            Self::Room => "room",
            Self::Draining => "draining",
            Self::Busy => "busy",
            Self::AgentDown => "agent-down",
            Self::Admin => "admin",
            Self::Path => "path",
            Self::Reach => "reach",
        }
    }
}
