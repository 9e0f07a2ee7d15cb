//! A third platform, whose weaknesses show little, and its safe twin, which has what looks like them: see
//! `serve.py`.

use serde_json::{Value, json};

use super::python::Platform;
use super::support::Workplace;
use super::{SECOND, TOKEN, run, services, status};

/// The checks that it is about.
const ABOUT: &str = "sqli,xss,auth,upload";

fn config(base_url: &str) -> Value {
    let private = |path: &str| json!({ "service": "rag", "request": { "method": "GET", "path": path }, "because": "own_object" });
    let upload = |path: &str, fetch: &str, allowed: &[&str]| {
        json!({
            "service": "rag", "path": path, "stored": "/name", "fetch": fetch,
            "delete": { "method": "DELETE", "path": fetch }, "allowed": allowed,
        })
    };
    let mut put = upload("/put?filename={name}", "/drop/{stored}", &["text/plain"]);
    put["raw"] = json!(true);
    json!({
        "target": { "name": "third", "environment": "development" },
        "services": services(base_url),
        "security": {
            "requests_per_second": 200,
            "max_requests": 30000,
            "images": { "none": true },
            "writes": true,
            "operations": [
                { "service": "rag", "request": { "path": "/notes" }, "form": { "text": "milk", "by": "ann" } },
                { "service": "rag", "request": { "path": "/motto", "body": { "motto": "Slow", "size": 3 } } },
                { "service": "rag", "request": { "path": "/seek" }, "form": { "name": "saw" } },
            ],
            // What a user is called may be a word that stands everywhere.
            "login": {
                "service": "rag",
                "request": { "path": "/login", "body": { "user": "{user}", "password": "{password}" } },
                "user": { "env": "THROW_AWAY" },
            },
            "second_user": { "rag": { "bearer_env": "SECOND_TOKEN" } },
            "private": [private("/me/documents"), private("/me/page"), private("/folders/7")],
            "uploads": [
                upload("/drop", "/drop/{stored}", &["png"]), put,
                {
                    "service": "rag", "path": "/unzip", "stored": "/id", "fetch": "/unzip/{stored}/{name}.txt",
                    "delete": { "method": "DELETE", "path": "/unzip/{stored}" }, "allowed": ["application/zip"],
                },
                upload("/keep", "/keep/{stored}", &["txt"]), upload("/tidy", "/tidy/{stored}", &["*.txt"]),
                upload("/gallery", "/gallery/{stored}", &["png"]),
            ],
        },
        "phases": { "full": { "security": "20m" } },
    })
}

/// Audits one of the two; the section of the report and what is left in the platform.
async fn audit(safe: bool) -> (Option<i32>, Value, Value) {
    audit_with(safe, ABOUT, Vec::new()).await
}

/// The same with other checks and more operations.
async fn audit_with(
    safe: bool,
    checks: &str,
    operations: Vec<Value>,
) -> (Option<i32>, Value, Value) {
    let platform = Platform::start("third", safe, &[]);
    let place = Workplace::new();
    let mut config = config(&platform.base_url);
    let listed = config["security"]["operations"].as_array_mut().expect("operations");
    listed.extend(operations);
    let (code, section) = run(&place, &config, TOKEN, &["--only", checks]).await;
    (code, section, platform.left())
}

