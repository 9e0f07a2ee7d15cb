//! The orchestrator in virtual time, with phases that do as they are told, or do not.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;

use shakedown::config::{Criteria, Environment, OnDetach, PhaseKind, Phases};
use shakedown::run::assembly::{
    Assembly, Healer, Inbound, Judge, ReportWriter, Settings, Steady, SteadyWatch,
};
use shakedown::run::clock::RunClock;
use shakedown::run::control::Command;
use shakedown::run::event::{EventBody, Objective, PhaseOutcome, RunIdentity, RunVerdict, Verdict};
use shakedown::run::orchestrator::Orchestrator;
use shakedown::run::phase::{ControlChange, Phase, PhaseContext, Wish};
use shakedown::run::plan::{Plan, Scope};
use shakedown::run::recorder::EventSink;
use shakedown::run::state::{RunState, RunStatus};
use tokio::sync::{mpsc, watch};

/// How a phase of a test behaves.
#[derive(Clone, Copy)]
enum Behaviour {
    /// Works for its length, pauses and stops when it is asked to.
    Good,
    /// Panics.
    Crash,
    /// Hears nothing.
    Deaf,
    /// Finds that something is missing.
    Missing,
}

struct TestPhase(PhaseKind, Behaviour);

#[async_trait]
impl Phase for TestPhase {
    fn kind(&self) -> PhaseKind {
        self.0
    }

    async fn run(&self, context: PhaseContext) -> PhaseOutcome {
        match self.1 {
            Behaviour::Good => work(context).await,
            Behaviour::Crash => panic!("on purpose"),
            Behaviour::Deaf => std::future::pending().await,
            Behaviour::Missing => PhaseOutcome::new(Verdict::Skipped, "no Docker"),
        }
    }
}

async fn work(mut context: PhaseContext) -> PhaseOutcome {
    let mut left = context.length;
    loop {
        let began = tokio::time::Instant::now();
        let wish = tokio::select! {
            () = tokio::time::sleep(left) => return PhaseOutcome::new(Verdict::Pass, "done"),
            change = context.control.next() => match change {
                ControlChange::Wish(wish) => wish,
                ControlChange::Command(_) => continue,
            },
        };
        left = left.saturating_sub(began.elapsed());
        if wish == Wish::Pause {
            context.control.paused();
            if context.control.changed().await == Wish::Work {
                context.control.resumed();
                continue;
            }
        }
        return PhaseOutcome::new(Verdict::Pass, "stopped");
    }
}

struct Calm;

#[async_trait]
impl SteadyWatch for Calm {
    async fn until_steady(&self, max: Duration, _: &EventSink) -> Steady {
        tokio::time::sleep(max / 2).await;
        Steady { steady: true, reason: "calm".into() }
    }
}

#[derive(Default)]
struct Reports(Mutex<VecDeque<RunState>>);

impl ReportWriter for Reports {
    fn write(&self, state: &RunState) -> Result<PathBuf, String> {
        self.0.lock().expect("not poisoned").push_back(state.clone());
        Ok("report.json".into())
    }
}

/// Counts how often it was asked to heal, and leaves something.
#[derive(Default)]
struct Healed(AtomicU32);

#[async_trait]
impl Healer for Healed {
    async fn heal(&self) -> Vec<String> {
        self.0.fetch_add(1, Ordering::SeqCst);
        vec!["a table of ours".to_owned()]
    }
}

struct NoJudge;

impl Judge for NoJudge {
    fn objectives(&self, _: &RunState) -> Vec<Objective> {
        Vec::new()
    }
}

struct Bench {
    events: EventSink,
    inbox: mpsc::Sender<Inbound>,
    operators: watch::Sender<u32>,
    reports: Arc<Reports>,
    healer: Arc<Healed>,
    run: tokio::task::JoinHandle<RunVerdict>,
}

struct Setup {
    behaviour: Behaviour,
    production: bool,
    autostart: bool,
    on_detach: OnDetach,
    watched: bool,
    kinds: Vec<PhaseKind>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            behaviour: Behaviour::Good,
            production: false,
            autostart: true,
            on_detach: OnDetach::Continue,
            watched: true,
            kinds: vec![PhaseKind::Mixed, PhaseKind::Chaos],
        }
    }
}

