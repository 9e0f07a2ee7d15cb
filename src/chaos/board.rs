//! What the probes saw, second by second: steady figures over any stretch of time, and when a
//! service failed first and was steady again.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::config::{ServiceKind, SteadyRules};
use crate::platform::probe::{Answered, OpenQuestions, Sample, ServiceProbes};
use crate::run::event::{ChaosEvent, EventBody, ProbeSecond, Stage, SteadyFigures};
use crate::run::recorder::EventSink;

/// Samples kept: an hour of a platform with six probes.
const KEPT: usize = 6 * 5 * 3600;
/// So many good answers in a row of every probe of a service are steady.
const IN_A_ROW: usize = 5;

/// What the probes saw so far. Cheap to clone.
#[derive(Clone, Default)]
pub struct Board(Arc<Mutex<Seen>>);

#[derive(Default)]
struct Seen {
    samples: VecDeque<Sample>,
    /// What is being measured, and since when.
    stage: Option<(Stage, Instant)>,
    /// Whether nothing is asked at the moment.
    resting: watch::Sender<bool>,
    /// What is asked and not answered yet.
    open: OpenQuestions,
}

impl Board {
    /// Probes a platform for as long as the returned guard lives.
    pub fn watch(probes: ServiceProbes, events: EventSink) -> (Self, Watching) {
        let board = Self::default();
        let (sender, samples) = mpsc::channel(1024);
        let resting = board.lock().resting.subscribe();
        board.lock().open = probes.open();
        let asking = tokio::spawn(ask(probes, sender, resting));
        let recording = tokio::spawn(board.clone().record(samples, events));
        (board, Watching(vec![asking.abort_handle(), recording.abort_handle()]))
    }

    async fn record(self, mut samples: mpsc::Receiver<Sample>, events: EventSink) {
        let mut seconds = interval(Duration::from_secs(1));
        seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut rows: BTreeMap<(ServiceKind, Arc<str>), ProbeSecond> = BTreeMap::new();
        loop {
            tokio::select! {
                sample = samples.recv() => {
                    let Some(sample) = sample else { return };
                    count(&mut rows, &sample);
                    self.add(sample);
                }
                _ = seconds.tick(), if !rows.is_empty() => {
                    let probes = std::mem::take(&mut rows).into_values().collect();
                    events.emit(EventBody::Chaos(ChaosEvent::Probed { probes }));
                    self.tell(&events);
                }
            }
        }
    }

    /// Asks nothing more until [`Board::go_on`]; what is in flight is given up.
    pub fn rest(&self) {
        self.lock().resting.send_replace(true);
    }

    /// Asks on.
    pub fn go_on(&self) {
        self.lock().resting.send_replace(false);
    }

    /// Begins a stage: from now on its figures are told each second.
    pub fn begin(&self, stage: Stage) -> Instant {
        let now = Instant::now();
        self.lock().stage = Some((stage, now));
        now
    }

    /// Ends the stage.
    pub fn end(&self) {
        self.lock().stage = None;
    }

    /// Whether something that was asked before a moment is not answered yet: it is in no figures, and a
    /// service that hangs would be missing there.
    pub fn waits_for_answers(&self, before: Instant) -> bool {
        self.lock().open.any_before(before)
    }

    /// What is asked and not answered yet, to be added to.
    #[cfg(test)]
    pub fn open(&self) -> OpenQuestions {
        self.lock().open.clone()
    }

    /// Tells how the stage has gone so far. It cannot end before that is told: its last figures come
    /// last.
    fn tell(&self, events: &EventSink) {
        let seen = self.lock();
        if let Some((stage, since)) = seen.stage {
            let figures = seen.figures(since, Instant::now());
            events.emit(EventBody::Chaos(ChaosEvent::Measured { stage, figures }));
        }
    }

    /// Takes a sample in.
    pub fn add(&self, sample: Sample) {
        let samples = &mut self.lock().samples;
        if samples.len() == KEPT {
            samples.pop_front();
        }
        samples.push_back(sample);
    }

