//! File upload: files that browsers or servers would run, names that choose their place, archives that
//! do, and too much of everything. Only what is shown by fetching it back is a finding; every file is
//! removed again.

mod archive;
mod attack;
mod cases;
mod elsewhere;
mod genuine;
mod shown;

use reqwest::Method;

use super::cover;
use super::pages::pages;
use crate::config::{CheckKind, Config, Upload};
use crate::run::event::{CheckStatus, Written};
use crate::security::context::AuditContext;
use crate::security::ledger::{Undo, Way, remove_if_there};
use crate::security::outcome::Outcome;
use crate::security::prober::{ProbeError, Prober};
use crate::security::request::{Request, segment};

/// What stands in the names of uploaded files.
const FILE: &str = "-upload-";
/// What stands between the name of a file and the path at which it was found besides.
const AT: &str = " at ";
/// Stands for what the platform says of where a file is.
const STORED: &str = "{stored}";

/// Tries the uploads that may be tried.
pub async fn probe(context: &AuditContext<'_>, outcome: &mut Outcome) -> Result<(), ProbeError> {
    let security = &context.config.security;
    if security.uploads.is_empty() {
        *outcome = nothing_to_try(context);
        return Ok(());
    }
    if !security.writes {
        *outcome = Outcome::not_tested("writing is not allowed (security.writes)");
        return Ok(());
    }
    let (mut tested, mut words) = (0, Vec::new());
    let pages = pages(context).await?;
    for (at, upload) in security.uploads.iter().enumerate() {
        context.progress(CheckKind::Upload, at, security.uploads.len(), &place(upload));
        match attack::attack(context, upload, pages, outcome).await {
            Ok(covered) => {
                tested += 1;
                outcome.tested = Some(tested);
                words.push(covered);
            }
            Err(ProbeError::Budget) => return Err(ProbeError::Budget),
            Err(ProbeError::Failed(why)) => {
                outcome.status = Some(CheckStatus::Error);
                words.push(format!("{}: {why}", place(upload)));
            }
        }
    }
    outcome.tested = Some(tested);
    cover(outcome, words.join("; "));
    Ok(())
}

fn nothing_to_try(context: &AuditContext<'_>) -> Outcome {
    if let Some(upload) = context.surface.uploads.first() {
        return Outcome::not_tested(format!(
            "{} takes uploads at {}: list it in security.uploads to have it tried",
            upload.service, upload.path
        ));
    }
    let services: Vec<_> = context.prober.homes().all().collect();
    let described = &context.surface.described;
    if services.iter().all(|service| described.contains(service)) && !services.is_empty() {
        return Outcome::not_applicable(format!(
            "none of {} services describes an upload",
            services.len()
        ));
    }
    Outcome::not_tested("not every service describes itself (OpenAPI): uploads are not known")
}

/// How a file is removed that an audit left behind, however its path is spelled; nothing where nothing says
/// where it is.
pub fn undos_of(config: &Config, written: &Written) -> Vec<Undo> {
    let Some(upload) = upload_of(config, written) else { return Vec::new() };
    let Some(file) = written.file.as_deref() else { return Vec::new() };
    let stored = match &written.stored {
        Some(path) if written.name.contains(AT) => {
            return vec![undo_elsewhere(upload, path, file)];
        }
        Some(stored) => stored,
        None if needs_stored(upload) => return Vec::new(),
        None => file,
    };
    undos(upload, stored, file)
}

/// How a file is removed that the platform calls so, in every way in which that may have to be spelled.
fn undos(upload: &Upload, stored: &str, file: &str) -> Vec<Undo> {
    spellings(stored).iter().map(|spelling| undo(upload, stored, file, *spelling)).collect()
}

/// Removes a file of which the platform had no time to say where it put it, if it lies where others went,
/// or where a platform that keeps names would have it.
///
/// # Errors
/// Why it is not shown to be gone.
pub async fn remove_where_expected(
    config: &Config,
    prober: &Prober,
    written: &Written,
) -> Result<(), String> {
    let upload = upload_of(config, written)
        .ok_or_else(|| format!("{} is not configured any more", written.place))?;
    let file = written.file.as_deref().unwrap_or(&written.name);
    let guesses = guesses(upload, written.expected.as_deref(), file);
    remove_if_there(prober, &guesses, &written.name).await
}

/// Where a file may be of which nothing is known but its name, and where another one went.
fn guesses(upload: &Upload, expected: Option<&str>, file: &str) -> Vec<Undo> {
    let places = expected.into_iter().chain([file]);
    places.flat_map(|place| undos(upload, place, file)).collect()
}

