//! Servers that die or fall silent in the middle: an error in time, and clean stores once they are back.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use shakedown::backup::stores;
use shakedown::config::StoreKind;

use super::bystanders::{assert_same, fingerprint, plant};
use super::drill_of::{Drill, Intake, difference, live, skip};

/// Time in which an answer must have come, or an error.
const IN_TIME: Duration = Duration::from_secs(60);
/// Limit of one answer from a server that says nothing.
const SILENCE: Duration = Duration::from_secs(3);

/// Does something to a server; thaws it when a test ends early.
pub struct Server {
    control: PathBuf,
    folder: PathBuf,
    kind: StoreKind,
}

impl Server {
    /// None where the server is not the suite's own.
    pub fn of(kind: StoreKind) -> Option<Self> {
        let path = |name: &str| std::env::var_os(name).map(PathBuf::from);
        let (control, folder) = (path("SHAKEDOWN_LIVE_CONTROL")?, path("SHAKEDOWN_LIVE_FOLDER")?);
        let runs = folder.join(format!("{kind}.pid")).exists();
        runs.then(|| Self { control, folder, kind })
    }

    /// A file of the script's beside the server, by the end of its name.
    pub fn file(&self, end: &str) -> PathBuf {
        self.folder.join(format!("{}.{end}", self.kind))
    }

    pub fn control(&self, deed: &str) {
        assert!(self.tried(deed), "{} {deed}", self.kind);
    }

    pub fn tried(&self, deed: &str) -> bool {
        let mut command = Command::new("bash");
        command.arg(&self.control).arg(&self.folder).arg(self.kind.name()).arg(deed);
        command.status().is_ok_and(|status| status.success())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A server that was killed has nothing to thaw.
        self.tried("thaw");
    }
}

/// A drill in the course of which the server is killed: in the middle of a backup, then in the middle
/// of a restore.
pub async fn dies(kind: StoreKind) {
    let (Some(store), Some(server)) = (live(kind), Server::of(kind)) else { return skip(kind) };
    plant(kind, &store).await;
    let drill = Drill::new(kind, &store, 1500).await;
    let before = fingerprint(kind, &store, drill.names.run()).await;
    drill.fill().await;
    let first = drill.read("first").await;
    let archive = drill.backup("second").await;

    let mut intake = Intake::new(drill.folder.path(), "cut");
    let victim = Server::of(kind).expect("ours");
    let half = first.count() / 2;
    intake.at = Box::new(move |number| {
        if number == half {
            victim.control("kill")
        }
    });
    let began = Instant::now();
    let error = drill.store.read(&mut intake).await.expect_err("it died in mid-backup");
    assert!(began.elapsed() < IN_TIME, "{kind}: it took {:?}", began.elapsed());
    eprintln!("{kind}: in mid-backup: {error}");
    server.control("start");

    drill.store.destroy().await.expect("the same drill cleans up once the server is back");
    drill.assert_absent().await;
    drill.store.prepare().await.expect("prepared");
    let (victim, mut written) = (Server::of(kind).expect("ours"), 0);
    let records = archive.records().map(|record| record.expect("a record")).inspect(|_| {
        written += 1;
        if written == half {
            victim.control("kill");
        }
    });
    let began = Instant::now();
    let error = drill.write(records).await.expect_err("it died in mid-restore");
    assert!(began.elapsed() < IN_TIME, "{kind}: it took {:?}", began.elapsed());
    eprintln!("{kind}: in mid-restore: {error}");
    server.control("start");

    drill.store.destroy().await.expect("half a restore is taken away");
    drill.assert_absent().await;
    drill.restore(&archive).await.expect("restored");
    let differs = difference(&first, &drill.read("restored").await);
    assert!(differs.is_none(), "{kind}: restored otherwise: {differs:#?}");
    drill.store.destroy().await.expect("removed");
    drill.assert_absent().await;
    assert_same(&before, &fingerprint(kind, &store, drill.names.run()).await, kind.name());
}

/// A server that takes what it is sent and never answers.
pub async fn falls_silent(kind: StoreKind) {
    let (Some(store), Some(server)) = (live(kind), Server::of(kind)) else { return skip(kind) };
    let mut drill = Drill::new(kind, &store, 300).await;
    drill.store = stores::open(kind, &store, &drill.names, SILENCE).await.expect("reachable");
    drill.fill().await;
    server.control("freeze");
    let began = Instant::now();
    let mut intake = Intake::new(drill.folder.path(), "silent");
    let error = drill.store.read(&mut intake).await.expect_err("it says nothing");
    eprintln!("{kind}: {error} after {:?}", began.elapsed());
    let written = drill.write(drill.records_unasked()).await;
    let error = written.expect_err("it takes nothing");
    eprintln!("{kind}: {error} after {:?}", began.elapsed());
    assert!(began.elapsed() < IN_TIME, "{kind}: it took {:?}", began.elapsed());
    server.control("thaw");
    drill.store.destroy().await.expect("removed once it answers again");
    drill.assert_absent().await;
}
