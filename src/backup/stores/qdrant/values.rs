//! Points and payloads between the protocol's form and the records'. Over gRPC a payload keeps whole
//! numbers and doubles apart; over REST it would not.

use std::collections::HashMap;

use qdrant_client::qdrant::point_id::PointIdOptions;
use qdrant_client::qdrant::value::Kind;
use qdrant_client::qdrant::vector::Vector as Form;
use qdrant_client::qdrant::vectors::VectorsOptions;
use qdrant_client::qdrant::{
    DenseVector, ListValue, MultiDenseVector, NamedVectors, PointId, PointStruct, RetrievedPoint,
    SparseVector, Struct, Value as Payload, Vector, VectorOutput, Vectors, vector_output,
    vectors_output,
};

use super::super::DrillError;
use crate::backup::record::{Record, Value};

fn wrong(what: &str) -> DrillError {
    DrillError::Wrong(what.to_owned())
}

pub(super) fn id_text(id: Option<&PointId>) -> Result<String, DrillError> {
    match id.and_then(|id| id.point_id_options.as_ref()) {
        Some(PointIdOptions::Num(number)) => Ok(number.to_string()),
        Some(PointIdOptions::Uuid(uuid)) => Ok(uuid.clone()),
        None => Err(wrong("a point without an id")),
    }
}

pub(super) fn id_of(text: &str) -> PointId {
    text.parse::<u64>().map_or_else(|_| PointId::from(text), PointId::from)
}

/// A point as a record.
pub(super) fn read_point(kind: &str, point: RetrievedPoint) -> Result<Record, DrillError> {
    let id = id_text(point.id.as_ref())?;
    let payload = read_fields(point.payload);
    let options = point.vectors.and_then(|vectors| vectors.vectors_options);
    let vectors: Vec<(String, Value)> = match options {
        None => Vec::new(),
        Some(vectors_output::VectorsOptions::Vector(vector)) => {
            vec![(String::new(), read_vector(vector)?)]
        }
        Some(vectors_output::VectorsOptions::Vectors(named)) => named
            .vectors
            .into_iter()
            .map(|(name, vector)| Ok((name, read_vector(vector)?)))
            .collect::<Result<_, DrillError>>()?,
    };
    let value = Value::map([("payload", payload), ("vectors", Value::map(vectors))]);
    Ok(Record::new(kind, id, value))
}

/// A record as a point.
pub(super) fn write_point(record: &Record) -> Result<PointStruct, DrillError> {
    let Some(Value::Map(fields)) = record.value.get("payload") else {
        return Err(wrong("a point without a payload"));
    };
    let Some(Value::Map(vectors)) = record.value.get("vectors") else {
        return Err(wrong("a point without vectors"));
    };
    let payload = fields
        .iter()
        .map(|(name, value)| Ok((name.clone(), write_payload(value)?)))
        .collect::<Result<HashMap<_, _>, DrillError>>()?;
    let options = match vectors.get("") {
        Some(unnamed) => VectorsOptions::Vector(write_vector(unnamed)?),
        None => VectorsOptions::Vectors(NamedVectors {
            vectors: vectors
                .iter()
                .map(|(name, vector)| Ok((name.clone(), write_vector(vector)?)))
                .collect::<Result<_, DrillError>>()?,
        }),
    };
    let vectors = Some(Vectors { vectors_options: Some(options) });
    Ok(PointStruct { id: Some(id_of(&record.key)), payload, vectors })
}

fn read_fields(fields: HashMap<String, Payload>) -> Value {
    Value::map(fields.into_iter().map(|(name, value)| (name, read_payload(value))))
}

fn read_payload(value: Payload) -> Value {
    match value.kind {
        None | Some(Kind::NullValue(_)) => Value::Null,
        Some(Kind::BoolValue(value)) => Value::Bool(value),
        Some(Kind::IntegerValue(value)) => Value::Int(value),
        Some(Kind::DoubleValue(value)) => Value::Float(value),
        Some(Kind::StringValue(value)) => Value::Text(value),
        Some(Kind::ListValue(list)) => {
            Value::List(list.values.into_iter().map(read_payload).collect())
        }
        Some(Kind::StructValue(fields)) => read_fields(fields.fields),
    }
}