impl Bench {
    fn start(setup: Setup) -> Self {
        let endpoints = shakedown::sandbox::Endpoints::placeholder();
        let mut config = shakedown::sandbox::config(&endpoints);
        if setup.production {
            config.target.environment = Environment::Production;
        }
        let events = EventSink::in_memory(RunClock::start());
        events.emit(EventBody::RunCreated {
            identity: Box::new(RunIdentity::new(
                "test",
                &config.target.name,
                config.target.environment,
            )),
            plan: Plan::new(
                &Phases::default(),
                &Scope::Only(setup.kinds.clone()),
                &[PhaseKind::Slo],
            ),
            criteria: Criteria::default(),
            promises: None,
        });
        let reports = Arc::new(Reports::default());
        let healer = Arc::new(Healed::default());
        let phase = |kind| (kind, Ok(Arc::new(TestPhase(kind, setup.behaviour)) as Arc<dyn Phase>));
        let assembly = Assembly {
            phases: setup.kinds.iter().copied().map(phase).collect(),
            steady: Arc::new(Calm),
            reports: Arc::clone(&reports) as Arc<dyn ReportWriter>,
            judge: Arc::new(NoJudge),
            healer: Arc::clone(&healer) as Arc<dyn Healer>,
            companions: Vec::new(),
        };
        let settings = Settings {
            config: Arc::new(config),
            run_id: "test".into(),
            seed: 1,
            autostart: setup.autostart,
            armed: false,
            on_detach: setup.on_detach,
        };
        let (inbox, inbox_receiver) = mpsc::channel(16);
        let (operators, operators_seen) = watch::channel(u32::from(setup.watched));
        let orchestrator =
            Orchestrator::new(assembly, settings, events.clone(), inbox_receiver, operators_seen);
        let run = tokio::spawn(orchestrator.run());
        Self { events, inbox, operators, reports, healer, run }
    }

    async fn ask(&self, command: Command) {
        let inbound = Inbound::Command { id: 1, client: "op".into(), command };
        self.inbox.send(inbound).await.expect("listening");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }

    fn status(&self) -> RunStatus {
        self.events.with_state(|state| state.status.clone())
    }

    fn refusal(&self) -> Option<String> {
        self.events
            .with_state(|state| state.acknowledgements.back().and_then(|a| a.refused.clone()))
    }

    async fn verdict(self) -> RunVerdict {
        let verdict = tokio::time::timeout(Duration::from_secs(36_000), self.run).await;
        let verdict = verdict.expect("ended").expect("no panic");
        let reports = self.reports.0.lock().expect("not poisoned");
        let last = reports.back().expect("a report");
        assert_eq!(last.verdict.as_ref(), Some(&verdict), "the report holds the verdict");
        verdict
    }
}

async fn minutes(n: u64) {
    tokio::time::sleep(Duration::from_secs(60 * n)).await;
}

#[tokio::test(start_paused = true)]
async fn a_plan_runs_to_its_end_with_its_cooldown() {
    let bench = Bench::start(Setup::default());
    let began = tokio::time::Instant::now();
    let events = bench.events.clone();
    assert_eq!(bench.verdict().await.to_string(), "pass (without ramping, security, backup, slo)");
    assert_eq!(began.elapsed().as_secs(), 600 + 15 + 900);
    let cooled =
        events.with_state(|state| state.log.iter().any(|line| line.message.contains("calm")));
    assert!(cooled);
}

#[tokio::test(start_paused = true)]
async fn a_pause_holds_the_clock_of_the_phase() {
    let bench = Bench::start(Setup { kinds: vec![PhaseKind::Mixed], ..Setup::default() });
    let began = tokio::time::Instant::now();
    minutes(1).await;
    bench.ask(Command::Pause {}).await;
    assert_eq!(bench.status(), RunStatus::Paused);
    minutes(60).await;
    bench.ask(Command::Resume {}).await;
    assert_eq!(bench.status(), RunStatus::Running);
    bench.ask(Command::Resume {}).await;
    assert!(bench.refusal().is_some());
    let events = bench.events.clone();
    assert_eq!(bench.verdict().await.verdict, Verdict::Pass);
    assert_eq!(began.elapsed().as_secs(), 60 + 3600 + 540);
    let elapsed = events.with_state(|state| state.phases[0].elapsed_us(state.now_us));
    assert!((599_000_000..=601_000_000).contains(&elapsed), "{elapsed}");
}

