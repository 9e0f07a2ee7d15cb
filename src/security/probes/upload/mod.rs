//! File upload: files that browsers or servers would run, names that choose their place, archives that
//! do, and too much of everything. Only what is shown by fetching it back is a finding; every file is
//! removed again.

mod archive;
mod attack;
mod cases;

use super::cover;
use crate::config::{CheckKind, Config, Upload};
use crate::run::event::{CheckStatus, Written};
use crate::security::context::AuditContext;
use crate::security::ledger::Undo;
use crate::security::outcome::Outcome;
use crate::security::prober::ProbeError;
use crate::security::request::{Request, segment};

/// What stands in the names of uploaded files.
const FILE: &str = "-upload-";

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

/// How a file is removed that an audit left behind.
pub fn undo_of(config: &Config, written: &Written) -> Option<Undo> {
    let stored = written.stored.as_ref().filter(|_| written.name.contains(FILE))?;
    let upload = config.security.uploads.iter().find(|one| place(one) == written.place)?;
    Some(undo(upload, stored, &written.name))
}

fn place(upload: &Upload) -> String {
    format!("{} POST {}", upload.service, upload.path)
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
    Undo { remove, lookup: Request::get(upload.service, &fill(&upload.fetch)) }
}

/// A path with its placeholders filled. One that stands there alone is a path already.
fn fill(path: &str, stored: &str, name: &str) -> String {
    if path == "{stored}" {
        return stored.to_owned();
    }
    let encoded: Vec<String> = stored.split('/').map(segment).collect();
    path.replace("{stored}", &encoded.join("/")).replace("{name}", &segment(name))
}
