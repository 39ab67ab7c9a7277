//! A writer that collects small messages until the flush and then writes them at once.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;

/// Collects data until the flush. The caller limits how much.
#[derive(Debug)]
pub(super) struct Batched<W> {
    inner: W,
    waiting: Vec<u8>,
    /// The number of bytes already written.
    written: usize,
}

impl<W> Batched<W> {
    /// Creates an empty writer.
    pub(super) fn new(inner: W) -> Self {
        Self { inner, waiting: Vec::new(), written: 0 }
    }
}

impl<W: AsyncWrite + Unpin> Batched<W> {
    fn poll_all(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.waiting.len() {
            let written = ready!(Pin::new(&mut self.inner).poll_write(cx, &self.waiting[self.written..]))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += written;
        }
        // Usually nothing waits, and a thousand calls should not keep the memory.
        self.waiting = Vec::new();
        self.written = 0;
        Poll::Ready(Ok(()))
    }
}

impl<W: AsyncWrite + Unpin> AsyncWrite for Batched<W> {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().waiting.extend_from_slice(buf);
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_all(cx))?;
        Pin::new(&mut this.inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_all(cx))?;
        Pin::new(&mut this.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn nothing_is_written_before_the_flush_and_everything_after_it() {
        let (mut theirs, ours) = tokio::io::duplex(4);
        let mut batched = Batched::new(ours);
        batched.write_all(b"one, ").await.unwrap();
        batched.write_all(b"two").await.unwrap();
        let mut byte = [0];
        let nothing = tokio::time::timeout(std::time::Duration::from_millis(10), theirs.read(&mut byte)).await;
        assert!(nothing.is_err());
        let mut text = String::new();
        let writing = async move {
            batched.flush().await.unwrap();
            batched.shutdown().await.unwrap();
        };
        let (_, read) = tokio::join!(writing, theirs.read_to_string(&mut text));
        read.unwrap();
        assert_eq!(text, "one, two");
    }
}
