//! A quantity that follows straight lines over time: users, or a rate of arrivals.

use std::time::Duration;

use crate::config::Stage;

/// Straight lines, one after the other.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve(Vec<Piece>);

/// One line.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Piece {
    /// Seconds from the start of the curve to that of the line.
    at: f64,
    /// Length in seconds, above 0.
    length: f64,
    from: f64,
    to: f64,
    /// Area below the lines before this one.
    area_before: f64,
}

impl Piece {
    fn value(&self, seconds: f64) -> f64 {
        self.from + (self.to - self.from) * (seconds / self.length).clamp(0.0, 1.0)
    }

    fn area(&self, seconds: f64) -> f64 {
        let seconds = seconds.clamp(0.0, self.length);
        (self.from + self.value(seconds)) / 2.0 * seconds
    }
}

impl Curve {
    /// The same value for a while.
    pub fn constant(value: f64, length: Duration) -> Self {
        Self::through(value, [(length, value)])
    }

    /// From `start` through the targets of stages, each divided by `unit`; lengths are multiplied by
    /// `stretch`.
    pub fn of_stages(start: f64, stages: &[Stage], unit: f64, stretch: f64) -> Self {
        let lines = stages
            .iter()
            .map(|stage| (stage.duration.get().mul_f64(stretch), f64::from(stage.target) / unit));
        Self::through(start / unit, lines)
    }

    fn through(start: f64, lines: impl IntoIterator<Item = (Duration, f64)>) -> Self {
        let (mut at, mut from, mut area) = (0.0, start, 0.0);
        let mut pieces = Vec::new();
        for (length, to) in lines {
            let length = length.as_secs_f64();
            // A line without length is a jump.
            if length > 0.0 {
                let piece = Piece { at, length, from, to, area_before: area };
                at += length;
                area += piece.area(length);
                pieces.push(piece);
            }
            from = to;
        }
        Self(pieces)
    }

    /// How long it is.
    pub fn length(&self) -> Duration {
        let end = self.0.last().map_or(0.0, |last| last.at + last.length);
        Duration::from_secs_f64(end)
    }

    /// Its value at a time; the last one after its end.
    pub fn value(&self, at: Duration) -> f64 {
        let seconds = at.as_secs_f64();
        let piece = self.0.iter().rev().find(|piece| piece.at <= seconds).or(self.0.first());
        piece.map_or(0.0, |piece| piece.value(seconds - piece.at))
    }

    /// Its values where its lines begin and end, in their order; equal ones in a row once.
    pub fn corners(&self) -> Vec<f64> {
        let mut corners: Vec<f64> =
            self.0.iter().flat_map(|piece| [piece.from, piece.to]).collect();
        corners.dedup();
        corners
    }

    /// Its highest value.
    pub fn highest(&self) -> f64 {
        self.0.iter().map(|piece| piece.from.max(piece.to)).fold(0.0, f64::max)
    }

    /// Area below it up to a time: how many arrivals of a rate.
    pub fn area(&self, to: Duration) -> f64 {
        let seconds = to.as_secs_f64();
        let piece = self.0.iter().rev().find(|piece| piece.at <= seconds);
        piece.map_or(0.0, |piece| piece.area_before + piece.area(seconds - piece.at))
    }

    /// When the area below it reaches a value; none when it never does.
    pub fn time_of(&self, area: f64) -> Option<Duration> {
        let within = |piece: &&Piece| piece.area_before + piece.area(piece.length) > area;
        let piece = self.0.iter().find(within)?;
        let rest = (area - piece.area_before).max(0.0);
        // from * s + (to - from) / (2 * length) * s^2 = rest, in the form that is stable near 0.
        let slope = (piece.to - piece.from) / piece.length;
        let root = (piece.from * piece.from + 2.0 * slope * rest).max(0.0).sqrt();
        let denominator = piece.from + root;
        let seconds = if denominator > 0.0 { 2.0 * rest / denominator } else { 0.0 };
        Some(Duration::from_secs_f64(piece.at + seconds.min(piece.length)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::TimeSpan;
    use proptest::prelude::*;

    fn stage(seconds: u64, target: u32) -> Stage {
        Stage { duration: TimeSpan::secs(seconds), target }
    }

    #[test]
    fn lines_jumps_and_areas() {
        let curve = Curve::of_stages(0.0, &[stage(10, 100), stage(0, 20), stage(5, 20)], 1.0, 1.0);
        let at = Duration::from_secs;
        assert_eq!(curve.length(), at(15));
        assert_eq!(
            (curve.value(at(5)), curve.value(at(12)), curve.value(at(99))),
            (50.0, 20.0, 20.0)
        );
        assert_eq!((curve.area(at(10)), curve.area(at(15))), (500.0, 600.0));
        assert_eq!(curve.time_of(125.0), Some(at(5)));
        assert_eq!(curve.time_of(600.0), None);
        let minute = Curve::of_stages(60.0, &[stage(60, 60)], 60.0, 2.0);
        assert_eq!((minute.value(at(3)), minute.length()), (1.0, at(120)));
    }

    proptest! {
        #[test]
        fn the_time_of_an_area_is_where_that_area_is(
            start in 0.0f64..500.0,
            lines in prop::collection::vec((0u64..60, 0u32..500), 1..6),
            share in 0.0f64..0.999,
        ) {
            let stages: Vec<Stage> = lines.into_iter().map(|(s, t)| stage(s, t)).collect();
            let curve = Curve::of_stages(start, &stages, 1.0, 1.0);
            let wanted = curve.area(curve.length()) * share;
            if let Some(at) = curve.time_of(wanted) {
                prop_assert!((curve.area(at) - wanted).abs() <= 1e-3 * wanted.max(1.0), "{at:?}");
            }
        }
    }
}
