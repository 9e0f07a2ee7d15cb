//! Snapshots: a tar archive with one file, the collection's messages one after the other, each with its
//! length. Whole or refused: a changed or shortened one restores nothing.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use prost::Message;
use qdrant_client::qdrant::{
    CreateCollection, CreateFieldIndexCollection, PointStruct, SnapshotDescription,
};
use sha2::{Digest, Sha256};

use super::collection::Collection;
use super::vectors::as_input;

const BLOCK: usize = 512;
const FILE: &str = "shakedown-collection";

/// A snapshot.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The archive.
    pub bytes: Bytes,
    /// SHA-256 of the archive in hexadecimal digits.
    pub checksum: String,
    created: SystemTime,
}

impl Snapshot {
    /// One of these bytes.
    pub fn new(bytes: Bytes) -> Self {
        Self { checksum: checksum(&bytes), bytes, created: SystemTime::now() }
    }

    /// Seconds since 1970.
    pub fn created_unix(&self) -> i64 {
        let since = self.created.duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    }

    /// What is told of it.
    pub fn describe(&self, name: &str) -> SnapshotDescription {
        SnapshotDescription {
            name: name.to_owned(),
            creation_time: Some(prost_types::Timestamp { seconds: self.created_unix(), nanos: 0 }),
            size: i64::try_from(self.bytes.len()).unwrap_or(i64::MAX),
            checksum: Some(self.checksum.clone()),
        }
    }
}

/// SHA-256 in hexadecimal digits.
pub fn checksum(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A collection as a snapshot.
pub fn take(collection: &Collection) -> Snapshot {
    let mut content = Vec::new();
    let mut put = |message: Vec<u8>| content.extend_from_slice(&message);
    put(collection.form.encode_length_delimited_to_vec());
    put((collection.indexes.len() as u64).encode_length_delimited_to_vec());
    for index in collection.indexes.values() {
        put(index.encode_length_delimited_to_vec());
    }
    put((collection.points.len() as u64).encode_length_delimited_to_vec());
    for (id, point) in &collection.points {
        let point = PointStruct {
            id: Some(id.write()),
            payload: point.payload.clone(),
            vectors: Some(as_input(&point.vectors)),
        };
        put(point.encode_length_delimited_to_vec());
    }
    Snapshot::new(archive(&content).into())
}

/// The collection that a snapshot holds, under a name.
pub fn restore(bytes: &[u8], name: &str) -> Result<Collection, String> {
    let mut content = unarchive(bytes)?;
    let broken = |error: prost::DecodeError| format!("the snapshot is broken: {error}");
    let form = CreateCollection::decode_length_delimited(&mut content).map_err(broken)?;
    let form = CreateCollection { collection_name: name.to_owned(), ..form };
    let mut collection = Collection::new(form).map_err(|status| status.message().to_owned())?;
    let indexes = u64::decode_length_delimited(&mut content).map_err(broken)?;
    for _ in 0..indexes {
        let index = CreateFieldIndexCollection::decode_length_delimited(&mut content);
        let index = index.map_err(broken)?;
        collection.indexes.insert(index.field_name.clone(), index);
    }
    let points = u64::decode_length_delimited(&mut content).map_err(broken)?;
    for _ in 0..points {
        let point = PointStruct::decode_length_delimited(&mut content).map_err(broken)?;
        let admitted = collection.admit(point).map_err(|status| status.message().to_owned())?;
        collection.points.insert(admitted.0, admitted.1);
    }
    if !content.is_empty() {
        return Err("the snapshot is broken: something follows its last point".into());
    }
    Ok(collection)
}

/// A tar archive with one file.
pub(super) fn archive(content: &[u8]) -> Vec<u8> {
    let mut header = [0_u8; BLOCK];
    let mut put =
        |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, FILE);
    put(100, "0000600\0");
    put(108, "0000000\0");
    put(116, "0000000\0");
    put(124, &format!("{:011o}\0", content.len()));
    put(136, "00000000000\0");
    put(148, "        ");
    put(156, "0");
    put(257, "ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut bytes = header.to_vec();
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len().next_multiple_of(BLOCK) + 2 * BLOCK, 0);
    bytes
}

/// The file of a tar archive with one.
fn unarchive(bytes: &[u8]) -> Result<&[u8], String> {
    let no_archive = || "the snapshot is none of this store's: expected its tar archive".to_owned();
    let header = bytes.get(..BLOCK).ok_or_else(no_archive)?;
    let named = header.starts_with(FILE.as_bytes()) && &header[257..262] == b"ustar";
    let octal = |digits: &[u8]| {
        let text = std::str::from_utf8(digits).ok()?;
        usize::from_str_radix(text.trim_matches(['\0', ' ']), 8).ok()
    };
    let length = octal(&header[124..136]).filter(|_| named).ok_or_else(no_archive)?;
    let whole = BLOCK.checked_add(length).ok_or_else(no_archive)?;
    bytes.get(BLOCK..whole).ok_or_else(|| "the snapshot is cut off".to_owned())
}

#[cfg(test)]
mod tests {
    use qdrant_client::qdrant::vectors_config::Config;
    use qdrant_client::qdrant::{Distance, Value, VectorParams, VectorsConfig};

    use super::super::collection::{Id, Point};
    use super::super::vectors::Vector;
    use super::*;

    #[test]
    fn a_collection_survives_and_a_shortened_snapshot_restores_nothing() {
        let params =
            VectorParams { size: 2, distance: Distance::Cosine as i32, ..Default::default() };
        let config = VectorsConfig { config: Some(Config::Params(params)) };
        let form = CreateCollection {
            collection_name: "one".into(),
            vectors_config: Some(config),
            ..CreateCollection::default()
        };
        let mut collection = Collection::new(form).expect("a form");
        let vectors = [(String::new(), Vector::Dense(vec![0.6, 0.8]))].into();
        let payload = [("n".to_owned(), Value::from(i64::MIN))].into();
        collection.points.insert(Id::Uuid(7), Point { payload, vectors });
        let snapshot = take(&collection);
        assert_eq!(snapshot.bytes.len() % BLOCK, 0);
        let back = restore(&snapshot.bytes, "two").expect("restored");
        assert_eq!(back.points, collection.points);
        assert_eq!(back.form.collection_name, "two");
        for length in 0..BLOCK + 40 {
            assert!(restore(&snapshot.bytes[..length], "two").is_err(), "{length} bytes");
        }
        assert!(restore(b"garbage", "two").is_err());
    }
}
