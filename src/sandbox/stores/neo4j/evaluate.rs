//! What an expression is worth in a row.

use std::collections::BTreeMap;

use super::ast::{Binary, Expression, Unary};
use super::error::{Failure, code};
use super::functions;
use super::graph::Graph;
use super::operators;
use super::value::{Map, Value};

/// Values by the names that clauses have given them.
pub type Row = BTreeMap<String, Value>;

/// What an expression can see.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    /// The graph.
    pub graph: &'a Graph,
    /// Parameters of the statement.
    pub parameters: &'a Map,
    /// The rows over which aggregating functions are taken, where they are allowed.
    pub group: Option<&'a [Row]>,
}

/// Whether an expression aggregates over rows.
pub fn aggregates(expression: &Expression) -> bool {
    use Expression::{
        Binary, Case, Comprehension, CountAll, Function, HasLabels, Index, List, Literal, Map,
        Parameter, Property, Quantified, Slice, Unary, Variable,
    };
    let some = |of: &Option<Box<Expression>>| of.as_ref().is_some_and(|of| aggregates(of));
    match expression {
        CountAll => true,
        Function { name, arguments, .. } => {
            functions::is_aggregate(name) || arguments.iter().any(aggregates)
        }
        Literal(_) | Parameter(_) | Variable(_) => false,
        Property(of, _) | Unary(_, of) | HasLabels(of, _) => aggregates(of),
        Index(a, b) | Binary(_, a, b) => aggregates(a) || aggregates(b),
        Slice(of, first, last) => aggregates(of) || some(first) || some(last),
        List(items) => items.iter().any(aggregates),
        Map(entries) => entries.iter().any(|(_, value)| aggregates(value)),
        Comprehension { list, .. } | Quantified { list, .. } => aggregates(list),
        Case { operand, branches, otherwise } => {
            some(operand)
                || some(otherwise)
                || branches.iter().any(|(when, then)| aggregates(when) || aggregates(then))
        }
    }
}

