//! Commands on lists.

use std::collections::VecDeque;

use super::command::{Answer, Command, count, int, is, reads, slice, word, writes};
use super::db::{Bytes, Db, Refusal};
use super::resp::Reply;

type List = VecDeque<Bytes>;

pub const COMMANDS: &[Command] = &[
    writes("LPUSH", -3, |db, words| push(db, words, true)),
    writes("RPUSH", -3, |db, words| push(db, words, false)),
    writes("LPUSHX", -3, |db, words| push_present(db, words, true)),
    writes("RPUSHX", -3, |db, words| push_present(db, words, false)),
    writes("LPOP", -2, |db, words| pop(db, words, true)),
    writes("RPOP", -2, |db, words| pop(db, words, false)),
    reads("LLEN", 2, |db, words| {
        Ok(Reply::count(db.get::<List>(&words[0])?.map_or(0, VecDeque::len)))
    }),
    reads("LRANGE", 4, |db, words| {
        let (first, last) = (int(&words[1])?, int(&words[2])?);
        let Some(list) = db.get::<List>(&words[0])? else { return Ok(Reply::Array(vec![])) };
        Ok(Reply::bulks(list.range(slice(first, last, list.len())).cloned()))
    }),
    reads("LINDEX", 3, |db, words| {
        let at = int(&words[1])?;
        let list = db.get::<List>(&words[0])?;
        Ok(Reply::bulk(list.and_then(|list| list.get(place(at, list.len())?)).cloned()))
    }),
    writes("LSET", 4, |db, words| {
        let at = int(&words[1])?;
        if db.get::<List>(&words[0])?.is_none() {
            return Err(Refusal::new("no such key"));
        }
        db.change(&words[0], |list: &mut List| {
            let at = place(at, list.len()).ok_or_else(|| Refusal::new("index out of range"))?;
            list[at].clone_from(&words[2]);
            Ok(Reply::OK)
        })
    }),
    writes("LTRIM", 4, |db, words| {
        let (first, last) = (int(&words[1])?, int(&words[2])?);
        db.change(&words[0], |list: &mut List| {
            let range = slice(first, last, list.len());
            *list = list.range(range).cloned().collect();
            Ok(Reply::OK)
        })
    }),
    writes("LREM", 4, remove),
    writes("LINSERT", 5, |db, words| {
        let after = match &words[1] {
            place if is(place, "BEFORE") => 0,
            place if is(place, "AFTER") => 1,
            _ => return Err(Refusal::syntax()),
        };
        if db.get::<List>(&words[0])?.is_none() {
            return Ok(Reply::Int(0));
        }
        db.change(&words[0], |list: &mut List| {
            let Some(at) = list.iter().position(|item| *item == words[2]) else {
                return Ok(Reply::Int(-1));
            };
            list.insert(at + after, words[3].clone());
            Ok(Reply::count(list.len()))
        })
    }),
    writes("LMOVE", 5, |db, words| {
        transfer(db, &words[0], &words[1], left(&words[2])?, left(&words[3])?)
    })
    .keys_to(2),
    writes("RPOPLPUSH", 3, |db, words| transfer(db, &words[0], &words[1], false, true)).keys_to(2),
    reads("LPOS", 3, |db, words| {
        let list = db.get::<List>(&words[0])?;
        let at = list.and_then(|list| list.iter().position(|item| *item == words[1]));
        Ok(at.map_or(Reply::Null, Reply::count))
    }),
];

fn place(at: i64, length: usize) -> Option<usize> {
    usize::try_from(if at < 0 { at + length as i64 } else { at }).ok().filter(|at| *at < length)
}

fn left(word: &[u8]) -> Result<bool, Refusal> {
    match word {
        word if is(word, "LEFT") => Ok(true),
        word if is(word, "RIGHT") => Ok(false),
        _ => Err(Refusal::syntax()),
    }
}

fn push(db: &mut Db, words: &[Bytes], left: bool) -> Answer {
    db.change(&words[0], |list: &mut List| {
        for item in &words[1..] {
            if left { list.push_front(item.clone()) } else { list.push_back(item.clone()) }
        }
        Ok(Reply::count(list.len()))
    })
}

fn push_present(db: &mut Db, words: &[Bytes], left: bool) -> Answer {
    if db.get::<List>(&words[0])?.is_none() {
        return Ok(Reply::Int(0));
    }
    push(db, words, left)
}

fn pop_one(list: &mut List, left: bool) -> Option<Bytes> {
    if left { list.pop_front() } else { list.pop_back() }
}

fn pop(db: &mut Db, words: &[Bytes], left: bool) -> Answer {
    let several = words.get(1).map(|word| count(word)).transpose()?;
    if db.get::<List>(&words[0])?.is_none() {
        return Ok(if several.is_some() { Reply::NullArray } else { Reply::Null });
    }
    db.change(&words[0], |list: &mut List| {
        Ok(match several {
            None => Reply::bulk(pop_one(list, left)),
            Some(several) => Reply::bulks((0..several).map_while(|_| pop_one(list, left))),
        })
    })
}

fn transfer(db: &mut Db, from: &[u8], to: &[u8], from_left: bool, to_left: bool) -> Answer {
    db.get::<List>(to)?;
    if db.get::<List>(from)?.is_none() {
        return Ok(Reply::Null);
    }
    let moved = db.change(from, |list: &mut List| Ok(pop_one(list, from_left)))?;
    let Some(item) = moved else { return Ok(Reply::Null) };
    push(db, &[to.to_vec(), item.clone()], to_left)?;
    Ok(Reply::Bulk(item))
}

/// `LREM`: from the front when the number is positive, from the back when negative, all when 0.
fn remove(db: &mut Db, words: &[Bytes]) -> Answer {
    let number = int(&words[1])?;
    let most = if number == 0 { usize::MAX } else { number.unsigned_abs() as usize };
    let item = word(words, 2)?;
    db.change(&words[0], |list: &mut List| {
        let mut removed = 0;
        let mut keep = |other: &Bytes| {
            let gone = removed < most && other == item;
            removed += usize::from(gone);
            !gone
        };
        if number < 0 {
            let mut kept: List = list.drain(..).rev().filter(|other| keep(other)).collect();
            kept.make_contiguous().reverse();
            *list = kept;
        } else {
            list.retain(|other| keep(other));
        }
        Ok(Reply::count(removed))
    })
}
