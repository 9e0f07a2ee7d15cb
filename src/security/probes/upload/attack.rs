//! One upload: a harmless file first, to see that it works and can be undone, then the others.

use std::time::Duration;

use serde_json::Value;

use super::cases::{Case, cases, control};
use super::{FILE, STORED, Spelling, lookup, needs_stored, place, spellings, undo, way};
use crate::config::Upload;
use crate::run::event::{Exchange, Severity, Written};
use crate::security::answer::Answer;
use crate::security::context::AuditContext;
use crate::security::evidence::exchange;
use crate::security::outcome::Outcome;
use crate::security::prober::ProbeError;
use crate::security::probes::pages::Page;
use crate::security::probes::xss::token;
use crate::security::request::{Body, Part, Request, segment};
use crate::security::rules::OVERSIZE;

/// Larger files are not sent, whatever the bound is.
const MOST_BYTES: u64 = 32 * 1024 * 1024;

/// How long a harmless file is waited for, and between two looks.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(500);

/// An upload under attack.
pub struct Attack<'a> {
    /// What every check is given.
    pub context: &'a AuditContext<'a>,
    /// The upload.
    pub upload: &'a Upload,
    /// The name of an element that no page has.
    pub token: String,
    /// The folder in which a harmless file lies, as a path without a slash at its end.
    pub folder: String,
    /// Pages on which names of files may be shown.
    pub pages: &'a [Page],
    /// Where the platform put a harmless file, with `{name}` in the place of its name; none where that is
    /// not part of it.
    pattern: Option<String>,
    /// Endings of what it is meant for.
    endings: Vec<String>,
    /// How a harmless file was sent and came back.
    pub control: Vec<Exchange>,
    /// How long it takes until a file is shown.
    wait: Duration,
    /// Whether what is stored is another file than was sent.
    changes: bool,
}

/// What became of a file.
enum Sent {
    Refused(Answer),
    /// Where it is as the platform says, how it is fetched back, and what the platform said.
    Stored(String, Box<Request>, Answer),
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
    pages: &[Page],
    outcome: &mut Outcome,
) -> Result<String, ProbeError> {
    let mut attack = Attack {
        context,
        upload,
        token: token(),
        pages,
        folder: String::new(),
        pattern: None,
        endings: upload.endings(),
        control: Vec::new(),
        wait: Duration::ZERO,
        changes: false,
    };
    // Uploads of one run keep apart.
    let of = context.config.security.uploads.iter().position(|one| one == upload).unwrap_or(0);
    let name = |n: usize| format!("{}{FILE}{}-{n}", context.mark, of + 1);
    let place = place(upload);
    attack.begin(&name(0)).await?;
    let all = cases(name, &attack.token, &attack.endings);
    let n = all.len();
    let mut refused = 0;
    for (at, case) in all.into_iter().enumerate() {
        let name = name(at + 1);
        match attack.send(&name, &case).await? {
            Sent::Refused(_) => refused += 1,
            Sent::Lost => return Err(ProbeError::Failed(format!("{place}: a file is lost"))),
            Sent::Stored(stored, lookup, answer) => {
                tokio::time::sleep(attack.wait).await;
                let found = attack.shown(&name, &case, &stored, (*lookup).clone(), &answer).await?;
                outcome.findings.extend(found);
                attack.remove(&name, &case, &lookup).await?;
            }
        }
    }
    let size = attack.too_much(&name(n + 1), outcome).await?;
    let changed = if attack.changes { "; what is stored is not what was sent" } else { "" };
    Ok(format!("{place}: {n} files, {refused} of them refused{changed}; {size}"))
}

