//! Archives of one entry (PKWARE's APPNOTE, 4.3). Libraries refuse the names that are wanted here.

use std::io::Write;

use flate2::Compression;
use flate2::write::DeflateEncoder;

/// Compression methods of the format.
const STORED: u16 = 0;
const DEFLATED: u16 = 8;

/// A ZIP file with one entry, as it is.
pub fn zip(name: &str, content: &[u8]) -> Vec<u8> {
    archive(name, content, STORED, content)
}

/// A ZIP file whose entry begins with a text and goes on with zeros: about a thousandth of what becomes
/// of it.
pub fn growing(name: &str, text: &str, size: usize) -> Vec<u8> {
    let mut content = text.as_bytes().to_vec();
    content.resize(size, 0);
    let mut packed = DeflateEncoder::new(Vec::new(), Compression::best());
    // Into memory: neither can fail.
    let packed = packed.write_all(&content).and_then(|()| packed.finish());
    archive(name, &content, DEFLATED, &packed.unwrap_or_default())
}

fn archive(name: &str, content: &[u8], method: u16, packed: &[u8]) -> Vec<u8> {
    let crc = crc32fast::hash(content);
    let size = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let length = u16::try_from(name.len()).unwrap_or(u16::MAX);
    // Version 2.0, no flags, 1980-01-01 00:00, checksum, sizes, length of the name, no extras.
    let mut common = Vec::new();
    for word in [20_u16, 0, method, 0, 0x21] {
        common.extend_from_slice(&word.to_le_bytes());
    }
    for word in [crc, size(packed), size(content)] {
        common.extend_from_slice(&word.to_le_bytes());
    }
    common.extend_from_slice(&length.to_le_bytes());
    common.extend_from_slice(&0_u16.to_le_bytes());
    let mut file = b"PK\x03\x04".to_vec();
    file.extend_from_slice(&common);
    file.extend_from_slice(name.as_bytes());
    file.extend_from_slice(packed);
    let directory = size(&file);
    file.extend_from_slice(b"PK\x01\x02\x14\x00");
    file.extend_from_slice(&common);
    // No comment, first disk, no attributes, entry at the beginning.
    file.extend_from_slice(&[0; 14]);
    file.extend_from_slice(name.as_bytes());
    let end = size(&file);
    file.extend_from_slice(b"PK\x05\x06\x00\x00\x00\x00\x01\x00\x01\x00");
    file.extend_from_slice(&(end - directory).to_le_bytes());
    file.extend_from_slice(&directory.to_le_bytes());
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
                      b = z.read(z.namelist()[0]); print(z.testzip(), z.namelist(), b[:5], len(b))";
        for (archive, says) in [
            (super::zip("../up.txt", b"hello"), "None ['../up.txt'] b'hello' 5"),
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
