//! Placeholders such as `{token}` and `{people.name}` in the texts of steps.

use std::collections::BTreeMap;

use serde_json::Value;

use super::step::{AnswerCheck, RequestStep, Step};

/// Names that a run itself fills in.
pub const BUILT_IN: [&str; 4] = ["user", "iteration", "unique", "marker"];

/// The names that stand in braces in a text. The `+` of a path's `{+name}` is no part of the name.
pub fn placeholders(text: &str) -> impl Iterator<Item = &str> {
    let names = text.split('{').skip(1).filter_map(|after| after.split_once('}'));
    names.map(|(name, _)| name.strip_prefix('+').unwrap_or(name))
}

/// Texts of a step with their paths below it.
type Texts<'a> = Vec<(String, &'a str)>;

impl Step {
    /// The texts in which placeholders are filled, with their paths below the step.
    pub fn filled_texts(&self) -> Texts<'_> {
        match self {
            Self::Chat { prompt, .. } => vec![("chat.prompt".into(), prompt)],
            Self::Ingest { text } => vec![("ingest.text".into(), text)],
            Self::Query { question } => vec![("query.question".into(), question)],
            Self::Request(request) => request.filled_texts(),
            _ => Vec::new(),
        }
    }
}

impl RequestStep {
    /// As [`Step::filled_texts`].
    pub(super) fn filled_texts(&self) -> Texts<'_> {
        let mut texts: Texts<'_> = vec![("request.path".into(), &self.path)];
        of_map(&self.headers, "request.headers", &mut texts);
        if let Some(body) = &self.body {
            of_json(body, "request.body", &mut texts);
        }
        texts.extend(self.text.iter().map(|text| ("request.text.content".into(), &*text.content)));
        for (at, part) in self.multipart.iter().enumerate() {
            let fields = [("name", &part.name), ("content", &part.content)];
            let fields = fields.into_iter().chain(part.filename.as_ref().map(|n| ("filename", n)));
            let path = |field| format!("request.multipart.{at}.{field}");
            texts.extend(fields.map(|(field, text)| (path(field), text.as_str())));
        }
        for (at, check) in self.checks.iter().enumerate() {
            let path = format!("request.checks.{at}");
            match check {
                AnswerCheck::Contains(text) => texts.push((format!("{path}.contains"), text)),
                AnswerCheck::Json { equals: Some(value), .. } => {
                    of_json(value, &format!("{path}.json.equals"), &mut texts);
                }
                _ => {}
            }
        }
        texts
    }
}

fn of_map<'a>(map: &'a BTreeMap<String, String>, path: &str, texts: &mut Texts<'a>) {
    texts.extend(map.iter().map(|(key, text)| (format!("{path}.{key}"), text.as_str())));
}

/// The strings of a JSON value; its keys are sent as they are.
fn of_json<'a>(value: &'a Value, path: &str, texts: &mut Texts<'a>) {
    match value {
        Value::String(text) => texts.push((path.to_owned(), text)),
        Value::Array(items) => {
            let items = items.iter().enumerate();
            items.for_each(|(at, item)| of_json(item, &format!("{path}.{at}"), texts));
        }
        Value::Object(fields) => {
            fields.iter().for_each(|(key, field)| of_json(field, &format!("{path}.{key}"), texts));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_in_closed_braces() {
        let names: Vec<&str> = placeholders("/a/{id}{+at}?q={people.name}&{open{in}{").collect();
        assert_eq!(names, ["id", "at", "people.name", "in"]);
    }

    #[test]
    fn a_request_is_the_same_every_time_where_nothing_is_filled() {
        for (fields, constant) in [
            (
                "path: /, body: { k: [\"a \\\"quoted\\\" word\", 1] }, checks: [{ status: 200 }]",
                true,
            ),
            ("path: /, body: { \"{key}\": 1 }", true),
            ("path: /, body: { k: \"a \\\" {b}\" }", false),
            ("path: \"/{a}\"", false),
            ("path: /, headers: { x: \"{a}\" }", false),
            ("path: /, checks: [{ contains: x }]", false),
        ] {
            let step: Step =
                serde_yaml::from_str(&format!("request: {{ {fields} }}")).expect(fields);
            let Step::Request(request) = step else { panic!("{fields}") };
            assert_eq!(request.is_constant(), constant, "{fields}");
        }
    }

    #[test]
    fn every_text_that_is_filled_is_found_where_it_stands() {
        let step: Step = serde_yaml::from_str(
            r#"
            request:
              path: "{a}"
              headers: { x-user: "{b}" }
              body: { k: ["{c}", { "{key}": "{d}" }] }
              multipart: [{ name: "{e}", content: "{f}", filename: "{g}" }]
              checks: [{ contains: "{h}" }, { json: { pointer: "/{p}", equals: "{i}" } }]
            "#,
        )
        .expect("a step");
        let found = step.filled_texts();
        let names: String = found.iter().flat_map(|(_, text)| placeholders(text)).collect();
        assert_eq!(names, "abcdefghi");
        let paths: Vec<&str> = found.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!((paths[1], paths[3]), ("request.headers.x-user", "request.body.k.1.{key}"));
        assert_eq!(
            (paths[6], paths[8]),
            ("request.multipart.0.filename", "request.checks.1.json.equals")
        );
    }
}
