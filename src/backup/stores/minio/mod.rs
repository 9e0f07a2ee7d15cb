//! MinIO or another S3: a bucket of its own. `ETag`s are no checksums and are not looked at: bodies are
//! read back and hashed here.

mod object;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{StreamExt, TryStreamExt, stream};
use s3::error::S3Error;
use s3::serde_types::{ListBucketResult, ObjectIdentifier};
use s3::{Bucket, BucketConfiguration};

use super::{DrillError, DrillStore, Identity, Namespace, RecordSink, Room};
use crate::backup::record::{Record, Value};
use crate::config::{Store, StoreKind};
use crate::platform::store::{StoreError, minio, within};
use crate::platform::text::innermost;

/// Not a name that the dataset uses.
const MARKER: &str = ".shakedown-marker";
/// Objects on their way at once.
const AT_ONCE: usize = 4;
/// Most that objects which are read at once hold together, unless it is a single one.
const BYTES_AT_ONCE: u64 = 16 * 1024 * 1024;
/// What MinIO calls itself.
const MINIO: &str = "MinIO";
/// Its administrative interface has the form of a bucket, and is asked with the same signature.
const ADMIN_BUCKET: &str = "minio";
const STORAGE_INFO: &str = "admin/v3/storageinfo";

pub(super) struct Minio {
    server: minio::Connection,
    bucket: Box<Bucket>,
    names: Namespace,
    timeout: Duration,
    /// Whether it said that it is a MinIO, which can be asked more than another S3.
    is_minio: AtomicBool,
}

/// What a server says in XML, in one line.
fn said(doing: &str) -> impl FnOnce(S3Error) -> StoreError + '_ {
    move |error| match &error {
        S3Error::HttpFailWithBody(status, body) => {
            let part = |name: &str| {
                let (_, rest) = body.split_once(&format!("<{name}>"))?;
                rest.split_once(&format!("</{name}>")).map(|(text, _)| text.to_owned())
            };
            let code = part("Code").unwrap_or_default();
            let message = part("Message").unwrap_or_else(|| body.clone());
            StoreError::new(doing, format!("HTTP {status} {code} {message}"))
        }
        // Its own words name the URL, and not what went wrong.
        S3Error::Reqwest(client) => StoreError::new(doing, innermost(client)),
        _ => StoreError::new(doing, error),
    }
}

const fn status(error: &S3Error) -> Option<u16> {
    match error {
        S3Error::HttpFailWithBody(status, _) => Some(*status),
        _ => None,
    }
}

fn is_missing(error: &S3Error) -> bool {
    status(error) == Some(404)
}

/// Whether the same request may well succeed in a moment.
fn is_transient(error: &S3Error) -> bool {
    match error {
        S3Error::HttpFailWithBody(status, _) => matches!(status, 408 | 429 | 500 | 502..=504),
        S3Error::Reqwest(_) => true,
        _ => false,
    }
}

impl Minio {
    pub(super) fn open(
        store: &Store,
        names: Namespace,
        timeout: Duration,
    ) -> Result<Self, DrillError> {
        let server = minio::connect(store, timeout)?;
        let bucket = server.bucket(&names.dashed())?;
        Ok(Self { server, bucket, names, timeout, is_minio: AtomicBool::new(false) })
    }

    /// A page of keys, the marker's among them; none when there is no bucket.
    async fn page(&self, after: Option<String>) -> Result<Option<ListBucketResult>, StoreError> {
        match self.bucket.list_page(String::new(), None, after, None, None).await {
            Ok((page, _)) => Ok(Some(page)),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(said("list objects")(error)),
        }
    }

    /// Keys of ours in a page.
    fn keys(page: &ListBucketResult) -> impl Iterator<Item = String> + '_ {
        page.contents.iter().map(|object| object.key.clone()).filter(|key| key != MARKER)
    }

    /// Keys of ours in a page, with the sizes of the objects.
    fn sizes(page: &ListBucketResult) -> Vec<(String, u64)> {
        let ours = page.contents.iter().filter(|object| object.key != MARKER);
        ours.map(|object| (object.key.clone(), object.size)).collect()
    }

    async fn delete_all(&self) -> Result<(), DrillError> {
        while let Some(page) = self.page(None).await? {
            let doomed: Vec<_> = Self::keys(&page).map(ObjectIdentifier::new).collect();
            if doomed.is_empty() {
                break;
            }
            let deleted =
                self.bucket.delete_objects(doomed).await.map_err(said("delete objects"))?;
            if let Some(error) = deleted.errors.first() {
                return Err(DrillError::Wrong(format!("delete objects: {error:?}")));
            }
        }
        let unfinished = self.bucket.list_multiparts_uploads(None, None).await;
        for page in unfinished.map_err(said("list unfinished uploads"))? {
            for upload in page.uploads {
                let aborted = self.bucket.abort_upload(&upload.key, &upload.id).await;
                aborted.map_err(said("abort an unfinished upload"))?;
            }
        }
        Ok(())
    }

    /// Names of all buckets; none when the user may not ask.
    async fn buckets(&self) -> Result<Option<Vec<String>>, StoreError> {
        let (region, credentials) = (self.server.region.clone(), self.server.credentials.clone());
        let list = async { Ok::<_, StoreError>(Bucket::list_buckets(region, credentials).await) };
        match within(self.timeout, "list buckets", list).await? {
            Ok(found) => Ok(Some(found.bucket_names().collect())),
            Err(error) if status(&error) == Some(403) => Ok(None),
            Err(error) => Err(said("list buckets")(error)),
        }
    }
}

