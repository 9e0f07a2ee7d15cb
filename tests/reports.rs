//! Reports of real runs, read by what reads them elsewhere.

mod support;

use std::fs;

use serde_json::Value;
use support::{Workplace, ended, text};

fn problems(schema: &str, instance: &Value) -> Option<String> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schemas").join(schema);
    let schema = serde_json::from_slice(&fs::read(path).expect("schema")).expect("JSON");
    let mut schemas = boon::Schemas::new();
    let mut compiler = boon::Compiler::new();
    compiler.add_resource("schema.json", schema).expect("schema");
    let at = compiler.compile("schema.json", &mut schemas).expect("compiles");
    schemas.validate(instance, at).err().map(|error| error.to_string())
}

/// Attributes of every element of a kind, in an XML document that must be well formed.
fn elements(xml: &str, kind: &str) -> Vec<std::collections::BTreeMap<String, String>> {
    let mut reader = quick_xml::Reader::from_str(xml);
    let mut found = Vec::new();
    loop {
        use quick_xml::events::Event;
        match reader.read_event().expect("well formed") {
            Event::Eof => return found,
            Event::Start(element) | Event::Empty(element)
                if element.name().as_ref() == kind.as_bytes() =>
            {
                let attributes = element.attributes().map(|attribute| {
                    let attribute = attribute.expect("well formed");
                    let key = text(attribute.key.as_ref());
                    (key, text(&attribute.value))
                });
                found.push(attributes.collect());
            }
            _ => {}
        }
    }
}

#[test]
fn a_run_is_reported_in_every_format_and_compared() {
    let place = Workplace::new();
    let summary = place.path().join("summary.md");
    let outputs = place.path().join("outputs");
    let mut first = place.command(&[
        "locust",
        "--headless",
        "--seed",
        "7",
        "--set",
        "phases.full.mixed=3s",
        "--set",
        "criteria.error_rate_percent=0.001",
    ]);
    first.env("GITHUB_ACTIONS", "true").env("GITHUB_STEP_SUMMARY", &summary);
    let first = first.env("GITHUB_OUTPUT", &outputs).output().expect("program runs");
    assert_eq!(first.status.code(), Some(3), "{}", text(&first.stdout));

    let out = text(&first.stdout);
    assert!(out.contains("::warning title=shakedown inconclusive::slo: "), "{out}");
    let written = fs::read_to_string(summary).expect("summary");
    assert!(written.starts_with("## shakedown: inconclusive"), "{written}");
    let run = place.run();
    let expected = format!(
        "verdict=inconclusive\nrun={}\nreport={}\n",
        run.id(),
        run.path().join("production_validation_report.json").display()
    );
    assert_eq!(fs::read_to_string(outputs).expect("outputs"), expected);

    let ctrf = place.output(&["report", "--format", "ctrf"]);
    let ctrf: Value = serde_json::from_slice(&ctrf.stdout).expect("JSON");
    assert_eq!(problems("ctrf-0.0.json", &ctrf), None);
    let counts = &ctrf["results"]["summary"];
    assert!(counts["other"].as_u64() > Some(0), "{counts}");
    assert!(counts["stop"].as_u64() > counts["start"].as_u64(), "{counts}");

    let junit = text(&place.output(&["report", "--format", "junit"]).stdout);
    let suites = elements(&junit, "testsuite");
    assert_eq!(suites.len(), 7, "six phases and the objectives");
    let sum = |what: &str| -> usize {
        suites.iter().map(|suite| suite[what].parse::<usize>().expect("a number")).sum()
    };
    assert_eq!(sum("tests"), elements(&junit, "testcase").len());
    assert_eq!(sum("skipped"), elements(&junit, "skipped").len());
    assert_eq!(sum("tests"), counts["tests"].as_u64().expect("a number") as usize);

    let same = place.output(&["compare", &run.id(), &run.id()]);
    assert_eq!(same.status.code(), Some(0), "{}", text(&same.stdout));
    assert!(text(&same.stdout).contains("0 of "), "{}", text(&same.stdout));
}

#[test]
fn what_became_worse_since_a_baseline_is_a_failure() {
    let place = Workplace::new();
    let (code, out, err) = ended(place.headless(4, &[]));
    assert_eq!(code, Some(0), "{out}\n{err}");
    // The same run, ten times as fast: a baseline that no run of the sandbox meets.
    let file = place.path().join("production_validation_report.json");
    let mut report: Value =
        serde_json::from_slice(&fs::read(&file).expect("report")).expect("JSON");
    let chat = &mut report["phases"][0]["load"]["services"]["chat"]["response"];
    let n = place.run();
    let mut fast = shakedown::run::histogram::Histogram::default();
    (0..500).for_each(|_| fast.record_us(50, 1));
    chat["histogram_v2"] = fast.to_base64().expect("serializable").into();
    let baseline = place.path().join("baseline.json");
    fs::write(&baseline, report.to_string()).expect("written");
    let baseline = baseline.to_str().expect("text");

    let compared = place.output(&["compare", baseline, &n.id(), "--json"]);
    assert_eq!(compared.status.code(), Some(1), "{}", text(&compared.stdout));
    let compared: Value = serde_json::from_slice(&compared.stdout).expect("JSON");
    let rows = compared["rows"].as_array().expect("rows");
    let p50 = rows.iter().find(|row| row["figure"] == "mixed chat P50").expect("row");
    assert_eq!(p50["change"], "worse", "{p50}");

    let (code, out, err) = ended(place.headless(4, &["--baseline", baseline]));
    assert_eq!(code, Some(1), "{out}\n{err}");
    assert!(out.contains("WORSE"), "{out}");

    let trend = text(&place.output(&["runs", "--trend"]).stdout);
    assert_eq!(trend.lines().filter(|line| line.contains(" pass ")).count(), 2, "{trend}");
    assert!(trend.contains("P99 ms"), "{trend}");
    let cleaned = place.output(&["clean", "--keep", "1", "--yes"]);
    assert_eq!(cleaned.status.code(), Some(0), "{}", text(&cleaned.stderr));
    assert_eq!(shakedown::run::folder::RunFolder::list(&place.runs()).len(), 1);
    assert_eq!(text(&place.output(&["runs", "--trend"]).stdout), trend, "archived reports count");

    // A baseline that is not there is said before anything is started.
    let missing = place.output(&["locust", "--headless", "--baseline", "nonesuch"]);
    assert_eq!(missing.status.code(), Some(2));
    assert_eq!(shakedown::run::folder::RunFolder::list(&place.runs()).len(), 1);
}

#[test]
fn runs_keep_is_applied_before_a_run() {
    let place = Workplace::new();
    for expected in [1, 1] {
        let (code, out, err) = ended(place.headless(3, &["--set", "runs.keep.count=1"]));
        assert!(matches!(code, Some(0 | 3)), "{out}\n{err}");
        let archive = fs::read_dir(place.runs().join("archive")).map_or(0, Iterator::count);
        let here = shakedown::run::folder::RunFolder::list(&place.runs()).len();
        assert!(here <= expected + 1 && here + archive <= 2, "{here} here, {archive} archived");
    }
    let (code, out, err) = ended(place.headless(3, &["--set", "runs.keep.count=1"]));
    assert!(matches!(code, Some(0 | 3)), "{out}\n{err}");
    let archive = place.runs().join("archive");
    let archived = fs::read_dir(&archive).expect("an archive").flatten().next().expect("a run");
    assert!(archived.path().join("report.html").is_file());
    assert!(!archived.path().join("events.jsonl").exists());
}
