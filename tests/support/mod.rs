//! The real program in a folder of its own, for tests.
#![allow(dead_code, reason = "every test file uses its own part of this")]

pub mod screen;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use shakedown::run::folder::RunFolder;

/// Longest wait for anything, on a machine that is busy with other tests.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// Whether a test measures: a load that shares two cores with another one rightly calls its own
/// figures invalid.
static MEASURING: AtomicBool = AtomicBool::new(false);

/// The right to measure, until it is dropped; on whatever thread that is.
struct Turn;

impl Turn {
    fn wait() -> Self {
        while MEASURING.swap(true, Ordering::AcqRel) {
            std::thread::sleep(Duration::from_millis(20));
        }
        Self
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        MEASURING.store(false, Ordering::Release);
    }
}

/// A working directory and a state directory for one test.
pub struct Workplace {
    folder: tempfile::TempDir,
    _measuring: Option<Turn>,
}

impl Workplace {
    pub fn new() -> Self {
        Self::made(None)
    }

    /// As [`Self::new`], for a test of runs whose figures it looks at: one such test at a time.
    pub fn for_measuring() -> Self {
        Self::made(Some(Turn::wait()))
    }

    fn made(_measuring: Option<Turn>) -> Self {
        Self { folder: tempfile::tempdir().expect("temporary folder"), _measuring }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn runs(&self) -> PathBuf {
        self.path().join("runs")
    }

    /// A runtime folder, for tests that make one; without it the program has none.
    pub fn runtime_dir(&self) -> Option<PathBuf> {
        Some(self.path().join("runtime")).filter(|folder| folder.is_dir())
    }

    /// The program with these arguments.
    pub fn command(&self, arguments: &[&str]) -> Command {
        self.command_of(Path::new(env!("CARGO_BIN_EXE_shakedown")), arguments)
    }

    /// As [`Self::command`], of a program that a test may do away with.
    pub fn command_of(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(self.path())
            .env("XDG_STATE_HOME", self.path().join("state"))
            .env_remove("XDG_RUNTIME_DIR")
            .env_remove("NO_COLOR")
            .stdin(Stdio::null());
        if let Some(folder) = self.runtime_dir() {
            command.env("XDG_RUNTIME_DIR", folder);
        }
        command
    }

    pub fn output(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("program runs")
    }

    /// The shipped objectives for runs that start in a folder and are about the program: how fast a debug
    /// build's Redis is beside other tests is not.
    pub fn patient_objectives(folder: &Path) {
        let shipped = shakedown::config::SHIPPED_SLOS;
        let patient = shipped.replace(
            "store: redis, quantile: 0.99, below: 10ms",
            "store: redis, quantile: 0.99, below: 1s",
        );
        assert_ne!(patient, shipped);
        std::fs::write(folder.join("slo_definitions.yaml"), patient).expect("written");
    }

    /// A headless run of mixed load on the embedded sandbox, of so many seconds.
    pub fn headless(&self, seconds: u64, more: &[&str]) -> Child {
        let length = format!("phases.full.mixed={seconds}s");
        let mut arguments = vec!["locust", "--headless", "--set", &length];
        // So many samples that a few seconds can prove something, so few users that a debug build on
        // a small machine is not kept busy by them.
        arguments.extend(["--set", "workloads.mixed.users=20"]);
        arguments.extend(["--set", "workloads.mixed.think_time.min=50ms"]);
        arguments.extend(["--set", "workloads.mixed.think_time.max=200ms", "--seed", "7"]);
        arguments.extend(["--set", "criteria.availability_percent=98"]);
        arguments.extend(["--set", "criteria.error_rate_percent=2"]);
        arguments.extend(more);
        Self::patient_objectives(self.path());
        let mut command = self.command(&arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("program runs")
    }

    /// How a run as [`Self::headless`] ends, made again where a busy machine spoils it.
    pub fn measured(&self, seconds: u64, more: &[&str]) -> (Option<i32>, String, String) {
        self.unspoilt(|| self.headless(seconds, more))
    }

    /// How a run ends that a busy machine does not spoil: one whose generator had to wait for the machine,
    /// and so called its figures invalid, is made again, three times at most.
    pub fn unspoilt(&self, start: impl Fn() -> Child) -> (Option<i32>, String, String) {
        let before = RunFolder::list(&self.runs());
        let mut end = ended(start());
        for _ in 0..2 {
            if end.0 != Some(3) || !end.1.contains(" generator") {
                break;
            }
            for spoilt in RunFolder::list(&self.runs()) {
                if before.iter().all(|run| run.id() != spoilt.id()) {
                    std::fs::remove_dir_all(spoilt.path()).expect("removed");
                }
            }
            end = ended(start());
        }
        end
    }

    /// The only run of this workplace, as soon as its journal is there.
    pub fn run(&self) -> RunFolder {
        wait_for("a run", || RunFolder::list(&self.runs()).into_iter().next())
    }

    /// Processes that work for this workplace: engines, sandboxes and their services.
    pub fn processes(&self) -> Vec<u32> {
        let marker = self.path().as_os_str().as_encoded_bytes();
        let entries = std::fs::read_dir("/proc").expect("procfs").flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        pids.filter(|pid| {
            let directory = std::fs::read_link(format!("/proc/{pid}/cwd")).unwrap_or_default();
            directory.as_os_str().as_encoded_bytes().starts_with(marker)
        })
        .collect()
    }

    pub fn wait_until_nothing_runs(&self) {
        wait_for("all processes to be gone", || self.processes().is_empty().then_some(()));
    }
}

impl Drop for Workplace {
    fn drop(&mut self) {
        for pid in self.processes() {
            signal(pid, rustix::process::Signal::KILL);
        }
    }
}

/// Waits until something is there.
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited too long for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub fn signal(pid: u32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).expect("pid")).expect("pid");
    let _ = rustix::process::kill_process(pid, signal);
}

/// The end of a child: exit code, standard output, standard error.
pub fn ended(child: Child) -> (Option<i32>, String, String) {
    let output = child.wait_with_output().expect("ended");
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The report of a run.
pub fn report(run: &RunFolder) -> serde_json::Value {
    let path = run.path().join("production_validation_report.json");
    let content =
        std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&content).expect("JSON")
}

/// Waits until a run has measured something.
pub fn wait_for_intervals(run: &RunFolder, n: u64) {
    wait_for("measurements", || {
        let state = shakedown::run::journal::read(run.path()).ok()?.state;
        let load = state.latest_load()?.load.as_ref()?;
        (load.intervals >= n).then_some(())
    });
}

/// The engine's process id.
pub fn engine_pid(run: &RunFolder) -> u32 {
    wait_for("the engine's identity", || {
        let state = shakedown::run::journal::read(run.path()).ok()?.state;
        state.identity.map(|identity| identity.pid)
    })
}
