//! The real program in a real terminal: start, keys, resize, hang-up, signals, re-attaching.

mod support;

use std::time::Duration;

use portable_pty::{CommandBuilder, PtySize};
use rustix::process::Signal;
use support::screen::Screen;
use support::{Workplace, engine_pid, report, signal, wait_for, wait_for_intervals};

const LONG: [&str; 3] = ["locust", "--set", "phases.full.mixed=600s"];

#[test]
fn keys_do_what_the_footer_says_and_an_abort_ends_in_good_order() {
    let place = Workplace::new();
    let mut screen = Screen::open(&place, &LONG);
    screen.shows("running");
    screen.shows("p pause");
    wait_for_intervals(&place.run(), 2);
    screen.press("2");
    screen.shows("P99  response");
    screen.press("c");
    screen.shows("P99  service");
    screen.shows("generator  trustworthy");
    screen.press("7");
    screen.shows("run log: everything");
    screen.press("l");
    screen.shows("warnings and errors");
    screen.press("l");
    screen.shows("run log: everything");
    screen.press("?");
    screen.shows("keys that do something now");
    screen.press("1e");
    screen.shows("what the numbers mean");
    screen.press("\x1b");
    screen.gone("what the numbers mean");
    screen.press("f");
    screen.shows("view frozen");
    screen.press("fp");
    screen.shows("paused: nothing is in flight");
    screen.press("p");
    screen.shows("running");
    screen.press("+");
    screen.shows("60 users");
    screen.press("nhello there\r");
    screen.shows("hello there");
    screen.press("x");
    screen.shows("report written");
    screen.press("A");
    screen.shows("abort the run?");
    screen.press("n");
    screen.press("A");
    screen.shows("abort the run?");
    screen.press("y");
    screen.shows("finished");
    screen.shows("aborted");
    screen.press("q");
    assert_eq!(screen.ended(), 130);
    screen.is_given_back();
    assert_eq!(report(&place.run())["overall_status"], "aborted");
    place.wait_until_nothing_runs();
}

#[test]
fn alone_it_opens_the_plan_and_nothing_runs_until_enter() {
    // It looks at the verdict, which no other test's load may decide.
    let place = Workplace::for_measuring();
    Workplace::patient_objectives(place.path());
    let short = ["--set", "phases.full.mixed=2s", "--set", "phases.full.ramping=2s"];
    let mut screen = Screen::open(&place, &[&short[..], &["--set", "phases.cooldown=1s"]].concat());
    screen.shows("ready");
    screen.shows("Enter start");
    // Ramping and chaos are left out.
    screen.press("jojo");
    screen.shows("left out");
    screen.press("kk\r");
    screen.shows("running");
    screen.shows("finished");
    screen.shows("without ramping");
    screen.press("q");
    assert_eq!(screen.ended(), 3);
    place.wait_until_nothing_runs();
}

#[test]
fn a_plan_that_is_closed_before_it_began_leaves_no_engine() {
    let place = Workplace::new();
    let mut screen = Screen::open(&place, &[]);
    screen.shows("ready");
    screen.press("q");
    screen.shows("a close it");
    screen.press("a");
    assert_eq!(screen.ended(), 130);
    screen.is_given_back();
    place.wait_until_nothing_runs();
    // It is no run that says anything of the platform.
    let listed = support::text(&place.output(&["runs"]).stdout);
    assert!(listed.contains("never started") && !listed.contains("aborted"), "{listed}");
    assert!(!place.path().join("production_validation_report.json").exists(), "a report beside us");
}

fn niceness(pid: u32) -> i32 {
    let pid = rustix::process::Pid::from_raw(pid.cast_signed());
    rustix::process::getpriority_process(pid).expect("it runs")
}

