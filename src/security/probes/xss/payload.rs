//! The least that breaks out of where a value stands, and how it shows in the parsed page. Nothing of
//! it does anything.

use super::context::{Piece, Standing, tokens};
use super::script::quote_at;

/// Something that would break out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    /// What is sent.
    pub text: String,
    shows: Shows,
}

/// How breaking out shows.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Shows {
    /// As an element of this name.
    Element(String),
    /// As an attribute of this name.
    Attribute(String),
    /// As a link that begins like this.
    Link(String),
    /// As letters outside of texts in a script or handler.
    Script(String),
}

/// A token that is in no page, and that any escaping leaves as it is.
pub fn token() -> String {
    format!("zq{:08x}", rand::random::<u32>())
}

/// One of the payloads of a place, by number, with a token of its own; none where there are no more.
pub fn fresh(standing: &Standing, at: usize) -> Option<Payload> {
    payloads(standing, &token()).into_iter().nth(at)
}

/// What would break out of a place, all of it with this token.
fn payloads(standing: &Standing, token: &str) -> Vec<Payload> {
    let element = |before: &str| Payload {
        text: format!("{before}<{token}>"),
        shows: Shows::Element(token.to_owned()),
    };
    let attribute = |before: &str, after: &str| Payload {
        text: format!("{before} {token}=1 {after}"),
        shows: Shows::Attribute(token.to_owned()),
    };
    let script = |quote: char| Payload {
        text: format!("{quote}-{token}-{quote}"),
        shows: Shows::Script(token.to_owned()),
    };
    match standing {
        Standing::Text => vec![Payload::element(token)],
        Standing::Attribute { link, handler } => {
            let mut all =
                vec![attribute("x\"", "y=\""), attribute("x'", "y='"), attribute("x", "")];
            if *link {
                let text = format!("javascript:{token}");
                all.push(Payload { text: text.clone(), shows: Shows::Link(text) });
            }
            if *handler {
                all.extend([script('\''), script('"')]);
            }
            all
        }
        Standing::Name => vec![element("x>")],
        Standing::Script(quote) => {
            let mut all = vec![element("</script>")];
            all.extend(quote.map(script));
            if quote.is_none() {
                let text = format!("-{token}-");
                all.push(Payload { text, shows: Shows::Script(token.to_owned()) });
            }
            all
        }
        Standing::Style => vec![element("</style>")],
        Standing::Comment => vec![element("-->")],
        Standing::TextOnly(name) => vec![element(&format!("</{name}>"))],
    }
}

impl Payload {
    /// An element between others.
    pub fn element(token: &str) -> Self {
        Self { text: format!("<{token}>"), shows: Shows::Element(token.to_owned()) }
    }

    /// Whether it broke out of a page.
    pub fn broke_out(&self, page: &str) -> bool {
        let pieces = tokens(page);
        let mut within_script = false;
        pieces.iter().any(|piece| match piece {
            Piece::Start { name, attributes } => {
                within_script = name == "script";
                match &self.shows {
                    Shows::Element(token) => name == token,
                    Shows::Attribute(token) => attributes.iter().any(|(name, _)| name == token),
                    Shows::Link(start) => {
                        attributes.iter().any(|(_, value)| value.trim_start().starts_with(start))
                    }
                    Shows::Script(token) => attributes
                        .iter()
                        .filter(|(name, _)| name.starts_with("on"))
                        .any(|(_, value)| is_code(value, token)),
                }
            }
            Piece::Text(text) if within_script => match &self.shows {
                Shows::Script(token) => is_code(text, token),
                _ => false,
            },
            _ => false,
        })
    }
}

/// Whether letters stand outside of texts in a script.
fn is_code(script: &str, token: &str) -> bool {
    script.match_indices(token).any(|(at, _)| quote_at(&script[..at]).is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::security::probes::xss::context::standing;

    /// Whether any payload breaks out of a page that is written by a template.
    fn breaks(write: impl Fn(&str) -> String) -> bool {
        let places = standing(&write("zqtoken"), "zqtoken");
        assert!(!places.is_empty());
        let payloads = places.iter().flat_map(|place| payloads(place, "zqnew"));
        payloads.into_iter().any(|payload| payload.broke_out(&write(&payload.text)))
    }

    fn escaped(text: &str) -> String {
        text.replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;")
            .replace('"', "&quot;")
            .replace('\'', "&#39;")
    }

    #[test]
    fn what_is_not_escaped_breaks_out() {
        let templates: [fn(&str) -> String; 9] = [
            |v| format!("<p>{v}</p>"),
            |v| format!("<input value=\"{v}\">"),
            |v| format!("<input value='{v}'>"),
            |v| format!("<input value={v}>"),
            |v| format!("<a href=\"{}\">x</a>", escaped(v)),
            |v| format!("<script>var a = '{}';</script>", v.replace('<', "\\u003c")),
            |v| format!("<!-- {v} -->"),
            |v| format!("<title>{v}</title>"),
            |v| format!("<a onclick=\"f('{}')\">x</a>", escaped(v)),
        ];
        for (at, write) in templates.into_iter().enumerate() {
            assert!(breaks(write), "template {at}");
        }
    }

    #[test]
    fn what_is_escaped_for_its_place_does_not() {
        let templates: [fn(&str) -> String; 6] = [
            |v| format!("<p>{}</p>", escaped(v)),
            |v| format!("<input value=\"{}\">", escaped(v)),
            |v| format!("<a href=\"/s?q={}\">x</a>", escaped(v)),
            |v| {
                let json = serde_json::Value::from(v).to_string().replace('<', "\\u003c");
                format!("<script>var a = {json};</script>")
            },
            |v| format!("<title>{}</title>", escaped(v)),
            |v| format!("<textarea>{}</textarea>", escaped(v)),
        ];
        for (at, write) in templates.into_iter().enumerate() {
            assert!(!breaks(write), "template {at}");
        }
    }
}