/// Free bytes of a MinIO by its own account of its disks. With several of them, parity takes up to half.
fn free_of_disks(storage_info: &[u8]) -> Option<u64> {
    let info: serde_json::Value = serde_json::from_slice(storage_info).ok()?;
    let disks = info.get("Disks")?.as_array()?;
    let free: Vec<u64> = disks.iter().filter_map(|disk| disk.get("availspace")?.as_u64()).collect();
    let all = free.iter().fold(0_u64, |sum, free| sum.saturating_add(*free));
    match free.len() {
        0 => None,
        1 => Some(all),
        _ => Some(all / 2),
    }
}

/// Keys of objects with their sizes, in portions that may be in memory together.
fn portions(objects: Vec<(String, u64)>) -> Vec<Vec<String>> {
    let (mut portions, mut bytes): (Vec<Vec<String>>, u64) = (Vec::new(), 0);
    for (key, size) in objects {
        bytes = bytes.saturating_add(size);
        match portions.last_mut() {
            Some(portion) if bytes <= BYTES_AT_ONCE => portion.push(key),
            _ => {
                bytes = size;
                portions.push(vec![key]);
            }
        }
    }
    portions
}

#[async_trait]
impl DrillStore for Minio {
    fn kind(&self) -> StoreKind {
        StoreKind::Minio
    }

    async fn identify(&self) -> Result<Identity, DrillError> {
        // Unsigned, so that the answer is a refusal; but its headers say who refuses.
        let endpoint = self.server.region.endpoint();
        let ask = self.bucket.http_client().get(&endpoint).send();
        let ask = async { ask.await.map_err(|error| innermost(&error)) };
        let answer = within(self.timeout, "identity", ask).await?;
        let header = |name: &str| {
            let text = answer.headers().get(name)?.to_str().ok()?;
            Some(crate::platform::text::excerpt(text))
        };
        let server = header("server").unwrap_or_else(|| "S3".into());
        // A tunnel's address is another one each time.
        let id = header("x-minio-deployment-id").unwrap_or_else(|| self.server.url.clone());
        self.is_minio.store(server == MINIO, Ordering::Relaxed);
        let mut not_covered =
            vec!["earlier versions, times of change and bucket policies".to_owned()];
        if self.buckets().await?.is_none() {
            not_covered.push("a count of other buckets (the user may not list them)".into());
        }
        Ok(Identity { server, id, not_covered })
    }

    async fn room(&self) -> Result<Room, DrillError> {
        if !self.is_minio.load(Ordering::Relaxed) {
            return Ok(Room { free_bytes: None });
        }
        // Not everyone may ask that.
        let said = self.server.bucket(ADMIN_BUCKET)?.get_object(STORAGE_INFO).await;
        let free_bytes = said.ok().and_then(|data| free_of_disks(data.as_slice()));
        Ok(Room { free_bytes })
    }

    async fn bystanders(&self) -> Result<Vec<(String, u64)>, DrillError> {
        let others =
            |names: Vec<String>| names.iter().filter(|name| *name != &self.bucket.name).count();
        let count = self.buckets().await?.map(|names| ("buckets".to_owned(), others(names) as u64));
        Ok(count.into_iter().collect())
    }

    async fn prepare(&self) -> Result<(), DrillError> {
        // A server may answer a second creation as the first.
        if self.page(None).await?.is_some() {
            return Err(self.names.exists());
        }
        let (region, credentials) = (self.server.region.clone(), self.server.credentials.clone());
        let (name, form) = (self.names.dashed(), BucketConfiguration::default());
        let doing = "create the bucket";
        let create = async {
            let made = Bucket::create_with_path_style(&name, region, credentials, form).await;
            made.map_err(|error| said(doing)(error).reason)
        };
        within(self.timeout, doing, create).await?;
        let put = self.bucket.put_object(MARKER, self.names.marker().as_bytes()).await;
        put.map(drop).map_err(|error| said("write the marker")(error).into())
    }

