//! What the security audit may ask, and how much.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::service::{Operation, ServiceKind};

/// The security audit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Security {
    /// Most requests that the audit sends.
    pub max_requests: u64,
    /// Most requests per second, but for the rate limiting test.
    pub requests_per_second: u32,
    /// Requests whose texts may be replaced by attacks; none of them may change anything.
    pub operations: Vec<AuditedOperation>,
    /// Container images that Trivy scans.
    pub images: Images,
}

impl Default for Security {
    fn default() -> Self {
        Self {
            max_requests: 2000,
            requests_per_second: 20,
            operations: Vec::new(),
            images: Images::default(),
        }
    }
}

/// A request that may be attacked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuditedOperation {
    /// To which service.
    pub service: ServiceKind,
    /// The request as it is well.
    pub request: Operation,
}

/// Container images.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Images {
    /// Whether the target has none at all, so that there is nothing to scan.
    pub none: bool,
    /// Names as Docker knows them.
    pub names: Vec<String>,
    /// The Trivy program; the one on the PATH when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trivy: Option<PathBuf>,
    /// Trivy's ignore file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignore_file: Option<PathBuf>,
    /// Nothing is downloaded: the vulnerability database is there already.
    pub offline: bool,
}
