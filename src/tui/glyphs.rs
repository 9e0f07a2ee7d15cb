//! Every glyph with its ASCII form. None of them is an emoji.

use crate::run::event::Verdict;
use crate::run::state::{PhaseState, PhaseStatus};

/// The glyphs in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Glyphs {
    /// Only ASCII may be written.
    pub ascii: bool,
}

impl Glyphs {
    const fn pick(self, glyph: &'static str, ascii: &'static str) -> &'static str {
        if self.ascii { ascii } else { glyph }
    }

    /// A horizontal line.
    pub const fn rule(self) -> &'static str {
        self.pick("─", "-")
    }

    /// Done part of a progress bar.
    pub const fn done(self) -> &'static str {
        self.pick("━", "=")
    }

    /// Part of a progress bar that is still to come.
    pub const fn to_do(self) -> &'static str {
        self.pick("╌", ".")
    }

    /// Between two pieces of a line.
    pub const fn dot(self) -> &'static str {
        self.pick("·", "|")
    }

    /// A position or limit on an axis.
    pub const fn limit(self) -> &'static str {
        self.pick("┊", ":")
    }

    /// Something more that did not fit.
    pub const fn more(self) -> &'static str {
        self.pick("…", "~")
    }

    /// Something that goes on.
    pub const fn running(self) -> &'static str {
        self.pick("▶", ">")
    }

    /// Where a phase stands.
    pub const fn phase(self, status: PhaseStatus, verdict: Option<Verdict>) -> &'static str {
        match (status, verdict) {
            (PhaseStatus::Running, _) => self.running(),
            (_, Some(Verdict::Pass)) => self.pick("✓", "+"),
            (_, Some(Verdict::Fail | Verdict::Aborted)) => self.pick("✗", "x"),
            (_, Some(Verdict::Inconclusive | Verdict::Invalid)) => "?",
            (_, Some(Verdict::Skipped)) => "-",
            (PhaseStatus::Pending | PhaseStatus::Finished, None) => self.dot(),
        }
    }

    /// Where a phase of the plan stands; one that is left out looks the same before and after its turn.
    pub fn of(self, phase: &PhaseState) -> &'static str {
        let left_out = phase.status == PhaseStatus::Pending && phase.skip_requested;
        let verdict = phase.outcome.as_ref().map(|outcome| outcome.verdict);
        self.phase(phase.status, if left_out { Some(Verdict::Skipped) } else { verdict })
    }

    /// A column of a histogram, from nothing (0) to full (8).
    pub fn column(self, eighths: usize) -> &'static str {
        const BLOCKS: [&str; 9] = [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];
        const ASCII: [&str; 9] = [" ", ".", ".", ":", ":", "=", "=", "#", "#"];
        let columns = if self.ascii { ASCII } else { BLOCKS };
        columns[eighths.min(8)]
    }

    /// A text in which everything that is not ASCII has its ASCII form.
    pub fn text(self, text: &str) -> String {
        if !self.ascii {
            return text.to_owned();
        }
        text.replace('≥', ">=")
            .replace('×', "x")
            .replace('·', "|")
            .replace('…', "...")
            .chars()
            .map(|c| if c.is_ascii() { c } else { '?' })
            .collect()
    }
}
