//! Folders of runs: `runs/<id>/`, for their owner only.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::file_lock;
use super::journal::JOURNAL_FILE;
use super::state_dir::{new_private_dir, private_dir};

/// Held by the engine as long as it lives.
const ALIVE_FILE: &str = "engine.lock";
/// What the engine was asked to do.
const ORDER_FILE: &str = "order.json";

/// Why a run's folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// The system refused.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Several runs of that name.
    #[error("`{name}` could be any of {}: write more of it", found.join(", "))]
    Ambiguous {
        /// What was asked for.
        name: String,
        /// The ids that match.
        found: Vec<String>,
    },
    /// There is no run at all.
    #[error("no runs in {}", .0.display())]
    NoRuns(PathBuf),
    /// No run of that name.
    #[error("no run `{name}` in {}: `shakedown runs` lists what is there", runs.display())]
    NotFound {
        /// What was asked for.
        name: String,
        /// Where it was looked for.
        runs: PathBuf,
    },
    /// Another engine is at work in it.
    #[error("run {0} has an engine already")]
    Busy(PathBuf),
}

/// The folder of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunFolder(PathBuf);

impl RunFolder {
    /// Makes the folder of a new run below `runs`.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create(runs: &Path) -> Result<Self, FolderError> {
        let stamp = Timestamp::now().strftime("%Y%m%d-%H%M%S");
        let id = format!("{stamp}-{:06x}", rand::random::<u32>() & 0xff_ffff);
        let runs = std::path::absolute(runs).map_err(io_error("find", runs))?;
        // It may be anybody's folder, such as /tmp: each run in it is its owner's only, and that will do.
        new_private_dir(&runs).map_err(io_error("create", &runs))?;
        let path = runs.join(id);
        private_dir(&path).map_err(io_error("create", &path))?;
        Ok(Self(path))
    }

    /// The folder of an existing run: an id (or the unambiguous end or beginning of one) of those below
    /// `runs` or of those that are `elsewhere`, or a path.
    ///
    /// # Errors
    /// When there is none, or several.
    pub fn named(runs: &Path, elsewhere: &[Self], name: &str) -> Result<Self, FolderError> {
        let mut all = Self::list(runs);
        let direct = Self(PathBuf::from(name));
        if direct.journal().is_file() || direct.has_live_engine() {
            return Ok(Self(std::path::absolute(name).map_err(io_error("find", &direct.0))?));
        }
        let others: Vec<Self> =
            elsewhere.iter().filter(|run| !all.contains(run)).cloned().collect();
        all.extend(others);
        let matches = |run: &&Self| run.id().starts_with(name) || run.id().ends_with(name);
        let found: Vec<&Self> = all.iter().filter(matches).collect();
        match found.as_slice() {
            [one] => Ok((*one).clone()),
            [] => Err(FolderError::NotFound { name: name.into(), runs: runs.into() }),
            several => Err(FolderError::Ambiguous {
                name: name.into(),
                found: several.iter().map(|run| run.id()).collect(),
            }),
        }
    }

    /// All runs below a folder, oldest first.
    pub fn list(runs: &Path) -> Vec<Self> {
        let entries = fs::read_dir(runs).into_iter().flatten().flatten();
        let folders = entries.filter_map(|entry| std::path::absolute(entry.path()).ok()).map(Self);
        let mut found: Vec<Self> = folders.filter(|run| run.journal().is_file()).collect();
        found.sort_by_key(Self::id);
        found
    }

    /// The folder of an order that an engine was given.
    pub const fn at(path: PathBuf) -> Self {
        Self(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The run's id.
    pub fn id(&self) -> String {
        self.0.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
    }

    /// Whether it has its journal, which goes when a run is archived.
    pub fn has_journal(&self) -> bool {
        self.journal().is_file()
    }

    fn journal(&self) -> PathBuf {
        self.0.join(JOURNAL_FILE)
    }

    /// Marks this process as the run's engine until the guard is dropped, or the process dies.
    ///
    /// # Errors
    /// When another engine is at work in the folder.
    pub fn claim(&self) -> Result<EngineGuard, FolderError> {
        let path = self.0.join(ALIVE_FILE);
        let file = open_private(&path).map_err(io_error("open", &path))?;
        match file_lock::own(&file).map_err(io_error("lock", &path))? {
            true => Ok(EngineGuard { _file: file }),
            false => Err(FolderError::Busy(self.0.clone())),
        }
    }

    /// Whether an engine is at work in the folder.
    pub fn has_live_engine(&self) -> bool {
        file_lock::is_owned(&self.0.join(ALIVE_FILE))
    }

    /// Removes the folder of a run that has no journal and no engine: it never began.
    pub fn discard_unbegun(&self) {
        if !self.journal().exists() && !self.has_live_engine() {
            // What is left of a folder that cannot be removed is not listed as a run either.
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    /// Writes what the engine is asked to do.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_order<T: Serialize>(&self, order: &T) -> Result<(), FolderError> {
        let text = serde_json::to_vec_pretty(order).map_err(io::Error::from);
        let path = self.0.join(ORDER_FILE);
        text.and_then(|text| write_atomically(&path, &text)).map_err(io_error("write", &path))
    }

    /// Reads what the engine is asked to do.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read_order<T: for<'de> Deserialize<'de>>(&self) -> Result<T, FolderError> {
        let path = self.0.join(ORDER_FILE);
        let text = fs::read(&path).map_err(io_error("read", &path))?;
        serde_json::from_slice(&text).map_err(io::Error::from).map_err(io_error("read", &path))
    }
}

/// Held by the engine of a run.
#[derive(Debug)]
pub struct EngineGuard {
    _file: File,
}

/// Writes a file as a whole or not at all: a reader sees the old content or the new one. The file
/// is for its owner only.
///
/// # Errors
/// When it cannot be written.
pub fn write_atomically(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{}.tmp", std::process::id()));
    let temporary = PathBuf::from(temporary);
    // Left by a process of the same number that was killed.
    let _ = fs::remove_file(&temporary);
    let write = || -> io::Result<()> {
        // Never through a link that somebody else has put there.
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(&temporary)?;
        io::Write::write_all(&mut file, content)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    };
    write().inspect_err(|_| {
        let _ = fs::remove_file(&temporary);
    })
}

fn open_private(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)
}

