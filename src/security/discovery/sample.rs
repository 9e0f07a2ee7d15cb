//! Values that fit a schema, to begin with.

use serde_json::{Map, Value, json};

/// Deepest nesting of a value.
const MAX_DEPTH: usize = 6;
/// Most references that lead on to another one.
const MAX_HOPS: usize = 8;
/// Most fields of an object.
const MAX_FIELDS: usize = 30;

/// Follows references within a document.
pub struct Resolver<'a> {
    document: &'a Value,
}

impl<'a> Resolver<'a> {
    /// Of this document.
    pub const fn new(document: &'a Value) -> Self {
        Self { document }
    }

    /// What a reference leads to; what is none stays as it is. References to elsewhere are not
    /// followed.
    pub fn resolve<'b>(&'b self, mut value: &'b Value) -> &'b Value {
        for _ in 0..MAX_HOPS {
            let Some(reference) = value.get("$ref").and_then(Value::as_str) else { return value };
            let target = reference.strip_prefix('#').and_then(|at| self.document.pointer(at));
            let Some(target) = target else { return value };
            value = target;
        }
        value
    }
}

/// A value for a parameter, a media type or a schema.
pub fn sample(resolver: &Resolver<'_>, of: &Value) -> Value {
    if let Some(example) = example(resolver, of) {
        return example;
    }
    let schema = of.get("schema").map_or(of, |schema| resolver.resolve(schema));
    value(resolver, schema, 0)
}

fn example(resolver: &Resolver<'_>, of: &Value) -> Option<Value> {
    if let Some(example) = of.get("example") {
        return Some(example.clone());
    }
    let examples = of.get("examples")?;
    let first = match examples {
        Value::Array(items) => return items.first().cloned(),
        Value::Object(named) => named.values().next()?,
        _ => return None,
    };
    resolver.resolve(first).get("value").cloned()
}

fn value(resolver: &Resolver<'_>, schema: &Value, depth: usize) -> Value {
    let schema = resolver.resolve(schema);
    if depth > MAX_DEPTH {
        return Value::Null;
    }
    if let Some(example) = example(resolver, schema) {
        return example;
    }
    for fixed in ["default", "const"] {
        if let Some(value) = schema.get(fixed) {
            return value.clone();
        }
    }
    if let Some(first) = schema.pointer("/enum/0") {
        return first.clone();
    }
    for choice in ["oneOf", "anyOf"] {
        let choices = schema.get(choice).and_then(Value::as_array);
        let real =
            choices.into_iter().flatten().find(|one| one.get("type") != Some(&json!("null")));
        if let Some(one) = real {
            return value(resolver, one, depth + 1);
        }
    }
    if let Some(one) = combined(resolver, schema) {
        return value(resolver, &one, depth + 1);
    }
    let kind = match schema.get("type") {
        Some(Value::String(kind)) => kind.as_str(),
        Some(Value::Array(kinds)) => {
            kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null").unwrap_or_default()
        }
        _ if schema.get("properties").is_some() || schema.get("allOf").is_some() => "object",
        _ => "string",
    };
    match kind {
        "integer" | "number" => schema.get("minimum").cloned().unwrap_or_else(|| json!(1)),
        "boolean" => json!(true),
        "array" => match schema.get("items") {
            Some(items) => json!([value(resolver, items, depth + 1)]),
            None => json!([]),
        },
        "object" => object(resolver, schema, depth),
        _ => text(schema.get("format").and_then(Value::as_str).unwrap_or_default()),
    }
}

/// What the parts of a schema say together, where none of them is an object: of what several say, the
/// last counts.
fn combined(resolver: &Resolver<'_>, schema: &Value) -> Option<Value> {
    let parts = schema.get("allOf").and_then(Value::as_array)?;
    let own = schema.as_object()?.clone().into_iter().filter(|(name, _)| name != "allOf");
    let mut all = Map::new();
    for part in parts {
        let part = resolver.resolve(part).as_object()?;
        all.extend(part.iter().map(|(name, says)| (name.clone(), says.clone())));
    }
    all.extend(own);
    let is_object = all.get("type") == Some(&json!("object"))
        || ["properties", "allOf"].iter().any(|part| all.contains_key(*part));
    (!is_object).then_some(Value::Object(all))
}

fn object(resolver: &Resolver<'_>, schema: &Value, depth: usize) -> Value {
    let mut fields = Map::new();
    for part in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
        if let Value::Object(more) = value(resolver, part, depth + 1) {
            fields.extend(more);
        }
    }
    let properties = schema.get("properties").and_then(Value::as_object);
    for (name, property) in properties.into_iter().flatten().take(MAX_FIELDS) {
        fields.insert(name.clone(), value(resolver, property, depth + 1));
    }
    Value::Object(fields)
}

fn text(format: &str) -> Value {
    Value::from(match format {
        "uuid" => "00000000-0000-4000-8000-000000000001",
        "date" => "2026-01-01",
        "date-time" => "2026-01-01T00:00:00Z",
        "email" => "shakedown@example.com",
        "uri" | "url" => "https://example.com/",
        _ => "shakedown",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_schema_make_one_value() {
        let document = json!({ "schemas": {
            "small": { "type": "integer", "minimum": 1, "maximum": 50 },
            "order": { "type": "string", "enum": ["asc", "desc"] },
            "item": { "properties": { "id": { "$ref": "#/schemas/small" } } },
        } });
        let resolver = Resolver::new(&document);
        let of = |parts: Value| sample(&resolver, &json!({ "schema": { "allOf": parts } }));
        let small = json!({ "$ref": "#/schemas/small" });
        assert_eq!(of(json!([small, { "default": 5 }])), json!(5));
        assert_eq!(of(json!([small, { "description": "how many" }])), json!(1));
        assert_eq!(of(json!([{ "$ref": "#/schemas/order" }])), json!("asc"));
        let item = json!([{ "$ref": "#/schemas/item" }, { "properties": { "n": small } }]);
        assert_eq!(of(item), json!({ "id": 1, "n": 1 }));
        // What leads nowhere, or round and round, is no value.
        assert_eq!(of(json!(["nonsense"])), json!({}));
    }
}
