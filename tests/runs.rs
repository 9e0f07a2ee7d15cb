//! Whole runs of the real program on its embedded sandbox: how they end, and what they leave.

mod support;

use rustix::process::Signal;
use serde_json::json;
use support::{Workplace, ended, engine_pid, report, signal, text, wait_for, wait_for_intervals};

#[test]
fn a_headless_run_measures_cleans_up_and_reports() {
    let place = Workplace::for_measuring();
    let (code, out, err) = place.measured(4, &[]);
    assert_eq!(code, Some(0), "{out}\n{err}");
    assert!(out.contains("pass (without ramping, chaos, security, backup)"), "{out}");
    place.wait_until_nothing_runs();

    let run = place.run();
    let report = report(&run);
    assert_eq!((&report["overall_status"], &report["complete"]), (&json!("pass"), &json!(true)));
    let load = &report["phases"][0]["load"];
    assert_eq!(load["engine"], "built-in");
    for service in ["chat", "rag", "mcp"] {
        let figures = &load["services"][service];
        assert!(figures["n"].as_u64() > Some(5), "{service}: {figures}");
        assert_eq!(figures["failed"], 0);
        let histogram = figures["response"]["histogram_v2"].as_str().expect("histogram");
        let read = shakedown::run::histogram::Histogram::from_base64(histogram).expect("V2");
        assert_eq!(Some(read.count()), figures["n"].as_u64());
    }
    let documents = &load["documents"];
    assert!(documents["written"].as_u64() > Some(0));
    assert_eq!(documents["written"], documents["removed"]);

    let schema = shakedown::report::json::schema();
    let mut schemas = boon::Schemas::new();
    let mut compiler = boon::Compiler::new();
    compiler.add_resource("schema.json", schema).expect("schema");
    let at = compiler.compile("schema.json", &mut schemas).expect("compiles");
    schemas.validate(&report, at).expect("valid by its schema");
    let name = "production_validation_report.json";
    let copy = std::fs::read(place.path().join(name)).expect("a copy where the run was started");
    assert_eq!(copy, std::fs::read(run.path().join(name)).expect("the report"));

    let results = place.output(&["results"]);
    assert_eq!(results.status.code(), Some(0));
    assert!(text(&results.stdout).contains("verdict   pass"), "{}", text(&results.stdout));
    assert!(text(&place.output(&["runs"]).stdout).contains(&run.id()));
}

#[test]
fn a_machine_that_knows_no_authority_speaks_plain_http_and_says_what_https_needs() {
    let place = Workplace::new();
    let told = |arguments: &[&str]| {
        let mut command = place.command(arguments);
        for variable in ["SSL_CERT_FILE", "SSL_CERT_DIR"] {
            command.env(variable, place.path().join("nowhere"));
        }
        let output = command.output().expect("program runs");
        text(&output.stdout) + &text(&output.stderr)
    };
    let mut arguments = vec!["locust", "--headless", "--set", "phases.full.mixed=3s"];
    // Half of the users write documents, which have to be removed by another client again.
    arguments.extend(["--set", "workloads.mixed.scenarios.rag.weight=70"]);
    arguments.extend(["--set", "workloads.mixed.scenarios.rag.flows.ingest.weight=500"]);
    let said = told(&arguments);
    let report = report(&place.run());
    let load = &report["phases"][0]["load"];
    assert!(load["services"]["all"]["n"].as_u64() > Some(5), "{said}");
    assert_eq!(load["services"]["all"]["failed"], 0, "{said}");
    assert!(load["documents"]["written"].as_u64() > Some(0), "{said}");
    assert_eq!(load["documents"]["remaining"], 0, "{said}");
    for store in report["stores"]["queries"].as_array().expect("stores that were asked") {
        assert_eq!(store["failed"], 0, "{store}");
    }

    let target = "target: { name: t, environment: staging }\nservices:\n  \
                  chat: { model: m, endpoint: { base_url: \"https://localhost:1\" } }\n";
    std::fs::write(place.path().join("shakedown.yaml"), target).expect("written");
    let said = told(&["check"]);
    assert!(said.contains("failed   no authority is known on this machine"), "{said}");
    assert!(said.contains("install a CA bundle"), "{said}");
}

