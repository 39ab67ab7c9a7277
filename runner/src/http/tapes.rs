//! `/calls/ID/tape.jsonl`, `/calls/ID/call.wav`, `/calls/ID/test.zip`: what the page gives of a recorded call.

use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_DISPOSITION;
use http::{HeaderValue, StatusCode};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use super::answer::{Answer, not_found, text, with_type};
use crate::history::KeptTape;
use crate::service::page::Page;
use crate::tape_files::{TapeExport, TapeFault, export};

/// How long a request waits for the one before it.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(20);

/// Answers with what `name`, `ID/FILE`, asks for.
pub(super) async fn give(page: &Page, name: &str) -> Answer {
    let (id, file) = name.split_once('/').unwrap_or((name, ""));
    let Some(what) = asked(file) else { return not_found() };
    let watcher = id.parse().ok().and_then(|id| page.history.by_id(id));
    match watcher.map(|watcher| watcher.tape()) {
        None => not_found(),
        Some(KeptTape::NotRecorded) => {
            text(StatusCode::NOT_FOUND, "This call was not recorded. Set RECORD_DIR to record the next ones.\n")
        }
        Some(KeptTape::Live) => text(StatusCode::CONFLICT, "The call is live. Ask again when it is over.\n"),
        Some(KeptTape::Private) => text(
            StatusCode::FORBIDDEN,
            "The tape has what was said in a phone call. PAGE_TRANSCRIPTS=true shows the words of the next calls here.\n",
        ),
        Some(KeptTape::Open { path, call_sid }) => {
            let Ok(Ok(permit)) = timeout(QUEUE_TIMEOUT, page.tape_reader.clone().acquire_owned()).await else {
                return text(StatusCode::SERVICE_UNAVAILABLE, "Another tape is being read. Try again in a moment.\n");
            };
            let stem = call_sid.to_string();
            // The place is free when the work is done and the client has read it, or has gone.
            let exported = tokio::task::spawn_blocking(move || {
                export(&path, &stem, what).map(|bytes| Bytes::from_owner(Exported { bytes, _permit: permit }))
            });
            // A replay that panics is a fault of this tape's.
            exported
                .await
                .unwrap_or(Err(TapeFault::Unreadable))
                .map_or_else(fault, |bytes| download(bytes, what, call_sid.as_str()))
        }
    }
}

/// A file that is made of a tape, and the place of the one that is in memory.
struct Exported {
    bytes: Vec<u8>,
    _permit: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Exported {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

fn asked(file: &str) -> Option<TapeExport> {
    match file {
        "tape.jsonl" => Some(TapeExport::Tape),
        "call.wav" => Some(TapeExport::Audio),
        "test.zip" => Some(TapeExport::Test),
        _ => None,
    }
}

fn fault(fault: TapeFault) -> Answer {
    match fault {
        TapeFault::Gone => text(StatusCode::NOT_FOUND, "The tape is not in RECORD_DIR, or cannot be read.\n"),
        TapeFault::TooLong => text(
            StatusCode::PAYLOAD_TOO_LARGE,
            "The tape has more than 64 MiB. Fetch it from RECORD_DIR; dialbridge replay and dialbridge test new read it.\n",
        ),
        TapeFault::Unreadable => text(
            StatusCode::CONFLICT,
            "The tape is not whole. If the call has just ended, try again in a moment; else dialbridge replay says what is wrong.\n",
        ),
    }
}

/// A CallSid has letters, digits, `-` and `_` only.
fn download(bytes: Bytes, what: TapeExport, call_sid: &str) -> Answer {
    let mut answer = with_type(StatusCode::OK, what.content_type(), bytes);
    let name = format!("attachment; filename=\"{call_sid}.{}\"", what.extension());
    if let Ok(name) = HeaderValue::try_from(name) {
        answer.headers_mut().insert(CONTENT_DISPOSITION, name);
    }
    answer
}
