//! Random typed records of the stores: whatever a store can hold of each of its types, in the form in
//! which it is compared.
#![allow(dead_code, reason = "every test file uses its own part of this")]

use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;
use sha2::{Digest, Sha256};
use shakedown::backup::record::{Record, Value};
use shakedown::config::StoreKind;

/// Names and values of a stream's entry.
type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// Lifetimes that end long after the test.
const FAR_AHEAD_MS: i64 = 4_000_000_000_000;

/// Records of a store, in an order in which they can be written; their names differ.
pub fn random(kind: StoreKind) -> BoxedStrategy<Vec<Record>> {
    match kind {
        StoreKind::Redis => many(redis()),
        StoreKind::Neo4j => neo4j(),
        StoreKind::Minio => many(object()),
        StoreKind::Qdrant => qdrant(),
        StoreKind::Postgres => panic!("its rows have a property test of their own"),
    }
}

/// Some, each with its number in its name.
fn many(one: impl Strategy<Value = Record> + 'static) -> BoxedStrategy<Vec<Record>> {
    vec(one, 1..12).prop_map(numbered).boxed()
}

fn numbered(mut records: Vec<Record>) -> Vec<Record> {
    for (at, record) in records.iter_mut().enumerate() {
        record.key = format!("{at:02}-{}", record.key);
    }
    // As a drill sends them: those of one kind after the other.
    records.sort_by(|a, b| a.kind.cmp(&b.kind));
    records
}

fn bytes(most: usize) -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..most)
}

fn number() -> impl Strategy<Value = f64> {
    any::<u64>().prop_map(f64::from_bits).prop_filter("NaN", |number| !number.is_nan())
}

fn list(items: impl IntoIterator<Item = Value>) -> Value {
    Value::List(items.into_iter().collect())
}

fn redis() -> impl Strategy<Value = Record> {
    let blobs = |items: Vec<Vec<u8>>| list(items.into_iter().map(Value::Bytes));
    let lifetime = || {
        prop_oneof![
            Just(Value::Null),
            (0..1_000_000_i64).prop_map(|more| Value::Int(FAR_AHEAD_MS + more))
        ]
    };
    let pair = |(member, score)| list([Value::Bytes(member), Value::Float(score)]);
    let field = |(name, (value, ends))| list([Value::Bytes(name), Value::Bytes(value), ends]);
    let value = prop_oneof![
        bytes(40).prop_map(|bytes| ("string", Value::Bytes(bytes))),
        any::<i64>().prop_map(|number| ("string", Value::Bytes(number.to_string().into_bytes()))),
        vec(bytes(9), 1..7).prop_map(move |items| ("list", blobs(items))),
        btree_set(bytes(9), 1..7)
            .prop_map(move |items| ("set", blobs(items.into_iter().collect()))),
        btree_set(any::<i32>(), 1..7).prop_map(move |items| {
            let mut texts: Vec<Vec<u8>> =
                items.iter().map(|n| n.to_string().into_bytes()).collect();
            texts.sort();
            ("set", blobs(texts))
        }),
        btree_map(bytes(9), number(), 1..7)
            .prop_map(move |of| ("zset", list(of.into_iter().map(pair)))),
        btree_map(bytes(9), (bytes(70), Just(Value::Null)), 1..7)
            .prop_map(move |of| ("hash", list(of.into_iter().map(field)))),
        stream().prop_map(|value| ("stream", value)),
    ];
    let name = prop_oneof![".{0,9}", "[a-z :{}*?\\[\\]\\\\]{0,9}"];
    (name, value, lifetime()).prop_map(|(name, (kind, value), expires)| {
        Record::new(kind, name, Value::map([("value", value), ("expires", expires)]))
    })
}

fn stream() -> impl Strategy<Value = Value> {
    let fields = vec((bytes(6), bytes(6)), 1..4);
    let entries = btree_map((1..9_u32, 0..9_u32), fields, 1..6);
    let groups = btree_map("[a-z]{1,5}", (any::<bool>(), 1..6_i64), 0..3);
    (entries, groups).prop_map(|(entries, groups)| {
        let id = |(ms, number): &(u32, u32)| format!("{ms}-{number}");
        let last = entries.keys().last().map(id).unwrap_or_default();
        let first = entries.keys().next().map(id).unwrap_or_default();
        let entry = |(at, fields): (&(u32, u32), &Fields)| {
            let parts = fields.iter().flat_map(|(name, value)| [name, value]);
            let parts = parts.map(|part| Value::Bytes(part.clone()));
            list(std::iter::once(Value::Text(id(at))).chain(parts))
        };
        let group = |(name, (waits, deliveries)): (&String, &(bool, i64))| {
            let waiting =
                list([Value::Text(first.clone()), Value::text("reader"), Value::Int(*deliveries)]);
            Value::map([
                ("name", Value::text(name)),
                ("last", Value::Text(if *waits { last.clone() } else { "0-0".into() })),
                ("pending", if *waits { list([waiting]) } else { list([]) }),
            ])
        };
        Value::map([
            ("entries", list(entries.iter().map(entry))),
            ("last", Value::Text(last.clone())),
            ("groups", list(groups.iter().map(group))),
        ])
    })
}

