//! What may be broken on purpose, how, and for how long.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::service::{Operation, ServiceKind};
use super::timespan::TimeSpan;

/// The chaos phase.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Chaos {
    /// Where the services run.
    pub runtime: RuntimeKind,
    /// How containers are found, for the docker runtime.
    pub docker: Docker,
    /// Base URL of the sandbox's supervisor, for the sandbox runtime.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<String>,
    /// Container (or compose service) that serves each service; a service that is left out is
    /// looked for by its own name.
    pub serves: BTreeMap<ServiceKind, String>,
    /// Targets that are never touched, besides those that are recognised as databases.
    pub critical: Vec<String>,
    /// The services that cannot do without another one: they may suffer with it.
    pub depends_on: BTreeMap<ServiceKind, Vec<ServiceKind>>,
    /// Which experiments are run, in this order.
    pub experiments: Vec<ExperimentKind>,
    /// Killing containers.
    pub kill: Kill,
    /// Saturating a CPU.
    pub cpu: Cpu,
    /// Using up memory.
    pub memory: Memory,
    /// Cutting the network between two services.
    pub partition: Partition,
    /// What steady means.
    pub steady: SteadyRules,
    /// What is asked of a service all the time while the phase lasts, beside its health;
    /// only services that are named here are asked.
    pub probes: BTreeMap<ServiceKind, Probe>,
    /// How often a second each of these, and each health, is asked. More than 5 makes a background
    /// load of the probes.
    pub probes_per_second: u32,
    /// How many targets one experiment may break.
    pub blast_radius: BlastRadius,
    /// Nothing is broken when less than this share of the error budget is left, in percent: of what
    /// `criteria.availability_percent` lets fail, as this run's load before chaos measured it, and of the
    /// whole window of every availability objective that Prometheus measures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget_floor_percent: Option<f64>,
}

impl Default for Chaos {
    fn default() -> Self {
        Self {
            runtime: RuntimeKind::Docker,
            docker: Docker::default(),
            sandbox: None,
            serves: BTreeMap::new(),
            critical: Vec::new(),
            depends_on: BTreeMap::new(),
            experiments: ExperimentKind::ALL.to_vec(),
            kill: Kill::default(),
            cpu: Cpu::default(),
            memory: Memory::default(),
            partition: Partition::default(),
            steady: SteadyRules::default(),
            probes: BTreeMap::new(),
            probes_per_second: 5,
            blast_radius: BlastRadius::default(),
            budget_floor_percent: None,
        }
    }
}

/// Where the services run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RuntimeKind {
    /// Containers of a Docker engine.
    Docker,
    /// The embedded sandbox's own processes.
    Sandbox,
}

/// How containers are found: all conditions that are given must hold. Without a project, a label or a
/// name none is meant.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Docker {
    /// The engine, such as `unix:///var/run/docker.sock`; `DOCKER_HOST`, then the Docker client's
    /// current context, then the usual socket when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// More engines; each `unix:///PATH`, `tcp://HOST:PORT`, `ssh://USER@HOST` or `context:NAME` for
    /// a context of the Docker client.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// Folder with `ca.pem`, `cert.pem` and `key.pem` for engines at `tcp://`; `DOCKER_CERT_PATH`
    /// when left out and `DOCKER_TLS_VERIFY` is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificates: Option<PathBuf>,
    /// How faults are held.
    pub helpers: Helpers,
    /// Name of a compose project.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// Labels with their values.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Exact names of containers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
}

impl Docker {
    /// Which containers are meant, in words; nothing when none are described.
    pub fn wanted(&self) -> String {
        let project = self.project.iter().map(|project| format!("project {project}"));
        let labels = self.labels.iter().map(|(key, value)| format!("label {key}={value}"));
        let names = (!self.names.is_empty()).then(|| format!("name {}", self.names.join(" or ")));
        project.chain(labels).chain(names).collect::<Vec<_>>().join(", ")
    }
}

/// How faults are held in containers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Helpers {
    /// By processes where this user is root on the engine's machine, by containers elsewhere.
    #[default]
    Auto,
    /// By helper containers always.
    Containers,
}

/// The experiments.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum ExperimentKind {
    /// Containers are killed, and their restart policy has to bring them back.
    Kill,
    /// A container's CPU is saturated.
    Cpu,
    /// A container's memory is used up.
    Memory,
    /// The network between two services is cut.
    Partition,
}

