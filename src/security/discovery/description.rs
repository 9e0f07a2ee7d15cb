//! OpenAPI 3: operations, parameters and bodies with values to begin with. A description comes from
//! the target, so whatever stands in it is bounded and nothing of it is trusted.

use reqwest::Method;
use serde_json::Value;

use super::sample::{Resolver, sample};
use crate::config::ServiceKind;
use crate::platform::text::excerpt;
use crate::security::request::{Body, Part, Request};

/// Most operations of one description.
const MAX_OPERATIONS: usize = 300;
/// Most parameters of one operation.
const MAX_PARAMETERS: usize = 30;

/// What an OpenAPI description says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Description {
    /// Its operations.
    pub operations: Vec<Described>,
    /// What could not be used, in words.
    pub ignored: Vec<String>,
}

/// One operation.
#[derive(Clone, Debug, PartialEq)]
pub struct Described {
    /// HTTP method.
    pub method: Method,
    /// Path with names in braces.
    pub route: String,
    /// Whether it asks for credentials.
    pub secured: bool,
    /// Whether a file is part of its body.
    pub upload: bool,
    path: Vec<(String, String)>,
    query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    cookies: Vec<(String, String)>,
    body: Body,
}

impl Described {
    /// The request with values to begin with.
    pub fn request(&self, service: ServiceKind) -> Request {
        let mut path = self.route.clone();
        for (name, value) in &self.path {
            path = path.replace(&format!("{{{name}}}"), &crate::security::request::segment(value));
        }
        let mut request = Request::get(service, "/");
        request.path = path;
        request.method = self.method.clone();
        request.query.clone_from(&self.query);
        request.headers.clone_from(&self.headers);
        request.cookies.clone_from(&self.cookies);
        request.body = self.body.clone();
        request
    }
}

impl Description {
    /// Reads a description, JSON or YAML.
    ///
    /// # Errors
    /// When it is no OpenAPI 3.
    pub fn parse(text: &str) -> Result<Self, String> {
        let document: Value = serde_json::from_str(text)
            .or_else(|_| serde_yaml::from_str(text))
            .map_err(|_| "neither JSON nor YAML".to_owned())?;
        let version = document.get("openapi").and_then(Value::as_str).unwrap_or_default();
        if !version.starts_with("3.") {
            return Err("no OpenAPI 3 description".into());
        }
        let mut description = Self::default();
        let resolver = Resolver::new(&document);
        let prefix = prefix(&document);
        let paths = document.get("paths").and_then(Value::as_object);
        for (route, item) in paths.into_iter().flatten() {
            if !route.starts_with('/') {
                description
                    .ignored
                    .push(format!("path `{}` does not begin with /", excerpt(route)));
                continue;
            }
            let item = resolver.resolve(item);
            for (method, operation) in item.as_object().into_iter().flatten() {
                let Some(method) = method_of(method) else { continue };
                if description.operations.len() == MAX_OPERATIONS {
                    description.ignored.push(format!("more than {MAX_OPERATIONS} operations"));
                    return Ok(description);
                }
                let route = format!("{prefix}{route}");
                let one = operation_of(&resolver, method, route, item, operation, &document);
                description.operations.push(one);
            }
        }
        Ok(description)
    }
}

fn method_of(name: &str) -> Option<Method> {
    let known = ["get", "head", "post", "put", "patch", "delete", "options", "trace"];
    known.contains(&name).then(|| name.to_uppercase().parse().ok()).flatten()
}

/// The path of the first server that is relative: another host is never asked.
fn prefix(document: &Value) -> String {
    let servers = document.get("servers").and_then(Value::as_array).into_iter().flatten();
    let mut urls = servers.filter_map(|server| server.get("url").and_then(Value::as_str));
    let relative =
        |url: &&str| url.starts_with('/') && !url.starts_with("//") && !url.contains('{');
    urls.find(relative).unwrap_or_default().trim_end_matches('/').to_owned()
}

fn operation_of(
    resolver: &Resolver<'_>,
    method: Method,
    route: String,
    item: &Value,
    operation: &Value,
    document: &Value,
) -> Described {
    let security = operation.get("security").or_else(|| document.get("security"));
    let alternatives = security.and_then(Value::as_array);
    // An empty alternative means that nothing is needed.
    let secured = alternatives.is_some_and(|all| {
        !all.is_empty() && all.iter().all(|one| one.as_object().is_some_and(|one| !one.is_empty()))
    });
    let mut described = Described {
        method,
        route,
        secured,
        upload: false,
        path: Vec::new(),
        query: Vec::new(),
        headers: Vec::new(),
        cookies: Vec::new(),
        body: Body::Empty,
    };
    let lists = [operation.get("parameters"), item.get("parameters")];
    let parameters = lists.into_iter().flatten().filter_map(Value::as_array).flatten();
    for parameter in parameters.take(MAX_PARAMETERS) {
        let parameter = resolver.resolve(parameter);
        let text = |name: &str| parameter.get(name).and_then(Value::as_str);
        let (Some(name), Some(place)) = (text("name"), text("in")) else { continue };
        let list = match place {
            "path" => &mut described.path,
            "query" => &mut described.query,
            "cookie" => &mut described.cookies,
            // Credentials and what the client itself says are no parameters.
            "header" if !is_own(name) => &mut described.headers,
            _ => continue,
        };
        if !list.iter().any(|(known, _)| known == name) {
            list.push((name.to_owned(), plain(&sample(resolver, parameter))));
        }
    }
    let body = operation.get("requestBody").map(|body| resolver.resolve(body));
    if let Some(content) = body.and_then(|body| body.get("content")).and_then(Value::as_object) {
        (described.body, described.upload) = body_of(resolver, content);
    }
    described
}

