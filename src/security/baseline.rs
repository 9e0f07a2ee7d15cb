//! What an operation answers when all is well, and how much that varies by itself.

use std::collections::HashMap;
use std::time::Duration;

use super::answer::{Answer, has_all, in_common, resemblance};
use super::landing;
use super::prober::{ProbeError, Prober};
use super::request::Request;
use super::steady::Steady;

/// Times that an operation is asked for its baseline.
const ROUNDS: usize = 3;
/// Below this its answers vary so much that no difference means anything.
const LEAST_STABLE: f64 = 0.7;
/// How much less alike than its own answers an answer must be to differ.
const TOLERANCE: f64 = 0.05;

/// What an operation answers when all is well.
#[derive(Clone, Debug)]
pub struct Baseline {
    answers: Vec<Answer>,
    /// How alike its own answers are, 0-1.
    alike: f64,
    /// What stays the same in them; none where that cannot be said.
    steady: Option<Steady>,
    /// How often each word stands in all of them, at least.
    common: HashMap<String, u64>,
}

/// What two answers are compared by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// The words that they have in common, numbers aside.
    Words,
    /// The words that all its own answers have in common, numbers aside: around what matters there may be
    /// much, and some of that may vary.
    Common,
    /// Every word and number in its place, but for what varies by itself.
    Exact,
}

impl Baseline {
    /// Asks three times.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn of(prober: &Prober, request: &Request) -> Result<Self, ProbeError> {
        let mut answers = Vec::new();
        for _ in 0..ROUNDS {
            answers.push(landing::ask(prober, request).await?);
        }
        Ok(Self::from_answers(answers))
    }

    /// Of answers that were given already.
    pub fn from_answers(answers: Vec<Answer>) -> Self {
        let mut alike: f64 = 1.0;
        for (at, one) in answers.iter().enumerate() {
            for other in &answers[at + 1..] {
                alike = alike.min(resemblance(&one.body, &other.body));
                if one.status != other.status {
                    alike = 0.0;
                }
            }
        }
        let steady = Steady::of(&answers);
        let common = in_common(answers.iter().map(|answer| answer.body.as_str()));
        Self { answers, alike, steady, common }
    }

    /// The first answer.
    pub fn first(&self) -> Option<&Answer> {
        self.answers.first()
    }

    /// The first answer to a request that did not do what it was meant to.
    pub fn refused(&self) -> Option<&Answer> {
        self.answers.iter().find(|answer| !answer.is_taken())
    }

    /// Whether every request did what it was meant to.
    pub fn is_taken(&self) -> bool {
        self.refused().is_none()
    }

    /// The measures by which a difference means something; none where its answers vary too much.
    pub fn measures(&self) -> Vec<Measure> {
        let mut measures = Vec::new();
        if self.alike >= LEAST_STABLE {
            measures.extend([Measure::Words, Measure::Common]);
        }
        measures.extend(self.steady.is_some().then_some(Measure::Exact));
        measures
    }

    /// Whether a measure can tell anything of its answers at all: what they have in common can, however
    /// much else comes and goes.
    pub fn compares(&self, by: Measure) -> bool {
        match by {
            Measure::Common => self.is_of_one_status() && !self.common().is_empty(),
            by => self.measures().contains(&by),
        }
    }

    /// How often each word stands in all of its answers, at least; numbers aside.
    pub const fn common(&self) -> &HashMap<String, u64> {
        &self.common
    }

    fn is_of_one_status(&self) -> bool {
        let first = self.first().map(|own| own.status);
        self.answers.iter().all(|own| Some(own.status) == first)
    }

    /// How alike its own answers are, 0-1.
    pub const fn alike(&self) -> f64 {
        self.alike
    }

    /// What all answers say.
    pub fn bodies(&self) -> impl Iterator<Item = &str> {
        self.answers.iter().map(|answer| answer.body.as_str())
    }

    /// The slowest answer.
    pub fn slowest(&self) -> Duration {
        self.answers.iter().map(|answer| answer.latency).max().unwrap_or_default()
    }

    /// Whether an answer to `sent` in the place of the original says the same.
    pub fn is_like(&self, by: Measure, answer: &Answer, sent: &str, original: &str) -> bool {
        match by {
            Measure::Words => {
                let near = self.nearest(answer, sent, original);
                near.is_some_and(|near| near >= self.alike - TOLERANCE)
            }
            Measure::Common => self.has_common(answer, sent, original),
            Measure::Exact => self.is_steady(answer, sent, original),
        }
    }

    /// Whether it clearly says something else: by words, twice as far away as would still be the same.
    pub fn is_unlike(&self, by: Measure, answer: &Answer, sent: &str, original: &str) -> bool {
        match by {
            Measure::Words => {
                let near = self.nearest(answer, sent, original);
                near.is_none_or(|near| near < self.alike - 2.0 * TOLERANCE)
            }
            Measure::Common => !self.has_common(answer, sent, original),
            Measure::Exact => !self.is_steady(answer, sent, original),
        }
    }

    fn has_common(&self, answer: &Answer, sent: &str, original: &str) -> bool {
        let status = self.first().map(|own| own.status);
        status == Some(answer.status) && has_all(&self.common, &answer.with(sent, original))
    }

    fn is_steady(&self, answer: &Answer, sent: &str, original: &str) -> bool {
        let same = |steady: &Steady| steady.is_in(answer.status, &answer.with(sent, original));
        self.steady.as_ref().is_some_and(same)
    }

    /// How near it comes to any of the answers; none with another status. What was sent may come back
    /// in either, and is no difference.
    fn nearest(&self, answer: &Answer, sent: &str, original: &str) -> Option<f64> {
        let body = without(&answer.without(sent), original);
        let same = self.answers.iter().filter(|own| own.status == answer.status);
        same.map(|own| resemblance(&without(&own.body, original), &body)).reduce(f64::max)
    }
}

