//! A configured endpoint, ready to be spoken to: parsed address and headers with credentials read.

use hyper::Uri;
use hyper::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};

use super::proxy::{Proxy, ProxyError};
use crate::config::{Auth, ConnectionSettings, Endpoint, SecretError, SecretSource, TlsSettings};

/// An endpoint that can be spoken to.
#[derive(Clone, Debug)]
pub struct ResolvedEndpoint {
    /// Whether TLS is spoken.
    pub tls: bool,
    /// Host name or address, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Path prefix of the base URL, without a trailing slash; often empty.
    pub prefix: String,
    /// Configured headers and credentials. Values of credentials are marked sensitive.
    pub headers: HeaderMap,
    /// HTTP version, keep-alive and names.
    pub connection: ConnectionSettings,
    /// Authorities and client certificate.
    pub trust: TlsSettings,
    /// The proxy on the way, if there is one.
    pub proxy: Option<Proxy>,
}

/// Why an endpoint cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// The base URL is none.
    #[error("base_url `{url}`: expected something like https://chat.example.com, {reason}")]
    Url {
        /// The configured URL.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A header is none.
    #[error("header `{0}`: expected a header name and value of visible ASCII characters")]
    Header(String),
    /// Credentials could not be read.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The proxy cannot be used.
    #[error(transparent)]
    Proxy(#[from] ProxyError),
}

impl ResolvedEndpoint {
    /// Parses the address and reads the credentials.
    ///
    /// # Errors
    /// When the URL or a header is malformed, or a secret cannot be read.
    pub fn resolve(endpoint: &Endpoint) -> Result<Self, EndpointError> {
        let address = Address::parse(&endpoint.base_url)?;
        let mut headers = HeaderMap::new();
        for (name, value) in &endpoint.headers {
            insert(&mut headers, name, value, false)?;
        }
        match &endpoint.auth {
            None => {}
            Some(Auth::BearerEnv(name)) => bearer(&mut headers, SecretSource::Env(name.clone()))?,
            Some(Auth::BearerFile(path)) => bearer(&mut headers, SecretSource::File(path.clone()))?,
            Some(Auth::Header { name, value }) => {
                insert(&mut headers, name, value.read()?.expose(), true)?;
            }
        }
        let Address { tls, host, port, prefix } = address;
        let (connection, trust) = (endpoint.connection.clone(), endpoint.tls.clone());
        let mut resolved =
            Self { tls, host, port, prefix, headers, connection, trust, proxy: None };
        resolved.proxy = Proxy::towards(&resolved.origin(), &resolved.connection)?;
        Ok(resolved)
    }

    /// Scheme, host and port, such as `https://chat.example.com:443`.
    pub fn origin(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://{}", self.host_and_port())
    }

    /// Host and port, such as `[::1]:443`.
    pub fn host_and_port(&self) -> String {
        format!("{}:{}", self.bracketed_host(), self.port)
    }

    /// The value of the Host header.
    pub fn authority(&self) -> String {
        let default_port = if self.tls { 443 } else { 80 };
        if self.port == default_port { self.bracketed_host() } else { self.host_and_port() }
    }

    /// A path of the service below the prefix of its base URL.
    pub fn path(&self, path: &str) -> String {
        let slash = if path.starts_with('/') { "" } else { "/" };
        format!("{}{slash}{path}", self.prefix)
    }

    fn bracketed_host(&self) -> String {
        if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() }
    }
}

struct Address {
    tls: bool,
    host: String,
    port: u16,
    prefix: String,
}

impl Address {
    fn parse(url: &str) -> Result<Self, EndpointError> {
        let refuse = |reason| EndpointError::Url { url: redact_userinfo(url), reason };
        let uri: Uri = url.parse().map_err(|_| refuse("and this is no URL"))?;
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(refuse("with http:// or https:// in front")),
        };
        let authority = uri.authority().ok_or_else(|| refuse("with a host"))?;
        if authority.as_str().contains('@') {
            return Err(refuse("without credentials: they belong in `auth`"));
        }
        if uri.query().is_some() {
            return Err(refuse("without a query"));
        }
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        if host.is_empty() {
            return Err(refuse("with a host"));
        }
        let port = authority.port_u16().unwrap_or(if tls { 443 } else { 80 });
        Ok(Self { tls, host, port, prefix: uri.path().trim_end_matches('/').to_owned() })
    }
}

/// A URL with a password in it must not be repeated in an error message.
fn redact_userinfo(url: &str) -> String {
    match (url.find("://"), url.rfind('@')) {
        (Some(scheme), Some(at)) if scheme < at => {
            format!("{}://***{}", &url[..scheme], &url[at..])
        }
        _ => url.to_owned(),
    }
}

fn bearer(headers: &mut HeaderMap, source: SecretSource) -> Result<(), EndpointError> {
    let value = format!("Bearer {}", source.read()?.expose());
    insert(headers, AUTHORIZATION.as_str(), &value, true)
}

fn insert(
    headers: &mut HeaderMap,
    name: &str,
    value: &str,
    sensitive: bool,
) -> Result<(), EndpointError> {
    let refuse = |_| EndpointError::Header(name.to_owned());
    let key = HeaderName::try_from(name).map_err(|_| EndpointError::Header(name.to_owned()))?;
    let mut value = HeaderValue::try_from(value).map_err(|_| ()).map_err(refuse)?;
    value.set_sensitive(sensitive);
    headers.insert(key, value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(url: &str) -> Result<ResolvedEndpoint, EndpointError> {
        ResolvedEndpoint::resolve(&Endpoint {
            base_url: url.into(),
            health: "/health".into(),
            headers: [("x-team".into(), "sre".into())].into(),
            auth: None,
            timeout: crate::config::TimeSpan::secs(1),
            connection: ConnectionSettings::default(),
            tls: TlsSettings::default(),
        })
    }

    #[test]
    fn addresses_are_taken_apart() {
        let plain = resolve("http://127.0.0.1:8080/api/").expect("valid");
        assert_eq!((plain.tls, plain.host.as_str(), plain.port), (false, "127.0.0.1", 8080));
        assert_eq!(plain.path("/health"), "/api/health");
        let six = resolve("https://[::1]").expect("valid");
        assert_eq!((six.origin(), six.authority()), ("https://[::1]:443".into(), "[::1]".into()));
    }

    #[test]
    fn what_is_no_base_url_is_refused_without_repeating_a_password() {
        for url in ["", "chat.example.com", "ftp://x", "http://", "http://h/?q=1"] {
            assert!(resolve(url).is_err(), "{url} was accepted");
        }
        let error = resolve("http://me:hunter2@host").expect_err("credentials").to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }
}
