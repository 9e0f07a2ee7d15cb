//! Seed, backup, destruction and restore are identity for random typed records: what one store is given
//! is what it gives back, out of the files alone.

use proptest::test_runner::{Config, TestRunner};
use shakedown::config::{Store, StoreKind};

use super::drill_of::{Drill, difference, without_definitions};
use super::records;

/// Holds the law for a store with so many random seeds.
pub fn is_identity(kind: StoreKind, store: &Store, cases: u32) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let config =
        Config { cases, max_shrink_iters: 30, failure_persistence: None, ..Config::default() };
    let law = |seed: Vec<shakedown::backup::record::Record>| {
        runtime.block_on(async {
            let drill = Drill::new(kind, store, 0).await;
            drill.store.prepare().await.expect("prepared");
            drill.write(seed.iter().cloned()).await.expect("written");
            let folder = drill.folder.path();
            let expected = without_definitions(folder, "expected", &seed);
            let first = drill.read("first").await;
            let archive = drill.backup("archived").await;
            let held: Vec<_> = archive.records().map(|record| record.expect("a record")).collect();
            let held = difference(&expected, &without_definitions(folder, "held", &held));
            archive.verify(folder, "sound").expect("sound");
            drill.store.destroy().await.expect("destroyed");
            drill.assert_absent().await;
            drill.restore(&archive).await.expect("restored");
            let back = difference(&first, &drill.read("restored").await);
            drill.store.destroy().await.expect("removed");
            drill.assert_absent().await;
            assert!(held.is_none(), "{kind}: the backup holds otherwise: {held:?}");
            assert!(back.is_none(), "{kind}: restored otherwise: {back:?}");
        });
        Ok(())
    };
    let held = TestRunner::new(config).run(&records::random(kind), law);
    held.unwrap_or_else(|error| panic!("{kind}: {error}"));
}
