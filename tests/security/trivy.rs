//! Trivy by a stand-in of its name, with what the real one answers and with what it should not.

use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use super::support::Workplace;
use super::{run, status};

/// What the stand-in does with an image, by its name.
const SCRIPT: &str = r#"#!/bin/sh
echo "$@" >> "$(dirname "$0")/asked"
case "$*" in
    "version --format json") cat "$(dirname "$0")/version.json"; exit 0 ;;
    *--download-db-only*) exit 0 ;;
esac
for image; do :; done
case "$image" in
    absent) echo '2026-11-24T10:00:00Z FATAL Fatal error run error: image scan error: unable to find the specified image' >&2; exit 1 ;;
    twice-*) printf '2026-11-24T10:00:00Z\tINFO\tDetected OS\tfamily=alpine\n' >&2; cat "$(dirname "$0")/twice.json" ;;
    noisy) yes 'WARN something' | head -c 20000000 >&2; cat "$(dirname "$0")/clean.json" ;;
    garbage) head -c 100000 /dev/urandom ;;
    torn) printf '{"SchemaVersion":2,"Results":[{"Target' ;;
    empty) : ;;
    huge) yes '{"SchemaVersion":2}' ;;
    slow) sleep 100 ;;
    *) cat "$(dirname "$0")/$image.json" ;;
esac
"#;

/// What it says of an image with packages that nothing is wrong with.
const CLEAN: &str =
    r#"{"SchemaVersion":2,"Results":[{"Class":"os-pkgs","Packages":[{"Name":"a"}]}]}"#;

struct Scan {
    section: Value,
    journal: String,
    asked: String,
    code: Option<i32>,
}

