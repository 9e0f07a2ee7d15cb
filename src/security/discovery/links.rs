//! Links of a page: in HTML by what a browser would follow, in JSON by what looks like a path.

use html5gum::{Token, Tokenizer};
use serde_json::Value;

/// Most links of one page.
const MAX_LINKS: usize = 300;
/// Longest link.
const MAX_LINK_BYTES: usize = 500;

/// What a page leads to, as it stands there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Links {
    /// Pages.
    pub pages: Vec<String>,
    /// Scripts.
    pub scripts: Vec<String>,
    /// Forms.
    pub forms: Vec<Form>,
}

/// A form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Form {
    /// Whether it is sent by POST.
    pub post: bool,
    /// Where it goes; empty for the page itself.
    pub action: String,
    /// Names of its fields and what stands in them.
    pub fields: Vec<(String, String)>,
    /// Whether it has a file in it.
    pub file: bool,
}

/// The links of a body by its media type.
pub fn links(media_type: &str, body: &str) -> Links {
    let mut links = Links::default();
    if media_type.contains("json") {
        if let Ok(value) = serde_json::from_str(body) {
            walk(&value, 0, &mut links);
        }
    } else if media_type.contains("html") {
        html(body, &mut links);
    }
    links
}

fn walk(value: &Value, depth: usize, links: &mut Links) {
    match value {
        _ if depth > 12 || links.pages.len() >= MAX_LINKS => {}
        Value::String(text) => {
            let path = text.starts_with('/') && !text.contains(char::is_whitespace);
            if (path || text.starts_with("http")) && text.len() <= MAX_LINK_BYTES {
                links.pages.push(text.clone());
            }
        }
        Value::Array(items) => items.iter().for_each(|item| walk(item, depth + 1, links)),
        Value::Object(fields) => fields.values().for_each(|item| walk(item, depth + 1, links)),
        _ => {}
    }
}

fn html(body: &str, links: &mut Links) {
    let mut form: Option<Form> = None;
    for token in Tokenizer::new(body).flatten() {
        let tag = match token {
            Token::StartTag(tag) => tag,
            Token::EndTag(tag) if tag.name.as_slice() == b"form" => {
                links.forms.extend(form.take());
                continue;
            }
            _ => continue,
        };
        let attribute = |name: &str| {
            let value = tag.attributes.get(name.as_bytes())?;
            let value = String::from_utf8_lossy(value).trim().to_owned();
            (value.len() <= MAX_LINK_BYTES).then_some(value)
        };
        if links.pages.len() + links.scripts.len() + links.forms.len() >= MAX_LINKS {
            break;
        }
        match tag.name.as_slice() {
            b"a" | b"area" | b"link" => links.pages.extend(attribute("href")),
            b"iframe" | b"frame" => links.pages.extend(attribute("src")),
            b"script" => links.scripts.extend(attribute("src")),
            b"form" => {
                links.forms.extend(form.take());
                let post = attribute("method").is_some_and(|of| of.eq_ignore_ascii_case("post"));
                let action = attribute("action").unwrap_or_default();
                form = Some(Form { post, action, ..Form::default() });
            }
            b"input" | b"textarea" | b"select" => {
                if let (Some(form), Some(name)) = (&mut form, attribute("name")) {
                    let kind = attribute("type").unwrap_or_default();
                    form.file |= kind.eq_ignore_ascii_case("file");
                    form.fields.push((name, attribute("value").unwrap_or_default()));
                }
            }
            _ => {}
        }
    }
    links.forms.extend(form);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_scripts_and_forms_are_found() {
        let found = links(
            "text/html",
            "<a href='/a?b=1'>x</a><script src=/app.js></script><!-- <a href=/no> -->\
             <form action=/s><input name=q value=v><input type=file name=f></form>",
        );
        assert_eq!((found.pages, found.scripts), (vec!["/a?b=1".into()], vec!["/app.js".into()]));
        let fields = vec![("q".into(), "v".into()), ("f".into(), String::new())];
        assert_eq!(found.forms, [Form { post: false, action: "/s".into(), fields, file: true }]);
        let json = links("application/json", r#"{"next":"/p/2","text":"/not a path","n":[1]}"#);
        assert_eq!(json.pages, ["/p/2"]);
    }
}
