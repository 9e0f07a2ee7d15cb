//! The chaos phase in reports: every experiment with its recovery timeline, and the same as a
//! journal with the keys that Chaos Toolkit's has.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::html::escape;
use super::meter;
use crate::run::event::{
    self, ExperimentResult, Life, Lives, MomentKind, SteadyFigures, Timeline, Verdict, known_from,
};
use crate::run::state::{ChaosState, PhaseState, RunState};

/// What the chaos phase showed.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ChaosSection {
    /// The runtime that acted.
    pub runtime: String,
    /// Seed of the choice of targets.
    pub seed: u64,
    /// Resilience score, 0-100; null when no experiment counts.
    pub resilience_score: Option<f64>,
    /// Kinds of experiments that count, of those asked for, such as `3/4`.
    pub coverage: String,
    /// What limits the score.
    pub capped: Option<String>,
    /// What was not touched, and why.
    pub excluded: BTreeMap<String, String>,
    /// Protected targets that changed.
    pub disturbed: Vec<String>,
    /// The experiments, in order.
    pub experiments: Vec<ExperimentRow>,
}

/// One experiment.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ExperimentRow {
    /// kill, cpu, memory or partition.
    pub kind: String,
    /// What it did.
    pub title: String,
    /// Its verdict.
    pub verdict: String,
    /// Why.
    pub reason: String,
    /// Whether the fault had its effect; null when it was not injected.
    pub effective: Option<bool>,
    /// What proves the effect.
    pub evidence: Vec<String>,
    /// What was killed, and what came after it; empty for other faults.
    #[serde(default)]
    pub lives: Vec<LivesRow>,
    /// What was observed besides.
    pub notes: Vec<String>,
    /// Longest time to recovery, milliseconds; null when a target did not recover.
    pub recovery_ms: Option<f64>,
    /// How long it may take, milliseconds.
    pub recovery_limit_ms: f64,
    /// Points out of 100; null when it does not count.
    pub points: Option<f64>,
    /// Whether nothing was left of the fault.
    pub rollback_verified: bool,
    /// What was left.
    pub residue: Vec<String>,
    /// Moments by target.
    pub timelines: Vec<TimelineRow>,
    /// Whether the platform was steady before; null when that was not found out.
    pub steady_before: Option<bool>,
    /// Whether it was again afterwards; null when that was not found out.
    pub steady_after: Option<bool>,
    /// Every service before the fault.
    pub before: Vec<SteadyRow>,
    /// While it was there.
    pub during: Vec<SteadyRow>,
    /// Afterwards.
    pub after: Vec<SteadyRow>,
}

/// The life of a target that a kill ended, and the one after it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct LivesRow {
    /// The target.
    pub target: String,
    /// The life that was ended.
    pub before: LifeRow,
    /// The last one that was seen afterwards; null when none was.
    pub after: Option<LifeRow>,
}

/// One life of a target, as its runtime tells it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct LifeRow {
    /// Its main process, as its machine numbers it; null when it did not run.
    pub pid: Option<u32>,
    /// When it was started.
    pub started: String,
    /// How often its restart policy had started it.
    pub restart_count: u64,
}

/// Moments of one target.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct TimelineRow {
    /// The target.
    pub target: String,
    /// What happened, with milliseconds since the first moment.
    pub moments: Vec<Moment>,
}

/// One moment.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Moment {
    /// What happened.
    pub kind: String,
    /// Milliseconds since the first moment of the timeline.
    pub t_rel_ms: f64,
    /// Seconds since the run was created.
    pub at_seconds: f64,
    /// What it is known from: `act` (of the run itself), `event` (of the runtime), `inspect` (the target
    /// was looked at), `probe` or `helper`; null in runs from before that was recorded.
    #[serde(default)]
    pub source: Option<String>,
}

impl Moment {
    /// What happened when, and in brackets what it is known from.
    fn words(&self) -> String {
        let source = known_from(self.source.as_deref());
        format!("{} {:.1} s{source}", self.kind, self.t_rel_ms / 1000.0)
    }
}

