//! RESP, the protocol of Redis: requests are arrays of bulk strings (or one line of words), answers
//! are values of version 2 or 3. <https://redis.io/docs/latest/develop/reference/protocol-spec/>

/// Most words of one request.
const MAX_WORDS: usize = 1 << 20;
/// Longest word.
const MAX_WORD_BYTES: usize = 64 << 20;
/// Longest request; the connection of whoever sends more is closed.
pub const MAX_REQUEST_BYTES: usize = 128 << 20;
/// Longest line of a request: a length, or a request in words.
const MAX_LINE_BYTES: usize = 64 << 10;

/// What a peer says that is no request; its connection is closed after this answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Protocol error: {0}")]
pub struct ProtocolError(pub &'static str);

/// A request and the bytes it took, or none while more has to come.
pub type Parsed = Option<(Vec<Vec<u8>>, usize)>;

/// Takes a request from the beginning of what a peer has sent.
///
/// # Errors
/// When it is none, whatever may follow.
pub fn parse(input: &[u8]) -> Result<Parsed, ProtocolError> {
    match input.first() {
        None => Ok(None),
        Some(b'*') => parse_array(input),
        Some(_) => Ok(line(input, 0)?.map(|(words, end)| (split_words(words), end))),
    }
}

fn parse_array(input: &[u8]) -> Result<Parsed, ProtocolError> {
    let Some((head, mut at)) = line(input, 1)? else { return Ok(None) };
    let count = number(head).ok_or(ProtocolError("invalid multibulk length"))?;
    let count = usize::try_from(count).unwrap_or(0);
    if count > MAX_WORDS {
        return Err(ProtocolError("invalid multibulk length"));
    }
    // Where the words are first, so that nothing is copied until all of them have come.
    let mut places = Vec::with_capacity(count.min(64));
    for _ in 0..count {
        match input.get(at) {
            None => return Ok(None),
            Some(b'$') => {}
            Some(_) => return Err(ProtocolError("expected '$'")),
        }
        let Some((head, begin)) = line(input, at + 1)? else { return Ok(None) };
        let length = number(head).and_then(|length| usize::try_from(length).ok());
        let length = length.filter(|length| *length <= MAX_WORD_BYTES);
        let length = length.ok_or(ProtocolError("invalid bulk length"))?;
        let end = begin + length;
        if end > MAX_REQUEST_BYTES {
            return Err(ProtocolError("too big a request"));
        }
        if input.len() < end + 2 {
            return Ok(None);
        }
        if &input[end..end + 2] != b"\r\n" {
            return Err(ProtocolError("expected CRLF after a bulk string"));
        }
        places.push(begin..end);
        at = end + 2;
    }
    Ok(Some((places.into_iter().map(|place| input[place].to_vec()).collect(), at)))
}

/// A line from `from` without its end, and where the next one begins.
fn line(input: &[u8], from: usize) -> Result<Option<(&[u8], usize)>, ProtocolError> {
    let rest = input.get(from..).unwrap_or_default();
    match rest.iter().take(MAX_LINE_BYTES).position(|byte| *byte == b'\n') {
        Some(end) => {
            let line = rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]);
            Ok(Some((line, from + end + 1)))
        }
        None if rest.len() >= MAX_LINE_BYTES => Err(ProtocolError("too big inline request")),
        None => Ok(None),
    }
}

fn number(digits: &[u8]) -> Option<i64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn split_words(line: &[u8]) -> Vec<Vec<u8>> {
    let words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    words.map(<[u8]>::to_vec).collect()
}

/// Version of the protocol that a peer speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// What every connection begins with.
    Two,
    /// What `HELLO 3` asks for.
    Three,
}

/// An answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// A word such as `OK`.
    Status(&'static str),
    /// What went wrong, with its code first.
    Error(String),
    /// A whole number.
    Int(i64),
    /// Bytes.
    Bulk(Vec<u8>),
    /// Nothing.
    Null,
    /// Nothing, where a list was asked for.
    NullArray,
    /// Several answers.
    Array(Vec<Reply>),
    /// Answers without order; version 2 knows only arrays.
    Set(Vec<Reply>),
    /// Pairs; a flat array in version 2.
    Map(Vec<(Reply, Reply)>),
    /// Members with a number each; a flat array in version 2, an array of pairs in version 3.
    Scored(Vec<(Vec<u8>, f64)>),
    /// A number; bytes in version 2.
    Double(f64),
}

impl Reply {
    /// `OK`.
    pub const OK: Self = Self::Status("OK");

    /// Bytes or nothing.
    pub fn bulk(bytes: Option<impl Into<Vec<u8>>>) -> Self {
        bytes.map_or(Self::Null, |bytes| Self::Bulk(bytes.into()))
    }

