//! Whether a file is what it should be, from beginning to end as far as its format tells.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;

use crate::config::ArtefactFormat;

const BLOCK: usize = 512;
/// Longest line that is held in memory.
const MAX_LINE_BYTES: u64 = 64 * 1024 * 1024;
/// Polynomial of Redis' CRC-64 (Jones), bits reversed. Source: Redis, `crc64.c`.
const JONES: u64 = 0x95ac_9329_ac4b_c9b5;

/// Reads a file and says what it is. Blocks.
///
/// # Errors
/// What is not as the format has it.
pub fn check(path: &Path, format: ArtefactFormat) -> io::Result<&'static str> {
    read(BufReader::with_capacity(1 << 18, File::open(path)?), format)
}

/// The same of what a file holds.
///
/// # Errors
/// What is not as the format has it.
pub fn read(file: impl BufRead, format: ArtefactFormat) -> io::Result<&'static str> {
    match format {
        ArtefactFormat::PgDump => begins(file, b"PGDMP").map(|()| "a custom dump of PostgreSQL"),
        ArtefactFormat::Zstd => {
            begins(file, &[0x28, 0xb5, 0x2f, 0xfd]).map(|()| "a zstd stream by its first bytes")
        }
        ArtefactFormat::Gzip => {
            io::copy(&mut MultiGzDecoder::new(file), &mut io::sink())?;
            Ok("a gzip stream, checksum right")
        }
        ArtefactFormat::Tar => tar(file).map(|()| "a tar archive, all headers right"),
        ArtefactFormat::Rdb => rdb(file).map(|()| "an RDB, checksum right"),
        ArtefactFormat::JsonLines => json_lines(file).map(|()| "JSON in every line"),
    }
}

/// Whether a file of the format is read from beginning to end, and not by its first bytes only.
pub const fn is_read_whole(format: ArtefactFormat) -> bool {
    !matches!(format, ArtefactFormat::PgDump | ArtefactFormat::Zstd)
}

/// Whether the format has a checksum of its own.
pub const fn has_checksum(format: ArtefactFormat) -> bool {
    matches!(format, ArtefactFormat::Gzip | ArtefactFormat::Rdb)
}

fn wrong(reason: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason.into())
}

fn begins(mut file: impl Read, magic: &[u8]) -> io::Result<()> {
    let mut found = vec![0; magic.len()];
    file.read_exact(&mut found)?;
    if found == magic { Ok(()) } else { Err(wrong(format!("begins with {found:02x?}"))) }
}

fn tar(mut file: impl Read) -> io::Result<()> {
    let (mut block, mut entries) = ([0; BLOCK], 0_u64);
    loop {
        file.read_exact(&mut block).map_err(|_| wrong("it has no end"))?;
        if block.iter().all(|byte| *byte == 0) {
            return if entries > 0 { Ok(()) } else { Err(wrong("it is empty")) };
        }
        // The checksum counts its own field as spaces.
        let sum: u64 = block
            .iter()
            .enumerate()
            .map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u64::from(*byte) })
            .sum();
        if octal(&block[148..156]) != Some(sum) {
            return Err(wrong(format!("the header of entry {} is broken", entries + 1)));
        }
        let size = size(&block[124..136]).ok_or_else(|| wrong("a size is no number"))?;
        let padded = size.div_ceil(BLOCK as u64).checked_mul(BLOCK as u64);
        let padded = padded.ok_or_else(|| wrong("an entry is larger than can be"))?;
        let skipped = io::copy(&mut file.by_ref().take(padded), &mut io::sink())?;
        if skipped < padded {
            return Err(wrong("it ends in the middle of an entry"));
        }
        entries += 1;
    }
}

fn octal(field: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(field).ok()?;
    u64::from_str_radix(text.trim_matches(['\0', ' ']), 8).ok()
}

/// Octal digits or, for large ones, a binary number marked by its first bit (GNU).
fn size(field: &[u8]) -> Option<u64> {
    match field.split_first() {
        Some((first, rest)) if first & 0x80 != 0 => rest
            .iter()
            .try_fold(0_u64, |sum, byte| sum.checked_mul(256)?.checked_add((*byte).into())),
        _ => octal(field),
    }
}

fn rdb(mut file: impl Read) -> io::Result<()> {
    let (mut tail, mut crc, mut seen) = (Vec::new(), 0_u64, 0_u64);
    let table = crc_table();
    let mut piece = vec![0; 1 << 16];
    loop {
        let length = file.read(&mut piece)?;
        tail.extend_from_slice(&piece[..length]);
        if length == 0 {
            break;
        }
        if seen == 0 && tail.len() >= 9 {
            let digits = tail[5..9].iter().all(u8::is_ascii_digit);
            if !tail.starts_with(b"REDIS") || !digits {
                return Err(wrong("it does not begin as an RDB"));
            }
        }
        let body = tail.len().saturating_sub(8);
        crc = tail[..body]
            .iter()
            .fold(crc, |crc, byte| table[usize::from(crc as u8 ^ byte)] ^ (crc >> 8));
        seen += body as u64;
        tail.drain(..body);
    }
    let stored: [u8; 8] = tail.try_into().map_err(|_| wrong("it is too short"))?;
    match u64::from_le_bytes(stored) {
        _ if seen < 10 => Err(wrong("it is too short")),
        // The server was told not to make one.
        0 => Ok(()),
        stored if stored == crc => Ok(()),
        stored => Err(wrong(format!("checksum {crc:016x}, and {stored:016x} is written in it"))),
    }
}

