//! The drill of one store: its steps, what they found, and the cleaning at the end of every way out.

mod batches;
mod canary;
mod closure;
mod course;
mod gate;
mod guard;
mod reporter;
mod restored;
mod selftest;
mod sink;
mod steps;
mod verdict;

#[cfg(test)]
mod tests;

pub use closure::closure;
pub use course::{Course, Drill, Ended};
pub use gate::{Gate, Gatekeeper, Wanted, gate};
pub use guard::{check_disk, look_for_room, size};
pub use steps::check_other_server;