#[test]
fn a_theme_that_cannot_be_used_starts_nothing() {
    let place = Workplace::new();
    let mut command = place.command(&["run", "--only", "mixed", "--theme", "nowhere.yaml"]);
    let output = command.output().expect("program runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("nowhere.yaml"), "{said}");
    assert!(!place.path().join("runs").exists(), "a run was started");
}

#[test]
fn a_signal_aborts_in_good_order() {
    let place = Workplace::for_measuring();
    let child = place.headless(600, &[]);
    let run = place.run();
    wait_for_intervals(&run, 2);
    signal(child.id(), Signal::TERM);
    let (code, out, _) = ended(child);
    assert_eq!(code, Some(130), "{out}");
    let report = report(&run);
    assert_eq!(
        (&report["overall_status"], &report["complete"]),
        (&json!("aborted"), &json!(false))
    );
    let reasons = report["reasons"].to_string();
    assert!(reasons.contains("aborted: signal SIGTERM to headless"), "{reasons}");
    let documents = &report["phases"][0]["load"]["documents"];
    assert_eq!(documents["remaining"], 0, "{documents}");
    place.wait_until_nothing_runs();
}

#[test]
fn a_threshold_that_says_so_stops_the_load_after_its_delay() {
    let place = Workplace::for_measuring();
    let threshold = "workloads.mixed.thresholds={response_time: [{threshold: p(50)<0.001, \
                     abortOnFail: true, delayAbortEval: 3s}]}";
    let (code, out, err) = place.measured(600, &["--set", threshold]);
    assert_eq!(code, Some(1), "{out}\n{err}");
    let report = report(&place.run());
    let phase = &report["phases"][0];
    let reason = phase["reason"].as_str().unwrap_or_default();
    assert_eq!(phase["status"], "fail", "{reason}");
    assert!(reason.starts_with("stopped early: response_time"), "{reason}");
    let seconds = phase["seconds"].as_f64().expect("a number");
    assert!((3.0..120.0).contains(&seconds), "after its delay, long before the end: {seconds} s");
    assert_eq!(phase["load"]["documents"]["remaining"], 0);
    place.wait_until_nothing_runs();
}

#[test]
fn a_headless_run_whose_owner_is_killed_ends_by_itself() {
    let place = Workplace::for_measuring();
    let mut child = place.headless(600, &[]);
    let run = place.run();
    wait_for_intervals(&run, 1);
    signal(child.id(), Signal::KILL);
    child.wait().expect("ended");
    place.wait_until_nothing_runs();
    let report = report(&run);
    assert_eq!(report["overall_status"], "aborted");
    assert_eq!(report["phases"][0]["load"]["documents"]["remaining"], 0);
}

#[test]
fn an_engine_killed_under_load_leaves_a_run_that_can_be_reported() {
    let place = Workplace::for_measuring();
    let child = place.headless(600, &[]);
    let run = place.run();
    wait_for_intervals(&run, 2);
    let before = shakedown::run::journal::read(run.path()).expect("readable").state;
    signal(engine_pid(&run), Signal::KILL);
    let (code, out, err) = ended(child);
    assert_eq!(code, Some(130), "{err}");
    assert!(err.contains("the engine is gone"), "{err}");
    assert!(out.contains("without finishing"), "{out}");
    place.wait_until_nothing_runs();

    let output = place.output(&["report"]);
    assert_eq!(output.status.code(), Some(130), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("without finishing"), "{}", text(&output.stdout));
    let report = report(&run);
    assert_eq!(
        (&report["overall_status"], &report["complete"]),
        (&json!("aborted"), &json!(false))
    );
    let ramping = &report["phases"][1];
    assert_eq!((&ramping["phase"], &ramping["status"]), (&json!("ramping"), &json!("skipped")));
    let measured = report["phases"][0]["load"]["services"]["all"]["n"].as_u64();
    let journalled = before
        .latest_load()
        .and_then(|p| p.load.as_ref())
        .map(|l| l.totals(None).measured.requests());
    assert!(measured >= journalled, "{measured:?} of {journalled:?} that were journalled");
}

#[test]
fn one_run_at_a_time_per_target_whatever_the_working_directory() {
    let place = Workplace::for_measuring();
    let _practice = practice(&place);
    let started =
        place.output(&["locust", "--headless", "--detach", "--set", "phases.full.mixed=600s"]);
    assert_eq!(started.status.code(), Some(0), "{}", text(&started.stderr));
    let run = place.run();
    wait_for_intervals(&run, 1);

    let elsewhere = place.path().join("elsewhere");
    std::fs::create_dir(&elsewhere).expect("created");
    let mut second = place.command(&["locust", "--headless", "--config", "../shakedown.yaml"]);
    let refused = second.current_dir(&elsewhere).output().expect("program runs");
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains(&run.id()), "{}", text(&refused.stderr));
    assert!(!elsewhere.join("runs").read_dir().is_ok_and(|mut dir| dir.next().is_some()));

    // Who only looks on may go; the run is not his.
    let looker = place.command(&["attach"]).stdout(std::process::Stdio::null()).spawn();
    let mut looker = looker.expect("program runs");
    std::thread::sleep(std::time::Duration::from_millis(500));
    signal(looker.id(), Signal::INT);
    assert_eq!(looker.wait().expect("ended").code(), Some(0));
    assert!(run.has_live_engine());
    let state = shakedown::run::journal::read(run.path()).expect("readable").state;
    assert_eq!(state.status, shakedown::run::state::RunStatus::Running);

    signal(engine_pid(&run), Signal::INT);
    wait_for("the end", || (!run.has_live_engine()).then_some(()));
    assert_eq!(report(&run)["overall_status"], "aborted");
}

