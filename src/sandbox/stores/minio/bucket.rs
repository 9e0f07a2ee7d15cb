//! What a bucket holds.

use std::collections::BTreeMap;
use std::time::SystemTime;

use bytes::{Bytes, BytesMut};
use futures_util::TryStreamExt;
use s3s::dto::{ETag, Expires, Metadata, StreamingBlob, Tag, TagSet};
use s3s::{S3Error, S3Result, s3_error};

use super::uploads::Upload;
use crate::sandbox::stores::limits;

/// Largest body of one request.
const MAX_BODY_BYTES: usize = 512 << 20;
/// Most tags of an object.
const MAX_TAGS: usize = 10;
/// Bytes of all metadata of an object.
const MAX_METADATA_BYTES: usize = 2 << 10;

/// Headers that an object keeps.
#[derive(Clone, Debug, Default)]
pub struct Headers {
    /// `Cache-Control`.
    pub cache_control: Option<String>,
    /// `Content-Disposition`.
    pub content_disposition: Option<String>,
    /// `Content-Encoding`.
    pub content_encoding: Option<String>,
    /// `Content-Language`.
    pub content_language: Option<String>,
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// `Expires`.
    pub expires: Option<Expires>,
    /// What the user has added.
    pub metadata: Metadata,
}

impl Headers {
    /// Refuses more metadata than an object may have.
    pub fn admit(self) -> S3Result<Self> {
        let bytes: usize = self.metadata.iter().map(|(name, value)| name.len() + value.len()).sum();
        if bytes > MAX_METADATA_BYTES {
            return Err(s3_error!(MetadataTooLarge));
        }
        Ok(self)
    }
}

/// Takes the headers of an object from the input of a request.
macro_rules! headers_of {
    ($input:expr) => {
        $crate::sandbox::stores::minio::bucket::Headers {
            cache_control: $input.cache_control.clone(),
            content_disposition: $input.content_disposition.clone(),
            content_encoding: $input.content_encoding.clone(),
            content_language: $input.content_language.clone(),
            content_type: $input.content_type.clone(),
            expires: $input.expires.clone(),
            metadata: $input.metadata.clone().unwrap_or_default(),
        }
    };
}
pub(super) use headers_of;

/// Tags by name.
pub type Tags = BTreeMap<String, String>;

/// An object.
#[derive(Clone, Debug)]
pub struct Object {
    /// Its bytes.
    pub body: Bytes,
    /// MD5 of its bytes, or of the MD5s of its parts with their number.
    pub etag: String,
    /// When it was written.
    pub modified: SystemTime,
    /// Its headers.
    pub headers: Headers,
    /// Its tags.
    pub tags: Tags,
}

impl Object {
    /// A new one.
    pub fn new(body: Bytes, etag: String, headers: Headers, tags: Tags) -> Self {
        Self { body, etag, modified: SystemTime::now(), headers, tags }
    }

    /// Its ETag.
    pub fn tag(&self) -> ETag {
        ETag::Strong(self.etag.clone())
    }

    /// Its length.
    pub fn length(&self) -> i64 {
        i64::try_from(self.body.len()).unwrap_or(i64::MAX)
    }
}

/// A bucket.
#[derive(Debug)]
pub struct Bucket {
    /// When it was made.
    pub created: SystemTime,
    /// Objects by key.
    pub objects: BTreeMap<String, Object>,
    /// Uploads that are not complete.
    pub uploads: BTreeMap<String, Upload>,
}

impl Bucket {
    /// An empty one.
    pub fn new() -> Self {
        Self { created: SystemTime::now(), objects: BTreeMap::new(), uploads: BTreeMap::new() }
    }

    /// An object.
    pub fn object(&self, key: &str) -> S3Result<&Object> {
        self.objects.get(key).ok_or_else(|| s3_error!(NoSuchKey))
    }
}

