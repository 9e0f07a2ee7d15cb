//! The clauses that change the graph.

use super::ast::{Clause, Direction, Expression, PathPattern, RemoveItem, SetItem};
use super::error::{Failure, code};
use super::evaluate::{Row, deleted};
use super::execute::Run;
use super::graph::{Link, Node};
use super::matching::Matcher;
use super::value::{LinkId, Map, NodeId, Value};

impl Run<'_> {
    /// Carries out a clause that changes the graph.
    pub(super) fn write(
        &mut self,
        clause: &Clause,
        mut rows: Vec<Row>,
    ) -> Result<Vec<Row>, Failure> {
        match clause {
            Clause::Create(paths) => {
                for row in &mut rows {
                    for path in paths {
                        self.create(path, row)?;
                    }
                }
                Ok(rows)
            }
            Clause::Merge { path, on_create, on_match } => {
                let mut merged = Vec::new();
                for mut row in rows {
                    let matcher = Matcher { scope: self.scope(), condition: None };
                    let found = matcher.find(std::slice::from_ref(path), &row)?;
                    if found.is_empty() {
                        self.create(path, &mut row)?;
                        self.set_all(on_create, &row)?;
                        merged.push(row);
                        continue;
                    }
                    for row in &found {
                        self.set_all(on_match, row)?;
                    }
                    merged.extend(found);
                }
                Ok(merged)
            }
            Clause::Set(items) => {
                for row in &rows {
                    self.set_all(items, row)?;
                }
                Ok(rows)
            }
            Clause::Remove(items) => {
                for row in &rows {
                    for item in items {
                        self.remove(item, row)?;
                    }
                }
                Ok(rows)
            }
            Clause::Delete(detach, of) => {
                // Relationships first, whatever order they were named in.
                let (mut nodes, mut links) = (Vec::new(), Vec::new());
                for row in &rows {
                    for expression in of {
                        collect(self.scope().evaluate(expression, row)?, &mut nodes, &mut links)?;
                    }
                }
                links.into_iter().for_each(|id| self.delete_link(id));
                for id in nodes {
                    self.delete_node(id, *detach)?;
                }
                Ok(rows)
            }
            _ => Ok(rows),
        }
    }

    fn delete_link(&mut self, id: LinkId) {
        if self.graph.link(id).is_some() {
            self.graph.put_link(id, None);
        }
    }

    fn delete_node(&mut self, id: NodeId, detach: bool) -> Result<(), Failure> {
        if self.graph.node(id).is_none() {
            return Ok(());
        }
        if detach {
            let links: Vec<LinkId> =
                self.graph.outgoing(id).chain(self.graph.incoming(id)).collect();
            links.into_iter().for_each(|id| self.delete_link(id));
        }
        self.graph.put_node(id, None)
    }

    fn create(&mut self, path: &PathPattern, row: &mut Row) -> Result<(), Failure> {
        let mut here = self.create_node(&path.first, row)?;
        let (mut nodes, mut links) = (vec![here], Vec::new());
        for (link, node) in &path.steps {
            let [kind] = link.kinds.as_slice() else {
                let reason = "a relationship is created with exactly one type";
                return Err(Failure::new(code::SYNTAX, reason));
            };
            let there = self.create_node(node, row)?;
            let (from, to) = match link.direction {
                Direction::Left => (there, here),
                Direction::Right | Direction::Either => (here, there),
            };
            let properties = self.properties(link.properties.as_ref(), row)?;
            let id = LinkId(self.graph.next_id());
            self.graph.put_link(id, Some(Link { from, to, kind: kind.clone(), properties }));
            if let Some(name) = &link.name {
                row.insert(name.clone(), Value::Link(id));
            }
            nodes.push(there);
            links.push(id);
            here = there;
        }
        if let Some(name) = &path.name {
            row.insert(name.clone(), Value::Path(nodes, links));
        }
        Ok(())
    }

    fn create_node(
        &mut self,
        pattern: &super::ast::NodePattern,
        row: &mut Row,
    ) -> Result<NodeId, Failure> {
        let bound = pattern.name.as_ref().and_then(|name| row.get(name));
        match bound {
            Some(Value::Node(id)) if pattern.labels.is_empty() && pattern.properties.is_none() => {
                return Ok(*id);
            }
            Some(_) => {
                let name = pattern.name.as_deref().unwrap_or_default();
                return Err(Failure::new(
                    code::SYNTAX,
                    format!("Variable `{name}` already declared"),
                ));
            }
            None => {}
        }
        let properties = self.properties(pattern.properties.as_ref(), row)?;
        let id = NodeId(self.graph.next_id());
        let labels = pattern.labels.iter().cloned().collect();
        self.graph.put_node(id, Some(Node { labels, properties }))?;
        if let Some(name) = &pattern.name {
            row.insert(name.clone(), Value::Node(id));
        }
        Ok(id)
    }

    fn properties(&self, of: Option<&Expression>, row: &Row) -> Result<Map, Failure> {
        let Some(of) = of else { return Ok(Map::new()) };
        match self.scope().evaluate(of, row)? {
            Value::Map(map) => storable(map),
            other => Err(Failure::expected("a Map", &other)),
        }
    }

    fn set_all(&mut self, items: &[SetItem], row: &Row) -> Result<(), Failure> {
        items.iter().try_for_each(|item| self.set(item, row))
    }

    fn set(&mut self, item: &SetItem, row: &Row) -> Result<(), Failure> {
        match item {
            SetItem::Property(of, property, value) => {
                let value = self.scope().evaluate(value, row)?;
                let target = self.scope().evaluate(of, row)?;
                let one = storable([(property.clone(), value)].into())?;
                self.change(&target, |properties| {
                    properties.remove(property);
                    properties.extend(one);
                })
            }
            SetItem::Replace(name, value) | SetItem::Merge(name, value) => {
                let new = match self.scope().evaluate(value, row)? {
                    Value::Map(map) => map,
                    Value::Node(id) => {
                        self.graph.node(id).map(|n| n.properties.clone()).unwrap_or_default()
                    }
                    Value::Link(id) => {
                        self.graph.link(id).map(|l| l.properties.clone()).unwrap_or_default()
                    }
                    other => return Err(Failure::expected("a Map, Node or Relationship", &other)),
                };
                let names: Vec<String> = new.keys().cloned().collect();
                let new = storable(new)?;
                let target = self.target(name, row)?;
                let replace = matches!(item, SetItem::Replace(..));
                self.change(&target, |properties| {
                    properties.retain(|name, _| !replace && !names.contains(name));
                    properties.extend(new);
                })
            }
            SetItem::Labels(name, labels) => {
                let target = self.target(name, row)?;
                self.change_labels(&target, |node| node.labels.extend(labels.iter().cloned()))
            }
        }
    }

    fn remove(&mut self, item: &RemoveItem, row: &Row) -> Result<(), Failure> {
        match item {
            RemoveItem::Property(of, property) => {
                let target = self.scope().evaluate(of, row)?;
                self.change(&target, |properties| drop(properties.remove(property)))
            }
            RemoveItem::Labels(name, labels) => {
                let target = self.target(name, row)?;
                self.change_labels(&target, |node| {
                    node.labels.retain(|label| !labels.contains(label))
                })
            }
        }
    }

    fn target(&self, name: &str, row: &Row) -> Result<Value, Failure> {
        self.scope().evaluate(&Expression::Variable(name.to_owned()), row)
    }

    fn change(&mut self, target: &Value, change: impl FnOnce(&mut Map)) -> Result<(), Failure> {
        match target {
            Value::Node(id) => {
                let mut node =
                    self.graph.node(*id).cloned().ok_or_else(|| deleted("Node", id.0))?;
                change(&mut node.properties);
                self.graph.put_node(*id, Some(node))
            }
            Value::Link(id) => {
                let link = self.graph.link(*id).cloned();
                let mut link = link.ok_or_else(|| deleted("Relationship", id.0))?;
                change(&mut link.properties);
                self.graph.put_link(*id, Some(link));
                Ok(())
            }
            Value::Null => Ok(()),
            other => Err(Failure::expected("a Node or Relationship", other)),
        }
    }

    fn change_labels(
        &mut self,
        target: &Value,
        change: impl FnOnce(&mut Node),
    ) -> Result<(), Failure> {
        match target {
            Value::Node(id) => {
                let mut node =
                    self.graph.node(*id).cloned().ok_or_else(|| deleted("Node", id.0))?;
                change(&mut node);
                self.graph.put_node(*id, Some(node))
            }
            Value::Null => Ok(()),
            other => Err(Failure::expected("a Node", other)),
        }
    }
}

