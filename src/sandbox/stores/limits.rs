//! How much memory there is, and how two secrets are compared.

use sha2::{Digest, Sha256};

/// Memory beyond which a store takes nothing more.
pub const MAX_BYTES: u64 = 2 << 30;

/// Whether as much memory is used as a store may have.
pub fn is_full() -> bool {
    resident_bytes() > MAX_BYTES
}

/// Bytes of memory that this process uses; 0 where the system does not say.
pub fn resident_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or(0) * rustix::param::page_size() as u64
}

/// Bytes of memory that the machine has; 0 where the system does not say.
pub fn total_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kibibytes = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kibibytes.unwrap_or(0) * 1024
}

/// Whether two secrets are the same, in a time that does not tell how much of them is.
pub fn same_secret(a: &[u8], b: &[u8]) -> bool {
    Sha256::digest(a) == Sha256::digest(b)
}
