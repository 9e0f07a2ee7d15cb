//! What there is to be attacked: operations with their insertion points, and those that are left
//! alone, with the reason.

use crate::config::ServiceKind;
use crate::run::event::{Discovered, Skipped};

use reqwest::Method;

use super::homes::Homes;
use super::request::{Point, Request};

/// Skipped operations that are told of one by one.
const TOLD: usize = 100;

/// How an operation became known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// From `security.operations`.
    Configured,
    /// From the services as they are configured.
    Service,
    /// From a description in OpenAPI.
    Description,
    /// From a link or a form.
    Link,
    /// From the tools of MCP.
    Tool,
}

impl Source {
    const fn words(self) -> &'static str {
        match self {
            Self::Configured => "configuration",
            Self::Service => "services",
            Self::Description => "OpenAPI",
            Self::Link => "links",
            Self::Tool => "MCP tools",
        }
    }
}

/// An operation that may be attacked.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    /// The request as it is well.
    pub request: Request,
    /// Its path with names in the place of values, such as `/items/{id}`.
    pub route: String,
    /// How it became known.
    pub source: Source,
    /// Whether it says of itself that it needs credentials; none when it says nothing.
    pub secured: Option<bool>,
    /// The places in which values can be put.
    pub points: Vec<Point>,
}

impl Operation {
    /// An operation with the places that its request shows.
    pub fn new(request: Request, route: String, source: Source) -> Self {
        let mut points = request.path_points(&route);
        points.extend(request.points());
        Self { request, route, source, secured: None, points }
    }

    /// Where it is, in words that stay the same from run to run.
    pub fn place(&self) -> String {
        format!("{} {}", self.request.service, self.address())
    }

    /// The same without its service.
    fn address(&self) -> String {
        let body = match &self.request.body {
            super::request::Body::Json(body) => body.pointer("/params/name"),
            _ => None,
        };
        let tool = body.and_then(serde_json::Value::as_str).filter(|_| self.source == Source::Tool);
        let tool = tool.map(|name| format!(" tool {name}")).unwrap_or_default();
        format!("{} {}{tool}", self.request.method, self.route)
    }
}

/// An upload that a description shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedUpload {
    /// Of which service.
    pub service: ServiceKind,
    /// Its path.
    pub path: String,
}

/// What there is to be attacked.
#[derive(Clone, Debug, Default)]
pub struct Surface {
    /// Operations that may be attacked.
    pub operations: Vec<Operation>,
    /// Those that may not.
    pub skipped: Vec<Skipped>,
    /// Services that describe themselves.
    pub described: Vec<ServiceKind>,
    /// Whether any description asks for credentials, by service.
    pub asks_credentials: Vec<ServiceKind>,
    /// Uploads that descriptions show.
    pub uploads: Vec<DescribedUpload>,
    /// Scripts and their source maps that pages name.
    pub scripts: Vec<Request>,
    /// What is worth knowing of the discovery itself.
    pub notes: Vec<String>,
    /// Which services are reached in the same way as which.
    pub homes: Homes,
}

impl Surface {
    /// Adds an operation. One that is there already only learns whether it needs credentials; with
    /// values in places that the known one does not have it is another request to the same, and so is
    /// a configured one with other values.
    pub fn add(&mut self, mut operation: Operation) {
        let configured = operation.source == Source::Configured;
        let homes = &self.homes;
        let key = |of: &Operation| (homes.of(of.request.service), of.address());
        let same = |other: &Operation| key(other) == key(&operation);
        let mut secured = None;
        let mut known = false;
        for other in self.operations.iter_mut().filter(|other| same(other)) {
            other.secured = other.secured.or(operation.secured);
            secured = secured.or(other.secured);
            known |= operation.points.iter().all(|point| {
                other.points.iter().any(|of| {
                    of.words() == point.words() && (!configured || of.original == point.original)
                })
            });
        }
        if !known {
            operation.secured = operation.secured.or(secured);
            self.operations.push(operation);
        }
    }

    /// Leaves an operation out.
    pub fn skip(&mut self, place: String, reason: &str) {
        if !self.skipped.iter().any(|skipped| skipped.place == place) {
            self.skipped.push(Skipped { place, reason: reason.to_owned() });
        }
    }

    /// The operation that a method and a path belong to, where it is known: as it stands, or with
    /// values in the place of the names of its route.
    pub fn of(
        &mut self,
        service: ServiceKind,
        method: &str,
        route: &str,
    ) -> Option<&mut Operation> {
        let homes = &self.homes;
        self.operations.iter_mut().find(|operation| {
            let request = &operation.request;
            homes.of(request.service) == homes.of(service)
                && request.method.as_str().eq_ignore_ascii_case(method)
                && (operation.route == route || fits(route, &request.path))
        })
    }

