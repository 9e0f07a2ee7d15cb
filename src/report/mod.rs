//! Reports: one file per format, all from the state of a run.

pub mod chaos;
pub mod json;
pub mod text;
