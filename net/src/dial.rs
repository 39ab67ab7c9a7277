//! Opens connections: by TCP in production. A test can use pipes instead and run on a virtual clock.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::hosts::without_brackets;

/// A connection of any kind.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// The result of a [`Dial`].
pub type Dialled = Pin<Box<dyn Future<Output = io::Result<Box<dyn Io>>> + Send>>;

/// Opens connections.
pub trait Dial: fmt::Debug + Send + Sync {
    /// Opens a plain connection to `host:port`.
    fn dial(&self, host: &str, port: u16) -> Dialled;

    /// Opens a connection to `host:port` that will carry TLS. It may go through a proxy.
    fn dial_for_tls(&self, host: &str, port: u16) -> Dialled {
        self.dial(host, port)
    }

    /// Whether [`Dial::dial_for_tls`] goes through a proxy, which then looks the host up.
    fn is_proxied(&self, _host: &str, _port: u16) -> bool {
        false
    }
}

/// Opens TCP connections.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tcp;

impl Dial for Tcp {
    fn dial(&self, host: &str, port: u16) -> Dialled {
        let host = without_brackets(host).to_owned();
        Box::pin(async move {
            let stream = TcpStream::connect((host, port)).await?;
            // A 20 ms frame must not wait for the acknowledgement of the one before.
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as Box<dyn Io>)
        })
    }
}

/// A [`Dial`] as hyper takes it.
#[derive(Debug, Clone)]
pub struct Connector(pub Arc<dyn Dial>);

/// An open connection, for HTTP.
pub struct Opened(pub Box<dyn Io>);

impl tower_service::Service<Uri> for Connector {
    type Response = TokioIo<Opened>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<TokioIo<Opened>>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let host = uri.host().unwrap_or_default();
        let dialled = match uri.scheme_str() {
            Some("https") => self.0.dial_for_tls(host, uri.port_u16().unwrap_or(443)),
            _ => self.0.dial(host, uri.port_u16().unwrap_or(80)),
        };
        Box::pin(async move { dialled.await.map(|io| TokioIo::new(Opened(io))) })
    }
}

impl Connection for Opened {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl AsyncRead for Opened {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Opened {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().0).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_shutdown(cx)
    }

    // A frame of audio is small. With this answer h2 copies payloads of up to 1 kB, not 256 bytes, into one buffer. All
    // calls of a connection then share one write.
    fn is_write_vectored(&self) -> bool {
        false
    }
}
