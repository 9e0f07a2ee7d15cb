//! What a collection is defined by: its vectors, and the indexes over its payload.

use std::collections::HashMap;

use qdrant_client::qdrant::vectors_config::Config;
use qdrant_client::qdrant::{
    CollectionInfo, CreateCollection, CreateFieldIndexCollection, Datatype, Distance, FieldType,
    MultiVectorComparator, MultiVectorConfig, PayloadSchemaType, SparseVectorConfig,
    SparseVectorParams, VectorParams, VectorParamsMap, VectorsConfig,
};

use super::super::DrillError;
use crate::backup::record::{Record, Value};

const DISTANCES: [(&str, Distance); 4] = [
    ("cosine", Distance::Cosine),
    ("euclid", Distance::Euclid),
    ("dot", Distance::Dot),
    ("manhattan", Distance::Manhattan),
];
const DATATYPES: [(&str, Datatype); 3] =
    [("float32", Datatype::Float32), ("uint8", Datatype::Uint8), ("float16", Datatype::Float16)];
/// An index's kind: its name, as it is created, as it is told.
const INDEXES: [(&str, FieldType, PayloadSchemaType); 8] = [
    ("keyword", FieldType::Keyword, PayloadSchemaType::Keyword),
    ("integer", FieldType::Integer, PayloadSchemaType::Integer),
    ("float", FieldType::Float, PayloadSchemaType::Float),
    ("geo", FieldType::Geo, PayloadSchemaType::Geo),
    ("text", FieldType::Text, PayloadSchemaType::Text),
    ("bool", FieldType::Bool, PayloadSchemaType::Bool),
    ("datetime", FieldType::Datetime, PayloadSchemaType::Datetime),
    ("uuid", FieldType::Uuid, PayloadSchemaType::Uuid),
];

fn not_known(what: &str, which: impl std::fmt::Display) -> DrillError {
    DrillError::Wrong(format!("a {what} that is not known: {which}"))
}

/// A collection as a record.
pub(super) fn read(name: &str, info: CollectionInfo) -> Result<Record, DrillError> {
    let params = info.config.and_then(|config| config.params).unwrap_or_default();
    let mut vectors = Vec::new();
    match params.vectors_config.and_then(|config| config.config) {
        Some(Config::Params(params)) => vectors.push((String::new(), read_vector(&params)?)),
        Some(Config::ParamsMap(map)) => {
            for (name, params) in map.map {
                vectors.push((name, read_vector(&params)?));
            }
        }
        None => {}
    }
    let sparse = params.sparse_vectors_config.map(|config| config.map).unwrap_or_default();
    let mut sparse: Vec<_> = sparse.into_keys().collect();
    sparse.sort();
    let mut indexes = Vec::new();
    for (field, schema) in info.payload_schema {
        let known = INDEXES.iter().find(|(_, _, told)| *told as i32 == schema.data_type);
        let (kind, ..) = known.ok_or_else(|| not_known("payload index", schema.data_type))?;
        indexes.push((field, Value::text(*kind)));
    }
    let value = Value::map([
        ("vectors", Value::map(vectors)),
        ("sparse", Value::List(sparse.into_iter().map(Value::Text).collect())),
        ("indexes", Value::map(indexes)),
    ]);
    Ok(Record::new("collection", name, value))
}

fn read_vector(params: &VectorParams) -> Result<Value, DrillError> {
    let distance = DISTANCES.iter().find(|(_, known)| *known as i32 == params.distance);
    let (distance, _) = distance.ok_or_else(|| not_known("distance", params.distance))?;
    let mut parts =
        vec![("size", Value::Int(params.size as i64)), ("distance", Value::text(*distance))];
    // What it is when nothing is said.
    let plain = [Datatype::Default as i32, Datatype::Float32 as i32];
    if let Some(datatype) = params.datatype.filter(|datatype| !plain.contains(datatype)) {
        let known = DATATYPES.iter().find(|(_, known)| *known as i32 == datatype);
        let (name, _) = known.ok_or_else(|| not_known("datatype", datatype))?;
        parts.push(("datatype", Value::text(*name)));
    }
    if params.multivector_config.is_some() {
        parts.push(("multi", Value::Bool(true)));
    }
    Ok(Value::map(parts))
}

