//! The course of an audit: calibrate, discover, check after check, compare, score.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::calibration::Calibration;
use super::compare::Before;
use super::context::AuditContext;
use super::discovery::{self, Discovery, Session};
use super::ledger::Ledger;
use super::outcome::Outcome;
use super::prober::Prober;
use super::probes::pages::Pages;
use super::request::Request;
use super::suppress::Suppressions;
use super::surface::Surface;
use super::{probes, score, trivy};
use crate::config::{CheckKind, Config};
use crate::run::event::{
    CheckReport, CheckStatus, Confidence, EventBody, Finding, LogLevel, Operations, PhaseOutcome,
    SecurityEvent, SecurityScore, Severity, Verdict,
};
use crate::run::recorder::EventSink;

/// Places that are told one by one.
const TOLD: usize = 5;

/// An audit.
pub struct Audit {
    config: Arc<Config>,
    prober: Prober,
    ledger: Ledger,
    events: EventSink,
    run_id: String,
    suppressions: Suppressions,
    open: watch::Receiver<bool>,
    known: Mutex<Known>,
}

/// What is known so far.
#[derive(Default)]
struct Known {
    findings: Vec<Finding>,
    checks: Vec<CheckReport>,
    before: Before,
    session: Option<Session>,
}

impl Audit {
    /// An audit that has asked nothing yet; it waits while `open` is false.
    ///
    /// # Errors
    /// When an endpoint cannot be used, or the file of accepted findings is none.
    pub fn new(
        config: Arc<Config>,
        events: EventSink,
        run_id: String,
        open: watch::Receiver<bool>,
    ) -> Result<Self, String> {
        let prober = Prober::new(&config, open.clone()).map_err(|error| error.to_string())?;
        let file = config.security.suppressions.as_deref();
        let suppressions = file.map(Suppressions::load).transpose()?.unwrap_or_default();
        let ledger = Ledger::new(events.clone());
        let known = Mutex::default();
        Ok(Self { config, prober, ledger, events, run_id, suppressions, open, known })
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn emit(&self, event: SecurityEvent) {
        self.events.emit(EventBody::Security(event));
    }

    /// How many requests are under way.
    pub fn in_flight(&self) -> watch::Receiver<usize> {
        self.prober.in_flight()
    }

    /// A warning for the log.
    pub fn note(&self, message: &str) {
        self.log(LogLevel::Warn, message.to_owned());
    }

    fn log(&self, level: LogLevel, message: String) {
        self.events.emit(EventBody::Log { level, target: "security".into(), message });
    }

    /// The checks that are asked for, in order.
    fn wanted(&self) -> Vec<CheckKind> {
        let asked = &self.config.security.checks;
        let wanted = |kind: &CheckKind| asked.is_empty() || asked.contains(kind);
        CheckKind::ALL.into_iter().filter(wanted).collect()
    }

    /// Makes every check; what it finds is kept as it goes.
    pub async fn run(&self) {
        let (runs, target) = (self.config.report.runs.clone(), self.config.target.name.clone());
        let (own, wanted) = (self.run_id.clone(), self.wanted());
        let find = move || Before::find(&runs, &target, &own, &wanted);
        let before = tokio::task::spawn_blocking(find).await;
        self.known().before = before.unwrap_or_default();
        let mark = format!("shakedown-{}", self.run_id);
        let needs_surface = self.wanted().iter().any(|kind| *kind != CheckKind::Images);
        let (calibration, surface) = match needs_surface {
            true => self.look_around(&mark).await,
            false => (Calibration::default(), Surface::default()),
        };
        let context = AuditContext {
            config: &self.config,
            prober: &self.prober,
            surface: &surface,
            calibration: &calibration,
            mark: &mark,
            ledger: &self.ledger,
            events: &self.events,
            pages: Pages::default(),
        };
        for kind in self.wanted() {
            self.emit(SecurityEvent::CheckStarted { check: kind.title().to_owned() });
            let (before, refused) = (self.prober.sent(), self.prober.refused());
            let mut outcome = Outcome::default();
            let made = match kind {
                CheckKind::Images => {
                    outcome = trivy::scan(&context, self.open.clone()).await;
                    Ok(())
                }
                kind => probes::probe(kind, &context, &mut outcome).await,
            };
            if let Err(error) = made {
                outcome = outcome.cut_short(&error);
            }
            let requests = self.prober.sent() - before;
            let limited = self.prober.refused() - refused;
            self.take(kind, outcome, requests, limited, surface.found());
        }
    }

    /// What there is to be attacked; where the search for it ends early, what was found until then.
    async fn look_around(&self, mark: &str) -> (Calibration, Surface) {
        self.emit(SecurityEvent::CheckStarted { check: "discovery".into() });
        let mut calibration = Calibration::default();
        let learnt = calibration.learn(&self.prober).await;
        let found = discovery::discover(&self.config, &self.prober, &calibration, mark).await;
        let Discovery { mut surface, session, ended } = found;
        self.known().session = session;
        if let Some(error) = learnt.err().or(ended) {
            self.note(&format!("discovery: {error}"));
            surface.notes.push(format!("ended early, there may be more: {error}"));
        }
        for (service, why) in &calibration.silent {
            surface.notes.push(format!("{service} gives no answer: {why}"));
        }
        for operation in &surface.operations {
            self.prober.looked().at(&operation.place());
        }
        self.emit(SecurityEvent::Discovered(surface.told()));
        (calibration, surface)
    }

    /// Keeps what a check found.
    fn take(&self, kind: CheckKind, mut outcome: Outcome, requests: u64, limited: u64, found: u32) {
        let today = jiff::Zoned::now().date();
        // A refusal for the rate is an answer to the rate, not to the attack.
        if kind != CheckKind::RateLimit && limited * 5 > requests && requests > 0 {
            outcome.status = Some(CheckStatus::Blocked);
            outcome.coverage = format!(
                "{limited} of {requests} requests were refused with 429: lower \
                 security.requests_per_second; {}",
                outcome.coverage
            );
        }
        let mut known = self.known();
        for mut finding in outcome.findings.drain(..) {
            // A title may tell what the platform said.
            finding.title = crate::platform::text::excerpt(&finding.title);
            self.suppressions.apply(&mut finding, today);
            finding.novelty = known.before.novelty(&finding);
            // The same weakness in the same place is one finding.
            if known.findings.iter().any(|other| other.fingerprint == finding.fingerprint) {
                continue;
            }
            self.emit(SecurityEvent::Found(Box::new(finding.clone())));
            known.findings.push(finding);
        }
        let weighs = |finding: &&Finding| {
            super::check_of(&finding.rule) == Some(kind)
                && finding.counts()
                && finding.severity > Severity::Info
        };
        let vulnerable = known.findings.iter().any(|finding| weighs(&finding));
        let partial = vulnerable && outcome.status.is_some_and(CheckStatus::is_open);
        if partial {
            outcome.coverage = format!("made in part: {}", outcome.coverage);
        }
        let report = CheckReport {
            check: kind.title().to_owned(),
            status: match outcome.status {
                // What was found is found, whatever else was left open.
                _ if vulnerable => CheckStatus::Vulnerable,
                Some(status) => status,
                None => CheckStatus::Pass,
            },
            coverage: outcome.coverage,
            requests,
            operations: outcome.tested.map(|tested| Operations { found, tested }),
            partial,
        };
        self.emit(SecurityEvent::CheckFinished(report.clone()));
        known.checks.push(report);
    }

    /// Removes what was written, and closes what was opened.
    pub async fn clean(&self) {
        self.ledger.remove_all(&self.prober).await;
        let session = self.known().session.take();
        if let Some(session) = session {
            session.close(&self.prober).await;
        }
    }

    /// Checks that were not made are not tested.
    pub fn leave_open(&self, why: &str) {
        for kind in self.wanted() {
            let made = self.known().checks.iter().any(|check| check.check == kind.title());
            if !made {
                let outcome = Outcome::not_tested(format!("{why} before it was made"));
                self.take(kind, outcome, 0, 0, 0);
            }
        }
    }

    /// Scores what is known, and decides.
    pub fn conclude(&self) -> PhaseOutcome {
        let known = self.known();
        self.tell_writes();
        self.compare(&known);
        let score = score::score(&known.findings, &known.checks);
        self.emit(SecurityEvent::Scored(score.clone()));
        let only = (!self.config.security.checks.is_empty()).then(|| {
            let names = known.checks.iter().map(|check| check.check.as_str());
            format!("only {}", names.collect::<Vec<_>>().join(", "))
        });
        let mut outcome = outcome(&score, &known, self.config.criteria.security_percent, only);
        if let Some(words) = self.left_words() {
            outcome.verdict = Verdict::Fail;
            outcome.reason += &format!("; {words}");
        }
        outcome
    }

    /// Tells how often what is listed and may write was sent.
    fn tell_writes(&self) {
        let listed = self.config.security.operations.iter().map(Request::audited);
        let may_write = listed.filter(|request| !request.is_safe());
        for place in may_write.map(|request| request.place()).collect::<BTreeSet<_>>() {
            let times = self.prober.looked().times(&place);
            self.log(
                LogLevel::Info,
                format!("{place} of security.operations was sent {times} times"),
            );
        }
    }

    /// Tells how the findings differ from those before.
    fn compare(&self, known: &Known) {
        let (findings, checks, looked) = (&known.findings, &known.checks, self.prober.looked());
        if let Some(compared) = known.before.compared(findings, checks, looked) {
            self.emit(SecurityEvent::Compared(compared));
        }
        let unseen = known.before.unseen(findings, checks, looked);
        if !unseen.is_empty() {
            let first: Vec<&str> = unseen.iter().take(TOLD).copied().collect();
            self.note(&format!(
                "findings of a run before at {} places are neither found nor fixed, this run did not \
                 look there: {}{}",
                unseen.len(),
                first.join(", "),
                if unseen.len() > TOLD { " and others" } else { "" }
            ));
        }
    }

    /// How many things are on record and not undone.
    pub fn left(&self) -> usize {
        self.ledger.left()
    }

    /// What it could not undo, in words; none where that is nothing.
    pub fn left_words(&self) -> Option<String> {
        let left = self.left();
        (left > 0)
            .then(|| format!("{left} things that it wrote or replaced are not shown to be undone"))
    }
}

fn outcome(
    score: &SecurityScore,
    known: &Known,
    wanted: f64,
    only: Option<String>,
) -> PhaseOutcome {
    // What nobody can fix yet fails nothing by itself; it weighs in the score.
    let critical = known.findings.iter().find(|finding| {
        finding.severity == Severity::Critical
            && finding.counts()
            && finding.confidence >= Confidence::Firm
            && finding.fixable != Some(false)
    });
    let open: Vec<String> = known
        .checks
        .iter()
        .filter(|check| check.is_open())
        .map(|check| format!("{} {}: {}", check.check, check.status.words(), check.coverage))
        .collect();
    let untested = score.covered == 0;
    let below = !untested && score.score < wanted;
    let verdict = if critical.is_some() || below {
        Verdict::Fail
    } else if untested || !open.is_empty() {
        Verdict::Inconclusive
    } else {
        Verdict::Pass
    };
    let accepted = known.findings.iter().filter(|finding| finding.suppressed.is_some()).count();
    let points = if untested {
        "nothing was tested, no security score".to_owned()
    } else {
        format!("security {:.0} of 100", score.score)
    };
    let mut words = vec![format!(
        "{points}, {} of {} checks, {} findings",
        score.covered,
        score.asked,
        known.findings.len() - accepted
    )];
    if accepted > 0 {
        words.push(format!("{accepted} accepted"));
    }
    words.extend(only);
    words.extend(
        critical.map(|finding| format!("critical: {} at {}", finding.title, finding.place)),
    );
    if below {
        words.push(format!("asked >= {wanted}"));
    }
    words.extend(open);
    PhaseOutcome::new(verdict, words.join("; "))
}
