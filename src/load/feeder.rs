//! Rows of values, read once and drawn by all users of a phase.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use rand::Rng;

use crate::config::{Feeder, FeederOrder};

/// A file of rows is read into memory; more than this is refused.
const MAX_FILE_BYTES: u64 = 64 * 1024 * 1024;

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
        let maps = match (&feeder.csv, &feeder.jsonl) {
            (Some(path), _) => csv_rows(&text_of(path)?)?,
            (_, Some(path)) => json_rows(&text_of(path)?)?,
            _ => feeder.rows.clone(),
        };
        let Some(first) = maps.first() else { return Err("expected at least one row".into()) };
        let columns: Vec<String> = first.keys().cloned().collect();
        let mut rows = Vec::with_capacity(maps.len());
        for (at, mut row) in maps.into_iter().enumerate() {
            let values = columns.iter().map(|column| {
                row.remove(column).ok_or_else(|| format!("row {}: no `{column}`", at + 1))
            });
            rows.push(values.collect::<Result<_, _>>()?);
        }
        let columns = columns.into_iter().map(|column| format!("{name}.{column}")).collect();
        Ok(Self { columns, rows, order: feeder.order, next: AtomicUsize::new(0) })
    }

    /// Whether any of these texts names one of its columns.
    pub fn feeds(&self, text: &str) -> bool {
        self.columns.iter().any(|column| text.contains(&format!("{{{column}}}")))
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

fn text_of(path: &Path) -> Result<String, String> {
    let name = path.display();
    let length = std::fs::metadata(path).map_err(|error| format!("{name}: {error}"))?.len();
    if length > MAX_FILE_BYTES {
        return Err(format!("{name}: expected at most {MAX_FILE_BYTES} bytes, got {length}"));
    }
    std::fs::read_to_string(path).map_err(|error| format!("{name}: {error}"))
}

fn csv_rows(text: &str) -> Result<Vec<BTreeMap<String, String>>, String> {
    let mut reader =
        csv::ReaderBuilder::new().trim(csv::Trim::Headers).from_reader(text.as_bytes());
    let rows = reader.deserialize().map(|row| row.map_err(|error| error.to_string()));
    rows.collect()
}

fn json_rows(text: &str) -> Result<Vec<BTreeMap<String, String>>, String> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let rows = lines.map(|(at, line)| {
        let fields: BTreeMap<String, serde_json::Value> = serde_json::from_str(line)
            .map_err(|error| format!("line {}: expected a JSON object: {error}", at + 1))?;
        let text = |value: serde_json::Value| match value {
            serde_json::Value::String(text) => text,
            other => other.to_string(),
        };
        Ok(fields.into_iter().map(|(name, value)| (name, text(value))).collect())
    });
    rows.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    fn rows(order: FeederOrder) -> Rows {
        let file = tempfile::NamedTempFile::new().expect("temporary file");
        std::fs::write(file.path(), "id, text\n1,\"a, b\"\n2,ü\n").expect("written");
        let feeder = Feeder { rows: vec![], csv: Some(file.path().into()), jsonl: None, order };
        Rows::read("q", &feeder).expect("valid")
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
    fn rows_of_a_csv_come_around_or_once() {
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

    #[test]
    fn lines_of_json_are_rows_and_mistakes_have_a_line() {
        let rows = json_rows("{\"id\": 7, \"t\": \"x\"}\n\n{\"id\": true}\n").expect("valid");
        assert_eq!((rows[0]["id"].as_str(), rows[1]["id"].as_str()), ("7", "true"));
        assert!(json_rows("{}\n[1]").is_err_and(|why| why.contains("line 2")));
    }
}
