//! Placeholders such as `{id}` in paths and JSON bodies.

use serde_json::Value;

/// Replaces the placeholders in a text; names that are not given stay as they are.
pub fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut filled = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(open) = rest.find('{') {
        let (before, from_open) = rest.split_at(open);
        filled.push_str(before);
        let name = from_open[1..].split('}').next().unwrap_or_default();
        let closed = from_open.len() > name.len() + 1;
        match values.iter().find(|(key, _)| closed && *key == name) {
            Some((_, value)) => {
                filled.push_str(value);
                rest = &from_open[name.len() + 2..];
            }
            None => {
                filled.push('{');
                rest = &from_open[1..];
            }
        }
    }
    filled.push_str(rest);
    filled
}

/// Replaces the placeholders in a path; values are percent-encoded, so that they stay one segment.
/// `{+name}` is replaced by the value as it is (RFC 6570 calls this reserved expansion).
pub fn fill_path(template: &str, values: &[(&str, &str)]) -> String {
    let encoded = values.iter().map(|(name, value)| ((*name).to_owned(), encode_segment(value)));
    let raw = values.iter().map(|(name, value)| (format!("+{name}"), (*value).to_owned()));
    let all: Vec<(String, String)> = encoded.chain(raw).collect();
    let borrowed: Vec<(&str, &str)> =
        all.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    fill(template, &borrowed)
}

/// Replaces the placeholders in every string of a JSON value; a value cannot break out of its string.
pub fn fill_json(template: &Value, values: &[(&str, &str)]) -> Value {
    with_strings(template, &|text| Value::String(fill(text, values)))
}

/// A JSON value with something else in the place of each of its strings; its keys stay.
pub fn with_strings(template: &Value, replace: &impl Fn(&str) -> Value) -> Value {
    match template {
        Value::String(text) => replace(text),
        Value::Array(items) => items.iter().map(|item| with_strings(item, replace)).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(key, value)| (key.clone(), with_strings(value, replace)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        other => other.clone(),
    }
}

fn encode_segment(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn known_names_are_replaced_and_everything_else_stays() {
        let values = [("id", "7"), ("text", "{id}")];
        assert_eq!(fill("a{id}b{nope}{text}{", &values), "a7b{nope}{id}{");
        assert_eq!(fill_path("/c/{id}", &[("id", "a/b ü")]), "/c/a%2Fb%20%C3%BC");
        assert_eq!(fill_path("{+at}?x={at}", &[("at", "/a/7")]), "/a/7?x=%2Fa%2F7");
        let body = json!({ "k": ["{id}", 3], "n": { "t": "x{text}" } });
        let expected = json!({ "k": ["7", 3], "n": { "t": "x{id}" } });
        assert_eq!(fill_json(&body, &values), expected);
    }

    proptest! {
        #[test]
        fn without_values_a_text_stays_as_it_is(text in any::<String>()) {
            prop_assert_eq!(fill(&text, &[]), text);
        }
    }
}
