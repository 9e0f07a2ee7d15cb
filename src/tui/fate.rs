//! What becomes of a run that its operator leaves.

use std::fmt;

use super::app::App;
use crate::config::OnDetach;
use crate::run::state::RunStatus;

/// What it does when this dashboard goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It goes on to its end.
    GoesOn,
    /// It goes on, until something destructive is next.
    Holds,
    /// Nothing has been started, and that stays so.
    Waits,
    /// It aborts.
    Aborts,
}

impl Fate {
    /// What becomes of the run that a dashboard shows.
    pub(super) fn of(app: &App) -> Self {
        // Who only watches is not counted, and changes nothing by leaving.
        let others_watch = app.client.read_only || app.state.operators > 1;
        match (app.on_detach, &app.state.status) {
            (OnDetach::Abort, _) if !others_watch => Self::Aborts,
            // Before it was heard of, it may have begun already.
            (_, RunStatus::Ready) if app.state.identity.is_some() => Self::Waits,
            (OnDetach::Hold, _) if !others_watch => Self::Holds,
            _ => Self::GoesOn,
        }
    }
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::GoesOn => "the run goes on",
            Self::Holds => "the run goes on, and holds before the next destructive phase",
            Self::Waits => "the plan waits ten minutes",
            Self::Aborts => "nobody watches then, and the run aborts",
        })
    }
}
