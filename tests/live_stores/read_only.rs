//! Users that may only read, as each server knows them: a role of PostgreSQL, an ACL of Redis, a policy of
//! MinIO.

use std::path::Path;

use redis::cmd;
use shakedown::config::{SecretSource, Store, StoreKind};
use shakedown::platform::store::{postgres, redis as redis_client};

use super::bystanders::{assert_same, fingerprint, plant};
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
    let folder = tempfile::tempdir().expect("folder");
    let (there, words) = match kind {
        StoreKind::Postgres => (as_reader(&store, folder.path()), "permission denied"),
        StoreKind::Redis => (as_reader(&store, folder.path()), "permission"),
        StoreKind::Minio => (as_reader(&store, folder.path()), "accessdenied"),
        StoreKind::Neo4j => {
            return eprintln!("neo4j: not run: its community edition knows no roles");
        }
        StoreKind::Qdrant => {
            return eprintln!("qdrant: not run: its read-only key is set where it is started");
        }
    };
    plant(kind, &store).await;
    reader(kind, &store, true).await;
    let before = fingerprint(kind, &store, "no run").await;
    let reason = is_refused(kind, there).await;
    eprintln!("{kind}: {reason}");
    assert!(reason.contains(words), "{kind}: {reason}");
    assert_same(&before, &fingerprint(kind, &store, "no run").await, kind.name());
    reader(kind, &store, false).await;
}
