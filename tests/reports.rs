//! Reports of real runs, read by what reads them elsewhere.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;

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

/// What readers of JUnit XML rely on: suites with counts that add up, cases in them, and in a case at
/// most one outcome with a message. Returns the outcome of each case by class and name.
fn outcomes(xml: &str) -> std::collections::BTreeMap<(String, String), String> {
    use quick_xml::events::Event;
    let mut reader = quick_xml::Reader::from_str(xml);
    let (mut path, mut found) = (Vec::<String>::new(), std::collections::BTreeMap::new());
    let mut current = None;
    loop {
        let event = reader.read_event().expect("well formed");
        let closed = matches!(event, Event::Empty(_));
        match event {
            Event::Eof => break,
            Event::Start(element) | Event::Empty(element) => {
                let name = text(element.name().as_ref());
                let attribute = |key: &str| {
                    let found = element.try_get_attribute(key).expect("well formed");
                    found.map(|found| text(&found.value))
                };
                let parent = path.last().map(String::as_str);
                match (parent, name.as_str()) {
                    (None, "testsuites") | (Some("testsuites"), "testsuite") => {
                        let suite = (name == "testsuite").then_some("skipped");
                        for key in ["tests", "failures", "errors", "time"].into_iter().chain(suite)
                        {
                            let value = attribute(key).unwrap_or_default();
                            assert!(value.parse::<f64>().is_ok(), "{key} of {name}: {value}");
                        }
                        assert!(attribute("name").is_some(), "{name} has a name");
                    }
                    (Some("testsuite"), "testcase") => {
                        let [class, name] = ["classname", "name"]
                            .map(|key| attribute(key).expect("a name that tells it apart"));
                        current = Some((class, name));
                        let before = found.insert(current.clone().expect("set"), "passed".into());
                        assert!(before.is_none(), "{current:?} stands there twice");
                    }
                    (Some("testcase"), "failure" | "error" | "skipped") => {
                        let message = attribute("message").unwrap_or_default();
                        assert!(!message.is_empty(), "{current:?}: {name} says why");
                        let before =
                            found.insert(current.clone().expect("in a case"), name.clone());
                        assert_eq!(before.as_deref(), Some("passed"), "one outcome: {current:?}");
                    }
                    place => panic!("{place:?} is no JUnit"),
                }
                if !closed {
                    path.push(name);
                }
            }
            Event::End(_) => drop(path.pop()),
            _ => {}
        }
    }
    let sum = |key: &str| -> usize {
        let suites = elements(xml, "testsuite").into_iter();
        suites.map(|suite| suite[key].parse::<usize>().expect("a number")).sum()
    };
    let root = elements(xml, "testsuites").remove(0);
    let with = |outcome: &str| found.values().filter(|one| *one == outcome).count();
    for (key, counted) in
        [("tests", found.len()), ("failures", with("failure")), ("errors", with("error"))]
    {
        let whole = root[key].as_str();
        assert_eq!((sum(key), whole), (counted, counted.to_string().as_str()), "{key}");
    }
    assert_eq!(sum("skipped"), with("skipped"));
    found
}

#[test]
fn every_verdict_has_its_word_in_junit_and_ctrf_whatever_its_names_are() {
    use shakedown::config::PhaseKind;
    use shakedown::run::event::{Objective, PhaseOutcome, Verdict};
    use shakedown::run::state::{PhaseState, RunState};
    let hostile = "<a b=\"c\">&amp;]]>\u{1b}[2J\u{0}\u{fffe}\u{ffff}\n\u{202e}'";
    let every = [
        (Verdict::Pass, "passed", "passed"),
        (Verdict::Fail, "failure", "failed"),
        (Verdict::Inconclusive, "skipped", "other"),
        (Verdict::Skipped, "skipped", "skipped"),
        (Verdict::Invalid, "error", "other"),
        (Verdict::Aborted, "error", "other"),
    ];
    let mut state = RunState::default();
    for (kind, (verdict, ..)) in PhaseKind::ALL.into_iter().zip(every) {
        let mut phase = PhaseState::new(kind);
        phase.outcome = Some(PhaseOutcome::new(verdict, hostile));
        state.phases.push(phase);
    }
    for (verdict, ..) in every {
        let objective = serde_json::json!({
            "id": format!("{verdict} {hostile}"), "objective": hostile, "measured": hostile, "n": 1,
            "bad": 0, "verdict": verdict, "reason": hostile, "method": hostile, "gate": true,
        });
        state.objectives.push(serde_json::from_value::<Objective>(objective).expect("one"));
    }
    let report = shakedown::report::json::report(&state);
    let junit = shakedown::report::junit::document(&report);
    let illegal = |c: char| matches!(c, '\u{fffe}' | '\u{ffff}') || (c.is_control() && c != '\n');
    assert!(!junit.contains(illegal), "what XML 1.0 has no place for: {junit:?}");
    let found = outcomes(&junit);
    let ctrf = shakedown::report::ctrf::document(&report);
    assert_eq!(problems("ctrf-0.0.json", &ctrf), None);
    let tests = ctrf["results"]["tests"].as_array().expect("tests");
    assert_eq!(found.len(), tests.len());
    for (kind, (verdict, junit, status)) in PhaseKind::ALL.into_iter().zip(every) {
        let key = (format!("shakedown.{kind}"), kind.name().to_owned());
        assert_eq!(found[&key], junit, "{verdict}");
        let test = tests.iter().find(|test| test["name"] == kind.name()).expect("a test");
        assert_eq!(test["status"], status, "{verdict}");
        assert_eq!(test["rawStatus"], verdict.word());
    }
    let counts = &ctrf["results"]["summary"];
    for status in ["passed", "failed", "skipped", "other", "pending"] {
        let counted = tests.iter().filter(|test| test["status"] == status).count();
        assert_eq!(counts[status], counted, "{status}");
    }
}