fn neo4j() -> BoxedStrategy<Vec<Record>> {
    let name = || "[a-zA-Zü数 `'\"-]{1,8}";
    let properties = || btree_map(name(), property(), 0..6).prop_map(Value::Map);
    let node = (btree_set(name(), 0..4), properties()).prop_map(|(labels, properties)| {
        let labels = list(labels.into_iter().map(Value::Text));
        Value::map([("labels", labels), ("properties", properties)])
    });
    let link = (name(), any::<[prop::sample::Index; 2]>(), properties());
    let all = (vec(node, 1..8), vec(link, 0..6));
    let all = all.prop_map(|(nodes, links)| {
        let count = nodes.len();
        let nodes = nodes.into_iter().enumerate();
        let mut records: Vec<Record> =
            nodes.map(|(at, node)| Record::new("node", format!("n{at}"), node)).collect();
        for (at, (kind, ends, properties)) in links.into_iter().enumerate() {
            let end = |which: usize| Value::Text(format!("n{}", ends[which].index(count)));
            let value = Value::map([
                ("type", Value::Text(kind)),
                ("from", end(0)),
                ("to", end(1)),
                ("properties", properties),
            ]);
            records.push(Record::new("relationship", format!("r{at}"), value));
        }
        records
    });
    all.boxed()
}

/// A property of every type that Neo4j stores; what it alone knows, as it prints that.
fn property() -> impl Strategy<Value = Value> {
    let typed = |kind: &str, text: String| Value::Typed(kind.into(), Box::new(Value::Text(text)));
    let date = || {
        (1..9999_i32, 1..=12_u8, 1..=28_u8).prop_map(|(y, m, d)| format!("{y:04}-{m:02}-{d:02}"))
    };
    // Nine digits that do not end in zero are printed as they are.
    let time = || {
        let nanos = (0..99_999_999_u32, 1..10_u32).prop_map(|(most, last)| most * 10 + last);
        (0..24_u8, 0..60_u8, 0..60_u8, nanos)
            .prop_map(|(h, m, s, n)| format!("{h:02}:{m:02}:{s:02}.{n:09}"))
    };
    let zone = || {
        (0..14_u8, prop_oneof![Just(15), Just(30), Just(45)], any::<bool>())
            .prop_map(|(h, m, east)| format!("{}{h:02}:{m:02}", if east { '+' } else { '-' }))
    };
    let coordinate = || -90.0..90.0_f64;
    let point = |srid, numbers: Vec<f64>| {
        let numbers = numbers.into_iter().map(Value::Float);
        Value::Typed(
            "point".into(),
            Box::new(list(std::iter::once(Value::Int(srid)).chain(numbers))),
        )
    };
    prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        any::<u64>().prop_map(|bits| Value::Float(f64::from_bits(bits))),
        ".{0,12}".prop_map(Value::Text),
        bytes(20).prop_map(Value::Bytes),
        vec(any::<i64>(), 0..5).prop_map(|of| list(of.into_iter().map(Value::Int))),
        vec(number(), 1..5).prop_map(|of| list(of.into_iter().map(Value::Float))),
        vec(".{0,6}", 1..5).prop_map(|of| list(of.into_iter().map(Value::Text))),
        vec(any::<bool>(), 1..5).prop_map(|of| list(of.into_iter().map(Value::Bool))),
        date().prop_map(move |text| typed("date", text)),
        time().prop_map(move |text| typed("localtime", text)),
        (time(), zone()).prop_map(move |(time, zone)| typed("time", time + &zone)),
        (date(), time()).prop_map(move |(d, t)| typed("localdatetime", format!("{d}T{t}"))),
        (date(), time(), zone())
            .prop_map(move |(d, t, z)| typed("datetime", format!("{d}T{t}{z}"))),
        (1..99_i64, 1..12_i64, 1..27_i64, 1..59_i64)
            .prop_map(move |(y, m, d, s)| { typed("duration", format!("P{y}Y{m}M{d}DT{s}S")) }),
        [coordinate(), coordinate()].prop_map(move |at| point(7203, at.to_vec())),
        [coordinate(), coordinate()].prop_map(move |at| point(4326, at.to_vec())),
        [coordinate(), coordinate(), coordinate()].prop_map(move |at| point(9157, at.to_vec())),
    ]
}

