//! Trivy on every image: the real program, its JSON, nothing guessed. An image in which it finds no
//! packages is not covered, not clean.

mod command;
mod database;
pub mod docker;
mod images;
pub mod report;
mod runner;

use tokio::sync::watch;

use super::context::AuditContext;
use super::outcome::Outcome;
use crate::config::CheckKind;
use crate::platform::text::excerpt;
use crate::run::event::{
    CheckStatus, Counts, EventBody, ImageReport, ImageStatus, SecurityEvent, Severity,
    VulnerabilityDatabase,
};

use command::{NOT_DOWNLOADED, Trivy};
use database::STALE_HOURS;
use images::Image;
use report::Report;

/// Reasons that are told one by one.
const TOLD: usize = 5;
/// Most steps that are told of one image.
const MAX_STEPS: usize = 30;

/// Scans the images; what runs is stopped and continued with the audit.
pub async fn scan(context: &AuditContext<'_>, open: watch::Receiver<bool>) -> Outcome {
    let wanted = &context.config.security.images;
    if wanted.none {
        return Outcome::not_applicable("the target has no container images");
    }
    let (found, unseen) = match images::images(wanted).await {
        Ok((found, unseen)) if found.is_empty() => {
            let unknown = "no images are known: name them in security.images.names, or a Docker \
                           engine in security.images.docker";
            return Outcome::not_tested(unseen.unwrap_or_else(|| unknown.to_owned()));
        }
        Ok(found) => found,
        Err(why) => return Outcome::not_tested(why),
    };
    let trivy = Trivy::new(wanted, open);
    context.progress(CheckKind::Images, 0, found.len(), "the vulnerability database");
    let database = match trivy.prepare().await {
        Ok(database) => database,
        Err(why) => return Outcome::not_tested(excerpt(&why)),
    };
    emit(context, SecurityEvent::Database(database.clone()));
    let done = scan_each(context, &trivy, found).await;
    outcome_of(&done, &database, unseen)
}

fn emit(context: &AuditContext<'_>, event: SecurityEvent) {
    context.events.emit(EventBody::Security(event));
}

/// Scans one image after the other, and tells of each.
async fn scan_each(context: &AuditContext<'_>, trivy: &Trivy<'_>, found: Vec<Image>) -> Vec<Done> {
    let images = found.iter().map(|image| excerpt(&image.words())).collect();
    emit(context, SecurityEvent::ImagesFound { images });
    let mut done: Vec<Done> = Vec::new();
    let of = found.len();
    for (at, image) in found.into_iter().enumerate() {
        let words = excerpt(&image.words());
        image.names.iter().for_each(|name| context.prober.looked().at(name));
        context.progress(CheckKind::Images, at, of, &words);
        emit(context, SecurityEvent::ImageStarted { image: words.clone() });
        let mut steps = 0;
        let mut told = |step: &str| {
            steps += 1;
            if steps <= MAX_STEPS {
                let (image, step) = (words.clone(), step.to_owned());
                emit(context, SecurityEvent::ImageStep { image, step });
            }
        };
        let scanned = trivy.image(&image.reference, &mut told).await;
        let now = take(&mut done, image, scanned);
        emit(context, SecurityEvent::ImageFinished(told_of(&now.image, &now.scanned)));
    }
    done
}

/// What the scans come to, with this database, and what may run other images.
fn outcome_of(done: &[Done], database: &VulnerabilityDatabase, unseen: Option<String>) -> Outcome {
    let mut outcome = Outcome::default();
    let mut uncovered = Vec::new();
    for Done { image, scanned } in done {
        let report = told_of(image, scanned);
        if report.status != ImageStatus::Scanned {
            uncovered.push(format!("{}: {}", report.image, report.detail));
        }
        if let Ok(scanned) = scanned {
            // By the first of its names, so that another one makes no other findings.
            outcome.findings.extend(scanned.findings(&image.reference));
        }
    }
    let mut coverage = vec![format!("{} of {} images", done.len() - uncovered.len(), done.len())];
    let mut open = Vec::new();
    match database.age_hours {
        Some(age) => {
            coverage.push(format!("database {age} hours old"));
            if age > STALE_HOURS {
                open.push(format!("older than {STALE_HOURS} hours: what is new is not known"));
            }
        }
        // Only what was just looked after is known to be new.
        None if database.detail.starts_with(NOT_DOWNLOADED) => {
            open.push(format!("database {}, and its age is not told", database.detail));
        }
        None => coverage.push(format!("database {}", database.detail)),
    }
    open.extend(unseen);
    let more = uncovered.len().saturating_sub(TOLD);
    uncovered.truncate(TOLD);
    open.append(&mut uncovered);
    if more > 0 {
        open.push(format!("and {more} more"));
    }
    if !open.is_empty() {
        outcome.status = Some(CheckStatus::NotTested);
        coverage.append(&mut open);
    }
    outcome.coverage = coverage.join("; ");
    outcome
}

/// An image whose scan is over.
struct Done {
    image: Image,
    scanned: Result<Report, String>,
}

/// Keeps a scan. One of an image that was scanned by another name already, as Trivy tells by its id, only
/// adds the name.
fn take(done: &mut Vec<Done>, mut image: Image, scanned: Result<Report, String>) -> &Done {
    image.id = image.id.or_else(|| scanned.as_ref().ok()?.image_id());
    let same = done.iter().position(|one| image.id.is_some() && one.image.id == image.id);
    let at = match same {
        Some(at) => {
            done[at].image.names.extend(image.names);
            at
        }
        None => {
            done.push(Done { image, scanned });
            done.len() - 1
        }
    };
    &done[at]
}

/// What is told of an image.
fn told_of(image: &Image, scanned: &Result<Report, String>) -> ImageReport {
    let mut report = ImageReport {
        image: excerpt(&image.words()),
        id: image.id.clone(),
        status: ImageStatus::Failed,
        detail: String::new(),
        fixable: Counts::default(),
        unfixed: Counts::default(),
        os: None,
        end_of_life: false,
    };
    let scanned = match scanned {
        Ok(scanned) => scanned,
        Err(why) => {
            report.detail = excerpt(why);
            return report;
        }
    };
    report.os = scanned.os();
    report.end_of_life = scanned.is_end_of_life();
    if !scanned.is_covered() {
        report.status = ImageStatus::NotCovered;
        report.detail = "no packages were found in it".into();
        return report;
    }
    report.status = ImageStatus::Scanned;
    for (severity, fixable) in scanned.severities() {
        let counts = if fixable { &mut report.fixable } else { &mut report.unfixed };
        match severity {
            Severity::Critical => counts.critical += 1,
            _ => counts.high += 1,
        }
    }
    let (fixable, unfixed) = (report.fixable, report.unfixed);
    report.detail = format!(
        "fixable {} critical, {} high; unfixed {} critical, {} high",
        fixable.critical, fixable.high, unfixed.critical, unfixed.high
    );
    report
}
