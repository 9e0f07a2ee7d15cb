//! Stored cross-site scripting through requests of `security.operations` that keep what they are sent: a
//! harmless token in each place shows on which page it comes back, then the least that would break out of
//! there is sent, twice, with another token each time.

use super::attack::{breaks_out, lowered};
use super::context::{Standing, standing};
use super::payload::{Payload, fresh, token};
use crate::platform::text::excerpt;
use crate::run::event::{Confidence, Finding, Severity};
use crate::security::answer::Answer;
use crate::security::context::AuditContext;
use crate::security::evidence::exchange;
use crate::security::landing;
use crate::security::prober::ProbeError;
use crate::security::probes::pages::{Page, pages};
use crate::security::replaced::attacked;
use crate::security::request::{Point, Request, route_of};
use crate::security::rules::STORED;
use crate::security::surface::{Operation, Source};

/// Tries every configured request that may change something; returns what that covered, in words, and
/// whether that was all there is.
///
/// # Errors
/// When the budget is used up.
pub async fn probe(
    context: &AuditContext<'_>,
    findings: &mut Vec<Finding>,
) -> Result<(String, bool), ProbeError> {
    let all = context.surface.operations.iter().filter(|operation| {
        let writes = !operation.request.is_safe();
        operation.source == Source::Configured && writes && !operation.points.is_empty()
    });
    let all: Vec<&Operation> = all.collect();
    if all.is_empty() {
        return Ok(("security.operations has none that may keep something".into(), true));
    }
    if !context.config.security.writes {
        let why = "requests of security.operations not tried: writing is not allowed";
        return Ok((why.into(), true));
    }
    let pages = pages(context).await?;
    let mut silent = 0;
    for operation in &all {
        let plant = plant(context, operation, pages, findings);
        match attacked(context, operation, plant).await {
            Ok(()) => {}
            Err(ProbeError::Budget) => return Err(ProbeError::Budget),
            Err(ProbeError::Failed(_)) => silent += 1,
        }
    }
    let mut words = format!(
        "what {} requests keep, looked for on {} pages; what was sent stays, unless the request as \
         configured takes its place",
        all.len(),
        pages.len()
    );
    if silent > 0 {
        words += &format!(" ({silent} refused or without an answer)");
    }
    Ok((words, silent == 0))
}

/// Plants tokens through a request and attacks those that come back. A page without an answer does not keep
/// the others from being looked at.
async fn plant(
    context: &AuditContext<'_>,
    operation: &Operation,
    pages: &[Page],
    findings: &mut Vec<Finding>,
) -> Result<(), ProbeError> {
    let (mut seeds, own) = sow(context, operation).await?;
    let own = own.filter(|own| !pages.iter().any(|page| page.request == own.request));
    let mut looked = Ok(());
    let mut shown: Vec<(&Page, Answer)> = Vec::new();
    // All of them before any attack, which takes the place of the tokens.
    for page in pages.iter().chain(&own) {
        match context.prober.ask(&page.request).await {
            Ok(answer) if answer.is_active() => shown.push((page, answer)),
            Ok(_) => {}
            Err(ProbeError::Budget) => return Err(ProbeError::Budget),
            Err(failed) => looked = Err(failed),
        }
    }
    for (page, answer) in &shown {
        match look_on(context, operation, (*page, answer), &mut seeds, findings).await {
            Ok(()) => {}
            Err(ProbeError::Budget) => return Err(ProbeError::Budget),
            Err(failed) => looked = Err(failed),
        }
    }
    looked
}

/// Tokens that were put into the places of a request.
#[derive(Default)]
struct Seeds<'a> {
    sent: Vec<(&'a Point, String)>,
    /// Places of what it carries in which any text is taken, all at once.
    taken: Vec<&'a Point>,
    /// Places that a finding tells of.
    proven: Vec<&'a Point>,
}

impl<'a> Seeds<'a> {
    /// The request with a token in one place and in all that take any; another one each time, because
    /// what is there may be refused.
    fn request(&mut self, operation: &Operation, point: &'a Point) -> Request {
        let mut request = operation.request.clone();
        let places: Vec<&'a Point> = self.taken.iter().copied().chain([point]).collect();
        for place in places {
            let token = token();
            request = request.put(place, &token);
            self.sent.push((place, token));
        }
        request
    }

    /// The latest of a place's tokens that stands on a page.
    fn shown(&self, point: &Point, page: &Answer) -> Option<&str> {
        let of = self.sent.iter().rev().filter(|(place, _)| *place == point);
        of.map(|(_, token)| token.as_str()).find(|token| page.body.contains(*token))
    }
}

