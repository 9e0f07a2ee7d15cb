//! Where in a page a text stands, as a browser sees it.

use html5gum::{Token, Tokenizer};

use super::script::quote_at;

/// Where a text stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// Between elements.
    Text,
    /// In the value of an attribute; quotes around it are not known from the parsed page.
    Attribute {
        /// Whether the attribute is a link that begins with it.
        link: bool,
        /// Whether it is a script.
        handler: bool,
    },
    /// As a name of an element or attribute.
    Name,
    /// In a script; within such quotes, if within any.
    Script(Option<char>),
    /// In a style sheet.
    Style,
    /// In a comment.
    Comment,
    /// In an element that holds text only, such as title.
    TextOnly(String),
}

impl Standing {
    /// Where it is, in words.
    pub fn words(&self) -> String {
        match self {
            Self::Text => "the text of the page".into(),
            Self::Attribute { handler: true, .. } => "an attribute that is a script".into(),
            Self::Attribute { link: true, .. } => "an attribute that is a link".into(),
            Self::Attribute { .. } => "an attribute".into(),
            Self::Name => "the name of an element or attribute".into(),
            Self::Script(None) => "a script".into(),
            Self::Script(Some(quote)) => format!("a script, within {quote}"),
            Self::Style => "a style sheet".into(),
            Self::Comment => "a comment".into(),
            Self::TextOnly(name) => format!("the element {name}"),
        }
    }
}

/// Elements that hold text only.
const TEXT_ONLY: [&str; 2] = ["title", "textarea"];

/// Where a text stands in a page, each kind once.
pub fn standing(page: &str, text: &str) -> Vec<Standing> {
    let mut found = Vec::new();
    let mut within: Option<String> = None;
    for token in tokens(page) {
        match token {
            Piece::Start { name, attributes } => {
                if name.contains(text) {
                    found.push(Standing::Name);
                }
                for (attribute, value) in attributes {
                    if attribute.contains(text) {
                        found.push(Standing::Name);
                    }
                    if value.contains(text) {
                        let link = is_link(&attribute) && value.trim_start().starts_with(text);
                        let handler = attribute.starts_with("on");
                        found.push(Standing::Attribute { link, handler });
                    }
                }
                within = Some(name);
            }
            Piece::End => within = None,
            Piece::Comment(comment) if comment.contains(text) => found.push(Standing::Comment),
            Piece::Text(words) if words.contains(text) => found.push(match within.as_deref() {
                Some("script") => {
                    let at = words.find(text).unwrap_or(0);
                    Standing::Script(quote_at(&words[..at]))
                }
                Some("style") => Standing::Style,
                Some(name) if TEXT_ONLY.contains(&name) => Standing::TextOnly(name.to_owned()),
                _ => Standing::Text,
            }),
            Piece::Comment(_) | Piece::Text(_) => {}
        }
    }
    found.sort();
    found.dedup();
    found
}

fn is_link(attribute: &str) -> bool {
    matches!(attribute, "href" | "src" | "action" | "formaction" | "xlink:href" | "data")
}

/// A piece of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// An element begins.
    Start {
        /// Its name.
        name: String,
        /// Its attributes with their decoded values.
        attributes: Vec<(String, String)>,
    },
    /// An element ends.
    End,
    /// Text; of scripts, styles and text-only elements as it stands.
    Text(String),
    /// A comment.
    Comment(String),
}

/// A page in pieces, by the tokenizer of the HTML standard.
pub fn tokens(page: &str) -> Vec<Piece> {
    let mut emitter = html5gum::DefaultEmitter::default();
    emitter.naively_switch_states(true);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let tokens = Tokenizer::new_with_emitter(page, emitter).flatten();
    let mut pieces = Vec::new();
    for token in tokens {
        match token {
            Token::StartTag(tag) => {
                let attributes = tag.attributes.iter();
                let attributes =
                    attributes.map(|(name, value)| (text(name), text(value))).collect();
                pieces.push(Piece::Start { name: text(&tag.name), attributes });
            }
            Token::EndTag(_) => pieces.push(Piece::End),
            Token::String(words) => match pieces.last_mut() {
                Some(Piece::Text(before)) => before.push_str(&text(&words)),
                _ => pieces.push(Piece::Text(text(&words))),
            },
            Token::Comment(comment) => pieces.push(Piece::Comment(text(&comment))),
            _ => {}
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_stands_where_a_browser_sees_it() {
        let attribute = |link, handler| Standing::Attribute { link, handler };
        for (page, expected) in [
            ("<p>Hello zq</p>", Standing::Text),
            ("<input value=\"a zq\">", attribute(false, false)),
            ("<a href='zq'>x</a>", attribute(true, false)),
            ("<a href='/s?q=zq'>x</a>", attribute(false, false)),
            ("<a onclick=\"f('zq')\">x</a>", attribute(false, true)),
            ("<script>var a = 'zq';</script>", Standing::Script(Some('\''))),
            ("<script>var a = zq;</script>", Standing::Script(None)),
            ("<style>a { b: zq }</style>", Standing::Style),
            ("<!-- zq -->", Standing::Comment),
            ("<title>zq</title>", Standing::TextOnly("title".into())),
            ("<zq>", Standing::Name),
        ] {
            assert_eq!(standing(page, "zq"), [expected], "{page}");
        }
        assert_eq!(standing("<p>nothing</p>", "zq"), []);
    }
}
