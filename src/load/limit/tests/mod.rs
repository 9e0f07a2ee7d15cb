//! Searches on servers whose behaviour is known.

mod often;
mod queue;

use self::queue::{Kind, Queue, interval};
use super::*;
use crate::config::{LEAST_STEP, PhaseKind};
use crate::load::tests::platform;
use crate::run::event::{ErrorKind, Iterations, Measurements};

/// A search that takes longer than this never ends.
const PATIENCE: u64 = 4 * 3600;

fn search(rules: FindLimit, p99_limit: Option<Duration>) -> (Search, Course) {
    let config = platform(
        "users: 1
think_time: { min: 0s, max: 0s }
scenarios:
  - name: ask
    service: rag
    flows: [{ name: ask, steps: [{ query: { question: why } }] }]
",
    );
    let workload = config.workloads.of(PhaseKind::Mixed).expect("there");
    let course = Course::new(workload, &config, Duration::from_secs(3600)).expect("no feeders");
    (Search::new(rules, workload, &course, p99_limit), course)
}

/// A search to its end, and how many seconds it took.
fn searched(
    rules: FindLimit,
    p99_limit: Option<Duration>,
    mut second: impl FnMut(f64) -> IntervalReport,
) -> (LimitReport, u64) {
    let (mut search, course) = search(rules, p99_limit);
    let mut rate = rules.start_rate;
    for at in 1..PATIENCE {
        match search.observe(&second(rate), &course) {
            Wanted::Same => {}
            Wanted::Rate(percent) => rate = f64::from(percent) * rules.start_rate / 100.0,
            Wanted::End => return (search.report().clone(), at),
        }
    }
    panic!("it never ends: {:?}", search.report());
}

/// A second at a rate in which every flow was answered within so many milliseconds, or none was.
fn second(rate: f64, answered_ms: Option<u64>) -> IntervalReport {
    let n = rate.ceil() as u64;
    let mut iterations = Iterations { arrived: n, ..Iterations::default() };
    let mut measured = Measurements::default();
    if let Some(ms) = answered_ms {
        iterations.finished = n;
        measured.response.record_us(ms * 1000, n);
    }
    let open = iterations.arrived - iterations.finished;
    interval(measured, iterations, open as u32)
}

#[test]
fn a_server_that_answers_in_its_time_whatever_comes_is_held_at_the_largest_rate() {
    let rules = FindLimit { max_rate: 40.0, ..FindLimit::default() };
    let kind = Kind { servers: 1, capacity: 1e6, exponential: false };
    let mut queue = Queue::new(kind, 1);
    let (report, _) = searched(rules, None, |rate| queue.second(rate));
    assert_eq!((report.held, report.not_sustained), (Some(40.0), None));
    let sustained = report.sustained.expect("held");
    assert!(sustained > 33.0 && sustained <= 40.0, "{report:?}");
    assert_eq!(report.steps.last().map(|step| step.aim), Some(LimitAim::Hold));
}

#[test]
fn a_rate_of_requests_that_could_not_be_sent_is_none_that_is_sustained() {
    let (report, _) = searched(FindLimit::default(), None, |rate| {
        let mut second = second(rate, None);
        let flows = second.iterations.values_mut().next().expect("of one scenario");
        flows.interrupted = flows.arrived;
        second.generator.unsendable = flows.arrived;
        second.generator.in_flight = 0;
        second
    });
    let invalid = report.invalid.expect("nothing was measured");
    assert!(invalid.contains("could not be sent"), "{invalid}");
    assert_eq!(report.sustained, None);
}

#[test]
fn answers_that_take_longer_than_a_step_do_not_pile_up() {
    let rules = FindLimit { max_rate: 40.0, step: LEAST_STEP, ..FindLimit::default() };
    let kind = Kind { servers: 10_000, capacity: 10_000.0 / 13.0, exponential: false };
    let mut queue = Queue::new(kind, 1);
    let (report, _) = searched(rules, None, |rate| queue.second(rate));
    assert_eq!((report.held, report.not_sustained), (Some(40.0), None), "{report:#?}");
}