/// A sandbox of its own, and a configuration that leads there.
struct Practice {
    process: std::process::Child,
    rag: String,
}

fn practice(place: &Workplace) -> Practice {
    use std::io::Read;
    let mut command = place.command(&["sandbox", "--latency-scale", "0.1"]);
    let mut process = command.stdout(std::process::Stdio::piped()).spawn().expect("program runs");
    let mut stdout = process.stdout.take().expect("piped");
    let mut said = String::new();
    while !said.contains("/sandbox/services") {
        let mut buffer = [0; 16384];
        let n = stdout.read(&mut buffer).expect("readable");
        said.push_str(&text(&buffer[..n]));
    }
    // All that it says is a configuration.
    std::fs::write(place.path().join("shakedown.yaml"), &said).expect("written");
    let line = said.lines().find(|line| line.starts_with("#   rag")).expect("an address");
    let rag = line.split_whitespace().nth(2).expect("an address").to_owned();
    Practice { process, rag }
}

impl Practice {
    /// Asks the RAG service something over plain HTTP.
    fn ask(&self, head: &str, body: &str) -> String {
        use std::io::{Read, Write};
        let host = self.rag.strip_prefix("http://").expect("http");
        let mut stream = std::net::TcpStream::connect(host).expect("listening");
        let length = body.len();
        let request = format!(
            "{head} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("answered");
        answer
    }
}

impl Drop for Practice {
    fn drop(&mut self) {
        signal(self.process.id(), Signal::TERM);
        let _ = self.process.wait();
    }
}

#[test]
fn what_a_killed_engine_wrote_is_removed_by_recover() {
    let place = Workplace::for_measuring();
    let practice = practice(&place);
    let ingest = "workloads.mixed.scenarios.rag.flows.ingest.weight=500";
    let child = place.headless(600, &["--set", ingest]);
    let run = place.run();
    let path = "/v1/collections/shakedown-scratch/documents";
    let first = format!("GET {path}/shakedown-{}-mixed-0", run.id());
    wait_for("a document", || practice.ask(&first, "").contains("200 OK").then_some(()));
    signal(engine_pid(&run), Signal::KILL);
    ended(child);
    assert!(practice.ask(&first, "").contains("200 OK"), "the crash left a document");
    let clean = place.output(&["clean", "--keep", "0", "--yes"]);
    assert!(text(&clean.stdout).contains("kept"), "{}", text(&clean.stdout));
    let told = place.output(&["report"]);
    assert!(text(&told.stderr).contains("shakedown recover"), "{}", text(&told.stderr));
    let next = place.output(&["locust", "--headless", "--set", "phases.full.mixed=1s"]);
    let words = text(&next.stdout);
    let warned = format!("run {0} may have left documents: `shakedown recover {0}`", run.id());
    assert!(words.contains(&warned), "{words}");
    // An order that cannot be read is told of its run, and keeps what it left on record.
    let order = run.path().join("order.json");
    let asked = std::fs::read(&order).expect("the order");
    std::fs::write(&order, "{").expect("written");
    let unread = place.output(&["recover"]);
    assert_eq!(unread.status.code(), Some(1), "{}", text(&unread.stderr));
    let words = text(&unread.stderr);
    assert!(words.contains(&run.id()) && words.contains("order.json"), "{words}");
    std::fs::write(&order, asked).expect("written");
    let recovered = place.output(&["recover"]);
    assert_eq!(recovered.status.code(), Some(0), "{}", text(&recovered.stderr));
    assert!(practice.ask(&first, "").contains("404"), "{}", text(&recovered.stdout));
    let again = place.output(&["recover"]);
    assert!(text(&again.stdout).contains("nothing to recover"), "{}", text(&again.stdout));
    assert_eq!(report(&run)["phases"][0]["load"]["documents"]["remaining"], 0);
    // Runs are found whatever has been done to the configuration since.
    std::fs::write(place.path().join("shakedown.yaml"), "target: {}").expect("written");
    let runs = place.output(&["runs"]);
    assert!(text(&runs.stdout).contains(&run.id()), "{}", text(&runs.stderr));
    assert!(text(&runs.stderr).contains("shakedown.yaml:1"), "{}", text(&runs.stderr));
    place.output(&["clean", "--keep", "0", "--yes"]);
    assert!(!run.path().exists(), "nothing keeps it any more");
}

#[test]
fn a_platform_that_fails_stops_the_load_and_fails_the_run() {
    let place = Workplace::for_measuring();
    let practice = practice(&place);
    let answer = practice.ask("POST /sandbox/knobs", r#"{"error_rate":1.0}"#);
    assert!(answer.contains("200 OK"), "{answer}");
    let (code, out, err) = place.measured(600, &["--set", "guards.error_window=3s"]);
    assert_eq!(code, Some(1), "{out}\n{err}");
    let report = report(&place.run());
    let load = &report["phases"][0]["load"];
    assert!(load["guard"].as_str().is_some_and(|guard| guard.contains("limit 5 %")), "{load}");
    let failed = &load["services"]["rag"]["errors"]["status 5xx"];
    assert_eq!(*failed, load["services"]["rag"]["n"], "every RAG request failed");
    assert_eq!(load["services"]["chat"]["failed"], 0);
    assert_eq!(report["slo_compliance"][0]["verdict"], "fail");
}

#[test]
fn a_folder_whose_path_is_too_long_for_a_socket_works_all_the_same() {
    let place = Workplace::for_measuring();
    let deep = place.path().join("d".repeat(90)).join("e".repeat(60));
    std::fs::create_dir_all(&deep).expect("created");
    Workplace::patient_objectives(&deep);
    let mut command = place.command(&["locust", "--headless", "--set", "phases.full.mixed=2s"]);
    let output = command.current_dir(&deep).output().expect("program runs");
    // Two seconds prove nothing, and a busy machine may spoil them; that they were measured is what is
    // asked here.
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
    let said = text(&output.stdout);
    assert!(
        ["pass", "invalid"].iter().any(|it| said.contains(&format!("mixed         {it}"))),
        "{said}"
    );
}

#[test]
fn a_run_that_wrote_nothing_is_on_record_as_clean() {
    let place = Workplace::for_measuring();
    let mut arguments = vec!["locust", "--headless", "--set", "phases.full.mixed=2s"];
    // The only user is one of the scenario with the greatest weight, which writes nothing.
    arguments.extend(["--set", "workloads.mixed.users=1"]);
    arguments.extend(["--set", "workloads.mixed.think_time.min=50ms"]);
    arguments.extend(["--set", "workloads.mixed.think_time.max=200ms"]);
    place.output(&arguments);
    let load = &report(&place.run())["phases"][0]["load"];
    assert!(load["services"]["all"]["n"].as_u64() > Some(0), "{load}");
    let documents = &load["documents"];
    assert_eq!((&documents["written"], &documents["remaining"]), (&json!(0), &json!(0)));
}

#[test]
fn too_few_samples_and_wrong_usage_are_never_a_pass() {
    let place = Workplace::for_measuring();
    Workplace::patient_objectives(place.path());
    let (code, out) = {
        let output = place.output(&["locust", "--headless", "--set", "phases.full.mixed=1s"]);
        (output.status.code(), text(&output.stdout))
    };
    assert_eq!(code, Some(3), "{out}");
    assert!(out.contains("samples: "), "{out}");
    let short = ["locust", "--headless", "--set", "phases.full.mixed=1s", "--inconclusive", "fail"];
    let mapped = place.output(&short);
    assert_eq!(mapped.status.code(), Some(1));
    for wrong in [
        &["run", "--skip", "nonesuch"][..],
        &["run", "--headless", "--config", "nonesuch.yaml"],
        &["run", "--headless", "--set", "phases.cooldown=3"],
        &["demo", "--headless", "--arm", "somebody"],
        &["run", "--detach"],
        &["attach", "nonesuch"],
        &[],
    ] {
        let output = place.output(wrong);
        assert_eq!(output.status.code(), Some(2), "{wrong:?}: {}", text(&output.stdout));
        assert!(!output.stderr.is_empty(), "{wrong:?} says nothing");
    }
}

#[test]
fn a_production_target_has_to_be_armed_by_name() {
    let place = Workplace::for_measuring();
    let more = ["--set", "target.environment=production", "--set", "guards.max_requests=40"];
    let more = [&more[..], &["--set", "guards.max_tokens=100000"]].concat();
    let (code, _, err) = place.measured(5, &more);
    assert_eq!(code, Some(2));
    assert!(err.contains("--arm sandbox"), "{err}");
    let armed = [&more[..], &["--arm", "sandbox"]].concat();
    let (code, out, err) = place.measured(5, &armed);
    assert_eq!(code, Some(3), "{out}\n{err}");
    let report = report(&place.run());
    let n = report["phases"][0]["load"]["services"]["all"]["n"].as_u64();
    assert!(n <= Some(40) && n > Some(0), "{n:?} requests under a cap of 40");
    assert!(report["reasons"][0].as_str().is_some_and(|reason| reason.contains("cap")), "{report}");
}

#[test]
fn a_configuration_that_is_named_is_written_and_read_by_every_command() {
    let place = Workplace::new();
    let written = place.output(&["init", "--config", "own.yaml"]);
    assert!(text(&written.stdout).contains("wrote own.yaml"), "{}", text(&written.stdout));
    let again = place.output(&["init", "--config", "own.yaml"]);
    assert!(text(&again.stderr).contains("own.yaml is there already"), "{}", text(&again.stderr));
    assert!(!place.path().join("shakedown.yaml").exists());

    let promises =
        shakedown::config::SHIPPED_SLOS.replacen("id: chat_p99,", "id: chat_is_quick,", 1);
    std::fs::write(place.path().join("promises.yaml"), promises).expect("written");
    let named =
        ["--config", "own.yaml", "slo", "explain", "--set", "slo_definitions=promises.yaml"];
    let told = place.output(&named);
    assert!(text(&told.stdout).contains("chat_is_quick"), "{}", text(&told.stderr));
}
