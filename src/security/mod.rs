//! The security audit: Trivy on images and eight penetration tests that change nothing.

mod phase;
mod prober;
mod probes;
mod score;
mod trivy;

pub use phase::SecurityPhase;