/// Puts a token into every place of a request, so that the last one has all that it takes: what is kept
/// may take the place of what was kept before. With them comes the page that the request leads to.
async fn sow<'a>(
    context: &AuditContext<'_>,
    operation: &'a Operation,
) -> Result<(Seeds<'a>, Option<Page>), ProbeError> {
    let mut well = landing::ask(context.prober, &operation.request).await?;
    let (data, others): (Vec<&Point>, Vec<&Point>) =
        operation.points.iter().partition(|point| point.is_data());
    let mut seeds = Seeds::default();
    let mut refused: Vec<(&Point, usize)> = Vec::new();
    // What is refused is tried once more beside what was taken after it: that may have to be unique.
    for &point in data.iter().chain(&data) {
        let taken = seeds.taken.len();
        if seeds.taken.contains(&point) || refused.contains(&(point, taken)) {
            continue;
        }
        let answer = landing::ask(context.prober, &seeds.request(operation, point)).await?;
        // What is there already may be refused as it is configured.
        let better = !well.is_taken() && answer.is_taken();
        if better || is_alike(&answer, &well) {
            seeds.taken.push(point);
        } else {
            refused.push((point, taken));
        }
        if better {
            well = answer;
        }
    }
    if !well.is_taken() {
        let (place, status) = (operation.place(), well.words());
        return Err(ProbeError::Failed(format!("{place} is answered with {status}")));
    }
    // Another session or path may lead elsewhere, so each alone.
    for point in others {
        context.prober.ask(&seeds.request(operation, point)).await?;
    }
    let own = well.landed.map(|page| Page {
        place: format!("{} GET {}", page.service, route_of(&page.path)),
        request: *page,
        before: None,
    });
    Ok((seeds, own))
}

/// Whether a request was taken as another was: a form that is given again leads to no other page.
fn is_alike(answer: &Answer, well: &Answer) -> bool {
    answer.is_taken() && well.is_taken() && answer.landing() == well.landing()
}

/// Attacks through those places of which a token stands on a page.
async fn look_on<'a>(
    context: &AuditContext<'_>,
    operation: &'a Operation,
    (page, shown): (&Page, &Answer),
    seeds: &mut Seeds<'a>,
    findings: &mut Vec<Finding>,
) -> Result<(), ProbeError> {
    for point in &operation.points {
        if seeds.proven.contains(&point) {
            continue;
        }
        let Some(token) = seeds.shown(point, shown) else { continue };
        let attack = Attack { context, operation, taken: &seeds.taken, point, page };
        for place in standing(&shown.body, token) {
            if let Some(finding) = attack.run(&place).await? {
                findings.push(finding);
                seeds.proven.push(point);
                break;
            }
        }
    }
    Ok(())
}

struct Attack<'a> {
    context: &'a AuditContext<'a>,
    operation: &'a Operation,
    /// Places that take any text beside the one that is attacked.
    taken: &'a [&'a Point],
    point: &'a Point,
    page: &'a Page,
}

/// What was sent, the answer to that, and the page afterwards.
struct Shown {
    payload: Payload,
    sent: Request,
    answer: Answer,
    page: Answer,
}

impl Attack<'_> {
    async fn run(&self, place: &Standing) -> Result<Option<Finding>, ProbeError> {
        for (at, payload) in (0..).map_while(|at| Some((at, fresh(place, at)?))) {
            let Some(first) = self.send(payload).await? else { continue };
            let Some(other) = fresh(place, at) else { continue };
            if self.send(other).await?.is_some() {
                return Ok(Some(self.finding(place, &first)));
            }
        }
        Ok(None)
    }

    /// Sends a payload; nothing where it does not break out of the page.
    async fn send(&self, payload: Payload) -> Result<Option<Shown>, ProbeError> {
        // What is unique must differ from one to the next.
        let filled = self
            .taken
            .iter()
            .fold(self.operation.request.clone(), |request, place| request.put(place, &token()));
        let sent = filled.put(self.point, &payload.text);
        let answer = landing::ask(self.context.prober, &sent).await?;
        // What was new with the last one may have a page of its own now.
        let own = answer.landing() == Some(self.page.request.shape());
        let page = match own {
            true => answer.clone(),
            false => self.context.prober.ask(&self.page.request).await?,
        };
        Ok(breaks_out(&payload, &page).then_some(Shown { payload, sent, answer, page }))
    }

    fn finding(&self, place: &Standing, shown: &Shown) -> Finding {
        let from = format!("{} {}", self.operation.place(), self.point.words());
        let severity = lowered(Severity::High, &shown.page);
        let mut finding = STORED.finding(severity, &self.page.place, Some(&from));
        finding.title = format!("what {from} keeps comes back as part of the page");
        finding.confidence = Confidence::Confirmed;
        finding.evidence = excerpt(&format!(
            "what was sent may still be there, nothing says how it is removed; it stood in {}; \
             {} breaks out of there once the page is parsed, and so does another one",
            place.words(),
            shown.payload.text
        ));
        let Shown { payload, sent, answer, page } = shown;
        finding.exchanges = self.page.exchanges(page, &payload.text);
        finding.exchanges.insert(0, exchange("written", sent, answer, ""));
        finding
    }
}
