//! Cypher as tokens.

use super::error::{Failure, code};

/// A token.
#[derive(Clone, Debug, PartialEq)]
pub enum Token {
    /// A name or a keyword, as it stands.
    Word(String),
    /// A name in backticks, which is no keyword.
    Quoted(String),
    /// `$name`.
    Parameter(String),
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// Text in quotes.
    String(String),
    /// Anything else.
    Symbol(&'static str),
}

/// The longest first, so that `<=` is not taken for `<`.
const SYMBOLS: [&str; 31] = [
    "<>", "<=", ">=", "=~", "+=", "..", "(", ")", "[", "]", "{", "}", ",", ":", ";", ".", "=", "<",
    ">", "+", "-", "*", "/", "%", "^", "|", "!", "&", "?", "@", "#",
];

/// A token and where it begins, in bytes.
pub type Placed = (Token, usize);

fn wrong(at: usize, reason: impl std::fmt::Display) -> Failure {
    Failure::new(code::SYNTAX, format!("Invalid input at offset {at}: {reason}"))
}

/// Takes a statement apart.
///
/// # Errors
/// When something in it is no token.
pub fn tokens(text: &str) -> Result<Vec<Placed>, Failure> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        let (token, length) = if first.is_whitespace() {
            (None, first.len_utf8())
        } else if rest.starts_with("//") {
            (None, rest.find('\n').unwrap_or(rest.len()))
        } else if rest.starts_with("/*") {
            let end = rest.find("*/").ok_or_else(|| wrong(at, "a comment without end"))?;
            (None, end + 2)
        } else {
            let (token, length) = token(rest, first).map_err(|reason| wrong(at, reason))?;
            (Some(token), length)
        };
        tokens.extend(token.map(|token| (token, at)));
        at += length;
    }
    Ok(tokens)
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn word(text: &str) -> &str {
    &text[..text.find(|c| !is_word(c)).unwrap_or(text.len())]
}

fn token(text: &str, first: char) -> Result<(Token, usize), String> {
    match first {
        '"' | '\'' => string(text, first),
        '`' => {
            let (name, length) = quoted(text)?;
            Ok((Token::Quoted(name), length))
        }
        '$' => match text[1..].chars().next() {
            Some('`') => {
                let (name, length) = quoted(&text[1..])?;
                Ok((Token::Parameter(name), length + 1))
            }
            _ => {
                let name = word(&text[1..]);
                if name.is_empty() {
                    return Err("expected a name after $".into());
                }
                Ok((Token::Parameter(name.to_owned()), name.len() + 1))
            }
        },
        '0'..='9' => number(text),
        '.' if text[1..].starts_with(|c: char| c.is_ascii_digit()) => number(text),
        first if is_word(first) => {
            let word = word(text);
            Ok((Token::Word(word.to_owned()), word.len()))
        }
        _ => {
            let symbol = SYMBOLS.iter().find(|symbol| text.starts_with(**symbol));
            let symbol = symbol.ok_or_else(|| format!("unexpected `{}`", first.escape_debug()))?;
            Ok((Token::Symbol(symbol), symbol.len()))
        }
    }
}

/// A name in backticks; two of them stand for one.
fn quoted(text: &str) -> Result<(String, usize), String> {
    let mut name = String::new();
    let mut rest = text[1..].char_indices().peekable();
    while let Some((at, c)) = rest.next() {
        if c != '`' {
            name.push(c);
        } else if rest.next_if(|(_, next)| *next == '`').is_some() {
            name.push('`');
        } else {
            return Ok((name, at + 2));
        }
    }
    Err("a name without its closing backtick".into())
}

fn string(text: &str, quote: char) -> Result<(Token, usize), String> {
    let mut content = String::new();
    let mut rest = text[1..].char_indices();
    while let Some((at, c)) = rest.next() {
        match c {
            '\\' => content.push(escaped(&mut rest)?),
            c if c == quote => return Ok((Token::String(content), at + 2)),
            c => content.push(c),
        }
    }
    Err("a text without its closing quote".into())
}

fn escaped(rest: &mut std::str::CharIndices<'_>) -> Result<char, String> {
    let wrong = || "an unknown escape in a text".to_owned();
    let (_, c) = rest.next().ok_or_else(wrong)?;
    Ok(match c {
        'n' => '\n',
        't' => '\t',
        'r' => '\r',
        'b' => '\u{8}',
        'f' => '\u{c}',
        '\\' | '\'' | '"' | '`' => c,
        'u' | 'U' => {
            let length = if c == 'u' { 4 } else { 8 };
            let digits: String = rest.by_ref().take(length).map(|(_, c)| c).collect();
            let number = u32::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == length);
            number.and_then(char::from_u32).ok_or_else(wrong)?
        }
        _ => return Err(wrong()),
    })
}

fn number(text: &str) -> Result<(Token, usize), String> {
    let digits =
        |text: &str| text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    if let Some(hex) = text.strip_prefix("0x") {
        let length = hex.len() - hex.trim_start_matches(|c: char| c.is_ascii_hexdigit()).len();
        let number = i64::from_str_radix(&hex[..length], 16);
        return Ok((Token::Int(number.map_err(|error| error.to_string())?), length + 2));
    }
    let mut length = digits(text);
    let mut whole = true;
    // Two dots are a range: `1..3`.
    if text[length..].starts_with('.') && digits(&text[length + 1..]) > 0 {
        whole = false;
        length += 1 + digits(&text[length + 1..]);
    }
    if text[length..].starts_with(['e', 'E']) {
        let sign = usize::from(text[length + 1..].starts_with(['+', '-']));
        let exponent = digits(&text[length + 1 + sign..]);
        if exponent > 0 {
            whole = false;
            length += 1 + sign + exponent;
        }
    }
    let written = &text[..length];
    let token = match whole {
        true => written
            .parse()
            .map(Token::Int)
            .map_err(|_| format!("{written} is too large a number"))?,
        false => Token::Float(written.parse().map_err(|_| format!("{written} is no number"))?),
    };
    Ok((token, length))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_text_is_taken_apart_or_refused(text in ".{0,60}") {
            let _ = tokens(&text);
        }
    }

    #[test]
    fn tokens_are_what_they_look_like() {
        let of = |text: &str| -> Vec<Token> {
            tokens(text).expect("tokens").into_iter().map(|(token, _)| token).collect()
        };
        use Token::{Float, Int, Parameter, Quoted, String as Text, Symbol, Word};
        assert_eq!(
            of("a.b <= 1.5e3 // x"),
            [Word("a".into()), Symbol("."), Word("b".into()), Symbol("<="), Float(1500.0),]
        );
        assert_eq!(
            of("`a``b` 'it\\'s\\n' $p $`q r`"),
            [
                Quoted("a`b".into()),
                Text("it's\n".into()),
                Parameter("p".into()),
                Parameter("q r".into()),
            ]
        );
        assert_eq!(
            of("[1..3]/* c */.5 0x1F"),
            [Symbol("["), Int(1), Symbol(".."), Int(3), Symbol("]"), Float(0.5), Int(31),]
        );
        for wrong in ["'open", "`open", "$", "/* open", "'\\q'", "99999999999999999999", "~"] {
            assert!(tokens(wrong).is_err(), "{wrong}");
        }
    }
}
