//! Carrying out a statement, clause by clause.

use std::collections::BTreeMap;

use super::ast::{Clause, Expression, Projection, Statement};
use super::error::{Failure, code};
use super::evaluate::{Row, Scope, aggregates};
use super::graph::Graph;
use super::matching::Matcher;
use super::procedures;
use super::value::{Map, Value};

/// Most rows between two clauses.
const MAX_ROWS: usize = 2_000_000;

/// What a statement answers.
#[derive(Debug, Default, PartialEq)]
pub struct Answer {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// Rows of as many values.
    pub rows: Vec<Vec<Value>>,
    /// Whether something was changed: the kind of statement as clients are told it.
    pub kind: Kind,
}

/// What a statement does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// Reads.
    #[default]
    Reads,
    /// Writes.
    Writes,
    /// Makes or removes constraints and indexes.
    Schema,
}

/// Carries out a statement. When it fails, the graph is as before.
///
/// # Errors
/// When it cannot be carried out.
pub fn execute(
    graph: &mut Graph,
    statement: &Statement,
    parameters: &Map,
) -> Result<Answer, Failure> {
    let mark = graph.mark();
    let done = run(graph, statement, parameters);
    if done.is_err() {
        graph.undo_to(mark);
    }
    done
}

fn run(graph: &mut Graph, statement: &Statement, parameters: &Map) -> Result<Answer, Failure> {
    match statement {
        Statement::Query(clauses) => Run { graph, parameters }.query(clauses),
        Statement::CreateIndex(index, may_exist) => {
            let name = index.name.clone();
            if !graph.create_index(index.clone())? && !may_exist {
                let reason = format!("An equivalent constraint or index already exists: {name}");
                return Err(Failure::new(code::EXISTS, reason));
            }
            Ok(Answer { kind: Kind::Schema, ..Answer::default() })
        }
        Statement::DropIndex(name, unique, may_be_missing) => {
            if !graph.drop_index(name, *unique) && !may_be_missing {
                let reason = format!("Unable to drop `{name}`: there is none of this name");
                return Err(Failure::new(code::NO_RULE, reason));
            }
            Ok(Answer { kind: Kind::Schema, ..Answer::default() })
        }
    }
}

/// A query under way.
pub(super) struct Run<'a> {
    /// The graph.
    pub graph: &'a mut Graph,
    /// Its parameters.
    pub parameters: &'a Map,
}

