//! Everything from a target is hostile: bounded, and stripped of control characters and of our own
//! secrets before it is kept, shown or logged.

use crate::config::without_secrets;

/// Longest piece of a target's text that is kept, in characters.
pub const MAX_EXCERPT: usize = 200;

/// A one-line excerpt of at most [`MAX_EXCERPT`] characters. Control characters (C0, C1, DEL),
/// bidirectional overrides and other invisible format characters become spaces.
pub fn excerpt(text: &str) -> String {
    clean(text, MAX_EXCERPT)
}

/// As [`excerpt`], with a bound of one's own, in characters.
pub fn clean(text: &str, max_chars: usize) -> String {
    let text = without_secrets(text);
    let mut kept: String = text
        .chars()
        .take(max_chars)
        .map(|c| if c.is_control() || is_invisible(c) { ' ' } else { c })
        .collect();
    if text.chars().nth(max_chars).is_some() {
        kept.push('…');
    }
    kept
}

/// An error and everything that caused it, in words: `error sending request` alone says nothing.
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_words = inner.to_string();
        if !words.contains(&inner_words) {
            words = format!("{words}: {inner_words}");
        }
        cause = inner.source();
    }
    words
}

/// What caused an error at first, in words.
pub fn innermost(error: &dyn std::error::Error) -> String {
    let Some(mut reason) = error.source() else { return error.to_string() };
    while let Some(cause) = reason.source() {
        reason = cause;
    }
    reason.to_string()
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
    fn escape_sequences_lose_their_teeth() {
        assert_eq!(excerpt("a\u{1b}[2Jb\u{9b}31mc\r\nd\u{202e}e"), "a [2Jb 31mc  d e");
    }

    proptest! {
        #[test]
        fn whatever_comes_is_short_and_harmless(text in any::<String>()) {
            let kept = clean(&text, 20);
            prop_assert!(kept.chars().count() <= 21);
            prop_assert!(!kept.chars().any(char::is_control));
        }
    }
}
