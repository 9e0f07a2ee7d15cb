//! One upload: a harmless file first, to see that it works and can be undone, then the others.

use serde_json::Value;

use super::cases::{Case, FACTORS, Shows, cases, control};
use super::{FILE, fill, place, undo};
use crate::config::Upload;
use crate::platform::text::excerpt;
use crate::run::event::{Confidence, Finding, Severity, Written};
use crate::security::answer::Answer;
use crate::security::context::AuditContext;
use crate::security::evidence::exchange;
use crate::security::outcome::Outcome;
use crate::security::prober::ProbeError;
use crate::security::probes::xss::{Payload, token};
use crate::security::request::{Body, Part, Request};
use crate::security::rules::{ACTIVE_UPLOAD, ARCHIVE, OVERSIZE, Rule, TRAVERSAL, WRONG_TYPE};

/// Larger files are not sent, whatever the bound is.
const MOST_BYTES: u64 = 32 * 1024 * 1024;

struct Attack<'a> {
    context: &'a AuditContext<'a>,
    upload: &'a Upload,
}

/// What became of a file.
enum Sent {
    Refused(u16),
    /// Where it is, and what the platform said.
    Stored(String, Answer),
    /// It was taken, and nothing says where it is.
    Lost,
}

/// Tries everything; returns what that covered, in words.
///
/// # Errors
/// When the budget is used up or there is no answer. What was written is on record.
pub async fn attack(
    context: &AuditContext<'_>,
    upload: &Upload,
    outcome: &mut Outcome,
) -> Result<String, ProbeError> {
    let attack = Attack { context, upload };
    let place = place(upload);
    let name = |n: usize| format!("{}{FILE}{n}", context.mark);
    let ending = upload.allowed.first().map_or(".txt", String::as_str);
    let harmless = control(&name(0), ending);
    match attack.send(&name(0), &harmless).await? {
        Sent::Refused(status) => {
            return Err(ProbeError::Failed(format!("{place}: a harmless file gets {status}")));
        }
        Sent::Lost => {
            let why = format!("{place}: the answer has nothing at {}", upload.stored);
            return Err(ProbeError::Failed(why));
        }
        Sent::Stored(stored, _) => {
            let fetched = attack.fetch(&stored, &harmless.file_name).await?;
            context.ledger.remove(context.prober, &name(0)).await;
            if !fetched.body.contains(&name(0)) {
                let why = format!("{place}: a harmless file is not found at {}", upload.fetch);
                return Err(ProbeError::Failed(why));
            }
        }
    }
    let token = token();
    let all = cases(&format!("{}{FILE}x", context.mark), &token, &upload.allowed);
    let n = all.len();
    let mut refused = 0;
    for (at, case) in all.into_iter().enumerate() {
        let name = name(at + 1);
        match attack.send(&name, &case).await? {
            Sent::Refused(_) => refused += 1,
            Sent::Lost => return Err(ProbeError::Failed(format!("{place}: a file is lost"))),
            Sent::Stored(stored, answer) => {
                let found = attack.shown(&case, &token, &stored, &answer).await?;
                outcome.findings.extend(found);
                context.ledger.remove(context.prober, &name).await;
            }
        }
    }
    let size = attack.too_much(&name(n + 1), outcome).await?;
    Ok(format!("{place}: {n} files, {refused} of them refused; {size}"))
}