fn upload_of<'a>(config: &'a Config, written: &Written) -> Option<&'a Upload> {
    let uploads = config.security.uploads.iter();
    let mut uploads = uploads.filter(|_| written.name.contains(FILE));
    uploads.find(|one| place(one) == written.place)
}

fn place(upload: &Upload) -> String {
    format!("{} POST {}", upload.service, upload.path)
}

/// What undoes a file before the platform has said where it is.
fn way(upload: &Upload, expected: Option<&str>, file: &str) -> Way {
    if needs_stored(upload) {
        Way::Guess(guesses(upload, expected, file))
    } else {
        Way::Removal(undo(upload, "", file, Spelling::Parts))
    }
}

/// Whether a file can only be found by what the platform says of it.
fn needs_stored(upload: &Upload) -> bool {
    upload.fetch.contains("{stored}") || upload.delete.path.contains("{stored}")
}

/// How a path that the platform says goes into one of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spelling {
    /// In several segments.
    Parts,
    /// In one segment, slashes encoded.
    Whole,
}

impl Spelling {
    /// Both.
    const ALL: [Self; 2] = [Self::Parts, Self::Whole];

    /// A path so spelled.
    fn of(self, path: &str) -> String {
        match self {
            Self::Parts => path.split('/').map(segment).collect::<Vec<_>>().join("/"),
            Self::Whole => segment(path),
        }
    }
}

/// The ways in which something may have to be spelled.
fn spellings(stored: &str) -> &'static [Spelling] {
    if stored.contains('/') { &Spelling::ALL } else { &[Spelling::Parts] }
}

/// How a file is removed and looked for. What the platform says of where it is may be a whole path.
fn undo(upload: &Upload, stored: &str, name: &str, spelling: Spelling) -> Undo {
    let mut remove = Request::of(upload.service, &upload.delete);
    if upload.delete.path == STORED {
        let at = Request::get(upload.service, stored);
        (remove.path, remove.query) = (at.path, at.query);
    } else {
        remove.path = fill(&remove.path, stored, name, spelling);
    }
    let points = remove.points();
    let remove = points.iter().fold(remove, |request, point| {
        let value = point.original.replace("{stored}", stored).replace("{name}", name);
        if value == point.original { request } else { request.put(point, &value) }
    });
    Undo { removals: vec![remove], lookup: lookup(upload, stored, name, spelling) }
}

/// The request that fetches a file back.
fn lookup(upload: &Upload, stored: &str, name: &str, spelling: Spelling) -> Request {
    Request::get(upload.service, &fill(&upload.fetch, stored, name, spelling))
}

/// How a file is removed that lies at a path where no upload was meant to: as an upload of a name that
/// goes there, in several segments or in one, or by the path itself.
fn undo_elsewhere(upload: &Upload, target: &str, file: &str) -> Undo {
    let lookup = Request::get(upload.service, target);
    let mut direct = Request::of(upload.service, &upload.delete);
    if direct.method == Method::POST {
        // It says in its body what goes; a file by its own path is removed in the way of HTTP.
        direct = Request { method: Method::DELETE, ..lookup.clone() };
    }
    (direct.path, direct.query) = (lookup.path.clone(), lookup.query.clone());
    let mut removals = vec![direct];
    if upload.delete.path != STORED {
        let climbing = format!("../{file}");
        let spelled = spellings(&climbing).iter();
        removals.extend(spelled.flat_map(|of| undo(upload, &climbing, &climbing, *of).removals));
    }
    Undo { removals, lookup }
}

/// A path with its placeholders filled. One that stands there alone is a path already.
fn fill(path: &str, stored: &str, name: &str, spelling: Spelling) -> String {
    if path == STORED {
        return stored.to_owned();
    }
    path.replace(STORED, &spelling.of(stored)).replace("{name}", &segment(name))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_lies_elsewhere_is_removed_by_its_own_path_however_uploads_are() {
        let of = |delete: serde_json::Value| {
            let upload = json!({
                "service": "rag", "path": "/files", "stored": "/id", "fetch": "/files/{stored}",
                "delete": delete,
            });
            let upload: Upload = serde_json::from_value(upload).expect("an upload");
            undo_elsewhere(&upload, "/up.txt", "up.txt").removals
        };
        let direct = &of(json!({ "path": "/files/remove", "body": { "id": "{stored}" } }))[0];
        assert_eq!((direct.method.as_str(), direct.path.as_str()), ("DELETE", "/up.txt"));
        assert_eq!(direct.body, crate::security::request::Body::Empty);
        let own = &of(json!({ "method": "PURGE", "path": "/files/{stored}" }))[0];
        assert_eq!((own.method.as_str(), own.path.as_str()), ("PURGE", "/up.txt"));
    }
}
