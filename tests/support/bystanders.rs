//! Data in real stores that is not the drill's: planted beside it, and told byte by byte, through clients
//! of the test's own.
#![allow(dead_code, reason = "every test file uses its own part of this")]

use std::collections::BTreeSet;
use std::time::Duration;

use neo4rs::{Row, query};
use qdrant_client::qdrant::{
    CreateCollectionBuilder, Distance, PointStruct, ScrollPointsBuilder, UpsertPointsBuilder,
    VectorParamsBuilder,
};
use redis::cmd;
use s3::{Bucket, BucketConfiguration};
use sha2::{Digest, Sha256};
use shakedown::config::{Store, StoreKind};
use shakedown::platform::store::{minio, neo4j, postgres, qdrant, redis as redis_client};

const WAIT: Duration = Duration::from_secs(20);
/// Begins the names of everything that is planted.
const BUCKET: &str = "app-bystander";

/// Plants data near the drill's names. Planting it again changes nothing.
pub async fn plant(kind: StoreKind, store: &Store) {
    match kind {
        StoreKind::Postgres => plant_postgres(store).await,
        StoreKind::Redis => plant_redis(store).await,
        StoreKind::Qdrant => plant_qdrant(store).await,
        StoreKind::Neo4j => plant_neo4j(store).await,
        StoreKind::Minio => plant_minio(store).await,
    }
}

/// Everything in the store that does not bear the drill's run, piece by piece. With nothing of a drill
/// left, it is what it was before.
pub async fn fingerprint(kind: StoreKind, store: &Store, run: &str) -> BTreeSet<String> {
    let all = match kind {
        StoreKind::Postgres => postgres_pieces(store).await,
        StoreKind::Redis => redis_pieces(store).await,
        StoreKind::Qdrant => qdrant_pieces(store).await,
        StoreKind::Neo4j => neo4j_pieces(store).await,
        StoreKind::Minio => minio_pieces(store).await,
    };
    assert!(!all.is_empty(), "{kind}: nothing was planted");
    all.into_iter().filter(|piece| !piece.contains(run)).collect()
}

/// Asserts that nothing of what was there is lost or changed, and nothing is there besides.
pub fn assert_same(before: &BTreeSet<String>, after: &BTreeSet<String>, when: &str) {
    let lost: Vec<_> = before.difference(after).take(5).collect();
    let left: Vec<_> = after.difference(before).take(5).collect();
    assert!(lost.is_empty() && left.is_empty(), "{when}: lost {lost:#?}, left {left:#?}");
}

async fn plant_postgres(store: &Store) {
    let client = postgres::connect(store, WAIT).await.expect("connected");
    let planted = "CREATE SCHEMA IF NOT EXISTS app; CREATE SCHEMA IF NOT EXISTS sd_drill_another; \
        CREATE TABLE IF NOT EXISTS app.orders (id bigint PRIMARY KEY, note text); \
        CREATE TABLE IF NOT EXISTS sd_drill_another.documents (id text PRIMARY KEY); \
        CREATE OR REPLACE VIEW app.large AS SELECT * FROM app.orders WHERE id > 500; \
        INSERT INTO app.orders SELECT n, repeat(md5(n::text), 4) FROM generate_series(1, 1000) n \
        ON CONFLICT DO NOTHING; \
        INSERT INTO sd_drill_another.documents VALUES ('doc-0000001') ON CONFLICT DO NOTHING";
    client.batch_execute(planted).await.expect("planted");
}

