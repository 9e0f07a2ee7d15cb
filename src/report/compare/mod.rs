//! Two runs side by side: what became better or worse, and whether that is more than chance.
//! A difference counts when its interval leaves out 0 and it is larger than the tolerance.

mod estimate;

use std::fmt::Write as _;

use serde::Serialize;

use self::estimate::{Estimate, difference, quantile_of, wilson};
use super::json::{PhaseSection, Report};
use super::load::Figures;
use crate::run::histogram::Histogram;

/// What became of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// Worse, and more so than by chance.
    Worse,
    /// Better, and more so than by chance.
    Better,
    /// Not told apart from chance, or within the tolerance.
    Same,
    /// Too little was measured to say.
    Undecided,
}

impl Change {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Worse => "WORSE",
            Self::Better => "better",
            Self::Same => "same",
            Self::Undecided => "undecided",
        }
    }
}

/// One figure of both runs.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Of what, such as `mixed chat P99`.
    pub figure: String,
    /// In the first run, in words.
    pub before: String,
    /// In the second.
    pub after: String,
    /// The difference with its interval, in words.
    pub difference: String,
    /// What became of it.
    pub change: Change,
}

/// Both runs.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// Ids of the runs.
    pub runs: [String; 2],
    /// Why they may not be comparable.
    pub warnings: Vec<String>,
    /// The figures.
    pub rows: Vec<Row>,
}

impl Comparison {
    /// The figures that became worse.
    pub fn regressions(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| row.change == Change::Worse)
    }

    /// The comparison as a table.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing into a String cannot fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, text: &mut String) -> std::fmt::Result {
        let [before, after] = &self.runs;
        for warning in &self.warnings {
            writeln!(text, "note: {warning}")?;
        }
        writeln!(text, "{:<34} {before:>22} {after:>22}  {:<9}  difference", "figure", "change")?;
        for row in &self.rows {
            let Row { figure, before, after, difference, change } = row;
            let word = change.word();
            writeln!(text, "{figure:<34} {before:>22} {after:>22}  {word:<9}  {difference}")?;
        }
        let worse = self.regressions().count();
        writeln!(text, "{worse} of {} figures became worse", self.rows.len())
    }
}

/// Compares a run with an earlier one. Changes of latencies within `tolerance` (a share of the earlier
/// figure, such as 0.05) do not count.
pub fn compare(before: &Report, after: &Report, tolerance: f64) -> Comparison {
    let mut rows = Vec::new();
    for later in &after.phases {
        let earlier = before.phases.iter().find(|phase| phase.phase == later.phase);
        let Some(earlier) = earlier else { continue };
        rows.extend(of_phase(earlier, later, tolerance));
    }
    rows.extend(of_objectives(before, after));
    let id = |report: &Report| report.run.as_ref().map_or_else(|| "?".into(), |r| r.id.clone());
    Comparison { runs: [id(before), id(after)], warnings: warnings(before, after), rows }
}

fn warnings(before: &Report, after: &Report) -> Vec<String> {
    let mut warnings = Vec::new();
    let (Some(one), Some(other)) = (&before.run, &after.run) else {
        return vec!["one of the runs has no identity".into()];
    };
    for (what, one, other) in [
        ("targets", &one.target, &other.target),
        ("environments", &one.environment, &other.environment),
        ("plans", &one.plan, &other.plan),
        ("versions of shakedown", &one.shakedown_version, &other.shakedown_version),
    ] {
        if one != other {
            warnings.push(format!("the {what} differ: {one}, {other}"));
        }
    }
    for (report, run) in [(before, one), (after, other)] {
        if !report.complete {
            warnings.push(format!("{} is a partial run", run.id));
        }
        let loads =
            report.phases.iter().filter_map(|phase| Some((phase.phase, phase.load.as_ref()?)));
        for (phase, _) in loads.filter(|(_, load)| !load.generator.is_sound()) {
            warnings.push(format!("{}: times of {phase} are its generator's own", run.id));
        }
    }
    warnings
}

