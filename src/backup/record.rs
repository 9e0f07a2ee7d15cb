//! One record of a store: what it is called, what it holds, and the digest that says whether two are
//! the same.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine;
use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

/// A value of any store, with its type kept apart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Value {
    /// Nothing; not the same as an empty text.
    #[serde(rename = "n")]
    Null,
    /// True or false.
    #[serde(rename = "o")]
    Bool(bool),
    /// A whole number.
    #[serde(rename = "i")]
    Int(i64),
    /// A number as its bits, so that NaN, infinities and -0 survive.
    #[serde(rename = "f", serialize_with = "write_bits", deserialize_with = "read_bits")]
    Float(f64),
    /// Text.
    #[serde(rename = "t")]
    Text(String),
    /// Bytes.
    #[serde(rename = "b", serialize_with = "write_bytes", deserialize_with = "read_bytes")]
    Bytes(Vec<u8>),
    /// Several values, in order.
    #[serde(rename = "l")]
    List(Vec<Value>),
    /// Values by name.
    #[serde(rename = "m")]
    Map(BTreeMap<String, Value>),
    /// A value of a type that only its store knows: the type's name, and its parts.
    #[serde(rename = "x")]
    Typed(String, Box<Value>),
}

impl Value {
    /// A text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// Values by name.
    pub fn map<K: Into<String>>(entries: impl IntoIterator<Item = (K, Self)>) -> Self {
        Self::Map(entries.into_iter().map(|(name, value)| (name.into(), value)).collect())
    }

    /// One value of a map.
    pub fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Map(entries) => entries.get(name),
            _ => None,
        }
    }

    /// The text, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The number, if it is a whole one.
    pub const fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// The bytes, if it has some.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The elements, if it is a list; none otherwise.
    pub fn items(&self) -> &[Self] {
        match self {
            Self::List(items) => items,
            _ => &[],
        }
    }

    /// Feeds the canonical form: a tag, a length, the bytes; never joined strings, in which `a|b`,`c`
    /// and `a`,`b|c` are the same.
    fn digest(&self, hash: &mut Sha256) {
        match self {
            Self::Null => hash.update(b"n"),
            Self::Bool(value) => hash.update([b'o', u8::from(*value)]),
            Self::Int(value) => tagged(hash, b'i', &value.to_be_bytes()),
            Self::Float(value) => tagged(hash, b'f', &bits(*value).to_be_bytes()),
            Self::Text(value) => tagged(hash, b't', value.as_bytes()),
            Self::Bytes(value) => tagged(hash, b'b', value),
            Self::List(items) => {
                tagged(hash, b'l', &(items.len() as u64).to_be_bytes());
                items.iter().for_each(|item| item.digest(hash));
            }
            Self::Map(entries) => {
                tagged(hash, b'm', &(entries.len() as u64).to_be_bytes());
                for (name, value) in entries {
                    tagged(hash, b'k', name.as_bytes());
                    value.digest(hash);
                }
            }
            Self::Typed(kind, value) => {
                tagged(hash, b'x', kind.as_bytes());
                value.digest(hash);
            }
        }
    }
}

/// All NaN are one.
fn bits(value: f64) -> u64 {
    if value.is_nan() { f64::NAN.to_bits() } else { value.to_bits() }
}

fn tagged(hash: &mut Sha256, tag: u8, bytes: &[u8]) {
    hash.update([tag]);
    hash.update((bytes.len() as u64).to_be_bytes());
    hash.update(bytes);
}

/// SHA-256 of a record's canonical form.
pub type RecordDigest = [u8; 32];

/// One record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// What it is, such as `row documents` or `stream`; order in a backup is by what needs what.
    pub kind: String,
    /// Its name among its kind.
    pub key: String,
    /// What it holds.
    pub value: Value,
    /// What a restore needs besides and a comparison must not see: a form that a store gives
    /// differently each time it is asked (`DUMP`), or a body whose digest is in the value.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "write_some_bytes",
        deserialize_with = "read_some_bytes"
    )]
    pub payload: Option<Vec<u8>>,
}

impl Record {
    /// A record without a payload.
    pub fn new(kind: impl Into<String>, key: impl Into<String>, value: Value) -> Self {
        Self { kind: kind.into(), key: key.into(), value, payload: None }
    }

    /// The same with a payload.
    #[must_use]
    pub fn with_payload(mut self, payload: Vec<u8>) -> Self {
        self.payload = Some(payload);
        self
    }

