//! Whole drills by the real program on real servers: killed at random moments, and with servers that
//! die under them. What is left is looked for from outside, never asked of the program.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use shakedown::config::{SecretSource, Store, StoreKind, Stores};
use shakedown::run::event::DrillStep;
use shakedown::run::folder::RunFolder;
use shakedown::run::state::StoreState;

use super::bystanders::{assert_same, fingerprint, plant};
use super::death::Server;
use super::drill_of::live;
use super::network::Network;
use super::support::{Workplace, ended, engine_pid, report, signal, text, wait_for};

/// Kills in the suite; more by the environment variable of that name.
const KILLS: u64 = 20;

struct Place {
    workplace: Workplace,
    config: PathBuf,
    stores: Vec<StoreKind>,
}

impl Place {
    /// A configuration with all stores that run; none when none does.
    async fn new() -> Option<Self> {
        Self::of(StoreKind::ALL.into_iter().filter_map(|kind| Some((kind, live(kind)?)))).await
    }

    /// One with these stores.
    async fn of(all: impl Iterator<Item = (StoreKind, Store)>) -> Option<Self> {
        let workplace = Workplace::new();
        let mut stores = Stores::default();
        for (kind, mut store) in all {
            // Variables of the suite are no configuration: the program is not given them.
            if let Some(user) = &store.user {
                let file = workplace.path().join(format!("{kind}.user"));
                std::fs::write(&file, user.read().expect("a name").expose()).expect("written");
                store.user = Some(SecretSource::File(file));
            }
            *stores.slot(kind) = Some(store);
        }
        let kinds: Vec<_> = stores.configured().map(|(kind, _)| kind).collect();
        if kinds.is_empty() {
            eprintln!("whole drills: not run, the suite's script started no store");
            return None;
        }
        for (kind, store) in stores.configured() {
            plant(kind, store).await;
        }
        let text = serde_json::json!({
            "target": { "name": "live suite", "environment": "staging" },
            "stores": serde_json::to_value(&stores).expect("JSON"),
        });
        let path = workplace.path().join("shakedown.yaml");
        std::fs::write(&path, serde_json::to_string(&text).expect("JSON")).expect("written");
        Some(Self { workplace, config: path, stores: kinds })
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.workplace.command(arguments);
        let suite = std::env::vars().filter(|(name, _)| name.starts_with("SHAKEDOWN_LIVE_"));
        suite.for_each(|(name, _)| {
            command.env_remove(name);
        });
        command
    }

    fn drill(&self, more: &[&str]) -> Child {
        let mut command = self.command(&["backup", "--headless", "--seed", "7"]);
        command.args(["--set", "backup.canary_interval=50ms", "--config"]).arg(&self.config);
        command.args(more).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("program runs")
    }

    /// Everything in all stores.
    async fn everything(&self) -> BTreeMap<StoreKind, BTreeSet<String>> {
        let mut all = BTreeMap::new();
        for kind in &self.stores {
            let store = live(*kind).expect("it runs");
            all.insert(*kind, fingerprint(*kind, &store, "no run").await);
        }
        all
    }

    /// The run that is not among those.
    fn other_run(&self, known: &[String]) -> RunFolder {
        wait_for("another run", || {
            let runs = RunFolder::list(&self.workplace.runs());
            runs.into_iter().find(|run| !known.contains(&run.id()))
        })
    }