impl Attack<'_> {
    /// Puts a file on record and sends it.
    async fn send(&self, name: &str, case: &Case) -> Result<Sent, ProbeError> {
        let (context, upload) = (self.context, self.upload);
        context.ledger.announce(
            Written {
                name: name.to_owned(),
                stored: None,
                place: place(upload),
                undo: format!("{} {}", upload.delete.method, upload.delete.path),
            },
            None,
        );
        let answer = context.prober.ask(&self.request(case)).await?;
        if !answer.is_success() {
            context.ledger.refused(name);
            return Ok(Sent::Refused(answer.status));
        }
        let body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
        let stored = match body.pointer(&upload.stored) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            _ => return Ok(Sent::Lost),
        };
        context.ledger.stored(name, &stored, undo(upload, &stored, &case.file_name));
        Ok(Sent::Stored(stored, answer))
    }

    fn request(&self, case: &Case) -> Request {
        let fields = self.upload.form.iter();
        let mut parts: Vec<Part> =
            fields.map(|(name, value)| Part::field(name.clone(), value.clone())).collect();
        parts.push(Part {
            name: self.upload.field.clone(),
            file_name: Some(case.file_name.clone()),
            content_type: Some(case.content_type.to_owned()),
            content: case.content.clone(),
        });
        let mut request = Request::get(self.upload.service, &self.upload.path);
        request.method = reqwest::Method::POST;
        request.body = Body::Multipart(parts);
        request
    }

    async fn fetch(&self, stored: &str, name: &str) -> Result<Answer, ProbeError> {
        let path = fill(&self.upload.fetch, stored, name);
        self.context.prober.ask(&Request::get(self.upload.service, &path)).await
    }

    /// Whether a file that was taken did harm, by fetching it back twice.
    async fn shown(
        &self,
        case: &Case,
        token: &str,
        stored: &str,
        taken: &Answer,
    ) -> Result<Option<Finding>, ProbeError> {
        let (rule, severity, what): (&Rule, Severity, String) = match case.shows {
            Shows::Page => {
                let first = self.fetch(stored, &case.file_name).await?;
                let again = self.fetch(stored, &case.file_name).await?;
                if !is_page(&first, token) || !is_page(&again, token) {
                    return Ok(None);
                }
                let what = format!("is served inline as {}", first.media_type());
                (&ACTIVE_UPLOAD, Severity::High, what)
            }
            Shows::Run => {
                let first = self.fetch(stored, &case.file_name).await?;
                let product = (u64::from(FACTORS.0) * u64::from(FACTORS.1)).to_string();
                if !first.body.contains(&product) {
                    return Ok(None);
                }
                (&ACTIVE_UPLOAD, Severity::Critical, "is run by the server".into())
            }
            Shows::Outside | Shows::Unpacked => {
                let Some(path) = self.lies_outside(case).await? else { return Ok(None) };
                let rule = if case.shows == Shows::Outside { &TRAVERSAL } else { &ARCHIVE };
                (rule, Severity::Critical, format!("lies at {path}, outside of the uploads"))
            }
            Shows::Taken if !self.upload.allowed.is_empty() => {
                (&WRONG_TYPE, Severity::Low, "is taken, although its ending is not meant".into())
            }
            Shows::Taken => return Ok(None),
        };
        let mut finding = rule.finding(severity, &place(self.upload), Some(case.words));
        finding.title = format!("{} {what}", case.words);
        finding.confidence = Confidence::Confirmed;
        finding.evidence =
            excerpt(&format!("{} was stored as {stored}; it {what}", case.file_name));
        let prober = self.context.prober;
        finding.exchanges = vec![exchange(prober, "attack", &self.request(case), taken, "")];
        Ok(Some(finding))
    }

    /// A path above the uploads at which the file of a case lies, and nothing lay before.
    async fn lies_outside(&self, case: &Case) -> Result<Option<String>, ProbeError> {
        let name = format!("{}{FILE}x-up.txt", self.context.mark);
        let folder = self.upload.fetch.split("{stored}").next().unwrap_or("/");
        let mut folder = folder.trim_end_matches('/');
        while let Some((above, _)) = folder.rsplit_once('/') {
            let path = format!("{above}/{name}");
            let request = Request::get(self.upload.service, &path);
            let answer = self.context.prober.ask(&request).await?;
            let marked = answer.body.contains(": a file of an audit, to be removed");
            if answer.is_success() && marked {
                let lookup = request.clone();
                let mut remove = Request::of(self.upload.service, &self.upload.delete);
                remove.path = fill(&self.upload.delete.path, &format!("../{name}"), &name);
                let undo = crate::security::ledger::Undo { remove, lookup };
                // It lies where nobody meant it to; it is on record on its own.
                let written = Written {
                    name: format!("{path} ({})", case.words),
                    stored: Some(format!("../{name}")),
                    place: place(self.upload),
                    undo: "as an upload of that name".into(),
                };
                let key = written.name.clone();
                self.context.ledger.announce(written, Some(undo));
                self.context.ledger.remove(self.context.prober, &key).await;
                return Ok(Some(path));
            }
            folder = above;
        }
        Ok(None)
    }

    /// A file of twice the bound; returns what that showed, in words.
    async fn too_much(&self, name: &str, outcome: &mut Outcome) -> Result<String, ProbeError> {
        let Some(bound) = self.upload.max_bytes else {
            return Ok("sizes not tested, max_bytes is not configured".into());
        };
        let size = bound.saturating_mul(2).min(MOST_BYTES);
        if size <= bound {
            return Ok(format!("sizes not tested, no more than {MOST_BYTES} bytes are sent"));
        }
        let ending = self.upload.allowed.first().map_or(".txt", String::as_str);
        let mut case = control(name, ending);
        case.content.resize(usize::try_from(size).unwrap_or(usize::MAX), b'x');
        let sent = match self.send(name, &case).await {
            // A service that hangs up in the middle refuses too.
            Err(ProbeError::Failed(_)) => {
                self.context.ledger.refused(name);
                return Ok(format!("{size} bytes are cut off"));
            }
            other => other?,
        };
        match sent {
            Sent::Refused(status) => Ok(format!("{size} bytes get {status}")),
            Sent::Lost => Err(ProbeError::Failed("a large file is lost".into())),
            Sent::Stored(..) => {
                let mut finding = OVERSIZE.finding(Severity::Medium, &place(self.upload), None);
                finding.title = "more is taken than should be".into();
                finding.evidence = format!("{size} bytes are stored, {bound} are meant");
                outcome.findings.push(finding);
                self.context.ledger.remove(self.context.prober, name).await;
                Ok(format!("{size} bytes are taken"))
            }
        }
    }
}

/// Whether a browser would show a file as a page of the platform, with our element in it.
fn is_page(answer: &Answer, token: &str) -> bool {
    let attached = answer.header("content-disposition").to_lowercase().starts_with("attachment");
    let sandboxed = answer.header("content-security-policy").contains("sandbox");
    answer.is_success()
        && answer.is_active()
        && !attached
        && !sandboxed
        && Payload::element(token).broke_out(&answer.body)
}
