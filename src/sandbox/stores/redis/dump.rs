//! The form of `DUMP` and `RESTORE`: the commands that make the value, as Redis writes them into its
//! append-only file, then a version and a checksum in Redis' places. The version is none of Redis',
//! so that neither takes the other's for its own.

use sha2::{Digest, Sha256};

use super::command::find;
use super::db::{Bytes, Db, Refusal, Value};
use super::resp::{format_double, parse, put_bulk};
use super::stream::Stream;

const VERSION: [u8; 2] = *b"sd";
const CHECKSUM: usize = 8;
/// Elements of one command.
const CHUNK: usize = 1000;
/// The key under which a value is made.
const KEY: &[u8] = b"x";

fn checksum(bytes: &[u8]) -> Bytes {
    Sha256::digest(bytes)[..CHECKSUM].to_vec()
}

/// A value as bytes.
pub fn write(value: &Value) -> Bytes {
    let mut body = Body(Vec::new());
    match value {
        Value::String(bytes) => body.command(&[b"SET", KEY, bytes]),
        Value::List(list) => body.chunks("RPUSH", list.iter().map(|item| vec![item.clone()])),
        Value::Set(set) => body.chunks("SADD", set.iter().map(|member| vec![member.clone()])),
        Value::Sorted(members) => {
            let pair = |(member, score): (&Bytes, &f64)| {
                vec![format_double(*score).into_bytes(), member.clone()]
            };
            body.chunks("ZADD", members.iter().map(pair));
        }
        Value::Hash(fields) => {
            body.chunks("HSET", fields.iter().map(|(name, f)| vec![name.clone(), f.value.clone()]));
            for (name, field) in fields {
                if let Some(at) = field.expires {
                    let at = at.to_string();
                    body.command(&[b"HPEXPIREAT", KEY, at.as_bytes(), b"FIELDS", b"1", name]);
                }
            }
        }
        Value::Stream(stream) => body.stream(stream),
    }
    sealed(&body.0)
}

/// A body with its version and checksum.
pub fn sealed(body: &[u8]) -> Bytes {
    let signed = [body, &VERSION].concat();
    [signed.as_slice(), &checksum(&signed)].concat()
}

struct Body(Bytes);

impl Body {
    fn command(&mut self, words: &[&[u8]]) {
        self.0.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
        words.iter().for_each(|word| put_bulk(&mut self.0, word));
    }

    fn chunks(&mut self, name: &str, elements: impl Iterator<Item = Vec<Bytes>>) {
        let elements: Vec<Vec<Bytes>> = elements.collect();
        for chunk in elements.chunks(CHUNK) {
            let words = chunk.iter().flatten().map(Vec::as_slice);
            let words: Vec<&[u8]> = [name.as_bytes(), KEY].into_iter().chain(words).collect();
            self.command(&words);
        }
    }

    fn stream(&mut self, stream: &Stream) {
        for (id, fields) in &stream.entries {
            let id = id.to_string();
            let head: [&[u8]; 3] = [b"XADD", KEY, id.as_bytes()];
            let words: Vec<&[u8]> =
                head.into_iter().chain(fields.iter().map(Vec::as_slice)).collect();
            self.command(&words);
        }
        if stream.entries.is_empty() {
            // Makes the stream; the entry itself goes again.
            self.command(&[b"XADD", KEY, b"MAXLEN", b"0", b"0-1", b"x", b"x"]);
        }
        let last = stream.last.max(super::stream::Id { ms: 0, seq: 1 }).to_string();
        let (last, max_deleted) = (last, stream.max_deleted.to_string());
        let added = stream.added.to_string();
        self.command(&[
            b"XSETID",
            KEY,
            last.as_bytes(),
            b"ENTRIESADDED",
            added.as_bytes(),
            b"MAXDELETEDID",
            max_deleted.as_bytes(),
        ]);
        for (name, group) in &stream.groups {
            let at = group.last.to_string();
            let read = group.read.map_or_else(|| "-1".into(), |read| read.to_string());
            self.command(&[
                b"XGROUP",
                b"CREATE",
                KEY,
                name,
                at.as_bytes(),
                b"ENTRIESREAD",
                read.as_bytes(),
            ]);
            for consumer in group.consumers.keys() {
                self.command(&[b"XGROUP", b"CREATECONSUMER", KEY, name, consumer]);
            }
            for (id, pending) in &group.pending {
                let (id, at) = (id.to_string(), pending.delivered_ms.to_string());
                let deliveries = pending.deliveries.to_string();
                self.command(&[
                    b"XCLAIM",
                    KEY,
                    name,
                    &pending.consumer,
                    b"0",
                    id.as_bytes(),
                    b"TIME",
                    at.as_bytes(),
                    b"RETRYCOUNT",
                    deliveries.as_bytes(),
                    b"JUSTID",
                    b"FORCE",
                ]);
            }
        }
    }
}