fn of_phase(before: &PhaseSection, after: &PhaseSection, tolerance: f64) -> Vec<Row> {
    let name = after.phase.name();
    let mut rows = Vec::new();
    if let (Some(earlier), Some(later)) = (&before.load, &after.load) {
        let sound = earlier.generator.is_sound() && later.generator.is_sound();
        for (service, figures) in &later.services {
            if let Some(was) = earlier.services.get(service) {
                rows.extend(of_load(
                    &format!("{name} {service}"),
                    [was, figures],
                    tolerance,
                    sound,
                ));
            }
        }
    }
    if let (Some(earlier), Some(later)) = (&before.chaos, &after.chaos) {
        let of = (earlier.resilience_score, later.resilience_score);
        rows.push(score("resilience score", of));
    }
    if let (Some(earlier), Some(later)) = (&before.security, &after.security) {
        rows.push(score("security score", (earlier.score, later.score)));
    }
    rows
}

/// Errors and times of a set of requests. Times of a generator that was its own bottleneck decide nothing.
fn of_load(name: &str, [before, after]: [&Figures; 2], tolerance: f64, sound: bool) -> Vec<Row> {
    let mut rows = vec![errors(name, before, after)];
    let histogram = |of: &Figures| Histogram::from_base64(&of.response.histogram_v2).ok();
    if let (Some(was), Some(is)) = (histogram(before), histogram(after)) {
        for (word, quantile) in [("P50", 0.5), ("P95", 0.95), ("P99", 0.99)] {
            let of = [quantile_of(&was, quantile), quantile_of(&is, quantile)];
            let row = latency(&format!("{name} {word}"), of, tolerance);
            rows.push(if sound { row } else { Row { change: Change::Undecided, ..row } });
        }
    }
    rows
}

/// More is worse in every figure that has an interval.
fn change(of: Estimate, least: f64) -> Change {
    if of.lower > 0.0 && of.value > least {
        Change::Worse
    } else if of.upper < 0.0 && -of.value > least {
        Change::Better
    } else {
        Change::Same
    }
}

fn errors(name: &str, before: &Figures, after: &Figures) -> Row {
    let figure = format!("{name} errors");
    let word = |of: &Figures| match of.error_rate_percent {
        Some(rate) => format!("{rate:.3} % (n {})", of.n),
        None => "-".into(),
    };
    let (before_word, after_word) = (word(before), word(after));
    let both = wilson(before.failed, before.n).zip(wilson(after.failed, after.n));
    let (text, change) = both.map_or((String::new(), Change::Undecided), |(was, is)| {
        let of = difference(was, is);
        let text = format!(
            "{:+.3} points ({:+.3} to {:+.3})",
            of.value * 100.0,
            of.lower * 100.0,
            of.upper * 100.0
        );
        (text, change(of, 0.0))
    });
    Row { figure, before: before_word, after: after_word, difference: text, change }
}

fn latency(figure: &str, of: [Option<Estimate>; 2], tolerance: f64) -> Row {
    let word = |of: Option<Estimate>| of.map_or("-".into(), |e| format!("{:.1} ms", e.value));
    let [before, after] = of;
    let (text, change) = match (before, after) {
        (Some(was), Some(is)) => {
            let of = difference(was, is);
            let share = of.value * 100.0 / was.value;
            let text = format!(
                "{:+.1} ms ({:+.1} to {:+.1}), {share:+.1} %",
                of.value, of.lower, of.upper
            );
            (text, change(of, tolerance * was.value))
        }
        _ => ("too few samples".into(), Change::Undecided),
    };
    Row {
        figure: figure.to_owned(),
        before: word(before),
        after: word(after),
        difference: text,
        change,
    }
}

/// A score has no interval: the checks behind it are the same each time, so any loss counts.
fn score(figure: &str, (before, after): (Option<f64>, Option<f64>)) -> Row {
    let word = |of: Option<f64>| of.map_or_else(|| "-".into(), |score| format!("{score:.1}"));
    let change = match (before, after) {
        (Some(was), Some(is)) if is < was => Change::Worse,
        (Some(was), Some(is)) if is > was => Change::Better,
        (Some(_), Some(_)) => Change::Same,
        _ => Change::Undecided,
    };
    let difference =
        before.zip(after).map_or_else(String::new, |(was, is)| format!("{:+.1}", is - was));
    Row { figure: figure.to_owned(), before: word(before), after: word(after), difference, change }
}

