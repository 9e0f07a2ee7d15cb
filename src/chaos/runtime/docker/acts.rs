//! What is done to a container: how it will be undone, and the doing, by a process here or by a
//! helper container.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use bollard::query_parameters::StatsOptions;
use futures_util::StreamExt;
use serde_json::Value;
use tokio::time::Instant;

use super::effects::predict;
use super::engine::failed;
use super::inspected::{no_own_network, stranding, tcp_ports};
use super::seen::lodgers;
use super::undoing::Then;
use super::{DockerRuntime, container};
use crate::chaos::cgroup::Cgroup;
use crate::chaos::firewall::{Firewall, in_namespace_of};
use crate::chaos::helper::{TargetProcess, Task, Work};
use crate::chaos::lease::Lease;
use crate::chaos::procfs::{Process, enough_memory};
use crate::chaos::runtime::{Baseline, Fault, Injection, Prepared, RuntimeError, Target};
use crate::chaos::undo::Undo;
use crate::config::FirewallChoice;

impl DockerRuntime {
    pub(super) async fn prepared(
        &self,
        target: &Target,
        fault: &Fault,
        token: &str,
    ) -> Result<Prepared, RuntimeError> {
        if target.instance.pid.is_none() {
            return Err(RuntimeError::new(format!("{} is not running", target.name)));
        }
        // Of what may end, or be ended for want of memory.
        if matches!(fault, Fault::Kill | Fault::Memory { allow_oom: true, .. })
            && let Some(why) = stranding(&self.lodgers_of(target).await?)
        {
            return Err(RuntimeError::new(format!("{}: {why}", target.name)));
        }
        let here = self.process_here(target);
        let then = self.then(target)?;
        let token = token.to_owned();
        let end_helper = |token| match here {
            Some(_) => Undo::EndHelper { token, pinned: None, group: None },
            None => Undo::RemoveHelpers { address: then.address.clone(), token },
        };
        let in_container = "a helper container made of this program";
        let (killer, helper) = match here {
            Some(_) => ("this process", "a helper process of this machine"),
            None => (in_container, in_container),
        };
        let pid = target.instance.pid.unwrap_or_default();
        let mut prediction = None;
        let (deed, undo, undo_words) = match fault {
            Fault::Kill => (
                format!("SIGKILL to process {pid} of the engine's machine by {killer}"),
                Undo::StartContainer { then, token },
                format!("start {} if it stayed down", target.name),
            ),
            Fault::Cpu { .. } => (
                format!("{helper} burns in the CPU group of process {pid}"),
                end_helper(token),
                "end the burner".to_owned(),
            ),
            Fault::Memory { bytes, allow_oom, .. } => {
                prediction = Some(self.predicted(target, here, *bytes, *allow_oom).await?);
                let most = bytes >> 20;
                let deed =
                    format!("{helper} writes to {most} MiB in the memory group of process {pid}");
                (deed, end_helper(token), "end the helper, which frees its memory".to_owned())
            }
            Fault::Cut { peers, reject, length } => {
                let (undo, by, table) = self.uncut(target, here, token)?;
                let how = if *reject { "refuses" } else { "drops" };
                let deed = format!(
                    "{helper} adds {} in the namespace of process {pid}, which {how} all packets from \
                     and to {}; the kernel ends it after {} s",
                    by.words(&table),
                    self.cut_off(target, peers).await?,
                    length.as_secs()
                );
                let words =
                    format!("remove {} from the namespace of {}", by.words(&table), target.name);
                (deed, undo, words)
            }
        };
        Ok(Prepared { deed, undo, undo_words, prediction })
    }

    fn then(&self, target: &Target) -> Result<Then, RuntimeError> {
        Ok(Then {
            address: self.engine(target)?.address.clone(),
            container: target.id.clone(),
            started: target.instance.started.clone(),
        })
    }

    /// The addresses that a cut is from, in words, where this target may be cut off from these.
    async fn cut_off(&self, target: &Target, peers: &[Target]) -> Result<String, RuntimeError> {
        let mut addresses = Vec::new();
        for peer in peers {
            addresses.extend(self.addresses(target, peer).await?);
        }
        self.check_network(target).await?;
        let addresses: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
        Ok(addresses.join(", "))
    }

    /// What undoes a cut, what it is made by, and the name of its table.
    fn uncut(
        &self,
        target: &Target,
        here: Option<Process>,
        token: String,
    ) -> Result<(Undo, Firewall, String), RuntimeError> {
        let table = token.replace('-', "_");
        let by = self.firewall(here)?;
        let name = table.clone();
        let undo = match here {
            Some(process) => {
                let unreadable = || RuntimeError::new("its namespace cannot be read");
                let namespace = process.network_namespace().ok_or_else(unreadable)?;
                Undo::RemoveTable { process, namespace, table, by, token }
            }
            None => Undo::RemoveTableIn { then: self.then(target)?, token, table },
        };
        Ok((undo, by, name))
    }

