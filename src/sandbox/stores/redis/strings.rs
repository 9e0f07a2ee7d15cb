//! Commands on strings, and on the bits of strings.

use super::command::{Answer, Command, count, float, int, is, reads, slice, upper, word, writes};
use super::db::{Bytes, Db, Refusal, Value};
use super::resp::{Reply, format_double};

/// Longest string that `SETRANGE` and `SETBIT` may make.
const MAX_BYTES: usize = 64 << 20;

pub const COMMANDS: &[Command] = &[
    writes("SET", -3, set),
    reads("GET", 2, |db, words| Ok(Reply::bulk(db.get::<Bytes>(&words[0])?.cloned()))),
    writes("GETDEL", 2, |db, words| {
        let value = db.get::<Bytes>(&words[0])?.cloned();
        db.remove(&words[0]);
        Ok(Reply::bulk(value))
    }),
    writes("GETEX", -2, getex),
    writes("GETSET", 3, |db, words| {
        let old = db.get::<Bytes>(&words[0])?.cloned();
        db.put(words[0].clone(), Value::String(words[1].clone()), None);
        Ok(Reply::bulk(old))
    }),
    writes("SETNX", 3, |db, words| {
        let absent = db.entry(&words[0]).is_none();
        if absent {
            db.put(words[0].clone(), Value::String(words[1].clone()), None);
        }
        Ok(Reply::flag(absent))
    }),
    writes("SETEX", 4, |db, words| set_for(db, words, 1000)),
    writes("PSETEX", 4, |db, words| set_for(db, words, 1)),
    reads("MGET", -2, |db, words| {
        let get = |key: &Bytes| Reply::bulk(db.get::<Bytes>(key).ok().flatten().cloned());
        Ok(Reply::Array(words.iter().map(get).collect()))
    })
    .keys_to(-1),
    writes("MSET", -3, |db, words| mset(db, words).map(|()| Reply::OK)).keys_to(-1),
    writes("MSETNX", -3, |db, words| {
        if words.iter().step_by(2).any(|key| db.entry(key).is_some()) {
            return Ok(Reply::flag(false));
        }
        mset(db, words).map(|()| Reply::flag(true))
    })
    .keys_to(-1),
    writes("APPEND", 3, |db, words| {
        db.change(&words[0], |value: &mut Bytes| {
            value.extend_from_slice(&words[1]);
            Ok(Reply::count(value.len()))
        })
    }),
    reads("STRLEN", 2, |db, words| {
        Ok(Reply::count(db.get::<Bytes>(&words[0])?.map_or(0, Vec::len)))
    }),
    writes("INCR", 2, |db, words| add(db, &words[0], 1)),
    writes("DECR", 2, |db, words| add(db, &words[0], -1)),
    writes("INCRBY", 3, |db, words| add(db, &words[0], int(&words[1])?)),
    writes("DECRBY", 3, |db, words| {
        let by = int(&words[1])?.checked_neg();
        add(db, &words[0], by.ok_or_else(|| Refusal::new("decrement would overflow"))?)
    }),
    writes("INCRBYFLOAT", 3, |db, words| {
        let by = float(&words[1])?;
        db.change(&words[0], |value: &mut Bytes| {
            let sum = if value.is_empty() { by } else { float(value)? + by };
            if !sum.is_finite() {
                return Err(Refusal::new("increment would produce NaN or Infinity"));
            }
            *value = format_double(sum).into_bytes();
            Ok(Reply::Bulk(value.clone()))
        })
    }),
    reads("GETRANGE", 4, |db, words| {
        let (first, last) = (int(&words[1])?, int(&words[2])?);
        let value = db.get::<Bytes>(&words[0])?.cloned().unwrap_or_default();
        let range = slice(first, last, value.len());
        Ok(Reply::Bulk(value[range].to_vec()))
    }),
    writes("SETRANGE", 4, |db, words| {
        let (from, part) = (count(&words[1])?, &words[2]);
        if part.is_empty() {
            return Ok(Reply::count(db.get::<Bytes>(&words[0])?.map_or(0, Vec::len)));
        }
        let end = reachable(from.saturating_add(part.len()))?;
        db.change(&words[0], |value: &mut Bytes| {
            value.resize(value.len().max(end), 0);
            value[from..end].copy_from_slice(part);
            Ok(Reply::count(value.len()))
        })
    }),
    writes("SETBIT", 4, |db, words| {
        let at = count(&words[1])?;
        let bit = int(&words[2])?;
        if !(0..=1).contains(&bit) {
            return Err(Refusal::new("bit is not an integer or out of range"));
        }
        let length = reachable(at / 8 + 1)?;
        db.change(&words[0], |value: &mut Bytes| {
            value.resize(value.len().max(length), 0);
            let mask = 0x80_u8 >> (at % 8);
            let old = value[at / 8] & mask != 0;
            value[at / 8] = if bit == 1 { value[at / 8] | mask } else { value[at / 8] & !mask };
            Ok(Reply::flag(old))
        })
    }),
    reads("GETBIT", 3, |db, words| {
        let at = count(&words[1])?;
        let byte = db.get::<Bytes>(&words[0])?.and_then(|value| value.get(at / 8)).copied();
        Ok(Reply::flag(byte.unwrap_or(0) & (0x80_u8 >> (at % 8)) != 0))
    }),
    reads("BITCOUNT", -2, |db, words| {
        let value = db.get::<Bytes>(&words[0])?.cloned().unwrap_or_default();
        let range = match words {
            [_] => 0..value.len(),
            [_, first, last] => slice(int(first)?, int(last)?, value.len()),
            [_, first, last, unit] if is(unit, "BYTE") => {
                slice(int(first)?, int(last)?, value.len())
            }
            _ => return Err(Refusal::syntax()),
        };
        Ok(Reply::Int(value[range].iter().map(|byte| i64::from(byte.count_ones())).sum()))
    }),
];

