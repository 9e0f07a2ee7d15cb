//! The built-in load engine: virtual users on per-core threads, real requests, HDR histograms.

mod act;
mod arrivals;
mod budget;
mod chat;
mod cookies;
mod course;
mod crew;
mod curve;
mod documents;
mod exchange;
mod feeder;
mod generator;
mod guard;
mod limit;
mod mcp;
mod merge;
mod phase;
mod population;
mod rag;
mod recorder;
mod recovery;
mod request;
mod running;
mod schedule;
#[cfg(fuzzing)]
pub mod sse;
#[cfg(not(fuzzing))]
mod sse;
mod template;
#[cfg(test)]
mod tests;
mod think;
mod thresholds;
mod trend;
mod user;
mod values;
mod verdict;

pub use phase::{LoadPhase, LoadUnavailable, phase};
pub use recovery::{RecoverError, remove_leftovers};
