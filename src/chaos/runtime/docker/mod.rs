//! Containers of a Docker engine on this machine. Faults go in from the host side (signals, control
//! groups, network namespaces), so that images need nothing in them.

mod engine;
mod pressure;

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::path::PathBuf;

use bollard::Docker;
use bollard::query_parameters::{ListContainersOptions, TopOptions};
use futures_util::future::BoxFuture;
use serde_json::Value;

use engine::{connect, failed, inspect, instance, name_of, no_restart, unsuitable};
pub use engine::{start, still_down};
use pressure::{group_of, helper_effect, helper_task, predict};

use super::{
    Baseline, Effect, Fault, Injection, Instance, Prepared, Runtime, RuntimeError, Target,
};
use crate::chaos::lease::Lease;
use crate::chaos::nft;
use crate::chaos::procfs::Process;
use crate::chaos::safety;
use crate::chaos::undo::Undo;
use crate::config::{Chaos, ServiceKind};

const DEFAULT_SOCKET: &str = "unix:///var/run/docker.sock";

/// The Docker runtime.
pub struct DockerRuntime {
    docker: Docker,
    host: String,
    chaos: Chaos,
    executable: PathBuf,
}

impl DockerRuntime {
    /// Connects to the configured engine, or to the one of `DOCKER_HOST`, or to the usual socket.
    ///
    /// # Errors
    /// When it cannot be reached.
    pub async fn connect(chaos: &Chaos) -> Result<Self, RuntimeError> {
        let from_environment = || std::env::var("DOCKER_HOST").ok().filter(|host| !host.is_empty());
        let host = chaos.docker.host.clone().or_else(from_environment);
        let host = host.unwrap_or_else(|| DEFAULT_SOCKET.to_owned());
        let executable = std::env::current_exe().map_err(|e| RuntimeError::new(e.to_string()))?;
        Ok(Self { docker: connect(&host).await?, host, chaos: chaos.clone(), executable })
    }

    async fn inspect(&self, id: &str) -> Result<Value, RuntimeError> {
        inspect(&self.docker, id).await
    }

    async fn process_names(&self, id: &str) -> Vec<String> {
        let options = TopOptions { ps_args: "-eo pid,comm".into() };
        let top = self.docker.top_processes(id, Some(options)).await;
        let rows = top.ok().and_then(|top| top.processes).unwrap_or_default();
        rows.iter().filter_map(|row| row.get(1)).map(|name| name.trim().to_owned()).collect()
    }

    fn service_of(&self, inspected: &Value) -> Option<ServiceKind> {
        let name = name_of(inspected);
        ServiceKind::ALL.into_iter().find(|service| {
            let container = self.chaos.serves.get(service).map_or(service.name(), String::as_str);
            name == container || safety::is_service(inspected, container)
        })
    }

    async fn target(&self, id: &str) -> Result<Target, RuntimeError> {
        let inspected = self.inspect(id).await?;
        let processes = self.process_names(id).await;
        let protected = safety::protected(&inspected, &processes, &self.chaos.critical);
        let instance = instance(&inspected);
        Ok(Target {
            id: id.to_owned(),
            name: crate::platform::text::excerpt(&name_of(&inspected)),
            service: self.service_of(&inspected),
            unkillable: no_restart(&inspected),
            protected: protected.is_some(),
            excluded: protected.or_else(|| unsuitable(&inspected, &instance)),
            instance,
        })
    }

    /// The host's view of a container's main process: proof that the engine is on this machine.
    fn process(target: &Target) -> Result<Process, RuntimeError> {
        let process = target.instance.pid.and_then(Process::now);
        let process = process.ok_or_else(|| {
            RuntimeError::new(format!(
                "the main process of {} is not to be seen here: its engine is on another machine, \
                 or it is not running",
                target.name
            ))
        })?;
        let path = process.cgroup(Some("memory")).or_else(|| process.cgroup(None));
        let own = path.is_some_and(|path| path.to_string_lossy().contains(&target.id));
        own.then_some(process).ok_or_else(|| {
            RuntimeError::new(format!(
                "process {} does not belong to {}: its engine is on another machine",
                process.pid, target.name
            ))
        })
    }

    async fn addresses(&self, target: &Target, peer: &Target) -> Result<Vec<IpAddr>, RuntimeError> {
        let (own, other) = (self.inspect(&target.id).await?, self.inspect(&peer.id).await?);
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
            return Err(RuntimeError::new(format!(
                "{} and {} share no network",
                target.name, peer.name
            )));
        }
        Ok(addresses)
    }

    async fn prepare_cut(
        &self,
        target: &Target,
        process: Process,
        token: &str,
    ) -> Result<Prepared, RuntimeError> {
        let inspected = self.inspect(&target.id).await?;
        let mode = inspected.pointer("/HostConfig/NetworkMode").and_then(Value::as_str);
        let mode = mode.unwrap_or_default();
        if mode == "host" || mode.starts_with("container:") {
            return Err(RuntimeError::new(format!(
                "{} has no network namespace of its own (network mode {mode})",
                target.name
            )));
        }
        let namespace = process.network_namespace();
        let namespace =
            namespace.ok_or_else(|| RuntimeError::new("its namespace cannot be read"))?;
        if Process::now(std::process::id()).and_then(Process::network_namespace).as_ref()
            == Some(&namespace)
        {
            return Err(RuntimeError::new("it shares the network namespace of this machine"));
        }
        let table = token.replace('-', "_");
        let undo_words = format!("remove table {table} from the namespace of {}", target.name);
        let undo = Undo::RemoveTable { process, namespace, table };
        Ok(Prepared { undo, undo_words, prediction: None })
    }
}

