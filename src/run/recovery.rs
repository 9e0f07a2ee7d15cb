//! Runs whose engine died: the journal is cut to its last whole event and brought to an end, so that
//! from then on it is the journal of an ordinary aborted run.

use jiff::Timestamp;

use super::assembly::Judge;
use super::event::{EVENT_VERSION, Event, EventBody};
use super::folder::{FolderError, RunFolder};
use super::journal::{self, Journal, JournalError};
use super::socket;
use super::state::RunState;
use super::verdict;
use crate::config::PhaseKind;

/// Why a recorded run cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    /// The journal cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The folder cannot be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
}

/// A run as its journal tells it.
#[derive(Debug)]
pub struct RecordedRun {
    /// The state at its end, or up to now when its engine is alive.
    pub state: RunState,
    /// Whether an engine is at work on it.
    pub alive: bool,
    /// Whether it was found without an end just now.
    pub interrupted: bool,
    /// Bytes at the end of its journal that are no events, and count for nothing.
    pub garbage_bytes: u64,
}

/// Reads a run from its journal. One whose engine is gone without an end is given one.
///
/// # Errors
/// When the journal cannot be read, or its end not be written.
pub fn open(folder: &RunFolder, judge: &dyn Judge) -> Result<RecordedRun, RecoveryError> {
    let recorded = journal::read(folder.path())?;
    let garbage_bytes = recorded.garbage_bytes;
    let (state, interrupted) = (recorded.state, false);
    if state.verdict.is_some() {
        return Ok(RecordedRun { state, alive: false, interrupted, garbage_bytes });
    }
    // Held while the end is written, so that only one reader does it, and none beside an engine.
    let guard = match folder.claim() {
        Ok(guard) => guard,
        Err(FolderError::Busy(_)) => {
            // What looks torn is an event that is being written.
            return Ok(RecordedRun { state, alive: true, interrupted, garbage_bytes: 0 });
        }
        Err(error) => return Err(error.into()),
    };
    let state = close(folder, judge)?;
    drop(guard);
    Ok(RecordedRun { state, alive: false, interrupted: true, garbage_bytes })
}

fn close(folder: &RunFolder, judge: &dyn Judge) -> Result<RunState, JournalError> {
    // Read again: the engine may have written its end between the first look and the claim.
    let mut recorded = journal::read(folder.path())?;
    if recorded.state.verdict.is_some() {
        return Ok(recorded.state);
    }
    socket::remove(folder.path());
    let state = &mut recorded.state;
    let mut journal = reopen(folder, state, recorded.good_bytes, recorded.garbage_bytes)?;
    // The last evaluation was a live one: it knows nothing of what was measured after it.
    let objectives = judge.objectives(state);
    append(&mut journal, state, None, EventBody::ObjectivesEvaluated { objectives })?;
    let verdict = verdict::of_interrupted(state);
    append(&mut journal, state, None, EventBody::RunFinished { verdict })?;
    Ok(recorded.state)
}

/// Adds to the story of a run that is over what was done about it afterwards.
///
/// # Errors
/// When the journal cannot be written, or an engine is at work on the run.
pub fn add(
    folder: &RunFolder,
    state: &mut RunState,
    phase: PhaseKind,
    body: EventBody,
) -> Result<(), RecoveryError> {
    let _guard = folder.claim()?;
    let (good_bytes, garbage_bytes) = journal::for_each_event(folder.path(), |_| {})?;
    let mut journal = reopen(folder, state, good_bytes, garbage_bytes)?;
    Ok(append(&mut journal, state, Some(phase), body)?)
}

/// The journal of an engine that is gone, ready to be appended to: what stood behind garbage would be
/// read by nobody.
fn reopen(
    folder: &RunFolder,
    state: &mut RunState,
    good_bytes: u64,
    garbage_bytes: u64,
) -> Result<Journal, JournalError> {
    let mut journal = Journal::reopen(folder.path(), good_bytes)?;
    if garbage_bytes > 0 {
        let repaired = EventBody::JournalRepaired { cut_bytes: garbage_bytes };
        append(&mut journal, state, None, repaired)?;
    }
    Ok(journal)
}