fn write_payload(value: &Value) -> Result<Payload, DrillError> {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(value) => Kind::BoolValue(*value),
        Value::Int(value) => Kind::IntegerValue(*value),
        Value::Float(value) => Kind::DoubleValue(*value),
        Value::Text(value) => Kind::StringValue(value.clone()),
        Value::List(items) => {
            let values = items.iter().map(write_payload).collect::<Result<_, _>>()?;
            Kind::ListValue(ListValue { values })
        }
        Value::Map(entries) => {
            let fields = entries
                .iter()
                .map(|(name, value)| Ok((name.clone(), write_payload(value)?)))
                .collect::<Result<_, DrillError>>()?;
            Kind::StructValue(Struct { fields })
        }
        Value::Bytes(_) | Value::Typed(..) => return Err(wrong("no type of a payload")),
    };
    Ok(Payload { kind: Some(kind) })
}

fn dense(numbers: Vec<f32>) -> Value {
    Value::List(numbers.into_iter().map(|number| Value::Float(f64::from(number))).collect())
}

fn read_vector(vector: VectorOutput) -> Result<Value, DrillError> {
    Ok(match vector.into_vector() {
        vector_output::Vector::Dense(vector) => dense(vector.data),
        vector_output::Vector::MultiDense(vectors) => {
            let vectors = vectors.vectors.into_iter().map(|vector| dense(vector.data)).collect();
            Value::Typed("multi".into(), Box::new(Value::List(vectors)))
        }
        vector_output::Vector::Sparse(SparseVector { values, indices }) => {
            if values.len() != indices.len() {
                return Err(wrong("a sparse vector with another number of places than values"));
            }
            let mut pairs: Vec<_> = indices.into_iter().zip(values).collect();
            // They have no order.
            pairs.sort_by_key(|(index, _)| *index);
            let pair = |(index, number): (u32, f32)| {
                Value::List(vec![Value::Int(i64::from(index)), Value::Float(f64::from(number))])
            };
            let pairs = pairs.into_iter().map(pair).collect();
            Value::Typed("sparse".into(), Box::new(Value::List(pairs)))
        }
    })
}

pub(super) fn numbers(list: &Value) -> Result<Vec<f32>, DrillError> {
    let number = |value: &Value| match value {
        Value::Float(number) => Ok(*number as f32),
        _ => Err(wrong("a vector of something else than numbers")),
    };
    list.items().iter().map(number).collect()
}

fn write_vector(value: &Value) -> Result<Vector, DrillError> {
    let form = match value {
        Value::List(_) => Form::Dense(DenseVector { data: numbers(value)? }),
        Value::Typed(kind, parts) if kind == "sparse" => Form::Sparse(write_sparse(parts)?),
        Value::Typed(kind, parts) if kind == "multi" => {
            let one = |part| Ok(DenseVector { data: numbers(part)? });
            let vectors = parts.items().iter().map(one).collect::<Result<_, DrillError>>()?;
            Form::MultiDense(MultiDenseVector { vectors })
        }
        _ => return Err(wrong("no form of a vector")),
    };
    Ok(Vector { vector: Some(form), ..Vector::default() })
}

