//! The undo journal: what has to be undone if this process dies, on disk before the deed. One file
//! per run in the state directory, locked by the process that owns it; a file whose lock can be had
//! belongs to a dead owner, and what is open in it is for whoever comes next to undo.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::file_lock;
use super::state_dir::StateDir;

/// What has to be undone, by who knows how: each has a folder of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deeds {
    /// Faults.
    Faults,
    /// Data that a backup drill put into stores.
    Drill,
}

impl Deeds {
    const ALL: [Self; 2] = [Self::Faults, Self::Drill];

    const fn folder(self) -> &'static str {
        match self {
            Self::Faults => "undo",
            Self::Drill => "undo-drill",
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
enum Record {
    Intended { id: u64, undo: Value },
    Done { id: u64 },
}

/// The undo journal of one run, held by its owner.
#[derive(Debug)]
pub struct UndoJournal {
    file: File,
    path: PathBuf,
    last_id: u64,
    open: Vec<u64>,
    /// Whether the last line is torn: then the next record must not be appended to it.
    torn: bool,
}

impl UndoJournal {
    /// Opens the journal of a run's faults, or makes it.
    ///
    /// # Errors
    /// When it cannot be written, or another process owns it.
    pub fn open(state: &StateDir, run_id: &str) -> io::Result<Self> {
        Self::of(Deeds::Faults, state, run_id)
    }

    /// Opens the journal of a run's deeds of a kind, or makes it.
    ///
    /// # Errors
    /// When it cannot be written, or another process owns it.
    pub fn of(deeds: Deeds, state: &StateDir, run_id: &str) -> io::Result<Self> {
        let path = state.folder(deeds.folder())?.join(format!("{run_id}.jsonl"));
        loop {
            let mut options = OpenOptions::new();
            let file = options.create(true).append(true).read(true).mode(0o600).open(&path)?;
            if !file_lock::own(&file)? {
                return Err(io::Error::new(io::ErrorKind::WouldBlock, "held by another process"));
            }
            // Whoever looked for what dead owners left may have removed the file before it was locked.
            if is_still_there(&file, &path) {
                return Self::take_over(file, path);
            }
        }
    }

    /// A journal whose owner is dead; none when it has one, or is gone.
    fn of_dead_owner(path: PathBuf) -> io::Result<Option<Self>> {
        let file = OpenOptions::new().append(true).read(true).open(&path)?;
        if !file_lock::try_own(&file)? || !is_still_there(&file, &path) {
            return Ok(None);
        }
        Self::take_over(file, path).map(Some)
    }

    fn take_over(file: File, path: PathBuf) -> io::Result<Self> {
        let text = fs::read(&path)?;
        let open: Vec<u64> = open_records(&text).into_iter().map(|(id, _)| id).collect();
        let last_id = open.iter().copied().max().unwrap_or(0);
        let torn = text.last().is_some_and(|byte| *byte != b'\n');
        Ok(Self { file, path, last_id, open, torn })
    }

    /// Puts an undo on disk. When this returns, the deed may be done.
    ///
    /// # Errors
    /// When it cannot be written: then the deed must not be done.
    pub fn intend(&mut self, undo: &impl Serialize) -> io::Result<u64> {
        let id = self.last_id + 1;
        self.write(&Record::Intended { id, undo: serde_json::to_value(undo)? })?;
        self.last_id = id;
        self.open.push(id);
        Ok(id)
    }

    /// Records that something was undone, and that this was checked.
    ///
    /// # Errors
    /// When it cannot be written; it will be undone once more then, which changes nothing.
    pub fn done(&mut self, id: u64) -> io::Result<()> {
        self.write(&Record::Done { id })?;
        self.open.retain(|open| *open != id);
        Ok(())
    }

    fn write(&mut self, record: &Record) -> io::Result<()> {
        let mut line = if self.torn { vec![b'\n'] } else { Vec::new() };
        serde_json::to_writer(&mut line, record)?;
        line.push(b'\n');
        let written = self.file.write_all(&line).and_then(|()| self.file.sync_all());
        self.torn = written.is_err();
        written?;
        if let Some(folder) = self.path.parent() {
            File::open(folder)?.sync_all()?;
        }
        Ok(())
    }
}

impl Drop for UndoJournal {
    fn drop(&mut self) {
        if self.open.is_empty() {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Journals of runs whose owner is dead, with faults left to undo.
///
/// # Errors
/// When the state directory cannot be read.
pub fn left_behind(state: &StateDir) -> io::Result<Vec<LeftBehind>> {
    left_behind_of(Deeds::Faults, state)
}

/// Journals of runs whose owner is dead, with deeds of a kind left to undo.
///
/// # Errors
/// When the state directory cannot be read.
pub fn left_behind_of(deeds: Deeds, state: &StateDir) -> io::Result<Vec<LeftBehind>> {
    let mut left = Vec::new();
    for entry in fs::read_dir(state.folder(deeds.folder())?)?.flatten() {
        let path = entry.path();
        let Some(run_id) = path.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned)
        else {
            continue;
        };
        let Ok(Some(journal)) = UndoJournal::of_dead_owner(path.clone()) else { continue };
        let entries = open_records(&fs::read(&path)?);
        if !entries.is_empty() {
            left.push(LeftBehind { run_id, journal, entries });
        }
    }
    Ok(left)
}

/// Whether a run has something on record that was not undone yet, by its owner or by anybody else.
pub fn has_open(state: &StateDir, run_id: &str) -> bool {
    Deeds::ALL.into_iter().any(|deeds| {
        let folder = state.folder(deeds.folder());
        let path = folder.map(|folder| folder.join(format!("{run_id}.jsonl")));
        path.and_then(fs::read).is_ok_and(|text| !open_records(&text).is_empty())
    })
}

/// What a dead owner left to undo. Nobody else undoes it while this value lives.
#[derive(Debug)]
pub struct LeftBehind {
    /// The run.
    pub run_id: String,
    /// Its journal, to be told what was undone.
    pub journal: UndoJournal,
    /// What is open, in the order in which it was done.
    pub entries: Vec<(u64, Value)>,
}

/// Whether a path still leads to the file that was opened through it.
fn is_still_there(file: &File, path: &Path) -> bool {
    let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    let (opened, named) = (file.metadata().map(identity), fs::metadata(path).map(identity));
    matches!((opened, named), (Ok(opened), Ok(named)) if opened == named)
}

/// A torn line is one whose deed was never done.
fn open_records(text: &[u8]) -> Vec<(u64, Value)> {
    let mut open: Vec<(u64, Value)> = Vec::new();
    for line in text.split(|byte| *byte == b'\n') {
        match serde_json::from_slice(line) {
            Ok(Record::Intended { id, undo }) => open.push((id, undo)),
            Ok(Record::Done { id }) => open.retain(|(of, _)| *of != id),
            Err(_) => {}
        }
    }
    open
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> (tempfile::TempDir, StateDir) {
        let temp = tempfile::tempdir().expect("temporary folder");
        let state = StateDir::at(temp.path().join("state")).expect("made");
        (temp, state)
    }

    #[test]
    fn what_a_dead_owner_left_is_found_and_a_live_one_is_left_alone() {
        let (_temp, state) = state();
        let mut journal = UndoJournal::open(&state, "r1").expect("open");
        let first = journal.intend(&"first").expect("written");
        journal.intend(&"second").expect("written");
        journal.done(first).expect("written");
        assert!(left_behind(&state).expect("readable").is_empty(), "its owner is alive");
        drop(journal);
        let mut left = left_behind(&state).expect("readable");
        assert_eq!(left[0].run_id, "r1");
        let entries = std::mem::take(&mut left[0].entries);
        assert_eq!(entries, [(2, Value::from("second"))]);
        assert!(UndoJournal::open(&state, "r1").is_err(), "held by who undoes it");
        left[0].journal.done(entries[0].0).expect("written");
        drop(left);
        assert!(left_behind(&state).expect("readable").is_empty());
    }

    #[test]
    fn a_torn_line_is_no_deed() {
        let (temp, state) = state();
        UndoJournal::open(&state, "r1").expect("open").intend(&1).expect("written");
        let path = temp.path().join("state/undo/r1.jsonl");
        let mut bytes = fs::read(&path).expect("there");
        bytes.extend_from_slice(br#"{"record":"intended","id":2,"un"#);
        fs::write(&path, bytes).expect("written");
        let mut left = left_behind(&state).expect("readable");
        assert_eq!(left[0].entries.len(), 1);
        // What is written after it is not swallowed by it.
        left[0].journal.intend(&"later").expect("written");
        drop(left);
        let left = left_behind(&state).expect("readable");
        assert_eq!(left[0].entries.len(), 2, "{:?}", left[0].entries);
    }

    #[test]
    fn a_journal_that_is_removed_before_it_is_locked_is_made_anew() {
        let (temp, state) = state();
        let path = temp.path().join("state/undo/r1.jsonl");
        fs::create_dir_all(temp.path().join("state/undo")).expect("made");
        // Somebody who looks for leftovers holds the file that its owner is about to lock ...
        fs::write(&path, "").expect("written");
        let looking = UndoJournal::of_dead_owner(path.clone()).expect("readable").expect("free");
        let looker = std::thread::spawn(move || {
            std::thread::sleep(std::time::Duration::from_millis(30));
            // ... finds nothing in it, and removes it.
            drop(looking);
        });
        let mut journal = UndoJournal::open(&state, "r1").expect("open");
        looker.join().expect("ended");
        journal.intend(&"deed").expect("written");
        assert!(has_open(&state, "r1"), "the record is in no file that anybody will find");
    }
}
