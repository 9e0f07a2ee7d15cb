//! The backup drill: stores by steps with what each step saw, levels, RPO and RTO, and what was lost.

use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::{fixed, folded, lines, page};
use crate::config::StoreKind;
use crate::run::event::{
    BackupLevel, Difference, DrillStep, DrillSummary, DrillWay, StoreReport, Verdict, VerifierTest,
};
use crate::run::state::{DrillState, PhaseStatus, StoreState};
use crate::tui::app::App;
use crate::tui::format;

/// Width of a store's name and mark.
const NAME: usize = 12;
/// Width of a step's cell, where there is room and where there is little.
const CELLS: [usize; 2] = [9, 6];
/// Width of what stands to the right of the steps.
const RIGHT: usize = 15;
/// From this width on there is room for names that nobody needs at once.
const WIDE: usize = 100;
/// Column of what is told of a store, after its name.
const WORDS: usize = 13;
/// Lost records that are named.
const NAMED: usize = 12;

/// Draws it.
pub fn render(frame: &mut Frame<'_>, area: Rect, app: &App) {
    let backup = app.shown().phases.iter().find_map(|phase| phase.backup.as_ref());
    let text = backup.and_then(|backup| backup.latest()).map_or_else(
        || {
            let words = "   nothing drilled yet: the backup phase fills this panel";
            vec![Line::raw(""), Line::styled(words, app.theme.dim)]
        },
        |drill| {
            let width = usize::from(area.width);
            let earlier = backup.iter().flat_map(|backup| &backup.drills);
            let mut text: Vec<Line<'_>> = earlier
                .filter(|other| other.start.way != drill.start.way)
                .flat_map(|other| folded(title(other, width, app), width, 3))
                .collect();
            text.extend(rows(drill, width, app));
            text
        },
    );
    lines(frame, area, app, page(text, app.panel_page, area, "5 turns", app));
}

/// A step in one word, and in as few letters as a narrow cell has.
const fn headings(step: DrillStep) -> [&'static str; 2] {
    match step {
        DrillStep::Setup => ["setup", "setup"],
        DrillStep::Inject => ["inject", "write"],
        DrillStep::VerifyInitial => ["verify", "read"],
        DrillStep::Backup => ["backup", "copy"],
        DrillStep::VerifyBackup => ["check", "check"],
        DrillStep::Destroy => ["destroy", "gone"],
        DrillStep::Restore => ["restore", "back"],
        DrillStep::VerifyIntegrity => ["verify", "equal"],
        DrillStep::DataLoss => ["lost", "lost"],
    }
}

fn rows<'a>(drill: &'a DrillState, width: usize, app: &App) -> Vec<Line<'a>> {
    let steps = DrillStep::ALL.len();
    let fits = |cell: &&usize| NAME + steps * **cell + RIGHT <= width;
    let size = CELLS.iter().position(|cell| fits(&cell)).unwrap_or(1);
    let cell = CELLS[size];
    let headings = DrillStep::ALL.map(|step| fixed(headings(step)[size], cell)).concat();
    let verdict = if size == 0 { "verdict" } else { "" };
    let mut text = folded(title(drill, width, app), width, 3);
    text.push(Line::styled(
        format!("{}{headings}level  {verdict}", " ".repeat(NAME)),
        app.theme.dim,
    ));
    for kind in &drill.start.stores {
        text.push(row(*kind, drill.stores.get(kind), cell, app));
    }
    let skipped = drill.start.skipped.iter().map(|(kind, why)| {
        Line::styled(format!("   {} left out: {why}", fixed(kind.name(), 9)), app.theme.dim)
    });
    let told = skipped
        .chain(reasons(drill, app))
        .chain(under_way(drill, app))
        .chain(measured(drill, app))
        .chain(lost(drill, app))
        .chain(remarks(drill, app));
    text.extend(told.flat_map(|line| folded(line, width, WORDS)));
    text
}

fn title<'a>(drill: &DrillState, width: usize, app: &App) -> Line<'a> {
    let start = &drill.start;
    let ended = drill.summary.map_or_else(
        || "under way".to_owned(),
        |summary| {
            let lost = match summary.lost {
                Some(0) if summary.verdict == Verdict::Pass => "zero data loss".to_owned(),
                Some(lost) => format!("{lost} records lost"),
                None => "data loss not decided".to_owned(),
            };
            let DrillSummary { passed, stores, restored, expected, .. } = summary;
            format!("{lost}, {passed}/{stores} stores, {restored}/{expected} records")
        },
    );
    let style = drill.summary.map_or(app.theme.title, |summary| app.theme.verdict(summary.verdict));
    let way = match start.way {
        DrillWay::BuiltIn => "backup drill (built-in)",
        DrillWay::Platform => "backup drill (the platform's own)",
    };
    let more = match width > WIDE {
        true => format!("  {} documents, {}", start.documents, start.namespace),
        false => String::new(),
    };
    Line::from(vec![
        Span::styled(format!(" {way}: "), app.theme.title),
        Span::styled(ended, style),
        Span::styled(more, app.theme.dim),
    ])
}

