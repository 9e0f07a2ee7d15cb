//! API keys where they do not belong: answers, headers, scripts and their source maps, error pages,
//! well-known files, and the environment and history of containers.

mod containers;
mod files;

use super::{cover, in_both};
use crate::config::{CheckKind, without_secrets};
use crate::platform::text::excerpt;
use crate::run::event::{CheckStatus, Confidence, Finding, Severity};
use crate::security::answer::Answer;
use crate::security::calibration::ABSENT;
use crate::security::context::AuditContext;
use crate::security::discovery::loaded;
use crate::security::evidence::exchange;
use crate::security::keys::{self, Found};
use crate::security::outcome::Outcome;
use crate::security::prober::ProbeError;
use crate::security::request::{Identity, Request};
use crate::security::rules::{EXPOSED_FILE, KEY, Rule};

/// Scripts that are loaded by others, about; each has a source map.
const MAX_PARTS: usize = 60;

/// Looks through everything that is answered.
pub async fn probe(context: &AuditContext<'_>, outcome: &mut Outcome) -> Result<(), ProbeError> {
    let operations = context.surface.operations.len();
    let mut all = requests(context);
    let most = all.len() + MAX_PARTS;
    let (mut done, mut looked, mut tested, mut silent) = (0, 0, 0, 0);
    outcome.tested = Some(tested);
    while let Some((request, sign)) = all.get(done).cloned() {
        done += 1;
        let answer = match context.prober.ask_in_order(&request).await {
            Ok(answer) => answer,
            Err(ProbeError::Budget) => return Err(ProbeError::Budget),
            Err(_) => {
                silent += 1;
                continue;
            }
        };
        looked += 1;
        // Operations are asked first.
        tested += u32::from(done <= operations);
        outcome.tested = Some(tested);
        if all.len() < most {
            add_parts(context, &request, &answer, &mut all);
        }
        context.progress(CheckKind::Keys, done, all.len(), &request.place());
        // A page that is always there is not the file, and its keys were found on it already.
        let missing = sign.is_some() && context.calibration.is_missing(&request, &answer);
        match seen_twice(context, &request, sign.filter(|_| !missing), &answer).await {
            Ok(found) => outcome.findings.extend(found),
            Err(ProbeError::Budget) => return Err(ProbeError::Budget),
            Err(ProbeError::Failed(_)) => silent += 1,
        }
    }
    looked += error_pages(context, &mut outcome.findings);
    let mut words = format!("{looked} answers");
    if silent > 0 {
        words += &format!(", {silent} without an answer");
        outcome.status = Some(CheckStatus::Error);
    }
    if looked == 0 {
        outcome.status = Some(CheckStatus::NotTested);
    }
    match containers::search(context, &mut outcome.findings).await {
        Ok((searched, whole)) => {
            words += &searched;
            if !whole {
                outcome.status = Some(CheckStatus::NotTested);
            }
        }
        Err(why) => {
            outcome.status = Some(CheckStatus::NotTested);
            words += &format!("; containers not searched: {why}");
        }
    }
    cover(outcome, words);
    Ok(())
}

/// What is asked for: operations, scripts, and files by what gives them away.
fn requests(context: &AuditContext<'_>) -> Vec<(Request, Option<files::Sign>)> {
    let operations = context.surface.operations.iter().map(|one| &one.request);
    let known = operations.chain(&context.surface.scripts).map(|one| (one.clone(), None));
    let services = context.prober.homes().all();
    let files = services.flat_map(|of| files::FILES.iter().map(move |file| (of, file)));
    // Whether a file is there for everybody is the question.
    let by_nobody = files.map(|(service, file)| {
        (Request::get(service, file.path).by(Identity::Nobody), Some(file.sign))
    });
    known.chain(by_nobody).collect()
}

