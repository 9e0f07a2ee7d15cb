//! The security audit: Trivy on images and eight penetration tests that change nothing, but for what
//! the configuration lets them write and what they remove again.

mod answer;
mod audit;
mod baseline;
mod calibration;
mod compare;
mod context;
mod discovery;
mod evidence;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod homes;
mod keys;
mod landing;
mod ledger;
mod leftovers;
mod looked;
mod outcome;
mod phase;
mod prober;
mod probes;
mod replaced;
mod request;
mod rules;
mod score;
mod steady;
mod suppress;
mod surface;
mod trivy;

pub use leftovers::remove_leftovers;
pub use phase::SecurityPhase;
pub use suppress::Suppressions;

use crate::config::CheckKind;

/// The check that a rule belongs to.
fn check_of(rule: &str) -> Option<CheckKind> {
    let family = rule.split('-').nth(1)?;
    Some(match family {
        "IMG" => CheckKind::Images,
        "HEAD" => CheckKind::Headers,
        "CORS" => CheckKind::Cors,
        "KEYS" => CheckKind::Keys,
        "SQLI" | "ERR" => CheckKind::Sqli,
        "XSS" => CheckKind::Xss,
        "AUTH" | "JWT" | "ACCESS" => CheckKind::Auth,
        "UPLOAD" => CheckKind::Upload,
        "RATE" => CheckKind::RateLimit,
        _ => return None,
    })
}
