//! The backup drill: known data into every store, a backup of it, its destruction, its restore, and the
//! proof, record by record, that nothing was lost.

pub mod archive;
mod conclusion;
pub mod dataset;
mod drill;
mod dry_run;
pub mod ledger;
mod phase;
pub mod record;
mod service;
pub mod stores;
mod subject;
mod undo;

pub use dry_run::dry_run;
pub use phase::{BackupOptions, BackupPhase};
pub use service::format;
pub use undo::{Cleaned, clean_leftovers};