fn object() -> impl Strategy<Value = Record> {
    // The client signs wrongly where several spaces follow each other, and where one name of metadata
    // begins another: what it cannot send is no fault of a backup.
    let words = || "[a-zA-Z0-9]([!-~]{0,9} [!-~]{0,9}[a-zA-Z0-9])?";
    let content_type = prop_oneof![
        Just("application/octet-stream"),
        Just("text/plain; charset=utf-8"),
        Just("application/json")
    ];
    let cache = prop_oneof![Just(None), Just(Some("private, max-age=60"))];
    let metadata = btree_map("[a-z][a-z0-9]{5}", words(), 0..4);
    let tags =
        btree_map("[a-zA-Z0-9]{1,9}", "[a-zA-Z0-9]([a-zA-Z0-9 +=._:/@-]{0,20}[a-zA-Z0-9])?", 0..4);
    let body = prop_oneof![bytes(2), bytes(3000)];
    let of = ("[a-z0-9 _+%=&'()ü数.-]{0,20}[a-z0-9]", body, content_type, cache, metadata, tags);
    of.prop_map(|(key, body, content_type, cache, metadata, tags)| {
        let texts = |pairs: std::collections::BTreeMap<String, String>| {
            Value::map(pairs.into_iter().map(|(name, text)| (name, Value::Text(text))))
        };
        let headers = cache.map(|text| ("cache-control", Value::text(text)));
        let digest: String =
            Sha256::digest(&body).iter().map(|byte| format!("{byte:02x}")).collect();
        let value = Value::map([
            ("size", Value::Int(body.len() as i64)),
            ("sha256", Value::Text(digest)),
            ("content_type", Value::text(content_type)),
            ("headers", Value::map(headers)),
            ("metadata", texts(metadata)),
            ("tags", texts(tags)),
        ]);
        Record::new("object", key, value).with_payload(body)
    })
}

fn qdrant() -> BoxedStrategy<Vec<Record>> {
    let finite = || any::<u32>().prop_map(f32::from_bits).prop_filter("finite", |x| x.is_finite());
    let dense = move |size: usize| {
        vec(finite(), size).prop_map(|of| list(of.into_iter().map(|x| Value::Float(f64::from(x)))))
    };
    let typed = |kind: &str, value| Value::Typed(kind.into(), Box::new(value));
    let sparse = btree_map(any::<u32>(), finite(), 1..6).prop_map(move |of| {
        let pair = |(at, x)| list([Value::Int(i64::from(at)), Value::Float(f64::from(x))]);
        typed("sparse", list(of.into_iter().map(pair)))
    });
    let multi = vec(dense(2), 1..4).prop_map(move |of| typed("multi", list(of)));
    let named = [dense(4).boxed(), multi.boxed(), sparse.boxed()].map(prop::option::of);
    let named = named.prop_map(|of| {
        let with_names = ["near", "multi", "words"].into_iter().zip(of);
        Value::map(with_names.filter_map(|(name, vector)| Some((name, vector?))))
    });
    let point = |kind: &'static str| {
        move |(at, (payload, vectors)): (usize, (Value, Value))| {
            let id = if at % 3 == 2 { uuid(at) } else { (u64::MAX - at as u64 * 7).to_string() };
            Record::new(kind, id, Value::map([("payload", payload), ("vectors", vectors)]))
        }
    };
    let unnamed = dense(3).prop_map(|vector| Value::map([("", vector)]));
    let all = (vec((payload(), unnamed), 0..8), vec((payload(), named), 0..8));
    let all = all.prop_map(move |(plain, named)| {
        let mut records = collections();
        records.extend(plain.into_iter().enumerate().map(point("point plain")));
        records.extend(named.into_iter().enumerate().map(point("point named")));
        records
    });
    all.boxed()
}

fn uuid(at: usize) -> String {
    format!("0190a5b2-7c3d-7e4f-8a5b-{at:012x}")
}

fn collections() -> Vec<Record> {
    let vector = |size, distance: &str, multi: bool| {
        let multi = multi.then_some(("multi", Value::Bool(true)));
        let form = [("size", Value::Int(size)), ("distance", Value::text(distance))];
        Value::map(form.into_iter().chain(multi))
    };
    let collection = |name: &str, vectors: Value, sparse: Value| {
        let indexes = Value::map([("kind", Value::text("keyword"))]);
        let parts = [("vectors", vectors), ("sparse", sparse), ("indexes", indexes)];
        Record::new("collection", name, Value::map(parts))
    };
    let named =
        Value::map([("near", vector(4, "euclid", false)), ("multi", vector(2, "dot", true))]);
    vec![
        collection("plain", Value::map([("", vector(3, "dot", false))]), list([])),
        collection("named", named, list([Value::text("words")])),
    ]
}

fn payload() -> impl Strategy<Value = Value> {
    let finite = number().prop_filter("finite", |number| number.is_finite());
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        finite.prop_map(Value::Float),
        ".{0,9}".prop_map(Value::Text),
    ];
    let nested = leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::List),
            btree_map(".{1,5}", inner, 0..4).prop_map(Value::Map),
        ]
    });
    btree_map("[a-zü]{1,6}", nested, 0..5).prop_map(Value::Map)
}
