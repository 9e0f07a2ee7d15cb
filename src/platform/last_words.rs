//! What the other side said last. A server that refuses a client's certificate tells so in an alert, and hangs
//! up: who finds out by writing has not read it, and would only know that the pipe is broken.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::tls;

/// No more than this is read for a reason: an alert is a few bytes, and what goes on for ever has none.
const MOST_BYTES: usize = 64 * 1024;

/// A stream that is heard out when it cannot be written to any more: where the other side gave a reason, that
/// is the error. For HTTP/2, which reads nothing more by then; an early answer of HTTP/1.1 would be lost.
pub(super) struct HeardOut<S> {
    stream: S,
    /// Why it cannot be written to.
    broken: Option<io::Error>,
    /// Bytes read since then.
    heard: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin> HeardOut<S> {
    /// A stream that can be written to.
    pub(super) const fn new(stream: S) -> Self {
        Self { stream, broken: None, heard: 0 }
    }

    fn written<T>(
        &mut self,
        context: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut S>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if self.broken.is_none() {
            match ready!(write(Pin::new(&mut self.stream), context)) {
                Ok(done) => return Poll::Ready(Ok(done)),
                Err(error) => self.broken = Some(error),
            }
        }
        self.hear_out(context).map(Err)
    }

    /// Reads what is left, up to the end, a failure, or the reason.
    fn hear_out(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        let mut room = [0; 1024];
        loop {
            let mut heard = ReadBuf::new(&mut room);
            match ready!(Pin::new(&mut self.stream).poll_read(context, &mut heard)) {
                Ok(()) if !heard.filled().is_empty() && self.heard < MOST_BYTES => {
                    self.heard += heard.filled().len();
                }
                Err(reason) if tls::broke(&reason) => return Poll::Ready(reason),
                _ => {
                    let broken = self.broken.take();
                    return Poll::Ready(broken.unwrap_or(io::ErrorKind::BrokenPipe.into()));
                }
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for HeardOut<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for HeardOut<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.written(context, |stream, context| stream.poll_write(context, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.written(context, |stream, context| stream.poll_write_vectored(context, pieces))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.written(context, |stream, context| stream.poll_flush(context))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use rustls::{AlertDescription, Error};
    use tokio::io::AsyncWriteExt;

    use super::*;

    /// A peer that is gone, and what can still be read of it; nothing for now where that is none.
    struct Gone(VecDeque<Option<io::Result<&'static [u8]>>>);

    impl AsyncRead for Gone {
        fn poll_read(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
            into: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            match self.0.pop_front() {
                Some(None) => {
                    context.waker().wake_by_ref();
                    Poll::Pending
                }
                Some(Some(said)) => Poll::Ready(said.map(|bytes| into.put_slice(bytes))),
                None => Poll::Ready(Ok(())),
            }
        }
    }

    impl AsyncWrite for Gone {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &[u8],
        ) -> Poll<io::Result<usize>> {
            Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn a_refusal_that_was_not_read_yet_is_why_nothing_can_be_written() {
        let alert = || {
            let alert = Error::AlertReceived(AlertDescription::CertificateRequired);
            io::Error::new(io::ErrorKind::InvalidData, alert)
        };
        let reset = || io::Error::from(io::ErrorKind::ConnectionReset);
        let without_end = || (0..70).map(|_| Some(Ok(&[0; 1000][..])));
        for (said, is_refusal) in [
            (vec![None, Some(Ok(&b"a ticket"[..])), None, Some(Err(alert()))], true),
            (vec![None, Some(Ok(b"a ticket")), Some(Err(reset()))], false),
            (vec![], false),
            (without_end().chain([Some(Err(alert()))]).collect(), false),
        ] {
            let mut stream = HeardOut::new(Gone(said.into()));
            let error = stream.write_all(b"hello").await.expect_err("gone");
            assert_eq!(tls::broke(&error), is_refusal, "{error}");
            assert!(is_refusal || error.kind() == io::ErrorKind::BrokenPipe, "{error}");
        }
    }
}
