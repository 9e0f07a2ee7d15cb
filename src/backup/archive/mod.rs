//! The backup on disk: records as lines of JSON, one file after the other, and a manifest with the size
//! and SHA-256 of each. A restore works from these files alone, and refuses them when a single byte is
//! not what it was.

mod writer;

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::ledger::{Entry, Ledger, LedgerBuilder, hex};
use super::record::Record;
use crate::config::StoreKind;

pub use writer::ArchiveWriter;

/// Longest line that is read back: the largest object of the drill as base64, and some more.
const MAX_LINE_BYTES: u64 = 64 * 1024 * 1024;
const MANIFEST: &str = "manifest.json";

/// Why a backup is no good.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The disk.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The manifest is not the one that was written.
    #[error("{MANIFEST} is not the one that was written: expected SHA-256 {expected}, got {got}")]
    OtherManifest {
        /// What was noted when it was written.
        expected: String,
        /// What is there.
        got: String,
    },
    /// A file of the manifest is not there.
    #[error("{0} is missing")]
    Missing(String),
    /// A file is there that the manifest does not know.
    #[error("{0} is in the folder, but not in the manifest")]
    Extra(String),
    /// A file holds something else.
    #[error("{file}: expected {expected}, got {got}")]
    Differs {
        /// The file.
        file: String,
        /// Size or digest of the manifest.
        expected: String,
        /// What was found.
        got: String,
    },
    /// A line is no record.
    #[error("{file}, line {line}: not a record: {reason}")]
    NoRecord {
        /// The file.
        file: String,
        /// Line, from 1.
        line: u64,
        /// Why.
        reason: String,
    },
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> ArchiveError + '_ {
    move |source| ArchiveError::Io { path: path.to_owned(), source }
}

/// One file of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchivedFile {
    /// Its name in the folder.
    pub name: String,
    /// Size.
    pub bytes: u64,
    /// SHA-256 in hexadecimal digits.
    pub sha256: String,
    /// Records in it.
    pub records: u64,
}

/// What a backup consists of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the form.
    pub format: u32,
    /// The run that made it.
    pub run_id: String,
    /// Of which store.
    pub store: StoreKind,
    /// What the store said that it is.
    pub server: String,
    /// Wall-clock time of its end, RFC 3339.
    pub created: String,
    /// Its files, in the order in which they are restored.
    pub files: Vec<ArchivedFile>,
    /// Records in all of them.
    pub records: u64,
}

/// A backup that was written and closed.
#[derive(Clone, Debug)]
pub struct Archive {
    folder: PathBuf,
    manifest: Manifest,
    manifest_sha256: String,
}

impl Archive {
    /// What it consists of.
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Size of its files.
    pub fn bytes(&self) -> u64 {
        self.manifest.files.iter().map(|file| file.bytes).sum()
    }

    /// SHA-256 of the manifest, which names that of every file.
    pub fn manifest_sha256(&self) -> &str {
        &self.manifest_sha256
    }

    /// Checks every file against the manifest and reads every record back; what they hold goes into a
    /// ledger called `name` in `scratch`. Blocks.
    ///
    /// # Errors
    /// The first thing that is not as it was written.
    pub fn verify(&self, scratch: &Path, name: &str) -> Result<Ledger, ArchiveError> {
        self.check_manifest()?;
        self.check_listing()?;
        let mut ledger = LedgerBuilder::new(scratch, name);
        for file in &self.manifest.files {
            check_file(&self.folder, file)?;
        }
        for record in self.records() {
            ledger.add(Entry::of(&record?)).map_err(at(scratch))?;
        }
        ledger.finish().map_err(at(scratch))
    }

    fn check_manifest(&self) -> Result<(), ArchiveError> {
        let path = self.folder.join(MANIFEST);
        let bytes = fs::read(&path).map_err(at(&path))?;
        let got = hex(&Sha256::digest(&bytes));
        if got == self.manifest_sha256 {
            return Ok(());
        }
        Err(ArchiveError::OtherManifest { expected: self.manifest_sha256.clone(), got })
    }