fn io_error(action: &'static str, path: &Path) -> impl Fn(io::Error) -> FolderError {
    let path = path.to_owned();
    move |source| FolderError::Io { action, path: path.clone(), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn folders_are_private_and_found_by_a_piece_of_their_name() {
        let temp = tempfile::tempdir().expect("temporary folder");
        let runs = temp.path().join("runs");
        let run = RunFolder::create(&runs).expect("created");
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!((mode(&runs), mode(run.path())), (0o700, 0o700));
        let id = run.id();
        assert!(RunFolder::named(&runs, &[], &id).is_err(), "a folder without journal is no run");
        fs::write(run.journal(), "").expect("written");
        let again = run.path().join("file");
        write_atomically(&again, b"one").expect("written");
        write_atomically(&again, b"two").expect("written");
        assert_eq!((fs::read(&again).expect("there"), mode(&again)), (b"two".to_vec(), 0o600));
        for name in [&id, &id[id.len() - 6..], &run.path().to_string_lossy()] {
            assert_eq!(RunFolder::named(&runs, &[], name).expect("found"), run);
        }
        assert!(RunFolder::named(&runs, &[], "nonesuch").is_err());
        let second = RunFolder::create(&runs).expect("created");
        fs::write(second.journal(), "").expect("written");
        let either = RunFolder::named(&runs, &[], "20").expect_err("two runs of this century");
        assert!(either.to_string().contains(&second.id()), "{either}");
    }

    #[test]
    fn a_folder_that_was_there_keeps_its_mode_and_the_run_in_it_is_private() {
        let temp = tempfile::tempdir().expect("temporary folder");
        let shared = temp.path().join("shared");
        fs::create_dir(&shared).expect("created");
        fs::set_permissions(&shared, fs::Permissions::from_mode(0o777)).expect("allowed");
        let run = RunFolder::create(&shared).expect("created");
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!((mode(&shared), mode(run.path())), (0o777, 0o700));
    }

    #[test]
    fn an_engine_is_alive_as_long_as_it_holds_its_guard() {
        let temp = tempfile::tempdir().expect("temporary folder");
        let run = RunFolder::create(temp.path()).expect("created");
        assert!(!run.has_live_engine());
        let guard = run.claim().expect("free");
        assert!(run.has_live_engine());
        assert!(matches!(run.claim(), Err(FolderError::Busy(_))));
        drop(guard);
        assert!(!run.has_live_engine());
    }
}
