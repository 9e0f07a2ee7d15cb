//! Everything from a target is hostile: bounded, and stripped of control characters and of our own
//! secrets before it is kept, shown or logged.

use super::tls;
use crate::config::without_secrets;

/// Longest piece of a target's text that is kept, in characters.
pub const MAX_EXCERPT: usize = 200;

/// A one-line excerpt of at most [`MAX_EXCERPT`] characters, without escape sequences (ECMA-48). Control
/// characters (C0, C1, DEL), bidirectional overrides and other invisible format characters become spaces.
pub fn excerpt(text: &str) -> String {
    clean(text, MAX_EXCERPT)
}

/// As [`excerpt`], with a bound of one's own, in characters.
pub fn clean(text: &str, max_chars: usize) -> String {
    let text = without_secrets(text);
    let mut letters = text.chars().peekable();
    let (mut kept, mut n) = (String::new(), 0);
    while let Some(c) = letters.next() {
        match c {
            '\u{1b}' | '\u{90}' | '\u{98}' | '\u{9b}' | '\u{9d}'..='\u{9f}' => {
                skip_sequence(c, &mut letters);
                continue;
            }
            _ if n == max_chars => {
                kept.push('…');
                break;
            }
            _ if c.is_control() || is_invisible(c) => kept.push(' '),
            _ => kept.push(c),
        }
        n += 1;
    }
    // One that a sequence had torn is whole again.
    without_secrets(&kept)
}

/// Longest string of a terminal's commands that is taken for one; what goes on is text.
const MAX_SEQUENCE: usize = 4096;

/// Leaves out the rest of an escape sequence: of a control sequence up to its last letter, of a string
/// (titles, links, device controls) up to its end, of any other its letter.
fn skip_sequence(begins: char, letters: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    let kind = match begins {
        '\u{1b}' => {
            // Intermediate bytes, as before a character set.
            while letters.next_if(|c| matches!(c, ' '..='/')).is_some() {}
            match letters.next_if(|c| matches!(c, '0'..='~')) {
                Some(letter) => letter,
                None => return,
            }
        }
        // The one-character forms of `ESC P`, `ESC X`, `ESC [`, `ESC ]`, `ESC ^` and `ESC _`.
        c1 => char::from(c1 as u8 - 0x40),
    };
    match kind {
        '[' => {
            while letters.next_if(|c| matches!(c, ' '..='?')).is_some() {}
            letters.next_if(|c| matches!(c, '@'..='~'));
        }
        ']' | 'P' | 'X' | '^' | '_' => {
            for _ in 0..MAX_SEQUENCE {
                match letters.next() {
                    Some('\u{7}' | '\u{9c}') | None => return,
                    Some('\u{1b}') => {
                        letters.next_if_eq(&'\\');
                        return;
                    }
                    Some(_) => {}
                }
            }
        }
        _ => {}
    }
}

/// An error and everything that caused it, in words: `error sending request` alone says nothing. With
/// advice where a certificate was refused.
pub fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_words = inner.to_string();
        if !words.contains(&inner_words) {
            words = format!("{words}: {inner_words}");
        }
        cause = inner.source();
    }
    tls::advised(words, error)
}

/// What caused an error at first, in words. With advice where a certificate was refused.
pub fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut reason = error;
    while let Some(cause) = reason.source() {
        reason = cause;
    }
    tls::advised(reason.to_string(), error)
}

const fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{2069}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nothing_is_left_of_an_escape_sequence() {
        assert_eq!(excerpt("a\u{1b}[2Jb\u{9b}31mc\r\nd\u{202e}e"), "abc  d e");
        assert_eq!(excerpt("\u{1b}[1;31mred\u{1b}[0m \u{1b}[38;2;1;2;3mx"), "red x");
        assert_eq!(
            excerpt("a\u{1b}]0;owned\u{7}b\u{1b}]8;;http://e/\u{1b}\\c\u{9d}2;t\u{9c}d"),
            "abcd"
        );
        assert_eq!(excerpt("a\u{1b}Pq#0\u{1b}\\b\u{1b}(Bc\u{1b}7d\u{1b}"), "abcd");
        // What is cut off or no sequence does not swallow what follows a line.
        assert_eq!(excerpt("a\u{1b}[31\nb"), "a b");
        assert_eq!(excerpt("\u{1b}é"), "é");
    }

    #[test]
    fn a_text_is_as_long_as_what_is_seen_of_it() {
        assert_eq!(clean("\u{1b}[31mabc\u{1b}[0m", 3), "abc");
        assert_eq!(clean("abcd", 3), "abc…");
    }

    proptest! {
        #[test]
        fn whatever_comes_is_short_and_harmless(text in any::<String>()) {
            let kept = clean(&text, 20);
            prop_assert!(kept.chars().count() <= 21);
            prop_assert!(!kept.chars().any(char::is_control));
            let sequence = format!("\u{1b}[{}m{text}", text.len());
            prop_assert_eq!(clean(&sequence, 20), kept);
        }
    }
}
