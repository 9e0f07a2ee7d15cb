//! The image scan on a real engine: which images it finds there, and Trivy in a container. A stand-in of
//! Trivy's name answers from within an image; the real one is asked where it is on the PATH.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use shakedown::run::folder::RunFolder;

use crate::platform::{IMAGE, Platform, docker, inspected};
use crate::support::{Workplace, ended, report, text, wait_for};

const SCANNER: &str = "shakedown-stand-in-for-trivy:1";
/// A token that is none, of the right shape.
const TOKEN: &str = "ghp_a8Kd03jFq91LmZx7RtYw5Vb2NcPe6HsUg4Ti";

/// Writes down what it is asked, and answers as Trivy does: only where it has the engine's socket.
const STAND_IN: &str = r#"#!/bin/sh
b=/bin/busybox
echo "$@" >> /root/.cache/trivy/asked
case "$*" in
    "version --format json")
        echo "{\"Version\":\"stand-in\",\"VulnerabilityDB\":{\"UpdatedAt\":\"$($b date -u +%Y-%m-%dT%H:%M:%SZ)\"}}"
        exit ;;
    *--download-db-only*) exit ;;
esac
for image; do :; done
[ -S /var/run/docker.sock ] || { echo "FATAL no engine" >&2; exit 1; }
[ "$image" = slow:1 ] && exec $b sleep 100
echo "{\"SchemaVersion\":2,\"ArtifactName\":\"$image\",\"Results\":[{\"Class\":\"os-pkgs\",\"Vulnerabilities\":[
  {\"VulnerabilityID\":\"CVE-2026-1\",\"PkgName\":\"musl\",\"Severity\":\"HIGH\",\"FixedVersion\":\"2\"}]}]}"
"#;

/// Imports an image whose program is the stand-in.
fn import_scanner(place: &Workplace) {
    let rootfs = place.path().join("scanner");
    for folder in ["bin", "root/.cache/trivy", "var/run", "tmp"] {
        fs::create_dir_all(rootfs.join(folder)).expect("made");
    }
    fs::copy("/bin/busybox", rootfs.join("bin/busybox")).expect("busybox-static is installed");
    std::os::unix::fs::symlink("busybox", rootfs.join("bin/sh")).expect("linked");
    let program = rootfs.join("bin/trivy");
    fs::write(&program, STAND_IN).expect("written");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("set");
    let archive = place.path().join("scanner.tar");
    let tar = Command::new("tar").arg("-C").arg(&rootfs).arg("-cf").arg(&archive).arg(".").status();
    assert!(tar.expect("tar runs").success());
    let entry = "ENTRYPOINT [\"/bin/trivy\"]";
    docker(&["import", "--change", entry, &archive.display().to_string(), SCANNER]);
}

fn socket() -> String {
    let host = std::env::var("DOCKER_HOST").expect("set by the suite");
    host.strip_prefix("unix://").expect("a socket").to_owned()
}

/// The audit's command on these images.
fn command(place: &Workplace, images: &Value, checks: &str) -> Command {
    let config = json!({
        "target": { "name": "live", "environment": "development" },
        "services": { "chat": { "endpoint": { "base_url": "http://127.0.0.1:9" }, "model": "m" } },
        "security": { "images": images },
    });
    let path = place.path().join("images.yaml");
    fs::write(&path, config.to_string()).expect("written");
    let mut command = place.command(&["security", "--headless", "--only", checks, "--config"]);
    command.arg(path).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Audits; returns the section of the report.
fn audit(place: &Workplace, images: &Value, checks: &str) -> Value {
    let (_, out, err) = ended(command(place, images, checks).spawn().expect("program runs"));
    assert!(!out.contains(TOKEN) && !err.contains(TOKEN), "a secret is told: {out}{err}");
    let run = RunFolder::list(&place.runs()).into_iter().next_back().expect("a run");
    let journal = fs::read_to_string(run.path().join("events.jsonl")).expect("readable");
    assert!(!journal.contains(TOKEN), "a secret is kept");
    let report = report(&run);
    let phases = report["phases"].as_array().expect("phases");
    let phase = phases.iter().find(|phase| phase["phase"] == "security").expect("security");
    phase["security"].clone()
}

fn rows(section: &Value) -> Vec<(String, Value, Value)> {
    let all = section["images"].as_array().expect("images").iter();
    all.map(|row| {
        let name = row["image"].as_str().expect("a name").to_owned();
        (name, row["id"].clone(), row["status"].clone())
    })
    .collect()
}

/// Containers of the audit that are left.
fn scanners() -> String {
    docker(&["ps", "-aq", "--filter", "label=shakedown.role=trivy"])
}

#[test]
#[ignore = "needs a Docker engine: .ci/live/docker.sh"]
fn running_images_are_found_once_each_and_scanned_by_trivy_in_a_container() {
    let platform = Platform::without(&["chat", "rag", "mcp"]);
    let place = &platform.place;
    import_scanner(place);
    docker(&["tag", IMAGE, "shakedown-live:alias"]);
    let sleep = ["/bin/sleep", "1000"];
    let project = ["--network", "none", "--label", "com.docker.compose.project=shop"];
    let secret = format!("GITHUB_TOKEN={TOKEN}");
    platform.run("one", &[&project[..], &["-e", &secret]].concat(), &sleep);
    platform.run("two", &project, &sleep);
    // Of another project: its image is none of ours.
    let options = ["run", "-d", "--name", "other", "--label", "shakedown.test=live"];
    let scanner = ["--network", "none", "--entrypoint", "/bin/busybox", SCANNER, "sleep", "1000"];
    docker(&[&options[..], &scanner].concat());
    let id = inspected("one")["Image"].clone();

    let cache = place.path().join("cache");
    fs::create_dir(&cache).expect("made");
    let host = std::env::var("DOCKER_HOST").expect("set by the suite");
    let images = json!({
        "docker": host, "project": "shop", "names": ["shakedown-live:alias"], "cache": cache,
        "container": { "image": SCANNER, "socket": socket() },
    });
    let section = audit(place, &images, "images,keys");
    // Two names and two containers, and one image.
    let both = format!("shakedown-live:alias, {IMAGE}");
    assert_eq!(rows(&section), [(both, id, json!("scanned"))], "{section:#}");
    assert_eq!(section["database"]["trivy"], "stand-in");
    assert_eq!(section["images"][0]["fixable"]["high"], 1);
    let asked = fs::read_to_string(cache.join("asked")).expect("it was asked");
    assert_eq!(asked.matches("--download-db-only").count(), 1, "{asked}");
    assert_eq!(asked.matches("--skip-db-update").count(), 1, "{asked}");
    // The environment of the running container holds a key, which is told and not shown.
    let found = section["findings"].as_array().expect("findings");
    let key = found.iter().find(|finding| finding["evidence"].to_string().contains("ghp_"));
    let key = key.unwrap_or_else(|| panic!("a key in the environment: {section:#}"));
    assert!(key.to_string().contains("one"), "{key:#}");

    // All projects of the engine: the scanner's own image too.
    let images = json!({ "docker": host, "cache": cache,
        "container": { "image": SCANNER, "socket": socket() } });
    let names: Vec<String> =
        rows(&audit(place, &images, "images")).into_iter().map(|row| row.0).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(names.contains(&SCANNER.to_owned()), "{names:?}");
    assert_eq!(scanners(), "", "no container of the scan is left");
}

#[test]
#[ignore = "needs a Docker engine: .ci/live/docker.sh"]
fn a_scan_that_cannot_be_made_is_not_tested_and_one_that_is_ended_leaves_no_container() {
    let platform = Platform::without(&["chat", "rag", "mcp"]);
    let place = &platform.place;
    import_scanner(place);
    let images = |scanner: &str, name: &str| {
        json!({ "names": [name], "cache": place.path(),
            "container": { "image": scanner, "socket": socket() } })
    };
    let section = audit(place, &images("shakedown-no-such-image:1", IMAGE), "images");
    let check = &section["checks"][0];
    assert_eq!(check["status"], "not tested", "{section:#}");
    let why = check["coverage"].as_str().expect("a reason");
    assert!(why.contains("Error response from daemon"), "{why}");
    assert_eq!(section["score"], Value::Null, "nothing tested is no score");

    let running = command(place, &images(SCANNER, "slow:1"), "images").spawn().expect("runs");
    wait_for("the container of the scan", || {
        let top = docker(&["ps", "--filter", "label=shakedown.role=trivy", "--no-trunc"]);
        top.contains("slow:1").then_some(())
    });
    let pid = rustix::process::Pid::from_raw(i32::try_from(running.id()).expect("a pid"));
    rustix::process::kill_process(pid.expect("a pid"), rustix::process::Signal::INT)
        .expect("signalled");
    let (code, out, err) = ended(running);
    assert_ne!(code, Some(0), "{out}{err}");
    wait_for("the end of the container", || scanners().is_empty().then_some(()));
}

/// What the real Trivy says of the images of this engine without a database, and without one to ask.
#[test]
#[ignore = "needs a Docker engine: .ci/live/docker.sh"]
fn the_real_trivy_without_its_database_is_never_taken_for_a_clean_image() {
    let found = Command::new("trivy").arg("--version").output();
    let Ok(version) = found else {
        println!("trivy: NOT RUN, it is not on the PATH");
        return;
    };
    println!("{}", text(&version.stdout).trim());
    let platform = Platform::without(&["chat", "rag", "mcp"]);
    let place = &platform.place;
    platform.run("one", &["--network", "none"], &["/bin/sleep", "1000"]);
    let cache = place.path().join("cache");
    let host = std::env::var("DOCKER_HOST").expect("set by the suite");
    let images = json!({ "docker": host, "cache": cache, "offline": true, "patience": "2m" });
    let section = audit(place, &images, "images");
    let check = &section["checks"][0];
    assert_eq!(check["status"], "not tested", "{section:#}");
    assert!(section["database"]["trivy"].is_string(), "its version is known: {section:#}");
    assert_eq!(rows(&section)[0].2, "failed", "{section:#}");
    let why = section["images"][0]["detail"].as_str().expect("a reason");
    assert!(why.contains("--skip-db-update"), "{why}");
}
