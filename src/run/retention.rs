//! Old runs: which may go, and what stays of them. A run that goes leaves its reports in the archive;
//! what goes is its journal, which is nearly all of its size.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::folder::RunFolder;
use super::state_dir::private_dir;
use crate::config::Keep;

/// Folder below the runs that holds the reports of those that are gone.
const ARCHIVE: &str = "archive";
/// What stays of a run: its reports, by the ends of their names.
const REPORTS: [&str; 6] = ["_report.json", "report.html", ".sarif", ".csv", ".hlog", ".prom"];

/// A run that is over, as far as its size and age go.
#[derive(Clone, Debug)]
pub struct OldRun {
    /// Its folder.
    pub folder: RunFolder,
    /// Size of all its files.
    pub bytes: u64,
    /// Time since its last event was written.
    pub age: Duration,
}

impl OldRun {
    /// Looks at a run.
    pub fn of(folder: RunFolder) -> Self {
        let entries = fs::read_dir(folder.path()).into_iter().flatten().flatten();
        let files: Vec<fs::Metadata> = entries.filter_map(|entry| entry.metadata().ok()).collect();
        let last = files.iter().filter_map(|file| file.modified().ok()).max();
        // A clock that was set back makes a run young, which keeps it.
        let age = last.and_then(|last| SystemTime::now().duration_since(last).ok());
        Self {
            folder,
            bytes: files.iter().map(fs::Metadata::len).sum(),
            age: age.unwrap_or_default(),
        }
    }
}

/// The runs that go by these rules, of runs that are over, the oldest first. The latest
/// stays whatever its age and size.
pub fn due(mut runs: Vec<OldRun>, keep: &Keep) -> Vec<OldRun> {
    let latest = runs.len();
    let mut kept = 0;
    let mut bytes = 0u64;
    let mut due: Vec<OldRun> = Vec::new();
    for (at, run) in runs.drain(..).enumerate().rev() {
        bytes = bytes.saturating_add(run.bytes);
        let young = keep.age.is_none_or(|age| run.age <= age.get());
        let small = keep.mebibytes.is_none_or(|mib| bytes <= mib.saturating_mul(1024 * 1024));
        let stays =
            keep.count.is_none_or(|count| kept < count) && (at + 1 == latest || (young && small));
        if stays && due.is_empty() {
            kept += 1;
        } else {
            due.push(run);
        }
    }
    due.reverse();
    due
}

/// Moves the reports of a run into the archive beside it and removes the rest.
///
/// # Errors
/// When a file cannot be moved: then nothing has been removed.
pub fn archive(run: &RunFolder) -> io::Result<PathBuf> {
    let runs = run.path().parent().unwrap_or_else(|| Path::new("."));
    let archive = runs.join(ARCHIVE);
    private_dir(&archive)?;
    let into = archive.join(run.id());
    private_dir(&into)?;
    for entry in fs::read_dir(run.path())?.flatten() {
        let name = entry.file_name();
        if REPORTS.iter().any(|end| name.to_string_lossy().ends_with(end)) {
            fs::rename(entry.path(), into.join(&name))?;
        }
    }
    fs::remove_dir_all(run.path())?;
    Ok(into)
}

/// Archived runs, the oldest first: their reports, without a journal.
pub fn archived(runs: &Path) -> Vec<RunFolder> {
    let entries = fs::read_dir(runs.join(ARCHIVE)).into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    folders.sort();
    folders.into_iter().map(RunFolder::at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::TimeSpan;

    fn runs(count: u64) -> Vec<OldRun> {
        let run = |n| OldRun {
            folder: RunFolder::at(PathBuf::from(format!("/runs/{n}"))),
            bytes: 1024 * 1024,
            age: Duration::from_secs(3600 * (count - n)),
        };
        (1..=count).map(run).collect()
    }

    fn gone(count: u64, keep: &Keep) -> Vec<String> {
        due(runs(count), keep).iter().map(|run| run.folder.id()).collect()
    }

    #[test]
    fn each_bound_takes_the_oldest_and_age_and_size_leave_the_latest() {
        let none = Keep::default();
        assert!(gone(5, &none).is_empty());
        assert_eq!(gone(5, &Keep { count: Some(3), ..none }), ["1", "2"]);
        assert_eq!(gone(3, &Keep { count: Some(0), ..none }), ["1", "2", "3"]);
        let age = Some(TimeSpan::secs(2 * 3600));
        assert_eq!(gone(5, &Keep { age, ..none }), ["1", "2"]);
        assert_eq!(gone(5, &Keep { mebibytes: Some(1), ..none }), ["1", "2", "3", "4"]);
        assert!(gone(0, &Keep { count: Some(1), ..none }).is_empty());
    }

    #[test]
    fn an_archived_run_keeps_its_reports_and_nothing_else() {
        let temp = tempfile::tempdir().expect("folder");
        let run = temp.path().join("r1");
        fs::create_dir(&run).expect("created");
        for name in ["events.jsonl", "production_validation_report.json", "report.html"] {
            fs::write(run.join(name), name).expect("written");
        }
        let into = archive(&RunFolder::at(run.clone())).expect("archived");
        assert!(!run.exists());
        let archived = archived(temp.path());
        assert_eq!(archived.iter().map(RunFolder::path).collect::<Vec<_>>(), [into.as_path()]);
        let mut left: Vec<_> =
            fs::read_dir(&into).expect("there").flatten().map(|e| e.file_name()).collect();
        left.sort();
        assert_eq!(left, ["production_validation_report.json", "report.html"]);
    }
}
