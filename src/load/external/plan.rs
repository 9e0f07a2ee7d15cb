//! What an external tool is given to play: the requests of every flow, and each scenario's model of
//! load. Both scripts read the same plan.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::super::left_out::{self, LeftOut, Part};
use super::super::population::split;
use super::super::schedule::stretch;
use super::super::template::{fill_json, fill_path};
use crate::config::{
    Arrivals, BUILT_IN, Config, ConnectionSettings, Endpoint, ExecutorKind, Flow, LoadEngine,
    RequestStep, Scenario, SessionLife, Step, ThinkDistribution, ThinkTime, TimeSpan, TlsSettings,
    Workload, placeholders,
};
use crate::platform::endpoint::ResolvedEndpoint;

/// Why a step that needs a session is not played.
const NO_SESSIONS: &str = "MCP sessions are spoken by the built-in engine alone";

/// A plan, and what its credentials are called in the environment of the tool.
pub struct ExternalPlan {
    /// The plan as the scripts read it.
    pub plan: Value,
    /// Variables with secrets: name and value.
    pub secrets: Vec<(String, String)>,
    /// What of the workload the tool plays.
    pub played: Workload,
    /// What it does not play, with the reason.
    pub left_out: Vec<LeftOut>,
    /// Users of all scenarios together, for Locust.
    pub users: u32,
}

impl ExternalPlan {
    /// The plan of a workload for a tool.
    ///
    /// # Errors
    /// In words, when nothing of it can be played.
    pub fn new(
        engine: LoadEngine,
        workload: &Workload,
        config: &Config,
        length: Duration,
    ) -> Result<Self, String> {
        let played = Workload { scenarios: vec![], feeders: BTreeMap::new(), ..workload.clone() };
        let mut this =
            Self { plan: Value::Null, secrets: vec![], played, left_out: vec![], users: 0 };
        let weights: Vec<u32> = workload
            .scenarios
            .iter()
            .map(|s| if s.executor.is_none() { s.weight } else { 0 })
            .collect();
        let shares = split(workload.users.unwrap_or(0), &weights);
        let (mut scenarios, mut models) = (Vec::new(), Map::new());
        for (scenario, share) in workload.scenarios.iter().zip(shares) {
            let users = scenario.vus.unwrap_or(share);
            match this.scenario(engine, scenario, workload, config, users) {
                Ok((value, played)) => {
                    this.users += users;
                    scenarios.push(value);
                    this.played.scenarios.push(played);
                    let model = k6_model(scenario, workload, share, length);
                    models.insert(scenario.name.clone(), model);
                }
                Err(reason) => {
                    this.left_out.push(LeftOut::new(scenario, Part::Whole, reason));
                }
            }
        }
        if scenarios.is_empty() {
            return Err(left_out::words(&this.left_out));
        }
        this.plan = json!({ "scenarios": scenarios, "k6_scenarios": models });
        Ok(this)
    }

    /// A scenario as the scripts read it, and what of it is played.
    fn scenario(
        &mut self,
        engine: LoadEngine,
        scenario: &Scenario,
        workload: &Workload,
        config: &Config,
        users: u32,
    ) -> Result<(Value, Scenario), String> {
        let think = scenario.think_time.unwrap_or(workload.think_time);
        if let Some(reason) = unplayable(engine, scenario, think) {
            return Err(reason);
        }
        if users == 0 && scenario.executor.is_none() {
            return Err("its weight is too small for one of the users".into());
        }
        let endpoints = config.services.endpoints();
        let endpoint = endpoints.into_iter().find(|(kind, _)| *kind == scenario.service);
        let (_, endpoint) =
            endpoint.ok_or_else(|| format!("no {} service is configured", scenario.service))?;
        let connection = ConnectionSettings::default();
        if endpoint.tls != TlsSettings::default() || endpoint.connection != connection {
            let name = engine.name();
            return Err(format!("{name} knows nothing of its `connection` and `tls` settings"));
        }
        let resolved = ResolvedEndpoint::resolve(endpoint).map_err(|error| error.to_string())?;
        let (flows, played) = self.flows(scenario, workload, config, (endpoint, &resolved));
        if flows.is_empty() {
            return Err("nothing of it can be played".into());
        }
        if let Some(handshake) = scenario.handshake() {
            let part = Part::Step(handshake.step);
            left_out::add(&mut self.left_out, LeftOut::new(scenario, part, NO_SESSIONS));
        }
        let (headers, secrets) = self.headers(&resolved);
        let open = scenario.executor.is_some_and(ExecutorKind::is_open);
        let seconds = |span: TimeSpan| span.get().as_secs_f64();
        let value = json!({
            "name": scenario.name,
            "origin": resolved.origin(),
            "users": users,
            "headers": headers,
            "secrets": secrets,
            "think": (!open).then(|| json!({ "min": seconds(think.min), "max": seconds(think.max) })),
            "flows": flows,
        });
        Ok((value, played))
    }