    async fn marker(&self) -> Result<Option<String>, DrillError> {
        match self.bucket.get_object(MARKER).await {
            Ok(data) => Ok(Some(String::from_utf8_lossy(data.as_slice()).into_owned())),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(said("read the marker")(error).into()),
        }
    }

    async fn write(&self, records: &[Record]) -> Result<(), DrillError> {
        let written: Vec<_> = records.iter().map(|record| self.write_object(record)).collect();
        stream::iter(written).buffer_unordered(AT_ONCE).try_collect().await
    }

    async fn read(&self, sink: &mut dyn RecordSink) -> Result<(), DrillError> {
        let mut after = None;
        while let Some(page) = self.page(after).await? {
            for keys in portions(Self::sizes(&page)) {
                let objects = stream::iter(keys).map(|key| self.read_object(key));
                let mut objects = objects.buffered(AT_ONCE);
                while let Some(record) = objects.try_next().await? {
                    sink.take(record)?;
                }
            }
            after = page.next_continuation_token.clone();
            if after.is_none() {
                break;
            }
        }
        Ok(())
    }

    async fn count(&self) -> Result<u64, DrillError> {
        let (mut count, mut after) = (0, None);
        while let Some(page) = self.page(after).await? {
            count += Self::keys(&page).count() as u64;
            after = page.next_continuation_token;
            if after.is_none() {
                break;
            }
        }
        Ok(count)
    }

    async fn destroy(&self) -> Result<(), DrillError> {
        let Some(page) = self.page(None).await? else { return Ok(()) };
        let marked = self.names.check(self.marker().await?.as_deref())?;
        // An interruption between the bucket and its marker leaves a bucket with nothing to lose.
        if !marked && Self::keys(&page).next().is_some() {
            return Err(self.names.unmarked());
        }
        self.delete_all().await?;
        // Last, so that what an interruption leaves is still known as ours.
        self.bucket.delete_object(MARKER).await.map_err(said("delete the marker"))?;
        self.bucket.delete().await.map_err(said("delete the bucket"))?;
        Ok(())
    }

    async fn residue(&self) -> Result<Vec<String>, DrillError> {
        let there = self.page(None).await?.is_some();
        Ok(there.then(|| format!("bucket {}", self.names.dashed())).into_iter().collect())
    }

    async fn smoke(&self, document: &str) -> Result<String, DrillError> {
        let record = self.read_object(format!("documents/{document}.md")).await?;
        let get = |map: &str, name: &str| {
            record.value.get(map).and_then(|map| map.get(name)).and_then(Value::as_text)
        };
        let topic = get("tags", "topic").unwrap_or("nothing");
        match get("metadata", "document") {
            Some(name) if name == document => {
                let size = record.value.get("size").and_then(Value::as_int).unwrap_or(0);
                Ok(format!("{document} is about {topic}, {size} bytes (by its tags and metadata)"))
            }
            other => Err(DrillError::Wrong(format!("{document}: its metadata names {other:?}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_that_are_read_at_once_are_small_together_or_one() {
        let sized = |sizes: &[u64]| {
            let objects = sizes.iter().enumerate().map(|(at, size)| (at.to_string(), *size));
            portions(objects.collect()).iter().map(Vec::len).collect::<Vec<_>>()
        };
        let most = BYTES_AT_ONCE;
        assert_eq!(sized(&[1, 2, most, most + 1, 0, most, u64::MAX, 5, 5]), [2, 1, 1, 2, 1, 2]);
        assert_eq!(sized(&[most / 2, most / 2, 1]), [2, 1]);
        assert_eq!(sized(&[]), [0; 0]);
    }

    #[test]
    fn free_room_is_that_of_all_disks_less_parity() {
        let free = |text: &str| free_of_disks(text.as_bytes());
        assert_eq!(free(r#"{"Disks":[{"availspace":10,"state":"ok"}],"Backend":{}}"#), Some(10));
        assert_eq!(
            free(r#"{"Disks":[{"availspace":10},{"availspace":20},{"state":"offline"}]}"#),
            Some(15)
        );
        for none in [r#"{"Disks":[]}"#, "{}", "<Error/>", r#"{"Disks":[{"availspace":-1}]}"#] {
            assert_eq!(free(none), None, "{none}");
        }
    }
}
