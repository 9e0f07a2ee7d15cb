//! An `options` block of k6, as it stands in a script or as `k6 inspect` prints it, laid over a workload.

use serde_json::{Map, Value};

use super::metric::ThresholdMap;
use super::validate::Contradiction;
use super::validate_thresholds;
use super::workload::{Scenario, Workload};

/// Options that say how k6 prints or connects, and change nothing about the load, and what it works out from
/// the others (`k6 inspect --execution-requirements`).
const IGNORED: [&str; 10] = [
    "summaryTrendStats",
    "summaryTimeUnit",
    "systemTags",
    "userAgent",
    "noUsageReport",
    "discardResponseBodies",
    "tags",
    "cloud",
    "totalDuration",
    "maxVUs",
];
/// What describes the load of the only scenario, without `scenarios`.
const SHORT: [&str; 4] = ["vus", "duration", "stages", "iterations"];

/// Lays the block over the scenarios of the same names; what is there already gives way.
///
/// # Errors
/// What of it cannot be carried out, by its path below the workload.
pub(super) fn lay_over(workload: &mut Workload) -> Result<(), Vec<Contradiction>> {
    let options = std::mem::take(&mut workload.options);
    let mut wrong = Vec::new();
    for (key, value) in options.iter().filter(|(_, value)| asks_for_something(value)) {
        let path = format!("options.{key}");
        match key.as_str() {
            "scenarios" => scenarios(workload, value, &path, &mut wrong),
            "thresholds" => match serde_json::from_value::<ThresholdMap>(value.clone()) {
                Ok(map) => {
                    wrong.extend(validate_thresholds::contradictions(&path, &map, workload, None));
                    workload.thresholds.extend(map);
                }
                Err(error) => wrong.push(Contradiction::new(path, error.to_string())),
            },
            key if SHORT.contains(&key) || IGNORED.contains(&key) => {}
            key => {
                let why = format!("`{key}` of k6 is not carried out: remove it");
                wrong.push(Contradiction::new(path, why));
            }
        }
    }
    short_form(workload, &options, &mut wrong);
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}

/// Options that are not set are printed, too: as `null`, or as a group of such.
fn asks_for_something(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::Object(fields) => fields.values().any(asks_for_something),
        _ => true,
    }
}

fn scenarios(workload: &mut Workload, value: &Value, path: &str, wrong: &mut Vec<Contradiction>) {
    for (name, fields) in value.as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        let Some(scenario) = workload.scenarios.iter_mut().find(|s| s.name == *name) else {
            let why =
                format!("the workload has no scenario `{name}`: what it does must stand there");
            wrong.push(Contradiction::new(path, why));
            continue;
        };
        let mut fields = fields.as_object().cloned().unwrap_or_default();
        let function = fields.remove("exec").filter(|function| !function.is_null());
        if let Some(why) = function.and_then(|function| execute(scenario, &function).err()) {
            wrong.push(Contradiction::new(format!("{path}.exec"), why));
        }
        if let Err(why) = put(scenario, fields) {
            wrong.push(Contradiction::new(path, why));
        }
    }
}

/// `vus`, `duration`, `stages` and `iterations` without `scenarios`: k6 makes one scenario of them.
fn short_form(
    workload: &mut Workload,
    options: &std::collections::BTreeMap<String, Value>,
    wrong: &mut Vec<Contradiction>,
) {
    let mut fields: Map<String, Value> = options
        .iter()
        .filter(|(key, value)| SHORT.contains(&key.as_str()) && !value.is_null())
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    if fields.is_empty() || options.get("scenarios").is_some_and(|s| !s.is_null()) {
        return;
    }
    let executor = match (fields.contains_key("stages"), fields.contains_key("iterations")) {
        (true, _) => "ramping-vus",
        (_, true) => "shared-iterations",
        _ => "constant-vus",
    };
    if executor == "ramping-vus"
        && let Some(vus) = fields.remove("vus")
    {
        fields.insert("startVUs".into(), vus);
    }
    if executor == "shared-iterations"
        && let Some(duration) = fields.remove("duration")
    {
        fields.insert("maxDuration".into(), duration);
    }
    fields.insert("executor".into(), executor.into());
    match workload.scenarios.as_mut_slice() {
        [only] => {
            if let Err(why) = put(only, fields) {
                wrong.push(Contradiction::new("options", why));
            }
        }
        several => wrong.push(Contradiction::new(
            "options",
            format!("one scenario's load for {} scenarios: use `scenarios`", several.len()),
        )),
    }
}

