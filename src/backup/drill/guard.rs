//! What keeps a drill from harming what is not its own: room, and bystanders.

use std::path::Path;

use crate::backup::stores::{DrillError, DrillStore, Room};
use crate::config::StoreKind;
use crate::run::event::Bystanders;

/// Most of a store's free room that a drill takes: one part in so many.
const SHARE: u64 = 10;
/// Most of the room on this machine's own disk, which is free again after the drill.
const SHARE_HERE: u64 = 4;
/// Most that it puts into a store that does not say how much room it has.
const UNKNOWN_ROOM_BYTES: u64 = 1 << 30;
/// A record on disk is at most about so many times its size: base64 and JSON in the backup, and the
/// ledgers.
const DISK_FACTOR: u64 = 3;

/// What a drill would put into a store altogether, in bytes, and the room that there is for it, by the
/// store or by the configuration; with a remark where nobody says how much that is.
///
/// # Errors
/// When it is too much, or the store cannot be asked.
pub async fn look_for_room(
    store: &dyn DrillStore,
    needed: u64,
    configured: Option<u64>,
) -> Result<(u64, Room, Option<String>), DrillError> {
    let room = store.room().await?.or_configured(configured);
    let needed = needed * store.copies();
    let note = check_room(needed, store.kind(), room)?;
    Ok((needed, room, note))
}

/// Refuses to put more into a store than a tenth of its free room; a remark where the store does not
/// say how much that is.
///
/// # Errors
/// With both numbers.
fn check_room(needed: u64, kind: StoreKind, room: Room) -> Result<Option<String>, DrillError> {
    match room.free_bytes {
        Some(free) if needed > free / SHARE => Err(DrillError::Refused(format!(
            "{} would be injected, and {kind} has {} free: at most a tenth of that is taken \
             (fewer --documents)",
            size(needed),
            size(free)
        ))),
        None if needed > UNKNOWN_ROOM_BYTES => Err(DrillError::Refused(format!(
            "{} would be injected, and {kind} does not say how much room it has: at most {} then \
             (fewer --documents, or `stores.{kind}.free_bytes`)",
            size(needed),
            size(UNKNOWN_ROOM_BYTES)
        ))),
        Some(_) => Ok(None),
        None => Ok(Some(format!(
            "free room: unknown: it does not say how much it has; at most {} are taken then \
             (`stores.{kind}.free_bytes` tells)",
            size(UNKNOWN_ROOM_BYTES)
        ))),
    }
}

/// Refuses to fill the disk of this machine with the backups of the stores.
///
/// # Errors
/// With both numbers, or when the disk cannot be asked.
pub fn check_disk(injected: u64, folder: &Path) -> Result<(), DrillError> {
    let asked = rustix::fs::statvfs(folder).map_err(std::io::Error::from)?;
    let free = asked.f_bavail.saturating_mul(asked.f_frsize);
    let needed = injected.saturating_mul(DISK_FACTOR);
    if needed <= free / SHARE_HERE {
        return Ok(());
    }
    Err(DrillError::Refused(format!(
        "the backups would take {} in {}, which has {} free: at most a quarter of that is taken",
        size(needed),
        folder.display(),
        size(free)
    )))
}

/// A size in the unit that fits.
pub fn size(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes} B"),
        10_000..10_000_000 => format!("{} kB", bytes / 1_000),
        10_000_000..10_000_000_000 => format!("{} MB", bytes / 1_000_000),
        _ => format!("{} GB", bytes / 1_000_000_000),
    }
}

/// What was counted before, and again after.
pub fn bystanders(before: Vec<(String, u64)>, after: Option<&[(String, u64)]>) -> Vec<Bystanders> {
    let again = |what: &str| after?.iter().find(|(name, _)| name == what).map(|(_, count)| *count);
    let row = |(what, before): (String, u64)| Bystanders { after: again(&what), what, before };
    before.into_iter().map(row).collect()
}

/// A remark where there is less of something than before.
pub fn fewer(bystanders: &[Bystanders]) -> Vec<String> {
    let less = bystanders.iter().filter(|row| row.after.is_some_and(|after| after < row.before));
    let words = |row: &Bystanders| {
        let now = row.after.unwrap_or_default();
        format!(
            "{} that are not ours: {} before, {now} after: live traffic or damage",
            row.what, row.before
        )
    };
    less.map(words).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_most_a_tenth_of_the_free_room_is_taken() {
        let check = |needed, free_bytes| check_room(needed, StoreKind::Redis, Room { free_bytes });
        assert!(matches!(check(100, Some(1000)), Ok(None)));
        let refused = check(100, Some(999)).expect_err("too much").to_string();
        assert!(refused.contains("a tenth"), "{refused}");
        assert!(matches!(check(100, None), Ok(Some(_))), "it is said");
        assert!(check(2 << 30, None).is_err());
        let told = |free_bytes, given| Room { free_bytes }.or_configured(given).free_bytes;
        assert_eq!(told(None, Some(5)), Some(5));
        assert_eq!((told(Some(9), Some(5)), told(Some(3), Some(5))), (Some(5), Some(3)));
        assert_eq!((told(Some(9), None), told(None, None)), (Some(9), None));
        let disk = |bytes| check_disk(bytes, &std::env::temp_dir());
        assert!(disk(0).is_ok() && disk(u64::MAX).is_err());
    }

    #[test]
    fn less_of_what_is_not_ours_is_said() {
        let before = vec![("keys".to_owned(), 5), ("rows".to_owned(), 7)];
        let rows = bystanders(before, Some(&[("keys".into(), 6), ("rows".into(), 6)]));
        assert_eq!(fewer(&rows).len(), 1);
        assert!(fewer(&rows)[0].starts_with("rows that are not ours: 7 before, 6 after"));
    }
}
