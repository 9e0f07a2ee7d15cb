//! The security audit by the real program, on a platform with every weakness and on its secure twin:
//! it finds what is there, and nothing that is not.

mod choice;
mod containers;
mod hostile;
mod interrupted;
mod mcp;
mod python;
mod second;
mod statement;
#[path = "../support/mod.rs"]
mod support;
mod third;
mod trivy;
mod troubled;
mod twin;

use serde_json::{Value, json};
use support::{Workplace, ended, report};
use twin::{KEY, SECOND, Twin, WEAK_TOKEN, serve};

/// A token whose key nobody would try.
const TOKEN: &str = "the-right-token-of-the-first-user";

/// What there is of a platform under audit: a RAG service with a collection that may be written to.
fn services(base_url: &str) -> Value {
    json!({ "rag": {
        "endpoint": { "base_url": base_url, "auth": { "bearer_env": "TWIN_TOKEN" } },
        "query": { "path": "/query", "body": { "question": "{question}" } },
        "scratch": {
            "collection": "scratch",
            "ingest": { "path": "/documents", "body": { "id": "{id}", "text": "{text}" } },
            "delete": { "method": "DELETE", "path": "/documents/{id}" },
            "lookup": { "method": "GET", "path": "/documents/{id}" },
        },
    } })
}

/// The configuration of a twin.
fn config(base_url: &str) -> Value {
    let get = |path: &str| json!({ "method": "GET", "path": path });
    json!({
        "target": { "name": "twin", "environment": "development" },
        "services": services(base_url),
        "security": {
            "requests_per_second": 60,
            "max_requests": 6000,
            "images": { "none": true },
            "trusted_origins": ["https://app.example.com"],
            "writes": true,
            "operations": [{
                "service": "rag",
                "request": { "method": "GET", "path": "/rows?name=apple" },
            }],
            "second_user": { "rag": { "bearer_env": "SECOND_TOKEN" } },
            "private": [{
                "service": "rag", "request": get("/objects/1"), "because": "own_object",
            }],
            "login": {
                "service": "rag",
                "request": { "path": "/login", "body": { "user": "{user}", "password": "{password}" } },
                "user": { "env": "THROW_AWAY" },
            },
            "uploads": [{
                "service": "rag", "path": "/files", "stored": "/name", "fetch": "/files/{stored}",
                "delete": { "method": "DELETE", "path": "/files/{stored}" },
                "allowed": [".txt"], "max_bytes": 1000,
            }],
        },
        "phases": { "full": { "security": "10m" } },
    })
}

struct Audited {
    code: Option<i32>,
    section: Value,
    twin: Twin,
    place: Workplace,
}

/// Audits a twin.
async fn audit(weak: bool) -> Audited {
    let token = if weak { WEAK_TOKEN } else { TOKEN };
    let (base_url, twin) = serve(weak, token).await;
    let place = Workplace::new();
    let (code, section) = run(&place, &config(&base_url), token, &[]).await;
    Audited { code, section, twin, place }
}

/// Runs the audit in a workplace; returns the exit code and the section of the report.
async fn run(
    place: &Workplace,
    config: &Value,
    token: &str,
    more: &[&str],
) -> (Option<i32>, Value) {
    run_as(place, config, [token, SECOND], more).await
}

/// The same with the credentials of two users.
async fn run_as(
    place: &Workplace,
    config: &Value,
    [token, second]: [&str; 2],
    more: &[&str],
) -> (Option<i32>, Value) {
    std::fs::write(place.path().join("shakedown.yaml"), config.to_string()).expect("written");
    let mut arguments = vec!["security", "--headless"];
    arguments.extend(more);
    let mut command = place.command(&arguments);
    command.env("TWIN_TOKEN", token).env("SECOND_TOKEN", second).env("THROW_AWAY", "throw-away");
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let child = command.spawn().expect("program runs");
    let (code, out, err) = tokio::task::spawn_blocking(|| ended(child)).await.expect("ended");
    let run = shakedown::run::folder::RunFolder::list(&place.runs()).pop().expect("a run");
    let report = report(&run);
    let phases = report["phases"].as_array().expect("phases");
    let phase = phases.iter().find(|phase| phase["phase"] == "security").expect("security");
    let journal = std::fs::read_to_string(run.path().join("events.jsonl")).expect("readable");
    for secret in [token, &KEY[8..], second] {
        assert!(!journal.contains(secret) && !out.contains(secret), "a secret was told: {err}");
    }
    (code, phase["security"].clone())
}

