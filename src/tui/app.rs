//! The dashboard's state: what the run is like, and how the operator looks at it.

use std::time::Duration;

use jiff::tz::TimeZone;
use tokio::time::Instant;

use super::glyphs::Glyphs;
use super::keymap::{Action, Binding, When};
use super::theme::Theme;
use super::view::LoadView;
use crate::config::{OnDetach, PhaseKind, ServiceKind};
use crate::run::client::{ClientUpdate, EngineClient};
use crate::run::control::CommandId;
use crate::run::event::{Event, EventBody, Finding, LoadEvent};
use crate::run::state::{PhaseState, RunState, RunStatus};

/// What somebody is told who only watches and presses a key that commands.
const ONLY_WATCHES: &str = "this dashboard only watches: commands are refused";
/// What is said of a command that nobody would hear.
const UNREACHABLE: &str = "the engine cannot be reached";
/// How long a notice stands.
const NOTICE_FOR: Duration = Duration::from_secs(6);

/// The panels, in the order of their keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Panel {
    /// Everything at a glance.
    #[default]
    Overview,
    /// Load in detail.
    Load,
    /// What is broken on purpose, and how that is borne.
    Chaos,
    /// The security audit.
    Security,
    /// The backup drill.
    Backup,
    /// Every objective, and the error budgets.
    Slo,
    /// The log.
    Log,
    /// The keys.
    Help,
}

impl Panel {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Overview,
        Self::Load,
        Self::Chaos,
        Self::Security,
        Self::Backup,
        Self::Slo,
        Self::Log,
        Self::Help,
    ];
}

/// How the dashboard reaches the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    /// Waiting; for what, in words.
    Connecting(String),
    /// Connected.
    Live,
    /// The run is over, and nothing more will come.
    Over,
    /// The engine is gone; why, in words.
    Lost(String),
}

/// What the bottom line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prompt {
    /// Leaving: detach or abort.
    Quit,
    /// Aborting the run.
    AbortRun,
    /// Aborting the phase.
    AbortPhase,
    /// Skipping the rest of this phase: something is broken on purpose, or it is the last.
    SkipPhase(PhaseKind),
    /// A remark.
    Annotate(String),
    /// Words that findings have to have.
    Filter(String),
    /// The name of a production target.
    Arm(String),
}

/// A question stays that long before it answers itself with no.
pub const PROMPT_FOR: Duration = Duration::from_secs(15);

/// The dashboard's state.
pub struct App {
    pub(super) client: EngineClient,
    /// The run, as the events tell it.
    pub state: RunState,
    /// What is drawn while the view is frozen.
    frozen: Option<Box<(RunState, LoadView)>>,
    /// Figures of the load phase, computed once an interval.
    live_load: LoadView,
    pub link: Link,
    pub theme: Theme,
    pub glyphs: Glyphs,
    pub panel: Panel,
    pub explain: bool,
    /// Page of the explanation.
    pub explain_page: usize,
    /// Page of help.
    pub help_page: usize,
    /// Page of the panel that is shown.
    pub panel_page: usize,
    pub selected_phase: usize,
    /// The objective that is selected in the SLO panel.
    pub objective: usize,
    /// The finding that is selected in the security panel, among those that pass the filter.
    pub finding: usize,
    /// Page of the detail of that finding; none for the list.
    pub finding_detail: Option<usize>,
    /// Findings without these words are left out; empty for all of them.
    pub finding_filter: String,
    pub service: usize,
    pub service_time: bool,
    /// The scenario that the keys for users and rates act on: 0 is all of them.
    pub scenario: usize,
    /// Whether the load phase before the latest one is looked at.
    pub earlier_load: bool,
    pub warnings_only: bool,
    /// Seconds of history shown; none for all.
    pub zoom: Option<u64>,
    pub prompt: Option<(Prompt, Instant)>,
    notice: Option<(String, Instant)>,
    sent: Vec<CommandId>,
    /// Whether the dashboard closes as soon as the run is over.
    pub closing: bool,
    /// Where the report is written.
    pub report: String,
    /// The zone in which times of day are shown.
    pub zone: TimeZone,
    /// What the run does when nobody watches it.
    pub on_detach: OnDetach,
    /// When the last event came, to let clocks run in between.
    heard: Instant,
}

impl App {
    /// A dashboard that has heard nothing yet.
    pub fn new(client: EngineClient, theme: Theme, glyphs: Glyphs) -> Self {
        Self {
            client,
            state: RunState::default(),
            frozen: None,
            live_load: LoadView::default(),
            link: Link::Connecting("connecting".into()),
            theme,
            glyphs,
            panel: Panel::default(),
            explain: false,
            explain_page: 0,
            help_page: 0,
            panel_page: 0,
            selected_phase: 0,
            objective: 0,
            finding: 0,
            finding_detail: None,
            finding_filter: String::new(),
            service: 0,
            service_time: false,
            scenario: 0,
            earlier_load: false,
            warnings_only: false,
            zoom: None,
            prompt: None,
            notice: None,
            sent: Vec::new(),
            closing: false,
            report: String::new(),
            zone: TimeZone::UTC,
            on_detach: OnDetach::Continue,
            heard: Instant::now(),
        }
    }

