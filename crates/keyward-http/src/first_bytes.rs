//! Patience with connections that do not say which HTTP they speak.
//! [`crate::serve`] lays it under every connection: the protocol layer measures nothing before it has told the versions apart,
//! so a client that keeps silent, or stops within the preface of HTTP/2, would stay for ever.
//! Knows that preface, and nothing else of HTTP.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// RFC 9113 section 3.4.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A stream whose reads fail when it takes the client too long to show its version.
pub(crate) struct FirstBytes<S> {
    stream: S,
    /// Bytes that agree with the preface so far.
    agreed: usize,
    /// Until when to wait; `None` once the version is known.
    patience: Option<Pin<Box<Sleep>>>,
}

impl<S> FirstBytes<S> {
    /// Starts to wait.
    pub(crate) fn within(stream: S, patience: Duration) -> Self {
        Self { stream, agreed: 0, patience: Some(Box::pin(tokio::time::sleep(patience))) }
    }

    /// Looks at what was read, and stops waiting once it is the whole preface or something else.
    fn look(&mut self, read: &[u8]) {
        let expected = &PREFACE[self.agreed..];
        let same = expected.iter().zip(read).take_while(|(expected, read)| expected == read).count();
        self.agreed += same;
        if same < read.len() || self.agreed == PREFACE.len() {
            self.patience = None;
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for FirstBytes<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let Some(patience) = &mut this.patience else {
            return Pin::new(&mut this.stream).poll_read(context, buffer);
        };
        let before = buffer.filled().len();
        match Pin::new(&mut this.stream).poll_read(context, buffer) {
            Poll::Pending => {
                ready!(patience.as_mut().poll(context));
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
            Poll::Ready(outcome) => {
                this.look(&buffer.filled()[before..]);
                Poll::Ready(outcome)
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for FirstBytes<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_wait_ends_where_the_version_is_known() {
        for (pieces, known) in [
            (&["GET / HTTP/1.1"][..], true),
            (&["P", "O"], true),
            (&["PRI * HTTP/2.0\r\n\r\nSM\r\n", "\r\nmore"], true),
            (&[], false),
            (&["P", "RI * HTTP"], false),
            (&["PRI * HTTP/2.0\r\n\r\nSM\r\n\r"], false),
        ] {
            let mut stream = FirstBytes::within((), Duration::from_secs(5));
            pieces.iter().for_each(|piece| stream.look(piece.as_bytes()));
            assert_eq!(stream.patience.is_none(), known, "{pieces:?}");
        }
    }
}
