//! Healing what a dead engine left broken, from its undo journal.

use super::undo::Undo;
use crate::run::state_dir::StateDir;
use crate::run::undo::left_behind;

/// What became of one undo that a dead engine left.
#[derive(Debug)]
pub struct Healed {
    /// The run that left it.
    pub run_id: String,
    /// What is still there, in words; empty when nothing is.
    pub residue: Vec<String>,
}

/// Undoes everything that runs left whose engine is dead, and checks it. What is undone already
/// needs nothing; what cannot be undone stays on record.
///
/// # Errors
/// When the state directory cannot be read.
pub async fn heal_leftovers(state: &StateDir) -> std::io::Result<Vec<Healed>> {
    let mut healed = Vec::new();
    for mut left in left_behind(state)? {
        // The last deed is undone first.
        for (id, entry) in std::mem::take(&mut left.entries).into_iter().rev() {
            let residue = match serde_json::from_value::<Undo>(entry) {
                Ok(undo) => match undo.undo().await {
                    Ok(()) => undo.residue().await,
                    Err(error) => vec![error.to_string()],
                },
                Err(error) => vec![format!("an undo of another version: {error}")],
            };
            if residue.is_empty() {
                left.journal.done(id)?;
            }
            healed.push(Healed { run_id: left.run_id.clone(), residue });
        }
    }
    Ok(healed)
}
