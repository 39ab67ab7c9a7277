//! Server-Sent Events (WHATWG HTML section 9.2): responses that continue as long as something happens.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::{Either, Full};
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, sleep, timeout};

use super::answer::{Refusal, refusal};
use super::status;
use crate::history::CallWatcher;
use crate::service::page::Page;

/// How often an idle stream sends a comment. This shows us which clients are gone.
const PING: Duration = Duration::from_secs(15);

/// How long a stream lasts. The browser then opens another one.
const LIFE: Duration = Duration::from_secs(600);

/// The shortest time between two lists of calls.
const LIST_PAUSE: Duration = Duration::from_millis(500);

/// The shortest time between two batches of a call's lines.
const CALL_PAUSE: Duration = Duration::from_millis(30);

/// A comment, sent when nothing has happened.
const PING_COMMENT: &[u8] = b":\n\n";

const TOO_MANY_VIEWERS: &str = "Too many pages look on already. Close one of them, and reload this one.\n";

/// A response with a fixed body or an event stream.
pub(super) type LongAnswer = Response<Either<Full<Bytes>, EventStream>>;

/// A viewer, for as long as the stream lasts.
pub(super) struct Viewer {
    pub(super) page: Arc<Page>,
    /// One of the places for viewers.
    pub(super) _permit: OwnedSemaphorePermit,
    pub(super) until: Instant,
}

impl Viewer {
    /// Takes one of the places, unless all are taken.
    pub(super) fn enter(page: &Arc<Page>) -> Result<Self, Refusal> {
        let permit = page.viewers.clone().try_acquire_owned();
        let permit = permit.map_err(|_| refusal(StatusCode::SERVICE_UNAVAILABLE, TOO_MANY_VIEWERS))?;
        Ok(Self { page: page.clone(), _permit: permit, until: Instant::now() + LIFE })
    }
}

/// What a stream sends.
pub(super) enum Source {
    /// The list of calls, whenever it has changed.
    Calls(Viewer, watch::Receiver<()>),
    /// One call's timeline, until the call is over, with the call's clock.
    Call(Viewer, CallWatcher),
}

impl Source {
    /// The list of calls, starting with the current one.
    pub(super) fn calls(viewer: Viewer, mut changes: watch::Receiver<()>) -> Self {
        changes.mark_changed();
        Self::Calls(viewer, changes)
    }

    /// The next bytes, and the source of those after them; `None` at the end.
    async fn next(self) -> Option<(Bytes, Option<Self>)> {
        match self {
            Self::Calls(viewer, mut changes) => {
                if Instant::now() >= viewer.until {
                    return None;
                }
                // The page's history holds the sender.
                let has_changed = timeout(PING, changes.changed()).await.is_ok();
                if viewer.page.admission.drain.is_draining() {
                    return Some((event("draining", "{}"), None));
                }
                let list = has_changed.then(|| status::calls(&viewer.page).to_string());
                let bytes = list.map_or(Bytes::from_static(PING_COMMENT), |list| event("calls", &list));
                Some((bytes, Some(Self::Calls(viewer, changes))))
            }
            Self::Call(viewer, mut watcher) => {
                if Instant::now() >= viewer.until {
                    return None;
                }
                if timeout(PING, watcher.wait()).await.is_err() {
                    return Some((Bytes::from_static(PING_COMMENT), Some(Self::Call(viewer, watcher))));
                }
                let (lines, is_over) = watcher.new_lines();
                let at_ms = watcher.ms_of_call(viewer.page.admission.clock.now_ms());
                let mut bytes: Vec<u8> = event("clock", &json!({ "atMs": at_ms }).to_string()).into();
                bytes.extend(lines.iter().flat_map(|line| event("line", line)));
                if is_over {
                    bytes.extend(event("over", &watcher.whole().0.to_string()));
                    return Some((bytes.into(), None));
                }
                Some((bytes.into(), Some(Self::Call(viewer, watcher))))
            }
        }
    }

    fn pause(&self) -> Duration {
        match self {
            Self::Calls(..) => LIST_PAUSE,
            Self::Call(..) => CALL_PAUSE,
        }
    }
}

/// JSON has no line break, so the data is one line.
fn event(name: &str, data: &str) -> Bytes {
    format!("event: {name}\ndata: {data}\n\n").into()
}

type Step = Pin<Box<dyn Future<Output = Option<(Bytes, Option<Source>)>> + Send>>;

/// The body of the response. It has no task: when the connection closes, it is dropped with all that it holds.
pub(super) struct EventStream(Option<Step>);

impl EventStream {
    /// A response with the events of this source.
    pub(super) fn answer(source: Source) -> LongAnswer {
        let mut response = Response::new(Either::Right(Self(Some(Box::pin(source.next())))));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        // Otherwise nginx and others buffer the stream until it ends.
        headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
        response
    }
}

impl Body for EventStream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        let Some(step) = &mut this.0 else { return Poll::Ready(None) };
        let Poll::Ready(next) = step.as_mut().poll(cx) else { return Poll::Pending };
        let Some((bytes, source)) = next else {
            this.0 = None;
            return Poll::Ready(None);
        };
        this.0 = source.map(|source| {
            let later: Step = Box::pin(async move {
                sleep(source.pause()).await;
                source.next().await
            });
            later
        });
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }
}

/// A call and its timeline, as one JSON object.
pub(super) fn whole(watcher: &CallWatcher) -> Value {
    let (mut call, lines) = watcher.whole();
    // The lines were JSON when they were kept.
    call["lines"] = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok()).collect();
    call
}
