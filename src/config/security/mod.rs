//! What the security audit may ask, attack and write, and how much.

mod check;
mod discovery;
mod images;
mod writes;

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use check::CheckKind;
pub use discovery::{Discovery, OpenApi};
pub use images::{Images, TrivyContainer};
pub(super) use writes::endings_of;
pub use writes::{Login, PrivateOperation, PrivateReason, Upload};

use super::service::{Auth, Operation, ServiceKind};

/// The security audit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Security {
    /// Checks that are made; all of them when left out.
    pub checks: Vec<CheckKind>,
    /// Most requests that the audit sends.
    pub max_requests: u64,
    /// Most requests per second, but for the rate limiting test.
    pub requests_per_second: u32,
    /// How operations are looked for.
    pub discovery: Discovery,
    /// Requests whose values may be replaced by attacks. Best none of them changes anything: one that
    /// keeps what it is sent keeps what the audit sends, and is left alone without `writes` where its
    /// method or its answer says that it does. Operations that are discovered are attacked without standing
    /// here only when they are GETs.
    pub operations: Vec<AuditedOperation>,
    /// Credentials of a second user, by service, for the tests of access between users.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub second_user: BTreeMap<ServiceKind, Auth>,
    /// Requests that only the first user, whose credentials the services have, may make.
    pub private: Vec<PrivateOperation>,
    /// Origins whose pages may read answers, such as `https://app.example.com`.
    pub trusted_origins: Vec<String>,
    /// Whether the audit may write at all: a document in the scratch collection of RAG, and files by
    /// `uploads`, which carry a mark, are removed again, and whose absence is checked; and what requests of
    /// `operations` keep, which stays unless the request as it is configured takes its place.
    pub writes: bool,
    /// Uploads that may be tried.
    pub uploads: Vec<Upload>,
    /// The login whose limits are tested, with a throw-away user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub login: Option<Login>,
    /// Requests that cost much and whose limits are tested all the same.
    pub expensive: Vec<AuditedOperation>,
    /// Whether SQL injection is also tried by short delays in PostgreSQL and MySQL.
    pub delays: bool,
    /// Findings that are known and accepted, in a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suppressions: Option<PathBuf>,
    /// Container images that Trivy scans.
    pub images: Images,
}

impl Default for Security {
    fn default() -> Self {
        Self {
            checks: Vec::new(),
            max_requests: 4000,
            requests_per_second: 20,
            discovery: Discovery::default(),
            operations: Vec::new(),
            second_user: BTreeMap::new(),
            private: Vec::new(),
            trusted_origins: Vec::new(),
            writes: false,
            uploads: Vec::new(),
            login: None,
            expensive: Vec::new(),
            delays: true,
            suppressions: None,
            images: Images::default(),
        }
    }
}

/// A request that may be attacked. What stands in its body is attacked, and what is named here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuditedOperation {
    /// To which service.
    pub service: ServiceKind,
    /// The request as it is well. `{name}` in its path stands for a value of `values`.
    pub request: Operation,
    /// Values in the path.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<String, String>,
    /// Headers that may be attacked.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Cookies that may be attacked.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub cookies: BTreeMap<String, String>,
    /// A form in the place of a JSON body.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub form: BTreeMap<String, String>,
    /// Whether the form goes as multipart/form-data.
    #[serde(default)]
    pub multipart: bool,
}

impl AuditedOperation {
    /// A request without anything beside it.
    pub const fn new(service: ServiceKind, request: Operation) -> Self {
        Self {
            service,
            request,
            values: BTreeMap::new(),
            headers: BTreeMap::new(),
            cookies: BTreeMap::new(),
            form: BTreeMap::new(),
            multipart: false,
        }
    }
}
