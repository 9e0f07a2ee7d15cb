//! The backup drill in the HTML report.

use std::fmt::Write as _;

use super::{DrillSection, StoreSection};
use crate::report::html::escape;
use crate::run::event::DrillStep;

/// The section for the HTML report.
pub fn write_html(html: &mut String, drill: &DrillSection) -> std::fmt::Result {
    let lost = drill.records_lost.map_or_else(|| "not decided".into(), |lost| lost.to_string());
    write!(
        html,
        "<p>{} backup: {} stores, {} of {} records restored, lost: {lost}; RPO {} (of the {}), RTO {}; \
         {} documents.</p>",
        escape(&drill.way),
        escape(&drill.success_rate),
        drill.records_restored,
        drill.records_expected,
        time(drill.rpo_seconds),
        escape(&drill.rpo_scope),
        time(drill.rto_seconds),
        drill.documents
    )?;
    for store in drill.stores.iter().filter(|store| store.verdict.as_deref() != Some("pass")) {
        let verdict = escape(store.verdict.as_deref().unwrap_or("-"));
        let reason = escape(&store.reason);
        write!(html, "<p><b class=\"v {verdict}\">{}: {verdict}:</b> {reason}</p>", store.store)?;
    }
    write_matrix(html, &drill.stores)?;
    if let Some(words) = &drill.across_stores {
        write!(html, "<p>Across stores: {}.</p>", escape(words))?;
    }
    if let Some(cross) = &drill.cross_store {
        list(html, "Documents that are not whole", &cross.broken)?;
    }
    for (store, why) in &drill.skipped {
        write!(html, "<p><small>{} left out: {}</small></p>", escape(store), escape(why))?;
    }
    list(html, "What the backup service said and left", &drill.service)?;
    drill.stores.iter().try_for_each(|store| write_evidence(html, store))
}

/// Steps by stores: a row a step, since there are more of them than stores, and a page may be narrow.
fn write_matrix(html: &mut String, stores: &[StoreSection]) -> std::fmt::Result {
    html.write_str("<table class=matrix><thead><tr><th>")?;
    for store in stores {
        let what = escape(store.label.as_deref().unwrap_or(&store.server));
        write!(html, "<th class=n>{} <small>{what}</small>", store.store)?;
    }
    html.write_str("</tr></thead><tbody>")?;
    write_row(html, "verdict", stores, |store| {
        let verdict = escape(store.verdict.as_deref().unwrap_or("-"));
        format!("<td class=\"n v {verdict}\">{verdict}")
    })?;
    let plain = |text: String| format!("<td class=n>{text}");
    write_row(html, "level", stores, |store| {
        plain(store.level.as_deref().map_or_else(|| "-".into(), escape))
    })?;
    for step in DrillStep::ALL {
        write_row(html, step.words(), stores, |store| step_cell(store, step))?;
    }
    write_row(html, "records lost", stores, |store| {
        let records = store.records.as_ref();
        plain(records.map_or_else(|| "-".into(), |records| records.difference.lost().to_string()))
    })?;
    write_row(html, "RPO", stores, |store| plain(time(store.rpo_seconds)))?;
    write_row(html, "RTO", stores, |store| plain(time(store.rto_seconds.total)))?;
    html.write_str("</tbody></table>")
}

/// A row of the matrix, whose cells are HTML.
fn write_row(
    html: &mut String,
    name: &str,
    stores: &[StoreSection],
    cell: impl Fn(&StoreSection) -> String,
) -> std::fmt::Result {
    write!(html, "<tr><th>{name}")?;
    stores.iter().try_for_each(|store| html.write_str(&cell(store)))?;
    html.write_str("</tr>")
}

fn step_cell(store: &StoreSection, step: DrillStep) -> String {
    let Some(row) = store.steps.iter().find(|row| row.step == step.words()) else {
        return "<td class=n>-".into();
    };
    let (class, title) = (if row.passed { "pass" } else { "fail" }, escape(&row.detail));
    let took = match row.ms {
        ms if ms < 10_000.0 => format!("{ms:.0} ms"),
        ms => format!("{:.1} s", ms / 1e3),
    };
    format!("<td class=\"n v {class}\" title=\"{title}\">{took}")
}

fn time(seconds: Option<f64>) -> String {
    seconds.map_or_else(|| "-".into(), |seconds| format!("{seconds:.2} s"))
}

fn write_evidence(html: &mut String, store: &StoreSection) -> std::fmt::Result {
    write!(html, "<details><summary>{}: {}</summary><ul>", store.store, escape(&store.reason))?;
    for step in &store.steps {
        write!(html, "<li>{}: {}</li>", escape(&step.step), escape(&step.detail))?;
    }
    if let Some(records) = &store.records {
        write!(
            html,
            "<li>digest before {}, after {}</li>",
            escape(&records.digest_before),
            escape(&records.digest_after)
        )?;
    }
    for file in &store.files {
        let (name, sha256) = (escape(&file.name), escape(&file.sha256));
        write!(html, "<li>{name}, {} bytes, SHA-256 {sha256}</li>", file.bytes)?;
    }
    for row in &store.bystanders {
        let after = row.after.map_or_else(|| "unknown".into(), |after| after.to_string());
        write!(
            html,
            "<li>not ours: {}, {} before, {after} after</li>",
            escape(&row.what),
            row.before
        )?;
    }
    html.write_str("</ul>")?;
    if let Some(records) = &store.records {
        list(html, "Missing", &records.difference.missing)?;
        list(html, "Changed", &records.difference.changed)?;
        list(html, "More than there were", &records.difference.extra)?;
    }
    list(html, "Still there", &store.residue)?;
    list(html, "Not covered", &store.not_covered)?;
    list(html, "Remarks", &store.notes)?;
    html.write_str("</details>")
}

fn list(html: &mut String, title: &str, items: &[String]) -> std::fmt::Result {
    if items.is_empty() {
        return Ok(());
    }
    write!(html, "<p>{title}:</p><ul>")?;
    for item in items {
        write!(html, "<li>{}</li>", escape(item))?;
    }
    html.write_str("</ul>")
}
