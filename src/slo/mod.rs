//! SLO compliance over what the load phases measured.

mod evaluation;
mod phase;

pub use evaluation::evaluate;
pub use phase::{SloJudge, SloPhase};
