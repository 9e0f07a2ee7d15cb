//! How a condition gets out of the text, number or name that it is put into, and back in again.

use crate::security::request::Point;

/// What is put around a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Boundary {
    /// What it is, in words.
    pub words: &'static str,
    /// `{value}` stands for what is there when all is well (`{other}` for another number), `{condition}`
    /// for the condition.
    shape: &'static str,
}

const NUMBER: Boundary = Boundary { words: "a number", shape: "{value} AND {condition}" };
/// As a limit, in a list, or where `AND` would not be worked out first.
const CHOICE: Boundary = Boundary {
    words: "a number, by choice",
    shape: "(CASE WHEN {condition} THEN {value} ELSE {other} END)",
};
/// The same where something may be changed: no other row is meant by it.
const NONE_BY_CHOICE: Boundary = Boundary {
    words: "a number, by choice",
    shape: "(CASE WHEN {condition} THEN {value} ELSE NULL END)",
};
const LIST: Boundary =
    Boundary { words: "a list of numbers in brackets", shape: "{value}) AND ({condition}" };
const TEXT: Boundary = Boundary { words: "a text", shape: "{value}' AND {condition} AND 'a'='a" };
const BRACKETS: Boundary =
    Boundary { words: "a text in brackets", shape: "{value}') AND {condition} AND ('a'='a" };
const QUOTES: Boundary =
    Boundary { words: "a text in double quotes", shape: "{value}\" AND {condition} AND \"a\"=\"a" };
const PATTERN: Boundary =
    Boundary { words: "a pattern", shape: "{value}%' AND {condition} AND '%'='" };
/// Rows without an order come as they are stored.
const ORDER: Boundary = Boundary {
    words: "the name of a column to sort by",
    shape: "(CASE WHEN {condition} THEN {value} ELSE NULL END)",
};
/// Where they are stored in that order, it is turned round.
const TURNED: Boundary = Boundary {
    words: "the name of a column to sort by, turned round",
    shape: "(CASE WHEN {condition} THEN {value} ELSE -{value} END)",
};
/// Behind it nothing sorts by a condition, but rows can be counted.
const DIRECTION: Boundary = Boundary {
    words: "a direction to sort in",
    shape: "{value} LIMIT (CASE WHEN {condition} THEN 1000 ELSE 0 END)",
};

impl Boundary {
    /// Those that fit a value, in a request that reads only or may change something.
    pub fn of(point: &Point, reads: bool) -> Vec<Self> {
        let value = point.original.as_str();
        if point.is_numeric() {
            return vec![NUMBER, if reads { CHOICE } else { NONE_BY_CHOICE }, TEXT, BRACKETS];
        }
        let mut all = vec![TEXT, BRACKETS, QUOTES, PATTERN];
        if value.split(',').all(|one| !one.is_empty() && one.bytes().all(|b| b.is_ascii_digit())) {
            all.push(LIST);
        }
        if column(value).is_some() {
            all.extend([ORDER, TURNED]);
        }
        if ["asc", "desc"].contains(&value.to_lowercase().as_str()) {
            all.push(DIRECTION);
        }
        all
    }

    /// A value with a condition added.
    pub fn with(&self, value: &str, condition: &str) -> String {
        let fill = |value: &str| {
            let other = if value.trim_start_matches('0').is_empty() { "1" } else { "0" };
            self.shape
                .replace("{value}", value)
                .replace("{other}", other)
                .replace("{condition}", condition)
        };
        match column(value) {
            // What stands around the name is no part of it.
            Some((before, name, after)) if [ORDER, TURNED].contains(self) => {
                format!("{before}{}{after}", fill(name))
            }
            _ => fill(value),
        }
    }
}

/// A value as the name of a column with what stands before and after it, such as `-created` or
/// `name desc`; none where it is no name.
pub fn column(value: &str) -> Option<(&str, &str, &str)> {
    let name = value.trim_start_matches(['-', '+']);
    let before = &value[..value.len() - name.len()];
    let ends = name.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '.'));
    let (name, after) = name.split_at(ends.unwrap_or(name.len()));
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let direction = after.trim_start_matches([' ', ',', ':']).to_lowercase();
    let known = after.is_empty() || ["asc", "desc"].contains(&direction.as_str());
    (begins && known && before.len() < 2).then_some((before, name, after))
}

/// A condition of random constants, true or false; both have the same letters but one digit.
pub fn condition(number: u32, holds: bool) -> String {
    let other = if holds { number } else { number ^ 1 };
    format!("{number}={other}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::security::request::Place;

    #[test]
    fn nothing_is_widened_and_nothing_is_cut_off() {
        for value in ["7", "1,2,3", "v", "-name", "DESC", "two words"] {
            let point = Point { place: Place::Query(0), name: "q".into(), original: value.into() };
            let all = Boundary::of(&point, true).into_iter().chain(Boundary::of(&point, false));
            for boundary in all {
                let attack = boundary.with(value, &condition(7390, true));
                assert!(!attack.to_uppercase().contains(" OR "), "{attack}");
                for cut in ["--", "#", ";", "/*", "{"] {
                    assert!(!attack.contains(cut), "{attack}");
                }
            }
        }
        let point = Point { place: Place::Query(0), name: "id".into(), original: "7".into() };
        let elsewhere = |boundary: Boundary| boundary.with("7", "1=2").contains("ELSE 0");
        assert!(Boundary::of(&point, true).into_iter().any(elsewhere));
        assert!(!Boundary::of(&point, false).into_iter().any(elsewhere), "another row is hit");
        assert_eq!(TEXT.with("v", &condition(7390, false)), "v' AND 7390=7391 AND 'a'='a");
        let list = |value: &str| {
            let point = Point { original: value.into(), ..point.clone() };
            Boundary::of(&point, true).into_iter().any(|one| one == LIST)
        };
        assert!(list("1,2,3") && !list("1,,3") && !list("a,2") && !list(""));
    }

    #[test]
    fn a_name_is_chosen_by_the_condition_and_keeps_its_direction() {
        let order = |value: &str| ORDER.with(value, "1=1");
        assert_eq!(order("name"), "(CASE WHEN 1=1 THEN name ELSE NULL END)");
        assert_eq!(order("t.name DESC"), "(CASE WHEN 1=1 THEN t.name ELSE NULL END) DESC");
        assert_eq!(order("-created_at"), "-(CASE WHEN 1=1 THEN created_at ELSE NULL END)");
        assert_eq!(TURNED.with("id", "1=1"), "(CASE WHEN 1=1 THEN id ELSE -id END)");
        assert_eq!(CHOICE.with("10", "1=1"), "(CASE WHEN 1=1 THEN 10 ELSE 0 END)");
        for none in ["", "7", "two words", "a@b", "name; x", "--name"] {
            assert_eq!(column(none), None, "{none}");
        }
    }
}
