//! What the thresholds of a load phase amount to, once it is known how far its figures are the target's
//! doing. Verdict, screens and reports ask here, so that all of them say the same.

use super::{LoadState, Standing};
use crate::config::metric::{MetricKind, Selector};
use crate::run::event::ThresholdRow;

const OF_STEP: &str = "it judges the steps of the search, not the phase";

/// What a threshold amounts to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judged {
    /// It holds.
    Holds,
    /// It does not, and that is the target's doing.
    Broken,
    /// Nothing is decided, for this reason.
    Open(String),
    /// It decides nothing, for this reason: what it speaks of was left out.
    Skipped(String),
    /// It judges the step of a search that is under way, and not the phase.
    OfStep {
        /// Whether it holds there.
        holds: bool,
    },
    /// Whatever was measured for it says nothing about the target, for this reason.
    Invalid(String),
}

impl Judged {
    /// The verdict of reports.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Holds => "pass",
            Self::Broken => "fail",
            Self::Open(_) => "inconclusive",
            Self::Skipped(_) | Self::OfStep { .. } => "skipped",
            Self::Invalid(_) => "invalid",
        }
    }

    /// Why it decides nothing; empty where it does.
    pub fn reason(&self) -> &str {
        match self {
            Self::Holds | Self::Broken => "",
            Self::OfStep { .. } => OF_STEP,
            Self::Open(why) | Self::Skipped(why) | Self::Invalid(why) => why,
        }
    }
}

impl LoadState {
    /// Every threshold with what it amounts to, where its figures have this standing (it is asked for
    /// once: to tell it takes all histograms together).
    pub fn judged(&self, standing: &Standing) -> Vec<(&ThresholdRow, Judged)> {
        let judge = |row| self.search_word(row).unwrap_or_else(|| judge(row, standing));
        self.thresholds.iter().map(|row| (row, judge(row))).collect()
    }

    /// In a search thresholds judge its steps: that one of them is broken in the end is what it is for.
    fn search_word(&self, row: &ThresholdRow) -> Option<Judged> {
        let limit = self.limit.as_ref().filter(|_| !row.skipped)?;
        if let Some(why) = &limit.invalid {
            return Some(Judged::Invalid(why.clone()));
        }
        if limit.complete {
            return Some(Judged::Skipped(OF_STEP.into()));
        }
        row.holds.map(|holds| Judged::OfStep { holds })
    }
}

fn judge(row: &ThresholdRow, standing: &Standing) -> Judged {
    match (row.holds, standing) {
        (None, _) if row.skipped => Judged::Skipped(row.why_open.clone()),
        (_, Standing::Invalid(why)) => Judged::Invalid(why.clone()),
        (None, _) => Judged::Open(row.why_open.clone()),
        (Some(true), _) => Judged::Holds,
        (Some(false), Standing::Ceiling { .. }) if may_be_own_doing(row, standing) => {
            let why = Standing::OWN_DOING;
            Judged::Invalid(format!("{why}: give its users think time or a rate, or it more cores"))
        }
        (Some(false), _) => Judged::Broken,
    }
}

/// Whether a broken threshold may be the doing of a generator at its ceiling: rates are, and times of
/// which a good part may be its own; failures never are.
fn may_be_own_doing(row: &ThresholdRow, standing: &Standing) -> bool {
    match row.metric.parse::<Selector>().map(|selector| selector.metric.kind()) {
        Ok(MetricKind::Trend) => standing.owns_response_times(),
        Ok(MetricKind::Counter) => true,
        Ok(MetricKind::Rate | MetricKind::Gauge) | Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ServiceKind;
    use crate::run::event::{LimitReport, Measurements, SeriesKey};

    fn row(metric: &str, holds: Option<bool>) -> ThresholdRow {
        ThresholdRow::of(metric, "p(99)<2s", holds, "2100 ms")
    }

    /// A phase of 2.1 s answers with one threshold of each kind.
    fn load(late_ms: u64) -> LoadState {
        let mut load = LoadState { intervals: 100, ..LoadState::default() };
        let mut series = Measurements::default();
        series.response.record_us(2_100_000, 1000);
        let key =
            SeriesKey { service: ServiceKind::Chat, scenario: "chat".into(), step: "s".into() };
        load.series.insert(key, series);
        load.lateness.record_us(late_ms * 1000, 1000);
        let skipped =
            ThresholdRow { skipped: true, why_open: "left out".into(), ..row("checks", None) };
        load.thresholds = [Some(true), Some(false), None].map(|h| row("response_time", h)).into();
        load.thresholds.push(skipped);
        load
    }

    fn words(load: &LoadState) -> Vec<&'static str> {
        load.judged(&load.standing()).iter().map(|(_, judged)| judged.word()).collect()
    }

    #[test]
    fn a_generator_that_was_late_leaves_no_threshold_broken() {
        assert_eq!(words(&load(1)), ["pass", "fail", "inconclusive", "skipped"]);
        let late = load(500);
        assert_eq!(words(&late), ["invalid", "invalid", "invalid", "skipped"]);
        let judged = late.judged(&late.standing());
        assert!(judged[1].1.reason().contains("the generator was late"), "{judged:?}");
        assert_eq!(judged[3].1.reason(), "left out");
    }

    #[test]
    fn thresholds_of_a_search_judge_its_steps() {
        let mut load = load(1);
        load.limit = Some(LimitReport { complete: true, ..LimitReport::default() });
        assert_eq!(words(&load), ["skipped"; 4], "also of a step that has only begun");
        load.limit = Some(LimitReport::default());
        assert_eq!(words(&load), ["skipped", "skipped", "inconclusive", "skipped"]);
        load.limit = Some(LimitReport { invalid: Some("late".into()), ..LimitReport::default() });
        assert_eq!(words(&load), ["invalid", "invalid", "invalid", "skipped"]);
    }
}