/// Objectives whose verdict changed; which way is worse is the order of the verdicts.
fn of_objectives(before: &Report, after: &Report) -> Vec<Row> {
    let rows = after.slo_compliance.iter().filter_map(|row| {
        let was = before.slo_compliance.iter().find(|earlier| earlier.id == row.id)?;
        let change = match (was.verdict.as_str(), row.verdict.as_str()) {
            (one, other) if one == other => return None,
            (_, "fail") => Change::Worse,
            ("fail", "pass") => Change::Better,
            _ => Change::Undecided,
        };
        Some(Row {
            figure: format!("objective {}", row.id),
            before: was.verdict.clone(),
            after: row.verdict.clone(),
            difference: format!("{} to {}", was.measured, row.measured),
            change,
        })
    });
    rows.collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::report::load::Latency;

    fn figures(values: &[u64], failed: u64) -> Figures {
        let mut histogram = Histogram::default();
        values.iter().for_each(|value| histogram.record_us(*value, 1));
        let latency = || Latency {
            min_ms: None,
            mean_ms: None,
            p50_ms: None,
            p95_ms: None,
            p99_ms: None,
            p999_ms: None,
            max_ms: None,
            histogram_v2: histogram.to_base64().expect("serializable"),
        };
        Figures {
            n: values.len() as u64,
            failed,
            cut_off: 0,
            error_rate_percent: Some(failed as f64 * 100.0 / values.len() as f64),
            requests_per_second: None,
            errors: BTreeMap::new(),
            response: latency(),
            service_time: latency(),
            lateness: latency(),
            streams: None,
            checks_passed: 0,
            checks_failed: 0,
            bytes: 0,
            tokens: 0,
        }
    }

    fn changes(before: &Figures, after: &Figures) -> Vec<Change> {
        of_load("x", [before, after], 0.05, true).iter().map(|row| row.change).collect()
    }

    #[test]
    fn a_slow_tail_is_worse_and_a_shift_within_the_tolerance_is_not() {
        let base: Vec<u64> = (0..2000).map(|n| 10_000 + n * 10).collect();
        let was = figures(&base, 4);
        let shifted: Vec<u64> = base.iter().map(|us| us * 102 / 100).collect();
        assert_eq!(changes(&was, &figures(&shifted, 5)), [Change::Same; 4]);
        let tail: Vec<u64> =
            base.iter().map(|us| if *us > 29_000 { us * 2 } else { *us }).collect();
        let slower = changes(&was, &figures(&tail, 60));
        assert_eq!(slower, [Change::Worse, Change::Same, Change::Same, Change::Worse]);
        let faster = changes(&figures(&tail, 60), &was);
        assert_eq!(faster, [Change::Better, Change::Same, Change::Same, Change::Better]);
    }

    #[test]
    fn times_of_a_generator_that_was_its_own_bottleneck_decide_nothing_and_errors_do() {
        let (was, is) = (figures(&[1000; 2000], 0), figures(&[9000; 2000], 60));
        let rows = of_load("x", [&was, &is], 0.05, false);
        let changes: Vec<Change> = rows.iter().map(|row| row.change).collect();
        let undecided = Change::Undecided;
        assert_eq!(changes, [Change::Worse, undecided, undecided, undecided]);
    }

    #[test]
    fn too_few_samples_decide_nothing_about_a_tail() {
        let few = figures(&[1000; 100], 0);
        assert_eq!(changes(&few, &figures(&[9000; 100], 0))[3], Change::Undecided);
    }

    #[test]
    fn a_share_of_nothing_is_undecided() {
        let nothing = Figures { n: 0, error_rate_percent: None, ..figures(&[1], 0) };
        assert_eq!(changes(&nothing, &nothing), [Change::Undecided; 4]);
    }

    proptest! {
        #[test]
        fn a_run_is_no_worse_than_itself_and_the_other_way_round_is_the_opposite(
            one in prop::collection::vec(1u64..1_000_000, 1..400),
            other in prop::collection::vec(1u64..1_000_000, 1..400),
            failed in 0u64..40,
        ) {
            let (one, other) = (figures(&one, failed.min(one.len() as u64)), figures(&other, 0));
            prop_assert!(!changes(&one, &one).iter().any(|c| matches!(c, Change::Worse | Change::Better)));
            let opposite = |c: Change| match c {
                Change::Worse => Change::Better,
                Change::Better => Change::Worse,
                c => c,
            };
            let there = of_load("x", [&one, &other], 0.0, true);
            let back = of_load("x", [&other, &one], 0.0, true);
            for (there, back) in there.iter().zip(&back) {
                prop_assert_eq!(there.change, opposite(back.change));
            }
        }
    }
}
