//! PostgreSQL, by tokio-postgres.

use std::time::Duration;

use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{Address, Credentials, StoreError, within};
use crate::config::{Store, StoreKind};
use crate::platform::tls;

/// What every session of ours says first: forms of values that are exact and the same everywhere, as
/// `pg_dump` sets them. With `row_security` off a policy is an error rather than a silent filter.
const SESSION: &str = "SET TimeZone='UTC'; SET DateStyle='ISO'; SET IntervalStyle='postgres'; \
    SET extra_float_digits=3; SET bytea_output='hex'; SET synchronize_seqscans=off; \
    SET row_security=off; SET search_path=''; SET client_min_messages='warning'";

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
    let client = if mode == SslMode::Disable {
        let (client, connection) = within(timeout, "connect", config.connect(NoTls)).await?;
        tokio::spawn(connection);
        client
    } else {
        let tls = tls::store_config(super::authorities(store)?.as_deref())
            .map_err(StoreError::when("TLS"))?;
        let tls = MakeRustlsConnect::new(tls);
        let (client, connection) = within(timeout, "connect", config.connect(tls)).await?;
        tokio::spawn(connection);
        client
    };
    within(timeout, "session settings", client.batch_execute(SESSION)).await?;
    Ok(client)
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
