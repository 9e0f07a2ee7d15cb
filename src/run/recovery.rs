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
    /// Why that end could not be written into its journal; none where it was, or had not to be.
    pub unwritten: Option<JournalError>,
    /// Bytes at the end of its journal that are no events, and count for nothing.
    pub garbage_bytes: u64,
}

impl RecordedRun {
    /// The state, to be added to: its end has to be in the journal first.
    ///
    /// # Errors
    /// When that could not be written.
    pub fn on_record(self) -> Result<RunState, JournalError> {
        self.unwritten.map_or(Ok(self.state), Err)
    }
}

/// Reads a run from its journal. One whose engine is gone without an end is given one.
///
/// # Errors
/// When the journal cannot be read.
pub fn open(folder: &RunFolder, judge: &dyn Judge) -> Result<RecordedRun, RecoveryError> {
    let recorded = journal::read(folder.path())?;
    let mut run = RecordedRun {
        state: recorded.state,
        alive: false,
        interrupted: false,
        unwritten: None,
        garbage_bytes: recorded.garbage_bytes,
    };
    if run.state.verdict.is_some() {
        return Ok(run);
    }
    // Held while the end is written, so that only one reader does it, and none beside an engine.
    let guard = match folder.claim() {
        Ok(guard) => guard,
        Err(FolderError::Busy(_)) => {
            // What looks torn is an event that is being written.
            (run.alive, run.garbage_bytes) = (true, 0);
            return Ok(run);
        }
        Err(error) => return Err(error.into()),
    };
    (run.state, run.unwritten) = close(folder, judge)?;
    run.interrupted = true;
    drop(guard);
    Ok(run)
}

/// Gives a run its end, and says why that is not in its journal where it is not: the disk that ended the
/// run may be full still.
fn close(
    folder: &RunFolder,
    judge: &dyn Judge,
) -> Result<(RunState, Option<JournalError>), JournalError> {
    // Read again: the engine may have written its end between the first look and the claim.
    let mut recorded = journal::read(folder.path())?;
    if recorded.state.verdict.is_some() {
        return Ok((recorded.state, None));
    }
    socket::remove(folder.path());
    let state = &mut recorded.state;
    let mut events = repaired(state, recorded.garbage_bytes);
    // The last evaluation was a live one: it knows nothing of what was measured after it.
    let objectives = judge.objectives(state);
    events.push(told(state, None, EventBody::ObjectivesEvaluated { objectives }));
    let verdict = verdict::of_interrupted(state);
    events.push(told(state, None, EventBody::RunFinished { verdict }));
    let written = write(folder, recorded.good_bytes, &events);
    Ok((recorded.state, written.err()))
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
    let mut events = repaired(state, garbage_bytes);
    events.push(told(state, Some(phase), body));
    Ok(write(folder, good_bytes, &events)?)
}

/// What there is to say of garbage that is cut away: what stood behind it would be read by nobody.
fn repaired(state: &mut RunState, garbage_bytes: u64) -> Vec<Event> {
    let cut = EventBody::JournalRepaired { cut_bytes: garbage_bytes };
    if garbage_bytes > 0 { vec![told(state, None, cut)] } else { Vec::new() }
}

/// The next event of a run whose engine is gone.
fn told(state: &mut RunState, phase: Option<PhaseKind>, body: EventBody) -> Event {
    let event = Event {
        v: EVENT_VERSION,
        seq: state.seq + 1,
        at_us: state.now_us,
        wall: Timestamp::now(),
        phase,
        body,
    };
    state.apply(&event);
    event
}

fn write(folder: &RunFolder, good_bytes: u64, events: &[Event]) -> Result<(), JournalError> {
    let mut journal = Journal::reopen(folder.path(), good_bytes)?;
    events.iter().try_for_each(|event| journal.append(event, true))
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
    async fn an_end_that_cannot_be_written_is_told_all_the_same() {
        use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
        use std::io::Write as _;
        use std::os::fd::AsRawFd as _;

        let temp = tempfile::tempdir().expect("temporary folder");
        let folder = RunFolder::create(temp.path()).expect("created");
        recorded(&folder);
        // A journal to which nobody can add anything, whoever he is.
        let path = folder.path().join(journal::JOURNAL_FILE);
        let whole = std::fs::read(&path).expect("readable");
        let sealed = memfd_create("journal", MemfdFlags::ALLOW_SEALING).expect("memory");
        let mut sealed = std::fs::File::from(sealed);
        sealed.write_all(&whole).expect("written");
        fcntl_add_seals(&sealed, SealFlags::WRITE | SealFlags::GROW).expect("sealed");
        std::fs::remove_file(&path).expect("removed");
        let place = format!("/proc/self/fd/{}", sealed.as_raw_fd());
        std::os::unix::fs::symlink(place, &path).expect("linked");

        let run = open(&folder, &NoJudge).expect("readable");
        assert!(run.interrupted && run.unwritten.is_some());
        assert_eq!(run.state.verdict.map(|v| v.verdict), Some(Verdict::Aborted));
        assert_eq!(std::fs::read(&path).expect("readable"), whole, "nothing was added");
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
