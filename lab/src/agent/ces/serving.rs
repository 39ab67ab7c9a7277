//! What all CES streams of an agent share.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::HeaderMap;
use http::header::AUTHORIZATION;

use crate::agent::ces::record::Streams;
use crate::agent::ces::sessions::CesSessions;
use crate::agent::script::{Break, PlannedBreak, Script};
use crate::agent::turn::Sessions;

/// An agent that serves CES.
#[derive(Debug, Clone)]
pub(in crate::agent) struct Serving {
    pub(super) sessions: Sessions,
    pub(super) state: CesSessions,
    opened: Arc<AtomicUsize>,
}

/// A request to open a stream, over either transport.
#[derive(Debug, Clone)]
pub(super) struct StreamRequest {
    pub(super) transport: &'static str,
    pub(super) user_project: Option<String>,
    pub(super) has_token: bool,
    /// The location in the path (WebSocket).
    pub(super) location: Option<String>,
    /// Its index among all requested streams, from 0.
    number: usize,
}

impl Serving {
    pub(in crate::agent) fn new(sessions: Sessions, state: CesSessions, opened: Arc<AtomicUsize>) -> Self {
        Self { sessions, state, opened }
    }

    pub(super) fn script(&self) -> &Script {
        &self.sessions.script
    }

    pub(super) fn streams(&self) -> &Streams {
        self.sessions.record.ces()
    }

    /// Registers a requested stream.
    pub(super) fn note_request(
        &self,
        transport: &'static str,
        headers: &HeaderMap,
        location: Option<String>,
    ) -> StreamRequest {
        let user_project = headers.get("x-goog-user-project").and_then(|project| project.to_str().ok());
        StreamRequest {
            transport,
            user_project: user_project.map(ToOwned::to_owned),
            has_token: headers.contains_key(AUTHORIZATION),
            location,
            number: self.opened.fetch_add(1, Ordering::Relaxed),
        }
    }

    /// Whether the client has brought the required token.
    pub(super) fn is_authorized(&self, headers: &HeaderMap) -> bool {
        let token = &self.script().ces.token;
        let brought = headers.get(AUTHORIZATION).map(|value| value.as_bytes());
        token.is_empty() || brought == Some(format!("Bearer {token}").as_bytes())
    }

    /// How the script breaks the stream before anything is read.
    pub(super) fn refusal(&self, stream_request: &StreamRequest) -> Option<Break> {
        planned_break(&self.script().ces.refuses, stream_request)
    }

    /// How the script breaks it once its configuration has been read.
    pub(super) fn break_at_config(&self, stream_request: &StreamRequest) -> Option<Break> {
        planned_break(&self.script().ces.breaks, stream_request)
    }
}

fn planned_break(breaks: &[PlannedBreak], stream_request: &StreamRequest) -> Option<Break> {
    breaks.get(stream_request.number).and_then(|planned| planned.0)
}
