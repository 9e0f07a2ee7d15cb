//! The embedded sandbox: its services are processes of this machine with a supervisor that starts
//! them again, and a network of links that can be cut.

mod links;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use reqwest::Client;
use serde::Deserialize;

use self::links::{LinkSetting, links, set_links};
pub use self::links::{closed_links, open_links};
use super::{
    Baseline, Effect, Fault, Injection, Instance, Prepared, Runtime, RuntimeError, Target,
};
use crate::chaos::cgroup::Cgroup;
use crate::chaos::confine::{OwnGroup, Pinned};
use crate::chaos::helper::{Task, Work};
use crate::chaos::lease::Lease;
use crate::chaos::procfs::{Process, enough_memory};
use crate::chaos::undo::Undo;
use crate::config::ServiceKind;
use crate::platform::client;

/// How long the supervisor may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Threads that compete with the target for its one CPU.
const BURNERS: usize = 4;
/// Room in the memory group beside the target and what is used up.
const SLACK_BYTES: u64 = 64 << 20;

#[derive(Deserialize)]
struct Child {
    name: ServiceKind,
    pid: Option<u32>,
    started_unix_ms: u64,
    restarts: u64,
}

/// The sandbox runtime.
pub struct SandboxRuntime {
    admin: String,
    client: Client,
}

impl SandboxRuntime {
    /// The sandbox whose supervisor is at this base URL.
    ///
    /// # Errors
    /// When there is no HTTP client.
    pub fn new(admin: &str) -> Result<Self, RuntimeError> {
        Ok(Self { admin: admin.to_owned(), client: client()? })
    }

    async fn children(&self) -> Result<Vec<Child>, RuntimeError> {
        get(&self.client, &format!("{}/sandbox/services", self.admin)).await.map_err(failed)
    }

    fn process(target: &Target) -> Result<Process, RuntimeError> {
        let gone = || RuntimeError::new(format!("{} is not running", target.name));
        target.instance.pid.and_then(Process::now).ok_or_else(gone)
    }

    fn own_group(
        &self,
        process: Process,
        bytes: u64,
        token: &str,
    ) -> Result<OwnGroup, RuntimeError> {
        let group = Cgroup::of(process)
            .ok_or_else(|| RuntimeError::new("there are no control groups to be seen"))?;
        if group.version != 1 {
            return Err(RuntimeError::new(
                "a group of its own for a process under version 2 needs a delegated subtree",
            ));
        }
        let resident = process.resident_bytes().unwrap_or(0);
        Ok(OwnGroup {
            process,
            folder: group.memory.join(token),
            home: group.memory,
            limit_bytes: resident + bytes + bytes / 10 + SLACK_BYTES,
        })
    }

    async fn stopped(&self, target: &Target) -> u64 {
        let links = links(&self.client, &self.admin).await.ok().flatten().unwrap_or_default();
        let own = links.iter().filter(|link| Some(link.from) == target.service);
        own.map(|link| link.stopped).sum()
    }
}

