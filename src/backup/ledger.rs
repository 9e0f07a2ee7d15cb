//! What a store holds, as sorted names and digests: two ledgers are compared in one pass, and memory
//! stays bounded whatever the number of records, because what does not fit is sorted in runs on disk.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::record::{Record, RecordDigest};
use crate::run::event::Difference;

/// What is sorted in memory at once. Several stores have two ledgers each at a time.
const RUN_BYTES: usize = 4 * 1024 * 1024;
/// Names reported of each kind of difference.
pub const NAMED: usize = 50;

/// A record's name and digest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// Kind and key.
    pub name: String,
    /// Digest of its canonical form.
    pub digest: RecordDigest,
}

impl Entry {
    /// The entry of a record.
    pub fn of(record: &Record) -> Self {
        Self { name: record.name(), digest: record.digest() }
    }
}

/// Entries that are still to be sorted, in two pieces of memory: an allocation for each name would leave
/// the heap full of holes.
#[derive(Default)]
struct Pending {
    names: Vec<u8>,
    entries: Vec<Noted>,
}

/// An entry whose name is elsewhere.
struct Noted {
    from: usize,
    to: usize,
    digest: RecordDigest,
}

impl Pending {
    fn add(&mut self, entry: &Entry) {
        let from = self.names.len();
        self.names.extend_from_slice(entry.name.as_bytes());
        self.entries.push(Noted { from, to: self.names.len(), digest: entry.digest });
    }

    fn bytes(&self) -> usize {
        self.names.len() + self.entries.len() * size_of::<Noted>()
    }

    /// Writes everything in order, and is empty then.
    fn write_sorted(&mut self, to: &mut impl Write) -> io::Result<()> {
        let Self { names, entries } = self;
        let name = |noted: &Noted| &names[noted.from..noted.to];
        entries.sort_unstable_by(|a, b| (name(a), a.digest).cmp(&(name(b), b.digest)));
        entries.iter().try_for_each(|noted| write_entry(to, name(noted), &noted.digest))?;
        entries.clear();
        names.clear();
        Ok(())
    }
}

/// Collects entries in any order.
pub struct LedgerBuilder {
    folder: PathBuf,
    name: String,
    pending: Pending,
    runs: Vec<PathBuf>,
    run_bytes: usize,
}

impl LedgerBuilder {
    /// A ledger called `name` in a folder; its files are its own.
    pub fn new(folder: &Path, name: &str) -> Self {
        Self {
            folder: folder.to_owned(),
            name: name.to_owned(),
            pending: Pending::default(),
            runs: Vec::new(),
            run_bytes: RUN_BYTES,
        }
    }

    /// Adds an entry.
    ///
    /// # Errors
    /// When the disk takes no more.
    pub fn add(&mut self, entry: Entry) -> io::Result<()> {
        self.pending.add(&entry);
        if self.pending.bytes() >= self.run_bytes { self.spill() } else { Ok(()) }
    }

    fn spill(&mut self) -> io::Result<()> {
        let path = self.folder.join(format!("{}.run{}", self.name, self.runs.len()));
        let mut file = BufWriter::new(private(&path)?);
        self.pending.write_sorted(&mut file)?;
        file.flush()?;
        self.runs.push(path);
        Ok(())
    }

    /// Merges everything into one sorted ledger. A record that was read twice the same (as `SCAN`
    /// may) counts once.
    ///
    /// # Errors
    /// When the disk takes no more, or a run cannot be read back.
    pub fn finish(mut self) -> io::Result<Ledger> {
        self.spill()?;
        self.pending = Pending::default();
        let path = self.folder.join(format!("{}.ledger", self.name));
        let mut file = BufWriter::new(private(&path)?);
        let mut sources: Vec<Entries> =
            self.runs.iter().map(|path| Entries::open(path)).collect::<Result<_, _>>()?;
        let mut heads = BinaryHeap::new();
        for (at, source) in sources.iter_mut().enumerate() {
            heads.extend(source.next().transpose()?.map(|entry| Reverse((entry, at))));
        }
        let (mut count, mut hash, mut last) = (0, Sha256::new(), None);
        while let Some(Reverse((entry, at))) = heads.pop() {
            heads.extend(sources[at].next().transpose()?.map(|next| Reverse((next, at))));
            if last.as_ref() != Some(&entry) {
                write_entry(&mut file, entry.name.as_bytes(), &entry.digest)?;
                hash.update(entry.digest);
                count += 1;
                last = Some(entry);
            }
        }
        file.flush()?;
        for run in &self.runs {
            fs::remove_file(run)?;
        }
        let digest: RecordDigest = hash.finalize().into();
        Ok(Ledger { path, count, digest: hex(&digest) })
    }
}

/// Lowercase hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn private(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).truncate(true).read(true).write(true).mode(0o600).open(path)
}

fn write_entry(to: &mut impl Write, name: &[u8], digest: &RecordDigest) -> io::Result<()> {
    to.write_all(&(name.len() as u32).to_be_bytes())?;
    to.write_all(name)?;
    to.write_all(digest)
}

/// A finished ledger.
#[derive(Clone, Debug)]
pub struct Ledger {
    path: PathBuf,
    count: u64,
    digest: String,
}