async fn postgres_pieces(store: &Store) -> Vec<String> {
    let client = postgres::connect(store, WAIT).await.expect("connected");
    let tables = "SELECT n.nspname || '.' || c.relname, c.relkind::text, c.oid::text, \
        CASE WHEN c.relkind = 'r' THEN quote_ident(n.nspname) || '.' || quote_ident(c.relname) END \
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
        WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'";
    let mut pieces = Vec::new();
    for row in client.query(tables, &[]).await.expect("tables") {
        let [name, kind, id]: [String; 3] = [row.get(0), row.get(1), row.get(2)];
        pieces.push(format!("{kind} {name} {id}"));
        if let Some(table) = row.get::<_, Option<String>>(3) {
            let rows = format!("SELECT t::text || ctid::text FROM {table} t");
            // Gone between the two questions: a drill's own.
            let rows = client.query(&rows, &[]).await.unwrap_or_default();
            pieces.extend(rows.iter().map(|row| format!("{name} {}", row.get::<_, String>(0))));
        }
    }
    pieces
}

async fn plant_redis(store: &Store) {
    let mut server = redis_client::connect(store, WAIT).await.expect("connected");
    for n in 0..300 {
        let set = cmd("SET").arg(format!("app:{n}")).arg(n).to_owned();
        set.query_async::<()>(&mut server).await.expect("planted");
    }
    for (name, key, rest) in [
        ("SET", "{sd_drill_another}:marker", vec!["shakedown drill another 1"]),
        ("SET", "sd_drill_", vec!["no drill's"]),
        ("SADD", "app:set", vec!["a", "b", "\u{1F642}"]),
        ("HSET", "app:hash", vec!["field", "value"]),
        ("PEXPIREAT", "app:7", vec!["4000000000001"]),
    ] {
        cmd(name).arg(key).arg(rest).query_async::<()>(&mut server).await.expect("planted");
    }
}

async fn redis_pieces(store: &Store) -> Vec<String> {
    let mut server = redis_client::connect(store, WAIT).await.expect("connected");
    let (mut cursor, mut pieces) = (0_u64, Vec::new());
    loop {
        let mut scan = cmd("SCAN");
        scan.arg(cursor).arg("COUNT").arg(1000);
        let (next, keys): (u64, Vec<Vec<u8>>) = scan.query_async(&mut server).await.expect("keys");
        for key in keys {
            let kind = cmd("TYPE").arg(&key).to_owned();
            let kind: String = kind.query_async(&mut server).await.expect("type");
            // `DUMP` is in no order for those two: after a restart it is another.
            let content = match kind.as_str() {
                "set" => cmd("SMEMBERS").arg(&key).to_owned(),
                "hash" => cmd("HGETALL").arg(&key).to_owned(),
                _ => cmd("DUMP").arg(&key).to_owned(),
            };
            let content: redis::Value = content.query_async(&mut server).await.expect("content");
            let mut content = match content {
                redis::Value::Array(parts) | redis::Value::Set(parts) => parts,
                redis::Value::Map(pairs) => pairs.into_iter().flat_map(|(k, v)| [k, v]).collect(),
                whole => vec![whole],
            };
            content.sort_by_key(|part| format!("{part:?}"));
            let ends = cmd("PEXPIRETIME").arg(&key).to_owned();
            let ends: i64 = ends.query_async(&mut server).await.expect("end");
            let digest = Sha256::digest(format!("{kind} {content:?}"));
            pieces.push(format!("{} {digest:x} {ends}", String::from_utf8_lossy(&key)));
        }
        cursor = next;
        if cursor == 0 {
            return pieces;
        }
    }
}

async fn plant_neo4j(store: &Store) {
    let graph = neo4j::connect(store, WAIT).await.expect("connected");
    for text in [
        "UNWIND range(1, 200) AS n MERGE (c:Customer {n: n}) SET c.name = 'customer ' + toString(n)",
        "MATCH (a:Customer), (b:Customer) WHERE b.n = a.n + 1 MERGE (a)-[:NEXT {weight: 0.5}]->(b)",
        "MERGE (d:ShakedownDrill {_sd_run: 'another', _sd_id: 'marker', _sd_key: 'another:marker'})",
    ] {
        graph.run(text).await.expect("planted");
    }
}

