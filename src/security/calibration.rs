//! What services answer when there is nothing: pages that are always there would otherwise be taken
//! for whatever was looked for.

use super::answer::{Answer, has_what_is_common, resemblance};
use super::prober::{ProbeError, Prober};
use super::request::Request;
use crate::config::ServiceKind;

/// Stands for the paths that are asked here, which are others in every run.
pub const ABSENT: &str = "/(a path that is not there)";
/// Kinds of things that cannot be there.
const KINDS: usize = 6;
/// How alike a page is to one that is always there, at least.
const LEAST_ALIKE: f64 = 0.9;

/// What services answer when there is nothing.
#[derive(Clone, Debug, Default)]
pub struct Calibration {
    pages: Vec<(Request, Answer)>,
    /// Services that could not be asked, and why.
    pub silent: Vec<(ServiceKind, String)>,
}

impl Calibration {
    /// Asks every service for several things that cannot be there: two of each kind, because what is
    /// random in a path may be random in the answer.
    ///
    /// # Errors
    /// When the budget is used up; what was learnt until then stays.
    pub async fn learn(&mut self, prober: &Prober) -> Result<(), ProbeError> {
        for service in prober.services() {
            prober.looked().at(&Request::get(service, ABSENT).place());
            let name = || format!("{:012x}", rand::random::<u64>() >> 16);
            let kinds = |_| -> [String; KINDS] {
                let [a, b, c, d] = ["", ".json", ".js", ".html"]
                    .map(|ending| format!("/shakedown-{}{ending}", name()));
                [a, b, c, d, format!("/.{}", name()), format!("/{}/{}", name(), name())]
            };
            let paths = (0..2).flat_map(kinds);
            for path in paths {
                let request = Request::get(service, &path);
                match prober.ask(&request).await {
                    Ok(answer) => self.pages.push((request, answer)),
                    Err(ProbeError::Budget) => return Err(ProbeError::Budget),
                    Err(error) => {
                        self.silent.push((service, error.to_string()));
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether the answer to a request is the one to something that is not there. Such pages like to repeat
    /// what they were asked for.
    pub fn is_missing(&self, request: &Request, answer: &Answer) -> bool {
        let body = answer.without(&request.path);
        let such = |(of, page): &&(Request, Answer)| {
            of.service == request.service
                && page.status == answer.status
                && page.media_type() == answer.media_type()
        };
        let pages = || self.pages.iter().filter(such).map(|(of, page)| page.without(&of.path));
        // Around what matters stands what is the same on every page: it has to say that nothing is there.
        answer.status == 404
            || (pages().any(|page| resemblance(&page, &body) >= LEAST_ALIKE)
                && has_what_is_common(pages(), &answer.body))
    }

    /// Error pages of a service, each beside another one of its kind.
    pub fn pairs(&self, service: ServiceKind) -> impl Iterator<Item = (&Answer, &Answer)> {
        self.pages(service).zip(self.pages(service).skip(KINDS))
    }

    /// Error pages of a service, for checks that look at them.
    pub fn pages(&self, service: ServiceKind) -> impl Iterator<Item = &Answer> {
        self.pages.iter().filter(move |(of, _)| of.service == service).map(|(_, page)| page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::security::answer::tests::answer;

    #[test]
    fn a_page_that_repeats_what_it_was_asked_for_is_the_same_for_everything() {
        let says = |path: &str| answer(200, &[], &format!("Cannot GET {path}"));
        let of = |path: &str| Request::get(ServiceKind::Rag, path);
        let pages = vec![(of("/shakedown-1f.json"), says("/shakedown-1f.json"))];
        let calibration = Calibration { pages, silent: Vec::new() };
        let missing = |path: &str, answer: &Answer| calibration.is_missing(&of(path), answer);
        assert!(missing("/debug/pprof/", &says("/debug/pprof/")));
        assert!(!missing("/debug/pprof/", &answer(200, &[], "Types of profiles available")));
        assert!(!missing("/debug/pprof/", &answer(500, &[], "Cannot GET /debug/pprof/")));
        let around = "home products prices about contact terms privacy help ".repeat(20);
        let page = |words: &str| answer(200, &[], &format!("{around}{words}"));
        let nothing = ["/a1", "/b2"].map(|path| (of(path), page("Nothing is there")));
        let calibration = Calibration { pages: nothing.to_vec(), silent: Vec::new() };
        assert!(calibration.is_missing(&of("/search"), &page("Nothing is there")));
        assert!(!calibration.is_missing(&of("/search"), &page("Results for saw")));
        // What stands around everything links to the page that was asked for.
        assert!(calibration.is_missing(&of("about"), &page("Nothing is there")));
    }
}
