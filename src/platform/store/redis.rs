//! Redis, by the `redis` client. Its default of 500 ms per answer is far too short for a store under
//! load or chaos.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, ConnectionAddr, IntoConnectionInfo, TlsCertificates};

use super::{Address, Credentials, StoreError, within};
use crate::config::{Store, StoreKind};
use crate::platform::tls;

/// Opens a connection.
///
/// # Errors
/// When the address is none, the server cannot be reached, or it refuses.
pub async fn connect(
    store: &Store,
    timeout: Duration,
) -> Result<MultiplexedConnection, StoreError> {
    tls::install_provider();
    let client = client(store)?;
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(timeout))
        .set_response_timeout(Some(timeout));
    within(timeout, "connect", client.get_multiplexed_async_connection_with_config(&config)).await
}

fn client(store: &Store) -> Result<Client, StoreError> {
    let wrong = StoreError::when::<redis::RedisError>("address");
    let address = Address::parse(StoreKind::Redis, &store.url)?;
    let credentials = Credentials::read(store)?;
    let encrypted = match address.scheme.as_str() {
        "redis" => false,
        "rediss" => true,
        other => {
            return Err(StoreError::new(
                "address",
                format!("expected redis:// or rediss://, got {other}://"),
            ));
        }
    };
    let to = if encrypted {
        let (host, port) = (address.host.clone(), address.port);
        ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
    } else {
        ConnectionAddr::Tcp(address.host.clone(), address.port)
    };
    let mut info = to.into_connection_info().map_err(wrong)?;
    let mut settings = info.redis_settings().clone().set_db(address.path.parse().unwrap_or(0));
    if let Some(user) = &credentials.user {
        settings = settings.set_username(user);
    }
    if let Some(password) = credentials.password() {
        settings = settings.set_password(password);
    }
    info = info.set_redis_settings(settings);
    let root_cert = super::authorities(store)?;
    let opened = if encrypted {
        Client::build_with_tls(info, TlsCertificates { client_tls: None, root_cert })
    } else {
        Client::open(info)
    };
    opened.map_err(StoreError::when("address"))
}
