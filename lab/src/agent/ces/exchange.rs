//! What a client and the agent send each other, whatever carries it.

use googleapis_tonic_google_cloud_ces_v1::google::cloud::ces::v1 as ces;

use crate::agent::ces::ending::Ending;

/// What a client sends.
#[derive(Debug)]
pub(super) enum FromClient {
    Message(Box<ces::BidiSessionClientMessage>),
    /// It is not a message, so the stream ends.
    Unreadable(Ending),
    /// The client sends nothing more, but still reads.
    HalfClosed,
    /// The client has left: with a close frame of this code, or without one.
    Gone(Option<u16>),
}

/// What the agent sends. Nothing follows an end.
#[derive(Debug)]
pub(super) enum Outgoing {
    Message(Box<ces::BidiSessionServerMessage>),
    End(Ending),
}
