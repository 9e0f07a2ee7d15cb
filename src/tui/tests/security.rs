//! A run in the middle of its security audit, and how its panel looks and is operated.

use super::{KeyCode, Panel, Story, app_with, screen};
use crate::config::PhaseKind;
use crate::run::event::{
    CheckReport, CheckStatus, Confidence, Counts, Discovered, EventBody, Exchange, Finding,
    ImageReport, ImageStatus, Novelty, Operations, PhaseOutcome, SecurityEvent, Severity, Verdict,
    VulnerabilityDatabase,
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
                partial: false,
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

/// The first one is the worst.
fn finding(n: u32) -> Finding {
    let first = n == 0;
    Finding {
        rule: if first { "SDK-SQLI-001" } else { "SDK-HEAD-001" }.into(),
        about: String::new(),
        title: if first { "SQL injection" } else { "no policy for scripts" }.into(),
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

/// Two images are done, the third is being scanned.
fn scanning() -> Story {
    let mut story = Story::new().running(3);
    let outcome = PhaseOutcome::new(Verdict::Pass, "every threshold held");
    story.tell(Some(PhaseKind::Mixed), EventBody::PhaseFinished { outcome });
    let started = EventBody::PhaseStarted { planned_us: 900_000_000 };
    story.tell(Some(PhaseKind::Security), started);
    let mut tell = |event| story.tell(Some(PhaseKind::Security), EventBody::Security(event));
    tell(SecurityEvent::CheckStarted { check: "image scan".into() });
    tell(SecurityEvent::Database(VulnerabilityDatabase {
        trivy: Some("0.66.0".into()),
        age_hours: Some(5),
        detail: "up to date".into(),
        ..VulnerabilityDatabase::default()
    }));
    let names = ["chat:1.4", "tools:scratch", "rag:2", "gateway:7"];
    let images = names.map(|name| format!("registry.local/{name}")).to_vec();
    tell(SecurityEvent::ImagesFound { images });
    for (image, status, critical) in [
        ("registry.local/chat:1.4", ImageStatus::Scanned, 2),
        ("registry.local/tools:scratch", ImageStatus::NotCovered, 0),
    ] {
        tell(SecurityEvent::ImageStarted { image: image.into() });
        let scanned = status == ImageStatus::Scanned;
        tell(SecurityEvent::ImageFinished(ImageReport {
            image: image.into(),
            id: None,
            status,
            detail: if scanned {
                "fixable 2 critical, 5 high"
            } else {
                "no packages were found in it"
            }
            .into(),
            fixable: Counts { critical, high: critical * 2 },
            unfixed: Counts::default(),
            os: scanned.then(|| "alpine 3.10.2".into()),
            end_of_life: scanned,
        }));
    }
    let progress = |done| SecurityEvent::Progress {
        check: "image scan".into(),
        done,
        of: 4,
        at: "rag:2".into(),
    };
    tell(progress(2));
    let image = "registry.local/rag:2".to_owned();
    tell(SecurityEvent::ImageStarted { image: image.clone() });
    let step = "Detected OS family=\"alpine\"".into();
    tell(SecurityEvent::ImageStep { image, step });
    story
}

#[tokio::test(start_paused = true)]
async fn images_are_told_as_they_are_scanned() {
    let (mut app, _peer) = app_with(scanning().state, false);
    app.panel = Panel::Security;
    for (width, height) in [(80, 24), (200, 50)] {
        let drawn = screen(&app, width, height);
        for part in [
            "local/chat:1.4",
            "local/tools:scratch",
            "registry.local/rag:2",
            "Detected OS",
            "waiting",
        ] {
            assert!(drawn.contains(part), "{part}: {drawn}");
        }
        insta::assert_snapshot!(format!("security_images_{width}x{height}"), drawn);
    }
}

#[tokio::test(start_paused = true)]
async fn accepted_findings_are_counted_and_shown_with_their_reason_and_last_day() {
    let mut story = Story::new().running(3).audit();
    for n in [20, 21] {
        let mut accepted = finding(n);
        accepted.suppressed = Some("internal network only, ticket 4711 (until 2027-03-31)".into());
        let found = EventBody::Security(SecurityEvent::Found(Box::new(accepted)));
        story.tell(Some(PhaseKind::Security), found);
    }
    let (mut app, _peer) = app_with(story.state, false);
    app.panel = Panel::Security;
    for (width, height) in [(80, 24), (120, 40)] {
        insta::assert_snapshot!(
            format!("security_accepted_{width}x{height}"),
            screen(&app, width, height)
        );
    }
    for code in "/accepted".chars().map(KeyCode::Char).chain([KeyCode::Enter]) {
        press(&mut app, KeyEvent::new(code, KeyModifiers::NONE));
    }
    assert_eq!(app.findings().len(), 2);
    let drawn = screen(&app, 120, 24);
    assert_eq!(drawn.matches("ticket 4711 (until 2027-03-31)").count(), 2, "{drawn}");
    press(&mut app, KeyEvent::new(KeyCode::Char('i'), KeyModifiers::NONE));
    insta::assert_snapshot!("security_accepted_detail_80x24", screen(&app, 80, 24));
}

#[tokio::test(start_paused = true)]
async fn what_only_looks_like_a_finding_is_told_as_such() {
    let mut state = Story::new().running(3).audit().state;
    let audit = state.phases.iter_mut().find_map(|phase| phase.security.as_mut());
    audit.expect("an audit").findings[1].confidence = Confidence::Tentative;
    let (mut app, _peer) = app_with(state, false);
    app.panel = Panel::Security;
    assert_eq!(screen(&app, 120, 40).matches("tentative").count(), 1);
    app.finding_filter = "tentative".into();
    assert_eq!(app.findings().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn findings_are_listed_filtered_and_shown_in_detail() {
    let (mut app, _peer) = app_with(Story::new().running(3).audit().state, false);
    app.panel = Panel::Security;
    for (width, height) in [(80, 24), (120, 40), (200, 50)] {
        let drawn = screen(&app, width, height);
        assert!(!drawn.contains('\u{1b}') && !drawn.contains("31m"));
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

#[tokio::test(start_paused = true)]
async fn an_audit_that_was_aborted_is_no_longer_under_way() {
    for mut story in [Story::new().running(3).audit(), scanning()] {
        let outcome = PhaseOutcome::new(Verdict::Aborted, "ended before its time");
        story.tell(Some(PhaseKind::Security), EventBody::PhaseFinished { outcome });
        let (mut app, _peer) = app_with(story.state, false);
        app.panel = Panel::Security;
        let drawn = screen(&app, 120, 40);
        assert!(drawn.contains("security audit aborted: no score"), "{drawn}");
        assert!(drawn.contains("not finished") && !drawn.contains("under way"), "{drawn}");
        assert!(!drawn.contains("waiting"), "{drawn}");
    }
}