fn crc_table() -> [u64; 256] {
    std::array::from_fn(|byte| {
        (0..8).fold(byte as u64, |crc, _| if crc & 1 == 1 { (crc >> 1) ^ JONES } else { crc >> 1 })
    })
}

fn json_lines(mut file: impl BufRead) -> io::Result<()> {
    let (mut lines, mut line) = (0_u64, Vec::new());
    while file.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut line)? > 0 {
        lines += 1;
        if line.len() as u64 == MAX_LINE_BYTES {
            return Err(wrong(format!("line {lines}: longer than {MAX_LINE_BYTES} bytes")));
        }
        if !line.trim_ascii().is_empty() {
            serde_json::from_slice::<serde::de::IgnoredAny>(&line)
                .map_err(|error| wrong(format!("line {lines}: {error}")))?;
        }
        line.clear();
    }
    if lines > 0 { Ok(()) } else { Err(wrong("it is empty")) }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn checked(bytes: &[u8], format: ArtefactFormat) -> io::Result<&'static str> {
        let file = tempfile::NamedTempFile::new().expect("file");
        std::fs::write(file.path(), bytes).expect("written");
        check(file.path(), format)
    }

    /// An archive of one entry, as tar writes it.
    fn tarred(body: &[u8]) -> Vec<u8> {
        let mut header = [0_u8; BLOCK];
        header[..4].copy_from_slice(b"file");
        header[124..135].copy_from_slice(format!("{:011o}", body.len()).as_bytes());
        header[257..262].copy_from_slice(b"ustar");
        header[148..156].fill(b' ');
        let sum: u64 = header.iter().map(|byte| u64::from(*byte)).sum();
        header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        let mut archive = header.to_vec();
        archive.extend_from_slice(body);
        archive.resize(archive.len().next_multiple_of(BLOCK) + 2 * BLOCK, 0);
        archive
    }

    fn rdb_of(body: &[u8]) -> Vec<u8> {
        let mut bytes = [b"REDIS0011".as_slice(), body, &[0xff]].concat();
        let table = crc_table();
        let crc =
            bytes.iter().fold(0_u64, |crc, byte| table[usize::from(crc as u8 ^ byte)] ^ (crc >> 8));
        bytes.extend_from_slice(&crc.to_le_bytes());
        bytes
    }

    #[test]
    fn the_checksum_is_that_of_redis() {
        // The test vector of Redis' own source.
        let table = crc_table();
        let crc = b"123456789"
            .iter()
            .fold(0_u64, |crc, byte| table[usize::from(crc as u8 ^ byte)] ^ (crc >> 8));
        assert_eq!(crc, 0xe9c6_d914_c4b8_d9ca);
    }

    #[test]
    fn whole_files_are_known_and_cut_or_changed_ones_refused() {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(&[7; 5000]).expect("written");
        let gzip = gzip.finish().expect("ended");
        for (whole, format) in [
            (gzip, ArtefactFormat::Gzip),
            (tarred(&[1; 700]), ArtefactFormat::Tar),
            (rdb_of(&[3; 100_000]), ArtefactFormat::Rdb),
            (b"{\"a\":1}\n[2]\n".to_vec(), ArtefactFormat::JsonLines),
        ] {
            assert!(checked(&whole, format).is_ok(), "{format:?}: {:?}", checked(&whole, format));
            let cut = &whole[..whole.len() / 2 - 1];
            assert!(checked(cut, format).is_err(), "{format:?} cut");
            let mut changed = whole.clone();
            changed[3] ^= 0x55;
            assert!(checked(&changed, format).is_err(), "{format:?} changed");
            assert!(checked(b"", format).is_err(), "{format:?} empty");
        }
        assert!(checked(b"PGDMP\x01", ArtefactFormat::PgDump).is_ok());
        assert!(checked(b"PGDM", ArtefactFormat::PgDump).is_err());
    }

    #[test]
    fn an_entry_larger_than_can_be_is_refused() {
        let mut archive = tarred(b"");
        archive[124..136].copy_from_slice(&[0x80, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255]);
        archive[148..156].fill(b' ');
        let sum: u64 = archive[..BLOCK].iter().map(|byte| u64::from(*byte)).sum();
        archive[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        let error = checked(&archive, ArtefactFormat::Tar).expect_err("refused").to_string();
        assert!(error.contains("larger than can be"), "{error}");
    }
}
