//! What is left of the error budget over the weeks, as something outside of the run measures it: a
//! phase that needs to know is given whoever asks there.

use std::pin::Pin;

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
pub trait ErrorBudget: Send + Sync {
    /// One for each objective with a budget that something measures; none where nothing does.
    fn left<'a>(
        &'a self,
        promises: &'a SloDefinitions,
    ) -> Pin<Box<dyn Future<Output = Vec<BudgetLeft>> + Send + 'a>>;
}
