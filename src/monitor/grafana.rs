//! Marks the phases and faults of a run on Grafana's dashboards, by its annotations API.

use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use reqwest::Client;
use serde_json::{Value, json};

use crate::config::{Grafana, PhaseKind, Secret};
use crate::platform::client;
use crate::run::companion::{Companion, CompanionContext, Notice, Stage};
use crate::run::event::{ChaosEvent, Event, EventBody};
use crate::run::state::{PhaseStatus, RunState};

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often an annotation is tried.
const TRIES: u32 = 3;

/// Marks a run on Grafana's dashboards.
pub struct GrafanaMarks {
    settings: Grafana,
}

impl GrafanaMarks {
    /// Marks on this server.
    pub const fn new(settings: Grafana) -> Self {
        Self { settings }
    }
}

#[async_trait]
impl Companion for GrafanaMarks {
    fn name(&self) -> &'static str {
        "the marks in Grafana"
    }

    fn ends_with(&self) -> Stage {
        Stage::Over
    }

    async fn accompany(&self, context: CompanionContext) {
        let server = match Server::new(&self.settings) {
            Ok(server) => server,
            Err(error) => return log::error!("nothing is marked in Grafana: {error}"),
        };
        let mut following = context.follow(self.ends_with(), None);
        let mut marks = Marks::new(&following.snapshot, &self.settings.tags);
        while let Some(notice) = following.next().await {
            if let Notice::Happened(event) = notice {
                server.post_all(marks.hear(&event)).await;
            }
        }
        server.post_all(marks.end(Timestamp::now())).await;
    }
}

/// Turns events into annotations: a region a phase, a region a fault.
struct Marks {
    target: String,
    tags: Vec<String>,
    phase: Option<(PhaseKind, Timestamp)>,
    fault: Option<(String, Timestamp)>,
}

impl Marks {
    fn new(state: &RunState, tags: &[String]) -> Self {
        let target = state.identity.as_ref().map(|identity| identity.target.clone());
        let (target, tags) = (target.unwrap_or_default(), tags.to_vec());
        Self { target, tags, phase: at_work(state), fault: None }
    }

    fn hear(&mut self, event: &Event) -> Vec<Value> {
        match &event.body {
            EventBody::PhaseStarted { .. } => {
                self.phase = event.phase.map(|kind| (kind, event.wall));
                Vec::new()
            }
            EventBody::PhaseFinished { outcome } => {
                let began = self.phase.take();
                let mark = |(kind, from): (PhaseKind, Timestamp)| {
                    let text = format!("{kind}: {}: {}", outcome.verdict, outcome.reason);
                    self.region(from, event.wall, kind.name(), &text)
                };
                began.map(mark).into_iter().collect()
            }
            EventBody::Chaos(ChaosEvent::Injecting { fault, .. }) => {
                self.fault = Some((fault.clone(), event.wall));
                Vec::new()
            }
            EventBody::Chaos(ChaosEvent::Healed { .. }) => {
                let began = self.fault.take();
                began
                    .map(|(fault, from)| self.region(from, event.wall, "fault", &fault))
                    .into_iter()
                    .collect()
            }
            EventBody::RunFinished { verdict } => {
                let text = format!("verdict: {verdict}");
                vec![self.region(event.wall, event.wall, "verdict", &text)]
            }
            _ => Vec::new(),
        }
    }

    /// What is still open when the run is over.
    fn end(&mut self, now: Timestamp) -> Vec<Value> {
        let fault = self.fault.take().map(|(fault, from)| self.region(from, now, "fault", &fault));
        let phase = self.phase.take().map(|(kind, from)| {
            self.region(from, now, kind.name(), &format!("{kind}: did not end"))
        });
        fault.into_iter().chain(phase).collect()
    }

    fn region(&self, from: Timestamp, to: Timestamp, tag: &str, text: &str) -> Value {
        let mut tags = vec!["shakedown".to_owned(), tag.to_owned(), self.target.clone()];
        tags.extend(self.tags.iter().cloned());
        let text = text.replace('&', "&amp;").replace('<', "&lt;");
        json!({
            "time": from.as_millisecond(),
            "timeEnd": to.as_millisecond(),
            "tags": tags,
            "text": text,
        })
    }
}

