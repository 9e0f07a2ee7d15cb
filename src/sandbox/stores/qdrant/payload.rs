//! Fields of a payload by their path: `a.b`, `list[]`, `list[0].c`.

use qdrant_client::qdrant::Value;
use qdrant_client::qdrant::value::Kind;
use qdrant_client::qdrant::with_payload_selector::SelectorOptions;
use qdrant_client::qdrant::{Struct, WithPayloadSelector};
use std::collections::HashMap;

/// Fields by name.
pub type Payload = HashMap<String, Value>;

enum Step<'a> {
    Name(&'a str),
    Each,
    At(usize),
}

fn steps(path: &str) -> Vec<Step<'_>> {
    let mut steps = Vec::new();
    // A name in quotes may have dots in it.
    if let Some(name) = path.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        return vec![Step::Name(name)];
    }
    for part in path.split('.') {
        let (name, mut brackets) = part.find('[').map_or((part, ""), |at| part.split_at(at));
        steps.push(Step::Name(name));
        while let Some((inside, rest)) = brackets.strip_prefix('[').and_then(|b| b.split_once(']'))
        {
            steps.push(inside.parse().map_or(Step::Each, Step::At));
            brackets = rest;
        }
    }
    steps
}

/// All values at a path. A list at its end counts as its elements.
pub fn find<'a>(payload: &'a Payload, path: &str) -> Vec<&'a Value> {
    let steps = steps(path);
    let Some((Step::Name(first), rest)) = steps.split_first() else { return Vec::new() };
    // A name may have dots in it.
    if let Some(whole) = payload.get(path) {
        return elements(vec![whole]);
    }
    let mut found: Vec<&Value> = payload.get(*first).into_iter().collect();
    for step in rest {
        found = found.into_iter().flat_map(|value| go(value, step)).collect();
    }
    elements(found)
}

fn go<'a>(value: &'a Value, step: &Step<'_>) -> Vec<&'a Value> {
    match (&value.kind, step) {
        (Some(Kind::StructValue(of)), Step::Name(name)) => {
            of.fields.get(*name).into_iter().collect()
        }
        (Some(Kind::ListValue(list)), Step::Each) => list.values.iter().collect(),
        (Some(Kind::ListValue(list)), Step::At(at)) => list.values.get(*at).into_iter().collect(),
        _ => Vec::new(),
    }
}

fn elements(found: Vec<&Value>) -> Vec<&Value> {
    found
        .into_iter()
        .flat_map(|value| match &value.kind {
            Some(Kind::ListValue(list)) => list.values.iter().collect(),
            _ => vec![value],
        })
        .collect()
}

/// Removes what is at a path of names.
pub fn remove(payload: &mut Payload, path: &str) {
    if payload.remove(path).is_some() {
        return;
    }
    let Some((first, rest)) = path.split_once('.') else { return };
    if let Some(Kind::StructValue(of)) =
        payload.get_mut(first).and_then(|value| value.kind.as_mut())
    {
        remove(&mut of.fields, rest);
    }
}

/// Merges fields into what is at a path of names, or into the payload itself.
pub fn merge(payload: &mut Payload, path: Option<&str>, fields: &Payload) {
    let Some(path) = path else {
        payload.extend(fields.clone());
        return;
    };
    let (first, rest) = path.split_once('.').map_or((path, None), |(f, r)| (f, Some(r)));
    let value = payload.entry(first.to_owned()).or_default();
    if !matches!(value.kind, Some(Kind::StructValue(_))) {
        value.kind = Some(Kind::StructValue(Struct::default()));
    }
    if let Some(Kind::StructValue(of)) = &mut value.kind {
        merge(&mut of.fields, rest, fields);
    }
}

/// What of a payload is asked for.
pub fn select(
    payload: &Payload,
    wanted: Option<&WithPayloadSelector>,
    by_default: bool,
) -> Payload {
    let names = |fields: &[String], name: &str| {
        fields.iter().any(|field| field.split('.').next() == Some(name))
    };
    match wanted.and_then(|wanted| wanted.selector_options.as_ref()) {
        None if by_default => payload.clone(),
        None | Some(SelectorOptions::Enable(false)) => Payload::new(),
        Some(SelectorOptions::Enable(true)) => payload.clone(),
        Some(SelectorOptions::Include(of)) => {
            let kept = payload.iter().filter(|(name, _)| names(&of.fields, name));
            kept.map(|(name, value)| (name.clone(), value.clone())).collect()
        }
        Some(SelectorOptions::Exclude(of)) => {
            let mut kept = payload.clone();
            of.fields.iter().for_each(|path| remove(&mut kept, path));
            kept
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(json: &[(&str, Value)]) -> Payload {
        json.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
    }

    #[test]
    fn a_path_finds_merges_and_removes() {
        let inner = Value::from(vec![("b", 1)]);
        let list = Value::from(vec![inner.clone(), Value::from(2)]);
        let mut all = payload(&[("a", inner), ("list", list), ("dotted.name", Value::from(9))]);
        assert_eq!(find(&all, "a.b"), [&Value::from(1)]);
        assert_eq!(find(&all, "list[0].b"), [&Value::from(1)]);
        assert_eq!(find(&all, "list[].b"), [&Value::from(1)]);
        assert_eq!(find(&all, "list").len(), 2);
        assert_eq!(find(&all, "dotted.name"), [&Value::from(9)]);
        assert!(find(&all, "a.x").is_empty() && find(&all, "").is_empty());
        merge(&mut all, Some("a.c"), &payload(&[("d", Value::from(3))]));
        assert_eq!(find(&all, "a.c.d"), [&Value::from(3)]);
        remove(&mut all, "a.b");
        assert!(find(&all, "a.b").is_empty() && !find(&all, "a.c.d").is_empty());
    }
}
