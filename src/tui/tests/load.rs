//! A load phase with everything on its panel: thresholds, models of load, streams, long names.

use std::collections::BTreeSet;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::{Panel, Story, app_with, screen};
use crate::config::{PhaseKind, ServiceKind};
use crate::run::event::{
    ErrorKind, EventBody, IntervalReport, Iterations, LimitAim, LimitReport, LimitStep, LoadEvent,
    LoadStart, Measurements, ScenarioModel, SeriesInterval, SeriesKey, StreamCounts, ThresholdRow,
};
use crate::run::histogram::Histogram;
use crate::run::state::Standing;
use crate::tui::app::App;
use crate::tui::operate::press;

/// Scenarios with their model and steps.
const SCENARIOS: [(&str, ServiceKind, &str, &[&str]); 3] = [
    ("chat", ServiceKind::Chat, "constant-vus, 20 users", &["completion", "completion streamed"]),
    (
        "knowledge-search",
        ServiceKind::Rag,
        "constant-arrival-rate, 20 /s, up to 100 users",
        &["query", "open the document that was found first"],
    ),
    ("mcp", ServiceKind::Mcp, "ramping-vus, 4 stages", &["tools/call"]),
];

fn times(millis: u64) -> Histogram {
    let mut times = Histogram::default();
    (0..20).for_each(|at| times.record_us((millis + at * at * millis / 40) * 1000, 1));
    times
}

fn threshold(metric: &str, expression: &str, holds: Option<bool>, value: &str) -> ThresholdRow {
    let row = ThresholdRow::of(metric, expression, holds, value);
    ThresholdRow { n: 600, why_open: String::new(), ..row }
}

impl Story {
    /// Three scenarios with models, five steps, a stream and four thresholds.
    pub(super) fn loaded(mut self) -> Self {
        let mixed = Some(PhaseKind::Mixed);
        self.tell(None, EventBody::RunStarted {});
        self.tell(mixed, EventBody::PhaseStarted { planned_us: 600_000_000 });
        let model = |(name, _, words, _): (&str, _, &str, _)| ScenarioModel {
            scenario: name.into(),
            words: words.into(),
            open: words.contains("arrival"),
            counted: words.contains("iterations"),
            unpaced: false,
        };
        let mut tell = |event| self.tell(mixed, EventBody::Load(event));
        tell(LoadEvent::Started(LoadStart {
            engine: "built-in".into(),
            threads: 2,
            scenarios: SCENARIOS.map(|(name, service, ..)| (name.into(), service)).to_vec(),
            left_out: vec![],
            models: SCENARIOS.map(model).to_vec(),
            clock: None,
        }));
        tell(LoadEvent::Interval(Box::new(interval())));
        tell(LoadEvent::Thresholds {
            rows: vec![
                threshold("response_time{scenario:chat}", "p(99)<2s", Some(true), "1.81 s"),
                threshold("http_req_failed", "rate<1%", Some(true), "0.33 %"),
                threshold("time_to_first_token", "p(99)[30s]<1s", None, "-"),
                threshold(
                    "http_req_duration{scenario:knowledge-search}",
                    "p(95)<500",
                    Some(false),
                    "552 ms",
                ),
            ],
        });
        self
    }
}

impl Story {
    /// As [`Self::loaded`], with what only some loads have on their panel.
    fn strained(mut self) -> Self {
        let mut short = interval();
        short.generator.starved = 1;
        short.series[0].measured.errors = [(ErrorKind::ServerStatus, 2)].into();
        short.series[0].measured.cut_off.record_us(5_000_000, 3);
        let mut broken = threshold("iteration_duration", "p(95)[10s]<1s", Some(false), "2.10 s");
        (broken.broken_us, broken.worst, broken.aborts) = (4_000_000, Some("2.40 s".into()), true);
        let step = LimitStep {
            aim: LimitAim::Try,
            rate: 20.0,
            achieved: 20.0,
            requests_per_second: 40.0,
            n: 400,
            p99_us: 90_000,
            failed: 0,
            dropped: 0,
            why_not: None,
        };
        let limit = LimitReport {
            rate: 30.0,
            sustained: Some(20.0),
            steps: vec![step],
            ..LimitReport::default()
        };
        for event in [
            LoadEvent::Interval(Box::new(short)),
            LoadEvent::Thresholds { rows: vec![broken] },
            LoadEvent::Limit(limit),
        ] {
            self.tell(Some(PhaseKind::Mixed), EventBody::Load(event));
        }
        self
    }
}

