//! Qdrant: collections of its own, their names beginning with the drill's. A collection with the bare
//! name holds the marker. Vectors are compared bit by bit; those of the dataset have length one, so that
//! a server that normalises leaves them as they are.

mod collection;
mod snapshot;
mod values;

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use qdrant_client::qdrant::{
    Condition, CountPointsBuilder, Filter, PointId, QueryPointsBuilder, ScrollPoints,
    ScrollPointsBuilder, UpsertPoints, WriteOrdering, WriteOrderingType,
};
use qdrant_client::{Qdrant, QdrantError};

use super::{DrillError, DrillStore, Identity, Namespace, Native, RecordSink, Room};
use crate::backup::record::{Record, Value};
use crate::config::{Store, StoreKind};
use crate::platform::store::{StoreError, qdrant, retried, within};

/// Points asked for at once.
const PAGE: u32 = 256;
/// Points sent at once.
const PIECE: usize = 256;
/// Foreign collections whose points are counted, at most.
const COUNTED: usize = 200;
/// What the client is made for: a server of the same major version, one minor version off at most.
const CLIENT: (u32, u32) = (1, 20);
/// gRPC's numbers of what may pass: deadline exceeded, resource exhausted, unavailable.
const TRANSIENT: [i32; 3] = [4, 8, 14];

pub(super) struct QdrantStore {
    server: qdrant::Connection,
    names: Namespace,
    timeout: Duration,
}

/// The status alone: the client's own words end in a list of headers.
fn said(doing: &str) -> impl FnOnce(QdrantError) -> StoreError + '_ {
    move |error| match error {
        QdrantError::ResponseError { status } => {
            StoreError::new(doing, format!("{} ({:?})", status.message(), status.code()))
        }
        other => StoreError::new(doing, other),
    }
}

fn is_transient(error: &QdrantError) -> bool {
    match error {
        QdrantError::ResponseError { status } => TRANSIENT.contains(&i32::from(status.code())),
        QdrantError::ResourceExhaustedError { .. } | QdrantError::Io(_) => true,
        _ => false,
    }
}