fn append(
    journal: &mut Journal,
    state: &mut RunState,
    phase: Option<PhaseKind>,
    body: EventBody,
) -> Result<(), JournalError> {
    let event = Event {
        v: EVENT_VERSION,
        seq: state.seq + 1,
        at_us: state.now_us,
        wall: Timestamp::now(),
        phase,
        body,
    };
    state.apply(&event);
    journal.append(&event, true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Criteria, Environment, PhaseKind, Phases};
    use crate::run::clock::RunClock;
    use crate::run::event::{LogLevel, RunIdentity, Verdict};
    use crate::run::plan::{Plan, Scope};
    use crate::run::recorder::EventSink;
    use crate::run::state::RunStatus;

    struct NoJudge;

    impl Judge for NoJudge {
        fn objectives(&self, _: &RunState) -> Vec<crate::run::event::Objective> {
            Vec::new()
        }
    }

    fn recorded(folder: &RunFolder) {
        let journal = Journal::create(folder.path()).expect("new journal");
        let events = EventSink::new(RunClock::start(), journal);
        events.emit(EventBody::RunCreated {
            identity: Box::new(RunIdentity::new(folder.id(), "t", Environment::Sandbox)),
            plan: Plan::new(&Phases::default(), &Scope::Full, &[]),
            criteria: Criteria::default(),
            promises: None,
        });
        events.emit(EventBody::RunStarted {});
        events.for_phase(PhaseKind::Mixed).emit(EventBody::PhaseStarted { planned_us: 5 });
        let message = "some text\u{7}".repeat(20);
        events.emit(EventBody::Log { level: LogLevel::Info, target: "t".into(), message });
    }

    #[tokio::test]
    async fn a_journal_cut_at_any_byte_still_tells_its_run() {
        let temp = tempfile::tempdir().expect("temporary folder");
        let whole = RunFolder::create(temp.path()).expect("created");
        recorded(&whole);
        let bytes = std::fs::read(whole.path().join(journal::JOURNAL_FILE)).expect("readable");
        for end in (0..bytes.len()).step_by(7).chain([bytes.len()]) {
            let folder = RunFolder::create(temp.path()).expect("created");
            let file = folder.path().join(journal::JOURNAL_FILE);
            std::fs::write(&file, &bytes[..end]).expect("written");
            let run = open(&folder, &NoJudge).expect("readable");
            assert!(run.interrupted && !run.alive, "cut at {end}");
            assert_eq!(run.state.status, RunStatus::Finished);
            assert_eq!(run.state.verdict.as_ref().map(|v| v.verdict), Some(Verdict::Aborted));
            let again = open(&folder, &NoJudge).expect("readable");
            assert!(!again.interrupted, "ended once, cut at {end}");
            assert_eq!(again.state, run.state, "cut at {end}");
        }
    }

    #[tokio::test]
    async fn garbage_is_reported_and_never_fatal() {
        let temp = tempfile::tempdir().expect("temporary folder");
        let folder = RunFolder::create(temp.path()).expect("created");
        recorded(&folder);
        let file = folder.path().join(journal::JOURNAL_FILE);
        let mut bytes = std::fs::read(&file).expect("readable");
        let garbage = b"\0\xff not json\n{\"seq\":9}\n";
        bytes.extend_from_slice(garbage);
        std::fs::write(&file, bytes).expect("written");
        let length = garbage.len() as u64;
        let run = open(&folder, &NoJudge).expect("readable");
        assert_eq!((run.state.journal_cut_bytes, run.garbage_bytes), (length, length));

        let mut bytes = std::fs::read(&file).expect("readable");
        bytes.extend_from_slice(garbage);
        std::fs::write(&file, bytes).expect("written");
        let again = open(&folder, &NoJudge).expect("readable");
        assert_eq!((again.interrupted, again.garbage_bytes), (false, length), "after its end, too");
        assert_eq!(again.state, run.state);

        let message = "what was left is gone".to_owned();
        let body = EventBody::Log { level: LogLevel::Info, target: "t".into(), message };
        let mut state = again.state;
        add(&folder, &mut state, PhaseKind::Mixed, body).expect("added");
        let added = open(&folder, &NoJudge).expect("readable");
        assert_eq!(added.garbage_bytes, 0, "what is added later stands before no garbage");
        assert_eq!(added.state, state);
        assert_eq!(added.state.journal_cut_bytes, 2 * length);
    }

    #[tokio::test]
    async fn an_event_of_a_newer_version_keeps_its_place() {
        let temp = tempfile::tempdir().expect("temporary folder");
        let folder = RunFolder::create(temp.path()).expect("created");
        recorded(&folder);
        let file = folder.path().join(journal::JOURNAL_FILE);
        let mut text = std::fs::read_to_string(&file).expect("readable");
        text.push_str(concat!(
            r#"{"v":9,"seq":5,"at_us":9,"wall":"2026-01-01T00:00:00Z","body":{"type":"moon_phase"}}"#,
            "\n",
            r#"{"v":9,"seq":6,"at_us":9,"wall":"2026-01-01T00:00:00Z","body":{"type":"load","load":"new"}}"#,
            "\n"
        ));
        std::fs::write(&file, text).expect("written");
        let state = open(&folder, &NoJudge).expect("readable").state;
        assert_eq!((state.journal_cut_bytes, state.seq), (0, 8));
    }
}