/// How a service fared.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SteadyRow {
    /// The service.
    pub service: String,
    /// Probes.
    pub n: u64,
    /// Those that failed.
    pub failed: u64,
    /// Those that were answered without a peer.
    pub degraded: u64,
    /// Answered share in percent.
    pub availability_percent: Option<f64>,
    /// 95th percentile, milliseconds.
    pub p95_ms: Option<f64>,
}

/// The section of a chaos phase.
pub fn section(chaos: &ChaosState) -> ChaosSection {
    let start = chaos.start.as_ref();
    let score = chaos.score.as_ref();
    ChaosSection {
        runtime: start.map(|start| start.runtime.clone()).unwrap_or_default(),
        seed: start.map_or(0, |start| start.seed),
        resilience_score: score.and_then(|score| score.score),
        coverage: score.map_or_else(|| "-".into(), |s| format!("{}/{}", s.covered, s.asked)),
        capped: score.and_then(|score| score.capped.clone()),
        excluded: start.map(|s| s.excluded.iter().cloned().collect()).unwrap_or_default(),
        disturbed: chaos.disturbed.clone(),
        experiments: chaos.results.iter().map(row).collect(),
    }
}

fn row(result: &ExperimentResult) -> ExperimentRow {
    ExperimentRow {
        kind: result.kind.name().to_owned(),
        title: result.title.clone(),
        verdict: result.verdict.word().to_owned(),
        reason: result.reason.clone(),
        effective: result.effective,
        evidence: result.evidence.clone(),
        lives: result.lives.iter().map(lives).collect(),
        notes: result.notes.clone(),
        recovery_ms: result.recovery_us.map(millis),
        recovery_limit_ms: millis(result.recovery_limit_us),
        points: result.points,
        rollback_verified: was_injected(result) && result.residue.is_empty(),
        residue: result.residue.clone(),
        timelines: result.timelines.iter().map(timeline).collect(),
        steady_before: result.steady_before,
        steady_after: result.steady_after,
        before: result.before.iter().map(steady).collect(),
        during: result.during.iter().map(steady).collect(),
        after: result.after.iter().map(steady).collect(),
    }
}

fn was_injected(result: &ExperimentResult) -> bool {
    result.timelines.iter().any(|timeline| timeline.at(MomentKind::Injected).is_some())
}

fn lives(lives: &Lives) -> LivesRow {
    let row = |life: &Life| LifeRow {
        pid: life.pid,
        started: life.started.clone(),
        restart_count: life.restarts,
    };
    LivesRow {
        target: lives.target.clone(),
        before: row(&lives.before),
        after: lives.after.as_ref().map(row),
    }
}

fn timeline(timeline: &Timeline) -> TimelineRow {
    let origin = timeline.origin_us();
    let moment = |moment: &event::Moment| Moment {
        kind: moment.kind.words().to_owned(),
        t_rel_ms: millis(moment.at_us.saturating_sub(origin)),
        at_seconds: moment.at_us as f64 / 1e6,
        source: moment.source.map(|source| source.word().to_owned()),
    };
    TimelineRow {
        target: timeline.target.clone(),
        moments: timeline.moments.iter().map(moment).collect(),
    }
}

fn steady(figures: &SteadyFigures) -> SteadyRow {
    SteadyRow {
        service: figures.service.name().to_owned(),
        n: figures.n,
        failed: figures.failed,
        degraded: figures.degraded,
        availability_percent: figures.availability_percent(),
        p95_ms: figures.p95_us.map(millis),
    }
}

