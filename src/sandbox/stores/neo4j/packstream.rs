//! PackStream, in which Bolt writes its values. <https://neo4j.com/docs/bolt/current/packstream/>

use super::temporal::{DateTime, Duration, LocalDateTime, Time};
use super::value::{Map, Point, Value};

/// Deepest nesting.
const MAX_DEPTH: usize = 64;

/// Bytes that are no values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not PackStream: {0}")]
pub struct Malformed(&'static str);

/// A message: its tag and its fields.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// What it is.
    pub tag: u8,
    /// What it says.
    pub fields: Vec<Value>,
}

/// Reads a message.
///
/// # Errors
/// When the bytes are none.
pub fn read_message(bytes: &[u8]) -> Result<Message, Malformed> {
    let mut reader = Reader { rest: bytes };
    let marker = reader.byte()?;
    if marker & 0xf0 != 0xb0 {
        return Err(Malformed("expected a structure"));
    }
    let tag = reader.byte()?;
    let fields = (0..marker & 0x0f).map(|_| reader.value(0)).collect::<Result<_, _>>()?;
    if !reader.rest.is_empty() {
        return Err(Malformed("more bytes than the message has"));
    }
    Ok(Message { tag, fields })
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Malformed("cut off"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, Malformed> {
        Ok(self.take(1)?[0])
    }

    fn number<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        self.take(N)?.try_into().map_err(|_| Malformed("cut off"))
    }

    fn length(&mut self, bytes: u8) -> Result<usize, Malformed> {
        Ok(match bytes {
            0 => usize::from(self.byte()?),
            1 => usize::from(u16::from_be_bytes(self.number()?)),
            _ => u32::from_be_bytes(self.number()?) as usize,
        })
    }

    fn text(&mut self, length: usize) -> Result<String, Malformed> {
        let bytes = self.take(length)?.to_vec();
        String::from_utf8(bytes).map_err(|_| Malformed("text that is not UTF-8"))
    }

    fn list(&mut self, length: usize, depth: usize) -> Result<Value, Malformed> {
        // Not more room than there are bytes, whatever the length says.
        let mut items = Vec::with_capacity(length.min(self.rest.len()));
        for _ in 0..length {
            items.push(self.value(depth + 1)?);
        }
        Ok(Value::List(items))
    }

    fn map(&mut self, length: usize, depth: usize) -> Result<Value, Malformed> {
        let mut map = Map::new();
        for _ in 0..length {
            let Value::String(name) = self.value(depth + 1)? else {
                return Err(Malformed("a name that is no text"));
            };
            map.insert(name, self.value(depth + 1)?);
        }
        Ok(Value::Map(map))
    }

    fn value(&mut self, depth: usize) -> Result<Value, Malformed> {
        if depth > MAX_DEPTH {
            return Err(Malformed("nested too deeply"));
        }
        let marker = self.byte()?;
        Ok(match marker {
            0x00..=0x7f => Value::Int(i64::from(marker)),
            0xf0..=0xff => Value::Int(i64::from(marker as i8)),
            0x80..=0x8f => Value::String(self.text(usize::from(marker & 0x0f))?),
            0x90..=0x9f => self.list(usize::from(marker & 0x0f), depth)?,
            0xa0..=0xaf => self.map(usize::from(marker & 0x0f), depth)?,
            0xb0..=0xbf => self.structure(usize::from(marker & 0x0f), depth)?,
            0xc0 => Value::Null,
            0xc1 => Value::Float(f64::from_be_bytes(self.number()?)),
            0xc2 => Value::Bool(false),
            0xc3 => Value::Bool(true),
            0xc8 => Value::Int(i64::from(i8::from_be_bytes(self.number()?))),
            0xc9 => Value::Int(i64::from(i16::from_be_bytes(self.number()?))),
            0xca => Value::Int(i64::from(i32::from_be_bytes(self.number()?))),
            0xcb => Value::Int(i64::from_be_bytes(self.number()?)),
            0xcc..=0xce => {
                let length = self.length(marker - 0xcc)?;
                Value::Bytes(self.take(length)?.to_vec())
            }
            0xd0..=0xd2 => {
                let length = self.length(marker - 0xd0)?;
                Value::String(self.text(length)?)
            }
            0xd4..=0xd6 => {
                let length = self.length(marker - 0xd4)?;
                self.list(length, depth)?
            }
            0xd8..=0xda => {
                let length = self.length(marker - 0xd8)?;
                self.map(length, depth)?
            }
            _ => return Err(Malformed("an unknown marker")),
        })
    }

    fn structure(&mut self, fields: usize, depth: usize) -> Result<Value, Malformed> {
        let tag = self.byte()?;
        let fields: Vec<Value> =
            (0..fields).map(|_| self.value(depth + 1)).collect::<Result<_, _>>()?;
        use Value::{Float, Int, String as Text};
        Ok(match (tag, fields.as_slice()) {
            (b'D', [Int(days)]) => Value::Date(*days),
            (b'T', [Int(nanos), Int(offset)]) => {
                Value::Time(Time { nanos: *nanos, offset: *offset })
            }
            (b't', [Int(nanos)]) => Value::LocalTime(*nanos),
            (b'd', [Int(seconds), Int(nanos)]) => {
                Value::LocalDateTime(LocalDateTime { seconds: *seconds, nanos: *nanos })
            }
            (b'F', [Int(seconds), Int(nanos), Int(offset)]) => {
                let local = LocalDateTime { seconds: *seconds, nanos: *nanos };
                Value::DateTime(DateTime { local, offset: *offset, zone: None })
            }
            (b'f', [Int(seconds), Int(nanos), Text(zone)]) => {
                let local = LocalDateTime { seconds: *seconds, nanos: *nanos };
                let moment = DateTime::in_zone(local, zone);
                Value::DateTime(moment.ok_or(Malformed("a zone that is not known here"))?)
            }
            (b'E', [Int(months), Int(days), Int(seconds), Int(nanos)]) => {
                let (months, days, seconds, nanos) = (*months, *days, *seconds, *nanos);
                Value::Duration(Duration { months, days, seconds, nanos })
            }
            (b'X', [Int(srid), Float(x), Float(y)]) => {
                Value::Point(Point { srid: *srid, x: *x, y: *y, z: None })
            }
            (b'Y', [Int(srid), Float(x), Float(y), Float(z)]) => {
                Value::Point(Point { srid: *srid, x: *x, y: *y, z: Some(*z) })
            }
            _ => return Err(Malformed("an unknown structure")),
        })
    }
}

