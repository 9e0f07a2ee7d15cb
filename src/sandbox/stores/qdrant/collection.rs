//! A collection: its form, its points in the order of their ids, and its snapshots.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use qdrant_client::qdrant::point_id::PointIdOptions;
use qdrant_client::qdrant::vectors_config::Config;
use qdrant_client::qdrant::{
    CreateCollection, CreateFieldIndexCollection, Datatype, Distance, PointId, PointStruct, Value,
    VectorParams,
};
use tonic::Status;

use super::snapshot::Snapshot;
use super::vectors::{Vector, read_all};

/// Longest name of a collection.
const MAX_NAME_BYTES: usize = 255;
/// Most dimensions of a vector.
const MAX_DIMENSIONS: u64 = 65_535;

/// An id: numbers come before UUIDs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Id {
    /// A number.
    Number(u64),
    /// A UUID.
    Uuid(u128),
}

impl Id {
    /// An id as it comes.
    pub fn read(id: Option<&PointId>) -> Result<Self, Status> {
        match id.and_then(|id| id.point_id_options.as_ref()) {
            Some(PointIdOptions::Num(number)) => Ok(Self::Number(*number)),
            Some(PointIdOptions::Uuid(text)) => uuid(text)
                .map(Self::Uuid)
                .ok_or_else(|| Status::invalid_argument(format!("Unable to parse UUID: {text}"))),
            None => Err(Status::invalid_argument("Empty ID is not allowed")),
        }
    }

    /// The same as it goes.
    pub fn write(self) -> PointId {
        let options = match self {
            Self::Number(number) => PointIdOptions::Num(number),
            Self::Uuid(_) => PointIdOptions::Uuid(self.to_string()),
        };
        PointId { point_id_options: Some(options) }
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Uuid(number) => {
                let digits = format!("{number:032x}");
                let (a, b, c) = (&digits[..8], &digits[8..12], &digits[12..16]);
                write!(f, "{a}-{b}-{c}-{}-{}", &digits[16..20], &digits[20..])
            }
        }
    }
}

/// A UUID with hyphens or without.
fn uuid(text: &str) -> Option<u128> {
    let bare = text.strip_prefix("urn:uuid:").unwrap_or(text);
    let hyphens: Vec<usize> = bare.match_indices('-').map(|(at, _)| at).collect();
    let digits: String = bare.chars().filter(|c| *c != '-').collect();
    let formed = hyphens.is_empty() || hyphens == [8, 13, 18, 23];
    let all_digits = digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    (formed && all_digits).then(|| u128::from_str_radix(&digits, 16).ok()).flatten()
}

/// A point.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Point {
    /// Fields.
    pub payload: HashMap<String, Value>,
    /// Vectors by name; the unnamed one is under the empty name.
    pub vectors: BTreeMap<String, Vector>,
}

/// A collection.
#[derive(Debug)]
pub struct Collection {
    /// As it was created.
    pub form: CreateCollection,
    /// Dense vectors that a point may have.
    pub dense: BTreeMap<String, VectorParams>,
    /// Points.
    pub points: BTreeMap<Id, Point>,
    /// Indexes over fields of the payload, as they were created. Filters find without them.
    pub indexes: BTreeMap<String, CreateFieldIndexCollection>,
    /// Snapshots by name.
    pub snapshots: BTreeMap<String, Snapshot>,
}

impl Collection {
    /// An empty one.
    pub fn new(form: CreateCollection) -> Result<Self, Status> {
        check_name(&form.collection_name)?;
        let dense: BTreeMap<String, VectorParams> =
            match form.vectors_config.clone().and_then(|config| config.config) {
                None => BTreeMap::new(),
                Some(Config::Params(params)) => [(String::new(), params)].into(),
                Some(Config::ParamsMap(map)) => map.map.into_iter().collect(),
            };
        for (name, params) in &dense {
            check_vector(name, params)?;
        }
        Ok(Self {
            form,
            dense,
            points: BTreeMap::new(),
            indexes: BTreeMap::new(),
            snapshots: BTreeMap::new(),
        })
    }

    /// Whether a name is that of a sparse vector.
    pub fn is_sparse(&self, name: &str) -> bool {
        self.form.sparse_vectors_config.as_ref().is_some_and(|config| config.map.contains_key(name))
    }

    /// Reads a point and fits it to the collection.
    pub fn admit(&self, point: PointStruct) -> Result<(Id, Point), Status> {
        let id = Id::read(point.id.as_ref())?;
        let vectors = read_all(self, point.vectors)?;
        Ok((id, Point { payload: point.payload, vectors }))
    }
}

fn check_name(name: &str) -> Result<(), Status> {
    let forbidden = |c: char| c.is_control() || "<>:\"/\\|?*".contains(c);
    if name.is_empty() || name.len() > MAX_NAME_BYTES || name.contains(forbidden) {
        return Err(Status::invalid_argument(format!(
            "`{}` is no name of a collection",
            name.escape_debug()
        )));
    }
    Ok(())
}

fn check_vector(name: &str, params: &VectorParams) -> Result<(), Status> {
    if !(1..=MAX_DIMENSIONS).contains(&params.size) {
        let reason = format!("vector `{name}`: expected 1 to {MAX_DIMENSIONS} dimensions");
        return Err(Status::invalid_argument(reason));
    }
    if matches!(Distance::try_from(params.distance), Err(_) | Ok(Distance::UnknownDistance)) {
        return Err(Status::invalid_argument(format!("vector `{name}`: unknown distance")));
    }
    let datatype = Datatype::try_from(params.datatype.unwrap_or(0));
    match datatype {
        Ok(Datatype::Default | Datatype::Float32 | Datatype::Uint8) => Ok(()),
        _ => Err(Status::unimplemented(format!(
            "vector `{name}`: the sandbox's store keeps only 32-bit floats and bytes"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_ordered_and_written_in_one_form() {
        let read = |text: &str| Id::read(Some(&PointId::from(text)));
        let uuid = read("0190A5B2-7c3d-7e4f-8a5b-6c7d8e9f0a1b").expect("a UUID");
        assert_eq!(uuid.to_string(), "0190a5b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b");
        assert_eq!(read("0190a5b27c3d7e4f8a5b6c7d8e9f0a1b").expect("without hyphens"), uuid);
        assert!(Id::Number(u64::MAX) < uuid);
        for wrong in
            ["", "xyz", "0190a5b2-7c3d-7e4f-8a5b6c7d8e9f0a1b-", "+190a5b27c3d7e4f8a5b6c7d8e9f0a1b"]
        {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        assert!(Id::read(None).is_err());
    }
}
