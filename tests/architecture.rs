//! The arrows between the rooms point where `docs/architecture.md` says.

use std::fs;
use std::path::{Path, PathBuf};

/// Each room with the rooms that it may use.
const ARROWS: [(&str, &[&str]); 13] = [
    ("config", &[]),
    ("run", &["config"]),
    ("platform", &["config"]),
    ("load", &["run", "platform", "config"]),
    ("chaos", &["run", "platform", "config"]),
    ("security", &["run", "platform", "config"]),
    ("backup", &["run", "platform", "config"]),
    ("slo", &["run", "platform", "config"]),
    ("monitor", &["run", "platform", "config"]),
    ("notify", &["run", "platform", "config"]),
    ("report", &["run", "config"]),
    ("tui", &["run", "config"]),
    ("sandbox", &["config"]),
];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

fn is_test(file: &Path) -> bool {
    file.ends_with("tests.rs") || file.components().any(|part| part.as_os_str() == "tests")
}

/// The code of a file without its unit tests, which may use the sandbox as a target.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).expect("readable");
    let tests = ["mod tests {", "pub(super) mod tests {", "pub(crate) mod tests {"]
        .map(|of| format!("#[cfg(test)]\n{of}"));
    let ends = tests.iter().filter_map(|mark| text.find(mark)).min().unwrap_or(text.len());
    text[..ends].to_owned()
}

#[test]
fn arrows_point_where_the_plan_says() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let rooms: Vec<&str> = ARROWS.iter().map(|(room, _)| *room).chain(["cli"]).collect();
    let mut wrong = Vec::new();
    for (room, allowed) in ARROWS {
        for file in sources(&src.join(room)) {
            let code = code(&file);
            for other in rooms.iter().filter(|other| **other != room && !allowed.contains(other)) {
                if code.contains(&format!("crate::{other}")) {
                    wrong.push(format!("{} uses {other}", file.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn no_file_grows_beyond_a_room() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let long: Vec<String> = sources(&src)
        .into_iter()
        .map(|file| (fs::read_to_string(&file).expect("readable").lines().count(), file))
        .filter(|(lines, _)| *lines > 500)
        .map(|(lines, file)| format!("{}: {lines} lines", file.display()))
        .collect();
    assert!(long.is_empty(), "{long:#?}");
}

#[test]
fn no_code_but_tests_panics_on_purpose() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    for file in sources(&src).iter().filter(|file| !is_test(file)) {
        for (at, line) in code(file).lines().enumerate() {
            let words =
                [".unwrap()", ".expect(", "panic!(", "todo!(", "unimplemented!(", "unreachable!("];
            if words.iter().any(|word| line.contains(word)) {
                found.push(format!("{}:{}: {}", file.display(), at + 1, line.trim()));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}