impl Attack<'_> {
    /// Sends a harmless file, fetches it back and removes it.
    async fn begin(&mut self, name: &str) -> Result<(), ProbeError> {
        let upload = self.upload;
        let failed = |why: String| Err(ProbeError::Failed(format!("{}: {why}", place(upload))));
        let harmless = control(name, self.ending());
        let (stored, fetch, taken) = match self.send(name, &harmless).await? {
            Sent::Refused(answer) => {
                return failed(format!("a harmless file gets {}", answer.status));
            }
            Sent::Lost => return failed(format!("the answer has nothing at {}", upload.stored)),
            Sent::Stored(stored, fetch, taken) => (stored, *fetch, taken),
        };
        let file = &harmless.file_name;
        self.pattern = stored.contains(file).then(|| stored.replace(file, "{name}"));
        let fetched = self.fetched(&fetch).await?;
        self.remove(name, &harmless, &fetch).await?;
        if !fetched.body.contains(name) {
            // An image may be drawn anew, which no page in it outlives.
            self.changes = fetched.is_success()
                && fetched.media_type() == harmless.content_type
                && harmless.content_type.starts_with("image/");
            if !self.changes {
                return failed(format!("a harmless file is not found at {}", upload.fetch));
            }
        }
        fetch.path.rsplit_once('/').unwrap_or_default().0.clone_into(&mut self.folder);
        self.control = vec![
            exchange("control", &self.request(&harmless), &taken, ""),
            exchange("control, fetched", &fetch, &fetched, ""),
        ];
        Ok(())
    }

    /// A harmless file as it comes back: where it is looked through before it is shown, after a while, which
    /// the others are given too.
    async fn fetched(&mut self, fetch: &Request) -> Result<Answer, ProbeError> {
        let begin = tokio::time::Instant::now();
        loop {
            let answer = self.context.prober.ask(fetch).await?;
            let waits = matches!(answer.status, 202 | 409 | 423 | 425);
            if !(waits || self.context.calibration.is_missing(fetch, &answer))
                || begin.elapsed() >= LONGEST_WAIT
            {
                return Ok(answer);
            }
            tokio::time::sleep(PAUSE).await;
            self.wait = begin.elapsed();
        }
    }

    /// Removes a file, and what was unpacked of it beside it.
    async fn remove(&self, name: &str, case: &Case, fetch: &Request) -> Result<(), ProbeError> {
        self.context.ledger.remove(self.context.prober, name).await;
        for entry in &case.entries {
            self.beside(name, entry, fetch).await?;
        }
        Ok(())
    }

    /// An ending that is meant.
    fn ending(&self) -> &str {
        self.endings.first().map_or(".txt", String::as_str)
    }

    /// Whether a file's ending is not one that is meant.
    pub fn is_unmeant(&self, file_name: &str) -> bool {
        let mut meant = self.endings.iter();
        !self.endings.is_empty() && !meant.any(|ending| file_name.ends_with(ending.as_str()))
    }

    /// Puts a file on record and sends it.
    async fn send(&self, name: &str, case: &Case) -> Result<Sent, ProbeError> {
        let (context, upload) = (self.context, self.upload);
        let file = &case.file_name;
        let expected = self.pattern.as_ref().map(|pattern| pattern.replace("{name}", file));
        let way = way(upload, expected.as_deref(), file);
        context.ledger.announce(
            Written {
                name: name.to_owned(),
                stored: None,
                expected,
                file: Some(file.clone()),
                place: place(upload),
                undo: format!("{} {}", upload.delete.method, upload.delete.path),
            },
            way,
        );
        let answer = context.prober.ask(&self.request(case)).await?;
        if !answer.is_success() {
            context.ledger.refused(name);
            return Ok(Sent::Refused(answer));
        }
        let body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
        let stored = match body.pointer(&upload.stored) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            _ if !needs_stored(upload) => file.clone(),
            _ => return Ok(Sent::Lost),
        };
        context.ledger.stored(name, &stored, undo(upload, &stored, file, Spelling::Parts));
        let spelling = self.spelling(name, &stored, file).await?;
        let undo = undo(upload, &stored, file, spelling);
        let lookup = Box::new(undo.lookup.clone());
        context.ledger.found(name, undo);
        Ok(Sent::Stored(stored, lookup, answer))
    }

    /// How the path that the platform says has to be spelled, where that is open.
    async fn spelling(&self, name: &str, stored: &str, file: &str) -> Result<Spelling, ProbeError> {
        let (upload, mut ways) = (self.upload, spellings(stored).iter().rev());
        let Some(Spelling::Whole) = ways.next().filter(|_| upload.fetch != STORED) else {
            return Ok(Spelling::Parts);
        };
        let whole = lookup(upload, stored, file, Spelling::Whole);
        let there = match self.context.prober.ask(&whole).await {
            Ok(whole) => whole.is_success() && whole.body.contains(name),
            // The file is stored all the same: a failure here is none of sending it.
            Err(ProbeError::Failed(_)) => false,
            Err(ProbeError::Budget) => return Err(ProbeError::Budget),
        };
        Ok(if there { Spelling::Whole } else { Spelling::Parts })
    }

    /// The request that sends a file.
    pub fn request(&self, case: &Case) -> Request {
        let named = |text: &str| text.replace("{name}", &case.file_name);
        let mut request = Request::get(self.upload.service, &self.upload.path);
        request.method = reqwest::Method::POST;
        request.path = request.path.replace("{name}", &segment(&case.file_name));
        request.query.iter_mut().for_each(|(_, value)| *value = named(value));
        if self.upload.raw {
            request.body = Body::Raw(case.content_type.to_owned(), case.content.clone());
            return request;
        }
        let fields = self.upload.form.iter();
        let mut parts: Vec<Part> =
            fields.map(|(name, value)| Part::field(name.clone(), named(value))).collect();
        parts.push(Part {
            name: self.upload.field.clone(),
            file_name: Some(case.file_name.clone()),
            content_type: Some(case.content_type.to_owned()),
            content: case.content.clone(),
        });
        request.body = Body::Multipart(parts);
        request
    }

    /// A file of twice the bound; returns what that showed, in words.
    async fn too_much(&self, name: &str, outcome: &mut Outcome) -> Result<String, ProbeError> {
        let (context, upload) = (self.context, self.upload);
        let Some(bound) = upload.max_bytes else {
            return Ok("sizes not tested, max_bytes is not configured".into());
        };
        let size = bound.saturating_mul(2).min(MOST_BYTES);
        if size <= bound {
            return Ok(format!("sizes not tested, no more than {MOST_BYTES} bytes are sent"));
        }
        let mut case = control(name, self.ending());
        case.content.resize(usize::try_from(size).unwrap_or(usize::MAX), b' ');
        let sent = match self.send(name, &case).await {
            // A service that hangs up in the middle refuses too.
            Err(ProbeError::Failed(_)) => {
                context.ledger.refused(name);
                return Ok(format!("{size} bytes are cut off"));
            }
            other => other?,
        };
        match sent {
            Sent::Refused(answer) => Ok(format!("{size} bytes get {}", answer.status)),
            Sent::Lost => Err(ProbeError::Failed("a large file is lost".into())),
            Sent::Stored(_, fetch, taken) => {
                let mut finding = OVERSIZE.finding(Severity::Medium, &place(upload), None);
                finding.title = "more is taken than should be".into();
                finding.evidence = format!("{size} bytes are stored, {bound} are meant");
                let attack = exchange("attack", &self.request(&case), &taken, "");
                finding.exchanges = vec![attack];
                finding.exchanges.extend(self.control.iter().cloned());
                outcome.findings.push(finding);
                tokio::time::sleep(self.wait).await;
                self.remove(name, &case, &fetch).await?;
                Ok(format!("{size} bytes are taken"))
            }
        }
    }
}
