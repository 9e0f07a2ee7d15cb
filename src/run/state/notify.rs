//! Who was told what.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::push_bounded;
use crate::run::event::{NotifyEvent, Sent};

/// Who was told what.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NotifyState {
    /// Alerts that are not over, by key.
    pub alerts: BTreeMap<String, AlertState>,
    /// Channels by which nobody is told, and what is not set for that.
    #[serde(default)]
    pub not_configured: BTreeMap<String, String>,
    /// Deliveries that worked, by channel.
    pub delivered: BTreeMap<String, u64>,
    /// Deliveries that did not, by channel.
    pub failed: BTreeMap<String, u64>,
    /// The last of both.
    pub last: VecDeque<Sent>,
    /// The last silences that were made and ended: channel, what happened, whether it went wrong.
    #[serde(default)]
    pub silences: VecDeque<(String, String, bool)>,
    /// Alerts of the platform's own that were waited for: name, time in microseconds, evidence.
    pub platform: Vec<(String, Option<u64>, String)>,
}

/// An alert that is not over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertState {
    /// What it says.
    pub summary: String,
    /// The level that was reached.
    pub level: u32,
}

impl NotifyState {
    pub(super) fn apply(&mut self, event: &NotifyEvent) {
        match event {
            NotifyEvent::Level { key, resolved: true, .. } => {
                self.alerts.remove(key);
            }
            NotifyEvent::Level { key, summary, level, .. } => {
                let alert = AlertState { summary: summary.clone(), level: *level };
                self.alerts.insert(key.clone(), alert);
            }
            NotifyEvent::NotConfigured { channel, missing } => {
                self.not_configured.insert(channel.clone(), missing.clone());
            }
            NotifyEvent::Sent(sent) => {
                let counts =
                    if sent.error.is_none() { &mut self.delivered } else { &mut self.failed };
                *counts.entry(sent.channel.clone()).or_default() += 1;
                push_bounded(&mut self.last, sent.clone());
            }
            NotifyEvent::PlatformAlert { alertname, after_us, evidence } => {
                self.platform.push((alertname.clone(), *after_us, evidence.clone()));
            }
            NotifyEvent::Silence { channel, what, failed } => {
                push_bounded(&mut self.silences, (channel.clone(), what.clone(), *failed));
            }
            NotifyEvent::Unknown => {}
        }
    }
}
