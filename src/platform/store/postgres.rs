//! PostgreSQL, by tokio-postgres.

use std::time::Duration;

use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Error, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{Address, Credentials, StoreError, retried, within};
use crate::config::{Store, StoreKind};
use crate::platform::text::with_causes;
use crate::platform::tls;

/// What every session of ours says first: forms of values that are exact and the same everywhere, as
/// `pg_dump` sets them. With `row_security` off a policy is an error rather than a silent filter.
const SESSION: &str = "SET TimeZone='UTC'; SET DateStyle='ISO'; SET IntervalStyle='postgres'; \
    SET extra_float_digits=3; SET bytea_output='hex'; SET synchronize_seqscans=off; \
    SET row_security=off; SET search_path=''; SET client_min_messages='warning'";

/// What a server says that may pass: it is starting, or has no place for another session.
const TRANSIENT: [SqlState; 2] = [SqlState::CANNOT_CONNECT_NOW, SqlState::TOO_MANY_CONNECTIONS];

/// Waits for an answer, and says in the server's words what it says: the client's own are "db error".
///
/// # Errors
/// What the server says, or that it took too long.
pub async fn answered<T>(
    limit: Duration,
    doing: &str,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, StoreError> {
    let said = |error: Error| match error.as_db_error() {
        Some(answer) => format!("{} ({})", answer.message(), answer.code().code()),
        None => with_causes(&error),
    };
    within(limit, doing, async { work.await.map_err(said) }).await
}

/// Opens a session.
///
/// # Errors
/// When the address is none, the server cannot be reached, or it refuses.
pub async fn connect(store: &Store, timeout: Duration) -> Result<Client, StoreError> {
    let address = Address::parse(StoreKind::Postgres, &store.url)?;
    let credentials = Credentials::read(store)?;
    let mut config = tokio_postgres::Config::new();
    config
        .host(&address.host)
        .port(address.port)
        .application_name("shakedown")
        .connect_timeout(timeout)
        .dbname(if address.path.is_empty() { "postgres" } else { &address.path });
    config.user(credentials.user.as_deref().unwrap_or("postgres"));
    if let Some(password) = credentials.password() {
        config.password(password);
    }
    let mode = ssl_mode(&address.query)?;
    config.ssl_mode(mode);
    let transient = |error: &Error| error.code().is_some_and(|code| TRANSIENT.contains(code));
    let client = if mode == SslMode::Disable {
        let opened = retried(transient, || config.connect(NoTls));
        let (client, connection) = answered(timeout, "connect", opened).await?;
        tokio::spawn(connection);
        client
    } else {
        let authorities = super::authorities(store)?;
        let tls = match mode {
            SslMode::Prefer => tls::optional_config(authorities.as_deref()),
            _ => tls::store_config(authorities.as_deref()),
        };
        let tls = MakeRustlsConnect::new(tls.map_err(StoreError::when("TLS"))?);
        let opened = retried(transient, || config.connect(tls.clone()));
        let opened = answered(timeout, "connect", opened).await;
        let (client, connection) = opened.map_err(|mut error| {
            if error.reason.contains("peer certificate") {
                error.reason += " (`ca_file` names its authority; `?sslmode=disable` does without)";
            }
            error
        })?;
        tokio::spawn(connection);
        client
    };
    answered(timeout, "session settings", client.batch_execute(SESSION)).await?;
    Ok(client)
}

/// Whether an address asks for a session in the clear, whatever its server offers.
pub fn is_in_the_clear(url: &str) -> bool {
    let mode =
        Address::parse(StoreKind::Postgres, url).and_then(|address| ssl_mode(&address.query));
    mode.is_ok_and(|mode| mode == SslMode::Disable)
}

fn ssl_mode(query: &str) -> Result<SslMode, StoreError> {
    let mut modes = query.split('&').filter_map(|pair| pair.strip_prefix("sslmode="));
    match modes.next_back() {
        None | Some("prefer") => Ok(SslMode::Prefer),
        Some("disable") => Ok(SslMode::Disable),
        // Certificates are always checked.
        Some("require" | "verify-ca" | "verify-full") => Ok(SslMode::Require),
        Some(other) => Err(StoreError::new(
            "sslmode",
            format!("expected disable, prefer, require, verify-ca or verify-full, got {other}"),
        )),
    }
}
