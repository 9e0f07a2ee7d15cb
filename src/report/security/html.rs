//! The security audit in the HTML report.

use std::fmt::Write as _;

use super::{FindingRow, SecuritySection};
use crate::report::html::escape;

/// The section for the HTML report.
pub fn write_html(html: &mut String, security: &SecuritySection) -> std::fmt::Result {
    let score = security.score.map_or_else(|| "none".into(), |score| format!("{score:.0} of 100"));
    write!(html, "<p>Security score {score}, {} checks.", escape(&security.coverage))?;
    if let Some(found) = &security.discovered {
        write!(
            html,
            " {} operations found, {} attacked in {} places, {} left alone.",
            found.found,
            found.attackable,
            found.points,
            found.found - found.attackable
        )?;
    }
    if let Some(compared) = &security.comparison {
        write!(
            html,
            " Beside run {}: {} new, {} unchanged, {} fixed.",
            escape(&compared.run),
            compared.new,
            compared.unchanged,
            compared.fixed.len()
        )?;
    }
    write!(html, " {} things written", security.written)?;
    match security.residue.as_slice() {
        [] => html.write_str("; what was written or replaced is undone.</p>")?,
        left => write!(
            html,
            "; <b class=fail>written or replaced and not shown to be undone: {}</b>.</p>",
            escape(&left.join(", "))
        )?,
    }
    checks(html, security)?;
    images(html, security)?;
    security.findings.iter().try_for_each(|row| finding(html, row))?;
    if let Some(compared) = security.comparison.as_ref().filter(|of| !of.fixed.is_empty()) {
        html.write_str("<details><summary>Fixed since</summary><ul>")?;
        for title in &compared.fixed {
            write!(html, "<li>{}</li>", escape(title))?;
        }
        html.write_str("</ul></details>")?;
    }
    if let Some(found) = security.discovered.as_ref().filter(|found| !found.skipped.is_empty()) {
        html.write_str("<details><summary>Operations left alone</summary><table><tbody>")?;
        for row in &found.skipped {
            write!(html, "<tr><td>{}<td>{}</tr>", escape(&row.place), escape(&row.reason))?;
        }
        html.write_str("</tbody></table></details>")?;
    }
    Ok(())
}

fn checks(html: &mut String, security: &SecuritySection) -> std::fmt::Result {
    html.write_str(
        "<table><thead><tr><th>check<th>status<th class=n>requests<th class=n>operations\
         <th>coverage</tr></thead><tbody>",
    )?;
    for row in &security.checks {
        let class = match row.status.as_str() {
            "pass" => "pass",
            "vulnerable" => "fail",
            _ => "skipped",
        };
        let operations = match (row.operations_tested, row.operations_found) {
            (Some(tested), Some(found)) => format!("{tested}/{found}"),
            _ => "-".into(),
        };
        write!(
            html,
            "<tr><td>{}<td class=\"v {class}\">{}<td class=n>{}<td class=n>{operations}\
             <td><small>{}</small></tr>",
            escape(&row.check),
            escape(&row.status),
            row.requests,
            escape(&row.coverage)
        )?;
    }
    html.write_str("</tbody></table>")
}

fn images(html: &mut String, security: &SecuritySection) -> std::fmt::Result {
    if security.images.is_empty() {
        return Ok(());
    }
    html.write_str(
        "<table><thead><tr><th>image<th>scan<th class=n>fixable C/H<th class=n>unfixed C/H\
         <th>operating system</tr></thead><tbody>",
    )?;
    for row in &security.images {
        let os = row.os.as_deref().unwrap_or("-");
        write!(
            html,
            "<tr><td>{}<td>{}<td class=n>{}/{}<td class=n>{}/{}<td>{}{}</tr>",
            escape(&row.image),
            escape(&row.status),
            row.fixable.critical,
            row.fixable.high,
            row.unfixed.critical,
            row.unfixed.high,
            escape(os),
            if row.end_of_life { " (no more fixes)" } else { "" }
        )?;
    }
    html.write_str("</tbody></table>")
}

fn finding(html: &mut String, row: &FindingRow) -> std::fmt::Result {
    let known = row.suppressed.as_ref().map(|why| format!(", accepted: {why}"));
    let novelty = row.novelty.as_ref().map(|word| format!(", {word}"));
    write!(
        html,
        "<details><summary>{}: {} ({}, {}, CWE-{}{}{})</summary><p>{}<br>{}<br>To do: {}<br>\
         <small>{}<br>{}</small></p>",
        escape(&row.severity),
        escape(&row.title),
        escape(&row.rule),
        escape(&row.confidence),
        row.cwe,
        escape(novelty.as_deref().unwrap_or_default()),
        escape(known.as_deref().unwrap_or_default()),
        escape(&row.place),
        escape(&row.evidence),
        escape(&row.remedy),
        escape(&row.references.join(", ")),
        escape(&row.fingerprint)
    )?;
    for one in &row.exchanges {
        write!(
            html,
            "<pre><b>{}</b>\n{}\n{}</pre>",
            escape(&one.role),
            escape(&one.request),
            escape(&one.response)
        )?;
    }
    html.write_str("</details>")
}