#[tokio::test(start_paused = true)]
async fn a_pause_holds_the_clock_of_a_cooldown() {
    let bench = Bench::start(Setup::default());
    let began = tokio::time::Instant::now();
    minutes(10).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(bench.events.with_state(|state| state.cooldown.is_some()));
    bench.ask(Command::Pause {}).await;
    assert_eq!(bench.status(), RunStatus::Paused);
    minutes(60).await;
    bench.ask(Command::Resume {}).await;
    let passed = bench.events.with_state(|state| {
        state.cooldown.map(|cooldown| cooldown.passed_us(state.now_us) / 1_000_000)
    });
    assert_eq!(passed, Some(5), "the hour of the pause does not count");
    assert_eq!(bench.verdict().await.to_string(), "pass (without ramping, security, backup, slo)");
    // The watch begins anew with the 25 s that are left of the 30, of which it needs half.
    assert_eq!(began.elapsed().as_secs(), 600 + 5 + 3600 + 12 + 900);
}

#[tokio::test(start_paused = true)]
async fn a_skipped_phase_is_named_and_an_aborted_one_decides() {
    let bench = Bench::start(Setup::default());
    minutes(1).await;
    bench.ask(Command::SkipPhase {}).await;
    bench.ask(Command::SkipPhase {}).await;
    bench.ask(Command::AbortPhase {}).await;
    let verdict = bench.verdict().await;
    assert_eq!(verdict.verdict, Verdict::Aborted);
    assert!(verdict.without.contains(&PhaseKind::Mixed), "{verdict}");
}

#[tokio::test(start_paused = true)]
async fn a_phase_that_is_skipped_while_paused_takes_its_pause_with_it() {
    let bench = Bench::start(Setup::default());
    minutes(1).await;
    bench.ask(Command::Pause {}).await;
    bench.ask(Command::SkipPhase {}).await;
    assert_eq!(bench.status(), RunStatus::Running);
    bench.ask(Command::SkipPhase {}).await;
    let running = bench.events.with_state(|state| state.running_phase().map(|phase| phase.kind));
    assert_eq!(running, Some(PhaseKind::Chaos));
    assert_eq!(bench.verdict().await.verdict, Verdict::Pass);
}

#[tokio::test(start_paused = true)]
async fn a_signal_aborts_and_a_second_one_hurries() {
    let setup = Setup { behaviour: Behaviour::Deaf, ..Setup::default() };
    let bench = Bench::start(setup);
    let healer = Arc::clone(&bench.healer);
    minutes(1).await;
    let began = tokio::time::Instant::now();
    for _ in 0..2 {
        let stop = Inbound::Stop { reason: "signal SIGTERM".into() };
        bench.inbox.send(stop).await.expect("listening");
    }
    let verdict = bench.verdict().await;
    assert_eq!(verdict.verdict, Verdict::Aborted);
    assert!(verdict.reasons[0].contains("SIGTERM"), "{:?}", verdict.reasons);
    assert_eq!(began.elapsed().as_secs(), 30, "a phase that hears nothing is given up");
    assert_eq!(healer.0.load(Ordering::SeqCst), 1, "what it left is healed");
}

#[tokio::test(start_paused = true)]
async fn a_phase_that_crashes_is_invalid_and_the_plan_goes_on() {
    let bench = Bench::start(Setup { behaviour: Behaviour::Crash, ..Setup::default() });
    let healer = Arc::clone(&bench.healer);
    let verdict = bench.verdict().await;
    assert_eq!(healer.0.load(Ordering::SeqCst), 2, "what a crashed phase left is healed at once");
    assert!(verdict.reasons[0].contains("STILL BROKEN: a table"), "{:?}", verdict.reasons);
    assert_eq!(verdict.verdict, Verdict::Invalid);
    assert_eq!(verdict.reasons.len(), 2, "both phases were tried: {:?}", verdict.reasons);
}

#[tokio::test(start_paused = true)]
async fn nobody_needs_a_rest_from_a_phase_that_could_not_run() {
    let bench = Bench::start(Setup { behaviour: Behaviour::Missing, ..Setup::default() });
    let began = tokio::time::Instant::now();
    assert_eq!(bench.verdict().await.verdict, Verdict::Inconclusive);
    assert_eq!(began.elapsed().as_secs(), 0);
}

