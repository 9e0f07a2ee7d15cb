//! Runs that outlive who started them: found again from anywhere, and what is said where the end of a
//! login session would take them along.

mod support;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use portable_pty::CommandBuilder;
use rustix::process::Signal;
use shakedown::run::folder::RunFolder;
use shakedown::run::live_runs;
use shakedown::run::state::LogLine;
use shakedown::run::state_dir::StateDir;
use support::screen::Screen;
use support::{Workplace, engine_pid, signal, text, wait_for};

const LONG: [&str; 5] = ["locust", "--headless", "--detach", "--set", "phases.full.mixed=600s"];

/// What the program says in a folder of the workplace.
fn said_in(place: &Workplace, folder: &str, arguments: &[&str]) -> Output {
    let folder = place.path().join(folder);
    std::fs::create_dir_all(&folder).expect("created");
    place.command(arguments).current_dir(folder).output().expect("program runs")
}

fn only_run(runs: &Path) -> RunFolder {
    let all = RunFolder::list(runs);
    assert_eq!(all.len(), 1, "{all:?}");
    all.into_iter().next().expect("one")
}

/// Looks on from a folder until it is told which run it sees.
fn sees(place: &Workplace, folder: &str, arguments: &[&str], run: &RunFolder) {
    let heard = place.path().join("heard");
    let out = std::fs::File::create(&heard).expect("created");
    let mut command = place.command(arguments);
    let mut child = command
        .current_dir(place.path().join(folder))
        .stdout(out)
        .stderr(Stdio::null())
        .spawn()
        .expect("program runs");
    wait_for("the run", || {
        let heard = std::fs::read_to_string(&heard).expect("readable");
        heard.contains(&format!("run {} on ", run.id())).then_some(())
    });
    signal(child.id(), Signal::INT);
    assert_eq!(child.wait().expect("ended").code(), Some(0));
}

#[test]
fn runs_of_two_sandboxes_go_on_side_by_side_and_are_found_from_anywhere() {
    let place = Workplace::new();
    let run_in = |folder: &str| {
        let started = said_in(&place, folder, &LONG);
        assert_eq!(started.status.code(), Some(0), "{}", text(&started.stderr));
        only_run(&place.path().join(folder).join("runs"))
    };
    let (first, second) = (run_in("one"), run_in("two"));
    let told =
        |run: &RunFolder| shakedown::run::journal::read(run.path()).expect("readable").state.log;
    let alone = |line: &LogLine| !line.message.contains("not alone on this machine");
    assert!(told(&first).iter().all(alone));
    let warned = told(&second).into_iter().find(|line| !alone(line)).expect("a warning");
    assert!(warned.message.contains(&first.id()), "{}", warned.message);
    let listed = text(&said_in(&place, "elsewhere", &["runs"]).stdout);
    for (run, folder) in [(&first, "one"), (&second, "two")] {
        let runs = place.path().join(folder).join("runs");
        let row = listed.lines().find(|row| row.contains(&run.id()));
        let row = row.unwrap_or_else(|| panic!("{} is missing: {listed}", run.id()));
        assert!(row.ends_with(&format!("running in {}", runs.display())), "{row}");
    }
    sees(&place, "elsewhere", &["attach", &first.id()], &first);
    sees(
        &place,
        "elsewhere",
        &["attach"],
        [&first, &second].into_iter().max_by_key(|r| r.id()).expect("two"),
    );
    sees(&place, "one", &["attach"], &first);

    for run in [&first, &second] {
        signal(engine_pid(run), Signal::TERM);
    }
    place.wait_until_nothing_runs();
    let after = text(&said_in(&place, "elsewhere", &["runs"]).stdout);
    assert!(after.starts_with("no runs in"), "{after}");
}

/// Between its first moment and its journal lies the start of a sandbox: seconds on a busy machine.
#[test]
fn a_run_is_found_from_the_moment_in_which_its_engine_is_there() {
    let place = Workplace::new();
    let run = RunFolder::create(&place.runs()).expect("created");
    let engine = run.claim().expect("free");
    let state = StateDir::at(place.path().join("state").join("shakedown")).expect("state folder");
    let announced = live_runs::announce(&state, &run).expect("announced");
    for folder in ["", "elsewhere"] {
        let listed = text(&said_in(&place, folder, &["runs"]).stdout);
        let row = listed.lines().find(|row| row.contains(&run.id()));
        assert!(row.is_some_and(|row| row.contains("starting")), "{listed}");
    }
    let told = said_in(&place, "", &["report", &run.id()]);
    assert!(text(&told.stderr).contains("is starting"), "{}", text(&told.stderr));
    // Who attaches waits for the journal rather than being told that there is none.
    let mut looker = place.command(&["attach"]).spawn().expect("program runs");
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert!(looker.try_wait().expect("ours").is_none(), "it did not wait");
    drop((announced, engine));
    assert_eq!(looker.wait().expect("ended").code(), Some(2));
    let listed = text(&said_in(&place, "elsewhere", &["runs"]).stdout);
    assert!(listed.starts_with("no runs in"), "{listed}");
}

