//! Values of the graph: what a property may be, and what an answer may be beside.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::temporal::{DateTime, Duration, LocalDateTime, Time};

/// Values by name.
pub type Map = BTreeMap<String, Value>;

/// A place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// The system of its coordinates.
    pub srid: i64,
    /// First coordinate, or longitude.
    pub x: f64,
    /// Second coordinate, or latitude.
    pub y: f64,
    /// Third coordinate, where the system has three.
    pub z: Option<f64>,
}

/// Number of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u64);

/// Number of a relationship.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// Text.
    String(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// Several values.
    List(Vec<Value>),
    /// Values by name.
    Map(Map),
    /// A node of the graph.
    Node(NodeId),
    /// A relationship of the graph.
    Link(LinkId),
    /// Nodes with the relationships between them.
    Path(Vec<NodeId>, Vec<LinkId>),
    /// Days since 1970.
    Date(i64),
    /// A time of day with an offset.
    Time(Time),
    /// Nanoseconds since midnight.
    LocalTime(i64),
    /// A moment.
    DateTime(DateTime),
    /// A date and a time of day.
    LocalDateTime(LocalDateTime),
    /// A span of time.
    Duration(Duration),
    /// A place.
    Point(Point),
}

impl Value {
    /// Text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::String(text.into())
    }

    /// A number of things.
    pub fn count(count: usize) -> Self {
        Self::Int(i64::try_from(count).unwrap_or(i64::MAX))
    }

    /// Whether it is nothing.
    pub const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// What it is called in messages.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "Null",
            Self::Bool(_) => "Boolean",
            Self::Int(_) => "Integer",
            Self::Float(_) => "Float",
            Self::String(_) => "String",
            Self::Bytes(_) => "ByteArray",
            Self::List(_) => "List",
            Self::Map(_) => "Map",
            Self::Node(_) => "Node",
            Self::Link(_) => "Relationship",
            Self::Path(..) => "Path",
            Self::Date(_) => "Date",
            Self::Time(_) => "Time",
            Self::LocalTime(_) => "LocalTime",
            Self::DateTime(_) => "DateTime",
            Self::LocalDateTime(_) => "LocalDateTime",
            Self::Duration(_) => "Duration",
            Self::Point(_) => "Point",
        }
    }

    /// Place of its kind in the order of values of different kinds.
    const fn rank(&self) -> u8 {
        match self {
            Self::Map(_) => 0,
            Self::Node(_) => 1,
            Self::Link(_) => 2,
            Self::List(_) => 3,
            Self::Path(..) => 4,
            Self::DateTime(_) => 5,
            Self::LocalDateTime(_) => 6,
            Self::Date(_) => 7,
            Self::Time(_) => 8,
            Self::LocalTime(_) => 9,
            Self::Duration(_) => 10,
            Self::Point(_) => 11,
            Self::Bytes(_) => 12,
            Self::String(_) => 13,
            Self::Bool(_) => 14,
            Self::Int(_) | Self::Float(_) => 15,
            Self::Null => 16,
        }
    }

    /// The order of `ORDER BY`: every two values have one, nothing comes last.
    pub fn order(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Int(a), Self::Float(b)) => compare_int_float(*a, *b),
            (Self::Float(a), Self::Int(b)) => compare_int_float(*b, *a).reverse(),
            (Self::Float(a), Self::Float(b)) => order_floats(*a, *b),
            (Self::List(a), Self::List(b)) => {
                let pairs = a.iter().zip(b).map(|(a, b)| a.order(b));
                pairs.fold(Ordering::Equal, Ordering::then).then(a.len().cmp(&b.len()))
            }
            (Self::Map(a), Self::Map(b)) => {
                let pairs =
                    a.iter().zip(b).map(|((k, v), (l, w))| k.cmp(l).then_with(|| v.order(w)));
                pairs.fold(Ordering::Equal, Ordering::then).then(a.len().cmp(&b.len()))
            }
            (Self::Point(a), Self::Point(b)) => {
                let axes = [(a.x, b.x), (a.y, b.y), (a.z.unwrap_or(0.0), b.z.unwrap_or(0.0))];
                let axes = axes.map(|(a, b)| order_floats(a, b));
                axes.into_iter().fold(a.srid.cmp(&b.srid), Ordering::then)
            }
            _ => self.comparable(other).unwrap_or_else(|| self.rank().cmp(&other.rank())),
        }
    }

    /// The order of two values of one kind that has one.
    fn comparable(&self, other: &Self) -> Option<Ordering> {
        Some(match (self, other) {
            (Self::Null, Self::Null) => Ordering::Equal,
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            (Self::Int(a), Self::Int(b)) => a.cmp(b),
            (Self::String(a), Self::String(b)) => a.cmp(b),
            (Self::Bytes(a), Self::Bytes(b)) => a.cmp(b),
            (Self::Node(a), Self::Node(b)) => a.cmp(b),
            (Self::Link(a), Self::Link(b)) => a.cmp(b),
            (Self::Path(a, b), Self::Path(c, d)) => (a, b).cmp(&(c, d)),
            (Self::Date(a), Self::Date(b)) | (Self::LocalTime(a), Self::LocalTime(b)) => a.cmp(b),
            (Self::Time(a), Self::Time(b)) => a.cmp(b),
            (Self::DateTime(a), Self::DateTime(b)) => a.cmp(b),
            (Self::LocalDateTime(a), Self::LocalDateTime(b)) => a.cmp(b),
            (Self::Duration(a), Self::Duration(b)) => a.cmp(b),
            _ => return None,
        })
    }

    /// What `<` and its kin say: nothing for values that cannot be compared.
    pub fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Null, _) | (_, Self::Null) => None,
            (Self::Float(a), Self::Float(b)) => a.partial_cmp(b),
            (Self::Int(_), Self::Float(f)) | (Self::Float(f), Self::Int(_)) if f.is_nan() => None,
            (Self::Int(_), Self::Float(_)) | (Self::Float(_), Self::Int(_)) => {
                Some(self.order(other))
            }
            (Self::List(_), Self::List(_)) => Some(self.order(other)),
            (Self::Duration(_), _)
            | (Self::Node(_), _)
            | (Self::Link(_), _)
            | (Self::Path(..), _) => None,
            _ => self.comparable(other),
        }
    }

    /// What `=` says: nothing where nothing is compared.
    pub fn equals(&self, other: &Self) -> Option<bool> {
        match (self, other) {
            (Self::Null, _) | (_, Self::Null) => None,
            (Self::Int(a), Self::Float(b)) | (Self::Float(b), Self::Int(a)) => {
                Some(!b.is_nan() && compare_int_float(*a, *b) == Ordering::Equal)
            }
            (Self::List(a), Self::List(b)) => {
                if a.len() != b.len() {
                    return Some(false);
                }
                a.iter().zip(b).try_fold(true, |same, (a, b)| Some(same & a.equals(b)?))
            }
            _ => Some(self == other),
        }
    }
}

