//! The one state directory of a user: locks per target, and later the undo entries of chaos and
//! drill, whatever the working directory of a run.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Why there is no state directory.
#[derive(Debug, thiserror::Error)]
pub enum StateDirError {
    /// Neither `XDG_STATE_HOME` nor `HOME` says where it is.
    #[error("no state directory: expected XDG_STATE_HOME or HOME to be an absolute path")]
    Nowhere,
    /// It could not be made.
    #[error("cannot create state directory {path}: {source}")]
    Create {
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The state directory, readable by its owner only.
#[derive(Clone, Debug)]
pub struct StateDir(PathBuf);

impl StateDir {
    /// `$XDG_STATE_HOME/shakedown`, or `~/.local/state/shakedown`; made when it is not there.
    ///
    /// # Errors
    /// When there is no home, or it cannot be made.
    pub fn open() -> Result<Self, StateDirError> {
        let absolute = |name: &str| {
            std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute())
        };
        let base = absolute("XDG_STATE_HOME")
            .or_else(|| absolute("HOME").map(|home| home.join(".local/state")))
            .ok_or(StateDirError::Nowhere)?;
        Self::at(base.join("shakedown"))
    }

    /// A state directory at a place of one's own, for tests.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn at(path: PathBuf) -> Result<Self, StateDirError> {
        match private_dir(&path) {
            Ok(()) => Ok(Self(path)),
            Err(source) => Err(StateDirError::Create { path, source }),
        }
    }

    /// A folder in it, made when it is not there.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn folder(&self, name: &str) -> io::Result<PathBuf> {
        let path = self.0.join(name);
        let told = |error: io::Error| {
            io::Error::new(error.kind(), format!("cannot create {}: {error}", path.display()))
        };
        private_dir(&path).map_err(told)?;
        Ok(path)
    }
}

/// Makes a folder and its parents for their owner only; what was there stays as it is.
pub(super) fn new_private_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Makes a folder and its parents; the folder itself is for its owner only, also when it was there.
pub(super) fn private_dir(path: &Path) -> io::Result<()> {
    new_private_dir(path)?;
    if fs::metadata(path)?.permissions().mode() & 0o077 != 0 {
        fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}