impl Runtime for DockerRuntime {
    fn name(&self) -> &'static str {
        "docker"
    }

    fn targets(&self) -> BoxFuture<'_, Result<Vec<Target>, RuntimeError>> {
        Box::pin(async move {
            let mut filters: HashMap<String, Vec<String>> = HashMap::new();
            let wanted = &self.chaos.docker;
            let mut labels: Vec<String> =
                wanted.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
            labels.extend(wanted.project.iter().map(|p| format!("com.docker.compose.project={p}")));
            if !labels.is_empty() {
                filters.insert("label".into(), labels);
            }
            let options =
                ListContainersOptions { all: true, filters: Some(filters), ..Default::default() };
            let listed = self.docker.list_containers(Some(options)).await.map_err(failed)?;
            let mut targets = Vec::new();
            for container in listed {
                let names = container.names.unwrap_or_default();
                let named = names.iter().any(|name| {
                    wanted.names.iter().any(|wanted| name.trim_start_matches('/') == wanted)
                });
                if !wanted.names.is_empty() && !named {
                    continue;
                }
                if let Some(id) = container.id {
                    targets.push(self.target(&id).await?);
                }
            }
            Ok(targets)
        })
    }

    fn look<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, Result<Instance, RuntimeError>> {
        Box::pin(async move { Ok(instance(&self.inspect(&target.id).await?)) })
    }

    fn prepare<'a>(
        &'a self,
        target: &'a Target,
        fault: &'a Fault,
        token: &'a str,
    ) -> BoxFuture<'a, Result<Prepared, RuntimeError>> {
        Box::pin(async move {
            let process = Self::process(target)?;
            let helper = || Undo::EndHelper { token: token.into(), pinned: None, group: None };
            match fault {
                Fault::Kill => {
                    let undo = Undo::StartContainer {
                        host: self.host.clone(),
                        container: target.id.clone(),
                    };
                    let undo_words = format!("start {} if it stayed down", target.name);
                    Ok(Prepared { undo, undo_words, prediction: None })
                }
                Fault::Cpu { .. } => {
                    group_of(process)?;
                    let undo_words = "end the burner".to_owned();
                    Ok(Prepared { undo: helper(), undo_words, prediction: None })
                }
                Fault::Memory { bytes, allow_oom, .. } => {
                    let prediction = predict(&group_of(process)?, *bytes, *allow_oom)?;
                    let undo_words = "end the helper, which frees its memory".to_owned();
                    Ok(Prepared { undo: helper(), undo_words, prediction: Some(prediction) })
                }
                Fault::Cut { peers, .. } => {
                    for peer in peers {
                        self.addresses(target, peer).await?;
                    }
                    self.prepare_cut(target, process, token).await
                }
            }
        })
    }

    fn inject<'a>(
        &'a self,
        target: &'a Target,
        fault: &'a Fault,
        undo: &'a Undo,
    ) -> BoxFuture<'a, Result<Injection, RuntimeError>> {
        Box::pin(async move {
            let process = Self::process(target)?;
            let mut baseline = Baseline::default();
            let mut lease = None;
            match (fault, undo) {
                (Fault::Kill, _) => {
                    process.kill().map_err(|e| RuntimeError::new(format!("SIGKILL: {e}")))?;
                }
                (
                    Fault::Cut { peers, reject, length },
                    Undo::RemoveTable { process, table, .. },
                ) => {
                    let mut addresses = Vec::new();
                    for peer in peers {
                        addresses.extend(self.addresses(target, peer).await?);
                    }
                    nft::apply(*process, &nft::rules(table, &addresses, *reject, *length)).await?;
                }
                (fault, Undo::EndHelper { token, .. }) => {
                    let group = group_of(process)?;
                    baseline.oom_kills = group.oom_kills();
                    let (throttled, periods) = group.throttled();
                    baseline.counters =
                        vec![throttled, periods, group.memory_in_use().unwrap_or(0)];
                    let task = helper_task(fault, process, &group);
                    lease = Some(Lease::start(&self.executable, token, &task).await?);
                }
                _ => return Err(RuntimeError::new("this fault has no such undo")),
            }
            Ok(Injection { lease, baseline, since: tokio::time::Instant::now() })
        })
    }

    fn effect<'a>(
        &'a self,
        target: &'a Target,
        fault: &'a Fault,
        undo: &'a Undo,
        injection: &'a Injection,
    ) -> BoxFuture<'a, Effect> {
        Box::pin(async move {
            match (fault, undo) {
                (Fault::Cut { .. }, Undo::RemoveTable { process, table, .. }) => {
                    let packets = nft::stopped(*process, table).await.unwrap_or(0);
                    let evidence = format!("{packets} packets stopped");
                    Effect { effective: packets > 0, evidence }
                }
                (Fault::Kill, _) => {
                    let now = self.look(target).await;
                    let other = now.is_ok_and(|now| now.pid != target.instance.pid);
                    let evidence = if other { "its process ended" } else { "its process is alive" };
                    Effect { effective: other, evidence: evidence.into() }
                }
                _ => helper_effect(Self::process(target).ok(), fault, injection),
            }
        })
    }
}
