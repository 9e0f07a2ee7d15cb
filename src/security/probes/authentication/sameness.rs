//! Whether an answer is that of the right credentials. Around what matters stands what is the same on every
//! page, so that most words in common are not enough.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::security::answer::{Answer, has_all, resemblance};
use crate::security::baseline::{Baseline, Measure};

/// Share of words in common of what has all that is told, and of what nearly has.
const NEAR: f64 = 0.8;
const ALIKE: f64 = 0.95;
/// From so many names on, the shape of an answer is not that of an apology.
const TELLING: usize = 5;
/// Deepest nesting that is looked into.
const MAX_DEPTH: usize = 16;

/// How much an answer is that of the right credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sameness {
    /// It is that, but for what varies by itself, and numbers.
    Same,
    /// It may be that.
    Alike,
    /// It is another one.
    Other,
}

/// How much an answer is that of the right credentials.
pub fn sameness(right: &Baseline, answer: &Answer) -> Sameness {
    let Some(first) = right.first().filter(|_| answer.is_taken()) else { return Sameness::Other };
    if first.landing() != answer.landing() {
        return Sameness::Other;
    }
    // The page itself is asked for with the right credentials: where everybody is sent, whatever became of
    // what they sent, it tells nothing.
    if first.landed.is_some() {
        return Sameness::Alike;
    }
    let near =
        if first.status == answer.status { resemblance(&first.body, &answer.body) } else { 0.0 };
    if near >= NEAR && has_all(right.common(), &answer.body) {
        return Sameness::Same;
    }
    let shape = if right.alike() < ALIKE { by_shape(first, answer) } else { Sameness::Other };
    let by_words = right.measures().contains(&Measure::Words);
    let alike = near >= ALIKE || (by_words && right.is_like(Measure::Words, answer, "", ""));
    match shape {
        Sameness::Other if alike => Sameness::Alike,
        shape => shape,
    }
}

/// Answers that are made up anew each time, as those of language models, by the names in them.
fn by_shape(right: &Answer, answer: &Answer) -> Sameness {
    let (Some(right), Some(other)) = (names(&right.body), names(&answer.body)) else {
        return Sameness::Other;
    };
    match right == other {
        true if right.len() >= TELLING => Sameness::Same,
        true => Sameness::Alike,
        false => Sameness::Other,
    }
}

/// Where values stand in a JSON answer, and of which kind they are; none where it is something else.
fn names(body: &str) -> Option<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    walk(&serde_json::from_str(body).ok()?, "", 0, &mut names);
    Some(names)
}

fn walk(value: &Value, at: &str, depth: usize, names: &mut BTreeSet<String>) {
    match value {
        _ if depth > MAX_DEPTH => {}
        Value::Array(items) if !items.is_empty() => {
            items.iter().for_each(|item| walk(item, &format!("{at}/-"), depth + 1, names));
        }
        Value::Object(fields) => {
            for (name, item) in fields {
                walk(item, &format!("{at}/{name}"), depth + 1, names);
            }
        }
        // Whether there is something counts, not what.
        leaf => {
            let nothing = matches!(leaf, Value::Null | Value::Array(_));
            names.insert(format!("{at}{}", if nothing { " nothing" } else { "" }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::security::answer::tests::answer;

    fn of(right: &[&str], other: &str) -> Sameness {
        let right = right.iter().map(|text| answer(200, &[], text)).collect();
        sameness(&Baseline::from_answers(right), &answer(200, &[], other))
    }

    #[test]
    fn what_stands_around_every_page_does_not_make_two_the_same() {
        let around = "home products prices about contact terms privacy help ".repeat(20);
        let page = |text: &str| format!("{around}<h1>{text}</h1>");
        let report = page("Revenue and plans of the year");
        let right = [report.as_str(); 3];
        assert_eq!(of(&right, &report), Sameness::Same);
        assert_eq!(of(&right, &page("Please sign in to see the year")), Sameness::Alike);
        assert_eq!(of(&right, "please sign in"), Sameness::Other);
        let served = |n: u32| format!(r#"{{"id":7,"text":"plan","served":{n}}}"#);
        assert_eq!(of(&[&served(1), &served(1), &served(1)], &served(8)), Sameness::Same);
    }

    #[test]
    fn what_is_made_up_anew_is_known_by_its_shape() {
        let said = |text: &str| {
            format!(
                r#"{{"id":"c-1","object":"chat","model":"m","choices":[{{"index":0,"message":{{"role":"a","content":"{text}"}}}}]}}"#
            )
        };
        let told = [
            "Once upon a time there was a very small house near the sea",
            "I can help with that, tell me which of all of them you mean today, please",
            "No",
        ]
        .map(|text| said(&text.repeat(4)));
        let right = [told[0].as_str(), &told[1], &told[2]];
        let another = said(&"Whatever else anybody could have said here instead ".repeat(5));
        assert_eq!(of(&right, &another), Sameness::Same);
        assert_eq!(of(&right, r#"{"error":{"message":"no key","type":"auth"}}"#), Sameness::Other);
        let short = ["{\"a\":\"x y z u v\"}", "{\"a\":\"k\"}", "{\"a\":\"one or two\"}"];
        assert_eq!(of(&short, r#"{"a":"please sign in"}"#), Sameness::Alike);
        assert_eq!(of(&short, r#"{"a":null}"#), Sameness::Other);
    }
}
