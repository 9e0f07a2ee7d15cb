//! Proxies: which one lies between, and how it is asked for a tunnel.

mod connect;
mod socks;

use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::Uri;
use hyper::header::HeaderValue;
use hyper_util::client::proxy::matcher::Matcher;
use tokio::net::TcpStream;

pub use connect::status_of;

use crate::config::{ConnectionSettings, Secret, SecretError};

/// A proxy on the way to a service.
#[derive(Clone, Debug)]
pub struct Proxy {
    /// What it speaks.
    pub speech: Speech,
    /// Host name or address, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

/// What a proxy speaks, and who it is told is asking.
#[derive(Clone, Debug)]
pub enum Speech {
    /// HTTP: requests in the clear go to it, everything else through a tunnel (CONNECT).
    Http {
        /// Credentials (Basic), marked sensitive.
        authorization: Option<HeaderValue>,
    },
    /// SOCKS5: everything goes through a tunnel. The proxy looks the name of the service up.
    Socks {
        /// User and password.
        credentials: Option<(String, Secret)>,
    },
}

/// Why a proxy cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// What is configured or in the environment is no proxy that is spoken to.
    #[error(
        "proxy: expected something like http://proxy.example.com:3128 or \
         socks5://proxy.example.com:1080, and not `{0}`"
    )]
    Address(String),
    /// Its password could not be read.
    #[error("proxy: {0}")]
    Secret(#[from] SecretError),
}

impl Proxy {
    /// The proxy on the way to a service; none when it is spoken to directly.
    ///
    /// # Errors
    /// When what is named is no proxy that is spoken to, or its password cannot be read.
    pub fn towards(
        origin: &str,
        settings: &ConnectionSettings,
    ) -> Result<Option<Self>, ProxyError> {
        match settings.proxy.as_deref() {
            Some("none") => Ok(None),
            Some(proxy) => {
                let proxy: Uri = proxy.parse().map_err(|_| ProxyError::Address(proxy.into()))?;
                let mut credentials = None;
                if let Some(auth) = &settings.proxy_auth {
                    credentials = Some((auth.user.clone(), auth.password.read()?));
                }
                let authorization = credentials.as_ref().map(basic);
                Self::at(&proxy, authorization, credentials).map(Some)
            }
            None => Self::by(&Matcher::from_env(), origin),
        }
    }

    /// As curl and Go read the environment; like Go, never for a service on this host.
    fn by(environment: &Matcher, origin: &str) -> Result<Option<Self>, ProxyError> {
        let Ok(origin) = origin.parse::<Uri>() else { return Ok(None) };
        if origin.host().is_none_or(is_loopback) {
            return Ok(None);
        }
        let Some(found) = environment.intercept(&origin) else { return Ok(None) };
        let credentials =
            found.raw_auth().map(|(user, password)| (user.to_owned(), password.to_owned().into()));
        Self::at(found.uri(), found.basic_auth().cloned(), credentials).map(Some)
    }

    fn at(
        uri: &Uri,
        authorization: Option<HeaderValue>,
        credentials: Option<(String, Secret)>,
    ) -> Result<Self, ProxyError> {
        let host = uri.host().unwrap_or_default();
        let (speech, default_port) = match uri.scheme_str() {
            Some("http") => (Speech::Http { authorization: authorization.map(sensitive) }, 80),
            Some("socks5" | "socks5h") => (Speech::Socks { credentials }, 1080),
            other => {
                let shown = format!("{}://{host}", other.unwrap_or_default());
                return Err(ProxyError::Address(shown));
            }
        };
        let host = host.trim_matches(['[', ']']).to_owned();
        if host.is_empty() {
            return Err(ProxyError::Address(uri.to_string()));
        }
        Ok(Self { speech, host, port: uri.port_u16().unwrap_or(default_port) })
    }

    /// Its address as a URL, without credentials.
    pub fn url(&self) -> String {
        let scheme = match self.speech {
            Speech::Http { .. } => "http",
            Speech::Socks { .. } => "socks5h",
        };
        let host = &self.host;
        if host.contains(':') {
            format!("{scheme}://[{host}]:{}", self.port)
        } else {
            format!("{scheme}://{host}:{}", self.port)
        }
    }

    /// Asks the proxy at the other end of a stream for a tunnel to `host:port` (a numeric IPv6 host in
    /// brackets).
    ///
    /// # Errors
    /// In words, when the proxy refuses, or answers something else.
    pub async fn tunnel(&self, stream: TcpStream, to: &str) -> Result<TcpStream, String> {
        match &self.speech {
            Speech::Http { authorization } => {
                connect::tunnel(stream, to, authorization.as_ref()).await
            }
            Speech::Socks { credentials } => socks::tunnel(stream, to, credentials.as_ref()).await,
        }
    }
}

fn basic((user, password): &(String, Secret)) -> HeaderValue {
    let both = STANDARD.encode(format!("{user}:{}", password.expose()));
    // Base64 is visible ASCII, which a header can always hold.
    HeaderValue::try_from(format!("Basic {both}")).unwrap_or(HeaderValue::from_static(""))
}

fn sensitive(mut value: HeaderValue) -> HeaderValue {
    value.set_sensitive(true);
    value
}

fn is_loopback(host: &str) -> bool {
    let host = host.trim_matches(['[', ']']);
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn towards(proxy: &str) -> Result<Option<Proxy>, ProxyError> {
        let settings =
            ConnectionSettings { proxy: Some(proxy.into()), ..ConnectionSettings::default() };
        Proxy::towards("https://chat.example.com:443", &settings)
    }

    #[test]
    fn a_proxy_is_an_address_or_none() {
        assert!(towards("none").is_ok_and(|proxy| proxy.is_none()));
        let proxy = towards("http://[::1]:3128").expect("valid").expect("one");
        assert_eq!((proxy.host.as_str(), proxy.url().as_str()), ("::1", "http://[::1]:3128"));
        let proxy = towards("socks5://bastion").expect("valid").expect("one");
        assert_eq!(proxy.url(), "socks5h://bastion:1080");
        for wrong in ["https://x:1", "socks4://x:1", "proxy", "http://"] {
            assert!(towards(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_environment_counts_except_for_this_host_and_what_it_excludes() {
        let environment = Matcher::builder()
            .http("http://me:hunter2@web:3128")
            .all("socks5://me:hunter2@gate")
            .no("internal.example.com, 10.0.0.0/8")
            .build();
        let by = |origin| Proxy::by(&environment, origin).expect("readable");
        let url = |origin| by(origin).map(|proxy| proxy.url());
        assert_eq!(url("http://chat.example.com:80").as_deref(), Some("http://web:3128"));
        assert_eq!(url("https://chat.example.com:443").as_deref(), Some("socks5h://gate:1080"));
        for direct in [
            "http://localhost:80",
            "http://127.0.0.1:80",
            "https://[::1]:443",
            "https://chat.internal.example.com:443",
            "https://10.1.2.3:443",
        ] {
            assert_eq!(url(direct), None, "{direct}");
        }
        let Some(Proxy { speech: Speech::Http { authorization }, .. }) =
            by("http://chat.example.com:80")
        else {
            panic!("no HTTP proxy");
        };
        assert_eq!(authorization.expect("credentials"), "Basic bWU6aHVudGVyMg==");
        let socks = by("https://chat.example.com:443");
        assert!(!format!("{socks:?}").contains("hunter2"), "a secret shows itself");
    }
}
