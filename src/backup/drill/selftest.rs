//! The test of the verifier, in every run: what would have to be caught is put into a copy, and a
//! verifier that misses it makes every verdict inconclusive.

use std::io;
use std::path::Path;

use crate::backup::archive::Archive;
use crate::backup::ledger::{Entry, Ledger, compare};
use crate::backup::record::{Record, Value};
use crate::backup::stores::{DrillError, is_definition};
use crate::run::event::{Difference, VerifierTest};

/// A backup of which one byte in a copy was flipped has to be refused. Blocks.
pub fn catches_flipped_byte(archive: &Archive, scratch: &Path) -> Result<bool, DrillError> {
    let folder = scratch.join("flipped");
    let copy = archive.corrupted_copy(&folder)?;
    let caught = copy.verify(scratch, "flipped").is_err();
    std::fs::remove_dir_all(&folder)?;
    Ok(caught)
}

/// One record altered, one removed and one added in a copy of what was there have to be caught, each
/// by its name. Blocks.
pub fn catches_differences(
    before: &Ledger,
    records: impl Iterator<Item = Result<Record, DrillError>>,
    test: &mut VerifierTest,
) -> Result<(), DrillError> {
    let Some(victims) = victims(records)? else { return Ok(()) };
    let [altered, removed, added] = victims.names();
    let found = compare(before.entries()?, victims.copy_of(before.entries()?))?;
    let only = |names: &[String], count: u64, name: &str| count == 1 && names == [name.to_owned()];
    let Difference { changed, changed_count, missing, missing_count, extra, extra_count, .. } =
        &found;
    test.altered = Some(only(changed, *changed_count, &altered));
    test.removed = Some(only(missing, *missing_count, &removed));
    test.added = Some(only(extra, *extra_count, &added));
    Ok(())
}

struct Victims {
    /// A real record of the backup, and the same with something else in it.
    altered: Record,
    removed: String,
    added: Record,
}

/// Two records that are data; none where there are fewer.
fn victims(
    records: impl Iterator<Item = Result<Record, DrillError>>,
) -> Result<Option<Victims>, DrillError> {
    let mut data = records.filter(|record| {
        record.as_ref().map_or(true, |record| {
            !is_definition(&record.kind) && !crate::backup::dataset::is_canary(&record.name())
        })
    });
    let (Some(first), Some(second)) = (data.next().transpose()?, data.next().transpose()?) else {
        return Ok(None);
    };
    let added = Record::new(&first.kind, format!("{} that never was", first.key), Value::Null);
    let altered = Record { value: altered(&first.value), ..first };
    Ok(Some(Victims { altered, removed: second.name(), added }))
}

/// The smallest change to a value: in its first part, and there one bit, sign or letter.
fn altered(value: &Value) -> Value {
    match value {
        Value::Null => Value::text(""),
        Value::Bool(is) => Value::Bool(!is),
        Value::Int(number) => Value::Int(number ^ 1),
        Value::Float(number) => Value::Float(-number),
        Value::Text(text) => Value::Text(format!("{text} ")),
        Value::Bytes(bytes) => Value::Bytes(match bytes.split_first() {
            Some((first, rest)) => [&[first ^ 1], rest].concat(),
            None => vec![0],
        }),
        Value::List(items) => Value::List(match items.split_first() {
            Some((first, rest)) => [&[altered(first)], rest].concat(),
            None => vec![Value::Null],
        }),
        Value::Map(entries) => {
            let mut entries = entries.clone();
            match entries.iter_mut().next() {
                Some((_, value)) => *value = altered(value),
                None => drop(entries.insert(String::new(), Value::Null)),
            }
            Value::Map(entries)
        }
        Value::Typed(kind, value) => Value::Typed(kind.clone(), Box::new(altered(value))),
    }
}

impl Victims {
    fn names(&self) -> [String; 3] {
        [self.altered.name(), self.removed.clone(), self.added.name()]
    }

    /// The entries of what was there, with the three changes in them, in order.
    fn copy_of<'a>(
        &'a self,
        entries: impl Iterator<Item = io::Result<Entry>> + 'a,
    ) -> impl Iterator<Item = io::Result<Entry>> + 'a {
        let (altered, mut added) = (Entry::of(&self.altered), Some(Entry::of(&self.added)));
        let mut entries = entries
            .filter(|entry| entry.as_ref().map_or(true, |entry| entry.name != self.removed))
            .map(move |entry| {
                entry.map(|entry| if entry.name == altered.name { altered.clone() } else { entry })
            })
            .peekable();
        std::iter::from_fn(move || match entries.peek() {
            Some(Ok(next)) if added.as_ref().is_some_and(|added| added.name < next.name) => {
                added.take().map(Ok)
            }
            Some(_) => entries.next(),
            None => added.take().map(Ok),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::backup::record::tests::any_value;

    proptest! {
        #[test]
        fn an_altered_value_has_another_digest(value in any_value()) {
            // -NaN is NaN: of all values only that one cannot be altered so.
            let nan = |value: &Value| format!("{value:?}").contains("NaN");
            prop_assume!(!nan(&value));
            let record = |value| Record::new("kind", "key", value);
            prop_assert_ne!(record(altered(&value)).digest(), record(value).digest());
        }
    }
}
