//! The stores of the platform under validation, and how one gets in.

use std::fmt;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::secret::SecretSource;

/// The five stores that a platform under validation may have.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum StoreKind {
    /// PostgreSQL.
    Postgres,
    /// Redis.
    Redis,
    /// Qdrant.
    Qdrant,
    /// Neo4j.
    Neo4j,
    /// MinIO or another S3.
    Minio,
}

impl StoreKind {
    /// All stores, in the order in which they are shown.
    pub const ALL: [Self; 5] =
        [Self::Postgres, Self::Redis, Self::Qdrant, Self::Neo4j, Self::Minio];

    /// The name used in configuration, events, screens and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Redis => "redis",
            Self::Qdrant => "qdrant",
            Self::Neo4j => "neo4j",
            Self::Minio => "minio",
        }
    }

    /// The port that it listens on where its address names none.
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Postgres => 5432,
            Self::Redis => 6379,
            Self::Qdrant => 6333,
            Self::Neo4j => 7687,
            Self::Minio => 9000,
        }
    }
}

impl fmt::Display for StoreKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The five stores. One that is left out is not drilled, and the report says so.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Stores {
    /// PostgreSQL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub postgres: Option<Store>,
    /// Redis.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redis: Option<Store>,
    /// Qdrant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub qdrant: Option<Store>,
    /// Neo4j.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub neo4j: Option<Store>,
    /// MinIO or another S3.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minio: Option<Store>,
}

impl Stores {
    /// One store, where it is configured.
    pub const fn get(&self, kind: StoreKind) -> Option<&Store> {
        match kind {
            StoreKind::Postgres => self.postgres.as_ref(),
            StoreKind::Redis => self.redis.as_ref(),
            StoreKind::Qdrant => self.qdrant.as_ref(),
            StoreKind::Neo4j => self.neo4j.as_ref(),
            StoreKind::Minio => self.minio.as_ref(),
        }
    }

    /// The place of one store, to fill or empty it.
    pub const fn slot(&mut self, kind: StoreKind) -> &mut Option<Store> {
        match kind {
            StoreKind::Postgres => &mut self.postgres,
            StoreKind::Redis => &mut self.redis,
            StoreKind::Qdrant => &mut self.qdrant,
            StoreKind::Neo4j => &mut self.neo4j,
            StoreKind::Minio => &mut self.minio,
        }
    }

    /// The configured stores, in the order of [`StoreKind::ALL`].
    pub fn configured(&self) -> impl Iterator<Item = (StoreKind, &Store)> {
        StoreKind::ALL.into_iter().filter_map(|kind| self.get(kind).map(|store| (kind, store)))
    }
}

/// Where a store is and how one gets in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Store {
    /// Address without credentials, such as `postgres://db.example.com:5432/app`,
    /// `redis://cache:6379/0`, `http://qdrant:6333`, `bolt://graph:7687`, `http://minio:9000`.
    /// With TLS: `postgres://...?sslmode=require`, `rediss://`, `https://`, `bolt+s://`.
    pub url: String,
    /// User or access key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<SecretSource>,
    /// Password, secret key or API key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<SecretSource>,
    /// Qdrant only: address of its gRPC port; port 6334 of the same host when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grpc: Option<String>,
    /// S3 only: region; `us-east-1` when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// PEM file with the authorities that its certificate is checked against; the system's when
    /// left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// Free memory or disk in bytes, where the store does not say itself how much it has (PostgreSQL,
    /// Qdrant, Neo4j, most S3): a drill takes a tenth of it at most. Where both are known, the smaller
    /// one counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub free_bytes: Option<u64>,
    /// What the store really is, where its own word would mislead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}

impl Store {
    /// A store without credentials.
    pub fn at(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            user: None,
            password: None,
            grpc: None,
            region: None,
            ca_file: None,
            free_bytes: None,
            label: None,
        }
    }
}
