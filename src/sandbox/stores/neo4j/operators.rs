//! Operators between two values.

use super::ast::Binary;
use super::error::{Failure, code};
use super::functions::print;
use super::value::Value;

/// A failure of numbers that are too large.
pub fn overflow() -> Failure {
    Failure::new(code::ARGUMENT, "the result is too large a number")
}

/// What an operator makes of two values. Those of logic are taken care of before.
pub fn operate(operator: Binary, left: &Value, right: &Value) -> Result<Value, Failure> {
    use std::cmp::Ordering;
    let compared = |test: fn(Ordering) -> bool| {
        Ok(left.compare(right).map_or(Value::Null, |order| Value::Bool(test(order))))
    };
    let known = |answer: Option<bool>| answer.map_or(Value::Null, Value::Bool);
    match operator {
        Binary::Equal => Ok(known(left.equals(right))),
        Binary::Unequal => Ok(known(left.equals(right).map(|same| !same))),
        Binary::Less => compared(Ordering::is_lt),
        Binary::LessOrEqual => compared(Ordering::is_le),
        Binary::Greater => compared(Ordering::is_gt),
        Binary::GreaterOrEqual => compared(Ordering::is_ge),
        Binary::In => match right {
            Value::Null => Ok(Value::Null),
            Value::List(items) => {
                let mut unknown = false;
                for item in items {
                    match left.equals(item) {
                        Some(true) => return Ok(Value::Bool(true)),
                        Some(false) => {}
                        None => unknown = true,
                    }
                }
                Ok(if unknown { Value::Null } else { Value::Bool(false) })
            }
            other => Err(Failure::expected("a List", other)),
        },
        Binary::StartsWith | Binary::EndsWith | Binary::Contains => match (left, right) {
            (Value::String(text), Value::String(part)) => Ok(Value::Bool(match operator {
                Binary::StartsWith => text.starts_with(part.as_str()),
                Binary::EndsWith => text.ends_with(part.as_str()),
                _ => text.contains(part.as_str()),
            })),
            _ => Ok(Value::Null),
        },
        _ => calculate(operator, left, right),
    }
}

/// What an operator of arithmetic makes of two values.
pub fn calculate(operator: Binary, left: &Value, right: &Value) -> Result<Value, Failure> {
    match (operator, left, right) {
        (Binary::Add, Value::List(a), Value::List(b)) => {
            Ok(Value::List(a.iter().chain(b).cloned().collect()))
        }
        (Binary::Add, Value::List(a), b) if !b.is_null() => {
            Ok(Value::List(a.iter().chain([b]).cloned().collect()))
        }
        (_, Value::Null, _) | (_, _, Value::Null) => Ok(Value::Null),
        (
            Binary::Add,
            Value::String(a),
            b @ (Value::String(_) | Value::Int(_) | Value::Float(_)),
        ) => Ok(Value::String(format!("{a}{}", print(b).unwrap_or_default()))),
        (Binary::Add, a @ (Value::Int(_) | Value::Float(_)), Value::String(b)) => {
            Ok(Value::String(format!("{}{b}", print(a).unwrap_or_default())))
        }
        (_, Value::Int(a), Value::Int(b)) => {
            let result = match operator {
                Binary::Add => a.checked_add(*b),
                Binary::Subtract => a.checked_sub(*b),
                Binary::Multiply => a.checked_mul(*b),
                Binary::Power => return Ok(Value::Float((*a as f64).powf(*b as f64))),
                _ if *b == 0 => return Err(Failure::new(code::ARGUMENT, "/ by zero")),
                Binary::Divide => a.checked_div(*b),
                _ => a.checked_rem(*b),
            };
            result.map(Value::Int).ok_or_else(overflow)
        }
        _ => {
            let (Some(a), Some(b)) = (number(left), number(right)) else {
                let got = if number(left).is_none() { left } else { right };
                return Err(Failure::expected("a number", got));
            };
            Ok(Value::Float(match operator {
                Binary::Add => a + b,
                Binary::Subtract => a - b,
                Binary::Multiply => a * b,
                Binary::Divide => a / b,
                Binary::Power => a.powf(b),
                _ => a % b,
            }))
        }
    }
}

/// A number as one with a fraction.
pub fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Int(number) => Some(*number as f64),
        Value::Float(number) => Some(*number),
        _ => None,
    }
}
