//! What a store refuses before anything of anybody's is touched.

use neo4rs::query;
use redis::cmd;
use s3::{Bucket, BucketConfiguration};
use shakedown::backup::stores::{DrillError, Namespace};
use shakedown::config::{Store, StoreKind};
use shakedown::platform::store::{minio, neo4j, postgres, redis as redis_client};

use super::drill_of::{Drill, TIMEOUT, live, names, open, skip};

fn refusal<T: std::fmt::Debug>(done: Result<T, DrillError>) -> String {
    match done {
        Err(DrillError::Refused(reason)) => reason,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

/// The marker of another drill under the very same names.
pub async fn another_drill(kind: StoreKind) {
    let Some(store) = live(kind) else { return skip(kind) };
    let drill = Drill::new(kind, &store, 3).await;
    drill.fill().await;
    let names = Namespace::new(drill.names.run(), 1);
    let other = open(kind, &store, &names).await;
    assert!(refusal(other.prepare().await).ends_with("exists already"));
    assert!(refusal(other.destroy().await).contains("marked by another drill"));
    assert!(drill.store.count().await.expect("count") > 0, "{kind}: untouched");
    drill.store.destroy().await.expect("removed");
    drill.assert_absent().await;
}

/// Something under our names that has no marker at all.
pub async fn no_marker(kind: StoreKind) {
    let Some(store) = live(kind) else { return skip(kind) };
    let names = names();
    let ours = open(kind, &store, &names).await;
    squat(kind, &store, &names, true).await;
    assert!(refusal(ours.prepare().await).ends_with("exists already"), "{kind}");
    assert!(refusal(ours.destroy().await).contains("without this drill's marker"), "{kind}");
    assert_eq!(ours.residue().await.expect("residue").len(), 1, "{kind}: it is still there");
    squat(kind, &store, &names, false).await;
    assert_eq!(ours.residue().await.expect("residue"), Vec::<String>::new());
}

/// Puts something under a drill's names, or takes it away again.
async fn squat(kind: StoreKind, store: &Store, names: &Namespace, there: bool) {
    match kind {
        StoreKind::Postgres => {
            let client = postgres::connect(store, TIMEOUT).await.expect("connected");
            let verb = if there { "CREATE" } else { "DROP" };
            let statement = format!("{verb} SCHEMA {}", names.name());
            client.batch_execute(&statement).await.expect("done");
        }
        StoreKind::Redis => {
            let mut server = redis_client::connect(store, TIMEOUT).await.expect("connected");
            let key = format!("{{{}}}:theirs", names.name());
            let command = if there {
                cmd("SET").arg(key).arg("x").to_owned()
            } else {
                cmd("DEL").arg(key).to_owned()
            };
            command.query_async::<()>(&mut server).await.expect("done");
        }
        StoreKind::Neo4j => {
            let graph = neo4j::connect(store, TIMEOUT).await.expect("connected");
            let text = if there {
                "CREATE (:ShakedownDrill {_sd_run: $run})"
            } else {
                "MATCH (n:ShakedownDrill {_sd_run: $run}) DELETE n"
            };
            graph.run(query(text).param("run", names.run())).await.expect("done");
        }
        StoreKind::Minio => {
            let server = minio::connect(store, TIMEOUT).expect("address");
            let (region, credentials) = (server.region.clone(), server.credentials.clone());
            let form = BucketConfiguration::default();
            let name = names.dashed();
            let bucket = server.bucket(&name).expect("name");
            if there {
                let made = Bucket::create_with_path_style(&name, region, credentials, form);
                made.await.expect("made");
                bucket.put_object("theirs", b"x").await.expect("put");
            } else {
                bucket.delete_object("theirs").await.expect("deleted");
                bucket.delete().await.expect("deleted");
            }
        }
        StoreKind::Qdrant => {
            let server =
                shakedown::platform::store::qdrant::connect(store, TIMEOUT).expect("address");
            let name = format!("{}_theirs", names.name());
            if there {
                let vectors = qdrant_client::qdrant::VectorParamsBuilder::new(
                    1,
                    qdrant_client::qdrant::Distance::Dot,
                );
                let form = qdrant_client::qdrant::CreateCollectionBuilder::new(name);
                server.grpc.create_collection(form.vectors_config(vectors)).await.expect("made");
            } else {
                server.grpc.delete_collection(name).await.expect("deleted");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs real stores: .ci/live/stores.sh"]
async fn a_schema_on_which_others_depend_is_not_dropped() {
    let kind = StoreKind::Postgres;
    let Some(store) = live(kind) else { return skip(kind) };
    let drill = Drill::new(kind, &store, 3).await;
    drill.fill().await;
    let client = postgres::connect(&store, TIMEOUT).await.expect("connected");
    let (ours, theirs) = (drill.names.name(), format!("theirs_{}", drill.names.run()));
    for depending in [
        format!("CREATE VIEW {theirs}.v AS SELECT id FROM {ours}.documents"),
        format!("CREATE TABLE {theirs}.t (id text REFERENCES {ours}.documents (id))"),
        format!("CREATE TABLE {theirs}.t (m {ours}.mood)"),
    ] {
        let begin = format!("CREATE SCHEMA {theirs}; {depending}");
        client.batch_execute(&begin).await.expect("made");
        let reason = refusal(drill.store.destroy().await);
        assert!(reason.contains("other schemas depend"), "{depending}: {reason}");
        assert!(drill.store.count().await.expect("count") > 0, "untouched");
        let end = format!("DROP SCHEMA {theirs} CASCADE");
        client.batch_execute(&end).await.expect("removed");
    }
    drill.store.destroy().await.expect("removed");
    drill.assert_absent().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs real stores: .ci/live/stores.sh"]
async fn a_redis_that_may_evict_is_not_filled() {
    let kind = StoreKind::Redis;
    let Some(store) = live(kind) else { return skip(kind) };
    let ours = open(kind, &store, &names()).await;
    let mut server = redis_client::connect(&store, TIMEOUT).await.expect("connected");
    let mut set = async |name: &str, value: &str| {
        let command = cmd("CONFIG").arg("SET").arg(name).arg(value).to_owned();
        command.query_async::<()>(&mut server).await.expect("set");
    };
    set("maxmemory", "1gb").await;
    let mut reasons = Vec::new();
    for policy in ["allkeys-lru", "volatile-ttl"] {
        set("maxmemory-policy", policy).await;
        reasons.push((policy, ours.identify().await));
    }
    set("maxmemory-policy", "noeviction").await;
    let room = ours.room().await.expect("room").free_bytes.expect("it has a limit");
    set("maxmemory", "0").await;
    for (policy, done) in reasons {
        assert!(refusal(done).contains(policy));
    }
    assert!(room < 1 << 30, "free is what the limit leaves: {room}");
    ours.identify().await.expect("nothing is evicted now");
}