impl Ledger {
    /// Number of records.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Digest over all records in order, in hexadecimal digits.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Its entries, in order.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn entries(&self) -> io::Result<Entries> {
        Entries::open(&self.path)
    }
}

/// Entries of a ledger file, in order.
pub struct Entries {
    file: BufReader<File>,
}

impl Entries {
    fn open(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(0))?;
        Ok(Self { file: BufReader::new(file) })
    }

    fn read(&mut self) -> io::Result<Option<Entry>> {
        if self.file.fill_buf()?.is_empty() {
            return Ok(None);
        }
        let mut length = [0; 4];
        self.file.read_exact(&mut length)?;
        let mut name = vec![0; u32::from_be_bytes(length) as usize];
        self.file.read_exact(&mut name)?;
        let mut digest = [0; 32];
        self.file.read_exact(&mut digest)?;
        let name = String::from_utf8(name).map_err(io::Error::other)?;
        Ok(Some(Entry { name, digest }))
    }
}

impl Iterator for Entries {
    type Item = io::Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

fn note(count: &mut u64, names: &mut Vec<String>, name: String) {
    *count += 1;
    if names.len() < NAMED {
        names.push(name);
    }
}

/// Compares two sorted rows of entries.
///
/// # Errors
/// When one of them cannot be read.
pub fn compare(
    expected: impl IntoIterator<Item = io::Result<Entry>>,
    found: impl IntoIterator<Item = io::Result<Entry>>,
) -> io::Result<Difference> {
    let (mut expected, mut found) = (expected.into_iter(), found.into_iter());
    let mut difference = Difference::default();
    let (mut left, mut right) = (expected.next().transpose()?, found.next().transpose()?);
    loop {
        let order = match (&left, &right) {
            (None, None) => return Ok(difference),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(left), Some(right)) => left.name.cmp(&right.name),
        };
        if order.is_le() {
            difference.expected += 1;
        }
        if order.is_ge() {
            difference.found += 1;
        }
        match (order, left.clone(), right.clone()) {
            (Ordering::Less, Some(entry), _) => {
                note(&mut difference.missing_count, &mut difference.missing, entry.name);
            }
            (Ordering::Greater, _, Some(entry)) => {
                note(&mut difference.extra_count, &mut difference.extra, entry.name);
            }
            (_, Some(one), Some(other)) if one.digest != other.digest => {
                note(&mut difference.changed_count, &mut difference.changed, one.name);
            }
            _ => {}
        }
        if order.is_le() {
            left = expected.next().transpose()?;
        }
        if order.is_ge() {
            right = found.next().transpose()?;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn ledger(folder: &Path, name: &str, entries: &[(String, u8)], run: usize) -> Ledger {
        let run_bytes = run * size_of::<Noted>();
        let mut builder = LedgerBuilder { run_bytes, ..LedgerBuilder::new(folder, name) };
        for (name, digest) in entries {
            let entry = Entry { name: name.clone(), digest: [*digest; 32] };
            builder.add(entry).expect("written");
        }
        builder.finish().expect("merged")
    }

    proptest! {
        #[test]
        fn a_comparison_finds_exactly_what_differs(
            before in proptest::collection::btree_map("[a-c]{0,3}", 0u8..3, 0..12),
            after in proptest::collection::btree_map("[a-c]{0,3}", 0u8..3, 0..12),
            run in 1usize..8,
        ) {
            let temp = tempfile::tempdir().expect("folder");
            let rows = |of: &BTreeMap<String, u8>| -> Vec<_> {
                // In another order than the sorted one, and each twice.
                let once: Vec<_> = of.iter().rev().map(|(k, v)| (k.clone(), *v)).collect();
                [once.clone(), once].concat()
            };
            let one = ledger(temp.path(), "one", &rows(&before), run);
            let other = ledger(temp.path(), "other", &rows(&after), run);
            let found = compare(one.entries().expect("open"), other.entries().expect("open")).expect("read");
            let missing: Vec<_> = before.keys().filter(|k| !after.contains_key(*k)).cloned().collect();
            let extra: Vec<_> = after.keys().filter(|k| !before.contains_key(*k)).cloned().collect();
            let changed: Vec<_> = before.iter().filter(|(k, v)| after.get(*k).is_some_and(|w| w != *v))
                .map(|(k, _)| k.clone()).collect();
            prop_assert_eq!(&found.missing, &missing);
            prop_assert_eq!(&found.extra, &extra);
            prop_assert_eq!(&found.changed, &changed);
            prop_assert_eq!(found.expected, before.len() as u64);
            prop_assert_eq!(found.found, after.len() as u64);
            prop_assert_eq!(found.is_none(), before == after);
            prop_assert_eq!(one.digest() == other.digest(), before == after
                || before.values().eq(after.values()));
        }
    }

    #[test]
    fn nothing_of_the_sorting_stays_behind() {
        let temp = tempfile::tempdir().expect("folder");
        let entries: Vec<_> = (0..10).map(|n| (format!("k{n}"), n)).collect();
        assert_eq!(ledger(temp.path(), "l", &entries, 3).count(), 10);
        let files = fs::read_dir(temp.path()).expect("readable").count();
        assert_eq!(files, 1);
    }
}