#[test]
fn a_failure_that_may_be_chance_is_looked_at_twice_and_a_plain_one_once() {
    for (p99_ms, aims) in [(2500, [LimitAim::Try, LimitAim::Again]), (9000, [LimitAim::Try; 2])] {
        let (report, _) = searched(FindLimit::default(), Some(Duration::from_secs(2)), |rate| {
            second(rate, Some(if rate > 20.0 { p99_ms } else { 100 }))
        });
        let at = report.steps.iter().position(|step| step.why_not.is_some()).expect("not borne");
        let seen = [report.steps[at].aim, report.steps[at + 1].aim];
        assert_eq!(seen, aims, "{p99_ms} ms");
        assert!(report.held.is_some_and(|held| held <= 20.0), "{report:?}");
        assert!(report.words().contains("P99"), "{}", report.words());
    }
}

/// A second in which nothing succeeded.
fn all_failed(mut report: IntervalReport) -> IntervalReport {
    let measured = &mut report.series[0].measured;
    measured.errors.insert(ErrorKind::ServerStatus, measured.requests());
    report
}

#[test]
fn a_rate_that_met_a_bad_moment_is_tried_again_before_it_is_told() {
    // While the platform warms up, and later on.
    for bad in [0..20, 32..46] {
        let kind = Kind { servers: 1, capacity: 45.0, exponential: false };
        let (mut queue, mut at) = (Queue::new(kind, 1), 0);
        let rules = FindLimit { start_rate: 10.0, ..FindLimit::default() };
        let (report, seconds) = searched(rules, None, |rate| {
            at += 1;
            let second = queue.second(rate);
            if bad.contains(&at) { all_failed(second) } else { second }
        });
        let (good, above) = (report.sustained.expect("held"), report.not_sustained);
        assert!(good > 38.0 && good <= 45.0, "{bad:?}: {report:#?}");
        assert!(above.is_some_and(|above| (45.0..52.0).contains(&above)), "{bad:?}: {report:#?}");
        assert!(seconds < 900, "{bad:?}: {seconds} s");
    }
}

#[test]
fn what_fails_at_any_rate_sustains_none() {
    let (report, seconds) =
        searched(FindLimit::default(), None, |rate| all_failed(second(rate, Some(1))));
    assert_eq!((report.sustained, report.held, report.complete), (None, None, true));
    assert!(seconds < 600, "{seconds} s");
}

#[test]
fn a_platform_that_falls_silent_does_not_bear_the_rate() {
    let (report, _) =
        searched(FindLimit::default(), None, |rate| second(rate, (rate < 20.0).then_some(100)));
    assert!(report.held.is_some_and(|held| held <= 20.0), "{report:?}");
    assert!(report.words().contains("too few answers came"), "{}", report.words());
}

#[test]
fn the_shortest_step_is_long_enough_to_see_that_answers_take_ever_longer() {
    let over_saturated = |step: TimeSpan| {
        let kind = Kind { servers: 1, capacity: 20.0, exponential: false };
        let mut queue = Queue::new(kind, 1);
        let rules = FindLimit { start_rate: 60.0, step, ..FindLimit::default() };
        let (report, _) = searched(rules, None, |rate| queue.second(rate));
        let why = report.steps[0].why_not.clone().unwrap_or_default();
        why.starts_with("over-saturated")
    };
    assert!(over_saturated(LEAST_STEP));
    assert!(!over_saturated(TimeSpan::secs(7)), "a much shorter one would do");
}

#[test]
fn a_generator_that_cannot_keep_up_ends_the_search() {
    let (report, _) = searched(FindLimit::default(), None, |rate| {
        let mut report = second(rate, Some(1));
        report.generator.busiest_thread_percent = if rate > 30.0 { 99.0 } else { 10.0 };
        report
    });
    assert!(report.invalid.is_some() && !report.complete, "{report:?}");
}
