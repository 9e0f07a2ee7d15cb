//! The commands: their names, forms, and what carries them out; and how their words are read.

use super::db::{Bytes, Db, Refusal};
use super::resp::Reply;
use super::{hashes, hyperloglog, keys, lists, sets, sorted, streams, strings};

/// What a command answers.
pub type Answer = Result<Reply, Refusal>;

/// A command that works on one database.
pub struct Command {
    /// Its name in capitals.
    pub name: &'static str,
    /// How many words it has with its name; at least so many when negative.
    pub arity: i32,
    /// Whether it changes something.
    pub writes: bool,
    /// The last of its words that is a key (from 1; -1 is the last word of all, 0 is no key).
    pub last_key: i32,
    /// What carries it out, with the words after its name.
    pub run: fn(&mut Db, &[Bytes]) -> Answer,
}

/// A command that reads.
pub const fn reads(
    name: &'static str,
    arity: i32,
    run: fn(&mut Db, &[Bytes]) -> Answer,
) -> Command {
    Command { name, arity, writes: false, last_key: 1, run }
}

/// A command that writes.
pub const fn writes(
    name: &'static str,
    arity: i32,
    run: fn(&mut Db, &[Bytes]) -> Answer,
) -> Command {
    Command { name, arity, writes: true, last_key: 1, run }
}

impl Command {
    /// The same with another last key.
    pub const fn keys_to(mut self, last_key: i32) -> Self {
        self.last_key = last_key;
        self
    }

    /// Whether it may have so many words.
    pub fn admits(&self, words: usize) -> bool {
        let least = self.arity.unsigned_abs() as usize;
        if self.arity < 0 { words >= least } else { words == least }
    }
}

/// All commands that work on a database.
pub fn all() -> impl Iterator<Item = &'static Command> {
    let tables: [&'static [Command]; 8] = [
        keys::COMMANDS,
        strings::COMMANDS,
        hashes::COMMANDS,
        lists::COMMANDS,
        sets::COMMANDS,
        sorted::COMMANDS,
        streams::COMMANDS,
        hyperloglog::COMMANDS,
    ];
    tables.into_iter().flatten()
}

/// The command of a name, in whatever case.
pub fn find(name: &[u8]) -> Option<&'static Command> {
    all().find(|command| command.name.as_bytes().eq_ignore_ascii_case(name))
}

/// Whether a word is this one, in whatever case.
pub fn is(word: &[u8], name: &str) -> bool {
    word.eq_ignore_ascii_case(name.as_bytes())
}

/// A word in capitals, to be matched.
pub fn upper(word: &[u8]) -> String {
    String::from_utf8_lossy(word).to_ascii_uppercase()
}

/// A whole number.
pub fn int(word: &[u8]) -> Result<i64, Refusal> {
    let text = std::str::from_utf8(word).ok().filter(|text| !text.starts_with('+'));
    let number = text.and_then(|text| text.parse().ok());
    number.ok_or_else(|| Refusal::new("value is not an integer or out of range"))
}

/// A whole number from 0.
pub fn count(word: &[u8]) -> Result<usize, Refusal> {
    let number = usize::try_from(int(word)?);
    number.map_err(|_| Refusal::new("value is out of range, must be positive"))
}

/// A number that is one.
pub fn float(word: &[u8]) -> Result<f64, Refusal> {
    let number = std::str::from_utf8(word).ok().and_then(|text| text.parse::<f64>().ok());
    let number = number.filter(|number| !number.is_nan());
    number.ok_or_else(|| Refusal::new("value is not a valid float"))
}

/// The word at a place.
pub fn word(words: &[Bytes], at: usize) -> Result<&Bytes, Refusal> {
    words.get(at).ok_or_else(Refusal::syntax)
}

/// Numbers that count from the end when negative, as places of a sequence, both included.
pub fn slice(first: i64, last: i64, length: usize) -> std::ops::Range<usize> {
    let length = length as i64;
    let place = |at: i64| if at < 0 { at + length } else { at };
    let (first, last) = (place(first).max(0), place(last).min(length - 1));
    if first > last { 0..0 } else { first as usize..last as usize + 1 }
}

