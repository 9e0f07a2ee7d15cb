//! The metrics of a run, family by family.
//!
//! No metric carries the run's id: every run would make series of its own for ever.

use std::collections::BTreeMap;

use super::objectives;
use super::page::{Format, Kind, Page, labels};
use crate::run::event::{ControlStatus, Difference, StoreReport, Verdict};
use crate::run::state::{PhaseStatus, RunState};

/// The metrics of a run.
pub fn render(state: &RunState, format: Format) -> String {
    let mut page = Page::new(format);
    run(&mut page, state);
    load(&mut page, state);
    objectives::render(&mut page, state);
    stores(&mut page, state);
    chaos(&mut page, state);
    drills(&mut page, state);
    others(&mut page, state);
    page.finish()
}

/// 1 for a pass, 0 for a fail, -1 for what is not decided.
pub(super) const fn verdict(verdict: Verdict) -> f64 {
    match verdict {
        Verdict::Pass => 1.0,
        Verdict::Fail => 0.0,
        _ => -1.0,
    }
}

fn run(page: &mut Page, state: &RunState) {
    use Kind::Gauge;
    let Some(identity) = &state.identity else { return };
    let info = labels(&[
        ("version", &identity.version),
        ("target", &identity.target),
        ("environment", identity.environment.name()),
    ]);
    page.family("shakedown_run_info", Gauge, "The run that these figures are of.", [(info, 1.0)]);
    let going = f64::from(u8::from(state.verdict.is_none()));
    page.family("shakedown_run_going", Gauge, "1 while the run goes on.", [(vec![], going)]);
    page.family(
        "shakedown_run_elapsed_seconds",
        Gauge,
        "Time since the run was created.",
        [(vec![], state.now_us as f64 / 1e6)],
    );
    let ended = state.verdict.as_ref().and(state.wall);
    page.family(
        "shakedown_run_finished_timestamp_seconds",
        Gauge,
        "When the run ended.",
        ended.map(|at| (vec![], at.as_second() as f64)),
    );
    let overall = state.verdict.as_ref().map(|of| (vec![], verdict(of.verdict)));
    let help = "Verdict of the run: 1 pass, 0 fail, -1 not decided.";
    page.family("shakedown_run_verdict", Gauge, help, overall);
    let phases = state.phases.iter().filter_map(|phase| {
        let outcome = phase.outcome.as_ref()?;
        Some((labels(&[("phase", phase.kind.name())]), verdict(outcome.verdict)))
    });
    let help = "Verdict of a phase: 1 pass, 0 fail, -1 not decided.";
    page.family("shakedown_phase_verdict", Gauge, help, phases);
    let at_work = state.phases.iter().map(|phase| {
        let running = phase.status == PhaseStatus::Running;
        (labels(&[("phase", phase.kind.name())]), f64::from(u8::from(running)))
    });
    page.family("shakedown_phase_running", Gauge, "1 while a phase is at work.", at_work);
}

const PERCENTILES: [(&str, f64); 3] = [("50", 0.5), ("95", 0.95), ("99", 0.99)];

fn load(page: &mut Page, state: &RunState) {
    let loads = || state.phases.iter().filter_map(|p| Some((p.kind.name(), p.load.as_ref()?)));
    let mut requests = Vec::new();
    let mut failures = Vec::new();
    for (phase, load) in loads() {
        for service in load.services() {
            let of = load.totals(Some(service)).measured;
            let at = [("phase", phase), ("service", service.name())];
            requests.push((labels(&at), of.requests() as f64));
            for (kind, n) in &of.errors {
                let [phase, service] = at;
                failures.push((labels(&[phase, service, ("kind", kind.word())]), *n as f64));
            }
        }
    }
    page.family("shakedown_load_requests", Kind::Counter, "Finished requests.", requests);
    page.family("shakedown_load_failures", Kind::Counter, "Failed requests.", failures);
    let Some(running) = state.latest_load() else { return };
    let Some(load) = &running.load else { return };
    let phase = running.kind.name();
    let users = load.users.iter().map(|(scenario, users)| {
        (labels(&[("phase", phase), ("scenario", scenario)]), f64::from(*users))
    });
    page.family("shakedown_load_users", Kind::Gauge, "Virtual users.", users);
    let mut times = Vec::new();
    for service in load.services() {
        let now = load.now(Some(service)).measured.response;
        for (word, quantile) in PERCENTILES {
            let at = labels(&[("service", service.name()), ("percentile", word)]);
            times.extend(now.quantile(quantile).map(|time| (at, time.as_secs_f64())));
        }
    }
    page.family(
        "shakedown_load_response_seconds",
        Kind::Gauge,
        "Response time from the intended start, over the last ten seconds.",
        times,
    );
    let late = load.generator.lateness.quantile(0.99).map(|late| (vec![], late.as_secs_f64()));
    let help = "P99 of how late the generator itself was in the last interval.";
    page.family("shakedown_load_generator_late_seconds", Kind::Gauge, help, late);
}

