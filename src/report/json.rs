//! The consolidated JSON report, `production_validation_report.json`.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::backup::{self, DrillSection};
use super::chaos::{self, ChaosSection};
use super::load::{self, LoadSection};
use super::notify::{self, NotifySection};
use super::security::{self, SecuritySection};
use super::slo::{self, ObjectiveRow};
use super::stores::{self, StoresSection};
use crate::config::PhaseKind;
use crate::run::event::{ControlResult, Verdict};
use crate::run::folder::write_atomically;
use crate::run::plan::LEFT_OUT;
use crate::run::state::{PhaseState, PhaseStatus, RunState};

/// Name of the report in the run's folder and of its copy.
pub const REPORT_FILE: &str = "production_validation_report.json";
/// Version of the report's shape; it grows when a field changes its meaning or goes.
pub const REPORT_VERSION: u32 = 1;

/// The report.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// [`REPORT_VERSION`].
    pub report_version: u32,
    /// Overall verdict: pass, fail, inconclusive, invalid or aborted; `running` before the end.
    pub overall_status: String,
    /// The verdict with what it leaves out, such as `pass (without chaos)`.
    pub verdict: String,
    /// What decided it.
    pub reasons: Vec<String>,
    /// Phases left out by request.
    pub without: Vec<PhaseKind>,
    /// Whether the run came to its own end; a partial report is of a run that did not.
    pub complete: bool,
    /// Who ran what against what.
    pub run: Option<RunSection>,
    /// The objectives.
    pub slo_compliance: Vec<ObjectiveRow>,
    /// Controls such as encryption, with their evidence; no percentage, and no part of the verdict.
    #[serde(default)]
    pub controls: Vec<ControlResult>,
    /// What the stores answered to light queries while load ran.
    #[serde(default)]
    pub stores: StoresSection,
    /// Who was told what.
    #[serde(default)]
    pub notifications: NotifySection,
    /// The phases in plan order.
    pub phases: Vec<PhaseSection>,
    /// Marks in the timeline: pauses, rescales, remarks, guards.
    pub timeline: Vec<MarkRow>,
}

/// Who ran what against what.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RunSection {
    /// The run's id.
    pub id: String,
    /// Program version.
    pub shakedown_version: String,
    /// Name of the target.
    pub target: String,
    /// Its environment.
    pub environment: String,
    /// Origins of the services.
    pub origins: BTreeMap<String, String>,
    /// Services whose TLS certificates were not checked, because the configuration said so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub insecure_tls: Vec<String>,
    /// Host of the engine.
    pub host: String,
    /// Name of the plan.
    pub plan: String,
    /// Seed of every random choice.
    pub seed: u64,
    /// Where the configuration came from.
    pub config_source: String,
    /// When the run was created (RFC 3339).
    pub created: Option<String>,
    /// When its last event happened (RFC 3339).
    pub last_event: Option<String>,
    /// Seconds from creation to the last event.
    pub seconds: f64,
    /// Bytes that were cut from a torn journal.
    pub journal_cut_bytes: u64,
}

impl RunSection {
    /// Whose certificates nobody checked, in words; none when all were checked.
    pub fn unchecked(&self) -> Option<String> {
        let services = self.insecure_tls.join(", ");
        let words = format!("TLS certificates of {services} were NOT checked (tls.insecure)");
        (!services.is_empty()).then_some(words)
    }
}

/// One phase.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PhaseSection {
    /// Which.
    pub phase: PhaseKind,
    /// Its verdict; `pending` or `running` before it, `unfinished` where the engine ended before the phase did.
    pub status: String,
    /// Why.
    pub reason: String,
    /// Seconds at work, pauses not counted.
    pub seconds: f64,
    /// Seconds of pauses.
    pub paused_seconds: f64,
    /// What it measured, for a load phase.
    pub load: Option<LoadSection>,
    /// What it showed, for the chaos phase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chaos: Option<ChaosSection>,
    /// What it found, for the security phase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security: Option<SecuritySection>,
    /// What its drills showed, for the backup phase.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub backup: Vec<DrillSection>,
}

/// A mark in the timeline.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct MarkRow {
    /// Seconds since the run was created.
    pub at_seconds: f64,
    /// The phase, if any.
    pub phase: Option<PhaseKind>,
    /// What happened.
    pub text: String,
}

/// The report of a run in progress, or at its end.
pub fn report(state: &RunState) -> Report {
    let verdict = state.verdict.as_ref();
    let word = verdict.map_or("running", |verdict| verdict.verdict.word());
    Report {
        report_version: REPORT_VERSION,
        overall_status: word.to_owned(),
        verdict: verdict.map_or_else(|| word.to_owned(), ToString::to_string),
        reasons: verdict.map(|verdict| verdict.reasons.clone()).unwrap_or_default(),
        without: verdict.map(|verdict| verdict.without.clone()).unwrap_or_default(),
        complete: verdict.is_some_and(|v| v.verdict != Verdict::Aborted),
        run: run_section(state),
        slo_compliance: state.objectives.iter().map(slo::row).collect(),
        controls: state.controls.clone(),
        stores: stores::section(&state.stores),
        notifications: notify::section(&state.notify),
        phases: state.phases.iter().map(|phase| phase_section(phase, state)).collect(),
        timeline: state
            .marks
            .iter()
            .map(|mark| MarkRow {
                at_seconds: seconds(mark.at_us),
                phase: mark.phase,
                text: mark.text.clone(),
            })
            .collect(),
    }
}