fn version(text: &str) -> (u32, u32) {
    let mut numbers = text.split('.').map(|part| part.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

impl QdrantStore {
    pub(super) fn open(
        store: &Store,
        names: Namespace,
        timeout: Duration,
    ) -> Result<Self, DrillError> {
        Ok(Self { server: qdrant::connect(store, timeout)?, names, timeout })
    }

    const fn grpc(&self) -> &Qdrant {
        &self.server.grpc
    }

    /// What begins the names of our collections, the marker's excepted.
    fn prefix(&self) -> String {
        format!("{}_", self.names.name())
    }

    fn full_name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix())
    }

    async fn all_collections(&self) -> Result<Vec<String>, StoreError> {
        let list = retried(is_transient, || self.grpc().list_collections()).await;
        let list = list.map_err(said("list collections"))?;
        let mut names: Vec<_> = list.collections.into_iter().map(|found| found.name).collect();
        names.sort();
        Ok(names)
    }

    /// Short names of our collections, the marker's excepted.
    async fn collections(&self) -> Result<Vec<String>, StoreError> {
        let prefix = self.prefix();
        let all = self.all_collections().await?;
        Ok(all.iter().filter_map(|name| name.strip_prefix(&prefix)).map(str::to_owned).collect())
    }

    async fn exists(&self, full_name: &str) -> Result<bool, StoreError> {
        let asked = retried(is_transient, || self.grpc().collection_exists(full_name)).await;
        asked.map_err(said("collection"))
    }

    async fn create(&self, full_name: &str, record: &Record) -> Result<(), DrillError> {
        let (collection, indexes) = collection::create(full_name, record)?;
        let made = self.grpc().create_collection(collection).await;
        made.map_err(said("create a collection"))?;
        for index in indexes {
            let made =
                retried(is_transient, || self.grpc().create_field_index(index.clone())).await;
            made.map_err(said("create an index"))?;
        }
        Ok(())
    }

    async fn upsert(&self, full_name: &str, records: &[Record]) -> Result<(), DrillError> {
        for piece in records.chunks(PIECE) {
            let points = piece.iter().map(values::write_point).collect::<Result<Vec<_>, _>>()?;
            let request = UpsertPoints {
                collection_name: full_name.to_owned(),
                wait: Some(true),
                points,
                ordering: Some(WriteOrdering { r#type: WriteOrderingType::Strong as i32 }),
                ..UpsertPoints::default()
            };
            let sent = retried(is_transient, || self.grpc().upsert_points(request.clone())).await;
            sent.map_err(said("upsert points"))?;
        }
        Ok(())
    }

    /// The definition of a collection, as that of the short name.
    async fn read_collection(
        &self,
        full: &str,
        name: &str,
        sink: &mut dyn RecordSink,
    ) -> Result<(), DrillError> {
        let info = retried(is_transient, || self.grpc().collection_info(full)).await;
        let info = info.map_err(said("collection"))?.result;
        let missing = || DrillError::Wrong(format!("collection {name}: no description"));
        sink.take(collection::read(name, info.ok_or_else(missing)?)?)
    }

    /// The points of a collection, as those of the short name.
    async fn read_points(
        &self,
        full: &str,
        name: &str,
        sink: &mut dyn RecordSink,
    ) -> Result<(), DrillError> {
        let kind = format!("point {name}");
        let mut offset: Option<PointId> = None;
        loop {
            let mut request: ScrollPoints = ScrollPointsBuilder::new(full)
                .limit(PAGE)
                .with_payload(true)
                .with_vectors(true)
                .into();
            request.offset = offset;
            let page = retried(is_transient, || self.grpc().scroll(request.clone())).await;
            let page = page.map_err(said("scroll"))?;
            for point in page.result {
                sink.take(values::read_point(&kind, point)?)?;
            }
            offset = page.next_page_offset;
            if offset.is_none() {
                return Ok(());
            }
        }
    }

    /// The snapshots of a collection stay behind it on the server's disk.
    async fn delete(&self, full_name: &str) -> Result<(), DrillError> {
        self.delete_snapshots(full_name).await?;
        let deleted = self.grpc().delete_collection(full_name).await;
        deleted.map_err(said("delete a collection"))?;
        Ok(())
    }

    /// Names one server among others, as far as it tells: only a cluster's peers have ids.
    async fn identity(&self) -> Result<String, StoreError> {
        let url = format!("{}/cluster", self.server.url);
        let answer = within(self.timeout, "GET /cluster", self.server.rest.get(url).send()).await?;
        let cluster: serde_json::Value = match answer.error_for_status() {
            Ok(answer) => within(self.timeout, "GET /cluster", answer.json()).await?,
            // The key may be one for data alone.
            Err(_) => serde_json::Value::Null,
        };
        let peer = cluster.pointer("/result/peer_id").map(ToString::to_string);
        Ok(peer.map_or_else(|| self.server.url.clone(), |peer| format!("peer {peer}")))
    }
}

#[async_trait]
impl DrillStore for QdrantStore {
    fn kind(&self) -> StoreKind {
        StoreKind::Qdrant
    }

    async fn identify(&self) -> Result<Identity, DrillError> {
        let health = retried(is_transient, || self.grpc().health_check()).await;
        let health = health.map_err(said("version"))?;
        let (major, minor) = version(&health.version);
        if major != CLIENT.0 {
            return Err(DrillError::Refused(format!(
                "Qdrant {}: expected {}.x, which the client speaks",
                health.version, CLIENT.0
            )));
        }
        let mut not_covered = vec!["aliases, shard keys and tuning of collections".to_owned()];
        if minor.abs_diff(CLIENT.1) > 1 {
            let (least, most) = (CLIENT.1 - 1, CLIENT.1 + 1);
            not_covered.push(format!(
                "what is not in 1.{least} to 1.{most}, which the client is made for"
            ));
        }
        let server = format!("Qdrant {}", crate::platform::text::excerpt(&health.version));
        Ok(Identity { server, id: self.identity().await?, not_covered })
    }

    async fn room(&self) -> Result<Room, DrillError> {
        Ok(Room { free_bytes: None })
    }

    async fn bystanders(&self) -> Result<Vec<(String, u64)>, DrillError> {
        let mut others = self.all_collections().await?;
        others.retain(|name| *name != self.names.name() && !name.starts_with(&self.prefix()));
        let mut points = 0;
        for name in others.iter().take(COUNTED) {
            let info = self.grpc().collection_info(name).await.map_err(said("collection"))?;
            points += info.result.and_then(|info| info.points_count).unwrap_or(0);
        }
        Ok(vec![("collections".into(), others.len() as u64), ("points, estimated".into(), points)])
    }

    async fn prepare(&self) -> Result<(), DrillError> {
        let name = self.names.name();
        if self.exists(&name).await? {
            return Err(self.names.exists());
        }
        let vector = Value::map([("size", Value::Int(1)), ("distance", Value::text("dot"))]);
        let form = Value::map([("vectors", Value::map([("", vector)]))]);
        self.create(&name, &Record::new("collection", &name, form)).await?;
        let payload = Value::map([("marker", Value::Text(self.names.marker()))]);
        let vectors = Value::map([("", Value::List(vec![Value::Float(1.0)]))]);
        let value = Value::map([("payload", payload), ("vectors", vectors)]);
        self.upsert(&name, &[Record::new("point", "0", value)]).await
    }

    async fn marker(&self) -> Result<Option<String>, DrillError> {
        let name = self.names.name();
        if !self.exists(&name).await? {
            return Ok(None);
        }
        let first = ScrollPointsBuilder::new(name).limit(1).with_payload(true);
        let page = self.grpc().scroll(first).await.map_err(said("read the marker"))?;
        let Some(point) = page.result.into_iter().next() else { return Ok(None) };
        let record = values::read_point("point", point)?;
        let marker = record.value.get("payload").and_then(|payload| payload.get("marker"));
        // Somebody else's collection of that name.
        let foreign = || "no marker of a drill".to_owned();
        Ok(Some(marker.and_then(Value::as_text).map_or_else(foreign, str::to_owned)))
    }

    async fn write(&self, records: &[Record]) -> Result<(), DrillError> {
        let Some(first) = records.first() else { return Ok(()) };
        match first.kind.strip_prefix("point ") {
            Some(name) => self.upsert(&self.full_name(name), records).await,
            None => {
                for record in records {
                    self.create(&self.full_name(&record.key), record).await?;
                }
                Ok(())
            }
        }
    }

    async fn read(&self, sink: &mut dyn RecordSink) -> Result<(), DrillError> {
        let names = self.collections().await?;
        for name in &names {
            self.read_collection(&self.full_name(name), name, sink).await?;
        }
        for name in &names {
            self.read_points(&self.full_name(name), name, sink).await?;
        }
        Ok(())
    }

    fn copies(&self) -> u64 {
        // A snapshot of it, and what is recovered from that.
        3
    }

    async fn native(
        &self,
        folder: &Path,
        sink: &mut dyn RecordSink,
    ) -> Result<Option<Native>, DrillError> {
        self.snapshots(folder, sink).await.map(Some)
    }

    async fn count(&self) -> Result<u64, DrillError> {
        let mut count = 0;
        for name in self.collections().await? {
            let request = CountPointsBuilder::new(self.full_name(&name)).exact(true);
            let counted = self.grpc().count(request).await.map_err(said("count"))?;
            count += counted.result.map_or(0, |result| result.count);
        }
        Ok(count)
    }

    async fn destroy(&self) -> Result<(), DrillError> {
        let name = self.names.name();
        let marked = self.names.check(self.marker().await?.as_deref())?;
        let collections = self.collections().await?;
        if !marked && !collections.is_empty() {
            return Err(self.names.unmarked());
        }
        for short in collections {
            self.delete(&self.full_name(&short)).await?;
        }
        // Last, so that what an interruption leaves is still known as ours. Without a marker in it,
        // the collection is empty.
        if self.exists(&name).await? {
            self.delete(&name).await?;
        }
        Ok(())
    }

    async fn residue(&self) -> Result<Vec<String>, DrillError> {
        let (name, prefix) = (self.names.name(), self.prefix());
        let mut left = self.all_collections().await?;
        left.retain(|found| *found == name || found.starts_with(&prefix));
        Ok(left.into_iter().map(|name| format!("collection {name}")).collect())
    }

    async fn smoke(&self, document: &str) -> Result<String, DrillError> {
        let collection = self.full_name("embeddings");
        let named = Filter::must([Condition::matches("document", document.to_owned())]);
        let find = ScrollPointsBuilder::new(&collection).limit(2).filter(named).with_vectors(true);
        let found = self.grpc().scroll(find).await.map_err(said("smoke query"))?.result;
        let [point] = found.as_slice() else {
            let count = found.len();
            return Err(DrillError::Wrong(format!(
                "expected one point of {document}, got {count}"
            )));
        };
        let id = values::id_text(point.id.as_ref())?;
        let record = values::read_point("point", point.clone())?;
        let vector = record.value.get("vectors").and_then(|vectors| vectors.get(""));
        let vector = values::numbers(vector.unwrap_or(&Value::Null))?;
        let nearest = QueryPointsBuilder::new(&collection).query(vector).limit(1);
        let nearest = self.grpc().query(nearest).await.map_err(said("smoke query"))?.result;
        match nearest.first().map(|point| values::id_text(point.id.as_ref())).transpose()? {
            Some(nearest) if nearest == id => Ok(format!(
                "{document} found by a field of its payload, and nearest to its own embedding"
            )),
            other => Err(DrillError::Wrong(format!(
                "nearest to the embedding of point {id}: expected itself, got {other:?}"
            ))),
        }
    }
}