/// The phase that had begun before the run was followed, and when: the first one does not wait.
fn at_work(state: &RunState) -> Option<(PhaseKind, Timestamp)> {
    let phase = state.phases.iter().find(|phase| phase.status == PhaseStatus::Running)?;
    let since = SignedDuration::from_micros(i64::try_from(phase.started_us?).ok()?);
    Some((phase.kind, state.created?.checked_add(since).ok()?))
}

struct Server {
    client: Client,
    url: String,
    token: Secret,
}

impl Server {
    fn new(settings: &Grafana) -> Result<Self, String> {
        let client = client::anywhere().timeout(PATIENCE).build();
        Ok(Self {
            client: client.map_err(|error| error.to_string())?,
            url: format!("{}/api/annotations", settings.url.trim_end_matches('/')),
            token: settings.token.read().map_err(|error| error.to_string())?,
        })
    }

    async fn post_all(&self, annotations: Vec<Value>) {
        for annotation in annotations {
            if let Err(reason) = self.post(&annotation).await {
                log::warn!("not marked in Grafana: {reason}");
            }
        }
    }

    async fn post(&self, annotation: &Value) -> Result<(), String> {
        let mut last = String::new();
        for attempt in 0..TRIES {
            tokio::time::sleep(Duration::from_secs(u64::from(attempt))).await;
            let request = self.client.post(&self.url).bearer_auth(self.token.expose());
            match request.json(annotation).send().await {
                Ok(answer) if answer.status().is_success() => return Ok(()),
                Ok(answer) => {
                    last = format!("status {}", answer.status().as_u16());
                    if answer.status().is_client_error() {
                        break;
                    }
                }
                Err(error) => last = error.without_url().to_string(),
            }
        }
        Err(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::event::{EVENT_VERSION, PhaseOutcome, Verdict};
    use crate::run::state::PhaseState;

    #[test]
    fn a_phase_that_had_begun_before_the_run_was_followed_is_marked_from_its_beginning() {
        let mut phase = PhaseState::new(PhaseKind::Mixed);
        (phase.status, phase.started_us) = (PhaseStatus::Running, Some(2_000_000));
        let created = Timestamp::from_second(10).ok();
        let state = RunState { created, phases: vec![phase], ..RunState::default() };
        let outcome = PhaseOutcome::new(Verdict::Pass, "fine");
        let finished = event(30, Some(PhaseKind::Mixed), EventBody::PhaseFinished { outcome });
        let mark = Marks::new(&state, &[]).hear(&finished).remove(0);
        assert_eq!((&mark["time"], &mark["timeEnd"]), (&json!(12_000), &json!(30_000)));
    }

    fn event(second: i64, phase: Option<PhaseKind>, body: EventBody) -> Event {
        let wall = Timestamp::from_second(second).expect("in range");
        Event { v: EVENT_VERSION, seq: 1, at_us: 0, wall, phase, body }
    }

    #[test]
    fn phases_and_faults_become_regions() {
        let mut marks = Marks::new(&RunState::default(), &["team".into()]);
        let chaos = Some(PhaseKind::Chaos);
        assert!(
            marks.hear(&event(10, chaos, EventBody::PhaseStarted { planned_us: 1 })).is_empty()
        );
        let injecting = ChaosEvent::Injecting {
            fault: "kill <chat>".into(),
            undo: String::new(),
            expected: None,
            lasts_us: 0,
        };
        marks.hear(&event(12, chaos, EventBody::Chaos(injecting)));
        let healed = ChaosEvent::Healed { took_us: 1, residue: vec![] };
        let fault = marks.hear(&event(20, chaos, EventBody::Chaos(healed))).remove(0);
        assert_eq!((&fault["time"], &fault["timeEnd"]), (&json!(12_000), &json!(20_000)));
        assert_eq!(fault["text"], "kill &lt;chat>");
        let outcome = PhaseOutcome::new(Verdict::Pass, "fine");
        let phase = marks.hear(&event(30, chaos, EventBody::PhaseFinished { outcome })).remove(0);
        assert_eq!(phase["tags"], json!(["shakedown", "chaos", "", "team"]));
        assert!(marks.end(Timestamp::UNIX_EPOCH).is_empty());
    }
}
