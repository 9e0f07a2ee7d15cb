//! Figures by step in the columns of Locust's `_stats.csv`, so that what reads those can read these.

use super::json::Report;
use super::load::{Figures, SeriesRow};
use crate::run::histogram::Histogram;

const COLUMNS: &str = "Type,Name,Request Count,Failure Count,Median Response Time,\
Average Response Time,Min Response Time,Max Response Time,Average Content Size,Requests/s,Failures/s,\
50%,66%,75%,80%,90%,95%,98%,99%,99.9%,99.99%,100%";
/// The percentiles among them.
const PERCENTILES: [f64; 11] = [50.0, 66.0, 75.0, 80.0, 90.0, 95.0, 98.0, 99.0, 99.9, 99.99, 100.0];
/// Name of the figures in the run's folder.
pub const CSV_FILE: &str = "stats.csv";

/// The report as CSV: a row a step of every load phase, and one for all of a phase.
pub fn document(report: &Report) -> String {
    let mut text = format!("{COLUMNS}\n");
    for phase in &report.phases {
        let Some(load) = &phase.load else { continue };
        for SeriesRow { scenario, step, figures, .. } in &load.series {
            row(&mut text, phase.phase.name(), &format!("{scenario}: {step}"), figures);
        }
        if let Some(all) = load.services.get("all") {
            row(&mut text, phase.phase.name(), "Aggregated", all);
        }
    }
    text
}

fn row(text: &mut String, kind: &str, name: &str, figures: &Figures) {
    let number = |value: Option<f64>| value.map_or_else(|| "N/A".into(), |v| format!("{v:.3}"));
    let response = &figures.response;
    let rate = figures.requests_per_second;
    let failures =
        rate.filter(|_| figures.n > 0).map(|rate| rate * figures.failed as f64 / figures.n as f64);
    let size = (figures.n > 0).then(|| figures.bytes as f64 / figures.n as f64);
    let all = Histogram::from_base64(&response.histogram_v2).unwrap_or_default();
    let percentile = |p: f64| {
        let value = all.quantile(p / 100.0);
        number(value.map(|value| value.as_secs_f64() * 1e3))
    };
    let mut cells = vec![
        field(kind),
        field(name),
        figures.n.to_string(),
        figures.failed.to_string(),
        number(response.p50_ms),
        number(response.mean_ms),
        number(response.min_ms),
        number(response.max_ms),
        number(size),
        number(rate),
        number(failures),
    ];
    cells.extend(PERCENTILES.map(percentile));
    text.push_str(&cells.join(","));
    text.push('\n');
}

/// A field as RFC 4180 quotes it; what a spreadsheet would take for a formula is made a text.
fn field(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let formula = text.starts_with(['=', '+', '-', '@']);
    let text = if formula { format!("'{text}") } else { text };
    if text.contains([',', '"']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_quoted_and_no_formula_gets_through() {
        assert_eq!(field("a,\"b\""), "\"a,\"\"b\"\"\"");
        assert_eq!(field("=1+1"), "'=1+1");
        assert_eq!(field("plain"), "plain");
    }
}