    fn check_listing(&self) -> Result<(), ArchiveError> {
        let mut wanted: BTreeSet<&str> =
            self.manifest.files.iter().map(|file| file.name.as_str()).collect();
        wanted.insert(MANIFEST);
        for entry in fs::read_dir(&self.folder).map_err(at(&self.folder))? {
            let name = entry.map_err(at(&self.folder))?.file_name();
            let name = name.to_string_lossy();
            if !wanted.remove(&*name) {
                return Err(ArchiveError::Extra(name.into_owned()));
            }
        }
        wanted.first().map_or(Ok(()), |name| Err(ArchiveError::Missing((*name).to_owned())))
    }

    /// All records, in the order in which they are restored.
    pub fn records(&self) -> impl Iterator<Item = Result<Record, ArchiveError>> + Send + use<> {
        let (folder, files) = (self.folder.clone(), self.manifest.files.clone());
        files.into_iter().flat_map(move |file| Lines::open(&folder, file.name))
    }

    /// A copy in `folder` in which one byte in the middle of one file is another; the other files are
    /// links to the same.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn corrupted_copy(&self, folder: &Path) -> Result<Self, ArchiveError> {
        private_folder(folder)?;
        let victim = self.manifest.files.iter().max_by_key(|file| file.records);
        for name in self.manifest.files.iter().map(|f| f.name.as_str()).chain([MANIFEST]) {
            let (from, to) = (self.folder.join(name), folder.join(name));
            if victim.is_some_and(|file| file.name == name) {
                fs::copy(&from, &to).map_err(at(&from))?;
                flip(&to).map_err(at(&to))?;
            } else {
                fs::hard_link(&from, &to).map_err(at(&to))?;
            }
        }
        Ok(Self { folder: folder.to_owned(), ..self.clone() })
    }
}

/// Makes the byte in the middle of a file another one.
fn flip(path: &Path) -> io::Result<()> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let (middle, mut byte) = (file.metadata()?.len() / 2, [0]);
    if file.read_at(&mut byte, middle)? == 1 {
        file.write_all_at(&[byte[0] ^ 1], middle)?;
    }
    Ok(())
}

fn check_file(folder: &Path, file: &ArchivedFile) -> Result<(), ArchiveError> {
    let path = folder.join(&file.name);
    let length = fs::metadata(&path).map_err(at(&path))?.len();
    if length != file.bytes || length == 0 {
        return Err(ArchiveError::Differs {
            file: file.name.clone(),
            expected: format!("{} bytes", file.bytes),
            got: format!("{length}"),
        });
    }
    let mut hash = Sha256::new();
    let mut content = BufReader::with_capacity(1 << 20, File::open(&path).map_err(at(&path))?);
    loop {
        let chunk = content.fill_buf().map_err(at(&path))?;
        if chunk.is_empty() {
            break;
        }
        hash.update(chunk);
        let length = chunk.len();
        content.consume(length);
    }
    let got = hex(&hash.finalize());
    if got == file.sha256 {
        return Ok(());
    }
    let expected = format!("SHA-256 {}", file.sha256);
    Err(ArchiveError::Differs { file: file.name.clone(), expected, got })
}

/// Records of one file.
struct Lines {
    file: Result<BufReader<File>, Option<ArchiveError>>,
    name: String,
    line: u64,
}

impl Lines {
    fn open(folder: &Path, name: String) -> Self {
        let path = folder.join(&name);
        let file = File::open(&path).map(BufReader::new).map_err(|e| Some(at(&path)(e)));
        Self { file, name, line: 0 }
    }
}

impl Iterator for Lines {
    type Item = Result<Record, ArchiveError>;

