//! Healing what a dead engine left broken, from its undo journal.

use std::time::Duration;

use super::undo::Undo;
use crate::run::state_dir::StateDir;
use crate::run::undo::left_behind;

/// An engine goes on with a request whose sender is dead, such as one for a container; it is done
/// with it after this.
const UNDER_WAY: Duration = Duration::from_secs(3);

/// What became of one undo that a dead engine left.
#[derive(Debug)]
pub struct Healed {
    /// The run that left it.
    pub run_id: String,
    /// What becomes of such a thing, in words.
    pub deed: &'static str,
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
        let entries: Vec<_> = std::mem::take(&mut left.entries).into_iter().rev().collect();
        let undos: Vec<(u64, Result<Undo, serde_json::Error>)> =
            entries.into_iter().map(|(id, entry)| (id, serde_json::from_value(entry))).collect();
        if undos.iter().any(|(_, undo)| undo.as_ref().is_ok_and(Undo::asks_an_engine)) {
            // Twice: what its owner asked for last may come to be after the first time.
            for (_, undo) in &undos {
                undone(undo).await;
            }
            tokio::time::sleep(UNDER_WAY).await;
        }
        for (id, undo) in &undos {
            let residue = undone(undo).await;
            if residue.is_empty() {
                left.journal.done(*id)?;
            }
            let deed = match undo {
                Ok(Undo::GiveBack { .. }) => "the engine that it had taken is given back",
                _ => "a fault that it left is healed",
            };
            healed.push(Healed { run_id: left.run_id.clone(), deed, residue });
        }
    }
    Ok(healed)
}

/// Undoes one thing and says what is left of it.
async fn undone(undo: &Result<Undo, serde_json::Error>) -> Vec<String> {
    match undo {
        Ok(undo) => match undo.undo().await {
            Ok(()) => undo.residue().await,
            Err(error) => vec![error.to_string()],
        },
        Err(error) => vec![format!("an undo of another version: {error}")],
    }
}
