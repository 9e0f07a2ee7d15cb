//! The backup drill in reports.

mod html;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::html::write_html;
use crate::config::StoreKind;
use crate::run::event::{BackupLevel, RecordComparison, StepReport, StoreReport, VerifierTest};
use crate::run::state::{BackupState, DrillState, StoreState};

/// What a drill showed.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct DrillSection {
    /// Whose backup: `built-in`, or the `platform`'s own.
    pub way: String,
    /// pass, fail, inconclusive or aborted; null when the drill did not come to its end.
    pub verdict: Option<String>,
    /// Stores that passed, of those that were drilled, such as `5/5`.
    pub success_rate: String,
    /// Synthetic documents that were put into every store.
    pub documents: u64,
    /// From which all data follows.
    pub seed: u64,
    /// The name under which everything was done.
    pub namespace: String,
    /// Records that should have come back.
    pub records_expected: u64,
    /// Records that came back as they were.
    pub records_restored: u64,
    /// Records that were lost; null where a store was not compared.
    pub records_lost: Option<u64>,
    /// The worst RPO, seconds.
    pub rpo_seconds: Option<f64>,
    /// What the RPO speaks of: the `tool` for a built-in backup, else the `platform`.
    pub rpo_scope: String,
    /// The worst RTO, seconds.
    pub rto_seconds: Option<f64>,
    /// Whether the verified stores fit together; null where fewer than two were verified.
    pub cross_store: Option<CrossStore>,
    /// The same in one line, with the stores of which it was counted, and of which not.
    pub across_stores: Option<String>,
    /// Stores that were left out, with the reason.
    pub skipped: BTreeMap<String, String>,
    /// What the backup service said and left.
    pub service: Vec<String>,
    /// The stores.
    pub stores: Vec<StoreSection>,
}

/// Whether every document is in all verified stores with the same content.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct CrossStore {
    /// Documents that were put in.
    pub documents: u64,
    /// Documents that are whole.
    pub whole: u64,
    /// The first of the others, with the stores that lack them.
    pub broken: Vec<String>,
    /// The stores that were verified after their restore: nothing is said of the others.
    pub stores: Vec<StoreKind>,
}

/// What a drill showed of one store.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct StoreSection {
    /// The store.
    pub store: StoreKind,
    /// Product and version, as it says itself.
    pub server: String,
    /// What it really is, where its own word would mislead.
    pub label: Option<String>,
    /// pass, fail, inconclusive or aborted; null when it did not come to its end.
    pub verdict: Option<String>,
    /// Why.
    pub reason: String,
    /// L0 to L6, how far the backup was shown to be good: asked for, there, checksums right, readable,
    /// restored, equal record by record, usable.
    pub level: Option<String>,
    /// The steps that were taken.
    pub steps: Vec<StepRow>,
    /// The comparison record by record.
    pub records: Option<RecordComparison>,
    /// Whether the data was proven to be gone between destruction and restore.
    pub absence_proven: bool,
    /// From the last canary that came back to the disaster, seconds.
    pub rpo_seconds: Option<f64>,
    /// From the disaster to the proof that everything is there, seconds: its parts.
    pub rto_seconds: RtoRow,
    /// Canaries that the store acknowledged, and those that came back.
    pub canaries: [u64; 2],
    /// The verifier's own test: what was put into a copy, and whether it was caught.
    pub verifier: BTreeMap<String, Option<bool>>,
    /// The backup's files.
    pub files: Vec<FileRow>,
    /// SHA-256 of the manifest that names them.
    pub manifest_sha256: String,
    /// What is not ours, before and after.
    pub bystanders: Vec<BystandersRow>,
    /// What of ours is still there.
    pub residue: Vec<String>,
    /// What of the store's data such a drill does not cover.
    pub not_covered: Vec<String>,
    /// Remarks.
    pub notes: Vec<String>,
}

/// One step.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct StepRow {
    /// Which.
    pub step: String,
    /// Whether it did what it should.
    pub passed: bool,
    /// What was seen.
    pub detail: String,
    /// Records that it went through.
    pub records: u64,
    /// Bytes that it went through.
    pub bytes: u64,
    /// How long it took, milliseconds.
    pub ms: f64,
}

/// The parts of an RTO, seconds.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RtoRow {
    /// To the detection.
    pub detect: Option<f64>,
    /// The restore.
    pub restore: Option<f64>,
    /// The verification.
    pub verify: Option<f64>,
    /// All of it.
    pub total: Option<f64>,
}

/// A file of the backup.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct FileRow {
    /// Its name.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// SHA-256.
    pub sha256: String,
}

/// Things of others.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct BystandersRow {
    /// What was counted.
    pub what: String,
    /// Before the drill.
    pub before: u64,
    /// After it; null when it could not be asked.
    pub after: Option<u64>,
}

