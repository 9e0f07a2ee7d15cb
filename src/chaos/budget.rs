//! How much of its error budget the platform has left: with too little of it, nothing is broken on
//! purpose.

use crate::run::state::RunState;

/// Share of the bad requests that this run may still have, in percent of all that it may have, as its
/// load phases measured it. None when no request was measured, or none may be bad.
pub fn left_percent(state: &RunState, availability_percent: f64) -> Option<f64> {
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

/// Why nothing may be broken, if nothing may be.
pub fn refusal(state: &RunState, floor: Option<f64>, availability: Option<f64>) -> Option<String> {
    let floor = floor?;
    let Some(availability) = availability else {
        return Some("chaos.budget_floor_percent needs criteria.availability_percent".into());
    };
    match left_percent(state, availability) {
        Some(left) if left >= floor => None,
        Some(left) => Some(format!(
            "{left:.0} % of the error budget of {availability} % are left, at least {floor} % have to \
             be before anything is broken on purpose"
        )),
        None => Some(format!(
            "the error budget is not known: a floor of {floor} % needs load before chaos in this run"
        )),
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

    #[test]
    fn without_a_floor_nothing_is_refused_and_an_unknown_budget_is_below_any() {
        let state = RunState::default();
        assert_eq!(refusal(&state, None, Some(99.0)), None);
        assert!(refusal(&state, Some(20.0), Some(99.0)).expect("refused").contains("not known"));
        assert!(refusal(&state, Some(20.0), None).is_some());
    }
}