    /// The state to draw: the live one, or the frozen one.
    pub fn shown(&self) -> &RunState {
        self.frozen.as_ref().map_or(&self.state, |frozen| &frozen.0)
    }

    /// The load figures to draw.
    pub fn load(&self) -> &LoadView {
        self.frozen.as_ref().map_or(&self.live_load, |frozen| &frozen.1)
    }

    /// Whether the view is frozen.
    pub const fn is_frozen(&self) -> bool {
        self.frozen.is_some()
    }

    /// Freezes the view, or lets it live again.
    pub fn toggle_freeze(&mut self) {
        self.frozen = match self.frozen.take() {
            Some(_) => None,
            None => Some(Box::new((self.state.clone(), self.live_load.clone()))),
        };
    }

    /// Monotonic time of the run now, in microseconds; between events it is carried on.
    pub fn now_us(&self) -> u64 {
        match (&self.frozen, self.clocks_run()) {
            (Some(frozen), _) => frozen.0.now_us,
            (None, true) => self.state.now_us + self.heard.elapsed().as_micros() as u64,
            (None, false) => self.state.now_us,
        }
    }

    /// Whether time that is shown goes on between events.
    pub fn clocks_run(&self) -> bool {
        let moving = matches!(
            self.state.status,
            RunStatus::Running | RunStatus::Pausing | RunStatus::Resuming | RunStatus::Aborting(_)
        );
        moving && self.link == Link::Live && !self.is_frozen()
    }

    /// Takes in what the engine says; returns whether the operator should see it at once.
    pub fn hear(&mut self, update: ClientUpdate) -> bool {
        match update {
            ClientUpdate::Connecting(what) => self.link = Link::Connecting(what),
            ClientUpdate::Snapshot(state) => {
                self.heard = Instant::now();
                self.state = *state;
                self.link = if self.is_over() { Link::Over } else { Link::Live };
                self.refresh_load();
            }
            ClientUpdate::Event(event) => return self.hear_event(&event),
            ClientUpdate::ReadOnly { id } => {
                self.sent.retain(|sent| *sent != id);
                self.notify(ONLY_WATCHES);
            }
            ClientUpdate::Disconnected(reason) => self.link = Link::Lost(reason),
        }
        true
    }

    /// Nothing more will come from the engine.
    pub fn closed(&mut self) {
        if !matches!(self.link, Link::Lost(_)) {
            self.link = Link::Over;
        }
    }

    fn is_over(&self) -> bool {
        self.state.status == RunStatus::Finished
    }

    fn hear_event(&mut self, event: &Event) -> bool {
        self.heard = Instant::now();
        self.state.apply(event);
        match &event.body {
            EventBody::Load(LoadEvent::Interval(_)) => {
                self.refresh_load();
                false
            }
            EventBody::Log { .. }
            | EventBody::Health { .. }
            | EventBody::ObjectivesEvaluated { .. } => false,
            EventBody::CommandAccepted { id, .. } => {
                self.sent.retain(|sent| sent != id);
                true
            }
            EventBody::CommandRefused { id, reason, .. } if self.sent.contains(id) => {
                self.sent.retain(|sent| sent != id);
                self.notify(&format!("refused: {reason}"));
                true
            }
            EventBody::ReportWritten { path } => {
                // As it is seen from here, where it is the same: that fits the line.
                let own = !self.report.is_empty() && path.ends_with(&self.report);
                let path = if own { self.report.clone() } else { path.clone() };
                self.notify(&format!("report written: {path}"));
                true
            }
            EventBody::RunFinished { .. } => {
                self.refresh_load();
                true
            }
            _ => true,
        }
    }

    /// Computes the figures of the load phase that is looked at.
    pub fn refresh_load(&mut self) {
        self.live_load =
            load_phase(&self.state, self.earlier_load).map(LoadView::of).unwrap_or_default();
    }

    /// Looks at the load phase before the latest one, or back; says which, and where there is no other.
    pub fn switch_load(&mut self) {
        let before = self.load_phase().map(|phase| phase.kind);
        self.earlier_load = !self.earlier_load;
        self.refresh_load();
        if let Some(frozen) = &mut self.frozen {
            frozen.1 =
                load_phase(&frozen.0, self.earlier_load).map(LoadView::of).unwrap_or_default();
        }
        match self.load_phase().map(|phase| phase.kind) {
            Some(kind) if Some(kind) != before => self.notify(&format!("load figures of {kind}")),
            _ => {
                self.earlier_load = false;
                self.notify("there is no other load phase so far");
            }
        }
    }

