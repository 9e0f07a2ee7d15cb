//! Writes a backup, file by file: each is whole under its name or not there.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::{Archive, ArchiveError, ArchivedFile, MANIFEST, Manifest, at, private_folder};
use crate::backup::ledger::hex;
use crate::backup::record::Record;
use crate::config::StoreKind;

/// Version of the files' form.
const FORMAT: u32 = 1;
/// A file that has reached this size is closed, and the next begun.
const FILE_BYTES: u64 = 64 * 1024 * 1024;

/// Writes a backup.
pub struct ArchiveWriter {
    folder: PathBuf,
    open: Option<OpenFile>,
    files: Vec<ArchivedFile>,
    pub(super) file_bytes: u64,
}

struct OpenFile {
    name: String,
    file: BufWriter<File>,
    hash: Sha256,
    bytes: u64,
    records: u64,
}

impl Write for OpenFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl ArchiveWriter {
    /// A backup in a folder of its own.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn create(folder: &Path) -> Result<Self, ArchiveError> {
        private_folder(folder)?;
        let (folder, file_bytes) = (folder.to_owned(), FILE_BYTES);
        Ok(Self { folder, open: None, files: Vec::new(), file_bytes })
    }

    /// Adds a record; returns the bytes that it took.
    ///
    /// # Errors
    /// When the disk takes no more.
    pub fn add(&mut self, record: &Record) -> Result<u64, ArchiveError> {
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.next_file()?,
        };
        let (path, before) = (self.folder.join(&open.name), open.bytes);
        serde_json::to_writer(&mut open, record).map_err(|e| at(&path)(e.into()))?;
        open.write_all(b"\n").map_err(at(&path))?;
        open.records += 1;
        let taken = open.bytes - before;
        let full = open.bytes >= self.file_bytes;
        self.open = Some(open);
        if full {
            self.close_file()?;
        }
        Ok(taken)
    }

    fn next_file(&self) -> Result<OpenFile, ArchiveError> {
        let name = format!("records-{:05}.jsonl", self.files.len());
        let path = self.folder.join(format!("{name}.part"));
        let file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&path);
        let file = BufWriter::with_capacity(1 << 18, file.map_err(at(&path))?);
        Ok(OpenFile { name, file, hash: Sha256::new(), bytes: 0, records: 0 })
    }

    fn close_file(&mut self) -> Result<(), ArchiveError> {
        let Some(open) = self.open.take() else { return Ok(()) };
        let path = self.folder.join(&open.name);
        let file = open.file.into_inner().map_err(|error| at(&path)(error.into_error()))?;
        file.sync_all().map_err(at(&path))?;
        fs::rename(self.folder.join(format!("{}.part", open.name)), &path).map_err(at(&path))?;
        self.files.push(ArchivedFile {
            name: open.name,
            bytes: open.bytes,
            sha256: hex(&open.hash.finalize()),
            records: open.records,
        });
        Ok(())
    }

    /// Closes the backup: everything is on disk when this returns.
    ///
    /// # Errors
    /// When the disk takes no more.
    pub fn finish(
        mut self,
        run_id: &str,
        store: StoreKind,
        server: &str,
    ) -> Result<Archive, ArchiveError> {
        self.close_file()?;
        let manifest = Manifest {
            format: FORMAT,
            run_id: run_id.to_owned(),
            store,
            server: server.to_owned(),
            created: jiff::Timestamp::now().to_string(),
            records: self.files.iter().map(|file| file.records).sum(),
            files: self.files,
        };
        let path = self.folder.join(MANIFEST);
        let bytes = serde_json::to_vec_pretty(&manifest).map_err(|e| at(&path)(e.into()))?;
        crate::run::folder::write_atomically(&path, &bytes).map_err(at(&path))?;
        Ok(Archive { folder: self.folder, manifest, manifest_sha256: hex(&Sha256::digest(&bytes)) })
    }
}
