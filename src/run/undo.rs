//! The undo journal: what has to be undone if this process dies, on disk before the deed. One file
//! per run in the state directory, locked by the process that owns it; a file whose lock can be had
//! belongs to a dead owner, and what is open in it is for whoever comes next to undo.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::state_dir::StateDir;

const FOLDER: &str = "undo";

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
}

impl UndoJournal {
    /// Opens the journal of a run, or makes it.
    ///
    /// # Errors
    /// When it cannot be written, or another process owns it.
    pub fn open(state: &StateDir, run_id: &str) -> io::Result<Self> {
        let path = state.folder(FOLDER)?.join(format!("{run_id}.jsonl"));
        let file =
            OpenOptions::new().create(true).append(true).read(true).mode(0o600).open(&path)?;
        flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        let left = open_records(&path)?;
        let last_id = left.iter().map(|(id, _)| *id).max().unwrap_or(0);
        Ok(Self { file, path, last_id, open: left.into_iter().map(|(id, _)| id).collect() })
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
        let mut line = serde_json::to_vec(record)?;
        line.push(b'\n');
        self.file.write_all(&line)?;
        self.file.sync_all()?;
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

/// Journals of runs whose owner is dead, with something left to undo.
///
/// # Errors
/// When the state directory cannot be read.
pub fn left_behind(state: &StateDir) -> io::Result<Vec<LeftBehind>> {
    let mut left = Vec::new();
    for entry in fs::read_dir(state.folder(FOLDER)?)?.flatten() {
        let path = entry.path();
        let Some(run_id) = path.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned)
        else {
            continue;
        };
        let Ok(journal) = UndoJournal::open(state, &run_id) else { continue };
        let entries = open_records(&path)?;
        if !entries.is_empty() {
            left.push(LeftBehind { run_id, journal, entries });
        }
    }
    Ok(left)
}

/// Whether a run has something on record that was not undone yet, by its owner or by anybody else.
pub fn has_open(state: &StateDir, run_id: &str) -> bool {
    let path = state.folder(FOLDER).map(|folder| folder.join(format!("{run_id}.jsonl")));
    path.and_then(|path| open_records(&path)).is_ok_and(|open| !open.is_empty())
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

/// A torn last line is one whose deed was never done.
fn open_records(path: &Path) -> io::Result<Vec<(u64, Value)>> {
    let mut open: Vec<(u64, Value)> = Vec::new();
    for line in fs::read(path)?.split(|byte| *byte == b'\n') {
        match serde_json::from_slice(line) {
            Ok(Record::Intended { id, undo }) => open.push((id, undo)),
            Ok(Record::Done { id }) => open.retain(|(of, _)| *of != id),
            Err(_) => {}
        }
    }
    Ok(open)
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
        assert_eq!(left_behind(&state).expect("readable")[0].entries.len(), 1);
    }
}