/// What creates a record's collection under its full name, and then its indexes.
pub(super) fn create(
    full_name: &str,
    record: &Record,
) -> Result<(CreateCollection, Vec<CreateFieldIndexCollection>), DrillError> {
    let Some(Value::Map(vectors)) = record.value.get("vectors") else {
        return Err(not_known("collection", &record.key));
    };
    let config = match vectors.get("") {
        Some(unnamed) => Config::Params(write_vector(unnamed)?),
        None => Config::ParamsMap(VectorParamsMap {
            map: vectors
                .iter()
                .map(|(name, vector)| Ok((name.clone(), write_vector(vector)?)))
                .collect::<Result<_, DrillError>>()?,
        }),
    };
    let sparse = record.value.get("sparse").map(Value::items).unwrap_or_default();
    let sparse: HashMap<String, SparseVectorParams> = sparse
        .iter()
        .filter_map(|name| Some((name.as_text()?.to_owned(), SparseVectorParams::default())))
        .collect();
    let collection = CreateCollection {
        collection_name: full_name.to_owned(),
        vectors_config: Some(VectorsConfig { config: Some(config) }),
        sparse_vectors_config: (!sparse.is_empty()).then_some(SparseVectorConfig { map: sparse }),
        ..CreateCollection::default()
    };
    let mut indexes = Vec::new();
    if let Some(Value::Map(fields)) = record.value.get("indexes") {
        for (field, kind) in fields {
            let kind = kind.as_text().unwrap_or_default();
            let known = INDEXES.iter().find(|(name, ..)| *name == kind);
            let (_, kind, _) = known.ok_or_else(|| not_known("payload index", kind))?;
            indexes.push(CreateFieldIndexCollection {
                collection_name: full_name.to_owned(),
                wait: Some(true),
                field_name: field.clone(),
                field_type: Some(*kind as i32),
                ..CreateFieldIndexCollection::default()
            });
        }
    }
    Ok((collection, indexes))
}

fn write_vector(value: &Value) -> Result<VectorParams, DrillError> {
    let text = |name: &str| value.get(name).and_then(Value::as_text);
    let distance = text("distance").unwrap_or_default();
    let known = DISTANCES.iter().find(|(name, _)| *name == distance);
    let (_, distance) = known.ok_or_else(|| not_known("distance", distance))?;
    let datatype = match text("datatype") {
        None => None,
        Some(name) => {
            let known = DATATYPES.iter().find(|(known, _)| *known == name);
            Some(known.ok_or_else(|| not_known("datatype", name))?.1 as i32)
        }
    };
    let multi = value.get("multi").is_some();
    Ok(VectorParams {
        size: value.get("size").and_then(Value::as_int).unwrap_or(0).unsigned_abs(),
        distance: *distance as i32,
        datatype,
        multivector_config: multi
            .then_some(MultiVectorConfig { comparator: MultiVectorComparator::MaxSim as i32 }),
        ..VectorParams::default()
    })
}

#[cfg(test)]
mod tests {
    use qdrant_client::qdrant::{CollectionConfig, CollectionParams, PayloadSchemaInfo};

    use super::*;
    use crate::backup::dataset::Dataset;
    use crate::config::StoreKind;

    #[test]
    fn a_definition_that_a_server_keeps_is_read_back_the_same() {
        let dataset = Dataset { seed: 3, documents: 1, base_ms: 0 };
        for record in dataset.records(StoreKind::Qdrant).filter(|r| r.kind == "collection") {
            let (collection, indexes) = create("sd_drill_x_y", &record).expect("created");
            let told = |index: &CreateFieldIndexCollection| {
                let known =
                    INDEXES.iter().find(|(_, kind, _)| Some(*kind as i32) == index.field_type);
                known.expect("known").2 as i32
            };
            let params = CollectionParams {
                vectors_config: collection.vectors_config,
                sparse_vectors_config: collection.sparse_vectors_config,
                ..CollectionParams::default()
            };
            let info = CollectionInfo {
                config: Some(CollectionConfig { params: Some(params), ..Default::default() }),
                payload_schema: indexes
                    .iter()
                    .map(|index| {
                        let schema =
                            PayloadSchemaInfo { data_type: told(index), ..Default::default() };
                        (index.field_name.clone(), schema)
                    })
                    .collect(),
                ..CollectionInfo::default()
            };
            assert_eq!(read(&record.key, info).expect("read"), record);
        }
    }
}
