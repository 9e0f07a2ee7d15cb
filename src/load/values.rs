//! The values that the placeholders of a flow stand for.

use serde_json::Value;

use super::template::{fill, fill_json, fill_path};

/// Longest value that is taken from an answer.
const MAX_VALUE_BYTES: usize = 16 * 1024;

/// Values by name.
#[derive(Debug, Default)]
pub struct Values(Vec<(String, String)>);

impl Values {
    /// Gives a name a value, in place of the one that it had.
    pub fn set(&mut self, name: &str, value: &str) {
        let value = value.get(..MAX_VALUE_BYTES).unwrap_or(value).to_owned();
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }

    /// Takes a name's value away.
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|(known, _)| known != name);
    }

    /// Whether a name has a value.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
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

    /// A JSON value with the placeholders in its strings filled.
    pub fn json(&self, template: &Value) -> Value {
        fill_json(template, &self.pairs())
    }

    fn pairs(&self) -> Vec<(&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }
}
