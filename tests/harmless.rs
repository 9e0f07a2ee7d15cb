//! What may destroy something in a store, or on the disk, stands on one list, with what keeps it to what
//! is ours. Anything else of that kind in the drill or in the way to the stores fails here.

use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

/// Where something is destroyed, in which words, and what keeps that to what is ours.
const ALLOWED: [(&str, &str, &str); 17] = [
    (
        "backup/stores/postgres/mod.rs",
        "DROP SCHEMA IF EXISTS {} CASCADE",
        "our schema by its name, after the marker was read and nothing of others depends on it",
    ),
    (
        "backup/stores/redis/logical.rs",
        "command(\"UNLINK\", key)",
        "one key under our prefix, before it is written anew",
    ),
    (
        "backup/stores/redis/mod.rs",
        "cmd(\"UNLINK\").arg(some)",
        "names of our own index, behind our prefix",
    ),
    ("backup/stores/redis/mod.rs", "cmd(\"UNLINK\").arg(index)", "our index by its name"),
    ("backup/stores/redis/mod.rs", "cmd(\"UNLINK\").arg(marker)", "our marker by its name"),
    (
        "backup/stores/qdrant/snapshot.rs",
        "self.grpc().delete_snapshot(request)",
        "a snapshot of a collection of ours",
    ),
    (
        "backup/stores/qdrant/mod.rs",
        "self.grpc().delete_collection(full_name)",
        "one collection; its callers name only ours",
    ),
    (
        "backup/stores/neo4j/mod.rs",
        "MATCH (n:ShakedownDrill {_sd_run: $run}) WHERE n._sd_id <> $marker OR $last WITH n LIMIT $page DETACH DELETE n RETURN count(*) AS n",
        "nodes with our label and our run, some at a time",
    ),
    (
        "backup/stores/neo4j/mod.rs",
        "DROP CONSTRAINT sd_drill_key IF EXISTS",
        "our constraint, once no drill has a node",
    ),
    ("backup/stores/minio/mod.rs", "self.bucket.delete_objects(doomed)", "keys of our bucket"),
    (
        "backup/stores/minio/mod.rs",
        "self.bucket.abort_upload(&upload.key, &upload.id)",
        "uploads into our bucket",
    ),
    ("backup/stores/minio/mod.rs", "self.bucket.delete_object(MARKER)", "our marker"),
    ("backup/stores/minio/mod.rs", "self.bucket.delete()", "our bucket by its name"),
    ("backup/ledger.rs", "fs::remove_file(run)", "a sorted run that this ledger wrote"),
    ("backup/undo.rs", "fs::remove_dir_all(path)", "a folder that bears a drill's marker"),
    (
        "backup/drill/selftest.rs",
        "fs::remove_dir_all(&folder)",
        "the copy that the verifier's test made",
    ),
    (
        "backup/service/artefact.rs",
        "fs::remove_file(&copy)",
        "the copy that the verifier's test made",
    ),
];
/// The only empty folder that is removed.
const EMPTY_FOLDER: &str = "fs::remove_dir(path)";

/// What destroys: statements of SQL and Cypher, commands of Redis, calls of clients, and files. `{}` and
/// `[^"]` keep a match within one text.
const DESTRUCTIVE: [&str; 9] = [
    r#"(?i)flush\s*(all|db)[^"]*"#,
    r#"(?i)\btruncate\s[^"]*"#,
    r#"(?i)\bdrop\s+(database|schema|table|view|materialized|index|constraint|role|user|owned|extension|type|sequence|function|publication|subscription|tablespace)\b\s[^"]+"#,
    r#"(?i)[^"]*\bdelete\s+from\b[^"]*"#,
    r#"(?i)\bmatch\s*\([^"]*\b(delete|remove)\b[^"]*"#,
    r#"\w+\(\s*"(UNLINK|DEL|GETDEL|SWAPDB|SHUTDOWN|DEBUG|CONFIG|MIGRATE|REPLICAOF|SLAVEOF|KEYS|EVAL|SCRIPT|FUNCTION|FAILOVER|RESET)"[^)]*\)(\.arg\([^)]*\))*"#,
    r#"[\w.()]*\.(delete\w*|abort_upload|rm_\w+)\([^)]*\)"#,
    r"\w+::(delete\w*)\([^)]*\)",
    r"fs::remove_\w+\([^)]*\)",
];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("folder").flatten() {
        let path = entry.path();
        if path.is_dir() && !path.ends_with("tests") {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// The code without comments and unit tests, each text in one line.
fn code(text: &str) -> String {
    let end = Regex::new(r"#\[cfg\(test\)\]\n(pub(\(\w+\))? )?mod ").expect("a pattern");
    let text = &text[..end.find(text).map_or(text.len(), |found| found.start())];
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let joined = lines.collect::<Vec<_>>().join("\n");
    let continued =
        Regex::new(r"\\\n\s*").expect("a pattern").replace_all(&joined, "").into_owned();
    Regex::new(r"\s+").expect("a pattern").replace_all(&continued, " ").replace(" .", ".")
}

/// Everything in a text that destroys something.
fn destructive(code: &str) -> Vec<String> {
    let patterns = DESTRUCTIVE.map(|pattern| Regex::new(pattern).expect("a pattern"));
    let all = patterns.iter().flat_map(|pattern| pattern.find_iter(code));
    let found = all.map(|found| found.as_str().trim().to_owned());
    // What a function of the same file does is looked at in that function.
    found.filter(|found| !found.starts_with("self.delete")).collect()
}

#[test]
fn nothing_destroys_but_what_is_on_the_list() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut strange, mut seen) = (Vec::new(), [false; ALLOWED.len()]);
    for file in ["backup", "platform"].iter().flat_map(|room| sources(&src.join(room))) {
        let code = code(&fs::read_to_string(&file).expect("readable"));
        for found in destructive(&code) {
            let is =
                |(path, words, _): &(&str, &str, &str)| file.ends_with(path) && found == *words;
            match ALLOWED.iter().position(is) {
                Some(at) => seen[at] = true,
                None if found == EMPTY_FOLDER && file.ends_with("backup/undo.rs") => {}
                None => strange.push(format!("{}: {found}", file.display())),
            }
        }
    }
    assert!(strange.is_empty(), "not on the list of what may be destroyed: {strange:#?}");
    let gone = ALLOWED.iter().zip(seen).filter(|(_, seen)| !seen).map(|(allowed, _)| allowed);
    assert_eq!(gone.collect::<Vec<_>>(), Vec::<&(&str, &str, &str)>::new(), "on the list only");
}

