//! Where each value of a YAML document stands.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_yaml::Spanned;

use super::problem::Place;

/// Places of all values of a document, by dotted path such as `phases.order.0`.
#[derive(Clone, Debug, Default)]
pub struct Positions(BTreeMap<String, Place>);

impl Positions {
    /// Reads the places; empty when the text is no YAML.
    pub fn read(text: &str) -> Self {
        let mut positions = Self::default();
        if let Ok(root) = serde_yaml::from_str::<Node>(text) {
            positions.add("", &root);
        }
        positions
    }

    /// The place of a value, or of the nearest one around it.
    pub fn of(&self, path: &str) -> Option<Place> {
        let mut path = path;
        loop {
            if let Some(place) = self.0.get(path) {
                return Some(*place);
            }
            path = path.rsplit_once('.')?.0;
        }
    }

    /// The value that stands at a place.
    pub fn at(&self, place: Place) -> Option<&str> {
        self.0.iter().find(|(_, at)| **at == place).map(|(path, _)| path.as_str())
    }

    /// Paths of all values that hold no others.
    pub fn leaves(&self) -> impl Iterator<Item = (&str, Place)> {
        let is_leaf = |path: &str| {
            let inside = format!("{path}.");
            !self
                .0
                .range(inside.clone()..)
                .next()
                .is_some_and(|(next, _)| next.starts_with(&inside))
        };
        self.0
            .iter()
            .filter(move |(path, _)| is_leaf(path))
            .map(|(path, place)| (path.as_str(), *place))
    }

    fn add(&mut self, path: &str, node: &Node) {
        let join =
            |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
        let mut enter = |key: &str, value: &Spanned<Node>| {
            let path = join(key);
            let at = value.referenced;
            let place = Place { line: at.line() as usize, column: at.column() as usize };
            self.0.insert(path.clone(), place);
            self.add(&path, &value.value);
        };
        match node {
            Node::Scalar => {}
            Node::Map(entries) => entries.iter().for_each(|(key, value)| enter(key, value)),
            Node::Seq(items) => {
                items.iter().enumerate().for_each(|(at, value)| enter(&at.to_string(), value));
            }
        }
    }
}

enum Node {
    Scalar,
    Map(Vec<(String, Spanned<Node>)>),
    Seq(Vec<Spanned<Node>>),
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_str<E>(self, _: &str) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Scalar)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Node::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Node::Seq(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(Node::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_where_they_stand() {
        let positions = Positions::read("a:\n  b: 1\n  c:\n    - x\n    - { d: 2 }\n");
        let place = |path| positions.of(path).map(|place| (place.line, place.column));
        assert_eq!(place("a.b"), Some((2, 6)));
        assert_eq!(place("a.c.1.d"), Some((5, 12)));
        assert_eq!(place("a.b.nothing"), Some((2, 6)), "the nearest value around it");
        let leaves: Vec<&str> = positions.leaves().map(|(path, _)| path).collect();
        assert_eq!(leaves, ["a.b", "a.c.0", "a.c.1.d"]);
    }
}