#[test]
fn a_hang_up_ends_the_dashboard_and_not_the_run() {
    let place = Workplace::new();
    let mut screen = Screen::open(&place, &LONG);
    screen.shows("running");
    let run = place.run();
    wait_for_intervals(&run, 1);
    let watcher = screen.child.process_id().expect("it runs");
    assert_eq!(niceness(watcher) - niceness(engine_pid(&run)), 10, "a watcher gives way");
    screen.hang_up();
    assert_eq!(screen.ended(), 0, "it left, and did not panic");
    let before = shakedown::run::journal::read(run.path()).expect("readable").state.seq;
    wait_for("the run to go on", || {
        let now = shakedown::run::journal::read(run.path()).expect("readable").state.seq;
        (now > before + 3).then_some(())
    });

    let mut again = Screen::open(&place, &["attach"]);
    again.shows("running");
    let mut watcher = Screen::open(&place, &["attach", "--read-only"]);
    watcher.shows("running, only watching");
    assert!(!watcher.text().contains("p pause"), "{}", watcher.text());
    watcher.press("p");
    watcher.shows("only watches");
    again.press("q");
    again.shows("leave?");
    again.press("d");
    assert_eq!(again.ended(), 0);
    again.is_given_back();
    signal(engine_pid(&run), Signal::TERM);
    // Not before the end: until then `q` asks a question.
    watcher.shows("finished");
    watcher.press("q");
    watcher.ended();
    place.wait_until_nothing_runs();
}

#[test]
fn a_locale_that_is_not_of_utf_8_gets_ascii() {
    let place = Workplace::new();
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_shakedown"));
    command.args(LONG);
    command.env("LC_ALL", "C");
    let mut screen = Screen::of_command(&place, command, 24, 80);
    screen.shows("> running");
    wait_for_intervals(&place.run(), 2);
    screen.press("2");
    screen.shows("P99  response");
    let written = screen.written.lock().expect("not poisoned").clone();
    assert!(written.is_ascii(), "{}", String::from_utf8_lossy(&written));
    screen.press("d");
    assert_eq!(screen.ended(), 0);
    signal(engine_pid(&place.run()), Signal::TERM);
    place.wait_until_nothing_runs();
}

#[test]
fn who_leaves_a_run_that_is_to_end_then_is_told_so() {
    let place = Workplace::new();
    let mut screen = Screen::open(&place, &[&LONG[..], &["--on-detach", "abort"]].concat());
    screen.shows("running");
    screen.press("q");
    screen.shows("the run aborts");
    screen.press("d");
    assert_eq!(screen.ended(), 130);
    place.wait_until_nothing_runs();
    let id = place.run().id();
    assert_eq!(report(&place.run())["overall_status"], "aborted");

    // A key that is quicker than what the dashboard hears makes no run go on that is over.
    let mut hasty = Screen::open(&place, &["attach", &id]);
    hasty.press("q");
    assert_eq!(hasty.ended(), 130, "{}", hasty.text());
    hasty.shows("report.html");
    assert!(!hasty.text().contains("watches"), "{}", hasty.text());

    let mut command = CommandBuilder::new("sh");
    let program = env!("CARGO_BIN_EXE_shakedown");
    command.args(["-c", &format!("TERM=dumb exec {program} attach {id}")]);
    let mut dumb = Screen::of_command(&place, command, 24, 80);
    assert_eq!(dumb.ended(), 130);
    dumb.shows("report.html");
    let written = dumb.written.lock().expect("not poisoned");
    assert!(!written.contains(&0x1b), "{}", String::from_utf8_lossy(&written));
}

#[test]
fn a_signal_gives_the_terminal_back_and_a_resize_is_followed() {
    let place = Workplace::new();
    let mut screen = Screen::open(&place, &LONG);
    screen.shows("running");
    for (rows, cols) in [(40, 120), (5, 20), (1, 1), (24, 80)] {
        *screen.parser.lock().expect("not poisoned") = vt100::Parser::new(rows, cols, 0);
        let size = PtySize { rows, cols, ..PtySize::default() };
        screen.master.as_ref().expect("open").resize(size).expect("resized");
        std::thread::sleep(Duration::from_millis(150));
    }
    screen.shows("p pause");
    signal(screen.child.process_id().expect("running"), Signal::TERM);
    screen.ended();
    screen.is_given_back();
    screen.shows("the run goes on");
    let run = place.run();
    assert!(run.has_live_engine(), "the run ended with its dashboard");
    signal(engine_pid(&run), Signal::INT);
    place.wait_until_nothing_runs();
}

