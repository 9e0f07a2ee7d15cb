//! What tools leave out, and what that makes of thresholds.

use std::collections::BTreeMap;

use super::*;
use crate::config::metric::Selector;
use crate::load::tests::platform;
use crate::run::event::{IntervalReport, ThresholdRow};

const WORKLOAD: &str = r#"
think_time: { min: 0s, max: 0s }
feeders: { people: { rows: [{ id: "1" }] } }
thresholds:
  response_time{scenario:tools}: [p(99)<2s]
  response_time{name:search}: [p(99)<2s]
  response_time{name:ask}: [p(99)<2s]
  http_req_failed{scenario:open}: [rate<1%]
  lateness: [p(99)<20]
  vus: [value>2]
  response_time{name:initialize,scenario:asked}: [p(99)<2s]
  http_req_failed{scenario:crowd}: [rate<1%]
  http_req_failed{scenario:later}: [rate<1%]
scenarios:
  - name: tools
    service: mcp
    executor: constant-vus
    vus: 1
    flows: [{ name: call, steps: [{ tool: {} }] }]
  - name: asked
    service: mcp
    executor: constant-vus
    vus: 1
    flows: [{ name: both, steps: [{ tool: {} }, { health: {} }] }]
  - name: crowd
    service: rag
    executor: constant-arrival-rate
    rate: 5
    arrivals: poisson
    preAllocatedVUs: 5
    flows: [{ name: ask, steps: [{ health: {} }] }]
  - name: docs
    service: rag
    executor: constant-vus
    vus: 3
    flows:
      - name: search
        steps:
          - request: { name: search, path: "/people/{people.id}" }
          - request: { name: ask, path: "/ask/{unknown}", body: { q: "{see p.5}" } }
  - name: later
    service: rag
    executor: constant-vus
    vus: 1
    startTime: 100ms
    flows: [{ name: ask, steps: [{ health: {} }] }]
  - name: open
    service: rag
    executor: constant-arrival-rate
    rate: 5
    preAllocatedVUs: 5
    flows: [{ name: ask, steps: [{ health: {} }] }]
"#;

fn planned(engine: LoadEngine) -> (Config, ExternalPlan) {
    let config = platform(WORKLOAD);
    let workload = config.workloads.of(PhaseKind::Mixed).expect("there");
    let plan = ExternalPlan::new(engine, workload, &config, INTERVAL).expect("something is played");
    (config, plan)
}

/// How the thresholds stand after a second in which nobody said anything of requests.
fn rows(engine: LoadEngine) -> Vec<ThresholdRow> {
    let (config, plan) = planned(engine);
    let workload = config.workloads.of(PhaseKind::Mixed).expect("there");
    let course = course_of(&plan, &config, INTERVAL).expect("no feeders");
    let mut watch = watch_of(engine, workload, &course);
    let users = [("all".to_owned(), 3)].into();
    let interval = IntervalReport {
        length_us: 1_000_000,
        users,
        series: Vec::new(),
        iterations: BTreeMap::new(),
        generator: Default::default(),
    };
    watch.observe(&interval, &course);
    watch.rows()
}

#[test]
fn thresholds_on_what_a_tool_leaves_out_or_does_not_say_are_skipped_with_the_reason() {
    let rows = rows(LoadEngine::Locust);
    let told = |metric: &str| {
        let row = rows.iter().find(|row| row.metric == metric).expect(metric);
        (row.skipped, row.why_open.clone())
    };
    for (metric, why) in [
        ("response_time{scenario:tools}", "tools: tools/call was left out: MCP sessions"),
        ("response_time{name:search}", "docs: search was left out: placeholders"),
        ("http_req_failed{scenario:open}", "open was left out: of the models only constant users"),
        (
            "response_time{name:initialize,scenario:asked}",
            "asked: initialize was left out: MCP sessions",
        ),
        ("http_req_failed{scenario:later}", "later was left out: locust plays all scenarios from"),
        ("lateness", "locust does not say it"),
    ] {
        let (skipped, said) = told(metric);
        assert!(skipped && said.starts_with(why), "{metric}: {skipped}, {said}");
    }
    assert_eq!(told("response_time{name:ask}"), (false, "no samples".to_owned()));
}

#[test]
fn k6_plays_open_models_and_counts_users_of_all_scenarios_together() {
    let rows = rows(LoadEngine::K6);
    let open = rows.iter().find(|row| row.metric.contains("open")).expect("there");
    assert!(!open.skipped, "{open:?}");
    let crowd = rows.iter().find(|row| row.metric.contains("crowd")).expect("there");
    assert!(crowd.skipped && crowd.why_open.contains("Poisson"), "{crowd:?}");
    let users = rows.iter().find(|row| row.metric == "vus").expect("there");
    assert_eq!((users.holds, users.skipped), (Some(true), false), "{users:?}");
    let of_one: Selector = "vus{scenario:docs}".parse().expect("a selector");
    assert!(unsaid(LoadEngine::K6, &of_one).is_some());
    assert!(unsaid(LoadEngine::Locust, &of_one).is_none());
}

#[test]
fn what_is_played_is_what_is_counted() {
    let (_, plan) = planned(LoadEngine::K6);
    let docs = plan.played.scenarios.iter().find(|of| of.name == "docs").expect("played");
    let names: Vec<String> = docs.flows[0].steps.iter().map(crate::config::Step::name).collect();
    assert_eq!(names, ["ask"], "a name that nothing fills stays as it is");
    let sent = plan.plan.to_string();
    assert!(sent.contains("/ask/{unknown}") && sent.contains("{see p.5}"), "{sent}");
    assert!(!sent.contains("people"), "{sent}");
}
