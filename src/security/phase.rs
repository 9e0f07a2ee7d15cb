//! The security phase: one check after the other, held by a pause and dropped by an abort at any
//! moment; nothing has to be undone, because nothing is written.

use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::watch;

use super::prober::{Prober, Question};
use super::probes::{
    Outcome, authentication, cors, headers, keys, rate_limit, sql_injection, upload, xss,
};
use super::{score, trivy};
use crate::config::{Config, PhaseKind};
use crate::run::event::{
    CheckReport, CheckStatus, Confidence, EventBody, Finding, PhaseOutcome, SecurityEvent,
    SecurityScore, Severity, Verdict,
};
use crate::run::phase::{ControlChange, Phase, PhaseContext, PhaseControl, Wish};
use crate::run::recorder::EventSink;

/// The checks, in order: what would spoil the others comes last.
const CHECKS: [&str; 9] = [
    "image scan",
    "security headers",
    "CORS",
    "API key exposure",
    "SQL injection",
    "XSS",
    "authentication bypass",
    "file upload",
    "rate limiting",
];

/// The security phase.
pub struct SecurityPhase;

impl Phase for SecurityPhase {
    fn kind(&self) -> PhaseKind {
        PhaseKind::Security
    }

    fn run(
        &self,
        context: PhaseContext,
    ) -> Pin<Box<dyn Future<Output = PhaseOutcome> + Send + '_>> {
        Box::pin(async move {
            let PhaseContext { events, mut control, config, run_id, length, .. } = context;
            let (gate, open) = watch::channel(true);
            let prober = match Prober::new(&config, open) {
                Ok(prober) => prober,
                Err(error) => return PhaseOutcome::new(Verdict::Skipped, error.to_string()),
            };
            let audit = Audit { config: Arc::clone(&config), prober, events, run_id };
            let mut clock = crate::run::clock::PlanClock::start();
            let mut work = std::pin::pin!(audit.run());
            loop {
                let left = length.saturating_sub(clock.elapsed());
                tokio::select! {
                    biased;
                    change = control.next() => match change {
                        ControlChange::Wish(Wish::Stop | Wish::StopNow) => {
                            return PhaseOutcome::new(Verdict::Aborted, "ended before its time");
                        }
                        ControlChange::Wish(wish) => hold_or_go(&wish, &gate, &mut clock, &control),
                        ControlChange::Command(_) => {}
                    },
                    (findings, checks) = &mut work => {
                        return conclude(&audit, &findings, &checks);
                    }
                    () = tokio::time::sleep(left), if *gate.borrow() => {
                        let reason = "the phase's time was over before every check was made";
                        return PhaseOutcome::new(Verdict::Inconclusive, reason);
                    }
                }
            }
        })
    }
}

fn hold_or_go(
    wish: &Wish,
    gate: &watch::Sender<bool>,
    clock: &mut crate::run::clock::PlanClock,
    control: &PhaseControl,
) {
    if *wish == Wish::Pause {
        gate.send_replace(false);
        clock.hold();
        control.paused();
    } else {
        gate.send_replace(true);
        clock.release();
        control.resumed();
    }
}

struct Audit {
    config: Arc<Config>,
    prober: Prober,
    events: EventSink,
    run_id: String,
}

impl Audit {
    fn emit(&self, event: SecurityEvent) {
        self.events.emit(EventBody::Security(event));
    }

    async fn run(&self) -> (Vec<Finding>, Vec<CheckReport>) {
        let (mut findings, mut checks) = (Vec::new(), Vec::new());
        for check in CHECKS {
            self.emit(SecurityEvent::CheckStarted { check: check.to_owned() });
            let before = self.prober.sent();
            let outcome = self.check(check).await;
            for finding in &outcome.findings {
                self.emit(SecurityEvent::Found(Box::new(finding.clone())));
            }
            let firm = outcome.findings.iter().any(|f| f.confidence >= Confidence::Firm);
            let weighs = outcome.findings.iter().any(|f| f.severity > Severity::Info);
            let found = if firm && weighs { CheckStatus::Vulnerable } else { CheckStatus::Pass };
            let report = CheckReport {
                check: check.to_owned(),
                status: outcome.status.unwrap_or(found),
                coverage: outcome.coverage,
                requests: self.prober.sent() - before,
            };
            self.emit(SecurityEvent::CheckFinished(report.clone()));
            findings.extend(outcome.findings);
            checks.push(report);
        }
        (findings, checks)
    }

    async fn check(&self, check: &str) -> Outcome {
        let (prober, mark) = (&self.prober, format!("shakedown-{}", self.run_id));
        let operations = self.operations();
        let outcome = match check {
            "image scan" => return trivy::scan(&self.config.security.images).await,
            "security headers" => headers::probe(prober, &self.health()).await,
            "CORS" => cors::probe(prober, &self.all(), &mark).await,
            "API key exposure" => keys::probe(prober, &self.all()).await,
            "SQL injection" => sql_injection::probe(prober, &operations).await,
            "XSS" => xss::probe(prober, &operations, &mark).await,
            "authentication bypass" => authentication::probe(prober, &self.secured()).await,
            "file upload" => upload::probe(prober).await,
            _ => rate_limit::probe(prober, &self.health()).await,
        };
        outcome.unwrap_or_else(|error| Outcome::failed(&error))
    }

    fn health(&self) -> Vec<Question> {
        let services = self.config.services.endpoints();
        services.map(|(service, endpoint)| Question::get(service, &endpoint.health)).collect()
    }

    fn operations(&self) -> Vec<Question> {
        let operations = self.config.security.operations.iter();
        operations.map(|one| Question::of(one.service, one.request.clone())).collect()
    }

    fn all(&self) -> Vec<Question> {
        [self.health(), self.operations()].concat()
    }

    /// What is answered to the configured credentials only: never health, which is often open.
    fn secured(&self) -> Vec<Question> {
        let with_credentials: Vec<_> = self
            .config
            .services
            .endpoints()
            .filter(|(_, endpoint)| endpoint.auth.is_some())
            .map(|(service, _)| service)
            .collect();
        let operations = self.operations().into_iter();
        operations.filter(|question| with_credentials.contains(&question.service)).collect()
    }
}

fn conclude(audit: &Audit, findings: &[Finding], checks: &[CheckReport]) -> PhaseOutcome {
    let score = score::score(findings, checks);
    audit.emit(SecurityEvent::Scored(score.clone()));
    outcome(&score, findings, checks, audit.config.criteria.security_percent)
}

fn outcome(
    score: &SecurityScore,
    findings: &[Finding],
    checks: &[CheckReport],
    wanted: f64,
) -> PhaseOutcome {
    let critical = findings
        .iter()
        .find(|f| f.severity == Severity::Critical && f.confidence >= Confidence::Firm);
    let open: Vec<String> = checks
        .iter()
        .filter(|check| check.status.is_open())
        .map(|check| format!("{} {}: {}", check.check, check.status.words(), check.coverage))
        .collect();
    let verdict = if critical.is_some() || score.score < wanted {
        Verdict::Fail
    } else if open.is_empty() {
        Verdict::Pass
    } else {
        Verdict::Inconclusive
    };
    let mut words = vec![format!(
        "security {:.0} of 100, {} of {} checks, {} findings",
        score.score,
        score.covered,
        score.asked,
        findings.len()
    )];
    words.extend(
        critical.map(|finding| format!("critical: {} at {}", finding.title, finding.place)),
    );
    if score.score < wanted {
        words.push(format!("asked >= {wanted}"));
    }
    words.extend(open);
    PhaseOutcome::new(verdict, words.join("; "))
}
