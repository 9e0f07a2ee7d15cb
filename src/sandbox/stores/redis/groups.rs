//! Commands on the groups of readers of a stream.

use super::command::{Answer, count, int, is, upper, word};
use super::db::{Bytes, Db, Refusal};
use super::resp::Reply;
use super::stream::{Group, Id, Pending, Stream};
use super::streams::{borders, by_key, entry, ids, pairs, present};

/// `XGROUP` with its five subcommands.
pub fn manage(db: &mut Db, words: &[Bytes]) -> Answer {
    let key = word(words, 1)?;
    let name = word(words, 2)?;
    let subcommand = upper(&words[0]);
    let make = words.get(4).is_some_and(|word| is(word, "MKSTREAM"));
    if db.get::<Stream>(key)?.is_none() && !(subcommand == "CREATE" && make) {
        return Err(Refusal::new(
            "The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to \
             use the MKSTREAM option to create an empty stream automatically.",
        ));
    }
    let now = db.now;
    db.change(key, |stream: &mut Stream| match subcommand.as_str() {
        "CREATE" => {
            let group = Group { last: position(stream, word(words, 3)?)?, ..Group::default() };
            if stream.groups.contains_key(name) {
                return Err(Refusal("BUSYGROUP Consumer Group name already exists".into()));
            }
            let group = Group { read: entries_read(words)?, ..group };
            stream.groups.insert(name.clone(), group);
            Ok(Reply::OK)
        }
        "SETID" => {
            let last = position(stream, word(words, 3)?)?;
            let group = stream.group(name)?;
            (group.last, group.read) = (last, entries_read(words)?);
            Ok(Reply::OK)
        }
        "DESTROY" => Ok(Reply::flag(stream.groups.remove(name).is_some())),
        "CREATECONSUMER" => {
            let consumers = &mut stream.group(name)?.consumers;
            Ok(Reply::flag(consumers.insert(word(words, 3)?.clone(), now).is_none()))
        }
        "DELCONSUMER" => {
            let (consumer, group) = (word(words, 3)?, stream.group(name)?);
            group.consumers.remove(consumer);
            let before = group.pending.len();
            group.pending.retain(|_, pending| pending.consumer != *consumer);
            Ok(Reply::count(before - group.pending.len()))
        }
        _ => Err(Refusal::new("unknown subcommand of XGROUP")),
    })
}

fn position(stream: &Stream, id: &[u8]) -> Result<Id, Refusal> {
    if id == b"$" { Ok(stream.last) } else { Id::read(id, 0) }
}

fn entries_read(words: &[Bytes]) -> Result<Option<u64>, Refusal> {
    let Some(at) = words.iter().position(|word| is(word, "ENTRIESREAD")) else { return Ok(None) };
    // -1: not known.
    Ok(u64::try_from(int(word(words, at + 1)?)?).ok())
}

/// `XREADGROUP`: what is new with `>`, or what a consumer still owes from an id on.
pub fn read(db: &mut Db, words: &[Bytes]) -> Answer {
    let (name, consumer) = (word(words, 1)?.clone(), word(words, 2)?.clone());
    if !is(&words[0], "GROUP") {
        return Err(Refusal::syntax());
    }
    let (mut most, mut no_ack, mut at) = (usize::MAX, false, 3);
    loop {
        match upper(word(words, at)?).as_str() {
            "COUNT" => {
                most = count(word(words, at + 1)?)?;
                at += 1;
            }
            "NOACK" => no_ack = true,
            "STREAMS" => break,
            "BLOCK" => return Err(Refusal::new("BLOCK is not supported by the sandbox's store")),
            _ => return Err(Refusal::syntax()),
        }
        at += 1;
    }
    let now = db.now;
    let mut found = Vec::new();
    for (key, id) in pairs(&words[at + 1..])? {
        if db.get::<Stream>(key)?.is_none() {
            return Err(Refusal("NOGROUP No such key".into()));
        }
        let entries = db.change(key, |stream: &mut Stream| {
            let consumer = consumer.as_slice();
            stream.group(&name)?.consumers.insert(consumer.to_vec(), now);
            match id.as_slice() {
                b">" => deliver(stream, &name, consumer, most, (!no_ack).then_some(now)),
                id => owed(stream, &name, consumer, most, Id::read(id, 0)?),
            }
        })?;
        if !entries.is_empty() || id != b">" {
            found.push((key.clone(), entries));
        }
    }
    Ok(by_key(found))
}

