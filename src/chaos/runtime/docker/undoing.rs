//! Undoing what was done through an engine, from what an undo entry says and nothing else.

use std::future::Future;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::address::Address;
use super::engine::Engine;
use super::{claim, container};
use crate::chaos::helper::{TargetProcess, Task, Work};
use crate::chaos::runtime::RuntimeError;

/// A container at the time of a fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Then {
    /// Its engine.
    pub address: Address,
    /// Its id.
    pub container: String,
    /// When it was started.
    pub started: String,
}

impl Then {
    /// Starts it if it is not running, and removes the helpers of its fault.
    ///
    /// # Errors
    /// When it is there and does not start.
    pub async fn start(&self, token: &str) -> Result<(), RuntimeError> {
        let engine = Engine::connect(&self.address).await?;
        remove_helpers(&engine, token).await?;
        engine.start(&self.container).await
    }

    /// Starts it if it is not running.
    ///
    /// # Errors
    /// When it is there and does not start.
    pub async fn start_if_down(&self) -> Result<(), RuntimeError> {
        Engine::connect(&self.address).await?.start(&self.container).await
    }

    /// Whether it runs, or is not there any more.
    ///
    /// # Errors
    /// When its engine does not answer.
    pub async fn is_up_or_gone(&self) -> Result<bool, RuntimeError> {
        let engine = Engine::connect(&self.address).await?;
        let inspected = engine.inspect(&self.container).await?;
        let running = |of: Value| of.pointer("/State/Running").and_then(Value::as_bool);
        Ok(inspected.is_none_or(|inspected| running(inspected) == Some(true)))
    }

    /// Says so if it is not running, or a helper is left.
    pub async fn down(&self, token: &str) -> Vec<String> {
        looked(&self.address, |engine| async move {
            let mut left = left_helpers(&engine, token).await?;
            if engine.is_down(&self.container).await? {
                left.push(format!("container {} is down", self.container));
            }
            Ok(left)
        })
        .await
    }

    /// Removes the helpers of a cut, and the cut itself from the container's network namespace, which
    /// another helper does there. A container that was started since has another namespace.
    ///
    /// # Errors
    /// When something is left.
    pub async fn uncut(&self, token: &str, table: &str) -> Result<(), RuntimeError> {
        let engine = Engine::connect(&self.address).await?;
        remove_helpers(&engine, token).await?;
        let Some(now) = engine.inspect(&self.container).await? else { return Ok(()) };
        let running = now.pointer("/State/Running").and_then(Value::as_bool) == Some(true);
        let started = now.pointer("/State/StartedAt").and_then(Value::as_str);
        if !running || started != Some(&self.started) {
            return Ok(());
        }
        let container = Some(self.container.clone());
        let task = Task {
            target: TargetProcess { pid: 0, start_ticks: None, container },
            length_ms: 0,
            work: Work::Uncut { table: table.to_owned() },
            pin: None,
            group: None,
        };
        let name = format!("{token}-undo");
        container::remove(&engine, &name).await?;
        let lease = container::launch(&engine, &name, token, &task).await?;
        lease.end().await.map(drop)
    }
}

/// Removes the helpers of a fault.
///
/// # Errors
/// When the engine does not answer, or keeps one.
pub async fn end_helpers(address: &Address, token: &str) -> Result<(), RuntimeError> {
    remove_helpers(&Engine::connect(address).await?, token).await
}

/// The helpers that are left of a fault, in words.
pub async fn helpers_left(address: &Address, token: &str) -> Vec<String> {
    looked(address, |engine| async move { left_helpers(&engine, token).await }).await
}

/// Gives an engine back that a run had taken.
///
/// # Errors
/// When the engine does not answer, or keeps something.
pub async fn give_back(address: &Address, run_id: &str) -> Result<(), RuntimeError> {
    claim::give_back(&Engine::connect(address).await?, run_id).await
}

/// What a run left at an engine besides its faults.
pub async fn kept(address: &Address, run_id: &str) -> Vec<String> {
    looked(address, |engine| async move { claim::kept(&engine, run_id).await }).await
}

async fn remove_helpers(engine: &Engine, token: &str) -> Result<(), RuntimeError> {
    for name in container::helpers(engine, token).await? {
        container::remove(engine, &name).await?;
    }
    Ok(())
}

async fn left_helpers(engine: &Engine, token: &str) -> Result<Vec<String>, RuntimeError> {
    let helpers = container::helpers(engine, token).await?;
    Ok(helpers.into_iter().map(|name| format!("helper container {name}")).collect())
}

/// What a look at an engine finds; that it does not answer counts as a find.
async fn looked<F>(address: &Address, look: impl FnOnce(Engine) -> F) -> Vec<String>
where
    F: Future<Output = Result<Vec<String>, RuntimeError>>,
{
    let looked = match Engine::connect(address).await {
        Ok(engine) => look(engine).await,
        Err(error) => Err(error),
    };
    looked.unwrap_or_else(|error| vec![format!("what is left cannot be looked at: {error}")])
}
