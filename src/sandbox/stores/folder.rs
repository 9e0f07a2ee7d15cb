//! A folder for what a sandbox's servers write, private to this user.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::process::{Pid, getuid, test_kill_process};

/// Begins the names of folders; the process id of the sandbox follows.
const PREFIX: &str = "shakedown-sandbox-";

/// The folder of a sandbox's servers. It goes with this value; one that a killed sandbox left goes with
/// the next.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// Makes one, and removes those of sandboxes that are gone.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new() -> io::Result<Self> {
        let base = std::env::temp_dir();
        for entry in fs::read_dir(&base)?.flatten() {
            let name = entry.file_name();
            let of = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.parse::<i32>().ok());
            let gone =
                of.and_then(Pid::from_raw).is_some_and(|pid| test_kill_process(pid).is_err());
            let ours = entry.metadata().is_ok_and(|found| found.uid() == getuid().as_raw());
            if gone && ours {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
        let path = base.join(format!("{PREFIX}{}", std::process::id()));
        // Another user passes through it to the one folder that belongs to it.
        fs::DirBuilder::new().mode(0o711).create(&path)?;
        Ok(Self(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_goes_with_its_sandbox_and_those_left_behind_with_the_next() {
        let gone = std::env::temp_dir().join(format!("{PREFIX}2147483646"));
        fs::create_dir_all(gone.join("redis")).expect("made");
        let folder = Folder::new().expect("made");
        assert!(!gone.exists() && folder.path().is_dir());
        let path = folder.path().to_owned();
        drop(folder);
        assert!(!path.exists());
    }
}