/// Keys on pages that say that nothing is there; returns how many of these were looked at.
fn error_pages(context: &AuditContext<'_>, findings: &mut Vec<Finding>) -> usize {
    let mut looked = 0;
    for service in context.prober.homes().all() {
        let request = Request::get(service, ABSENT);
        for (page, other) in context.calibration.pairs(service) {
            looked += 2;
            let found = keys_in(&request, page);
            findings.extend(in_both(found, &keys_in(&request, other)));
        }
    }
    looked
}

/// Adds what a script loads when it is needed.
fn add_parts(
    context: &AuditContext<'_>,
    script: &Request,
    answer: &Answer,
    all: &mut Vec<(Request, Option<files::Sign>)>,
) {
    if answer.is_success() && answer.media_type().contains("javascript") {
        for part in loaded(context.prober, script, answer) {
            if all.iter().all(|(known, _)| *known != part) {
                all.push((part, None));
            }
        }
    }
}

/// What is exposed in an answer, the file and keys in it, and is there again when it is asked for once more.
async fn seen_twice(
    context: &AuditContext<'_>,
    request: &Request,
    sign: Option<files::Sign>,
    answer: &Answer,
) -> Result<Vec<Finding>, ProbeError> {
    let shape = |of: &Answer| sign.filter(|_| of.is_success()).and_then(|sign| sign(&of.body));
    let (file, keys) = (shape(answer), keys_in(request, answer));
    if file.is_none() && keys.is_empty() {
        return Ok(keys);
    }
    let again = context.prober.ask_in_order(request).await?;
    if again.is_out_of_order() && !answer.is_out_of_order() {
        let why = format!("{} is answered with {} afterwards", request.place(), again.status);
        return Err(ProbeError::Failed(why));
    }
    let file = file.filter(|_| shape(&again).is_some());
    let file = file.map(|what| exposed(context, request, answer, what));
    Ok(file.into_iter().chain(in_both(keys, &keys_in(request, &again))).collect())
}

/// Shown beside what is answered when nothing is there.
fn exposed(context: &AuditContext<'_>, request: &Request, answer: &Answer, what: &str) -> Finding {
    let mut finding = EXPOSED_FILE.finding(Severity::Critical, &request.place(), None);
    finding.title = format!("{} is served", request.path);
    finding.confidence = Confidence::Confirmed;
    finding.evidence = format!("its content has the shape of the file, twice: {what}");
    let mut served = exchange("attack", request, answer, "");
    // What it holds is what should not get any further.
    served.response = format!(
        "{} {} ({} bytes, not shown: they hold secrets)",
        answer.status,
        crate::platform::text::excerpt(&answer.media_type()),
        answer.body.len()
    );
    finding.exchanges = vec![served];
    let absent = Request::get(request.service, ABSENT);
    let control = context.calibration.pages(request.service).next();
    let control = control.map(|page| exchange("control", &absent, page, ""));
    finding.exchanges.extend(control);
    finding
}

fn keys_in(request: &Request, answer: &Answer) -> Vec<Finding> {
    // What the audit itself sent may come back; its credentials are no find.
    let body = without_secrets(&answer.body);
    let headers = answer.headers.iter().filter_map(|(name, value)| {
        Some(format!("{name}: {}", without_secrets(value.to_str().ok()?)))
    });
    let in_headers = headers.flat_map(|header| keys::find(&header));
    let found = in_headers.chain(keys::find(&body));
    found
        .map(|found| {
            let mut finding = finding(&KEY, &found, &request.place(), "in an answer");
            finding.exchanges = vec![exchange("answer", request, answer, "")];
            finding
        })
        .collect()
}

/// A finding for a key; one that only may be a key is tentative.
fn finding(rule: &Rule, found: &Found, place: &str, wherein: &str) -> Finding {
    let severity = if found.certain { Severity::Critical } else { Severity::Medium };
    let mut finding = rule.finding(severity, place, Some(&found.shown));
    finding.title = format!("{} {wherein}", found.kind);
    finding.confidence = if found.certain { Confidence::Firm } else { Confidence::Tentative };
    finding.evidence = excerpt(&found.shown);
    finding
}
