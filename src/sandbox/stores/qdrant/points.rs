//! The service for points.

use std::time::Instant;

use ::qdrant_client::qdrant::points_selector::PointsSelectorOneOf;
use ::qdrant_client::qdrant::points_server::Points;
use ::qdrant_client::qdrant::query::Variant;
use ::qdrant_client::qdrant::vector_input::Variant as Input;
use ::qdrant_client::qdrant::*;
use tonic::{Request, Response, Status};

use super::collection::{Collection, Id, Point};
use super::filter::admits;
use super::payload::{merge, remove};
use super::search::{Search, retrieved, search};
use super::state::Shared;
use super::vectors::{Vector, read_all, read_sparse};

/// Points of a page when no number is asked for.
const PAGE: u32 = 10;
/// Most points of an answer.
const MAX_PAGE: u64 = 100_000;

/// The service.
pub struct Service(pub Shared);

type Answer<T> = Result<Response<T>, Status>;

fn seconds(began: Instant) -> f64 {
    began.elapsed().as_secs_f64()
}

/// Ids that a selector names and that are there.
fn selected(collection: &Collection, selector: Option<PointsSelector>) -> Result<Vec<Id>, Status> {
    match selector.and_then(|selector| selector.points_selector_one_of) {
        None => Err(Status::invalid_argument("PointSelector is missing")),
        Some(PointsSelectorOneOf::Points(list)) => {
            let ids: Vec<Id> =
                list.ids.iter().map(|id| Id::read(Some(id))).collect::<Result<_, _>>()?;
            Ok(ids.into_iter().filter(|id| collection.points.contains_key(id)).collect())
        }
        Some(PointsSelectorOneOf::Filter(filter)) => {
            let mut ids = Vec::new();
            for (id, point) in &collection.points {
                if admits(Some(&filter), *id, point)? {
                    ids.push(*id);
                }
            }
            Ok(ids)
        }
    }
}

fn page(limit: u64) -> Result<usize, Status> {
    if limit > MAX_PAGE {
        return Err(Status::invalid_argument(format!("expected a limit of at most {MAX_PAGE}")));
    }
    Ok(limit as usize)
}

impl Service {
    /// Changes a collection. Every change is complete when it is answered.
    fn change(
        &self,
        name: &str,
        change: impl FnOnce(&mut Collection) -> Result<(), Status>,
    ) -> Answer<PointsOperationResponse> {
        let began = Instant::now();
        self.0.admit_write()?;
        change(self.0.lock().collection(name)?)?;
        let result = UpdateResult { operation_id: Some(0), status: UpdateStatus::Completed as i32 };
        let time = seconds(began);
        Ok(Response::new(PointsOperationResponse { result: Some(result), time, usage: None }))
    }

    fn change_payloads(
        &self,
        name: &str,
        selector: Option<PointsSelector>,
        change: impl Fn(&mut Point),
    ) -> Answer<PointsOperationResponse> {
        self.change(name, |collection| {
            for id in selected(collection, selector)? {
                if let Some(point) = collection.points.get_mut(&id) {
                    change(point);
                }
            }
            Ok(())
        })
    }

    fn find(&self, asked: &SearchPoints) -> Result<Vec<ScoredPoint>, Status> {
        let mut state = self.0.lock();
        let collection = state.collection(&asked.collection_name)?;
        let using = asked.vector_name.as_deref().unwrap_or_default();
        let query = match &asked.sparse_indices {
            Some(indices) => read_sparse(using, indices.data.clone(), asked.vector.clone())?,
            None => Vector::Dense(asked.vector.clone()),
        };
        search(
            collection,
            Search {
                query,
                using,
                filter: asked.filter.as_ref(),
                skip: asked.offset.unwrap_or(0) as usize,
                most: page(asked.limit)?,
                threshold: asked.score_threshold,
                with_payload: asked.with_payload.as_ref(),
                with_vectors: asked.with_vectors.as_ref(),
            },
        )
    }