impl ExperimentKind {
    /// All of them, in their default order.
    pub const ALL: [Self; 4] = [Self::Kill, Self::Cpu, Self::Memory, Self::Partition];

    /// The name used in configuration, events, screens and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Partition => "partition",
        }
    }
}

impl fmt::Display for ExperimentKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// How many targets one experiment may break; the smaller of both limits holds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BlastRadius {
    /// So many at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub targets: Option<usize>,
    /// At most this share of all targets that may be broken, in percent; one always may be.
    pub percent: f64,
}

impl Default for BlastRadius {
    fn default() -> Self {
        Self { targets: None, percent: 100.0 }
    }
}

impl BlastRadius {
    /// How many of so many may be broken.
    pub fn of(&self, eligible: usize) -> usize {
        let share = (eligible as f64 * self.percent / 100.0).floor() as usize;
        share.max(1).min(self.targets.unwrap_or(usize::MAX))
    }
}

/// Killing containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Kill {
    /// How many, chosen at random.
    pub count: usize,
    /// How long each may take until it serves steadily again.
    pub within: TimeSpan,
    /// A container that was started later than this ago is not killed: what would be measured is
    /// the engine's restart delay. Also the pause between two kills.
    pub min_uptime: TimeSpan,
}

impl Default for Kill {
    fn default() -> Self {
        Self { count: 3, within: TimeSpan::secs(60), min_uptime: TimeSpan::secs(10) }
    }
}

/// Saturating a CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Cpu {
    /// How long.
    pub length: TimeSpan,
}

impl Default for Cpu {
    fn default() -> Self {
        Self { length: TimeSpan::secs(60) }
    }
}

/// Using up memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Memory {
    /// How much, in MiB.
    pub mebibytes: u64,
    /// How long.
    pub length: TimeSpan,
    /// Whether the kernel may be driven to kill something for want of memory.
    pub allow_oom: bool,
}

impl Default for Memory {
    fn default() -> Self {
        Self { mebibytes: 512, length: TimeSpan::secs(45), allow_oom: false }
    }
}

/// Cutting the network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Partition {
    /// Who is cut off from whom; when empty, every pair of `depends_on`.
    pub pairs: Vec<[ServiceKind; 2]>,
    /// How long.
    pub length: TimeSpan,
    /// Which kinds of cut are tried.
    pub scenarios: Vec<CutKind>,
    /// What packets are stopped by, in the docker runtime.
    pub firewall: FirewallChoice,
}

impl Default for Partition {
    fn default() -> Self {
        Self {
            pairs: Vec::new(),
            length: TimeSpan::secs(30),
            scenarios: vec![CutKind::Pair],
            firewall: FirewallChoice::Auto,
        }
    }
}

/// What stops packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FirewallChoice {
    /// nftables; iptables where the kernel has no nf_tables.
    #[default]
    Auto,
    /// A table of nftables, by the kernel's own interface: no tool is needed.
    Nftables,
    /// A chain of iptables, by its tools: only where helpers are processes of the engine's machine.
    Iptables,
}

/// A kind of cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CutKind {
    /// Packets between the two are lost.
    Pair,
    /// Connections between the two are refused at once.
    Reject,
    /// The first is cut off from all that it depends on.
    Isolate,
}

impl CutKind {
    /// The name used in configuration, events and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pair => "pair",
            Self::Reject => "reject",
            Self::Isolate => "isolate",
        }
    }
}

/// What steady means: measured before, during and after every fault.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SteadyRules {
    /// How long the platform is measured before a fault.
    pub baseline: TimeSpan,
    /// A service that answers less than this share of its probes, in percent, is not steady.
    pub availability_percent: f64,
    /// A service whose 95th percentile is above this is not steady ...
    pub p95: TimeSpan,
    /// ... nor one whose 95th percentile is more than so many times that of before.
    pub p95_factor: f64,
    /// How long the platform may take to be steady again after a fault was healed.
    pub within: TimeSpan,
}

impl Default for SteadyRules {
    fn default() -> Self {
        Self {
            baseline: TimeSpan::secs(15),
            availability_percent: 95.0,
            p95: TimeSpan::secs(2),
            p95_factor: 10.0,
            within: TimeSpan::secs(60),
        }
    }
}

/// A request that a service is asked over and over again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// The request; it must not change anything.
    pub request: Operation,
    /// JSON pointer into the answer; `true` there says that the service answered without a peer
    /// that it would need (a fallback).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub degraded: Option<String>,
}
