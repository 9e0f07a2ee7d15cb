//! The stores of the backup drill on real servers, which `.ci/live/stores.sh` installs and starts.

#[path = "support/stores.rs"]
mod stores;

use shakedown::backup::record::Record;
use shakedown::backup::stores::RecordSink;
use shakedown::config::StoreKind;
use stores::{Drill, difference, live, skip, without_definitions};

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
    let drill = Drill::new(kind, &store, 120).await;
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
    drill.store.destroy().await.expect("removed");
    drill.assert_absent().await;
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