    fn ask(&self, asked: &QueryPoints) -> Result<Vec<ScoredPoint>, Status> {
        if !asked.prefetch.is_empty() || asked.lookup_from.is_some() {
            return Err(unimplemented("queries in stages"));
        }
        let mut state = self.0.lock();
        let collection = state.collection(&asked.collection_name)?;
        let using = asked.using.as_deref().unwrap_or_default();
        let input = match asked.query.as_ref().and_then(|query| query.variant.as_ref()) {
            Some(Variant::Nearest(input)) => input.variant.as_ref(),
            _ => return Err(unimplemented("queries but for the nearest points")),
        };
        let mut excluded = None;
        let query = match input {
            Some(Input::Dense(vector)) => Vector::Dense(vector.data.clone()),
            Some(Input::Sparse(sparse)) => {
                read_sparse(using, sparse.indices.clone(), sparse.values.clone())?
            }
            Some(Input::MultiDense(multi)) => {
                Vector::Multi(multi.vectors.iter().map(|vector| vector.data.clone()).collect())
            }
            Some(Input::Id(id)) => {
                let id = Id::read(Some(id))?;
                excluded = Some(id);
                let missing =
                    || Status::not_found(format!("Not found: No point with id {id} found"));
                let point = collection.points.get(&id).ok_or_else(missing)?;
                point.vectors.get(using).cloned().ok_or_else(missing)?
            }
            _ => return Err(unimplemented("embeddings")),
        };
        let most = page(asked.limit.unwrap_or(u64::from(PAGE)))?;
        let mut found = search(
            collection,
            Search {
                query,
                using,
                filter: asked.filter.as_ref(),
                skip: asked.offset.unwrap_or(0) as usize,
                // Beside itself, which is not among what is near to it.
                most: most + usize::from(excluded.is_some()),
                threshold: asked.score_threshold,
                with_payload: asked.with_payload.as_ref(),
                with_vectors: asked.with_vectors.as_ref(),
            },
        )?;
        if let Some(excluded) = excluded {
            found.retain(|point| point.id != Some(excluded.write()));
        }
        found.truncate(most);
        Ok(found)
    }
}

fn unimplemented(what: &str) -> Status {
    Status::unimplemented(format!("the sandbox's store has no {what}"))
}

