//! A load phase on the HTML page: figures by service, then flows, steps and thresholds, and how far all
//! that can be trusted.

use std::fmt::Write as _;

use super::{
    Figures, Latency, LimitStepRow, LoadSection, ScenarioRow, SeriesRow, StreamFigures,
    ThresholdSection, tenths,
};
use crate::report::html::escape;

/// Rows of a table; what is beyond stands in the JSON report.
const MAX_ROWS: usize = 200;

pub(in crate::report) fn write(html: &mut String, load: &LoadSection) -> std::fmt::Result {
    services(html, load)?;
    if let Some(limit) = &load.limit {
        write!(html, "<p><b>Largest sustained rate:</b> {}</p>", escape(&limit.result))?;
        search(html, &limit.steps)?;
    }
    scenarios(html, &load.scenarios)?;
    steps(html, &load.series)?;
    streams(html, &super::streamed(&load.series))?;
    thresholds(html, &load.thresholds)?;
    for (what, why) in &load.left_out {
        write!(html, "<p>Left out: {}: {}</p>", escape(what), escape(why))?;
    }
    generator(html, load)
}

fn services(html: &mut String, load: &LoadSection) -> std::fmt::Result {
    html.write_str(
        "<table><thead><tr><th>service<th class=n>requests<th class=n>per second<th class=n>failed\
         <th class=n>P50 ms<th class=n>P95 ms<th class=n>P99 ms<th class=n>max ms</tr></thead><tbody>",
    )?;
    for (name, figures) in &load.services {
        write!(
            html,
            "<tr><td>{}{}{}<td class=n>{}</tr>",
            escape(name),
            counts(figures),
            percentiles(&figures.response),
            tenths(figures.response.max_ms)
        )?;
    }
    html.write_str("</tbody></table>")
}

fn scenarios(html: &mut String, rows: &[ScenarioRow]) -> std::fmt::Result {
    let head = "<th>scenario<th>model<th class=n>flows<th class=n>per second<th class=n>broken off\
                <th class=n>dropped<th class=n>P50 ms<th class=n>P95 ms<th class=n>P99 ms";
    table(html, "Flows by scenario", head, rows, |html, row| {
        write!(
            html,
            "<td>{}<td>{}<td class=n>{}<td class=n>{}<td class=n>{}<td class=n>{}{}",
            escape(&row.scenario),
            escape(&row.model),
            row.finished,
            tenths(row.iterations_per_second),
            row.interrupted,
            row.dropped,
            percentiles(&row.duration)
        )
    })
}

fn steps(html: &mut String, rows: &[SeriesRow]) -> std::fmt::Result {
    let head = "<th>scenario<th>step<th class=n>requests<th class=n>per second<th class=n>failed\
                <th class=n>response P50 ms<th class=n>P95<th class=n>P99\
                <th class=n>service P50 ms<th class=n>P95<th class=n>P99<th>errors";
    table(html, "Requests by step", head, rows, |html, row| {
        let figures = &row.figures;
        let cut_off = match figures.cut_off {
            0 => String::new(),
            n => format!(" cut off {n}"),
        };
        write!(
            html,
            "<td>{}<td>{}{}{}{}<td>{}{cut_off}",
            escape(&row.scenario),
            escape(&row.step),
            counts(figures),
            percentiles(&figures.response),
            percentiles(&figures.service_time),
            escape(&super::errors(figures))
        )
    })
}

fn streams(html: &mut String, rows: &[(&SeriesRow, &StreamFigures)]) -> std::fmt::Result {
    let head = "<th>scenario<th>step<th class=n>answers<th class=n>first token P50 ms<th class=n>P95\
                <th class=n>P99<th class=n>gaps P50 ms<th class=n>P95<th class=n>P99\
                <th class=n>per token P50 ms<th class=n>P95<th class=n>P99<th class=n>tokens/s\
                <th class=n>events<th class=n>together";
    table(html, "Streamed answers", head, rows, |html, (row, streams)| {
        write!(
            html,
            "<td>{}<td>{}<td class=n>{}{}{}{}<td class=n>{}<td class=n>{}<td class=n>{}",
            escape(&row.scenario),
            escape(&row.step),
            streams.streams,
            percentiles(&streams.first_token),
            percentiles(&streams.token_gap),
            percentiles(&streams.time_per_token),
            tenths(streams.tokens_per_second),
            streams.events,
            streams.coalesced_events
        )
    })
}

