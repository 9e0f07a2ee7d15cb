//! Installed servers in place of the embedded stores: a child process of the sandbox prepares a folder
//! and then becomes the server, so that what the kernel was told of its parent still holds.

mod neo4j;

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::{Signal, getuid, set_parent_process_death_signal};

use super::StoreSettings;
use super::credentials::ACCESS_KEY;
use crate::config::StoreKind;
use crate::sandbox::lifeline;

/// The user as whom PostgreSQL is run by root, whom it refuses.
const POSTGRES_USER: &str = "postgres";
/// Where Debian keeps the programs of each version of PostgreSQL.
const POSTGRES_VERSIONS: &str = "/usr/lib/postgresql";

/// An installed server.
#[derive(Clone, Debug)]
pub struct Installed {
    /// Its program.
    pub program: PathBuf,
    /// What it says that it is.
    pub label: String,
}

/// The installed server of this kind, if there is one that runs and can be started here.
pub fn find(kind: StoreKind) -> Option<Installed> {
    let (name, product) = match kind {
        StoreKind::Postgres => ("postgres", "PostgreSQL"),
        StoreKind::Redis => ("redis-server", "Redis"),
        StoreKind::Qdrant => ("qdrant", "Qdrant"),
        StoreKind::Minio => ("minio", "MinIO"),
        StoreKind::Neo4j => ("neo4j", "Neo4j"),
    };
    let on_path = || {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
    };
    let beside = || if kind == StoreKind::Postgres { newest_postgres() } else { None };
    let program = on_path().or_else(beside)?;
    let said = Command::new(&program).arg("--version").stdin(Stdio::null()).output().ok()?;
    let version = version(&String::from_utf8_lossy(&said.stdout))?;
    let known = kind != StoreKind::Neo4j || neo4j::is_known(&version);
    known.then(|| Installed { program, label: format!("{product} {version} (installed)") })
}

fn newest_postgres() -> Option<PathBuf> {
    let versions = fs::read_dir(POSTGRES_VERSIONS).ok()?.flatten();
    let number = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u32>().ok();
    let newest = versions.map(|entry| entry.path()).max_by_key(number)?;
    Some(newest.join("bin/postgres")).filter(|program| program.is_file())
}

/// The version in what a server says of itself.
fn version(said: &str) -> Option<String> {
    let words = said.split_whitespace().map(|word| word.trim_start_matches("v="));
    let is_version = |word: &&str| {
        word.starts_with("RELEASE.") || word.starts_with(|c: char| c.is_ascii_digit())
    };
    words.filter(is_version).map(|word| word.chars().take(40).collect()).next()
}

/// Whether the server whose folder this is takes sessions; true for those that do not say.
pub fn is_ready(kind: StoreKind, folder: &Path) -> bool {
    let told = folder.join("data/postmaster.pid");
    kind != StoreKind::Postgres
        || fs::read_to_string(told)
            .is_ok_and(|state| state.lines().any(|line| line.trim() == "ready"))
}

/// Becomes the installed server. It returns only when it cannot.
pub fn become_server(settings: &StoreSettings, program: &Path) -> io::Error {
    if !lifeline::die_with_parent(settings.parent) {
        return io::ErrorKind::NotConnected.into();
    }
    let prepared = || {
        let (folder, port) = (&settings.folder, settings.port.to_string());
        let password = fs::read_to_string(&settings.password_file)?;
        let mut command = Command::new(program);
        command.current_dir(folder).stdin(Stdio::null());
        match settings.store {
            StoreKind::Redis => {
                let file = folder.join("redis.conf");
                // A password among the arguments could be seen by everybody.
                write_secret(&file, &format!("requirepass {password}\nsave \"\"\n"))?;
                command.arg(file).args(["--port", &port, "--bind", "127.0.0.1", "--dir"]);
                command.arg(folder);
            }
            StoreKind::Minio => {
                command.args(["server", "--quiet", "--address", &format!("127.0.0.1:{port}")]);
                command.arg(folder).env("MINIO_UPDATE", "off");
                command.env("MINIO_ROOT_USER", ACCESS_KEY).env("MINIO_ROOT_PASSWORD", password);
            }
            StoreKind::Qdrant => {
                let second = settings.second_port.unwrap_or(0).to_string();
                command.env("QDRANT__SERVICE__HOST", "127.0.0.1");
                command.env("QDRANT__SERVICE__HTTP_PORT", port);
                command.env("QDRANT__SERVICE__GRPC_PORT", second);
                command.env("QDRANT__SERVICE__API_KEY", password);
                command.env("QDRANT__STORAGE__STORAGE_PATH", folder.join("storage"));
                command.env("QDRANT__STORAGE__SNAPSHOTS_PATH", folder.join("snapshots"));
                command.env("QDRANT__TELEMETRY_DISABLED", "true");
            }
            StoreKind::Postgres => command = postgres(&port, program, folder, &password)?,
            StoreKind::Neo4j => command = neo4j::command(&port, program, folder, &password)?,
        }
        Ok(command)
    };
    match prepared() {
        Ok(mut command) => command.exec(),
        Err(error) => error,
    }
}

