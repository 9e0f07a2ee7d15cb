//! The ordinary HTTP client (health, probes, clean-up) with the settings that hold for the load.

use reqwest::{ClientBuilder, Url, redirect};

use super::endpoint::ResolvedEndpoint;
use super::proxy::{Proxy, Speech};
use super::tls::{self, TlsError};
use crate::config::HttpVersion;

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// TLS cannot be spoken.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The proxy's address cannot carry its credentials.
    #[error("cannot go through the proxy {0}")]
    Proxy(String),
    /// The library refuses.
    #[error("cannot make an HTTP client: {0}")]
    Client(#[from] reqwest::Error),
}

/// A client for one service: its HTTP version, proxy and TLS; redirects are not followed.
///
/// # Errors
/// When TLS cannot be spoken with these settings, or the proxy is refused.
pub fn builder(endpoint: &ResolvedEndpoint) -> Result<ClientBuilder, ClientError> {
    let settings = &endpoint.connection;
    let mut builder = anywhere().connect_timeout(settings.connect_timeout.get()).no_proxy();
    if !settings.keep_alive {
        builder = builder.pool_max_idle_per_host(0);
    }
    builder = match settings.http {
        HttpVersion::Auto => builder,
        HttpVersion::Http1 => builder.http1_only(),
        HttpVersion::Http2 => builder.http2_prior_knowledge(),
    };
    if endpoint.tls {
        let config = tls::client_config(&endpoint.trust, settings.http)?;
        builder = builder.tls_backend_preconfigured(config);
    }
    if let Some(proxy) = &endpoint.proxy {
        builder = builder.proxy(through(proxy)?);
    }
    Ok(builder)
}

/// A client for whatever address; redirects are not followed. On a machine that knows no authority it
/// speaks plain HTTP all the same, and trusts no server's certificate.
pub fn anywhere() -> ClientBuilder {
    tls::install_provider();
    let builder = ClientBuilder::new().redirect(redirect::Policy::none());
    // The library makes no client at all there.
    if tls::system_roots().is_err() { builder.tls_certs_only([]) } else { builder }
}

fn through(proxy: &Proxy) -> Result<reqwest::Proxy, ClientError> {
    let Speech::Socks { credentials } = &proxy.speech else {
        let to = reqwest::Proxy::all(proxy.url())?;
        return Ok(match &proxy.speech {
            Speech::Http { authorization: Some(value) } => to.custom_http_auth(value.clone()),
            _ => to,
        });
    };
    let mut url: Url = proxy.url().parse().map_err(|_| ClientError::Proxy(proxy.url()))?;
    if let Some((user, password)) = credentials {
        let told = url.set_username(user).and_then(|()| url.set_password(Some(password.expose())));
        told.map_err(|()| ClientError::Proxy(proxy.url()))?;
    }
    Ok(reqwest::Proxy::all(url)?)
}
