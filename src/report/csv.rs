//! Figures by step in the columns of Locust's `_stats.csv`, so that what reads those can read these.

use super::json::{Figures, Report, SeriesRow};

const COLUMNS: &str = "Type,Name,Request Count,Failure Count,Median Response Time,\
Average Response Time,Min Response Time,Max Response Time,Average Content Size,Requests/s,Failures/s,\
50%,95%,99%,100%";

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
    let cells = [
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
        number(response.p50_ms),
        number(response.p95_ms),
        number(response.p99_ms),
        number(response.max_ms),
    ];
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