/// A text without another that is long enough to mean something.
fn without(text: &str, other: &str) -> String {
    if other.len() > 2 { text.replace(other, " ") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::security::answer::tests::answer;

    #[test]
    fn an_answer_differs_by_more_than_the_answers_among_themselves() {
        let rows = ["one two three four five six A", "one two three four five six B"];
        let of = |texts: &[&str]| {
            Baseline::from_answers(texts.iter().map(|text| answer(200, &[], text)).collect())
        };
        let baseline = of(&[rows[0], rows[1], rows[0]]);
        for by in baseline.measures() {
            assert!(baseline.is_like(
                by,
                &answer(200, &[], "one two three four five six C"),
                "",
                ""
            ));
            assert!(baseline.is_unlike(by, &answer(200, &[], "none"), "", ""));
            assert!(baseline.is_unlike(by, &answer(404, &[], rows[0]), "", ""));
        }
        assert_eq!(of(&["a b c", "d e f g", "h i j"]).measures(), []);
    }

    #[test]
    fn a_text_that_comes_back_is_no_difference() {
        let baseline = Baseline::from_answers(vec![answer(200, &[], "one two three for value")]);
        let sent = "value' AND 1=1 AND 'a'='a";
        let reflected = answer(200, &[], &format!("one two three for {sent}"));
        assert_eq!(baseline.measures().len(), 3);
        for by in baseline.measures() {
            assert!(baseline.is_like(by, &reflected, sent, "value"), "{by:?}");
        }
    }

    #[test]
    fn rows_in_a_page_that_varies_around_them_differ_by_what_is_always_there() {
        let around = "home products prices about contact terms privacy help ".repeat(20);
        let page = |advert: &str, rows: &str| answer(200, &[], &format!("{around}{advert}{rows}"));
        let adverts = ["Buy glue now ", "New oak is here ", "Saws for all of you "];
        let own = adverts.map(|advert| page(advert, "saw chisel")).to_vec();
        let baseline = Baseline::from_answers(own);
        let (rows, none) = (page("Glue again ", "saw chisel"), page(adverts[0], ""));
        assert!(baseline.is_like(Measure::Common, &rows, "", ""));
        assert!(baseline.is_unlike(Measure::Common, &none, "", ""));
        assert!(!baseline.is_unlike(Measure::Words, &none, "", ""), "there is too much around it");
        assert!(!baseline.measures().contains(&Measure::Exact));
    }

    #[test]
    fn a_count_or_an_order_differs_only_exactly() {
        let of = |text: &str| answer(200, &[], text);
        let baseline = Baseline::from_answers(vec![of("total 3 of a b"); 3]);
        for other in ["total 0 of a b", "total 3 of b a"] {
            assert!(baseline.is_like(Measure::Words, &of(other), "", ""), "{other}");
            assert!(baseline.is_unlike(Measure::Exact, &of(other), "", ""), "{other}");
        }
    }
}
