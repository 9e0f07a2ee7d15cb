//! How a service is reached over the network: HTTP version, connections, names, proxy and TLS.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::secret::SecretSource;
use super::timespan::TimeSpan;
use super::validate::{Found, is_bare};

/// Which HTTP is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum HttpVersion {
    /// HTTP/2 where the server agrees to it in the TLS handshake (ALPN), HTTP/1.1 otherwise.
    #[default]
    Auto,
    /// HTTP/1.1 alone.
    Http1,
    /// HTTP/2 alone; without TLS by prior knowledge (h2c).
    Http2,
}

/// Connections to a service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ConnectionSettings {
    /// `auto`, `http1` or `http2`.
    pub http: HttpVersion,
    /// Whether a connection is used for further requests; without, each request has its own.
    pub keep_alive: bool,
    /// From looking up the name to the end of the TLS handshake; all addresses of a name are tried.
    pub connect_timeout: TimeSpan,
    /// How long the addresses of a name are kept; `0s` looks the name up for every connection.
    pub dns_ttl: TimeSpan,
    /// A proxy such as `http://proxy.example.com:3128` or `socks5://bastion.example.com:1080`, or
    /// `none`. Without this key `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` of the environment count, except for
    /// loopback addresses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy: Option<String>,
    /// Who the proxy is told is asking.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_auth: Option<ProxyAuth>,
}

impl Default for ConnectionSettings {
    fn default() -> Self {
        Self {
            http: HttpVersion::Auto,
            keep_alive: true,
            connect_timeout: TimeSpan::secs(10),
            dns_ttl: TimeSpan::secs(300),
            proxy: None,
            proxy_auth: None,
        }
    }
}

/// Credentials for a proxy (Basic; user and password of SOCKS5).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProxyAuth {
    /// User name.
    pub user: String,
    /// Where the password is.
    pub password: SecretSource,
}

/// TLS to a service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TlsSettings {
    /// PEM file of the authorities to trust instead of the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// PEM file of the client's certificate and its chain, for services that ask for one (mTLS).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert_file: Option<PathBuf>,
    /// PEM file of the key of that certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_file: Option<PathBuf>,
    /// Accepts any certificate. Whoever stands between can then read and change everything; the run
    /// says so on its screen, in its log and in its report.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub insecure: bool,
}

/// What contradicts itself in the settings of one endpoint.
pub(super) fn contradictions(
    path: &str,
    connection: &ConnectionSettings,
    tls: &TlsSettings,
    found: &mut Found,
) {
    let timeout = !connection.connect_timeout.get().is_zero();
    found.check(timeout, &format!("{path}.connection.connect_timeout"), "expected more than 0s");
    if let Some(proxy) = connection.proxy.as_deref().filter(|proxy| *proxy != "none") {
        let uri: Option<hyper::Uri> = proxy.parse().ok();
        let good = uri.is_some_and(|uri| {
            let spoken = matches!(uri.scheme_str(), Some("http" | "socks5" | "socks5h"));
            spoken && is_bare(&uri)
        });
        found.check(
            good,
            &format!("{path}.connection.proxy"),
            "expected `none` or something like http://proxy.example.com:3128 or \
             socks5://proxy.example.com:1080; credentials belong in `proxy_auth`",
        );
    }
    let to_whom = connection.proxy.as_deref().is_some_and(|proxy| proxy != "none");
    found.check(
        connection.proxy_auth.is_none() || to_whom,
        &format!("{path}.connection.proxy_auth"),
        "expected `proxy` beside it: credentials go to no proxy that only the environment names",
    );
    found.check(
        tls.cert_file.is_some() == tls.key_file.is_some(),
        &format!("{path}.tls"),
        "expected `cert_file` and `key_file` together",
    );
    found.check(
        !(tls.insecure && tls.ca_file.is_some()),
        &format!("{path}.tls.insecure"),
        "`insecure` accepts any certificate, `ca_file` only some: expected one of them",
    );
}
