//! A run as others see it: `/metrics` while it goes on, a textfile when it ends, annotations in Grafana.

mod exposition;
mod grafana;
mod objectives;
mod page;
mod server;
mod textfile;

pub use exposition::render;
pub use grafana::GrafanaMarks;
pub use page::Format;
pub use server::MetricsServer;
pub use textfile::Textfile;
