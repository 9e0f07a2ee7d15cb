//! Telling others: alerts from the state of a run, who is told after how long, one file per channel.
//! Nothing here changes a verdict; what could not be delivered is reported.

mod alert;
mod alertmanager;
mod chaos;
mod delivery;
mod email;
mod escalation;
mod http;
mod outbox;
mod pagerduty;
mod slack;
mod watch;
mod webhook;

pub use alert::{Alert, Message};
pub use chaos::ChaosAlerts;
pub use delivery::{Attempt, Failure, Notifier, deliver, notifier};
pub use escalation::{Escalation, Observed, Step};
pub use outbox::Outbox;
pub use watch::Watch;
