//! Artefacts in an S3 bucket: the newest object that a pattern names is fetched, with what lies beside it,
//! and is checked as a file is.

use std::path::Path;
use std::time::{Duration, SystemTime};

use s3::Bucket;
use tokio::io::AsyncWriteExt;

use super::artefact::{beside, matches};
use crate::backup::drill::check_disk;
use crate::backup::stores::DrillError;
use crate::config::{Artefact, ArtefactBucket};
use crate::platform::store::{StoreError, minio};

/// Longest that fetching one object may take.
const FETCHING: Duration = Duration::from_secs(30 * 60);

/// An object that a pattern names.
pub struct Found {
    key: String,
    bytes: u64,
    /// When it was written, by the server's clock.
    pub modified: SystemTime,
}

/// A bucket, and the connection that leads there.
pub struct Place {
    _server: minio::Connection,
    bucket: Box<Bucket>,
    named: String,
}

impl Place {
    /// Prepares the way; nothing is sent yet.
    ///
    /// # Errors
    /// When the address is none, or a key is missing.
    pub fn open(place: &ArtefactBucket) -> Result<Self, StoreError> {
        let server = minio::connect(&place.store, FETCHING)?;
        let bucket = server.bucket(&place.bucket)?;
        Ok(Self { _server: server, bucket, named: place.bucket.clone() })
    }

    /// The newest object that a pattern names; none when there is none.
    ///
    /// # Errors
    /// When the bucket cannot be listed.
    pub async fn newest(&self, pattern: &Path) -> Result<Option<Found>, StoreError> {
        let pattern = pattern.to_string_lossy();
        let prefix = pattern.split('*').next().unwrap_or_default().to_owned();
        let doing = format!("list bucket {}", self.named);
        let (mut after, mut newest) = (None::<String>, None::<Found>);
        loop {
            let page = self.bucket.list_page(prefix.clone(), None, after, None, None).await;
            let (page, _) = page.map_err(StoreError::when(&doing))?;
            for object in page.contents.into_iter().filter(|object| matches(&pattern, &object.key))
            {
                let modified: jiff::Timestamp =
                    object.last_modified.parse().map_err(StoreError::when(&doing))?;
                let modified = SystemTime::from(modified);
                if newest.as_ref().is_none_or(|newest| modified > newest.modified) {
                    newest = Some(Found { key: object.key, bytes: object.size, modified });
                }
            }
            after = page.next_continuation_token;
            if after.is_none() {
                return Ok(newest);
            }
        }
    }

    /// Fetches the newest object of an artefact, and what holds its checksum; returns the artefact as a
    /// file of this machine.
    ///
    /// # Errors
    /// When there is none, it does not fit on this disk, or cannot be fetched.
    pub async fn fetch(&self, artefact: &Artefact, into: &Path) -> Result<Artefact, DrillError> {
        let shown = format!("{}/{}", self.named, artefact.path.display());
        let found = self.newest(&artefact.path).await?;
        let found = found.ok_or_else(|| DrillError::Wrong(format!("{shown}: no such object")))?;
        check_disk(found.bytes, into)?;
        let name = found.key.rsplit('/').next().unwrap_or_default();
        let path = into.join(name);
        self.fetch_one(&found.key, &path).await?;
        if let Some(ending) = &artefact.checksum {
            self.fetch_one(&format!("{}{ending}", found.key), &beside(&path, ending)).await?;
        }
        // The check goes by the time at which it was written there.
        std::fs::File::open(&path)?.set_modified(found.modified)?;
        Ok(Artefact { path, s3: None, ..artefact.clone() })
    }

    async fn fetch_one(&self, key: &str, path: &Path) -> Result<(), DrillError> {
        let mut file = tokio::fs::File::create(path).await?;
        let fetched = self.bucket.get_object_to_writer(key, &mut file).await;
        fetched.map_err(StoreError::when(&format!("fetch {}/{key}", self.named)))?;
        Ok(file.flush().await?)
    }
}
