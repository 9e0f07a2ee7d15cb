//! Embeddings with metadata in Qdrant, and a collection with several kinds of vectors and payloads.

use super::{Dataset, Document, EMBEDDING, direction, texts};
use crate::backup::record::{Record, Value};

/// Kind of the canaries' points.
pub(super) const CANARIES: &str = "point canaries";

pub(super) fn records(dataset: Dataset) -> impl Iterator<Item = Record> + Send {
    collections()
        .into_iter()
        .chain(dataset.all().map(move |document| embedding(dataset, &document)))
        .chain(hard(dataset))
}

pub(super) fn canary(sequence: u64, at_ms: i64) -> Record {
    let payload = Value::map([("at_ms", Value::Int(at_ms))]);
    point(CANARIES, &sequence.to_string(), payload, [("", dense(&[1.0]))])
}

fn vector(size: usize, distance: &str) -> Value {
    Value::map([("size", Value::Int(size as i64)), ("distance", Value::text(distance))])
}

fn collection<const N: usize, const M: usize>(
    name: &str,
    vectors: [(&str, Value); N],
    sparse: &[&str],
    indexes: [(&str, &str); M],
) -> Record {
    let indexes = indexes.map(|(field, kind)| (field, Value::text(kind)));
    Record::new(
        "collection",
        name,
        Value::map([
            ("vectors", Value::map(vectors)),
            ("sparse", Value::List(sparse.iter().map(|name| Value::text(*name)).collect())),
            ("indexes", Value::map(indexes)),
        ]),
    )
}

fn collections() -> [Record; 3] {
    let embeddings = [("", vector(EMBEDDING, "cosine"))];
    let mut small = vector(2, "manhattan");
    let mut multi = vector(2, "cosine");
    if let (Value::Map(small), Value::Map(multi)) = (&mut small, &mut multi) {
        small.insert("datatype".into(), Value::text("uint8"));
        multi.insert("multi".into(), Value::Bool(true));
    }
    let near = vector(4, "euclid");
    let hard = [("near", near), ("dot", vector(3, "dot")), ("small", small), ("multi", multi)];
    [
        collection("embeddings", embeddings, &[], [("topic", "keyword"), ("number", "integer")]),
        collection("hard", hard, &["words"], []),
        collection("canaries", [("", vector(1, "euclid"))], &[], []),
    ]
}

fn dense(numbers: &[f32]) -> Value {
    Value::List(numbers.iter().map(|number| Value::Float(f64::from(*number))).collect())
}

fn sparse(pairs: &[(u32, f32)]) -> Value {
    let pair = |(index, number): &(u32, f32)| {
        Value::List(vec![Value::Int(i64::from(*index)), Value::Float(f64::from(*number))])
    };
    Value::Typed("sparse".into(), Box::new(Value::List(pairs.iter().map(pair).collect())))
}

fn point<const N: usize>(
    kind: &str,
    id: &str,
    payload: Value,
    vectors: [(&str, Value); N],
) -> Record {
    Record::new(kind, id, Value::map([("payload", payload), ("vectors", Value::map(vectors))]))
}

fn embedding(dataset: Dataset, document: &Document) -> Record {
    let mut payload = texts([
        ("document", document.id.clone()),
        ("sha256", document.sha256.clone()),
        ("topic", document.topic.into()),
        ("created", format!("2026-01-01T00:00:{:02}Z", document.number % 60)),
    ]);
    if let Value::Map(fields) = &mut payload {
        fields.insert("number".into(), Value::Int(document.number as i64));
        fields.insert("seed".into(), Value::Int(dataset.seed as i64));
    }
    let id = document.number.to_string();
    point("point embeddings", &id, payload, [("", dense(&document.embedding))])
}

fn hard(dataset: Dataset) -> Vec<Record> {
    let mut random = dataset.random(u64::MAX - 2);
    let payload = Value::map([
        ("least", Value::Int(i64::MIN)),
        ("most", Value::Int(i64::MAX)),
        ("whole double", Value::Float(1.0)),
        ("tenth", Value::Float(0.1)),
        ("yes", Value::Bool(true)),
        ("nothing", Value::Null),
        ("empty list", Value::List(vec![])),
        ("empty map", Value::Map(Default::default())),
        (
            "nested",
            Value::map([("a", Value::List(vec![Value::Int(1), Value::Null, Value::text("ü")]))]),
        ),
        ("moment", Value::text("2026-02-28T23:59:59.999999Z")),
        ("place", Value::map([("lon", Value::Float(13.4)), ("lat", Value::Float(52.5))])),
        ("unicode 🙂", Value::text("✓ 数据")),
    ]);
    let near = dense(&direction(&mut random, 4));
    let odd = dense(&[0.0, -1.5, f32::MIN_POSITIVE, 1e30]);
    let multi = Value::List(vec![dense(&[1.0, 0.0]), dense(&[0.0, -1.0]), dense(&[1.0, 0.0])]);
    let multi = Value::Typed("multi".into(), Box::new(multi));
    let hard = "point hard";
    vec![
        point(hard, "0", payload, [("near", near), ("dot", dense(&[1.0, 2.0, 3.0]))]),
        point(hard, "18446744073709551615", Value::map::<&str>([]), [("near", odd)]),
        point(
            hard,
            "0190a5b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b",
            Value::map([("kind", Value::text("uuid"))]),
            [
                ("words", sparse(&[(0, 0.5), (7, 1.25), (4_294_967_295, -3.0)])),
                ("small", dense(&[0.0, 255.0])),
                ("multi", multi),
            ],
        ),
    ]
}
