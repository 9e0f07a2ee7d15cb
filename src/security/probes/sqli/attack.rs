//! One operation, place by place: first by errors, then by conditions, then by delays.

use rand::Rng;

use super::boundary::{Boundary, condition};
use super::delay;
use super::errors::error_in;
use super::telling::Telling;
use crate::platform::text::excerpt;
use crate::run::event::{Confidence, Exchange, Finding, Severity};
use crate::security::answer::Answer;
use crate::security::baseline::{Baseline, Measure};
use crate::security::context::{AuditContext, Tested};
use crate::security::evidence::exchange;
use crate::security::landing;
use crate::security::prober::ProbeError;
use crate::security::probes::headers::stack_trace;
use crate::security::probes::xss::token;
use crate::security::request::{Place, Point, Request};
use crate::security::rules::{SQL_INJECTION, TRACE, UNHANDLED};
use crate::security::surface::{Operation, Source};

/// One place under attack.
pub struct Attack<'a> {
    /// What is given to every check.
    pub context: &'a AuditContext<'a>,
    /// The operation.
    pub operation: &'a Operation,
    /// The place in it.
    pub point: &'a Point,
    /// What is answered when all is well.
    pub baseline: &'a Baseline,
}

/// Attacks every place of an operation.
pub async fn attack(
    context: &AuditContext<'_>,
    operation: &Operation,
) -> Result<Tested, ProbeError> {
    let baseline = Baseline::of(context.prober, &operation.request).await?;
    let mut tested = Tested::default();
    if let Some(well) = baseline.refused() {
        // What is refused as it stands says nothing about statements, unless it needs other values.
        if !matches!(well.status, 404 | 405) {
            tested.open = Some(format!("is answered with {} when all is well", well.words()));
        }
        if well.is_success() || (well.status >= 400 && well.status != 404) {
            return Ok(tested);
        }
    }
    let mut refused = 0;
    for point in &operation.points {
        let attack = Attack { context, operation, point, baseline: &baseline };
        match attack.run().await? {
            Shown::Found(finding) => tested.findings.push(*finding),
            Shown::Refused => refused += 1,
            Shown::Nothing => {}
        }
    }
    if tested.findings.is_empty() && !tells(context, operation, &baseline).await? {
        tested.open = Some("its answers vary too much by themselves for conditions to show".into());
    }
    tested.blocked = refused > 0 && refused == operation.points.len();
    Ok(tested)
}

