//! Records in portions: of one kind, and bounded in number and size.

use std::iter::Peekable;

use crate::backup::record::Record;

const MOST_RECORDS: usize = 500;
const MOST_BYTES: usize = 4 * 1024 * 1024;

/// Takes the next portion of a row of records; empty at its end.
///
/// # Errors
/// What the row says.
pub fn next<E>(
    records: &mut Peekable<impl Iterator<Item = Result<Record, E>>>,
) -> Result<Vec<Record>, E> {
    let (mut portion, mut bytes): (Vec<Record>, usize) = (Vec::new(), 0);
    while portion.len() < MOST_RECORDS && bytes < MOST_BYTES {
        let fits = |next: &Result<Record, E>| match (next, portion.last()) {
            (Ok(next), Some(last)) => next.kind == last.kind,
            _ => true,
        };
        match records.next_if(fits) {
            Some(record) => {
                let record = record?;
                bytes += record.size();
                portion.push(record);
            }
            None => break,
        }
    }
    Ok(portion)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backup::record::Value;

    #[test]
    fn a_portion_is_of_one_kind_and_bounded() {
        let record = |kind: &str, size: usize| {
            Ok::<_, ()>(Record::new(kind, "k", Value::Bytes(vec![0; size])))
        };
        let mut records: Vec<_> = (0..MOST_RECORDS + 1).map(|_| record("a", 1)).collect();
        records.extend((0..3).map(|_| record("b", MOST_BYTES)));
        records.push(Err(()));
        let mut records = records.into_iter().peekable();
        let mut sizes = Vec::new();
        let ended = loop {
            match next(&mut records) {
                Ok(portion) => sizes.push(portion.len()),
                Err(()) => break true,
            }
        };
        assert!(ended);
        assert_eq!(sizes, [MOST_RECORDS, 1, 1, 1, 1]);
    }
}
