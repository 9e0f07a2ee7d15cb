//! The operations of S3.

use s3s::dto::*;
use s3s::{Body, S3, S3Request, s3_error};

use super::bucket::{
    Bucket, Object, digest, headers_of, read, tag_set, tags_of_header, tags_of_set,
};
use super::listing::{Asked, page};
use super::objects::{Answer, Objects, admit, answer, bucket, listed, most, owner};
use super::uploads::Upload;

#[async_trait::async_trait]
impl S3 for Objects {
    async fn list_buckets(&self, _: S3Request<ListBucketsInput>) -> Answer<ListBucketsOutput> {
        let buckets = self.lock();
        let bucket = |(name, bucket): (&String, &Bucket)| s3s::dto::Bucket {
            creation_date: Some(bucket.created.into()),
            name: Some(name.clone()),
            ..s3s::dto::Bucket::default()
        };
        let buckets = Some(buckets.iter().map(bucket).collect());
        answer(ListBucketsOutput { buckets, owner: Some(owner()), ..ListBucketsOutput::default() })
    }

    async fn create_bucket(
        &self,
        request: S3Request<CreateBucketInput>,
    ) -> Answer<CreateBucketOutput> {
        let name = request.input.bucket;
        let mut buckets = self.lock();
        if buckets.contains_key(&name) {
            return Err(s3_error!(BucketAlreadyOwnedByYou));
        }
        let location = Some(format!("/{name}"));
        buckets.insert(name, Bucket::new());
        answer(CreateBucketOutput { location })
    }

    async fn head_bucket(&self, request: S3Request<HeadBucketInput>) -> Answer<HeadBucketOutput> {
        bucket(&mut self.lock(), &request.input.bucket)?;
        answer(HeadBucketOutput::default())
    }

    async fn get_bucket_location(
        &self,
        request: S3Request<GetBucketLocationInput>,
    ) -> Answer<GetBucketLocationOutput> {
        bucket(&mut self.lock(), &request.input.bucket)?;
        answer(GetBucketLocationOutput::default())
    }

    async fn get_bucket_versioning(
        &self,
        request: S3Request<GetBucketVersioningInput>,
    ) -> Answer<GetBucketVersioningOutput> {
        bucket(&mut self.lock(), &request.input.bucket)?;
        answer(GetBucketVersioningOutput::default())
    }

    async fn delete_bucket(
        &self,
        request: S3Request<DeleteBucketInput>,
    ) -> Answer<DeleteBucketOutput> {
        let name = request.input.bucket;
        let mut buckets = self.lock();
        if !bucket(&mut buckets, &name)?.objects.is_empty() {
            return Err(s3_error!(BucketNotEmpty));
        }
        buckets.remove(&name);
        answer(DeleteBucketOutput::default())
    }

    async fn put_object(&self, request: S3Request<PutObjectInput>) -> Answer<PutObjectOutput> {
        let input = request.input;
        let headers = headers_of!(input).admit()?;
        let tags = tags_of_header(input.tagging.as_deref())?;
        bucket(&mut self.lock(), &input.bucket)?;
        let body = read(input.body, input.content_md5.as_deref()).await?;
        let etag = digest(&body);
        let only_new = input.if_none_match.is_some();
        let object = Object::new(body, etag, headers, tags);
        let e_tag = Some(self.put(&input.bucket, input.key, object, only_new)?);
        answer(PutObjectOutput { e_tag, ..PutObjectOutput::default() })
    }