fn status<'a>(section: &'a Value, check: &str) -> &'a str {
    let checks = section["checks"].as_array().expect("checks");
    let row = checks.iter().find(|row| row["check"] == check);
    row.and_then(|row| row["status"].as_str()).unwrap_or("not made")
}

/// Findings as `RULE severity confidence`, with their parameters.
fn found(section: &Value) -> Vec<(String, String)> {
    let all = section["findings"].as_array().expect("findings").iter();
    let text =
        |finding: &Value, field: &str| finding[field].as_str().unwrap_or_default().to_owned();
    all.map(|f| {
        (
            text(f, "rule"),
            format!("{} {} {}", text(f, "place"), text(f, "parameter"), text(f, "confidence")),
        )
    })
    .collect()
}

const CHECKS: [&str; 8] = [
    "security headers",
    "CORS",
    "API key exposure",
    "SQL injection",
    "XSS",
    "authentication bypass",
    "file upload",
    "rate limiting",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_weakness_is_found_on_the_weak_twin_and_everything_written_is_gone() {
    let Audited { code, section, twin, place } = audit(true).await;
    assert_eq!(code, Some(1), "{section:#}");
    for check in CHECKS {
        assert_eq!(status(&section, check), "vulnerable", "{check}: {section:#}");
    }
    let found = found(&section);
    for (rule, wherein) in [
        ("SDK-SQLI-001", "POST /query body /question confirmed"),
        ("SDK-SQLI-001", "GET /rows query name confirmed"),
        ("SDK-SQLI-001", "GET /slow query name confirmed"),
        ("SDK-XSS-001", "GET /page query name confirmed"),
        ("SDK-XSS-001", "GET /attribute query v confirmed"),
        ("SDK-XSS-001", "GET /script query v confirmed"),
        ("SDK-XSS-002", "document confirmed"),
        ("SDK-JWT-001", "/private/report"),
        ("SDK-JWT-002", "signing key confirmed"),
        ("SDK-JWT-003", "/private/report"),
        ("SDK-ACCESS-001", "/objects/1"),
        ("SDK-CORS-001", "confirmed"),
        ("SDK-CORS-002", "/null-origin"),
        ("SDK-CORS-003", "/prefix-origin"),
        ("SDK-HEAD-001", ""),
        ("SDK-HEAD-002", ""),
        ("SDK-HEAD-004", ""),
        ("SDK-HEAD-005", ""),
        ("SDK-KEYS-001", "/app.js"),
        ("SDK-KEYS-002", "/.env"),
        ("SDK-UPLOAD-001", "a page"),
        ("SDK-UPLOAD-002", "a name that goes up"),
        ("SDK-UPLOAD-003", ""),
        ("SDK-UPLOAD-004", "a program"),
        ("SDK-RATE-001", ""),
        ("SDK-RATE-003", "/login x-forwarded-for"),
    ] {
        let there = found.iter().any(|(of, place)| of == rule && place.contains(wherein));
        assert!(there, "{rule} {wherein}: {found:#?}");
    }
    assert!(section["score"].as_f64() <= Some(49.0), "a confirmed critical finding: {section:#}");
    for finding in section["findings"].as_array().expect("findings") {
        // Worked out here: nothing had to be asked.
        let shown = finding["exchanges"].as_array().map_or(0, Vec::len);
        assert!(shown > 0 || finding["rule"] == "SDK-JWT-002", "no evidence: {finding:#}");
    }
    for rule in [
        "SDK-SQLI-001",
        "SDK-XSS-001",
        "SDK-XSS-002",
        "SDK-CORS-001",
        "SDK-CORS-002",
        "SDK-CORS-003",
        "SDK-KEYS-002",
        "SDK-RATE-003",
    ] {
        let all = section["findings"].as_array().expect("findings").iter();
        let of: Vec<_> = all.filter(|finding| finding["rule"] == rule).collect();
        assert!(!of.is_empty(), "{rule} is not found: {section:#}");
        for finding in of {
            let sides = finding["exchanges"].as_array().map_or(0, Vec::len);
            assert!(sides >= 2, "both sides: {finding:#}");
            let control = finding["exchanges"].as_array().expect("there");
            assert!(control.iter().any(|side| side["role"] == "control"), "{finding:#}");
        }
    }
    assert!(twin.documents.lock().expect("not poisoned").is_empty(), "documents are left");
    assert_eq!(twin.files.lock().expect("not poisoned").keys().collect::<Vec<_>>(), [""; 0]);
    assert_eq!(section["residue"], json!([]), "{section:#}");
    exports_are_valid(&place);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_found_on_the_secure_twin() {
    let Audited { code, section, twin, .. } = audit(false).await;
    let firm: Vec<_> =
        found(&section).into_iter().filter(|(_, p)| !p.ends_with("tentative")).collect();
    assert_eq!(firm, [], "{section:#}");
    for check in CHECKS {
        assert_eq!(status(&section, check), "pass", "{check}: {section:#}");
    }
    assert_eq!((code, section["score"].as_f64()), (Some(0), Some(100.0)), "{section:#}");
    // What breaks at a quote without a sign of a database is told, and is no injection.
    let tentative: Vec<String> = found(&section).into_iter().map(|(rule, _)| rule).collect();
    assert_eq!(tentative, ["SDK-ERR-001"]);
    assert!(twin.documents.lock().expect("not poisoned").is_empty());
    assert_eq!(twin.files.lock().expect("not poisoned").keys().collect::<Vec<_>>(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_known_is_accepted_compared_and_not_hidden() {
    let (base_url, _twin) = serve(true, WEAK_TOKEN).await;
    let place = Workplace::new();
    let mut config = config(&base_url);
    let (_, first) = run(&place, &config, WEAK_TOKEN, &["--only", "cors,keys"]).await;
    let checks = first["checks"].as_array().expect("checks");
    assert_eq!(checks.len(), 2, "only what is asked for: {first:#}");
    let findings = first["findings"].as_array().expect("findings");
    let cors = findings.iter().find(|finding| finding["rule"] == "SDK-CORS-001").expect("found");
    let print = cors["fingerprint"].as_str().expect("there");
    let list = format!("- fingerprint: {print}\n  reason: internal\n  expires: 2999-01-01\n");
    std::fs::write(place.path().join("accepted.yaml"), list).expect("written");
    config["security"]["suppressions"] = json!("accepted.yaml");
    let (_, second) = run(&place, &config, WEAK_TOKEN, &["--only", "cors,keys"]).await;
    let findings = second["findings"].as_array().expect("findings");
    let cors = findings.iter().find(|finding| finding["rule"] == "SDK-CORS-001").expect("told");
    assert_eq!(cors["suppressed"], "internal (until 2999-01-01)");
    assert_eq!(cors["novelty"], "unchanged", "{cors:#}");
    let compared = &second["comparison"];
    assert_eq!((&compared["new"], &compared["fixed"]), (&json!(0), &json!([])), "{compared:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_of_some_checks_makes_nothing_new_and_nothing_fixed_of_the_others() {
    let (base_url, _twin) = serve(true, WEAK_TOKEN).await;
    let place = Workplace::new();
    let config = config(&base_url);
    let compared = async |only: &str| {
        let (_, section) = run(&place, &config, WEAK_TOKEN, &["--only", only]).await;
        section["comparison"].clone()
    };
    assert_eq!(compared("cors,keys").await, Value::Null, "there was none before");
    assert_eq!(compared("headers").await, Value::Null, "nobody had looked at those");
    // The latest run made others of its checks only.
    let again = compared("cors,keys,headers").await;
    assert_eq!((&again["new"], &again["fixed"]), (&json!(0), &json!([])), "{again:#}");
    assert!(again["unchanged"].as_u64() > Some(3), "{again:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_on_another_target_do_not_come_between_two_on_the_same() {
    let (base_url, _twin) = serve(true, WEAK_TOKEN).await;
    let place = Workplace::new();
    let config = config(&base_url);
    run(&place, &config, WEAK_TOKEN, &["--only", "cors"]).await;
    let first = shakedown::run::folder::RunFolder::list(&place.runs()).pop().expect("a run");
    let journal = std::fs::read_to_string(first.path().join("events.jsonl")).expect("readable");
    let begun = journal.lines().next().expect("its first event");
    let other = begun.replace("\"target\":\"twin\"", "\"target\":\"other\"");
    assert_ne!(other, begun);
    for n in 0..20 {
        // By its name after the first and before the next.
        let folder = place.runs().join(format!("{}{n:02}", first.id()));
        std::fs::create_dir(&folder).expect("created");
        std::fs::write(folder.join("events.jsonl"), format!("{other}\n")).expect("written");
    }
    let (_, section) = run(&place, &config, WEAK_TOKEN, &["--only", "cors"]).await;
    assert_eq!(section["comparison"]["run"], json!(first.id()), "{section:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_accepted_finding_without_a_reason_is_refused_before_anything_is_asked() {
    let (base_url, _twin) = serve(true, WEAK_TOKEN).await;
    let place = Workplace::new();
    let mut config = config(&base_url);
    config["security"]["suppressions"] = json!("accepted.yaml");
    std::fs::write(place.path().join("shakedown.yaml"), config.to_string()).expect("written");
    let told = |arguments: &[&str]| {
        let mut command = place.command(arguments);
        command.env("TWIN_TOKEN", WEAK_TOKEN).env("SECOND_TOKEN", SECOND);
        let output = tokio::task::block_in_place(|| command.output().expect("runs"));
        (output.status.code(), support::text(&output.stdout) + &support::text(&output.stderr))
    };
    let write = |list: &str| {
        std::fs::write(place.path().join("accepted.yaml"), list).expect("written");
    };
    write("- fingerprint: 3f5a0c9d1b2e\n  expires: 2999-01-01\n");
    for arguments in [&["check"][..], &["security", "--headless"]] {
        let (code, said) = told(arguments);
        assert_eq!(code, Some(2), "{arguments:?}: {said}");
        assert!(said.contains("security.suppressions") && said.contains("reason"), "{said}");
    }
    let runs = shakedown::run::folder::RunFolder::list(&place.runs());
    assert_eq!(runs.len(), 0, "no run was begun");
    write("- fingerprint: 3f5a0c9d1b2e\n  reason: internal\n  expires: 2026-01-01\n");
    let (code, said) = told(&["check"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("over     internal (until 2026-01-01)"), "{said}");
}

/// What the standard's schema asks for, and what code scanning does beside it.
fn is_sarif(sarif: &Value) {
    let schema = serde_json::from_str(include_str!("../schemas/sarif-2.1.0.json")).expect("JSON");
    let mut schemas = boon::Schemas::new();
    let mut compiler = boon::Compiler::new();
    compiler.add_resource("sarif.json", schema).expect("schema");
    let at = compiler.compile("sarif.json", &mut schemas).expect("compiles");
    let refused = schemas.validate(sarif, at).err().map(|error| error.to_string());
    assert_eq!(refused, None);
    let mut broken = sarif.clone();
    broken["runs"][0]["results"][0]["level"] = json!("terrible");
    assert!(schemas.validate(&broken, at).is_err(), "the schema is really asked");
    let driver = &sarif["runs"][0]["tool"]["driver"];
    let rules = driver["rules"].as_array().expect("rules");
    let is_text = |value: &Value| value["text"].as_str().is_some_and(|text| !text.is_empty());
    for rule in rules {
        for field in ["shortDescription", "fullDescription", "help"] {
            assert!(is_text(&rule[field]), "{field}: {rule:#}");
        }
        let about = rule["shortDescription"]["text"].as_str().expect("a text");
        let parameters = ["query ", "apple", "/"];
        assert!(!parameters.iter().any(|of| about.contains(of)), "it is one finding's: {about}");
        let severity = rule["properties"]["security-severity"].as_str().expect("a text");
        assert!((0.0..=10.0).contains(&severity.parse::<f64>().expect("a number")));
    }
    let mut prints = std::collections::HashSet::new();
    for result in sarif["runs"][0]["results"].as_array().expect("results") {
        assert!(rules.iter().any(|rule| rule["id"] == result["ruleId"]), "{result:#}");
        assert!(is_text(&result["message"]));
        let at = &result["locations"][0]["physicalLocation"];
        let uri = at["artifactLocation"]["uri"].as_str().expect("a text");
        assert!(!uri.is_empty() && !uri.starts_with('/') && !uri.contains("://"), "{uri}");
        assert!(at["region"]["startLine"].as_u64() >= Some(1));
        let print = result["partialFingerprints"]["primaryLocationLineHash"].as_str();
        assert!(
            prints.insert(print.expect("a text").to_owned()),
            "two are taken for one: {result:#}"
        );
    }
}

/// The exports beside the report are what other programs take.
fn exports_are_valid(place: &Workplace) {
    let run = place.run();
    let read = |name: &str| -> Value {
        let text = std::fs::read_to_string(run.path().join(name)).expect("there");
        serde_json::from_str(&text).expect("JSON")
    };
    let sarif = read("security.sarif");
    // Types that are made from the standard's schema: what is missing or of another kind is refused.
    let typed: serde_sarif::sarif::Sarif = serde_json::from_value(sarif.clone()).expect("SARIF");
    assert_eq!(typed.runs.len(), 1);
    is_sarif(&sarif);
    let printed = place.output(&["report", "--format", "sarif"]);
    let printed: Value = serde_json::from_slice(&printed.stdout).expect("JSON");
    assert_eq!(printed, sarif, "the same when it is asked for");
    let results = sarif["runs"][0]["results"].as_array().expect("results");
    assert!(results.len() > 20, "{}", results.len());
    let dojo = read("security_defectdojo.json");
    let titles = dojo["findings"].as_array().expect("findings");
    assert_eq!(titles.len(), results.len());
    // More than what the importer knows makes it refuse the whole file
    // (DefectDojo, dojo/tools/generic/json_parser.py, of 2024 and of 2026).
    let known = [
        "title",
        "severity",
        "description",
        "cwe",
        "mitigation",
        "references",
        "active",
        "verified",
        "risk_accepted",
        "component_name",
        "static_finding",
        "dynamic_finding",
        "vulnerability_ids",
        "unique_id_from_tool",
        "vuln_id_from_tool",
    ];
    for finding in titles {
        let fields = finding.as_object().expect("a mapping").keys();
        let unknown: Vec<_> = fields.filter(|name| !known.contains(&name.as_str())).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
        let severity = finding["severity"].as_str().expect("required");
        assert!(["Info", "Low", "Medium", "High", "Critical"].contains(&severity));
        assert!(finding["title"].is_string() && finding["description"].is_string());
    }
    assert!(read("security_report.json")["security"]["score"].is_number());
}