    /// The load phase that is looked at.
    pub fn load_phase(&self) -> Option<&PhaseState> {
        load_phase(self.shown(), self.earlier_load)
    }

    /// Whether a key does something now: who only watches, or has lost the engine, may look around.
    pub fn works(&self, binding: &Binding) -> bool {
        let leaves_nothing = binding.action == Action::Detach && self.is_gone();
        binding.when.holds(&self.state) && !leaves_nothing && self.refusal(binding).is_none()
    }

    /// Why a key that commands the engine would do nothing; none where it does something.
    pub fn refusal(&self, binding: &Binding) -> Option<&'static str> {
        if binding.when == When::Always || binding.action == Action::Detach {
            return None;
        }
        if self.is_gone() {
            return Some(UNREACHABLE);
        }
        self.client.read_only.then_some(ONLY_WATCHES)
    }

    /// Whether the engine is not there any more.
    const fn is_gone(&self) -> bool {
        !matches!(self.link, Link::Live | Link::Connecting(_))
    }

    /// Sends a command, or says why it cannot be sent.
    pub fn send(&mut self, command: crate::run::control::Command) {
        // What was said about an earlier command is out of date now.
        self.notice = None;
        match self.client.send(command) {
            Some(id) => self.sent.push(id),
            None => self.notify(UNREACHABLE),
        }
    }

    /// Shows a few words for a while.
    pub fn notify(&mut self, text: &str) {
        self.notice = Some((text.to_owned(), Instant::now() + NOTICE_FOR));
    }

    /// The notice that stands now.
    pub fn notice(&self) -> Option<&str> {
        self.notice.as_ref().map(|(text, _)| text.as_str())
    }

    /// Asks something on the bottom line.
    pub fn ask(&mut self, prompt: Prompt) {
        self.prompt = Some((prompt, Instant::now() + PROMPT_FOR));
    }

    /// When a notice or question goes by itself.
    pub fn expires(&self) -> Option<Instant> {
        let notice = self.notice.as_ref().map(|(_, at)| *at);
        let prompt = self.prompt.as_ref().map(|(_, at)| *at);
        notice.into_iter().chain(prompt).min()
    }

    /// Lets go what has expired; returns whether anything has.
    pub fn expire(&mut self) -> bool {
        let now = Instant::now();
        let before = (self.notice.is_some(), self.prompt.is_some());
        self.notice.take_if(|(_, at)| *at <= now);
        self.prompt.take_if(|(_, at)| *at <= now);
        before != (self.notice.is_some(), self.prompt.is_some())
    }

    /// The phase that is selected in the plan.
    pub fn selected(&self) -> Option<PhaseKind> {
        let last = self.state.phases.len().checked_sub(1)?;
        self.state.phases.get(self.selected_phase.min(last)).map(|phase| phase.kind)
    }

    /// The scenario that the keys for users and rates act on; none for all of them.
    pub fn scenario_name(&self) -> Option<String> {
        let start = self.load_phase()?.load.as_ref()?.start.as_ref()?;
        let at = (self.scenario % (start.scenarios.len() + 1)).checked_sub(1)?;
        start.scenarios.get(at).map(|(name, _)| name.clone())
    }

    /// The findings that pass the filter, the worst first.
    pub fn findings(&self) -> Vec<&Finding> {
        let security = self.shown().phases.iter().find_map(|phase| phase.security.as_ref());
        let wanted = self.finding_filter.to_lowercase();
        let passes = |finding: &&Finding| {
            let severity = finding.severity.word();
            let novelty = finding.novelty.map_or("", |novelty| novelty.word());
            let accepted = if finding.suppressed.is_some() { "accepted" } else { "" };
            let (sure, rule) = (finding.confidence.word(), &finding.rule);
            let texts = [severity, sure, novelty, accepted, rule, &finding.title, &finding.place];
            let all = texts.join(" ").to_lowercase();
            wanted.split_whitespace().all(|word| all.contains(word))
        };
        security.map(|security| &security.findings).into_iter().flatten().filter(passes).collect()
    }

    /// The service that is selected in the load panel.
    pub fn selected_service(&self) -> Option<ServiceKind> {
        let services = &self.load().services;
        (!services.is_empty()).then(|| services[self.service % services.len()].service)
    }
}

/// The latest load phase, or the one before it where there is one.
fn load_phase(state: &RunState, earlier: bool) -> Option<&PhaseState> {
    let latest = state.latest_load()?;
    let before =
        state.phases.iter().find(|phase| phase.load.is_some() && phase.kind != latest.kind);
    before.filter(|_| earlier).or(Some(latest))
}