fn deliver(
    stream: &mut Stream,
    name: &[u8],
    consumer: &[u8],
    most: usize,
    owed_since: Option<i64>,
) -> Result<Vec<Reply>, Refusal> {
    let Some(first) = stream.group(name)?.last.next() else { return Ok(Vec::new()) };
    let new: Vec<_> =
        stream.range(first, Id::MAX).take(most).map(|(i, f)| (*i, f.clone())).collect();
    let (newest, added) = (stream.last, stream.added);
    let group = stream.group(name)?;
    for (id, _) in &new {
        group.last = *id;
        group.read = group.read.map(|read| read + 1);
        if let Some(now) = owed_since {
            group.deliver(*id, consumer, now);
        }
    }
    if group.last == newest {
        // Whatever it began with, it has read all there ever was.
        group.read = Some(added);
    }
    Ok(new.iter().map(|(id, fields)| entry(id, fields)).collect())
}

fn owed(
    stream: &mut Stream,
    name: &[u8],
    consumer: &[u8],
    most: usize,
    after: Id,
) -> Result<Vec<Reply>, Refusal> {
    let pending = &stream.group(name)?.pending;
    let owed = pending.range(after..).filter(|(id, p)| **id != after && p.consumer == consumer);
    let owed: Vec<Id> = owed.take(most).map(|(id, _)| *id).collect();
    let answer = |id: Id| match stream.entries.get(&id) {
        Some(fields) => entry(&id, fields),
        None => Reply::Array(vec![Reply::text(id.to_string()), Reply::NullArray]),
    };
    Ok(owed.into_iter().map(answer).collect())
}

/// `XACK`.
pub fn acknowledge(db: &mut Db, words: &[Bytes]) -> Answer {
    let ids = ids(&words[2..])?;
    let acknowledged = present(db, &words[0], 0, |stream| {
        let Some(group) = stream.groups.get_mut(&words[1]) else { return Ok(0) };
        Ok(ids.iter().filter(|id| group.pending.remove(*id).is_some()).count())
    });
    acknowledged.map(Reply::count)
}

/// `XCLAIM`: gives what one consumer owes to another.
pub fn claim(db: &mut Db, words: &[Bytes]) -> Answer {
    let (consumer, least_idle) = (&words[2], int(&words[3])?);
    let number = words[4..].iter().take_while(|word| Id::read(word, 0).is_ok()).count();
    let ids = ids(&words[4..4 + number])?;
    let (mut delivered, mut deliveries, mut force, mut only_ids) = (db.now, None, false, false);
    let mut last_id = None;
    let mut at = 4 + number;
    while at < words.len() {
        let option = upper(&words[at]);
        match option.as_str() {
            "FORCE" => force = true,
            "JUSTID" => only_ids = true,
            _ => {
                at += 1;
                let value = word(words, at)?;
                match option.as_str() {
                    "IDLE" => delivered = db.now.saturating_sub(int(value)?),
                    "TIME" => delivered = int(value)?,
                    "RETRYCOUNT" => deliveries = Some(count(value)? as u64),
                    "LASTID" => last_id = Some(Id::read(value, 0)?),
                    _ => return Err(Refusal::syntax()),
                }
            }
        }
        at += 1;
    }
    let now = db.now;
    present(db, &words[0], Reply::Array(vec![]), |stream| {
        let mut claimed = Vec::new();
        for id in ids {
            let there = stream.entries.get(&id).cloned();
            let group = stream.group(&words[1])?;
            group.last = group.last.max(last_id.unwrap_or_default());
            group.consumers.insert(consumer.clone(), now);
            let old = group.pending.get(&id);
            let idle = old.is_none_or(|old| now - old.delivered_ms >= least_idle);
            let Some(fields) = there else {
                group.pending.remove(&id);
                continue;
            };
            if !idle || (old.is_none() && !force) {
                continue;
            }
            let before = old.map_or(0, |old| old.deliveries);
            let deliveries = deliveries.unwrap_or(before + u64::from(!only_ids));
            let consumer = consumer.clone();
            group.pending.insert(id, Pending { consumer, delivered_ms: delivered, deliveries });
            claimed.push(if only_ids { Reply::text(id.to_string()) } else { entry(&id, &fields) });
        }
        Ok(Reply::Array(claimed))
    })
}

