//! Load of a test's own making, as a run would have measured it.

use super::*;
use crate::config::{PhaseKind, ServiceKind};
use crate::run::event::{
    ErrorKind, Event, EventBody, IntervalReport, LoadEvent, Measurements, SeriesInterval, SeriesKey,
};
use crate::run::state::{PhaseState, RunState};

/// A run of mixed load that has measured nothing yet.
pub(super) fn run_of(promises: SloDefinitions) -> RunState {
    let mut state = RunState { promises: Some(Box::new(promises)), ..RunState::default() };
    state.phases = vec![PhaseState::new(PhaseKind::Mixed)];
    state
}

/// So many seconds that end at a second, in which chat was asked so often, answered within so many
/// microseconds, and timed out so often.
pub(super) fn measure(
    state: &mut RunState,
    (length, end): (u64, u64),
    (asked, took_us): (u64, u64),
    timed_out: u64,
) {
    let mut measured = Measurements::default();
    measured.response.record_us(took_us, asked);
    measured.errors = [(ErrorKind::Timeout, timed_out)].into();
    let key = SeriesKey {
        service: ServiceKind::Chat,
        scenario: "chat".into(),
        step: "completion".into(),
    };
    let interval = IntervalReport {
        length_us: length * 1_000_000,
        users: Default::default(),
        series: vec![SeriesInterval { key, measured }],
        iterations: Default::default(),
        generator: Default::default(),
    };
    state.apply(&Event {
        v: 1,
        seq: end,
        at_us: end * 1_000_000,
        wall: jiff::Timestamp::UNIX_EPOCH,
        phase: Some(PhaseKind::Mixed),
        body: EventBody::Load(LoadEvent::Interval(Box::new(interval))),
    });
}
