//! Commands on sets.

use std::collections::BTreeSet;

use rand::seq::IteratorRandom;

use super::command::{Answer, Command, ScanOptions, count, int, reads, writes};
use super::db::{Bytes, Db};
use super::resp::Reply;

type Set = BTreeSet<Bytes>;

pub const COMMANDS: &[Command] = &[
    writes("SADD", -3, |db, words| {
        db.change(&words[0], |set: &mut Set| {
            let added = words[1..].iter().filter(|member| set.insert((*member).clone()));
            Ok(Reply::count(added.count()))
        })
    }),
    writes("SREM", -3, |db, words| {
        db.change(&words[0], |set: &mut Set| {
            Ok(Reply::count(words[1..].iter().filter(|member| set.remove(*member)).count()))
        })
    }),
    reads("SMEMBERS", 2, |db, words| Ok(members(of(db, &words[0])?))),
    reads("SISMEMBER", 3, |db, words| {
        Ok(Reply::flag(db.get::<Set>(&words[0])?.is_some_and(|set| set.contains(&words[1]))))
    }),
    reads("SMISMEMBER", -3, |db, words| {
        let set = of(db, &words[0])?;
        let has = |member| Reply::flag(set.contains(member));
        Ok(Reply::Array(words[1..].iter().map(has).collect()))
    }),
    reads("SCARD", 2, |db, words| {
        Ok(Reply::count(db.get::<Set>(&words[0])?.map_or(0, BTreeSet::len)))
    }),
    writes("SPOP", -2, pop),
    reads("SRANDMEMBER", -2, random),
    reads("SINTER", -2, |db, words| combine(db, words, |a, b| a & b)).keys_to(-1),
    reads("SUNION", -2, |db, words| combine(db, words, |a, b| a | b)).keys_to(-1),
    reads("SDIFF", -2, |db, words| combine(db, words, |a, b| a - b)).keys_to(-1),
    writes("SMOVE", 4, |db, words| {
        db.get::<Set>(&words[1])?;
        let moved = db.change(&words[0], |set: &mut Set| Ok(set.remove(&words[2])))?;
        if moved {
            db.change(&words[1], |set: &mut Set| Ok(set.insert(words[2].clone())))?;
        }
        Ok(Reply::flag(moved))
    })
    .keys_to(2),
    reads("SSCAN", -3, |db, words| {
        let options = ScanOptions::read(&words[2..])?;
        let set = of(db, &words[0])?;
        let found = Reply::bulks(set.into_iter().filter(|member| options.admits(member)));
        Ok(Reply::Array(vec![Reply::text("0"), found]))
    }),
];

fn of(db: &mut Db, key: &[u8]) -> Result<Set, super::db::Refusal> {
    Ok(db.get::<Set>(key)?.cloned().unwrap_or_default())
}

fn members(set: Set) -> Reply {
    Reply::Set(set.into_iter().map(Reply::Bulk).collect())
}

fn combine(db: &mut Db, keys: &[Bytes], with: fn(&Set, &Set) -> Set) -> Answer {
    let mut result = of(db, &keys[0])?;
    for key in &keys[1..] {
        result = with(&result, &of(db, key)?);
    }
    Ok(members(result))
}

fn pop(db: &mut Db, words: &[Bytes]) -> Answer {
    let several = words.get(1).map(|word| count(word)).transpose()?;
    db.change(&words[0], |set: &mut Set| {
        let chosen = set.iter().cloned().choose_multiple(&mut rand::rng(), several.unwrap_or(1));
        chosen.iter().for_each(|member| _ = set.remove(member));
        Ok(match several {
            None => Reply::bulk(chosen.into_iter().next()),
            Some(_) => Reply::Set(chosen.into_iter().map(Reply::Bulk).collect()),
        })
    })
}

/// `SRANDMEMBER`: different members when the number is positive, any when negative.
fn random(db: &mut Db, words: &[Bytes]) -> Answer {
    let set = of(db, &words[0])?;
    let several = words.get(1).map(|word| int(word)).transpose()?;
    let mut rng = rand::rng();
    Ok(match several {
        None => Reply::bulk(set.into_iter().choose(&mut rng)),
        Some(number) if number >= 0 => {
            let number = usize::try_from(number).unwrap_or(usize::MAX).min(set.len());
            Reply::bulks(set.into_iter().choose_multiple(&mut rng, number))
        }
        Some(number) => {
            let number = number.unsigned_abs().min(10_000);
            let any = (0..number).filter_map(|_| set.iter().choose(&mut rng).cloned());
            Reply::bulks(any.collect::<Vec<_>>())
        }
    })
}