fn order_floats(a: f64, b: f64) -> Ordering {
    match (a.is_nan(), b.is_nan()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Greater,
        (false, true) => Ordering::Less,
        (false, false) => a.partial_cmp(&b).unwrap_or(Ordering::Equal),
    }
}

fn compare_int_float(a: i64, b: f64) -> Ordering {
    if b.is_nan() || b >= 9_223_372_036_854_775_808.0 {
        return Ordering::Less;
    }
    if b < -9_223_372_036_854_775_808.0 {
        return Ordering::Greater;
    }
    let whole = b.trunc() as i64;
    a.cmp(&whole).then_with(|| {
        if b.fract() > 0.0 {
            Ordering::Less
        } else if b.fract() < 0.0 {
            Ordering::Greater
        } else {
            Ordering::Equal
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_compare_exactly_and_nothing_compares_with_nothing() {
        let big = Value::Int(i64::MAX);
        assert_eq!(big.compare(&Value::Float(9.3e18)), Some(Ordering::Less));
        assert_eq!(big.equals(&Value::Float(i64::MAX as f64)), Some(false));
        assert_eq!(Value::Int(1).equals(&Value::Float(1.0)), Some(true));
        assert_eq!(Value::Float(f64::NAN).equals(&Value::Float(f64::NAN)), Some(false));
        assert_eq!(Value::Null.equals(&Value::Null), None);
        assert_eq!(Value::Null.compare(&Value::Int(1)), None);
        assert_eq!(Value::text("a").compare(&Value::Int(1)), None);
        assert_eq!(Value::Null.order(&Value::Int(1)), Ordering::Greater);
        let list = |items: &[i64]| Value::List(items.iter().map(|n| Value::Int(*n)).collect());
        assert_eq!(list(&[1, 2]).order(&list(&[1, 3])), Ordering::Less);
        assert_eq!(list(&[1]).equals(&list(&[1, 2])), Some(false));
    }
}
