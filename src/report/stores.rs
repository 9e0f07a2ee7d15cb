//! What the stores answered to light queries while load ran.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::html::escape;
use super::load::{Latency, latency};
use crate::run::event::{Measurements, StoreSeries};
use crate::run::state::StoreQueries;

/// What the stores answered while load ran.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct StoresSection {
    /// A row a query of a store.
    pub queries: Vec<StoreRow>,
    /// Stores that were not asked, with the reason.
    pub left_out: BTreeMap<String, String>,
    /// What may still be there of what was made for the queries.
    pub residue: Vec<String>,
}

/// One query of one store.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct StoreRow {
    /// The store.
    pub store: String,
    /// What it was asked.
    pub query: String,
    /// How often.
    pub n: u64,
    /// How often it failed.
    pub failed: u64,
    /// Failures by kind.
    pub errors: BTreeMap<String, u64>,
    /// From the intended start to the answer.
    pub response: Latency,
}

/// The section of a run.
pub fn section(stores: &StoreQueries) -> StoresSection {
    let residue = |(kind, name, why): &(crate::config::StoreKind, String, Option<String>)| {
        let why = why.as_deref().unwrap_or("not removed yet");
        format!("{} {name}: {why}", kind.name())
    };
    let left_out = stores.left_out.iter();
    StoresSection {
        queries: stores.series.iter().map(row).collect(),
        left_out: left_out.map(|(kind, why)| (kind.name().to_owned(), why.clone())).collect(),
        residue: stores.made.iter().map(residue).collect(),
    }
}

fn row((key, measured): (&StoreSeries, &Measurements)) -> StoreRow {
    let errors = measured.errors.iter();
    StoreRow {
        store: key.kind.name().to_owned(),
        query: key.step.clone(),
        n: measured.requests(),
        failed: measured.failed(),
        errors: errors.map(|(kind, n)| (kind.word().to_owned(), *n)).collect(),
        response: latency(&measured.response),
    }
}

/// The section for the HTML report.
pub fn write_html(html: &mut String, stores: &StoresSection) -> std::fmt::Result {
    if stores.queries.is_empty() && stores.left_out.is_empty() {
        return Ok(());
    }
    html.write_str(
        "<section><h2 id=stores>Stores under load</h2><table><thead><tr><th>store<th>query\
         <th class=n>queries<th class=n>failed<th class=n>P50 ms<th class=n>P95 ms<th class=n>P99 ms\
         <th class=n>max ms</tr></thead><tbody>",
    )?;
    let millis = |value: Option<f64>| value.map_or_else(|| "-".into(), |ms| format!("{ms:.1}"));
    for row in &stores.queries {
        let Latency { p50_ms, p95_ms, p99_ms, max_ms, .. } = &row.response;
        let (store, query) = (escape(&row.store), escape(&row.query));
        write!(html, "<tr><td>{store}<td>{query}<td class=n>{}<td class=n>{}", row.n, row.failed)?;
        for value in [p50_ms, p95_ms, p99_ms, max_ms] {
            write!(html, "<td class=n>{}", millis(*value))?;
        }
        html.write_str("</tr>")?;
    }
    html.write_str("</tbody></table>")?;
    for (store, why) in &stores.left_out {
        write!(html, "<p><small>{} was not asked: {}</small></p>", escape(store), escape(why))?;
    }
    for left in &stores.residue {
        write!(html, "<p class=\"v fail\">still there: {}</p>", escape(left))?;
    }
    html.write_str("</section>")
}
