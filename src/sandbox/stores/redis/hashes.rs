//! Commands on hashes, and on the lifetimes of their fields.

use super::command::{
    Answer, Command, ScanOptions, count, float, int, is, reads, upper, word, writes,
};
use super::db::{Bytes, Db, Field, Hash, Refusal};
use super::resp::{Reply, format_double};
use super::strings::lifetime;

pub const COMMANDS: &[Command] = &[
    writes("HSET", -4, |db, words| set(db, words).map(Reply::count)),
    writes("HMSET", -4, |db, words| set(db, words).map(|_| Reply::OK)),
    writes("HSETNX", 4, |db, words| {
        db.change(&words[0], |hash: &mut Hash| {
            let absent = !hash.contains_key(&words[1]);
            if absent {
                hash.insert(words[1].clone(), Field { value: words[2].clone(), expires: None });
            }
            Ok(Reply::flag(absent))
        })
    }),
    reads("HGET", 3, |db, words| Ok(Reply::bulk(value(&of(db, &words[0])?, &words[1])))),
    reads("HMGET", -3, |db, words| {
        let hash = of(db, &words[0])?;
        Ok(Reply::Array(words[1..].iter().map(|name| Reply::bulk(value(&hash, name))).collect()))
    }),
    reads("HGETALL", 2, |db, words| {
        let hash = of(db, &words[0])?;
        let pair = |(name, field): (Bytes, Field)| (Reply::Bulk(name), Reply::Bulk(field.value));
        Ok(Reply::Map(hash.into_iter().map(pair).collect()))
    }),
    reads("HKEYS", 2, |db, words| Ok(Reply::bulks(of(db, &words[0])?.into_keys()))),
    reads("HVALS", 2, |db, words| {
        Ok(Reply::bulks(of(db, &words[0])?.into_values().map(|field| field.value)))
    }),
    reads("HLEN", 2, |db, words| Ok(Reply::count(of(db, &words[0])?.len()))),
    reads("HEXISTS", 3, |db, words| Ok(Reply::flag(of(db, &words[0])?.contains_key(&words[1])))),
    reads("HSTRLEN", 3, |db, words| {
        Ok(Reply::count(value(&of(db, &words[0])?, &words[1]).map_or(0, |value| value.len())))
    }),
    writes("HDEL", -3, |db, words| {
        db.change(&words[0], |hash: &mut Hash| {
            let removed = words[1..].iter().filter(|name| hash.remove(*name).is_some());
            Ok(Reply::count(removed.count()))
        })
    }),
    writes("HINCRBY", 4, |db, words| {
        let by = int(&words[2])?;
        alter(db, words, |old| {
            let old = old.map_or(Ok(0), |old| int(old))?;
            let sum = old.checked_add(by);
            let sum = sum.ok_or_else(|| Refusal::new("increment or decrement would overflow"))?;
            Ok((sum.to_string(), Reply::Int(sum)))
        })
    }),
    writes("HINCRBYFLOAT", 4, |db, words| {
        let by = float(&words[2])?;
        alter(db, words, |old| {
            let sum = format_double(old.map_or(Ok(0.0), |old| float(old))? + by);
            Ok((sum.clone(), Reply::text(sum)))
        })
    }),
    reads("HSCAN", -3, |db, words| {
        let options = ScanOptions::read(&words[2..])?;
        let hash = of(db, &words[0])?.into_iter().filter(|(name, _)| options.admits(name));
        let flat = hash.flat_map(|(name, field)| [name, field.value]);
        Ok(Reply::Array(vec![Reply::text("0"), Reply::bulks(flat)]))
    }),
    writes("HEXPIRE", -6, |db, words| expire(db, words, 1000, false)),
    writes("HPEXPIRE", -6, |db, words| expire(db, words, 1, false)),
    writes("HEXPIREAT", -6, |db, words| expire(db, words, 1000, true)),
    writes("HPEXPIREAT", -6, |db, words| expire(db, words, 1, true)),
    writes("HPERSIST", -5, persist),
    reads("HEXPIRETIME", -5, |db, words| ends(db, words, |at, _| at / 1000)),
    reads("HPEXPIRETIME", -5, |db, words| ends(db, words, |at, _| at)),
    reads("HTTL", -5, |db, words| ends(db, words, |at, now| (at - now + 999) / 1000)),
    reads("HPTTL", -5, |db, words| ends(db, words, |at, now| at - now)),
];