/// A file that nobody else can read.
fn write_secret(path: &Path, content: &str) -> io::Result<()> {
    let mut file: File =
        File::options().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(content.as_bytes())
}

fn postgres(port: &str, program: &Path, folder: &Path, password: &str) -> io::Result<Command> {
    // A link on the path leads to where its other programs are.
    let program = fs::canonicalize(program)?;
    let data = folder.join("data");
    let password_file = folder.join("password");
    let as_root = getuid().is_root();
    write_secret(&password_file, password)?;
    if as_root {
        let (user, group) = user_of(POSTGRES_USER)?;
        for path in [folder, password_file.as_path()] {
            chown(path, Some(user), Some(group))?;
        }
    }
    let mut initdb = as_user(&program.with_file_name("initdb"), as_root);
    initdb.args(["-U", POSTGRES_USER, "-A", "scram-sha-256", "--no-sync", "-E", "UTF8"]);
    initdb.args(["--locale", "C"]).arg("-D").arg(&data).arg("--pwfile").arg(&password_file);
    let done = initdb.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null()).status()?;
    if !done.success() {
        return Err(io::Error::other(format!("initdb: {done}")));
    }
    fs::remove_file(&password_file)?;
    // A killed one would leave its shared memory behind.
    set_parent_process_death_signal(Some(Signal::QUIT))?;
    let mut command = as_user(&program, as_root);
    command.current_dir(folder).stdin(Stdio::null()).arg("-D").arg(&data);
    command.args(["-p", port, "-h", "127.0.0.1", "-k", ""]);
    // Nothing of it is to outlive the sandbox.
    command.args(["-c", "fsync=off", "-c", "log_min_messages=fatal"]);
    Ok(command)
}

/// A program of PostgreSQL's, which root runs as another user. The kernel forgets the parent when the
/// user changes, and is told of it again.
fn as_user(program: &Path, as_root: bool) -> Command {
    if !as_root {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid", POSTGRES_USER, "--regid", POSTGRES_USER, "--init-groups"]);
    command.args(["--pdeathsig", "QUIT", "--"]).arg(program);
    command
}

fn user_of(name: &str) -> io::Result<(u32, u32)> {
    let users = fs::read_to_string("/etc/passwd")?;
    let line = users.lines().find(|line| line.split(':').next() == Some(name));
    let mut numbers = line.into_iter().flat_map(|line| line.split(':').skip(2));
    let mut number = || numbers.next().and_then(|number| number.parse().ok());
    number().zip(number()).ok_or_else(|| io::Error::other(format!("there is no user {name}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_what_servers_say() {
        for (said, expected) in [
            ("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)", Some("15.18")),
            ("Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.2.1 bits=64", Some("7.0.15")),
            (
                "minio version RELEASE.2025-09-07T16-13-09Z (x)",
                Some("RELEASE.2025-09-07T16-13-09Z"),
            ),
            ("qdrant 1.15.4", Some("1.15.4")),
            ("5.26.0", Some("5.26.0")),
            ("neo4j 4.4.38", Some("4.4.38")),
            ("no such option", None),
        ] {
            assert_eq!(version(said).as_deref(), expected, "{said}");
        }
    }

    #[test]
    fn postgres_is_ready_when_it_says_so() {
        let folder = tempfile::tempdir().expect("made");
        assert!(is_ready(StoreKind::Redis, folder.path()));
        assert!(!is_ready(StoreKind::Postgres, folder.path()));
        fs::create_dir(folder.path().join("data")).expect("made");
        let told = folder.path().join("data/postmaster.pid");
        fs::write(&told, "1\n/d\n2\n5432\n\n127.0.0.1\n3\nstarting\n").expect("written");
        assert!(!is_ready(StoreKind::Postgres, folder.path()));
        fs::write(&told, "1\n/d\n2\n5432\n\n127.0.0.1\n3\nready   \n").expect("written");
        assert!(is_ready(StoreKind::Postgres, folder.path()));
    }
}
