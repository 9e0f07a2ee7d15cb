//! Vectors: read and fitted to their collection as Qdrant does it, written, compared.

use std::collections::{BTreeMap, HashMap};

use qdrant_client::qdrant::vector::Vector as Form;
use qdrant_client::qdrant::vectors::VectorsOptions;
use qdrant_client::qdrant::{
    self, Datatype, DenseVector, Distance, MultiDenseVector, NamedVectorsOutput, SparseVector,
    VectorOutput, VectorParams, Vectors, VectorsOutput, vector_output, vectors_output,
};
use tonic::Status;

use super::collection::Collection;

/// A length so near to one, or to nothing, that a vector is left as it is.
const NEAR: f32 = 1e-6;

/// A vector of a point.
#[derive(Clone, Debug, PartialEq)]
pub enum Vector {
    /// A number for each dimension.
    Dense(Vec<f32>),
    /// Numbers for some dimensions, in the order of those.
    Sparse(Vec<(u32, f32)>),
    /// Several dense vectors.
    Multi(Vec<Vec<f32>>),
}

fn wrong(name: &str, reason: impl std::fmt::Display) -> Status {
    Status::invalid_argument(format!("Wrong input: vector `{name}`: {reason}"))
}

/// Reads all vectors of a point.
pub fn read_all(
    collection: &Collection,
    vectors: Option<Vectors>,
) -> Result<BTreeMap<String, Vector>, Status> {
    let named: HashMap<String, qdrant::Vector> = match vectors.and_then(|v| v.vectors_options) {
        None => HashMap::new(),
        Some(VectorsOptions::Vector(vector)) => [(String::new(), vector)].into(),
        Some(VectorsOptions::Vectors(named)) => named.vectors,
    };
    let read = |(name, vector): (String, qdrant::Vector)| {
        let vector = fit(collection, &name, read(&name, vector)?)?;
        Ok((name, vector))
    };
    named.into_iter().map(read).collect()
}

#[expect(deprecated, reason = "older clients send vectors in this form")]
fn read(name: &str, vector: qdrant::Vector) -> Result<Vector, Status> {
    let multi = |vectors: MultiDenseVector| {
        Vector::Multi(vectors.vectors.into_iter().map(|vector| vector.data).collect())
    };
    match vector.vector {
        Some(Form::Dense(dense)) => Ok(Vector::Dense(dense.data)),
        Some(Form::Sparse(sparse)) => read_sparse(name, sparse.indices, sparse.values),
        Some(Form::MultiDense(vectors)) => Ok(multi(vectors)),
        Some(_) => Err(Status::unimplemented("the sandbox's store makes no embeddings")),
        None => match (vector.indices, vector.vectors_count) {
            (Some(indices), _) => read_sparse(name, indices.data, vector.data),
            (None, Some(count)) if count > 0 => {
                let length = vector.data.len() / count as usize;
                let parts = vector.data.chunks(length.max(1));
                Ok(Vector::Multi(parts.map(<[f32]>::to_vec).collect()))
            }
            (None, _) => Ok(Vector::Dense(vector.data)),
        },
    }
}

/// A sparse vector, whose places come in any order but only once each.
pub fn read_sparse(name: &str, indices: Vec<u32>, values: Vec<f32>) -> Result<Vector, Status> {
    if indices.len() != values.len() {
        return Err(wrong(name, "expected as many indices as values"));
    }
    let mut pairs: Vec<_> = indices.into_iter().zip(values).collect();
    pairs.sort_by_key(|(index, _)| *index);
    if pairs.windows(2).any(|pair| pair[0].0 == pair[1].0) {
        return Err(wrong(name, "must be unique: indices"));
    }
    Ok(Vector::Sparse(pairs))
}

