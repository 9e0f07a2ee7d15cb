//! A run: events, the state folded from them, the plan, its phases and the engine process.

pub mod client;
pub mod clock;
pub mod connection;
pub mod control;
mod decide;
pub mod engine;
pub mod event;
pub mod folder;
pub mod histogram;
pub mod journal;
mod lines;
mod logger;
pub mod orchestrator;
pub mod phase;
pub mod plan;
pub mod recorder;
pub mod recovery;
pub mod server;
pub mod socket;
pub mod state;
pub mod state_dir;
pub mod target_lock;
pub mod threshold;
pub mod undo;
pub mod verdict;
mod watch_phase;
