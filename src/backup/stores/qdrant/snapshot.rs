//! Qdrant's own form of a backup: snapshots, over REST alone. Each is taken, fetched and checked against
//! the server's account of it before it goes anywhere: what a server recovers from a broken one can keep
//! it from starting again. Then it is recovered beside the original, and read from there.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use qdrant_client::qdrant::DeleteSnapshotRequestBuilder;
use reqwest::{RequestBuilder, Response, StatusCode, multipart};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::super::{DrillError, Native, RecordSink};
use super::{QdrantStore, said};
use crate::backup::ledger::hex;
use crate::platform::store::{StoreError, within};
use crate::platform::text::excerpt;
use crate::run::event::BackupFile;

/// Ends the name of the collection that a snapshot is recovered into.
const BESIDE: &str = "_recovered";
/// Longest that a snapshot may take to be made, sent or recovered. Its pieces come one by one, and each
/// of them in the time of one answer.
const LONGEST: Duration = Duration::from_secs(3600);
/// Most that is read of an answer in JSON.
const MOST_BODY: usize = 64 * 1024;
/// A tar archive says so at this place of its first header.
const TAR_MAGIC: (usize, &[u8]) = (257, b"ustar");

/// What the server says of a snapshot.
#[derive(Debug, Deserialize)]
pub(super) struct Described {
    name: String,
    size: u64,
    /// SHA-256 in hexadecimal digits; servers before 1.8 do not say it.
    checksum: Option<String>,
}

#[derive(Deserialize)]
struct Answer<T> {
    result: T,
}

/// A snapshot as it was fetched.
#[derive(Debug)]
pub(super) struct Fetched {
    path: PathBuf,
    bytes: u64,
    sha256: String,
    /// Its first bytes, as many as a tar header has.
    head: Vec<u8>,
}

/// What keeps a snapshot from being recovered.
pub(super) fn check(fetched: &Fetched, said: &Described) -> Result<(), DrillError> {
    let wrong =
        |what: String| Err(DrillError::Wrong(format!("snapshot {}: {what}", excerpt(&said.name))));
    let Fetched { bytes, sha256, head, .. } = fetched;
    if *bytes != said.size {
        return wrong(format!("{bytes} bytes came, and the server says {}", said.size));
    }
    if let Some(checksum) = said.checksum.as_ref().filter(|sum| !sum.eq_ignore_ascii_case(sha256)) {
        return wrong(format!("SHA-256 {sha256}, and the server says {}", excerpt(checksum)));
    }
    let (at, magic) = TAR_MAGIC;
    if !head.get(at..).is_some_and(|rest| rest.starts_with(magic)) {
        return wrong("it is no tar archive".into());
    }
    Ok(())
}

/// An answer that is one; the client itself would take a refusal's body for the snapshot.
async fn taken(doing: &str, answer: Response) -> Result<Response, DrillError> {
    let status = answer.status();
    if status.is_success() {
        return Ok(answer);
    }
    let body = short_body(answer).await.unwrap_or_default();
    let reason = format!("HTTP {}: {}", status.as_u16(), excerpt(&String::from_utf8_lossy(&body)));
    Err(match status {
        // A key for data alone.
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            DrillError::Refused(format!("{doing}: {reason}"))
        }
        _ => StoreError::new(doing, reason).into(),
    })
}

/// An answer's body, as far as it is read.
async fn short_body(mut answer: Response) -> reqwest::Result<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(piece) = answer.chunk().await? {
        body.extend_from_slice(&piece[..piece.len().min(MOST_BODY - body.len())]);
        if body.len() == MOST_BODY {
            break;
        }
    }
    Ok(body)
}

impl QdrantStore {
    /// Takes, fetches, checks and recovers a snapshot of every collection of ours, reads what was
    /// recovered, and removes it with the snapshots again, whatever came of it.
    pub(super) async fn snapshots(
        &self,
        folder: &Path,
        sink: &mut dyn RecordSink,
    ) -> Result<Native, DrillError> {
        let mut files = Vec::new();
        for short in self.collections().await? {
            let beside = self.full_name(&format!("{short}{BESIDE}"));
            let done = self.snapshot(&short, &beside, folder, sink).await;
            let removed = self.remove_beside(&short, &beside).await;
            files.push(done?);
            removed?;
        }
        let bytes: u64 = files.iter().map(|file| file.bytes).sum();
        let words = format!(
            "{} snapshots ({bytes} bytes) fetched, checksums right, recovered beside",
            files.len()
        );
        Ok(Native { words, files })
    }

    async fn snapshot(
        &self,
        short: &str,
        beside: &str,
        folder: &Path,
        sink: &mut dyn RecordSink,
    ) -> Result<BackupFile, DrillError> {
        let full = self.full_name(short);
        let said = self.take_snapshot(&full).await?;
        let fetched = self.fetch(&full, &said, &folder.join(format!("{short}.snapshot"))).await?;
        check(&fetched, &said)?;
        self.recover(beside, &fetched).await?;
        self.read_collection(beside, short, sink).await?;
        self.read_points(beside, short, sink).await?;
        let name = format!("{short}.snapshot");
        Ok(BackupFile { name, bytes: fetched.bytes, sha256: fetched.sha256 })
    }