fn reachable(length: usize) -> Result<usize, Refusal> {
    if length > MAX_BYTES {
        return Err(Refusal::new("string exceeds maximum allowed size (proto-max-bulk-len)"));
    }
    Ok(length)
}

/// When something ends that lives so long from now.
pub fn lifetime(now: i64, number: &[u8], unit_ms: i64, absolute: bool) -> Result<i64, Refusal> {
    let wrong = || Refusal::new("invalid expire time");
    let ms = int(number)?.checked_mul(unit_ms).ok_or_else(wrong)?;
    if absolute { Ok(ms) } else { now.checked_add(ms).ok_or_else(wrong) }
}

/// The unit and the meaning of `EX`, `PX`, `EXAT` and `PXAT`.
fn expiry_option(name: &str) -> Option<(i64, bool)> {
    Some(match name {
        "EX" => (1000, false),
        "PX" => (1, false),
        "EXAT" => (1000, true),
        "PXAT" => (1, true),
        _ => return None,
    })
}

fn positive_lifetime(now: i64, number: &[u8], option: (i64, bool)) -> Result<i64, Refusal> {
    if int(number)? <= 0 {
        return Err(Refusal::new("invalid expire time"));
    }
    lifetime(now, number, option.0, option.1)
}

fn set(db: &mut Db, words: &[Bytes]) -> Answer {
    let (mut only_absent, mut only_present, mut get, mut keep) = (false, false, false, false);
    let mut expires = None;
    let mut at = 2;
    while at < words.len() {
        let option = upper(&words[at]);
        match option.as_str() {
            "NX" => only_absent = true,
            "XX" => only_present = true,
            "GET" => get = true,
            "KEEPTTL" => keep = true,
            other => {
                let unit = expiry_option(other).ok_or_else(Refusal::syntax)?;
                at += 1;
                expires = Some(positive_lifetime(db.now, word(words, at)?, unit)?);
            }
        }
        at += 1;
    }
    if (only_absent && only_present) || (keep && expires.is_some()) {
        return Err(Refusal::syntax());
    }
    let old = if get { db.get::<Bytes>(&words[0])?.cloned() } else { None };
    let present = db.entry(&words[0]).map(|entry| entry.expires);
    let refused = (only_absent && present.is_some()) || (only_present && present.is_none());
    if !refused {
        let kept = if keep { present.flatten() } else { None };
        db.put(words[0].clone(), Value::String(words[1].clone()), expires.or(kept));
    }
    Ok(match (get, refused) {
        (true, _) => Reply::bulk(old),
        (false, true) => Reply::Null,
        (false, false) => Reply::OK,
    })
}

fn set_for(db: &mut Db, words: &[Bytes], unit_ms: i64) -> Answer {
    let expires = positive_lifetime(db.now, &words[1], (unit_ms, false))?;
    db.put(words[0].clone(), Value::String(words[2].clone()), Some(expires));
    Ok(Reply::OK)
}

fn getex(db: &mut Db, words: &[Bytes]) -> Answer {
    let value = db.get::<Bytes>(&words[0])?.cloned();
    let expires = match &words[1..] {
        [] => return Ok(Reply::bulk(value)),
        [option] if is(option, "PERSIST") => None,
        [option, number] => {
            let unit = expiry_option(&upper(option)).ok_or_else(Refusal::syntax)?;
            Some(positive_lifetime(db.now, number, unit)?)
        }
        _ => return Err(Refusal::syntax()),
    };
    db.set_expiry(&words[0], expires);
    Ok(Reply::bulk(value))
}

fn mset(db: &mut Db, words: &[Bytes]) -> Result<(), Refusal> {
    if !words.len().is_multiple_of(2) {
        return Err(Refusal::new("wrong number of arguments for 'mset' command"));
    }
    for pair in words.chunks_exact(2) {
        db.put(pair[0].clone(), Value::String(pair[1].clone()), None);
    }
    Ok(())
}

fn add(db: &mut Db, key: &[u8], by: i64) -> Answer {
    db.change(key, |value: &mut Bytes| {
        let old = if value.is_empty() { 0 } else { int(value)? };
        let sum = old.checked_add(by);
        let sum = sum.ok_or_else(|| Refusal::new("increment or decrement would overflow"))?;
        *value = sum.to_string().into_bytes();
        Ok(Reply::Int(sum))
    })
}
