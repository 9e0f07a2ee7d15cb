//! What the reports say of a load phase with much in it.

use super::*;
use crate::config::{PhaseKind, ServiceKind};
use crate::report::{ctrf, html, json, junit};
use crate::run::event::{
    ErrorKind, LimitAim, LimitReport, LimitStep, LoadStart, PhaseOutcome, RunVerdict,
    ScenarioModel, StreamCounts, Verdict,
};
use crate::run::state::{PhaseState, RunState};

const HOSTILE: &str = "<script>x</script>\u{1b}[2J";

/// A mixed phase of so many steps of a scenario of this name, with a broken threshold.
fn state(steps: usize, name: &str, late_ms: u64) -> RunState {
    let mut load = LoadState { intervals: 10, measured_us: 10_000_000, ..LoadState::default() };
    load.start = Some(LoadStart {
        engine: "built-in".into(),
        threads: 2,
        scenarios: vec![(name.into(), ServiceKind::Chat)],
        left_out: Vec::new(),
        models: vec![ScenarioModel {
            scenario: name.into(),
            words: "5 users".into(),
            open: false,
            counted: false,
            unpaced: false,
        }],
        clock: None,
    });
    for at in 0..steps {
        let mut series = Measurements::default();
        series.response.record_us(40_000, 100);
        series.service_time.record_us(30_000, 100);
        series.errors = [(ErrorKind::Timeout, 2), (ErrorKind::ServerStatus, 7)].into();
        series.cut_off.record_us(5_000_000, 3);
        let (scenario, step) = (name.to_owned(), format!("{name} {at:03}"));
        load.series.insert(SeriesKey { service: ServiceKind::Chat, scenario, step }, series);
    }
    let mut flows = Iterations { finished: 90, interrupted: 9, ..Iterations::default() };
    flows.duration.record_us(50_000, 90);
    load.iterations.insert(name.into(), flows);
    load.lateness.record_us(late_ms * 1000, 100);
    let broken = ThresholdRow::of("response_time", "p(99)<2ms", Some(false), "40 ms");
    load.thresholds = vec![ThresholdRow { n: 100, ..broken }];
    let verdict = if late_ms > 100 { Verdict::Invalid } else { Verdict::Fail };
    let mut phase = PhaseState::new(PhaseKind::Mixed);
    phase.outcome = Some(PhaseOutcome::new(verdict, "why"));
    phase.load = Some(load);
    let verdict = RunVerdict { verdict, reasons: vec![], without: vec![] };
    RunState { phases: vec![phase], verdict: Some(verdict), ..RunState::default() }
}

#[test]
fn flows_steps_errors_and_thresholds_stand_in_text_and_html() {
    let state = state(2, "shop", 1);
    let text = crate::report::text::summary(&json::report(&state));
    let page = html::document(&state);
    for (said, parts) in [
        (
            &text,
            [
                "flow shop    n 90",
                "9.0/s  broken off 9",
                "step shop: shop 000  n 100",
                "10.0/s  response 40.0/40.0/40.0  service 30.0/30.0/30.0",
                "failed 9: status 5xx 7, timeout 2",
                "cut off 3",
                "threshold response_time: p(99)<2ms  fail, measured 40 ms (n 100)",
            ],
        ),
        (
            &page,
            [
                "<td>shop<td>5 users<td class=n>90<td class=n>9.0<td class=n>9<td class=n>0",
                "<td>shop<td>shop 001<td class=n>100<td class=n>10.0<td class=n>9",
                "<td class=n>30.0<td class=n>30.0<td class=n>30.0<td>status 5xx 7, timeout 2 cut off 3",
                "<td>response_time<td>p(99)&lt;2ms<td class=n>40 ms<td class=n>100",
                "<td class=\"v fail\">fail",
                "built-in engine",
                "cut off 3",
            ],
        ),
    ] {
        for part in parts {
            assert!(said.contains(part), "{part} is missing in:\n{said}");
        }
    }
}

#[test]
fn streamed_answers_and_steps_of_a_search_stand_in_the_reports() {
    let mut state = state(2, "shop", 1);
    let load = state.phases[0].load.as_mut().expect("load");
    let series = load.series.values_mut().next().expect("a step");
    let some = |micros| {
        let mut times = crate::run::histogram::Histogram::default();
        times.record_us(micros, 50);
        Some(times)
    };
    series.first_token = some(70_000);
    (series.token_gap, series.time_per_token) = (some(14_000), some(15_000));
    series.streams = StreamCounts { streams: 50, chunks: 900, coalesced: 7, without_usage: 0 };
    series.tokens = 800;
    let step = LimitStep {
        aim: LimitAim::Again,
        rate: 30.0,
        achieved: 21.5,
        requests_per_second: 43.0,
        n: 430,
        p99_us: 2_100_000,
        failed: 1,
        dropped: 3,
        why_not: Some(HOSTILE.into()),
    };
    load.limit = Some(LimitReport { steps: vec![step], ..LimitReport::default() });
    let page = html::document(&state);
    for part in [
        "<td>shop<td>shop 000<td class=n>50<td class=n>70.0<td class=n>70.0<td class=n>70.0\
         <td class=n>14.0<td class=n>14.0<td class=n>14.0<td class=n>15.0",
        "<td class=n>80.0<td class=n>900<td class=n>7",
        "<td>again<td class=n>30.0<td class=n>21.5<td class=n>430<td class=n>2100.0<td class=n>1<td class=n>3",
        "HdrHistogram's to three significant digits",
    ] {
        assert!(page.contains(part), "{part} is missing in:\n{page}");
    }
    assert!(!page.contains("<script"), "{page}");
    let text = crate::report::text::summary(&json::report(&state));
    let line = "stream shop: shop 000  n 50  first token 70.0/70.0/70.0  gaps 14.0/14.0/14.0";
    assert!(text.contains(line), "{line} is missing in:\n{text}");
}

#[test]
fn many_steps_and_hostile_names_stay_in_their_places() {
    let state = state(1000, HOSTILE, 1);
    let page = html::document(&state);
    assert!(!page.contains("<script") && !page.contains('\u{1b}'));
    assert!(page.contains("800 more stand in the JSON report"), "{}", page.len());
    let text = crate::report::text::summary(&json::report(&state));
    assert!(text.contains("988 more steps stand in the JSON report"), "{text}");
    assert!(text.lines().count() < 50 && !text.contains('\u{1b}'), "{text}");
}

#[test]
fn what_a_late_generator_measured_is_a_failure_in_no_format() {
    for (late_ms, failures, errors) in [(1, 2, 0), (500, 0, 2)] {
        let report = json::report(&state(1, "shop", late_ms));
        let xml = junit::document(&report);
        assert_eq!(xml.matches("<failure").count(), failures, "{xml}");
        assert_eq!(xml.matches("<error").count(), errors, "{xml}");
        let ctrf = ctrf::document(&report);
        let failed = ctrf["results"]["summary"]["failed"].as_u64();
        assert_eq!(failed, Some(failures as u64), "{ctrf}");
        let row = &report.phases[0].load.as_ref().expect("load").thresholds[0];
        assert_eq!(row.verdict == "invalid", errors > 0, "{row:?}");
        assert_eq!(row.reason.contains("the generator was late"), errors > 0, "{row:?}");
    }
}