fn is_own(name: &str) -> bool {
    ["authorization", "accept", "content-type", "host", "content-length", "cookie"]
        .iter()
        .any(|own| own.eq_ignore_ascii_case(name))
}

fn body_of(resolver: &Resolver<'_>, content: &serde_json::Map<String, Value>) -> (Body, bool) {
    let of = |kind: &str| {
        content.iter().find(|(name, _)| name.starts_with(kind)).map(|(_, media)| media)
    };
    let binary =
        ["application/octet-stream", "image/", "application/pdf"].iter().any(|k| of(k).is_some());
    if let Some(media) = of("multipart/form-data") {
        let schema = resolver.resolve(media.get("schema").unwrap_or(&Value::Null));
        let properties = schema.get("properties").and_then(Value::as_object);
        let mut upload = false;
        let mut parts = Vec::new();
        for (name, property) in properties.into_iter().flatten().take(MAX_PARAMETERS) {
            if is_file(resolver.resolve(property)) {
                upload = true;
            } else {
                parts.push(Part::field(name.clone(), plain(&sample(resolver, property))));
            }
        }
        return (Body::Multipart(parts), upload);
    }
    if let Some(media) = of("application/json") {
        return (Body::Json(sample(resolver, media)), false);
    }
    if let Some(media) = of("application/x-www-form-urlencoded") {
        let fields = sample(resolver, media);
        let fields = fields.as_object().into_iter().flatten();
        return (
            Body::Form(fields.map(|(name, value)| (name.clone(), plain(value))).collect()),
            false,
        );
    }
    (Body::Empty, binary)
}

/// A file, as OpenAPI 3.0 and 3.1 say it; or several of them.
fn is_file(schema: &Value) -> bool {
    let text = |name: &str| schema.get(name).and_then(Value::as_str);
    text("format") == Some("binary")
        || text("contentMediaType").is_some()
        || schema.get("items").is_some_and(is_file)
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn operations_come_with_values_for_everything() {
        let text = json!({
            "openapi": "3.0.3",
            "servers": [{ "url": "https://elsewhere.example/v1" }, { "url": "/api/" }],
            "security": [{ "bearer": [] }],
            "paths": {
                "/items/{id}": {
                    "parameters": [{ "$ref": "#/components/parameters/id" }],
                    "get": { "parameters": [
                        { "name": "q", "in": "query", "schema": { "type": "string", "enum": ["a", "b"] } },
                        { "name": "x-kind", "in": "header", "example": "k" },
                        { "name": "Authorization", "in": "header" },
                        { "name": "sid", "in": "cookie" },
                    ] },
                    "post": { "security": [], "requestBody": { "content": { "application/json": {
                        "schema": { "$ref": "#/components/schemas/item" } } } } },
                },
                "/files": { "post": { "requestBody": { "content": { "multipart/form-data": { "schema": {
                    "properties": { "file": { "type": "string", "format": "binary" }, "note": { "type": "string" } } } } } } } },
            },
            "components": {
                "parameters": { "id": { "name": "id", "in": "path", "schema": { "type": "integer" } } },
                "schemas": { "item": { "type": "object", "properties": {
                    "name": { "type": "string", "default": "n" }, "parent": { "$ref": "#/components/schemas/item" } } } },
            },
        });
        let described = Description::parse(&text.to_string()).expect("OpenAPI");
        let by = |method: Method, route: &str| {
            let found =
                described.operations.iter().find(|o| o.method == method && o.route == route);
            found.expect("described").clone()
        };
        let get = by(Method::GET, "/api/items/{id}");
        assert!(get.secured && !get.upload);
        let request = get.request(ServiceKind::Rag);
        assert_eq!(request.target(), "/api/items/1?q=a");
        assert_eq!(request.headers, [("x-kind".into(), "k".into())]);
        assert_eq!(request.cookies.len(), 1);
        let post = by(Method::POST, "/api/items/{id}");
        assert!(!post.secured, "an empty list asks for nothing");
        assert!(matches!(&post.body, Body::Json(body) if body["name"] == "n"), "{:?}", post.body);
        let files = by(Method::POST, "/api/files");
        assert!(files.upload);
        assert!(matches!(&files.body, Body::Multipart(parts) if parts.len() == 1));
    }

    #[test]
    fn other_hosts_other_versions_and_nonsense_are_refused() {
        for text in ["", "[]", "{}", r#"{"swagger":"2.0"}"#, "openapi: [3]", "<html>"] {
            assert!(Description::parse(text).is_err(), "{text}");
        }
        let far = r#"{"openapi":"3.1.0","servers":[{"url":"https://other.example/x"}],"paths":{"/a":{"get":{}}}}"#;
        let described = Description::parse(far).expect("OpenAPI");
        assert_eq!(described.operations[0].route, "/a");
    }
}
