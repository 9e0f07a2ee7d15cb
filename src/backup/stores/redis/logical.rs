//! What a key of each type holds, asked and written by the commands that a client would use.

use redis::{Cmd, Pipeline, Value as Answer, cmd};

use super::super::DrillError;
use super::Redis;
use crate::backup::record::{Record, Value};

fn wrong(kind: &str) -> DrillError {
    DrillError::Wrong(format!("a key of type {kind}: the answer has another form than expected"))
}

/// Adds what has to be asked for a key's value.
pub(super) fn ask(pipeline: &mut Pipeline, kind: &str, key: &[u8]) -> Result<(), DrillError> {
    let mut add = |name: &str, more: &[&str]| {
        let mut command = cmd(name);
        command.arg(key);
        for argument in more {
            command.arg(*argument);
        }
        pipeline.add_command(command);
    };
    match kind {
        "string" => add("GET", &[]),
        "list" => add("LRANGE", &["0", "-1"]),
        "set" => add("SMEMBERS", &[]),
        "zset" => add("ZRANGE", &["0", "-1", "WITHSCORES"]),
        "hash" => add("HGETALL", &[]),
        "stream" => {
            add("XRANGE", &["-", "+"]);
            pipeline.cmd("XINFO").arg("STREAM").arg(key);
            pipeline.cmd("XINFO").arg("GROUPS").arg(key);
        }
        other => return Err(DrillError::Wrong(format!("a key of type {other}: not known"))),
    }
    Ok(())
}

/// What can only be asked once the value is known: lifetimes of fields, and what is pending of each
/// group of a stream.
pub(super) async fn follow_up(
    store: &Redis,
    kind: &str,
    key: &[u8],
    answers: &[Answer],
) -> Result<Vec<Answer>, DrillError> {
    let mut more = Vec::new();
    match (kind, answers) {
        ("hash", [hash]) => {
            let names: Vec<Vec<u8>> = pairs(hash).into_iter().map(|(name, _)| name).collect();
            if store.knows_field_lifetimes().await? {
                more.push(store.ask::<Answer>(&lifetimes_of(key, &names)).await?);
            }
        }
        ("stream", [_, _, groups]) => {
            for group in items(groups) {
                let name = named(group, "name").map(bytes).unwrap_or_default();
                let mut command = cmd("XPENDING");
                command.arg(key).arg(name).arg("-").arg("+").arg(10_000);
                more.push(store.ask::<Answer>(&command).await?);
            }
        }
        _ => {}
    }
    Ok(more)
}

/// Asks when fields of a hash end (Redis 7.4).
pub(super) fn lifetimes_of(key: &[u8], fields: &[Vec<u8>]) -> Cmd {
    let mut command = cmd("HPEXPIRETIME");
    command.arg(key).arg("FIELDS").arg(fields.len()).arg(fields);
    command
}

fn items(answer: &Answer) -> &[Answer] {
    match answer {
        Answer::Array(items) | Answer::Set(items) => items,
        _ => &[],
    }
}

fn bytes(answer: &Answer) -> Vec<u8> {
    match answer {
        Answer::BulkString(bytes) => bytes.clone(),
        Answer::SimpleString(text) => text.clone().into_bytes(),
        Answer::Int(number) => number.to_string().into_bytes(),
        Answer::Double(number) => number.to_string().into_bytes(),
        _ => Vec::new(),
    }
}

fn text(answer: &Answer) -> String {
    String::from_utf8_lossy(&bytes(answer)).into_owned()
}

/// Pairs of a map, which older protocols give as one flat array.
fn pairs(answer: &Answer) -> Vec<(Vec<u8>, Vec<u8>)> {
    match answer {
        Answer::Map(pairs) => {
            pairs.iter().map(|(name, value)| (bytes(name), bytes(value))).collect()
        }
        other => {
            items(other).chunks_exact(2).map(|pair| (bytes(&pair[0]), bytes(&pair[1]))).collect()
        }
    }
}

