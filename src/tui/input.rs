//! What comes from the operator: keys, resizes, and the terminal's signals.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use crossterm::event::{Event, EventStream, KeyEvent, KeyEventKind};
use futures_util::StreamExt;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// How long the dashboard may take to end by itself after its terminal is gone.
const TIME_TO_LEAVE: Duration = Duration::from_secs(2);
const NO_WAIT: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

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

/// The terminal's keys and signals. A hang-up is learnt from the signal and from the terminal itself
/// before its stream is asked: the stream of a terminal that is gone neither ends nor fails, it spins,
/// and whoever asks it spins with it.
pub struct TtyKeys {
    signals: Signals,
    events: EventStream,
}

impl TtyKeys {
    /// Listens.
    pub fn new(signals: Signals) -> Self {
        std::thread::spawn(end_with_the_terminal);
        Self { signals, events: EventStream::new() }
    }
}

/// The last resort: a hang-up between the look at the terminal and the question to its stream would
/// leave the dashboard spinning for ever. The terminal is gone, so there is nothing to give back, and
/// the run is the engine's.
fn end_with_the_terminal() {
    if is_hung_up(None) {
        std::thread::sleep(TIME_TO_LEAVE);
        std::process::exit(0);
    }
}

/// Whether the terminal is gone; waits for that as long as is said, for ever when nothing is.
fn is_hung_up(wait: Option<&Timespec>) -> bool {
    let stdin = std::io::stdin();
    let mut looked = [PollFd::new(&stdin, PollFlags::empty())];
    let gone = PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL;
    loop {
        match poll(&mut looked, wait) {
            Ok(_) => return looked[0].revents().intersects(gone),
            Err(rustix::io::Errno::INTR) if wait.is_none() => {}
            Err(_) => return false,
        }
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
                event = poll_fn(|context| match is_hung_up(Some(&NO_WAIT)) {
                    true => Poll::Ready(None),
                    false => self.events.poll_next_unpin(context),
                }) => event,
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
