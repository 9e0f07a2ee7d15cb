//! Qdrant by its own client over gRPC, and snapshots over REST.

use std::collections::HashMap;

use qdrant_client::Payload;
use qdrant_client::qdrant::{
    Condition, CountPointsBuilder, CreateAliasBuilder, CreateCollectionBuilder,
    CreateFieldIndexCollectionBuilder, DeletePointsBuilder, Distance, FieldType, Filter,
    GetPointsBuilder, MultiVectorComparator, MultiVectorConfigBuilder, NamedVectors, PointId,
    PointStruct, QueryPointsBuilder, RetrievedPoint, ScrollPointsBuilder,
    SparseVectorParamsBuilder, SparseVectorsConfigBuilder, UpsertPointsBuilder, Value, Vector,
    VectorParamsBuilder, VectorsConfigBuilder, value::Kind, vector_output,
};
use sha2::{Digest, Sha256};
use shakedown::config::StoreKind;
use shakedown::platform::store::qdrant::{Connection, connect};

use super::{PATIENCE, Up};

const NAME: &str = "sd_drill_one";

fn connection(up: &Up) -> Connection {
    connect(up.store(StoreKind::Qdrant), PATIENCE).expect("an address")
}

/// A collection with every kind of vector.
async fn create(server: &Connection, name: &str) {
    let mut dense = VectorsConfigBuilder::default();
    dense.add_named_vector_params("angle", VectorParamsBuilder::new(3, Distance::Cosine));
    dense.add_named_vector_params("near", VectorParamsBuilder::new(4, Distance::Euclid));
    let multi = MultiVectorConfigBuilder::new(MultiVectorComparator::MaxSim);
    let multi = VectorParamsBuilder::new(2, Distance::Dot).multivector_config(multi);
    dense.add_named_vector_params("multi", multi);
    let mut sparse = SparseVectorsConfigBuilder::default();
    sparse.add_named_vector_params("words", SparseVectorParamsBuilder::default());
    let form =
        CreateCollectionBuilder::new(name).vectors_config(dense).sparse_vectors_config(sparse);
    server.grpc.create_collection(form).await.expect("created");
    let index = CreateFieldIndexCollectionBuilder::new(name, "kind", FieldType::Keyword);
    server.grpc.create_field_index(index).await.expect("indexed");
}

