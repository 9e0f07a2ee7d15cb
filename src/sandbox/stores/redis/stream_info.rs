//! `XINFO`: what is known of a stream, its groups and its consumers.

use super::command::{Answer, is, upper, word};
use super::db::{Bytes, Db, Refusal};
use super::resp::Reply;
use super::stream::{Group, Id, Pending, Stream};
use super::streams::entry;

/// `XINFO` with its three subcommands.
pub fn info(db: &mut Db, words: &[Bytes]) -> Answer {
    let now = db.now;
    let stream = db.get::<Stream>(word(words, 1)?)?.ok_or_else(|| Refusal::new("no such key"))?;
    match upper(&words[0]).as_str() {
        "STREAM" if words.get(2).is_some_and(|word| is(word, "FULL")) => Ok(full(stream, now)),
        "STREAM" => Ok(summary(stream)),
        "GROUPS" => {
            let groups = stream.groups.iter().map(|(name, group)| of_group(stream, name, group));
            Ok(Reply::Array(groups.collect()))
        }
        "CONSUMERS" => {
            let mut stream = stream.clone();
            let group = stream.group(word(words, 2)?)?;
            let consumers = group.consumers.iter();
            let consumer = |(name, seen): (&Bytes, &i64)| {
                let owed = group.pending.values().filter(|p| p.consumer == *name).count();
                let idle = Reply::Int((now - seen).max(0));
                Reply::named([
                    ("name", Reply::Bulk(name.clone())),
                    ("pending", Reply::count(owed)),
                    ("idle", idle.clone()),
                    ("inactive", idle),
                ])
            };
            Ok(Reply::Array(consumers.map(consumer).collect()))
        }
        _ => Err(Refusal::new("unknown subcommand of XINFO")),
    }
}

fn id(id: Id) -> Reply {
    Reply::text(id.to_string())
}

fn head(stream: &Stream) -> Vec<(Reply, Reply)> {
    let first = stream.entries.keys().next().copied().unwrap_or_default();
    let pairs = [
        ("length", Reply::count(stream.entries.len())),
        ("radix-tree-keys", Reply::Int(1)),
        ("radix-tree-nodes", Reply::Int(2)),
        ("last-generated-id", id(stream.last)),
        ("max-deleted-entry-id", id(stream.max_deleted)),
        ("entries-added", Reply::Int(stream.added as i64)),
        ("recorded-first-entry-id", id(first)),
    ];
    pairs.map(|(name, value)| (Reply::text(name), value)).into()
}

fn summary(stream: &Stream) -> Reply {
    let mut pairs = head(stream);
    let one = |found: Option<(&Id, &Vec<Bytes>)>| found.map_or(Reply::Null, |(id, f)| entry(id, f));
    pairs.push((Reply::text("groups"), Reply::count(stream.groups.len())));
    pairs.push((Reply::text("first-entry"), one(stream.entries.first_key_value())));
    pairs.push((Reply::text("last-entry"), one(stream.entries.last_key_value())));
    Reply::Map(pairs)
}

fn read_and_lag(stream: &Stream, group: &Group) -> [(&'static str, Reply); 2] {
    let read = group.read.map_or(Reply::Null, |read| Reply::Int(read as i64));
    let behind = stream.entries.keys().filter(|id| **id > group.last).count();
    // Entries deleted beyond what the group has read cannot be told apart from read ones.
    let known = group.read.is_some() || stream.max_deleted <= group.last;
    [("entries-read", read), ("lag", if known { Reply::count(behind) } else { Reply::Null })]
}

fn of_group(stream: &Stream, name: &[u8], group: &Group) -> Reply {
    let [read, lag] = read_and_lag(stream, group);
    Reply::named([
        ("name", Reply::Bulk(name.to_vec())),
        ("consumers", Reply::count(group.consumers.len())),
        ("pending", Reply::count(group.pending.len())),
        ("last-delivered-id", id(group.last)),
        read,
        lag,
    ])
}

fn full(stream: &Stream, now: i64) -> Reply {
    let mut pairs = head(stream);
    let entries = stream.entries.iter().map(|(id, fields)| entry(id, fields)).collect();
    pairs.push((Reply::text("entries"), Reply::Array(entries)));
    let groups = stream.groups.iter().map(|(name, group)| full_group(stream, name, group, now));
    pairs.push((Reply::text("groups"), Reply::Array(groups.collect())));
    Reply::Map(pairs)
}

fn full_group(stream: &Stream, name: &[u8], group: &Group, now: i64) -> Reply {
    let owed = |(at, pending): (&Id, &Pending)| {
        Reply::Array(vec![
            id(*at),
            Reply::Bulk(pending.consumer.clone()),
            Reply::Int(pending.delivered_ms),
            Reply::Int(pending.deliveries as i64),
        ])
    };
    let consumer = |(name, seen): (&Bytes, &i64)| {
        let own = group.pending.iter().filter(|(_, pending)| pending.consumer == *name);
        let own: Vec<Reply> = own
            .map(|(at, p)| {
                let parts = [id(*at), Reply::Int(p.delivered_ms), Reply::Int(p.deliveries as i64)];
                Reply::Array(parts.into())
            })
            .collect();
        Reply::named([
            ("name", Reply::Bulk(name.clone())),
            ("seen-time", Reply::Int(*seen)),
            ("active-time", Reply::Int((*seen).min(now))),
            ("pel-count", Reply::count(own.len())),
            ("pel", Reply::Array(own)),
        ])
    };
    let [read, lag] = read_and_lag(stream, group);
    Reply::named([
        ("name", Reply::Bulk(name.to_vec())),
        ("last-delivered-id", id(group.last)),
        read,
        lag,
        ("pel-count", Reply::count(group.pending.len())),
        ("pending", Reply::Array(group.pending.iter().map(owed).collect())),
        ("consumers", Reply::Array(group.consumers.iter().map(consumer).collect())),
    ])
}
