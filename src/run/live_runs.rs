//! The runs of a user that go on, whatever directory they were started from: a link to the folder of
//! each in the state directory. Whether its engine lives says the lock in that folder.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use super::folder::RunFolder;
use super::state_dir::StateDir;

/// Folder of the links.
const FOLDER: &str = "live";

/// A run is announced as long as this lives.
#[derive(Debug)]
pub struct Announced(PathBuf);

impl Drop for Announced {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Announces a run whose folder its engine has claimed.
///
/// # Errors
/// When the link cannot be made.
pub fn announce(state: &StateDir, run: &RunFolder) -> io::Result<Announced> {
    let link = state.folder(FOLDER)?.join(run.id());
    match fs::remove_file(&link) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    symlink(run.path(), &link)?;
    Ok(Announced(link))
}

/// The runs that go on, oldest first. What a killed engine announced is forgotten.
pub fn live_runs(state: &StateDir) -> Vec<RunFolder> {
    let entries = state.folder(FOLDER).and_then(fs::read_dir).into_iter().flatten().flatten();
    let mut live = Vec::new();
    for link in entries.map(|entry| entry.path()) {
        let Ok(folder) = fs::read_link(&link) else { continue };
        let run = RunFolder::at(folder);
        if run.has_live_engine() {
            live.push(run);
        } else {
            let _ = fs::remove_file(&link);
        }
    }
    live.sort_by_key(RunFolder::id);
    live
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_found_while_its_engine_lives_and_forgotten_afterwards() {
        let temp = tempfile::tempdir().expect("temporary folder");
        let state = StateDir::at(temp.path().join("state")).expect("state folder");
        let run = |name: &str| RunFolder::create(&temp.path().join(name)).expect("created");
        let (one, other, killed) = (run("here"), run("there"), run("there"));
        let alive = [one.claim().expect("free"), other.claim().expect("free")];
        let announced = announce(&state, &one).expect("announced");
        let again = announce(&state, &other).expect("announced");
        std::mem::forget(announce(&state, &killed).expect("announced"));
        let mut both = [one.clone(), other];
        both.sort_by_key(RunFolder::id);
        assert_eq!(live_runs(&state), both);
        drop(again);
        assert_eq!(live_runs(&state), [one]);
        drop(alive);
        assert_eq!(live_runs(&state), []);
        drop(announced);
        let left = fs::read_dir(temp.path().join("state/live")).expect("there").count();
        assert_eq!(left, 0, "links of runs that are over");
    }
}
