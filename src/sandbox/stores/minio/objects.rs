//! All buckets, and what the operations have in common.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use s3s::dto::{
    CommonPrefix, CommonPrefixList, ETag, ETagCondition, MaxKeys, ObjectList, ObjectStorageClass,
    Owner,
};
use s3s::{S3Response, S3Result, s3_error};

use super::bucket::{Bucket, Object};
use super::listing::{PAGE, Page};
use super::uploads::Upload;

pub(super) type Buckets = BTreeMap<String, Bucket>;
pub(super) type Answer<T> = S3Result<S3Response<T>>;

/// The object store.
#[derive(Clone, Default)]
pub struct Objects(Arc<Mutex<Buckets>>);

pub(super) fn answer<T>(output: T) -> Answer<T> {
    Ok(S3Response::new(output))
}

/// Whose everything is.
pub(super) fn owner() -> Owner {
    Owner { display_name: Some("sandbox".into()), id: Some("sandbox".into()) }
}

pub(super) fn bucket<'a>(buckets: &'a mut Buckets, name: &str) -> S3Result<&'a mut Bucket> {
    buckets.get_mut(name).ok_or_else(|| s3_error!(NoSuchBucket))
}

pub(super) fn listed(page: &Page<'_>) -> (Option<ObjectList>, Option<CommonPrefixList>) {
    let object = |(key, object): &(&String, &Object)| s3s::dto::Object {
        e_tag: Some(object.tag()),
        key: Some((*key).clone()),
        last_modified: Some(object.modified.into()),
        owner: Some(owner()),
        size: Some(object.length()),
        storage_class: Some(ObjectStorageClass::from_static(ObjectStorageClass::STANDARD)),
        ..s3s::dto::Object::default()
    };
    let prefix = |prefix: &String| CommonPrefix { prefix: Some(prefix.clone()) };
    let objects = page.objects.iter().map(object).collect();
    (Some(objects), Some(page.prefixes.iter().map(prefix).collect()))
}

pub(super) fn most(asked: Option<MaxKeys>) -> usize {
    asked.map_or(PAGE, |most| usize::try_from(most).unwrap_or(0).min(PAGE))
}

/// Whether an object is there and as the conditions of a request say.
pub(super) fn admit(
    object: &Object,
    if_match: Option<&ETagCondition>,
    if_none_match: Option<&ETagCondition>,
) -> S3Result<()> {
    let is = |condition: &ETagCondition| match condition {
        ETagCondition::Any => true,
        ETagCondition::ETag(etag) => etag.value() == object.etag,
    };
    if if_match.is_some_and(|condition| !is(condition)) {
        return Err(s3_error!(PreconditionFailed));
    }
    if if_none_match.is_some_and(is) {
        return Err(s3_error!(NotModified));
    }
    Ok(())
}

impl Objects {
    pub(super) fn lock(&self) -> MutexGuard<'_, Buckets> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts an object unless a condition forbids it.
    pub(super) fn put(
        &self,
        name: &str,
        key: String,
        object: Object,
        only_new: bool,
    ) -> S3Result<ETag> {
        let mut buckets = self.lock();
        let bucket = bucket(&mut buckets, name)?;
        if only_new && bucket.objects.contains_key(&key) {
            return Err(s3_error!(PreconditionFailed));
        }
        let etag = object.tag();
        bucket.objects.insert(key, object);
        Ok(etag)
    }

    pub(super) fn with_upload<T>(
        &self,
        name: &str,
        key: &str,
        id: &str,
        work: impl FnOnce(&mut Upload) -> S3Result<T>,
    ) -> S3Result<T> {
        let mut buckets = self.lock();
        let upload = bucket(&mut buckets, name)?.uploads.get_mut(id);
        let upload = upload.filter(|upload| upload.is_to(key));
        work(upload.ok_or_else(|| s3_error!(NoSuchUpload))?)
    }

    pub(super) fn object(&self, name: &str, key: &str) -> S3Result<Object> {
        bucket(&mut self.lock(), name)?.object(key).cloned()
    }
}
