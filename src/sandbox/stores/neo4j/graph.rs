//! The graph: nodes, relationships, constraints that hold, indexes that find; and the way back from an
//! unfinished change.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::error::{Failure, code};
use super::value::{LinkId, Map, NodeId, Value};

/// A node.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Node {
    /// Its labels.
    pub labels: BTreeSet<String>,
    /// Its properties.
    pub properties: Map,
}

/// A relationship.
#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    /// Where it begins.
    pub from: NodeId,
    /// Where it ends.
    pub to: NodeId,
    /// Its type.
    pub kind: String,
    /// Its properties.
    pub properties: Map,
}

/// An index over one property of the nodes with one label; a constraint when its values are unique.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    /// Its name.
    pub name: String,
    /// Label of the nodes.
    pub label: String,
    /// The property.
    pub property: String,
    /// Whether no two nodes may have the same value.
    pub unique: bool,
}

/// A value as it is found in an index: as Neo4j compares them, whole numbers and others are one.
#[derive(Clone, Debug)]
struct Key(Value);

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Key {}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.order(&other.0)
    }
}

#[derive(Debug)]
enum Undo {
    Node(NodeId, Option<Node>),
    Link(LinkId, Option<Link>),
    Index(String, Option<Index>),
}

/// What a statement has changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// How much.
    pub count: u64,
}

/// The graph.
#[derive(Debug, Default)]
pub struct Graph {
    nodes: BTreeMap<NodeId, Node>,
    links: BTreeMap<LinkId, Link>,
    labels: HashMap<String, BTreeSet<NodeId>>,
    out: HashMap<NodeId, BTreeSet<LinkId>>,
    into: HashMap<NodeId, BTreeSet<LinkId>>,
    indexes: BTreeMap<String, (Index, BTreeMap<Key, BTreeSet<NodeId>>)>,
    next: u64,
    undo: Vec<Undo>,
}

impl Graph {
    /// A place to which [`Self::undo_to`] goes back.
    pub fn mark(&self) -> usize {
        self.undo.len()
    }

    /// What has changed since a mark.
    pub fn changes_since(&self, mark: usize) -> Changes {
        Changes { count: (self.undo.len() - mark.min(self.undo.len())) as u64 }
    }

    /// Forgets the way back: what has changed stays.
    pub fn commit(&mut self) {
        self.undo.clear();
    }

    /// Takes back everything since a mark.
    pub fn undo_to(&mut self, mark: usize) {
        while self.undo.len() > mark {
            match self.undo.pop() {
                Some(Undo::Node(id, node)) => drop(self.replace_node(id, node)),
                Some(Undo::Link(id, link)) => drop(self.replace_link(id, link)),
                Some(Undo::Index(name, index)) => drop(self.replace_index(&name, index)),
                None => {}
            }
        }
    }

