//! Bad configurations get a message that says where and what, and nothing makes the loader panic.

use proptest::prelude::*;
use shakedown::config::{Config, LoadOptions, PhaseKind, check_feeders, parse};

fn sandbox_yaml() -> String {
    let endpoints = shakedown::sandbox::Endpoints::placeholder();
    serde_yaml::to_string(&shakedown::sandbox::config(&endpoints)).expect("YAML")
}

fn message(text: &str) -> String {
    match parse("shakedown.yaml", text, &LoadOptions::default()) {
        Ok(_) => panic!("accepted:\n{text}"),
        Err(error) => error.to_string(),
    }
}

fn with(set: &[&str], variables: &[(&str, &str)]) -> Result<Config, String> {
    let options = LoadOptions {
        file: None,
        set: set.iter().map(ToString::to_string).collect(),
        variables: variables.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect(),
    };
    let loaded = parse("shakedown.yaml", &sandbox_yaml(), &options);
    loaded.map(|loaded| loaded.config).map_err(|error| error.to_string())
}

#[test]
fn an_unknown_key_is_named_with_its_place_and_the_nearest_one() {
    let text = "target:\n  name: x\n  environment: staging\nphases:\n  cooldwn: 10s\n";
    let message = message(text);
    for part in ["shakedown.yaml:5:3", "unknown field `cooldwn`", "did you mean `cooldown`?", "^"] {
        assert!(message.contains(part), "{part} is missing in:\n{message}");
    }
}

#[test]
fn a_missing_key_is_named_with_the_section_that_lacks_it() {
    let text = "target: { name: t, environment: sandbox }\nservices:\n  chat:\n    model: m\n";
    let said = message(text);
    assert!(said.starts_with("shakedown.yaml:4:5: services.chat: expected the key"), "{said}");
}

#[test]
fn a_duration_without_a_unit_is_refused_where_it_stands() {
    let text = "target: { name: x, environment: staging }\nphases:\n  cooldown: 30\n";
    let message = message(text);
    assert!(message.contains("shakedown.yaml:3:"), "{message}");
    assert!(message.contains("unit"), "{message}");
}

#[test]
fn what_stands_in_place_of_something_else_is_told_in_words() {
    for (wrong, place, part) in [
        ("criteria: { resilience_percent: many }", ":2:33: ", "expected a number"),
        ("phases: { cooldown: [1] }", ":2:21: ", "expected a single value, not a list"),
        ("phases: { order: mixed }", ":2:18: ", "expected a list, such as [a, b]"),
        ("phases: 3", ":2:9: ", "expected a group of keys"),
        ("on_detach: [hold]", ":2:12: ", "expected a single value, not a list"),
        ("monitoring: { listen: 9464 }", ":2:23: ", "expected an address and a port, such as"),
        ("---\ntarget: 3", "", "a second document begins here"),
    ] {
        let said = message(&format!("target: {{ name: x, environment: staging }}\n{wrong}\n"));
        assert!(said.contains(place) && said.contains(part), "{place}{part}: {said}");
    }
}

#[test]
fn a_password_in_an_address_is_refused_and_not_repeated() {
    let text = "target: { name: x, environment: staging }\nstores:\n  redis: { url: \"redis://me:hunter2@cache:6379\" }\n";
    let in_file = message(text);
    assert!(in_file.contains("stores.redis.url") && in_file.contains("credentials"), "{in_file}");
    let set = with(&["services.chat.endpoint.base_url=http://me:hunter2@x"], &[]);
    let set = set.expect_err("accepted");
    for told in [in_file, set] {
        assert!(!told.contains("hunter2"), "{told}");
    }
}

