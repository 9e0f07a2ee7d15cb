//! The backup drill: known data into every store, a backup of it, its destruction, its restore, and the
//! proof, record by record, that nothing was lost.

pub mod archive;
pub mod dataset;
pub mod ledger;
pub mod record;
pub mod stores;
