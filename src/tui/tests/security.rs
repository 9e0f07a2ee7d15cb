//! A run in the middle of its security audit, and how its panel looks and is operated.

use super::{KeyCode, Panel, Story, app_with, screen};
use crate::config::PhaseKind;
use crate::run::event::{
    CheckReport, CheckStatus, Confidence, Discovered, EventBody, Exchange, Finding, Novelty,
    Operations, PhaseOutcome, SecurityEvent, Severity, Verdict,
};
use crate::tui::operate::press;
use crossterm::event::{KeyEvent, KeyModifiers};

impl Story {
    fn audit(mut self) -> Self {
        let outcome = PhaseOutcome::new(Verdict::Pass, "every threshold held");
        self.tell(Some(PhaseKind::Mixed), EventBody::PhaseFinished { outcome });
        let started = EventBody::PhaseStarted { planned_us: 900_000_000 };
        self.tell(Some(PhaseKind::Security), started);
        let mut tell = |event| self.tell(Some(PhaseKind::Security), EventBody::Security(event));
        tell(SecurityEvent::Discovered(Discovered {
            found: 14,
            attackable: 11,
            points: 23,
            sources: vec![("OpenAPI".into(), 9)],
            skipped: vec![],
            notes: vec![],
        }));
        for (check, status) in [
            ("security headers", CheckStatus::Vulnerable),
            ("CORS", CheckStatus::Pass),
            ("API key exposure", CheckStatus::NotTested),
        ] {
            tell(SecurityEvent::CheckFinished(CheckReport {
                check: check.into(),
                status,
                coverage: "11 answers".into(),
                requests: 20,
                operations: Some(Operations { found: 14, tested: 11 }),
            }));
        }
        tell(SecurityEvent::CheckStarted { check: "SQL injection".into() });
        tell(SecurityEvent::Progress {
            check: "SQL injection".into(),
            done: 3,
            of: 11,
            at: "rag POST /query".into(),
        });
        for n in 0..12 {
            tell(SecurityEvent::Found(Box::new(finding(n))));
        }
        self
    }
}

/// The first one is the worst; what a hostile platform put into it must not reach a terminal.
fn finding(n: u32) -> Finding {
    let first = n == 0;
    Finding {
        rule: if first { "SDK-SQLI-001" } else { "SDK-HEAD-001" }.into(),
        title: if first { "SQL injection\u{1b}[31m" } else { "no policy for scripts" }.into(),
        severity: if first { Severity::Critical } else { Severity::Low },
        confidence: Confidence::Confirmed,
        cwe: if first { 89 } else { 693 },
        place: format!("rag POST /query{n}"),
        evidence: "true and false conditions are told apart, three times".into(),
        remedy: "bind values instead of writing them into the statement".into(),
        fingerprint: "3f5a0c9d1b2e77".into(),
        parameter: first.then(|| "body /question".into()),
        references: vec!["OWASP A03:2021".into(), "WSTG-INPV-05".into()],
        exchanges: ["attack", "control"]
            .map(|role| Exchange {
                role: role.into(),
                request: format!("POST /query | {}", "x".repeat(100)),
                response: "500 text/plain (20 bytes, 3 ms) syntax error at or near".into(),
            })
            .into(),
        fixable: None,
        suppressed: None,
        novelty: Some(if first { Novelty::New } else { Novelty::Unchanged }),
    }
}

#[tokio::test(start_paused = true)]
async fn findings_are_listed_filtered_and_shown_in_detail() {
    let (mut app, _peer) = app_with(Story::new().running(3).audit().state, false);
    app.panel = Panel::Security;
    for (width, height) in [(80, 24), (120, 40), (200, 50)] {
        let drawn = screen(&app, width, height);
        assert!(!drawn.contains('\u{1b}'));
        insta::assert_snapshot!(format!("security_{width}x{height}"), drawn);
    }
    let type_in = |app: &mut _, keys: &[KeyCode]| {
        for code in keys {
            press(app, KeyEvent::new(*code, KeyModifiers::NONE));
        }
    };
    type_in(&mut app, &[KeyCode::Char('i')]);
    insta::assert_snapshot!("security_detail_80x24", screen(&app, 80, 24));
    assert!(screen(&app, 120, 40).contains("CWE-89"));
    // The detail follows the selection; Esc goes back to the list.
    type_in(&mut app, &[KeyCode::Down]);
    assert!(screen(&app, 120, 40).contains("CWE-693"));
    type_in(&mut app, &[KeyCode::Esc, KeyCode::Char('/')]);
    type_in(&mut app, &"critical".chars().map(KeyCode::Char).collect::<Vec<_>>());
    type_in(&mut app, &[KeyCode::Enter]);
    let rows: Vec<&str> = app.findings().iter().map(|finding| finding.rule.as_str()).collect();
    assert_eq!(rows, ["SDK-SQLI-001"]);
    assert!(screen(&app, 80, 24).contains("findings with \"critical\": 1 of 12"));
    type_in(&mut app, &[KeyCode::Esc]);
    assert_eq!(app.findings().len(), 12, "Esc shows all again");
}