fn hard_points() -> Vec<PointStruct> {
    let value = |kind| Value { kind: Some(kind) };
    let payload: HashMap<String, Value> = [
        ("least", value(Kind::IntegerValue(i64::MIN))),
        ("most", value(Kind::IntegerValue(i64::MAX))),
        ("whole double", value(Kind::DoubleValue(1.0))),
        ("tenth", value(Kind::DoubleValue(0.1))),
        ("nothing", value(Kind::NullValue(0))),
        ("empty list", value(Kind::ListValue(Default::default()))),
        ("empty map", value(Kind::StructValue(Default::default()))),
        ("unicode 🙂", Value::from("✓ 数据")),
        ("kind", Value::from("hard")),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    let odd = vec![0.0, -1.5, f32::MIN_POSITIVE, 1e30];
    let near = NamedVectors::default().add_vector("near", odd);
    let all = NamedVectors::default()
        .add_vector("angle", vec![3.0, 0.0, 4.0])
        .add_vector("near", vec![1.0, 2.0, 3.0, 4.0])
        .add_vector("multi", Vector::new_multi(vec![vec![1.0, 2.0], vec![-3.0, 0.5]]))
        .add_vector("words", Vector::new_sparse(vec![4_294_967_295, 0, 7], vec![-3.0, 0.5, 1.25]));
    let uuid = "0190a5b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b";
    vec![
        PointStruct { id: Some(PointId::from(0)), payload, vectors: Some(all.into()) },
        PointStruct::new(u64::MAX, near, Payload::new()),
        PointStruct::new(uuid, NamedVectors::default(), [("kind", "uuid".into())]),
    ]
}

async fn all(server: &Connection, name: &str) -> Vec<RetrievedPoint> {
    let (mut found, mut offset) = (Vec::new(), None);
    loop {
        let mut request =
            ScrollPointsBuilder::new(name).limit(2).with_payload(true).with_vectors(true);
        if let Some(offset) = offset {
            request = request.offset::<PointId>(offset);
        }
        let page = server.grpc.scroll(request).await.expect("scrolled");
        found.extend(page.result);
        offset = page.next_page_offset;
        if offset.is_none() {
            return found;
        }
    }
}

#[tokio::test]
async fn hard_points_come_back_as_they_were_and_searches_find_them() {
    let up = Up::new();
    let server = connection(&up);
    create(&server, NAME).await;
    server.grpc.upsert_points(UpsertPointsBuilder::new(NAME, hard_points())).await.expect("put");
    let found = all(&server, NAME).await;
    let ids: Vec<PointId> = found.iter().filter_map(|point| point.id.clone()).collect();
    let expected: Vec<PointId> = hard_points().into_iter().filter_map(|point| point.id).collect();
    assert_eq!(ids, expected, "in the order of their ids");
    assert_eq!(found[0].payload, hard_points()[0].payload);
    let vectors = found[0].vectors.clone().expect("vectors");
    let dense = |name: &str| match vectors.get_vector_by_name(name) {
        Some(vector_output::Vector::Dense(vector)) => vector.data,
        other => panic!("{name}: {other:?}"),
    };
    assert_eq!(dense("angle"), [0.6, 0.0, 0.8], "one long");
    assert_eq!(dense("near"), [1.0, 2.0, 3.0, 4.0]);
    let Some(vector_output::Vector::Sparse(sparse)) = vectors.get_vector_by_name("words") else {
        panic!("a sparse vector")
    };
    assert_eq!((sparse.indices, sparse.values), (vec![0, 7, u32::MAX], vec![0.5, 1.25, -3.0]));
    let nearest =
        QueryPointsBuilder::new(NAME).query(vec![1.0, 2.0, 3.0, 4.1]).using("near").limit(1);
    let nearest = server.grpc.query(nearest).await.expect("found").result;
    assert_eq!(nearest[0].id, Some(PointId::from(0)));
    assert!((nearest[0].score - 0.1).abs() < 1e-5, "{}", nearest[0].score);
    let of_kind = Filter::must([Condition::matches("kind", "uuid".to_owned())]);
    let count = CountPointsBuilder::new(NAME).filter(of_kind.clone()).exact(true);
    assert_eq!(server.grpc.count(count).await.expect("counted").result.expect("a count").count, 1);
    server
        .grpc
        .delete_points(DeletePointsBuilder::new(NAME).points(of_kind))
        .await
        .expect("deleted");
    let get = GetPointsBuilder::new(NAME, [PointId::from(0), PointId::from(5)]).with_payload(false);
    let got = server.grpc.get_points(get).await.expect("got").result;
    assert!(got.len() == 1 && got[0].payload.is_empty() && got[0].vectors.is_none());
    assert_eq!(all(&server, NAME).await.len(), 2);
    let info = server.grpc.collection_info(NAME).await.expect("told").result.expect("told");
    assert_eq!(info.points_count, Some(2));
    assert_eq!(info.payload_schema["kind"].data_type, 1, "keyword");
}

#[tokio::test]
async fn what_does_not_fit_is_refused_whole() {
    let up = Up::new();
    let server = connection(&up);
    create(&server, NAME).await;
    let points = |name: &str, vector: Vec<f32>| {
        let fits = NamedVectors::default().add_vector("near", vec![0.0; 4]);
        let wrong = NamedVectors::default().add_vector(name, vector);
        vec![PointStruct::new(1, fits, Payload::new()), PointStruct::new(2, wrong, Payload::new())]
    };
    for wrong in
        [points("near", vec![1.0]), points("nosuch", vec![1.0]), points("near", vec![f32::NAN; 4])]
    {
        let refused = server.grpc.upsert_points(UpsertPointsBuilder::new(NAME, wrong)).await;
        assert!(refused.is_err());
    }
    assert_eq!(all(&server, NAME).await, []);
    let again = server.grpc.create_collection(CreateCollectionBuilder::new(NAME)).await;
    assert!(again.expect_err("twice").to_string().contains("already exists"));
    let missing = server.grpc.upsert_points(UpsertPointsBuilder::new("none", hard_points())).await;
    assert!(missing.expect_err("no collection").to_string().contains("doesn't exist"));
    let file = tempfile::NamedTempFile::new().expect("a file");
    let stranger = connect(&up.locked(StoreKind::Qdrant, &file), PATIENCE).expect("an address");
    assert!(stranger.grpc.list_collections().await.is_err(), "a wrong key");
    let answer = stranger.rest.get(format!("{}/collections", stranger.url)).send().await;
    assert_eq!(answer.expect("answered").status().as_u16(), 401);
    server.grpc.create_alias(CreateAliasBuilder::new(NAME, "other_name")).await.expect("named");
    assert!(server.grpc.collection_exists("other_name").await.expect("asked"));
    server.grpc.delete_collection(NAME).await.expect("deleted");
    assert!(!server.grpc.collection_exists("other_name").await.expect("asked"));
}

#[tokio::test]
async fn a_snapshot_restores_a_collection_and_a_changed_one_nothing() {
    let up = Up::new();
    let server = connection(&up);
    create(&server, NAME).await;
    server.grpc.upsert_points(UpsertPointsBuilder::new(NAME, hard_points())).await.expect("put");
    let before = all(&server, NAME).await;
    let snapshot = server.grpc.create_snapshot(NAME).await.expect("taken");
    let snapshot = snapshot.snapshot_description.expect("described");
    let url = |path: &str| format!("{}/collections/{path}", server.url);
    let file = server.rest.get(url(&format!("{NAME}/snapshots/{}", snapshot.name))).send().await;
    let file =
        file.expect("answered").error_for_status().expect("there").bytes().await.expect("whole");
    let checksum: String = Sha256::digest(&file).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(snapshot.checksum.as_deref(), Some(checksum.as_str()));
    assert_eq!(snapshot.size, file.len() as i64);
    let upload = async |name: &str, bytes: Vec<u8>| {
        let part = reqwest::multipart::Part::bytes(bytes).file_name("up.snapshot");
        let form = reqwest::multipart::Form::new().part("snapshot", part);
        let path =
            format!("{name}/snapshots/upload?wait=true&priority=snapshot&checksum={checksum}");
        server
            .rest
            .post(url(&path))
            .multipart(form)
            .send()
            .await
            .expect("answered")
            .status()
            .as_u16()
    };
    let mut flipped = file.to_vec();
    flipped[600] ^= 1;
    assert_eq!(upload("sd_drill_two", flipped).await, 400);
    assert!(!server.grpc.collection_exists("sd_drill_two").await.expect("asked"));
    server.grpc.delete_collection(NAME).await.expect("deleted");
    assert_eq!(upload("sd_drill_two", file.to_vec()).await, 200);
    assert_eq!(all(&server, "sd_drill_two").await, before);
    let info =
        server.grpc.collection_info("sd_drill_two").await.expect("told").result.expect("told");
    assert!(info.payload_schema.contains_key("kind"), "indexes are restored too");
    let listed = server.grpc.list_snapshots("sd_drill_two").await.expect("listed");
    assert_eq!(listed.snapshot_descriptions[0].name, "up.snapshot");
    let recover =
        serde_json::json!({ "location": "file:///qdrant/snapshots/sd_drill_two/up.snapshot" });
    let recovered =
        server.rest.put(url("sd_drill_three/snapshots/recover")).json(&recover).send().await;
    assert!(recovered.expect("answered").status().is_success());
    assert_eq!(all(&server, "sd_drill_three").await, before);
    let gone = server.rest.delete(url("sd_drill_two/snapshots/up.snapshot")).send().await;
    assert!(gone.expect("answered").status().is_success());
    let listed = server.grpc.list_snapshots("sd_drill_two").await.expect("listed");
    assert!(listed.snapshot_descriptions.is_empty());
}

#[tokio::test]
async fn twenty_clients_at_once_lose_no_point() {
    let up = Up::new();
    let server = connection(&up);
    let form = CreateCollectionBuilder::new(NAME);
    let form = form.vectors_config(VectorParamsBuilder::new(2, Distance::Dot));
    server.grpc.create_collection(form).await.expect("created");
    let mut workers = tokio::task::JoinSet::new();
    for worker in 0..20_u64 {
        let server = connection(&up);
        workers.spawn(async move {
            for piece in 0..5 {
                let point = |number| PointStruct::new(number, vec![1.0, 2.0], Payload::new());
                let ids = (0..20).map(|number| worker * 100 + piece * 20 + number);
                let points: Vec<PointStruct> = ids.map(point).collect();
                server
                    .grpc
                    .upsert_points(UpsertPointsBuilder::new(NAME, points))
                    .await
                    .expect("put");
            }
        });
    }
    workers.join_all().await;
    let count = CountPointsBuilder::new(NAME).exact(true);
    assert_eq!(
        server.grpc.count(count).await.expect("counted").result.expect("a count").count,
        2000
    );
}
