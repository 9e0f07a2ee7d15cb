//! Whether a file that was taken did harm: shown by fetching back, never by its being taken alone.

use super::attack::Attack;
use super::cases::{Case, FACTORS, Shows};
use super::place;
use crate::platform::text::excerpt;
use crate::run::event::{Confidence, Finding, Severity};
use crate::security::answer::Answer;
use crate::security::evidence::exchange;
use crate::security::prober::ProbeError;
use crate::security::probes::pages::look;
use crate::security::probes::xss::Payload;
use crate::security::request::Request;
use crate::security::rules::{ACTIVE_UPLOAD, ARCHIVE, LISTED_NAME, Rule, TRAVERSAL, WRONG_TYPE};

/// What was seen, where, and how bad that is.
struct Seen {
    rule: &'static Rule,
    severity: Severity,
    what: String,
    fetched: Option<(Request, Answer)>,
    /// The same before anything was written.
    before: Option<Answer>,
}

impl Attack<'_> {
    /// The finding of a file that did harm.
    pub async fn shown(
        &self,
        name: &str,
        case: &Case,
        stored: &str,
        lookup: Request,
        taken: &Answer,
    ) -> Result<Option<Finding>, ProbeError> {
        let seen = match case.shows {
            Shows::Page => self.page(lookup).await?,
            Shows::Run => self.run(lookup).await?,
            Shows::Listed => self.listed().await?,
            Shows::Outside => self.outside(name, case, &lookup, &TRAVERSAL).await?,
            Shows::Unpacked => self.outside(name, case, &lookup, &ARCHIVE).await?,
            Shows::Grown => self.grown(name, case, &lookup).await?,
            Shows::Taken if self.is_unmeant(&case.file_name) => Some(Seen {
                rule: &WRONG_TYPE,
                severity: Severity::Low,
                what: "is taken, although its ending is not meant".into(),
                fetched: None,
                before: None,
            }),
            Shows::Taken => None,
        };
        Ok(seen.map(|seen| self.finding(case, stored, taken, seen)))
    }

    fn finding(&self, case: &Case, stored: &str, taken: &Answer, seen: Seen) -> Finding {
        let Seen { rule, severity, what, fetched, before } = seen;
        let mut finding = rule.finding(severity, &place(self.upload), Some(case.words));
        finding.title = format!("{} {what}", case.words);
        finding.confidence = Confidence::Confirmed;
        finding.evidence =
            excerpt(&format!("{} was stored as {stored}; it {what}", case.file_name));
        finding.exchanges = vec![exchange("attack", &self.request(case), taken, "")];
        if let Some((request, answer)) = fetched {
            finding.exchanges.push(exchange("attack, fetched", &request, &answer, &self.token));
            let control = before.map(|before| exchange("control, fetched", &request, &before, ""));
            finding.exchanges.extend(control);
        }
        finding.exchanges.extend(self.control.iter().cloned());
        finding
    }

    /// Twice a page with our element in it.
    async fn page(&self, lookup: Request) -> Result<Option<Seen>, ProbeError> {
        let first = self.context.prober.ask(&lookup).await?;
        if !is_page(&first, &self.token) {
            return Ok(None);
        }
        let again = self.context.prober.ask(&lookup).await?;
        Ok(is_page(&again, &self.token).then(|| Seen {
            rule: &ACTIVE_UPLOAD,
            severity: Severity::High,
            what: format!("is served inline as {}", first.media_type()),
            fetched: Some((lookup, first)),
            before: None,
        }))
    }

    /// A page that lists it, with its name as an element.
    async fn listed(&self) -> Result<Option<Seen>, ProbeError> {
        for page in self.pages {
            match look(self.context, &page.request, &Payload::element(&self.token)).await {
                Ok((shown, true)) => {
                    return Ok(Some(Seen {
                        rule: &LISTED_NAME,
                        severity: Severity::High,
                        what: format!("is part of the page {}", page.place),
                        fetched: Some((page.request.clone(), shown)),
                        before: page.before.clone(),
                    }));
                }
                Err(ProbeError::Budget) => return Err(ProbeError::Budget),
                Ok(_) | Err(ProbeError::Failed(_)) => {}
            }
        }
        Ok(None)
    }

    /// Twice the product of two numbers that no file holds.
    async fn run(&self, lookup: Request) -> Result<Option<Seen>, ProbeError> {
        let first = self.context.prober.ask(&lookup).await?;
        let product = (u64::from(FACTORS.0) * u64::from(FACTORS.1)).to_string();
        if !first.body.contains(&product) {
            return Ok(None);
        }
        let worked_out = self.context.prober.ask(&lookup).await?.body.contains(&product);
        Ok(worked_out.then_some(Seen {
            rule: &ACTIVE_UPLOAD,
            severity: Severity::Critical,
            what: "is run by the server".into(),
            fetched: Some((lookup, first)),
            before: None,
        }))
    }

    /// Something of it above the folder of the uploads: where the platform serves that, or by a path that
    /// climbs out.
    async fn outside(
        &self,
        name: &str,
        case: &Case,
        lookup: &Request,
        rule: &'static Rule,
    ) -> Result<Option<Seen>, ProbeError> {
        let file = case.lands.as_deref().unwrap_or_default();
        let mut found = self.above(name, file).await?;
        if found.is_none() {
            found = self.climbed(name, file, lookup).await?;
        }
        Ok(found.map(|(request, answer)| Seen {
            rule,
            severity: Severity::Critical,
            what: format!("lies at {}, outside of the uploads", request.target()),
            fetched: Some((request, answer)),
            before: None,
        }))
    }

    /// Its entry beside it, longer than anything that was sent.
    async fn grown(
        &self,
        name: &str,
        case: &Case,
        lookup: &Request,
    ) -> Result<Option<Seen>, ProbeError> {
        let file = case.lands.as_deref().unwrap_or_default();
        let Some((request, answer)) = self.beside(name, file, lookup).await? else {
            return Ok(None);
        };
        let grew = answer.body.len() > case.content.len() * 20;
        Ok(grew.then(|| Seen {
            rule: &ARCHIVE,
            severity: Severity::Medium,
            what: format!(
                "is unpacked: of {} bytes come more than {}",
                case.content.len(),
                answer.body.len()
            ),
            fetched: Some((request, answer)),
            before: None,
        }))
    }
}

/// Whether a browser would show a file as a page of the platform, with our element in it.
fn is_page(answer: &Answer, token: &str) -> bool {
    answer.is_success() && answer.is_active() && Payload::element(token).broke_out(&answer.body)
}