impl Run<'_> {
    /// What expressions can see.
    pub(super) fn scope(&self) -> Scope<'_> {
        Scope { graph: self.graph, parameters: self.parameters, group: None }
    }

    fn query(mut self, clauses: &[Clause]) -> Result<Answer, Failure> {
        let mark = self.graph.mark();
        let mut rows = vec![Row::new()];
        let mut answer = Answer::default();
        for (at, clause) in clauses.iter().enumerate() {
            let last = at + 1 == clauses.len();
            if let Clause::Return(projection) = clause {
                if !last {
                    return Err(Failure::new(code::SYNTAX, "RETURN must be the last clause"));
                }
                let (columns, values) = self.project(projection, rows)?;
                (answer.columns, answer.rows) = (columns, values);
                rows = Vec::new();
                continue;
            }
            rows = self.clause(clause, rows)?;
            if rows.len() > MAX_ROWS {
                return Err(Failure::new(code::MEMORY, format!("more than {MAX_ROWS} rows")));
            }
            if let (Clause::Call { .. }, true) = (clause, last) {
                // A procedure alone answers its rows.
                let columns = rows.first().map(|row| row.keys().cloned().collect());
                answer.columns = columns.unwrap_or_default();
                answer.rows = rows.drain(..).map(|row| row.into_values().collect()).collect();
            }
        }
        let changed = self.graph.changes_since(mark).count > 0;
        answer.kind = if changed { Kind::Writes } else { Kind::Reads };
        Ok(answer)
    }

    fn clause(&mut self, clause: &Clause, rows: Vec<Row>) -> Result<Vec<Row>, Failure> {
        match clause {
            Clause::Match { optional, paths, condition } => {
                self.matching(*optional, paths, condition.as_ref(), rows)
            }
            Clause::Unwind(list, name) => {
                let mut unwound = Vec::new();
                for row in rows {
                    let items = match self.scope().evaluate(list, &row)? {
                        Value::List(items) => items,
                        Value::Null => Vec::new(),
                        other => vec![other],
                    };
                    for item in items {
                        let mut row = row.clone();
                        row.insert(name.clone(), item);
                        unwound.push(row);
                    }
                }
                Ok(unwound)
            }
            Clause::With(projection, condition) => {
                let (columns, values) = self.project(projection, rows)?;
                let named = |values: Vec<Value>| columns.iter().cloned().zip(values).collect();
                let rows = values.into_iter().map(named).collect();
                self.filter(condition.as_ref(), rows)
            }
            Clause::Call { procedure, arguments, columns } => {
                let mut results = Vec::new();
                for row in rows {
                    let arguments = arguments.iter().map(|of| self.scope().evaluate(of, &row));
                    let arguments: Vec<Value> = arguments.collect::<Result<_, _>>()?;
                    for found in procedures::call(self.graph, procedure, &arguments)? {
                        results.push(yielded(&row, found, columns)?);
                    }
                }
                Ok(results)
            }
            Clause::Return(_) => Ok(rows),
            Clause::Create(_)
            | Clause::Merge { .. }
            | Clause::Set(_)
            | Clause::Remove(_)
            | Clause::Delete(..) => self.write(clause, rows),
        }
    }

    fn filter(&self, condition: Option<&Expression>, rows: Vec<Row>) -> Result<Vec<Row>, Failure> {
        let Some(condition) = condition else { return Ok(rows) };
        let mut kept = Vec::new();
        for row in rows {
            if self.scope().holds(condition, &row)? == Some(true) {
                kept.push(row);
            }
        }
        Ok(kept)
    }

    fn matching(
        &self,
        optional: bool,
        paths: &[super::ast::PathPattern],
        condition: Option<&Expression>,
        rows: Vec<Row>,
    ) -> Result<Vec<Row>, Failure> {
        let matcher = Matcher { scope: self.scope(), condition };
        let mut found = Vec::new();
        for row in rows {
            let matched = self.filter(condition, matcher.find(paths, &row)?)?;
            if matched.is_empty() && optional {
                let mut row = row;
                for name in paths.iter().flat_map(names) {
                    row.entry(name).or_insert(Value::Null);
                }
                found.push(row);
            } else {
                found.extend(matched);
            }
            if found.len() > MAX_ROWS {
                return Err(Failure::new(code::MEMORY, format!("more than {MAX_ROWS} rows")));
            }
        }
        Ok(found)
    }

    /// Columns and their values, ordered and cut as asked.
    fn project(
        &self,
        projection: &Projection,
        rows: Vec<Row>,
    ) -> Result<(Vec<String>, Vec<Vec<Value>>), Failure> {
        let mut items: Vec<(Expression, String)> = Vec::new();
        if projection.all {
            let names = rows.first().map(|row| row.keys().cloned().collect::<Vec<_>>());
            let all = names.unwrap_or_default().into_iter();
            items.extend(all.map(|name| (Expression::Variable(name.clone()), name)));
        }
        items.extend(projection.items.iter().cloned());
        let columns: Vec<String> = items.iter().map(|(_, name)| name.clone()).collect();
        if let Some(twice) =
            columns.iter().enumerate().find(|(at, name)| columns[..*at].contains(name))
        {
            let reason = format!("Multiple result columns with the same name: {}", twice.1);
            return Err(Failure::new(code::SYNTAX, reason));
        }
        let mut projected = match items.iter().any(|(expression, _)| aggregates(expression)) {
            true => self.grouped(&items, rows)?,
            false => {
                let project = |row: Row| Ok((self.values(&items, &row)?, row));
                rows.into_iter().map(project).collect::<Result<Vec<_>, Failure>>()?
            }
        };
        if projection.distinct {
            let mut seen = std::collections::BTreeSet::new();
            projected.retain(|(values, _)| seen.insert(Distinct(values.clone())));
        }
        if !projection.order.is_empty() {
            projected = self.ordered(&projection.order, &columns, projected)?;
        }
        let skip = self.number(projection.skip.as_ref())?.unwrap_or(0);
        let limit = self.number(projection.limit.as_ref())?.unwrap_or(usize::MAX);
        let kept = projected.into_iter().skip(skip).take(limit);
        Ok((columns, kept.map(|(values, _)| values).collect()))
    }

    fn values(&self, items: &[(Expression, String)], row: &Row) -> Result<Vec<Value>, Failure> {
        items.iter().map(|(expression, _)| self.scope().evaluate(expression, row)).collect()
    }

    /// One row for each combination of the columns that do not aggregate.
    fn grouped(
        &self,
        items: &[(Expression, String)],
        rows: Vec<Row>,
    ) -> Result<Vec<(Vec<Value>, Row)>, Failure> {
        let keys: Vec<_> = items.iter().filter(|(of, _)| !aggregates(of)).cloned().collect();
        let mut places: BTreeMap<Distinct, usize> = BTreeMap::new();
        let mut groups: Vec<Vec<Row>> = Vec::new();
        for row in rows {
            let key = Distinct(self.values(&keys, &row)?);
            let place = *places.entry(key).or_insert(groups.len());
            if place == groups.len() {
                groups.push(Vec::new());
            }
            groups[place].push(row);
        }
        if groups.is_empty() && keys.is_empty() {
            // Nothing at all still counts as none.
            groups.push(Vec::new());
        }
        let one = |group: Vec<Row>| {
            let row = group.first().cloned().unwrap_or_default();
            let scope = Scope { group: Some(&group), ..self.scope() };
            let values = items.iter().map(|(of, _)| scope.evaluate(of, &row));
            Ok((values.collect::<Result<Vec<_>, Failure>>()?, row))
        };
        groups.into_iter().map(one).collect()
    }

    fn ordered(
        &self,
        order: &[(Expression, bool)],
        columns: &[String],
        rows: Vec<(Vec<Value>, Row)>,
    ) -> Result<Vec<(Vec<Value>, Row)>, Failure> {
        let mut keyed = Vec::new();
        for (values, row) in rows {
            // Both the new names and those from before can be ordered by.
            let mut visible = row.clone();
            visible.extend(columns.iter().cloned().zip(values.iter().cloned()));
            let keys = order.iter().map(|(by, _)| self.scope().evaluate(by, &visible));
            keyed.push((keys.collect::<Result<Vec<_>, _>>()?, values, row));
        }
        keyed.sort_by(|(a, ..), (b, ..)| {
            let each = order
                .iter()
                .zip(a.iter().zip(b))
                .map(|((_, descending), (a, b))| if *descending { b.order(a) } else { a.order(b) });
            each.fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then)
        });
        Ok(keyed.into_iter().map(|(_, values, row)| (values, row)).collect())
    }

    fn number(&self, of: Option<&Expression>) -> Result<Option<usize>, Failure> {
        let Some(of) = of else { return Ok(None) };
        match self.scope().evaluate(of, &Row::new())? {
            Value::Int(number) if number >= 0 => Ok(usize::try_from(number).ok()),
            other => Err(Failure::expected("a number of rows", &other)),
        }
    }
}

/// Values that are told apart as `DISTINCT` does it.
struct Distinct(Vec<Value>);

impl PartialEq for Distinct {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Distinct {}

impl PartialOrd for Distinct {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Distinct {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let each = self.0.iter().zip(&other.0).map(|(a, b)| a.order(b));
        each.fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then)
    }
}

/// Names that a path gives.
pub(super) fn names(path: &super::ast::PathPattern) -> Vec<String> {
    let steps = path.steps.iter().flat_map(|(link, node)| [link.name.clone(), node.name.clone()]);
    [path.name.clone(), path.first.name.clone()].into_iter().chain(steps).flatten().collect()
}

fn yielded(row: &Row, found: Row, columns: &[(String, String)]) -> Result<Row, Failure> {
    let mut row = row.clone();
    if columns.is_empty() {
        row.extend(found);
        return Ok(row);
    }
    for (column, name) in columns {
        let value = found.get(column).cloned();
        let unknown =
            || Failure::new(code::SYNTAX, format!("Unknown procedure output: `{column}`"));
        row.insert(name.clone(), value.ok_or_else(unknown)?);
    }
    Ok(row)
}