/// Findings that count, as `RULE place parameter`.
fn firm(section: &Value) -> Vec<String> {
    let all = section["findings"].as_array().expect("findings").iter();
    let firm = all.filter(|finding| finding["confidence"] != "tentative");
    firm.map(|finding| {
        let text = |field: &str| finding[field].as_str().unwrap_or_default();
        format!("{} {} {}", text("rule"), text("place"), text("parameter"))
    })
    .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs python3: .ci/run"]
async fn weaknesses_that_show_little_are_found() {
    let (code, section, left) = audit(false).await;
    let firm = firm(&section);
    for expected in [
        // A count, in lists, behind a pattern that nothing fits; orders of rows, and how many.
        "SDK-SQLI-001 rag GET /count query kind",
        "SDK-SQLI-001 rag GET /among query ids",
        "SDK-SQLI-001 rag GET /several query ids",
        "SDK-SQLI-001 rag GET /find query q",
        "SDK-SQLI-001 rag GET /list query sort",
        "SDK-SQLI-001 rag GET /shelf query sort",
        "SDK-SQLI-001 rag GET /top query limit",
        "SDK-SQLI-001 rag GET /towards query dir",
        // An error brings the same rows in another order; words around them are others every time.
        "SDK-SQLI-001 rag GET /arranged query dir",
        "SDK-SQLI-001 rag GET /offers query kind",
        // A form that leads to a page with the answer.
        "SDK-SQLI-001 rag POST /seek form name",
        // Written in one place, shown in others.
        "SDK-XSS-002 rag GET /library document",
        "SDK-XSS-002 rag GET /library/view?id={document} document",
        // Kept by a request of the configuration: in a list, and in the place of what was there, on the
        // second page that shows it.
        "SDK-XSS-002 rag GET /notes rag POST /notes form text",
        "SDK-XSS-002 rag GET /imprint rag POST /motto body /motto",
        // It sends everybody on to the same page, which shows what nobody in particular sent.
        "SDK-AUTH-001 rag POST /seek no credentials",
        // One's own list is none; what belongs to another is.
        "SDK-ACCESS-001 rag GET /folders/7 ",
        // Out of the folder, where nothing serves what lies there.
        "SDK-UPLOAD-002 rag POST /drop a name that goes up",
        "SDK-UPLOAD-002 rag POST /put?filename={name} a name that goes up",
        "SDK-UPLOAD-005 rag POST /unzip an archive with an entry that goes up",
        "SDK-UPLOAD-004 rag POST /drop a program",
        // Looked through before it is shown, and shown as what its last ending says.
        "SDK-UPLOAD-001 rag POST /gallery a page with two endings",
        // A name of a file is part of the page that lists it.
        "SDK-UPLOAD-006 rag POST /drop a name with an element in it",
    ] {
        assert!(firm.iter().any(|told| told == expected), "{expected}: {firm:#?}");
    }
    // An error in the place of no rows may have other reasons.
    let only = ("SDK-SQLI-001".to_owned(), "rag GET /only query id tentative".to_owned());
    assert!(super::found(&section).contains(&only), "{section:#}");
    let about = |words: &str| firm.iter().filter(|told| told.contains(words)).count();
    assert_eq!(about("/notes form by"), 0, "it is escaped: {firm:#?}");
    assert_eq!(about("SDK-ACCESS-001"), 1, "{firm:#?}");
    for trap in [
        "/words",
        "/length",
        "/numbers",
        "/parity",
        "/bucket",
        "/visitors",
        "/keep",
        "UPLOAD-002 rag POST /tidy",
    ] {
        assert_eq!(about(trap), 0, "{trap}: {firm:#?}");
    }
    assert_eq!(code, Some(1));
    assert_eq!((left, &section["residue"]), (json!([]), &json!([])), "{section:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs python3: .ci/run"]
async fn what_only_looks_like_them_is_none() {
    let (code, section, left) = audit(true).await;
    assert_eq!(firm(&section), [""; 0], "{section:#}");
    for check in ["SQL injection", "XSS", "authentication bypass", "file upload"] {
        assert_eq!(status(&section, check), "pass", "{check}: {section:#}");
    }
    assert!(
        !super::found(&section).iter().any(|(_, place)| place.contains("/seek")),
        "{section:#}"
    );
    assert_eq!((code, section["score"].as_f64()), (Some(0), Some(100.0)), "{section:#}");
    assert_eq!((left, &section["residue"]), (json!([]), &json!([])));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs python3: .ci/run"]
async fn a_header_that_is_missing_once_in_a_while_is_no_finding() {
    let platform = Platform::start("third", true, &[("FORGETFUL", "1")]);
    let place = Workplace::new();
    let config = config(&platform.base_url);
    let (_, section) = run(&place, &config, TOKEN, &["--only", "headers"]).await;
    assert!(!firm(&section).iter().any(|told| told.contains("SDK-HEAD-001")), "{section:#}");
    assert!(section["checks"][0]["requests"].as_u64() > Some(5), "{section:#}");
    platform.left();
}

/// A guest book that wants a session, a name that is new, and a topic of its own.
fn guests() -> Value {
    json!({
        "service": "rag", "request": { "path": "/guests" }, "cookies": { "session": "of-ann" },
        "form": { "name": "ann", "text": "Hello", "topic": "garden" },
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs python3: .ci/run"]
async fn what_a_guarded_request_keeps_is_found_although_a_page_fails_and_is_put_back() {
    let (_, section, left) = audit_with(false, "xss", vec![guests()]).await;
    let firm = firm(&section);
    for expected in [
        "SDK-XSS-002 rag GET /guests rag POST /guests form text",
        "SDK-XSS-002 rag GET /notes rag POST /notes form text",
        "SDK-XSS-002 rag GET /imprint rag POST /motto body /motto",
    ] {
        assert!(firm.iter().any(|told| told == expected), "{expected}: {section:#}");
    }
    // The page that gave no answer may have shown more.
    let check = &section["checks"][0];
    let coverage = check["coverage"].as_str().expect("words");
    assert!(coverage.contains("(4 refused or without an answer)"), "{coverage}");
    assert_eq!(check["status"], "vulnerable", "{section:#}");
    assert_eq!(left, json!([]), "{section:#}");
    let all = section["findings"].as_array().expect("findings").iter();
    let mut stored = all.filter(|one| one["parameter"] == "rag POST /guests form text");
    let evidence = stored.next().expect("found")["evidence"].as_str().expect("words");
    assert!(evidence.contains("nothing says how it is removed"), "{evidence}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs python3: .ci/run"]
async fn what_a_guarded_request_keeps_and_is_escaped_is_none() {
    let (_, section, left) = audit_with(true, "xss", vec![guests()]).await;
    assert_eq!(firm(&section), [""; 0], "{section:#}");
    assert_eq!(status(&section, "XSS"), "pass", "{section:#}");
    assert_eq!(left, json!([]), "{section:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs python3: .ci/run"]
async fn the_name_of_a_user_that_is_a_word_is_left_in_what_is_told() {
    let platform = Platform::start("third", true, &[]);
    let place = Workplace::new();
    let config = config(&platform.base_url);
    std::fs::write(place.path().join("shakedown.yaml"), config.to_string()).expect("written");
    let mut command = place.command(&["security", "--headless", "--only", "rate-limit"]);
    command.env("TWIN_TOKEN", TOKEN).env("SECOND_TOKEN", SECOND).env("THROW_AWAY", "login");
    let output = tokio::task::spawn_blocking(move || command.output()).await.expect("joined");
    let output = output.expect("runs");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(told.contains("rag POST /login") && !told.contains("***"), "{told}");
    assert_eq!(platform.left(), json!([]));
}