/// A field of a map.
fn named<'a>(map: &'a Answer, name: &str) -> Option<&'a Answer> {
    match map {
        Answer::Map(pairs) => {
            pairs.iter().find(|(key, _)| bytes(key) == name.as_bytes()).map(|(_, v)| v)
        }
        other => items(other)
            .chunks_exact(2)
            .find(|pair| bytes(&pair[0]) == name.as_bytes())
            .map(|pair| &pair[1]),
    }
}

/// A key's value in its canonical form.
pub(super) fn value(
    kind: &str,
    answers: Vec<Answer>,
    more: Vec<Answer>,
) -> Result<Value, DrillError> {
    let blob = |answer: &Answer| Value::Bytes(bytes(answer));
    Ok(match (kind, answers.as_slice()) {
        ("string", [string]) => blob(string),
        ("list", [list]) => Value::List(items(list).iter().map(blob).collect()),
        ("set", [set]) => {
            let mut members: Vec<Vec<u8>> = items(set).iter().map(bytes).collect();
            members.sort();
            Value::List(members.into_iter().map(Value::Bytes).collect())
        }
        ("zset", [zset]) => Value::List(scored(zset)?),
        ("hash", [hash]) => fields(hash, more.first()),
        ("stream", [entries, info, groups]) => stream(entries, info, groups, &more),
        _ => return Err(wrong(kind)),
    })
}

fn scored(zset: &Answer) -> Result<Vec<Value>, DrillError> {
    let mut members = Vec::new();
    for (member, score) in pairs(zset) {
        let score = std::str::from_utf8(&score).ok().and_then(|text| text.parse::<f64>().ok());
        members.push((member, score.ok_or_else(|| wrong("zset"))?));
    }
    members.sort_by(|a, b| a.0.cmp(&b.0));
    let pair = |(member, score)| Value::List(vec![Value::Bytes(member), Value::Float(score)]);
    Ok(members.into_iter().map(pair).collect())
}

fn fields(hash: &Answer, lifetimes: Option<&Answer>) -> Value {
    let lifetimes = lifetimes.map(items).unwrap_or_default();
    let mut fields: Vec<_> = pairs(hash)
        .into_iter()
        .enumerate()
        .map(|(at, (name, value))| {
            let expires = match lifetimes.get(at) {
                Some(Answer::Int(at_ms)) if *at_ms >= 0 => Value::Int(*at_ms),
                _ => Value::Null,
            };
            (name, value, expires)
        })
        .collect();
    fields.sort_by(|a, b| a.0.cmp(&b.0));
    let field = |(name, value, expires)| {
        Value::List(vec![Value::Bytes(name), Value::Bytes(value), expires])
    };
    Value::List(fields.into_iter().map(field).collect())
}

fn stream(entries: &Answer, info: &Answer, groups: &Answer, pending: &[Answer]) -> Value {
    let entry = |entry: &Answer| {
        let parts = items(entry);
        let id = parts.first().map(text).unwrap_or_default();
        let fields = parts.get(1).map(pairs).unwrap_or_default();
        let flat =
            fields.into_iter().flat_map(|(name, value)| [Value::Bytes(name), Value::Bytes(value)]);
        Value::List(std::iter::once(Value::Text(id)).chain(flat).collect())
    };
    let field =
        |map: &Answer, name: &str| Value::Text(named(map, name).map(text).unwrap_or_default());
    let waiting = |answer: &Answer| {
        let parts = items(answer);
        let part = |at: usize| Value::Text(parts.get(at).map(text).unwrap_or_default());
        let deliveries = parts.get(3).map(text).and_then(|text| text.parse().ok()).unwrap_or(0);
        // How long it waits (the third part) differs at each look.
        Value::List(vec![part(0), part(1), Value::Int(deliveries)])
    };
    let group = |(at, map): (usize, &Answer)| {
        let pending = pending.get(at).map(items).unwrap_or_default().iter().map(waiting).collect();
        Value::map([
            ("name", field(map, "name")),
            ("last", field(map, "last-delivered-id")),
            ("pending", Value::List(pending)),
        ])
    };
    Value::map([
        ("entries", Value::List(items(entries).iter().map(entry).collect())),
        ("last", field(info, "last-generated-id")),
        ("groups", Value::List(items(groups).iter().enumerate().map(group).collect())),
    ])
}

