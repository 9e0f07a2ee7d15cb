//! The checks of the audit.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The checks of the audit, in the order in which they are made: what looks only comes first, what
/// would spoil the others comes last.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum CheckKind {
    /// Trivy on container images.
    Images,
    /// Security headers.
    Headers,
    /// Cross-origin resource sharing.
    Cors,
    /// API keys where they do not belong.
    Keys,
    /// SQL injection.
    Sqli,
    /// Cross-site scripting.
    Xss,
    /// Authentication bypass and access between users.
    Auth,
    /// File upload.
    Upload,
    /// Rate limiting.
    RateLimit,
}

impl CheckKind {
    /// All of them, in order.
    pub const ALL: [Self; 9] = [
        Self::Images,
        Self::Headers,
        Self::Cors,
        Self::Keys,
        Self::Sqli,
        Self::Xss,
        Self::Auth,
        Self::Upload,
        Self::RateLimit,
    ];

    /// The name in configuration and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Images => "images",
            Self::Headers => "headers",
            Self::Cors => "cors",
            Self::Keys => "keys",
            Self::Sqli => "sqli",
            Self::Xss => "xss",
            Self::Auth => "auth",
            Self::Upload => "upload",
            Self::RateLimit => "rate-limit",
        }
    }

    /// The name on screens and in reports.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Images => "image scan",
            Self::Headers => "security headers",
            Self::Cors => "CORS",
            Self::Keys => "API key exposure",
            Self::Sqli => "SQL injection",
            Self::Xss => "XSS",
            Self::Auth => "authentication bypass",
            Self::Upload => "file upload",
            Self::RateLimit => "rate limiting",
        }
    }
}

impl fmt::Display for CheckKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.title())
    }
}
