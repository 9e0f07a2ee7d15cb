//! Functions.

use super::ast::{Binary, Expression};
use super::error::{Failure, code};
use super::evaluate::{Row, Scope, deleted};
use super::graph::Graph;
use super::operators::{calculate, number, overflow};
use super::temporal::{
    DateTime, Duration, LocalDateTime, Time, read_date, read_local_time, write_date,
    write_local_time,
};
use super::value::{Map, Point, Value};

/// Most elements that `range` makes.
const MAX_RANGE: i64 = 1_000_000;

/// A value as text, where it has one.
pub fn print(value: &Value) -> Option<String> {
    Some(match value {
        Value::Bool(yes) => yes.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Float(number) if number.is_nan() => "NaN".into(),
        Value::Float(number) if number.is_infinite() => {
            if *number > 0.0 {
                "Infinity".into()
            } else {
                "-Infinity".into()
            }
        }
        Value::Float(number) => format!("{number:?}").replace('e', "E"),
        Value::String(text) => text.clone(),
        Value::Date(days) => write_date(*days),
        Value::Time(time) => time.to_string(),
        Value::LocalTime(nanos) => write_local_time(*nanos),
        Value::DateTime(moment) => moment.to_string(),
        Value::LocalDateTime(local) => local.to_string(),
        Value::Duration(span) => span.to_string(),
        Value::Point(point) => print_point(point),
        _ => return None,
    })
}

fn print_point(point: &Point) -> String {
    let names = if matches!(point.srid, 4326 | 4979) {
        ["longitude", "latitude", "height"]
    } else {
        ["x", "y", "z"]
    };
    let z = point.z.map(|z| format!(", {}: {z:?}", names[2])).unwrap_or_default();
    let (x, y) = (point.x, point.y);
    format!("point({{{}: {x:?}, {}: {y:?}{z}, srid: {}}})", names[0], names[1], point.srid)
}

/// A part of a value that has parts: of a place or a span of time.
pub fn component(of: &Value, name: &str) -> Result<Value, Failure> {
    let found = match (of, name) {
        (Value::Point(point), "x" | "longitude") => Some(Value::Float(point.x)),
        (Value::Point(point), "y" | "latitude") => Some(Value::Float(point.y)),
        (Value::Point(point), "z" | "height") => point.z.map(Value::Float),
        (Value::Point(point), "srid") => Some(Value::Int(point.srid)),
        (Value::Point(_), _) => None,
        (Value::Duration(span), "months") => Some(Value::Int(span.months)),
        (Value::Duration(span), "days") => Some(Value::Int(span.days)),
        (Value::Duration(span), "seconds") => Some(Value::Int(span.seconds)),
        _ => return Err(Failure::expected("a Map, Node, Relationship, Point or Duration", of)),
    };
    Ok(found.unwrap_or(Value::Null))
}

/// Whether a function is taken over rows.
pub fn is_aggregate(name: &str) -> bool {
    matches!(name, "count" | "collect" | "sum" | "avg" | "min" | "max")
}

/// A function over the rows of a group.
pub fn aggregate(
    scope: &Scope<'_>,
    name: &str,
    distinct: bool,
    arguments: &[Expression],
) -> Result<Value, Failure> {
    let (Some(group), [argument]) = (scope.group, arguments) else {
        let reason =
            format!("{name}(..) is not possible here: expected one argument, in WITH or RETURN");
        return Err(Failure::new(code::SYNTAX, reason));
    };
    let inner = Scope { group: None, ..*scope };
    let value = |row: &Row| inner.evaluate(argument, row);
    let mut values: Vec<Value> = group.iter().map(value).collect::<Result<_, _>>()?;
    values.retain(|value| !value.is_null());
    if distinct {
        let mut seen: Vec<Value> = Vec::new();
        values.sort_by(Value::order);
        values.retain(|value| {
            let new = seen.last().is_none_or(|last| last.order(value).is_ne());
            if new {
                seen.push(value.clone());
            }
            new
        });
    }
    Ok(match name {
        "count" => Value::count(values.len()),
        "collect" => Value::List(values),
        "min" => values.into_iter().min_by(Value::order).unwrap_or(Value::Null),
        "max" => values.into_iter().max_by(Value::order).unwrap_or(Value::Null),
        _ if name == "avg" && values.is_empty() => Value::Null,
        _ => {
            let (count, mut sum) = (values.len(), Value::Int(0));
            for value in values {
                sum = calculate(Binary::Add, &sum, &value)?;
            }
            match (name, number(&sum)) {
                ("avg", Some(sum)) => Value::Float(sum / count as f64),
                _ => sum,
            }
        }
    })
}

