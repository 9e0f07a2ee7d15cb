//! What became of telling others.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What became of telling others. Nothing of it changes a verdict.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "notify", rename_all = "snake_case")]
pub enum NotifyEvent {
    /// An alert reached a level of its escalation, or is over.
    Level {
        /// The alert's key, the same in every run.
        key: String,
        /// What it says.
        summary: String,
        /// The level; 0 while nobody is told yet.
        level: u32,
        /// Whether it is over.
        resolved: bool,
    },
    /// Nobody is told by a channel: its secret has been given no value.
    NotConfigured {
        /// Name of the channel.
        channel: String,
        /// What is not set.
        missing: String,
    },
    /// A channel was told, or could not be.
    Sent(Sent),
    /// The platform's alerts are silenced while something is broken on purpose, or again not.
    Silence {
        /// Name of the channel.
        channel: String,
        /// What happened, in words.
        what: String,
        /// Whether it went wrong.
        failed: bool,
    },
    /// Whether an alert of the platform's own fired while something was broken on purpose.
    PlatformAlert {
        /// Its name.
        alertname: String,
        /// How long after the beginning of the first fault it was seen, microseconds; none when it
        /// was not seen in time.
        after_us: Option<u64>,
        /// What was found, in words.
        evidence: String,
    },
    /// A kind that this version does not know.
    #[serde(other)]
    Unknown,
}

/// A channel was told, or could not be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// Name of the channel.
    pub channel: String,
    /// The alert's key.
    pub key: String,
    /// What was said.
    pub action: NotifyAction,
    /// How often it was tried.
    pub tries: u32,
    /// Why it was not delivered; none when it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What a channel is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NotifyAction {
    /// Something is wrong (still).
    Trigger,
    /// It is over.
    Resolve,
}

impl fmt::Display for NotifyAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Trigger => "trigger",
            Self::Resolve => "resolve",
        })
    }
}
