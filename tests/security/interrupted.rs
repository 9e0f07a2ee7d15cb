//! An audit that is held, aborted or killed at any moment leaves nothing behind that it wrote.

use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Stdio};
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use shakedown::run::connection;
use shakedown::run::control::Command;
use shakedown::run::event::{EventBody, SecurityEvent};
use shakedown::run::folder::{EngineGuard, RunFolder};
use shakedown::run::journal;
use shakedown::run::state::RunStatus;

use super::config;
use super::support::{Workplace, ended, engine_pid, report, signal, text, wait_for};
use super::twin::{MOTTO, SECOND, Twin, WEAK_TOKEN, serve};

/// The configuration of a twin whose uploads are found by their names, at a pace that leaves time to
/// interfere.
fn slow_config(base_url: &str) -> Value {
    let mut config = config(base_url);
    config["security"]["checks"] = json!(["xss", "upload"]);
    // What takes the place of something, and the page that shows it.
    config["security"]["operations"] = json!([
        { "service": "rag", "request": { "path": "/motto", "body": { "motto": MOTTO } } },
        { "service": "rag", "request": { "method": "GET", "path": "/motto" } },
    ]);
    config["security"]["discovery"] = json!({ "crawl_pages": 0, "openapi": { "rag": "none" } });
    config["security"]["uploads"][0]["fetch"] = json!("/files/{name}");
    config["security"]["uploads"][0]["delete"]["path"] = json!("/files/{name}");
    config
}

struct Audit {
    place: Workplace,
    twin: Twin,
    child: Option<Child>,
    run: RunFolder,
    base_url: String,
}

impl Audit {
    async fn start() -> Self {
        Self::start_at(15).await
    }

    /// Starts one that asks so often a second.
    async fn start_at(pace: u32) -> Self {
        let at_pace = |config: &mut Value| config["security"]["requests_per_second"] = json!(pace);
        Self::start_with(at_pace, false).await
    }

    /// Starts one that is configured in another way, on a twin that may be slow to say what it stored.
    async fn start_with(configured: impl FnOnce(&mut Value), slow: bool) -> Self {
        let (base_url, twin) = serve(true, WEAK_TOKEN).await;
        twin.slow.store(slow, Ordering::Relaxed);
        let place = Workplace::new();
        let path = place.path().join("shakedown.yaml");
        let mut config = slow_config(&base_url);
        configured(&mut config);
        std::fs::write(path, config.to_string()).expect("written");
        let mut command = place.command(&["security", "--headless"]);
        secrets(&mut command);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("runs");
        let run = place.run();
        Self { place, twin, child: Some(child), run, base_url }
    }

    /// Things that were put on record as written so far.
    fn written(&self) -> usize {
        let events = journal::read(self.run.path()).map(|read| read.state);
        let Ok(state) = events else { return 0 };
        state
            .phases
            .iter()
            .filter_map(|phase| phase.security.as_ref())
            .map(|s| s.written as usize)
            .sum()
    }

    fn residue(&self) -> usize {
        let state = journal::read(self.run.path()).expect("readable").state;
        let audits = state.phases.iter().filter_map(|phase| phase.security.as_ref());
        audits.map(|audit| audit.residue.len()).sum()
    }

    fn nothing_is_there(&self) {
        let documents = self.twin.documents.lock().expect("not poisoned");
        assert!(documents.is_empty(), "{:?}", documents.keys());
        let files = self.twin.files.lock().expect("not poisoned");
        assert!(files.is_empty(), "{:?}", files.keys());
        assert_eq!(*self.twin.motto.lock().expect("not poisoned"), MOTTO);
    }

    /// Waits until an attack stands in the place of what is configured.
    fn wait_for_a_motto(&self) {
        let attack = || self.twin.motto.lock().expect("not poisoned").contains('<').then_some(());
        tokio::task::block_in_place(|| wait_for("another motto", attack));
    }

