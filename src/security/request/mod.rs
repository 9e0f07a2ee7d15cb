//! A request of the audit as data, and the places in it where a value can be put.

mod encode;
mod place;

use reqwest::Method;
use serde_json::Value;

pub use encode::{decode, segment};
pub use place::{Place, Point};

use crate::config::{self, AuditedOperation, ServiceKind};

/// With whose credentials a request goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Identity {
    /// The configured ones of the service.
    #[default]
    First,
    /// Those of the second user.
    Second,
    /// None.
    Nobody,
}

/// What a request carries.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Body {
    /// Nothing.
    #[default]
    Empty,
    /// JSON.
    Json(Value),
    /// An HTML form.
    Form(Vec<(String, String)>),
    /// multipart/form-data.
    Multipart(Vec<Part>),
    /// Bytes of a media type, as they are.
    Raw(String, Vec<u8>),
}

/// A part of multipart/form-data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Name of the field.
    pub name: String,
    /// Name of the file as it goes over the wire; none for a field that is no file.
    pub file_name: Option<String>,
    /// Its Content-Type.
    pub content_type: Option<String>,
    /// What it holds.
    pub content: Vec<u8>,
}

/// A request of the audit.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// To which service.
    pub service: ServiceKind,
    /// HTTP method.
    pub method: Method,
    /// Path below the base URL exactly as it goes over the wire.
    pub path: String,
    /// Query, not encoded yet.
    pub query: Vec<(String, String)>,
    /// Headers besides the configured ones; they replace those.
    pub headers: Vec<(String, String)>,
    /// Cookies, not encoded yet.
    pub cookies: Vec<(String, String)>,
    /// What it carries.
    pub body: Body,
    /// With whose credentials it goes.
    pub identity: Identity,
}

impl Request {
    /// A GET with the configured credentials; the path may have a query.
    pub fn get(service: ServiceKind, path: &str) -> Self {
        let (path, query) = encode::split_query(path);
        Self {
            service,
            method: Method::GET,
            path,
            query,
            headers: Vec::new(),
            cookies: Vec::new(),
            body: Body::Empty,
            identity: Identity::First,
        }
    }

    /// A configured request.
    pub fn of(service: ServiceKind, operation: &config::Operation) -> Self {
        let mut request = Self::get(service, &operation.path);
        request.method = operation.method.to_uppercase().parse().unwrap_or(Method::GET);
        request.body = operation.body.clone().map_or(Body::Empty, Body::Json);
        request
    }

    /// A configured request with what is named beside it.
    pub fn audited(operation: &AuditedOperation) -> Self {
        let mut request = Self::of(operation.service, &operation.request);
        for (name, value) in &operation.values {
            request.path = request.path.replace(&format!("{{{name}}}"), &encode::segment(value));
        }
        let pairs = |map: &std::collections::BTreeMap<String, String>| -> Vec<(String, String)> {
            map.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
        };
        request.headers = pairs(&operation.headers);
        request.cookies = pairs(&operation.cookies);
        if operation.multipart {
            let part = |(name, value): (String, String)| Part::field(name, value);
            request.body = Body::Multipart(pairs(&operation.form).into_iter().map(part).collect());
        } else if !operation.form.is_empty() {
            request.body = Body::Form(pairs(&operation.form));
        }
        request
    }

    /// With another header; one of that name is replaced.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With other credentials.
    pub const fn by(mut self, identity: Identity) -> Self {
        self.identity = identity;
        self
    }

    /// Whether it is one that changes nothing by its method.
    pub fn is_safe(&self) -> bool {
        self.method.is_safe()
    }

    /// Where it goes, in words.
    pub fn place(&self) -> String {
        format!("{} {} {}", self.service, self.method, self.path)
    }

    /// Its path with names in the place of ids, and the names of its parameters.
    pub fn shape(&self) -> String {
        let names: Vec<&str> = self.query.iter().map(|(name, _)| name.as_str()).collect();
        format!("{}?{}", route_of(&self.path), names.join("&"))
    }

    /// Path and query with what cannot stand in a request line encoded.
    pub fn wire_target(&self) -> String {
        encode::raw(&self.target())
    }

    /// Path and query as they are asked for.
    pub fn target(&self) -> String {
        match self.query.is_empty() {
            true => self.path.clone(),
            false => format!("{}?{}", self.path, encode::form(&self.query)),
        }
    }
}

/// A path with names in the place of what looks like an id: numbers and UUIDs.
pub fn route_of(path: &str) -> String {
    let uuid =
        |text: &str| text.len() == 36 && text.chars().all(|c| c == '-' || c.is_ascii_hexdigit());
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let name = |text| if number(text) || uuid(text) { "{id}" } else { text };
    path.split('/').map(name).collect::<Vec<_>>().join("/")
}

impl Part {
    /// A field that is no file.
    pub fn field(name: String, value: String) -> Self {
        Self { name, file_name: None, content_type: None, content: value.into_bytes() }
    }
}
