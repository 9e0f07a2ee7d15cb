//! Commands on sorted sets.

use std::collections::BTreeMap;

use super::command::{
    Answer, Command, ScanOptions, count, float, int, is, reads, slice, upper, word, writes,
};
use super::db::{Bytes, Db, Refusal};
use super::resp::{Reply, format_double};

type Sorted = BTreeMap<Bytes, f64>;

pub const COMMANDS: &[Command] = &[
    writes("ZADD", -4, add),
    writes("ZREM", -3, |db, words| {
        db.change(&words[0], |set: &mut Sorted| {
            let removed = words[1..].iter().filter(|member| set.remove(*member).is_some());
            Ok(Reply::count(removed.count()))
        })
    }),
    reads("ZSCORE", 3, |db, words| {
        let score = db.get::<Sorted>(&words[0])?.and_then(|set| set.get(&words[1]));
        Ok(score.map_or(Reply::Null, |score| Reply::Double(*score)))
    }),
    reads("ZMSCORE", -3, |db, words| {
        let set = db.get::<Sorted>(&words[0])?.cloned().unwrap_or_default();
        let score = |member| set.get(member).map_or(Reply::Null, |score| Reply::Double(*score));
        Ok(Reply::Array(words[1..].iter().map(score).collect()))
    }),
    reads("ZCARD", 2, |db, words| {
        Ok(Reply::count(db.get::<Sorted>(&words[0])?.map_or(0, BTreeMap::len)))
    }),
    reads("ZCOUNT", 4, |db, words| {
        let (least, most) = (Bound::read(&words[1])?, Bound::read(&words[2])?);
        let ranked = ranked(db, &words[0])?;
        let inside = ranked.iter().filter(|(_, score)| least.below(*score) && most.above(*score));
        Ok(Reply::count(inside.count()))
    }),
    writes("ZINCRBY", 4, |db, words| {
        let by = float(&words[1])?;
        db.change(&words[0], |set: &mut Sorted| {
            let score = added(set.get(&words[2]).copied(), by)?;
            set.insert(words[2].clone(), score);
            Ok(Reply::Double(score))
        })
    }),
    reads("ZRANGE", -4, |db, words| range(db, words, None)),
    reads("ZREVRANGE", -4, |db, words| range(db, words, Some(("INDEX", true)))),
    reads("ZRANGEBYSCORE", -4, |db, words| range(db, words, Some(("BYSCORE", false)))),
    reads("ZREVRANGEBYSCORE", -4, |db, words| range(db, words, Some(("BYSCORE", true)))),
    reads("ZRANK", 3, |db, words| rank(db, words, false)),
    reads("ZREVRANK", 3, |db, words| rank(db, words, true)),
    writes("ZREMRANGEBYRANK", 4, |db, words| {
        let (first, last) = (int(&words[1])?, int(&words[2])?);
        let ranked = ranked(db, &words[0])?;
        let gone = ranked[slice(first, last, ranked.len())].to_vec();
        remove(db, &words[0], &gone).map(Reply::count)
    }),
    writes("ZREMRANGEBYSCORE", 4, |db, words| {
        let (least, most) = (Bound::read(&words[1])?, Bound::read(&words[2])?);
        let mut gone = ranked(db, &words[0])?;
        gone.retain(|(_, score)| least.below(*score) && most.above(*score));
        remove(db, &words[0], &gone).map(Reply::count)
    }),
    writes("ZPOPMIN", -2, |db, words| pop(db, words, false)),
    writes("ZPOPMAX", -2, |db, words| pop(db, words, true)),
    reads("ZSCAN", -3, |db, words| {
        let options = ScanOptions::read(&words[2..])?;
        let found = ranked(db, &words[0])?.into_iter().filter(|(member, _)| options.admits(member));
        let flat = found.flat_map(|(member, score)| [member, format_double(score).into_bytes()]);
        Ok(Reply::Array(vec![Reply::text("0"), Reply::bulks(flat)]))
    }),
];

/// Members in the order of their scores, and of their bytes where those are equal.
fn ranked(db: &mut Db, key: &[u8]) -> Result<Vec<(Bytes, f64)>, Refusal> {
    let set = db.get::<Sorted>(key)?.cloned().unwrap_or_default();
    let mut members: Vec<(Bytes, f64)> = set.into_iter().collect();
    // Stable: the members came in the order of their bytes. Both zeros are one score.
    members.sort_by(|a, b| a.1.partial_cmp(&b.1).unwrap_or(std::cmp::Ordering::Equal));
    Ok(members)
}

fn remove(db: &mut Db, key: &[u8], gone: &[(Bytes, f64)]) -> Result<usize, Refusal> {
    db.change(key, |set: &mut Sorted| {
        gone.iter().for_each(|(member, _)| _ = set.remove(member));
        Ok(gone.len())
    })
}

fn added(old: Option<f64>, by: f64) -> Result<f64, Refusal> {
    let sum = old.map_or(by, |old| old + by);
    if sum.is_nan() {
        return Err(Refusal::new("resulting score is not a number (NaN)"));
    }
    Ok(sum)
}

#[derive(Default)]
struct AddOptions {
    absent: bool,
    present: bool,
    greater: bool,
    less: bool,
    changed: bool,
    increment: bool,
}

impl AddOptions {
    /// The options at the beginning, and how many words they are.
    fn read(words: &[Bytes]) -> (Self, usize) {
        let mut options = Self::default();
        for (at, word) in words.iter().enumerate() {
            match upper(word).as_str() {
                "NX" => options.absent = true,
                "XX" => options.present = true,
                "GT" => options.greater = true,
                "LT" => options.less = true,
                "CH" => options.changed = true,
                "INCR" => options.increment = true,
                _ => return (options, at),
            }
        }
        (options, words.len())
    }