/// Writes a report into a run's folder, that of each phase that ran beside it.
///
/// # Errors
/// When a file cannot be written; a file that was there before is then still whole.
pub fn write(run_dir: &Path, state: &RunState) -> io::Result<PathBuf> {
    let report = report(state);
    // One that was skipped by request after it had begun has something to tell.
    let cut_short = |kind| {
        let by_request = |of: &PhaseState| of.outcome.as_ref().is_some_and(|it| it.by_request);
        state.phase(kind).is_some_and(|of| of.started_us.is_some() && by_request(of))
    };
    let ran = |phase: &&PhaseSection| match phase.status.as_str() {
        "pending" => false,
        "skipped" => cut_short(phase.phase),
        _ => true,
    };
    for phase in report.phases.iter().filter(ran) {
        let path = run_dir.join(format!("{}_report.json", phase.phase));
        let journal = state.phase(phase.phase).and_then(|of| chaos::journal(state, of));
        let content = match journal {
            Some(journal) => serde_json::to_vec_pretty(&journal)?,
            None => serde_json::to_vec_pretty(phase)?,
        };
        write_atomically(&path, &content)?;
        if let Some(security) = &phase.security {
            let files = [
                (security::SARIF_FILE, security::sarif(security)),
                (security::DEFECTDOJO_FILE, security::defectdojo(security)),
            ];
            for (name, document) in files {
                write_atomically(&run_dir.join(name), &serde_json::to_vec_pretty(&document)?)?;
            }
        }
    }
    let html = super::html::document(state);
    write_atomically(&run_dir.join(super::html::HTML_FILE), html.as_bytes())?;
    if state.phases.iter().any(|phase| phase.load.is_some()) {
        let figures = super::csv::document(&report);
        write_atomically(&run_dir.join(super::csv::CSV_FILE), figures.as_bytes())?;
        let log = super::hlog::document(run_dir)?;
        write_atomically(&run_dir.join(super::hlog::HLOG_FILE), &log)?;
    }
    let path = run_dir.join(REPORT_FILE);
    write_atomically(&path, &serde_json::to_vec_pretty(&report)?)?;
    Ok(path)
}

/// The JSON schema of the report, as shipped in `docs/`.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(Report).to_value()
}

fn run_section(state: &RunState) -> Option<RunSection> {
    let identity = state.identity.as_ref()?;
    let rfc3339 = |time: Option<Timestamp>| time.map(|time| time.to_string());
    Some(RunSection {
        id: identity.id.clone(),
        shakedown_version: identity.version.clone(),
        target: identity.target.clone(),
        environment: identity.environment.name().to_owned(),
        insecure_tls: identity.insecure.iter().map(ToString::to_string).collect(),
        origins: identity
            .origins
            .iter()
            .map(|(service, origin)| (service.name().to_owned(), origin.clone()))
            .collect(),
        host: identity.host.clone(),
        plan: state.plan.as_ref().map(|plan| plan.name.clone()).unwrap_or_default(),
        seed: identity.seed,
        config_source: identity.config_source.clone(),
        created: rfc3339(state.created),
        last_event: rfc3339(state.wall),
        seconds: seconds(state.now_us),
        journal_cut_bytes: state.journal_cut_bytes,
    })
}

fn phase_section(phase: &PhaseState, state: &RunState) -> PhaseSection {
    let (status, reason) = match (&phase.outcome, phase.status) {
        (Some(outcome), _) => (outcome.verdict.word(), outcome.reason.clone()),
        (None, PhaseStatus::Running) if state.verdict.is_some() => {
            ("unfinished", "the engine ended before it did".into())
        }
        (None, PhaseStatus::Running) => ("running", "it is under way".into()),
        // An engine that was killed has not come to say so.
        (None, _) if phase.skip_requested => ("skipped", LEFT_OUT.into()),
        (None, _) => ("pending", "did not run".into()),
    };
    PhaseSection {
        phase: phase.kind,
        status: status.to_owned(),
        reason,
        seconds: seconds(phase.elapsed_us(state.now_us)),
        paused_seconds: seconds(phase.paused_us),
        load: phase.load.as_ref().map(load::section),
        chaos: phase.chaos.as_ref().map(chaos::section),
        security: phase.security.as_ref().map(security::section),
        backup: phase.backup.as_ref().map(backup::sections).unwrap_or_default(),
    }
}

const fn seconds(us: u64) -> f64 {
    us as f64 / 1e6
}
