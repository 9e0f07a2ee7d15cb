//! What the drill puts into the stores: what a platform would hold, correlated (one synthetic document
//! is in all five), and beside it the values that backups get wrong. Everything follows from the seed,
//! so that what should be there can be told at any time without having kept it.

mod minio;
mod neo4j;
mod postgres;
mod qdrant;
mod redis;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use sha2::{Digest, Sha256};

use super::ledger::hex;
use super::record::{Record, Value};
use crate::config::StoreKind;

/// Dimensions of an embedding.
pub const EMBEDDING: usize = 32;
/// Documents whose sizes say how large all are.
const SAMPLE: u64 = 200;
const TOPICS: [&str; 8] =
    ["billing", "security", "onboarding", "retrieval", "prompting", "latency", "privacy", "tools"];
const WORDS: [&str; 24] = [
    "the",
    "model",
    "answers",
    "from",
    "its",
    "context",
    "when",
    "a",
    "passage",
    "is",
    "found",
    "otherwise",
    "it",
    "says",
    "so",
    "and",
    "asks",
    "for",
    "more",
    "tokens",
    "überprüft",
    "数据",
    "naïve",
    "✓",
];

/// A canary's key begins with it.
pub const CANARY: &str = "canary-";

/// What one drill puts into the stores.
#[derive(Clone, Copy, Debug)]
pub struct Dataset {
    /// From which everything follows.
    pub seed: u64,
    /// Number of correlated documents.
    pub documents: u64,
    /// From when lifetimes count, milliseconds since 1970.
    pub base_ms: i64,
}

/// A synthetic document that exists in all five stores.
#[derive(Clone, Debug)]
pub struct Document {
    /// Its number, from 1.
    pub number: u64,
    /// Its name, such as `doc-0000001`.
    pub id: String,
    /// Number of the user who wrote it.
    pub author: u64,
    /// What it is about.
    pub topic: &'static str,
    /// One line.
    pub title: String,
    /// About two kilobytes of text.
    pub body: String,
    /// SHA-256 of the body in hexadecimal digits: each store holds it, which ties them together.
    pub sha256: String,
    /// Its embedding, of length one: a server that normalises leaves it as it is.
    pub embedding: Vec<f32>,
}

/// Name of a document.
pub fn document_id(number: u64) -> String {
    format!("doc-{number:07}")
}

/// The document's name in a key, such as `doc-0000001` in `documents/doc-0000001.md`.
fn document_in(key: &str) -> Option<&str> {
    let name = &key[key.find("doc-")?..];
    let end = 4 + name[4..].find(|c: char| !c.is_ascii_digit()).unwrap_or(name.len() - 4);
    Some(&name[..end])
}

/// The document that a record is about and the digest of its body, as this store holds them.
pub fn document_of(kind: StoreKind, record: &Record) -> Option<(String, String)> {
    let digest = match kind {
        StoreKind::Postgres if record.kind == "row documents" => record.value.get("sha256"),
        StoreKind::Redis if record.key.starts_with("cache:doc-") => redis::body_digest(record),
        StoreKind::Qdrant if record.kind == "point embeddings" => {
            let payload = record.value.get("payload")?;
            let name = payload.get("document")?.as_text()?.to_owned();
            return Some((name, payload.get("sha256")?.as_text()?.to_owned()));
        }
        StoreKind::Neo4j if record.key.starts_with("doc-") => {
            record.value.get("properties").and_then(|properties| properties.get("sha256"))
        }
        StoreKind::Minio if record.key.starts_with("documents/doc-") => record.value.get("sha256"),
        _ => None,
    };
    let digest = match digest? {
        Value::Text(digest) => digest.clone(),
        Value::Bytes(digest) => String::from_utf8_lossy(digest).into_owned(),
        _ => return None,
    };
    Some((document_in(&record.key)?.to_owned(), digest))
}

impl Dataset {
    /// Everything that belongs into one store, in the order in which it can be written.
    pub fn records(self, kind: StoreKind) -> Box<dyn Iterator<Item = Record> + Send> {
        match kind {
            StoreKind::Postgres => Box::new(postgres::records(self)),
            StoreKind::Redis => Box::new(redis::records(self)),
            StoreKind::Qdrant => Box::new(qdrant::records(self)),
            StoreKind::Neo4j => Box::new(neo4j::records(self)),
            StoreKind::Minio => Box::new(minio::records(self)),
        }
    }

    /// What the canary writer adds at a moment.
    pub fn canary(kind: StoreKind, sequence: u64, at_ms: i64) -> Record {
        let key = format!("{CANARY}{sequence:06}");
        match kind {
            StoreKind::Postgres => postgres::canary(&key, at_ms),
            StoreKind::Redis => redis::canary(&key, at_ms),
            StoreKind::Qdrant => qdrant::canary(sequence, at_ms),
            StoreKind::Neo4j => neo4j::canary(&key, at_ms),
            StoreKind::Minio => minio::canary(&key, at_ms),
        }
    }

