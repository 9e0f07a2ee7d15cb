//! The stores of the backup drill on real servers, which `.ci/live/stores.sh` installs and starts.

#[path = "../support/bystanders.rs"]
mod bystanders;
mod death;
#[path = "../support/stores.rs"]
mod drill_of;
#[path = "../support/identity.rs"]
mod identity;
mod installed;
mod network;
mod read_only;
#[path = "../support/records.rs"]
mod records;
mod refusals;
#[path = "../support/refused.rs"]
mod refused;
mod secured;
#[path = "../support/mod.rs"]
mod support;
mod whole;

use bystanders::{assert_same, fingerprint, plant};
use death::{dies, falls_silent};
use drill_of::{Drill, difference, live, skip, without_definitions};
use network::network_cut;
use read_only::may_only_read;
use refusals::{another_drill, no_marker};
use secured::encrypted;
use shakedown::backup::archive::ArchiveWriter;
use shakedown::backup::record::Record;
use shakedown::backup::stores::RecordSink;
use shakedown::config::StoreKind;
use whole::{dies_under_the_drill, is_cut_off_under_the_drill};

struct Collected(Vec<Record>);

impl RecordSink for Collected {
    fn take(&mut self, record: Record) -> Result<(), shakedown::backup::stores::DrillError> {
        self.0.push(record);
        Ok(())
    }
}

/// A whole drill of one store: what was put in is read back the same, twice; is backed up; is gone; is
/// there again from the files alone, record by record; and leaves nothing.
async fn course(kind: StoreKind) {
    let Some(store) = live(kind) else { return skip(kind) };
    plant(kind, &store).await;
    let drill = Drill::new(kind, &store, 120).await;
    let before = fingerprint(kind, &store, drill.names.run()).await;
    let counted = drill.store.bystanders().await.expect("bystanders");
    let identity = drill.store.identify().await.expect("identity");
    eprintln!("{kind}: {identity:?}, {:?}", drill.store.room().await.expect("room"));
    drill.assert_absent().await;
    let records = drill.fill().await;
    let marker = drill.store.marker().await.expect("marker");
    assert_eq!(marker.as_deref(), Some(drill.names.marker().as_str()));

    let mut found = Collected(Vec::new());
    drill.store.read(&mut found).await.expect("read");
    let expected = without_definitions(drill.folder.path(), "expected", &records);
    let read = without_definitions(drill.folder.path(), "read", &found.0);
    let differs = difference(&expected, &read);
    for name in &differs.changed {
        let of = |all: &[Record]| all.iter().find(|r| r.name() == *name).map(|r| r.value.clone());
        eprintln!("{name}\n expected {:?}\n found    {:?}", of(&records), of(&found.0));
    }
    assert!(differs.is_none(), "{kind}: not what was written: {differs:#?}");
    assert_eq!(drill.store.count().await.expect("count"), expected.count());

    let first = drill.read("first").await;
    let archive = drill.backup("second").await;
    let archived = archive.verify(drill.folder.path(), "archived").expect("sound");
    let differs = difference(&first, &archived);
    assert!(differs.is_none(), "{kind}: read otherwise than before: {differs:#?}");

    drill.store.destroy().await.expect("destroyed");
    drill.assert_absent().await;
    drill.restore(&archive).await.expect("restored");
    let differs = difference(&first, &drill.read("restored").await);
    assert!(differs.is_none(), "{kind}: restored otherwise: {differs:#?}");
    let words = drill.store.smoke("doc-0000007").await.expect("smoke query");
    eprintln!("{kind}: {words}");
    assert_same(&before, &fingerprint(kind, &store, drill.names.run()).await, kind.name());
    drill.store.destroy().await.expect("removed");
    drill.assert_absent().await;
    assert_same(&before, &fingerprint(kind, &store, drill.names.run()).await, kind.name());
    let exact = |counts: Vec<(String, u64)>| -> Vec<_> {
        counts.into_iter().filter(|(what, _)| !what.contains("estimated")).collect()
    };
    assert_eq!(exact(drill.store.bystanders().await.expect("bystanders")), exact(counted));
    drill.store.destroy().await.expect("a second time does nothing");
}

macro_rules! for_each_store {
    ($test:ident) => {
        mod $test {
            use shakedown::config::StoreKind;

            #[tokio::test(flavor = "multi_thread")]
            #[ignore = "needs real stores: .ci/live/stores.sh"]
            async fn postgres() {
                super::$test(StoreKind::Postgres).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            #[ignore = "needs real stores: .ci/live/stores.sh"]
            async fn redis() {
                super::$test(StoreKind::Redis).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            #[ignore = "needs real stores: .ci/live/stores.sh"]
            async fn qdrant() {
                super::$test(StoreKind::Qdrant).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            #[ignore = "needs real stores: .ci/live/stores.sh"]
            async fn neo4j() {
                super::$test(StoreKind::Neo4j).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            #[ignore = "needs real stores: .ci/live/stores.sh"]
            async fn minio() {
                super::$test(StoreKind::Minio).await;
            }
        }
    };
}

for_each_store!(course);
for_each_store!(random_records);
for_each_store!(another_drill);
for_each_store!(no_marker);
for_each_store!(dies);
for_each_store!(falls_silent);
for_each_store!(network_cut);
for_each_store!(may_only_read);
for_each_store!(encrypted);
for_each_store!(dies_under_the_drill);
for_each_store!(is_cut_off_under_the_drill);

/// Seed, backup and restore are identity for random records of every type that a store has.
async fn random_records(kind: StoreKind) {
    let Some(store) = live(kind) else { return skip(kind) };
    if kind == StoreKind::Postgres {
        return eprintln!("postgres: not run: its rows have a property test of their own");
    }
    let law = move || identity::is_identity(kind, &store, 24);
    tokio::task::spawn_blocking(law).await.expect("it holds");
}

/// A disk that is full fails the backup in words, and leaves no backup that looks whole.
#[test]
#[ignore = "needs root, for a small file system: .ci/live/stores.sh"]
fn a_full_disk_fails_the_backup() {
    let folder = tempfile::tempdir().expect("folder");
    let mount = |arguments: &[&str]| {
        std::process::Command::new(arguments[0]).args(&arguments[1..]).arg(folder.path()).status()
    };
    let small = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs"];
    if !mount(&small).is_ok_and(|status| status.success()) {
        return eprintln!("full disk: not run, no file system can be mounted here");
    }
    let path = folder.path().join("backup");
    let mut writer = ArchiveWriter::create(&path).expect("folder");
    let records = drill_of::dataset(3_000).records(StoreKind::Postgres);
    let failed = records.map(|record| writer.add(&record)).find_map(Result::err);
    let failed = failed.or_else(|| writer.finish("r", StoreKind::Postgres, "s").err());
    let whole = path.join("manifest.json").exists();
    assert!(mount(&["umount"]).is_ok_and(|status| status.success()));
    let words = failed.expect("it cannot fit").to_string();
    assert!(words.contains("records-00000.jsonl") && words.contains("No space left"), "{words}");
    assert!(!whole);
}
