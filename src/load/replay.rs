//! A stream whose first exchange has been spoken already, and is gone through once more for somebody
//! who has to understand it better.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::plain::{Pieces, Stream};

/// The stream: what is written counts for nothing until [`Handle::end`], for the request is out; then
/// what has come of the answer is read again in the same pieces, and the rest as it comes.
pub struct Replay {
    stream: Box<dyn Stream>,
    come: Pieces,
    /// How much of that has been read again.
    read: usize,
    error: Option<io::Error>,
    /// Somebody who reads before anything was asked.
    early: Option<Waker>,
    asked: bool,
    ended: Handle,
}

/// Ends the repetition.
#[derive(Clone, Default)]
pub struct Handle(Rc<Cell<bool>>);

impl Handle {
    /// The repeated exchange is over: from now on everything is really sent.
    pub fn end(&self) {
        self.0.set(true);
    }
}

impl Replay {
    /// A stream of which this has come already, and then perhaps this error.
    pub fn new(stream: Box<dyn Stream>, come: Pieces, error: Option<io::Error>) -> Self {
        let ended = Handle::default();
        Self { stream, come, read: 0, error, early: None, asked: false, ended }
    }

    /// What ends the repetition.
    pub fn handle(&self) -> Handle {
        self.ended.clone()
    }

    /// Takes in that the request was written once more.
    fn is_asked(&mut self) {
        self.asked = true;
        self.early.take().into_iter().for_each(Waker::wake);
    }
}

impl AsyncRead for Replay {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.asked {
            self.early = Some(context.waker().clone());
            return Poll::Pending;
        }
        if let Some(end) = self.come.ends.front().copied() {
            let to = end.min(self.read + buffer.remaining());
            buffer.put_slice(&self.come.bytes[self.read..to]);
            self.read = to;
            if to == end {
                self.come.ends.pop_front();
            }
            return Poll::Ready(Ok(()));
        }
        if let Some(error) = self.error.take() {
            return Poll::Ready(Err(error));
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Replay {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.ended.0.get() {
            return Pin::new(&mut self.stream).poll_write(context, bytes);
        }
        self.is_asked();
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
