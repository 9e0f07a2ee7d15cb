//! The control socket: snapshot and tail are the whole story, several clients at once, and nobody
//! who is slow holds anybody up.

mod support;

use std::io::Write;
use std::time::Duration;

use shakedown::run::client::{ClientUpdate, EngineClient};
use shakedown::run::connection;
use shakedown::run::control::Command;
use shakedown::run::event::EventBody;
use shakedown::run::recovery;
use shakedown::run::state::{RunState, RunStatus};
use support::{Workplace, ended, text, wait_for_intervals};

/// Follows a run until something holds, or to its end.
async fn follow(
    client: &mut EngineClient,
    state: &mut RunState,
    until: impl Fn(&RunState) -> bool,
) {
    let follow = async {
        while !until(state) {
            match client.updates.recv().await {
                Some(ClientUpdate::Snapshot(snapshot)) => *state = *snapshot,
                Some(ClientUpdate::Event(event)) => state.apply(&event),
                Some(ClientUpdate::Disconnected(reason)) => panic!("{reason}"),
                Some(_) => {}
                None => break,
            }
        }
    };
    tokio::time::timeout(support::PATIENCE, follow).await.expect("in time");
}

/// Whether a run came to its own end: on a machine that is kept busy its load may be invalid (3).
const fn is_over(code: Option<i32>) -> bool {
    matches!(code, Some(0 | 3))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn snapshot_and_tail_equal_the_full_fold_for_every_client() {
    let place = Workplace::for_measuring();
    let child = place.headless(6, &[]);
    let run = place.run();
    let mut early = connection::connect(&run, "early".into(), false);
    let mut early_state = RunState::default();
    follow(&mut early, &mut early_state, |state| state.seq > 5).await;
    wait_for_intervals(&run, 3);
    let mut late = connection::connect(&run, "late".into(), true);
    let mut late_state = RunState::default();
    follow(&mut late, &mut late_state, |state| state.seq > 0).await;
    assert!(late.send(Command::Pause {}).is_some());
    follow(&mut late, &mut late_state, |_| false).await;
    follow(&mut early, &mut early_state, |_| false).await;
    let (code, out, err) = ended(child);
    assert!(is_over(code), "{out}\n{err}");

    let whole = recovery::open(&run, &shakedown::slo::SloJudge).expect("readable").state;
    assert_eq!(whole.status, RunStatus::Finished);
    assert_eq!(early_state, whole);
    assert_eq!(late_state, whole);
    let obeyed = whole.acknowledgements.iter().any(|ack| ack.client == "late");
    assert!(!obeyed, "a read-only client was obeyed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_are_acknowledged_and_carried_out() {
    let place = Workplace::for_measuring();
    let child = place.headless(600, &[]);
    let run = place.run();
    let mut client = connection::connect(&run, "operator".into(), false);
    let mut state = RunState::default();
    let intervals = |state: &RunState| {
        state.latest_load().and_then(|phase| phase.load.as_ref()).map_or(0, |load| load.intervals)
    };
    follow(&mut client, &mut state, |state| intervals(state) >= 2).await;

    client.send(Command::Pause {});
    follow(&mut client, &mut state, |state| state.status == RunStatus::Paused).await;
    let held = state.running_phase().expect("mixed").elapsed_us(state.now_us);
    let measured = intervals(&state);
    client.send(Command::Pause {});
    client.send(Command::Annotate { text: "still here\u{1b}[2J".into() });
    follow(&mut client, &mut state, |state| state.acknowledgements.len() >= 3).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(state.acknowledgements.iter().any(|ack| ack.refused.is_some()), "paused twice");
    client.send(Command::Resume {});
    follow(&mut client, &mut state, |state| state.status == RunStatus::Running).await;
    assert_eq!(intervals(&state), measured, "nothing is measured in a pause");
    let resumed = state.running_phase().expect("mixed").elapsed_us(state.now_us);
    assert!(resumed < held + 1_000_000, "the plan clock went on: {held} to {resumed}");
    assert!(
        state.marks.iter().any(|mark| mark.text == "operator: still here [2J"),
        "{:?}",
        state.marks
    );

    client.send(Command::Rescale { scenario: Some("mcp".into()), by: 30 });
    let users = |state: &RunState| {
        state.latest_load().and_then(|p| p.load.as_ref()).and_then(|l| l.users.get("mcp").copied())
    };
    follow(&mut client, &mut state, |state| users(state) >= Some(30)).await;

    client.send(Command::SkipPhase {});
    follow(&mut client, &mut state, |_| false).await;
    let verdict = state.verdict.expect("over").to_string();
    assert!(verdict.contains("mixed"), "the skipped phase is named: {verdict}");
    ended(child);
}

#[test]
fn a_client_that_never_reads_and_one_that_talks_rubbish_hold_nobody_up() {
    let place = Workplace::for_measuring();
    let child = place.headless(5, &[]);
    let run = place.run();
    wait_for_intervals(&run, 1);
    let socket = run.path().join("control.sock");
    let connect = || std::os::unix::net::UnixStream::connect(&socket).expect("listening");
    let mut silent = connect();
    silent.write_all(b"{\"to_engine\":\"hello\",\"client\":\"silent\"}\n").expect("written");
    let mut rubbish = connect();
    rubbish.write_all(&[b'x'; 100_000]).ok();
    let mut deep = connect();
    deep.write_all("[".repeat(60_000).as_bytes()).ok();
    let (code, out, err) = ended(child);
    assert!(is_over(code), "{out}\n{err}");
    place.wait_until_nothing_runs();
}

#[tokio::test]
async fn an_engine_of_another_version_is_left_alone() {
    let temp = tempfile::tempdir().expect("temporary folder");
    let run = shakedown::run::folder::RunFolder::at(temp.path().to_owned());
    let _alive = run.claim().expect("free");
    let listener = tokio::net::UnixListener::bind(temp.path().join("control.sock"));
    let listener = listener.expect("bound");
    let attempts = tokio::spawn(async move {
        let mut attempts = 0;
        loop {
            let accepted = tokio::time::timeout(Duration::from_secs(1), listener.accept()).await;
            let Ok(Ok((mut stream, _))) = accepted else { return attempts };
            attempts += 1;
            let mut hello = [0; 1024];
            tokio::io::AsyncReadExt::read(&mut stream, &mut hello).await.expect("a greeting");
            let snapshot = b"{\"snapshot\":{\"state\":{\"from\":\"the future\"}}}\n";
            tokio::io::AsyncWriteExt::write_all(&mut stream, snapshot).await.expect("written");
        }
    });
    let mut client = connection::connect(&run, "old".into(), true);
    let reason = async {
        loop {
            match client.updates.recv().await.expect("an end that says why") {
                ClientUpdate::Disconnected(reason) => return reason,
                update => assert!(matches!(update, ClientUpdate::Connecting(_)), "{update:?}"),
            }
        }
    };
    let reason = tokio::time::timeout(support::PATIENCE, reason).await.expect("in time");
    assert!(reason.contains("version"), "{reason}");
    assert_eq!(attempts.await.expect("ended"), 1, "it was asked again and again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_is_told_to_who_asked_and_not_to_everybody() {
    let place = Workplace::for_measuring();
    let child = place.headless(600, &[]);
    let run = place.run();
    let (mut one, mut other) = (RunState::default(), RunState::default());
    let mut asks = connection::connect(&run, "operator".into(), false);
    let mut looks = connection::connect(&run, "operator".into(), false);
    follow(&mut asks, &mut one, |state| state.seq > 5).await;
    follow(&mut looks, &mut other, |state| state.seq > 5).await;
    let mine = asks.send(Command::Resume {}).expect("sent");
    let theirs = looks.send(Command::Resume {}).expect("sent");
    assert_ne!(mine, theirs, "one client would take the other's refusal for its own");
    asks.send(Command::ABORT_RUN);
    follow(&mut asks, &mut one, |_| false).await;
    ended(child);
}

#[test]
fn what_a_run_writes_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let place = Workplace::for_measuring();
    let child = place.headless(3, &[]);
    let run = place.run();
    wait_for_intervals(&run, 1);
    let mode =
        |path: &std::path::Path| path.metadata().expect("there").permissions().mode() & 0o777;
    assert_eq!((mode(&place.runs()), mode(run.path())), (0o700, 0o700));
    for entry in run.path().read_dir().expect("folder").flatten() {
        assert_eq!(mode(&entry.path()), 0o600, "{}", entry.path().display());
    }
    ended(child);
    for entry in run.path().read_dir().expect("folder").flatten() {
        assert_eq!(mode(&entry.path()), 0o600, "{}", entry.path().display());
    }
    let state = text(&std::fs::read(run.path().join("events.jsonl")).expect("journal"));
    let last: shakedown::run::event::Event =
        serde_json::from_str(state.lines().last().expect("a line")).expect("event");
    assert!(matches!(last.body, EventBody::RunFinished { .. }));
}