/// The function of the script that k6 runs in a scenario. Here flows say what is done: all of them, or
/// the one that has the function's name.
fn execute(scenario: &mut Scenario, function: &Value) -> Result<(), String> {
    let function = function.as_str().ok_or("expected the name of a flow")?;
    if function == "default" || function == scenario.name {
        return Ok(());
    }
    let flows: Vec<&str> = scenario.flows.iter().map(|flow| flow.name.as_str()).collect();
    if !flows.contains(&function) {
        return Err(format!(
            "no flow of `{}` is called `{function}`, and no script is run: expected one of its flows \
             ({}), or no `exec` for all of them",
            scenario.name,
            flows.join(", ")
        ));
    }
    scenario.flows.retain(|flow| flow.name == function);
    Ok(())
}

fn put(scenario: &mut Scenario, fields: Map<String, Value>) -> Result<(), String> {
    let mut whole = serde_json::to_value(&*scenario).map_err(|error| error.to_string())?;
    for (key, value) in fields.into_iter().filter(|(_, value)| !value.is_null()) {
        match (key.as_str(), &value) {
            ("env", Value::Object(map)) if map.is_empty() => {}
            ("env", _) => return Err("`env` is not carried out: use feeders".into()),
            _ => whole[key] = value,
        }
    }
    *scenario = serde_path_to_error::deserialize(whole).map_err(|error| error.to_string())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `lay_over` says of a block, and the workload after it.
    fn laid(block: &str) -> (Result<(), Vec<Contradiction>>, Workload) {
        let workload = "think_time: { min: 0s, max: 0s }\nscenarios:\n- name: q\n  service: rag\n  \
                        flows: [{ name: ask, steps: [{ query: { question: why } }] }]\n";
        let mut workload: Workload = serde_yaml::from_str(workload).expect("a workload");
        workload.options = serde_json::from_str(block).expect("JSON");
        (lay_over(&mut workload), workload)
    }

    /// `k6 inspect` of v1.8.1, and what `--execution-requirements` adds.
    const INSPECTED: &str = r#"{
        "paused": null, "vus": null, "duration": null, "iterations": null, "stages": null,
        "scenarios": { "q": {
            "executor": "constant-arrival-rate", "startTime": null, "gracefulStop": null, "env": null,
            "exec": null, "tags": null, "rate": 10, "timeUnit": "1s", "duration": "2s",
            "preAllocatedVUs": 2, "maxVUs": null } },
        "rps": null, "dns": { "ttl": null, "select": null, "policy": null }, "userAgent": null,
        "thresholds": { "http_req_duration": ["p(95)<500"] }, "hosts": null,
        "noConnectionReuse": false, "summaryTrendStats": ["avg", "p(95)"], "systemTags": ["url"],
        "totalDuration": "32s", "maxVUs": 2 }"#;

    #[test]
    fn what_k6_inspect_prints_can_be_pasted() {
        let (laid_over, workload) = laid(INSPECTED);
        assert!(laid_over.is_ok(), "{laid_over:?}");
        assert_eq!((workload.scenarios[0].rate, workload.thresholds.len()), (Some(10.0), 1));
    }

    #[test]
    fn what_is_asked_for_and_not_carried_out_is_refused() {
        for (block, path) in [
            (r#"{ "noConnectionReuse": true }"#, "options.noConnectionReuse"),
            (r#"{ "dns": { "ttl": "1m", "select": null } }"#, "options.dns"),
            (r#"{ "rps": 0 }"#, "options.rps"),
        ] {
            let wrong = laid(block).0.expect_err(path);
            assert_eq!(wrong.iter().map(|wrong| wrong.path.as_str()).collect::<Vec<_>>(), [path]);
        }
    }
}
