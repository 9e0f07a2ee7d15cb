//! The service for collections.

use std::time::Instant;

use ::qdrant_client::qdrant::alias_operations::Action;
use ::qdrant_client::qdrant::collections_server::Collections;
use ::qdrant_client::qdrant::*;
use tonic::{Request, Response, Status};

use super::collection::Collection;
use super::state::{Shared, State};

/// The service.
pub struct Service(pub Shared);

type Answer<T> = Result<Response<T>, Status>;

fn done(result: bool, began: Instant) -> Answer<CollectionOperationResponse> {
    let time = began.elapsed().as_secs_f64();
    Ok(Response::new(CollectionOperationResponse { result, time }))
}

fn unimplemented<T>() -> Answer<T> {
    Err(Status::unimplemented("the sandbox's store is one server with one shard"))
}

/// What is told of a collection.
pub fn describe(collection: &Collection) -> CollectionInfo {
    let form = &collection.form;
    let params = CollectionParams {
        shard_number: 1,
        vectors_config: form.vectors_config.clone(),
        replication_factor: Some(1),
        write_consistency_factor: Some(1),
        sparse_vectors_config: form.sparse_vectors_config.clone(),
        ..CollectionParams::default()
    };
    let config = CollectionConfig {
        params: Some(params),
        hnsw_config: form.hnsw_config,
        optimizer_config: form.optimizers_config,
        metadata: form.metadata.clone(),
        ..CollectionConfig::default()
    };
    let count = collection.points.len() as u64;
    let schema = |(field, index): (&String, &CreateFieldIndexCollection)| {
        let info = PayloadSchemaInfo {
            // The same kinds, counted from one.
            data_type: index.field_type.unwrap_or(0) + 1,
            params: index.field_index_params.clone(),
            points: Some(count),
        };
        (field.clone(), info)
    };
    CollectionInfo {
        status: CollectionStatus::Green as i32,
        optimizer_status: Some(OptimizerStatus { ok: true, error: String::new() }),
        segments_count: 1,
        config: Some(config),
        payload_schema: collection.indexes.iter().map(schema).collect(),
        points_count: Some(count),
        indexed_vectors_count: Some(0),
        ..CollectionInfo::default()
    }
}

fn change_alias(state: &mut State, action: Option<Action>) -> Result<(), Status> {
    let missing =
        |name: &str| Status::not_found(format!("Not found: Alias {name} does not exists!"));
    match action {
        Some(Action::CreateAlias(alias)) => {
            if state.collections.contains_key(&alias.alias_name) {
                let reason = "Wrong input: there is a collection of the alias' name";
                return Err(Status::invalid_argument(reason));
            }
            state.collection(&alias.collection_name)?;
            state.aliases.insert(alias.alias_name, alias.collection_name);
        }
        Some(Action::RenameAlias(alias)) => {
            let collection = state.aliases.remove(&alias.old_alias_name);
            let collection = collection.ok_or_else(|| missing(&alias.old_alias_name))?;
            state.aliases.insert(alias.new_alias_name, collection);
        }
        Some(Action::DeleteAlias(alias)) => {
            state.aliases.remove(&alias.alias_name);
        }
        None => return Err(Status::invalid_argument("an operation without content")),
    }
    Ok(())
}

fn list_aliases(state: &State, of: Option<&str>, began: Instant) -> ListAliasesResponse {
    let asked = state.aliases.iter().filter(|(_, name)| of.is_none_or(|of| of == *name));
    let alias = |(alias, collection): (&String, &String)| AliasDescription {
        alias_name: alias.clone(),
        collection_name: collection.clone(),
    };
    ListAliasesResponse { aliases: asked.map(alias).collect(), time: began.elapsed().as_secs_f64() }
}

#[tonic::async_trait]
impl Collections for Service {
    async fn get(
        &self,
        request: Request<GetCollectionInfoRequest>,
    ) -> Answer<GetCollectionInfoResponse> {
        let began = Instant::now();
        let mut state = self.0.lock();
        let result = Some(describe(state.collection(&request.get_ref().collection_name)?));
        let time = began.elapsed().as_secs_f64();
        Ok(Response::new(GetCollectionInfoResponse { result, time }))
    }