#[test]
fn a_run_is_reported_in_every_format_and_compared() {
    let place = Workplace::for_measuring();
    Workplace::patient_objectives(place.path());
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
    assert_eq!(elements(&junit, "testsuite").len(), 7, "six phases and the objectives");
    let found = outcomes(&junit);
    assert_eq!(found.len() as u64, counts["tests"].as_u64().expect("a number"));
    assert!(found.values().any(|outcome| outcome == "skipped"), "{found:?}");

    let same = place.output(&["compare", &run.id(), &run.id()]);
    assert_eq!(same.status.code(), Some(0), "{}", text(&same.stdout));
    assert!(text(&same.stdout).contains("0 of "), "{}", text(&same.stdout));
}

#[test]
fn what_became_worse_since_a_baseline_is_a_failure() {
    let place = Workplace::for_measuring();
    let (code, out, err) = place.measured(4, &[]);
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

    let (code, out, err) = place.measured(4, &["--baseline", baseline]);
    assert_eq!(code, Some(1), "{out}\n{err}");
    assert!(out.contains("WORSE"), "{out}");

    let trend = text(&place.output(&["runs", "--trend"]).stdout);
    assert_eq!(trend.lines().filter(|line| line.contains(" mixed ")).count(), 2, "{trend}");
    assert!(trend.contains("P99 ms"), "{trend}");
    let cleaned = place.output(&["clean", "--keep", "1", "--yes"]);
    assert_eq!(cleaned.status.code(), Some(0), "{}", text(&cleaned.stderr));
    assert_eq!(shakedown::run::folder::RunFolder::list(&place.runs()).len(), 1);
    assert_eq!(text(&place.output(&["runs", "--trend"]).stdout), trend, "archived reports count");

    // Archived runs are compared by their reports, and it is said where those are.
    let archive = place.runs().join("archive").join(n.id());
    for earlier in [n.id(), archive.display().to_string()] {
        let compared = place.output(&["compare", &earlier, &earlier]);
        assert_eq!(compared.status.code(), Some(0), "{}", text(&compared.stderr));
        assert!(text(&compared.stdout).contains("mixed chat P50"), "{}", text(&compared.stdout));
        let gone = place.output(&["report", &earlier]);
        assert_eq!(gone.status.code(), Some(2));
        let said = text(&gone.stderr);
        assert!(said.contains(&format!("archive/{}", n.id())), "{said}");
    }

    // A baseline that is not there is said before anything is started.
    let missing = place.output(&["locust", "--headless", "--baseline", "nonesuch"]);
    assert_eq!(missing.status.code(), Some(2));
    assert_eq!(shakedown::run::folder::RunFolder::list(&place.runs()).len(), 1);
}

#[test]
fn runs_keep_is_applied_before_a_run() {
    let place = Workplace::for_measuring();
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

#[test]
fn the_shipped_workflow_writes_every_format_of_a_run_that_failed() {
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/ci/github-actions.yml");
    let text = fs::read_to_string(shipped).expect("shipped");
    let workflow: Value = serde_yaml::from_str(&text).expect("YAML");
    let steps = workflow["jobs"]["validate"]["steps"].as_array().expect("steps");
    let mut scripts = steps.iter().filter_map(|step| step["run"].as_str());
    let script = scripts.find(|run| run.contains("report")).expect("a step for reports");

    // Stands for the program on a run that failed: it writes, and exits with the verdict.
    let place = tempfile::tempdir().expect("folder");
    let program = place.path().join("shakedown");
    fs::write(&program, "#!/bin/sh\necho \"$@\"\nexit 1\n").expect("written");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("allowed");
    let path = format!("{}:/usr/bin:/bin", place.path().display());
    // GitHub runs a step in this shell.
    let ended = std::process::Command::new("bash")
        .args(["-e", "-c", script])
        .envs([("PATH", path.as_str()), ("RUN", "20261129-024241-8dfeff")])
        .current_dir(place.path())
        .output()
        .expect("a shell");
    assert!(ended.status.success(), "{ended:?}");
    for (file, format) in [("junit.xml", "junit"), ("ctrf.json", "ctrf"), ("report.html", "html")] {
        let written = fs::read_to_string(place.path().join(file)).expect(file);
        assert_eq!(written, format!("report 20261129-024241-8dfeff --format {format}\n"));
    }
}