/// What a function is worth.
pub fn call(graph: &Graph, name: &str, arguments: &[Value]) -> Result<Value, Failure> {
    match (name, arguments) {
        ("coalesce", values) => {
            return Ok(values
                .iter()
                .find(|value| !value.is_null())
                .cloned()
                .unwrap_or(Value::Null));
        }
        ("exists", [value]) => return Ok(Value::Bool(!value.is_null())),
        ("range", [Value::Int(first), Value::Int(last)]) => return range(*first, *last, 1),
        ("range", [Value::Int(first), Value::Int(last), Value::Int(step)]) => {
            return range(*first, *last, *step);
        }
        (_, [Value::Null, ..]) if is_known(name) => return Ok(Value::Null),
        _ => {}
    }
    if let Some(value) = of_graph(graph, name, arguments)? {
        return Ok(value);
    }
    for of_kind in [of_lists, of_text, of_numbers, of_nothing, of_maps_and_times] {
        if let Some(value) = of_kind(name, arguments)? {
            return Ok(value);
        }
    }
    Err(unknown_call(name, arguments))
}

/// Of nodes, relationships and paths; nothing for a function that is none of these, as in those below.
fn of_graph(graph: &Graph, name: &str, arguments: &[Value]) -> Result<Option<Value>, Failure> {
    Ok(Some(match (name, arguments) {
        ("labels", [Value::Node(id)]) => {
            let node = graph.node(*id).ok_or_else(|| deleted("Node", id.0))?;
            Value::List(node.labels.iter().map(Value::text).collect())
        }
        ("type", [Value::Link(id)]) => {
            let link = graph.link(*id).ok_or_else(|| deleted("Relationship", id.0))?;
            Value::text(&link.kind)
        }
        ("id", [Value::Node(id)]) => Value::Int(id.0 as i64),
        ("id", [Value::Link(id)]) => Value::Int(id.0 as i64),
        ("elementid", [Value::Node(id)]) => Value::text(format!("4:sandbox:{}", id.0)),
        ("elementid", [Value::Link(id)]) => Value::text(format!("5:sandbox:{}", id.0)),
        ("startnode" | "endnode", [Value::Link(id)]) => {
            let link = graph.link(*id).ok_or_else(|| deleted("Relationship", id.0))?;
            Value::Node(if name == "startnode" { link.from } else { link.to })
        }
        ("properties", [value]) => Value::Map(properties(graph, value)?.clone()),
        ("keys", [value]) => {
            Value::List(properties(graph, value)?.keys().map(Value::text).collect())
        }
        ("nodes", [Value::Path(nodes, _)]) => {
            Value::List(nodes.iter().copied().map(Value::Node).collect())
        }
        ("relationships", [Value::Path(_, links)]) => {
            Value::List(links.iter().copied().map(Value::Link).collect())
        }
        ("length", [Value::Path(_, links)]) => Value::count(links.len()),
        _ => return Ok(None),
    }))
}

fn of_lists(name: &str, arguments: &[Value]) -> Result<Option<Value>, Failure> {
    let [Value::List(items)] = arguments else { return Ok(None) };
    Ok(Some(match name {
        "size" => Value::count(items.len()),
        "head" => items.first().cloned().unwrap_or(Value::Null),
        "last" => items.last().cloned().unwrap_or(Value::Null),
        "tail" => Value::List(items.iter().skip(1).cloned().collect()),
        "reverse" => Value::List(items.iter().rev().cloned().collect()),
        _ => return Ok(None),
    }))
}

