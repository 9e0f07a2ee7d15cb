//! What is never broken: databases and their like, by any sign of them, and what is declared
//! critical. One sign is enough; a container that is not understood counts as one.

use serde_json::Value;

/// Image names of stores, brokers and coordinators; a part of the repository's last component.
const IMAGES: [&str; 38] = [
    "postgres",
    "timescale",
    "pgvector",
    "mysql",
    "mariadb",
    "percona",
    "mongo",
    "redis",
    "valkey",
    "keydb",
    "dragonfly",
    "elasticsearch",
    "opensearch",
    "clickhouse",
    "cassandra",
    "scylla",
    "etcd",
    "consul",
    "zookeeper",
    "kafka",
    "redpanda",
    "rabbitmq",
    "nats",
    "minio",
    "qdrant",
    "milvus",
    "weaviate",
    "chroma",
    "neo4j",
    "influx",
    "cockroach",
    "vault",
    "registry",
    "memcached",
    "solr",
    "couchdb",
    "arangodb",
    "supabase",
];
/// Ports of the same.
const PORTS: [u16; 23] = [
    5432, 3306, 27017, 6379, 9200, 9300, 9042, 2379, 2380, 2181, 9092, 5672, 4222, 9000, 6333,
    6334, 19530, 8123, 7687, 7474, 8200, 26257, 11211,
];
/// Environment variables of the same.
const VARIABLES: [&str; 8] = [
    "POSTGRES_",
    "PGDATA",
    "MYSQL_",
    "MARIADB_",
    "MONGO_",
    "REDIS_DATA",
    "NEO4J_AUTH",
    "MINIO_ROOT_",
];
/// Mount points of the same.
const FOLDERS: [&str; 9] = [
    "/var/lib/postgresql",
    "/var/lib/mysql",
    "/data/db",
    "/var/lib/redis",
    "/qdrant/storage",
    "/var/lib/neo4j",
    "/var/lib/minio",
    "/var/lib/etcd",
    "/var/lib/elasticsearch",
];
/// Names of processes of the same.
const PROCESSES: [&str; 16] = [
    "postgres",
    "postmaster",
    "mysqld",
    "mariadbd",
    "mongod",
    "redis-server",
    "valkey-server",
    "qdrant",
    "neo4j",
    "minio",
    "etcd",
    "clickhouse-serv",
    "clickhouse-server",
    "beam.smp",
    "cassandra",
    "consul",
];

/// The first sign that a container is protected: of its inspection, the names of its processes, and
/// the names that are declared critical.
pub fn protected(inspected: &Value, processes: &[String], critical: &[String]) -> Option<String> {
    let name = text(inspected, "/Name").trim_start_matches('/');
    if critical.iter().any(|declared| declared == name || is_service(inspected, declared)) {
        return Some("declared critical".into());
    }
    if let Some(value) =
        inspected.pointer("/Config/Labels/shakedown.critical").and_then(Value::as_str)
        && value != "false"
    {
        return Some("labelled shakedown.critical".into());
    }
    let image = text(inspected, "/Config/Image").to_lowercase();
    let repository = image.rsplit('/').next().unwrap_or_default();
    let repository = repository.split([':', '@']).next().unwrap_or_default();
    if let Some(sign) = IMAGES.iter().find(|sign| repository.contains(**sign)) {
        return Some(format!("its image is a store's ({sign})"));
    }
    if let Some(process) = processes.iter().find(|name| PROCESSES.contains(&name.as_str())) {
        return Some(format!("it runs {process}"));
    }
    if let Some(port) = ports(inspected).find(|port| PORTS.contains(port)) {
        return Some(format!("it has port {port}, as a store has"));
    }
    let sign = strings(inspected, "/Config/Env")
        .find_map(|variable| VARIABLES.into_iter().find(|sign| variable.starts_with(sign)));
    if let Some(sign) = sign {
        return Some(format!("its environment has {sign}, as a store's has"));
    }
    let mounts = inspected.pointer("/Mounts").and_then(Value::as_array).into_iter().flatten();
    let folder = mounts
        .filter_map(|mount| mount.pointer("/Destination")?.as_str())
        .find(|folder| FOLDERS.iter().any(|sign| folder.starts_with(sign)));
    folder.map(|folder| format!("it has {folder} mounted, as a store has"))
}

/// Whether a compose service has this name.
pub fn is_service(inspected: &Value, name: &str) -> bool {
    let labels = inspected.pointer("/Config/Labels").and_then(Value::as_object);
    labels.and_then(|labels| labels.get("com.docker.compose.service")?.as_str()) == Some(name)
}

fn ports(inspected: &Value) -> impl Iterator<Item = u16> + '_ {
    let exposed = inspected.pointer("/Config/ExposedPorts").and_then(Value::as_object);
    let bound = inspected.pointer("/HostConfig/PortBindings").and_then(Value::as_object);
    let keys = exposed.into_iter().chain(bound).flat_map(|ports| ports.keys());
    keys.filter_map(|key| key.split('/').next()?.parse().ok())
}

fn strings<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = &'a str> {
    let list = value.pointer(pointer).and_then(Value::as_array).into_iter().flatten();
    list.filter_map(Value::as_str)
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn any_sign_of_a_store_protects() {
        let app = json!({ "Name": "/chat", "Config": { "Image": "acme/chat:1", "Env": ["PATH=/bin"],
            "ExposedPorts": { "8080/tcp": {} } } });
        assert_eq!(protected(&app, &["chat".into()], &[]), None);
        assert!(protected(&app, &["postgres".into()], &[]).is_some(), "an innocent name");
        assert!(protected(&app, &[], &["chat".into()]).is_some());
        for (pointer, value) in [
            ("Image", json!("registry.local:5000/team/pgvector-custom:16")),
            ("ExposedPorts", json!({ "6333/tcp": {} })),
            ("Env", json!(["POSTGRES_PASSWORD=x"])),
            ("Labels", json!({ "shakedown.critical": "true" })),
        ] {
            let mut store = app.clone();
            store["Config"][pointer] = value;
            assert!(protected(&store, &[], &[]).is_some(), "{pointer}");
        }
        let mut store = app;
        store["Mounts"] = json!([{ "Destination": "/var/lib/postgresql/data" }]);
        assert!(protected(&store, &[], &[]).is_some());
    }
}
