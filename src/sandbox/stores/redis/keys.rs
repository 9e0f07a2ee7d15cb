//! Commands on keys of any type.

use super::command::{
    Answer, Command, ScanOptions, count, int, is, matches_pattern, reads, upper, word, writes,
};
use super::db::{Bytes, Db, Refusal, Value};
use super::dump;
use super::resp::Reply;
use super::strings::lifetime;

pub const COMMANDS: &[Command] = &[
    writes("DEL", -2, remove).keys_to(-1),
    writes("UNLINK", -2, remove).keys_to(-1),
    reads("EXISTS", -2, exist).keys_to(-1),
    reads("TOUCH", -2, exist).keys_to(-1),
    reads("TYPE", 2, |db, words| {
        Ok(Reply::Status(db.entry(&words[0]).map_or("none", |entry| entry.value.kind())))
    }),
    writes("EXPIRE", -3, |db, words| expire(db, words, 1000, false)),
    writes("PEXPIRE", -3, |db, words| expire(db, words, 1, false)),
    writes("EXPIREAT", -3, |db, words| expire(db, words, 1000, true)),
    writes("PEXPIREAT", -3, |db, words| expire(db, words, 1, true)),
    writes("PERSIST", 2, |db, words| {
        let ending = db.entry(&words[0]).is_some_and(|entry| entry.expires.is_some());
        Ok(Reply::flag(ending && db.set_expiry(&words[0], None)))
    }),
    reads("TTL", 2, |db, words| ends(db, words, |at, now| (at - now + 500) / 1000)),
    reads("PTTL", 2, |db, words| ends(db, words, |at, now| at - now)),
    reads("EXPIRETIME", 2, |db, words| ends(db, words, |at, _| at / 1000)),
    reads("PEXPIRETIME", 2, |db, words| ends(db, words, |at, _| at)),
    writes("RENAME", 3, |db, words| rename(db, words).map(|()| Reply::OK)).keys_to(2),
    writes("RENAMENX", 3, |db, words| {
        if db.entry(&words[1]).is_some() {
            return Ok(Reply::flag(false));
        }
        rename(db, words).map(|()| Reply::flag(true))
    })
    .keys_to(2),
    writes("COPY", -3, copy).keys_to(2),
    reads("KEYS", 2, |db, words| {
        let (_, all) = db.scan(0, usize::MAX);
        let names = all.into_iter().map(|(name, _)| name);
        Ok(Reply::bulks(names.filter(|name| matches_pattern(&words[0], name)).collect::<Vec<_>>()))
    })
    .keys_to(0),
    reads("SCAN", -2, scan).keys_to(0),
    reads("DBSIZE", 1, |db, _| Ok(Reply::count(db.sizes().0))).keys_to(0),
    reads("RANDOMKEY", 1, |db, _| {
        use rand::seq::IteratorRandom;
        let (_, all) = db.scan(0, usize::MAX);
        Ok(Reply::bulk(all.into_iter().map(|(name, _)| name).choose(&mut rand::rng())))
    })
    .keys_to(0),
    reads("OBJECT", -2, object).keys_to(0),
    reads("DUMP", 2, |db, words| {
        Ok(Reply::bulk(db.entry(&words[0]).map(|entry| dump::write(&entry.value))))
    }),
    writes("RESTORE", -4, restore),
];

fn remove(db: &mut Db, words: &[Bytes]) -> Answer {
    Ok(Reply::count(words.iter().filter(|key| db.take(key).is_some()).count()))
}

fn exist(db: &mut Db, words: &[Bytes]) -> Answer {
    Ok(Reply::count(words.iter().filter(|key| db.entry(key).is_some()).count()))
}

fn expire(db: &mut Db, words: &[Bytes], unit_ms: i64, absolute: bool) -> Answer {
    let at = lifetime(db.now, &words[1], unit_ms, absolute)?;
    let Some(entry) = db.entry(&words[0]) else { return Ok(Reply::flag(false)) };
    let old = entry.expires;
    let met = match words.get(2).map(|word| upper(word)).as_deref() {
        None => true,
        Some("NX") => old.is_none(),
        Some("XX") => old.is_some(),
        Some("GT") => old.is_some_and(|old| at > old),
        Some("LT") => old.is_none_or(|old| at < old),
        Some(_) => return Err(Refusal::new("Unsupported option")),
    };
    Ok(Reply::flag(met && db.set_expiry(&words[0], Some(at))))
}