/// A value from bytes; none when all of it has ended since.
///
/// # Errors
/// When the bytes are no value of this store, or were changed.
pub fn read(bytes: &[u8], now: i64) -> Result<Option<Value>, Refusal> {
    let wrong = || Refusal::new("DUMP payload version or checksum are wrong");
    let bad = || Refusal::new("Bad data format");
    let (signed, sum) = bytes.split_at(bytes.len().saturating_sub(CHECKSUM));
    let mut body = signed.strip_suffix(&VERSION).ok_or_else(wrong)?;
    if checksum(signed) != sum {
        return Err(wrong());
    }
    let mut db = Db::at(now);
    while !body.is_empty() {
        let (words, used) = parse(body).ok().flatten().ok_or_else(bad)?;
        let (name, words) = words.split_first().ok_or_else(bad)?;
        let makes = [
            "SET",
            "RPUSH",
            "SADD",
            "ZADD",
            "HSET",
            "HPEXPIREAT",
            "XADD",
            "XSETID",
            "XGROUP",
            "XCLAIM",
        ];
        let command = find(name).filter(|command| makes.contains(&command.name)).ok_or_else(bad)?;
        if !command.admits(words.len() + 1) {
            return Err(bad());
        }
        (command.run)(&mut db, words).map_err(|_| bad())?;
        body = &body[used..];
    }
    Ok(db.take(KEY).map(|entry| entry.value))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::db::Field;
    use super::super::stream::{Group, Id};
    use super::*;

    fn bytes() -> impl Strategy<Value = Bytes> {
        proptest::collection::vec(any::<u8>(), 0..8)
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let score = any::<f64>().prop_filter("a number", |score| !score.is_nan());
        let field = (bytes(), proptest::option::of(2_i64..i64::MAX))
            .prop_map(|(value, expires)| Field { value, expires });
        prop_oneof![
            bytes().prop_map(Value::String),
            proptest::collection::vec_deque(bytes(), 1..9).prop_map(Value::List),
            proptest::collection::btree_set(bytes(), 1..9).prop_map(Value::Set),
            proptest::collection::btree_map(bytes(), score, 1..9).prop_map(Value::Sorted),
            proptest::collection::btree_map(bytes(), field, 1..9).prop_map(Value::Hash),
        ]
    }

    fn bits(value: &Value) -> Vec<u64> {
        match value {
            Value::Sorted(members) => members.values().map(|score| score.to_bits()).collect(),
            _ => Vec::new(),
        }
    }

    proptest! {
        #[test]
        fn a_value_survives_and_a_flipped_byte_does_not(value in any_value(), at in 0_usize..10_000) {
            let dump = write(&value);
            let back = read(&dump, 1).expect("read").expect("alive");
            prop_assert_eq!(bits(&back), bits(&value));
            prop_assert_eq!(back, value);
            let mut flipped = dump.clone();
            let at = at % flipped.len();
            flipped[at] ^= 1;
            prop_assert!(read(&flipped, 1).is_err());
            prop_assert!(read(&dump[..at], 1).is_err());
        }
    }

    #[test]
    fn a_stream_survives_with_its_groups_even_when_it_is_empty() {
        let mut stream = Stream::default();
        for seq in 1..=3 {
            stream.add(Id { ms: 5, seq }, vec![b"f".to_vec(), vec![seq as u8, b'\n']]);
        }
        stream.delete(Id { ms: 5, seq: 3 });
        let mut group = Group { last: Id { ms: 5, seq: 2 }, read: Some(2), ..Group::default() };
        group.deliver(Id { ms: 5, seq: 1 }, b"reader", 1);
        group.consumers.insert(b"reader".to_vec(), 1);
        group.consumers.insert(b"idle".to_vec(), 1);
        stream.groups.insert(b"g".to_vec(), group);
        let value = Value::Stream(stream.clone());
        assert_eq!(read(&write(&value), 1), Ok(Some(value)));
        let mut emptied = Stream { groups: Default::default(), ..stream };
        emptied.trim_to(0);
        let value = Value::Stream(emptied);
        assert_eq!(read(&write(&value), 1), Ok(Some(value)));
    }
}
