//! Finding patterns in the graph.

use super::ast::{Binary, Direction, Expression, LinkPattern, NodePattern, PathPattern};
use super::error::Failure;
use super::evaluate::{Row, Scope};
use super::graph::{Link, Node};
use super::value::{LinkId, Map, NodeId, Value};

/// Finds paths for one row.
pub struct Matcher<'a> {
    /// What expressions can see.
    pub scope: Scope<'a>,
    /// What is asked of the rows afterwards, by which the beginning may be found faster.
    pub condition: Option<&'a Expression>,
}

/// A row as far as it is known, and the relationships that it has used.
#[derive(Clone)]
struct Partial {
    row: Row,
    used: Vec<LinkId>,
    nodes: Vec<NodeId>,
    links: Vec<LinkId>,
}

impl Matcher<'_> {
    /// All rows in which the paths are found together. A relationship is used once.
    pub fn find(&self, paths: &[PathPattern], row: &Row) -> Result<Vec<Row>, Failure> {
        let start =
            Partial { row: row.clone(), used: Vec::new(), nodes: Vec::new(), links: Vec::new() };
        let mut found = vec![start];
        for path in paths {
            let mut next = Vec::new();
            for partial in found {
                self.path(path, partial, &mut next)?;
            }
            found = next;
        }
        Ok(found.into_iter().map(|partial| partial.row).collect())
    }

    fn path(
        &self,
        path: &PathPattern,
        from: Partial,
        found: &mut Vec<Partial>,
    ) -> Result<(), Failure> {
        let reversed = if path.name.is_none() && !self.is_narrow(&path.first, &from.row) {
            self.reversed(path, &from.row)
        } else {
            None
        };
        let path = reversed.as_ref().unwrap_or(path);
        for id in self.candidates(&path.first, &from.row)? {
            if let Some(mut partial) = self.bind_node(&path.first, id, &from)? {
                (partial.nodes, partial.links) = (vec![id], Vec::new());
                self.steps(path, 0, id, partial, found)?;
            }
        }
        Ok(())
    }

    /// The same path from its other end, where that is easier to find.
    fn reversed(&self, path: &PathPattern, row: &Row) -> Option<PathPattern> {
        let (_, last) = path.steps.last().filter(|(_, last)| self.is_narrow(last, row))?;
        let turned = |link: &LinkPattern| LinkPattern {
            direction: match link.direction {
                Direction::Left => Direction::Right,
                Direction::Right => Direction::Left,
                Direction::Either => Direction::Either,
            },
            ..link.clone()
        };
        let before = std::iter::once(&path.first).chain(path.steps.iter().map(|(_, node)| node));
        let mut steps: Vec<_> = path
            .steps
            .iter()
            .zip(before)
            .map(|((link, _), node)| (turned(link), node.clone()))
            .collect();
        steps.reverse();
        Some(PathPattern { name: None, first: last.clone(), steps })
    }

    /// Whether few nodes can be meant.
    fn is_narrow(&self, pattern: &NodePattern, row: &Row) -> bool {
        pattern.name.as_ref().is_some_and(|name| row.contains_key(name))
            || self.by_index(pattern, row).is_some()
    }

    fn steps(
        &self,
        path: &PathPattern,
        at: usize,
        here: NodeId,
        partial: Partial,
        found: &mut Vec<Partial>,
    ) -> Result<(), Failure> {
        let Some((link_pattern, node_pattern)) = path.steps.get(at) else {
            let mut partial = partial;
            if let Some(name) = &path.name {
                let value = Value::Path(partial.nodes.clone(), partial.links.clone());
                partial.row.insert(name.clone(), value);
            }
            found.push(partial);
            return Ok(());
        };
        for (id, there) in self.neighbours(link_pattern.direction, here) {
            if partial.used.contains(&id) {
                continue;
            }
            let Some(mut next) = self.bind_link(link_pattern, id, &partial)? else { continue };
            if let Some(mut bound) = self.bind_node(node_pattern, there, &next)? {
                bound.used.push(id);
                bound.nodes.push(there);
                bound.links.push(id);
                next = bound;
                self.steps(path, at + 1, there, next, found)?;
            }
        }
        Ok(())
    }

    fn neighbours(&self, direction: Direction, here: NodeId) -> Vec<(LinkId, NodeId)> {
        let graph = self.scope.graph;
        let end = |id: LinkId, of: fn(&Link) -> NodeId| graph.link(id).map(|link| (id, of(link)));
        let out = graph.outgoing(here).filter_map(|id| end(id, |link| link.to));
        let into = graph.incoming(here).filter_map(|id| end(id, |link| link.from));
        match direction {
            Direction::Right => out.collect(),
            Direction::Left => into.collect(),
            // One that leads back to where it begins is found once.
            Direction::Either => out.chain(into.filter(|(_, from)| *from != here)).collect(),
        }
    }

    fn bind_node(
        &self,
        pattern: &NodePattern,
        id: NodeId,
        from: &Partial,
    ) -> Result<Option<Partial>, Failure> {
        if let Some(bound) = pattern.name.as_ref().and_then(|name| from.row.get(name))
            && *bound != Value::Node(id)
        {
            return Ok(None);
        }
        let Some(Node { labels, properties }) = self.scope.graph.node(id) else { return Ok(None) };
        let fits = pattern.labels.iter().all(|label| labels.contains(label))
            && self.has(pattern.properties.as_ref(), properties, &from.row)?;
        Ok(fits.then(|| {
            let mut partial = from.clone();
            if let Some(name) = &pattern.name {
                partial.row.insert(name.clone(), Value::Node(id));
            }
            partial
        }))
    }

    fn bind_link(
        &self,
        pattern: &LinkPattern,
        id: LinkId,
        from: &Partial,
    ) -> Result<Option<Partial>, Failure> {
        if let Some(bound) = pattern.name.as_ref().and_then(|name| from.row.get(name))
            && *bound != Value::Link(id)
        {
            return Ok(None);
        }
        let Some(link) = self.scope.graph.link(id) else { return Ok(None) };
        let fits = (pattern.kinds.is_empty() || pattern.kinds.contains(&link.kind))
            && self.has(pattern.properties.as_ref(), &link.properties, &from.row)?;
        Ok(fits.then(|| {
            let mut partial = from.clone();
            if let Some(name) = &pattern.name {
                partial.row.insert(name.clone(), Value::Link(id));
            }
            partial
        }))
    }

    fn has(
        &self,
        wanted: Option<&Expression>,
        properties: &Map,
        row: &Row,
    ) -> Result<bool, Failure> {
        let Some(wanted) = wanted else { return Ok(true) };
        let Value::Map(wanted) = self.scope.evaluate(wanted, row)? else { return Ok(false) };
        let equal = |(name, value): (&String, &Value)| {
            properties.get(name).is_some_and(|there| there.equals(value) == Some(true))
        };
        Ok(wanted.iter().all(equal))
    }

    /// Nodes among which those of a pattern are.
    fn candidates(&self, pattern: &NodePattern, row: &Row) -> Result<Vec<NodeId>, Failure> {
        match pattern.name.as_ref().and_then(|name| row.get(name)) {
            Some(Value::Node(id)) => return Ok(vec![*id]),
            Some(Value::Null) => return Ok(Vec::new()),
            Some(other) => return Err(Failure::expected("a Node", other)),
            None => {}
        }
        if let Some(found) = self.by_index(pattern, row) {
            return Ok(found);
        }
        let graph = self.scope.graph;
        Ok(match pattern.labels.first() {
            Some(label) => graph.labelled(label).collect(),
            None => graph.nodes().collect(),
        })
    }

    /// The same by an index, where one is over a property of which something is asked.
    fn by_index(&self, pattern: &NodePattern, row: &Row) -> Option<Vec<NodeId>> {
        let graph = self.scope.graph;
        let label = pattern.labels.first()?;
        if let Some(Expression::Map(entries)) = &pattern.properties {
            for (property, wanted) in entries {
                let Ok(wanted) = self.scope.evaluate(wanted, row) else { continue };
                if let Some(found) = graph.find(label, property, &wanted) {
                    return Some(found);
                }
            }
        }
        let name = pattern.name.as_ref()?;
        let mut asked = Vec::new();
        comparisons(self.condition?, name, &mut asked);
        let value = |expression: &Expression| {
            self.scope.evaluate(expression, row).ok().filter(|value| !value.is_null())
        };
        for (property, operator, expression) in &asked {
            match (operator, value(expression)) {
                (Binary::Equal, Some(wanted)) => {
                    if let Some(found) = graph.find(label, property, &wanted) {
                        return Some(found);
                    }
                }
                (Binary::In, Some(Value::List(wanted))) => {
                    let found = wanted.iter().map(|wanted| graph.find(label, property, wanted));
                    let found: Option<Vec<Vec<NodeId>>> = found.collect();
                    if let Some(found) = found.filter(|found| !found.is_empty()) {
                        let mut ids = found.concat();
                        ids.sort_unstable();
                        ids.dedup();
                        return Some(ids);
                    }
                }
                _ => {}
            }
        }
        let (property, ..) = asked.iter().find(|(_, operator, _)| is_range(*operator))?;
        let border = |below: [Binary; 2]| {
            let of = asked.iter().find(|(p, o, _)| p == property && below.contains(o));
            of.and_then(|(.., expression)| value(expression))
        };
        let least = border([Binary::Greater, Binary::GreaterOrEqual]);
        let most = border([Binary::Less, Binary::LessOrEqual]);
        graph.find_between(label, property, least.as_ref(), most.as_ref())
    }
}

const fn is_range(operator: Binary) -> bool {
    use Binary::{Greater, GreaterOrEqual, Less, LessOrEqual};
    matches!(operator, Less | LessOrEqual | Greater | GreaterOrEqual)
}

/// What a condition asks of the properties of a name, whatever else it asks.
fn comparisons<'a>(
    condition: &'a Expression,
    name: &str,
    found: &mut Vec<(&'a str, Binary, &'a Expression)>,
) {
    let Expression::Binary(operator, left, right) = condition else { return };
    if *operator == Binary::And {
        comparisons(left, name, found);
        comparisons(right, name, found);
        return;
    }
    if let Expression::Property(of, property) = left.as_ref()
        && matches!(of.as_ref(), Expression::Variable(variable) if variable == name)
        && (is_range(*operator) || matches!(operator, Binary::Equal | Binary::In))
    {
        found.push((property, *operator, right));
    }
}