    fn next(&mut self) -> Option<Self::Item> {
        let file = match &mut self.file {
            Ok(file) => file,
            Err(error) => return error.take().map(Err),
        };
        let mut line = Vec::new();
        self.line += 1;
        let wrong = |reason: String| ArchiveError::NoRecord {
            file: self.name.clone(),
            line: self.line,
            reason,
        };
        let read = match file.take(MAX_LINE_BYTES).read_until(b'\n', &mut line) {
            Ok(0) => return None,
            Ok(_) if line.last() != Some(&b'\n') => Err(wrong("it does not end".into())),
            Ok(_) => serde_json::from_slice(&line).map_err(|error| wrong(error.to_string())),
            Err(error) => Err(wrong(error.to_string())),
        };
        if read.is_err() {
            self.file = Err(None);
        }
        Some(read)
    }
}

/// Makes a folder that only its owner may enter.
///
/// # Errors
/// When it cannot be made.
pub fn private_folder(path: &Path) -> Result<(), ArchiveError> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(at(path))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::record::Value;
    use super::super::record::tests::any_record;
    use super::*;

    fn written(folder: &Path, records: &[Record], file_bytes: u64) -> Archive {
        let mut writer = ArchiveWriter::create(&folder.join("backup")).expect("folder");
        writer.file_bytes = file_bytes;
        for record in records {
            writer.add(record).expect("written");
        }
        writer.finish("r1", StoreKind::Redis, "a server").expect("finished")
    }

    fn some() -> Vec<Record> {
        (0..40).map(|n| Record::new("string", format!("key {n}"), Value::Int(n))).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn what_went_in_comes_out(records in proptest::collection::vec(any_record(), 1..20)) {
            let temp = tempfile::tempdir().expect("folder");
            let archive = written(temp.path(), &records, 300);
            archive.verify(temp.path(), "all").expect("sound");
            let back: Vec<Record> = archive.records().map(|r| r.expect("record")).collect();
            let lines = |records: &[Record]| -> Vec<String> {
                records.iter().map(|r| serde_json::to_string(r).expect("line")).collect()
            };
            prop_assert_eq!(lines(&back), lines(&records));
        }

        #[test]
        fn any_flipped_bit_is_refused(at in any::<prop::sample::Index>(), bit in 0u8..8, which in 0usize..4) {
            let temp = tempfile::tempdir().expect("folder");
            let archive = written(temp.path(), &some(), 600);
            let files: Vec<_> = fs::read_dir(archive.folder()).expect("list").map(|f| f.expect("file").path()).collect();
            let path = &files[which % files.len()];
            let mut bytes = fs::read(path).expect("bytes");
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            fs::write(path, bytes).expect("written");
            prop_assert!(archive.verify(temp.path(), "all").is_err());
        }
    }

    #[test]
    fn truncated_missing_extra_and_corrupted_files_are_refused_by_name() {
        let temp = tempfile::tempdir().expect("folder");
        let archive = written(temp.path(), &some(), 600);
        let first = archive.folder().join("records-00000.jsonl");
        let refusal = || archive.verify(temp.path(), "all").expect_err("refused").to_string();
        let bytes = fs::read(&first).expect("there");
        fs::write(&first, &bytes[..bytes.len() - 1]).expect("cut");
        assert!(refusal().contains("records-00000.jsonl: expected"), "{}", refusal());
        fs::write(&first, b"").expect("emptied");
        assert!(refusal().contains("got 0"), "{}", refusal());
        fs::remove_file(&first).expect("removed");
        assert_eq!(refusal(), "records-00000.jsonl is missing");
        fs::write(&first, &bytes).expect("put back");
        archive.verify(temp.path(), "all").expect("sound again");
        let copy = archive.corrupted_copy(&temp.path().join("copy")).expect("copied");
        assert!(copy.verify(temp.path(), "copy").is_err());
        archive.verify(temp.path(), "all").expect("the original is untouched");
        fs::write(archive.folder().join("more"), b"x").expect("written");
        assert_eq!(refusal(), "more is in the folder, but not in the manifest");
    }
}