    /// What a cut is made by: a helper container has nothing but this program in it.
    fn firewall(&self, here: Option<Process>) -> Result<Firewall, RuntimeError> {
        let choice = self.chaos.partition.firewall;
        let chosen = match (here, choice) {
            (Some(process), _) => in_namespace_of(process, || Firewall::choose(choice))
                .map_err(|error| RuntimeError::new(format!("no cut can be made: {error}")))?,
            (None, FirewallChoice::Iptables) => {
                let why = "iptables needs helpers that are processes: be root on the engine's \
                           machine, without chaos.docker.helpers: containers";
                return Err(RuntimeError::new(why));
            }
            (None, _) => Firewall::Nftables,
        };
        Ok(chosen)
    }

    async fn predicted(
        &self,
        target: &Target,
        here: Option<Process>,
        bytes: u64,
        allow_oom: bool,
    ) -> Result<String, RuntimeError> {
        let (limit, used) = match here.and_then(Cgroup::of) {
            Some(group) => {
                enough_memory(bytes).map_err(RuntimeError::new)?;
                (group.memory_limit(), group.memory_in_use().unwrap_or(0))
            }
            // The helper itself looks whether its machine has memory to spare.
            None => self.memory(target).await?,
        };
        predict(limit, used, bytes, allow_oom)
    }

    /// A container's memory limit and what it uses, as its engine says.
    pub(super) async fn memory(&self, target: &Target) -> Result<(Option<u64>, u64), RuntimeError> {
        let engine = self.engine(target)?;
        let limit = self.inspect(target).await?;
        let limit = limit.pointer("/HostConfig/Memory").and_then(Value::as_u64);
        let options = StatsOptions { stream: false, one_shot: true };
        let stats = Box::pin(engine.docker.stats(&target.id, Some(options))).next().await;
        let stats = stats.ok_or_else(|| RuntimeError::new("the engine has no statistics"))?;
        let stats = serde_json::to_value(stats.map_err(failed)?);
        let stats = stats.map_err(|error| RuntimeError::new(error.to_string()))?;
        let number = |path: &str| stats.pointer(path).and_then(Value::as_u64);
        let used = number("/memory_stats/usage").unwrap_or(0);
        let reclaimable = number("/memory_stats/stats/total_inactive_file")
            .or_else(|| number("/memory_stats/stats/inactive_file"));
        let used = used.saturating_sub(reclaimable.unwrap_or(0));
        Ok((limit.filter(|limit| *limit > 0), used))
    }

    /// A cut must be of this container and of nothing else.
    async fn check_network(&self, target: &Target) -> Result<(), RuntimeError> {
        let inspected = self.inspect(target).await?;
        if let Some(why) = no_own_network(&inspected) {
            return Err(RuntimeError::new(format!("{}: {why}", target.name)));
        }
        match self.lodgers_of(target).await?.as_slice() {
            [] => Ok(()),
            lodgers => Err(RuntimeError::new(format!(
                "{} shares its network namespace with {}, which would be cut off too",
                target.name,
                lodgers.join(", ")
            ))),
        }
    }

    /// Who uses its network namespace now.
    async fn lodgers_of(&self, target: &Target) -> Result<Vec<String>, RuntimeError> {
        let lodgers = lodgers(self.engine(target)?).await?.remove(&target.id);
        Ok(lodgers.unwrap_or_default())
    }

    /// Addresses of a peer on the networks that both are in.
    async fn addresses(&self, target: &Target, peer: &Target) -> Result<Vec<IpAddr>, RuntimeError> {
        if let Some(why) = on_another_engine(target, peer) {
            return Err(RuntimeError::new(why));
        }
        let (own, other) = (self.inspect(target).await?, self.inspect(peer).await?);
        let networks = |value: &Value| -> BTreeMap<String, Value> {
            let networks = value.pointer("/NetworkSettings/Networks").and_then(Value::as_object);
            networks.into_iter().flatten().map(|(k, v)| (k.clone(), v.clone())).collect()
        };
        let own = networks(&own);
        let shared = networks(&other).into_iter().filter(|(name, _)| own.contains_key(name));
        let addresses = shared.flat_map(|(_, network)| {
            ["/IPAddress", "/GlobalIPv6Address"].map(|field| {
                network.pointer(field).and_then(Value::as_str).and_then(|text| text.parse().ok())
            })
        });
        let addresses: Vec<IpAddr> = addresses.flatten().collect();
        if addresses.is_empty() {
            let names = format!("{} and {}", target.name, peer.name);
            return Err(RuntimeError::new(format!("{names} share no network")));
        }
        Ok(addresses)
    }