fn ends(db: &mut Db, words: &[Bytes], tell: fn(i64, i64) -> i64) -> Answer {
    let now = db.now;
    Ok(Reply::Int(match db.entry(&words[0]) {
        None => -2,
        Some(entry) => entry.expires.map_or(-1, |at| tell(at, now)),
    }))
}

fn rename(db: &mut Db, words: &[Bytes]) -> Result<(), Refusal> {
    let entry = db.take(&words[0]).ok_or_else(|| Refusal::new("no such key"))?;
    db.put(words[1].clone(), entry.value, entry.expires);
    Ok(())
}

fn copy(db: &mut Db, words: &[Bytes]) -> Answer {
    let replace = match &words[2..] {
        [] => false,
        [option] if is(option, "REPLACE") => true,
        _ => return Err(Refusal::syntax()),
    };
    let entry = db.entry(&words[0]).map(|entry| (entry.value.clone(), entry.expires));
    let Some((value, expires)) = entry else { return Ok(Reply::flag(false)) };
    if db.entry(&words[1]).is_some() && !replace {
        return Ok(Reply::flag(false));
    }
    db.put(words[1].clone(), value, expires);
    Ok(Reply::flag(true))
}

fn scan(db: &mut Db, words: &[Bytes]) -> Answer {
    let cursor = std::str::from_utf8(&words[0]).ok().and_then(|text| text.parse().ok());
    let cursor = cursor.ok_or_else(|| Refusal::new("invalid cursor"))?;
    let options = ScanOptions::read(&words[1..])?;
    let (next, found) = db.scan(cursor, options.count);
    let admitted = found.into_iter().filter(|(name, entry)| {
        options.admits(name) && options.kind.as_ref().is_none_or(|kind| kind == entry.value.kind())
    });
    let names = Reply::bulks(admitted.map(|(name, _)| name));
    Ok(Reply::Array(vec![Reply::text(next.to_string()), names]))
}

fn object(db: &mut Db, words: &[Bytes]) -> Answer {
    let Some(entry) = db.entry(word(words, 1)?) else { return Ok(Reply::Null) };
    match upper(&words[0]).as_str() {
        "ENCODING" => Ok(Reply::text(match &entry.value {
            Value::String(value) if int(value).is_ok() => "int",
            Value::String(_) => "raw",
            Value::List(_) => "quicklist",
            Value::Set(_) | Value::Hash(_) => "hashtable",
            Value::Sorted(_) => "skiplist",
            Value::Stream(_) => "stream",
        })),
        "REFCOUNT" => Ok(Reply::Int(1)),
        _ => Err(Refusal::new("unknown subcommand of OBJECT")),
    }
}

fn restore(db: &mut Db, words: &[Bytes]) -> Answer {
    let ttl = count(&words[1]).map_err(|_| Refusal::new("Invalid TTL value, must be >= 0"))?;
    let (mut replace, mut absolute) = (false, false);
    let mut at = 3;
    while at < words.len() {
        match upper(&words[at]).as_str() {
            "REPLACE" => replace = true,
            "ABSTTL" => absolute = true,
            "IDLETIME" | "FREQ" => {
                count(word(words, at + 1)?)?;
                at += 1;
            }
            _ => return Err(Refusal::syntax()),
        }
        at += 1;
    }
    if !replace && db.entry(&words[0]).is_some() {
        return Err(Refusal("BUSYKEY Target key name already exists.".into()));
    }
    let value = dump::read(&words[2], db.now)?;
    let ttl = ttl as i64;
    let expires = (ttl > 0).then(|| if absolute { ttl } else { db.now.saturating_add(ttl) });
    if let Some(value) = value {
        db.put(words[0].clone(), value, expires);
    } else {
        db.remove(&words[0]);
    }
    // One that has ended already is not made.
    db.entry(&words[0]);
    Ok(Reply::OK)
}