    /// A node.
    pub fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(&id)
    }

    /// A relationship.
    pub fn link(&self, id: LinkId) -> Option<&Link> {
        self.links.get(&id)
    }

    /// All nodes.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> {
        self.nodes.keys().copied()
    }

    /// Nodes with a label.
    pub fn labelled(&self, label: &str) -> impl Iterator<Item = NodeId> {
        self.labels.get(label).into_iter().flatten().copied()
    }

    /// Relationships that begin at a node.
    pub fn outgoing(&self, id: NodeId) -> impl Iterator<Item = LinkId> {
        self.out.get(&id).into_iter().flatten().copied()
    }

    /// Relationships that end at a node.
    pub fn incoming(&self, id: NodeId) -> impl Iterator<Item = LinkId> {
        self.into.get(&id).into_iter().flatten().copied()
    }

    /// Nodes with a label and a value of a property, where there is an index over it.
    pub fn find(&self, label: &str, property: &str, value: &Value) -> Option<Vec<NodeId>> {
        let entries = self.index_over(label, property)?;
        let found = entries.get(&Key(value.clone()));
        Some(found.into_iter().flatten().copied().collect())
    }

    /// Nodes with a label and a value between two, borders included, where there is an index over it.
    pub fn find_between(
        &self,
        label: &str,
        property: &str,
        least: Option<&Value>,
        most: Option<&Value>,
    ) -> Option<Vec<NodeId>> {
        use std::ops::Bound::{Included, Unbounded};
        let entries = self.index_over(label, property)?;
        let border = |value: Option<&Value>| value.map_or(Unbounded, |v| Included(Key(v.clone())));
        if least.zip(most).is_some_and(|(least, most)| least.order(most).is_gt()) {
            return Some(Vec::new());
        }
        let found = entries.range((border(least), border(most)));
        Some(found.flat_map(|(_, ids)| ids.iter().copied()).collect())
    }

    fn index_over(&self, label: &str, property: &str) -> Option<&BTreeMap<Key, BTreeSet<NodeId>>> {
        let mut indexes = self.indexes.values();
        let found = indexes.find(|(index, _)| index.label == label && index.property == property);
        found.map(|(_, entries)| entries)
    }

    /// The number for something new.
    pub fn next_id(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }

    /// Makes, changes or removes a node.
    ///
    /// # Errors
    /// When a constraint forbids it, or relationships still need the node.
    pub fn put_node(&mut self, id: NodeId, node: Option<Node>) -> Result<(), Failure> {
        match &node {
            Some(node) => self.check_constraints(id, node)?,
            None if self.outgoing(id).next().is_some() || self.incoming(id).next().is_some() => {
                let reason = format!(
                    "Cannot delete node<{}>, because it still has relationships. To delete this \
                     node, you must first delete its relationships.",
                    id.0
                );
                return Err(Failure::new(code::CONSTRAINT, reason));
            }
            None => {}
        }
        let before = self.replace_node(id, node);
        self.undo.push(Undo::Node(id, before));
        Ok(())
    }

    /// Makes, changes or removes a relationship.
    pub fn put_link(&mut self, id: LinkId, link: Option<Link>) {
        let before = self.replace_link(id, link);
        self.undo.push(Undo::Link(id, before));
    }

    fn check_constraints(&self, id: NodeId, node: &Node) -> Result<(), Failure> {
        for (index, entries) in self.indexes.values().filter(|(index, _)| index.unique) {
            let value = node.properties.get(&index.property);
            let Some(value) = value.filter(|_| node.labels.contains(&index.label)) else {
                continue;
            };
            let others = entries.get(&Key(value.clone())).into_iter().flatten();
            if let Some(other) = others.copied().find(|other| *other != id) {
                let (label, property) = (&index.label, &index.property);
                return Err(Failure::new(
                    code::CONSTRAINT,
                    format!(
                        "Node({}) already exists with label `{label}` and property `{property}`",
                        other.0
                    ),
                ));
            }
        }
        Ok(())
    }

    fn replace_node(&mut self, id: NodeId, node: Option<Node>) -> Option<Node> {
        let before = self.nodes.remove(&id);
        for (present, state) in [(&before, false), (&node, true)] {
            let Some(present) = present else { continue };
            for label in &present.labels {
                let of_label = self.labels.entry(label.clone()).or_default();
                if state {
                    of_label.insert(id)
                } else {
                    of_label.remove(&id)
                };
            }
            for (index, entries) in self.indexes.values_mut() {
                let value = present.properties.get(&index.property);
                if let Some(value) = value.filter(|_| present.labels.contains(&index.label)) {
                    enter(entries, value, id, state);
                }
            }
        }
        if let Some(node) = node {
            self.nodes.insert(id, node);
        }
        before
    }

    fn replace_link(&mut self, id: LinkId, link: Option<Link>) -> Option<Link> {
        let before = self.links.remove(&id);
        if let Some(before) = &before {
            self.out.entry(before.from).or_default().remove(&id);
            self.into.entry(before.to).or_default().remove(&id);
        }
        if let Some(link) = link {
            self.out.entry(link.from).or_default().insert(id);
            self.into.entry(link.to).or_default().insert(id);
            self.links.insert(id, link);
        }
        before
    }

    fn replace_index(&mut self, name: &str, index: Option<Index>) -> Option<Index> {
        let before = self.indexes.remove(name).map(|(index, _)| index);
        if let Some(index) = index {
            let mut entries = BTreeMap::new();
            for id in self.labels.get(&index.label).into_iter().flatten() {
                if let Some(value) = self.nodes[id].properties.get(&index.property) {
                    enter(&mut entries, value, *id, true);
                }
            }
            self.indexes.insert(name.to_owned(), (index, entries));
        }
        before
    }

    /// All indexes, in the order of their names.
    pub fn indexes(&self) -> impl Iterator<Item = &Index> {
        self.indexes.values().map(|(index, _)| index)
    }

    /// Makes an index or a constraint; false when there is the same already.
    ///
    /// # Errors
    /// When its name is taken by another, or the graph does not hold to it.
    pub fn create_index(&mut self, index: Index) -> Result<bool, Failure> {
        let over_same =
            |other: &&Index| (&other.label, &other.property) == (&index.label, &index.property);
        if self.indexes().any(|other| other.name == index.name || over_same(&other)) {
            return Ok(false);
        }
        let name = index.name.clone();
        let (label, property, unique) = (index.label.clone(), index.property.clone(), index.unique);
        let before = self.replace_index(&name, Some(index));
        let twice = self.indexes[&name].1.values().any(|ids| ids.len() > 1);
        if unique && twice {
            self.replace_index(&name, before);
            return Err(Failure::new(
                code::CONSTRAINT_CREATION,
                format!(
                    "Unable to create Constraint: several nodes have label `{label}` and the same \
                 property `{property}`"
                ),
            ));
        }
        self.undo.push(Undo::Index(name, before));
        Ok(true)
    }

    /// Removes an index or a constraint; false when there is none.
    pub fn drop_index(&mut self, name: &str, unique: bool) -> bool {
        if self.indexes.get(name).is_none_or(|(index, _)| index.unique != unique) {
            return false;
        }
        let before = self.replace_index(name, None);
        self.undo.push(Undo::Index(name.to_owned(), before));
        true
    }
}