/// Scans images with the stand-in.
async fn scan(names: &[&str], more: Value) -> Scan {
    let place = Workplace::new();
    let folder = place.path().join("bin");
    std::fs::create_dir(&folder).expect("created");
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).expect("written");
    write("old.json", include_str!("../fixtures/trivy/old-alpine.json"));
    write("alpine.json", include_str!("../fixtures/trivy/alpine-and-node.json"));
    write("static.json", include_str!("../fixtures/trivy/no-os.json"));
    write("ageless.json", CLEAN);
    write("clean.json", CLEAN);
    let stripped = json!({
        "SchemaVersion": 2, "Metadata": { "OS": { "Family": "debian", "Name": "12.1" } },
        "Results": [{ "Target": "stripped (debian 12.1)", "Class": "os-pkgs", "Type": "debian" }],
    });
    write("stripped.json", &stripped.to_string());
    write("next.json", r#"{"SchemaVersion":3,"Results":[]}"#);
    let lang = json!({ "SchemaVersion": 2, "Metadata": null, "Results": [
        { "Target": "go.mod", "Class": "lang-pkgs", "Vulnerabilities": [
            { "VulnerabilityID": "CVE-2026-1", "PkgName": "x/net", "Severity": "HIGH" }] },
        { "Target": "Dockerfile", "Class": "config", "Misconfigurations": [{ "ID": "DS002" }] },
        { "Target": "licenses", "Class": "license", "Licenses": [] },
        { "Target": "/app/.env", "Class": "secret", "Secrets": [{
            "RuleID": "aws-access-key-id", "Category": "AWS", "Severity": "CRITICAL",
            "Title": "AWS Access Key ID", "StartLine": 1, "EndLine": 1, "Match": "KEY=****" }] },
    ] });
    write("lang.json", &lang.to_string());
    let twice = json!({ "SchemaVersion": 2, "Metadata": { "ImageID": "sha256:5a1d" }, "Results": [
        { "Target": "go.mod", "Class": "lang-pkgs", "Vulnerabilities": [
            { "VulnerabilityID": "CVE-2026-2", "PkgName": "x/net", "Severity": "HIGH" }] },
    ] });
    write("twice.json", &twice.to_string());
    let now = jiff::Timestamp::now();
    let mut version = json!({ "Version": "0.66.0", "VulnerabilityDB": { "UpdatedAt": now } });
    if names.contains(&"ageless") {
        version["VulnerabilityDB"] = Value::Null;
    }
    write("version.json", &version.to_string());
    write("trivy", SCRIPT);
    let program = folder.join("trivy");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("set");
    let mut images = json!({ "names": names, "trivy": program });
    for (name, value) in more.as_object().expect("settings") {
        images[name] = value.clone();
    }
    let config = json!({
        "target": { "name": "images", "environment": "development" },
        "services": { "chat": { "endpoint": { "base_url": "http://127.0.0.1:9" }, "model": "m" } },
        "security": { "images": images },
    });
    let (code, section) = run(&place, &config, "no-token", &["--only", "images"]).await;
    let asked = std::fs::read_to_string(folder.join("asked")).unwrap_or_default();
    let journal = std::fs::read_to_string(place.run().path().join("events.jsonl"));
    Scan { section, journal: journal.expect("readable"), asked, code }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operating_system_and_language_packages_of_a_real_answer_are_both_taken() {
    let Scan { section, code, .. } = scan(&["alpine"], json!({})).await;
    let image = &section["images"][0];
    assert_eq!((&image["status"], &image["end_of_life"]), (&json!("scanned"), &json!(true)));
    assert_eq!(image["os"], "alpine 3.10.2", "{image:#}");
    assert_eq!(image["fixable"], json!({ "critical": 1, "high": 2 }), "{image:#}");
    assert_eq!(code, Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn images_are_scanned_with_one_download_and_weigh_by_what_can_be_fixed() {
    let Scan { section, asked, code, .. } =
        scan(&["old", "clean", "lang", "noisy"], json!({})).await;
    assert_eq!(status(&section, "image scan"), "vulnerable", "{section:#}");
    assert_eq!(asked.matches("--download-db-only").count(), 1);
    let scans = asked.lines().filter(|line| line.contains("--format json --severity"));
    assert!(scans.clone().all(|line| line.contains("--skip-db-update")), "{asked}");
    assert_eq!(scans.count(), 4);
    let image = |name: &str| {
        let all = section["images"].as_array().expect("images");
        all.iter().find(|image| image["image"] == name).expect("told").clone()
    };
    assert_eq!(image("old")["end_of_life"], true);
    assert_eq!(image("old")["fixable"]["critical"], 1, "{section:#}");
    assert_eq!(image("lang")["unfixed"]["high"], 1);
    // Secrets and misconfigurations are no vulnerabilities: they are taken, and weigh nothing.
    assert_eq!(image("lang")["fixable"]["critical"], 0);
    assert_eq!(image("noisy")["status"], "scanned", "however much it says of itself");
    assert_eq!(image("clean")["fixable"]["critical"], 0);
    assert_eq!(section["database"]["age_hours"], 0);
    assert_eq!(code, Some(1), "a critical one that can be fixed fails");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_names_of_one_image_are_one_image_without_an_engine_that_says_so() {
    let Scan { section, journal, .. } = scan(&["twice-a", "clean", "twice-b"], json!({})).await;
    let images = section["images"].as_array().expect("images");
    let names: Vec<_> = images.iter().map(|image| &image["image"]).collect();
    assert_eq!(names, ["twice-a, twice-b", "clean"], "{section:#}");
    assert_eq!(images[0]["unfixed"]["high"], 1);
    assert_eq!(section["findings"].as_array().map(Vec::len), Some(1), "{section:#}");
    assert_eq!(section["findings"][0]["place"], "twice-a");
    assert!(section["checks"][0]["coverage"].to_string().contains("2 of 2 images"), "{section:#}");
    // What is going on is told while it does.
    assert!(journal.contains(r#""images":["twice-a","clean","twice-b"]"#), "{journal}");
    let step = r#""image":"twice-a","step":"Detected OS family=alpine""#;
    assert!(journal.contains(step), "{journal}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_not_scanned_is_never_clean() {
    for image in ["static", "stripped", "absent", "torn", "empty", "huge", "garbage", "next"] {
        let Scan { section, code, .. } = scan(&[image], json!({})).await;
        assert_eq!(status(&section, "image scan"), "not tested", "{image}: {section:#}");
        assert!(section["score"].as_f64() < Some(100.0), "{image}");
        assert_eq!(code, Some(3), "{image}: {section:#}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_of_which_nobody_knows_how_old_it_is_shows_nothing() {
    let Scan { section, code, .. } = scan(&["ageless"], json!({ "offline": true })).await;
    assert_eq!(status(&section, "image scan"), "not tested", "{section:#}");
    assert!(section["checks"][0]["coverage"].to_string().contains("its age is not told"));
    assert_eq!(code, Some(3));
    let Scan { section, code, .. } = scan(&["ageless"], json!({})).await;
    let coverage = section["checks"][0]["coverage"].to_string();
    assert!(coverage.contains("database up to date"), "it was just downloaded: {coverage}");
    assert_eq!(code, Some(0), "{section:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn findings_of_one_image_do_not_make_up_for_another_that_was_not_scanned() {
    let Scan { section, code, .. } = scan(&["twice-a", "absent"], json!({})).await;
    assert_eq!(status(&section, "image scan"), "vulnerable", "{section:#}");
    assert_eq!(section["findings"].as_array().map(Vec::len), Some(1), "{section:#}");
    let coverage = section["checks"][0]["coverage"].as_str().expect("words");
    assert!(coverage.starts_with("made in part: 1 of 2 images"), "{coverage}");
    assert_eq!(code, Some(3), "one that nobody can fix yet fails nothing: {section:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_takes_too_long_is_ended_and_options_go_through() {
    let more = json!({
        "offline": true, "patience": "1s", "ignore_file": "ignored", "vex": ["a.vex.json"],
    });
    let Scan { section, asked, .. } = scan(&["clean", "slow"], more).await;
    assert_eq!(status(&section, "image scan"), "not tested");
    assert!(!asked.contains("--download-db-only"), "{asked}");
    for option in [
        "--offline-scan",
        "--image-src docker,containerd,podman",
        "--skip-java-db-update",
        "--ignorefile ignored",
        "--vex a.vex.json",
    ] {
        assert!(asked.contains(option), "{option}: {asked}");
    }
    let server = json!({ "server": "http://127.0.0.1:4954" });
    let Scan { asked, .. } = scan(&["clean"], server).await;
    assert!(
        asked.contains("--server http://127.0.0.1:4954") && !asked.contains("--skip-db-update")
    );
}
