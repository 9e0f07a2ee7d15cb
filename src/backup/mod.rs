//! The backup drill: known data into every store, a backup of it, its destruction, its restore, and the
//! proof, record by record, that nothing was lost.

mod archive;
mod dataset;
mod ledger;
mod record;
mod stores;
