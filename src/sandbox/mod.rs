//! The embedded practice platform: chat, RAG and MCP services and the stores behind them, which speak
//! their real protocols, each a supervised child process of this binary on a loopback port. Every
//! answer of a service is marked as the sandbox's, every store labelled with what it is. It proves that a run works end to end; it is no evidence about any real platform.

mod admin;
mod chat;
mod handbook;
mod knobs;
mod latency;
mod launch;
mod lifeline;
mod link;
mod mcp;
mod metrics;
mod peer;
mod port;
mod rag;
mod restart;
mod service;
mod settings;
pub mod stores;
mod supervisor;

pub use launch::{Sandbox, SandboxError};
pub use lifeline::{die_with_parent, parent_gone};
pub use service::{ServiceSettings, serve};
pub use settings::{Endpoints, Options, StoreSource, config, demo_config};
pub use supervisor::supervise;