impl Scope<'_> {
    /// What an expression is worth.
    ///
    /// # Errors
    /// When its values have other types than it needs, or a name or a parameter is missing.
    pub fn evaluate(&self, expression: &Expression, row: &Row) -> Result<Value, Failure> {
        match expression {
            Expression::Literal(value) => Ok(value.clone()),
            Expression::Parameter(name) => self.parameters.get(name).cloned().ok_or_else(|| {
                Failure::new(code::PARAMETER, format!("Expected parameter(s): {name}"))
            }),
            Expression::Variable(name) => row.get(name).cloned().ok_or_else(|| {
                Failure::new(code::SYNTAX, format!("Variable `{name}` not defined"))
            }),
            Expression::Property(of, name) => self.property(&self.evaluate(of, row)?, name),
            Expression::Index(of, index) => {
                self.at_index(&self.evaluate(of, row)?, &self.evaluate(index, row)?)
            }
            Expression::Slice(of, first, last) => {
                self.slice(of, first.as_deref(), last.as_deref(), row)
            }
            Expression::List(items) => {
                let items = items.iter().map(|item| self.evaluate(item, row));
                Ok(Value::List(items.collect::<Result<_, _>>()?))
            }
            Expression::Map(entries) => {
                let entries = entries.iter();
                let entries =
                    entries.map(|(name, value)| Ok((name.clone(), self.evaluate(value, row)?)));
                Ok(Value::Map(entries.collect::<Result<_, Failure>>()?))
            }
            Expression::Comprehension { name, list, condition, result } => {
                let Some(items) = self.items(list, row)? else { return Ok(Value::Null) };
                self.comprehend(name, items, condition.as_deref(), result.as_deref(), row)
            }
            Expression::Quantified { quantifier, name, list, condition } => {
                let Some(items) = self.items(list, row)? else { return Ok(Value::Null) };
                self.quantify(quantifier, name, items, condition, row)
            }
            Expression::Case { operand, branches, otherwise } => {
                let operand = operand.as_ref().map(|of| self.evaluate(of, row)).transpose()?;
                match self.branch(operand.as_ref(), branches, row)?.or(otherwise.as_deref()) {
                    Some(then) => self.evaluate(then, row),
                    None => Ok(Value::Null),
                }
            }
            Expression::CountAll => match self.group {
                Some(group) => Ok(Value::count(group.len())),
                None => Err(Failure::new(code::SYNTAX, "count(*) is not possible here")),
            },
            Expression::Function { name, distinct, arguments } => {
                if functions::is_aggregate(name) {
                    return functions::aggregate(self, name, *distinct, arguments);
                }
                let arguments = arguments.iter().map(|argument| self.evaluate(argument, row));
                functions::call(self.graph, name, &arguments.collect::<Result<Vec<_>, _>>()?)
            }
            Expression::HasLabels(of, labels) => match self.evaluate(of, row)? {
                Value::Node(id) => {
                    let node = self.graph.node(id);
                    let has = |label| node.is_some_and(|node| node.labels.contains(label));
                    Ok(Value::Bool(labels.iter().all(has)))
                }
                Value::Null => Ok(Value::Null),
                other => Err(Failure::expected("a Node", &other)),
            },
            Expression::Unary(operator, of) => unary(*operator, self.evaluate(of, row)?),
            Expression::Binary(operator, left, right) => self.binary(*operator, left, right, row),
        }
    }

    fn at_index(&self, of: &Value, index: &Value) -> Result<Value, Failure> {
        match (of, index) {
            (Value::Null, _) | (_, Value::Null) => Ok(Value::Null),
            (Value::List(items), Value::Int(at)) => {
                Ok(place(*at, items.len()).map_or(Value::Null, |at| items[at].clone()))
            }
            (_, Value::String(name)) => self.property(of, name),
            _ => Err(Failure::expected("a List, Map, Node or Relationship", of)),
        }
    }

    fn comprehend(
        &self,
        name: &str,
        items: Vec<Value>,
        condition: Option<&Expression>,
        result: Option<&Expression>,
        row: &Row,
    ) -> Result<Value, Failure> {
        let mut row = row.clone();
        let mut results = Vec::new();
        for item in items {
            row.insert(name.to_owned(), item.clone());
            if let Some(condition) = condition
                && self.holds(condition, &row)? != Some(true)
            {
                continue;
            }
            results.push(result.map_or(Ok(item), |result| self.evaluate(result, &row))?);
        }
        Ok(Value::List(results))
    }

    /// The first branch of a `CASE` that is met.
    fn branch<'a>(
        &self,
        operand: Option<&Value>,
        branches: &'a [(Expression, Expression)],
        row: &Row,
    ) -> Result<Option<&'a Expression>, Failure> {
        for (when, then) in branches {
            let met = match operand {
                Some(operand) => operand.equals(&self.evaluate(when, row)?),
                None => self.holds(when, row)?,
            };
            if met == Some(true) {
                return Ok(Some(then));
            }
        }
        Ok(None)
    }

    /// Whether a condition holds; nothing where it compares nothing.
    pub fn holds(&self, condition: &Expression, row: &Row) -> Result<Option<bool>, Failure> {
        truth(&self.evaluate(condition, row)?)
    }

    fn items(&self, list: &Expression, row: &Row) -> Result<Option<Vec<Value>>, Failure> {
        match self.evaluate(list, row)? {
            Value::List(items) => Ok(Some(items)),
            Value::Null => Ok(None),
            other => Err(Failure::expected("a List", &other)),
        }
    }

    fn quantify(
        &self,
        quantifier: &str,
        name: &str,
        items: Vec<Value>,
        condition: &Expression,
        row: &Row,
    ) -> Result<Value, Failure> {
        let mut row = row.clone();
        let (mut met, mut unknown, number) = (0, false, items.len());
        for item in items {
            row.insert(name.to_owned(), item);
            match self.holds(condition, &row)? {
                Some(true) => met += 1,
                Some(false) => {}
                None => unknown = true,
            }
        }
        let known = |certain: bool, value: bool| {
            if certain || !unknown { Value::Bool(value) } else { Value::Null }
        };
        Ok(match quantifier {
            "any" => known(met > 0, met > 0),
            "none" => known(met > 0, met == 0),
            "single" => known(met > 1, met == 1),
            _ => known(false, met == number),
        })
    }

    /// A property of an entity or a map.
    fn property(&self, of: &Value, name: &str) -> Result<Value, Failure> {
        let found = match of {
            Value::Null => None,
            Value::Map(map) => map.get(name),
            Value::Node(id) => {
                let node = self.graph.node(*id).ok_or_else(|| deleted("Node", id.0))?;
                node.properties.get(name)
            }
            Value::Link(id) => {
                let link = self.graph.link(*id).ok_or_else(|| deleted("Relationship", id.0))?;
                link.properties.get(name)
            }
            other => return functions::component(other, name),
        };
        Ok(found.cloned().unwrap_or(Value::Null))
    }

    fn slice(
        &self,
        of: &Expression,
        first: Option<&Expression>,
        last: Option<&Expression>,
        row: &Row,
    ) -> Result<Value, Failure> {
        let Some(items) = self.items(of, row)? else { return Ok(Value::Null) };
        let length = items.len() as i64;
        let border = |of: Option<&Expression>, otherwise: i64| match of {
            None => Ok(Some(otherwise)),
            Some(of) => match self.evaluate(of, row)? {
                Value::Int(at) if at < 0 => Ok(Some((at + length).max(0))),
                Value::Int(at) => Ok(Some(at.min(length))),
                Value::Null => Ok(None),
                other => Err(Failure::expected("an Integer", &other)),
            },
        };
        let (Some(first), Some(last)) = (border(first, 0)?, border(last, length)?) else {
            return Ok(Value::Null);
        };
        let taken = items.into_iter().take(last.max(0) as usize).skip(first.max(0) as usize);
        Ok(Value::List(taken.collect()))
    }

    fn binary(
        &self,
        operator: Binary,
        left: &Expression,
        right: &Expression,
        row: &Row,
    ) -> Result<Value, Failure> {
        let left = self.evaluate(left, row)?;
        if let Binary::And | Binary::Or | Binary::Xor = operator {
            let first = truth(&left)?;
            // The rest is not looked at where it cannot matter.
            let settled =
                matches!((operator, first), (Binary::And, Some(false)) | (Binary::Or, Some(true)));
            if settled {
                return Ok(Value::Bool(operator == Binary::Or));
            }
            let second = self.holds(right, row)?;
            return Ok(logic(operator, first, second).map_or(Value::Null, Value::Bool));
        }
        let right = self.evaluate(right, row)?;
        operators::operate(operator, &left, &right)
    }
}