#[tokio::test(start_paused = true)]
async fn unwatched_it_holds_before_what_is_destructive() {
    let bench = Bench::start(Setup { on_detach: OnDetach::Hold, ..Setup::default() });
    bench.operators.send_replace(0);
    minutes(300).await;
    assert!(matches!(bench.status(), RunStatus::Held(_)), "{:?}", bench.status());
    bench.operators.send_replace(1);
    minutes(1).await;
    assert!(matches!(bench.status(), RunStatus::Held(_)), "somebody came, nobody said go");
    bench.ask(Command::Resume {}).await;
    assert_eq!(bench.status(), RunStatus::Running);
    assert_eq!(bench.verdict().await.verdict, Verdict::Pass);
}

#[tokio::test(start_paused = true)]
async fn unwatched_it_aborts_where_it_was_told_to() {
    let bench = Bench::start(Setup { on_detach: OnDetach::Abort, ..Setup::default() });
    minutes(1).await;
    bench.operators.send_replace(0);
    assert_eq!(bench.verdict().await.verdict, Verdict::Aborted);
}

#[tokio::test(start_paused = true)]
async fn it_does_not_begin_unwatched_where_it_was_told_to_abort_then() {
    let bench =
        Bench::start(Setup { on_detach: OnDetach::Abort, watched: false, ..Setup::default() });
    let operators = bench.operators.clone();
    tokio::time::sleep(Duration::from_secs(59)).await;
    assert!(bench.events.with_state(|state| state.running_phase().is_none()), "nobody is there");
    operators.send_replace(1);
    assert_eq!(bench.verdict().await.verdict, Verdict::Pass, "somebody came");
    let bench =
        Bench::start(Setup { on_detach: OnDetach::Abort, watched: false, ..Setup::default() });
    let verdict = bench.verdict().await;
    assert_eq!(verdict.verdict, Verdict::Aborted);
    assert!(verdict.reasons[0].contains("nobody came to watch"), "{:?}", verdict.reasons);
}

#[tokio::test(start_paused = true)]
async fn an_abort_is_never_taken_back_and_who_leaves_does_not_hurry_it() {
    let setup = Setup {
        behaviour: Behaviour::Deaf,
        on_detach: OnDetach::Abort,
        kinds: vec![PhaseKind::Mixed],
        ..Setup::default()
    };
    let bench = Bench::start(setup);
    minutes(1).await;
    let began = tokio::time::Instant::now();
    bench.ask(Command::Pause {}).await;
    bench.ask(Command::ABORT_RUN).await;
    // The phase acknowledges what was asked for before the abort.
    bench.events.for_phase(PhaseKind::Mixed).emit(EventBody::Paused {});
    assert!(matches!(bench.status(), RunStatus::Aborting(_)), "{:?}", bench.status());
    bench.operators.send_replace(0);
    assert_eq!(bench.verdict().await.verdict, Verdict::Aborted);
    assert_eq!(began.elapsed().as_secs(), 120, "it was hurried");
}

#[tokio::test(start_paused = true)]
async fn production_waits_for_its_name() {
    let bench = Bench::start(Setup { production: true, ..Setup::default() });
    minutes(5).await;
    assert_eq!(bench.status(), RunStatus::Ready);
    bench.ask(Command::Start { phase: None }).await;
    assert!(bench.refusal().is_some_and(|reason| reason.contains("production")));
    bench.ask(Command::Arm { name: "something else".into() }).await;
    assert!(bench.refusal().is_some());
    bench.ask(Command::Arm { name: "sandbox".into() }).await;
    assert_eq!(bench.refusal(), None);
    bench.ask(Command::Start { phase: Some(PhaseKind::Chaos) }).await;
    let running = bench.events.with_state(|state| state.running_phase().map(|phase| phase.kind));
    assert_eq!(running, Some(PhaseKind::Chaos), "the phase of choice comes first");
    assert_eq!(bench.verdict().await.verdict, Verdict::Pass);
}

#[tokio::test(start_paused = true)]
async fn a_plan_that_nobody_starts_is_closed_when_nobody_watches() {
    let bench = Bench::start(Setup { autostart: false, ..Setup::default() });
    minutes(60).await;
    assert_eq!(bench.status(), RunStatus::Ready, "an operator may take his time");
    bench.operators.send_replace(0);
    assert_eq!(bench.verdict().await.verdict, Verdict::Aborted);
}
