//! What a burst means.

use super::burst::{AT_ONCE, Burst, Bypass};
use crate::platform::text::excerpt;
use crate::run::event::{Confidence, Finding, Severity};
use crate::security::rules::{BREAKS, LIMIT_BYPASS, LOGIN_UNLIMITED, NO_LIMIT};

/// What was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Something that costs little.
    Cheap,
    /// Something that costs much.
    Expensive,
    /// A login.
    Login,
}

/// The findings of a burst.
pub fn judge(kind: Kind, place: &str, burst: &Burst, bypass: Option<Bypass>) -> Vec<Finding> {
    let mut findings = Vec::new();
    if burst.is_broken() {
        let mut finding = BREAKS.finding(Severity::High, place, None);
        finding.title = "some requests at once break it".into();
        let again = match (burst.twice, burst.alone) {
            (true, 0) => "and so when it was tried again".to_owned(),
            (true, alone) => format!("and so did {alone} that were sent one after the other"),
            (false, _) => "not again".to_owned(),
        };
        if !burst.twice || burst.alone > 0 {
            finding.confidence = Confidence::Tentative;
        }
        finding.evidence = format!(
            "{} of {} requests, {AT_ONCE} at once, got no answer or 5xx, {again}",
            burst.broken,
            burst.answers.max(burst.broken)
        );
        finding.exchanges.clone_from(&burst.shown);
        return vec![finding];
    }
    if burst.is_unlimited() {
        let (rule, severity, title) = match kind {
            Kind::Login => (&LOGIN_UNLIMITED, Severity::High, "passwords can be tried without end"),
            Kind::Expensive => (&NO_LIMIT, Severity::Medium, "no limit on what costs much"),
            Kind::Cheap => (&NO_LIMIT, Severity::Low, "no rate limit"),
        };
        let mut finding = rule.finding(severity, place, None);
        finding.title = title.into();
        if burst.slow {
            finding.confidence = Confidence::Tentative;
        }
        finding.evidence = excerpt(&burst.words());
        finding.exchanges.clone_from(&burst.shown);
        findings.push(finding);
    }
    if let Some(Bypass { header, shown }) = bypass {
        let severity = if kind == Kind::Login { Severity::High } else { Severity::Medium };
        let mut finding = LIMIT_BYPASS.finding(severity, place, Some(header));
        finding.title = format!("{header} leads around the rate limit");
        finding.confidence = Confidence::Confirmed;
        finding.evidence =
            "refused without it and answered with another address in it, three times in turn"
                .into();
        finding.exchanges = shown;
        findings.push(finding);
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(kind: Kind, burst: &Burst, header: Option<&'static str>) -> Vec<(String, Severity)> {
        let bypass = header.map(|header| Bypass { header, shown: Vec::new() });
        let findings = judge(kind, "rag GET /", burst, bypass);
        findings.into_iter().map(|finding| (finding.rule, finding.severity)).collect()
    }

    #[test]
    fn a_login_without_a_limit_is_worse_than_a_page_without() {
        let open = Burst { answers: 100, ..Burst::default() };
        assert_eq!(rules(Kind::Cheap, &open, None), [("SDK-RATE-001".into(), Severity::Low)]);
        assert_eq!(rules(Kind::Login, &open, None), [("SDK-RATE-004".into(), Severity::High)]);
        let locked = Burst { answers: 100, locked: 90, ..Burst::default() };
        assert_eq!(rules(Kind::Login, &locked, None), []);
        let turned = Burst { answers: 100, turned: Some(7), ..Burst::default() };
        assert_eq!(rules(Kind::Login, &turned, None), []);
        // Whoever is made to wait for every answer cannot try much.
        let slow = Burst { answers: 4, slow: true, ..Burst::default() };
        let told = judge(Kind::Login, "rag POST /login", &slow, None);
        assert_eq!(told[0].confidence, Confidence::Tentative);
        let limited =
            Burst { answers: 100, first_refusal: Some(60), refusals: 41, ..Burst::default() };
        assert_eq!(rules(Kind::Cheap, &limited, None), []);
        let around = rules(Kind::Cheap, &limited, Some("x-real-ip"));
        assert_eq!(around, [("SDK-RATE-003".into(), Severity::Medium)]);
        let broken = Burst { answers: 50, broken: 11, ..Burst::default() };
        assert_eq!(rules(Kind::Cheap, &broken, None), [("SDK-RATE-002".into(), Severity::High)]);
        let confidence = |burst: &Burst| judge(Kind::Cheap, "rag GET /", burst, None)[0].confidence;
        let twice = Burst { twice: true, ..broken };
        assert_eq!(confidence(&twice), Confidence::Firm);
        let by_itself = Burst { alone: 2, ..twice };
        assert_eq!(confidence(&by_itself), Confidence::Tentative);
    }
}
