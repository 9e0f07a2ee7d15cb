//! A database of one table, as far as its conditions go: texts with doubled quotes, numbers, `=`,
//! `LIKE`, `AND`, brackets, and a subquery that waits.

use std::time::Duration;

/// The rows of a condition, or why it is none. `waits` is how long the statement was told to wait.
pub fn run(condition: &str, name: &str) -> Result<(bool, Duration), String> {
    let mut parser = Parser { words: words(condition)?.into(), name, waits: 0.0 };
    let holds = parser.all()?;
    match parser.words.pop_front() {
        None => Ok((holds, Duration::from_secs_f64(parser.waits))),
        Some(word) => Err(format!("syntax error at or near {word:?}")),
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Word {
    Text(String),
    Number(f64),
    Name(String),
    Sign(char),
}

fn words(text: &str) -> Result<Vec<Word>, String> {
    let mut letters = text.chars().peekable();
    let mut words = Vec::new();
    while let Some(letter) = letters.next() {
        match letter {
            ' ' => {}
            '\'' => {
                let mut inside = String::new();
                loop {
                    match letters.next() {
                        Some('\'') if letters.peek() == Some(&'\'') => {
                            letters.next();
                            inside.push('\'');
                        }
                        Some('\'') => break,
                        Some(letter) => inside.push(letter),
                        None => return Err("unterminated quoted string at or near \"'\"".into()),
                    }
                }
                words.push(Word::Text(inside));
            }
            letter if letter.is_alphanumeric() || letter == '_' => {
                let mut word = String::from(letter);
                while let Some(more) =
                    letters.next_if(|c| c.is_alphanumeric() || *c == '_' || *c == '.')
                {
                    word.push(more);
                }
                words.push(word.parse().map_or(Word::Name(word), Word::Number));
            }
            sign => words.push(Word::Sign(sign)),
        }
    }
    Ok(words)
}

struct Parser<'a> {
    words: std::collections::VecDeque<Word>,
    name: &'a str,
    waits: f64,
}

impl Parser<'_> {
    fn all(&mut self) -> Result<bool, String> {
        let mut holds = self.one()?;
        while self.words.front() == Some(&Word::Name("AND".into())) {
            self.words.pop_front();
            // Both sides are worked out, as a planner may.
            holds &= self.one()?;
        }
        Ok(holds)
    }

    fn one(&mut self) -> Result<bool, String> {
        let left = self.value()?;
        match self.words.pop_front() {
            Some(Word::Sign('=')) => Ok(left == self.value()?),
            Some(Word::Name(like)) if like == "LIKE" => match (left, self.value()?) {
                (Word::Text(text), Word::Text(pattern)) => {
                    Ok(text.contains(pattern.trim_matches('%')))
                }
                _ => Err("syntax error at or near \"LIKE\"".into()),
            },
            other => Err(format!("syntax error at or near {other:?}")),
        }
    }

    fn value(&mut self) -> Result<Word, String> {
        match self.words.pop_front() {
            Some(Word::Name(name)) if name == "name" => Ok(Word::Text(self.name.into())),
            Some(Word::Sign('(')) => self.subquery(),
            Some(word @ (Word::Text(_) | Word::Number(_))) => Ok(word),
            other => Err(format!("syntax error at or near {other:?}")),
        }
    }

    /// `(SELECT 1 FROM pg_sleep(N))`
    fn subquery(&mut self) -> Result<Word, String> {
        let rest: Vec<Word> = self.words.iter().take(8).cloned().collect();
        match rest.as_slice() {
            [
                Word::Name(_),
                Word::Number(one),
                Word::Name(_),
                Word::Name(sleep),
                Word::Sign('('),
                Word::Number(seconds),
                Word::Sign(')'),
                Word::Sign(')'),
            ] if sleep == "pg_sleep" => {
                self.waits += seconds;
                self.words.drain(..8);
                Ok(Word::Number(*one))
            }
            _ => Err("syntax error at or near \"(\"".into()),
        }
    }
}