fn row<'a>(kind: StoreKind, state: Option<&StoreState>, cell: usize, app: &App) -> Line<'a> {
    let report = state.and_then(|state| state.report.as_ref());
    let verdict = report.map(|report| report.verdict);
    let status = match (state, report) {
        (None, _) => PhaseStatus::Pending,
        (Some(_), None) => PhaseStatus::Running,
        (Some(_), Some(_)) => PhaseStatus::Finished,
    };
    let style = verdict.map_or(app.theme.text, |verdict| app.theme.verdict(verdict));
    let glyph = app.glyphs.phase(status, verdict);
    let mut spans = vec![Span::styled(format!(" {glyph} {}", fixed(kind.name(), NAME - 3)), style)];
    for step in DrillStep::ALL {
        let (text, style) = state.map_or_else(
            || (app.glyphs.dot().to_owned(), app.theme.dim),
            |state| cell_of(state, step, app),
        );
        spans.push(Span::styled(fixed(&text, cell), style));
    }
    let level = report.and_then(|report| report.level).map_or("-", BackupLevel::word);
    // Where there is no room for the word, there is the mark on the left.
    let verdict_word = verdict.filter(|_| cell == CELLS[0]).map_or("", Verdict::word);
    spans.push(Span::styled(fixed(level, 7), app.theme.text));
    spans.push(Span::styled(verdict_word.to_owned(), style));
    Line::from(spans)
}

/// What one step of a store saw, in a few characters.
fn cell_of(state: &StoreState, step: DrillStep, app: &App) -> (String, Style) {
    if let Some((current, _)) = state.current
        && current == step
    {
        let done = state.progress.map_or_else(String::new, |progress| match progress.of {
            Some(of) if of > 0 => format!(" {}%", (progress.records * 100 / of).min(100)),
            _ => format!(" {}", format::count(progress.records)),
        });
        return (format!("{}{done}", app.glyphs.running()), app.theme.accent);
    }
    let Some(report) = state.step(step) else {
        return (app.glyphs.dot().to_owned(), app.theme.dim);
    };
    let verdict = if report.passed { Verdict::Pass } else { Verdict::Fail };
    let style = app.theme.verdict(verdict);
    let mark = app.glyphs.phase(PhaseStatus::Finished, Some(verdict));
    let compared = state.report.as_ref().and_then(|report| report.comparison.as_ref());
    let text = match step {
        _ if !report.passed && step != DrillStep::DataLoss => mark.to_owned(),
        DrillStep::Inject | DrillStep::VerifyInitial => format::count(report.records),
        DrillStep::Backup => bytes(report.bytes),
        DrillStep::DataLoss => compared
            .map_or_else(|| mark.to_owned(), |records| format::count(records.difference.lost())),
        DrillStep::Setup | DrillStep::Restore | DrillStep::VerifyIntegrity => {
            format!("{mark}{}", short_time(report.took_us))
        }
        DrillStep::VerifyBackup | DrillStep::Destroy => mark.to_owned(),
    };
    (text, style)
}

/// A size of at most five characters.
fn bytes(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes}B"),
        1_000..1_000_000 => format!("{}kB", bytes / 1_000),
        1_000_000..1_000_000_000 => format!("{}MB", bytes / 1_000_000),
        _ => format!("{}GB", bytes / 1_000_000_000),
    }
}

/// A time of at most five characters.
fn short_time(us: u64) -> String {
    match us {
        0..100_000 => format!("{}ms", us / 1_000),
        100_000..10_000_000 => format!("{:.1}s", us as f64 / 1e6),
        10_000_000..1_000_000_000 => format!("{}s", us / 1_000_000),
        _ => format!("{}min", us / 60_000_000),
    }
}

/// What each store is doing now.
fn under_way<'a>(drill: &DrillState, app: &App) -> Vec<Line<'a>> {
    let now = app.now_us();
    let current =
        drill.stores.iter().filter_map(|(kind, store)| Some((kind, store, store.current?)));
    let lines = current.map(|(kind, store, (step, since))| {
        let progress = store.progress.map_or_else(String::new, |progress| {
            let of =
                progress.of.map_or_else(String::new, |of| format!(" of {}", format::count(of)));
            format!("  {}{of} records, {}", format::count(progress.records), bytes(progress.bytes))
        });
        let time = short_time(now.saturating_sub(since));
        let words = format!(
            " {} {} {}{progress}  {time}",
            app.glyphs.running(),
            fixed(kind.name(), 9),
            step.words()
        );
        Line::styled(words, app.theme.accent)
    });
    lines.collect()
}