    /// The flows of a scenario as the scripts read them, and what of them is played.
    fn flows(
        &mut self,
        scenario: &Scenario,
        workload: &Workload,
        config: &Config,
        service: (&Endpoint, &ResolvedEndpoint),
    ) -> (Vec<Value>, Scenario) {
        let (mut flows, mut played) = (Vec::new(), Scenario { flows: vec![], ..scenario.clone() });
        for (_, flow) in scenario.drawn_flows() {
            let (mut steps, mut played_steps) = (Vec::new(), Vec::new());
            for step in &flow.steps {
                let asked = match is_filled(step, flow, workload) {
                    true => Err("placeholders are filled by the built-in engine alone".into()),
                    false => request(step, config, service),
                };
                match asked {
                    Ok(request) => {
                        steps.push(request);
                        played_steps.push(step.clone());
                    }
                    Err(reason) => {
                        let part = Part::Step(step.name());
                        left_out::add(&mut self.left_out, LeftOut::new(scenario, part, reason));
                    }
                }
            }
            if steps.iter().any(|step| step.get("method").is_some()) {
                flows.push(json!({ "weight": flow.weight, "steps": steps }));
                played.flows.push(Flow { steps: played_steps, ..flow.clone() });
            }
        }
        (flows, played)
    }

    /// The headers of every request, and the variables that hold the secret ones.
    fn headers(&mut self, endpoint: &ResolvedEndpoint) -> (Map<String, Value>, Map<String, Value>) {
        let (mut headers, mut secrets) = (Map::new(), Map::new());
        for (name, value) in &endpoint.headers {
            let text = value.to_str().unwrap_or_default();
            if value.is_sensitive() {
                let variable = format!("SHAKEDOWN_SECRET_{}", self.secrets.len());
                secrets.insert(name.to_string(), variable.clone().into());
                self.secrets.push((variable, text.to_owned()));
            } else {
                headers.insert(name.to_string(), text.into());
            }
        }
        (headers, secrets)
    }
}

/// Why a tool would play another load than a scenario asks for.
fn unplayable(engine: LoadEngine, scenario: &Scenario, think: ThinkTime) -> Option<String> {
    let closed = matches!(scenario.executor, None | Some(ExecutorKind::ConstantVus));
    let open = scenario.executor.is_some_and(ExecutorKind::is_open);
    let mut rates = scenario.rate.into_iter().chain(scenario.start_rate);
    if engine == LoadEngine::Locust && !closed {
        return Some("of the models only constant users are played by locust".into());
    }
    let late = scenario.start_time.is_some_and(|start| !start.get().is_zero());
    if engine == LoadEngine::Locust && (late || scenario.duration.is_some()) {
        return Some(
            "locust plays all scenarios from the beginning to the end of the phase".into(),
        );
    }
    let only = |what: &str| Some(format!("{what} by the built-in engine alone"));
    match scenario {
        _ if scenario.arrivals == Some(Arrivals::Poisson) => only("Poisson arrivals are played"),
        _ if scenario.pacing.is_some() => only("`pacing` is kept"),
        _ if scenario.session == SessionLife::Flow => only("a session for each flow is begun"),
        _ if !open && think.distribution != ThinkDistribution::Uniform => {
            only("think times that are not spread evenly are drawn")
        }
        _ if open && rates.any(|rate| rate.fract() != 0.0) => {
            Some("k6 takes whole rates only: a longer `timeUnit` makes them whole".into())
        }
        _ => None,
    }
}

