//! Where in a script one is: outside of texts, or within which quotes.

/// The quotes that are open at the end of a piece of JavaScript; none outside of texts and comments.
pub fn quote_at(script: &str) -> Option<char> {
    let mut open: Option<char> = None;
    let mut letters = script.chars().peekable();
    while let Some(letter) = letters.next() {
        match (open, letter) {
            (Some(_), '\\') => {
                letters.next();
            }
            (Some(quote), letter) if letter == quote => open = None,
            // A text in single or double quotes ends with its line.
            (Some('\'' | '"'), '\n') => open = None,
            (None, '\'' | '"' | '`') => open = Some(letter),
            (None, '/') if letters.peek() == Some(&'/') => {
                letters.by_ref().find(|letter| *letter == '\n');
            }
            _ => {}
        }
    }
    open
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_open_and_close() {
        for (script, expected) in [
            ("var a = '", Some('\'')),
            ("var a = 'x'; var b = \"y", Some('"')),
            ("var a = 'it\\'s", Some('\'')),
            ("var a = 'it\\\\'; b = ", None),
            ("// it's a comment\nvar a = ", None),
            ("`${a} '", Some('`')),
        ] {
            assert_eq!(quote_at(script), expected, "{script}");
        }
    }
}
