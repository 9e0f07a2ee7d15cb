//! The real program in a real terminal.

use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

use super::{PATIENCE, Workplace, wait_for};

/// A terminal with the program in it.
pub struct Screen {
    pub master: Option<Box<dyn MasterPty + Send>>,
    writer: Option<Box<dyn Write + Send>>,
    pub child: Box<dyn Child + Send + Sync>,
    pub parser: Arc<Mutex<vt100::Parser>>,
    pub written: Arc<Mutex<Vec<u8>>>,
    /// Tells the reader to let go of the terminal.
    closing: Arc<AtomicBool>,
}

impl Screen {
    /// The program in a terminal of the usual size.
    pub fn open(place: &Workplace, arguments: &[&str]) -> Self {
        Self::of_size(place, arguments, 24, 80)
    }

    pub fn of_size(place: &Workplace, arguments: &[&str], rows: u16, cols: u16) -> Self {
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_shakedown"));
        command.args(arguments);
        command.env("LC_ALL", "C.UTF-8");
        Self::of_command(place, command, rows, cols)
    }

    /// A command that becomes the program.
    pub fn of_command(
        place: &Workplace,
        mut command: CommandBuilder,
        rows: u16,
        cols: u16,
    ) -> Self {
        let size = PtySize { rows, cols, ..PtySize::default() };
        let pty = native_pty_system().openpty(size).expect("a terminal");
        command.cwd(place.path());
        command.env("XDG_STATE_HOME", place.path().join("state"));
        command.env("TERM", "xterm-256color");
        match place.runtime_dir() {
            Some(folder) => command.env("XDG_RUNTIME_DIR", folder),
            None => command.env_remove("XDG_RUNTIME_DIR"),
        }
        let child = pty.slave.spawn_command(command).expect("started");
        drop(pty.slave);
        let parser = Arc::new(Mutex::new(vt100::Parser::new(rows, cols, 0)));
        let written = Arc::new(Mutex::new(Vec::new()));
        let mut reader = pty.master.try_clone_reader().expect("readable");
        let (screen, bytes) = (Arc::clone(&parser), Arc::clone(&written));
        let closing = Arc::new(AtomicBool::new(false));
        let hang_up = Arc::clone(&closing);
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let (Ok(n @ 1..), false) = (reader.read(&mut buffer), hang_up.load(SeqCst)) {
                screen.lock().expect("not poisoned").process(&buffer[..n]);
                bytes.lock().expect("not poisoned").extend_from_slice(&buffer[..n]);
            }
        });
        let writer = pty.master.take_writer().expect("writable");
        Self { master: Some(pty.master), writer: Some(writer), child, parser, written, closing }
    }

    pub fn text(&self) -> String {
        self.parser.lock().expect("not poisoned").screen().contents()
    }

    pub fn shows(&self, what: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.text().contains(what) {
            assert!(Instant::now() < deadline, "no `{what}` on the screen:\n{}", self.text());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn gone(&self, what: &str) {
        wait_for("something to go", || (!self.text().contains(what)).then_some(()));
    }

    pub fn press(&mut self, keys: &str) {
        let writer = self.writer.as_mut().expect("open");
        writer.write_all(keys.as_bytes()).expect("written");
        writer.flush().expect("flushed");
    }

    /// Closes every handle on the terminal, as a lost connection does.
    pub fn hang_up(&mut self) {
        self.closing.store(true, SeqCst);
        self.writer = None;
        self.master = None;
    }

    pub fn ended(&mut self) -> u32 {
        wait_for("the program's end", || self.child.try_wait().expect("ours")).exit_code()
    }

    pub fn is_given_back(&self) {
        // What the program wrote last may still be on its way through the terminal.
        wait_for("the terminal to be given back", || {
            let written = self.written.lock().expect("not poisoned");
            let written = String::from_utf8_lossy(&written);
            (written.contains("\x1b[?1049l") && written.contains("\x1b[?25h")).then_some(())
        });
    }
}
