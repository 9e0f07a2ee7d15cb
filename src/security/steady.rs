//! What stays the same in the answers to one request, word by word: numbers and the order of words too,
//! which is all that a count or a sorted list differs by.

use super::answer::Answer;

/// What times are called, as the last word of a name.
const CLOCKS: [&str; 15] = [
    "time",
    "timestamp",
    "took",
    "elapsed",
    "duration",
    "latency",
    "ms",
    "millis",
    "milliseconds",
    "seconds",
    "uptime",
    "now",
    "date",
    "generated",
    "updated",
];

/// What stays the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Steady {
    status: u16,
    /// Every word in its place; none where the answers have different ones.
    words: Vec<Option<String>>,
}

impl Steady {
    /// Of several answers; none when they differ in status or in how many words they have.
    pub fn of(answers: &[Answer]) -> Option<Self> {
        let (first, others) = answers.split_first()?;
        let mut words: Vec<Option<String>> =
            words(&first.body).map(|word| Some(word.to_owned())).collect();
        for other in others {
            let read: Vec<&str> = self::words(&other.body).collect();
            if other.status != first.status || read.len() != words.len() {
                return None;
            }
            for (word, other) in words.iter_mut().zip(read) {
                word.take_if(|word| word.as_str() != other);
            }
        }
        forget_clocks(&mut words);
        Some(Self { status: first.status, words })
    }

    /// Whether an answer says the same in every place that stays the same.
    pub fn is_in(&self, status: u16, body: &str) -> bool {
        self.status == status && self.differences(body).is_some_and(|words| words.is_empty())
    }

    /// Whether there is such a word among what stays the same.
    pub fn has(&self, such: impl Fn(&str) -> bool) -> bool {
        self.words.iter().flatten().any(|word| such(word))
    }

    /// What a text says otherwise in places that stay the same; none when it has more or fewer words.
    pub fn differences<'a>(&'a self, body: &'a str) -> Option<Vec<(&'a str, &'a str)>> {
        let read: Vec<&str> = words(body).collect();
        (read.len() == self.words.len()).then(|| {
            let pairs = self.words.iter().zip(read);
            let known = pairs.filter_map(|(word, other)| Some((word.as_deref()?, other)));
            known.filter(|(word, other)| word != other).collect()
        })
    }
}

/// What is called a time may stay the same in a few answers and not in the next one.
fn forget_clocks(words: &mut [Option<String>]) {
    let is_clock = |word: &str| CLOCKS.contains(&word.to_lowercase().as_str());
    let is_figure = |word: &str| word.bytes().any(|byte| byte.is_ascii_digit());
    let mut ticking = false;
    for word in words {
        let Some(text) = word.as_deref() else { continue };
        if ticking && is_figure(text) {
            *word = None;
        } else {
            ticking = is_clock(text);
        }
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::security::answer::tests::answer;

    #[test]
    fn numbers_and_order_count_and_what_varies_by_itself_does_not() {
        let at = |n: u32, time: u32| {
            answer(
                200,
                &[],
                &format!("{{\"total\": {n}, \"rows\": [\"a\", \"b\"], \"at\": {time}}}"),
            )
        };
        let steady = Steady::of(&[at(3, 1), at(3, 2), at(3, 2)]).expect("as many words");
        assert!(steady.is_in(200, &at(3, 9).body));
        assert!(!steady.is_in(200, &at(0, 1).body));
        assert!(!steady.is_in(500, &at(3, 1).body));
        assert!(!steady.is_in(200, &at(3, 1).body.replace("\"a\", \"b\"", "\"b\", \"a\"")));
        assert!(!steady.is_in(200, "total 3"));
        assert_eq!(Steady::of(&[at(3, 1), answer(200, &[], "total 3")]), None);
        assert_eq!(Steady::of(&[]), None);
        let timed = |ms: &str| answer(200, &[], &format!("{{\"took_ms\": {ms}, \"total\": 3}}"));
        let steady = Steady::of(&[timed("0.5"), timed("0.5")]).expect("as many words");
        assert!(steady.is_in(200, &timed("1.7").body), "a time by chance the same");
        assert!(!steady.is_in(200, &timed("0.5").body.replace('3', "4")));
    }
}
