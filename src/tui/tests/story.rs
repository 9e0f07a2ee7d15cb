//! A run that looks like a recorded one, for screens to show.

use crate::config::{
    Criteria, Environment, LoadedSlos, PhaseKind, Phases, SHIPPED_SLOS, ServiceKind,
};
use crate::run::event::{
    Budget, BurnRate, EVENT_VERSION, ErrorKind, Event, EventBody, GeneratorHealth, IntervalReport,
    LoadEvent, LoadStart, Measurements, Objective, PhaseOutcome, RunIdentity, RunVerdict,
    SeriesInterval, SeriesKey, Verdict,
};
use crate::run::histogram::Histogram;
use crate::run::plan::{Plan, Scope};
use crate::run::state::RunState;

/// Folds a recorded-looking run, one second an event.
pub(super) struct Story {
    pub(super) state: RunState,
}

impl Story {
    pub(super) fn new() -> Self {
        let mut story = Self { state: RunState::default() };
        story.tell(
            None,
            EventBody::RunCreated {
                identity: Box::new(RunIdentity {
                    version: "0.1.0".into(),
                    host: "bastion".into(),
                    pid: 1,
                    seed: 1,
                    config_source: "test".into(),
                    ..RunIdentity::new("20261123-120000-7f3a91", "staging-eu", Environment::Staging)
                }),
                plan: Plan::new(&Phases::default(), &Scope::Full, &[PhaseKind::Backup]),
                criteria: Criteria::default(),
                promises: LoadedSlos::parse("built-in", SHIPPED_SLOS)
                    .ok()
                    .map(|loaded| Box::new(loaded.definitions)),
            },
        );
        story
    }

    pub(super) fn event(&mut self, phase: Option<PhaseKind>, body: EventBody) -> Event {
        let at_us = self.state.seq * 1_000_000;
        let wall = jiff::Timestamp::from_second(1_795_000_000).expect("in range");
        Event { v: EVENT_VERSION, seq: self.state.seq + 1, at_us, wall, phase, body }
    }

    pub(super) fn tell(&mut self, phase: Option<PhaseKind>, body: EventBody) -> Event {
        let event = self.event(phase, body);
        self.state.apply(&event);
        event
    }

    pub(super) fn ready(mut self) -> Self {
        self.tell(None, EventBody::Ready {});
        self
    }

    pub(super) fn running(mut self, seconds: u64) -> Self {
        let mixed = Some(PhaseKind::Mixed);
        self.tell(None, EventBody::RunStarted {});
        self.tell(mixed, EventBody::PhaseStarted { planned_us: 600_000_000 });
        self.tell(
            mixed,
            EventBody::Load(LoadEvent::Started(LoadStart {
                engine: "built-in".into(),
                threads: 2,
                scenarios: ServiceKind::ALL.map(|kind| (kind.name().to_owned(), kind)).to_vec(),
                left_out: vec![],
                models: vec![],
                clock: None,
            })),
        );
        for second in 0..seconds {
            self.interval(second);
        }
        self
    }

    pub(super) fn interval(&mut self, second: u64) -> Event {
        let series = |service: ServiceKind, step: &str, millis: u64| {
            let mut response = Histogram::default();
            (0..20).for_each(|at| {
                response.record_us((millis + at * at * millis / 40 + second % 7) * 1000, 1)
            });
            let failed = u64::from(second.is_multiple_of(5) && service == ServiceKind::Rag);
            SeriesInterval {
                key: SeriesKey { service, scenario: service.name().into(), step: step.into() },
                measured: Measurements {
                    service_time: response.clone(),
                    response,
                    errors: [(ErrorKind::ServerStatus, failed)]
                        .into_iter()
                        .filter(|(_, n)| *n > 0)
                        .collect(),
                    bytes: 1000,
                    tokens: 50,
                    ..Measurements::default()
                },
            }
        };
        let mut generator = GeneratorHealth { busiest_thread_percent: 3.0, ..Default::default() };
        generator.lateness.record_us(400, 60);
        self.tell(
            Some(PhaseKind::Mixed),
            EventBody::Load(LoadEvent::Interval(Box::new(IntervalReport {
                length_us: 1_000_000,
                users: [("chat".into(), 25), ("rag".into(), 15), ("mcp".into(), 10)].into(),
                series: vec![
                    series(ServiceKind::Chat, "completion", 180),
                    series(ServiceKind::Rag, "query", 60),
                    series(ServiceKind::Mcp, "tools/call", 12),
                ],
                iterations: Default::default(),
                generator,
            }))),
        )
    }

    pub(super) fn judged(mut self) -> Self {
        let objective = |id: &str, asked: &str, measured: &str, verdict| Objective {
            id: id.into(),
            objective: asked.into(),
            measured: measured.into(),
            n: 41_234,
            bad: 29,
            verdict,
            reason: if verdict == Verdict::Inconclusive {
                "too close".into()
            } else {
                String::new()
            },
            bound: "0.051 to 0.096 % bad at 95 %, 0.500 % allowed".into(),
            method: "counted".into(),
            gate: true,
            whole_window: None,
            budget: (id == "availability").then(|| Budget {
                allowed_seconds: 12_960.0,
                burn_rate: 0.14,
                run_cost_percent: 0.002,
                exhausted_after_seconds: Some(18_514_285.0),
                alerts: vec![BurnRate {
                    page: true,
                    long: "1h".into(),
                    short: "5m".into(),
                    factor: 14.4,
                    long_burn: None,
                    short_burn: Some(0.21),
                    fires: false,
                }],
                ..Budget::default()
            }),
        };
        self.tell(
            None,
            EventBody::ObjectivesEvaluated {
                objectives: vec![
                    objective("availability", "≥ 99.5 %", "99.93 %", Verdict::Pass),
                    objective("p99", "< 2000 ms", "1904 ms", Verdict::Inconclusive),
                    objective("error_rate", "< 0.5 %", "0.71 %", Verdict::Fail),
                ],
            },
        );
        self
    }

    pub(super) fn finished(mut self) -> Self {
        let outcome =
            PhaseOutcome::new(Verdict::Pass, "1200 requests, 4 failed, every threshold held");
        self.tell(Some(PhaseKind::Mixed), EventBody::PhaseFinished { outcome });
        let verdict = RunVerdict {
            verdict: Verdict::Inconclusive,
            reasons: vec!["chaos: skipped: this version has no engine for chaos yet".into()],
            without: vec![PhaseKind::Backup],
        };
        self.tell(None, EventBody::RunFinished { verdict });
        self
    }
}
