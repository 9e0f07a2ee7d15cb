//! Archives (PKWARE's APPNOTE, 4.3). Libraries refuse the names that are wanted here.

use std::io::Write;

use flate2::Compression;
use flate2::write::DeflateEncoder;

/// Compression methods of the format.
const STORED: u16 = 0;
const DEFLATED: u16 = 8;

/// What is put into an archive.
struct Entry<'a> {
    name: &'a str,
    content: Vec<u8>,
    method: u16,
    packed: Vec<u8>,
}

/// A ZIP file of entries, each a name and a text, as they are.
pub fn zip(entries: &[(&str, &str)]) -> Vec<u8> {
    let mut all = Vec::new();
    for (name, text) in entries {
        let content = text.as_bytes().to_vec();
        all.push(Entry { name, method: STORED, packed: content.clone(), content });
    }
    archive(&all)
}

/// A ZIP file whose entry begins with a text and goes on with zeros: about a thousandth of what becomes
/// of it.
pub fn growing(name: &str, text: &str, size: usize) -> Vec<u8> {
    let mut content = text.as_bytes().to_vec();
    content.resize(size, 0);
    let mut packed = DeflateEncoder::new(Vec::new(), Compression::best());
    // Into memory: neither can fail.
    let packed = packed.write_all(&content).and_then(|()| packed.finish()).unwrap_or_default();
    archive(&[Entry { name, content, method: DEFLATED, packed }])
}

impl Entry<'_> {
    /// What stands both before the content and in the directory: version 2.0, no flags, 1980-01-01 00:00,
    /// checksum, sizes, length of the name, no extras.
    fn common(&self) -> Vec<u8> {
        let mut common = Vec::new();
        for word in [20_u16, 0, self.method, 0, 0x21] {
            common.extend_from_slice(&word.to_le_bytes());
        }
        let crc = crc32fast::hash(&self.content);
        for word in [crc, length(&self.packed), length(&self.content)] {
            common.extend_from_slice(&word.to_le_bytes());
        }
        let name = u16::try_from(self.name.len()).unwrap_or(u16::MAX);
        common.extend_from_slice(&name.to_le_bytes());
        common.extend_from_slice(&0_u16.to_le_bytes());
        common
    }
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

fn archive(entries: &[Entry<'_>]) -> Vec<u8> {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    for entry in entries {
        let (at, common) = (length(&file), entry.common());
        file.extend_from_slice(b"PK\x03\x04");
        file.extend_from_slice(&common);
        file.extend_from_slice(entry.name.as_bytes());
        file.extend_from_slice(&entry.packed);
        directory.extend_from_slice(b"PK\x01\x02\x14\x00");
        directory.extend_from_slice(&common);
        // No comment, first disk, no attributes, where it begins.
        directory.extend_from_slice(&[0; 10]);
        directory.extend_from_slice(&at.to_le_bytes());
        directory.extend_from_slice(entry.name.as_bytes());
    }
    let begins = length(&file);
    file.extend_from_slice(&directory);
    let count = u16::try_from(entries.len()).unwrap_or(u16::MAX).to_le_bytes();
    file.extend_from_slice(b"PK\x05\x06\x00\x00\x00\x00");
    file.extend_from_slice(&count);
    file.extend_from_slice(&count);
    file.extend_from_slice(&length(&directory).to_le_bytes());
    file.extend_from_slice(&begins.to_le_bytes());
    file.extend_from_slice(&[0; 2]);
    file
}

#[cfg(test)]
mod tests {
    /// Where an archiver is at hand, it reads what is written here.
    #[test]
    fn other_programs_read_it() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("a.zip");
        let script = "import sys, zipfile; z = zipfile.ZipFile(sys.argv[1]); \
                      b = z.read(z.namelist()[-1]); print(z.testzip(), z.namelist(), b[:5], len(b))";
        for (archive, says) in [
            (
                super::zip(&[("note.txt", "hi"), ("../up.txt", "hello")]),
                "None ['note.txt', '../up.txt'] b'hello' 5",
            ),
            (super::growing("big.txt", "hello", 1 << 20), "None ['big.txt'] b'hello' 1048576"),
        ] {
            assert!(archive.len() < 2000, "{}", archive.len());
            std::fs::write(&path, archive).expect("written");
            let run =
                std::process::Command::new("python3").args(["-c", script]).arg(&path).output();
            if let Ok(output) = run {
                let said = String::from_utf8_lossy(&output.stdout).into_owned();
                assert_eq!(said.trim(), says, "{output:?}");
            }
        }
    }
}
