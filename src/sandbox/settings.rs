//! What a sandbox is asked to be, where it is, and the configuration that leads there.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::config::{
    AuditedOperation, Backup, Chaos, ChatService, Config, ConnectionSettings, Criteria, Endpoint,
    Environment, Guards, Images, Lengths, McpService, Monitoring, Operation, Phases, Probe,
    RagService, ReportSettings, Runs, RuntimeKind, Scratch, Security, ServiceKind, Services, Store,
    Stores, Target, TimeSpan, TlsSettings, Tool, Workloads,
};

/// What a sandbox is asked to be.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Seed of its latencies.
    pub seed: u64,
    /// Factor on every latency; 1.0 is a healthy platform.
    pub latency_scale: f64,
    /// Where its stores come from.
    pub stores: StoreSource,
}

/// Where the stores of a sandbox come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StoreSource {
    /// They are in this program.
    #[default]
    Embedded,
    /// They are servers installed on this machine; what is not installed is embedded.
    Local,
}

impl StoreSource {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Local => "local",
        }
    }

    /// How long the services and stores of a sandbox may take until they listen: an installed server
    /// may be a JVM.
    pub const fn ready_within(self) -> Duration {
        match self {
            Self::Embedded => Duration::from_secs(30),
            Self::Local => Duration::from_secs(90),
        }
    }
}

impl std::str::FromStr for StoreSource {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let found = [Self::Embedded, Self::Local].into_iter().find(|one| one.name() == word);
        found.ok_or_else(|| "expected embedded or local".into())
    }
}

impl Default for Options {
    fn default() -> Self {
        Self { seed: 1, latency_scale: 1.0, stores: StoreSource::default() }
    }
}

/// Where the services and stores of a sandbox are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Endpoints {
    /// Base URL of chat.
    pub chat: String,
    /// Base URL of RAG.
    pub rag: String,
    /// Base URL of MCP.
    pub mcp: String,
    /// Base URL of the supervisor.
    pub admin: String,
    /// The stores, with where their credentials are.
    pub stores: Stores,
}

impl Endpoints {
    /// Addresses that stand in until a sandbox has been started.
    pub fn placeholder() -> Self {
        let nowhere = || "http://127.0.0.1:9".to_owned();
        let mut stores = Stores::default();
        for kind in super::stores::EMBEDDED {
            *stores.slot(*kind) = Some(Store::at(nowhere()));
        }
        Self { chat: nowhere(), rag: nowhere(), mcp: nowhere(), admin: nowhere(), stores }
    }
}

/// The configuration that has a sandbox as its target.
pub fn config(endpoints: &Endpoints) -> Config {
    Config {
        target: Target { name: "sandbox".into(), environment: Environment::Sandbox },
        services: Services {
            chat: Some(ChatService {
                endpoint: endpoint(&endpoints.chat),
                completions: "/v1/chat/completions".into(),
                model: super::chat::MODEL.into(),
                max_tokens: 64,
            }),
            rag: Some(rag_service(&endpoints.rag)),
            mcp: Some(McpService {
                endpoint: endpoint(&endpoints.mcp),
                path: "/mcp".into(),
                tools: vec![
                    tool("echo", json!({ "text": "{marker}" })),
                    tool("add", json!({ "a": 20, "b": 22 })),
                    tool("search_handbook", json!({ "query": "rollback" })),
                ],
            }),
        },
        stores: endpoints.stores.clone(),
        workloads: Workloads::default(),
        phases: Phases::default(),
        chaos: chaos(endpoints),
        security: security(),
        backup: Backup::default(),
        criteria: Criteria::default(),
        monitoring: Monitoring::default(),
        slo_definitions: None,
        guards: Guards::default(),
        on_detach: None,
        report: ReportSettings::default(),
        runs: Runs::default(),
    }
}