    /// The known route that a path belongs to.
    pub fn route_of(&self, service: ServiceKind, method: &Method, path: &str) -> Option<String> {
        let homes = &self.homes;
        let same = |one: &&Operation| {
            homes.of(one.request.service) == homes.of(service) && one.request.method == *method
        };
        let mut known = self.operations.iter().filter(same);
        known.find(|one| fits(&one.route, path)).map(|one| one.route.clone())
    }

    /// Operations found, attackable or not.
    pub fn found(&self) -> u32 {
        (self.operations.len() + self.skipped.len()) as u32
    }

    /// What is told of it.
    pub fn told(&self) -> Discovered {
        let mut sources: Vec<(Source, u32)> = Vec::new();
        for operation in &self.operations {
            match sources.iter_mut().find(|(source, _)| *source == operation.source) {
                Some((_, n)) => *n += 1,
                None => sources.push((operation.source, 1)),
            }
        }
        sources.sort_unstable();
        Discovered {
            found: self.found(),
            attackable: self.operations.len() as u32,
            points: self.operations.iter().map(|one| one.points.len() as u32).sum(),
            sources: sources.into_iter().map(|(of, n)| (of.words().to_owned(), n)).collect(),
            skipped: self.skipped.iter().take(TOLD).cloned().collect(),
            notes: self.notes.clone(),
        }
    }
}

/// Whether a path is one of a route.
pub fn fits(route: &str, path: &str) -> bool {
    let (route, path): (Vec<&str>, Vec<&str>) =
        (route.split('/').collect(), path.split('/').collect());
    route.len() == path.len()
        && route
            .iter()
            .zip(&path)
            .all(|(of, is)| of == is || (of.starts_with('{') && !is.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_with_values_in_other_places_are_others() {
        let mut surface = Surface::default();
        for path in ["/items?a=1", "/items?b=1", "/items?a=1"] {
            let request = Request::get(ServiceKind::Rag, path);
            surface.add(Operation::new(request, "/items".into(), Source::Configured));
        }
        assert_eq!(surface.operations.len(), 2);
        // What a link adds to an operation that is known is a place more, and what it repeats is not.
        for path in ["/items?a=7", "/items?a=2&sort=name", "/items?sort=age"] {
            let request = Request::get(ServiceKind::Rag, path);
            surface.add(Operation::new(request, "/items".into(), Source::Link));
        }
        let last = surface.operations.last().expect("added").points.iter();
        assert_eq!(last.map(|point| point.words()).collect::<Vec<_>>(), ["query a", "query sort"]);
        assert_eq!(surface.operations.len(), 3);
    }

    #[test]
    fn what_several_services_have_behind_one_gateway_is_one() {
        let of = |service| {
            Operation::new(Request::get(service, "/items"), "/items".into(), Source::Description)
        };
        let homes = Homes::from_iter([(ServiceKind::Mcp, ServiceKind::Rag)]);
        let mut surface = Surface { homes, ..Surface::default() };
        for service in [ServiceKind::Rag, ServiceKind::Mcp, ServiceKind::Chat] {
            surface.add(of(service));
        }
        let known: Vec<String> = surface.operations.iter().map(Operation::place).collect();
        assert_eq!(known, ["rag GET /items", "chat GET /items"]);
        assert!(surface.of(ServiceKind::Mcp, "GET", "/items").is_some());
        let route = surface.route_of(ServiceKind::Mcp, &Method::GET, "/items");
        assert_eq!(route.as_deref(), Some("/items"));
    }

    #[test]
    fn an_operation_that_is_known_twice_is_one() {
        let mut surface = Surface::default();
        let get = |path: &str, route: &str, source| {
            Operation::new(Request::get(ServiceKind::Rag, path), route.into(), source)
        };
        surface.add(get("/items/7", "/items/{id}", Source::Configured));
        let mut described = get("/items/1", "/items/{id}", Source::Description);
        described.secured = Some(true);
        surface.add(described);
        assert_eq!(surface.operations.len(), 1);
        assert_eq!(surface.operations[0].secured, Some(true));
        assert!(surface.of(ServiceKind::Rag, "GET", "/items/{item}").is_some());
        assert!(surface.of(ServiceKind::Rag, "GET", "/other/{item}").is_none());
    }
}