fn enter(entries: &mut BTreeMap<Key, BTreeSet<NodeId>>, value: &Value, id: NodeId, there: bool) {
    let key = Key(value.clone());
    if there {
        entries.entry(key).or_default().insert(id);
    } else if let Some(ids) = entries.get_mut(&key) {
        ids.remove(&id);
        if ids.is_empty() {
            entries.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(value: i64) -> Node {
        let properties = [("k".to_owned(), Value::Int(value))].into();
        Node { labels: ["L".to_owned()].into(), properties }
    }

    fn unique() -> Index {
        Index { name: "u".into(), label: "L".into(), property: "k".into(), unique: true }
    }

    #[test]
    fn a_constraint_holds_and_everything_can_be_taken_back() {
        let mut graph = Graph::default();
        assert_eq!(graph.create_index(unique()), Ok(true));
        assert_eq!(graph.create_index(unique()), Ok(false));
        let (a, b) = (NodeId(graph.next_id()), NodeId(graph.next_id()));
        graph.put_node(a, Some(node(1))).expect("free");
        assert!(graph.put_node(b, Some(node(1))).is_err());
        graph.put_node(b, Some(node(2))).expect("free");
        graph.commit();
        let mark = graph.mark();
        let link = Link { from: a, to: b, kind: "T".into(), properties: Map::new() };
        graph.put_link(LinkId(9), Some(link));
        assert!(graph.put_node(a, None).is_err(), "a relationship needs it");
        graph.put_node(b, Some(node(3))).expect("free");
        assert!(graph.drop_index("u", true));
        graph.undo_to(mark);
        assert_eq!(graph.find("L", "k", &Value::Int(2)), Some(vec![b]));
        assert_eq!(graph.find("L", "k", &Value::Int(3)), Some(vec![]));
        assert_eq!((graph.outgoing(a).count(), graph.incoming(b).count()), (0, 0));
        let between = graph.find_between("L", "k", Some(&Value::Int(1)), Some(&Value::Float(1.5)));
        assert_eq!(between, Some(vec![a]));
        assert_eq!(graph.find("L", "other", &Value::Int(1)), None);
        graph.drop_index("u", true);
        graph.put_node(b, Some(node(1))).expect("no constraint");
        assert!(graph.create_index(unique()).is_err() && graph.indexes().count() == 0);
    }
}
