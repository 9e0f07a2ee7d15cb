//! What happens to a target from its fault until it is well again, and what each moment is known from.

use serde::{Deserialize, Serialize};

/// What can happen to a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MomentKind {
    /// The fault was injected.
    Injected,
    /// Its process ended.
    Died,
    /// A probe failed for the first time.
    Detected,
    /// Its own health check passes.
    Healthy,
    /// Fresh connections get through again after a cut.
    Reconnected,
    /// Its process runs again.
    Started,
    /// A probe was answered for the first time after a failure.
    FirstSuccess,
    /// The fault was undone.
    Healed,
    /// The first of five good probes in a row.
    Stable,
}

impl MomentKind {
    /// The words for it.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Injected => "injected",
            Self::Died => "died",
            Self::Detected => "detected",
            Self::Started => "started",
            Self::Healthy => "healthy",
            Self::Reconnected => "reconnected",
            Self::FirstSuccess => "first success",
            Self::Healed => "healed",
            Self::Stable => "stable",
        }
    }
}

/// What a moment is known from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MomentSource {
    /// The run did it itself.
    Act,
    /// The runtime's own stream of events told it, with the time at which it happened.
    Event,
    /// The target was looked at, and was found so: it happened since the look before.
    Inspect,
    /// A probe of a service was answered, or failed.
    Probe,
    /// The helper that held the fault measured it.
    Helper,
    /// One that this version does not know.
    #[serde(other)]
    Unknown,
}

impl MomentSource {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Act => "act",
            Self::Event => "event",
            Self::Inspect => "inspect",
            Self::Probe => "probe",
            Self::Helper => "helper",
            Self::Unknown => "unknown",
        }
    }
}

/// What a moment is known from, in brackets behind it; nothing where that was not told.
pub fn known_from(source: Option<&str>) -> String {
    source.map_or_else(String::new, |source| format!(" ({source})"))
}

/// Something that happened to a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "WrittenMoment")]
pub struct Moment {
    /// What.
    pub kind: MomentKind,
    /// When, microseconds since the run was created.
    pub at_us: u64,
    /// What it is known from; none in a journal from before that was told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<MomentSource>,
}

impl Moment {
    /// What happened so long after `origin_us`, and in brackets what it is known from.
    pub fn words(&self, origin_us: u64) -> String {
        let after = self.at_us.saturating_sub(origin_us) as f64 / 1e6;
        let source = known_from(self.source.map(MomentSource::word));
        format!("{} {after:.1} s{source}", self.kind.words())
    }
}

/// Journals of earlier versions have a moment as a pair, without its source.
#[derive(Deserialize)]
#[serde(untagged)]
enum WrittenMoment {
    Pair(MomentKind, u64),
    Told { kind: MomentKind, at_us: u64, source: Option<MomentSource> },
}

impl From<WrittenMoment> for Moment {
    fn from(written: WrittenMoment) -> Self {
        match written {
            WrittenMoment::Pair(kind, at_us) => Self { kind, at_us, source: None },
            WrittenMoment::Told { kind, at_us, source } => Self { kind, at_us, source },
        }
    }
}

/// Moments of one target, in the order in which they happened.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Timeline {
    /// Name of the target.
    pub target: String,
    /// What happened.
    pub moments: Vec<Moment>,
}

impl Timeline {
    /// Takes in a moment, which may be known only after a later one.
    pub fn add(&mut self, moment: Moment) {
        let at = self.moments.partition_point(|other| other.at_us <= moment.at_us);
        self.moments.insert(at, moment);
    }

    /// When something happened first, microseconds since the run was created.
    pub fn at(&self, kind: MomentKind) -> Option<u64> {
        self.moments.iter().find(|moment| moment.kind == kind).map(|moment| moment.at_us)
    }

    /// When its first moment was, microseconds since the run was created; 0 without any.
    pub fn origin_us(&self) -> u64 {
        self.moments.first().map_or(0, |moment| moment.at_us)
    }

    /// How the target was at that time: by its last moment until then. That a probe failed says nothing of
    /// that: it may have been asked before the target was started again.
    pub fn stood_at(&self, at_us: u64) -> Option<MomentKind> {
        let told = self.moments.iter().filter(|moment| moment.kind != MomentKind::Detected);
        let before = told.filter(|moment| moment.at_us <= at_us);
        before.max_by_key(|moment| moment.at_us).map(|moment| moment.kind)
    }
}

/// One life of a target, as its runtime tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Life {
    /// Its main process, as its machine numbers it; none when it did not run.
    pub pid: Option<u32>,
    /// When it was started.
    pub started: String,
    /// How often its restart policy had started it.
    pub restarts: u64,
}

impl Life {
    fn words(&self) -> String {
        let pid = self.pid.map_or_else(|| "none".into(), |pid| pid.to_string());
        format!("pid {pid}, started {}, restart count {}", self.started, self.restarts)
    }
}

/// The life of a target that was killed, and the one after it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lives {
    /// Name of the target.
    pub target: String,
    /// The life that was ended.
    pub before: Life,
    /// The last one that was seen afterwards; none when none was.
    pub after: Option<Life>,
}

impl Lives {
    /// Both in words.
    pub fn words(&self) -> String {
        let before = format!("the process of {} ended: {}", self.target, self.before.words());
        match &self.after {
            Some(after) => format!("{before}; then {}", after.words()),
            None => format!("{before}; no other was seen"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_of_earlier_journals_are_read_and_new_ones_keep_their_source() {
        let written = r#"{"target":"chat","moments":[["died",5],
            {"kind":"stable","at_us":2000005,"source":"probe"},
            {"kind":"healed","at_us":9,"source":"of another version"}]}"#;
        let timeline: Timeline = serde_json::from_str(written).expect("understood");
        let words: Vec<String> = timeline.moments.iter().map(|moment| moment.words(5)).collect();
        assert_eq!(words, ["died 0.0 s", "stable 2.0 s (probe)", "healed 0.0 s (unknown)"]);
        let again = serde_json::to_string(&timeline).expect("JSON");
        assert_eq!(serde_json::from_str::<Timeline>(&again).expect("understood"), timeline);
        assert_eq!(timeline.stood_at(8), Some(MomentKind::Died));
        assert_eq!(timeline.stood_at(4), None);
    }

    #[test]
    fn a_probe_that_fails_late_does_not_break_a_target_anew() {
        let mut timeline = Timeline::default();
        for (kind, at_us) in
            [(MomentKind::Died, 5), (MomentKind::Started, 7), (MomentKind::Detected, 8)]
        {
            timeline.add(Moment { kind, at_us, source: None });
        }
        assert_eq!(timeline.stood_at(9), Some(MomentKind::Started));
    }

    #[test]
    fn moments_stand_in_the_order_in_which_they_happened() {
        let mut timeline = Timeline::default();
        for (kind, at_us) in
            [(MomentKind::Injected, 5), (MomentKind::Healthy, 9), (MomentKind::FirstSuccess, 7)]
        {
            timeline.add(Moment { kind, at_us, source: None });
        }
        let at: Vec<u64> = timeline.moments.iter().map(|moment| moment.at_us).collect();
        assert_eq!(at, [5, 7, 9]);
    }
}