/// The sections of a backup phase, one a drill.
pub fn sections(backup: &BackupState) -> Vec<DrillSection> {
    backup.drills.iter().map(section).collect()
}

const fn seconds(us: Option<u64>) -> Option<f64> {
    match us {
        Some(us) => Some(us as f64 / 1e6),
        None => None,
    }
}

fn section(drill: &DrillState) -> DrillSection {
    let summary = drill.summary.as_ref();
    let tool = drill.start.way == crate::run::event::DrillWay::BuiltIn;
    DrillSection {
        way: drill.start.way.words().to_owned(),
        verdict: summary.map(|summary| summary.verdict.word().to_owned()),
        success_rate: summary.map_or_else(|| "-".into(), |s| format!("{}/{}", s.passed, s.stores)),
        documents: drill.start.documents,
        seed: drill.start.seed,
        namespace: drill.start.namespace.clone(),
        records_expected: summary.map_or(0, |summary| summary.expected),
        records_restored: summary.map_or(0, |summary| summary.restored),
        records_lost: summary.and_then(|summary| summary.lost),
        rpo_seconds: seconds(summary.and_then(|summary| summary.rpo_us)),
        rpo_scope: if tool { "tool" } else { "platform" }.to_owned(),
        rto_seconds: seconds(summary.and_then(|summary| summary.rto_us)),
        cross_store: drill.closure.as_ref().map(|closure| CrossStore {
            documents: closure.documents,
            whole: closure.whole,
            broken: closure.broken.clone(),
            stores: closure.stores.clone(),
        }),
        across_stores: drill.across_stores(),
        skipped: drill.start.skipped.iter().map(|(s, why)| (s.to_string(), why.clone())).collect(),
        service: drill.service.clone(),
        stores: drill.stores.iter().map(|(kind, store)| of_store(*kind, store)).collect(),
    }
}

fn of_store(kind: StoreKind, state: &StoreState) -> StoreSection {
    let report = state.report.as_ref();
    let text = |of: fn(&StoreReport) -> &str| report.map(of).unwrap_or_default().to_owned();
    let texts = |of: fn(&StoreReport) -> &Vec<String>| report.map(of).cloned().unwrap_or_default();
    let times = report.map(|report| report.times).unwrap_or_default();
    let verifier = report.map(|report| report.verifier).unwrap_or_default();
    StoreSection {
        store: kind,
        server: text(|report| &report.server),
        label: report.and_then(|report| report.label.clone()),
        verdict: report.map(|report| report.verdict.word().to_owned()),
        reason: report.map_or_else(|| unfinished(state), |report| report.reason.clone()),
        level: report.and_then(|r| r.level).map(BackupLevel::word).map(str::to_owned),
        steps: state.steps.iter().map(step).collect(),
        records: report.and_then(|report| report.comparison.clone()),
        absence_proven: report.is_some_and(|report| report.absence_proven),
        rpo_seconds: seconds(times.rpo_us),
        rto_seconds: RtoRow {
            detect: seconds(times.detect_us),
            restore: seconds(times.restore_us),
            verify: seconds(times.verify_us),
            total: seconds(times.rto_us),
        },
        canaries: [times.canaries_written, times.canaries_recovered],
        verifier: tests(verifier),
        files: report.map_or_else(Vec::new, |report| {
            let row = |file: &crate::run::event::BackupFile| FileRow {
                name: file.name.clone(),
                bytes: file.bytes,
                sha256: file.sha256.clone(),
            };
            report.files.iter().map(row).collect()
        }),
        manifest_sha256: text(|report| &report.manifest_sha256),
        bystanders: report.map_or_else(Vec::new, |report| {
            let row = |row: &crate::run::event::Bystanders| BystandersRow {
                what: row.what.clone(),
                before: row.before,
                after: row.after,
            };
            report.bystanders.iter().map(row).collect()
        }),
        residue: texts(|report| &report.residue),
        not_covered: texts(|report| &report.not_covered),
        notes: texts(|report| &report.notes),
    }
}

/// How far a store came whose drill did not come to its end: its engine died.
fn unfinished(state: &StoreState) -> String {
    match (state.current, state.steps.last()) {
        (Some((step, _)), _) => format!("did not end, during {}", step.words()),
        (None, Some(last)) => format!("did not end, after {}", last.step.words()),
        (None, None) => "did not begin".into(),
    }
}

fn tests(test: VerifierTest) -> BTreeMap<String, Option<bool>> {
    test.all().into_iter().map(|(name, caught)| (name.to_owned(), caught)).collect()
}

fn step(report: &StepReport) -> StepRow {
    StepRow {
        step: report.step.words().to_owned(),
        passed: report.passed,
        detail: report.detail.clone(),
        records: report.records,
        bytes: report.bytes,
        ms: report.took_us as f64 / 1e3,
    }
}