fn write_sparse(pairs: &Value) -> Result<SparseVector, DrillError> {
    let mut sparse = SparseVector::default();
    for pair in pairs.items() {
        let [Value::Int(index), Value::Float(number)] = pair.items() else {
            return Err(wrong("a sparse vector of something else than pairs"));
        };
        sparse.indices.push(u32::try_from(*index).map_err(|_| wrong("no place in a vector"))?);
        sparse.values.push(*number as f32);
    }
    Ok(sparse)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::backup::dataset::Dataset;
    use crate::backup::record::tests::any_value;
    use crate::config::StoreKind;

    /// What a server would answer that keeps what it was given.
    fn kept(point: PointStruct) -> RetrievedPoint {
        let output = |vector: Vector| VectorOutput {
            vector: vector.vector.map(|form| match form {
                Form::Dense(vector) => vector_output::Vector::Dense(vector),
                Form::Sparse(vector) => vector_output::Vector::Sparse(vector),
                Form::MultiDense(vectors) => vector_output::Vector::MultiDense(vectors),
                other => panic!("not a vector of ours: {other:?}"),
            }),
            ..VectorOutput::default()
        };
        let options = match point.vectors.and_then(|vectors| vectors.vectors_options) {
            Some(VectorsOptions::Vector(vector)) => {
                vectors_output::VectorsOptions::Vector(output(vector))
            }
            Some(VectorsOptions::Vectors(named)) => {
                vectors_output::VectorsOptions::Vectors(qdrant_client::qdrant::NamedVectorsOutput {
                    vectors: named.vectors.into_iter().map(|(n, v)| (n, output(v))).collect(),
                })
            }
            None => panic!("no vectors"),
        };
        let vectors = Some(qdrant_client::qdrant::VectorsOutput { vectors_options: Some(options) });
        RetrievedPoint {
            id: point.id,
            payload: point.payload,
            vectors,
            shard_key: None,
            order_value: None,
        }
    }

    fn holds_what_no_payload_can(value: &Value) -> bool {
        match value {
            Value::Bytes(_) | Value::Typed(..) => true,
            Value::List(items) => items.iter().any(holds_what_no_payload_can),
            Value::Map(entries) => entries.values().any(holds_what_no_payload_can),
            _ => false,
        }
    }

    fn any_vector() -> impl Strategy<Value = Value> {
        let number = || any::<u32>().prop_map(f32::from_bits).prop_filter("NaN", |x| !x.is_nan());
        let list = move || proptest::collection::vec(number(), 1..5).prop_map(dense);
        let sparse = proptest::collection::btree_map(any::<u32>(), number(), 0..5).prop_map(|of| {
            let pair = |(index, number)| {
                Value::List(vec![Value::Int(i64::from(index)), Value::Float(f64::from(number))])
            };
            Value::Typed("sparse".into(), Box::new(Value::List(of.into_iter().map(pair).collect())))
        });
        let multi = proptest::collection::vec(list(), 1..4)
            .prop_map(|of| Value::Typed("multi".into(), Box::new(Value::List(of))));
        prop_oneof![list(), sparse, multi]
    }

    proptest! {
        #[test]
        fn points_survive_the_protocol(
            payload in proptest::collection::btree_map(".{0,4}", any_value(), 0..5),
            vectors in proptest::collection::btree_map("[a-z]{0,3}", any_vector(), 1..4),
            id in any::<u64>(),
        ) {
            let unnamed = vectors.get("").cloned().map(|vector| [(String::new(), vector)].into());
            let vectors = unnamed.unwrap_or(vectors);
            let value = Value::map([("payload", Value::Map(payload)), ("vectors", Value::Map(vectors))]);
            let record = Record::new("point x", id.to_string(), value);
            match write_point(&record) {
                Ok(point) => {
                    let back = read_point("point x", kept(point)).expect("read");
                    prop_assert_eq!(back.digest(), record.digest());
                }
                Err(_) => prop_assert!(holds_what_no_payload_can(&record.value)),
            }
        }
    }

    #[test]
    fn all_points_of_the_dataset_survive_the_protocol() {
        let dataset = Dataset { seed: 3, documents: 20, base_ms: 0 };
        for record in dataset.records(StoreKind::Qdrant).filter(|r| r.kind.starts_with("point ")) {
            let point = write_point(&record).expect("written");
            assert_eq!(read_point(&record.kind, kept(point)).expect("read"), record);
        }
    }
}
