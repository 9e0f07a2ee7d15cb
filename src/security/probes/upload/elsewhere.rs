//! Files that lie where no upload was meant to put them. What is found there is put on record and
//! removed at once.

use super::attack::Attack;
use super::{AT, STORED, Spelling, place, undo_elsewhere};
use crate::run::event::Written;
use crate::security::answer::Answer;
use crate::security::ledger::Way;
use crate::security::prober::ProbeError;
use crate::security::request::{Request, segment};

impl Attack<'_> {
    /// A file above the folder of the uploads: nearest first, up to the top.
    pub async fn above(
        &self,
        name: &str,
        file: &str,
    ) -> Result<Option<(Request, Answer)>, ProbeError> {
        let mut folder = self.folder.as_str();
        while let Some((above, _)) = folder.rsplit_once('/') {
            let found = self.claim(name, file, above).await?;
            if found.is_some() {
                return Ok(found);
            }
            folder = above;
        }
        Ok(None)
    }

    /// A file in the folder of another, or in a folder of its name.
    pub async fn beside(
        &self,
        name: &str,
        file: &str,
        other: &Request,
    ) -> Result<Option<(Request, Answer)>, ProbeError> {
        let folder = other.path.rsplit_once('/').unwrap_or_default().0;
        for folder in [folder, &other.path, other.path.trim_end_matches(".zip")] {
            let found = self.claim(name, file, folder).await?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// A file that the platform itself finds by a path that climbs out of the uploads, and not by its
    /// name alone. The path is another spelling than the one it was sent as: who keeps names as they
    /// come, and follows none of them, does not know it.
    pub async fn climbed(
        &self,
        name: &str,
        file: &str,
        lookup: &Request,
    ) -> Result<Option<(Request, Answer)>, ProbeError> {
        let climbing = self.ways(&format!("./../{file}"), lookup);
        let inside = self.ways(file, lookup);
        for (outside, inside) in climbing.into_iter().zip(inside) {
            let (answer, by_name) =
                (self.context.prober.ask(&outside).await?, self.context.prober.ask(&inside).await?);
            if is_ours(&answer, name) && !is_ours(&by_name, name) {
                self.claimed(name, file, &outside).await;
                return Ok(Some((outside, answer)));
            }
        }
        Ok(None)
    }

    /// The requests that may find a file by its path: as the upload is fetched, and beside where this one
    /// lies; in one segment and in several.
    fn ways(&self, path: &str, lookup: &Request) -> Vec<Request> {
        let service = self.upload.service;
        let template = &self.upload.fetch;
        let folder = lookup.path.rsplit_once('/').unwrap_or_default().0;
        let mut ways = Vec::new();
        for spelled in Spelling::ALL.iter().rev().map(|spelling| spelling.of(path)) {
            if template != STORED {
                let filled = template.replace(STORED, &spelled).replace("{name}", &spelled);
                ways.push(Request::get(service, &filled));
            }
            ways.push(Request::get(service, &format!("{folder}/{spelled}")));
        }
        ways
    }

    /// A file of ours in a folder, removed again.
    async fn claim(
        &self,
        name: &str,
        file: &str,
        folder: &str,
    ) -> Result<Option<(Request, Answer)>, ProbeError> {
        let (context, upload) = (self.context, self.upload);
        let request = Request::get(upload.service, &format!("{folder}/{}", segment(file)));
        let answer = context.prober.ask(&request).await?;
        if !is_ours(&answer, name) {
            return Ok(None);
        }
        self.claimed(name, file, &request).await;
        Ok(Some((request, answer)))
    }

    /// Puts a file that was found on record and removes it.
    async fn claimed(&self, name: &str, file: &str, found: &Request) {
        let (ledger, upload) = (self.context.ledger, self.upload);
        let written = Written {
            name: format!("{name}{AT}{}", found.target()),
            stored: Some(found.target()),
            expected: None,
            file: Some(file.to_owned()),
            place: place(upload),
            undo: "by its path, or as an upload of that name".into(),
        };
        let key = written.name.clone();
        ledger.announce(written, Way::Removal(undo_elsewhere(upload, &found.target(), file)));
        ledger.remove(self.context.prober, &key).await;
        ledger.moved(name);
    }
}

/// Whether an answer is a file of ours. A page for everything may repeat the path, but not what stands in
/// the file.
fn is_ours(answer: &Answer, name: &str) -> bool {
    answer.is_success() && answer.body.contains(&format!("{name}: a file of an audit"))
}