/// The phase as a journal: the keys of Chaos Toolkit's, and our section beside them.
pub fn journal(state: &RunState, phase: &PhaseState) -> Option<Value> {
    let chaos = phase.chaos.as_ref()?;
    let section = section(chaos);
    let wall = |at_us: Option<u64>| {
        let after = std::time::Duration::from_micros(at_us?);
        Some(state.created?.checked_add(after).ok()?.to_string())
    };
    let verdict = phase.outcome.as_ref().map(|outcome| outcome.verdict);
    let status = match verdict {
        Some(Verdict::Aborted) => "aborted",
        None | Some(Verdict::Skipped) => "interrupted",
        Some(_) => "completed",
    };
    let deviated = chaos.results.iter().any(|result| result.verdict == Verdict::Fail);
    let activity = |row: &ExperimentRow| {
        let (start, end) = span(row).unzip();
        let at = |seconds: Option<f64>| wall(seconds.map(|seconds| (seconds * 1e6) as u64));
        json!({
            "activity": { "type": "action", "name": row.title },
            "status": if row.effective.is_some() { "succeeded" } else { "failed" },
            "start": at(start),
            "end": at(end),
            "duration": start.zip(end).map(|(start, end)| end - start),
            "output": row,
        })
    };
    let rollback = |row: &ExperimentRow| {
        json!({
            "activity": { "type": "action", "name": format!("heal: {}", row.title) },
            "status": if row.residue.is_empty() { "succeeded" } else { "failed" },
            "verified": row.rollback_verified,
            "output": row.residue,
        })
    };
    let (first, last) = (section.experiments.first(), section.experiments.last());
    Some(json!({
        "experiment": { "title": "shakedown chaos", "description": "experiments that always heal" },
        "status": status,
        "deviated": deviated,
        "start": wall(phase.started_us),
        "end": wall(phase.finished_us),
        "duration": phase.elapsed_us(state.now_us) as f64 / 1e6,
        "steady_states": {
            "before": first.and_then(|row| Some(steady_state(&row.before, row.steady_before?))),
            "after": last.and_then(|row| Some(steady_state(&row.after, row.steady_after?))),
        },
        "run": section.experiments.iter().map(activity).collect::<Vec<_>>(),
        "rollbacks": section.experiments.iter().filter(|row| row.effective.is_some())
            .map(rollback).collect::<Vec<_>>(),
        "verdict": verdict.map(Verdict::word),
        "shakedown": section,
    }))
}

/// When an experiment's first and last moment were, seconds since the run was created.
fn span(row: &ExperimentRow) -> Option<(f64, f64)> {
    let moments = row.timelines.iter().flat_map(|timeline| &timeline.moments);
    moments
        .map(|moment| (moment.at_seconds, moment.at_seconds))
        .reduce(|(first, last), (at, _)| (first.min(at), last.max(at)))
}

/// A steady state hypothesis with its probes. Whoever was found steady by the run's own rules may have
/// failed some of them.
fn steady_state(rows: &[SteadyRow], found_steady: bool) -> Value {
    let probe = |row: &SteadyRow| {
        json!({
            "activity": { "type": "probe", "name": row.service },
            "status": "succeeded",
            "tolerance_met": found_steady || row.failed == 0,
            "output": row,
        })
    };
    json!({
        "steady_state_met": found_steady,
        "probes": rows.iter().map(probe).collect::<Vec<_>>(),
    })
}

fn millis(us: u64) -> f64 {
    us as f64 / 1e3
}

/// The section for the HTML report: a row an experiment, its recovery as a bar against its limit.
pub fn write_html(html: &mut String, chaos: &ChaosSection) -> std::fmt::Result {
    let score =
        chaos.resilience_score.map_or_else(|| "none".into(), |score| format!("{score:.0} of 100"));
    write!(
        html,
        "<p>Resilience score {score}, coverage {}; {} runtime, seed {}.</p><table><thead><tr>\
         <th>experiment<th>verdict<th class=n>recovery<th>of its limit<th>availability before, during, \
         after<th>reason, evidence</tr></thead><tbody>",
        escape(&chaos.coverage),
        escape(&chaos.runtime),
        chaos.seed
    )?;
    for row in &chaos.experiments {
        let recovery =
            row.recovery_ms.map_or_else(|| "-".into(), |ms| format!("{:.1} s", ms / 1000.0));
        let reason = Some(&row.reason).filter(|_| row.verdict != Verdict::Pass.word());
        let notes = row.notes.iter().filter(|note| Some(*note) != reason);
        let notes: Vec<&str> =
            reason.into_iter().chain(&row.evidence).chain(notes).map(String::as_str).collect();
        write!(
            html,
            "<tr><td>{}<td class=\"v {v}\">{v}<td class=n>{recovery}<td>{}<td>{}<td><small>{}</small></tr>",
            escape(&row.title),
            bar(row),
            [&row.before, &row.during, &row.after].map(|rows| availability(rows)).join(" → "),
            escape(&notes.join("; ")),
            v = escape(&row.verdict),
        )?;
    }
    html.write_str("</tbody></table>")?;
    write_recoveries(html, chaos)?;
    for (name, why) in &chaos.excluded {
        write!(html, "<p><small>Untouched: {}: {}</small></p>", escape(name), escape(why))?;
    }
    Ok(())
}