fn stores(page: &mut Page, state: &RunState) {
    let of = |series: &crate::run::event::StoreSeries| {
        labels(&[("store", series.kind.name()), ("step", &series.step)])
    };
    let all = || state.stores.series.iter();
    let queries = all().map(|(key, measured)| (of(key), measured.requests() as f64));
    let help = "Light queries to a store while load ran.";
    page.family("shakedown_store_queries", Kind::Counter, help, queries);
    let failed = all().map(|(key, measured)| (of(key), measured.failed() as f64));
    let help = "Light queries to a store that failed.";
    page.family("shakedown_store_query_failures", Kind::Counter, help, failed);
    let p99 = all().filter_map(|(key, measured)| {
        Some((of(key), measured.response.quantile(0.99)?.as_secs_f64()))
    });
    let help = "P99 of light queries to a store.";
    page.family("shakedown_store_query_p99_seconds", Kind::Gauge, help, p99);
}

fn chaos(page: &mut Page, state: &RunState) {
    let Some(chaos) = state.phases.iter().find_map(|phase| phase.chaos.as_ref()) else { return };
    let fault = f64::from(u8::from(state.active_fault().is_some()));
    let help = "1 while something is broken on purpose.";
    page.family("shakedown_chaos_fault_active", Kind::Gauge, help, [(vec![], fault)]);
    let score = chaos.score.as_ref().and_then(|score| score.score).map(|s| (vec![], s / 100.0));
    let help = "Resilience over the experiments that count.";
    page.family("shakedown_chaos_score_ratio", Kind::Gauge, help, score);
    let recovery = chaos.results.iter().filter_map(|result| {
        let at =
            labels(&[("experiment", &result.number.to_string()), ("kind", result.kind.name())]);
        Some((at, result.recovery_us? as f64 / 1e6))
    });
    let help = "Longest time to recovery in an experiment.";
    page.family("shakedown_chaos_recovery_seconds", Kind::Gauge, help, recovery);
}

fn drills(page: &mut Page, state: &RunState) {
    use Kind::Gauge;
    let phases = || state.phases.iter().filter_map(|phase| phase.backup.as_ref());
    let reports: Vec<(&str, &StoreReport)> = phases()
        .flat_map(|backup| &backup.drills)
        .flat_map(|drill| drill.stores.values().map(|store| (drill.start.way.words(), store)))
        .filter_map(|(way, store)| Some((way, store.report.as_ref()?)))
        .collect();
    let each =
        || reports.iter().map(|(way, of)| ([("way", *way), ("store", of.store.name())], *of));
    let verdicts = each().map(|(at, of)| (labels(&at), verdict(of.verdict)));
    let help = "Verdict of a store's drill: 1 pass, 0 fail, -1 not decided.";
    page.family("shakedown_backup_verdict", Gauge, help, verdicts);
    let records = each().flat_map(|([way, store], of)| {
        let difference = of.comparison.iter().map(|comparison| &comparison.difference);
        let counts = difference.flat_map(|of| {
            let Difference { expected, found, missing_count, changed_count, extra_count, .. } = of;
            [
                ("expected", *expected),
                ("found", *found),
                ("missing", *missing_count),
                ("changed", *changed_count),
                ("extra", *extra_count),
            ]
        });
        counts.map(move |(word, n)| (labels(&[way, store, ("state", word)]), n as f64))
    });
    let help = "Records of a store's drill after its restore.";
    page.family("shakedown_backup_records", Gauge, help, records);
    let seconds = |us: Option<u64>| us.map(|us| us as f64 / 1e6);
    let rpo = each().filter_map(|(at, of)| Some((labels(&at), seconds(of.times.rpo_us)?)));
    let help = "From the last record that came back to the disaster.";
    page.family("shakedown_backup_rpo_seconds", Gauge, help, rpo);
    let rto = each().filter_map(|(at, of)| Some((labels(&at), seconds(of.times.rto_us)?)));
    let help = "From the disaster to the proof that everything is there.";
    page.family("shakedown_backup_rto_seconds", Gauge, help, rto);
}

