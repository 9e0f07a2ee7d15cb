//! All collections and their aliases.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tonic::Status;

use super::collection::Collection;
use crate::sandbox::stores::limits;

/// What both protocols share.
#[derive(Clone, Default)]
pub struct Shared(Arc<Mutex<State>>);

impl Shared {
    /// Everything at this instant.
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses a write when too much memory is used already.
    pub fn admit_write(&self) -> Result<(), Status> {
        if limits::is_full() {
            return Err(Status::resource_exhausted("the sandbox's store holds as much as it may"));
        }
        Ok(())
    }
}

/// All there is.
#[derive(Default)]
pub struct State {
    /// Collections by name.
    pub collections: BTreeMap<String, Collection>,
    /// Other names of collections.
    pub aliases: BTreeMap<String, String>,
}

impl State {
    /// A collection by its name or an alias.
    pub fn collection(&mut self, name: &str) -> Result<&mut Collection, Status> {
        let name = self.aliases.get(name).map_or(name, String::as_str);
        let missing =
            || Status::not_found(format!("Not found: Collection `{name}` doesn't exist!"));
        self.collections.get_mut(name).ok_or_else(missing)
    }

    /// Whether there is a collection or an alias of this name.
    pub fn exists(&self, name: &str) -> bool {
        self.collections.contains_key(name) || self.aliases.contains_key(name)
    }

    /// Removes a collection with its aliases and snapshots.
    pub fn remove(&mut self, name: &str) -> bool {
        let gone = self.collections.remove(name).is_some();
        if gone {
            self.aliases.retain(|_, collection| collection != name);
        }
        gone
    }
}
