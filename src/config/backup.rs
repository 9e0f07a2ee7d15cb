//! The backup drill: how much data, which stores, and the platform's own backup service.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::service::{Auth, is_default};
use super::store::{Store, StoreKind};
use super::timespan::TimeSpan;
use super::wire::{ConnectionSettings, TlsSettings};

/// Most documents that a drill puts into the stores.
pub const MAX_DOCUMENTS: u64 = 1_000_000;

/// The backup drill.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Backup {
    /// Whose backup is drilled.
    pub way: BackupWay,
    /// Synthetic documents, each of which is in every store; 1 to 1 000 000.
    pub documents: u64,
    /// Stores that are drilled; every configured one when empty.
    pub stores: Vec<StoreKind>,
    /// Time between two canary records, which measure the RPO.
    pub canary_interval: TimeSpan,
    /// Longest wait for one answer of a store.
    pub timeout: TimeSpan,
    /// The platform's own backup service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<PlatformBackup>,
}

impl Default for Backup {
    fn default() -> Self {
        Self {
            way: BackupWay::BuiltIn,
            documents: 1000,
            stores: Vec::new(),
            canary_interval: TimeSpan::secs(1),
            timeout: TimeSpan::secs(30),
            platform: None,
        }
    }
}

/// Whose backup is drilled.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum BackupWay {
    /// A logical backup by shakedown itself: it drills the stores, not the platform's backups.
    #[default]
    BuiltIn,
    /// The platform's own backup service, as `platform` describes it.
    Platform,
    /// One after the other.
    Both,
}

/// The platform's own backup service: how it is asked, and where its backups are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlatformBackup {
    /// HTTP version, keep-alive, names and proxy of its requests.
    #[serde(default, skip_serializing_if = "is_default")]
    pub connection: ConnectionSettings,
    /// Authorities and client certificate of its requests; `insecure` is refused.
    #[serde(default, skip_serializing_if = "is_default")]
    pub tls: TlsSettings,
    /// Starts a backup.
    pub trigger: Call,
    /// Asks whether it is done; without it, the backup is done when the trigger is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<Wait>,
    /// The files that a backup leaves, as this machine sees them.
    pub artefacts: Vec<Artefact>,
    /// Restores it into scratch stores; without it, no backup is ever shown to be restorable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore: Option<Restore>,
}

/// Something that the platform is asked to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Call {
    /// A request.
    Http(HttpCall),
    /// A program with its arguments; no shell reads them.
    Command(CommandCall),
}

/// A request to the platform.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpCall {
    /// HTTP method.
    #[serde(default = "post")]
    pub method: String,
    /// The whole URL, without credentials.
    pub url: String,
    /// Headers. Secrets belong in `auth`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<Auth>,
    /// JSON body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<serde_json::Value>,
    /// Status codes that mean it was taken on.
    #[serde(default = "taken_on")]
    pub expect: Vec<u16>,
    /// Longest wait for the answer.
    #[serde(default = "half_a_minute")]
    pub timeout: TimeSpan,
}

/// A program of the operator's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommandCall {
    /// The program and its arguments, one by one.
    pub argv: Vec<String>,
    /// Environment variables that it is given, by name; no others.
    #[serde(default = "path_and_home")]
    pub env: Vec<String>,
    /// After this it is killed, with everything that it started.
    #[serde(default = "half_an_hour")]
    pub timeout: TimeSpan,
}

/// How one learns that a backup is done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Wait {
    /// URL that is asked with GET; `{id}` is what the trigger's answer has at `id`.
    pub url: String,
    /// JSON pointer into the trigger's answer, such as `/id`.
    #[serde(default = "pointer_to_id")]
    pub id: String,
    /// JSON pointer to the word that says how far it is, such as `/state`.
    pub state: String,
    /// Words that mean it is done.
    pub done: Vec<String>,
    /// Words that mean it failed.
    #[serde(default)]
    pub failed: Vec<String>,
    /// Credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<Auth>,
    /// Time between two questions.
    #[serde(default = "five_seconds")]
    pub interval: TimeSpan,
    /// Longest wait.
    #[serde(default = "half_an_hour")]
    pub timeout: TimeSpan,
}

/// A bucket with backups.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ArtefactBucket {
    /// Its name.
    pub bucket: String,
    /// The S3 server that has it, and a user who may list and read it.
    pub store: Store,
}

/// Files of one store's backup.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Artefact {
    /// Of which store.
    pub store: StoreKind,
    /// Absolute path; `*` in the file's name stands for anything. With `s3`: a key of the bucket, in
    /// which `*` stands for anything.
    pub path: std::path::PathBuf,
    /// The bucket that holds it, where it is no file of this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub s3: Option<ArtefactBucket>,
    /// Smallest believable size in bytes.
    #[serde(default = "one")]
    pub min_bytes: u64,
    /// What the file has to be; not looked at when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<ArtefactFormat>,
    /// Ending of a file beside it that holds its SHA-256, such as `.sha256`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum: Option<String>,
}

/// Formats that are recognised and read from beginning to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ArtefactFormat {
    /// PostgreSQL's `pg_dump -Fc`.
    PgDump,
    /// Redis' RDB.
    Rdb,
    /// A tar archive.
    Tar,
    /// A gzip stream.
    Gzip,
    /// A zstd stream; its first bytes only.
    Zstd,
    /// JSON, one value a line.
    JsonLines,
}

/// How a backup is restored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Restore {
    /// Restores the backup that was just made.
    pub call: Call,
    /// The stores that it restores into. One that turns out to be the store of the platform itself is
    /// refused unless the run was armed for it with `--arm-in-place`.
    pub into: BTreeMap<StoreKind, Store>,
}

fn post() -> String {
    "POST".into()
}

fn taken_on() -> Vec<u16> {
    vec![200, 201, 202]
}

fn path_and_home() -> Vec<String> {
    vec!["PATH".into(), "HOME".into()]
}

fn pointer_to_id() -> String {
    "/id".into()
}

const fn one() -> u64 {
    1
}

const fn five_seconds() -> TimeSpan {
    TimeSpan::secs(5)
}

const fn half_a_minute() -> TimeSpan {
    TimeSpan::secs(30)
}

const fn half_an_hour() -> TimeSpan {
    TimeSpan::secs(30 * 60)
}
