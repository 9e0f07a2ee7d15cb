//! The drill's undo journal, and what is done with that of an engine that was killed.

use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::stores::{DrillError, Namespace};
use super::subject::{OpenStore, Undo, remove};
use crate::run::state_dir::StateDir;
use crate::run::undo::{Deeds, UndoJournal, left_behind_of};

/// Stands in a folder of ours, with the marker as its content.
const FOLDER_MARKER: &str = "drill.marker";

/// The undo journal, for several stores side by side.
pub struct Undos(Mutex<UndoJournal>);

impl Undos {
    /// That of a run.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn open(state: &StateDir, run_id: &str) -> io::Result<Self> {
        Ok(Self(Mutex::new(UndoJournal::of(Deeds::Drill, state, run_id)?)))
    }

    /// Puts an undo on disk; when this returns, the deed may be done.
    ///
    /// # Errors
    /// When it cannot be written: then the deed must not be done.
    pub fn intend(&self, undo: &Undo) -> io::Result<u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).intend(undo)
    }

    /// Records that it was undone and checked. What cannot be recorded is undone once more later,
    /// which changes nothing.
    pub fn done(&self, id: u64) {
        if let Err(error) = self.0.lock().unwrap_or_else(PoisonError::into_inner).done(id) {
            log::warn!("the undo journal: {error}");
        }
    }
}

/// Makes a folder for backups and ledgers; only one that bears the marker is ever removed.
///
/// # Errors
/// When it is there already, or cannot be made.
pub fn make_folder(path: &Path, names: &Namespace) -> Result<(), DrillError> {
    super::archive::private_folder(path)?;
    Ok(std::fs::write(path.join(FOLDER_MARKER), names.marker())?)
}

/// Removes a folder of ours.
///
/// # Errors
/// When it bears no marker, or the disk refuses.
pub fn remove_folder(path: &Path) -> io::Result<()> {
    match std::fs::read_to_string(path.join(FOLDER_MARKER)) {
        Ok(marker) if marker.starts_with("shakedown drill ") => std::fs::remove_dir_all(path),
        Ok(_) => Err(io::Error::other("it bears the marker of somebody else")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => match std::fs::remove_dir(path) {
            // It was interrupted before the marker was there: then it is empty, or no folder at all.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        },
        Err(error) => Err(error),
    }
}

/// What became of something that a dead engine left.
#[derive(Debug)]
pub struct Cleaned {
    /// The run that left it.
    pub run_id: String,
    /// What it is, in words.
    pub what: String,
    /// What is still there, in words; empty when nothing is.
    pub residue: Vec<String>,
}

/// Removes exactly what drills left whose engine is dead. What cannot be removed stays on record.
///
/// # Errors
/// When the state directory cannot be read.
pub async fn clean_leftovers(state: &StateDir) -> io::Result<Vec<Cleaned>> {
    let mut cleaned = Vec::new();
    for mut left in left_behind_of(Deeds::Drill, state)? {
        for (id, entry) in std::mem::take(&mut left.entries).into_iter().rev() {
            let (what, residue) = match serde_json::from_value::<Undo>(entry) {
                Ok(undo) => (undo.words(), undo.undo().await),
                Err(error) => ("an undo of another version".into(), vec![error.to_string()]),
            };
            if residue.is_empty() {
                left.journal.done(id)?;
            }
            cleaned.push(Cleaned { run_id: left.run_id.clone(), what, residue });
        }
    }
    Ok(cleaned)
}

impl Undo {
    fn words(&self) -> String {
        match self {
            Self::Namespace(subject) => format!("{} in {}", subject.names.name(), subject.kind),
            Self::Folder { path } => path.display().to_string(),
        }
    }

    /// Undoes it; returns what is still there, or why that cannot be told.
    async fn undo(&self) -> Vec<String> {
        let undone = match self {
            // It is gone with the run that it belonged to.
            Self::Namespace(subject) if subject.embedded => return Vec::new(),
            Self::Namespace(subject) => match subject.open().await {
                Ok(store) => remove(&*store, &subject.names).await,
                Err(error) => Err(error),
            },
            Self::Folder { path } => remove_folder(path).map(|()| Vec::new()).map_err(Into::into),
        };
        undone.unwrap_or_else(|error| vec![error.to_string()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_folder_of_a_dead_run_is_removed_and_one_of_somebody_else_is_not() {
        let temp = tempfile::tempdir().expect("folder");
        let state = StateDir::at(temp.path().join("state")).expect("made");
        let names = Namespace::new("20260101-000000-abcdef", 7);
        let (ours, foreign) = (temp.path().join("ours"), temp.path().join("foreign"));
        make_folder(&ours, &names).expect("made");
        std::fs::create_dir(&foreign).expect("made");
        std::fs::write(foreign.join("precious"), "x").expect("written");
        let undos = Undos::open(&state, "r1").expect("open");
        for path in [&ours, &foreign, &temp.path().join("never made")] {
            undos.intend(&Undo::Folder { path: path.clone() }).expect("written");
        }
        assert!(clean_leftovers(&state).await.expect("read").is_empty(), "its owner is alive");
        drop(undos);
        let cleaned = clean_leftovers(&state).await.expect("read");
        let left: Vec<_> = cleaned.iter().filter(|one| !one.residue.is_empty()).collect();
        assert_eq!((cleaned.len(), left.len()), (3, 1), "{cleaned:?}");
        assert!(!ours.exists() && foreign.join("precious").exists());
        assert_eq!(clean_leftovers(&state).await.expect("read").len(), 1, "it stays on record");
    }
}