    pub(super) async fn injected(
        &self,
        target: &Target,
        fault: &Fault,
        undo: &Undo,
    ) -> Result<Injection, RuntimeError> {
        let here = self.process_here(target);
        let mut baseline = Baseline::default();
        if matches!(fault, Fault::Memory { .. }) {
            baseline.counters = vec![self.memory(target).await?.1];
        }
        let lease = match (fault, undo, here) {
            (Fault::Kill, Undo::StartContainer { then, token }, here) => {
                let reaper = self.reaper(then, token).await?;
                let since = match here {
                    Some(process) => {
                        let since = Instant::now();
                        process.kill().map_err(|e| RuntimeError::new(format!("SIGKILL: {e}")))?;
                        since
                    }
                    None => self.killed_by_helper(target, fault, token).await?,
                };
                return Ok(Injection { lease: Some(reaper), baseline, since });
            }
            (_, Undo::EndHelper { token, .. } | Undo::RemoveTable { token, .. }, Some(process)) => {
                baseline.oom_kills = Cgroup::of(process).map_or(0, |group| group.oom_kills());
                let by = match undo {
                    Undo::RemoveTable { by, .. } => *by,
                    _ => Firewall::default(),
                };
                let task = self.task(target, process.into(), fault, token, Some(by)).await?;
                Lease::start(token, &task).await?
            }
            (_, Undo::RemoveHelpers { token, .. } | Undo::RemoveTableIn { token, .. }, None) => {
                self.helper(target, fault, token).await?
            }
            _ => return Err(RuntimeError::new(format!("{} is not as it was", target.name))),
        };
        Ok(Injection { lease: Some(lease), baseline, since: Instant::now() })
    }

    /// A helper in a container that holds a fault.
    async fn helper(
        &self,
        target: &Target,
        fault: &Fault,
        token: &str,
    ) -> Result<Lease, RuntimeError> {
        let process = TargetProcess {
            pid: target.instance.pid.unwrap_or_default(),
            start_ticks: None,
            container: Some(target.id.clone()),
        };
        let task = self.task(target, process, fault, token, None).await?;
        container::launch(self.engine(target)?, token, token, &task).await
    }

    /// A kill by a helper container: when it was done.
    async fn killed_by_helper(
        &self,
        target: &Target,
        fault: &Fault,
        token: &str,
    ) -> Result<Instant, RuntimeError> {
        let lease = self.helper(target, fault, token).await?;
        let since = Instant::now();
        lease.end().await.map(|_| since)
    }

    /// A process of this machine that starts a killed container should it stay down and this process
    /// be gone.
    async fn reaper(&self, then: &Then, token: &str) -> Result<Lease, RuntimeError> {
        let own = Process::now(std::process::id());
        let own = own.ok_or_else(|| RuntimeError::new("this process is not to be seen"))?;
        let task = Task {
            target: own.into(),
            length_ms: self.chaos.kill.within.get().as_millis() as u64,
            work: Work::Revive { then: then.clone() },
            pin: None,
            group: None,
        };
        Lease::start(token, &task).await
    }

    /// What a helper is told; a process of this machine cuts by `here`, a container from within.
    async fn task(
        &self,
        target: &Target,
        process: TargetProcess,
        fault: &Fault,
        token: &str,
        here: Option<Firewall>,
    ) -> Result<Task, RuntimeError> {
        let work =
            match fault {
                Fault::Kill => Work::Kill {},
                Fault::Cpu { .. } => Work::Burn { workers: None, in_its_group: true },
                Fault::Memory { bytes, .. } => Work::Fill { bytes: *bytes, in_its_group: true },
                Fault::Cut { peers, reject, .. } => {
                    let (mut addresses, mut ports) = (Vec::new(), Vec::new());
                    for peer in peers {
                        let of_peer = self.addresses(target, peer).await?;
                        let listening = tcp_ports(&self.inspect(peer).await?);
                        ports.extend(of_peer.iter().flat_map(|ip| {
                            listening.iter().map(|port| SocketAddr::new(*ip, *port))
                        }));
                        addresses.extend(of_peer);
                    }
                    let (table, reject) = (token.replace('-', "_"), *reject);
                    let (by, enter) = (here.unwrap_or_default(), here.is_some());
                    Work::Cut { by, table, peers: addresses, ports, reject, enter }
                }
            };
        let length_ms = fault.length().as_millis() as u64;
        Ok(Task { target: process, length_ms, work, pin: None, group: None })
    }
}

/// Why a peer on another engine is no peer to be cut off from: by which address it is reached from here
/// no engine knows, and a cut of the other machine's would hit everything that is published there.
fn on_another_engine(target: &Target, peer: &Target) -> Option<String> {
    (target.place != peer.place).then(|| {
        let (name, place, peer_name) = (&target.name, &target.place, &peer.name);
        format!(
            "{name} runs on {place} and {peer_name} on {}: a cut between two engines cannot be made, only \
             one between containers that share a network of one engine; name other services in \
             chaos.partition.pairs",
            peer.place
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chaos::runtime::told::serving;
    use crate::config::ServiceKind;

    #[test]
    fn a_peer_on_another_engine_is_refused_with_both_places() {
        let on = |service, place: &str| Target { place: place.into(), ..serving(service) };
        let rag = on(ServiceKind::Rag, "tcp://a:2376");
        assert_eq!(on_another_engine(&rag, &on(ServiceKind::Chat, "tcp://a:2376")), None);
        let words = on_another_engine(&rag, &on(ServiceKind::Chat, "ssh://b")).expect("refused");
        let both = words.starts_with("rag runs on tcp://a:2376 and chat on ssh://b: ");
        assert!(both && words.contains("chaos.partition.pairs"), "{words}");
    }
}
