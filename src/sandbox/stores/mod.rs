//! The practice platform's stores: each speaks the protocol of the store that it stands in for, holds
//! what it is given in memory, and says what it really is. They share no code with the drill that is
//! tried on them; they are no evidence about any real store.

mod credentials;
mod folder;
#[cfg(feature = "sandbox-stores")]
mod limits;
#[cfg(feature = "sandbox-stores")]
mod listener;
pub mod local;
#[cfg(feature = "sandbox-stores")]
mod minio;
#[cfg(feature = "sandbox-stores")]
pub mod neo4j;
#[cfg(feature = "embedded-postgres")]
mod postgres;
#[cfg(feature = "sandbox-stores")]
pub mod qdrant;
#[cfg(feature = "sandbox-stores")]
pub mod redis;

use std::io;
use std::path::PathBuf;

use super::lifeline;
#[cfg(feature = "sandbox-stores")]
use super::port;
use crate::config::{SecretSource, Store, StoreKind};

pub use credentials::Credentials;
pub use folder::Folder;

/// The stores that this build has.
pub const EMBEDDED: &[StoreKind] = if cfg!(feature = "embedded-postgres") {
    &StoreKind::ALL
} else if cfg!(feature = "sandbox-stores") {
    &[StoreKind::Redis, StoreKind::Qdrant, StoreKind::Neo4j, StoreKind::Minio]
} else {
    &[]
};

/// What a practice store is asked to be.
#[derive(Clone, Debug)]
pub struct StoreSettings {
    /// Which store.
    pub store: StoreKind,
    /// Its loopback port.
    pub port: u16,
    /// Its second port, where it has one.
    pub second_port: Option<u16>,
    /// File with its password.
    pub password_file: PathBuf,
    /// Folder for what it writes.
    pub folder: PathBuf,
    /// Program of an installed server that it becomes.
    pub program: Option<PathBuf>,
    /// Process id of the supervisor.
    pub parent: u32,
}

/// What an embedded store really is.
pub const fn label(store: StoreKind) -> &'static str {
    match store {
        StoreKind::Postgres => "PostgreSQL 17.5 (embedded)",
        StoreKind::Redis => "Redis protocol, shakedown's own store",
        StoreKind::Qdrant => "Qdrant protocol, shakedown's own store",
        StoreKind::Neo4j => "Bolt protocol and a part of Cypher, shakedown's own store",
        StoreKind::Minio => "S3 protocol (s3s), shakedown's own store",
    }
}

/// How a store of the sandbox is reached.
pub fn address(
    kind: StoreKind,
    port: u16,
    second_port: Option<u16>,
    credentials: &Credentials,
    label: &str,
) -> Store {
    let url = match kind {
        StoreKind::Postgres => format!("postgres://127.0.0.1:{port}/postgres?sslmode=disable"),
        StoreKind::Redis => format!("redis://127.0.0.1:{port}/0"),
        StoreKind::Neo4j => format!("bolt://127.0.0.1:{port}"),
        StoreKind::Qdrant | StoreKind::Minio => format!("http://127.0.0.1:{port}"),
    };
    let has_user = kind == StoreKind::Minio;
    Store {
        user: has_user.then(|| credentials.access_key()),
        password: Some(credentials.password()),
        grpc: second_port.map(|port| format!("http://127.0.0.1:{port}")),
        label: Some(label.to_owned()),
        ..Store::at(url)
    }
}

/// Serves one practice store until the parent is gone.
///
/// # Errors
/// When a port cannot be bound, or the password cannot be read.
pub async fn serve(settings: &StoreSettings) -> io::Result<()> {
    if let Some(program) = &settings.program {
        return Err(local::become_server(settings, program));
    }
    // What writes files of its own lives a moment longer, to remove them.
    let writes = settings.store == StoreKind::Postgres;
    let has_parent = if writes { lifeline::has_parent } else { lifeline::die_with_parent };
    if !has_parent(settings.parent) {
        return Ok(());
    }
    let secret = SecretSource::File(settings.password_file.clone());
    let secret = secret.read().map_err(io::Error::other)?;
    tokio::select! {
        served = speak(settings, secret.expose()) => served,
        () = lifeline::parent_gone() => {
            if writes {
                let _ = std::fs::remove_dir_all(&settings.folder);
                // Nobody else writes; the sandbox's own folder is empty now.
                let _ = settings.folder.parent().map(std::fs::remove_dir);
            }
            Ok(())
        }
    }
}

/// Speaks a store's protocol.
#[cfg(feature = "sandbox-stores")]
async fn speak(settings: &StoreSettings, secret: &str) -> io::Result<()> {
    let listener = || port::listen(settings.port);
    match settings.store {
        StoreKind::Redis => redis::serve(listener()?, secret).await,
        StoreKind::Minio => minio::serve(listener()?, credentials::ACCESS_KEY, secret).await,
        StoreKind::Neo4j => neo4j::serve(listener()?, secret).await,
        StoreKind::Qdrant => {
            let second = port::listen(settings.second_port.unwrap_or(0))?;
            qdrant::serve(listener()?, second, secret).await
        }
        #[cfg(feature = "embedded-postgres")]
        StoreKind::Postgres => {
            // Seconds pass until it is ready: who connects before is refused, and waits.
            let engine = postgres::start().await?;
            postgres::serve(engine, listener()?, secret).await
        }
        #[cfg(not(feature = "embedded-postgres"))]
        StoreKind::Postgres => Err(io::Error::other("this build has no PostgreSQL of its own")),
    }
}

/// Says that this build was made without them.
#[cfg(not(feature = "sandbox-stores"))]
async fn speak(settings: &StoreSettings, _: &str) -> io::Result<()> {
    Err(io::Error::other(format!("this build has no {} of its own", settings.store)))
}
