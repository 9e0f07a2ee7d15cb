//! Uploads in parts.

use std::collections::BTreeMap;
use std::time::SystemTime;

use bytes::{Bytes, BytesMut};
use s3s::dto::{CompletedPart, ETag, MultipartUpload, Part as ListedPart, PartNumber};
use s3s::{S3Result, s3_error};

use super::bucket::{Headers, Object, Tags, digest};

/// The last number that a part may have.
const LAST_PART: PartNumber = 10_000;
/// Every part but the last is at least so long.
const LEAST_PART_BYTES: usize = 5 << 20;

/// A part.
#[derive(Clone, Debug)]
struct Part {
    body: Bytes,
    etag: String,
    modified: SystemTime,
}

/// An upload that is not complete.
#[derive(Debug)]
pub struct Upload {
    key: String,
    headers: Headers,
    tags: Tags,
    begun: SystemTime,
    parts: BTreeMap<PartNumber, Part>,
}

impl Upload {
    /// A new one.
    pub fn new(key: String, headers: Headers, tags: Tags) -> Self {
        Self { key, headers, tags, begun: SystemTime::now(), parts: BTreeMap::new() }
    }

    /// Whether it is an upload to this key.
    pub fn is_to(&self, key: &str) -> bool {
        self.key == key
    }

    /// Takes a part, in place of one with the same number.
    pub fn put(&mut self, number: PartNumber, body: Bytes) -> S3Result<ETag> {
        if !(1..=LAST_PART).contains(&number) {
            return Err(s3_error!(InvalidArgument, "a part's number is from 1 to {LAST_PART}"));
        }
        let etag = digest(&body);
        let part = Part { body, etag: etag.clone(), modified: SystemTime::now() };
        self.parts.insert(number, part);
        Ok(ETag::Strong(etag))
    }

    /// The object that the named parts make together.
    pub fn complete(&self, named: &[CompletedPart]) -> S3Result<Object> {
        let mut chosen = Vec::new();
        let mut before = 0;
        for named in named {
            let number = named.part_number.unwrap_or(0);
            if number <= before {
                return Err(s3_error!(InvalidPartOrder));
            }
            before = number;
            let part = self.parts.get(&number).ok_or_else(|| s3_error!(InvalidPart))?;
            if named.e_tag.as_ref().is_some_and(|etag| etag.value() != part.etag) {
                return Err(s3_error!(InvalidPart));
            }
            chosen.push(part);
        }
        let Some((_, all_but_last)) = chosen.split_last() else {
            return Err(s3_error!(MalformedXML, "an upload has at least one part"));
        };
        if all_but_last.iter().any(|part| part.body.len() < LEAST_PART_BYTES) {
            return Err(s3_error!(EntityTooSmall));
        }
        let mut body = BytesMut::new();
        let mut digests = Vec::new();
        for part in &chosen {
            body.extend_from_slice(&part.body);
            digests.extend_from_slice(&md5::compute(&part.body).0);
        }
        let etag = format!("{}-{}", digest(&digests), chosen.len());
        Ok(Object::new(body.freeze(), etag, self.headers.clone(), self.tags.clone()))
    }

    /// As it is listed.
    pub fn listed(&self, id: &str) -> MultipartUpload {
        MultipartUpload {
            initiated: Some(self.begun.into()),
            key: Some(self.key.clone()),
            upload_id: Some(id.to_owned()),
            storage_class: Some(s3s::dto::StorageClass::from_static("STANDARD")),
            owner: Some(super::objects::owner()),
            ..MultipartUpload::default()
        }
    }

    /// Its parts as they are listed.
    pub fn parts(&self) -> Vec<ListedPart> {
        let listed = |(number, part): (&PartNumber, &Part)| ListedPart {
            e_tag: Some(ETag::Strong(part.etag.clone())),
            last_modified: Some(part.modified.into()),
            part_number: Some(*number),
            size: i64::try_from(part.body.len()).ok(),
            ..ListedPart::default()
        };
        self.parts.iter().map(listed).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_make_an_object_in_order_or_are_refused() {
        let mut upload = Upload::new("k".into(), Headers::default(), Tags::new());
        let large = Bytes::from(vec![1; LEAST_PART_BYTES]);
        upload.put(2, Bytes::from_static(b"tail")).expect("a part");
        upload.put(1, large.clone()).expect("a part");
        assert!(upload.put(0, large.clone()).is_err());
        let named =
            |number| CompletedPart { part_number: Some(number), ..CompletedPart::default() };
        let object = upload.complete(&[named(1), named(2)]).expect("complete");
        assert_eq!(object.body.len(), LEAST_PART_BYTES + 4);
        assert!(object.etag.ends_with("-2"), "{}", object.etag);
        for wrong in [&[][..], &[named(2), named(1)], &[named(3)]] {
            assert!(upload.complete(wrong).is_err());
        }
        upload.put(1, Bytes::from_static(b"small")).expect("a part");
        assert!(upload.complete(&[named(1), named(2)]).is_err());
    }
}
