//! How much of its error budget the platform has left: with too little of it, nothing is broken on
//! purpose.

use crate::config::Config;
use crate::run::error_budget::{BudgetLeft, ErrorBudget};
use crate::run::state::RunState;

/// Share of the bad requests that this run may still have, in percent of all that it may have, as its
/// load phases measured it. None when no request was measured, or none may be bad.
fn left_percent(state: &RunState, availability_percent: f64) -> Option<f64> {
    let loads = state.phases.iter().filter_map(|phase| phase.load.as_ref());
    let (requests, failed) = loads.fold((0, 0), |(requests, failed), load| {
        let measured = load.totals(None).measured;
        (requests + measured.requests(), failed + measured.failed())
    });
    left_of(requests, failed, availability_percent)
}

fn left_of(requests: u64, failed: u64, availability_percent: f64) -> Option<f64> {
    let allowed = requests as f64 * (100.0 - availability_percent) / 100.0;
    (allowed > 0.0).then(|| 100.0 * (1.0 - failed as f64 / allowed))
}

/// What is known of the error budget before anything is broken.
pub struct Known {
    /// The availability that is asked for, in percent.
    pub availability: Option<f64>,
    /// What this run's load left, in percent; none when it measured nothing.
    pub by_run: Option<f64>,
    /// What is left over the weeks, as the platform's own monitoring has it.
    pub by_monitoring: Vec<BudgetLeft>,
}

impl Known {
    /// Looks; the platform's monitoring is asked where the promises name it.
    pub async fn look(config: &Config, state: &RunState, budget: &dyn ErrorBudget) -> Self {
        let availability = config.criteria.availability_percent;
        Self {
            availability,
            by_run: availability.and_then(|availability| left_percent(state, availability)),
            by_monitoring: match &state.promises {
                Some(promises) => budget.left(promises).await,
                None => Vec::new(),
            },
        }
    }

    /// Why nothing may be broken, if nothing may be: one budget that is below the floor or is not known
    /// is enough.
    pub fn refusal(&self, floor: f64) -> Option<String> {
        let unknown = |why: &str| {
            Some(format!(
                "the error budget is not known, and {floor} % of it have to be left: {why}"
            ))
        };
        let below = |left: f64, of: &str| {
            (left < floor).then(|| {
                format!(
                    "{left:.0} % of the error budget of {of} are left, at least {floor} % have to be \
                     before anything is broken on purpose"
                )
            })
        };
        for BudgetLeft { of, percent } in &self.by_monitoring {
            let refusal = match percent {
                Ok(left) => below(*left, of),
                Err(why) => unknown(&format!("{of}: {why}")),
            };
            if refusal.is_some() {
                return refusal;
            }
        }
        match (self.availability, self.by_run) {
            (Some(availability), Some(left)) => {
                below(left, &format!("{availability} % in this run"))
            }
            _ if !self.by_monitoring.is_empty() => None,
            (Some(_), None) => unknown("it needs load before chaos in this run, or Prometheus"),
            (None, _) => unknown("it needs criteria.availability_percent, or Prometheus"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_is_what_may_still_fail() {
        assert_eq!(left_of(1000, 0, 99.0), Some(100.0));
        assert_eq!(left_of(1000, 5, 99.0), Some(50.0));
        assert!(left_of(1000, 20, 99.0).expect("known") < 0.0);
        assert_eq!(left_of(0, 0, 99.0), None);
        assert_eq!(left_of(1000, 0, 100.0), None);
    }

    fn monitored(percent: Result<f64, String>) -> Vec<BudgetLeft> {
        vec![BudgetLeft { of: "availability over 30d by Prometheus".into(), percent }]
    }

    #[test]
    fn one_budget_below_the_floor_or_unknown_is_enough() {
        let refusal = |availability, by_run, by_monitoring| {
            Known { availability, by_run, by_monitoring }.refusal(20.0)
        };
        let asked = Some(99.5);
        assert_eq!(refusal(asked, Some(20.0), Vec::new()), None);
        assert_eq!(refusal(asked, Some(80.0), monitored(Ok(20.0))), None);
        assert_eq!(refusal(None, None, monitored(Ok(20.0))), None, "alone, chaos has no load");
        let words = refusal(asked, Some(80.0), monitored(Ok(12.0))).expect("refused");
        assert!(words.starts_with("12 % of the error budget of availability over 30d"), "{words}");
        let words = refusal(asked, Some(12.0), monitored(Ok(80.0))).expect("refused");
        assert!(words.contains("99.5 % in this run"), "{words}");
        let words = refusal(asked, Some(80.0), monitored(Err("no answer".into())));
        assert!(words.expect("refused").contains("not known"));
        assert!(refusal(asked, None, Vec::new()).expect("refused").contains("not known"));
        assert!(refusal(None, None, Vec::new()).is_some());
    }
}
