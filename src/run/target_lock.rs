//! One run per target at a time, whatever the working directory.
//!
//! Each service origin has a lock file in the state directory, held by the engine.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::file_lock;
use super::state_dir::StateDir;

/// Who holds a lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockHolder {
    /// Id of the run.
    pub run_id: String,
    /// Folder of the run.
    pub run_dir: PathBuf,
    /// Process id of its engine.
    pub pid: u32,
}

/// Why a target cannot be locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another run is at work on it.
    #[error(
        "{origin} is being validated by run {} (engine process {}, folder {}): watch it with \
         `shakedown attach {}`, or abort it there first",
        holder.run_id, holder.pid, holder.run_dir.display(), holder.run_dir.display()
    )]
    Held {
        /// What is locked.
        origin: String,
        /// Who holds it.
        holder: LockHolder,
    },
    /// Another process holds it and has not said who it is.
    #[error("{origin} is locked by another process that has not said who it is; try again")]
    HeldByUnknown {
        /// What is locked.
        origin: String,
    },
    /// The lock file could not be used.
    #[error("cannot lock {path}: {source}")]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The locks of a run on its target, held until dropped.
#[derive(Debug)]
pub struct TargetLock {
    _files: Vec<File>,
}

impl TargetLock {
    /// Locks every origin of a target, or none.
    ///
    /// # Errors
    /// When another live run holds one of them, or a lock file cannot be used.
    pub fn acquire(
        state_dir: &StateDir,
        origins: &[String],
        holder: &LockHolder,
    ) -> Result<Self, LockError> {
        // Everybody locks in the same order, so two runs cannot each hold half.
        let mut origins = origins.to_vec();
        origins.sort_by_key(|origin| one_name(origin));
        origins.dedup_by_key(|origin| one_name(origin));
        let files = origins.iter().map(|origin| lock_one(state_dir, origin, holder));
        Ok(Self { _files: files.collect::<Result<_, _>>()? })
    }
}

fn lock_one(state_dir: &StateDir, origin: &str, holder: &LockHolder) -> Result<File, LockError> {
    let name: String = one_name(origin)
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '_' })
        .collect();
    let folder = state_dir.folder("locks");
    let path = folder.as_ref().map_or_else(|_| PathBuf::from("locks"), |f| f.join(name + ".lock"));
    let fail = |source| LockError::File { path: path.clone(), source };
    folder.map_err(fail)?;
    let mut options = OpenOptions::new();
    let options = options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let mut file = options.open(&path).map_err(fail)?;
    if !file_lock::own(&file).map_err(fail)? {
        return Err(held_by(&mut file, origin));
    }
    write_holder(&mut file, holder).map_err(fail)?;
    Ok(file)
}

/// The name by which an origin is locked: hosts are the same in capitals, and this machine is reached by
/// more than one. What else is the same behind two names, only their owner knows.
fn one_name(origin: &str) -> String {
    let origin = origin.to_ascii_lowercase();
    origin.replace("://127.0.0.1:", "://localhost:").replace("://[::1]:", "://localhost:")
}

fn write_holder(file: &mut File, holder: &LockHolder) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(&serde_json::to_vec(holder)?)?;
    file.sync_data()
}

fn held_by(file: &mut File, origin: &str) -> LockError {
    let mut text = String::new();
    let origin = origin.to_owned();
    // The holder writes its name right after locking; a reader in between sees nothing yet.
    match file.read_to_string(&mut text).ok().and_then(|_| serde_json::from_str(&text).ok()) {
        Some(holder) => LockError::Held { origin, holder },
        None => LockError::HeldByUnknown { origin },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(run_id: &str) -> LockHolder {
        LockHolder { run_id: run_id.into(), run_dir: "/tmp/run".into(), pid: 1 }
    }

    #[test]
    fn a_live_lock_is_never_taken_and_a_dropped_one_is() {
        let temp = tempfile::tempdir().expect("temporary folder");
        let dir = StateDir::at(temp.path().join("state")).expect("state folder");
        let both = ["http://a:1".to_owned(), "http://b:1".to_owned()];
        let first = TargetLock::acquire(&dir, &both, &holder("one")).expect("free");
        let refused = TargetLock::acquire(&dir, &both[1..], &holder("two"));
        let Err(LockError::Held { holder: found, .. }) = refused else {
            panic!("a live lock was taken: {refused:?}");
        };
        assert_eq!(found.run_id, "one");
        drop(first);
        TargetLock::acquire(&dir, &both, &holder("two")).expect("free again");
    }

    #[test]
    fn a_target_that_is_named_otherwise_is_the_same_target() {
        let temp = tempfile::tempdir().expect("temporary folder");
        let dir = StateDir::at(temp.path().join("state")).expect("state folder");
        let lock = |origin: &str| TargetLock::acquire(&dir, &[origin.to_owned()], &holder("one"));
        let both = ["http://127.0.0.1:80", "http://localhost:80"].map(str::to_owned);
        let _held =
            TargetLock::acquire(&dir, &both, &holder("one")).expect("two services of one address");
        let _other = lock("https://a.b:443").expect("free");
        for same in
            ["http://localhost:80", "http://LocalHost:80", "http://[::1]:80", "https://A.b:443"]
        {
            assert!(matches!(lock(same), Err(LockError::Held { .. })), "{same}");
        }
        for other in ["http://127.0.0.1:81", "http://localhosts:80", "https://a.c:443"] {
            assert!(lock(other).is_ok(), "{other}");
        }
    }

    #[test]
    fn a_lock_that_fails_half_way_leaves_nothing_locked() {
        let temp = tempfile::tempdir().expect("temporary folder");
        let dir = StateDir::at(temp.path().join("state")).expect("state folder");
        let _b = TargetLock::acquire(&dir, &["b".into()], &holder("one")).expect("free");
        assert!(TargetLock::acquire(&dir, &["a".into(), "b".into()], &holder("two")).is_err());
        TargetLock::acquire(&dir, &["a".into()], &holder("three")).expect("free");
    }
}
