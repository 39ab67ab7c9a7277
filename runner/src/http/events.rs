//! Server-Sent Events (WHATWG HTML section 9.2): answers that go on for as long as something happens.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Response};
use http_body::{Body, Frame};
use http_body_util::{Either, Full};
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, sleep, timeout};

use super::status;
use crate::history::CallWatcher;
use crate::service::Service;

/// How often a stream in which nothing happens says so: whoever went away without a word is noticed by it.
const PING: Duration = Duration::from_secs(15);

/// How long a stream lasts. The browser opens another one.
const LIFE: Duration = Duration::from_secs(600);

/// The list of calls is sent no more often than this.
const LIST_PAUSE: Duration = Duration::from_millis(500);

/// What happens in one call is sent no more often than this.
const CALL_PAUSE: Duration = Duration::from_millis(30);

/// A comment: nothing has happened.
const PING_COMMENT: &[u8] = b":\n\n";

/// An answer that may go on, line by line.
pub(super) type LongAnswer = Response<Either<Full<Bytes>, EventStream>>;

/// Whoever looks on, for as long as the stream lasts.
pub(super) struct Viewer {
    pub(super) service: Arc<Service>,
    /// A place among those that may look on at once.
    pub(super) _permit: OwnedSemaphorePermit,
    pub(super) until: Instant,
}

impl Viewer {
    /// Takes one of the places; `None` when all are taken.
    pub(super) fn enter(service: &Arc<Service>) -> Option<Self> {
        let permit = service.viewers().clone().try_acquire_owned().ok()?;
        Some(Self { service: service.clone(), _permit: permit, until: Instant::now() + LIFE })
    }
}

/// What is told.
pub(super) enum Source {
    /// The list of calls, whenever it has changed.
    Calls(Viewer, watch::Receiver<()>),
    /// One call's timeline, until the call is over.
    Call(Viewer, CallWatcher),
}

impl Source {
    /// The list of calls, from now on.
    pub(super) fn calls(viewer: Viewer, mut changes: watch::Receiver<()>) -> Self {
        changes.mark_changed();
        Self::Calls(viewer, changes)
    }

    /// The next bytes, and the source for those after them; `None` at the end.
    async fn next(self) -> Option<(Bytes, Option<Self>)> {
        match self {
            Self::Calls(viewer, mut changes) => {
                if Instant::now() >= viewer.until {
                    return None;
                }
                // The sender lives in the service.
                let has_changed = timeout(PING, changes.changed()).await.is_ok();
                if viewer.service.drain().is_draining() {
                    return Some((event("draining", "{}"), None));
                }
                let list = viewer
                    .service
                    .history()
                    .filter(|_| has_changed)
                    .map(|history| status::calls(&viewer.service, history).to_string());
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
                let mut bytes: Vec<u8> = lines.iter().flat_map(|line| event("line", line)).collect();
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

/// JSON has no line break in it, so it is one line of data.
fn event(name: &str, data: &str) -> Bytes {
    format!("event: {name}\ndata: {data}\n\n").into()
}

type Step = Pin<Box<dyn Future<Output = Option<(Bytes, Option<Source>)>> + Send>>;

/// The body of such an answer. It has no task: when the connection goes, it is dropped, and all goes with it.
pub(super) struct EventStream(Option<Step>);

impl EventStream {
    /// An answer with the events of that source.
    pub(super) fn answer(source: Source) -> LongAnswer {
        let mut response = Response::new(Either::Right(Self(Some(Box::pin(source.next())))));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        // nginx and its like would keep it until it ends.
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
    // They were JSON when they were kept.
    call["lines"] = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok()).collect();
    call
}