    /// Text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Bulk(text.into().into_bytes())
    }

    /// 1 or 0.
    pub fn flag(yes: bool) -> Self {
        Self::Int(i64::from(yes))
    }

    /// How many.
    pub fn count(count: usize) -> Self {
        Self::Int(i64::try_from(count).unwrap_or(i64::MAX))
    }

    /// Bytes in order.
    pub fn bulks(items: impl IntoIterator<Item = Vec<u8>>) -> Self {
        Self::Array(items.into_iter().map(Self::Bulk).collect())
    }

    /// Pairs of a name and a value.
    pub fn named<const N: usize>(pairs: [(&str, Self); N]) -> Self {
        Self::Map(pairs.map(|(name, value)| (Self::text(name), value)).into())
    }

    /// Appends the answer as it goes to the peer.
    pub fn write(&self, version: Version, to: &mut Vec<u8>) {
        let three = version == Version::Three;
        match self {
            Self::Status(word) => put_line(to, b'+', word),
            // A line break in it would begin another answer.
            Self::Error(reason) => put_line(to, b'-', &reason.replace(['\r', '\n'], " ")),
            Self::Int(number) => put_line(to, b':', &number.to_string()),
            Self::Bulk(bytes) => put_bulk(to, bytes),
            Self::Null | Self::NullArray if three => to.extend_from_slice(b"_\r\n"),
            Self::Null => to.extend_from_slice(b"$-1\r\n"),
            Self::NullArray => to.extend_from_slice(b"*-1\r\n"),
            Self::Array(items) => put_items(to, b'*', items, version),
            Self::Set(items) => put_items(to, if three { b'~' } else { b'*' }, items, version),
            Self::Map(pairs) => {
                let length = if three { pairs.len() } else { pairs.len() * 2 };
                put_line(to, if three { b'%' } else { b'*' }, &length.to_string());
                for (name, value) in pairs {
                    name.write(version, to);
                    value.write(version, to);
                }
            }
            Self::Scored(members) => {
                let length = if three { members.len() } else { members.len() * 2 };
                put_line(to, b'*', &length.to_string());
                for (member, score) in members {
                    if three {
                        to.extend_from_slice(b"*2\r\n");
                    }
                    put_bulk(to, member);
                    Self::Double(*score).write(version, to);
                }
            }
            Self::Double(number) if three => put_line(to, b',', &format_double(*number)),
            Self::Double(number) => put_bulk(to, format_double(*number).as_bytes()),
        }
    }
}

fn put_line(to: &mut Vec<u8>, kind: u8, text: &str) {
    to.push(kind);
    to.extend_from_slice(text.as_bytes());
    to.extend_from_slice(b"\r\n");
}

/// Appends a bulk string.
pub fn put_bulk(to: &mut Vec<u8>, bytes: &[u8]) {
    put_line(to, b'$', &bytes.len().to_string());
    to.extend_from_slice(bytes);
    to.extend_from_slice(b"\r\n");
}

fn put_items(to: &mut Vec<u8>, kind: u8, items: &[Reply], version: Version) {
    put_line(to, kind, &items.len().to_string());
    items.iter().for_each(|item| item.write(version, to));
}

/// A number as Redis writes it: the fewest digits that read back as the same.
pub fn format_double(number: f64) -> String {
    if number.is_infinite() {
        return if number > 0.0 { "inf".into() } else { "-inf".into() };
    }
    if number.fract() == 0.0 && number.abs() < 1e17 {
        return format!("{number:.0}");
    }
    format!("{number:?}").trim_end_matches(".0").to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn request(words: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = Vec::new();
        Reply::bulks(words.to_vec()).write(Version::Two, &mut bytes);
        bytes
    }

    proptest! {
        #[test]
        fn a_request_is_the_same_whatever_pieces_it_comes_in(
            words in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..20), 1..6),
            cut in 0_usize..200,
        ) {
            let bytes = request(&words);
            let part = &bytes[..cut.min(bytes.len() - 1)];
            prop_assert_eq!(parse(part), Ok(None));
            prop_assert_eq!(parse(&bytes), Ok(Some((words, bytes.len()))));
        }

        #[test]
        fn whatever_comes_is_a_request_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn a_double_reads_back(bits in any::<u64>()) {
            let number = f64::from_bits(bits);
            prop_assume!(!number.is_nan());
            let back: f64 = format_double(number).parse().expect("a number");
            prop_assert_eq!(back.to_bits(), number.to_bits());
        }
    }

    #[test]
    fn what_is_no_request_is_refused() {
        for bytes in
            [&b"*x\r\n"[..], b"*1\r\n:1\r\n", b"*1\r\n$-1\r\n", b"*1\r\n$1\r\nabc", b"*9999999\r\n"]
        {
            assert!(parse(bytes).is_err(), "{}", String::from_utf8_lossy(bytes));
        }
        assert!(parse(&vec![b'a'; MAX_LINE_BYTES]).is_err());
        assert_eq!(parse(b"PING  x\r\n"), Ok(Some((vec![b"PING".to_vec(), b"x".to_vec()], 9))));
    }

    #[test]
    fn the_two_versions_differ_where_they_should() {
        let written = |reply: Reply, version| {
            let mut bytes = Vec::new();
            reply.write(version, &mut bytes);
            String::from_utf8(bytes).expect("text")
        };
        let map = Reply::named([("a", Reply::Null)]);
        assert_eq!(written(map.clone(), Version::Two), "*2\r\n$1\r\na\r\n$-1\r\n");
        assert_eq!(written(map, Version::Three), "%1\r\n$1\r\na\r\n_\r\n");
        let scored = Reply::Scored(vec![(b"m".to_vec(), -0.0)]);
        assert_eq!(written(scored.clone(), Version::Two), "*2\r\n$1\r\nm\r\n$2\r\n-0\r\n");
        assert_eq!(written(scored, Version::Three), "*1\r\n*2\r\n$1\r\nm\r\n,-0\r\n");
        assert_eq!(written(Reply::Error("ERR a\r\n+OK".into()), Version::Two), "-ERR a  +OK\r\n");
    }
}