/// What an answer is made of: values, and structures that only answers have.
pub struct Writer(pub Vec<u8>);

impl Writer {
    /// Begins a structure of so many fields.
    pub fn structure(&mut self, tag: u8, fields: u8) {
        self.0.extend_from_slice(&[0xb0 | (fields & 0x0f), tag]);
    }

    /// Begins a list of so many items.
    pub fn list(&mut self, length: usize) {
        self.head(length, 0x90, [0xd4, 0xd5, 0xd6]);
    }

    /// Begins a map of so many pairs.
    pub fn map(&mut self, length: usize) {
        self.head(length, 0xa0, [0xd8, 0xd9, 0xda]);
    }

    /// A text.
    pub fn text(&mut self, text: &str) {
        self.head(text.len(), 0x80, [0xd0, 0xd1, 0xd2]);
        self.0.extend_from_slice(text.as_bytes());
    }

    fn head(&mut self, length: usize, tiny: u8, sized: [u8; 3]) {
        match length {
            0..=15 => self.0.push(tiny | length as u8),
            16..=0xff => self.0.extend_from_slice(&[sized[0], length as u8]),
            0x100..=0xffff => {
                self.0.push(sized[1]);
                self.0.extend_from_slice(&(length as u16).to_be_bytes());
            }
            _ => {
                self.0.push(sized[2]);
                self.0.extend_from_slice(&(length as u32).to_be_bytes());
            }
        }
    }

    /// A whole number.
    pub fn int(&mut self, number: i64) {
        match number {
            -16..=127 => self.0.push(number as u8),
            -128..=-17 => self.0.extend_from_slice(&[0xc8, number as u8]),
            -0x8000..=0x7fff => {
                self.0.push(0xc9);
                self.0.extend_from_slice(&(number as i16).to_be_bytes());
            }
            -0x8000_0000..=0x7fff_ffff => {
                self.0.push(0xca);
                self.0.extend_from_slice(&(number as i32).to_be_bytes());
            }
            _ => {
                self.0.push(0xcb);
                self.0.extend_from_slice(&number.to_be_bytes());
            }
        }
    }

    fn float(&mut self, number: f64) {
        self.0.push(0xc1);
        self.0.extend_from_slice(&number.to_be_bytes());
    }

