//! An archive of one entry, stored as it is (PKWARE's APPNOTE, 4.3). Libraries refuse the names that are
//! wanted here.

/// A ZIP file with one entry.
pub fn zip(name: &str, content: &[u8]) -> Vec<u8> {
    let crc = crc32fast::hash(content);
    let size = u32::try_from(content.len()).unwrap_or(u32::MAX);
    let length = u16::try_from(name.len()).unwrap_or(u16::MAX);
    // Version 2.0, no flags, stored, 1980-01-01 00:00, checksum, sizes, length of the name, no extras.
    let mut common = Vec::new();
    for word in [20_u16, 0, 0, 0, 0x21] {
        common.extend_from_slice(&word.to_le_bytes());
    }
    for word in [crc, size, size] {
        common.extend_from_slice(&word.to_le_bytes());
    }
    common.extend_from_slice(&length.to_le_bytes());
    common.extend_from_slice(&0_u16.to_le_bytes());
    let mut file = b"PK\x03\x04".to_vec();
    file.extend_from_slice(&common);
    file.extend_from_slice(name.as_bytes());
    file.extend_from_slice(content);
    let directory = u32::try_from(file.len()).unwrap_or(u32::MAX);
    file.extend_from_slice(b"PK\x01\x02\x14\x00");
    file.extend_from_slice(&common);
    // No comment, first disk, no attributes, entry at the beginning.
    file.extend_from_slice(&[0; 14]);
    file.extend_from_slice(name.as_bytes());
    let end = u32::try_from(file.len()).unwrap_or(u32::MAX);
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
        std::fs::write(&path, super::zip("../up.txt", b"hello")).expect("written");
        let script = "import sys, zipfile; z = zipfile.ZipFile(sys.argv[1]); \
                      print(z.testzip(), z.namelist(), z.read(z.namelist()[0]))";
        let run = std::process::Command::new("python3").args(["-c", script]).arg(&path).output();
        if let Ok(output) = run {
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            assert_eq!(said.trim(), "None ['../up.txt'] b'hello'", "{output:?}");
        }
    }
}
