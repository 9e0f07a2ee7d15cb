//! An installed Neo4j. Its launcher starts the server as a process of its own, which would outlive the
//! sandbox. So the launcher is only asked for the command line of the server (as the entry point of
//! Neo4j's container images asks it), and this process becomes that.

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use sha2::{Digest, Sha256};

use super::write_secret;

/// The first version whose settings have these names.
const FIRST_MAJOR: u32 = 5;
/// Times that a password is hashed over.
const ITERATIONS: u32 = 1024;
/// What its code needs of the JVM, as its own configuration opens it.
const OPENED: [&str; 3] = ["java.base/java.nio", "java.base/java.io", "java.base/sun.nio.ch"];

/// Whether a version can be started here.
pub(super) fn is_known(version: &str) -> bool {
    let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    major.is_some_and(|major| major >= FIRST_MAJOR)
}

/// The command that is the server, with all that it writes in a folder.
///
/// # Errors
/// When the folder takes no files, or the launcher does not say how the server is started.
pub(super) fn command(
    port: &str,
    program: &Path,
    folder: &Path,
    password: &str,
) -> io::Result<Command> {
    let (conf, users) = (folder.join("conf"), folder.join("data/dbms"));
    for own in [&conf, &users, &folder.join("tmp")] {
        fs::create_dir_all(own)?;
    }
    fs::write(conf.join("neo4j.conf"), settings(port, folder))?;
    // Its own tool for this wants the password among the arguments, where everybody could see it.
    write_secret(&users.join("auth.ini"), &first_user(password, &rand::random::<[u8; 32]>()))?;
    let mut launcher = Command::new(program);
    launcher.args(["console", "--dry-run"]).env("NEO4J_CONF", &conf).current_dir(folder);
    let said = launcher.stdin(Stdio::null()).output()?;
    let lines = String::from_utf8_lossy(&said.stdout).into_owned();
    let line =
        lines.lines().rfind(|line| !line.trim().is_empty()).filter(|_| said.status.success());
    let line = line.ok_or_else(|| {
        let got = String::from_utf8_lossy(&said.stderr);
        let expected = "expected the command line of the server";
        let got = got.lines().next_back().unwrap_or_default();
        io::Error::other(format!("neo4j console --dry-run: {expected}, got {}: {got}", said.status))
    })?;
    // It is quoted for a shell; the stars in it are Java's.
    let mut server = Command::new("sh");
    server.arg("-c").arg(format!("set -f; exec {line}")).env("NEO4J_CONF", &conf);
    server.current_dir(folder).stdin(Stdio::null());
    Ok(server)
}

fn settings(port: &str, folder: &Path) -> String {
    let folder = folder.display();
    let mut text = format!(
        "server.directories.data={folder}/data\n\
         server.directories.logs={folder}/logs\n\
         server.directories.run={folder}/run\n\
         server.bolt.enabled=true\n\
         server.bolt.listen_address=127.0.0.1:{port}\n\
         server.bolt.tls_level=DISABLED\n\
         dbms.security.auth_enabled=true\n\
         server.http.enabled=false\n\
         server.https.enabled=false\n\
         server.memory.heap.initial_size=256m\n\
         server.memory.heap.max_size=512m\n\
         server.memory.pagecache.size=128m\n\
         dbms.usage_report.enabled=false\n\
         server.jvm.additional=-XX:-UsePerfData\n\
         server.jvm.additional=-Djava.io.tmpdir={folder}/tmp\n"
    );
    for package in OPENED {
        text += &format!("server.jvm.additional=--add-opens={package}=ALL-UNNAMED\n");
    }
    text
}

/// The file from which a server without users takes its first one.
fn first_user(password: &str, salt: &[u8]) -> String {
    let once = Sha256::new().chain_update(salt).chain_update(password).finalize();
    let hash = (1..ITERATIONS).fold(once, |hash, _| Sha256::digest(hash));
    let salt: String = salt.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("neo4j:SHA-256,{hash:x},{salt},{ITERATIONS}:\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `neo4j-admin dbms set-initial-password` of 5.26.0 wrote for this password.
    #[test]
    fn the_first_user_is_written_as_its_own_tool_writes_it() {
        let salt = "9c80ab1a3fd59ec881640f28c5a23aea48c2317a8039502caa5928b7db066cc1";
        let bytes: Vec<u8> = (0..32)
            .map(|at| u8::from_str_radix(&salt[2 * at..2 * at + 2], 16).expect("digits"))
            .collect();
        let hash = "ead7fd54d290d740d21bf8e8cf81123f8539f9850831d8c19281220810f0827c";
        let expected = format!("neo4j:SHA-256,{hash},{salt},1024:\n");
        assert_eq!(first_user("abcdefghij", &bytes), expected);
    }

    #[test]
    fn versions_whose_settings_have_other_names_are_not_started() {
        assert!(is_known("5.26.0") && is_known("2025.04.0"));
        assert!(!is_known("4.4.38") && !is_known("RELEASE.5"));
    }

    #[test]
    fn a_launcher_that_does_not_say_how_the_server_is_started_is_named_in_the_error() {
        let folder = tempfile::tempdir().expect("made");
        let error = command("7687", Path::new("/bin/false"), folder.path(), "secret");
        let error = error.expect_err("it says nothing").to_string();
        assert!(error.contains("--dry-run: expected the command line"), "{error}");
        let mut written = String::new();
        for file in ["conf/neo4j.conf", "data/dbms/auth.ini"] {
            written += &fs::read_to_string(folder.path().join(file)).expect("written");
        }
        assert!(written.contains("127.0.0.1:7687") && !written.contains("secret"), "{written}");
        let server = command("7687", Path::new("/bin/echo"), folder.path(), "secret");
        let words = format!("{:?}", server.expect("it says a line"));
        assert!(words.contains("set -f; exec console --dry-run"), "{words}");
    }
}
