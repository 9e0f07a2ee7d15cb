//! How a condition gets out of the text or number that it is put into, and back in again.

/// What is put around a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Boundary {
    /// What it is, in words.
    pub words: &'static str,
    before: &'static str,
    after: &'static str,
}

const NUMBER: Boundary = Boundary { words: "a number", before: "", after: "" };
const TEXT: Boundary = Boundary { words: "a text", before: "'", after: " AND 'a'='a" };
const BRACKETS: Boundary =
    Boundary { words: "a text in brackets", before: "')", after: " AND ('a'='a" };
const QUOTES: Boundary =
    Boundary { words: "a text in double quotes", before: "\"", after: " AND \"a\"=\"a" };
const PATTERN: Boundary = Boundary { words: "a pattern", before: "%'", after: " AND '%'='" };

impl Boundary {
    /// Those that fit a value.
    pub fn of(numeric: bool) -> &'static [Self] {
        if numeric { &[NUMBER, TEXT, BRACKETS] } else { &[TEXT, BRACKETS, QUOTES, PATTERN] }
    }

    /// A value with a condition added.
    pub fn with(&self, value: &str, condition: &str) -> String {
        format!("{value}{} AND {condition}{}", self.before, self.after)
    }
}

/// A condition of random constants, true or false; both have the same letters but one digit.
pub fn condition(number: u32, holds: bool) -> String {
    let other = if holds { number } else { number ^ 1 };
    format!("{number}={other}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_widened_and_nothing_is_cut_off() {
        for boundary in Boundary::of(true).iter().chain(Boundary::of(false)) {
            let attack = boundary.with("v", &condition(7390, true));
            assert!(!attack.to_uppercase().contains(" OR "), "{attack}");
            for cut in ["--", "#", ";", "/*"] {
                assert!(!attack.contains(cut), "{attack}");
            }
        }
        assert_eq!(TEXT.with("v", &condition(7390, false)), "v' AND 7390=7391 AND 'a'='a");
    }
}
