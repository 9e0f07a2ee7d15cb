//! The files that a backup left: found, and checked as far as can be told without restoring them.

use std::fs::{self, File};
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use super::format;
use crate::backup::ledger::hex;
use crate::backup::stores::DrillError;
use crate::config::Artefact;
use crate::run::event::{BackupFile, BackupLevel};

/// A larger file is not copied to flip a byte in it.
const MOST_COPIED: u64 = 1 << 30;

/// What was found of one store's backup.
#[derive(Debug)]
pub struct Found {
    /// The files.
    pub files: Vec<BackupFile>,
    /// How far they were shown to be good.
    pub level: BackupLevel,
    /// In one line.
    pub words: String,
    /// Whether one flipped byte in a copy was refused; none where nothing would have told.
    pub flipped: Option<bool>,
}

/// The newest file that a pattern names; none when there is none.
///
/// # Errors
/// When the folder cannot be read.
pub fn newest(pattern: &Path) -> io::Result<Option<(PathBuf, SystemTime)>> {
    let (Some(folder), Some(name)) = (pattern.parent(), pattern.file_name()) else {
        return Ok(None);
    };
    let name = name.to_string_lossy();
    let mut newest: Option<(PathBuf, SystemTime)> = None;
    for entry in fs::read_dir(folder)?.flatten() {
        let metadata = entry.metadata()?;
        if !metadata.is_file() || !matches(&name, &entry.file_name().to_string_lossy()) {
            continue;
        }
        let modified = metadata.modified()?;
        if newest.as_ref().is_none_or(|(_, at)| modified > *at) {
            newest = Some((entry.path(), modified));
        }
    }
    Ok(newest)
}

/// A file's name with an ending.
pub(super) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Whether a name is what a pattern with `*` says.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((before, rest)) => name.strip_prefix(before).is_some_and(|left| {
            let ends = left.char_indices().map(|(at, _)| at).chain([left.len()]);
            ends.into_iter().any(|at| matches(rest, &left[at..]))
        }),
    }
}

/// Finds and checks a store's files, which have to be younger than the trigger. Blocks.
///
/// # Errors
/// The first thing that is not as it should be.
pub fn check(
    artefacts: &[Artefact],
    triggered: SystemTime,
    scratch: &Path,
) -> Result<Found, DrillError> {
    let mut found =
        Found { files: Vec::new(), level: BackupLevel::L3, words: String::new(), flipped: None };
    let mut words = Vec::new();
    for artefact in artefacts {
        let shown = artefact.path.display();
        let Some((path, modified)) = newest(&artefact.path)? else {
            return Err(DrillError::Wrong(format!("{shown}: no such file")));
        };
        // File systems keep time in steps of up to two seconds.
        if modified + std::time::Duration::from_secs(2) < triggered {
            return Err(DrillError::Wrong(format!("{}: older than the trigger", path.display())));
        }
        let bytes = fs::metadata(&path)?.len();
        if bytes < artefact.min_bytes.max(1) {
            let least = artefact.min_bytes.max(1);
            let reason = format!("{}: {bytes} bytes, expected {least} or more", path.display());
            return Err(DrillError::Wrong(reason));
        }
        let sha256 = digest(&path)?;
        let sound = soundness(artefact, &path, &sha256)?;
        words.push(format!("{}: {}", path.display(), sound.words));
        // Several files are as good as the worst of them.
        found.level = found.level.min(sound.level);
        if sound.level >= BackupLevel::L2 && bytes <= MOST_COPIED {
            let caught = refuses_flipped(artefact, &path, scratch)?;
            found.flipped = Some(found.flipped.unwrap_or(true) && caught);
        }
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        found.files.push(BackupFile { name: name.unwrap_or_default(), bytes, sha256 });
    }
    if found.files.is_empty() {
        return Err(DrillError::Wrong(
            "no file is configured for it: backup.platform.artefacts".into(),
        ));
    }
    found.words = words.join("; ");
    Ok(found)
}

struct Soundness {
    level: BackupLevel,
    words: String,
}

