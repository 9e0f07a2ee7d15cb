//! Pictures for the HTML report, as inline SVG: a latency histogram a service on one logarithmic axis.

use std::fmt::Write as _;

use crate::config::PhaseKind;
use crate::run::histogram::Histogram;
use crate::run::state::RunState;

/// The axis, in microseconds: 1 ms to 30 s.
const AXIS: (f64, f64) = (1e3, 30e6);
const COLUMNS: usize = 120;
const WIDTH: f64 = 960.0;
const LEFT: f64 = 60.0;
const ROW: f64 = 46.0;

/// The histograms of a load phase; empty for any other.
pub fn latencies(state: &RunState, kind: PhaseKind) -> String {
    let Some(load) = state.phase(kind).and_then(|phase| phase.load.as_ref()) else {
        return String::new();
    };
    let services = load.services();
    let height = services.len() as f64 * ROW + 24.0;
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"response time histograms\">"
    );
    for (at, service) in services.iter().enumerate() {
        let histogram = load.totals(Some(*service)).measured.response;
        row(&mut svg, service.name(), &histogram, at as f64 * ROW);
    }
    axis(&mut svg, height, state);
    svg + "</svg>"
}

fn row(svg: &mut String, name: &str, histogram: &Histogram, top: f64) {
    let counts = histogram.counts_between(&bounds());
    let highest = counts.iter().copied().max().unwrap_or(0).max(1) as f64;
    let column = (WIDTH - LEFT) / COLUMNS as f64;
    // Writing into a String cannot fail.
    let _ = write!(svg, "<text x=\"0\" y=\"{:.1}\">{name}</text>", top + ROW - 6.0);
    for (at, n) in counts.iter().enumerate().filter(|(_, n)| **n > 0) {
        let height = (*n as f64 / highest * (ROW - 8.0)).max(1.5);
        let _ = write!(
            svg,
            "<rect class=\"bar\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{height:.1}\"/>",
            LEFT + at as f64 * column,
            top + ROW - 4.0 - height,
            column - 0.5
        );
    }
}

fn axis(svg: &mut String, height: f64, state: &RunState) {
    let floor = height - 20.0;
    let _ = write!(
        svg,
        "<line class=\"axis\" x1=\"{LEFT}\" y1=\"{floor}\" x2=\"{WIDTH}\" y2=\"{floor}\"/>"
    );
    for (value, label) in
        [(1e3, "1 ms"), (1e4, "10 ms"), (1e5, "100 ms"), (1e6, "1 s"), (1e7, "10 s")]
    {
        let _ = write!(svg, "<text x=\"{:.1}\" y=\"{:.1}\">{label}</text>", x(value), height - 6.0);
    }
    if let Some(limit) = state.p99_limit() {
        let at = x(limit.as_micros() as f64);
        let _ = write!(
            svg,
            "<line class=\"limit\" x1=\"{at:.1}\" y1=\"0\" x2=\"{at:.1}\" y2=\"{floor}\"/>"
        );
    }
}

fn bounds() -> Vec<u64> {
    let (low, high) = (AXIS.0.ln(), AXIS.1.ln());
    let bound = |at: usize| (low + (high - low) * at as f64 / COLUMNS as f64).exp() as u64;
    let mut bounds: Vec<u64> = (0..=COLUMNS).map(bound).collect();
    bounds[0] = 0;
    bounds[COLUMNS] = u64::MAX;
    bounds
}

fn x(micros: f64) -> f64 {
    let (low, high) = (AXIS.0.ln(), AXIS.1.ln());
    LEFT + ((micros.ln() - low) / (high - low)).clamp(0.0, 1.0) * (WIDTH - LEFT)
}