    /// How every service fared over a stretch of time, by when its probes were due.
    pub fn figures(&self, from: Instant, to: Instant) -> Vec<SteadyFigures> {
        self.lock().figures(from, to)
    }

    /// Every sample of a service's own requests (not its health) over a stretch of time, by when
    /// they were due.
    pub fn requests(&self, service: ServiceKind, from: Instant, to: Instant) -> Vec<Sample> {
        let mut own: Vec<Sample> = self
            .lock()
            .samples
            .iter()
            .filter(|sample| sample.service == service && (from..to).contains(&sample.due))
            .filter(|sample| &*sample.probe != crate::platform::probe::HEALTH)
            .cloned()
            .collect();
        own.sort_by_key(|sample| sample.due);
        own
    }

    /// When a probe of these services failed first after a moment.
    pub fn first_failure(&self, services: &[ServiceKind], after: Instant) -> Option<Instant> {
        let failed = |sample: &&Sample| matches!(sample.answered, Answered::Failed(_));
        self.ended(services, after, failed).min()
    }

    /// When a probe of these services was answered well first after a moment.
    pub fn first_success(&self, services: &[ServiceKind], after: Instant) -> Option<Instant> {
        self.ended(services, after, |sample| sample.answered == Answered::Well).min()
    }

    fn ended(
        &self,
        services: &[ServiceKind],
        after: Instant,
        wanted: impl Fn(&&Sample) -> bool,
    ) -> impl Iterator<Item = Instant> {
        let seen = self.lock();
        let of = seen.samples.iter().filter(|s| s.due >= after && services.contains(&s.service));
        let ended: Vec<Instant> = of.filter(|s| wanted(s)).map(|s| s.due + s.latency).collect();
        ended.into_iter()
    }

    /// The start of the first stretch of good answers of every probe of these services that has
    /// lasted until now: none as long as one of them has not answered well five times in a row.
    pub fn stable_since(&self, services: &[ServiceKind], after: Instant) -> Option<Instant> {
        let seen = self.lock();
        let probes = seen.by_probe(services, after);
        if !services.iter().all(|service| probes.keys().any(|(of, _)| of == service)) {
            return None;
        }
        let mut latest = None;
        for samples in probes.values() {
            let good = good_at_last(samples);
            if good < IN_A_ROW {
                return None;
            }
            let first = samples[samples.len() - good];
            latest = latest.max(Some(first.due + first.latency));
        }
        latest
    }