/// Options of the scanning commands.
pub struct ScanOptions {
    pattern: Option<Bytes>,
    /// How many to look at.
    pub count: usize,
    /// Only keys of this type.
    pub kind: Option<String>,
}

impl ScanOptions {
    /// Reads `MATCH`, `COUNT` and `TYPE`.
    pub fn read(words: &[Bytes]) -> Result<Self, Refusal> {
        let mut options = Self { pattern: None, count: 10, kind: None };
        for pair in words.chunks(2) {
            let value = word(pair, 1)?;
            match upper(&pair[0]).as_str() {
                "MATCH" => options.pattern = Some(value.clone()),
                "COUNT" => options.count = count(value)?.max(1),
                "TYPE" => options.kind = Some(String::from_utf8_lossy(value).to_ascii_lowercase()),
                _ => return Err(Refusal::syntax()),
            }
        }
        Ok(options)
    }

    /// Whether the pattern admits a name.
    pub fn admits(&self, name: &[u8]) -> bool {
        self.pattern.as_ref().is_none_or(|pattern| matches_pattern(pattern, name))
    }
}

/// Whether a name has the form of a pattern with `*`, `?`, `[a-z]`, `[^a]` and `\` before a character
/// that is meant as it stands.
pub fn matches_pattern(pattern: &[u8], name: &[u8]) -> bool {
    // Where to try again: behind the last star, with one more byte for it.
    let (mut p, mut n, mut again) = (0, 0, None);
    loop {
        if pattern.get(p) == Some(&b'*') {
            again = Some((p + 1, n));
            p += 1;
            continue;
        }
        if p == pattern.len() && n == name.len() {
            return true;
        }
        let one = name.get(n).and_then(|byte| matches_one(&pattern[p..], *byte));
        match (one, again) {
            (Some(used), _) => (p, n) = (p + used, n + 1),
            (None, Some((star, from))) if from < name.len() => {
                (p, n) = (star, from + 1);
                again = Some((star, from + 1));
            }
            (None, _) => return false,
        }
    }
}

/// How many bytes of the pattern the byte matches.
fn matches_one(pattern: &[u8], byte: u8) -> Option<usize> {
    match pattern {
        [] => None,
        [b'?', ..] => Some(1),
        [b'\\', escaped, ..] => (*escaped == byte).then_some(2),
        [b'[', rest @ ..] => {
            let end = rest.iter().skip(1).position(|c| *c == b']').map_or(rest.len(), |at| at + 1);
            let (negated, set) = match &rest[..end] {
                [b'^', set @ ..] => (true, set),
                set => (false, set),
            };
            let mut found = false;
            let mut at = 0;
            while at < set.len() {
                if set.len() > at + 2 && set[at + 1] == b'-' {
                    found |= (set[at].min(set[at + 2])..=set[at].max(set[at + 2])).contains(&byte);
                    at += 3;
                } else {
                    found |= set[at] == byte;
                    at += 1;
                }
            }
            (found != negated).then_some((end + 2).min(pattern.len()))
        }
        [exact, ..] => (*exact == byte).then_some(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_redis() {
        let matches =
            |pattern: &str, name: &str| matches_pattern(pattern.as_bytes(), name.as_bytes());
        assert!(matches("*", "") && matches("h*llo", "heeello") && matches("h?llo", "hallo"));
        assert!(matches("h[ae]llo", "hello") && !matches("h[^e]llo", "hello"));
        assert!(matches("h[a-c]llo", "hbllo") && !matches("h[a-c]llo", "hdllo"));
        assert!(matches("a\\*b", "a*b") && !matches("a\\*b", "axb"));
        assert!(matches("{x}:*", "{x}:y:z") && !matches("{x}:*", "{y}:z"));
        assert!(matches("*a*b", "xaxbxb") && !matches("*a*b", "xaxbxc") && !matches("", "x"));
    }

    #[test]
    fn no_command_has_two_entries_and_places_count_from_the_end() {
        let mut names: Vec<&str> = all().map(|command| command.name).collect();
        let number = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), number);
        assert_eq!(slice(0, -1, 3), 0..3);
        assert_eq!(slice(-2, 9, 3), 1..3);
        assert_eq!(slice(2, 1, 3), 0..0);
        assert_eq!(slice(0, -1, 0), 0..0);
    }
}