/// The recovery timeline of every target: its moments as marks over time, and in words.
fn write_recoveries(html: &mut String, chaos: &ChaosSection) -> std::fmt::Result {
    if chaos.experiments.iter().all(|row| row.timelines.is_empty()) {
        return Ok(());
    }
    html.write_str(
        "<table><thead><tr><th>target<th>recovery timeline<th>moments<th>P95 before, during, \
         after</tr></thead><tbody>",
    )?;
    for row in &chaos.experiments {
        let slowest = [&row.before, &row.during, &row.after].map(|rows| p95(rows)).join(" → ");
        for timeline in &row.timelines {
            let moments = timeline.moments.iter().map(Moment::words);
            write!(
                html,
                "<tr><td>{}<td>{}<td><small>{}</small><td>{slowest}</tr>",
                escape(&timeline.target),
                marks(timeline),
                escape(&moments.collect::<Vec<_>>().join(", ")),
            )?;
        }
    }
    html.write_str("</tbody></table>")
}

fn marks(timeline: &TimelineRow) -> String {
    let whole = timeline.moments.iter().map(|moment| moment.t_rel_ms).fold(1.0, f64::max);
    let mut drawn = String::new();
    for moment in &timeline.moments {
        let x = moment.t_rel_ms / whole * 99.0;
        drawn += &format!(
            "<rect class=\"warn\" x=\"{x:.1}\" width=\"1\" height=\"8\"><title>{}</title></rect>",
            escape(&moment.words())
        );
    }
    meter::meter(&format!("moments within {:.1} s", whole / 1000.0), &drawn)
}

/// That of the slowest service.
fn p95(rows: &[SteadyRow]) -> String {
    let slowest = rows.iter().filter_map(|row| row.p95_ms).reduce(f64::max);
    slowest.map_or_else(|| "-".into(), |ms| format!("{ms:.0} ms"))
}

fn bar(row: &ExperimentRow) -> String {
    let Some(recovery) = row.recovery_ms else { return String::new() };
    let percent = recovery / row.recovery_limit_ms.max(1.0) * 100.0;
    meter::share(percent, if percent <= 25.0 { "ok" } else { "warn" })
}

fn availability(rows: &[SteadyRow]) -> String {
    let (n, failed) = rows.iter().fold((0, 0), |(n, f), row| (n + row.n, f + row.failed));
    if n == 0 { "-".into() } else { format!("{:.1} %", (n - failed) as f64 * 100.0 / n as f64) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ExperimentKind, PhaseKind, ServiceKind};

    #[test]
    fn the_journal_calls_steady_what_the_run_found_steady_and_says_nothing_of_the_rest() {
        let figures = SteadyFigures {
            service: ServiceKind::Chat,
            n: 1000,
            failed: 1,
            degraded: 0,
            p95_us: Some(10_000),
        };
        let states = |steady_before, steady_after| {
            let result = ExperimentResult {
                steady_before,
                steady_after,
                before: vec![figures.clone()],
                after: vec![figures.clone()],
                ..ExperimentResult::new(1, ExperimentKind::Kill, "kill chat")
            };
            let chaos = ChaosState { results: vec![result], ..ChaosState::default() };
            let mut phase = PhaseState::new(PhaseKind::Chaos);
            phase.chaos = Some(chaos);
            journal(&RunState::default(), &phase).expect("a journal")["steady_states"].clone()
        };
        let found = states(Some(true), Some(false));
        assert_eq!(found["before"]["steady_state_met"], true);
        assert_eq!(found["before"]["probes"][0]["tolerance_met"], true, "by the run's rules");
        assert_eq!(found["after"]["steady_state_met"], false);
        assert_eq!(found["after"]["probes"][0]["tolerance_met"], false);
        let none = states(Some(false), None);
        assert_eq!(none["before"]["steady_state_met"], false);
        assert_eq!(none["after"], Value::Null, "nobody has found out");
    }
}