    /// What keeps these services from being stable, in words: every probe that has not answered well
    /// five times in a row until now, and how it answered when it did not.
    pub fn unstable(&self, services: &[ServiceKind], after: Instant) -> Vec<String> {
        let seen = self.lock();
        let probes = seen.by_probe(services, after);
        let unasked =
            services.iter().filter(|service| !probes.keys().any(|(of, _)| of == *service));
        let unasked = unasked.map(|service| was_not_asked(*service));
        let missing = probes.iter().filter_map(|((service, probe), samples)| {
            let good = good_at_last(samples);
            let other = samples.iter().rev().find(|sample| sample.answered != Answered::Well);
            let how = match other.map(|sample| &sample.answered) {
                Some(Answered::Failed(why)) => format!(", before that {why}"),
                Some(_) => ", before that an answer without a peer".to_owned(),
                None => String::new(),
            };
            (good < IN_A_ROW).then(|| {
                format!("{service} ({probe}): {good} of {IN_A_ROW} good answers in a row{how}")
            })
        });
        unasked.chain(missing).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    fn figures(&self, from: Instant, to: Instant) -> Vec<SteadyFigures> {
        let mut by_service: BTreeMap<ServiceKind, Vec<&Sample>> = BTreeMap::new();
        for sample in self.samples.iter().filter(|sample| (from..to).contains(&sample.due)) {
            by_service.entry(sample.service).or_default().push(sample);
        }
        by_service.into_iter().map(|(service, samples)| figures(service, &samples)).collect()
    }

    /// Samples of every probe of these services that were due after a moment, in that order.
    fn by_probe(
        &self,
        services: &[ServiceKind],
        after: Instant,
    ) -> BTreeMap<(ServiceKind, &str), Vec<&Sample>> {
        let mut probes: BTreeMap<(ServiceKind, &str), Vec<&Sample>> = BTreeMap::new();
        let of = self.samples.iter().filter(|s| s.due >= after && services.contains(&s.service));
        for sample in of {
            probes.entry((sample.service, &sample.probe)).or_default().push(sample);
        }
        probes.values_mut().for_each(|samples| samples.sort_by_key(|sample| sample.due));
        probes
    }
}

/// How many of the last answers in a row were good.
fn good_at_last(samples: &[&Sample]) -> usize {
    samples.iter().rev().take_while(|sample| sample.answered == Answered::Well).count()
}

/// Asks, but for the times at which nothing is to be asked.
async fn ask(
    probes: ServiceProbes,
    samples: mpsc::Sender<Sample>,
    mut resting: watch::Receiver<bool>,
) {
    loop {
        let mut asleep = resting.clone();
        let rest = async move { asleep.wait_for(|resting| *resting).await.map(drop) };
        tokio::select! {
            () = probes.clone().run(samples.clone()) => return,
            _ = rest => {}
        }
        if resting.wait_for(|resting| !resting).await.is_err() {
            return;
        }
    }
}

/// Keeps the probes going.
pub struct Watching(Vec<tokio::task::AbortHandle>);

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.iter().for_each(tokio::task::AbortHandle::abort);
    }
}

fn count(rows: &mut BTreeMap<(ServiceKind, Arc<str>), ProbeSecond>, sample: &Sample) {
    let key = (sample.service, Arc::clone(&sample.probe));
    let row = rows.entry(key).or_insert_with(|| ProbeSecond {
        service: sample.service,
        probe: sample.probe.to_string(),
        ok: 0,
        failed: 0,
        degraded: 0,
        slowest_us: 0,
    });
    match sample.answered {
        Answered::Well => row.ok += 1,
        Answered::Degraded => row.degraded += 1,
        Answered::Failed(_) => row.failed += 1,
    }
    row.slowest_us = row.slowest_us.max(sample.latency.as_micros() as u64);
}

fn figures(service: ServiceKind, samples: &[&Sample]) -> SteadyFigures {
    let count = |wanted: fn(&Answered) -> bool| {
        samples.iter().filter(|sample| wanted(&sample.answered)).count() as u64
    };
    let mut latencies: Vec<u64> = samples.iter().map(|s| s.latency.as_micros() as u64).collect();
    latencies.sort_unstable();
    // Nearest rank.
    let rank = (latencies.len() * 95).div_ceil(100);
    SteadyFigures {
        service,
        n: samples.len() as u64,
        failed: count(|answered| matches!(answered, Answered::Failed(_))),
        degraded: count(|answered| *answered == Answered::Degraded),
        p95_us: rank.checked_sub(1).map(|at| latencies[at]),
    }
}

/// Why nothing is known of a service.
pub fn was_not_asked(service: ServiceKind) -> String {
    format!("{service} was not asked")
}