fn of_text(name: &str, arguments: &[Value]) -> Result<Option<Value>, Failure> {
    Ok(Some(match (name, arguments) {
        ("size" | "char_length" | "character_length", [Value::String(text)]) => {
            Value::count(text.chars().count())
        }
        ("reverse", [Value::String(text)]) => Value::String(text.chars().rev().collect()),
        ("tolower" | "lower", [Value::String(text)]) => Value::String(text.to_lowercase()),
        ("toupper" | "upper", [Value::String(text)]) => Value::String(text.to_uppercase()),
        ("trim", [Value::String(text)]) => Value::text(text.trim()),
        ("split", [Value::String(text), Value::String(by)]) if !by.is_empty() => {
            Value::List(text.split(by.as_str()).map(Value::text).collect())
        }
        ("replace", [Value::String(text), Value::String(old), Value::String(new)]) => {
            Value::String(text.replace(old.as_str(), new))
        }
        ("substring", [Value::String(text), Value::Int(first)]) if *first >= 0 => {
            Value::String(text.chars().skip(*first as usize).collect())
        }
        ("substring", [Value::String(text), Value::Int(first), Value::Int(length)])
            if *first >= 0 && *length >= 0 =>
        {
            Value::String(text.chars().skip(*first as usize).take(*length as usize).collect())
        }
        ("tostring", [value]) => Value::String(
            print(value).ok_or_else(|| Failure::expected("a printable value", value))?,
        ),
        ("tostringornull", [value]) => print(value).map_or(Value::Null, Value::String),
        _ => return Ok(None),
    }))
}

fn of_numbers(name: &str, arguments: &[Value]) -> Result<Option<Value>, Failure> {
    Ok(Some(match (name, arguments) {
        ("tointeger", [Value::Int(number)]) => Value::Int(*number),
        ("tointeger", [Value::Float(number)]) => Value::Int(*number as i64),
        ("tointeger", [Value::String(text)]) => text.trim().parse().map_or(Value::Null, Value::Int),
        ("tofloat", [Value::Int(number)]) => Value::Float(*number as f64),
        ("tofloat", [Value::Float(number)]) => Value::Float(*number),
        ("tofloat", [Value::String(text)]) => text.trim().parse().map_or(Value::Null, Value::Float),
        ("abs", [Value::Int(number)]) => Value::Int(number.checked_abs().ok_or_else(overflow)?),
        ("abs", [Value::Float(number)]) => Value::Float(number.abs()),
        _ => return Ok(None),
    }))
}

/// What is another value at each call.
fn of_nothing(name: &str, arguments: &[Value]) -> Result<Option<Value>, Failure> {
    Ok(match (name, arguments) {
        ("timestamp", []) => Some(Value::Int(jiff::Timestamp::now().as_millisecond())),
        ("randomuuid", []) => {
            let (high, low) = (rand::random::<u64>(), rand::random::<u64>());
            Some(Value::text(format!(
                "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
                high >> 32,
                high >> 16 & 0xffff,
                high & 0xfff,
                low >> 48 & 0x3fff | 0x8000,
                low & 0xffff_ffff_ffff
            )))
        }
        _ => None,
    })
}

fn of_maps_and_times(name: &str, arguments: &[Value]) -> Result<Option<Value>, Failure> {
    match arguments {
        [Value::Map(map)] if name == "point" => point(map).map(Some),
        [Value::String(text)] if is_temporal(name) => temporal(name, text).map(Some),
        _ => Ok(None),
    }
}

fn is_temporal(name: &str) -> bool {
    matches!(name, "date" | "time" | "localtime" | "datetime" | "localdatetime" | "duration")
}

