//! A drill by the real program of a store whose user may only read.

use serde_json::{Value, json};
use shakedown::config::{Store, StoreKind, Stores};

use super::support::{Workplace, report, text};

/// Drills one store: the verdict says that a write was refused, nothing of ours is left, and nothing
/// is left to be removed. Returns the reason in small letters.
pub async fn is_refused(kind: StoreKind, store: Store) -> String {
    let place = Workplace::new();
    let mut stores = Stores::default();
    *stores.slot(kind) = Some(store);
    let config = json!({
        "target": { "name": "read only", "environment": "staging" },
        "stores": serde_json::to_value(&stores).expect("JSON"),
    });
    let path = place.path().join("shakedown.yaml");
    std::fs::write(&path, config.to_string()).expect("written");
    let mut command = place.command(&["backup", "--headless", "--documents", "3", "--config"]);
    command.arg(&path);
    // Variables of a suite are no configuration.
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SHAKEDOWN_LIVE_")) {
        command.env_remove(name);
    }
    let output = tokio::task::spawn_blocking(move || command.output().expect("runs"));
    let output = output.await.expect("over");
    let said = text(&output.stdout) + &text(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{kind}: {said}");
    let report = report(&place.run());
    let phases = report["phases"].as_array().expect("phases");
    let phase = phases.iter().find(|phase| phase["phase"] == "backup").expect("a drill");
    let store = &phase["backup"][0]["stores"][0];
    assert_eq!(store["verdict"], "inconclusive", "{kind}: {store}");
    assert_eq!(store["residue"], Value::Array(vec![]), "{kind}: {store}");
    let undo = place.path().join("state/shakedown/undo-drill");
    assert_eq!(std::fs::read_dir(undo).map_or(0, Iterator::count), 0, "{kind}: {store}");
    let reason = store["reason"].as_str().unwrap_or_default().to_lowercase();
    let parts: Vec<&str> = reason.split(": ").collect();
    assert!(parts.windows(2).all(|two| two[0] != two[1]), "{kind}: said twice: {reason}");
    reason
}
