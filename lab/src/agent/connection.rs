//! Connections over HTTP/2. Each is served by itself, so that a script can make one of them go away or break, or make
//! the address unreachable for a while.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::Instant;
use tonic::body::Body;
use tonic::service::Routes;
use tower_service::Service;

use crate::agent::reset::reason_before_all;

/// How many unread bytes a stream may send.
const STREAM_WINDOW: u32 = 1 << 20;

/// A stream's handle on its connection.
#[derive(Debug, Clone)]
pub(super) struct ConnectionHandle(Arc<watch::Sender<ConnectionState>>);

/// The state of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum ConnectionState {
    Open,
    GoingAway,
    Cut,
}

impl ConnectionHandle {
    fn new() -> (Self, watch::Receiver<ConnectionState>) {
        let (sender, receiver) = watch::channel(ConnectionState::Open);
        (Self(Arc::new(sender)), receiver)
    }

    /// Makes the connection refuse further streams.
    pub(super) fn go_away(&self) {
        self.advance_to(ConnectionState::GoingAway);
    }

    /// Breaks the connection.
    pub(super) fn cut(&self) {
        self.advance_to(ConnectionState::Cut);
    }

    fn advance_to(&self, state: ConnectionState) {
        self.0.send_if_modified(|now| {
            let is_worse = *now < state;
            *now = state.max(*now);
            is_worse
        });
    }
}

/// A time in which nobody can connect. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Outage(Arc<watch::Sender<Option<Instant>>>);

impl Default for Outage {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(None)))
    }
}

impl Outage {
    /// Begins an outage.
    pub(super) fn begin(&self, length: Duration) {
        self.0.send_replace(Some(Instant::now() + length));
    }

    /// The end of the current outage, if there is one.
    pub(super) fn until(&self) -> Option<Instant> {
        self.0.borrow().filter(|until| *until > Instant::now())
    }

    /// Waits for an outage to begin; returns its end.
    pub(super) async fn begins(&self) -> Instant {
        let mut told = self.0.subscribe();
        loop {
            if let Some(until) = self.until() {
                return until;
            }
            // `self` holds the sender, so it is not gone.
            let _ = told.changed().await;
        }
    }
}

/// Serves one connection to its end.
pub(super) async fn serve<I>(connection: I, routes: Routes)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (connection_handle, mut state) = ConnectionHandle::new();
    let service = service_fn(move |request| answer(routes.clone(), connection_handle.clone(), request));
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder.initial_stream_window_size(STREAM_WINDOW);
    let mut serving = pin!(builder.serve_connection(TokioIo::new(connection), service));
    loop {
        tokio::select! {
            // Only the client cares how a connection ends.
            _ = serving.as_mut() => return,
            Ok(()) = state.changed() => match *state.borrow_and_update() {
                ConnectionState::Open => {}
                ConnectionState::GoingAway => serving.as_mut().graceful_shutdown(),
                ConnectionState::Cut => return,
            },
        }
    }
}

async fn answer(
    mut routes: Routes,
    connection_handle: ConnectionHandle,
    mut request: Request<Incoming>,
) -> Result<Response<Body>, h2::Error> {
    request.extensions_mut().insert(connection_handle);
    let response: Result<Response<Body>, Infallible> = async {
        poll_fn(|cx| Service::<Request<Incoming>>::poll_ready(&mut routes, cx)).await?;
        routes.call(request).await
    }
    .await;
    let Ok(response) = response;
    match reason_before_all(&response) {
        Some(reason) => Err(reason.into()),
        None => Ok(response),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_is_cut_does_not_come_back_to_going_away() {
        let (connection_handle, state) = ConnectionHandle::new();
        connection_handle.go_away();
        connection_handle.cut();
        connection_handle.go_away();
        assert_eq!(*state.borrow(), ConnectionState::Cut);
    }

    #[tokio::test(start_paused = true)]
    async fn an_outage_is_over_when_its_time_is() {
        let outage = Outage::default();
        assert_eq!(outage.until(), None);
        outage.begin(Duration::from_secs(2));
        assert_eq!(outage.until(), Some(outage.begins().await));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(outage.until(), None);
    }
}