    fn clean_up(&self) -> String {
        let output = self.command(&["backup", "--cleanup"]).output().expect("program runs");
        let words = text(&output.stdout) + &text(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{words}");
        words
    }

    fn undo_entries(&self) -> usize {
        let folder = self.workplace.path().join("state/shakedown/undo-drill");
        std::fs::read_dir(folder).map_or(0, Iterator::count)
    }
}

/// Whether a store's drill has begun a step.
fn has_begun(run: &RunFolder, kind: StoreKind, step: DrillStep) -> bool {
    let state = shakedown::run::journal::read(run.path()).expect("readable").state;
    let drills = state.phases.iter().filter_map(|phase| phase.backup.as_ref());
    let stores = drills.filter_map(|drill| drill.latest()).flat_map(|drill| &drill.stores);
    let begun = |state: &StoreState| {
        state.step(step).is_some() || state.current.is_some_and(|(current, _)| current == step)
    };
    stores.filter(|(store, _)| **store == kind).any(|(_, state)| begun(state))
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs real stores: .ci/live/stores.sh"]
async fn killed_at_random_moments_bystanders_are_equal_byte_by_byte() {
    let Some(place) = Place::new().await else { return };
    let before = place.everything().await;
    let kills = std::env::var("SHAKEDOWN_LIVE_KILLS").ok();
    let kills = kills.map_or(KILLS, |kills| kills.parse().expect("a number"));
    let (mut known, mut dirty) = (Vec::new(), BTreeMap::<StoreKind, u32>::new());
    for number in 0..kills {
        let (code, out, err) = ended(place.drill(&["--documents", "40", "--detach"]));
        assert_eq!(code, Some(0), "{out}{err}");
        let run = place.other_run(&known);
        known.push(run.id());
        let pid = engine_pid(&run);
        wait_for("the drill", || has_begun(&run, place.stores[0], DrillStep::Setup).then_some(()));
        let moment = rand::random_range(0..4_000);
        tokio::time::sleep(Duration::from_millis(moment)).await;
        signal(pid, Signal::KILL);
        wait_for("the engine's end", || (!run.has_live_engine()).then_some(()));
        for (kind, left) in place.everything().await {
            *dirty.entry(kind).or_default() += u32::from(left != before[&kind]);
        }
        // By whoever comes next: asked for, or at the start of the next drill.
        let words = if number % 2 == 0 {
            place.clean_up()
        } else {
            let (code, out, err) = ended(place.drill(&["--documents", "3", "--store", "redis"]));
            assert_eq!(code, Some(0), "{out}{err}");
            known.push(place.other_run(&known).id());
            out + &err
        };
        let after = place.everything().await;
        for (kind, pieces) in &after {
            let when = format!("{kind}: kill {number} after {moment} ms: {words}");
            assert_same(&before[kind], pieces, &when);
        }
        assert_eq!(place.undo_entries(), 0, "kill {number} after {moment} ms: {words}");
        assert!(!run.path().join("drill").exists(), "kill {number} after {moment} ms: {words}");
    }
    eprintln!("killed {kills} times; something of ours was there: {dirty:?}");
    assert!(dirty.values().sum::<u32>() > 5, "killed when nothing was there");
}

/// The report of one store.
fn of_store(run: &RunFolder, kind: StoreKind) -> Value {
    let report = report(run);
    let phases = report["phases"].as_array().expect("phases");
    let phase = phases.iter().find(|phase| phase["phase"] == "backup").expect("a drill");
    let stores = phase["backup"][0]["stores"].as_array().expect("stores");
    stores.iter().find(|store| store["store"] == kind.name()).expect("it").clone()
}

/// The server is killed in the middle of a drill.
pub async fn dies_under_the_drill(kind: StoreKind) {
    let (Some(_), Some(server)) = (live(kind), Server::of(kind)) else {
        return super::skip(kind);
    };
    let Some(place) = Place::new().await else { return };
    breaks_under_the_drill(&place, kind, || server.control("kill"), || server.control("start"))
        .await;
}

/// The network is cut in the middle of a drill.
pub async fn is_cut_off_under_the_drill(kind: StoreKind) {
    let Some(store) = live(kind).filter(|_| kind != StoreKind::Qdrant) else {
        return super::skip(kind);
    };
    let network = Arc::new(Network::default());
    let far = network.before(&store).await;
    let Some(place) = Place::of([(kind, far)].into_iter()).await else { return };
    breaks_under_the_drill(&place, kind, || network.cut(), || network.mend()).await;
}

/// Something breaks in the middle of a drill: a verdict that says so, nothing called clean that is not,
/// and a clean store once it is mended.
async fn breaks_under_the_drill(
    place: &Place,
    kind: StoreKind,
    breaks: impl Fn(),
    mend: impl Fn(),
) {
    let before = place.everything().await;
    let mut known = Vec::new();
    for step in [DrillStep::Backup, DrillStep::Restore] {
        let more = ["--store", kind.name(), "--documents", "1500"];
        let child = place.drill(&[&more[..], &["--set", "backup.timeout=5s"]].concat());
        let run = place.other_run(&known);
        known.push(run.id());
        wait_for("the step", || has_begun(&run, kind, step).then_some(()));
        breaks();
        let (code, out, err) = ended(child);
        let store = of_store(&run, kind);
        eprintln!("{kind}: broken in {step:?}: exit {code:?}: {}", store["reason"]);
        assert_eq!(code, Some(1), "{out}{err}");
        assert_eq!(store["verdict"], "fail", "{store}");
        let lost = store["reason"].as_str().is_some_and(|reason| !reason.is_empty());
        assert!(
            lost && store["residue"].as_array().is_some_and(|left| !left.is_empty()),
            "{store}"
        );
        assert!(place.undo_entries() > 0, "it stays on record");
        mend();
        let words = place.clean_up();
        for (kind, pieces) in place.everything().await {
            assert_same(&before[&kind], &pieces, &words);
        }
        assert_eq!(place.undo_entries(), 0, "{words}");
    }
}

/// The disk fills up while the backup is written.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root, for a small file system, and real stores: .ci/live/stores.sh"]
async fn a_full_disk_under_the_drill_is_a_verdict_and_the_store_is_clean() {
    let kind = StoreKind::Redis;
    let Some(store) = live(kind) else { return super::skip(kind) };
    let Some(place) = Place::of([(kind, store)].into_iter()).await else { return };
    let before = place.everything().await;
    let child = place.drill(&["--documents", "4000"]);
    let run = place.other_run(&[]);
    let folder = wait_for("the drill's folder", || {
        let ways = std::fs::read_dir(run.path().join("drill")).ok()?.flatten();
        ways.map(|way| way.path().join(kind.name())).find(|folder| folder.is_dir())
    });
    let backup = folder.join("backup");
    std::fs::create_dir(&backup).expect("made before the drill makes it");
    let mount = |arguments: &[&str]| {
        let done = Command::new(arguments[0]).args(&arguments[1..]).arg(&backup).status();
        done.is_ok_and(|status| status.success())
    };
    let mounted = mount(&["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs"]);
    let (code, out, err) = ended(child);
    if !mounted {
        return eprintln!("full disk: not run, no file system can be mounted here");
    }
    assert!(mount(&["umount"]), "{out}{err}");
    let store = of_store(&run, kind);
    assert_eq!((code, &store["verdict"]), (Some(1), &"fail".into()), "{store}");
    let reason = store["reason"].as_str().expect("a reason");
    assert!(reason.contains("backup") && reason.contains("No space left"), "{reason}");
    for (kind, pieces) in place.everything().await {
        assert_same(&before[&kind], &pieces, reason);
    }
    // The folder could not be removed while something was mounted in it: that stayed on record.
    place.clean_up();
    assert_eq!(place.undo_entries(), 0);
    assert!(!run.path().join("drill").exists());
}