fn interval() -> IntervalReport {
    let series = |scenario: &str, service, step: &str| {
        let streamed = step.contains("streamed");
        let some = |millis| streamed.then(|| times(millis));
        let streams = if streamed {
            StreamCounts { streams: 20, chunks: 900, coalesced: 7, without_usage: 0 }
        } else {
            StreamCounts::default()
        };
        SeriesInterval {
            key: SeriesKey { service, scenario: scenario.into(), step: step.into() },
            measured: Measurements {
                service_time: times(180),
                response: times(190),
                first_token: some(90),
                token_gap: some(9),
                time_per_token: some(10),
                streams,
                tokens: 900,
                ..Measurements::default()
            },
        }
    };
    let mut report = IntervalReport {
        length_us: 1_000_000,
        users: Default::default(),
        series: vec![],
        iterations: Default::default(),
        generator: Default::default(),
    };
    for (name, service, _, steps) in SCENARIOS {
        report.users.insert(name.into(), 20);
        report.series.extend(steps.iter().map(|step| series(name, service, step)));
        let counts = Iterations { finished: 20, interrupted: 1, ..Iterations::default() };
        let iterations = Iterations { duration: times(400), ..counts };
        report.iterations.insert(name.into(), iterations);
    }
    report.generator.busiest_thread_percent = 3.0;
    report.generator.lateness.record_us(400, 60);
    report
}

#[tokio::test(start_paused = true)]
async fn every_table_of_the_load_panel_has_rows() {
    let (mut app, _peer) = app_with(Story::new().loaded().state, false);
    app.panel = Panel::Load;
    insta::assert_snapshot!("load_80x24", screen(&app, 80, 24));
    insta::assert_snapshot!("load_120x40", screen(&app, 120, 40));
}

