//! What a drill would do, without doing any of it: the servers are asked what they are, and nothing is
//! written.

use std::path::Path;

use super::drill::{check_disk, look_for_room, size};
use super::phase::{dataset, selection};
use super::stores::{DrillError, Namespace};
use super::subject::{OpenStore, Subject};
use crate::config::Config;

/// Says in lines what a drill would do to which store.
pub async fn dry_run(config: &Config, seed: u64) -> Vec<String> {
    let (chosen, skipped) = selection(config);
    let dataset = dataset(&config.backup, seed);
    let names = Namespace::new("RUN", 0);
    let mut lines = vec![format!(
        "{} documents, each of them in every store, under {} or {} (RUN is the run's id); everything \
         is removed again",
        dataset.documents,
        names.name().replace("run", "RUN"),
        names.dashed().replace("run", "RUN")
    )];
    let mut injected = 0_u64;
    for kind in chosen {
        let Some(store) = config.stores.get(kind).cloned() else { continue };
        let timeout_ms = config.backup.timeout.get().as_millis() as u64;
        let names = names.clone();
        let subject = Subject { kind, store, names, timeout_ms, embedded: false };
        let needed = dataset.estimated_bytes(kind);
        injected = injected.saturating_add(needed);
        lines.push(match look(&subject, needed).await {
            Ok(line) => format!("{kind}: {line}"),
            Err(error) => format!("{kind}: would not be drilled: {error}"),
        });
    }
    lines.extend(no_room_here(injected, &config.report.runs));
    lines.extend(skipped.into_iter().map(|(kind, why)| format!("{kind}: left out: {why}")));
    lines
}

/// Why no store would be drilled, where this machine's disk has no room for the backups. A folder of runs
/// that is not there yet would be on the disk of the nearest one above it.
fn no_room_here(injected: u64, runs: &Path) -> Option<String> {
    let there = runs.ancestors().find(|above| above.is_dir());
    let checked = check_disk(injected, there.unwrap_or_else(|| Path::new(".")));
    checked.err().map(|error| format!("no store would be drilled: {error}"))
}

async fn look(subject: &Subject, needed: u64) -> Result<String, DrillError> {
    let store = subject.open().await?;
    let identity = store.identify().await?;
    let (needed, room, note) = look_for_room(&*store, needed, subject.store.free_bytes).await?;
    let bystanders = store.bystanders().await?.into_iter();
    let bystanders: Vec<String> =
        bystanders.map(|(what, count)| format!("{count} {what}")).collect();
    let free = match (room.free_bytes, note) {
        (Some(free), _) => format!("{} free", size(free)),
        (None, note) => note.unwrap_or_default(),
    };
    Ok(format!(
        "{} would get {} ({free}); not ours and not touched: {}",
        identity.server,
        size(needed),
        bystanders.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_without_room_for_the_backups_is_told_before_a_run_is_refused() {
        let temp = tempfile::tempdir().expect("folder");
        for runs in [temp.path(), &temp.path().join("not/there/yet"), Path::new("runs")] {
            assert_eq!(no_room_here(0, runs), None);
            let told = no_room_here(u64::MAX, runs).expect("too much");
            assert!(told.starts_with("no store would be drilled: refused: the backups"), "{told}");
        }
    }
}