    fn admits(&self, old: Option<f64>, new: f64) -> bool {
        match old {
            None => !self.present,
            Some(old) => !self.absent && (!self.greater || new > old) && (!self.less || new < old),
        }
    }
}

fn add(db: &mut Db, words: &[Bytes]) -> Answer {
    let (options, used) = AddOptions::read(&words[1..]);
    let pairs = &words[1 + used..];
    let exclusive = [options.absent, options.greater, options.less];
    if pairs.is_empty()
        || !pairs.len().is_multiple_of(2)
        || (options.absent && options.present)
        || exclusive.iter().filter(|set| **set).count() > 1
        || (options.increment && pairs.len() != 2)
    {
        return Err(Refusal::syntax());
    }
    let scores: Vec<f64> =
        pairs.iter().step_by(2).map(|word| float(word)).collect::<Result<_, _>>()?;
    db.change(&words[0], |set: &mut Sorted| {
        let (mut new, mut changed, mut last) = (0, 0, None);
        for (score, member) in scores.iter().zip(pairs.iter().skip(1).step_by(2)) {
            let old = set.get(member).copied();
            let score = if options.increment { added(old, *score)? } else { *score };
            if options.admits(old, score) {
                set.insert(member.clone(), score);
                new += usize::from(old.is_none());
                changed += usize::from(old != Some(score));
                last = Some(score);
            }
        }
        Ok(match options.increment {
            true => last.map_or(Reply::Null, Reply::Double),
            false => Reply::count(if options.changed { changed } else { new }),
        })
    })
}

/// A border of scores: `5`, `(5` without itself, `-inf`.
struct Bound {
    score: f64,
    excluded: bool,
}

impl Bound {
    fn read(word: &[u8]) -> Result<Self, Refusal> {
        let (number, excluded) = match word {
            [b'(', number @ ..] => (number, true),
            number => (number, false),
        };
        let score = float(number).map_err(|_| Refusal::new("min or max is not a float"))?;
        Ok(Self { score, excluded })
    }

    fn below(&self, score: f64) -> bool {
        if self.excluded { self.score < score } else { self.score <= score }
    }

    fn above(&self, score: f64) -> bool {
        if self.excluded { score < self.score } else { score <= self.score }
    }
}

/// A border of names: `[a`, `(a` without itself, `-`, `+`.
fn lexical(bound: &[u8], member: &[u8], below: bool) -> Result<bool, Refusal> {
    use std::cmp::Ordering::{Equal, Greater, Less};
    let (name, excluded) = match bound {
        b"-" => return Ok(below),
        b"+" => return Ok(!below),
        [b'[', name @ ..] => (name, false),
        [b'(', name @ ..] => (name, true),
        _ => return Err(Refusal::new("min or max not valid string range item")),
    };
    Ok(match name.cmp(member) {
        Equal => !excluded,
        Less => below,
        Greater => !below,
    })
}

/// `ZRANGE` and its older forms, which fix how the borders are meant and which way it goes.
fn range(db: &mut Db, words: &[Bytes], form: Option<(&str, bool)>) -> Answer {
    let (mut by, mut reversed) = form.unwrap_or(("INDEX", false));
    let (mut with_scores, mut limit) = (false, None);
    let mut at = 3;
    while at < words.len() {
        match upper(&words[at]).as_str() {
            "WITHSCORES" => with_scores = true,
            "BYSCORE" if form.is_none() => by = "BYSCORE",
            "BYLEX" if form.is_none() => by = "BYLEX",
            "REV" if form.is_none() => reversed = true,
            "LIMIT" => {
                limit = Some((count(word(words, at + 1)?)?, int(word(words, at + 2)?)?));
                at += 2;
            }
            _ => return Err(Refusal::syntax()),
        }
        at += 1;
    }
    let mut members = ranked(db, &words[0])?;
    if reversed {
        members.reverse();
    }
    if by == "INDEX" {
        let range = slice(int(&words[1])?, int(&words[2])?, members.len());
        members = members[range].to_vec();
    } else {
        let (least, most) = if reversed { (&words[2], &words[1]) } else { (&words[1], &words[2]) };
        if by == "BYLEX" {
            let mut inside = Vec::new();
            for (member, score) in members {
                if lexical(least, &member, true)? && lexical(most, &member, false)? {
                    inside.push((member, score));
                }
            }
            members = inside;
        } else {
            let (least, most) = (Bound::read(least)?, Bound::read(most)?);
            members.retain(|(_, score)| least.below(*score) && most.above(*score));
        }
        if let Some((skip, take)) = limit {
            let take = usize::try_from(take).unwrap_or(usize::MAX);
            members = members.into_iter().skip(skip).take(take).collect();
        }
    }
    Ok(match with_scores {
        true => Reply::Scored(members),
        false => Reply::bulks(members.into_iter().map(|(member, _)| member)),
    })
}

fn rank(db: &mut Db, words: &[Bytes], reversed: bool) -> Answer {
    let ranked = ranked(db, &words[0])?;
    let at = ranked.iter().position(|(member, _)| *member == words[1]);
    let at = at.map(|at| if reversed { ranked.len() - 1 - at } else { at });
    Ok(at.map_or(Reply::Null, Reply::count))
}

fn pop(db: &mut Db, words: &[Bytes], greatest: bool) -> Answer {
    let number = words.get(1).map_or(Ok(1), |word| count(word))?;
    if words.get(2).is_some_and(|word| !is(word, "")) {
        return Err(Refusal::syntax());
    }
    let mut ranked = ranked(db, &words[0])?;
    if greatest {
        ranked.reverse();
    }
    ranked.truncate(number);
    remove(db, &words[0], &ranked)?;
    Ok(Reply::Scored(ranked))
}
