//! File upload: files that browsers or servers would run, names that choose their place, archives that
//! do, and too much of everything. Only what is shown by fetching it back is a finding; every file is
//! removed again.

mod archive;
mod attack;
mod cases;
mod elsewhere;
mod genuine;
mod shown;

use super::cover;
use crate::config::{CheckKind, Config, Upload};
use crate::run::event::{CheckStatus, Written};
use crate::security::context::AuditContext;
use crate::security::ledger::{Undo, remove};
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
    let mut words = Vec::new();
    for (at, upload) in security.uploads.iter().enumerate() {
        context.progress(CheckKind::Upload, at, security.uploads.len(), &place(upload));
        match attack::attack(context, upload, outcome).await {
            Ok(covered) => words.push(covered),
            Err(ProbeError::Budget) => return Err(ProbeError::Budget),
            Err(ProbeError::Failed(why)) => {
                outcome.status = Some(CheckStatus::Error);
                words.push(format!("{}: {why}", place(upload)));
            }
        }
    }
    outcome.tested = Some(security.uploads.len() as u32);
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
    let services: Vec<_> = context.prober.services().collect();
    let described = &context.surface.described;
    if services.iter().all(|service| described.contains(service)) && !services.is_empty() {
        return Outcome::not_applicable(format!(
            "none of {} services describes an upload",
            services.len()
        ));
    }
    Outcome::not_tested("not every service describes itself (OpenAPI): uploads are not known")
}

/// How a file is removed that an audit left behind; none where nothing says where it is.
pub fn undo_of(config: &Config, written: &Written) -> Option<Undo> {
    let (upload, file) = (upload_of(config, written)?, written.file.as_deref()?);
    let stored = match &written.stored {
        Some(path) if written.name.contains(AT) => return Some(undo_elsewhere(upload, path)),
        Some(stored) => stored,
        None if needs_stored(upload) => return None,
        None => file,
    };
    Some(undo(upload, stored, file))
}

/// Removes a file of which the platform had no time to say where it put it, if it lies where a platform
/// that keeps names would have it.
///
/// # Errors
/// Why it is not shown to be gone.
pub async fn remove_by_name(
    config: &Config,
    prober: &Prober,
    written: &Written,
) -> Result<(), String> {
    let unknown = || "the platform did not say where it put it, and not by its name".to_owned();
    let upload = upload_of(config, written).ok_or_else(unknown)?;
    let file = written.file.as_deref().ok_or_else(unknown)?;
    let undo = undo(upload, file, file);
    let there = prober.ask_for_removal(&undo.lookup).await.map_err(|error| error.to_string())?;
    let ours = there.is_success() && there.body.contains(&written.name);
    if ours { remove(prober, &undo).await } else { Err(unknown()) }
}

fn upload_of<'a>(config: &'a Config, written: &Written) -> Option<&'a Upload> {
    let uploads = config.security.uploads.iter();
    let mut uploads = uploads.filter(|_| written.name.contains(FILE));
    uploads.find(|one| place(one) == written.place)
}

fn place(upload: &Upload) -> String {
    format!("{} POST {}", upload.service, upload.path)
}

/// Whether a file can only be found by what the platform says of it.
fn needs_stored(upload: &Upload) -> bool {
    upload.fetch.contains("{stored}") || upload.delete.path.contains("{stored}")
}

/// How a file is removed and looked for. What the platform says of where it is may be a whole path.
fn undo(upload: &Upload, stored: &str, name: &str) -> Undo {
    let fill = |path: &str| fill(path, stored, name);
    let mut remove = Request::of(upload.service, &upload.delete);
    remove.path = fill(&upload.delete.path);
    let points = remove.points();
    let remove = points.iter().fold(remove, |request, point| {
        let value = point.original.replace("{stored}", stored).replace("{name}", name);
        if value == point.original { request } else { request.put(point, &value) }
    });
    let lookup = Request::get(upload.service, &fill(&upload.fetch));
    Undo { removals: vec![remove], lookup }
}

/// How a file is removed that lies at a path where no upload was meant to: as an upload of a name that
/// goes there, or by the path itself.
fn undo_elsewhere(upload: &Upload, path: &str) -> Undo {
    let name = path.rsplit('/').next().unwrap_or_default();
    let mut direct = Request::of(upload.service, &upload.delete);
    path.clone_into(&mut direct.path);
    let mut removals = vec![direct];
    if upload.delete.path != STORED {
        removals.extend(undo(upload, &format!("../{name}"), name).removals);
    }
    Undo { removals, lookup: Request::get(upload.service, path) }
}

/// A path with its placeholders filled. One that stands there alone is a path already.
fn fill(path: &str, stored: &str, name: &str) -> String {
    if path == STORED {
        return stored.to_owned();
    }
    let encoded: Vec<String> = stored.split('/').map(segment).collect();
    path.replace(STORED, &encoded.join("/")).replace("{name}", &segment(name))
}