/// What the service has not, each refused by its name.
macro_rules! refused {
    ($($name:ident($request:ty) -> $answer:ty;)*) => {
        #[tonic::async_trait]
        impl Points for Service {
            async fn upsert(&self, r: Request<UpsertPoints>) -> Answer<PointsOperationResponse> {
                self.upsert_points(r.into_inner())
            }
            async fn delete(&self, r: Request<DeletePoints>) -> Answer<PointsOperationResponse> {
                let asked = r.into_inner();
                self.change(&asked.collection_name, |collection| {
                    for id in selected(collection, asked.points)? {
                        collection.points.remove(&id);
                    }
                    Ok(())
                })
            }
            async fn get(&self, r: Request<GetPoints>) -> Answer<GetResponse> {
                self.get_points(&r.into_inner())
            }
            async fn update_vectors(&self, r: Request<UpdatePointVectors>) -> Answer<PointsOperationResponse> {
                self.change_vectors(r.into_inner())
            }
            async fn delete_vectors(&self, r: Request<DeletePointVectors>) -> Answer<PointsOperationResponse> {
                let asked = r.into_inner();
                let names = asked.vectors.map(|vectors| vectors.names).unwrap_or_default();
                self.change_payloads(&asked.collection_name, asked.points_selector, |point| {
                    point.vectors.retain(|name, _| !names.contains(name));
                })
            }
            async fn set_payload(&self, r: Request<SetPayloadPoints>) -> Answer<PointsOperationResponse> {
                let asked = r.into_inner();
                self.change_payloads(&asked.collection_name, asked.points_selector, |point| {
                    merge(&mut point.payload, asked.key.as_deref(), &asked.payload);
                })
            }
            async fn overwrite_payload(&self, r: Request<SetPayloadPoints>) -> Answer<PointsOperationResponse> {
                let asked = r.into_inner();
                self.change_payloads(&asked.collection_name, asked.points_selector, |point| {
                    point.payload.clone_from(&asked.payload);
                })
            }
            async fn delete_payload(&self, r: Request<DeletePayloadPoints>) -> Answer<PointsOperationResponse> {
                let asked = r.into_inner();
                self.change_payloads(&asked.collection_name, asked.points_selector, |point| {
                    asked.keys.iter().for_each(|key| remove(&mut point.payload, key));
                })
            }
            async fn clear_payload(&self, r: Request<ClearPayloadPoints>) -> Answer<PointsOperationResponse> {
                let asked = r.into_inner();
                self.change_payloads(&asked.collection_name, asked.points, |point| point.payload.clear())
            }
            async fn create_field_index(&self, r: Request<CreateFieldIndexCollection>) -> Answer<PointsOperationResponse> {
                let asked = r.into_inner();
                let name = asked.collection_name.clone();
                self.change(&name, |collection| {
                    collection.indexes.insert(asked.field_name.clone(), asked);
                    Ok(())
                })
            }
            async fn delete_field_index(&self, r: Request<DeleteFieldIndexCollection>) -> Answer<PointsOperationResponse> {
                let asked = r.into_inner();
                self.change(&asked.collection_name, |collection| {
                    collection.indexes.remove(&asked.field_name);
                    Ok(())
                })
            }
            async fn search(&self, r: Request<SearchPoints>) -> Answer<SearchResponse> {
                let began = Instant::now();
                let result = self.find(r.get_ref())?;
                Ok(Response::new(SearchResponse { result, time: seconds(began), usage: None }))
            }
            async fn search_batch(&self, r: Request<SearchBatchPoints>) -> Answer<SearchBatchResponse> {
                let began = Instant::now();
                let searches = r.get_ref().search_points.iter();
                let found = searches.map(|one| self.find(one).map(|result| BatchResult { result }));
                let result = found.collect::<Result<_, _>>()?;
                Ok(Response::new(SearchBatchResponse { result, time: seconds(began), usage: None }))
            }
            async fn query(&self, r: Request<QueryPoints>) -> Answer<QueryResponse> {
                let began = Instant::now();
                let result = self.ask(r.get_ref())?;
                Ok(Response::new(QueryResponse { result, time: seconds(began), usage: None }))
            }
            async fn query_batch(&self, r: Request<QueryBatchPoints>) -> Answer<QueryBatchResponse> {
                let began = Instant::now();
                let queries = r.get_ref().query_points.iter();
                let found = queries.map(|one| self.ask(one).map(|result| BatchResult { result }));
                let result = found.collect::<Result<_, _>>()?;
                Ok(Response::new(QueryBatchResponse { result, time: seconds(began), usage: None }))
            }
            async fn scroll(&self, r: Request<ScrollPoints>) -> Answer<ScrollResponse> {
                self.scroll_points(&r.into_inner())
            }
            async fn count(&self, r: Request<CountPoints>) -> Answer<CountResponse> {
                let began = Instant::now();
                let mut state = self.0.lock();
                let collection = state.collection(&r.get_ref().collection_name)?;
                let mut count = 0;
                for (id, point) in &collection.points {
                    count += u64::from(admits(r.get_ref().filter.as_ref(), *id, point)?);
                }
                let result = Some(CountResult { count });
                Ok(Response::new(CountResponse { result, time: seconds(began), usage: None }))
            }
            $(
                async fn $name(&self, _: Request<$request>) -> Answer<$answer> {
                    Err(unimplemented(stringify!($name)))
                }
            )*
        }
    };
}