fn others(page: &mut Page, state: &RunState) {
    use Kind::{Counter, Gauge};
    let health = state.health.iter().map(|(service, health)| {
        (labels(&[("service", service.name())]), f64::from(u8::from(health.healthy)))
    });
    page.family("shakedown_service_healthy", Gauge, "Last health check: 1 well.", health);
    let score = state.phases.iter().find_map(|p| Some(p.security.as_ref()?.score.as_ref()?.score));
    let help = "Security score over what could be checked.";
    page.family("shakedown_security_score_ratio", Gauge, help, score.map(|s| (vec![], s / 100.0)));
    let controls = state.controls.iter().map(|control| {
        let value = match control.status {
            ControlStatus::Pass => 1.0,
            ControlStatus::Fail => 0.0,
            ControlStatus::Unknown => -1.0,
        };
        (labels(&[("control", control.control.name()), ("subject", &control.subject)]), value)
    });
    let help = "A control: 1 pass, 0 fail, -1 unknown.";
    page.family("shakedown_control_status", Gauge, help, controls);
    let channel = |counts: &BTreeMap<String, u64>| {
        let all: Vec<_> =
            counts.iter().map(|(name, n)| (labels(&[("channel", name)]), *n as f64)).collect();
        all
    };
    let help = "Alerts that were delivered.";
    page.family("shakedown_notify_delivered", Counter, help, channel(&state.notify.delivered));
    let help = "Alerts that could not be delivered.";
    page.family("shakedown_notify_failed", Counter, help, channel(&state.notify.failed));
    let open = state.notify.alerts.len() as f64;
    page.family(
        "shakedown_notify_open_alerts",
        Gauge,
        "Alerts that are not over.",
        [(vec![], open)],
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Environment, PhaseKind, ServiceKind, StoreKind};
    use crate::run::event::{DrillStart, DrillWay, RecordComparison, RunIdentity};
    use crate::run::state::{BackupState, DrillState, HealthState, PhaseState, StoreState};

    fn state() -> RunState {
        let target = "prod \"eu\"\n\\";
        let identity = RunIdentity {
            version: "0.1.0".into(),
            ..RunIdentity::new("20261124-secret", target, Environment::Production)
        };
        let health = HealthState {
            at_us: 1,
            healthy: true,
            latency_us: 1,
            detail: String::new(),
            checks: 1,
            failed: 0,
            down_us: 0,
        };
        let mut state = RunState { identity: Some(identity), ..RunState::default() };
        state.health.insert(ServiceKind::Chat, health);
        state.notify.delivered.insert("slack".into(), 2);
        state
    }

    #[test]
    fn hostile_names_stay_within_their_quotes_and_no_run_has_series_of_its_own() {
        let text = render(&state(), Format::OpenMetrics);
        assert!(text.contains(r#"target="prod \"eu\"\n\\""#), "{text}");
        assert!(!text.contains("20261124"), "{text}");
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn counters_are_named_as_each_format_wants_them() {
        let open = render(&state(), Format::OpenMetrics);
        assert!(open.contains("# TYPE shakedown_notify_delivered counter\n"), "{open}");
        assert!(open.contains("shakedown_notify_delivered_total{channel=\"slack\"} 2\n"));
        let classic = render(&state(), Format::Classic);
        assert!(classic.contains("# TYPE shakedown_notify_delivered_total counter\n"), "{classic}");
        assert!(!classic.contains("# EOF") && !classic.contains("# UNIT"));
    }

    #[test]
    fn a_drill_has_its_records_and_times_by_way_and_store() {
        let mut report = StoreReport::begun(StoreKind::Redis, None);
        report.verdict = Verdict::Fail;
        report.times.rto_us = Some(2_500_000);
        let difference =
            Difference { expected: 9, found: 7, missing_count: 2, ..Default::default() };
        report.comparison = Some(RecordComparison { difference, ..Default::default() });
        let mut phase = PhaseState::new(PhaseKind::Backup);
        let start = DrillStart {
            way: DrillWay::Platform,
            documents: 1,
            seed: 1,
            namespace: "n".into(),
            stores: vec![StoreKind::Redis],
            skipped: vec![],
        };
        let store = StoreState { report: Some(report), ..StoreState::default() };
        let stores = [(StoreKind::Redis, store)].into();
        let (service, closure, summary) = (vec![], None, None);
        let drill = DrillState { start, stores, service, closure, summary };
        phase.backup = Some(BackupState { drills: vec![drill] });
        let text = render(&RunState { phases: vec![phase], ..state() }, Format::Classic);
        for line in [
            "shakedown_backup_verdict{way=\"platform\",store=\"redis\"} 0",
            "shakedown_backup_records{way=\"platform\",store=\"redis\",state=\"missing\"} 2",
            "shakedown_backup_rto_seconds{way=\"platform\",store=\"redis\"} 2.5",
        ] {
            assert!(text.lines().any(|row| row == line), "{line}: {text}");
        }
        assert!(!text.contains("backup_rpo"), "it was not measured: {text}");
    }

    #[test]
    fn the_shipped_rules_and_dashboards_ask_for_nothing_that_is_not_there() {
        let source = [include_str!("exposition.rs"), include_str!("objectives.rs")].concat();
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/monitoring");
        let mut seen = 0;
        for entry in std::fs::read_dir(folder).expect("docs/monitoring").flatten() {
            let text = std::fs::read_to_string(entry.path()).expect("readable");
            for word in text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')) {
                let Some(rest) = word.strip_prefix("shakedown_") else { continue };
                let family = word.strip_suffix("_total").unwrap_or(word);
                seen += 1;
                assert!(source.contains(&format!("\"{family}\"")), "{rest} in {:?}", entry.path());
            }
        }
        assert!(seen > 20, "the files ask for nothing");
    }
}
