//! What tells the answers to true conditions from those to false ones.

use std::collections::HashMap;

use crate::security::answer::{Answer, counted};
use crate::security::baseline::{Baseline, Measure};

/// Rounds in which true and false conditions have to differ, with other numbers each time: more where a
/// single number tells, which may change by chance, and most where it is a word among such that come and go.
const fn rounds(measure: Measure) -> u32 {
    match measure {
        Measure::Words => 3,
        Measure::Exact => 6,
        Measure::Common => 10,
    }
}

/// What has told them apart in every round so far.
pub struct Telling<'a> {
    baseline: &'a Baseline,
    /// What stands in the place when all is well.
    original: &'a str,
    /// The measures that do.
    measures: Vec<Measure>,
    /// How often each word stands in an answer that is true, at least; and in one that is not, at most. What
    /// else an answer says may be another thing every time.
    least: HashMap<String, u64>,
    most: HashMap<String, u64>,
}

impl<'a> Telling<'a> {
    /// Nothing was asked yet: what is always answered may tell.
    pub fn new(baseline: &'a Baseline, original: &'a str) -> Self {
        let measures = [Measure::Words, Measure::Exact, Measure::Common];
        let measures = measures.into_iter().filter(|by| baseline.compares(*by)).collect();
        Self {
            baseline,
            original,
            measures,
            least: baseline.common().clone(),
            most: HashMap::new(),
        }
    }

    /// In how many rounds they have to differ; none where nothing tells them apart.
    pub fn rounds(&self) -> Option<u32> {
        self.measures.iter().map(|by| rounds(*by)).min()
    }

    /// Takes an answer that should be like the plain one.
    pub fn holds(&mut self, answer: &Answer, sent: &str) {
        let (baseline, original) = (self.baseline, self.original);
        let words = counted(&answer.with(sent, original));
        for (word, n) in &mut self.least {
            *n = (*n).min(words.get(word).copied().unwrap_or(0));
        }
        let tells = baseline.first().is_some_and(|own| own.status == answer.status)
            && self.has_a_word()
            // Where nothing comes and goes, what is missing is no chance.
            && (!baseline.compares(Measure::Exact)
                || baseline.is_like(Measure::Common, answer, sent, original));
        self.keep(tells, |by| baseline.is_like(by, answer, sent, original));
    }

    /// Takes one that should clearly be another.
    pub fn fails(&mut self, answer: &Answer, sent: &str) {
        let (baseline, original) = (self.baseline, self.original);
        let tells = self.lacks_a_word(answer, sent);
        self.keep(tells, |by| baseline.is_unlike(by, answer, sent, original));
    }

    /// Takes one to what is no condition, which should not be like the plain one.
    pub fn control(&mut self, answer: &Answer, sent: &str) {
        let (baseline, original) = (self.baseline, self.original);
        let tells = self.lacks_a_word(answer, sent);
        self.keep(tells, |by| !baseline.is_like(by, answer, sent, original));
    }

    /// Keeps the measures that tell: words in common are told apart here, the others by the baseline.
    fn keep(&mut self, words_tell: bool, tells: impl Fn(Measure) -> bool) {
        self.measures.retain(|by| if *by == Measure::Common { words_tell } else { tells(*by) });
    }

    fn lacks_a_word(&mut self, answer: &Answer, sent: &str) -> bool {
        // With another status it has none of the words that count.
        if self.baseline.first().is_some_and(|own| own.status == answer.status) {
            for (word, n) in counted(&answer.with(sent, self.original)) {
                let most = self.most.entry(word).or_default();
                *most = n.max(*most);
            }
        }
        self.has_a_word()
    }

    /// Whether a word stands more often in every answer that is true than in any that is not.
    fn has_a_word(&self) -> bool {
        self.least.iter().any(|(word, n)| *n > self.most.get(word).copied().unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::security::answer::tests::answer;

    /// A page around rows, most of it others each time.
    fn page(advert: &str, rows: &str) -> Answer {
        answer(200, &[], &format!("{advert} {rows}"))
    }

    #[test]
    fn rows_among_words_that_come_and_go_tell_by_what_is_there_every_time() {
        let own = ["buy glue now 1 saw", "new oak saw 3 cheap", "saw and all of you 7"];
        let own = own.map(|body| answer(200, &[], body)).to_vec();
        let baseline = Baseline::from_answers(own);
        assert_eq!(baseline.measures(), [], "they vary too much");
        let mut telling = Telling::new(&baseline, "");
        telling.holds(&page("what a day", "saw"), "");
        telling.control(&page("buy oak", ""), "");
        telling.fails(&page("new and cheap glue", ""), "");
        assert_eq!(telling.rounds(), Some(10));
        telling.fails(&page("one saw is left", ""), "");
        assert_eq!(telling.rounds(), None, "it stands there by chance too");
    }

    #[test]
    fn the_same_rows_in_another_order_are_no_condition_taken_for_true() {
        let baseline = Baseline::from_answers(vec![page("names", "ann ben carl"); 3]);
        let mut telling = Telling::new(&baseline, "");
        telling.holds(&page("names", "ann ben carl"), "");
        telling.fails(&page("names", ""), "");
        assert_eq!(telling.rounds(), Some(3));
        telling.control(&page("names", "carl ann ben"), "");
        assert_eq!(telling.rounds(), Some(6), "by words they are the same, in their order not");
        telling.control(&page("names", "ann ben carl"), "");
        assert_eq!(telling.rounds(), None);
    }
}
