//! Properties of nodes and relationships. Dates and durations are read as Neo4j itself prints them and
//! written through its functions: the client's own forms lose zones, and parts of durations.

use neo4rs::{
    BoltBytes, BoltFloat, BoltInteger, BoltList, BoltMap, BoltPoint2D, BoltPoint3D, BoltType,
};

use super::super::DrillError;
use crate::backup::record::Value;

/// Properties from rows of name, value and printed value.
pub(super) fn read_properties(rows: BoltType, without: &[&str]) -> Result<Value, DrillError> {
    let wrong = || DrillError::Wrong("properties have another form than expected".into());
    let BoltType::List(rows) = rows else { return Err(wrong()) };
    let mut properties = Vec::new();
    for row in rows.value {
        let BoltType::List(row) = row else { return Err(wrong()) };
        let [BoltType::String(name), value, printed] = row.value.as_slice() else {
            return Err(wrong());
        };
        if !without.contains(&name.value.as_str()) {
            properties.push((name.value.clone(), read(value, printed)?));
        }
    }
    Ok(Value::map(properties))
}

fn read(value: &BoltType, printed: &BoltType) -> Result<Value, DrillError> {
    let typed = |kind: &str| match printed {
        BoltType::String(text) => {
            Ok(Value::Typed(kind.into(), Box::new(Value::Text(text.value.clone()))))
        }
        _ => Err(DrillError::Wrong(format!("a {kind} that Neo4j does not print"))),
    };
    Ok(match value {
        BoltType::Null(_) => Value::Null,
        BoltType::Boolean(value) => Value::Bool(value.value),
        BoltType::Integer(value) => Value::Int(value.value),
        BoltType::Float(value) => Value::Float(value.value),
        BoltType::String(value) => Value::Text(value.value.clone()),
        BoltType::Bytes(value) => Value::Bytes(value.value.to_vec()),
        BoltType::List(items) => Value::List(
            items
                .value
                .iter()
                .map(|item| read(item, &BoltType::Null(neo4rs::BoltNull)))
                .collect::<Result<_, _>>()?,
        ),
        BoltType::Point2D(p) => point(p.sr_id.value, &[p.x.value, p.y.value]),
        BoltType::Point3D(p) => point(p.sr_id.value, &[p.x.value, p.y.value, p.z.value]),
        BoltType::Date(_) => typed("date")?,
        BoltType::Time(_) => typed("time")?,
        BoltType::LocalTime(_) => typed("localtime")?,
        BoltType::DateTime(_) | BoltType::DateTimeZoneId(_) => typed("datetime")?,
        BoltType::LocalDateTime(_) => typed("localdatetime")?,
        BoltType::Duration(_) => typed("duration")?,
        other => {
            return Err(DrillError::Wrong(format!("a property that is no property: {other:?}")));
        }
    })
}

fn point(srid: i64, numbers: &[f64]) -> Value {
    let numbers = numbers.iter().map(|number| Value::Float(*number));
    let parts = std::iter::once(Value::Int(srid)).chain(numbers).collect();
    Value::Typed("point".into(), Box::new(Value::List(parts)))
}

/// Properties that a parameter carries.
pub(super) fn write_properties(properties: Option<&Value>) -> BoltMap {
    let mut map = BoltMap::new();
    if let Some(Value::Map(entries)) = properties {
        for (name, value) in entries {
            if let Some(value) = write(value) {
                map.put(name.as_str().into(), value);
            }
        }
    }
    map
}

fn write(value: &Value) -> Option<BoltType> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(value) => (*value).into(),
        Value::Int(value) => (*value).into(),
        Value::Float(value) => (*value).into(),
        Value::Text(value) => value.as_str().into(),
        Value::Bytes(value) => BoltType::Bytes(BoltBytes::new(value.clone().into())),
        Value::List(items) => {
            BoltType::List(BoltList::from(items.iter().filter_map(write).collect::<Vec<_>>()))
        }
        Value::Map(_) => return None,
        Value::Typed(_, parts) => return write_point(parts),
    })
}

fn write_point(parts: &Value) -> Option<BoltType> {
    let number = |value: &Value| match value {
        Value::Float(number) => Some(BoltFloat::new(*number)),
        _ => None,
    };
    match parts.items() {
        [Value::Int(srid), x, y] => Some(BoltType::Point2D(BoltPoint2D {
            sr_id: BoltInteger::new(*srid),
            x: number(x)?,
            y: number(y)?,
        })),
        [Value::Int(srid), x, y, z] => Some(BoltType::Point3D(BoltPoint3D {
            sr_id: BoltInteger::new(*srid),
            x: number(x)?,
            y: number(y)?,
            z: number(z)?,
        })),
        _ => None,
    }
}

/// Properties that only a function of the server makes: name, function, text.
pub(super) fn by_function(record: &Value) -> Vec<(&str, &str, &str)> {
    let Some(Value::Map(properties)) = record.get("properties") else { return Vec::new() };
    let typed = properties.iter().filter_map(|(name, value)| match value {
        Value::Typed(kind, text) => Some((name.as_str(), kind.as_str(), text.as_text()?)),
        _ => None,
    });
    // The name of a function goes into a query: nothing but these.
    typed
        .filter(|(_, kind, _)| {
            matches!(
                *kind,
                "date" | "time" | "localtime" | "datetime" | "localdatetime" | "duration"
            )
        })
        .collect()
}
