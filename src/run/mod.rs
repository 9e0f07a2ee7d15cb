//! A run: events, the state folded from them, the plan, its phases and the engine process.

pub mod client;
pub mod clock;
pub mod control;
pub mod event;
pub mod histogram;
pub mod journal;
pub mod phase;
pub mod plan;
pub mod recorder;
pub mod state;
