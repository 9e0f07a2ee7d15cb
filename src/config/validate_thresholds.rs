//! Thresholds that cannot be read, or that speak of what the workload does not have: nothing would ever
//! be measured for them.

use std::collections::BTreeSet;

use super::metric::{Labels, Metric, Selector, ThresholdMap};
use super::problem::nearest;
use super::validate::Contradiction;
use super::{Counted, Scenario, Workload};

/// Everything that is wrong with thresholds of a workload, or of one of its scenarios.
pub(super) fn contradictions(
    path: &str,
    map: &ThresholdMap,
    workload: &Workload,
    scenario: Option<&str>,
) -> Vec<Contradiction> {
    let mut wrong = Vec::new();
    for (key, entries) in map {
        let path = format!("{path}.{key}");
        let selector = match key.parse::<Selector>() {
            Ok(selector) => selector,
            Err(error) => {
                wrong.push(Contradiction::new(path, error.to_string()));
                continue;
            }
        };
        for (at, entry) in entries.iter().enumerate() {
            let parsed = selector.metric.kind().threshold(&entry.long().threshold);
            let error = parsed.err().map(|error| error.to_string());
            wrong.extend(error.map(|why| Contradiction::new(format!("{path}.{at}"), why)));
        }
        let selector = match scenario {
            Some(name) => selector.of_scenario(name),
            None => selector,
        };
        let unknown = Measured::of(workload, selector.metric).unknown(&selector);
        wrong.extend(unknown.map(|(message, hint)| Contradiction { path, message, hint }));
    }
    wrong
}

/// What the samples of a metric belong to.
struct Measured<'a> {
    metric: Metric,
    all: Vec<Owner<'a>>,
}

/// A scenario, or some of its requests.
struct Owner<'a> {
    scenario: &'a Scenario,
    counted: Option<Counted>,
}

impl Owner<'_> {
    fn labels(&self) -> Labels<'_> {
        self.scenario.labels(self.counted.as_ref())
    }

    /// Names of its tags.
    fn names(&self) -> impl Iterator<Item = &str> {
        let step = self.counted.as_ref().map(|_| "name");
        let tags = self.labels().tags.keys().map(String::as_str);
        ["scenario", "service"].into_iter().chain(step).chain(tags)
    }
}

impl<'a> Measured<'a> {
    fn of(workload: &'a Workload, metric: Metric) -> Self {
        let mut all = Vec::new();
        for scenario in &workload.scenarios {
            if metric.is_of_scenario() {
                all.push(Owner { scenario, counted: None });
                continue;
            }
            let counted = scenario.all_counted();
            all.extend(counted.map(|counted| Owner { scenario, counted: Some(counted) }));
        }
        Self { metric, all }
    }

    /// Why nothing is what a selector asks for, and what may have been meant.
    fn unknown(&self, selector: &Selector) -> Option<(String, Option<String>)> {
        if self.all.is_empty() || self.all.iter().any(|owner| selector.selects(&owner.labels())) {
            return None;
        }
        let values = |tag: &str| -> BTreeSet<&str> {
            self.all.iter().filter_map(|owner| owner.labels().value(tag)).collect()
        };
        let stranger =
            selector.tags.iter().find(|(tag, value)| !values(tag).contains(value.as_str()));
        let Some((tag, value)) = stranger else {
            let why =
                format!("`{selector}`: nothing in the workload has all of these tags at once");
            return Some((why, None));
        };
        let known = values(tag);
        if known.is_empty() {
            return Some(self.unknown_tag(tag));
        }
        let why = match tag.as_str() {
            "scenario" => format!("no scenario of the workload is called `{value}`"),
            "service" => format!("no scenario of the workload speaks to a service `{value}`"),
            "name" | "step" => format!("no step of the workload is called `{value}`"),
            tag => format!("no scenario or request of the workload has the tag `{tag}:{value}`"),
        };
        Some((why, Some(meant(value, &known))))
    }

    fn unknown_tag(&self, tag: &str) -> (String, Option<String>) {
        let names: BTreeSet<&str> = self.all.iter().flat_map(Owner::names).collect();
        let why = match self.metric.is_of_scenario() {
            true => {
                format!("`{}` is of whole flows: no scenario has a tag `{tag}`", self.metric.name())
            }
            false => format!("no scenario or request of the workload has a tag `{tag}`"),
        };
        (why, Some(meant(tag, &names)))
    }
}

/// The nearest of the known names, or all of them.
fn meant(written: &str, known: &BTreeSet<&str>) -> String {
    nearest(written, known.iter().copied()).unwrap_or_else(|| {
        let known = known.iter().copied().collect::<Vec<_>>().join(", ");
        format!("there is {known}")
    })
}
