//! The journal: every event of a run, one JSON line each, appended as it happens.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read as _, Seek as _, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::event::Event;
use super::state::RunState;

/// Name of the journal in a run's folder.
pub const JOURNAL_FILE: &str = "events.jsonl";

/// A line longer than this is no event of ours.
const MAX_LINE_BYTES: u64 = 16 * 1024 * 1024;

/// A journal that is being written.
pub struct Journal {
    file: File,
    path: PathBuf,
}

/// Why a journal cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{action} {path}: {source}")]
pub struct JournalError {
    action: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl Journal {
    /// Creates the journal of a new run, readable by its owner only.
    ///
    /// # Errors
    /// When the file exists already or cannot be created.
    pub fn create(run_dir: &Path) -> Result<Self, JournalError> {
        let path = run_dir.join(JOURNAL_FILE);
        let create = || {
            let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(&path)?;
            // Otherwise a machine that fails now has events on disk, and no file that holds them.
            File::open(run_dir)?.sync_all()?;
            Ok(file)
        };
        match create() {
            Ok(file) => Ok(Self { file, path }),
            Err(source) => Err(JournalError { action: "cannot create journal", path, source }),
        }
    }

    /// Opens the journal of a run whose engine is gone, cut to its good part.
    ///
    /// # Errors
    /// When the file cannot be changed.
    pub fn reopen(run_dir: &Path, good_bytes: u64) -> Result<Self, JournalError> {
        let path = run_dir.join(JOURNAL_FILE);
        let reopened = OpenOptions::new().append(true).open(&path).and_then(|file| {
            file.set_len(good_bytes)?;
            file.sync_all()?;
            Ok(file)
        });
        match reopened {
            Ok(file) => Ok(Self { file, path }),
            Err(source) => Err(JournalError { action: "cannot cut journal", path, source }),
        }
    }

    /// Appends one event; with `durable`, returns only when it is on disk.
    ///
    /// # Errors
    /// When the disk is full or gone. A torn line is cut by the next reader.
    pub fn append(&mut self, event: &Event, durable: bool) -> Result<(), JournalError> {
        let mut write = || -> io::Result<()> {
            let mut line = serde_json::to_vec(event)?;
            line.push(b'\n');
            self.file.write_all(&line)?;
            if durable { self.file.sync_data() } else { Ok(()) }
        };
        write().map_err(|source| JournalError {
            action: "cannot write journal",
            path: self.path.clone(),
            source,
        })
    }
}

/// Whether a run has a journal.
pub fn exists(run_dir: &Path) -> bool {
    run_dir.join(JOURNAL_FILE).exists()
}

/// What was read from a journal.
#[derive(Debug)]
pub struct Recorded {
    /// The state after the last whole event.
    pub state: RunState,
    /// Bytes after the last whole event that are no event.
    pub garbage_bytes: u64,
    /// Length of the part that is good, in bytes.
    pub good_bytes: u64,
}

/// Reads a journal to its last whole event. A torn or garbage tail is reported, never fatal.
///
/// # Errors
/// When the file cannot be opened or read at all.
pub fn read(run_dir: &Path) -> Result<Recorded, JournalError> {
    let mut state = RunState::default();
    let (good_bytes, garbage_bytes) = for_each_event(run_dir, |event| state.apply(&event))?;
    Ok(Recorded { state, garbage_bytes, good_bytes })
}

/// Calls `each` with every whole event in order; returns the length of the good part and of the
/// garbage after it, in bytes.
///
/// # Errors
/// When the file cannot be opened or read at all.
pub fn for_each_event(
    run_dir: &Path,
    mut each: impl FnMut(Event),
) -> Result<(u64, u64), JournalError> {
    let path = run_dir.join(JOURNAL_FILE);
    let fail = |source| JournalError { action: "cannot read journal", path: path.clone(), source };
    let file = File::open(&path).map_err(fail)?;
    let length = file.metadata().map_err(fail)?.len();
    let mut reader = BufReader::new(file);
    let (mut good, mut next_seq) = (0u64, 1u64);
    let mut line = Vec::new();
    loop {
        line.clear();
        let n = (&mut reader).take(MAX_LINE_BYTES).read_until(b'\n', &mut line).map_err(fail)?;
        let event = parse_line(&line).filter(|event| event.seq == next_seq);
        let Some(event) = event else { break };
        good += n as u64;
        next_seq += 1;
        each(event);
    }
    Ok((good, length.saturating_sub(good)))
}

/// The first event of a run; none before it is whole.
pub fn first_event(run_dir: &Path) -> Option<Event> {
    let file = File::open(run_dir.join(JOURNAL_FILE)).ok()?;
    let mut line = Vec::new();
    BufReader::new(file).take(MAX_LINE_BYTES).read_until(b'\n', &mut line).ok()?;
    parse_line(&line)
}

/// The whole events in the last bytes of a run's journal, at most so many.
pub fn last_events(run_dir: &Path, bytes: u64) -> Vec<Event> {
    let read = || -> io::Result<Vec<u8>> {
        let mut file = File::open(run_dir.join(JOURNAL_FILE))?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(bytes)))?;
        let mut tail = Vec::new();
        file.take(bytes).read_to_end(&mut tail)?;
        Ok(tail)
    };
    let tail = read().unwrap_or_default();
    tail.split_inclusive(|byte| *byte == b'\n').filter_map(parse_line).collect()
}

fn parse_line(line: &[u8]) -> Option<Event> {
    serde_json::from_slice(line.strip_suffix(b"\n")?).ok()
}