fn of(db: &mut Db, key: &[u8]) -> Result<Hash, Refusal> {
    Ok(db.get::<Hash>(key)?.cloned().unwrap_or_default())
}

fn value(hash: &Hash, name: &[u8]) -> Option<Bytes> {
    hash.get(name).map(|field| field.value.clone())
}

fn set(db: &mut Db, words: &[Bytes]) -> Result<usize, Refusal> {
    if words.len().is_multiple_of(2) {
        return Err(Refusal::new("wrong number of arguments for 'hset' command"));
    }
    db.change(&words[0], |hash: &mut Hash| {
        let mut added = 0;
        for pair in words[1..].chunks_exact(2) {
            // A field that is written anew lives on.
            let field = Field { value: pair[1].clone(), expires: None };
            added += usize::from(hash.insert(pair[0].clone(), field).is_none());
        }
        Ok(added)
    })
}

fn alter(
    db: &mut Db,
    words: &[Bytes],
    alter: impl FnOnce(Option<&Bytes>) -> Result<(String, Reply), Refusal>,
) -> Answer {
    db.change(&words[0], |hash: &mut Hash| {
        let old = hash.get(&words[1]);
        let expires = old.and_then(|field| field.expires);
        let (value, reply) = alter(old.map(|field| &field.value))?;
        hash.insert(words[1].clone(), Field { value: value.into_bytes(), expires });
        Ok(reply)
    })
}

/// The fields that `FIELDS n name ...` names.
fn named(words: &[Bytes]) -> Result<&[Bytes], Refusal> {
    let [mark, number, names @ ..] = words else { return Err(Refusal::syntax()) };
    if !is(mark, "FIELDS") {
        return Err(Refusal::new(
            "Mandatory argument FIELDS is missing or not at the right position",
        ));
    }
    if count(number)? != names.len() || names.is_empty() {
        let reason = "The `numfields` parameter must match the number of arguments";
        return Err(Refusal::new(reason));
    }
    Ok(names)
}

/// Answers for each field: 1 set, 0 not by its condition, 2 ended at once, -2 there is none.
fn expire(db: &mut Db, words: &[Bytes], unit_ms: i64, absolute: bool) -> Answer {
    let at = lifetime(db.now, word(words, 1)?, unit_ms, absolute)?;
    let condition = upper(word(words, 2)?);
    let conditional = matches!(condition.as_str(), "NX" | "XX" | "GT" | "LT");
    let names = named(&words[if conditional { 3 } else { 2 }..])?;
    let now = db.now;
    db.change(&words[0], |hash: &mut Hash| {
        let mut answers = Vec::new();
        for name in names {
            let Some(field) = hash.get_mut(name) else {
                answers.push(Reply::Int(-2));
                continue;
            };
            let met = match (condition.as_str(), field.expires) {
                ("NX", old) => old.is_none(),
                ("XX", old) => old.is_some(),
                ("GT", old) => old.is_some_and(|old| at > old),
                ("LT", old) => old.is_none_or(|old| at < old),
                _ => true,
            };
            answers.push(Reply::Int(match met {
                false => 0,
                true if at <= now => {
                    hash.remove(name);
                    2
                }
                true => {
                    field.expires = Some(at);
                    1
                }
            }));
        }
        Ok(Reply::Array(answers))
    })
}

fn persist(db: &mut Db, words: &[Bytes]) -> Answer {
    let names = named(&words[1..])?;
    db.change(&words[0], |hash: &mut Hash| {
        let persist = |name| match hash.get_mut(name) {
            None => Reply::Int(-2),
            Some(field) => Reply::Int(if field.expires.take().is_some() { 1 } else { -1 }),
        };
        Ok(Reply::Array(names.iter().map(persist).collect()))
    })
}

fn ends(db: &mut Db, words: &[Bytes], tell: fn(i64, i64) -> i64) -> Answer {
    let names = named(&words[1..])?;
    let hash = of(db, &words[0])?;
    let of_field = |name: &Bytes| match hash.get(name) {
        None => Reply::Int(-2),
        Some(field) => Reply::Int(field.expires.map_or(-1, |at| tell(at, db.now))),
    };
    Ok(Reply::Array(names.iter().map(of_field).collect()))
}
