//! Documents, model artefacts and adapters in an object store, and objects of hard sizes and names.

use sha2::{Digest, Sha256};

use super::{Dataset, Document, noise, texts};
use crate::backup::ledger::hex;
use crate::backup::record::{Record, Value};

const MIB: usize = 1024 * 1024;
const BINARY: &str = "application/octet-stream";

pub(super) fn records(dataset: Dataset) -> impl Iterator<Item = Record> + Send {
    let adapters = dataset.documents.div_ceil(50);
    dataset
        .all()
        .map(document)
        .chain((1..=adapters).map(move |number| adapter(dataset, number)))
        .chain(hard(dataset))
}

pub(super) fn canary(key: &str, at_ms: i64) -> Record {
    object(&format!("canaries/{key}"), at_ms.to_string().into_bytes(), "text/plain", [], [])
}

fn object<const M: usize, const T: usize>(
    key: &str,
    body: Vec<u8>,
    content_type: &str,
    metadata: [(&str, &str); M],
    tags: [(&str, &str); T],
) -> Record {
    let pairs = |(name, text): (&str, &str)| (name.to_owned(), Value::text(text));
    let value = Value::map([
        ("size", Value::Int(body.len() as i64)),
        ("sha256", Value::Text(hex(&Sha256::digest(&body)))),
        ("content_type", Value::text(content_type)),
        ("headers", Value::Map(Default::default())),
        ("metadata", Value::map(metadata.map(pairs))),
        ("tags", Value::map(tags.map(pairs))),
    ]);
    Record::new("object", key, value).with_payload(body)
}

fn document(document: Document) -> Record {
    let key = format!("documents/{}.md", document.id);
    let tags = [("topic", document.topic)];
    object(&key, document.body.into_bytes(), "text/markdown", [("document", &document.id)], tags)
}

fn adapter(dataset: Dataset, number: u64) -> Record {
    let body = noise(&mut dataset.random(number.wrapping_add(1 << 40)), 64 * 1024);
    let key = format!("adapters/adapter-{number:04}.bin");
    object(&key, body, BINARY, [("base-model", "sandbox-7b")], [])
}

fn hard(dataset: Dataset) -> impl Iterator<Item = Record> + Send {
    // The border of a part is 8 MiB: just below, on it, just above, and in the third part.
    let sized = [0, 1, 5 * MIB, 8 * MIB - 1, 8 * MIB, 8 * MIB + 1, 17 * MIB];
    let sized = sized.into_iter().map(move |size| {
        let body = noise(&mut dataset.random(size as u64 + (1 << 41)), size);
        object(&format!("models/{size:08}.bin"), body, BINARY, [], [])
    });
    let named = [
        "with space.txt",
        "plus+percent%41.txt",
        "ünïcode-数据.txt",
        "deep/er/path.txt",
        "quote'&amp;<x>.txt",
    ];
    let named = named.into_iter().map(|name| {
        object(
            &format!("hard/{name}"),
            name.as_bytes().to_vec(),
            "text/plain; charset=utf-8",
            [],
            [],
        )
    });
    let long = std::iter::once_with(|| {
        let key = format!("hard/{}", ["long"; 45].join("/"));
        let metadata = [("note", "several words"), ("empty-ish", "-")];
        let tags = [("a", "1"), ("b", "two words")];
        let mut record = object(&key, b"x".to_vec(), "application/json", metadata, tags);
        // An encoding that the body does not have: a client that decodes on its own would fail here.
        let headers = texts([
            ("cache-control", "private, max-age=60".into()),
            ("content-disposition", r#"attachment; filename="x y.json""#.into()),
            ("content-encoding", "gzip".into()),
        ]);
        if let Value::Map(fields) = &mut record.value {
            fields.insert("headers".into(), headers);
        }
        record
    });
    sized.chain(named).chain(long)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// rust-s3 0.38 sorts whole lines of headers where it signs them, and names alone where it lists
    /// them: with `a` and `a-b` among the metadata these are two orders, and a server refuses the
    /// signature. It also signs several spaces in a row as they are, where a server sees one.
    #[test]
    fn no_object_has_headers_that_the_client_signs_wrongly() {
        let dataset = Dataset { seed: 3, documents: 60, base_ms: 0 };
        for record in records(dataset).chain([canary("1", 2)]) {
            let of = |name: &str| match record.value.get(name) {
                Some(Value::Map(pairs)) => pairs.clone(),
                other => panic!("{}: {name} is {other:?}", record.key),
            };
            for (name, value) in of("metadata").iter().chain(of("headers").iter()) {
                let text = value.as_text().expect("text");
                assert!(!text.contains("  ") && text.trim() == text, "{}: {text:?}", record.key);
                let begun = |other: &String| other != name && other.starts_with(name.as_str());
                assert!(!of("metadata").keys().any(begun), "{}: {name}", record.key);
            }
        }
    }
}