#[test]
fn a_wrong_configuration_is_a_warning_where_only_the_folder_of_the_runs_is_asked_for() {
    let place = Workplace::new();
    let started = place.output(&[&LONG[..], &["--set", "report.runs=kept/here"]].concat());
    assert_eq!(started.status.code(), Some(0), "{}", text(&started.stderr));
    let run = only_run(&place.path().join("kept/here"));
    let broken = "report:\n  runs: kept/here\ntarget: {nme: x}\nservices: 5\n";
    std::fs::write(place.path().join("broken.yaml"), broken).expect("written");
    sees(&place, "", &["attach", "--config", "broken.yaml"], &run);
    let listed = place.output(&["runs", "--config", "broken.yaml"]);
    assert!(text(&listed.stdout).contains(&run.id()), "{}", text(&listed.stdout));
    assert!(text(&listed.stderr).contains("broken.yaml:"), "{}", text(&listed.stderr));
    signal(engine_pid(&run), Signal::TERM);
    place.wait_until_nothing_runs();
    for ask in ["attach", "report", "results", "recover"] {
        let answered = place.output(&[ask, "--config", "broken.yaml"]);
        let (out, err) = (text(&answered.stdout), text(&answered.stderr));
        assert_ne!(answered.status.code(), Some(2), "{ask}: {err}");
        assert!(err.contains("broken.yaml:") && !out.is_empty(), "{ask}: {out}{err}");
    }
    // What is named is not guessed at where something is removed.
    let clean = ["clean", "--keep", "0", "--yes", "--config", "broken.yaml"];
    assert_eq!(place.output(&clean).status.code(), Some(2));
    assert!(run.path().exists());
}

#[test]
fn a_run_is_reached_after_the_end_of_a_login_has_taken_the_runtime_folder_along() {
    let place = Workplace::new();
    let runtime = place.path().join("runtime");
    std::fs::create_dir(&runtime).expect("created");
    let started = place.output(&LONG);
    assert_eq!(started.status.code(), Some(0), "{}", text(&started.stderr));
    let run = only_run(&place.runs());
    assert!(runtime.join(format!("shakedown/{}.sock", run.id())).exists());
    std::fs::remove_dir_all(&runtime).expect("removed");
    sees(&place, "", &["attach"], &run);
    // The next login makes an empty one.
    std::fs::create_dir(&runtime).expect("created");
    sees(&place, "", &["attach"], &run);
}

/// A control group with the name of a unit of systemd, and stand-ins for the tools of logind.
struct Login {
    place: Workplace,
    group: PathBuf,
}

impl Login {
    /// None where this machine does not allow control groups to be made.
    fn new(unit: &str, logind_says: &str) -> Option<Self> {
        let place = Workplace::new();
        let name = place.path().file_name()?.to_str()?.trim_start_matches('.').to_owned();
        let roots = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup"];
        let made = roots.iter().map(|root| Path::new(root).join(&name).join(unit)).find(|group| {
            let made = std::fs::create_dir_all(group);
            made.is_ok() && group.join("cgroup.procs").exists()
        });
        let Some(group) = made else {
            eprintln!("skipped: no control group can be made here");
            return None;
        };
        let bin = place.path().join("bin");
        std::fs::create_dir_all(place.path().join("runtime/systemd")).expect("created");
        std::fs::write(place.path().join("runtime/systemd/private"), "").expect("written");
        std::fs::create_dir(&bin).expect("created");
        let tool = |name: &str, script: String| {
            std::fs::write(bin.join(name), script).expect("written");
            let executable = std::fs::Permissions::from_mode(0o755);
            std::fs::set_permissions(bin.join(name), executable).expect("executable");
        };
        tool("busctl", format!("#!/bin/sh\nprintf '{logind_says}'\n"));
        let scope = "#!/bin/sh\ncase \"$*\" in *' -- true') exit 0;; esac\necho \"$@\" > scope\n\
                     while [ \"$1\" != -- ]; do shift; done\nshift\nexec \"$@\"\n";
        tool("systemd-run", scope.to_owned());
        Some(Self { place, group })
    }

