//! How much of its error budget the platform has left: with too little of it, nothing is broken on
//! purpose.

use crate::config::Config;
use crate::run::error_budget::{BudgetLeft, ErrorBudget};
use crate::run::state::RunState;

/// Requests that the load phases of this run measured, and those of them that failed.
fn measured(state: &RunState) -> (u64, u64) {
    let loads = state.phases.iter().filter_map(|phase| phase.load.as_ref());
    loads.fold((0, 0), |(requests, failed), load| {
        let measured = load.totals(None).measured;
        (requests + measured.requests(), failed + measured.failed())
    })
}

/// Share of the bad requests that a run may still have, in percent of all that it may have. None when no
/// request was measured, or none may be bad.
fn left_of(requests: u64, failed: u64, availability_percent: f64) -> Option<f64> {
    let allowed = requests as f64 * (100.0 - availability_percent) / 100.0;
    (allowed > 0.0).then(|| 100.0 * (1.0 - failed as f64 / allowed))
}

/// What is known of the error budget before anything is broken.
pub struct Known {
    /// The availability that is asked for, in percent.
    pub availability: Option<f64>,
    /// What this run's load left, in percent; none when it measured nothing, or nothing may fail.
    pub by_run: Option<f64>,
    /// Whether this run's load measured any request.
    pub loaded: bool,
    /// What is left over the weeks, as the platform's own monitoring has it.
    pub by_monitoring: Vec<BudgetLeft>,
}

impl Known {
    /// Looks; the platform's monitoring is asked where the promises name it.
    pub async fn look(config: &Config, state: &RunState, budget: &dyn ErrorBudget) -> Self {
        let availability = config.criteria.availability_percent;
        let (requests, failed) = measured(state);
        Self {
            availability,
            by_run: availability.and_then(|asked| left_of(requests, failed, asked)),
            loaded: requests > 0,
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
            (availability, _) => unknown(&self.missing(availability)),
        }
    }

    /// What would make the budget known: what helps with the run as it is.
    fn missing(&self, availability: Option<f64>) -> String {
        let by_run = match (self.loaded, availability) {
            (true, None) => "set criteria.availability_percent",
            (true, Some(_)) => {
                "set criteria.availability_percent below 100: at 100 there is no budget"
            }
            (false, None) => {
                "run a load phase before chaos in the same run and set criteria.availability_percent"
            }
            (false, Some(_)) => {
                "run a load phase before chaos in the same run (phases.order; `shakedown chaos` has none)"
            }
        };
        format!(
            "{by_run}, or name `prometheus` and the `prometheus` figures of an availability objective in \
             slo_definitions.yaml; without chaos.budget_floor_percent no budget is asked for"
        )
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
        let refusal = |availability, by_run: Option<f64>, by_monitoring| {
            let loaded = by_run.is_some();
            Known { availability, by_run, loaded, by_monitoring }.refusal(20.0)
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

    #[test]
    fn an_unknown_budget_is_refused_with_what_would_make_it_known() {
        let words = |availability, loaded| {
            let known = Known { availability, by_run: None, loaded, by_monitoring: Vec::new() };
            known.refusal(20.0).expect("refused")
        };
        let alone = words(None, false);
        assert!(alone.contains("run a load phase before chaos"), "{alone}");
        assert!(alone.contains("criteria.availability_percent"), "{alone}");
        let alone = words(Some(99.5), false);
        assert!(!alone.contains("criteria.availability_percent"), "it is set already: {alone}");
        let loaded = words(None, true);
        assert!(!loaded.contains("load phase"), "there was one: {loaded}");
        assert!(words(Some(100.0), true).contains("below 100"));
        for (availability, loaded) in [(None, false), (Some(99.5), false), (None, true)] {
            let words = words(availability, loaded);
            assert!(words.contains("slo_definitions.yaml"), "helps in any case: {words}");
        }
    }
}
