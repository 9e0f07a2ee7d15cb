//! What an operation answers when all is well, and how much that varies by itself.

use std::time::Duration;

use super::answer::{Answer, resemblance};
use super::prober::{ProbeError, Prober};
use super::request::Request;

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
}

impl Baseline {
    /// Asks three times.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn of(prober: &Prober, request: &Request) -> Result<Self, ProbeError> {
        let mut answers = Vec::new();
        for _ in 0..ROUNDS {
            answers.push(prober.ask(request).await?);
        }
        Ok(Self::from_answers(answers))
    }

    fn from_answers(answers: Vec<Answer>) -> Self {
        let mut alike: f64 = 1.0;
        for (at, one) in answers.iter().enumerate() {
            for other in &answers[at + 1..] {
                alike = alike.min(resemblance(&one.body, &other.body));
                if one.status != other.status {
                    alike = 0.0;
                }
            }
        }
        Self { answers, alike }
    }

    /// The first answer.
    pub fn first(&self) -> Option<&Answer> {
        self.answers.first()
    }

    /// Whether every answer was a success.
    pub fn is_success(&self) -> bool {
        self.answers.iter().all(Answer::is_success)
    }

    /// Whether its answers are alike enough for a difference to mean something.
    pub fn is_stable(&self) -> bool {
        self.alike >= LEAST_STABLE
    }

    /// The slowest answer.
    pub fn slowest(&self) -> Duration {
        self.answers.iter().map(|answer| answer.latency).max().unwrap_or_default()
    }

    /// Whether an answer to `sent` in the place of the original says the same.
    pub fn is_like(&self, answer: &Answer, sent: &str, original: &str) -> bool {
        self.nearest(answer, sent, original).is_some_and(|near| near >= self.alike - TOLERANCE)
    }

    /// Whether it clearly says something else: twice as far away as would still be the same.
    pub fn is_unlike(&self, answer: &Answer, sent: &str, original: &str) -> bool {
        self.nearest(answer, sent, original).is_none_or(|near| near < self.alike - 2.0 * TOLERANCE)
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
        assert!(baseline.is_stable());
        assert!(baseline.is_like(&answer(200, &[], "one two three four five six C"), "", ""));
        assert!(baseline.is_unlike(&answer(200, &[], "none"), "", ""));
        assert!(baseline.is_unlike(&answer(404, &[], rows[0]), "", ""));
        assert!(!of(&["a b c", "d e f", "g h i"]).is_stable());
    }

    #[test]
    fn a_text_that_comes_back_is_no_difference() {
        let baseline = Baseline::from_answers(vec![answer(200, &[], "one two three for value")]);
        let sent = "value' AND 1=1 AND 'a'='a";
        let reflected = answer(200, &[], &format!("one two three for {sent}"));
        assert!(baseline.is_like(&reflected, sent, "value"));
    }
}
