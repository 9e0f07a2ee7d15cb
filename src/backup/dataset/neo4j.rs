//! A knowledge graph in Neo4j: who wrote which document, what it is about, what leads on from it; and
//! nodes with properties of every type.

use super::{Dataset, Document, TOPICS, texts};
use crate::backup::record::{Record, Value};

pub(super) fn records(dataset: Dataset) -> impl Iterator<Item = Record> + Send {
    let topics = TOPICS
        .into_iter()
        .map(|topic| node(&format!("topic-{topic}"), &["Topic"], texts([("name", topic.into())])));
    let users = (1..=dataset.users()).map(|user| {
        node(&format!("user-{user}"), &["User"], Value::map([("number", Value::Int(user as i64))]))
    });
    let documents = dataset.all().map(document);
    let wrote = dataset.all().map(|document| {
        let (key, from) = (format!("wrote-{}", document.id), format!("user-{}", document.author));
        link(&key, "WROTE", &from, &document.id, Value::map::<&str>([]))
    });
    let about = dataset.all().map(|document| {
        let (key, to) = (format!("about-{}", document.id), format!("topic-{}", document.topic));
        let weight = Value::map([("weight", Value::Float(1.0 / document.number as f64))]);
        link(&key, "ABOUT", &document.id, &to, weight)
    });
    topics
        .chain(users)
        .chain(documents)
        .chain(hard_nodes(dataset))
        .chain(wrote)
        .chain(about)
        .chain(hard_links())
}

pub(super) fn canary(key: &str, at_ms: i64) -> Record {
    node(key, &["Canary"], Value::map([("at_ms", Value::Int(at_ms))]))
}

fn node(key: &str, labels: &[&str], properties: Value) -> Record {
    let labels = Value::List(labels.iter().map(|label| Value::text(*label)).collect());
    Record::new("node", key, Value::map([("labels", labels), ("properties", properties)]))
}

fn link(key: &str, kind: &str, from: &str, to: &str, properties: Value) -> Record {
    Record::new(
        "relationship",
        key,
        Value::map([
            ("type", Value::text(kind)),
            ("from", Value::text(from)),
            ("to", Value::text(to)),
            ("properties", properties),
        ]),
    )
}

fn document(document: Document) -> Record {
    let mut properties = texts([("title", document.title), ("sha256", document.sha256)]);
    if let Value::Map(fields) = &mut properties {
        fields.insert("number".into(), Value::Int(document.number as i64));
    }
    node(&document.id, &["Document"], properties)
}

/// A value of a type that has no literal elsewhere, as Neo4j itself prints it.
fn typed(kind: &str, text: &str) -> Value {
    Value::Typed(kind.into(), Box::new(Value::text(text)))
}

fn point(srid: i64, numbers: &[f64]) -> Value {
    let mut parts = vec![Value::Int(srid)];
    parts.extend(numbers.iter().map(|number| Value::Float(*number)));
    Value::Typed("point".into(), Box::new(Value::List(parts)))
}

fn hard_nodes(dataset: Dataset) -> Vec<Record> {
    let scalars = Value::map([
        ("least", Value::Int(i64::MIN)),
        ("most", Value::Int(i64::MAX)),
        ("nan", Value::Float(f64::NAN)),
        ("infinite", Value::Float(f64::NEG_INFINITY)),
        ("negative zero", Value::Float(-0.0)),
        ("whole double", Value::Float(1.0)),
        ("smallest", Value::Float(5e-324)),
        ("no", Value::Bool(false)),
        ("empty", Value::text("")),
        ("text with `tick` and \"quote\"", Value::text("line\nbreak \u{1F642} \\ '")),
        ("seed", Value::Int(dataset.seed as i64)),
        ("bytes", Value::Bytes((0..=255).collect())),
    ]);
    let temporal = Value::map([
        ("date", typed("date", "2026-02-28")),
        ("ancient", typed("date", "-0044-03-15")),
        ("localtime", typed("localtime", "23:59:59.999999999")),
        ("time", typed("time", "12:30:00+05:30")),
        ("localdatetime", typed("localdatetime", "2026-01-01T00:00:00.000000001")),
        ("datetime", typed("datetime", "2026-06-01T12:00:00.5+02:00")),
        ("zoned", typed("datetime", "2026-06-01T12:00:00+02:00[Europe/Berlin]")),
        ("duration", typed("duration", "P1Y2M3DT4.000000005S")),
    ]);
    let lists = Value::map([
        ("empty", Value::List(vec![])),
        ("numbers", Value::List(vec![Value::Int(1), Value::Int(-1)])),
        ("doubles", Value::List(vec![Value::Float(0.1), Value::Float(f64::INFINITY)])),
        ("texts", Value::List(vec![Value::text(""), Value::text("ü")])),
        ("flags", Value::List(vec![Value::Bool(true), Value::Bool(false)])),
        ("flat", point(7203, &[1.5, -2.5])),
        ("earth", point(4326, &[13.4, 52.5])),
        ("space", point(9157, &[1.0, 2.0, 3.0])),
    ]);
    vec![
        node("hard-scalars", &["Hard", "With space", "With`tick"], scalars),
        node("hard-temporal", &["Hard"], temporal),
        node("hard-lists", &[], lists),
        node("hard-nothing", &["Hard"], Value::map::<&str>([])),
    ]
}

fn hard_links() -> Vec<Record> {
    let weight = |weight| Value::map([("weight", Value::Int(weight))]);
    vec![
        // Two of the same type between the same nodes, and one from a node to itself.
        link("hard-parallel-1", "LEADS_TO", "hard-scalars", "hard-lists", weight(1)),
        link("hard-parallel-2", "LEADS_TO", "hard-scalars", "hard-lists", weight(1)),
        link("hard-loop", "LEADS TO `ITSELF`", "hard-lists", "hard-lists", weight(-1)),
    ]
}