    /// Aborts it: nothing of what it wrote is there, and its absence is on record.
    async fn is_aborted_and_undone(&mut self) {
        let mut client = connection::connect(&self.run, "operator".into(), false);
        client.send(Command::ABORT_RUN).expect("sent");
        let child = self.child.take().expect("not ended yet");
        let (code, out, err) = tokio::task::spawn_blocking(|| ended(child)).await.expect("ended");
        assert_ne!(code, Some(0), "{out}{err}");
        let verdict = report(&self.run)["verdict"].to_string();
        assert!(verdict.contains("aborted"), "{verdict}: {out}{err}");
        self.nothing_is_there();
        assert_eq!(self.residue(), 0, "{out}{err}");
    }

    fn kill(&mut self) {
        signal(engine_pid(&self.run), Signal::KILL);
        tokio::task::block_in_place(|| {
            let _ = self.child.as_mut().map(Child::wait);
        });
    }

    /// Runs a command in its workplace; the exit code and what it says.
    fn told(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let mut command = self.place.command(arguments);
        secrets(&mut command);
        let output = tokio::task::block_in_place(|| command.output().expect("runs"));
        (output.status.code(), text(&output.stdout) + &text(&output.stderr))
    }
}

fn secrets(command: &mut std::process::Command) {
    command
        .env("TWIN_TOKEN", WEAK_TOKEN)
        .env("SECOND_TOKEN", SECOND)
        .env("THROW_AWAY", "throw-away");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_holds_every_request_and_an_abort_removes_what_was_written() {
    let mut audit = Audit::start().await;
    tokio::task::block_in_place(|| wait_for("a file", || (audit.written() >= 4).then_some(())));
    let mut client = connection::connect(&audit.run, "operator".into(), false);
    client.send(Command::Pause {}).expect("sent");
    let status = || journal::read(audit.run.path()).expect("readable").state.status;
    let paused = || (status() == RunStatus::Paused).then_some(());
    tokio::task::block_in_place(|| wait_for("the pause", paused));
    let held = audit.written();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(audit.written(), held, "nothing is written in a pause");
    client.send(Command::Resume {}).expect("sent");
    tokio::task::block_in_place(|| {
        wait_for("more files", || (audit.written() > held + 1).then_some(()));
    });
    audit.is_aborted_and_undone().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_audit_wrote_is_removed_by_recover_and_by_the_next_start() {
    // After so many things were put on record, in the middle of whatever comes next.
    for (moment, by_recover) in [(1, true), (2, true), (5, false), (9, true), (14, false)] {
        let mut audit = Audit::start().await;
        tokio::task::block_in_place(|| {
            wait_for("something written", || (audit.written() >= moment).then_some(()));
        });
        audit.kill();
        if by_recover {
            let (code, told) = audit.told(&["recover"]);
            assert_eq!(code, Some(0), "{moment}: {told}");
        } else {
            let (_, told) = audit.told(&["security", "--headless", "--only", "headers"]);
            assert!(
                told.contains("things that its audit wrote or replaced are undone now"),
                "{moment}: {told}"
            );
        }
        audit.nothing_is_there();
        assert_eq!(audit.residue(), 0, "{moment}: their absence is on record");
        let removed = events(&audit.run)
            .into_iter()
            .filter(|event| matches!(event, SecurityEvent::Removed { gone: true, .. }));
        assert!(removed.count() >= 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_abort_waits_for_the_answer_that_tells_where_a_file_is() {
    let by_answer = |config: &mut Value| {
        config["security"]["checks"] = json!(["upload"]);
        let upload = &mut config["security"]["uploads"][0];
        upload["fetch"] = json!("/files/{stored}");
        upload["delete"]["path"] = json!("/files/{stored}");
    };
    let mut audit = Audit::start_with(by_answer, true).await;
    let stored = || (!audit.twin.files.lock().expect("not poisoned").is_empty()).then_some(());
    tokio::task::block_in_place(|| wait_for("a file", stored));
    audit.is_aborted_and_undone().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_next_start_cannot_remove_is_named_once_with_the_reason() {
    let mut audit = Audit::start().await;
    tokio::task::block_in_place(|| {
        wait_for("something written", || (audit.residue() > 0).then_some(()));
    });
    audit.kill();
    let order = audit.run.path().join("order.json");
    let asked = std::fs::read_to_string(&order).expect("the order");
    let elsewhere = asked.replace(&audit.base_url, "http://127.0.0.1:9");
    std::fs::write(&order, elsewhere).expect("written");
    let (_, told) = audit.told(&["security", "--headless", "--only", "headers"]);
    let named = format!("run {}: still there: shakedown-", audit.run.id());
    let lines: Vec<&str> = told.lines().filter(|line| line.contains(&named)).collect();
    assert!(!lines.is_empty(), "{told}");
    assert_eq!(lines.len(), audit.residue(), "{told}");
    assert!(lines.iter().all(|line| line.contains("refused")), "{told}");
    assert!(!told.contains("may have left documents"), "{told}");
    std::fs::write(&order, asked).expect("written");
    let (code, told) = audit.told(&["recover"]);
    assert_eq!(code, Some(0), "{told}");
    audit.nothing_is_there();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_attack_replaced_is_put_back_after_an_abort_and_after_a_kill() {
    let mut audit = Audit::start_at(4).await;
    audit.wait_for_a_motto();
    audit.is_aborted_and_undone().await;
    for by_recover in [true, false] {
        let mut audit = Audit::start_at(4).await;
        audit.wait_for_a_motto();
        audit.kill();
        assert_ne!(*audit.twin.motto.lock().expect("not poisoned"), MOTTO, "it is still there");
        // However many runs go on that began later: they have nothing that could be removed.
        let busy: Vec<_> = (0..20).map(|_| going_on(&audit)).collect();
        let (code, told) = match by_recover {
            true => audit.told(&["recover"]),
            false => audit.told(&["security", "--headless", "--only", "headers"]),
        };
        assert!(!by_recover || code == Some(0), "{told}");
        audit.nothing_is_there();
        assert_eq!(audit.residue(), 0, "{told}");
        drop(busy);
    }
}

#[test]
fn a_killed_audit_takes_its_trivy_with_it() {
    let place = Workplace::new();
    let program = place.path().join("trivy");
    let script =
        "#!/bin/sh\ncase \"$*\" in *--severity*) echo $$ > \"$0.pid\"; exec sleep 100 ;; esac\n";
    std::fs::write(&program, script).expect("written");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("set");
    let config = json!({
        "target": { "name": "images", "environment": "development" },
        "services": { "chat": { "endpoint": { "base_url": "http://127.0.0.1:9" }, "model": "m" } },
        "security": { "images": { "names": ["app:1"], "trivy": program }, "checks": ["images"] },
    });
    std::fs::write(place.path().join("shakedown.yaml"), config.to_string()).expect("written");
    let mut command = place.command(&["security", "--headless"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("runs");
    let run = place.run();
    let pid = wait_for("a scan", || {
        let told = std::fs::read_to_string(place.path().join("trivy.pid")).ok()?;
        told.trim().parse::<u32>().ok()
    });
    // Somebody may have to look after one that has ended.
    let lives = || {
        let state = std::fs::read_to_string(format!("/proc/{pid}/stat"));
        state.is_ok_and(|state| !state.contains(") Z "))
    };
    assert!(lives());
    signal(engine_pid(&run), Signal::KILL);
    wait_for("its end", || (!lives()).then_some(()));
    child.wait().expect("ended");
}

/// A run that goes on beside an audit, as far as others can tell.
fn going_on(audit: &Audit) -> EngineGuard {
    let run = RunFolder::create(&audit.place.runs()).expect("created");
    let journal = |run: &RunFolder| run.path().join("events.jsonl");
    let text = std::fs::read_to_string(journal(&audit.run)).expect("readable");
    let begun = text.lines().next().expect("its first event");
    std::fs::write(journal(&run), format!("{begun}\n")).expect("written");
    run.claim().expect("nobody else's")
}

fn events(run: &RunFolder) -> Vec<SecurityEvent> {
    let text = std::fs::read_to_string(run.path().join("events.jsonl")).expect("readable");
    let events = text
        .lines()
        .filter_map(|line| serde_json::from_str::<shakedown::run::event::Event>(line).ok());
    events
        .filter_map(|event| match event.body {
            EventBody::Security(event) => Some(event),
            _ => None,
        })
        .collect()
}
