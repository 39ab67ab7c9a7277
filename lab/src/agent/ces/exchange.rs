//! What a client and the agent send each other, whatever carries it.

use googleapis_tonic_google_cloud_ces_v1::google::cloud::ces::v1 as ces;

use crate::agent::ces::ending::Ending;

/// What comes from a client.
#[derive(Debug)]
pub(super) enum FromClient {
    Message(Box<ces::BidiSessionClientMessage>),
    /// It is no message; so the stream ends.
    Unreadable(Ending),
    /// Nothing more comes, but the client still reads.
    HalfClosed,
    /// The client has left: with a close frame of that code, or without a word.
    Gone(Option<u16>),
}

/// What goes to a client. After an end nothing comes.
#[derive(Debug)]
pub(super) enum Outgoing {
    Message(Box<ces::BidiSessionServerMessage>),
    End(Ending),
}