/// Functions of which nothing is nothing.
fn is_known(name: &str) -> bool {
    is_temporal(name)
        || matches!(
            name,
            "labels"
                | "type"
                | "id"
                | "elementid"
                | "startnode"
                | "endnode"
                | "properties"
                | "keys"
                | "nodes"
                | "relationships"
                | "length"
                | "size"
                | "head"
                | "last"
                | "tail"
                | "reverse"
                | "tolower"
                | "toupper"
                | "trim"
                | "split"
                | "replace"
                | "substring"
                | "tostring"
                | "tostringornull"
                | "tointeger"
                | "tofloat"
                | "abs"
                | "point"
        )
}

fn unknown_call(name: &str, arguments: &[Value]) -> Failure {
    let kinds: Vec<&str> = arguments.iter().map(Value::kind).collect();
    let what = format!("{name}({})", kinds.join(", "));
    if is_known(name) {
        return Failure::new(code::TYPE, format!("Type mismatch: there is no {what}"));
    }
    Failure::new(
        code::SYNTAX,
        format!("Unknown function '{name}': the sandbox's store has no {what}"),
    )
}

fn temporal(name: &str, text: &str) -> Result<Value, Failure> {
    let value = match name {
        "date" => read_date(text).map(Value::Date),
        "time" => Time::read(text).map(Value::Time),
        "localtime" => read_local_time(text).map(Value::LocalTime),
        "datetime" => DateTime::read(text).map(Value::DateTime),
        "localdatetime" => LocalDateTime::read(text).map(Value::LocalDateTime),
        _ => Duration::read(text).map(Value::Duration),
    };
    let wrong = || format!("Text cannot be parsed to a {name}: {}", text.escape_debug());
    value.ok_or_else(|| Failure::new(code::ARGUMENT, wrong()))
}

fn properties<'a>(graph: &'a Graph, value: &'a Value) -> Result<&'a Map, Failure> {
    match value {
        Value::Map(map) => Ok(map),
        Value::Node(id) => {
            graph.node(*id).map(|node| &node.properties).ok_or_else(|| deleted("Node", id.0))
        }
        Value::Link(id) => graph
            .link(*id)
            .map(|link| &link.properties)
            .ok_or_else(|| deleted("Relationship", id.0)),
        other => Err(Failure::expected("a Map, Node or Relationship", other)),
    }
}

fn range(first: i64, last: i64, step: i64) -> Result<Value, Failure> {
    if step == 0 || last.saturating_sub(first) / step > MAX_RANGE {
        return Err(Failure::new(code::ARGUMENT, "range(..): a step of 0, or too many elements"));
    }
    let mut items = Vec::new();
    let mut at = first;
    while if step > 0 { at <= last } else { at >= last } {
        items.push(Value::Int(at));
        let Some(next) = at.checked_add(step) else { break };
        at = next;
    }
    Ok(Value::List(items))
}

fn point(map: &Map) -> Result<Value, Failure> {
    let coordinate =
        |names: [&str; 2]| names.iter().find_map(|name| map.get(*name).and_then(number));
    let geographic = map.contains_key("longitude") || map.contains_key("latitude");
    let (x, y, z) = (
        coordinate(["x", "longitude"]),
        coordinate(["y", "latitude"]),
        coordinate(["z", "height"]),
    );
    let (Some(x), Some(y)) = (x, y) else {
        return Err(Failure::new(
            code::ARGUMENT,
            "point(..): expected x and y, or longitude and latitude",
        ));
    };
    let named = match map.get("crs") {
        Some(Value::String(name)) => match name.to_ascii_lowercase().as_str() {
            "wgs-84" => Some(4326),
            "wgs-84-3d" => Some(4979),
            "cartesian" => Some(7203),
            "cartesian-3d" => Some(9157),
            _ => {
                return Err(Failure::new(
                    code::ARGUMENT,
                    format!("unknown coordinate system {name}"),
                ));
            }
        },
        _ => None,
    };
    let by_form = match (geographic, z.is_some()) {
        (true, false) => 4326,
        (true, true) => 4979,
        (false, false) => 7203,
        (false, true) => 9157,
    };
    let srid = match map.get("srid") {
        Some(Value::Int(srid)) => *srid,
        _ => named.unwrap_or(by_form),
    };
    Ok(Value::Point(Point { srid, x, y, z }))
}