/// The same for a demo: everything is compressed to about three minutes.
pub fn demo_config(endpoints: &Endpoints) -> Config {
    let mut config = config(endpoints);
    config.phases.cooldown = TimeSpan::secs(3);
    config.phases.full = Lengths {
        mixed: TimeSpan::secs(40),
        ramping: TimeSpan::secs(40),
        chaos: TimeSpan::secs(60),
        security: TimeSpan::secs(25),
        backup: TimeSpan::secs(20),
        slo: TimeSpan::secs(5),
    };
    config.backup.documents = 200;
    config.backup.canary_interval = TimeSpan::millis(200);
    config.chaos.steady.baseline = TimeSpan::secs(3);
    config.chaos.cpu.length = TimeSpan::secs(5);
    config.chaos.memory.length = TimeSpan::secs(5);
    config.chaos.partition.length = TimeSpan::secs(6);
    config
}

/// Its requests may be attacked, and it has no images.
fn security() -> Security {
    let audited = |service, path: &str, body| {
        let request = Operation { method: "POST".into(), path: path.into(), body: Some(body) };
        AuditedOperation::new(service, request)
    };
    let hello = json!([{ "role": "user", "content": "hello" }]);
    let completion = json!({ "model": super::chat::MODEL, "messages": hello, "max_tokens": 4 });
    Security {
        operations: vec![
            audited(ServiceKind::Rag, "/v1/query", json!({ "question": "How do we roll back?" })),
            audited(ServiceKind::Chat, "/v1/chat/completions", completion),
        ],
        // On loopback nobody else is disturbed.
        requests_per_second: 200,
        writes: true,
        images: Images { none: true, ..Images::default() },
        ..Security::default()
    }
}

fn chaos(endpoints: &Endpoints) -> Chaos {
    let probe = |path: &str, body, degraded: Option<&str>| Probe {
        request: Operation { method: "POST".into(), path: path.into(), body: Some(body) },
        degraded: degraded.map(str::to_owned),
    };
    let hello = json!([{ "role": "user", "content": "hello" }]);
    let completion = json!({ "model": super::chat::MODEL, "messages": hello, "max_tokens": 4 });
    let question = json!({ "question": "How do we roll back?", "generate": true });
    Chaos {
        runtime: RuntimeKind::Sandbox,
        sandbox: Some(endpoints.admin.clone()),
        depends_on: [(ServiceKind::Rag, vec![ServiceKind::Chat])].into(),
        probes: [
            (ServiceKind::Chat, probe("/v1/chat/completions", completion, None)),
            (ServiceKind::Rag, probe("/v1/query", question, Some("/degraded"))),
        ]
        .into(),
        ..Chaos::default()
    }
}

fn endpoint(base_url: &str) -> Endpoint {
    Endpoint {
        base_url: base_url.to_owned(),
        health: "/health".into(),
        headers: Default::default(),
        auth: None,
        timeout: TimeSpan::secs(10),
        connection: ConnectionSettings::default(),
        tls: TlsSettings::default(),
    }
}

fn rag_service(base_url: &str) -> RagService {
    let operation = |method: &str, path: &str, body| Operation {
        method: method.into(),
        path: path.into(),
        body,
    };
    let document = "/v1/collections/{collection}/documents/{id}";
    RagService {
        endpoint: endpoint(base_url),
        query: operation("POST", "/v1/query", Some(json!({ "question": "{question}" }))),
        scratch: Some(Scratch {
            collection: "shakedown-scratch".into(),
            ingest: operation(
                "POST",
                "/v1/collections/{collection}/documents",
                Some(
                    json!({ "id": "{id}", "text": "{text}", "metadata": { "marker": "{marker}" } }),
                ),
            ),
            delete: operation("DELETE", document, None),
            lookup: operation("GET", document, None),
        }),
    }
}

fn tool(name: &str, arguments: serde_json::Value) -> Tool {
    Tool { name: name.into(), arguments }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::PhaseKind;

    #[test]
    fn a_demo_takes_about_three_minutes() {
        let phases = demo_config(&Endpoints::placeholder()).phases;
        let work: u64 =
            PhaseKind::ALL.map(|kind| phases.full.of(kind).get().as_secs()).iter().sum();
        // Audit and drill end when they are done, before their time is over.
        assert!((165..=205).contains(&(work + 4 * phases.cooldown.get().as_secs())), "{work}");
    }
}