/// Checksum and structure of one file. A level is only reached over the one below it.
fn soundness(artefact: &Artefact, path: &Path, sha256: &str) -> Result<Soundness, DrillError> {
    let refused = |reason: String| DrillError::Wrong(format!("{}: {reason}", path.display()));
    let mut sound = Soundness { level: BackupLevel::L1, words: "there and new".into() };
    if let Some(ending) = &artefact.checksum {
        let text = fs::read_to_string(beside(path, ending))
            .map_err(|error| refused(format!("{ending}: {error}")))?;
        let stated = text.split_whitespace().next().unwrap_or_default().to_ascii_lowercase();
        if stated != sha256 {
            return Err(refused(format!("SHA-256 {sha256}, and {ending} says {stated}")));
        }
        (sound.level, sound.words) = (BackupLevel::L2, "checksum right".into());
    }
    if let Some(kind) = artefact.format {
        let what = format::check(path, kind).map_err(|error| refused(error.to_string()))?;
        sound.words += &format!(", {what}");
        // Without a checksum there is a gap below; by its first bytes a file is not read.
        let summed = sound.level == BackupLevel::L2 || format::has_checksum(kind);
        if summed {
            let whole = format::is_read_whole(kind);
            sound.level = if whole { BackupLevel::L3 } else { BackupLevel::L2 };
        }
    }
    Ok(sound)
}

fn digest(path: &Path) -> io::Result<String> {
    let mut hash = Sha256::new();
    io::copy(&mut BufReader::new(File::open(path)?), &mut hash)?;
    Ok(hex(&hash.finalize()))
}

/// Whether a copy with one flipped byte in its middle is refused, with the original's checksum.
fn refuses_flipped(artefact: &Artefact, path: &Path, scratch: &Path) -> Result<bool, DrillError> {
    let copy = scratch.join("flipped-artefact");
    fs::copy(path, &copy)?;
    let mut bytes = fs::read(&copy)?;
    let middle = bytes.len() / 2;
    if let Some(byte) = bytes.get_mut(middle) {
        *byte ^= 1;
    }
    fs::write(&copy, bytes)?;
    if let Some(ending) = &artefact.checksum {
        fs::copy(beside(path, ending), beside(&copy, ending))?;
    }
    let caught = soundness(artefact, &copy, &digest(&copy)?).is_err();
    fs::remove_file(&copy)?;
    Ok(caught)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::{ArtefactFormat, StoreKind};

    fn artefact(path: PathBuf) -> Artefact {
        Artefact {
            store: StoreKind::Redis,
            path,
            s3: None,
            min_bytes: 5,
            format: None,
            checksum: Some(".sha256".into()),
        }
    }

    #[test]
    fn patterns_name_files() {
        for (pattern, name, is) in [
            ("*.dump", "a.dump", true),
            ("*.dump", "a.dump.sha256", false),
            ("pg-*-x*.gz", "pg-2026-x1.gz", true),
            ("plain", "plain", true),
            ("plain", "plainer", false),
            ("*", "", true),
        ] {
            assert_eq!(matches(pattern, name), is, "{pattern} {name}");
        }
    }

    #[test]
    fn only_a_new_whole_file_with_its_checksum_is_good() {
        let temp = tempfile::tempdir().expect("folder");
        let (old, new) = (temp.path().join("b-1.jsonl"), temp.path().join("b-2.jsonl"));
        fs::write(&old, "{\"old\": 1}\n").expect("written");
        let then = SystemTime::now() - Duration::from_secs(3600);
        File::open(&old).and_then(|file| file.set_modified(then)).expect("set");
        let mut wanted = artefact(temp.path().join("b-*.jsonl"));
        wanted.format = Some(ArtefactFormat::JsonLines);
        let check =
            |wanted: &Artefact| check(std::slice::from_ref(wanted), SystemTime::now(), temp.path());
        let refused = |wanted: &Artefact| check(wanted).expect_err("refused").to_string();
        assert!(refused(&wanted).contains("older than the trigger"), "{}", refused(&wanted));
        fs::write(&new, "{}\n").expect("written");
        assert!(refused(&wanted).contains("expected 5 or more"), "{}", refused(&wanted));
        fs::write(&new, "{\"a\": 1}\n").expect("written");
        assert!(refused(&wanted).contains(".sha256"), "{}", refused(&wanted));
        let beside = temp.path().join("b-2.jsonl.sha256");
        fs::write(&beside, "00  b-2.jsonl").expect("written");
        assert!(refused(&wanted).contains("says 00"), "{}", refused(&wanted));
        fs::write(&beside, digest(&new).expect("read") + "  b-2.jsonl\n").expect("written");
        let found = check(&wanted).expect("good");
        assert_eq!((found.level, found.flipped), (BackupLevel::L3, Some(true)));
        assert_eq!(found.files[0].name, "b-2.jsonl");
        let plain = Artefact { checksum: None, format: None, ..wanted };
        let found = check(&plain).expect("there");
        assert_eq!(
            (found.level, found.flipped),
            (BackupLevel::L1, None),
            "nothing would have told"
        );
    }
}