async fn neo4j_pieces(store: &Store) -> Vec<String> {
    let graph = neo4j::connect(store, WAIT).await.expect("connected");
    let mut pieces = Vec::new();
    for text in [
        "MATCH (n) UNWIND keys(n) + ['-'] AS k WITH n, k ORDER BY k \
            WITH n, collect(k + '=' + coalesce(toStringOrNull(n[k]), '?')) AS fields \
            RETURN elementId(n) + reduce(t = ' ', l IN labels(n) | t + ':' + l) + \
            reduce(t = '', x IN fields | t + ' ' + x) AS p",
        "MATCH (a)-[r]->(b) UNWIND keys(r) + ['-'] AS k WITH a, r, b, k ORDER BY k \
            WITH a, r, b, collect(k + '=' + coalesce(toStringOrNull(r[k]), '?')) AS fields \
            RETURN elementId(a) + '-' + type(r) + '-' + elementId(b) + ' ' + \
            coalesce(a._sd_run, '') + reduce(t = '', x IN fields | t + ' ' + x) AS p",
    ] {
        let mut rows = graph.execute(query(text)).await.expect("asked");
        while let Some(row) = rows.next().await.expect("row") {
            pieces.push(text_of(&row));
        }
    }
    pieces
}

fn text_of(row: &Row) -> String {
    row.get::<String>("p").expect("text")
}

async fn plant_minio(store: &Store) {
    let server = minio::connect(store, WAIT).expect("address");
    let (region, credentials) = (server.region.clone(), server.credentials.clone());
    let form = BucketConfiguration::default();
    let made = Bucket::create_with_path_style(BUCKET, region, credentials, form).await;
    if made.is_err() {
        return;
    }
    let bucket = server.bucket(BUCKET).expect("name");
    for n in 0..20 {
        let (key, body) = (format!("documents/{n}.md"), vec![n; 1000]);
        bucket.put_object(key, &body).await.expect("planted");
    }
}

async fn minio_pieces(store: &Store) -> Vec<String> {
    let server = minio::connect(store, WAIT).expect("address");
    let (region, credentials) = (server.region.clone(), server.credentials.clone());
    let buckets = Bucket::list_buckets(region, credentials).await.expect("buckets");
    let mut pieces = Vec::new();
    for name in buckets.bucket_names() {
        let bucket = server.bucket(&name).expect("name");
        // Gone between the two questions: a drill's own.
        for page in bucket.list(String::new(), None).await.unwrap_or_default() {
            for object in page.contents {
                let body = bucket.get_object(&object.key).await;
                let digest = body.map(|body| format!("{:x}", Sha256::digest(body.as_slice())));
                let digest = digest.unwrap_or_default();
                pieces.push(format!("{name} {} {} {digest}", object.key, object.last_modified));
            }
        }
    }
    pieces
}

async fn plant_qdrant(store: &Store) {
    let server = qdrant::connect(store, WAIT).expect("address");
    if server.grpc.collection_exists(BUCKET).await.expect("asked") {
        return;
    }
    let vectors = VectorParamsBuilder::new(2, Distance::Dot);
    let form = CreateCollectionBuilder::new(BUCKET).vectors_config(vectors);
    server.grpc.create_collection(form).await.expect("planted");
    let point = |n: u64| PointStruct::new(n, vec![n as f32, 1.0], [("n", (n as i64).into())]);
    let points = UpsertPointsBuilder::new(BUCKET, (0..100).map(point).collect::<Vec<_>>());
    server.grpc.upsert_points(points.wait(true)).await.expect("planted");
}

async fn qdrant_pieces(store: &Store) -> Vec<String> {
    let server = qdrant::connect(store, WAIT).expect("address");
    let mut pieces = Vec::new();
    for collection in server.grpc.list_collections().await.expect("collections").collections {
        let name = collection.name;
        let all = ScrollPointsBuilder::new(&name).limit(10_000).with_payload(true);
        let Ok(points) = server.grpc.scroll(all.with_vectors(true)).await else { continue };
        pieces.extend(points.result.iter().map(|point| format!("{name} {point:?}")));
    }
    pieces
}
