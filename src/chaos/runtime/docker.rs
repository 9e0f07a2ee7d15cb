//! Containers of a Docker engine on this machine. Faults go in from the host side (signals, control
//! groups, network namespaces), so that images need nothing in them.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use bollard::Docker;
use bollard::query_parameters::{
    InspectContainerOptions, ListContainersOptions, StartContainerOptions, TopOptions,
};
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use serde_json::Value;

use super::{
    Baseline, Effect, Fault, Injection, Instance, Prepared, Runtime, RuntimeError, Target,
};
use crate::chaos::cgroup::Cgroup;
use crate::chaos::helper::{Task, Work};
use crate::chaos::lease::Lease;
use crate::chaos::nft;
use crate::chaos::procfs::{Process, available_memory};
use crate::chaos::safety;
use crate::chaos::undo::Undo;
use crate::config::{Chaos, ServiceKind};

/// How long the engine may take to answer.
const PATIENCE_SECONDS: u64 = 20;
const DEFAULT_SOCKET: &str = "unix:///var/run/docker.sock";
/// A helper must have had this share of what it could get.
const SATURATED_PERCENT: u64 = 80;

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
                _ => helper_effect(target, fault, injection),
            }
        })
    }
}

fn helper_task(fault: &Fault, target: Process, group: &Cgroup) -> Task {
    let work = match fault {
        Fault::Memory { bytes, .. } => Work::Fill { bytes: *bytes },
        _ => Work::Burn { workers: workers(group) },
    };
    Task {
        target,
        length_ms: fault.length().as_millis() as u64,
        work,
        enter: group.entrances(),
        pin: None,
        group: None,
    }
}

/// As many threads as the container may use CPUs; without a quota one CPU is left to the rest of
/// the machine.
fn workers(group: &Cgroup) -> usize {
    let online = std::thread::available_parallelism().map_or(1, usize::from);
    match group.cpu_quota() {
        Some(quota) => (quota.ceil() as usize).clamp(1, online),
        None => (online - 1).max(1),
    }
}

fn helper_effect(target: &Target, fault: &Fault, injection: &Injection) -> Effect {
    let gone = |what: &str| Effect { effective: false, evidence: format!("{what} is gone") };
    let Some(helper) = injection.lease.as_ref().and_then(Lease::process) else {
        return gone("the helper");
    };
    let Some(group) = DockerRuntime::process(target).ok().and_then(|p| group_of(p).ok()) else {
        return gone("the target");
    };
    let before = &injection.baseline;
    let kills = group.oom_kills().saturating_sub(before.oom_kills);
    if let Fault::Memory { bytes, allow_oom, .. } = fault {
        let used = group.memory_in_use().unwrap_or(0).saturating_sub(before.counters[2]);
        let evidence = format!("{} MiB more in use, {kills} killed for want of memory", used >> 20);
        return Effect { effective: used >= bytes / 10 * 9 || (*allow_oom && kills > 0), evidence };
    }
    let passed = injection.since.elapsed().as_micros().max(1) as u64;
    let burned = helper.cpu_and_waiting().0.as_micros() as u64 * 100 / passed;
    let (throttled, periods) = group.throttled();
    let throttled = throttled.saturating_sub(before.counters[0]);
    let periods = periods.saturating_sub(before.counters[1]);
    let wanted = group.cpu_quota().map_or(workers(&group) as f64, |quota| quota);
    let percent = (burned as f64 / wanted) as u64;
    let evidence = match group.cpu_quota() {
        Some(_) => format!(
            "{burned} % of a CPU burned ({percent} % of the quota), throttled in {throttled} of \
             {periods} periods"
        ),
        None => format!("{burned} % of a CPU burned on {wanted} threads; it has no quota"),
    };
    let throttling = group.cpu_quota().is_none() || throttled * 2 >= periods;
    Effect { effective: percent >= SATURATED_PERCENT && throttling, evidence }
}

/// What the kernel is going to do about memory, in words.
fn predict(group: &Cgroup, bytes: u64, allow_oom: bool) -> Result<String, RuntimeError> {
    let needed = bytes + bytes / 2 + (1 << 30);
    if available_memory().is_none_or(|available| available < needed) {
        return Err(RuntimeError::new(format!(
            "this machine has less than {} MiB of memory to spare",
            needed >> 20
        )));
    }
    let Some(limit) = group.memory_limit() else {
        return Ok(
            "it has no memory limit: it cannot run out of memory by itself, but others can \
                   because of it"
                .into(),
        );
    };
    let room = limit.saturating_sub(group.memory_in_use().unwrap_or(0));
    if room >= bytes + bytes / 10 {
        return Ok(format!("{} MiB are free below its limit: nothing is killed", room >> 20));
    }
    if allow_oom {
        return Ok(format!(
            "only {} MiB are free below its limit: the kernel kills the helper first",
            room >> 20
        ));
    }
    Err(RuntimeError::new(format!(
        "only {} MiB are free below its memory limit of {} MiB: the kernel would kill something; \
         allow it with chaos.memory.allow_oom",
        room >> 20,
        limit >> 20
    )))
}

fn group_of(process: Process) -> Result<Cgroup, RuntimeError> {
    Cgroup::of(process).ok_or_else(|| RuntimeError::new("its control group is not to be seen"))
}

