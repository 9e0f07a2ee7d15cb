//! Health checks of the services.

use std::time::Duration;

use futures_util::future::join_all;
use reqwest::{Client, redirect};
use tokio::time::Instant;

use super::endpoint::{EndpointError, ResolvedEndpoint};
use super::text::{excerpt, innermost};
use super::tls;
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
    #[error("cannot make an HTTP client: {0}")]
    Client(#[from] reqwest::Error),
}

/// Checks the health of the configured services.
#[derive(Clone, Debug)]
pub struct HealthProbe {
    client: Client,
    targets: Vec<Target>,
}

#[derive(Clone, Debug)]
struct Target {
    service: ServiceKind,
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
        tls::install_provider();
        let client = Client::builder()
            .redirect(redirect::Policy::none())
            .timeout(LONGEST)
            .pool_max_idle_per_host(1)
            .build()?;
        let mut targets = Vec::new();
        for (service, endpoint) in endpoints {
            let resolved = ResolvedEndpoint::resolve(endpoint)
                .map_err(|source| HealthError::Endpoint { service, source })?;
            let url = format!("{}{}", resolved.origin(), resolved.path(&endpoint.health));
            targets.push(Target { service, url, endpoint: resolved });
        }
        Ok(Self { client, targets })
    }

    async fn ask(&self, target: &Target) -> (ServiceKind, HealthAnswer) {
        let began = Instant::now();
        let request = self.client.get(&target.url).headers(target.endpoint.headers.clone());
        let (healthy, detail) = match request.send().await {
            Ok(response) => {
                let status = response.status();
                (status.is_success(), format!("status {}", status.as_u16()))
            }
            Err(error) => (false, excerpt(&describe(&error))),
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
        join_all(self.targets.iter().map(|target| self.ask(target))).await
    }
}

/// The innermost reason: reqwest's own says only that a request failed, and repeats the URL.
pub(super) fn describe(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return format!("no answer within {} s", LONGEST.as_secs());
    }
    innermost(error)
}
