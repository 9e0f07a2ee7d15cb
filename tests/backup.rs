//! The backup drill on the embedded sandbox by the real program: what it shows, and that nothing is
//! left of it, however it ends. What is left is looked for from outside, never asked of the program.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use shakedown::config::{SecretSource, Store};
use shakedown::run::folder::RunFolder;
use shakedown::sandbox::{Options, Sandbox, config};
use support::{Workplace, ended, engine_pid, report, signal, text, wait_for};

fn drill(place: &Workplace, config: Option<&Path>, more: &[&str]) -> std::process::Child {
    let mut command = place.command(&["backup", "--headless", "--seed", "7"]);
    command.args(["--set", "backup.canary_interval=50ms"]).args(more);
    if !more.contains(&"--documents") {
        command.args(["--documents", "40"]);
    }
    if let Some(config) = config {
        command.arg("--config").arg(config);
    }
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    command.spawn().expect("program runs")
}

fn undo_entries(place: &Workplace) -> usize {
    fs::read_dir(place.path().join("state/shakedown/undo-drill")).map_or(0, Iterator::count)
}

#[test]
fn every_store_of_the_sandbox_comes_back_record_by_record() {
    let place = Workplace::new();
    let (code, out, err) = ended(drill(&place, None, &[]));
    assert_eq!(code, Some(0), "{out}\n{err}");
    let run = place.run();
    let report = report(&run);
    let phase =
        report["phases"].as_array().expect("phases").iter().find(|p| p["phase"] == "backup");
    let drill = &phase.expect("backup")["backup"][0];
    let stores = drill["stores"].as_array().expect("stores");
    assert!(!stores.is_empty() && drill["records_lost"] == 0, "{drill}");
    for store in stores {
        assert_eq!((&store["verdict"], &store["level"]), (&json!("pass"), &json!("L6")), "{store}");
        assert_eq!(store["absence_proven"], json!(true));
        assert!(store["label"].is_string(), "it says what it really is: {store}");
        let records = &store["records"];
        assert_eq!(records["digest_before"], records["digest_after"], "{records}");
        assert!(
            store["verifier"].as_object().expect("tests").values().all(|caught| *caught == true)
        );
        assert!(store["rto_seconds"]["total"].as_f64() > Some(0.0), "{store}");
        assert!(store["residue"].as_array().is_some_and(Vec::is_empty), "{store}");
    }
    let more_than_one = stores.len() > 1;
    assert_eq!(drill["cross_store"]["whole"] == json!(40), more_than_one, "{drill}");
    let own: Value =
        serde_json::from_slice(&fs::read(run.path().join("backup_report.json")).expect("written"))
            .expect("JSON");
    assert_eq!(own["backup"], phase.expect("backup")["backup"]);
    assert_eq!((undo_entries(&place), run.path().join("drill").exists()), (0, false));
}

#[test]
fn options_choose_stores_and_documents_and_wrong_ones_are_refused() {
    let place = Workplace::new();
    let (code, out, err) = ended(drill(&place, None, &["--store", "redis", "--documents", "3"]));
    assert_eq!(code, Some(0), "{out}\n{err}");
    let report = report(&place.run());
    let text = report.to_string();
    assert!(text.contains("\"documents\":3,") && text.contains("not asked for"), "{text}");
    for wrong in [&["--documents", "0"][..], &["--store", "mysql"], &["--arm-in-place", "nobody"]] {
        let output = place.command(&["backup", "--headless"]).args(wrong).output().expect("runs");
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
    }
    let nothing = place.output(&["backup", "--cleanup"]);
    assert!(text_of(&nothing).contains("nothing to clean"), "{}", text_of(&nothing));
    let dry = text_of(&place.output(&["backup", "--dry-run"]));
    assert!(dry.contains("redis: Redis") && dry.contains("not ours and not touched"), "{dry}");
}

fn text_of(output: &std::process::Output) -> String {
    text(&output.stdout)
}

/// A sandbox that outlives the engines which drill it, and a configuration that leads there.
async fn lasting_sandbox(place: &Workplace) -> (Sandbox, PathBuf, Store) {
    let executable = Path::new(env!("CARGO_BIN_EXE_shakedown"));
    let sandbox = Sandbox::launch(executable, &Options::default()).await.expect("comes up");
    let config = config(sandbox.endpoints());
    let redis = config.stores.redis.clone().expect("a Redis");
    let path = place.path().join("shakedown.yaml");
    fs::write(&path, serde_yaml::to_string(&config).expect("YAML")).expect("written");
    (sandbox, path, redis)
}

