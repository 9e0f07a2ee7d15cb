//! One operation, place by place: a harmless token shows where a value stands, then the least that
//! would break out of there is sent, twice, with another token each time.

use super::context::standing;
use super::payload::{Payload, fresh, token};
use crate::platform::text::excerpt;
use crate::run::event::{Confidence, Finding, Severity};
use crate::security::answer::Answer;
use crate::security::context::{AuditContext, Tested};
use crate::security::evidence::exchange;
use crate::security::prober::ProbeError;
use crate::security::request::Point;
use crate::security::rules::REFLECTED;
use crate::security::surface::Operation;

/// Attacks every place of an operation.
pub async fn attack(
    context: &AuditContext<'_>,
    operation: &Operation,
) -> Result<Tested, ProbeError> {
    let mut tested = Tested::default();
    let mut refused = 0;
    let mut reflecting = 0;
    for point in &operation.points {
        let plain = token();
        let request = operation.request.put(point, &plain);
        let control = context.prober.ask(&request).await?;
        // A page may write it in capitals: names of elements and attributes are the same in either.
        let body = control.body.to_ascii_lowercase();
        let places = if control.is_active() { standing(&body, &plain) } else { Vec::new() };
        if places.is_empty() {
            continue;
        }
        reflecting += 1;
        let attack = Attack { context, operation, point, control: &control };
        match attack.run(&places).await? {
            Some(Shown::Found(finding)) => tested.findings.push(*finding),
            Some(Shown::Refused) => refused += 1,
            None => {}
        }
    }
    tested.blocked = refused > 0 && refused == reflecting;
    Ok(tested)
}

enum Shown {
    Refused,
    Found(Box<Finding>),
}

struct Attack<'a> {
    context: &'a AuditContext<'a>,
    operation: &'a Operation,
    point: &'a Point,
    control: &'a Answer,
}

impl Attack<'_> {
    async fn run(&self, places: &[super::context::Standing]) -> Result<Option<Shown>, ProbeError> {
        let mut refused = true;
        for place in places {
            for (at, payload) in (0..).map_while(|at| Some((at, fresh(place, at)?))) {
                let first = self.ask(&payload).await?;
                refused &= first.is_refusal() && !self.control.is_refusal();
                if !breaks_out(&payload, &first) {
                    continue;
                }
                let Some(other) = fresh(place, at) else { continue };
                let again = self.ask(&other).await?;
                if breaks_out(&other, &again) {
                    let finding = self.finding(place, &payload, &first);
                    return Ok(Some(Shown::Found(Box::new(finding))));
                }
            }
        }
        Ok(refused.then_some(Shown::Refused))
    }

    async fn ask(&self, payload: &Payload) -> Result<Answer, ProbeError> {
        let request = self.operation.request.put(self.point, &payload.text);
        self.context.prober.ask(&request).await
    }

    fn finding(
        &self,
        place: &super::context::Standing,
        payload: &Payload,
        answer: &Answer,
    ) -> Finding {
        let words = self.point.words();
        let severity = lowered(Severity::High, answer);
        let mut finding = REFLECTED.finding(severity, &self.operation.place(), Some(&words));
        finding.title = format!("{words} comes back as part of the page");
        finding.confidence = Confidence::Confirmed;
        finding.evidence = excerpt(&format!(
            "it stands in {}; {} breaks out of there once the page is parsed, and so does another \
             one{}",
            place.words(),
            payload.text,
            if severity == Severity::Medium {
                "; a content security policy lessens it"
            } else {
                ""
            }
        ));
        let ask = |text: &str| self.operation.request.put(self.point, text);
        finding.exchanges = vec![
            exchange("attack", &ask(&payload.text), answer, &payload.text),
            exchange("control", &ask("(a token)"), self.control, ""),
        ];
        finding
    }
}

/// Whether a payload broke out of an answer that a browser would parse.
pub fn breaks_out(payload: &Payload, answer: &Answer) -> bool {
    answer.is_active() && payload.broke_out(&answer.body)
}

/// A step lower where a policy keeps injected scripts from running.
pub fn lowered(severity: Severity, answer: &Answer) -> Severity {
    let policy = crate::security::probes::headers::Policy::of(answer);
    if !policy.is_empty() && !policy.allows_inline_scripts() && severity == Severity::High {
        Severity::Medium
    } else {
        severity
    }
}