    async fn send(&self, doing: &str, request: RequestBuilder) -> Result<Response, DrillError> {
        taken(doing, within(LONGEST, doing, request.timeout(LONGEST).send()).await?).await
    }

    async fn take_snapshot(&self, full: &str) -> Result<Described, DrillError> {
        let url = format!("{}/collections/{full}/snapshots?wait=true", self.server.url);
        let doing = "take a snapshot";
        let answer = self.send(doing, self.server.rest.post(url)).await?;
        let body = within(self.timeout, doing, short_body(answer)).await?;
        let answer: Answer<Described> =
            serde_json::from_slice(&body).map_err(StoreError::when(doing))?;
        // It becomes a part of a URL.
        let safe = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if answer.result.name.is_empty() || !answer.result.name.chars().all(safe) {
            let name = excerpt(&answer.result.name);
            return Err(DrillError::Wrong(format!("`{name}` is no name of a snapshot")));
        }
        Ok(answer.result)
    }

    async fn fetch(
        &self,
        full: &str,
        said: &Described,
        path: &Path,
    ) -> Result<Fetched, DrillError> {
        let url = format!("{}/collections/{full}/snapshots/{}", self.server.url, said.name);
        let doing = "fetch a snapshot";
        let mut answer = self.send(doing, self.server.rest.get(url)).await?;
        let mut file = std::fs::OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(path)?;
        let (mut hash, mut bytes, mut head) = (Sha256::new(), 0, Vec::new());
        while let Some(piece) = within(self.timeout, doing, answer.chunk()).await? {
            bytes += piece.len() as u64;
            if bytes > said.size {
                break;
            }
            hash.update(&piece);
            head.extend(piece.iter().take(512_usize.saturating_sub(head.len())));
            file.write_all(&piece)?;
        }
        Ok(Fetched { path: path.to_owned(), bytes, sha256: hex(&hash.finalize()), head })
    }

    async fn recover(&self, beside: &str, fetched: &Fetched) -> Result<(), DrillError> {
        let file = tokio::fs::File::open(&fetched.path).await?;
        let part = multipart::Part::stream_with_length(file, fetched.bytes)
            .file_name(format!("{beside}.snapshot"));
        let url = format!(
            "{}/collections/{beside}/snapshots/upload?wait=true&priority=snapshot&checksum={}",
            self.server.url, fetched.sha256
        );
        let form = multipart::Form::new().part("snapshot", part);
        self.send("recover a snapshot", self.server.rest.post(url).multipart(form)).await?;
        Ok(())
    }

    /// Removes what was recovered, and the snapshots of the original.
    async fn remove_beside(&self, short: &str, beside: &str) -> Result<(), DrillError> {
        if self.exists(beside).await? {
            self.delete(beside).await?;
        }
        let full = self.full_name(short);
        self.delete_snapshots(&full).await?;
        let left = self.grpc().list_snapshots(&full).await.map_err(said("list snapshots"))?;
        let left = left.snapshot_descriptions.len() + usize::from(self.exists(beside).await?);
        if left == 0 {
            return Ok(());
        }
        Err(DrillError::Wrong(format!("{left} snapshots or copies of {short} are still there")))
    }

    pub(super) async fn delete_snapshots(&self, full: &str) -> Result<(), DrillError> {
        let snapshots = self.grpc().list_snapshots(full).await.map_err(said("list snapshots"))?;
        for snapshot in snapshots.snapshot_descriptions {
            let request = DeleteSnapshotRequestBuilder::new(full, snapshot.name);
            self.grpc().delete_snapshot(request).await.map_err(said("delete a snapshot"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_otherwise_than_the_server_says_is_not_recovered() {
        let described = |size, checksum: Option<&str>| Described {
            name: "c-1.snapshot".into(),
            size,
            checksum: checksum.map(str::to_owned),
        };
        let mut head = vec![0; 512];
        head[257..262].copy_from_slice(b"ustar");
        let fetched =
            Fetched { path: "x".into(), bytes: 512, sha256: hex(&Sha256::digest(&head)), head };
        let sum = fetched.sha256.to_ascii_uppercase();
        check(&fetched, &described(512, Some(&sum))).expect("the same");
        check(&fetched, &described(512, None)).expect("an old server says no more");
        let refused =
            |fetched: &Fetched, said| check(fetched, &said).expect_err("refused").to_string();
        assert!(refused(&fetched, described(513, None)).contains("512 bytes came"));
        let zeros = "0".repeat(64);
        assert!(refused(&fetched, described(512, Some(&zeros))).contains("the server says 0000"));
        let page = Fetched { head: b"{\"status\":\"ok\"}".to_vec(), ..fetched };
        assert!(refused(&page, described(512, None)).contains("no tar archive"));
    }
}