    /// Words of a command that runs the program in the group.
    fn words(&self, arguments: &[&str]) -> Vec<String> {
        let enter =
            format!("echo $$ > {}/cgroup.procs && exec \"$0\" \"$@\"", self.group.display());
        let words = ["/bin/sh", "-c", &enter, env!("CARGO_BIN_EXE_shakedown")];
        words.into_iter().chain(arguments.iter().copied()).map(str::to_owned).collect()
    }

    fn path_variable(&self) -> String {
        let path = std::env::var("PATH").unwrap_or_default();
        format!("{}:{path}", self.place.path().join("bin").display())
    }

    /// A run without a terminal, and what it says while it starts.
    fn start(&self) -> String {
        let words = self.words(&LONG);
        let mut command: Command = self.place.command_of(Path::new(&words[0]), &[]);
        let started = command.args(&words[1..]).env("PATH", self.path_variable()).output();
        let started = started.expect("program runs");
        assert_eq!(started.status.code(), Some(0), "{}", text(&started.stderr));
        text(&started.stderr)
    }

    /// The same in a terminal.
    fn screen(&self) -> Screen {
        let arguments = ["locust", "--set", "phases.full.mixed=600s"];
        let mut command =
            CommandBuilder::from_argv(self.words(&arguments).into_iter().map(Into::into).collect());
        command.env("PATH", self.path_variable());
        Screen::of_command(&self.place, command, 24, 80)
    }

    /// What the scope was asked for with, if one was.
    fn scope(&self) -> Option<String> {
        std::fs::read_to_string(self.place.path().join("scope")).ok()
    }

    /// Whether the log of the run has this warning.
    fn warns(&self, what: &str) {
        let run = self.place.run();
        wait_for("a warning", || {
            let state = shakedown::run::journal::read(run.path()).ok()?.state;
            state.log.iter().any(|line| line.message.contains(what)).then_some(())
        });
    }
}

impl Drop for Login {
    fn drop(&mut self) {
        for pid in self.place.processes() {
            signal(pid, Signal::KILL);
        }
        let parent = self.group.parent().expect("in a group of the test").to_owned();
        wait_for("the group to be empty", || std::fs::remove_dir(&self.group).ok());
        let _ = std::fs::remove_dir(parent);
    }
}

/// Logind kills what sessions leave, root's too.
const KILLS: &str = r#"b true\nas 0\nas 1 "nobody"\n"#;

#[test]
fn where_logind_kills_what_a_session_leaves_the_engine_gets_a_scope_of_its_own() {
    let Some(login) = Login::new("session-7.scope", KILLS) else { return };
    let said = login.start();
    let scope = login.scope().unwrap_or_else(|| panic!("no scope was asked for: {said}"));
    assert!(scope.starts_with("--user --scope "), "{scope}");
    // Even a scope ends with the user's last session.
    assert!(said.contains("enable-linger"), "{said}");
    login.warns("enable-linger");
}

#[test]
fn a_manager_that_gives_no_scope_is_none() {
    let Some(login) = Login::new("session-7.scope", KILLS) else { return };
    let refuses = "#!/bin/sh\necho Failed to connect to bus >&2\nexit 1\n";
    std::fs::write(login.place.path().join("bin/systemd-run"), refuses).expect("written");
    let without = "no `systemd-run --user` is at hand";
    let said = login.start();
    assert!(said.contains(without), "{said}");
    login.warns(without);
}

#[test]
fn an_operator_is_asked_for_the_scope_and_a_no_is_on_record() {
    let Some(login) = Login::new("session-7.scope", KILLS) else { return };
    let mut screen = login.screen();
    screen.shows("systemd-run --user --scope`? [Y/n]");
    screen.press("n\r");
    login.warns("will end with this login session");
    assert_eq!(login.scope(), None);
}

#[test]
fn an_operator_who_agrees_gets_the_scope() {
    let Some(login) = Login::new("session-7.scope", KILLS) else { return };
    let mut screen = login.screen();
    screen.shows("[Y/n]");
    screen.press("\r");
    screen.shows("running");
    assert!(login.scope().is_some());
}

#[test]
fn nothing_is_said_where_a_session_kills_nothing() {
    let Some(login) = Login::new("session-7.scope", r"b false\nas 0\nas 0\n") else { return };
    assert_eq!((login.start().as_str(), login.scope()), ("", None));
}

#[test]
fn what_belongs_to_a_users_manager_needs_no_scope_but_lingering() {
    let Some(login) = Login::new("user@7.service/run-r1.scope", KILLS) else { return };
    assert!(login.start().contains("enable-linger"));
    assert_eq!(login.scope(), None);
}
