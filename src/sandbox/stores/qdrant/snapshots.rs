//! The service for snapshots; what both protocols do with them.

use std::time::Instant;

use qdrant_client::qdrant::snapshots_server::Snapshots;
use qdrant_client::qdrant::{
    CreateFullSnapshotRequest, CreateSnapshotRequest, CreateSnapshotResponse,
    DeleteFullSnapshotRequest, DeleteSnapshotRequest, DeleteSnapshotResponse,
    ListFullSnapshotsRequest, ListSnapshotsRequest, ListSnapshotsResponse, SnapshotDescription,
};
use tonic::{Request, Response, Status};

use super::snapshot::{Snapshot, checksum, restore, take};
use super::state::Shared;

/// The service.
pub struct Service(pub Shared);

type Answer<T> = Result<Response<T>, Status>;

/// Takes a snapshot of a collection.
pub fn create(shared: &Shared, collection: &str) -> Result<SnapshotDescription, Status> {
    shared.admit_write()?;
    let mut state = shared.lock();
    let of = state.collection(collection)?;
    let snapshot = take(of);
    let at = jiff::Timestamp::from_second(snapshot.created_unix()).unwrap_or_default();
    let number = rand::random::<u64>() >> 1;
    let name = format!(
        "{}-{number}-{}.snapshot",
        of.form.collection_name,
        at.strftime("%Y-%m-%d-%H-%M-%S")
    );
    let description = snapshot.describe(&name);
    of.snapshots.insert(name, snapshot);
    Ok(description)
}

/// Snapshots of a collection.
pub fn list(shared: &Shared, collection: &str) -> Result<Vec<SnapshotDescription>, Status> {
    let mut state = shared.lock();
    let snapshots = &state.collection(collection)?.snapshots;
    Ok(snapshots.iter().map(|(name, snapshot)| snapshot.describe(name)).collect())
}

fn missing(name: &str) -> Status {
    Status::not_found(format!("Not found: Snapshot {name} not found"))
}

/// One snapshot.
pub fn get(shared: &Shared, collection: &str, name: &str) -> Result<Snapshot, Status> {
    let mut state = shared.lock();
    let found = state.collection(collection)?.snapshots.get(name).cloned();
    found.ok_or_else(|| missing(name))
}

/// Removes a snapshot.
pub fn delete(shared: &Shared, collection: &str, name: &str) -> Result<(), Status> {
    let mut state = shared.lock();
    let gone = state.collection(collection)?.snapshots.remove(name);
    gone.map(drop).ok_or_else(|| missing(name))
}

/// Makes a collection what a snapshot says. Whatever is wrong with the snapshot, the collection is
/// afterwards as it was. An uploaded snapshot is kept under the name that it came with.
pub fn recover(
    shared: &Shared,
    collection: &str,
    bytes: &bytes::Bytes,
    expected: Option<&str>,
    keep_as: Option<&str>,
) -> Result<(), Status> {
    shared.admit_write()?;
    if let Some(expected) = expected {
        let got = checksum(bytes);
        if got != expected.to_ascii_lowercase() {
            return Err(Status::invalid_argument(format!(
                "Wrong input: Snapshot checksum mismatch: expected {expected}, got {got}"
            )));
        }
    }
    let mut restored = restore(bytes, collection).map_err(Status::invalid_argument)?;
    let mut state = shared.lock();
    if let Ok(present) = state.collection(collection) {
        if present.dense != restored.dense {
            return Err(Status::invalid_argument(
                "Wrong input: Snapshot is not compatible with existing collection: its vectors differ",
            ));
        }
        restored.form.collection_name.clone_from(&present.form.collection_name);
        restored.snapshots = std::mem::take(&mut present.snapshots);
    }
    if let Some(name) = keep_as {
        restored.snapshots.insert(name.to_owned(), Snapshot::new(bytes.clone()));
    }
    state.collections.insert(restored.form.collection_name.clone(), restored);
    Ok(())
}

fn no_full<T>() -> Answer<T> {
    Err(Status::unimplemented("the sandbox's store has no snapshots of all collections"))
}

#[tonic::async_trait]
impl Snapshots for Service {
    async fn create(&self, r: Request<CreateSnapshotRequest>) -> Answer<CreateSnapshotResponse> {
        let began = Instant::now();
        let snapshot_description = Some(create(&self.0, &r.get_ref().collection_name)?);
        let time = began.elapsed().as_secs_f64();
        Ok(Response::new(CreateSnapshotResponse { snapshot_description, time }))
    }

    async fn list(&self, r: Request<ListSnapshotsRequest>) -> Answer<ListSnapshotsResponse> {
        let began = Instant::now();
        let snapshot_descriptions = list(&self.0, &r.get_ref().collection_name)?;
        let time = began.elapsed().as_secs_f64();
        Ok(Response::new(ListSnapshotsResponse { snapshot_descriptions, time }))
    }

    async fn delete(&self, r: Request<DeleteSnapshotRequest>) -> Answer<DeleteSnapshotResponse> {
        let began = Instant::now();
        delete(&self.0, &r.get_ref().collection_name, &r.get_ref().snapshot_name)?;
        Ok(Response::new(DeleteSnapshotResponse { time: began.elapsed().as_secs_f64() }))
    }

    async fn create_full(
        &self,
        _: Request<CreateFullSnapshotRequest>,
    ) -> Answer<CreateSnapshotResponse> {
        no_full()
    }

    async fn list_full(
        &self,
        _: Request<ListFullSnapshotsRequest>,
    ) -> Answer<ListSnapshotsResponse> {
        no_full()
    }

    async fn delete_full(
        &self,
        _: Request<DeleteFullSnapshotRequest>,
    ) -> Answer<DeleteSnapshotResponse> {
        no_full()
    }
}
