//! The terminal: taken over, and given back on every way out.

use std::io::{self, BufWriter, Stdout, Write};
use std::mem::ManuallyDrop;
use std::sync::Once;

use crossterm::cursor::{Hide, Show};
use crossterm::terminal::{
    BeginSynchronizedUpdate, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen,
    disable_raw_mode, enable_raw_mode,
};
use crossterm::{execute, queue};
use ratatui::backend::CrosstermBackend;
use ratatui::{Frame, Terminal};
use rustix::process::{Signal, getpid, getsid, kill_current_process_group};

/// What a frame is drawn on.
pub trait Canvas {
    /// Draws one frame.
    ///
    /// # Errors
    /// When the terminal is gone.
    fn draw(&mut self, render: &mut dyn FnMut(&mut Frame<'_>)) -> io::Result<()>;

    /// Forgets what is on the screen, so that the next frame draws everything.
    ///
    /// # Errors
    /// When the terminal is gone.
    fn clear(&mut self) -> io::Result<()>;

    /// Gives the terminal back, stops this process, and takes it over again when it is continued.
    ///
    /// # Errors
    /// When the terminal is gone.
    fn suspend(&mut self) -> io::Result<()>;

    /// Takes the terminal over again after somebody else has stopped and continued this process: the
    /// shell has had it meanwhile.
    ///
    /// # Errors
    /// When the terminal is gone.
    fn resume(&mut self) -> io::Result<()>;
}

/// Whether there is a shell that gets the terminal when this process stops, and can continue it. The
/// leader of a session (`ssh -t host shakedown`) has none: stopped, it would stay so.
pub fn has_shell() -> bool {
    getsid(None).is_ok_and(|session| session != getpid())
}

/// Bytes that one frame may take before it is written in two pieces.
const FRAME_BYTES: usize = 64 * 1024;

/// The real terminal. Dropping it gives it back.
pub struct TtyCanvas {
    /// Never dropped: where the terminal is gone its own drop complains to that terminal, and panics of it.
    terminal: ManuallyDrop<Terminal<CrosstermBackend<BufWriter<Stdout>>>>,
}

impl TtyCanvas {
    /// Takes the terminal over.
    ///
    /// # Errors
    /// When standard output is no terminal.
    pub fn take() -> io::Result<Self> {
        restore_on_panic();
        let writer = BufWriter::with_capacity(FRAME_BYTES, io::stdout());
        let terminal = Terminal::new(CrosstermBackend::new(writer))?;
        take_over().inspect_err(|_| give_back())?;
        Ok(Self { terminal: ManuallyDrop::new(terminal) })
    }
}

impl Canvas for TtyCanvas {
    fn draw(&mut self, render: &mut dyn FnMut(&mut Frame<'_>)) -> io::Result<()> {
        queue!(self.terminal.backend_mut(), BeginSynchronizedUpdate)?;
        let drawn = self.terminal.draw(render).map(|_| ());
        // Also after an error: a terminal that waits for the end of an update shows nothing more.
        queue!(self.terminal.backend_mut(), EndSynchronizedUpdate)?;
        self.terminal.backend_mut().flush()?;
        drawn
    }

    fn clear(&mut self) -> io::Result<()> {
        // Not `Terminal::clear`: it asks the terminal where its cursor is, and a slow line or a
        // terminal that does not answer would end the dashboard.
        let size = self.terminal.size()?;
        self.terminal.resize(size.into())
    }

    fn suspend(&mut self) -> io::Result<()> {
        if !has_shell() {
            return Ok(());
        }
        give_back();
        // All of the job, as a terminal's own ctrl-z does: a parent such as `cargo run` has to stop too,
        // or the shell goes on waiting.
        kill_current_process_group(Signal::STOP)?;
        take_over()?;
        self.clear()
    }

    fn resume(&mut self) -> io::Result<()> {
        let _ = disable_raw_mode();
        take_over()?;
        self.clear()
    }
}

impl Drop for TtyCanvas {
    fn drop(&mut self) {
        give_back();
    }
}

fn take_over() -> io::Result<()> {
    enable_raw_mode()?;
    execute!(io::stdout(), EnterAlternateScreen, Hide)
}

/// Every step is tried, whatever the others say: the terminal may be half gone.
fn give_back() {
    let _ = disable_raw_mode();
    let _ = execute!(io::stdout(), EndSynchronizedUpdate, LeaveAlternateScreen, Show);
}

/// A panic's message has to be readable, so the terminal is given back before it is printed.
fn restore_on_panic() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let print = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            give_back();
            print(panic);
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    use portable_pty::{CommandBuilder, PtySize, native_pty_system};

    #[test]
    #[ignore = "run by `a_panic_gives_the_terminal_back`, in a terminal of its own"]
    fn panic_on_purpose() {
        let _canvas = TtyCanvas::take().expect("a terminal");
        panic!("on purpose");
    }

    #[test]
    fn a_panic_gives_the_terminal_back() {
        let pty = native_pty_system().openpty(PtySize::default()).expect("a terminal");
        let mut command = CommandBuilder::new(std::env::current_exe().expect("this program"));
        command.args([
            "--exact",
            "tui::terminal::tests::panic_on_purpose",
            "--ignored",
            "--nocapture",
        ]);
        let mut child = pty.slave.spawn_command(command).expect("started");
        drop(pty.slave);
        let mut reader = pty.master.try_clone_reader().expect("readable");
        let mut written = Vec::new();
        // The other side of a terminal that is gone fails rather than ends.
        let _ = reader.read_to_end(&mut written);
        child.wait().expect("ended");
        let written = String::from_utf8_lossy(&written);
        let entered = written.find("\x1b[?1049h").expect("took the terminal over");
        let left = written.rfind("\x1b[?1049l").expect("gave it back");
        let message = written.find("on purpose").expect("said why");
        assert!(entered < left && written.contains("\x1b[?25h"), "{written:?}");
        assert!(written.find("\x1b[?1049l").is_some_and(|at| at < message), "{written:?}");
    }
}
