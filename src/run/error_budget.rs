//! What is left of the error budget over the weeks, as something outside of the run measures it: a
//! phase that needs to know is given whoever asks there.

use async_trait::async_trait;

use crate::config::SloDefinitions;

/// What is left of the budget of one objective over its whole window.
#[derive(Clone, Debug, PartialEq)]
pub struct BudgetLeft {
    /// Which, in words: the objective, its window, and who measures it.
    pub of: String,
    /// Percent of the budget, below 0 when more than all of it is spent; why it is not known, in words.
    pub percent: Result<f64, String>,
}

/// Knows what is left of the error budgets over their whole windows.
#[async_trait]
pub trait ErrorBudget: Send + Sync {
    /// One for each objective with a budget that something measures; none where nothing does.
    async fn left(&self, promises: &SloDefinitions) -> Vec<BudgetLeft>;
}