#[test]
fn an_address_with_a_port_that_is_none_is_not_taken_for_one_with_the_usual_port() {
    let at = |url: &str| {
        let chat = format!("services.chat.endpoint.base_url=http://{url}");
        let redis = format!("stores.redis.url=redis://{url}");
        let proxy = format!("services.chat.endpoint.connection.proxy=http://{url}");
        [chat, redis, proxy].map(|set| with(&[&set], &[]))
    };
    for good in ["h", "h:65535", "[::1]:80", "[::1]"] {
        assert!(at(good).iter().all(Result::is_ok), "{good} is refused: {:?}", at(good));
    }
    for wrong in ["h:65536", "h:99999", "h:", "h:0"] {
        for refused in at(wrong) {
            let refused = refused.expect_err(wrong);
            assert!(
                refused.contains("expected") && refused.contains("something like"),
                "{refused}"
            );
        }
    }
}

#[test]
fn a_name_that_would_change_the_screen_is_none() {
    let named = |name: &str| with(&[&format!("target.name={name}")], &[]).map(drop);
    for good in ["staging-eu", "Prüfstand 日本", &"x".repeat(100)] {
        assert_eq!(named(good), Ok(()));
    }
    for wrong in [" ", "a\u{1b}[31mb", "a\nb", "a\u{202e}b", &"x".repeat(101)] {
        let refused = named(wrong).expect_err(wrong);
        assert!(refused.contains("expected a name of at most 100 characters"), "{refused}");
    }
}

#[test]
fn endless_files_and_endless_durations_are_refused() {
    let options = LoadOptions { file: Some("/dev/zero".into()), ..LoadOptions::default() };
    let endless = shakedown::config::load(&options).expect_err("accepted").to_string();
    assert!(endless.contains("at most"), "{endless}");
    let long = with(&["phases.cooldown=99999999999d"], &[]).expect_err("accepted");
    assert!(long.contains("at most 3660d"), "{long}");
}

#[test]
fn contradictions_are_listed_together_with_their_lines() {
    let text = "target:\n  name: x\n  environment: production\ncriteria:\n  availability_percent: 101\n\
                phases:\n  order: [mixed, mixed]\nchaos:\n  depends_on: { rag: [rag] }\n  \
                partition: { pairs: [[chat, chat]] }\n";
    let message = message(text);
    for part in [
        "shakedown.yaml:5:25",
        "from 0 to 100",
        "shakedown.yaml:7:18",
        "twice",
        "chaos.depends_on.rag: expected another service",
        "chaos.partition.pairs: expected another service",
        "guards.max_requests",
        "guards.max_tokens",
    ] {
        assert!(message.contains(part), "{part} is missing in:\n{message}");
    }
}

/// A workload whose scenario is a shop: further keys of the workload and of the scenario, and the flows,
/// each a block of lines that begin in the first column.
fn shop(workload: &str, scenario: &str, flows: &str) -> String {
    let block = |text: &str, by: usize| -> String {
        text.lines().map(|line| format!("{:by$}{line}\n", "")).collect()
    };
    format!(
        "target: {{ name: x, environment: staging }}
workloads:
  mixed:
    think_time: {{ min: 0s, max: 0s }}
{}    scenarios:
      - name: shop
        executor: constant-vus
        vus: 1
{}        flows:
{}",
        block(workload, 4),
        block(scenario, 8),
        block(flows, 10)
    )
}

