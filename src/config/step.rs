//! Steps of a flow as data.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::service::ServiceKind;
use super::timespan::TimeSpan;

/// One request (or a pause) of a flow. Texts may hold placeholders such as `{token}` (extracted by an
/// earlier step), `{questions.text}` (a column of a feeder) and the built-in ones (docs/load.md).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Step {
    /// A chat completion. A conversation carries its history from one such step of a flow to the next.
    Chat {
        /// What the user says.
        prompt: String,
        /// Whether the answer is streamed.
        #[serde(default)]
        stream: bool,
    },
    /// Writes one marked document into the scratch collection.
    Ingest {
        /// The document's text.
        text: String,
    },
    /// Asks a question.
    Query {
        /// The question.
        question: String,
    },
    /// Calls one of the tools that the MCP service allows, in turn.
    Tool {},
    /// Lists the tools.
    ListTools {},
    /// MCP ping.
    Ping {},
    /// GET on the health path of the scenario's service.
    Health {},
    /// Any request to the scenario's service.
    Request(Box<RequestStep>),
    /// A pause.
    Think(TimeSpan),
}

impl Step {
    /// The service that the step needs; none for one that any service has.
    pub const fn service(&self) -> Option<ServiceKind> {
        match self {
            Self::Chat { .. } => Some(ServiceKind::Chat),
            Self::Ingest { .. } | Self::Query { .. } => Some(ServiceKind::Rag),
            Self::Tool {} | Self::ListTools {} | Self::Ping {} => Some(ServiceKind::Mcp),
            Self::Health {} | Self::Request(_) | Self::Think(_) => None,
        }
    }

    /// Whether it is spoken within an MCP session.
    pub const fn needs_session(&self) -> bool {
        matches!(self, Self::Tool {} | Self::ListTools {} | Self::Ping {})
    }

    /// The name under which the step's requests are counted.
    pub fn name(&self) -> String {
        let fixed = match self {
            Self::Chat { stream: false, .. } => "completion",
            Self::Chat { stream: true, .. } => "completion (streamed)",
            Self::Ingest { .. } => "ingest",
            Self::Query { .. } => "query",
            Self::Tool {} => "tools/call",
            Self::ListTools {} => "tools/list",
            Self::Ping {} => "ping",
            Self::Health {} => "health",
            Self::Request(request) => return request.series_name(),
            Self::Think(_) => "think",
        };
        fixed.to_owned()
    }
}

/// Any request, what is taken from its answer, and what the answer is checked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestStep {
    /// Name under which it is counted; method and path without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// HTTP method.
    #[serde(default = "get")]
    pub method: String,
    /// Path and query below the base URL; values of placeholders are percent-encoded.
    pub path: String,
    /// Headers of this request.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// JSON body; strings in it may hold placeholders.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
    /// Body of another kind, sent as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<TextBody>,
    /// Parts of a `multipart/form-data` body.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub multipart: Vec<Part>,
    /// A request that takes longer counts as a timeout; the endpoint's without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<TimeSpan>,
    /// Values for later steps of the flow, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extract: BTreeMap<String, Extraction>,
    /// What must hold for the answer; without a check of the status it must be 2xx.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<AnswerCheck>,
    /// Tags for thresholds.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

fn get() -> String {
    "GET".into()
}

impl RequestStep {
    /// Whether it is the same every time: no placeholder stands in it, and it takes nothing from its
    /// answer.
    pub fn is_constant(&self) -> bool {
        let checks = self.checks.iter().any(|check| !matches!(check, AnswerCheck::Status(_)));
        let varies = checks || !self.extract.is_empty() || !self.multipart.is_empty();
        !varies && self.filled_texts().iter().all(|(_, text)| !text.contains('{'))
    }

    fn series_name(&self) -> String {
        self.name.clone().unwrap_or_else(|| {
            let path = self.path.split('?').next().unwrap_or_default();
            format!("{} {path}", self.method)
        })
    }
}

/// A body that is no JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TextBody {
    /// Its media type, such as `text/plain`.
    pub content_type: String,
    /// What is sent.
    pub content: String,
}

/// One part of a multipart body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Name of the field.
    pub name: String,
    /// What is sent.
    pub content: String,
    /// File name, for a part that is a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
    /// Media type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
}

/// Where a value stands in an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Extraction {
    /// JSON pointer (RFC 6901), such as `/data/0/id`.
    Json(String),
    /// Name of a header.
    Header(String),
}

/// One thing that must hold for an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum AnswerCheck {
    /// The status is this one, or one of these.
    Status(StatusCheck),
    /// A value stands at a JSON pointer, or equals something.
    Json {
        /// JSON pointer (RFC 6901).
        pointer: String,
        /// The value; anything that is there without one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        equals: Option<Value>,
    },
    /// The body contains this text.
    Contains(String),
    /// The answer was whole within this time of its send.
    MaxTime(TimeSpan),
}

/// Statuses that are expected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a status such as 200, or a list of some")]
pub enum StatusCheck {
    /// This one.
    One(u16),
    /// One of these.
    Any(Vec<u16>),
}

impl StatusCheck {
    /// Whether a status is one of them.
    pub fn holds(&self, status: u16) -> bool {
        match self {
            Self::One(one) => *one == status,
            Self::Any(any) => any.contains(&status),
        }
    }
}
