//! Feeders: rows of values that flows are filled with.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A file of rows is read into memory; more than this is refused.
const MAX_FILE_BYTES: u64 = 64 * 1024 * 1024;

/// Rows of values. A flow that names a column as `{feeder.column}` gets a row of it each time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Feeder {
    /// The rows themselves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<BTreeMap<String, String>>,
    /// A CSV file (RFC 4180) whose first line names the columns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub csv: Option<PathBuf>,
    /// A file with one JSON object a line; its fields are the columns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jsonl: Option<PathBuf>,
    /// Which row comes next.
    #[serde(default)]
    pub order: FeederOrder,
}

/// The rows of a feeder: every row has a value in every column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeederRows {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// The rows; at least one.
    pub rows: Vec<Vec<String>>,
}

impl Feeder {
    /// Reads the rows. Paths are relative to the working directory.
    ///
    /// # Errors
    /// When a file cannot be read, or has no rows, or rows that are none.
    pub fn read(&self) -> Result<FeederRows, String> {
        let of_file = |path: &Path, parse: fn(&str) -> Result<Vec<Row>, String>| {
            let rows = text_of(path).and_then(|text| parse(&text));
            rows.map_err(|reason| format!("{}: {reason}", path.display()))
        };
        let maps = match (&self.csv, &self.jsonl) {
            (Some(path), _) => of_file(path, csv_rows)?,
            (_, Some(path)) => of_file(path, json_rows)?,
            _ => self.rows.clone(),
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
        Ok(FeederRows { columns, rows })
    }
}

type Row = BTreeMap<String, String>;

fn text_of(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    let file = File::open(path).map_err(|error| error.to_string())?;
    let read = file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text);
    read.map_err(|error| match error.kind() {
        ErrorKind::InvalidData => "expected text in UTF-8".to_owned(),
        _ => error.to_string(),
    })?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(format!("expected at most {MAX_FILE_BYTES} bytes"));
    }
    Ok(text)
}

fn csv_rows(text: &str) -> Result<Vec<Row>, String> {
    let mut reader =
        csv::ReaderBuilder::new().trim(csv::Trim::Headers).from_reader(text.as_bytes());
    let columns = reader.headers().map_err(|error| error.to_string())?;
    let mut seen = BTreeSet::new();
    if let Some(name) = columns.iter().find(|name| !seen.insert(*name)) {
        return Err(format!("expected every column once, found `{name}` twice"));
    }
    let rows = reader.deserialize().map(|row| row.map_err(|error| error.to_string()));
    rows.collect()
}

fn json_rows(text: &str) -> Result<Vec<Row>, String> {
    // Some editors begin a file with a mark, which the CSV reader knows.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let rows = lines.map(|(at, line)| {
        let fields: BTreeMap<String, serde_json::Value> =
            serde_json::from_str(line).map_err(|error| {
                format!("line {}: expected a JSON object: {}", at + 1, words(&error))
            })?;
        let text = |value: serde_json::Value| match value {
            serde_json::Value::String(text) => text,
            other => other.to_string(),
        };
        Ok(fields.into_iter().map(|(name, value)| (name, text(value))).collect())
    });
    rows.collect()
}

/// What is wrong in a line, and in which column: to the parser every line is the first.
fn words(error: &serde_json::Error) -> String {
    let told = error.to_string();
    let what = told.split(" at line ").next().unwrap_or_default();
    format!("{what} (column {})", error.column())
}

/// Which row comes next; all users of a phase draw from the same rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FeederOrder {
    /// One after the other, and from the first again after the last.
    #[default]
    Circular,
    /// Any, drawn anew each time.
    Random,
    /// Each row once; users that find none left are done.
    Once,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, text: &str) -> Result<FeederRows, String> {
        let folder = tempfile::tempdir().expect("temporary folder");
        let file = folder.path().join(name);
        std::fs::write(&file, text).expect("written");
        let (csv, jsonl) =
            if name.ends_with("csv") { (Some(file), None) } else { (None, Some(file)) };
        Feeder { rows: vec![], csv, jsonl, order: FeederOrder::Circular }.read()
    }

    #[test]
    fn rows_of_a_csv_have_the_columns_of_its_first_line() {
        let read = read("people.csv", "id, text\n1,\"a, b\"\n2,ü\n").expect("valid");
        assert_eq!(read.columns, ["id", "text"]);
        assert_eq!(read.rows, [["1", "a, b"], ["2", "ü"]]);
    }

    #[test]
    fn lines_of_json_are_rows() {
        let read = read("x.jsonl", "{\"id\": 7, \"t\": \"x\"}\n\n{\"id\": true, \"t\": \"\"}\n");
        assert_eq!(read.expect("valid").rows, [["7", "x"], ["true", ""]]);
    }

    #[test]
    fn files_of_other_editors_are_read_the_same() {
        let csv = read("a.csv", "\u{feff}id,text\r\n1,\"a \"\"b\"\"\r\nc\"\r\n").expect("valid");
        assert_eq!(csv.columns, ["id", "text"]);
        assert_eq!(csv.rows, [["1", "a \"b\"\r\nc"]]);
        let jsonl = read("a.jsonl", "\u{feff}{\"id\": 1}\r\n{\"id\": 2}\r\n").expect("valid");
        assert_eq!(jsonl.rows, [["1"], ["2"]]);
    }

    #[test]
    fn mistakes_in_rows_have_a_file_and_a_line() {
        for (name, text, parts) in [
            ("a.csv", "id,text\n1,a\n2\n", ["a.csv", "line: 3"]),
            ("a.csv", "id,text\n", ["", "at least one row"]),
            ("a.csv", "id, id\n1,2\n", ["a.csv", "found `id` twice"]),
            ("a.jsonl", "{\"a\": 1}\n{\"a\"", ["line 2: expected a JSON object", "(column 4)"]),
            ("a.jsonl", "{}\n[1]", ["a.jsonl", "line 2"]),
            ("a.jsonl", "{\"a\": 1}\n{\"b\": 1}", ["row 2", "no `a`"]),
        ] {
            let why = read(name, text).expect_err("refused");
            assert!(parts.iter().all(|part| why.contains(part)), "{why}");
        }
    }
}
