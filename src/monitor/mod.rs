//! A run as others see it: `/metrics` while it goes on, a textfile when it ends, annotations in Grafana.

mod exposition;
mod grafana;
mod server;
mod textfile;

pub use exposition::{Format, render};
pub use grafana::GrafanaMarks;
pub use server::MetricsServer;
pub use textfile::Textfile;
