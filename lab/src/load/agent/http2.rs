//! A connection over HTTP/2, and its streams: the requested method tells which product a stream speaks.

use bytes::Bytes;
use h2::RecvStream;
use h2::server::{Builder, SendResponse};
use http::Request;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tonic::Code;

use super::ces_grpc;
use super::planned::Planned;
use super::response::{begin_response, status};
use super::turn::LoadTurn;
use super::{Failed, LoadAgent, OpenStream, cx, es};
use crate::distance::Connection;

/// Google's limit of streams for a connection.
const MAX_STREAMS: u32 = 100;

/// HTTP/2's windows, so large that they rarely need an update.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 1 << 26;

/// How many orders may wait for a connection: more say nothing new.
const ORDERS: usize = 4;

/// Serves a connection until it ends or must break.
pub(super) async fn serve(agent: &LoadAgent, connection: Connection) {
    let mut builder = Builder::new();
    builder
        .max_concurrent_streams(MAX_STREAMS)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW);
    let Ok(mut connection) = builder.handshake(connection).await else { return };
    let (orders, mut ordered) = mpsc::channel(ORDERS);
    let mut streams = JoinSet::new();
    loop {
        tokio::select! {
            accepted = connection.accept() => match accepted {
                Some(Ok((request, respond))) => {
                    streams.spawn(serve_stream(agent.clone(), request, respond, orders.clone()));
                }
                // A broken connection ends like a closed one: its streams notice.
                Some(Err(_)) | None => return,
            },
            Some(order) = ordered.recv() => match order {
                Planned::GoAway => connection.graceful_shutdown(),
                _ => return,
            },
        }
        while streams.try_join_next().is_some() {}
    }
}

async fn serve_stream(
    agent: LoadAgent,
    request: Request<RecvStream>,
    respond: SendResponse<Bytes>,
    orders: mpsc::Sender<Planned>,
) {
    let open = OpenStream::of(&agent);
    let (head, body) = request.into_parts();
    let served = match head.uri.path() {
        cx::PATH => LoadTurn::new(&agent, &agent.said.cx, orders).run::<cx::Cx>(body, respond).await,
        path if es::PATHS.contains(&path) => {
            LoadTurn::new(&agent, &agent.said.es, orders).run::<es::Es>(body, respond).await
        }
        ces_grpc::PATH => ces_grpc::run(&agent, body, respond, orders).await,
        _ => refuse(respond),
    };
    drop(open);
    agent.ledger().counts.failed_streams += u64::from(served.is_err());
}

fn refuse(respond: SendResponse<Bytes>) -> Result<(), Failed> {
    begin_response(respond)?.send_trailers(status(Code::Unimplemented))?;
    Err(Failed)
}