    /// A value. What refers to the graph is written by `entity`.
    pub fn value(&mut self, value: &Value, entity: &mut dyn FnMut(&mut Self, &Value)) {
        match value {
            Value::Null => self.0.push(0xc0),
            Value::Bool(yes) => self.0.push(if *yes { 0xc3 } else { 0xc2 }),
            Value::Int(number) => self.int(*number),
            Value::Float(number) => self.float(*number),
            Value::String(text) => self.text(text),
            Value::Bytes(bytes) => {
                match bytes.len() {
                    0..=0xff => self.0.extend_from_slice(&[0xcc, bytes.len() as u8]),
                    // Never a tiny form: 256 and more have their own.
                    length => self.head(length.max(0x100), 0, [0xcc, 0xcd, 0xce]),
                }
                self.0.extend_from_slice(bytes);
            }
            Value::List(items) => {
                self.list(items.len());
                items.iter().for_each(|item| self.value(item, entity));
            }
            Value::Map(map) => {
                self.map(map.len());
                for (name, value) in map {
                    self.text(name);
                    self.value(value, entity);
                }
            }
            Value::Node(_) | Value::Link(_) | Value::Path(..) => entity(self, value),
            Value::Date(days) => {
                self.structure(b'D', 1);
                self.int(*days);
            }
            Value::Time(time) => {
                self.structure(b'T', 2);
                self.int(time.nanos);
                self.int(time.offset);
            }
            Value::LocalTime(nanos) => {
                self.structure(b't', 1);
                self.int(*nanos);
            }
            Value::LocalDateTime(local) => {
                self.structure(b'd', 2);
                self.int(local.seconds);
                self.int(local.nanos);
            }
            Value::DateTime(moment) => {
                self.structure(if moment.zone.is_some() { b'f' } else { b'F' }, 3);
                self.int(moment.local.seconds);
                self.int(moment.local.nanos);
                match &moment.zone {
                    Some(zone) => self.text(zone),
                    None => self.int(moment.offset),
                }
            }
            Value::Duration(span) => {
                self.structure(b'E', 4);
                let parts = [span.months, span.days, span.seconds, span.nanos];
                parts.into_iter().for_each(|part| self.int(part));
            }
            Value::Point(point) => {
                self.structure(
                    if point.z.is_some() { b'Y' } else { b'X' },
                    if point.z.is_some() { 4 } else { 3 },
                );
                self.int(point.srid);
                self.float(point.x);
                self.float(point.y);
                if let Some(z) = point.z {
                    self.float(z);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::Int),
            (-300_i64..70_000).prop_map(Value::Int),
            any::<f64>().prop_filter("equal to itself", |f| !f.is_nan()).prop_map(Value::Float),
            ".{0,300}".prop_map(Value::String),
            proptest::collection::vec(any::<u8>(), 0..300).prop_map(Value::Bytes),
            any::<i64>().prop_map(Value::Date),
            (any::<i64>(), any::<i64>())
                .prop_map(|(nanos, offset)| Value::Time(Time { nanos, offset })),
            any::<[i64; 4]>().prop_map(|[months, days, seconds, nanos]| {
                Value::Duration(Duration { months, days, seconds, nanos })
            }),
            (any::<i64>(), proptest::option::of(0.0..1.0_f64))
                .prop_map(|(srid, z)| Value::Point(Point { srid, x: 1.5, y: -0.0, z })),
        ];
        leaf.prop_recursive(3, 40, 20, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..20).prop_map(Value::List),
                proptest::collection::btree_map(".{0,20}", inner, 0..20).prop_map(Value::Map),
            ]
        })
    }

    proptest! {
        #[test]
        fn values_survive(value in any_value()) {
            let mut writer = Writer(Vec::new());
            writer.structure(0x71, 1);
            writer.value(&value, &mut |_, _| {});
            let message = read_message(&writer.0).expect("read");
            prop_assert_eq!(message, Message { tag: 0x71, fields: vec![value] });
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = read_message(&bytes);
        }
    }

    #[test]
    fn what_claims_to_be_huge_or_deep_is_refused() {
        assert!(read_message(&[0xb1, 0x10, 0xd6, 0xff, 0xff, 0xff, 0xff]).is_err());
        let deep = [vec![0xb1, 0x10], vec![0x91; 10_000]].concat();
        assert!(read_message(&deep).is_err());
        assert!(read_message(&[0xb1, 0x10, 0x01, 0x01]).is_err());
    }
}
