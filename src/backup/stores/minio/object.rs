//! An object as a record, and a record as an object.

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use s3::error::S3Error;
use sha2::{Digest, Sha256};

use super::{Minio, is_transient, said};
use crate::backup::ledger::hex;
use crate::backup::record::{Record, Value};
use crate::backup::stores::DrillError;
use crate::platform::store::retried;

/// Larger bodies go in parts of this size.
const PART_BYTES: usize = 8 * 1024 * 1024;
const METADATA: &str = "x-amz-meta-";
/// Headers that an object keeps beside its type.
const KEPT: [&str; 4] =
    ["cache-control", "content-disposition", "content-encoding", "content-language"];

impl Minio {
    /// An object with its headers and tags, its body beside it.
    pub(super) async fn read_object(&self, key: String) -> Result<Record, DrillError> {
        let doing = format!("read {key}");
        let data = self.bucket.get_object(&key).await.map_err(said(&doing))?;
        // Not every server says with an object whether it has tags.
        let (tags, _) = self.bucket.get_object_tagging(&key).await.map_err(said(&doing))?;
        let (headers, body) = (data.headers(), data.into_bytes());
        let get = |name: &str| headers.get(name).map(Value::text);
        let metadata = headers.iter().filter_map(|(name, value)| {
            Some((name.strip_prefix(METADATA)?.to_owned(), Value::text(value)))
        });
        let kept = KEPT.into_iter().filter_map(|name| Some((name, get(name)?)));
        let value = Value::map([
            ("size", Value::Int(body.len() as i64)),
            ("sha256", Value::Text(hex(&Sha256::digest(&body)))),
            ("content_type", get("content-type").unwrap_or(Value::Null)),
            ("headers", Value::map(kept)),
            ("metadata", Value::map(metadata)),
            ("tags", Value::map(tags.into_iter().map(|tag| (tag.key(), Value::Text(tag.value()))))),
        ]);
        Ok(Record::new("object", key, value).with_payload(body.into()))
    }

    /// Writes an object; the same again does no harm, so that it may be tried again.
    pub(super) async fn write_object(&self, record: &Record) -> Result<(), DrillError> {
        let doing = format!("write {}", record.key);
        let wrong = |what: &str| DrillError::Wrong(format!("{}: {what}", record.key));
        let body = record.payload.as_deref().ok_or_else(|| wrong("an object without a body"))?;
        let content_type = record.value.get("content_type").and_then(Value::as_text);
        let content_type = content_type.unwrap_or("application/octet-stream");
        let headers = headers(&record.value).ok_or_else(|| wrong("not a header"))?;
        retried(is_transient, || self.put(&record.key, body, content_type, headers.clone()))
            .await
            .map_err(said(&doing))?;
        let tags = pairs(record.value.get("tags"));
        if !tags.is_empty() {
            retried(is_transient, || self.bucket.put_object_tagging(&record.key, &tags))
                .await
                .map_err(said(&doing))?;
        }
        Ok(())
    }

    async fn put(
        &self,
        key: &str,
        mut body: &[u8],
        content_type: &str,
        headers: HeaderMap,
    ) -> Result<(), S3Error> {
        if body.len() <= PART_BYTES {
            let put = self.bucket.put_object_builder(key, body).with_content_type(content_type);
            put.with_headers(headers).execute().await.map(drop)
        } else {
            let put = self.bucket.put_object_stream_builder(key).with_content_type(content_type);
            let put = put.with_headers(headers).with_max_concurrent_chunks(2);
            put.execute_stream(&mut body).await.map(drop)
        }
    }
}

fn pairs(map: Option<&Value>) -> Vec<(&str, &str)> {
    match map {
        Some(Value::Map(entries)) => entries
            .iter()
            .filter_map(|(name, value)| Some((name.as_str(), value.as_text()?)))
            .collect(),
        _ => Vec::new(),
    }
}

/// The headers that an object keeps, its metadata among them; none when one is no header.
fn headers(value: &Value) -> Option<HeaderMap> {
    let kept = pairs(value.get("headers")).into_iter().map(|(name, text)| (name.to_owned(), text));
    let metadata = pairs(value.get("metadata")).into_iter();
    let metadata = metadata.map(|(name, text)| (format!("{METADATA}{name}"), text));
    kept.chain(metadata)
        .map(|(name, text)| {
            let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
            Some((name, HeaderValue::from_str(text).ok()?))
        })
        .collect()
}
