//! Cache entries, sessions and rate limits in Redis, and keys of every type with what is hard in each.

use super::{Dataset, Document, noise};
use crate::backup::record::{Record, Value};

const HOUR_MS: i64 = 3_600_000;
const MONTH_MS: i64 = 30 * 24 * HOUR_MS;

pub(super) fn records(dataset: Dataset) -> impl Iterator<Item = Record> + Send {
    let base = dataset.base_ms;
    let users = dataset.users();
    dataset
        .all()
        .map(move |document| cached(&document, base + HOUR_MS))
        .chain((1..=users).map(move |user| session(user, base + MONTH_MS)))
        .chain((1..=users).map(move |user| rate_limit(user, base + HOUR_MS)))
        .chain(hard(dataset))
}

pub(super) fn canary(key: &str, at_ms: i64) -> Record {
    string(&format!("canary:{key}"), at_ms.to_string().as_bytes(), None)
}

fn key(kind: &str, key: &str, value: Value, expires: Option<i64>) -> Record {
    let expires = expires.map_or(Value::Null, Value::Int);
    Record::new(kind, key, Value::map([("value", value), ("expires", expires)]))
}

fn string(name: &str, bytes: &[u8], expires: Option<i64>) -> Record {
    key("string", name, Value::Bytes(bytes.to_vec()), expires)
}

fn bytes(items: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Value {
    let mut items: Vec<Value> =
        items.into_iter().map(|b| Value::Bytes(b.as_ref().to_vec())).collect();
    // A set has no order: it is compared in that of its members.
    items.sort_by(|a, b| a.as_bytes().cmp(&b.as_bytes()));
    Value::List(items)
}

fn field(name: &[u8], value: &[u8], expires: Option<i64>) -> Value {
    let expires = expires.map_or(Value::Null, Value::Int);
    Value::List(vec![Value::Bytes(name.into()), Value::Bytes(value.into()), expires])
}

fn cached(document: &Document, expires: i64) -> Record {
    // Fields in the order of their names, as they are compared.
    let fields = Value::List(vec![
        field(b"author", document.author.to_string().as_bytes(), None),
        field(b"sha256", document.sha256.as_bytes(), None),
        field(b"title", document.title.as_bytes(), None),
    ]);
    key("hash", &format!("cache:{}", document.id), fields, Some(expires))
}

/// The digest of the body that a cache entry holds.
pub(super) fn body_digest(record: &Record) -> Option<&Value> {
    let fields = record.value.get("value")?.items().iter();
    let mut digests = fields.filter_map(|field| match field.items() {
        [Value::Bytes(name), value, _] if name == b"sha256" => Some(value),
        _ => None,
    });
    digests.next()
}

fn session(user: u64, expires: i64) -> Record {
    let json = format!(r#"{{"user":{user},"roles":["member"],"csrf":"{:016x}"}}"#, user * 7919);
    string(&format!("session:{user}"), json.as_bytes(), Some(expires))
}

fn rate_limit(user: u64, expires: i64) -> Record {
    string(&format!("rate:{user}"), (user % 60).to_string().as_bytes(), Some(expires))
}

fn hard(dataset: Dataset) -> Vec<Record> {
    let every_byte: Vec<u8> = (0..=255).collect();
    let mut random = dataset.random(u64::MAX - 1);
    let members = |count: usize| (0..count).map(|n| format!("member {n:04}"));
    let scored = |pairs: &[(&str, f64)]| {
        let pair = |(member, score): &(&str, f64)| {
            Value::List(vec![Value::Bytes(member.as_bytes().into()), Value::Float(*score)])
        };
        Value::List(pairs.iter().map(pair).collect())
    };
    let wide = (0..200).map(|n| field(format!("f{n:03}").as_bytes(), &every_byte, None)).collect();
    let in_order = |items: Vec<String>| {
        Value::List(items.into_iter().map(|item| Value::Bytes(item.into_bytes())).collect())
    };
    vec![
        string("hard:empty", b"", None),
        string("hard:number", b"-9223372036854775808", None),
        string("hard:every byte", &every_byte, Some(dataset.base_ms + MONTH_MS)),
        string("hard:large", &noise(&mut random, 1_000_000), None),
        string("hard:name with\nnewline \u{1F642}", b"x", None),
        string("hex:", b"a key that looks like our own notation", None),
        key("list", "hard:list", in_order(members(300).rev().chain(["".into()]).collect()), None),
        key("set", "hard:set of numbers", bytes(["-1", "0", "9223372036854775807"]), None),
        key("set", "hard:set", bytes(members(600)), None),
        key(
            "set",
            "hard:set of one",
            bytes([every_byte.as_slice()]),
            Some(dataset.base_ms + HOUR_MS),
        ),
        key(
            "zset",
            "hard:zset",
            scored(&[
                ("a", f64::NEG_INFINITY),
                ("b", 0.1),
                ("c", 0.1),
                ("d", 0.1 + 0.2),
                ("e", f64::INFINITY),
                ("f", 1e-310),
            ]),
            None,
        ),
        key("hash", "hard:hash", Value::List(vec![field(b"", b"empty name", None)]), None),
        key("hash", "hard:wide hash", Value::List(wide), None),
        key(
            "hash",
            "hard:field lifetimes",
            Value::List(vec![
                field(b"kept", b"1", None),
                field(b"short", b"2", Some(dataset.base_ms + HOUR_MS)),
            ]),
            None,
        ),
        key("stream", "hard:stream", stream(), None),
    ]
}

/// A stream with an entry deleted at its end, a group that has read it all, and one answer outstanding.
fn stream() -> Value {
    let entry = |id: &str, value: &str| {
        Value::List(vec![
            Value::text(id),
            Value::Bytes(b"field".into()),
            Value::Bytes(value.into()),
        ])
    };
    let pending =
        Value::List(vec![Value::text("1700000000000-2"), Value::text("worker"), Value::Int(3)]);
    let group = |name: &str, last: &str, pending: Vec<Value>| {
        Value::map([
            ("name", Value::text(name)),
            ("last", Value::text(last)),
            ("pending", Value::List(pending)),
        ])
    };
    Value::map([
        (
            "entries",
            Value::List(vec![entry("1700000000000-1", "one"), entry("1700000000000-2", "two")]),
        ),
        ("last", Value::text("1700000000005-0")),
        (
            "groups",
            Value::List(vec![
                group("fresh", "0-0", vec![]),
                group("readers", "1700000000000-2", vec![pending]),
            ]),
        ),
    ])
}
