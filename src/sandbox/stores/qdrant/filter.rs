//! Conditions on points.

use qdrant_client::qdrant::condition::ConditionOneOf;
use qdrant_client::qdrant::r#match::MatchValue;
use qdrant_client::qdrant::value::Kind;
use qdrant_client::qdrant::{
    Condition, DatetimeRange, FieldCondition, Filter, Range, Value, ValuesCount,
};
use tonic::Status;

use super::collection::{Id, Point};
use super::payload::{Payload, find};

/// Deepest nesting of conditions.
const MAX_DEPTH: usize = 32;

/// Whether a point is as a filter says; every point is as no filter says.
pub fn admits(filter: Option<&Filter>, id: Id, point: &Point) -> Result<bool, Status> {
    filter
        .map_or(Ok(true), |filter| Looked { id, point, payload: &point.payload }.admits(filter, 0))
}

fn unimplemented(what: &str) -> Status {
    Status::unimplemented(format!("the sandbox's store has no {what}"))
}

struct Looked<'a> {
    id: Id,
    point: &'a Point,
    payload: &'a Payload,
}

impl Looked<'_> {
    fn admits(&self, filter: &Filter, depth: usize) -> Result<bool, Status> {
        if depth > MAX_DEPTH {
            return Err(Status::invalid_argument("a filter nested too deeply"));
        }
        let met = |of: &[Condition]| {
            of.iter().map(|one| self.meets(one, depth)).collect::<Result<Vec<bool>, _>>()
        };
        let should = met(&filter.should)?;
        let mut admitted = met(&filter.must)?.iter().all(|met| *met)
            && !met(&filter.must_not)?.iter().any(|met| *met)
            && (should.is_empty() || should.iter().any(|met| *met));
        if let Some(least) = &filter.min_should {
            let number = met(&least.conditions)?.iter().filter(|met| **met).count();
            admitted &= number as u64 >= least.min_count;
        }
        Ok(admitted)
    }

    fn meets(&self, condition: &Condition, depth: usize) -> Result<bool, Status> {
        let one = condition.condition_one_of.as_ref();
        match one.ok_or_else(|| Status::invalid_argument("a condition without content"))? {
            ConditionOneOf::Field(field) => self.meets_field(field),
            ConditionOneOf::IsEmpty(of) => Ok(self.is_empty(&of.key)),
            ConditionOneOf::IsNull(of) => Ok(self.is_null(&of.key)),
            ConditionOneOf::HasId(of) => {
                let ids = of.has_id.iter().map(|id| Id::read(Some(id)));
                Ok(ids.collect::<Result<Vec<Id>, _>>()?.contains(&self.id))
            }
            ConditionOneOf::HasVector(of) => Ok(self.point.vectors.contains_key(&of.has_vector)),
            ConditionOneOf::Filter(filter) => self.admits(filter, depth + 1),
            ConditionOneOf::Nested(of) => {
                let Some(filter) = &of.filter else { return Ok(true) };
                for element in find(self.payload, &of.key) {
                    if let Some(Kind::StructValue(fields)) = &element.kind {
                        let inner = Looked { payload: &fields.fields, ..*self };
                        if inner.admits(filter, depth + 1)? {
                            return Ok(true);
                        }
                    }
                }
                Ok(false)
            }
            ConditionOneOf::Slice(_) => Err(unimplemented("conditions on slices")),
        }
    }

    fn is_empty(&self, key: &str) -> bool {
        find(self.payload, key).into_iter().all(is_null)
    }

    fn is_null(&self, key: &str) -> bool {
        find(self.payload, key).into_iter().any(is_null)
    }

    fn meets_field(&self, field: &FieldCondition) -> Result<bool, Status> {
        if field.geo_bounding_box.is_some()
            || field.geo_radius.is_some()
            || field.geo_polygon.is_some()
        {
            return Err(unimplemented("conditions on places"));
        }
        if let Some(wanted) = field.is_empty {
            return Ok(self.is_empty(&field.key) == wanted);
        }
        if let Some(wanted) = field.is_null {
            return Ok(self.is_null(&field.key) == wanted);
        }
        let values = find(self.payload, &field.key);
        if let Some(counted) = &field.values_count {
            return Ok(within_count(counted, values.len() as u64));
        }
        let mut any = false;
        for value in values {
            any |= match (&field.r#match, &field.range, &field.datetime_range) {
                (Some(of), ..) => {
                    let wanted = of.match_value.as_ref();
                    matches(
                        wanted.ok_or_else(|| Status::invalid_argument("an empty match"))?,
                        value,
                    )
                }
                (_, Some(range), _) => number(value).is_some_and(|number| within(range, number)),
                (.., Some(range)) => text(value).is_some_and(|text| within_time(range, text)),
                _ => return Err(Status::invalid_argument("a field condition without content")),
            };
        }
        Ok(any)
    }
}

fn is_null(value: &Value) -> bool {
    matches!(value.kind, None | Some(Kind::NullValue(_)))
}

fn text(value: &Value) -> Option<&str> {
    match &value.kind {
        Some(Kind::StringValue(text)) => Some(text),
        _ => None,
    }
}

fn integer(value: &Value) -> Option<i64> {
    match value.kind {
        Some(Kind::IntegerValue(number)) => Some(number),
        _ => None,
    }
}