    async fn get_object(&self, request: S3Request<GetObjectInput>) -> Answer<GetObjectOutput> {
        let input = request.input;
        let object = self.object(&input.bucket, &input.key)?;
        admit(&object, input.if_match.as_ref(), input.if_none_match.as_ref())?;
        let length = object.body.len() as u64;
        let range = match input.range {
            Some(range) => Some(range.check(length).map_err(|_| s3_error!(InvalidRange))?),
            None => None,
        };
        let content_range =
            range.as_ref().map(|part| format!("bytes {}-{}/{length}", part.start, part.end - 1));
        let body = match range {
            Some(part) => object.body.slice(part.start as usize..part.end as usize),
            None => object.body.clone(),
        };
        let headers = object.headers.clone();
        answer(GetObjectOutput {
            accept_ranges: Some("bytes".into()),
            content_length: i64::try_from(body.len()).ok(),
            body: Some(StreamingBlob::from(Body::from(body))),
            cache_control: headers.cache_control,
            content_disposition: headers.content_disposition,
            content_encoding: headers.content_encoding,
            content_language: headers.content_language,
            content_range,
            content_type: headers.content_type,
            e_tag: Some(object.tag()),
            expires: headers.expires,
            last_modified: Some(object.modified.into()),
            metadata: Some(headers.metadata),
            tag_count: i32::try_from(object.tags.len()).ok().filter(|count| *count > 0),
            ..GetObjectOutput::default()
        })
    }

    async fn head_object(&self, request: S3Request<HeadObjectInput>) -> Answer<HeadObjectOutput> {
        let input = request.input;
        let object = self.object(&input.bucket, &input.key)?;
        admit(&object, input.if_match.as_ref(), input.if_none_match.as_ref())?;
        let headers = object.headers.clone();
        answer(HeadObjectOutput {
            accept_ranges: Some("bytes".into()),
            content_length: Some(object.length()),
            cache_control: headers.cache_control,
            content_disposition: headers.content_disposition,
            content_encoding: headers.content_encoding,
            content_language: headers.content_language,
            content_type: headers.content_type,
            e_tag: Some(object.tag()),
            expires: headers.expires,
            last_modified: Some(object.modified.into()),
            metadata: Some(headers.metadata),
            ..HeadObjectOutput::default()
        })
    }

    async fn get_object_attributes(
        &self,
        request: S3Request<GetObjectAttributesInput>,
    ) -> Answer<GetObjectAttributesOutput> {
        let object = self.object(&request.input.bucket, &request.input.key)?;
        answer(GetObjectAttributesOutput {
            e_tag: Some(object.tag()),
            last_modified: Some(object.modified.into()),
            object_size: Some(object.length()),
            storage_class: Some(StorageClass::from_static(StorageClass::STANDARD)),
            ..GetObjectAttributesOutput::default()
        })
    }

    async fn delete_object(
        &self,
        request: S3Request<DeleteObjectInput>,
    ) -> Answer<DeleteObjectOutput> {
        bucket(&mut self.lock(), &request.input.bucket)?.objects.remove(&request.input.key);
        answer(DeleteObjectOutput::default())
    }

    async fn delete_objects(
        &self,
        request: S3Request<DeleteObjectsInput>,
    ) -> Answer<DeleteObjectsOutput> {
        let mut buckets = self.lock();
        let bucket = bucket(&mut buckets, &request.input.bucket)?;
        let quiet = request.input.delete.quiet == Some(true);
        let mut deleted = Vec::new();
        for object in request.input.delete.objects {
            bucket.objects.remove(&object.key);
            deleted.push(DeletedObject { key: Some(object.key), ..DeletedObject::default() });
        }
        let deleted = (!quiet).then_some(deleted);
        answer(DeleteObjectsOutput { deleted, ..DeleteObjectsOutput::default() })
    }

    async fn copy_object(&self, request: S3Request<CopyObjectInput>) -> Answer<CopyObjectOutput> {
        let input = request.input;
        let CopySource::Bucket { bucket: from, key, .. } = &input.copy_source else {
            return Err(s3_error!(NotImplemented, "only objects of buckets can be copied"));
        };
        let source = self.object(from, key)?;
        let replaces = |directive: Option<&str>| directive == Some("REPLACE");
        let headers =
            match replaces(input.metadata_directive.as_ref().map(MetadataDirective::as_str)) {
                true => headers_of!(input).admit()?,
                false => source.headers,
            };
        let tags = match replaces(input.tagging_directive.as_ref().map(TaggingDirective::as_str)) {
            true => tags_of_header(input.tagging.as_deref())?,
            false => source.tags,
        };
        let copy = Object::new(source.body.clone(), digest(&source.body), headers, tags);
        let last_modified = Some(copy.modified.into());
        let e_tag = Some(self.put(&input.bucket, input.key, copy, false)?);
        let result = CopyObjectResult { e_tag, last_modified, ..CopyObjectResult::default() };
        answer(CopyObjectOutput { copy_object_result: Some(result), ..CopyObjectOutput::default() })
    }