/// Whether a hash has fields with a lifetime of their own.
pub(super) fn has_field_lifetimes(record: &Record) -> bool {
    record.kind == "hash"
        && record.value.get("value").is_some_and(|fields| {
            fields.items().iter().any(|field| matches!(field.items(), [_, _, Value::Int(_)]))
        })
}

/// Adds the commands that make a key what a record says.
pub(super) fn write(to: &mut Pipeline, key: &[u8], record: &Record) -> Result<(), DrillError> {
    let value = record.value.get("value").ok_or_else(|| wrong(&record.kind))?;
    to.add_command(command("UNLINK", key)).ignore();
    match record.kind.as_str() {
        "string" => {
            let bytes = value.as_bytes().ok_or_else(|| wrong("string"))?;
            add(to, command("SET", key).arg(bytes));
        }
        "list" => add(to, command("RPUSH", key).arg(members(value))),
        "set" => add(to, command("SADD", key).arg(members(value))),
        "zset" => {
            let mut add_scored = command("ZADD", key);
            for pair in value.items() {
                if let [Value::Bytes(member), Value::Float(score)] = pair.items() {
                    // Redis' own words for what has no digits.
                    let score = if score.is_infinite() {
                        if *score > 0.0 { "+inf".into() } else { "-inf".into() }
                    } else {
                        format!("{score:?}")
                    };
                    add_scored.arg(score).arg(member.as_slice());
                }
            }
            add(to, &add_scored);
        }
        "hash" => write_hash(to, key, value),
        "stream" => write_stream(to, key, value),
        other => return Err(wrong(other)),
    }
    if let Some(expires) = record.value.get("expires").and_then(Value::as_int) {
        add(to, command("PEXPIREAT", key).arg(expires));
    }
    Ok(())
}

fn command(name: &str, key: &[u8]) -> Cmd {
    let mut command = cmd(name);
    command.arg(key);
    command
}

fn add(to: &mut Pipeline, command: &Cmd) {
    to.add_command(command.clone()).ignore();
}

fn members(value: &Value) -> Vec<&[u8]> {
    value.items().iter().filter_map(Value::as_bytes).collect()
}

fn write_hash(to: &mut Pipeline, key: &[u8], value: &Value) {
    let mut set = command("HSET", key);
    for field in value.items() {
        if let [Value::Bytes(name), Value::Bytes(content), _] = field.items() {
            set.arg(name.as_slice()).arg(content.as_slice());
        }
    }
    add(to, &set);
    for field in value.items() {
        if let [Value::Bytes(name), _, Value::Int(at_ms)] = field.items() {
            add(
                to,
                command("HPEXPIREAT", key).arg(*at_ms).arg("FIELDS").arg(1).arg(name.as_slice()),
            );
        }
    }
}

fn write_stream(to: &mut Pipeline, key: &[u8], value: &Value) {
    let text = |value: &Value, name: &str| {
        value.get(name).and_then(Value::as_text).unwrap_or_default().to_owned()
    };
    for entry in value.get("entries").map(Value::items).unwrap_or_default() {
        let Some((Value::Text(id), fields)) = entry.items().split_first() else { continue };
        let mut add_entry = command("XADD", key);
        add_entry.arg(id);
        for part in fields.iter().filter_map(Value::as_bytes) {
            add_entry.arg(part);
        }
        add(to, &add_entry);
    }
    for group in value.get("groups").map(Value::items).unwrap_or_default() {
        let name = text(group, "name");
        let mut create = cmd("XGROUP");
        create.arg("CREATE").arg(key).arg(&name).arg(text(group, "last")).arg("MKSTREAM");
        add(to, &create);
        for waiting in group.get("pending").map(Value::items).unwrap_or_default() {
            let [Value::Text(id), Value::Text(consumer), Value::Int(deliveries)] = waiting.items()
            else {
                continue;
            };
            let mut claim = command("XCLAIM", key);
            claim.arg(&name).arg(consumer).arg(0).arg(id);
            claim.arg("RETRYCOUNT").arg(*deliveries).arg("FORCE").arg("JUSTID");
            add(to, &claim);
        }
    }
    add(to, command("XSETID", key).arg(text(value, "last")));
}
