//! Undoing faults: by the course of an experiment, by abort, and by whoever comes after an engine
//! that was killed. Doing it twice changes nothing; what is gone already needs nothing.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::confine::{OwnGroup, Pinned};
use super::firewall::{Firewall, in_namespace_of};
use super::procfs::{Process, with_argument};
use super::runtime::RuntimeError;
use super::runtime::docker::{self, Address, Then};
use super::runtime::sandbox;

/// How long a killed helper may take to be gone.
const GONE_WITHIN: Duration = Duration::from_secs(2);

/// What undoes a fault.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "undo", rename_all = "snake_case")]
pub enum Undo {
    /// The sandbox's own supervisor starts what was killed; there is nothing to do.
    SandboxRestarts {},
    /// A container is started if it is not running.
    StartContainer {
        /// The container.
        then: Then,
        /// Label of the helpers that may have been used.
        token: String,
    },
    /// Helpers in containers are removed; what they hold ends with them.
    RemoveHelpers {
        /// Their engine.
        address: Address,
        /// Their label.
        token: String,
    },
    /// A table of ours is removed from the network namespace of a container.
    RemoveTableIn {
        /// The container.
        then: Then,
        /// Label of the helpers that hold the cut.
        token: String,
        /// Name of the table.
        table: String,
    },
    /// An engine is given back.
    GiveBack {
        /// The engine.
        address: Address,
        /// The run that took it.
        run_id: String,
    },
    /// A helper is ended, and what it changed put back.
    EndHelper {
        /// An argument of its command line that no other process has.
        token: String,
        /// The process that it keeps on one CPU.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pinned: Option<Pinned>,
        /// The memory group that it made.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        group: Option<OwnGroup>,
    },
    /// A link of the sandbox is opened.
    OpenLinks {
        /// Base URL of the sandbox's supervisor.
        admin: String,
        /// Links as `from/to`.
        links: Vec<String>,
    },
    /// A cut of ours is removed from a network namespace.
    RemoveTable {
        /// A process in the namespace.
        process: Process,
        /// The namespace's identity.
        namespace: String,
        /// Name of the table.
        table: String,
        /// What the cut is made by.
        #[serde(default)]
        by: Firewall,
        /// An argument of the command line of the helper that holds the cut.
        token: String,
    },
}

impl Undo {
    /// Whether what it undoes was asked of an engine, which may still be about to do it.
    pub const fn asks_an_engine(&self) -> bool {
        matches!(
            self,
            Self::StartContainer { .. } | Self::RemoveHelpers { .. } | Self::RemoveTableIn { .. }
        )
    }

    /// Undoes it.
    ///
    /// # Errors
    /// When something is left that should not be.
    pub async fn undo(&self) -> Result<(), RuntimeError> {
        match self {
            Self::SandboxRestarts {} => Ok(()),
            Self::StartContainer { then, token } => {
                end_helpers(token).await;
                then.start(token).await
            }
            Self::RemoveHelpers { address, token } => docker::end_helpers(address, token).await,
            Self::RemoveTableIn { then, token, table } => then.uncut(token, table).await,
            Self::GiveBack { address, run_id } => {
                let kept =
                    |error| RuntimeError::new(format!("an engine is not given back: {error}"));
                docker::give_back(address, run_id).await.map_err(kept)
            }
            Self::EndHelper { token, pinned, group } => {
                end_helpers(token).await;
                let put_back = |what: &str, result: std::io::Result<()>| {
                    result.map_err(|error| RuntimeError::new(format!("{what}: {error}")))
                };
                let pinned = pinned.as_ref().map_or(Ok(()), Pinned::restore);
                put_back("cannot give the target its CPUs back", pinned)?;
                let group = group.as_ref().map_or(Ok(()), OwnGroup::restore);
                put_back("cannot remove the memory group", group)
            }
            Self::OpenLinks { admin, links } => sandbox::open_links(admin, links).await,
            Self::RemoveTable { process, namespace, table, by, token } => {
                end_helpers(token).await;
                if !is_there(*process, namespace) {
                    return Ok(());
                }
                let removed = in_namespace_of(*process, || by.remove(table));
                let failed = |error| RuntimeError::new(format!("{}: {error}", by.words(table)));
                removed.map_err(failed)
            }
        }
    }

    /// What is still there of the fault, in words; empty when nothing is.
    pub async fn residue(&self) -> Vec<String> {
        match self {
            Self::SandboxRestarts {} => Vec::new(),
            Self::StartContainer { then, token } => {
                let mut left = helpers_left(token);
                left.extend(then.down(token).await);
                left
            }
            Self::RemoveHelpers { address, token } => docker::helpers_left(address, token).await,
            Self::RemoveTableIn { then, token, .. } => {
                docker::helpers_left(&then.address, token).await
            }
            Self::GiveBack { address, run_id } => docker::kept(address, run_id).await,
            Self::EndHelper { token, pinned, group } => {
                let helpers = helpers_left(token);
                let pinned = pinned.iter().filter(|pinned| pinned.is_there());
                let group = group.iter().filter(|group| group.is_there());
                helpers
                    .into_iter()
                    .chain(pinned.map(|p| format!("process {} is kept on one CPU", p.process.pid)))
                    .chain(group.map(|g| format!("memory group {}", g.folder.display())))
                    .collect()
            }
            Self::OpenLinks { admin, links } => sandbox::closed_links(admin, links).await,
            Self::RemoveTable { process, namespace, table, by, token } => {
                let mut left = helpers_left(token);
                if is_there(*process, namespace) {
                    match in_namespace_of(*process, || by.is_there(table)) {
                        Ok(false) => {}
                        Ok(true) => left.push(format!(
                            "{} in the network namespace of process {}",
                            by.words(table),
                            process.pid
                        )),
                        Err(error) => left.push(format!("{}: {error}", by.words(table))),
                    }
                }
                left
            }
        }
    }
}

/// Whether a process still holds the network namespace that is meant.
fn is_there(process: Process, namespace: &str) -> bool {
    process.is_alive() && process.network_namespace().as_deref() == Some(namespace)
}

fn helpers_left(token: &str) -> Vec<String> {
    let helpers = with_argument(token);
    helpers.iter().map(|helper| format!("helper process {}", helper.pid)).collect()
}

/// Helpers put back what they changed when their lease ends; one that does not is killed, and the
/// rest of the undo puts it back.
async fn end_helpers(token: &str) {
    let deadline = tokio::time::Instant::now() + GONE_WITHIN;
    for helper in with_argument(token) {
        let _ = helper.kill();
    }
    while !with_argument(token).is_empty() && tokio::time::Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