/// A failure for what was deleted meanwhile.
pub fn deleted(kind: &str, id: u64) -> Failure {
    Failure::new(code::NOT_FOUND, format!("{kind} with id {id} has been deleted"))
}

/// A place of a list, counted from its end when negative.
pub fn place(at: i64, length: usize) -> Option<usize> {
    let at = if at < 0 { at.checked_add(length as i64)? } else { at };
    usize::try_from(at).ok().filter(|at| *at < length)
}

/// A value as a condition.
pub fn truth(value: &Value) -> Result<Option<bool>, Failure> {
    match value {
        Value::Bool(yes) => Ok(Some(*yes)),
        Value::Null => Ok(None),
        other => Err(Failure::expected("Boolean", other)),
    }
}

fn logic(operator: Binary, a: Option<bool>, b: Option<bool>) -> Option<bool> {
    match (operator, a, b) {
        (Binary::And, Some(false), _) | (Binary::And, _, Some(false)) => Some(false),
        (Binary::Or, Some(true), _) | (Binary::Or, _, Some(true)) => Some(true),
        (Binary::And, Some(a), Some(b)) => Some(a && b),
        (Binary::Or, Some(a), Some(b)) => Some(a || b),
        (Binary::Xor, Some(a), Some(b)) => Some(a != b),
        _ => None,
    }
}

fn unary(operator: Unary, value: Value) -> Result<Value, Failure> {
    match (operator, value) {
        (Unary::IsNull, value) => Ok(Value::Bool(value.is_null())),
        (Unary::IsNotNull, value) => Ok(Value::Bool(!value.is_null())),
        (Unary::Not, value) => Ok(truth(&value)?.map_or(Value::Null, |yes| Value::Bool(!yes))),
        (Unary::Minus, Value::Int(number)) => {
            number.checked_neg().map(Value::Int).ok_or_else(operators::overflow)
        }
        (Unary::Minus, Value::Float(number)) => Ok(Value::Float(-number)),
        (Unary::Minus, Value::Null) => Ok(Value::Null),
        (Unary::Minus, other) => Err(Failure::expected("a number", &other)),
    }
}