refused! {
    create_vector_name(CreateVectorNameRequest) -> PointsOperationResponse;
    delete_vector_name(DeleteVectorNameRequest) -> PointsOperationResponse;
    search_groups(SearchPointGroups) -> SearchGroupsResponse;
    recommend(RecommendPoints) -> RecommendResponse;
    recommend_batch(RecommendBatchPoints) -> RecommendBatchResponse;
    recommend_groups(RecommendPointGroups) -> RecommendGroupsResponse;
    discover(DiscoverPoints) -> DiscoverResponse;
    discover_batch(DiscoverBatchPoints) -> DiscoverBatchResponse;
    update_batch(UpdateBatchPoints) -> UpdateBatchResponse;
    query_groups(QueryPointGroups) -> QueryGroupsResponse;
    facet(FacetCounts) -> FacetResponse;
    search_matrix_pairs(SearchMatrixPoints) -> SearchMatrixPairsResponse;
    search_matrix_offsets(SearchMatrixPoints) -> SearchMatrixOffsetsResponse;
}

impl Service {
    fn upsert_points(&self, asked: UpsertPoints) -> Answer<PointsOperationResponse> {
        if asked.update_filter.is_some() || asked.shard_key_selector.is_some() {
            return Err(unimplemented("conditional writes and shards"));
        }
        self.change(&asked.collection_name, |collection| {
            // All of them or none.
            let points = asked.points.into_iter().map(|point| collection.admit(point));
            let points: Vec<(Id, Point)> = points.collect::<Result<_, _>>()?;
            collection.points.extend(points);
            Ok(())
        })
    }

    fn change_vectors(&self, asked: UpdatePointVectors) -> Answer<PointsOperationResponse> {
        self.change(&asked.collection_name, |collection| {
            for changed in asked.points {
                let id = Id::read(changed.id.as_ref())?;
                let vectors = read_all(collection, changed.vectors)?;
                let missing =
                    || Status::not_found(format!("Not found: No point with id {id} found"));
                collection.points.get_mut(&id).ok_or_else(missing)?.vectors.extend(vectors);
            }
            Ok(())
        })
    }

    fn get_points(&self, asked: &GetPoints) -> Answer<GetResponse> {
        let began = Instant::now();
        let mut state = self.0.lock();
        let collection = state.collection(&asked.collection_name)?;
        let mut result = Vec::new();
        for id in &asked.ids {
            let id = Id::read(Some(id))?;
            if let Some(point) = collection.points.get(&id) {
                let (payload, vectors) = (asked.with_payload.as_ref(), asked.with_vectors.as_ref());
                result.push(retrieved(id, point, payload, vectors));
            }
        }
        Ok(Response::new(GetResponse { result, time: seconds(began), usage: None }))
    }

    fn scroll_points(&self, asked: &ScrollPoints) -> Answer<ScrollResponse> {
        let began = Instant::now();
        if asked.order_by.is_some() {
            return Err(unimplemented("order but that of the ids"));
        }
        let most = page(u64::from(asked.limit.unwrap_or(PAGE)))?;
        if most == 0 {
            return Err(Status::invalid_argument("expected a limit of at least 1"));
        }
        let from = asked.offset.as_ref().map(|id| Id::read(Some(id))).transpose()?;
        let mut state = self.0.lock();
        let collection = state.collection(&asked.collection_name)?;
        let (mut result, mut next) = (Vec::new(), None);
        for (id, point) in collection.points.range(from.unwrap_or(Id::Number(0))..) {
            if !admits(asked.filter.as_ref(), *id, point)? {
                continue;
            }
            if result.len() == most {
                next = Some(id.write());
                break;
            }
            let (payload, vectors) = (asked.with_payload.as_ref(), asked.with_vectors.as_ref());
            result.push(retrieved(*id, point, payload, vectors));
        }
        let time = seconds(began);
        Ok(Response::new(ScrollResponse { next_page_offset: next, result, time, usage: None }))
    }
}
