//! What services answer when there is nothing: pages that are always there would otherwise be taken
//! for whatever was looked for.

use super::answer::{Answer, resemblance};
use super::prober::{ProbeError, Prober};
use super::request::Request;
use crate::config::ServiceKind;

/// Stands for the paths that are asked here, which are others in every run.
pub const ABSENT: &str = "/(a path that is not there)";
/// How alike a page is to one that is always there, at least.
const LEAST_ALIKE: f64 = 0.9;

/// What services answer when there is nothing.
#[derive(Clone, Debug, Default)]
pub struct Calibration {
    pages: Vec<(ServiceKind, Answer)>,
    /// Services that could not be asked, and why.
    pub silent: Vec<(ServiceKind, String)>,
}

impl Calibration {
    /// Asks every service for several things that cannot be there: two of each kind, because what is
    /// random in a path may be random in the answer.
    ///
    /// # Errors
    /// When the budget is used up.
    pub async fn of(prober: &Prober) -> Result<Self, ProbeError> {
        let mut calibration = Self::default();
        for service in prober.services() {
            let name = || format!("{:012x}", rand::random::<u64>() >> 16);
            let paths = (0..2).flat_map(|_| {
                ["", ".json", ".js", ".html"]
                    .map(|ending| format!("/shakedown-{}{ending}", name()))
                    .into_iter()
                    .chain([format!("/.{}", name()), format!("/{}/{}", name(), name())])
            });
            for path in paths {
                match prober.ask(&Request::get(service, &path)).await {
                    Ok(answer) => calibration.pages.push((service, answer)),
                    Err(ProbeError::Budget) => return Err(ProbeError::Budget),
                    Err(error) => {
                        calibration.silent.push((service, error.to_string()));
                        break;
                    }
                }
            }
        }
        Ok(calibration)
    }

    /// Whether an answer is the one to something that is not there.
    pub fn is_missing(&self, service: ServiceKind, answer: &Answer) -> bool {
        let same = |(of, page): &&(ServiceKind, Answer)| {
            *of == service
                && page.status == answer.status
                && page.media_type() == answer.media_type()
        };
        answer.status == 404
            || self
                .pages
                .iter()
                .filter(same)
                .any(|(_, page)| resemblance(&page.body, &answer.body) >= LEAST_ALIKE)
    }

    /// Error pages of a service, for checks that look at them.
    pub fn pages(&self, service: ServiceKind) -> impl Iterator<Item = &Answer> {
        self.pages.iter().filter(move |(of, _)| *of == service).map(|(_, page)| page)
    }
}