fn number(value: &Value) -> Option<f64> {
    match value.kind {
        Some(Kind::IntegerValue(number)) => Some(number as f64),
        Some(Kind::DoubleValue(number)) => Some(number),
        _ => None,
    }
}

fn matches(wanted: &MatchValue, value: &Value) -> bool {
    let words = |text: &str| -> Vec<String> {
        text.split(|c: char| !c.is_alphanumeric())
            .filter(|word| !word.is_empty())
            .map(str::to_lowercase)
            .collect()
    };
    match wanted {
        MatchValue::Keyword(wanted) => text(value) == Some(wanted),
        MatchValue::Integer(wanted) => integer(value) == Some(*wanted),
        MatchValue::Boolean(wanted) => value.kind == Some(Kind::BoolValue(*wanted)),
        MatchValue::Keywords(of) => text(value).is_some_and(|t| of.strings.iter().any(|s| s == t)),
        MatchValue::Integers(of) => integer(value).is_some_and(|n| of.integers.contains(&n)),
        MatchValue::ExceptKeywords(of) => {
            !is_null(value) && text(value).is_none_or(|t| of.strings.iter().all(|s| s != t))
        }
        MatchValue::ExceptIntegers(of) => {
            !is_null(value) && integer(value).is_none_or(|n| !of.integers.contains(&n))
        }
        MatchValue::Text(wanted) => text(value).is_some_and(|text| {
            let there = words(text);
            words(wanted).iter().all(|word| there.contains(word))
        }),
        MatchValue::TextAny(wanted) => text(value).is_some_and(|text| {
            let there = words(text);
            words(wanted).iter().any(|word| there.contains(word))
        }),
        MatchValue::Phrase(wanted) => text(value).is_some_and(|text| {
            let (there, wanted) = (words(text), words(wanted));
            !wanted.is_empty() && there.windows(wanted.len()).any(|some| some == wanted)
        }),
        MatchValue::Prefix(wanted) => text(value).is_some_and(|text| text.starts_with(wanted)),
        MatchValue::Substring(wanted) => text(value).is_some_and(|text| text.contains(wanted)),
    }
}

fn within(range: &Range, number: f64) -> bool {
    range.lt.is_none_or(|border| number < border)
        && range.lte.is_none_or(|border| number <= border)
        && range.gt.is_none_or(|border| number > border)
        && range.gte.is_none_or(|border| number >= border)
}

fn within_count(counted: &ValuesCount, count: u64) -> bool {
    counted.lt.is_none_or(|border| count < border)
        && counted.lte.is_none_or(|border| count <= border)
        && counted.gt.is_none_or(|border| count > border)
        && counted.gte.is_none_or(|border| count >= border)
}

fn within_time(range: &DatetimeRange, text: &str) -> bool {
    let Ok(time) = text.parse::<jiff::Timestamp>() else { return false };
    let time = (time.as_second(), time.subsec_nanosecond());
    range.lt.as_ref().is_none_or(|border| time < (border.seconds, border.nanos))
        && range.lte.as_ref().is_none_or(|border| time <= (border.seconds, border.nanos))
        && range.gt.as_ref().is_none_or(|border| time > (border.seconds, border.nanos))
        && range.gte.as_ref().is_none_or(|border| time >= (border.seconds, border.nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(filter: Filter) -> bool {
        let fields = [
            ("kind", Value::from("a b")),
            ("number", Value::from(5)),
            ("nothing", Value { kind: Some(Kind::NullValue(0)) }),
            ("tags", Value::from(vec![Value::from("x"), Value::from("y")])),
            ("at", Value::from("2026-01-01T00:00:07Z")),
        ];
        let payload = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let point = Point { payload, vectors: Default::default() };
        admits(Some(&filter), Id::Number(7), &point).expect("a filter")
    }

    #[test]
    fn conditions_hold_for_what_they_say() {
        let must = |condition: Condition| Filter::must([condition]);
        assert!(admitted(must(Condition::matches("kind", "a b".to_owned()))));
        assert!(!admitted(must(Condition::matches("kind", "a".to_owned()))));
        assert!(admitted(must(Condition::matches("tags", "y".to_owned()))));
        assert!(admitted(must(Condition::matches("number", 5))));
        assert!(admitted(Filter::must_not([Condition::matches("number", 6)])));
        assert!(admitted(must(Condition::range(
            "number",
            Range { gte: Some(5.0), ..Range::default() }
        ))));
        assert!(!admitted(must(Condition::range(
            "number",
            Range { gt: Some(5.0), ..Range::default() }
        ))));
        assert!(admitted(must(Condition::has_id([7]))) && !admitted(must(Condition::has_id([8]))));
        assert!(
            admitted(must(Condition::is_null("nothing")))
                && admitted(must(Condition::is_empty("nowhere")))
        );
        assert!(!admitted(must(Condition::is_empty("tags"))));
        let both = [Condition::matches("number", 6), Condition::matches("number", 5)];
        assert!(admitted(Filter::should(both.clone())) && !admitted(Filter::must(both)));
        let after = DatetimeRange {
            gt: Some(prost_types::Timestamp { seconds: 1_767_225_606, nanos: 0 }),
            ..DatetimeRange::default()
        };
        assert!(admitted(must(Condition::datetime_range("at", after))));
    }
}
