//! The built-in load engine: virtual users on per-core threads, real requests, HDR histograms.

mod budget;
mod chat;
mod course;
mod documents;
mod exchange;
mod generator;
mod guard;
mod mcp;
mod merge;
mod phase;
mod population;
mod rag;
mod recorder;
mod recovery;
#[cfg(fuzzing)]
pub mod sse;
#[cfg(not(fuzzing))]
mod sse;
mod template;
#[cfg(test)]
mod tests;
mod user;
mod verdict;

pub use phase::{LoadPhase, LoadUnavailable, phase};
pub use recovery::{RecoverError, remove_leftovers};