/// Why a service is not steady by these rules; none when it is.
pub fn unsteady(
    now: &SteadyFigures,
    before: Option<&SteadyFigures>,
    rules: &SteadyRules,
) -> Option<String> {
    let service = now.service;
    let Some(available) = now.availability_percent() else {
        return Some(was_not_asked(service));
    };
    if available < rules.availability_percent {
        return Some(format!("{service} answered {available:.1} % of {} probes", now.n));
    }
    let p95 = Duration::from_micros(now.p95_us.unwrap_or(0));
    if p95 > rules.p95.get() {
        return Some(format!("P95 of {service} is {} ms", p95.as_millis()));
    }
    let before = Duration::from_micros(before.and_then(|before| before.p95_us).unwrap_or(0));
    // Below this, a factor is noise.
    let floor = Duration::from_millis(50);
    (!before.is_zero() && p95 > before.max(floor).mul_f64(rules.p95_factor)).then(|| {
        format!("P95 of {service} is {} ms, {} ms before", p95.as_millis(), before.as_millis())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(due: Instant, probe: &str, well: bool) -> Sample {
        Sample {
            service: ServiceKind::Chat,
            probe: probe.into(),
            due,
            latency: Duration::from_millis(10),
            answered: if well { Answered::Well } else { Answered::Failed("down".into()) },
        }
    }

    #[tokio::test(start_paused = true)]
    async fn steady_is_five_good_answers_in_a_row_of_every_probe() {
        let (board, start) = (Board::default(), Instant::now());
        let at = |tick: u64| start + Duration::from_millis(200 * tick);
        for tick in 0..20 {
            board.add(sample(at(tick), "health", !(5..10).contains(&tick)));
            board.add(sample(at(tick), "ask", !(5..12).contains(&tick)));
        }
        let chat = [ServiceKind::Chat];
        let latency = Duration::from_millis(10);
        assert_eq!(board.first_failure(&chat, at(0)), Some(at(5) + latency));
        assert_eq!(board.first_success(&chat, at(6)), Some(at(10) + latency));
        assert_eq!(board.stable_since(&chat, at(5)), Some(at(12) + latency));
        assert_eq!(board.stable_since(&[ServiceKind::Rag], at(0)), None, "nothing is known");
        board.add(sample(at(20), "ask", false));
        assert_eq!(board.stable_since(&chat, at(5)), None);
        let why = "chat (ask): 0 of 5 good answers in a row, before that down";
        assert_eq!(board.unstable(&chat, at(5)), [why], "health is steady");
        let rag = [ServiceKind::Chat, ServiceKind::Rag];
        assert_eq!(board.unstable(&rag, at(5)), ["rag was not asked", why]);
        let figures = &board.figures(at(5), at(10))[0];
        assert_eq!((figures.n, figures.failed), (10, 10));
    }

    #[tokio::test(start_paused = true)]
    async fn a_stage_is_told_each_second_while_it_lasts() {
        use crate::run::clock::RunClock;

        let (board, events) = (Board::default(), EventSink::in_memory(RunClock::start()));
        let (sender, samples) = mpsc::channel(8);
        tokio::spawn(board.clone().record(samples, events.clone()));
        let mut told = events.subscribe().events;
        for tick in 0..30 {
            match tick {
                11 => drop(board.begin(Stage::During)),
                21 => board.end(),
                _ => {}
            }
            sender.send(sample(Instant::now(), "health", tick % 2 == 0)).await.expect("taken");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let mut seen = Vec::new();
        while let Ok(event) = told.try_recv() {
            if let EventBody::Chaos(ChaosEvent::Measured { stage, figures }) = &event.body {
                assert_eq!((*stage, figures.len()), (Stage::During, 1));
                seen.push((figures[0].n, figures[0].failed));
            }
        }
        assert_eq!(seen, [(4, 2), (9, 5)], "at two seconds of the six, from its beginning on");
    }

    #[test]
    fn a_service_that_fails_or_became_slow_is_not_steady() {
        let rules = SteadyRules::default();
        let figures = |failed, p95_ms: u64| SteadyFigures {
            service: ServiceKind::Chat,
            n: 100,
            failed,
            degraded: 0,
            p95_us: Some(p95_ms * 1000),
        };
        assert_eq!(unsteady(&figures(0, 100), Some(&figures(0, 60)), &rules), None);
        assert!(unsteady(&figures(6, 100), None, &rules).is_some());
        assert!(unsteady(&figures(0, 2001), None, &rules).is_some());
        assert!(unsteady(&figures(0, 700), Some(&figures(0, 60)), &rules).is_some());
        assert_eq!(unsteady(&figures(0, 400), Some(&figures(0, 1)), &rules), None, "noise");
    }
}