/// A shop of two flows with this feeder and this path.
fn feeding(feeder: &str, path: &str) -> String {
    let flows = format!(
        "- name: buy
  steps:
    - request: {{ path: \"{path}\" }}
- name: look
  steps: [{{ health: {{}} }}]"
    );
    shop(&format!("feeders:\n  people: {{ {feeder} }}"), "service: rag", &flows)
}

fn feeders(text: &str) -> Result<(), String> {
    let loaded = parse("shakedown.yaml", text, &LoadOptions::default()).expect("well-formed");
    check_feeders(&loaded, &PhaseKind::ALL).map_err(|error| error.to_string())
}

#[test]
fn feeders_that_are_not_there_and_columns_that_nobody_fills_are_named_with_their_lines() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let file = folder.path().join("people.csv");
    std::fs::write(&file, "id,name\n7,me\n").expect("written");
    let csv = format!("csv: \"{}\"", file.display());
    assert_eq!(feeders(&feeding(&csv, "/{people.id}/{+people.name}/{first}/{a b.c}")), Ok(()));
    let gone = format!("jsonl: {}/gone.jsonl", folder.path().display());
    for (feeder, path, parts) in [
        (
            &gone,
            "/{people.id}",
            [
                "yaml:6:24: workloads.mixed.feeders.people.jsonl",
                "No such file",
                "working directory",
            ],
        ),
        (&csv, "/{people.nme}", ["yaml:15:34", "no column `nme`", "its columns are id, name"]),
        (&csv, "/{+people.nme}", ["yaml:15:34", "`{people.nme}`", "hint: "]),
        (&csv, "/{poeple.id}", ["yaml:15:34", "no feeder `poeple`", "its feeders are people"]),
    ] {
        let message = feeders(&feeding(feeder, path)).expect_err("accepted");
        for part in parts {
            assert!(message.contains(part), "{part} is missing in:\n{message}");
        }
    }
    let only_chaos = parse("x", &feeding(&gone, "/"), &LoadOptions::default()).expect("valid");
    assert!(check_feeders(&only_chaos, &[PhaseKind::Chaos]).is_ok(), "a phase that is not run");
}

#[test]
fn what_k6_would_execute_is_a_flow_or_refused() {
    let with = |function: &str| {
        let workload = feeding("rows: [{ id: 1 }]", "/");
        let options = format!("    options: {{ scenarios: {{ shop: {{ exec: {function} }} }} }}\n");
        parse("shakedown.yaml", &(workload + &options), &LoadOptions::default())
    };
    let flows = |function: &str| -> Vec<String> {
        let config = with(function).expect("valid").config;
        let flows = &config.workloads.mixed.as_ref().expect("there").scenarios[0].flows;
        flows.iter().map(|flow| flow.name.clone()).collect()
    };
    assert_eq!(flows("look"), ["look"]);
    for all in ["default", "shop", "null"] {
        assert_eq!(flows(all), ["buy", "look"], "{all}");
    }
    let message = with("searchDocs").expect_err("accepted").to_string();
    for part in ["yaml:18:43", "`searchDocs`", "one of its flows (buy, look)"] {
        assert!(message.contains(part), "{part} is missing in:\n{message}");
    }
    assert!(with("7").is_err(), "a number is no name");
}

#[test]
fn later_sources_override_earlier_ones() {
    let set = ["phases.cooldown=7s", "workloads.mixed.scenarios.chat.weight=3"];
    let config = with(&set, &[("SHAKEDOWN_PHASES__COOLDOWN", "9s"), ("SHAKEDOWN_LOG", "x")]);
    let config = config.expect("valid");
    assert_eq!(config.phases.cooldown.to_string(), "7s");
    assert_eq!(config.workloads.mixed.expect("shipped").scenarios[0].weight, 3);
    let config = with(&[], &[("SHAKEDOWN_CRITERIA__SECURITY_PERCENT", "5")]).expect("valid");
    assert_eq!(config.criteria.security_percent, 5.0);
}

#[test]
fn overrides_that_need_each_other_are_judged_together() {
    let url = "monitoring.grafana.url=http://127.0.0.1:3000";
    let token = "monitoring.grafana.token.env=GRAFANA_TOKEN";
    for set in [[url, token], [token, url]] {
        let config = with(&set, &[]).expect("valid together");
        let grafana = config.monitoring.grafana.expect("configured");
        assert_eq!(grafana.url, "http://127.0.0.1:3000");
    }
    let message = with(&[url, "phases.cooldown=7s"], &[]).expect_err("half of it");
    assert!(message.contains(&format!("--set {url}")) && message.contains("token"), "{message}");
}

#[test]
fn a_wrong_override_names_its_source() {
    for (set, part) in [
        ("phases.cooldwn=3s", "did you mean `cooldown`?"),
        ("phases.cooldown=3", "unit"),
        ("workloads.mixed.users=abc", "expected a whole number from 0 to 4294967295, not string"),
        ("workloads.mixed.users=-5", "expected a whole number from 0 to 4294967295, not integer"),
        ("criteria.availability_percent=much", "expected a number, not string \"much\""),
        ("workloads.mixed.scenarios.nope.weight=1", "no element `nope`"),
        ("phases=3", "expected a group of keys, not integer"),
        ("phases.order=[mixed", "expected a list, such as [a, b], not string"),
        ("target.name.x=1", "single value"),
        ("nonsense", "path=value"),
        ("criteria.p99=0s", "more than 0s"),
    ] {
        let message = with(&[set], &[]).expect_err("wrong");
        assert!(message.contains(&format!("--set {set}")), "{message}");
        assert!(message.contains(part), "{part} is missing in: {message}");
    }
}

#[test]
fn a_variable_that_is_somebody_elses_is_told_and_counts_for_nothing() {
    let options = LoadOptions {
        variables: [
            ("SHAKEDOWN_PHASES__COOLDOWN", "9s"),
            ("SHAKEDOWN_PHASES__COOLDWN", "8s"),
            ("SHAKEDOWN_SERVICE_HOST", "10.0.0.1"),
            ("SHAKEDOWN_TARGET__NAME__X", "1"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec(),
        ..LoadOptions::default()
    };
    let loaded = parse("x", &sandbox_yaml(), &options).expect("valid");
    assert_eq!(loaded.config.phases.cooldown.to_string(), "9s");
    assert_eq!(loaded.value("phases.cooldown").as_deref(), Some("9s"));
    let told = loaded.unknown_variables.join("\n");
    assert_eq!(loaded.unknown_variables.len(), 3, "{told}");
    assert!(
        told.contains("SHAKEDOWN_PHASES__COOLDWN") && told.contains("did you mean `cooldown`?")
    );
    assert!(told.contains("SHAKEDOWN_SERVICE_HOST: the configuration has no `service_host`"));
    assert!(!loaded.origins.contains_key("service_host"), "{:?}", loaded.origins);
    // A value that is wrong is wrong wherever it came from.
    assert!(with(&[], &[("SHAKEDOWN_PHASES__COOLDOWN", "3")]).is_err());
}

#[test]
fn what_the_sandbox_prints_reads_back() {
    let endpoints = shakedown::sandbox::Endpoints::placeholder();
    let read = with(&[], &[]).expect("valid");
    let mut written = shakedown::sandbox::config(&endpoints);
    written.workloads = read.workloads.clone();
    assert_eq!(read, written);
}

proptest! {
    #[test]
    fn no_text_makes_the_loader_panic(text in any::<String>()) {
        let _ = parse("x", &text, &LoadOptions::default());
    }

    #[test]
    fn no_mutation_makes_the_loader_panic(at in 0usize..2000, byte in 0u8..128, cut in 0usize..50) {
        let mut bytes = sandbox_yaml().into_bytes();
        let at = at % bytes.len();
        bytes[at] = byte;
        bytes.drain(at..(at + cut).min(bytes.len()));
        if let Ok(text) = String::from_utf8(bytes) {
            let _ = parse("x", &text, &LoadOptions::default());
        }
    }
}

/// A shop with a tag, a request with another one, and these thresholds.
fn judged_by(thresholds: &str, of_scenario: &str) -> String {
    let scenario =
        format!("service: mcp\ntags: {{ team: search }}\nthresholds: {{ {of_scenario} }}");
    let flows = "- name: buy
  steps:
    - request: { name: \"pay.now\", path: /pay, tags: { kind: write } }
    - ping: {}";
    shop(&format!("thresholds:\n  {thresholds}"), &scenario, flows)
}

#[test]
fn a_threshold_on_what_the_workload_does_not_have_is_refused_where_it_stands() {
    for (key, parts) in [
        ("response_time{scenario:shpo}", ["no scenario", "`shpo`", "did you mean `shop`?"]),
        ("response_time{service:rag}", ["speaks to", "`rag`", "there is mcp"]),
        ("response_time{name:pay.nwo}", ["no step", "`pay.nwo`", "did you mean `pay.now`?"]),
        ("response_time{kind:wriet}", ["tag", "`kind:wriet`", "did you mean `write`?"]),
        ("response_time{expected_response:true}", ["tag", "`expected_response`", "kind, name, "]),
        ("response_time{kind:write,name:ping}", ["kind:write", "name:ping", "at once"]),
        ("iteration_duration{name:ping}", ["whole flows", "`name`", "scenario, service, team"]),
    ] {
        let told = message(&judged_by(&format!("\"{key}\": [p(99)<2s]"), ""));
        assert!(told.starts_with("shakedown.yaml:6:"), "{told}");
        parts.iter().for_each(|part| assert!(told.contains(part), "{part} is missing in:\n{told}"));
    }
    let own = message(&judged_by("{}", "\"response_time{name:pnig}\": [p(99)<2s]"));
    assert!(own.starts_with("shakedown.yaml:13:") && own.contains("`ping`"), "{own}");
    for key in
        ["response_time{name:initialize}", "checks{name:pay.now,kind:write}", "vus{team:search}"]
    {
        let rule = match key.split('{').next() {
            Some("checks") => "rate>0.9",
            Some("vus") => "value>0",
            _ => "p(99)<2s",
        };
        let text = judged_by(&format!("\"{key}\": [\"{rule}\"]"), "");
        let read = parse("shakedown.yaml", &text, &LoadOptions::default());
        assert!(read.is_ok(), "{key}: {:?}", read.err().map(|error| error.to_string()));
    }
}

#[test]
fn thresholds_of_k6_and_those_that_are_set_are_refused_where_they_stand() {
    let rules = r#"{"http_req_duration{scenario:chta}": ["p(95)<500"]}"#;
    let text = format!(
        "target: {{ name: x, environment: staging }}
workloads:
  mixed:
    users: 1
    think_time: {{ min: 0s, max: 0s }}
    scenarios: [{{ name: chat, service: chat, flows: [{{ name: f, steps: [health: {{}}] }}] }}]
    options:
      thresholds: {rules}
"
    );
    let told = message(&text);
    assert!(told.starts_with("shakedown.yaml:8:"), "{told}");
    assert!(told.contains("did you mean `chat`?"), "{told}");
    let set = format!("workloads.mixed.thresholds={rules}");
    let told = with(&[&set], &[]).expect_err("accepted");
    assert!(told.starts_with("--set") && told.contains("did you mean `chat`?"), "{told}");
}

/// A shop of two flows with a request each, of these fields.
fn named_twice(first: &str, second: &str) -> String {
    let flows = format!(
        "- name: buy
  steps: [{{ think: 1s }}, {{ request: {{ path: /a, {first} }} }}]
- name: look
  steps: [{{ request: {{ path: /a, {second} }} }}]"
    );
    shop("", "service: rag", &flows)
}

#[test]
fn requests_that_are_counted_together_have_the_same_tags() {
    for (first, second) in [
        ("name: pay, tags: { kind: write }", "name: pay, tags: { kind: read }"),
        ("name: pay, tags: { kind: write }", "name: pay"),
        ("tags: { kind: write }", "tags: { kind: read }"),
        ("name: pay", "name: pay, tags: { kind: read }"),
    ] {
        let told = message(&named_twice(first, second));
        assert!(told.starts_with("shakedown.yaml:14:32"), "{told}");
        for part in ["other tags than step 2 of flow `buy`", "a `name` of its own"] {
            assert!(told.contains(part), "{part} is missing in:\n{told}");
        }
    }
    for (first, second) in [
        ("name: pay, tags: { kind: write }", "name: pay, tags: { kind: write }"),
        ("name: pay, tags: { kind: write }", "name: see, tags: { kind: read }"),
    ] {
        let read = parse("shakedown.yaml", &named_twice(first, second), &LoadOptions::default());
        assert!(read.is_ok(), "{:?}", read.err().map(|error| error.to_string()));
    }
}

#[test]
fn a_search_that_would_begin_above_its_largest_rate_is_refused() {
    let search = |rates| with(&[&format!("workloads.mixed.find_limit={{{rates}}}")], &[]);
    let told = search("start_rate: 300, max_rate: 50").expect_err("accepted");
    assert!(told.contains("find_limit.start_rate: expected no more than `max_rate`"), "{told}");
    assert!(search("start_rate: 50, max_rate: 50").is_ok());
}

#[test]
fn requests_that_could_not_be_sent_or_understood_are_refused_with_what_is_expected() {
    let asks = |request: &str| {
        let step =
            format!("workloads.mixed.scenarios.rag.flows.query.steps=[{{request: {{{request}}}}}]");
        with(&[&step], &[])
    };
    for (request, expected) in [
        ("path: /a b", "a path without blanks"),
        ("path: /a, timeout: 0s", "more than 0s"),
        ("path: /a, headers: {x-a: \"b\\nc\"}", "without line ends"),
        ("path: /a, extract: {id: {json: id}}", "a JSON pointer such as /data/0/id"),
        ("path: /a, extract: {id: {header: a b}}", "a header name"),
        ("path: /a, checks: [{json: {pointer: ok}}]", "a JSON pointer such as /data/0/id"),
        ("path: /a, checks: [{status: good}]", "a status such as 200, or a list of some"),
        ("path: /a, checks: [{status: 70000}]", "a status such as 200, or a list of some"),
    ] {
        let told = asks(request).expect_err(request);
        assert!(told.contains(expected), "{request}: {told}");
    }
    for good in ["path: \"/a/{full name}?b={+c}\"", "path: /a, checks: [{status: [200, 404]}]"] {
        assert!(asks(good).is_ok(), "{good}: {:?}", asks(good).err());
    }
    let long = "workloads.mixed.thresholds={checks: [{threshold: rate>0.9, abortonfail: true}]}";
    let told = with(&[long], &[]).expect_err("accepted");
    assert!(told.contains("unknown field `abortonfail`") && told.contains("abortOnFail"), "{told}");
}

#[test]
fn a_step_too_short_to_be_judged_is_refused_with_the_shortest_one() {
    let step = |step| with(&[&format!("workloads.mixed.find_limit={{step: {step}}}")], &[]);
    let told = step("8s").expect_err("accepted");
    assert!(told.contains("find_limit.step") && told.contains("at least 9s"), "{told}");
    assert!(step("9s").is_ok());
}

#[test]
fn pointers_that_match_nothing_are_refused_wherever_they_stand() {
    let backup = |pointers| {
        let trigger = "trigger: {http: {url: \"http://b/backups\"}}";
        let wait = format!("wait: {{url: \"http://b/{{id}}\", done: [ok], {pointers}}}");
        format!("backup.platform={{{trigger}, {wait}, artefacts: []}}")
    };
    let upload = |pointer| {
        let removed = "fetch: \"/{stored}\", delete: {method: DELETE, path: \"/{stored}\"}";
        format!("security.uploads=[{{service: rag, path: /files, stored: {pointer}, {removed}}}]")
    };
    let probe =
        |pointer| format!("chaos.probes={{chat: {{request: {{path: /x}}, degraded: {pointer}}}}}");
    for (wrong, right, place) in [
        (backup("state: /s, id: id"), backup("state: /s, id: /id"), "backup.platform.wait.id"),
        (backup("state: s"), backup("state: /s"), "backup.platform.wait.state"),
        (upload("url"), upload("/url"), "security.uploads.0.stored"),
        (probe("degraded"), probe("/degraded"), "chaos.probes.chat.degraded"),
    ] {
        let told = with(&[&wrong], &[]).expect_err(place);
        let expected = format!("{place}: expected a JSON pointer such as /data/0/id");
        assert!(told.contains(&expected), "{told}");
        assert!(with(&[&right], &[]).is_ok(), "{right}: {:?}", with(&[&right], &[]).err());
    }
}
