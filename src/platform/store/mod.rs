//! How the stores are reached: one file each, with what their clients get wrong by default put right.

pub mod minio;
pub mod neo4j;
pub mod postgres;
pub mod qdrant;
pub mod redis;
mod tunnel;

use std::fmt::Display;
use std::future::Future;
use std::time::Duration;

use crate::config::{SecretError, SecretSource, Store, StoreKind};
use crate::platform::text::excerpt;

/// Why a store did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{doing}: {reason}")]
pub struct StoreError {
    /// What was being done.
    pub doing: String,
    /// What came instead, cleaned and bounded.
    pub reason: String,
}

impl StoreError {
    /// An error of a client or server, said in one line.
    pub fn new(doing: impl Into<String>, reason: impl Display) -> Self {
        Self { doing: doing.into(), reason: excerpt(&reason.to_string()) }
    }

    /// As [`Self::new`], for `map_err`.
    pub fn when<E: Display>(doing: &str) -> impl FnOnce(E) -> Self + '_ {
        move |error| Self::new(doing, error)
    }
}

/// Waits for an answer for at most `limit`.
///
/// # Errors
/// What the work says, or that it took too long.
pub async fn within<T, E: Display>(
    limit: Duration,
    doing: &str,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, StoreError> {
    match tokio::time::timeout(limit, work).await {
        Ok(done) => done.map_err(StoreError::when(doing)),
        Err(_) => Err(StoreError::new(doing, format!("no answer within {} s", limit.as_secs()))),
    }
}

/// Port of an S3 server behind TLS whose address names none.
const HTTPS_PORT: u16 = 443;
/// Most attempts at the same thing.
const ATTEMPTS: u32 = 3;
/// Pause after the first attempt; each further one is four times as long.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// Does something that may be done twice without harm, up to three times while its failure is
/// `transient`.
///
/// # Errors
/// What the last attempt said.
pub async fn retried<T, E, W: Future<Output = Result<T, E>>>(
    transient: impl Fn(&E) -> bool,
    mut attempt: impl FnMut() -> W,
) -> Result<T, E> {
    let (mut left, mut pause) = (ATTEMPTS, FIRST_PAUSE);
    loop {
        left -= 1;
        match attempt().await {
            Err(error) if left > 0 && transient(&error) => {
                tokio::time::sleep(pause).await;
                pause *= 4;
            }
            done => return done,
        }
    }
}

/// Credentials of a store, read from where the configuration names them.
#[derive(Clone, Debug, Default)]
pub(super) struct Credentials {
    pub(super) user: Option<String>,
    password: Option<crate::config::Secret>,
}

impl Credentials {
    pub(super) fn read(store: &Store) -> Result<Self, StoreError> {
        let failed = |error: SecretError| StoreError::new("credentials", error);
        let user = store.user.as_ref().map(SecretSource::read_name).transpose().map_err(failed)?;
        let password = store.password.as_ref().map(SecretSource::read).transpose();
        Ok(Self { user, password: password.map_err(failed)? })
    }

    pub(super) fn password(&self) -> Option<&str> {
        self.password.as_ref().map(crate::config::Secret::expose)
    }
}

/// Address of a store, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) scheme: String,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) path: String,
    pub(super) query: String,
}

impl Address {
    pub(super) fn parse(kind: StoreKind, url: &str) -> Result<Self, StoreError> {
        let wrong = || {
            let expected = "expected something like scheme://host:port, without credentials";
            StoreError::new(format!("address `{}`", excerpt(url)), expected)
        };
        let uri: hyper::Uri = url.parse().map_err(|_| wrong())?;
        let authority = uri.authority().ok_or_else(wrong)?;
        if authority.as_str().contains('@') {
            return Err(StoreError::new("address", "credentials belong in `user` and `password`"));
        }
        let scheme = uri.scheme_str().ok_or_else(wrong)?.to_ascii_lowercase();
        let port = match (kind, scheme.as_str()) {
            (StoreKind::Minio, "https") => HTTPS_PORT,
            _ => kind.default_port(),
        };
        Ok(Self {
            scheme,
            host: authority.host().trim_matches(['[', ']']).to_owned(),
            port: authority.port_u16().unwrap_or(port),
            path: uri.path().trim_matches('/').to_owned(),
            query: uri.query().unwrap_or_default().to_owned(),
        })
    }

    /// The host as it stands in a URL.
    pub(super) fn host_in_url(&self) -> String {
        if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() }
    }
}

/// Scheme, host (without brackets) and port of a store's address.
///
/// # Errors
/// When it is none.
pub fn store_address(kind: StoreKind, url: &str) -> Result<(String, String, u16), StoreError> {
    let Address { scheme, host, port, .. } = Address::parse(kind, url)?;
    Ok((scheme, host, port))
}

/// The PEM text of the configured authorities, where there are some.
pub(super) fn authorities(store: &Store) -> Result<Option<Vec<u8>>, StoreError> {
    let Some(path) = &store.ca_file else { return Ok(None) };
    let named = |error| StoreError::new(format!("ca_file {}", path.display()), error);
    std::fs::read(path).map(Some).map_err(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_apart_and_refuses_credentials() {
        let parsed = Address::parse(StoreKind::Postgres, "postgres://[::1]/app?sslmode=require");
        let parsed = parsed.expect("an address");
        assert_eq!((parsed.host.as_str(), parsed.port), ("::1", 5432));
        assert_eq!((parsed.path.as_str(), parsed.query.as_str()), ("app", "sslmode=require"));
        assert_eq!(parsed.host_in_url(), "[::1]");
        let refused =
            Address::parse(StoreKind::Redis, "redis://:hunter2@cache").expect_err("secret");
        assert!(!refused.to_string().contains("hunter2"), "{refused}");
        assert!(Address::parse(StoreKind::Redis, "cache").is_err());
        let s3 = |url| Address::parse(StoreKind::Minio, url).expect("an address").port;
        assert_eq!((s3("https://s3.amazonaws.com"), s3("http://minio")), (443, 9000));
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_pass_is_tried_three_times_and_what_may_not_once() {
        let tries = std::cell::Cell::new(0);
        let fail = || async {
            tries.set(tries.get() + 1);
            Err::<(), _>(tries.get())
        };
        assert_eq!(retried(|_| true, fail).await, Err(3));
        tries.set(0);
        assert_eq!(retried(|_| false, fail).await, Err(1));
        tries.set(0);
        let third = || async {
            tries.set(tries.get() + 1);
            if tries.get() < 3 { Err(()) } else { Ok(tries.get()) }
        };
        assert_eq!(retried(|()| true, third).await, Ok(3));
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_says_nothing_is_not_waited_for() {
        let never = std::future::pending::<Result<(), StoreError>>();
        let error = within(Duration::from_secs(3), "PING", never).await.expect_err("no answer");
        assert_eq!(error.to_string(), "PING: no answer within 3 s");
    }
}