/// RPO, RTO, and the verifier's own test.
fn measured<'a>(drill: &DrillState, app: &App) -> Vec<Line<'a>> {
    let reports = || drill.stores.values().filter_map(|store| store.report.as_ref());
    let time = |us: Option<u64>| format::latency(us.map(Duration::from_micros));
    let part = |us: Option<u64>| us.map_or_else(|| "-".into(), short_time);
    let mut text = Vec::new();
    for report in reports().filter(|report| report.times.rto_us.is_some()) {
        let times = report.times;
        text.push(Line::from(vec![
            Span::styled(format!("   {}", fixed(report.store.name(), NAME - 3)), app.theme.text),
            Span::raw(format!("RPO {:>8}  RTO {:>8}", time(times.rpo_us), time(times.rto_us))),
            Span::styled(
                format!(
                    "  detect {}, restore {}, verify {}",
                    part(times.detect_us),
                    part(times.restore_us),
                    part(times.verify_us)
                ),
                app.theme.dim,
            ),
        ]));
    }
    if reports().next().is_some() {
        let mut spans = vec![Span::styled("   verifier tested: ", app.theme.dim)];
        for (at, (name, _)) in VerifierTest::default().all().into_iter().enumerate() {
            let tried: Vec<bool> =
                reports().filter_map(|report| report.verifier.all()[at].1).collect();
            let caught = tried.iter().filter(|caught| **caught).count();
            let style = match (caught, tried.len()) {
                (_, 0) => app.theme.dim,
                (caught, tried) if caught == tried => app.theme.ok,
                _ => app.theme.bad,
            };
            spans.push(Span::styled(format!("{name} {caught}/{}  ", tried.len()), style));
        }
        text.push(Line::from(spans));
    }
    text.extend(drill.across_stores().map(|words| {
        let style = match &drill.closure {
            Some(closure) if closure.whole == closure.documents => app.theme.ok,
            Some(_) => app.theme.bad,
            None => app.theme.dim,
        };
        Line::from(vec![
            Span::styled("   across stores: ", app.theme.dim),
            Span::styled(words, style),
        ])
    }));
    text
}

/// What was lost, by name.
fn lost<'a>(drill: &DrillState, app: &App) -> Vec<Line<'a>> {
    let reports = drill.stores.values().filter_map(|store| store.report.as_ref());
    let compared = reports.filter_map(|report| Some((report.store, report.comparison.as_ref()?)));
    let mut text: Vec<Line<'a>> = Vec::new();
    for (kind, compared) in compared {
        let Difference { missing, changed, extra, .. } = &compared.difference;
        for (what, names) in [("missing", missing), ("changed", changed), ("extra", extra)] {
            for name in names.iter().take(NAMED) {
                text.push(Line::from(vec![
                    Span::styled(format!("   {} {what:<8}", fixed(kind.name(), 9)), app.theme.bad),
                    Span::styled(app.glyphs.text(name), app.theme.text),
                ]));
            }
        }
    }
    let broken = drill.closure.iter().flat_map(|closure| closure.broken.iter().take(NAMED));
    text.extend(broken.map(|name| {
        Line::styled(format!("   not whole: {}", app.glyphs.text(name)), app.theme.bad)
    }));
    text
}

/// Why what did not pass did not.
fn reasons<'a>(drill: &DrillState, app: &App) -> Vec<Line<'a>> {
    let reports = drill.stores.values().filter_map(|store| store.report.as_ref());
    let bad = reports.filter(|report| report.verdict != Verdict::Pass);
    let line = |StoreReport { store, verdict, reason, .. }: &StoreReport| {
        let words = format!("   {} {}", fixed(store.name(), 9), app.glyphs.text(reason));
        Line::styled(words, app.theme.verdict(*verdict))
    };
    bad.map(line).collect()
}

/// What else is to be known of the stores.
fn remarks<'a>(drill: &'a DrillState, app: &App) -> Vec<Line<'a>> {
    let reports = drill.stores.values().filter_map(|store| store.report.as_ref());
    let mut text = Vec::new();
    for report in reports {
        let StoreReport { store, label, notes, not_covered, .. } = report;
        let label = label.iter().map(|label| format!("it is {label}"));
        let notes = label.chain(notes.iter().cloned());
        let notes = notes.chain(not_covered.iter().map(|what| format!("not covered: {what}")));
        for note in notes {
            let words = format!("   {} {}", fixed(store.name(), 9), app.glyphs.text(&note));
            text.push(Line::styled(words, app.theme.dim));
        }
    }
    text.extend(drill.service.iter().map(|message| {
        Line::styled(format!("   service   {}", app.glyphs.text(message)), app.theme.dim)
    }));
    text
}
