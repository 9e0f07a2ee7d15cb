//! The services of the platform under validation, and how each is spoken to.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::secret::SecretSource;
use super::timespan::TimeSpan;
use super::wire::{ConnectionSettings, TlsSettings};

/// The three services that a platform under validation may have.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum ServiceKind {
    /// OpenAI-compatible chat completions.
    Chat,
    /// Retrieval: ingest and query.
    Rag,
    /// Model Context Protocol over streamable HTTP.
    Mcp,
}

impl ServiceKind {
    /// All services, in the order in which they are shown.
    pub const ALL: [Self; 3] = [Self::Chat, Self::Rag, Self::Mcp];

    /// The name used in configuration, events, screens and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Rag => "rag",
            Self::Mcp => "mcp",
        }
    }
}

impl fmt::Display for ServiceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The services under validation. One that is left out is not loaded, and its phases say so.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Services {
    /// Chat completions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chat: Option<ChatService>,
    /// Retrieval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rag: Option<RagService>,
    /// MCP gateway.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mcp: Option<McpService>,
}

impl Services {
    /// What every configured service has in common, in the order of [`ServiceKind::ALL`].
    pub fn endpoints(&self) -> impl Iterator<Item = (ServiceKind, &Endpoint)> {
        let chat = self.chat.as_ref().map(|s| (ServiceKind::Chat, &s.endpoint));
        let rag = self.rag.as_ref().map(|s| (ServiceKind::Rag, &s.endpoint));
        let mcp = self.mcp.as_ref().map(|s| (ServiceKind::Mcp, &s.endpoint));
        [chat, rag, mcp].into_iter().flatten()
    }
}

/// Where a service is and how one gets in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// Scheme, host and port (and a path prefix, if there is one), such as `https://chat.example.com`.
    pub base_url: String,
    /// Path of the health check, answered with 2xx when the service is well.
    #[serde(default = "default_health")]
    pub health: String,
    /// Headers sent with every request. Secrets belong in `auth`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Credentials, by environment variable or file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<Auth>,
    /// A request that takes longer counts as a timeout.
    #[serde(default = "default_timeout")]
    pub timeout: TimeSpan,
    /// HTTP version, keep-alive, names and proxy.
    #[serde(default, skip_serializing_if = "is_default")]
    pub connection: ConnectionSettings,
    /// Authorities, client certificate, and whether certificates are checked at all.
    #[serde(default, skip_serializing_if = "is_default")]
    pub tls: TlsSettings,
}

pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn default_health() -> String {
    "/health".into()
}

const fn default_timeout() -> TimeSpan {
    TimeSpan::secs(30)
}

/// Credentials of a service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Auth {
    /// Environment variable that holds a bearer token.
    BearerEnv(String),
    /// File that holds a bearer token.
    BearerFile(std::path::PathBuf),
    /// A header of its own, such as `x-api-key`.
    Header {
        /// Header name.
        name: String,
        /// Where the value is.
        value: SecretSource,
    },
}

/// Chat completions, OpenAI-compatible.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChatService {
    /// Address and credentials.
    pub endpoint: Endpoint,
    /// Path of the completions operation.
    #[serde(default = "default_completions")]
    pub completions: String,
    /// Model name to ask for.
    pub model: String,
    /// Upper bound of tokens per answer, sent as `max_tokens`.
    #[serde(default = "default_max_tokens")]
    pub max_tokens: u32,
}

fn default_completions() -> String {
    "/v1/chat/completions".into()
}

const fn default_max_tokens() -> u32 {
    64
}

/// Retrieval: documents go in, answers come out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RagService {
    /// Address and credentials.
    pub endpoint: Endpoint,
    /// The query operation.
    pub query: Operation,
    /// Everything that load writes goes here and nowhere else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scratch: Option<Scratch>,
}

/// How load writes documents, and how it removes them again. Without this block ingest does not run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scratch {
    /// The collection that takes the documents of a run.
    pub collection: String,
    /// Writes one document. Placeholders: `{collection}`, `{id}`, `{marker}`, `{text}`.
    pub ingest: Operation,
    /// Removes one document. Placeholders: `{collection}`, `{id}`.
    pub delete: Operation,
    /// Looks one document up; it must answer 404 after the removal. Placeholders: `{collection}`, `{id}`.
    pub lookup: Operation,
}

/// One HTTP operation as data. Placeholders in path and body are filled per request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Operation {
    /// HTTP method.
    #[serde(default = "default_method")]
    pub method: String,
    /// Path below the base URL.
    pub path: String,
    /// JSON body; strings in it may hold placeholders.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<serde_json::Value>,
}

fn default_method() -> String {
    "POST".into()
}

/// MCP over streamable HTTP.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct McpService {
    /// Address and credentials.
    pub endpoint: Endpoint,
    /// Path of the MCP endpoint.
    #[serde(default = "default_mcp_path")]
    pub path: String,
    /// The only tools that load may call. Empty: no tool is ever called.
    #[serde(default)]
    pub tools: Vec<Tool>,
}

fn default_mcp_path() -> String {
    "/mcp".into()
}

/// A tool that load may call, with the arguments it is called with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tool {
    /// Name as listed by `tools/list`.
    pub name: String,
    /// Arguments of the call. Placeholder: `{marker}`.
    #[serde(default)]
    pub arguments: serde_json::Value,
}
