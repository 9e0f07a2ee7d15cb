//! Reports: one file per format, all from the state of a run.

pub mod backup;
mod cases;
pub mod chaos;
mod chart;
pub mod compare;
pub mod csv;
pub mod ctrf;
pub mod github;
pub mod hlog;
pub mod html;
pub mod json;
pub mod junit;
mod load;
pub mod markdown;
mod meter;
mod notify;
pub mod security;
mod slo;
mod stores;
pub mod text;
pub mod trend;
