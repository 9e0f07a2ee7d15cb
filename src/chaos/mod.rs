//! Faults that always heal: experiments, the runtimes in which they act, and what undoes them.

mod board;
mod budget;
mod cgroup;
mod comeback;
mod confine;
mod course;
mod dry_run;
mod faults;
mod firewall;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod guard;
pub mod helper;
mod lease;
mod phase;
mod plan;
mod procfs;
mod recovery;
mod runtime;
mod safety;
mod score;
mod sockets;
mod strike;
#[cfg(test)]
mod tests;
mod undo;
mod verdict;

pub use dry_run::dry_run;
pub use phase::ChaosPhase;
pub use recovery::{Healed, heal_leftovers};