fn name_of(inspected: &Value) -> String {
    let name = inspected.pointer("/Name").and_then(Value::as_str).unwrap_or_default();
    name.trim_start_matches('/').to_owned()
}

fn instance(inspected: &Value) -> Instance {
    let state = |field: &str| inspected.pointer(&format!("/State/{field}"));
    let running = state("Running").and_then(Value::as_bool) == Some(true);
    let started = state("StartedAt").and_then(Value::as_str).unwrap_or_default().to_owned();
    let since = started.parse::<Timestamp>().ok();
    let uptime =
        since.and_then(|since| Duration::try_from(Timestamp::now().duration_since(since)).ok());
    let health = inspected.pointer("/State/Health/Status").and_then(Value::as_str);
    Instance {
        pid: state("Pid")
            .and_then(Value::as_u64)
            .and_then(|pid| u32::try_from(pid).ok())
            .filter(|pid| running && *pid > 0),
        started,
        uptime: uptime.unwrap_or_default(),
        restarts: inspected.pointer("/RestartCount").and_then(Value::as_u64).unwrap_or(0),
        healthy: health.filter(|health| *health != "none").map(|health| health == "healthy"),
    }
}

/// Why a container that is no store is left alone all the same.
fn unsuitable(inspected: &Value, instance: &Instance) -> Option<String> {
    let state = inspected.pointer("/State/Status").and_then(Value::as_str).unwrap_or_default();
    if state != "running" {
        return Some(format!("it is {state}"));
    }
    if instance.healthy == Some(false) {
        return Some("its own health check does not pass".into());
    }
    let removed = inspected.pointer("/HostConfig/AutoRemove").and_then(Value::as_bool);
    (removed == Some(true)).then(|| "it would be removed when it ends (--rm)".into())
}

/// Why a container's restart policy would not bring it back after a SIGKILL.
fn no_restart(inspected: &Value) -> Option<String> {
    let policy = inspected.pointer("/HostConfig/RestartPolicy/Name").and_then(Value::as_str);
    match policy.unwrap_or_default() {
        "always" | "unless-stopped" => None,
        "on-failure" => {
            let most = inspected.pointer("/HostConfig/RestartPolicy/MaximumRetryCount");
            let most = most.and_then(Value::as_u64).unwrap_or(0);
            let used = inspected.pointer("/RestartCount").and_then(Value::as_u64).unwrap_or(0);
            (most > 0 && used >= most).then(|| "its restart policy has no tries left".into())
        }
        _ => Some("it has no restart policy: nothing would bring it back".into()),
    }
}

async fn connect(host: &str) -> Result<Docker, RuntimeError> {
    let version = bollard::API_DEFAULT_VERSION;
    let docker = match host.split_once("://") {
        Some(("unix", _)) => Docker::connect_with_unix(host, PATIENCE_SECONDS, version),
        Some((scheme, _)) => {
            return Err(RuntimeError::new(format!(
                "Docker engine {host}: only engines on this machine (unix://) can be used, not \
                 {scheme}://"
            )));
        }
        None => {
            return Err(RuntimeError::new(format!("Docker engine {host}: expected unix:///...")));
        }
    };
    let docker = docker.map_err(failed)?;
    docker.negotiate_version().await.map_err(|error| {
        RuntimeError::new(format!("no Docker engine answers at {host}: {}", describe(&error)))
    })
}

async fn inspect(docker: &Docker, id: &str) -> Result<Value, RuntimeError> {
    let inspected = docker.inspect_container(id, None::<InspectContainerOptions>).await;
    serde_json::to_value(inspected.map_err(failed)?).map_err(|e| RuntimeError::new(e.to_string()))
}

fn failed(error: bollard::errors::Error) -> RuntimeError {
    RuntimeError::new(format!("Docker engine: {}", describe(&error)))
}

fn describe(error: &bollard::errors::Error) -> String {
    let mut reason: &dyn std::error::Error = error;
    while let Some(source) = reason.source() {
        reason = source;
    }
    crate::platform::text::excerpt(&reason.to_string())
}

/// Starts a container that is not running. One that is gone needs nothing.
///
/// # Errors
/// When it is there and does not start.
pub async fn start(host: &str, container: &str) -> Result<(), RuntimeError> {
    let docker = connect(host).await?;
    match is_down(&docker, container).await? {
        true => {
            let started = docker.start_container(container, None::<StartContainerOptions>).await;
            started.map_err(failed)
        }
        false => Ok(()),
    }
}

/// Says so if a container is not running.
pub async fn still_down(host: &str, container: &str) -> Vec<String> {
    let down = match connect(host).await {
        Ok(docker) => is_down(&docker, container).await,
        Err(error) => Err(error),
    };
    match down {
        Ok(false) => Vec::new(),
        Ok(true) => vec![format!("container {container} is down")],
        Err(error) => vec![format!("container {container} cannot be looked at: {error}")],
    }
}

async fn is_down(docker: &Docker, container: &str) -> Result<bool, RuntimeError> {
    match docker.inspect_container(container, None::<InspectContainerOptions>).await {
        Ok(inspected) => {
            let state = inspected.state.unwrap_or_default();
            Ok(state.running != Some(true) && state.restarting != Some(true))
        }
        Err(bollard::errors::Error::DockerResponseServerError { status_code: 404, .. }) => {
            Ok(false)
        }
        Err(error) => Err(failed(error)),
    }
}
