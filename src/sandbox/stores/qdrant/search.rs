//! Searching: every point is compared, so that the answer is exact.

use qdrant_client::qdrant::{
    Distance, Filter, RetrievedPoint, ScoredPoint, WithPayloadSelector, WithVectorsSelector,
    with_vectors_selector,
};
use tonic::Status;

use super::collection::{Collection, Id, Point};
use super::filter::admits;
use super::payload::select;
use super::vectors::{Vector, fit, nearness, score, write_all};

/// What is asked for.
pub struct Search<'a> {
    /// The vector to which the points are to be near.
    pub query: Vector,
    /// Name of the vector that is compared.
    pub using: &'a str,
    /// Only points as it says.
    pub filter: Option<&'a Filter>,
    /// Points left out at the beginning.
    pub skip: usize,
    /// Most points.
    pub most: usize,
    /// The worst score.
    pub threshold: Option<f32>,
    /// What of the payload is asked for.
    pub with_payload: Option<&'a WithPayloadSelector>,
    /// Which vectors are asked for.
    pub with_vectors: Option<&'a WithVectorsSelector>,
}

fn wants(selector: Option<&WithVectorsSelector>, name: &str) -> bool {
    use with_vectors_selector::SelectorOptions::{Enable, Include};
    match selector.and_then(|selector| selector.selector_options.as_ref()) {
        None => false,
        Some(Enable(all)) => *all,
        Some(Include(some)) => some.names.iter().any(|wanted| wanted == name),
    }
}

/// A point as it is answered.
pub fn retrieved(
    id: Id,
    point: &Point,
    with_payload: Option<&WithPayloadSelector>,
    with_vectors: Option<&WithVectorsSelector>,
) -> RetrievedPoint {
    RetrievedPoint {
        id: Some(id.write()),
        payload: select(&point.payload, with_payload, true),
        vectors: write_all(&point.vectors, |name| wants(with_vectors, name)),
        ..RetrievedPoint::default()
    }
}

/// The nearest points, the nearest first.
pub fn search(collection: &Collection, asked: Search<'_>) -> Result<Vec<ScoredPoint>, Status> {
    let query = fit(collection, asked.using, asked.query)?;
    let distance = match collection.dense.get(asked.using) {
        Some(params) => Distance::try_from(params.distance).unwrap_or(Distance::Dot),
        None => Distance::Dot,
    };
    let mut found = Vec::new();
    for (id, point) in &collection.points {
        let Some(vector) = point.vectors.get(asked.using) else { continue };
        if admits(asked.filter, *id, point)?
            && let Some(near) = nearness(distance, &query, vector)
        {
            found.push((near, *id, point));
        }
    }
    found.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let inverted = matches!(distance, Distance::Euclid | Distance::Manhattan);
    let good_enough = |near: f32| {
        asked.threshold.is_none_or(|worst| near >= if inverted { -worst } else { worst })
    };
    let scored = |(near, id, point): (f32, Id, &Point)| ScoredPoint {
        id: Some(id.write()),
        payload: select(&point.payload, asked.with_payload, false),
        score: score(distance, near),
        version: 0,
        vectors: write_all(&point.vectors, |name| wants(asked.with_vectors, name)),
        ..ScoredPoint::default()
    };
    let found = found.into_iter().filter(|(near, ..)| good_enough(*near));
    Ok(found.skip(asked.skip).take(asked.most).map(scored).collect())
}