/// Reads a body to its end and checks the digest that was announced for it.
pub async fn read(body: Option<StreamingBlob>, md5: Option<&str>) -> S3Result<Bytes> {
    let mut bytes = BytesMut::new();
    if let Some(mut stream) = body {
        let broken = |error| S3Error::with_source(s3s::S3ErrorCode::IncompleteBody, error);
        while let Some(chunk) = stream.try_next().await.map_err(broken)? {
            if bytes.len() + chunk.len() > MAX_BODY_BYTES {
                return Err(s3_error!(EntityTooLarge));
            }
            bytes.extend_from_slice(&chunk);
        }
    }
    if limits::is_full() {
        return Err(s3_error!(SlowDown, "the sandbox's store holds as much as it may"));
    }
    if let Some(expected) = md5 {
        use base64::Engine;
        let digest = base64::engine::general_purpose::STANDARD.encode(md5::compute(&bytes).0);
        if digest != expected {
            return Err(s3_error!(BadDigest));
        }
    }
    Ok(bytes.freeze())
}

/// MD5 in hexadecimal digits.
pub fn digest(bytes: &[u8]) -> String {
    format!("{:x}", md5::compute(bytes))
}

/// Tags from a header such as `a=1&b=two+words`.
pub fn tags_of_header(header: Option<&str>) -> S3Result<Tags> {
    let pairs = header.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    let tags = pairs.map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let decode = |text: &str| decode(text).ok_or_else(|| s3_error!(InvalidTag));
        Ok((decode(name)?, decode(value)?))
    });
    admit_tags(tags.collect::<S3Result<_>>()?)
}

/// Tags from a body.
pub fn tags_of_set(set: TagSet) -> S3Result<Tags> {
    let number = set.len();
    let tags: Tags =
        set.into_iter().filter_map(|tag| Some((tag.key?, tag.value.unwrap_or_default()))).collect();
    if tags.len() != number {
        return Err(s3_error!(InvalidTag, "a tag without a name, or one named twice"));
    }
    admit_tags(tags)
}

fn admit_tags(tags: Tags) -> S3Result<Tags> {
    let lengths_fit = tags.iter().all(|(name, value)| {
        (1..=128).contains(&name.chars().count()) && value.chars().count() <= 256
    });
    if tags.len() > MAX_TAGS || !lengths_fit {
        return Err(s3_error!(InvalidTag));
    }
    Ok(tags)
}

/// Tags as an answer has them.
pub fn tag_set(tags: &Tags) -> TagSet {
    let tag = |(key, value): (&String, &String)| Tag {
        key: Some(key.clone()),
        value: Some(value.clone()),
    };
    tags.iter().map(tag).collect()
}

/// Text of a form: `+` is a space, `%` begins a byte in hexadecimal digits.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        rest = more;
        bytes.push(match first {
            b'+' => b' ',
            b'%' => {
                let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
                rest = &rest[2..];
                u8::from_str_radix(digits, 16).ok()?
            }
            other => *other,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_read_from_their_header_or_refused() {
        let tags = tags_of_header(Some("a=1&b=two+words&%C3%BC=%2B")).expect("tags");
        let expected = [("a", "1"), ("b", "two words"), ("ü", "+")];
        assert_eq!(tags, expected.map(|(k, v)| (k.to_owned(), v.to_owned())).into());
        assert!(tags_of_header(Some("a=%4")).is_err() && tags_of_header(Some("=x")).is_err());
        let many: Vec<String> = (0..11).map(|n| format!("k{n}=v")).collect();
        assert!(tags_of_header(Some(&many.join("&"))).is_err());
        assert_eq!(tags_of_header(None).expect("none"), Tags::new());
    }

    #[tokio::test]
    async fn a_body_with_another_digest_is_refused() {
        let body = || Some(StreamingBlob::from(s3s::Body::from(Bytes::from_static(b"hello"))));
        assert_eq!(read(body(), Some("XUFAKrxLKna5cZ2REBfFkg==")).await.expect("whole"), "hello");
        assert!(read(body(), Some("XUFAKrxLKna5cZ2REBfFkQ==")).await.is_err());
        assert_eq!(digest(b"hello"), "5d41402abc4b2a76b9719d911017c592");
    }
}
