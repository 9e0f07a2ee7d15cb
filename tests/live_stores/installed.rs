//! A Neo4j on the PATH takes the place of the sandbox's own, and ends with it. The other installed servers
//! are tried with the sandbox's stores: which of them are there is up to the machine.

use std::ffi::OsString;

use super::support::{Workplace, text, wait_for};

#[test]
#[ignore = "needs the kernel of Neo4j: .ci/live/stores.sh"]
fn neo4j_on_the_path_is_drilled_and_ends_with_the_sandbox() {
    let Some(folder) = std::env::var_os("SHAKEDOWN_LIVE_INSTALLED_NEO4J") else {
        return eprintln!("installed neo4j: not run, the suite's script has none");
    };
    let place = Workplace::new();
    let mut path = folder;
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    let output = drill(&place, path);
    assert!(output.contains("neo4j: pass: L6: zero data loss"), "{output}");
    assert!(output.contains("Neo4j 5.26.0"), "the real kernel: {output}");
    place.wait_until_nothing_runs();
    wait_for("the end of the server", || {
        let left = std::process::Command::new("pgrep").args(["-f", "Neo4jConsole.java"]).output();
        left.expect("asked").stdout.is_empty().then_some(())
    });
}

fn drill(place: &Workplace, path: OsString) -> String {
    let mut command = place.command(&["backup", "--headless", "--stores", "local"]);
    command.args(["--store", "neo4j", "--documents", "20", "--seed", "5"]).env("PATH", path);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SHAKEDOWN_LIVE_")) {
        command.env_remove(name);
    }
    let output = command.output().expect("program runs");
    let said = text(&output.stdout) + &text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    said
}
