//! Commands on streams that add, read and delete entries. Those on groups are in `groups`.

use super::command::{Answer, Command, count, is, reads, upper, word, writes};
use super::db::{Bytes, Db, Refusal};
use super::groups;
use super::resp::Reply;
use super::stream::{Fields, Id, Stream};

pub const COMMANDS: &[Command] = &[
    writes("XADD", -5, add),
    reads("XLEN", 2, |db, words| {
        Ok(Reply::count(db.get::<Stream>(&words[0])?.map_or(0, |stream| stream.entries.len())))
    }),
    reads("XRANGE", -4, |db, words| range(db, words, false)),
    reads("XREVRANGE", -4, |db, words| range(db, words, true)),
    reads("XREAD", -4, read).keys_to(0),
    writes("XDEL", -3, |db, words| {
        let ids = ids(&words[1..])?;
        present(db, &words[0], 0, |stream| Ok(ids.iter().filter(|id| stream.delete(**id)).count()))
            .map(Reply::count)
    }),
    writes("XTRIM", -4, |db, words| {
        let (trim, used) = Trim::read(&words[1..])?.ok_or_else(Refusal::syntax)?;
        if used + 1 != words.len() {
            return Err(Refusal::syntax());
        }
        present(db, &words[0], 0, |stream| Ok(trim.apply(stream))).map(Reply::count)
    }),
    writes("XSETID", -3, set_id),
    writes("XGROUP", -2, groups::manage).keys_to(0),
    writes("XREADGROUP", -7, groups::read).keys_to(0),
    writes("XACK", -4, groups::acknowledge),
    writes("XCLAIM", -6, groups::claim),
    writes("XAUTOCLAIM", -6, groups::claim_idle),
    reads("XPENDING", -3, groups::pending),
    reads("XINFO", -2, super::stream_info::info).keys_to(0),
];

/// Changes a stream that is there; the answer is `absent` where there is none.
pub fn present<T>(
    db: &mut Db,
    key: &[u8],
    absent: T,
    change: impl FnOnce(&mut Stream) -> Result<T, Refusal>,
) -> Result<T, Refusal> {
    if db.get::<Stream>(key)?.is_none() {
        return Ok(absent);
    }
    db.change(key, change)
}

/// Ids.
pub fn ids(words: &[Bytes]) -> Result<Vec<Id>, Refusal> {
    words.iter().map(|word| Id::read(word, 0)).collect()
}

/// An entry as it is answered.
pub fn entry(id: &Id, fields: &Fields) -> Reply {
    Reply::Array(vec![Reply::text(id.to_string()), Reply::bulks(fields.iter().cloned())])
}

/// The first and the last id of a range: `-`, `+`, `5`, `(5-1`.
pub fn borders(first: &[u8], last: &[u8]) -> Result<(Id, Id), Refusal> {
    let wrong = || Refusal::new("invalid start or end ID for the interval");
    let first = match first {
        b"-" => Id::default(),
        [b'(', id @ ..] => Id::read(id, 0)?.next().ok_or_else(wrong)?,
        id => Id::read(id, 0)?,
    };
    let last = match last {
        b"+" => Id::MAX,
        [b'(', id @ ..] => Id::read(id, u64::MAX)?.previous().ok_or_else(wrong)?,
        id => Id::read(id, u64::MAX)?,
    };
    Ok((first, last))
}

/// How a stream is kept short.
enum Trim {
    Length(usize),
    Before(Id),
}

impl Trim {
    /// Reads `MAXLEN` or `MINID` at the beginning, and how many words it is. Both are always exact.
    fn read(words: &[Bytes]) -> Result<Option<(Self, usize)>, Refusal> {
        let Some(strategy) = words.first() else { return Ok(None) };
        let by_length = is(strategy, "MAXLEN");
        if !by_length && !is(strategy, "MINID") {
            return Ok(None);
        }
        let mut at = 1;
        if matches!(word(words, at)?.as_slice(), b"~" | b"=") {
            at += 1;
        }
        let border = word(words, at)?;
        at += 1;
        let trim = match by_length {
            true => Self::Length(count(border)?),
            false => Self::Before(Id::read(border, 0)?),
        };
        if words.get(at).is_some_and(|word| is(word, "LIMIT")) {
            count(word(words, at + 1)?)?;
            at += 2;
        }
        Ok(Some((trim, at)))
    }

    fn apply(&self, stream: &mut Stream) -> usize {
        match self {
            Self::Length(most) => stream.trim_to(*most),
            Self::Before(least) => stream.trim_before(*least),
        }
    }
}