    async fn list_objects(
        &self,
        request: S3Request<ListObjectsInput>,
    ) -> Answer<ListObjectsOutput> {
        let input = request.input;
        let mut buckets = self.lock();
        let bucket = bucket(&mut buckets, &input.bucket)?;
        let page = page(
            &bucket.objects,
            Asked {
                prefix: input.prefix.as_deref().unwrap_or_default(),
                delimiter: input.delimiter.as_deref().unwrap_or_default(),
                after: input.marker.as_deref().unwrap_or_default(),
                most: most(input.max_keys),
            },
        );
        let (contents, common_prefixes) = listed(&page);
        answer(ListObjectsOutput {
            name: Some(input.bucket),
            prefix: Some(input.prefix.unwrap_or_default()),
            marker: input.marker,
            max_keys: i32::try_from(most(input.max_keys)).ok(),
            is_truncated: Some(page.more_after.is_some()),
            contents,
            common_prefixes,
            delimiter: input.delimiter,
            next_marker: page.more_after,
            ..ListObjectsOutput::default()
        })
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> Answer<ListObjectsV2Output> {
        let input = request.input;
        let mut buckets = self.lock();
        let bucket = bucket(&mut buckets, &input.bucket)?;
        let after = input.continuation_token.as_ref().or(input.start_after.as_ref());
        let page = page(
            &bucket.objects,
            Asked {
                prefix: input.prefix.as_deref().unwrap_or_default(),
                delimiter: input.delimiter.as_deref().unwrap_or_default(),
                after: after.map(String::as_str).unwrap_or_default(),
                most: most(input.max_keys),
            },
        );
        let (contents, common_prefixes) = listed(&page);
        answer(ListObjectsV2Output {
            name: Some(input.bucket),
            prefix: Some(input.prefix.unwrap_or_default()),
            max_keys: i32::try_from(most(input.max_keys)).ok(),
            key_count: i32::try_from(page.len()).ok(),
            continuation_token: input.continuation_token,
            is_truncated: Some(page.more_after.is_some()),
            contents,
            common_prefixes,
            delimiter: input.delimiter,
            next_continuation_token: page.more_after,
            start_after: input.start_after,
            ..ListObjectsV2Output::default()
        })
    }

    async fn get_object_tagging(
        &self,
        request: S3Request<GetObjectTaggingInput>,
    ) -> Answer<GetObjectTaggingOutput> {
        let object = self.object(&request.input.bucket, &request.input.key)?;
        let tag_set = tag_set(&object.tags);
        answer(GetObjectTaggingOutput { tag_set, ..GetObjectTaggingOutput::default() })
    }

    async fn put_object_tagging(
        &self,
        request: S3Request<PutObjectTaggingInput>,
    ) -> Answer<PutObjectTaggingOutput> {
        let tags = tags_of_set(request.input.tagging.tag_set)?;
        let mut buckets = self.lock();
        let objects = &mut bucket(&mut buckets, &request.input.bucket)?.objects;
        let object = objects.get_mut(&request.input.key).ok_or_else(|| s3_error!(NoSuchKey))?;
        object.tags = tags;
        answer(PutObjectTaggingOutput::default())
    }

    async fn delete_object_tagging(
        &self,
        request: S3Request<DeleteObjectTaggingInput>,
    ) -> Answer<DeleteObjectTaggingOutput> {
        let mut buckets = self.lock();
        let objects = &mut bucket(&mut buckets, &request.input.bucket)?.objects;
        let object = objects.get_mut(&request.input.key).ok_or_else(|| s3_error!(NoSuchKey))?;
        object.tags.clear();
        answer(DeleteObjectTaggingOutput::default())
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> Answer<CreateMultipartUploadOutput> {
        let input = request.input;
        let headers = headers_of!(input).admit()?;
        let tags = tags_of_header(input.tagging.as_deref())?;
        let id = format!("{:016x}", rand::random::<u64>());
        let upload = Upload::new(input.key.clone(), headers, tags);
        bucket(&mut self.lock(), &input.bucket)?.uploads.insert(id.clone(), upload);
        answer(CreateMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(id),
            ..CreateMultipartUploadOutput::default()
        })
    }

    async fn upload_part(&self, request: S3Request<UploadPartInput>) -> Answer<UploadPartOutput> {
        let input = request.input;
        self.with_upload(&input.bucket, &input.key, &input.upload_id, |_| Ok(()))?;
        let body = read(input.body, input.content_md5.as_deref()).await?;
        let put = |upload: &mut Upload| upload.put(input.part_number, body);
        let e_tag = Some(self.with_upload(&input.bucket, &input.key, &input.upload_id, put)?);
        answer(UploadPartOutput { e_tag, ..UploadPartOutput::default() })
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> Answer<CompleteMultipartUploadOutput> {
        let input = request.input;
        let named = input.multipart_upload.and_then(|upload| upload.parts).unwrap_or_default();
        let complete = |upload: &mut Upload| upload.complete(&named);
        let object = self.with_upload(&input.bucket, &input.key, &input.upload_id, complete)?;
        let e_tag =
            self.put(&input.bucket, input.key.clone(), object, input.if_none_match.is_some())?;
        bucket(&mut self.lock(), &input.bucket)?.uploads.remove(&input.upload_id);
        answer(CompleteMultipartUploadOutput {
            location: Some(format!("/{}/{}", input.bucket, input.key)),
            bucket: Some(input.bucket),
            key: Some(input.key),
            e_tag: Some(e_tag),
            ..CompleteMultipartUploadOutput::default()
        })
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> Answer<AbortMultipartUploadOutput> {
        let input = request.input;
        self.with_upload(&input.bucket, &input.key, &input.upload_id, |_| Ok(()))?;
        bucket(&mut self.lock(), &input.bucket)?.uploads.remove(&input.upload_id);
        answer(AbortMultipartUploadOutput::default())
    }

    async fn list_parts(&self, request: S3Request<ListPartsInput>) -> Answer<ListPartsOutput> {
        let input = request.input;
        let parts = |upload: &mut Upload| Ok(upload.parts());
        let parts = self.with_upload(&input.bucket, &input.key, &input.upload_id, parts)?;
        answer(ListPartsOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(input.upload_id),
            is_truncated: Some(false),
            parts: Some(parts),
            ..ListPartsOutput::default()
        })
    }

    async fn list_multipart_uploads(
        &self,
        request: S3Request<ListMultipartUploadsInput>,
    ) -> Answer<ListMultipartUploadsOutput> {
        let input = request.input;
        let mut buckets = self.lock();
        let uploads = &bucket(&mut buckets, &input.bucket)?.uploads;
        let prefix = input.prefix.clone().unwrap_or_default();
        let uploads = uploads.iter().map(|(id, upload)| upload.listed(id));
        let asked = |upload: &MultipartUpload| {
            upload.key.as_ref().is_some_and(|key| key.starts_with(&prefix))
        };
        answer(ListMultipartUploadsOutput {
            bucket: Some(input.bucket),
            prefix: Some(prefix.clone()),
            is_truncated: Some(false),
            max_uploads: Some(1000),
            key_marker: Some(String::new()),
            uploads: Some(uploads.filter(asked).collect()),
            ..ListMultipartUploadsOutput::default()
        })
    }
}