/// `XAUTOCLAIM`: the same for whatever is idle, from an id on.
pub fn claim_idle(db: &mut Db, words: &[Bytes]) -> Answer {
    let (consumer, least_idle, from) = (&words[2], int(&words[3])?, Id::read(&words[4], 0)?);
    let (mut most, mut only_ids) = (100, false);
    let mut at = 5;
    while at < words.len() {
        match upper(&words[at]).as_str() {
            "COUNT" => {
                most = count(word(words, at + 1)?)?;
                at += 1;
            }
            "JUSTID" => only_ids = true,
            _ => return Err(Refusal::syntax()),
        }
        at += 1;
    }
    let now = db.now;
    let nothing =
        Reply::Array(vec![Reply::text("0-0"), Reply::Array(vec![]), Reply::Array(vec![])]);
    present(db, &words[0], nothing, |stream| {
        let pending = &stream.group(&words[1])?.pending;
        let idle = pending.range(from..).filter(|(_, p)| now - p.delivered_ms >= least_idle);
        let idle: Vec<Id> = idle.map(|(id, _)| *id).collect();
        let next = idle.get(most).copied().unwrap_or_default();
        let (mut claimed, mut gone) = (Vec::new(), Vec::new());
        for id in idle.into_iter().take(most) {
            let there = stream.entries.get(&id).cloned();
            let group = stream.group(&words[1])?;
            group.consumers.insert(consumer.clone(), now);
            let Some(fields) = there else {
                group.pending.remove(&id);
                gone.push(Reply::text(id.to_string()));
                continue;
            };
            if let Some(pending) = group.pending.get_mut(&id) {
                pending.consumer.clone_from(consumer);
                pending.delivered_ms = now;
                pending.deliveries += u64::from(!only_ids);
            }
            claimed.push(if only_ids { Reply::text(id.to_string()) } else { entry(&id, &fields) });
        }
        let next = Reply::text(next.to_string());
        Ok(Reply::Array(vec![next, Reply::Array(claimed), Reply::Array(gone)]))
    })
}

/// `XPENDING`: a summary, or with a range each entry that is owed.
pub fn pending(db: &mut Db, words: &[Bytes]) -> Answer {
    let now = db.now;
    let Some(stream) = db.get::<Stream>(&words[0])? else {
        return Err(Refusal("NOGROUP No such key or consumer group".into()));
    };
    let mut stream = stream.clone();
    let pending = &stream.group(&words[1])?.pending;
    if words.len() == 2 {
        return Ok(summary(pending));
    }
    let mut rest = &words[2..];
    let mut least_idle = 0;
    if is(&rest[0], "IDLE") {
        least_idle = int(word(rest, 1)?)?;
        rest = &rest[2..];
    }
    let (first, last) = borders(word(rest, 0)?, word(rest, 1)?)?;
    let most = count(word(rest, 2)?)?;
    let consumer = rest.get(3);
    let one = |(id, pending): (&Id, &Pending)| {
        Reply::Array(vec![
            Reply::text(id.to_string()),
            Reply::Bulk(pending.consumer.clone()),
            Reply::Int((now - pending.delivered_ms).max(0)),
            Reply::Int(pending.deliveries as i64),
        ])
    };
    let asked = |(id, pending): &(&Id, &Pending)| {
        (first..=last).contains(*id)
            && consumer.is_none_or(|consumer| pending.consumer == *consumer)
            && now - pending.delivered_ms >= least_idle
    };
    Ok(Reply::Array(pending.iter().filter(asked).take(most).map(one).collect()))
}

fn summary(pending: &std::collections::BTreeMap<Id, Pending>) -> Reply {
    let border = |id: Option<&Id>| id.map_or(Reply::Null, |id| Reply::text(id.to_string()));
    let mut by_consumer = std::collections::BTreeMap::<&Bytes, usize>::new();
    pending.values().for_each(|pending| *by_consumer.entry(&pending.consumer).or_default() += 1);
    let consumer = |(name, owed): (&Bytes, usize)| {
        Reply::Array(vec![Reply::Bulk(name.clone()), Reply::text(owed.to_string())])
    };
    let consumers: Vec<Reply> = by_consumer.into_iter().map(consumer).collect();
    Reply::Array(vec![
        Reply::count(pending.len()),
        border(pending.keys().next()),
        border(pending.keys().next_back()),
        if consumers.is_empty() { Reply::NullArray } else { Reply::Array(consumers) },
    ])
}