fn add(db: &mut Db, words: &[Bytes]) -> Answer {
    let mut at = 1;
    let make = !words.get(at).is_some_and(|word| is(word, "NOMKSTREAM"));
    at += usize::from(!make);
    let trim = Trim::read(&words[at..])?;
    at += trim.as_ref().map_or(0, |(_, used)| *used);
    let asked = word(words, at)?;
    let fields = &words[(at + 1).min(words.len())..];
    if fields.is_empty() || !fields.len().is_multiple_of(2) {
        return Err(Refusal::new("wrong number of arguments for 'xadd' command"));
    }
    if !make && db.get::<Stream>(&words[0])?.is_none() {
        return Ok(Reply::Null);
    }
    let now = db.now;
    db.change(&words[0], |stream: &mut Stream| {
        let id = stream.new_id(asked, now)?;
        stream.add(id, fields.to_vec());
        if let Some((trim, _)) = trim {
            trim.apply(stream);
        }
        Ok(Reply::text(id.to_string()))
    })
}

fn range(db: &mut Db, words: &[Bytes], reversed: bool) -> Answer {
    let (first, last) = match reversed {
        true => borders(&words[2], &words[1])?,
        false => borders(&words[1], &words[2])?,
    };
    let most = match &words[3..] {
        [] => usize::MAX,
        [option, number] if is(option, "COUNT") => count(number)?,
        _ => return Err(Refusal::syntax()),
    };
    let Some(stream) = db.get::<Stream>(&words[0])? else { return Ok(Reply::Array(vec![])) };
    let found = stream.range(first, last);
    let answer = |(id, fields)| entry(id, fields);
    Ok(Reply::Array(match reversed {
        true => found.rev().take(most).map(answer).collect(),
        false => found.take(most).map(answer).collect(),
    }))
}

/// Keys with an id each, as they stand behind `STREAMS`.
pub fn pairs(words: &[Bytes]) -> Result<Vec<(&Bytes, &Bytes)>, Refusal> {
    if words.is_empty() || !words.len().is_multiple_of(2) {
        return Err(Refusal::new(
            "Unbalanced list of streams: for each key an ID must be specified",
        ));
    }
    let (keys, ids) = words.split_at(words.len() / 2);
    Ok(keys.iter().zip(ids).collect())
}

/// Entries of several streams by key; nothing when there are none at all.
pub fn by_key(found: Vec<(Bytes, Vec<Reply>)>) -> Reply {
    if found.is_empty() {
        return Reply::NullArray;
    }
    let pair = |(key, entries)| Reply::Array(vec![Reply::Bulk(key), Reply::Array(entries)]);
    Reply::Array(found.into_iter().map(pair).collect())
}

fn read(db: &mut Db, words: &[Bytes]) -> Answer {
    let (mut most, mut at) = (usize::MAX, 0);
    loop {
        match upper(word(words, at)?).as_str() {
            "COUNT" => most = count(word(words, at + 1)?)?,
            "STREAMS" => break,
            "BLOCK" => return Err(Refusal::new("BLOCK is not supported by the sandbox's store")),
            _ => return Err(Refusal::syntax()),
        }
        at += 2;
    }
    let mut found = Vec::new();
    for (key, id) in pairs(&words[at + 1..])? {
        let Some(stream) = db.get::<Stream>(key)? else { continue };
        let after = if id == b"$" { stream.last } else { Id::read(id, 0)? };
        let Some(first) = after.next() else { continue };
        let entries: Vec<Reply> =
            stream.range(first, Id::MAX).take(most).map(|(id, fields)| entry(id, fields)).collect();
        if !entries.is_empty() {
            found.push((key.clone(), entries));
        }
    }
    Ok(by_key(found))
}

fn set_id(db: &mut Db, words: &[Bytes]) -> Answer {
    let last = Id::read(&words[1], 0)?;
    if db.get::<Stream>(&words[0])?.is_none() {
        return Err(Refusal::new("no such key"));
    }
    let (mut added, mut max_deleted) = (None, None);
    for pair in words[2..].chunks(2) {
        match upper(&pair[0]).as_str() {
            "ENTRIESADDED" => added = Some(count(word(pair, 1)?)? as u64),
            "MAXDELETEDID" => max_deleted = Some(Id::read(word(pair, 1)?, 0)?),
            _ => return Err(Refusal::syntax()),
        }
    }
    db.change(&words[0], |stream: &mut Stream| {
        if stream.entries.last_key_value().is_some_and(|(id, _)| *id > last) {
            return Err(Refusal::new(
                "The ID specified in XSETID is smaller than the target stream top item",
            ));
        }
        stream.last = last;
        stream.added = added.unwrap_or(stream.added);
        stream.max_deleted = max_deleted.unwrap_or(stream.max_deleted);
        Ok(Reply::OK)
    })
}
