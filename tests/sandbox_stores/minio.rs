//! S3 by rust-s3: objects of hard sizes and names, parts, tags, pages, many clients at once.

use s3::Bucket;
use s3::error::S3Error;
use shakedown::config::StoreKind;
use shakedown::platform::store::minio::{Connection, connect};

use super::{PATIENCE, Up};

const MIB: usize = 1 << 20;

fn connection(up: &Up) -> Connection {
    connect(up.store(StoreKind::Minio), PATIENCE).expect("an address")
}

async fn create(connection: &Connection, name: &str) -> Result<(), S3Error> {
    let (region, credentials) = (connection.region.clone(), connection.credentials.clone());
    let config = s3::BucketConfiguration::default();
    Bucket::create_with_path_style(name, region, credentials, config).await.map(drop)
}

fn noise(length: usize, seed: u32) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 8) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

fn status(error: &S3Error) -> u16 {
    match error {
        S3Error::HttpFailWithBody(status, _) => *status,
        other => panic!("expected an answer of the server, got {other}"),
    }
}

#[tokio::test]
async fn objects_of_hard_sizes_and_names_come_back_with_what_belongs_to_them() {
    let up = Up::new();
    let connection = connection(&up);
    create(&connection, "sd-drill-one").await.expect("made");
    let bucket = connection.bucket("sd-drill-one").expect("a name");
    assert!(bucket.exists().await.expect("asked"));
    for size in [0, 1, 5 * MIB, 8 * MIB - 1, 8 * MIB, 8 * MIB + 1, 17 * MIB] {
        let (key, body) = (format!("models/{size:08}.bin"), noise(size, size as u32));
        bucket.put_object_stream(&mut body.as_slice(), &key).await.expect("put");
        let got = bucket.get_object(&key).await.expect("got");
        assert!(got.as_slice() == body, "{size} bytes");
        let (head, _) = bucket.head_object(&key).await.expect("asked");
        assert_eq!(head.content_length, Some(size as i64));
    }
    let tail = bucket.get_object_range("models/05242880.bin", 10, Some(19)).await.expect("a range");
    assert_eq!(tail.as_slice(), &noise(5 * MIB, 5 * MIB as u32)[10..20]);
    let long = format!("hard/{}", ["long"; 45].join("/"));
    let names =
        ["with space.txt", "plus+percent%41.txt", "ünïcode-数据.txt", "quote'&amp;<x>.txt", &long];
    for name in names {
        let put = bucket.put_object_builder(name, name.as_bytes());
        let put = put.with_content_type("text/plain; charset=utf-8");
        let put = put.with_metadata("note", "several words").expect("a header");
        put.execute().await.expect("put");
        bucket.put_object_tagging(name, &[("a", "1"), ("b", "two words")]).await.expect("tagged");
        let got = bucket.get_object(name).await.expect("got");
        assert_eq!(got.as_slice(), name.as_bytes());
        let (head, _) = bucket.head_object(name).await.expect("asked");
        assert_eq!(head.content_type.as_deref(), Some("text/plain; charset=utf-8"));
        let metadata = head.metadata.expect("metadata");
        assert_eq!(metadata.get("note").map(String::as_str), Some("several words"));
        let (tags, _) = bucket.get_object_tagging(name).await.expect("asked");
        let tags: Vec<_> = tags.iter().map(|tag| (tag.key(), tag.value())).collect();
        assert_eq!(tags, [("a".into(), "1".into()), ("b".into(), "two words".into())]);
    }
    let listed = bucket.list(String::new(), None).await.expect("listed");
    let keys: std::collections::BTreeSet<String> =
        listed.into_iter().flat_map(|page| page.contents).map(|object| object.key).collect();
    assert_eq!(keys.len(), 12);
    assert!(names.iter().all(|name| keys.contains(*name)), "{keys:?}");
    let refused = bucket.delete().await.expect_err("not empty");
    assert_eq!(status(&refused), 409);
    for key in keys {
        bucket.delete_object(&key).await.expect("deleted");
    }
    bucket.delete().await.expect("empty");
    assert!(!bucket.exists().await.expect("asked"));
}

#[tokio::test]
async fn a_large_bucket_is_listed_in_pages_and_by_twenty_clients_at_once() {
    let up = Up::new();
    let connection = connection(&up);
    create(&connection, "sd-drill-many").await.expect("made");
    let mut workers = tokio::task::JoinSet::new();
    for worker in 0..20 {
        let bucket = connection.bucket("sd-drill-many").expect("a name");
        workers.spawn(async move {
            for number in 0..60 {
                let key = format!("{worker:02}/{number:03}");
                bucket.put_object(&key, key.as_bytes()).await.expect("put");
            }
            bucket.list(String::new(), Some("/".into())).await.expect("listed");
        });
    }
    workers.join_all().await;
    let bucket = connection.bucket("sd-drill-many").expect("a name");
    let pages = bucket.list(String::new(), None).await.expect("listed");
    assert!(pages.len() > 1, "1200 objects in one page");
    assert_eq!(pages.iter().map(|page| page.contents.len()).sum::<usize>(), 1200);
    let folders = bucket.list(String::new(), Some("/".into())).await.expect("listed");
    let folders = folders.iter().flat_map(|page| page.common_prefixes.iter().flatten());
    assert_eq!(folders.count(), 20);
    let buckets = Bucket::list_buckets(connection.region.clone(), connection.credentials.clone());
    let buckets = buckets.await.expect("listed");
    assert_eq!(buckets.bucket_names().collect::<Vec<_>>(), ["sd-drill-many"]);
}

#[tokio::test]
async fn nobody_gets_in_with_another_key_and_what_is_wrong_is_refused() {
    let up = Up::new();
    let file = tempfile::NamedTempFile::new().expect("a file");
    let stranger = connect(&up.locked(StoreKind::Minio, &file), PATIENCE).expect("an address");
    let refused = create(&stranger, "sd-drill-x").await.expect_err("a wrong key");
    assert_eq!(status(&refused), 403);
    let connection = connection(&up);
    let nowhere = connection.bucket("sd-drill-none").expect("a name");
    assert_eq!(status(&nowhere.put_object("k", b"v").await.expect_err("no bucket")), 404);
    create(&connection, "sd-drill-x").await.expect("made");
    let bucket = connection.bucket("sd-drill-x").expect("a name");
    assert_eq!(status(&bucket.get_object("none").await.expect_err("no object")), 404);
    bucket.put_object("k", b"v").await.expect("put");
    assert_eq!(status(&bucket.get_object_range("k", 5, Some(9)).await.expect_err("no range")), 416);
    // Without a signature there is no answer but a refusal.
    let url = format!("{}/sd-drill-x/k", up.store(StoreKind::Minio).url);
    let answer = reqwest::get(&url).await.expect("answered");
    assert_eq!(answer.status().as_u16(), 403);
}
