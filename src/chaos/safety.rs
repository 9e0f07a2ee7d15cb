//! What is never broken: databases and their like, by any sign of them, and what is declared
//! critical. One sign is enough; a container that is not understood counts as one.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::platform::text::excerpt;

/// Image names of stores, brokers and coordinators; a part of the repository's last component, or of a
/// process's name.
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
/// Names of processes of the same that are not those of their images; a part of the name.
const PROCESSES: [&str; 3] = ["postmaster", "beam.smp", "arangod"];

/// What a container does, as far as it can be seen from outside.
#[derive(Debug, Default)]
pub struct Seen {
    /// Names of its processes, and of what those of Java run.
    pub processes: Vec<String>,
    /// TCP ports on which they listen.
    pub listening: BTreeSet<u16>,
}

/// The program that a command line of Java runs: a class, the class of a module, or an archive.
pub fn java_program(command_line: &str) -> Option<&str> {
    let last = |path: &'_ str| path.rfind('/').map_or(0, |at| at + 1);
    let mut words = command_line.split_whitespace();
    // A version manager's java is a script, which a shell runs.
    words.by_ref().take(2).find(|word| &word[last(word)..] == "java")?;
    while let Some(word) = words.next() {
        match word {
            "-jar" | "-m" | "--module" => return words.next().map(|named| &named[last(named)..]),
            "-cp"
            | "-classpath"
            | "--class-path"
            | "-p"
            | "--module-path"
            | "--add-modules"
            | "--add-opens"
            | "--add-exports"
            | "--add-reads"
            | "--upgrade-module-path"
            | "--limit-modules"
            | "--patch-module"
            | "--enable-native-access"
            | "--source" => {
                words.next();
            }
            _ if word.starts_with(['-', '@']) => {}
            // Of a value with blanks in it, such as `kill -9 %p`.
            _ if !may_be_a_class(word) => {}
            _ => return Some(word),
        }
    }
    None
}

fn may_be_a_class(word: &str) -> bool {
    word.contains('.') && word.chars().all(|c| c.is_alphanumeric() || "._$/".contains(c))
}

/// The first sign that a container is protected: of its inspection, what it is seen to do, and the
/// names that are declared critical.
pub fn protected(inspected: &Value, seen: &Seen, critical: &[String]) -> Option<String> {
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
    if let Some(process) = seen.processes.iter().find(|name| is_a_stores(name)) {
        return Some(format!("it runs {}", excerpt(process)));
    }
    let listening = seen.listening.iter().copied();
    if let Some(port) = ports(inspected).chain(listening).find(|port| PORTS.contains(port)) {
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

fn is_a_stores(process: &str) -> bool {
    let name = process.to_lowercase();
    IMAGES.iter().chain(&PROCESSES).any(|sign| name.contains(sign))
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

    fn running(processes: &[&str]) -> Seen {
        let processes = processes.iter().map(|name| (*name).to_owned()).collect();
        Seen { processes, ..Seen::default() }
    }

    #[test]
    fn any_sign_of_a_store_protects() {
        let app = json!({ "Name": "/chat", "Config": { "Image": "acme/chat:1", "Env": ["PATH=/bin"],
            "ExposedPorts": { "8080/tcp": {} } } });
        let idle = Seen::default();
        assert_eq!(protected(&app, &running(&["chat", "nginx", "python3"]), &[]), None);
        for store in ["postgres", "mysqld", "redis-server", "nats-server", "beam.smp", "weaviate"] {
            assert!(protected(&app, &running(&["sh", store]), &[]).is_some(), "an innocent name");
        }
        let listening = |port| Seen { listening: [8080, port].into(), ..Seen::default() };
        assert!(protected(&app, &listening(6379), &[]).is_some(), "a port that is not exposed");
        assert_eq!(protected(&app, &listening(8000), &[]), None);
        assert!(protected(&app, &idle, &["chat".into()]).is_some());
        for (pointer, value) in [
            ("Image", json!("registry.local:5000/team/pgvector-custom:16")),
            ("ExposedPorts", json!({ "6333/tcp": {} })),
            ("Env", json!(["POSTGRES_PASSWORD=x"])),
            ("Labels", json!({ "shakedown.critical": "true" })),
        ] {
            let mut store = app.clone();
            store["Config"][pointer] = value;
            assert!(protected(&store, &idle, &[]).is_some(), "{pointer}");
        }
        let mut store = app;
        store["Mounts"] = json!([{ "Destination": "/var/lib/postgresql/data" }]);
        assert!(protected(&store, &idle, &[]).is_some());
    }

    #[test]
    fn a_store_in_java_is_told_by_the_program_that_is_run() {
        let runs = |line: &str| {
            let programs = java_program(line).map(str::to_owned).into_iter().collect();
            protected(&json!({}), &Seen { processes: programs, ..Seen::default() }, &[])
        };
        for line in [
            "/usr/bin/java -Xmx1g -cp /opt/a.jar:/opt/b.jar kafka.Kafka /etc/server.properties",
            "java -m org.elasticsearch.server/org.elasticsearch.bootstrap.Elasticsearch",
            "java org.apache.cassandra.service.CassandraDaemon",
            "java -Dx=1 -jar /opt/zookeeper.jar server",
            "java -XX:OnOutOfMemoryError=kill -9 %p -cp x org.apache.cassandra.service.CassandraDaemon",
            "java --limit-modules java.base org.apache.cassandra.service.CassandraDaemon",
            "/bin/sh /root/.shims/java -cp x org.elasticsearch.bootstrap.Elasticsearch",
        ] {
            assert!(runs(line).is_some_and(|why| why.starts_with("it runs ")), "{line}");
        }
        for client in [
            "java -Dspring.redis.host=redis.local -cp lib/postgresql.jar:app.jar com.acme.Chat",
            "java -cp lib/postgresql.jar com.acme.Chat kafka.local",
            "sh -c org.apache.cassandra.tools",
            "java",
        ] {
            assert_eq!(runs(client), None, "whoever uses a store is none: {client}");
        }
    }
}