/// The bucket, the schema and the collections that are deleted have names made from the run's id.
#[test]
fn what_is_deleted_whole_is_named_by_the_run() {
    let code_of = |file: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/backup/stores").join(file);
        code(&fs::read_to_string(path).expect("readable"))
    };
    let all = |code: &str, pattern: &str| -> Vec<String> {
        let pattern = Regex::new(pattern).expect("a pattern");
        pattern.find_iter(code).map(|found| found.as_str().to_owned()).collect()
    };
    let minio = code_of("minio/mod.rs");
    assert_eq!(
        all(&minio, r"let bucket = [^;]*;"),
        ["let bucket = server.bucket(&names.dashed())?;"]
    );
    assert_eq!(
        all(&minio, r"\w+\.bucket\([^)]*\)").len(),
        2,
        "ours, and the administrator's to read"
    );
    let qdrant = code_of("qdrant/mod.rs");
    assert_eq!(
        all(&qdrant, r"self\.delete\([^;]*\)\.await"),
        ["self.delete(&self.full_name(&short)).await", "self.delete(&name).await"]
    );
    let beside = code_of("qdrant/snapshot.rs");
    assert_eq!(all(&beside, r"self\.delete\([^;]*\)\.await"), ["self.delete(beside).await"]);
    assert_eq!(
        all(&beside, r"let beside = [^;]*;"),
        ["let beside = self.full_name(&format!(\"{short}{BESIDE}\"));"]
    );
    let destroy = qdrant.split("async fn destroy").nth(1).expect("it destroys");
    assert!(
        destroy.starts_with("(&self) -> Result<(), DrillError> { let name = self.names.name();")
    );
    let postgres = code_of("postgres/mod.rs");
    let dropped = postgres.split("DROP SCHEMA IF EXISTS {} CASCADE\", ").nth(1).expect("it drops");
    assert!(dropped.starts_with("quoted(&self.names.name())"), "{}", &dropped[..60]);
}

/// No shell reads what others wrote, and nothing is printed over a dashboard.
#[test]
fn no_shell_is_started_and_nothing_is_printed() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for file in ["backup", "platform"].iter().flat_map(|room| sources(&src.join(room))) {
        let code = code(&fs::read_to_string(&file).expect("readable"));
        for banned in ["println!(", "print!(", "\"sh\"", "\"bash\"", "\"-c\""] {
            assert!(!code.contains(banned), "{}: {banned}", file.display());
        }
    }
}

#[test]
fn what_the_list_is_for_is_found() {
    for bad in [
        r#"cmd("FLUSHALL")"#,
        r#"redis::cmd("flushdb").arg("ASYNC")"#,
        r#"run("DROP DATABASE shop")"#,
        r#"run("drop table users")"#,
        r#"run("TRUNCATE users CASCADE")"#,
        r#"run("DELETE FROM users")"#,
        "run(\"DELETE FROM users \\\n    WHERE id > 0\")",
        r#"query("MATCH (n) DETACH DELETE n")"#,
        "query(\"MATCH (n) \\\n   WITH n LIMIT 500 DETACH DELETE n\")",
        r#"query("match (n:Person) delete n")"#,
        r#"cmd("DEL").arg(pattern)"#,
        r#"cmd("KEYS").arg("*")"#,
        r#"cmd("CONFIG").arg("SET")"#,
        "bucket.delete().await",
        "other\n    .delete_object(key)",
        "client.delete_collection(name)",
        "client.delete_points(all)",
        "Bucket::delete(&theirs)",
        "std::fs::remove_dir_all(home)",
    ] {
        let found = destructive(&code(bad));
        assert!(!found.is_empty(), "not found: {bad}");
        let listed = found.iter().all(|found| ALLOWED.iter().any(|(_, words, _)| found == words));
        assert!(!listed, "{bad}: {found:?}");
    }
    assert_eq!(destructive(&code("// FLUSHALL is never sent\nlist.truncate(3);\n")), [""; 0]);
}