    async fn list(&self, _: Request<ListCollectionsRequest>) -> Answer<ListCollectionsResponse> {
        let began = Instant::now();
        let describe = |name: &String| CollectionDescription { name: name.clone() };
        let collections = self.0.lock().collections.keys().map(describe).collect();
        let time = began.elapsed().as_secs_f64();
        Ok(Response::new(ListCollectionsResponse { collections, time }))
    }

    async fn create(
        &self,
        request: Request<CreateCollection>,
    ) -> Answer<CollectionOperationResponse> {
        let began = Instant::now();
        self.0.admit_write()?;
        let collection = Collection::new(request.into_inner())?;
        let name = collection.form.collection_name.clone();
        let mut state = self.0.lock();
        if state.exists(&name) {
            let reason = format!("Wrong input: Collection `{name}` already exists!");
            return Err(Status::already_exists(reason));
        }
        state.collections.insert(name, collection);
        done(true, began)
    }

    async fn update(&self, _: Request<UpdateCollection>) -> Answer<CollectionOperationResponse> {
        Err(Status::unimplemented("the sandbox's store has nothing to tune"))
    }

    async fn delete(
        &self,
        request: Request<DeleteCollection>,
    ) -> Answer<CollectionOperationResponse> {
        let began = Instant::now();
        let gone = self.0.lock().remove(&request.get_ref().collection_name);
        done(gone, began)
    }

    async fn update_aliases(
        &self,
        request: Request<ChangeAliases>,
    ) -> Answer<CollectionOperationResponse> {
        let began = Instant::now();
        let mut state = self.0.lock();
        let before = state.aliases.clone();
        for operation in request.into_inner().actions {
            if let Err(status) = change_alias(&mut state, operation.action) {
                // All of them or none.
                state.aliases = before;
                return Err(status);
            }
        }
        done(true, began)
    }

    async fn list_collection_aliases(
        &self,
        request: Request<ListCollectionAliasesRequest>,
    ) -> Answer<ListAliasesResponse> {
        let of = request.get_ref().collection_name.as_str();
        Ok(Response::new(list_aliases(&self.0.lock(), Some(of), Instant::now())))
    }

    async fn list_aliases(&self, _: Request<ListAliasesRequest>) -> Answer<ListAliasesResponse> {
        Ok(Response::new(list_aliases(&self.0.lock(), None, Instant::now())))
    }

    async fn collection_exists(
        &self,
        request: Request<CollectionExistsRequest>,
    ) -> Answer<CollectionExistsResponse> {
        let began = Instant::now();
        let exists = self.0.lock().exists(&request.get_ref().collection_name);
        let result = Some(CollectionExists { exists });
        let time = began.elapsed().as_secs_f64();
        Ok(Response::new(CollectionExistsResponse { result, time }))
    }

    async fn collection_cluster_info(
        &self,
        _: Request<CollectionClusterInfoRequest>,
    ) -> Answer<CollectionClusterInfoResponse> {
        unimplemented()
    }

    async fn update_collection_cluster_setup(
        &self,
        _: Request<UpdateCollectionClusterSetupRequest>,
    ) -> Answer<UpdateCollectionClusterSetupResponse> {
        unimplemented()
    }

    async fn create_shard_key(
        &self,
        _: Request<CreateShardKeyRequest>,
    ) -> Answer<CreateShardKeyResponse> {
        unimplemented()
    }

    async fn delete_shard_key(
        &self,
        _: Request<DeleteShardKeyRequest>,
    ) -> Answer<DeleteShardKeyResponse> {
        unimplemented()
    }

    async fn list_shard_keys(
        &self,
        _: Request<ListShardKeysRequest>,
    ) -> Answer<ListShardKeysResponse> {
        unimplemented()
    }
}