fn search(html: &mut String, rows: &[LimitStepRow]) -> std::fmt::Result {
    let head = "<th>for<th class=n>flows/s<th class=n>ended/s<th class=n>requests<th class=n>P99 ms\
                <th class=n>failed<th class=n>dropped<th>why it was not borne";
    table(html, "Steps of the search", head, rows, |html, row| {
        write!(
            html,
            "<td>{}<td class=n>{:.1}<td class=n>{:.1}<td class=n>{}<td class=n>{}<td class=n>{}\
             <td class=n>{}<td>{}",
            escape(&row.aim),
            row.rate,
            row.achieved,
            row.n,
            tenths((row.n > 0).then_some(row.p99_ms)),
            row.failed,
            row.dropped,
            escape(row.why_not.as_deref().unwrap_or_default())
        )
    })
}

fn thresholds(html: &mut String, rows: &[ThresholdSection]) -> std::fmt::Result {
    let head = "<th>threshold<th>asked<th class=n>measured<th class=n>n<th>verdict<th>why";
    table(html, "Thresholds", head, rows, |html, row| {
        write!(
            html,
            "<td>{}<td>{}<td class=n>{}<td class=n>{}<td class=\"v {verdict}\">{verdict}<td>{}",
            escape(&row.metric),
            escape(&row.threshold),
            escape(row.worst.as_ref().unwrap_or(&row.value)),
            row.n,
            escape(&row.reason),
            verdict = escape(&row.verdict)
        )
    })
}

/// A table that opens, of so many rows at most; nothing without rows.
fn table<T>(
    html: &mut String,
    title: &str,
    head: &str,
    rows: &[T],
    cells: impl Fn(&mut String, &T) -> std::fmt::Result,
) -> std::fmt::Result {
    if rows.is_empty() {
        return Ok(());
    }
    write!(
        html,
        "<details open><summary>{title}</summary><table><thead><tr>{head}</tr></thead><tbody>"
    )?;
    for row in rows.iter().take(MAX_ROWS) {
        html.write_str("<tr>")?;
        cells(html, row)?;
        html.write_str("</tr>")?;
    }
    html.write_str("</tbody></table>")?;
    if rows.len() > MAX_ROWS {
        let more = rows.len() - MAX_ROWS;
        write!(html, "<p><small>{more} more stand in the JSON report</small></p>")?;
    }
    html.write_str("</details>")
}

fn generator(html: &mut String, load: &LoadSection) -> std::fmt::Result {
    let generator = &load.generator;
    // Below its floor a timer tells nothing apart.
    let late = match (load.generator_lateness_p99_ms, generator.timer_floor_ms) {
        (Some(late), Some(floor)) if late < floor => format!("less than {floor:.1}"),
        (late, _) => tenths(late),
    };
    write!(
        html,
        "<p><small>{} engine; response time from the intended start, service time from the send; \
         percentiles are HdrHistogram's to three significant digits, failed requests too; generator late \
         by {late} ms at P99</small></p>",
        escape(&load.engine)
    )?;
    if generator.reason.is_empty() {
        return Ok(());
    }
    write!(html, "<p><b>Generator:</b> {}</p>", escape(&generator.reason))
}

fn counts(figures: &Figures) -> String {
    format!(
        "<td class=n>{}<td class=n>{}<td class=n>{}",
        figures.n,
        tenths(figures.requests_per_second),
        figures.failed
    )
}

fn percentiles(latency: &Latency) -> String {
    let cells = [latency.p50_ms, latency.p95_ms, latency.p99_ms];
    cells.iter().map(|ms| format!("<td class=n>{}", tenths(*ms))).collect()
}
