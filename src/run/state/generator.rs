//! What the generator's own figures say about what it measured.

use std::time::Duration;

use super::LoadState;
use crate::run::event::GeneratorHealth;
use crate::run::histogram::Histogram;

/// It is the bottleneck when it is later than this and than a tenth of what it measures.
const LATE: Duration = Duration::from_millis(20);
/// A thread that uses more than this share of a core, in percent, cannot keep time.
const BUSY_PERCENT: f32 = 90.0;
/// More than one in so many busy intervals is more than a hiccup.
const BUSY_IN: u64 = 10;

/// With one in so many requests not sent for want of a descriptor or port, the load was not there.
const STARVED_IN: u64 = 100;

/// How far what a load phase measured is the target's doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is.
    Sound,
    /// Nothing but users who send as soon as they have their answer, and they used a core of the
    /// generator up, as they are bound to where the target is fast: the rate is what the generator
    /// can do, and the target may bear more.
    Ceiling {
        /// What of a response time may be the generator's own (P99 of what answers waited for it).
        own: Duration,
        /// P99 of all response times.
        measured: Duration,
    },
    /// It is not, for this reason.
    Invalid(String),
}

impl Standing {
    /// Why the target is not to blame for what a generator at its ceiling may have done itself.
    pub const OWN_DOING: &str = "the generator was at its own ceiling, and may itself be the cause";

    /// Whether so long a time as measured may be the generator's own to more than a tenth.
    pub fn is_own_doing(&self, measured: Duration) -> bool {
        matches!(self, Self::Ceiling { own, .. } if *own > measured / 10)
    }

    /// The same for the response times that it was told from.
    pub(super) fn owns_response_times(&self) -> bool {
        matches!(self, Self::Ceiling { measured, .. } if self.is_own_doing(*measured))
    }
}

impl GeneratorHealth {
    /// Whether a thread of it was out of CPU.
    pub fn is_busy(&self) -> bool {
        self.busiest_thread_percent > BUSY_PERCENT
    }

    /// Why it was the bottleneck of requests with these response times, which were intended for moments
    /// of a plan; none when it was not.
    pub fn bottleneck(&self, response: &Histogram) -> Option<String> {
        too_late(&self.lateness, &self.loop_lateness, response)
            .or_else(|| self.is_busy().then(|| "the generator was out of CPU".into()))
    }
}

impl LoadState {
    /// How far what was measured is the target's doing.
    pub fn standing(&self) -> Standing {
        let mut response = Histogram::default();
        self.series.values().for_each(|series| response.add(&series.response));
        if self.starved > 0 && self.starved * STARVED_IN >= response.count() + self.starved {
            return Standing::Invalid(format!(
                "{} requests could not be sent: this machine was out of descriptors or ports (raise \
                 `ulimit -n`)",
                self.starved
            ));
        }
        if let Some(reason) = too_late(&self.lateness, &self.loop_lateness, &response) {
            let reason = format!("{reason}: its figures say nothing about the target");
            return Standing::Invalid(reason);
        }
        if self.busy_intervals * BUSY_IN <= self.intervals {
            return Standing::Sound;
        }
        if self.is_unpaced() {
            let own = self.loop_lateness.quantile(0.99).unwrap_or_default();
            let measured = response.quantile(0.99).unwrap_or_default();
            return Standing::Ceiling { own, measured };
        }
        let (busy, all) = (self.busy_intervals, self.intervals);
        Standing::Invalid(format!("the generator was out of CPU in {busy} of {all} intervals"))
    }

    /// Whether no request had a moment for which it was intended.
    fn is_unpaced(&self) -> bool {
        let models = self.start.as_ref().map(|start| start.models.as_slice()).unwrap_or_default();
        !models.is_empty() && models.iter().all(|model| model.unpaced)
    }
}

/// More than one request in a hundred was begun late, or has an answer that may have waited: then the
/// P99 is not the target's.
fn too_late(start: &Histogram, wait: &Histogram, response: &Histogram) -> Option<String> {
    let measured = response.quantile(0.99)?;
    let limit = LATE.max(measured / 10);
    if let Some(late) = start.quantile(0.99).filter(|late| *late > limit) {
        let (late, measured) = (late.as_millis(), measured.as_millis());
        return Some(format!("the generator was late (P99 {late} ms of {measured} ms measured)"));
    }
    let (waited, all) = (wait.at_or_above(limit), response.count());
    if waited * 100 > all {
        let limit = limit.as_millis();
        return Some(format!(
            "{waited} of {all} answers may have waited {limit} ms for the generator"
        ));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ServiceKind;
    use crate::run::event::{LoadStart, Measurements, ScenarioModel, SeriesKey};

    fn busy(unpaced: &[bool], wait_us: u64, busy_intervals: u64) -> LoadState {
        let model = |unpaced: &bool| ScenarioModel {
            scenario: "x".into(),
            words: "10 users".into(),
            open: false,
            counted: false,
            unpaced: *unpaced,
        };
        let mut load = LoadState { intervals: 100, busy_intervals, ..LoadState::default() };
        load.start = Some(LoadStart {
            engine: "built-in".into(),
            threads: 1,
            scenarios: Vec::new(),
            left_out: Vec::new(),
            models: unpaced.iter().map(model).collect(),
            clock: None,
        });
        let key = SeriesKey { service: ServiceKind::Rag, scenario: "x".into(), step: "s".into() };
        let mut series = Measurements::default();
        series.response.record_us(5_000, 1000);
        load.series.insert(key, series);
        load.loop_lateness.record_us(wait_us, 1000);
        load
    }

    #[test]
    fn a_core_that_is_used_up_is_a_ceiling_only_where_no_moment_was_intended() {
        assert_eq!(busy(&[true], 800, 10).standing(), Standing::Sound);
        let Standing::Ceiling { own, measured } = busy(&[true, true], 800, 11).standing() else {
            panic!("a loop without think time fills its core by design");
        };
        assert!(own >= Duration::from_micros(800) && own < Duration::from_micros(810), "{own:?}");
        let of_all = measured.as_micros().abs_diff(5000);
        assert!(of_all < 10, "{measured:?}");
        for unpaced in [&[true, false][..], &[false], &[]] {
            assert!(matches!(busy(unpaced, 800, 11).standing(), Standing::Invalid(_)));
        }
    }

    #[test]
    fn answers_that_wait_for_the_generator_falsify_what_is_measured_whatever_the_model() {
        for unpaced in [true, false] {
            let standing = busy(&[unpaced], 25_000, 0).standing();
            assert!(matches!(standing, Standing::Invalid(_)), "{standing:?}");
        }
    }

    #[test]
    fn a_long_wait_that_hits_few_answers_falsifies_no_percentile() {
        let mut load = busy(&[true], 25_000, 0);
        for (hit, standing) in [(10, true), (11, false)] {
            load.loop_lateness = Histogram::default();
            load.loop_lateness.record_us(25_000, hit);
            assert_eq!(load.standing() == Standing::Sound, standing, "{hit} of 1000");
        }
    }

    #[test]
    fn at_the_ceiling_times_may_be_the_generators_own() {
        let standing = busy(&[true], 800, 100).standing();
        assert!(standing.is_own_doing(Duration::from_millis(5)));
        assert!(!standing.is_own_doing(Duration::from_millis(9)));
        assert!(!Standing::Sound.is_own_doing(Duration::ZERO));
    }
}