#[tokio::test(start_paused = true)]
async fn every_row_of_the_load_panel_is_on_some_page_of_a_small_screen() {
    let (mut app, _peer) = app_with(Story::new().loaded().state, false);
    app.panel = Panel::Load;
    let whole = screen(&app, 80, 60);
    let mut seen = screen(&app, 80, 24);
    let first = seen.clone();
    let mut turn = || {
        press(&mut app, KeyEvent::new(KeyCode::Char('2'), KeyModifiers::NONE));
        screen(&app, 80, 24)
    };
    let second = turn();
    assert!(second.contains("page 2 of 2: 2 turns"), "{second}");
    assert!(!second.contains("generator"), "what is whole on the first page is not told again");
    seen += &second;
    turn();
    assert_eq!(screen(&app, 80, 24), first, "after the last page comes the first");
    for row in whole.lines().skip(4).take_while(|row| !row.contains("chat in mixed")) {
        assert!(seen.contains(row), "{row}\n{seen}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_does_not_fit_the_load_panel_is_counted_and_no_heading_stands_alone() {
    let (mut app, _peer) = app_with(Story::new().loaded().state, false);
    app.panel = Panel::Load;
    for height in 14..40 {
        let drawn = screen(&app, 80, height);
        let rows: Vec<&str> = drawn.lines().map(|row| row.trim_matches('"').trim()).collect();
        for heading in ["thresholds: ", "scenario users", "scenario step"] {
            let Some(at) = rows.iter().position(|row| row.starts_with(heading)) else {
                assert!(drawn.contains("more rows: 2 turns the page"), "{drawn}");
                continue;
            };
            let below = rows.get(at + 1).copied().unwrap_or_default();
            let words = ["holds", "BROKEN", "chat"];
            assert!(words.iter().any(|word| below.starts_with(word)), "{height}: {drawn}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_cut_off_is_told_at_its_step() {
    let (mut app, _peer) = app_with(Story::new().loaded().strained().state, false);
    app.panel = Panel::Load;
    for (width, words) in [(80, " 3 cut"), (120, "5xx 2, cut off 3")] {
        let drawn = screen(&app, width, 60);
        assert!(
            drawn.lines().any(|row| row.contains("completion") && row.contains(words)),
            "{drawn}"
        );
    }
}

/// Headings, verdicts, marks and units: what is on the panel and is no figure.
const NO_FIGURES: &str = "mixed by the built in engine out chat rag mcp scenario step model thresholds holds \
                          stops load time sustains no was found trying borne of descriptors or ports \
                          raise ulimit P paused R resumed U users G guard other ms us s response_time";

fn words(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_alphanumeric() && c != '_');
    let words = words.filter(|word| word.starts_with(char::is_alphabetic));
    words.map(str::to_lowercase).collect()
}

/// The words of a panel that name its figures, without what a workload or an answer named.
fn labels(drawn: &str) -> BTreeSet<String> {
    let mut text = drawn.lines().skip(4).collect::<Vec<_>>().join("\n");
    while let Some((open, close)) = text.find('(').zip(text.find(')')).filter(|(a, b)| a < b) {
        text.replace_range(open..=close, "");
    }
    let named = SCENARIOS.iter().flat_map(|(name, _, words, steps)| {
        [*name, *words].into_iter().chain(steps.iter().copied())
    });
    let said = ["iteration_duration: p[10s]<1s", "status 5xx"];
    let mut data: Vec<&str> = named.filter(|name| name.len() > 4).chain(said).collect();
    data.sort_by_key(|data| std::cmp::Reverse(data.len()));
    for data in data {
        text = text.replace(data, "");
        for width in [8, 22] {
            let cut: String = data.chars().take(width - 1).collect();
            text = text.replace(&format!("{cut}…"), "");
        }
    }
    words(&text)
}

#[tokio::test(start_paused = true)]
async fn every_figure_of_the_load_panel_is_explained_and_load_comes_first() {
    let (mut app, _peer) = app_with(Story::new().loaded().strained().judged().state, false);
    app.panel = Panel::Load;
    let drawn = screen(&app, 220, 60);
    let figures = drawn.rsplit_once(" p pause").expect("keys below").0;
    assert!(!drawn.contains("more rows"), "{drawn}");
    app.explain = true;
    let explained = screen(&app, 220, 90);
    let names: Vec<&str> = explained
        .lines()
        .filter_map(|row| row.trim_start_matches('"').strip_prefix(' '))
        .filter(|row| !row.starts_with(' '))
        .filter_map(|row| row.split_once(": "))
        .map(|(name, _)| name)
        .collect();
    let place = |name: &str| names.iter().position(|known| *known == name);
    assert!(place("history . + *, marks").is_some_and(|load| Some(load) < place("availability")));
    let known: BTreeSet<String> = words(&(names.join(" ") + " " + NO_FIGURES));
    let unexplained: Vec<String> = labels(figures).difference(&known).cloned().collect();
    assert!(unexplained.is_empty(), "{unexplained:?}\n{drawn}\n{explained}");
}

/// The load panel of a generator that is late.
fn late() -> App {
    let mut late = interval();
    late.generator.lateness.record_us(30_000_000, 1000);
    let mut story = Story::new().loaded();
    let event = LoadEvent::Interval(Box::new(late));
    story.tell(Some(PhaseKind::Mixed), EventBody::Load(event));
    let (mut app, _peer) = app_with(story.state, false);
    app.panel = Panel::Load;
    app
}

#[tokio::test(start_paused = true)]
async fn why_the_generator_is_invalid_is_readable_whole_whatever_the_screen() {
    let app = late();
    let load = app.load_phase().and_then(|phase| phase.load.as_ref()).expect("a load");
    let Standing::Invalid(reason) = load.standing() else { panic!("it was late") };
    for (width, height) in [(80, 24), (80, 16), (60, 24), (120, 40)] {
        let drawn = screen(&app, width, height);
        let words = drawn.lines().flat_map(|row| row.trim_matches('"').split_whitespace());
        let text = words.collect::<Vec<_>>().join(" ");
        assert!(text.contains("generator INVALID") && text.contains(&reason), "{drawn}");
    }
}

#[tokio::test(start_paused = true)]
async fn why_all_thresholds_are_invalid_is_said_once() {
    let app = late();
    let drawn = screen(&app, 160, 60);
    assert!(drawn.contains("invalid response_time{scenario:chat}"), "{drawn}");
    assert_eq!(drawn.matches("the generator was late").count(), 1, "{drawn}");
}