/// Whether anything could tell a true condition from a false one. Where only words in common are left, a
/// value that finds nothing has to take one of them away: names of fields stand in every answer.
async fn tells(
    context: &AuditContext<'_>,
    operation: &Operation,
    baseline: &Baseline,
) -> Result<bool, ProbeError> {
    if !baseline.measures().is_empty() {
        return Ok(true);
    }
    if !baseline.compares(Measure::Common) {
        return Ok(false);
    }
    for point in &operation.points {
        let none = token();
        let answer = Attack { context, operation, point, baseline }.ask(&none).await?;
        if baseline.is_unlike(Measure::Common, &answer, &none, &point.original) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a finding counts for nothing yet.
fn is_doubtful(finding: &Finding) -> bool {
    finding.confidence == Confidence::Tentative
}

/// What an attack showed.
enum Shown {
    Nothing,
    /// Something refuses whatever looks like an attack.
    Refused,
    Found(Box<Finding>),
}

impl Attack<'_> {
    async fn run(&self) -> Result<Shown, ProbeError> {
        let value = &self.point.original;
        let (one, two) = (format!("{value}'"), format!("{value}''"));
        let quote = self.ask(&one).await?;
        let quotes = self.ask(&two).await?;
        if let Some(finding) = self.by_error(&quote, &quotes, &one, &two).await? {
            return Ok(Shown::Found(Box::new(finding)));
        }
        let mut found = self.by_condition().await?;
        if found.is_none() {
            found = self.by_condition_on_everything().await?;
        }
        if found.as_ref().is_none_or(is_doubtful) && self.context.config.security.delays {
            found = delay::attack(self).await?.or(found);
        }
        if found.as_ref().is_none_or(is_doubtful) {
            let told = self.unhandled(&quote, &quotes, &one).await?;
            found = told.filter(|told| found.is_none() || !is_doubtful(told)).or(found);
        }
        if let Some(finding) = found {
            return Ok(Shown::Found(Box::new(finding)));
        }
        let refused = quote.is_refusal() && quotes.is_refusal() && self.baseline.is_taken();
        Ok(if refused { Shown::Refused } else { Shown::Nothing })
    }

    /// The request with another value in the place.
    pub fn request(&self, value: &str) -> Request {
        self.operation.request.put(self.point, value)
    }

    /// Asks with another value in the place.
    pub async fn ask(&self, value: &str) -> Result<Answer, ProbeError> {
        landing::ask(self.context.prober, &self.request(value)).await
    }

    /// One quote brings an error of a database, two and none do not, twice. The error must not be what
    /// was sent.
    async fn by_error(
        &self,
        quote: &Answer,
        quotes: &Answer,
        one: &str,
        two: &str,
    ) -> Result<Option<Finding>, ProbeError> {
        let error = |answer: &Answer| error_in(&answer.body);
        let normal = self.baseline.first().is_none_or(|answer| error(answer).is_none());
        if let Some(found) = error(quote)
            && normal
            && error(quotes).is_none()
        {
            let (again, still) = (self.ask(one).await?, self.ask(two).await?);
            if error(&again).is_some() && error(&still).is_none() {
                let mut finding = self.finding(Confidence::Confirmed);
                finding.evidence = excerpt(&format!(
                    "one quote brings `{found}`, two quotes and none do not, twice"
                ));
                finding.exchanges = vec![
                    self.shown("attack", one, quote, &found),
                    self.shown("control", two, quotes, ""),
                ];
                return Ok(Some(finding));
            }
        }
        Ok(None)
    }

    /// A true condition is answered like the plain value and a false one is not, again and again.
    async fn by_condition(&self) -> Result<Option<Finding>, ProbeError> {
        // Questions that are asked by POST read only.
        let request = &self.operation.request;
        let reads = request.is_safe() || self.operation.source == Source::Service;
        let mut doubtful = None;
        for boundary in Boundary::of(self.point, reads) {
            match self.by_condition_in(boundary).await? {
                Some(finding) if is_doubtful(&finding) => doubtful = doubtful.or(Some(finding)),
                Some(finding) => return Ok(Some(finding)),
                None => {}
            }
        }
        Ok(doubtful)
    }

    async fn by_condition_in(&self, boundary: Boundary) -> Result<Option<Finding>, ProbeError> {
        let original = &self.point.original;
        let mut shown = Vec::new();
        let mut telling = Telling::new(self.baseline, original);
        let (mut rounds, mut broken) = (0, false);
        loop {
            match telling.rounds() {
                None => return Ok(None),
                Some(wanted) if rounds >= wanted => break,
                Some(_) => {}
            }
            let number = rand::rng().random_range(1000..9999) & !1;
            let attack = |holds| boundary.with(original, &condition(number, holds));
            let (yes, no) = (attack(true), attack(false));
            let first = self.ask(&yes).await?;
            telling.holds(&first, &yes);
            if telling.rounds().is_none() {
                return Ok(None);
            }
            let other = self.ask(&no).await?;
            telling.fails(&other, &no);
            // A refusal of one of two like texts is no answer of a statement. An error may be one, of a
            // service that takes it for granted that there are rows.
            if other.is_refusal() {
                return Ok(None);
            }
            broken |= other.status >= 500;
            // The control: letters that are no condition must not be taken like a true one, or something
            // else than a statement tells the two apart.
            if rounds == 0 && telling.rounds().is_some() {
                let nonsense = boundary.with(original, "7390~~7390");
                telling.control(&self.ask(&nonsense).await?, &nonsense);
            }
            rounds += 1;
            shown = vec![
                self.shown("attack", &no, &other, ""),
                self.shown("control", &yes, &first, ""),
            ];
        }
        let (confidence, otherwise) = if broken {
            (Confidence::Tentative, "a false one with an error, which may have other reasons")
        } else {
            (Confidence::Confirmed, "a false one otherwise")
        };
        let mut finding = self.finding(confidence);
        finding.evidence = excerpt(&format!(
            "in {}: a true condition is answered like the plain value, {otherwise}, {rounds} times \
             with other numbers; no condition at all is not taken for a true one",
            boundary.words
        ));
        finding.exchanges = shown;
        Ok(Some(finding))
    }

    /// A value that finds nothing has nothing that a condition could take away. There the empty text is
    /// tried, which most searches take for everything.
    async fn by_condition_on_everything(&self) -> Result<Option<Finding>, ProbeError> {
        let (value, measures) = (&self.point.original, self.baseline.measures());
        let open = !value.is_empty() && !self.point.is_numeric() && !measures.is_empty();
        if !open || matches!(self.point.place, Place::Path(_)) {
            return Ok(None);
        }
        let differs = |answer: &Answer, sent: &str| {
            measures.iter().any(|by| self.baseline.is_unlike(*by, answer, sent, value))
        };
        let nothing = token();
        let everything = self.ask("").await?;
        if !everything.is_success()
            || !differs(&everything, "")
            || differs(&self.ask(&nothing).await?, &nothing)
        {
            return Ok(None);
        }
        let baseline = Baseline::of(self.context.prober, &self.request("")).await?;
        let point = Point { original: String::new(), ..self.point.clone() };
        let attack = Attack { baseline: &baseline, point: &point, ..*self };
        attack.by_condition().await
    }

    /// A quote breaks something that does not say what: no injection, but no answer either.
    async fn unhandled(
        &self,
        quote: &Answer,
        quotes: &Answer,
        one: &str,
    ) -> Result<Option<Finding>, ProbeError> {
        let broken = |answer: &Answer| answer.status == 500;
        if !broken(quote) || !self.baseline.is_taken() {
            return Ok(None);
        }
        let again = self.ask(one).await?;
        if !broken(&again) {
            return Ok(None);
        }
        if let Some(finding) = self.trace(quote, &again, one) {
            return Ok(Some(finding));
        }
        let place = self.operation.place();
        let mut finding = UNHANDLED.finding(Severity::Low, &place, Some(&self.point.words()));
        finding.title = format!("a quote in {} is answered with 500", self.point.words());
        finding.confidence = Confidence::Tentative;
        finding.evidence = format!(
            "one quote: {}, two quotes: {}, no sign of a database in either",
            quote.status, quotes.status
        );
        finding.exchanges = vec![self.shown("attack", one, quote, "")];
        Ok(Some(finding))
    }

    /// A quote brings a stack trace twice, and the plain value never does.
    fn trace(&self, quote: &Answer, again: &Answer, one: &str) -> Option<Finding> {
        let sign = stack_trace(&quote.body).filter(|sign| again.body.contains(sign))?;
        let plain = self.baseline.first()?;
        if self.baseline.bodies().any(|body| stack_trace(body).is_some()) {
            return None;
        }
        let (place, words) = (self.operation.place(), self.point.words());
        let mut finding = TRACE.finding(Severity::Medium, &place, Some(&words));
        finding.title = format!("a quote in {words} brings a stack trace");
        finding.evidence = format!("`{sign}` twice, and never with the plain value");
        finding.exchanges = vec![
            self.shown("attack", one, quote, sign),
            self.shown("control", &self.point.original, plain, ""),
        ];
        Some(finding)
    }

    /// A finding in this place.
    pub fn finding(&self, confidence: Confidence) -> Finding {
        let words = self.point.words();
        let mut finding =
            SQL_INJECTION.finding(Severity::Critical, &self.operation.place(), Some(&words));
        finding.title = format!("SQL injection in {words}");
        finding.confidence = confidence;
        finding
    }

    /// A request and its answer as evidence.
    pub fn shown(&self, role: &str, value: &str, answer: &Answer, around: &str) -> Exchange {
        exchange(role, &self.request(value), answer, around)
    }
}