/// Every key of a Redis with what it holds.
fn keys(store: &Store) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut connection = redis_of(store);
    let keys: Vec<Vec<u8>> = redis::cmd("KEYS").arg("*").query(&mut connection).expect("keys");
    let dump = |key: Vec<u8>| {
        let dump = redis::cmd("DUMP").arg(&key).query(&mut redis_of(store)).expect("dumped");
        (key, dump)
    };
    keys.into_iter().map(dump).collect()
}

fn redis_of(store: &Store) -> redis::Connection {
    let address = store.url.strip_prefix("redis://").expect("scheme");
    let client = redis::Client::open(format!("redis://{address}")).expect("address");
    let mut connection = client.get_connection().expect("reached");
    if let Some(SecretSource::File(path)) = &store.password {
        let password = fs::read_to_string(path).expect("readable");
        redis::cmd("AUTH").arg(password.trim()).query::<()>(&mut connection).expect("let in");
    }
    connection
}

fn bystanders(store: &Store) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut connection = redis_of(store);
    for at in 0..50 {
        let key = format!("bystander:{at}");
        redis::cmd("SET").arg(key).arg(at * at).query::<()>(&mut connection).expect("set");
    }
    redis::cmd("RPUSH").arg("queue").arg(&[1, 2, 3]).query::<()>(&mut connection).expect("pushed");
    keys(store)
}

/// The run whose engine is at work.
fn live_run(place: &Workplace, known: &[String]) -> RunFolder {
    wait_for("another run", || {
        let runs = RunFolder::list(&place.runs());
        runs.into_iter().find(|run| !known.contains(&run.id()))
    })
}

fn drilling(run: &RunFolder) -> bool {
    let state = shakedown::run::journal::read(run.path()).expect("readable").state;
    let drill = state.phases.iter().find_map(|phase| phase.backup.as_ref());
    drill.is_some_and(|drill| drill.latest().is_some_and(|drill| !drill.stores.is_empty()))
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_twenty_moments_exactly_what_was_ours_is_removed() {
    let place = Workplace::new();
    let (sandbox, config, redis) = lasting_sandbox(&place).await;
    let before = bystanders(&redis);
    let (mut known, mut dirty) = (Vec::new(), 0);
    for moment in 0..20_u64 {
        let child = drill(&place, Some(&config), &["--detach"]);
        let (_, out, err) = ended(child);
        let run = live_run(&place, &known);
        known.push(run.id());
        let pid = engine_pid(&run);
        wait_for("the drill", || drilling(&run).then_some(()));
        // From the first key on, spread over what is left of a drill, in no order.
        while keys(&redis) == before && run.has_live_engine() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(Duration::from_millis(moment * 7919 % 200)).await;
        signal(pid, Signal::KILL);
        wait_for("the engine's end", || (!run.has_live_engine()).then_some(()));
        dirty += usize::from(keys(&redis) != before);
        let cleaned = place.output(&["backup", "--cleanup"]);
        let words = text(&cleaned.stderr);
        assert_eq!(cleaned.status.code(), Some(0), "{out}{err}{words}");
        assert_eq!(keys(&redis), before, "moment {moment}: {words}");
        assert_eq!(undo_entries(&place), 0, "moment {moment}: {words}");
        assert!(!run.path().join("drill").exists(), "moment {moment}: {words}");
    }
    assert!(dirty > 5, "only {dirty} of 20 were killed while something was there");
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abort_cleans_and_the_next_start_cleans_after_a_kill() {
    let place = Workplace::new();
    let (sandbox, config, redis) = lasting_sandbox(&place).await;
    let before = bystanders(&redis);
    let child = drill(&place, Some(&config), &["--documents", "3000"]);
    let run = live_run(&place, &[]);
    wait_for("the drill", || drilling(&run).then_some(()));
    signal(engine_pid(&run), Signal::TERM);
    let (code, out, _) = ended(child);
    assert_eq!(code, Some(130), "{out}");
    assert_eq!(keys(&redis), before, "{out}");
    assert_eq!(undo_entries(&place), 0);

    let (_, _, _) = ended(drill(&place, Some(&config), &["--detach", "--documents", "3000"]));
    let second = live_run(&place, &[run.id()]);
    wait_for("something to clean", || (keys(&redis) != before).then_some(()));
    signal(engine_pid(&second), Signal::KILL);
    wait_for("its end", || (!second.has_live_engine()).then_some(()));
    let told = text_of(&place.output(&["report", &second.id()]));
    assert!(told.contains("redis     -            did not end, during "), "{told}");
    let (code, out, err) = ended(drill(&place, Some(&config), &["--store", "redis"]));
    assert_eq!(code, Some(0), "{out}\n{err}");
    assert_eq!(keys(&redis), before, "what the first left is gone, and what the second made");
    sandbox.stop().await;
}
