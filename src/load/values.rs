//! The values that the placeholders of a flow stand for.

use serde_json::Value;

use super::template::{fill, fill_path, with_strings};

/// Longest value that is taken from an answer.
const MAX_VALUE_BYTES: usize = 16 * 1024;

/// Values by name.
#[derive(Debug, Default)]
pub struct Values(Vec<Named>);

#[derive(Debug)]
struct Named {
    name: String,
    text: String,
    /// What it is in JSON, where that is no string.
    json: Option<Value>,
}

impl Values {
    /// Gives a name a text, in place of the value that it had.
    pub fn set(&mut self, name: &str, text: &str) {
        let text = text[..text.floor_char_boundary(MAX_VALUE_BYTES)].to_owned();
        self.put(Named { name: name.to_owned(), text, json: None });
    }

    /// Gives a name a value of an answer: where its placeholder is a whole string of a JSON body, it
    /// stands there as what it is, and as text everywhere else.
    pub fn set_json(&mut self, name: &str, value: Value) {
        match value {
            Value::String(text) => self.set(name, &text),
            value => {
                let text = value.to_string();
                // What is cut is no JSON any more.
                if text.len() > MAX_VALUE_BYTES {
                    return self.set(name, &text);
                }
                self.put(Named { name: name.to_owned(), text, json: Some(value) });
            }
        }
    }

    fn put(&mut self, named: Named) {
        match self.0.iter_mut().find(|known| known.name == named.name) {
            Some(known) => *known = named,
            None => self.0.push(named),
        }
    }

    /// Takes a name's value away.
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|known| known.name != name);
    }

    /// Whether a name has a value.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|known| known.name == name)
    }

    /// A text with its placeholders filled.
    pub fn text(&self, template: &str) -> String {
        if template.contains('{') { fill(template, &self.pairs()) } else { template.to_owned() }
    }

    /// A path with its placeholders filled and encoded.
    pub fn path(&self, template: &str) -> String {
        if template.contains('{') {
            fill_path(template, &self.pairs())
        } else {
            template.to_owned()
        }
    }

    /// A JSON value with the placeholders in its strings filled; a string that is nothing but a
    /// placeholder becomes what the value is.
    pub fn json(&self, template: &Value) -> Value {
        let pairs = self.pairs();
        with_strings(template, &|text| {
            self.alone(text).cloned().unwrap_or_else(|| Value::String(fill(text, &pairs)))
        })
    }

    /// The value that is no string and whose placeholder is all of a text.
    fn alone(&self, text: &str) -> Option<&Value> {
        let name = text.strip_prefix('{')?.strip_suffix('}')?;
        self.0.iter().find(|known| known.name == name)?.json.as_ref()
    }

    fn pairs(&self) -> Vec<(&str, &str)> {
        self.0.iter().map(|named| (named.name.as_str(), named.text.as_str())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn with(name: &str, value: Value) -> Values {
        let mut values = Values::default();
        values.set_json(name, value);
        values
    }

    #[test]
    fn a_value_keeps_its_type_where_it_stands_alone_and_is_text_elsewhere() {
        let body = json!({ "alone": "{v}", "list": ["{v}", "n{v}", "{v}{v}"], "{v}": "{w}" });
        for (value, text) in [
            (json!(42), "42"),
            (json!(-1.5), "-1.5"),
            (json!(true), "true"),
            (json!({ "k": [1, null] }), r#"{"k":[1,null]}"#),
        ] {
            let values = with("v", value.clone());
            let list = json!([value, format!("n{text}"), format!("{text}{text}")]);
            let expected = json!({ "alone": value, "list": list, "{v}": "{w}" });
            assert_eq!(values.json(&body), expected);
            assert_eq!(values.text("a {v}"), format!("a {text}"));
        }
        assert_eq!(with("v", json!("42")).json(&json!("{v}")), json!("42"), "a string stays one");
        assert_eq!(with("v", json!(42)).path("/i/{v}"), "/i/42");
    }

    #[test]
    fn what_is_too_long_is_cut_text() {
        let long = json!(vec![7; MAX_VALUE_BYTES]);
        let filled = with("v", long).json(&json!("{v}"));
        assert_eq!(filled.as_str().map(str::len), Some(MAX_VALUE_BYTES));
        let within_a_letter = with("v", json!(format!("x{}", "é".repeat(MAX_VALUE_BYTES))));
        assert_eq!(within_a_letter.text("{v}").len(), MAX_VALUE_BYTES - 1);
    }

    proptest! {
        #[test]
        fn a_value_cannot_break_out_of_its_place(text in any::<String>(), number in any::<i64>()) {
            let mut values = with("n", json!(number));
            values.set("t", &text);
            let filled = values.json(&json!({ "a": "x{t}", "b": "{n}", "c": "{t}" }));
            prop_assert_eq!(filled, json!({ "a": format!("x{text}"), "b": number, "c": text }));
        }
    }
}
