//! Reports: one file per format, all from the state of a run.

pub mod backup;
pub mod chaos;
mod chart;
pub mod csv;
pub mod hlog;
pub mod html;
pub mod json;
pub mod junit;
mod load;
pub mod markdown;
pub mod security;
pub mod text;