fn collect(value: Value, nodes: &mut Vec<NodeId>, links: &mut Vec<LinkId>) -> Result<(), Failure> {
    match value {
        Value::Node(id) => nodes.push(id),
        Value::Link(id) => links.push(id),
        Value::Path(of_nodes, of_links) => {
            nodes.extend(of_nodes);
            links.extend(of_links);
        }
        Value::List(items) => {
            for item in items {
                collect(item, nodes, links)?;
            }
        }
        Value::Null => {}
        other => return Err(Failure::expected("a Node, Relationship or Path", &other)),
    }
    Ok(())
}

/// Properties as they can be kept: without those that are nothing, and nothing else than scalars and
/// lists of one kind of them.
fn storable(mut map: Map) -> Result<Map, Failure> {
    map.retain(|_, value| !value.is_null());
    for value in map.values_mut() {
        let fits = match *value {
            Value::List(ref mut items) => {
                let numbers = items.iter().all(|i| matches!(i, Value::Int(_) | Value::Float(_)));
                if numbers && items.iter().any(|item| matches!(item, Value::Float(_))) {
                    // As Neo4j keeps them: numbers of one kind.
                    items.iter_mut().for_each(|item| {
                        if let Value::Int(number) = item {
                            *item = Value::Float(*number as f64);
                        }
                    });
                }
                items.iter().all(is_scalar)
                    && items.iter().all(|item| item.kind() == items[0].kind())
            }
            Value::Bytes(_) => true,
            ref other => is_scalar(other),
        };
        if !fits {
            return Err(Failure::new(
                code::TYPE,
                format!(
                    "Property values can only be of primitive types or arrays thereof. Encountered: {}.",
                    value.kind()
                ),
            ));
        }
    }
    Ok(map)
}

const fn is_scalar(value: &Value) -> bool {
    use Value::{Bytes, Link, List, Map, Node, Null, Path};
    !matches!(value, Null | Bytes(_) | List(_) | Map(_) | Node(_) | Link(_) | Path(..))
}