/// Fits a vector to what its collection has under this name.
pub fn fit(collection: &Collection, name: &str, vector: Vector) -> Result<Vector, Status> {
    if collection.is_sparse(name) {
        return match vector {
            Vector::Sparse(_) => Ok(vector),
            _ => Err(wrong(name, "expected a sparse vector")),
        };
    }
    let unknown = || wrong(name, "Not existing vector name error");
    let params = collection.dense.get(name).ok_or_else(unknown)?;
    match (vector, params.multivector_config.is_some()) {
        (Vector::Dense(numbers), false) => Ok(Vector::Dense(fit_dense(name, params, numbers)?)),
        (Vector::Dense(numbers), true) => {
            Ok(Vector::Multi(vec![fit_dense(name, params, numbers)?]))
        }
        (Vector::Multi(vectors), true) if !vectors.is_empty() => {
            let vectors = vectors.into_iter().map(|vector| fit_dense(name, params, vector));
            Ok(Vector::Multi(vectors.collect::<Result<_, _>>()?))
        }
        _ => Err(wrong(name, "the collection has another kind of vector under this name")),
    }
}

fn fit_dense(name: &str, params: &VectorParams, mut numbers: Vec<f32>) -> Result<Vec<f32>, Status> {
    if numbers.len() as u64 != params.size {
        let (expected, got) = (params.size, numbers.len());
        return Err(Status::invalid_argument(format!(
            "Wrong input: Vector dimension error: expected dim: {expected}, got {got}"
        )));
    }
    if numbers.iter().any(|number| !number.is_finite()) {
        return Err(wrong(name, "expected finite numbers"));
    }
    if params.distance == Distance::Cosine as i32 {
        normalise(&mut numbers);
    }
    if params.datatype == Some(Datatype::Uint8 as i32) {
        numbers.iter_mut().for_each(|number| *number = f32::from(*number as u8));
    }
    Ok(numbers)
}

/// Makes a vector one long, unless it nearly is, or has no length at all.
fn normalise(numbers: &mut [f32]) {
    let square: f32 = numbers.iter().map(|number| number * number).sum();
    if square < f32::EPSILON || (square - 1.0).abs() <= NEAR {
        return;
    }
    let length = square.sqrt();
    numbers.iter_mut().for_each(|number| *number /= length);
}

/// Vectors as they go; those that were asked for.
pub fn write_all(
    vectors: &BTreeMap<String, Vector>,
    wanted: impl Fn(&str) -> bool,
) -> Option<VectorsOutput> {
    let mut wanted = vectors.iter().filter(|(name, _)| wanted(name)).peekable();
    wanted.peek()?;
    let options = match vectors.get("") {
        Some(unnamed) if vectors.len() == 1 => {
            vectors_output::VectorsOptions::Vector(write(unnamed))
        }
        _ => vectors_output::VectorsOptions::Vectors(NamedVectorsOutput {
            vectors: wanted.map(|(name, vector)| (name.clone(), write(vector))).collect(),
        }),
    };
    Some(VectorsOutput { vectors_options: Some(options) })
}

fn write(vector: &Vector) -> VectorOutput {
    let dense = |numbers: &Vec<f32>| DenseVector { data: numbers.clone() };
    let form = match vector {
        Vector::Dense(numbers) => vector_output::Vector::Dense(dense(numbers)),
        Vector::Sparse(pairs) => vector_output::Vector::Sparse(SparseVector {
            indices: pairs.iter().map(|(index, _)| *index).collect(),
            values: pairs.iter().map(|(_, value)| *value).collect(),
        }),
        Vector::Multi(vectors) => vector_output::Vector::MultiDense(MultiDenseVector {
            vectors: vectors.iter().map(dense).collect(),
        }),
    };
    VectorOutput { vector: Some(form), ..VectorOutput::default() }
}

/// The same as a client sends it, for a snapshot.
pub fn as_input(vectors: &BTreeMap<String, Vector>) -> Vectors {
    let dense = |numbers: &Vec<f32>| DenseVector { data: numbers.clone() };
    let input = |vector: &Vector| qdrant::Vector {
        vector: Some(match vector {
            Vector::Dense(numbers) => Form::Dense(dense(numbers)),
            Vector::Sparse(pairs) => Form::Sparse(SparseVector {
                indices: pairs.iter().map(|(index, _)| *index).collect(),
                values: pairs.iter().map(|(_, value)| *value).collect(),
            }),
            Vector::Multi(vectors) => {
                Form::MultiDense(MultiDenseVector { vectors: vectors.iter().map(dense).collect() })
            }
        }),
        ..qdrant::Vector::default()
    };
    let vectors = vectors.iter().map(|(name, vector)| (name.clone(), input(vector))).collect();
    Vectors { vectors_options: Some(VectorsOptions::Vectors(qdrant::NamedVectors { vectors })) }
}

