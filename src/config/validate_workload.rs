//! Workloads that are well-formed and contradict themselves or make no sense.

use std::collections::BTreeSet;
use std::time::Duration;

use hyper::header::{HeaderName, HeaderValue};

use super::validate::{Contradiction, Found};
use super::validate_thresholds::contradictions;
use super::{
    AnswerCheck, Counted, Durations, Extraction, FindLimit, Flow, LEAST_STEP, RequestStep,
    Scenario, Step, Workload, executor, placeholders,
};

pub(super) fn workload(path: &str, workload: &Workload, found: &mut Found) {
    let think = workload.think_time.contradiction();
    found.check(think.is_none(), &format!("{path}.think_time"), think.unwrap_or_default());
    found.check(
        workload.users != Some(0),
        &format!("{path}.users"),
        "expected at least 1: leave the phase out with `phases.skip`",
    );
    found.check(workload.spawn_rate > 0, &format!("{path}.spawn_rate"), "expected at least 1");
    found.check(
        !workload.scenarios.is_empty(),
        &format!("{path}.scenarios"),
        "expected at least one scenario",
    );
    let sharing: Vec<&Scenario> =
        workload.scenarios.iter().filter(|scenario| scenario.executor.is_none()).collect();
    found.check(
        sharing.is_empty() != workload.users.is_some(),
        path,
        "expected `users` for the scenarios that have no `executor`, and only for those",
    );
    let weights: u64 = sharing.iter().map(|s| u64::from(s.weight)).sum();
    found.check(
        sharing.is_empty() || weights > 0,
        &format!("{path}.scenarios"),
        "expected a weight above 0 somewhere",
    );
    let lengths = workload.scenarios.iter().filter_map(Scenario::stated_length);
    found.check(
        workload.durations == Durations::Exact || lengths.max() > Some(Duration::ZERO),
        &format!("{path}.durations"),
        "expected lengths in the scenarios that can be stretched",
    );
    let at = format!("{path}.thresholds");
    found.extend(contradictions(&at, &workload.thresholds, workload, None));
    feeders(path, workload, found);
    if let Some(search) = &workload.find_limit {
        find_limit(&format!("{path}.find_limit"), search, found);
    }
    let mut names = BTreeSet::new();
    for (at, one) in workload.scenarios.iter().enumerate() {
        let path = format!("{path}.scenarios.{at}");
        found.check(
            names.insert(&one.name),
            &format!("{path}.name"),
            "expected a name that no other scenario of the workload has",
        );
        scenario(&path, one, found);
        let at = format!("{path}.thresholds");
        found.extend(contradictions(&at, &one.thresholds, workload, Some(&one.name)));
    }
}

fn feeders(path: &str, workload: &Workload, found: &mut Found) {
    for (name, feeder) in &workload.feeders {
        let path = format!("{path}.feeders.{name}");
        let sources = [!feeder.rows.is_empty(), feeder.csv.is_some(), feeder.jsonl.is_some()];
        found.check(
            sources.iter().filter(|given| **given).count() == 1,
            &path,
            "expected one of `rows`, `csv` and `jsonl`",
        );
        found.check(!name.contains(['.', '{', '}']), &path, "expected a name without . and braces");
    }
}

fn find_limit(path: &str, search: &FindLimit, found: &mut Found) {
    let positive = |number: f64| number.is_finite() && number > 0.0;
    let short = format!(
        "expected at least {LEAST_STEP}: a shorter step cannot tell whether answers take ever longer"
    );
    for (name, holds, why) in [
        ("start_rate", positive(search.start_rate), "expected a number above 0"),
        ("growth", search.growth.is_finite() && search.growth > 1.0, "expected more than 1"),
        ("step", search.step >= LEAST_STEP, &short),
        ("precision_percent", positive(search.precision_percent), "expected a number above 0"),
        ("max_rate", positive(search.max_rate), "expected a number above 0"),
        ("start_rate", search.start_rate <= search.max_rate, "expected no more than `max_rate`"),
        ("max_users", search.max_users > 0, "expected at least 1"),
    ] {
        found.check(holds, &format!("{path}.{name}"), why);
    }
}

fn scenario(path: &str, scenario: &Scenario, found: &mut Found) {
    for (key, why) in executor::contradictions(scenario) {
        found.check(false, &format!("{path}.{key}"), &why);
    }
    if let Some(wrong) = scenario.think_time.and_then(|think| think.contradiction()) {
        found.check(false, &format!("{path}.think_time"), wrong);
    }
    let pacing = scenario.pacing.is_none_or(|pacing| !pacing.get().is_zero());
    found.check(pacing, &format!("{path}.pacing"), "expected more than 0s");
    let weights: u64 = scenario.flows.iter().map(|flow| u64::from(flow.weight)).sum();
    found.check(
        weights > 0,
        &format!("{path}.flows"),
        "expected at least one flow with a weight above 0",
    );
    for (at, one) in scenario.flows.iter().enumerate() {
        flow(&format!("{path}.flows.{at}"), one, scenario, found);
    }
    found.extend(shared_names(path, scenario));
}

