//! The text form of `COPY`: fields between tabs, `\N` for NULL, and what else a backslash means.
//! <https://www.postgresql.org/docs/current/sql-copy.html>

use bytes::{BufMut, BytesMut};

use crate::backup::record::Value;

/// Cuts a stream of pieces into lines.
#[derive(Default)]
pub(super) struct Lines {
    pending: BytesMut,
    searched: usize,
}

impl Lines {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
    }

    /// The next whole line, without its end. A line feed in a value is written as `\n`, so that each
    /// byte of that value ends a row.
    pub(super) fn next(&mut self) -> Option<BytesMut> {
        let found = self.pending[self.searched..].iter().position(|byte| *byte == b'\n');
        let Some(end) = found else {
            self.searched = self.pending.len();
            return None;
        };
        let mut line = self.pending.split_to(self.searched + end + 1);
        self.searched = 0;
        line.truncate(line.len() - 1);
        Some(line)
    }
}

/// A row as values by name.
///
/// # Errors
/// In words, when it has another number of fields, or is no UTF-8.
pub(super) fn read_row(columns: &[String], line: &[u8]) -> Result<Value, String> {
    let fields: Vec<Value> =
        line.split(|byte| *byte == b'\t').map(read_field).collect::<Result<_, _>>()?;
    if fields.len() != columns.len() {
        return Err(format!("a row: expected {} fields, got {}", columns.len(), fields.len()));
    }
    Ok(Value::map(columns.iter().cloned().zip(fields)))
}

fn read_field(field: &[u8]) -> Result<Value, String> {
    if field == b"\\N" {
        return Ok(Value::Null);
    }
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field.iter();
    while let Some(byte) = rest.next() {
        let byte =
            if *byte == b'\\' { rest.next().map(|escaped| meant(*escaped)) } else { Some(*byte) };
        bytes.push(byte.ok_or("a field ends in a backslash")?);
    }
    String::from_utf8(bytes).map(Value::Text).map_err(|_| "a field is not UTF-8".into())
}

const fn meant(escaped: u8) -> u8 {
    match escaped {
        b'b' => 8,
        b'f' => 12,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'v' => 11,
        other => other,
    }
}

/// Appends a row.
pub(super) fn write_row(to: &mut BytesMut, columns: &[String], value: &Value) {
    for (at, name) in columns.iter().enumerate() {
        if at > 0 {
            to.put_u8(b'\t');
        }
        match value.get(name).and_then(Value::as_text) {
            None => to.put_slice(b"\\N"),
            Some(text) => text.bytes().for_each(|byte| write_byte(to, byte)),
        }
    }
    to.put_u8(b'\n');
}

fn write_byte(to: &mut BytesMut, byte: u8) {
    match byte {
        b'\\' => to.put_slice(b"\\\\"),
        b'\n' => to.put_slice(b"\\n"),
        b'\r' => to.put_slice(b"\\r"),
        b'\t' => to.put_slice(b"\\t"),
        other => to.put_u8(other),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn rows_survive_in_any_pieces(
            rows in proptest::collection::vec(proptest::collection::vec(proptest::option::of("(?s).{0,9}"), 3), 1..6),
            piece in 1usize..9,
        ) {
            let columns: Vec<String> = ["a", "b", "c"].map(String::from).into();
            let values: Vec<Value> = rows.into_iter().map(|row| {
                let fields = row.into_iter().map(|field| field.map_or(Value::Null, Value::Text));
                Value::map(columns.iter().cloned().zip(fields))
            }).collect();
            let mut written = BytesMut::new();
            values.iter().for_each(|value| write_row(&mut written, &columns, value));
            let (mut lines, mut read) = (Lines::default(), Vec::new());
            for bytes in written.chunks(piece) {
                lines.push(bytes);
                while let Some(line) = lines.next() {
                    read.push(read_row(&columns, &line).expect("a row"));
                }
            }
            prop_assert_eq!(read, values);
        }
    }

    #[test]
    fn null_and_its_letters_are_not_the_same() {
        let columns = ["a".to_owned(), "b".to_owned()];
        let row = read_row(&columns, b"\\N\t\\\\N").expect("a row");
        assert_eq!(row, Value::map([("a", Value::Null), ("b", Value::text("\\N"))]));
        assert!(read_row(&columns, b"one").is_err());
        assert!(read_row(&columns, b"one\ttwo\\").is_err());
    }
}
