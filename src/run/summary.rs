//! What a list of runs says of one, kept beside the journal so that a list need not read journals of
//! many megabytes. It can be made again at any time: the journal is the truth.

use std::fs;
use std::time::SystemTime;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::event::{EventBody, RunVerdict};
use super::folder::{RunFolder, write_atomically};
use super::journal::{self, JOURNAL_FILE};
use super::state::{RunState, RunStatus};

/// So much of a journal is read for the state that a run is in: the events of minutes.
const TAIL_BYTES: u64 = 256 * 1024;
const SUMMARY_FILE: &str = "summary.json";

/// What a list says of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunSummary {
    /// Name of the target.
    pub target: String,
    /// Name of the plan.
    pub plan: String,
    /// From its creation to its last event, seconds.
    pub seconds: u64,
    /// How it ended; none before.
    pub verdict: Option<RunVerdict>,
    /// Whether anything was started.
    #[serde(default = "started")]
    pub started: bool,
}

/// Summaries that were kept before this was asked are of runs that were started.
const fn started() -> bool {
    true
}

/// A summary as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    /// Length of the journal that it sums up. One of another length has been written to since.
    journal_bytes: u64,
    summary: RunSummary,
}

impl RunSummary {
    /// Sums up a run: from what was kept, else, while it goes on, from the first event of its journal,
    /// else from all of it. None without a journal.
    pub fn of(run: &RunFolder) -> Option<Self> {
        let (bytes, _) = journal_file(run)?;
        let kept = fs::read(run.path().join(SUMMARY_FILE)).ok();
        let kept = kept.and_then(|text| serde_json::from_slice::<Kept>(&text).ok());
        if let Some(kept) = kept.filter(|kept| kept.journal_bytes == bytes) {
            return Some(kept.summary);
        }
        if run.has_live_engine() {
            return Self::begun(run);
        }
        let state = journal::read(run.path()).ok()?.state;
        Self::keep(run, &state);
        Some(Self::of_state(&state))
    }

    /// Keeps the summary of a run, to be found by [`Self::of`]. Without it lists are slower, so an
    /// error is nobody's concern.
    pub fn keep(run: &RunFolder, state: &RunState) {
        let Some((journal_bytes, _)) = journal_file(run) else { return };
        let kept = Kept { journal_bytes, summary: Self::of_state(state) };
        if let Ok(text) = serde_json::to_vec_pretty(&kept) {
            let _ = write_atomically(&run.path().join(SUMMARY_FILE), &text);
        }
    }

    /// In which state a run is that goes on, by the end of its journal. What says nothing of it is
    /// written by a run at work.
    pub fn standing(run: &RunFolder) -> RunStatus {
        let mut state = RunState { status: RunStatus::Running, ..RunState::default() };
        journal::last_events(run.path(), TAIL_BYTES).iter().for_each(|event| state.apply(event));
        state.status
    }

    fn of_state(state: &RunState) -> Self {
        Self {
            target: state.identity.as_ref().map_or_else(unknown, |i| i.target.clone()),
            plan: state.plan.as_ref().map_or_else(unknown, |plan| plan.name.clone()),
            seconds: state.now_us / 1_000_000,
            verdict: state.verdict.clone(),
            started: state.started_us.is_some(),
        }
    }

    /// Sums up a run by the first event of its journal, without its end. None without one.
    pub fn begun(run: &RunFolder) -> Option<Self> {
        let (_, modified) = journal_file(run)?;
        let event = journal::first_event(run.path())?;
        let EventBody::RunCreated { identity, plan, .. } = event.body else { return None };
        let last = Timestamp::try_from(modified).ok()?;
        let seconds = last.duration_since(event.wall).as_secs();
        Some(Self {
            target: identity.target,
            plan: plan.name,
            seconds: u64::try_from(seconds).unwrap_or(0),
            verdict: None,
            started: true,
        })
    }
}

fn unknown() -> String {
    "?".to_owned()
}

fn journal_file(run: &RunFolder) -> Option<(u64, SystemTime)> {
    let metadata = fs::metadata(run.path().join(JOURNAL_FILE)).ok()?;
    Some((metadata.len(), metadata.modified().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Criteria, Environment, Phases};
    use crate::run::clock::RunClock;
    use crate::run::event::{LogLevel, RunIdentity, Verdict};
    use crate::run::plan::{Plan, Scope};
    use crate::run::recorder::EventSink;

    fn begun(run: &RunFolder) -> EventSink {
        let journal = journal::Journal::create(run.path()).expect("new journal");
        let events = EventSink::new(RunClock::start(), journal);
        events.emit(EventBody::RunCreated {
            identity: Box::new(RunIdentity::new(run.id(), "staging", Environment::Staging)),
            plan: Plan::new(&Phases::default(), &Scope::Quick, &[]),
            criteria: Criteria::default(),
            promises: None,
        });
        events
    }

    #[tokio::test]
    async fn a_run_is_summed_up_while_it_goes_on_and_after_its_end() {
        let temp = tempfile::tempdir().expect("temporary folder");
        let run = RunFolder::create(temp.path()).expect("created");
        assert_eq!(RunSummary::of(&run), None, "there is no journal yet");
        let engine = run.claim().expect("free");
        let events = begun(&run);
        let summary = RunSummary::of(&run).expect("there");
        assert_eq!((summary.target.as_str(), summary.plan.as_str()), ("staging", "quick"));
        assert_eq!((summary.verdict, summary.started), (None, true));
        assert_eq!(RunSummary::standing(&run), RunStatus::Running);
        events.emit(EventBody::Ready {});
        assert_eq!(RunSummary::standing(&run), RunStatus::Ready);
        events.emit(EventBody::Held { reason: "nobody watches".into() });
        assert_eq!(RunSummary::standing(&run).to_string(), "held: nobody watches");
        let message = "much is told".repeat(400);
        for _ in 0..=TAIL_BYTES / message.len() as u64 {
            let message = message.clone();
            events.emit(EventBody::Log { level: LogLevel::Info, target: "t".into(), message });
        }
        assert_eq!(RunSummary::standing(&run), RunStatus::Running);
        let verdict = RunVerdict { verdict: Verdict::Pass, reasons: vec![], without: vec![] };
        events.emit(EventBody::RunFinished { verdict: verdict.clone() });
        drop(engine);
        let over = RunSummary::of(&run).expect("there");
        assert_eq!(
            (over.verdict, over.started),
            (Some(verdict), false),
            "nothing was started in it"
        );

        // What was kept is taken, as long as it is about this journal.
        let file = run.path().join(SUMMARY_FILE);
        let kept = fs::read_to_string(&file).expect("kept").replace("quick", "another");
        fs::write(&file, kept).expect("written");
        assert_eq!(RunSummary::of(&run).expect("there").plan, "another");
        let message = "later".into();
        events.emit(EventBody::Log { level: LogLevel::Info, target: "t".into(), message });
        assert_eq!(RunSummary::of(&run).expect("there").plan, "quick");
    }
}