    /// The name under which it is compared and reported.
    pub fn name(&self) -> String {
        format!("{} {}", self.kind, self.key)
    }

    /// Digest of everything that must be the same after a restore.
    pub fn digest(&self) -> RecordDigest {
        let mut hash = Sha256::new();
        tagged(&mut hash, b'K', self.kind.as_bytes());
        tagged(&mut hash, b'N', self.key.as_bytes());
        self.value.digest(&mut hash);
        hash.finalize().into()
    }

    /// Bytes that it takes in memory, about.
    pub fn size(&self) -> usize {
        fn of(value: &Value) -> usize {
            16 + match value {
                Value::Text(text) => text.len(),
                Value::Bytes(bytes) => bytes.len(),
                Value::List(items) => items.iter().map(of).sum(),
                Value::Map(entries) => entries.iter().map(|(name, v)| name.len() + of(v)).sum(),
                Value::Typed(kind, value) => kind.len() + of(value),
                _ => 0,
            }
        }
        self.kind.len()
            + self.key.len()
            + of(&self.value)
            + self.payload.as_ref().map_or(0, Vec::len)
    }
}

fn write_bits<S: Serializer>(value: &f64, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&format!("{:016x}", value.to_bits()))
}

fn read_bits<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    let text = String::deserialize(from)?;
    u64::from_str_radix(&text, 16).map(f64::from_bits).map_err(serde::de::Error::custom)
}

/// Bytes that are written in Base64, piece by piece: the largest objects are not held as text besides.
struct Base64<'a>(&'a [u8]);

impl Serialize for Base64<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&Base64Display::new(self.0, &STANDARD))
    }
}

/// Reads them, from where the text stands.
struct OfBase64;

impl Visitor<'_> for OfBase64 {
    type Value = Vec<u8>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes in Base64")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Vec<u8>, E> {
        STANDARD.decode(text).map_err(E::custom)
    }
}

fn write_bytes<S: Serializer>(value: &[u8], to: S) -> Result<S::Ok, S::Error> {
    Base64(value).serialize(to)
}

fn read_bytes<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
    from.deserialize_str(OfBase64)
}

fn write_some_bytes<S: Serializer>(value: &Option<Vec<u8>>, to: S) -> Result<S::Ok, S::Error> {
    value.as_deref().map(Base64).serialize(to)
}

fn read_some_bytes<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<u8>>, D::Error> {
    read_bytes(from).map(Some)
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::Int),
            any::<u64>().prop_map(|bits| Value::Float(f64::from_bits(bits))),
            ".{0,12}".prop_map(Value::Text),
            proptest::collection::vec(any::<u8>(), 0..12).prop_map(Value::Bytes),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
                proptest::collection::btree_map(".{0,4}", inner.clone(), 0..4).prop_map(Value::Map),
                (".{1,6}", inner).prop_map(|(kind, v)| Value::Typed(kind, Box::new(v))),
            ]
        })
    }

    pub fn any_record() -> impl Strategy<Value = Record> {
        let payload = proptest::option::of(proptest::collection::vec(any::<u8>(), 0..20));
        (".{1,6}", ".{0,10}", any_value(), payload).prop_map(|(kind, key, value, payload)| Record {
            kind,
            key,
            value,
            payload,
        })
    }

    proptest! {
        #[test]
        fn a_record_survives_its_written_form_bit_by_bit(record in any_record()) {
            let line = serde_json::to_string(&record).expect("written");
            let back: Record = serde_json::from_str(&line).expect("read");
            prop_assert_eq!(back.digest(), record.digest());
            prop_assert_eq!(serde_json::to_string(&back).expect("written"), line);
        }
    }

    #[test]
    fn what_looks_alike_is_not_the_same() {
        let digest = |value| Record::new("kind", "key", value).digest();
        let texts = |texts: [&str; 2]| Value::List(texts.map(Value::text).to_vec());
        assert_ne!(digest(texts(["a|b", "c"])), digest(texts(["a", "b|c"])));
        assert_ne!(digest(Value::Null), digest(Value::text("")));
        assert_ne!(digest(Value::Float(0.0)), digest(Value::Float(-0.0)));
        assert_ne!(digest(Value::Int(1)), digest(Value::Float(1.0)));
        assert_eq!(digest(Value::Float(f64::NAN)), digest(Value::Float(-f64::NAN)));
        let plain = Record::new("k", "a", Value::Null);
        assert_eq!(plain.digest(), plain.clone().with_payload(vec![1]).digest());
    }
}
