//! Whether the restored stores fit together: one synthetic document is in all of them, and each holds
//! the digest of its body. Stores that were backed up at different times fail here.

use std::io;
use std::iter::Peekable;

use super::sink::digest_of_text;
use crate::backup::dataset::Dataset;
use crate::backup::ledger::{Entries, Entry, Ledger, NAMED};
use crate::config::StoreKind;
use crate::run::event::ClosureReport;

/// Compares what the restored stores hold of each document with what was put in. Blocks.
///
/// # Errors
/// When a ledger cannot be read.
pub fn closure(dataset: Dataset, stores: &[(StoreKind, Ledger)]) -> io::Result<ClosureReport> {
    let mut report = ClosureReport {
        documents: dataset.documents,
        stores: stores.iter().map(|(kind, _)| *kind).collect(),
        ..ClosureReport::default()
    };
    let open = |(kind, ledger): &(StoreKind, Ledger)| Ok((*kind, ledger.entries()?.peekable()));
    let mut rows: Vec<(StoreKind, Peekable<Entries>)> =
        stores.iter().map(open).collect::<io::Result<_>>()?;
    for number in 1..=dataset.documents {
        let document = dataset.document(number);
        let expected = Entry { digest: digest_of_text(&document.sha256), name: document.id };
        let mut lacking = Vec::new();
        for (kind, row) in &mut rows {
            if !has(row, &expected)? {
                lacking.push(kind.name());
            }
        }
        if lacking.is_empty() {
            report.whole += 1;
        } else if report.broken.len() < NAMED {
            report.broken.push(format!("{} in {}", expected.name, lacking.join(", ")));
        }
    }
    Ok(report)
}

/// Whether a row has an entry; it is read up to there, and never back.
fn has(row: &mut Peekable<Entries>, wanted: &Entry) -> io::Result<bool> {
    let mut found = false;
    while let Some(next) =
        row.next_if(|next| next.as_ref().map_or(true, |next| next.name <= wanted.name))
    {
        let next = next?;
        // A second entry of the same name holds something else: which one counts, nobody knows.
        found = next.name == wanted.name && next == *wanted && !found;
    }
    Ok(found)
}