/// A scenario's model in k6's own keys, with lengths as they are in this phase.
fn k6_model(scenario: &Scenario, workload: &Workload, share: u32, phase: Duration) -> Value {
    let factor = stretch(workload, phase);
    let millis = |length: Duration| format!("{}ms", length.as_millis());
    let scaled = |length: TimeSpan| millis(length.get().mul_f64(factor));
    let mut model = Map::new();
    let mut put = |key: &str, value: Value| {
        if !value.is_null() {
            model.insert(key.to_owned(), value);
        }
    };
    let executor = scenario.executor.unwrap_or(ExecutorKind::ConstantVus);
    put("executor", executor.name().into());
    put("exec", "play".into());
    put("startTime", scenario.start_time.map(scaled).into());
    put(
        "gracefulStop",
        millis(scenario.graceful_stop.unwrap_or(workload.graceful_stop).get()).into(),
    );
    put("vus", scenario.vus.or((share > 0).then_some(share)).into());
    put("startVUs", scenario.start_vus.into());
    let stages = scenario.stages.as_ref().map(|stages| {
        let one = |stage: &crate::config::Stage| {
            json!({ "duration": scaled(stage.duration), "target": stage.target })
        };
        stages.iter().map(one).collect::<Vec<Value>>()
    });
    put("stages", stages.into());
    put("rate", scenario.rate.map(|rate| rate as u64).into());
    put("startRate", scenario.start_rate.map(|rate| rate as u64).into());
    put("timeUnit", scenario.time_unit.map(|unit| millis(unit.get())).into());
    put("preAllocatedVUs", scenario.pre_allocated_vus.into());
    put("maxVUs", scenario.max_vus.into());
    put("iterations", scenario.iterations.into());
    put("maxDuration", scenario.max_duration.map(|length| millis(length.get())).into());
    if matches!(executor, ExecutorKind::ConstantVus | ExecutorKind::ConstantArrivalRate) {
        let rest = scenario.duration.map_or_else(|| millis(phase), scaled);
        put("duration", rest.into());
    }
    Value::Object(model)
}

/// A step as a plain request.
fn request(
    step: &Step,
    config: &Config,
    (endpoint, resolved): (&Endpoint, &ResolvedEndpoint),
) -> Result<Value, String> {
    let services = &config.services;
    let mut timeout = endpoint.timeout;
    let (method, path, body, mut headers) = match step {
        Step::Think(pause) => return Ok(json!({ "pause": pause.get().as_secs_f64() })),
        Step::Health {} => ("GET".to_owned(), endpoint.health.clone(), None, Map::new()),
        Step::Chat { prompt, stream } => {
            let chat = services.chat.as_ref().ok_or("no chat service")?;
            let body = json!({
                "model": chat.model, "max_tokens": chat.max_tokens, "stream": stream,
                "messages": [{ "role": "user", "content": prompt }],
            });
            ("POST".to_owned(), chat.completions.clone(), Some(body), Map::new())
        }
        Step::Query { question } => {
            let query = &services.rag.as_ref().ok_or("no rag service")?.query;
            let values = [("question", question.as_str())];
            let body = query.body.as_ref().map(|b| fill_json(b, &values));
            let path = fill_path(&query.path, &values);
            (query.method.clone(), path, body, Map::new())
        }
        Step::Request(request) => {
            timeout = request.timeout.unwrap_or(timeout);
            plain(request)?
        }
        Step::Ingest { .. } => {
            return Err("only the built-in engine removes what it writes".into());
        }
        Step::Tool {} | Step::ListTools {} | Step::Ping {} => return Err(NO_SESSIONS.into()),
    };
    if body.is_some() {
        headers.entry("content-type").or_insert_with(|| "application/json".into());
    }
    Ok(json!({
        "name": step.name(),
        "method": method,
        "path": resolved.path(&path),
        "headers": headers,
        "body": body.map(|body| body.to_string()),
        "timeout_seconds": timeout.get().as_secs_f64(),
    }))
}

/// Whether a value of the run, of a feeder or of an earlier step of the flow stands in a step's texts.
fn is_filled(step: &Step, flow: &Flow, workload: &Workload) -> bool {
    let extracted = |name: &str| {
        flow.steps.iter().any(|step| match step {
            Step::Request(request) => request.extract.contains_key(name),
            _ => false,
        })
    };
    let fed = |name: &str| {
        name.split_once('.').is_some_and(|(feeder, _)| workload.feeders.contains_key(feeder))
    };
    let texts = step.filled_texts();
    let mut names = texts.iter().flat_map(|(_, text)| placeholders(text));
    names.any(|name| BUILT_IN.contains(&name) || fed(name) || extracted(name))
}

type Plain = (String, String, Option<Value>, Map<String, Value>);

fn plain(request: &RequestStep) -> Result<Plain, String> {
    let needs =
        !request.extract.is_empty() || request.text.is_some() || !request.multipart.is_empty();
    if needs || !request.checks.is_empty() {
        return Err(
            "extractions, checks, text bodies and forms are played by the built-in engine alone"
                .into(),
        );
    }
    let headers = request.headers.iter().map(|(name, value)| (name.clone(), value.clone().into()));
    Ok((request.method.clone(), request.path.clone(), request.body.clone(), headers.collect()))
}
