//! Places in a request where a value can be put.

use serde_json::Value;

use super::{Body, Request, encode};

/// Deepest nesting of a body that is looked into.
const MAX_DEPTH: usize = 12;
/// Most places of one request.
const MAX_POINTS: usize = 40;

/// Where in a request a value stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A segment of the path, by number.
    Path(usize),
    /// A query parameter, by number.
    Query(usize),
    /// A header, by number.
    Header(usize),
    /// A cookie, by number.
    Cookie(usize),
    /// A value in a JSON body, by pointer (RFC 6901).
    Json(String),
    /// A field of a form or a part of multipart/form-data, by number.
    Field(usize),
}

/// A value that can be replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Point {
    /// Where it stands.
    pub place: Place,
    /// What it is called.
    pub name: String,
    /// What stands there when all is well.
    pub original: String,
}

impl Point {
    /// Which one, in words.
    pub fn words(&self) -> String {
        let kind = match self.place {
            Place::Path(_) => "path",
            Place::Query(_) => "query",
            Place::Header(_) => "header",
            Place::Cookie(_) => "cookie",
            Place::Json(_) => "body",
            Place::Field(_) => "form",
        };
        format!("{kind} {}", self.name)
    }

    /// Whether it is one of what a request carries, rather than of where it goes and who sends it.
    pub const fn is_data(&self) -> bool {
        matches!(self.place, Place::Query(_) | Place::Json(_) | Place::Field(_))
    }

    /// Whether a number stands there.
    pub fn is_numeric(&self) -> bool {
        !self.original.is_empty() && self.original.bytes().all(|byte| byte.is_ascii_digit())
    }
}

impl Request {
    /// All places but those in the path, which only a route can tell.
    pub fn points(&self) -> Vec<Point> {
        let mut points = Vec::new();
        named(&self.query, Place::Query, &mut points);
        named(&self.headers, Place::Header, &mut points);
        named(&self.cookies, Place::Cookie, &mut points);
        match &self.body {
            Body::Empty | Body::Raw(..) => {}
            Body::Json(value) => walk(value, "", 0, &mut points),
            Body::Form(fields) => named(fields, Place::Field, &mut points),
            Body::Multipart(parts) => {
                for (at, part) in parts.iter().enumerate().filter(|(_, p)| p.file_name.is_none()) {
                    let original = String::from_utf8_lossy(&part.content).into_owned();
                    points.push(Point {
                        place: Place::Field(at),
                        name: part.name.clone(),
                        original,
                    });
                }
            }
        }
        points.truncate(MAX_POINTS);
        points
    }

    /// The places in the path that a route has names for, such as `{id}` in `/items/{id}`.
    pub fn path_points(&self, route: &str) -> Vec<Point> {
        let path = self.path.split('/');
        let pairs = route.split('/').zip(path).enumerate();
        let named = pairs.filter(|(_, (name, _))| name.starts_with('{') && name.ends_with('}'));
        named
            .map(|(at, (name, value))| Point {
                place: Place::Path(at),
                name: name.trim_matches(['{', '}']).to_owned(),
                original: encode::decode(value),
            })
            .collect()
    }

    /// The request with another value in one place.
    pub fn put(&self, point: &Point, value: &str) -> Self {
        let mut request = self.clone();
        let set = |pairs: &mut Vec<(String, String)>, at: usize| {
            if let Some(pair) = pairs.get_mut(at) {
                value.clone_into(&mut pair.1);
            }
        };
        match &point.place {
            Place::Path(at) => {
                let mut segments: Vec<String> =
                    request.path.split('/').map(str::to_owned).collect();
                if let Some(segment) = segments.get_mut(*at) {
                    *segment = encode::segment(value);
                }
                request.path = segments.join("/");
            }
            Place::Query(at) => set(&mut request.query, *at),
            Place::Header(at) => set(&mut request.headers, *at),
            Place::Cookie(at) => set(&mut request.cookies, *at),
            Place::Json(pointer) => {
                if let Body::Json(body) = &mut request.body
                    && let Some(place) = body.pointer_mut(pointer)
                {
                    *place = Value::String(value.to_owned());
                }
            }
            Place::Field(at) => match &mut request.body {
                Body::Form(fields) => set(fields, *at),
                Body::Multipart(parts) => {
                    if let Some(part) = parts.get_mut(*at) {
                        part.content = value.as_bytes().to_vec();
                    }
                }
                _ => {}
            },
        }
        request
    }
}

fn named(pairs: &[(String, String)], place: fn(usize) -> Place, points: &mut Vec<Point>) {
    for (at, (name, original)) in pairs.iter().enumerate() {
        points.push(Point { place: place(at), name: name.clone(), original: original.clone() });
    }
}

fn walk(value: &Value, at: &str, depth: usize, points: &mut Vec<Point>) {
    if depth > MAX_DEPTH || points.len() >= MAX_POINTS {
        return;
    }
    let mut leaf = |original: String| {
        points.push(Point { place: Place::Json(at.to_owned()), name: at.to_owned(), original });
    };
    match value {
        Value::String(text) => leaf(text.clone()),
        Value::Number(number) => leaf(number.to_string()),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                walk(item, &format!("{at}/{index}"), depth + 1, points);
            }
        }
        Value::Object(fields) => {
            for (name, item) in fields {
                let name = name.replace('~', "~0").replace('/', "~1");
                walk(item, &format!("{at}/{name}"), depth + 1, points);
            }
        }
        Value::Null | Value::Bool(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ServiceKind;
    use serde_json::json;

    #[test]
    fn every_place_can_be_found_and_replaced() {
        let mut request = Request::get(ServiceKind::Rag, "/items/7?q=a");
        request.body = Body::Json(json!({ "a": { "b/c": ["x", 1] }, "on": true }));
        let mut points = request.points();
        points.extend(request.path_points("/items/{id}"));
        let words: Vec<String> = points.iter().map(Point::words).collect();
        assert_eq!(words, ["query q", "body /a/b~1c/0", "body /a/b~1c/1", "path id"]);
        for point in &points {
            let replaced = request.put(point, "it's");
            assert_ne!(replaced, request, "{point:?}");
        }
        assert_eq!(request.put(&points[3], "it's").path, "/items/it%27s");
        assert!(points[3].is_numeric() && !points[0].is_numeric());
    }
}