/// Requests that are counted as one though their tags differ: a threshold on a tag would be of both.
fn shared_names(path: &str, scenario: &Scenario) -> Vec<Contradiction> {
    let handshake = scenario.handshake().map(|counted| (counted, "the handshake".to_owned()));
    let mut first: Vec<(Counted, String)> = handshake.into_iter().collect();
    let mut wrong = Vec::new();
    for (of, flow) in scenario.drawn_flows() {
        for (at, step) in flow.steps.iter().enumerate() {
            let Some(counted) = scenario.counted(step) else { continue };
            let known = first.iter().find(|(known, _)| known.step == counted.step);
            let Some((known, place)) = known else {
                first.push((counted, format!("step {} of flow `{}`", at + 1, flow.name)));
                continue;
            };
            if known.tags == counted.tags {
                continue;
            }
            let (key, hint) = match step {
                Step::Request(_) => (".request", "give it a `name` of its own, or the same `tags`"),
                _ => ("", "give the request that has its name another one, or no `tags`"),
            };
            wrong.push(Contradiction {
                path: format!("{path}.flows.{of}.steps.{at}{key}"),
                message: format!(
                    "`{}` has other tags than {place}, and both are counted under this name: a \
                     threshold on a tag would be of both",
                    counted.step
                ),
                hint: Some(hint.into()),
            });
        }
    }
    wrong
}

fn flow(path: &str, flow: &Flow, scenario: &Scenario, found: &mut Found) {
    found.check(!flow.steps.is_empty(), &format!("{path}.steps"), "expected at least one step");
    for (at, step) in flow.steps.iter().enumerate() {
        let path = format!("{path}.steps.{at}");
        found.check(
            step.service().is_none_or(|service| service == scenario.service),
            &path,
            &format!("`{}` is no step of the {} service", step.name(), scenario.service),
        );
        if let Step::Request(request) = step {
            self::request(&format!("{path}.request"), request, found);
        }
    }
}

fn request(path: &str, request: &RequestStep, found: &mut Found) {
    let method: Result<hyper::Method, _> = request.method.parse();
    found.check(method.is_ok(), &format!("{path}.method"), "expected a method such as POST");
    found.check(
        request.path.starts_with('/') || request.path.starts_with("{+"),
        &format!("{path}.path"),
        "expected a path that begins with / (or with a value such as {+location})",
    );
    let names = placeholders(&request.path);
    let filled = names.fold(request.path.clone(), |path, name| {
        path.replace(&format!("{{{name}}}"), "x").replace(&format!("{{+{name}}}"), "x")
    });
    let filled: Result<hyper::Uri, _> = format!("/{filled}").parse();
    found.check(
        filled.is_ok(),
        &format!("{path}.path"),
        "expected a path without blanks and the like: they are written as %20",
    );
    let timeout = request.timeout.is_none_or(|timeout| !timeout.get().is_zero());
    found.check(timeout, &format!("{path}.timeout"), "expected more than 0s");
    let bodies = [request.body.is_some(), request.text.is_some(), !request.multipart.is_empty()];
    found.check(
        bodies.iter().filter(|given| **given).count() <= 1,
        path,
        "expected at most one of `body`, `text` and `multipart`",
    );
    for (name, value) in &request.headers {
        let good: Result<HeaderName, _> = name.parse();
        found.check(good.is_ok(), &format!("{path}.headers.{name}"), "expected a header name");
        let good = HeaderValue::from_str(value);
        let why = "expected a value without line ends and control characters";
        found.check(good.is_ok(), &format!("{path}.headers.{name}"), why);
    }
    for (name, from) in &request.extract {
        let path = format!("{path}.extract.{name}");
        found.check(
            !name.is_empty() && !name.contains(['.', '{', '}']),
            &path,
            "expected a name without . and braces",
        );
        match from {
            Extraction::Json(pointer) => found.pointer(pointer, &format!("{path}.json")),
            Extraction::Header(header) => {
                let good: Result<HeaderName, _> = header.parse();
                found.check(good.is_ok(), &format!("{path}.header"), "expected a header name");
            }
        }
    }
    for (at, check) in request.checks.iter().enumerate() {
        if let AnswerCheck::Json { pointer, .. } = check {
            found.pointer(pointer, &format!("{path}.checks.{at}.json.pointer"));
        }
    }
}
