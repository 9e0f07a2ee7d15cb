//! Figures of the load phase as the panels show them, computed once an interval rather than a frame.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::config::ServiceKind;
use crate::run::event::{ErrorKind, SeriesKey};
use crate::run::histogram::Histogram;
use crate::run::state::{LoadState, Standing, Totals};

/// Figures of a set of requests.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    /// Finished requests.
    pub n: u64,
    /// Failed requests.
    pub failed: u64,
    /// Requests per second.
    pub rate: Option<f64>,
    /// Median.
    pub p50: Option<Duration>,
    /// 95th percentile.
    pub p95: Option<Duration>,
    /// 99th percentile.
    pub p99: Option<Duration>,
    /// Largest.
    pub max: Option<Duration>,
    /// Failed requests by kind.
    pub errors: BTreeMap<ErrorKind, u64>,
    /// Requests without an answer when their users had to leave: in no other figure.
    pub cut_off: u64,
}

impl Figures {
    /// Whether there are requests, and none of them succeeded.
    pub const fn all_failed(&self) -> bool {
        self.n > 0 && self.failed >= self.n
    }

    fn of(totals: &Totals, clock: &Histogram) -> Self {
        Self {
            n: totals.measured.requests(),
            failed: totals.measured.failed(),
            rate: totals.rate(),
            p50: clock.quantile(0.5),
            p95: clock.quantile(0.95),
            p99: clock.quantile(0.99),
            max: clock.max(),
            errors: totals.measured.errors.clone(),
            cut_off: totals.measured.cut_off.count(),
        }
    }
}

/// One service.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceView {
    /// Which.
    pub service: ServiceKind,
    /// Response time over the last intervals.
    pub now: Figures,
    /// Service time over the last intervals.
    pub now_service_time: Figures,
    /// Response times over the last intervals.
    pub response: Histogram,
    /// Service times over the last intervals.
    pub service_time: Histogram,
}

/// One step of a scenario over the whole phase.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesView {
    /// Which.
    pub key: SeriesKey,
    /// By response time.
    pub response: Figures,
    /// By service time.
    pub service_time: Figures,
    /// Median time to the first token of streamed answers.
    pub first_token: Option<Duration>,
}

/// The load phase that runs, or ran last.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LoadView {
    /// The services.
    pub services: Vec<ServiceView>,
    /// The steps.
    pub series: Vec<SeriesView>,
    /// Everything, over the last intervals.
    pub all_now: Figures,
    /// Whether none of it says anything about the target.
    pub invalid: bool,
}

impl LoadView {
    /// The figures of a load phase.
    pub fn of(phase: &crate::run::state::PhaseState) -> Self {
        let Some(load) = &phase.load else { return Self::default() };
        let all = load.now(None);
        Self {
            services: load
                .services()
                .into_iter()
                .map(|service| service_view(load, service))
                .collect(),
            series: load
                .series
                .iter()
                .map(|(key, series)| {
                    let totals = Totals { measured: series.clone(), length_us: load.measured_us };
                    SeriesView {
                        key: key.clone(),
                        response: Figures::of(&totals, &totals.measured.response),
                        service_time: Figures::of(&totals, &totals.measured.service_time),
                        first_token: series
                            .first_token
                            .as_ref()
                            .and_then(|first| first.quantile(0.5)),
                    }
                })
                .collect(),
            all_now: Figures::of(&all, &all.measured.response),
            invalid: matches!(load.standing(), Standing::Invalid(_)),
        }
    }
}

fn service_view(load: &LoadState, service: ServiceKind) -> ServiceView {
    let totals = load.now(Some(service));
    ServiceView {
        service,
        now: Figures::of(&totals, &totals.measured.response),
        now_service_time: Figures::of(&totals, &totals.measured.service_time),
        response: totals.measured.response,
        service_time: totals.measured.service_time,
    }
}
