//! Files that lie where no upload was meant to put them. What is found there is put on record and
//! removed at once.

use super::attack::Attack;
use super::{AT, place, undo_elsewhere};
use crate::run::event::Written;
use crate::security::answer::Answer;
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
        // A page for everything may repeat the path, but not what stands in the file.
        if !answer.is_success() || !answer.body.contains(&format!("{name}: a file of an audit")) {
            return Ok(None);
        }
        let written = Written {
            name: format!("{name}{AT}{}", request.path),
            stored: Some(request.path.clone()),
            file: Some(file.to_owned()),
            place: place(upload),
            undo: "by its path, or as an upload of that name".into(),
        };
        let key = written.name.clone();
        context.ledger.announce(written, Some(undo_elsewhere(upload, &request.path)));
        context.ledger.remove(context.prober, &key).await;
        context.ledger.moved(name);
        Ok(Some((request, answer)))
    }
}
