//! Users that may only read, as each server knows them: a role of PostgreSQL, an ACL of Redis, a policy of
//! MinIO, and of Neo4j, whose roles are not in its community edition, a database that is read-only.

use std::path::{Path, PathBuf};

use neo4rs::query;
use redis::cmd;
use shakedown::config::{SecretSource, Store, StoreKind};
use shakedown::platform::store::{neo4j, postgres, redis as redis_client};

use super::bystanders::{assert_same, fingerprint, plant};
use super::death::Server;
use super::drill_of::{TIMEOUT, live, skip};
use super::refused::is_refused;

const READER: &str = "sd_reader";
const PASSWORD: &str = "reader-secret";

/// The reader of a store, by files in a folder.
fn as_reader(store: &Store, folder: &Path) -> Store {
    let file = |name: &str, content: &str| {
        let path = folder.join(name);
        std::fs::write(&path, content).expect("written");
        Some(SecretSource::File(path))
    };
    Store { user: file("user", READER), password: file("password", PASSWORD), ..store.clone() }
}

/// A Neo4j whose databases may only be read while this lives.
struct ReadOnly {
    server: Server,
    sign: PathBuf,
}

impl ReadOnly {
    fn new(server: Server) -> Self {
        let sign = server.file("read-only");
        std::fs::write(&sign, "").expect("written");
        let read_only = Self { server, sign };
        assert!(read_only.starts_again());
        read_only
    }

    fn starts_again(&self) -> bool {
        self.server.tried("stop") && self.server.tried("start")
    }
}

impl Drop for ReadOnly {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.sign);
        self.starts_again();
    }
}

/// Makes the reader, or takes it away again. MinIO's was made by the script.
async fn reader(kind: StoreKind, store: &Store, there: bool) {
    match kind {
        StoreKind::Postgres => {
            let client = postgres::connect(store, TIMEOUT).await.expect("connected");
            let make = format!(
                "DROP ROLE IF EXISTS {READER}; CREATE ROLE {READER} LOGIN PASSWORD '{PASSWORD}'; \
                 GRANT pg_read_all_data TO {READER}"
            );
            let text = if there { make } else { format!("DROP ROLE {READER}") };
            client.batch_execute(&text).await.expect("done");
        }
        StoreKind::Redis => {
            let mut server = redis_client::connect(store, TIMEOUT).await.expect("connected");
            let mut acl = cmd("ACL");
            if there {
                acl.arg("SETUSER").arg(READER).arg("on").arg(format!(">{PASSWORD}")).arg("~*");
                acl.arg("+@read").arg("+@connection").arg("+info");
            } else {
                acl.arg("DELUSER").arg(READER);
            }
            acl.query_async::<()>(&mut server).await.expect("done");
        }
        StoreKind::Minio | StoreKind::Neo4j | StoreKind::Qdrant => {}
    }
}

/// A drill with such a user ends in a clear verdict, and everything is as it was.
pub async fn may_only_read(kind: StoreKind) {
    let Some(store) = live(kind) else { return skip(kind) };
    plant(kind, &store).await;
    let folder = tempfile::tempdir().expect("folder");
    let there = as_reader(&store, folder.path());
    match kind {
        StoreKind::Postgres => is_told(kind, &store, there, "permission denied").await,
        StoreKind::Redis => is_told(kind, &store, there, "permission").await,
        StoreKind::Minio => is_told(kind, &store, there, "accessdenied").await,
        StoreKind::Neo4j => neo4j_is_read_only(&store).await,
        StoreKind::Qdrant => {
            eprintln!("qdrant: not run: its read-only key is set where it is started");
        }
    }
}

async fn is_told(kind: StoreKind, store: &Store, reader_of_it: Store, words: &str) {
    reader(kind, store, true).await;
    let before = fingerprint(kind, store, "no run").await;
    let reason = is_refused(kind, reader_of_it).await;
    eprintln!("{kind}: {reason}");
    assert!(reason.contains(words), "{kind}: {reason}");
    assert_same(&before, &fingerprint(kind, store, "no run").await, kind.name());
    reader(kind, store, false).await;
}

/// With the constraint of an earlier drill, and without: who may not write has left neither.
async fn neo4j_is_read_only(store: &Store) {
    let kind = StoreKind::Neo4j;
    let constraint = "CONSTRAINT sd_drill_key IF NOT EXISTS FOR (n:ShakedownDrill) \
        REQUIRE n._sd_key IS UNIQUE";
    for constraint in ["DROP CONSTRAINT sd_drill_key IF EXISTS", &format!("CREATE {constraint}")] {
        let Some(server) = Server::of(kind) else {
            return eprintln!("neo4j: not run: only the suite's own is made read-only");
        };
        let graph = neo4j::connect(store, TIMEOUT).await.expect("connected");
        // As long as a node of any drill is there, none looks for the constraint.
        for text in ["MATCH (n:ShakedownDrill) DETACH DELETE n", constraint] {
            graph.run(query(text)).await.expect("done");
        }
        let before = fingerprint(kind, store, "no run").await;
        let read_only = ReadOnly::new(server);
        let reason = is_refused(kind, store.clone()).await;
        eprintln!("{kind} after {constraint}: {reason}");
        assert!(reason.contains("read-only"), "{reason}");
        drop(read_only);
        assert_same(&before, &fingerprint(kind, store, "no run").await, kind.name());
    }
}
