//! What comes from the operator: keys, resizes, and the terminal's signals.

use crossterm::event::{Event, EventStream, KeyEvent, KeyEventKind};
use futures_util::StreamExt;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Something from the operator's side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// A key was pressed.
    Key(KeyEvent),
    /// The terminal has another size.
    Resize,
    /// The terminal is gone, or this process is told to end.
    Gone,
    /// This process is told to stop for a while.
    Stop,
    /// It goes on after a stop.
    Continued,
}

/// Where input comes from: the terminal, or a test.
pub trait Keys {
    /// The next input. Cancel-safe.
    fn next(&mut self) -> impl Future<Output = Input>;
}

/// The signals of a terminal.
pub struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
    quit: Signal,
    stop: Signal,
    continued: Signal,
}

impl Signals {
    /// Catches them.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn catch() -> std::io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            stop: signal(SignalKind::from_raw(rustix::process::Signal::TSTP.as_raw()))?,
            continued: signal(SignalKind::from_raw(rustix::process::Signal::CONT.as_raw()))?,
        })
    }
}

/// The terminal's keys and signals. A hang-up is learnt from the signal: the stream of a terminal
/// that is gone neither ends nor fails, it only spins.
pub struct TtyKeys {
    signals: Signals,
    events: EventStream,
}

impl TtyKeys {
    /// Listens.
    pub fn new(signals: Signals) -> Self {
        Self { signals, events: EventStream::new() }
    }
}

impl Keys for TtyKeys {
    async fn next(&mut self) -> Input {
        loop {
            let signals = &mut self.signals;
            let event = tokio::select! {
                biased;
                _ = signals.hangup.recv() => return Input::Gone,
                _ = signals.terminate.recv() => return Input::Gone,
                _ = signals.interrupt.recv() => return Input::Gone,
                _ = signals.quit.recv() => return Input::Gone,
                _ = signals.stop.recv() => return Input::Stop,
                _ = signals.continued.recv() => return Input::Continued,
                event = self.events.next() => event,
            };
            match event {
                Some(Ok(Event::Key(key))) if key.kind != KeyEventKind::Release => {
                    return Input::Key(key);
                }
                Some(Ok(Event::Resize(..))) => return Input::Resize,
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Input::Gone,
            }
        }
    }
}