#[test]
fn a_dashboard_of_a_killed_engine_says_what_to_do() {
    let place = Workplace::new();
    let mut screen = Screen::open(&place, &LONG);
    screen.shows("running");
    let run = place.run();
    wait_for_intervals(&run, 1);
    signal(engine_pid(&run), Signal::KILL);
    screen.shows("engine gone");
    screen.shows("shakedown report");
    screen.press("q");
    screen.ended();
    place.wait_until_nothing_runs();
    let mut attached = Screen::open(&place, &["attach", &run.id()]);
    attached.shows("finished");
    attached.shows("aborted");
    attached.press("q");
    assert_eq!(attached.ended(), 130);
}

/// Chaos on the embedded sandbox with one long fault, whatever else this machine has to do.
const LONG_FAULT: [&str; 13] = [
    "chaos",
    "--experiment",
    "partition",
    "--set",
    "chaos.partition.length=60s",
    "--set",
    "chaos.steady.baseline=2s",
    "--set",
    "chaos.steady.p95=20s",
    "--set",
    "chaos.steady.availability_percent=20",
    "--set",
    "chaos.probes={}",
];

/// Undo entries that are still open in the journal of a run.
fn open_undos(place: &Workplace) -> usize {
    let folder = place.path().join("state/shakedown/undo");
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let text = files.map(|file| std::fs::read_to_string(file.path()).unwrap_or_default());
    let count = |text: &str, what: &str| text.matches(what).count();
    text.map(|text| count(&text, r#""intended""#) - count(&text, r#""done""#)).sum()
}

#[test]
fn pausing_in_mid_chaos_heals_first_and_resuming_makes_the_experiment_again() {
    let place = Workplace::new();
    let mut screen = Screen::open(&place, &LONG_FAULT);
    screen.shows("FAULT (H heals now)");
    screen.shows("heals itself in");
    wait_for("an undo on disk", || (open_undos(&place) == 1).then_some(()));
    screen.press("p");
    screen.shows("paused: nothing is in flight");
    assert_eq!(open_undos(&place), 0, "healed before it holds:\n{}", screen.text());
    screen.press("p");
    screen.shows("FAULT (H heals now)");
    wait_for("an undo on disk", || (open_undos(&place) == 1).then_some(()));
    // One key heals at once, without a question; the plan goes on to its end.
    screen.press("H");
    screen.shows("finished");
    assert_eq!(open_undos(&place), 0, "{}", screen.text());
    screen.press("q");
    assert_eq!(screen.ended(), 3, "an experiment that was cut short decides nothing");
    place.wait_until_nothing_runs();
}

#[test]
fn aborting_in_mid_chaos_asks_says_what_it_heals_and_leaves_nothing() {
    let place = Workplace::new();
    let mut screen = Screen::open(&place, &LONG_FAULT);
    screen.shows("FAULT (H heals now)");
    wait_for("an undo on disk", || (open_undos(&place) == 1).then_some(()));
    screen.press("A");
    screen.shows("abort the run?");
    assert_eq!(open_undos(&place), 1, "a question heals nothing");
    screen.press("y");
    screen.shows("finished");
    screen.shows("aborted");
    assert_eq!(open_undos(&place), 0, "{}", screen.text());
    screen.press("q");
    assert_eq!(screen.ended(), 130);
    screen.is_given_back();
    let report = report(&place.run());
    assert_eq!(report["overall_status"], "aborted");
    let phases = report["phases"].as_array().expect("phases");
    let chaos = phases.iter().find(|phase| phase["phase"] == "chaos").expect("chaos");
    assert_eq!(chaos["chaos"]["experiments"][0]["rollback_verified"], true, "{chaos:#}");
    place.wait_until_nothing_runs();
}