/// How near two vectors are: the greater, the nearer, whatever the distance; none where they have
/// nothing in common.
pub fn nearness(distance: Distance, query: &Vector, other: &Vector) -> Option<f32> {
    match (query, other) {
        (Vector::Dense(a), Vector::Dense(b)) => Some(dense_nearness(distance, a, b)),
        (Vector::Dense(a), Vector::Multi(b)) => Some(best(distance, a, b)),
        (Vector::Multi(a), Vector::Multi(b)) => Some(a.iter().map(|a| best(distance, a, b)).sum()),
        (Vector::Sparse(a), Vector::Sparse(b)) => {
            let b: HashMap<u32, f32> = b.iter().copied().collect();
            let shared = a.iter().filter_map(|(index, value)| Some(value * b.get(index)?));
            let products: Vec<f32> = shared.collect();
            (!products.is_empty()).then(|| products.iter().sum())
        }
        _ => None,
    }
}

fn best(distance: Distance, query: &[f32], vectors: &[Vec<f32>]) -> f32 {
    let each = vectors.iter().map(|vector| dense_nearness(distance, query, vector));
    each.fold(f32::NEG_INFINITY, f32::max)
}

fn dense_nearness(distance: Distance, a: &[f32], b: &[f32]) -> f32 {
    let pairs = || a.iter().zip(b);
    match distance {
        Distance::Euclid => -pairs().map(|(a, b)| (a - b) * (a - b)).sum::<f32>().sqrt(),
        Distance::Manhattan => -pairs().map(|(a, b)| (a - b).abs()).sum::<f32>(),
        _ => pairs().map(|(a, b)| a * b).sum(),
    }
}

/// A nearness as the score that a client expects: a distance where the least is the nearest.
pub fn score(distance: Distance, nearness: f32) -> f32 {
    match distance {
        Distance::Euclid | Distance::Manhattan => nearness.abs(),
        _ => nearness,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_vectors_of_another_length_are_normalised() {
        let mut long = vec![3.0, 4.0];
        normalise(&mut long);
        assert_eq!(long, [0.6, 0.8]);
        for mut left in [vec![0.6_f32, 0.8], vec![0.0, 0.0], vec![1e-5, 0.0]] {
            let before = left.clone();
            normalise(&mut left);
            assert_eq!(left, before);
        }
    }

    #[test]
    fn distances_are_what_their_names_say() {
        let (a, b) = (Vector::Dense(vec![1.0, 2.0]), Vector::Dense(vec![4.0, 6.0]));
        let of = |distance| score(distance, nearness(distance, &a, &b).expect("comparable"));
        assert_eq!(of(Distance::Euclid), 5.0);
        assert_eq!(of(Distance::Manhattan), 7.0);
        assert_eq!(of(Distance::Dot), 16.0);
        let sparse = |pairs: &[(u32, f32)]| Vector::Sparse(pairs.to_vec());
        let (query, point) = (sparse(&[(1, 2.0), (5, 1.0)]), sparse(&[(1, 3.0), (9, 9.0)]));
        assert_eq!(nearness(Distance::Dot, &query, &point), Some(6.0));
        assert_eq!(nearness(Distance::Dot, &query, &sparse(&[(2, 1.0)])), None);
        let multi = Vector::Multi(vec![vec![1.0, 0.0], vec![0.0, 1.0]]);
        assert_eq!(nearness(Distance::Dot, &multi, &multi), Some(2.0));
        assert!(read_sparse("s", vec![1, 1], vec![1.0, 2.0]).is_err());
    }
}
