//! Health checks of the services.

use std::time::Duration;

use futures_util::future::join_all;
use reqwest::Client;
use tokio::time::Instant;

use super::client::{self, ClientError};
use super::endpoint::{EndpointError, ResolvedEndpoint};
use super::text::{excerpt, innermost};
use crate::config::{Endpoint, ServiceKind, Services};

/// Longest wait for an answer; a health check that takes longer is none.
const LONGEST: Duration = Duration::from_secs(5);

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthAnswer {
    /// Whether the service is well: an answer with status 2xx.
    pub healthy: bool,
    /// Time to the answer, or to the failure.
    pub latency: Duration,
    /// Status or error in words, cleaned.
    pub detail: String,
}

/// Why health cannot be checked at all.
#[derive(Debug, thiserror::Error)]
pub enum HealthError {
    /// An endpoint is malformed, or its credentials are missing.
    #[error("{service}: {source}")]
    Endpoint {
        /// Which service.
        service: ServiceKind,
        /// What is wrong.
        source: EndpointError,
    },
    /// There is no HTTP client.
    #[error("{service}: {source}")]
    Client {
        /// Of which service.
        service: ServiceKind,
        /// Why.
        source: ClientError,
    },
}

/// Checks the health of the configured services.
#[derive(Clone, Debug)]
pub struct HealthProbe {
    targets: Vec<Target>,
}

#[derive(Clone, Debug)]
struct Target {
    service: ServiceKind,
    client: Client,
    url: String,
    endpoint: ResolvedEndpoint,
}

impl HealthProbe {
    /// A probe of every configured service.
    ///
    /// # Errors
    /// When an endpoint cannot be used.
    pub fn new(services: &Services) -> Result<Self, HealthError> {
        Self::of(services.endpoints())
    }

    /// A probe of these services.
    ///
    /// # Errors
    /// When an endpoint cannot be used.
    pub fn of<'a>(
        endpoints: impl IntoIterator<Item = (ServiceKind, &'a Endpoint)>,
    ) -> Result<Self, HealthError> {
        let mut targets = Vec::new();
        for (service, endpoint) in endpoints {
            let resolved = ResolvedEndpoint::resolve(endpoint)
                .map_err(|source| HealthError::Endpoint { service, source })?;
            let url = format!("{}{}", resolved.origin(), resolved.path(&endpoint.health));
            let client = service_client(service, &resolved, |builder| {
                builder.timeout(LONGEST).pool_max_idle_per_host(1)
            })?;
            targets.push(Target { service, client, url, endpoint: resolved });
        }
        Ok(Self { targets })
    }

    /// How each service is reached.
    pub fn endpoints(&self) -> impl Iterator<Item = (ServiceKind, &ResolvedEndpoint)> {
        self.targets.iter().map(|target| (target.service, &target.endpoint))
    }

    async fn ask(target: &Target) -> (ServiceKind, HealthAnswer) {
        let began = Instant::now();
        let request = target.client.get(&target.url).headers(target.endpoint.headers.clone());
        let (healthy, detail) = match request.send().await {
            Ok(response) => {
                let status = response.status();
                (status.is_success(), format!("status {}", status.as_u16()))
            }
            Err(error) => (false, excerpt(&describe(&error, LONGEST))),
        };
        (target.service, HealthAnswer { healthy, latency: began.elapsed(), detail })
    }
}

/// Something whose health can be asked for.
pub trait AskHealth: Sync {
    /// One answer from every service.
    fn ask_all(&self) -> impl Future<Output = Vec<(ServiceKind, HealthAnswer)>> + Send;
}

impl AskHealth for HealthProbe {
    async fn ask_all(&self) -> Vec<(ServiceKind, HealthAnswer)> {
        join_all(self.targets.iter().map(Self::ask)).await
    }
}

/// A client that asks a service, with more settings than its endpoint's.
pub(super) fn service_client(
    service: ServiceKind,
    endpoint: &ResolvedEndpoint,
    settings: impl FnOnce(reqwest::ClientBuilder) -> reqwest::ClientBuilder,
) -> Result<Client, HealthError> {
    let client = client::builder(endpoint)
        .and_then(|builder| settings(builder).build().map_err(ClientError::from));
    client.map_err(|source| HealthError::Client { service, source })
}

/// The innermost reason: reqwest's own says only that a request failed, and repeats the URL.
pub(super) fn describe(error: &reqwest::Error, waited: Duration) -> String {
    if error.is_timeout() {
        return format!("no answer within {} s", waited.as_secs());
    }
    innermost(error)
}
