//! Rows of values, read once and drawn by all users of a phase.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};

use rand::Rng;

use crate::config::{Feeder, FeederOrder, FeederRows};

/// Why rows cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("feeder {feeder}: {reason}")]
pub struct FeederError {
    feeder: String,
    reason: String,
}

/// Rows that are drawn from.
#[derive(Debug)]
pub struct Rows {
    /// Names of the columns as placeholders: `feeder.column`.
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
    order: FeederOrder,
    next: AtomicUsize,
}

impl Rows {
    /// Reads the rows of every feeder. Paths are relative to the working directory.
    ///
    /// # Errors
    /// When a file cannot be read, or has no rows, or rows that are none.
    pub fn read_all(feeders: &BTreeMap<String, Feeder>) -> Result<Vec<Self>, FeederError> {
        let read = |(name, feeder): (&String, &Feeder)| {
            Self::read(name, feeder).map_err(|reason| FeederError { feeder: name.clone(), reason })
        };
        feeders.iter().map(read).collect()
    }

    fn read(name: &str, feeder: &Feeder) -> Result<Self, String> {
        let FeederRows { columns, rows } = feeder.read()?;
        let columns = columns.into_iter().map(|column| format!("{name}.{column}")).collect();
        Ok(Self { columns, rows, order: feeder.order, next: AtomicUsize::new(0) })
    }

    /// Whether any of these placeholders is one of its columns.
    pub fn feeds(&self, names: &BTreeSet<&str>) -> bool {
        self.columns.iter().any(|column| names.contains(column.as_str()))
    }

    /// The next row, as names and values; none when every row has had its turn.
    pub fn draw(&self, random: &mut impl Rng) -> Option<impl Iterator<Item = (&str, &str)>> {
        let at = match self.order {
            FeederOrder::Random => random.random_range(0..self.rows.len()),
            FeederOrder::Circular => self.next.fetch_add(1, Ordering::Relaxed) % self.rows.len(),
            FeederOrder::Once => {
                let advance = |next: usize| (next < self.rows.len()).then_some(next + 1);
                self.next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, advance).ok()?
            }
        };
        let row = self.rows.get(at)?;
        Some(self.columns.iter().zip(row).map(|(name, value)| (name.as_str(), value.as_str())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    fn rows(order: FeederOrder) -> Rows {
        let row = |id: &str, text: &str| {
            BTreeMap::from([("id".into(), id.into()), ("text".into(), text.into())])
        };
        let rows = vec![row("1", "a, b"), row("2", "ü")];
        Rows::read("q", &Feeder { rows, csv: None, jsonl: None, order }).expect("valid")
    }

    fn drawn(rows: &Rows, n: usize) -> Vec<Option<String>> {
        let mut random = StdRng::seed_from_u64(1);
        let mut next = || {
            let row = rows.draw(&mut random)?;
            Some(row.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(";"))
        };
        (0..n).map(|_| next()).collect()
    }

    #[test]
    fn rows_come_around_or_once() {
        let (one, two) = (Some("q.id=1;q.text=a, b".into()), Some("q.id=2;q.text=ü".into()));
        let circular = drawn(&rows(FeederOrder::Circular), 3);
        assert_eq!(circular, [one.clone(), two.clone(), one.clone()]);
        assert_eq!(drawn(&rows(FeederOrder::Once), 3), [one, two, None]);
    }

    #[test]
    fn random_rows_come_all_in_the_end() {
        let seen: std::collections::BTreeSet<_> =
            drawn(&rows(FeederOrder::Random), 50).into_iter().collect();
        assert_eq!(seen.len(), 2);
    }
}