#[async_trait]
impl Runtime for SandboxRuntime {
    fn name(&self) -> &'static str {
        "sandbox"
    }

    async fn targets(&self) -> Result<Vec<Target>, RuntimeError> {
        let children = self.children().await?;
        let target = |child: &Child| Target {
            id: child.name.name().to_owned(),
            name: child.name.name().to_owned(),
            place: String::new(),
            service: Some(child.name),
            excluded: None,
            unkillable: None,
            protected: false,
            instance: instance(child),
        };
        Ok(children.iter().map(target).collect())
    }

    async fn look(&self, target: &Target) -> Result<Instance, RuntimeError> {
        let children = self.children().await?;
        let child = children.iter().find(|child| child.name.name() == target.id);
        child.map(instance).ok_or_else(|| RuntimeError::new("there is no such service"))
    }

    async fn prepare(
        &self,
        target: &Target,
        fault: &Fault,
        token: &str,
    ) -> Result<Prepared, RuntimeError> {
        let process = Self::process(target)?;
        let helper = |pinned, group| Undo::EndHelper { token: token.into(), pinned, group };
        let (name, pid) = (&target.name, process.pid);
        let (deed, undo, words) = match fault {
            Fault::Kill => (
                format!("SIGKILL to process {pid}"),
                Undo::SandboxRestarts {},
                "nothing: its supervisor starts it again".into(),
            ),
            Fault::Cpu { .. } => {
                let pinned = Pinned::plan(process).map_err(|e| RuntimeError::new(e.to_string()))?;
                (
                    format!("process {pid} is kept on one CPU, {BURNERS} threads burn there"),
                    helper(Some(pinned), None),
                    format!("end the burner, give {name} its CPUs back"),
                )
            }
            Fault::Memory { bytes, .. } => {
                enough_memory(*bytes).map_err(RuntimeError::new)?;
                let group = self.own_group(process, *bytes, token)?;
                let (folder, most) = (group.folder.display(), group.limit_bytes >> 20);
                (
                    format!(
                        "process {pid} goes to the new memory group {folder} of {most} MiB, a \
                         helper writes to {} MiB there",
                        bytes >> 20
                    ),
                    helper(None, Some(group)),
                    format!("end the helper, move {name} back to its memory group"),
                )
            }
            Fault::Cut { peers, reject, length } => {
                let links = peers.iter().map(|peer| format!("{}/{}", target.id, peer.id));
                let links: Vec<String> = links.collect();
                let named = links.join(", ");
                let how = if *reject { "refuses" } else { "holds up" };
                let length = length.as_secs();
                (
                    format!(
                        "the sandbox {how} what goes over {named}, and opens it after {length} s"
                    ),
                    Undo::OpenLinks { admin: self.admin.clone(), links },
                    format!("open {named}"),
                )
            }
        };
        Ok(Prepared { deed, undo, undo_words: words, prediction: None })
    }

    async fn inject(
        &self,
        target: &Target,
        fault: &Fault,
        undo: &Undo,
    ) -> Result<Injection, RuntimeError> {
        let process = Self::process(target)?;
        let mut baseline = Baseline::default();
        let lease = match (fault, undo) {
            (Fault::Kill, _) => {
                process.kill().map_err(|e| RuntimeError::new(e.to_string()))?;
                None
            }
            (Fault::Cut { reject, length, .. }, Undo::OpenLinks { admin, links }) => {
                baseline.counters = vec![self.stopped(target).await];
                let passage = if *reject { "refused" } else { "cut" };
                let for_ms = length.as_millis() as u64;
                set_links(&self.client, admin, links, &LinkSetting { passage, for_ms }).await?;
                None
            }
            (fault, Undo::EndHelper { token, pinned, group }) => {
                let work = match fault {
                    Fault::Memory { bytes, .. } => {
                        Work::Fill { bytes: *bytes, in_its_group: false }
                    }
                    _ => Work::Burn { workers: Some(BURNERS), in_its_group: false },
                };
                let (cpu, waiting) = process.cpu_and_waiting();
                baseline.counters = vec![cpu.as_micros() as u64, waiting.as_micros() as u64];
                let task = Task {
                    target: process.into(),
                    length_ms: fault.length().as_millis() as u64,
                    work,
                    pin: pinned.clone(),
                    group: group.clone(),
                };
                Some(Lease::start(token, &task).await?)
            }
            _ => return Err(RuntimeError::new("this fault has no such undo")),
        };
        Ok(Injection { lease, baseline, since: tokio::time::Instant::now() })
    }

    async fn effect(
        &self,
        target: &Target,
        fault: &Fault,
        undo: &Undo,
        injection: &Injection,
    ) -> Effect {
        match (fault, undo) {
            (Fault::Cpu { .. }, _) => cpu_effect(target, injection),
            (Fault::Memory { bytes, .. }, Undo::EndHelper { group: Some(group), .. }) => {
                memory_effect(group, *bytes)
            }
            (Fault::Cut { .. }, _) => {
                let before = injection.baseline.counters.first().copied().unwrap_or(0);
                let stopped = self.stopped(target).await.saturating_sub(before);
                let evidence = format!("{stopped} connections stopped at the link");
                Effect::new(stopped > 0, evidence)
            }
            _ => {
                let now = self.look(target).await;
                let other = now.is_ok_and(|now| now.pid != target.instance.pid);
                let evidence = if other { "its process ended" } else { "its process is alive" };
                Effect::new(other, evidence)
            }
        }
    }
}

/// The burners always wanted the CPU, and the target had to wait for it.
fn cpu_effect(target: &Target, injection: &Injection) -> Effect {
    let measured = injection.lease.as_ref().and_then(Lease::measured);
    let process = target.instance.pid.and_then(Process::now);
    let (Some(measured), Some(process)) = (measured, process) else {
        return Effect::new(
            false,
            "the burner has not measured anything yet, or its target is gone",
        );
    };
    let (cpu, waiting) = process.cpu_and_waiting();
    let since = |now: Duration, at: usize| {
        (now.as_micros() as u64).saturating_sub(injection.baseline.counters[at]) / 1000
    };
    let (ran, waited) = (since(cpu, 0), since(waiting, 1));
    let evidence = format!(
        "the burner used {} % of one CPU and wanted it {} % of the time; {} ran {ran} ms and waited \
         {waited} ms for it",
        measured.burned_percent(),
        measured.wanted_percent(),
        target.name
    );
    Effect::new(measured.saturates() && waited > 0, evidence)
}

fn memory_effect(group: &OwnGroup, bytes: u64) -> Effect {
    let limit = group.limit_bytes >> 20;
    let seen = Cgroup { memory: group.folder.clone(), cpu: group.folder.clone(), version: 1 };
    let used = seen.memory_in_use().unwrap_or(0);
    let evidence = format!(
        "{} MiB of {limit} MiB used in the target's group, {} killed for want of memory",
        used >> 20,
        seen.oom_kills()
    );
    Effect::new(used >= bytes / 10 * 9 && seen.oom_kills() == 0, evidence)
}

fn instance(child: &Child) -> Instance {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Instance {
        pid: child.pid,
        started: i64::try_from(child.started_unix_ms)
            .ok()
            .and_then(|at| jiff::Timestamp::from_millisecond(at).ok())
            .map_or_else(String::new, |at| at.to_string()),
        uptime: now.saturating_sub(Duration::from_millis(child.started_unix_ms)),
        restarts: child.restarts,
        healthy: None,
        gone: false,
    }
}

fn client() -> Result<Client, RuntimeError> {
    let built = client::anywhere().timeout(PATIENCE).build();
    built.map_err(|error| RuntimeError::new(error.to_string()))
}

async fn get<T: serde::de::DeserializeOwned>(client: &Client, url: &str) -> reqwest::Result<T> {
    client.get(url).send().await?.error_for_status()?.json().await
}

fn failed(error: reqwest::Error) -> RuntimeError {
    RuntimeError::new(format!("the sandbox: {error}"))
}