    /// About how many bytes it takes in a store.
    pub fn estimated_bytes(self, kind: StoreKind) -> u64 {
        let sizes = |documents| -> u64 {
            Self { documents, ..self }.records(kind).map(|record| record.size() as u64).sum()
        };
        if self.documents <= SAMPLE {
            return sizes(self.documents);
        }
        let fixed = sizes(0);
        fixed + (sizes(SAMPLE) - fixed) * self.documents / SAMPLE
    }

    /// The documents, one by one.
    fn all(self) -> impl Iterator<Item = Document> + Send {
        (1..=self.documents).map(move |number| self.document(number))
    }

    /// Number of users.
    const fn users(self) -> u64 {
        self.documents.div_ceil(10)
    }

    fn random(self, what: u64) -> StdRng {
        StdRng::seed_from_u64(self.seed ^ what.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// One document.
    pub fn document(self, number: u64) -> Document {
        let mut random = self.random(number);
        let topic = *TOPICS.choose(&mut random).unwrap_or(&TOPICS[0]);
        let body = text(&mut random, 300);
        Document {
            number,
            id: document_id(number),
            author: number % self.users().max(1) + 1,
            topic,
            title: format!("{topic}: {}", text(&mut random, 5)),
            sha256: hex(&Sha256::digest(&body)),
            body,
            embedding: direction(&mut random, EMBEDDING),
        }
    }
}

fn text(random: &mut StdRng, words: usize) -> String {
    let chosen = (0..words).map(|_| *WORDS.choose(random).unwrap_or(&WORDS[0]));
    chosen.collect::<Vec<_>>().join(" ")
}

/// Bytes that do not compress.
fn noise(random: &mut StdRng, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    random.fill(bytes.as_mut_slice());
    bytes
}

/// A vector of length one.
fn direction(random: &mut StdRng, dimensions: usize) -> Vec<f32> {
    let raw: Vec<f64> = (0..dimensions).map(|_| random.random_range(-1.0..1.0)).collect();
    let length = raw.iter().map(|x| x * x).sum::<f64>().sqrt().max(f64::MIN_POSITIVE);
    raw.iter().map(|x| (x / length) as f32).collect()
}

/// Whether a record of that name is a canary.
pub fn is_canary(name: &str) -> bool {
    canary_sequence(name).is_some()
}

/// The sequence number of a canary, from a record's name. Points have numbers for names.
pub fn canary_sequence(name: &str) -> Option<u64> {
    let number = name.strip_prefix(qdrant::CANARIES).map(str::trim_start);
    number.or_else(|| name.rsplit_once(CANARY).map(|(_, number)| number))?.parse().ok()
}

/// A moment as the stores write it, such as `2026-01-01 00:00:00+00`.
fn moment(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds)
        .map_or_else(|_| "epoch".into(), |at| at.strftime("%Y-%m-%d %H:%M:%S+00").to_string())
}

fn texts<const N: usize>(pairs: [(&str, String); N]) -> Value {
    Value::map(pairs.map(|(name, text)| (name, Value::Text(text))))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const DATASET: Dataset = Dataset { seed: 7, documents: 30, base_ms: 1_900_000_000_000 };

    #[test]
    fn the_same_seed_gives_the_same_and_no_name_twice() {
        for kind in StoreKind::ALL {
            let once: Vec<_> = DATASET.records(kind).map(|r| (r.name(), r.digest())).collect();
            let again: Vec<_> = DATASET.records(kind).map(|r| (r.name(), r.digest())).collect();
            assert_eq!(once, again);
            let names: BTreeSet<_> = once.iter().map(|(name, _)| name).collect();
            assert_eq!(names.len(), once.len(), "{kind}");
            let other = Dataset { seed: 8, ..DATASET };
            assert_ne!(
                once,
                other.records(kind).map(|r| (r.name(), r.digest())).collect::<Vec<_>>()
            );
        }
    }

    #[test]
    fn every_document_is_in_all_five_stores_with_the_same_digest() {
        let of = |kind| -> BTreeSet<_> {
            DATASET.records(kind).filter_map(|record| document_of(kind, &record)).collect()
        };
        let expected: BTreeSet<_> = DATASET.all().map(|d| (d.id, d.sha256)).collect();
        assert_eq!(expected.len(), 30);
        for kind in StoreKind::ALL {
            assert_eq!(of(kind), expected, "{kind}");
        }
    }

    #[test]
    fn canaries_are_known_in_every_store() {
        for kind in StoreKind::ALL {
            let name = Dataset::canary(kind, 12, 0).name();
            assert!(is_canary(&name), "{name}");
            assert_eq!(canary_sequence(&name), Some(12), "{name}");
            assert!(DATASET.records(kind).all(|record| !is_canary(&record.name())));
        }
    }

    #[test]
    fn an_estimate_is_near_what_it_takes() {
        let larger = Dataset { documents: 400, ..DATASET };
        for kind in StoreKind::ALL {
            let real: u64 = larger.records(kind).map(|record| record.size() as u64).sum();
            let estimated = larger.estimated_bytes(kind);
            assert!(estimated.abs_diff(real) * 10 < real, "{kind}: {estimated} for {real}");
        }
    }
}
