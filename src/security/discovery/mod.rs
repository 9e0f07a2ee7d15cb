//! Finds operations: configured ones, the services', what they describe, what their pages link to, and
//! the tools of MCP. Attacked without being listed is only what changes nothing by its method.

mod crawl;
mod description;
pub mod links;
mod sample;
mod tools;

pub use crawl::{linked, loaded, sent_on};
pub use description::Description;
pub use tools::Session;

use reqwest::Method;

use super::calibration::Calibration;
use super::prober::{ProbeError, Prober};
use super::request::{Identity, Request};
use super::surface::{DescribedUpload, Operation, Source, Surface};
use crate::config::{Config, OpenApi, ServiceKind};

/// Why an operation of a description is left alone.
const WRITES: &str = "may change something and is not listed in security.operations";

/// Why a configured operation is left alone.
const KEEPS: &str = "keeps what it is sent, and writing is not allowed (security.writes); one without an answer may";

/// What there is to be attacked, however far the search for it came.
#[derive(Default)]
pub struct Discovery {
    /// What was found.
    pub surface: Surface,
    /// The session of MCP, which has to be closed afterwards.
    pub session: Option<Session>,
    /// Why the search ended before its time.
    pub ended: Option<ProbeError>,
}

/// Finds what there is to be attacked.
pub async fn discover(
    config: &Config,
    prober: &Prober,
    calibration: &Calibration,
    mark: &str,
) -> Discovery {
    let surface = Surface { homes: prober.homes().clone(), ..Surface::default() };
    let mut found = Discovery { surface, ..Discovery::default() };
    found.ended = found.search(config, prober, calibration, mark).await.err();
    found
}

impl Discovery {
    async fn search(
        &mut self,
        config: &Config,
        prober: &Prober,
        calibration: &Calibration,
        mark: &str,
    ) -> Result<(), ProbeError> {
        let surface = &mut self.surface;
        let listed = configured(config, prober, surface).await;
        // They are known without a request.
        services(config, surface);
        listed?;
        for service in prober.services() {
            let own = prober.homes().of(service) == service;
            if own || config.security.discovery.openapi.contains_key(&service) {
                described(config, prober, service, surface).await?;
            }
        }
        // A crawl begins at all that is known by then of the services that are reached in the same way.
        if config.security.discovery.crawl_pages > 0 {
            for service in prober.homes().all() {
                crawl::crawl(config, prober, calibration, service, surface).await?;
            }
        }
        tools::tools(config, prober, mark, surface, &mut self.session).await
    }
}

/// What is listed: all of it is known, also where the budget ends before it is known what may be attacked.
async fn configured(
    config: &Config,
    prober: &Prober,
    surface: &mut Surface,
) -> Result<(), ProbeError> {
    let mut asked = Ok(());
    for operation in &config.security.operations {
        let route = operation.request.path.split('?').next().unwrap_or_default().to_owned();
        let operation = Operation::new(Request::audited(operation), route, Source::Configured);
        let keeps = match config.security.writes {
            true => Ok(false),
            false => keeps(prober, &operation.request).await,
        };
        match keeps {
            Ok(false) => surface.add(operation),
            Ok(true) => surface.skip(operation.place(), KEEPS),
            Err(error) => {
                let why = format!("whether it keeps what it is sent is not known: {error}");
                surface.skip(operation.place(), &why);
                asked = Err(error);
            }
        }
    }
    asked
}

/// Whether a request that is listed keeps what it is sent: by its method, or as its answer tells.
async fn keeps(prober: &Prober, request: &Request) -> Result<bool, ProbeError> {
    if request.method != Method::POST {
        return Ok(!request.is_safe());
    }
    match prober.ask(request).await {
        // Made, done with nothing to say, to be seen elsewhere, or there already.
        Ok(answer) => Ok(matches!(answer.status, 201 | 204 | 205 | 301..=303 | 409)),
        Err(ProbeError::Budget) => Err(ProbeError::Budget),
        // It may have been kept all the same.
        Err(ProbeError::Failed(_)) => Ok(true),
    }
}

/// The operations that load uses and that change nothing: health, and the query of RAG.
fn services(config: &Config, surface: &mut Surface) {
    for (service, endpoint) in config.services.endpoints() {
        let request = Request::get(service, &endpoint.health);
        let mut health = Operation::new(request, endpoint.health.clone(), Source::Service);
        // Health is often open on purpose.
        health.secured = Some(false);
        surface.add(health);
    }
    if let Some(rag) = &config.services.rag {
        let request = Request::of(ServiceKind::Rag, &rag.query);
        let question = "{question}";
        let mut filled = request.clone();
        for point in request.points().iter().filter(|point| point.original.contains(question)) {
            filled = filled.put(point, &point.original.replace(question, "rollback"));
        }
        let route = filled.path.clone();
        surface.add(Operation::new(filled, route, Source::Service));
    }
    if let Some(chat) = &config.services.chat {
        let place = format!("chat POST {}", chat.completions);
        let listed = surface.of(ServiceKind::Chat, "POST", &chat.completions).is_some();
        if !listed {
            surface.skip(place, "costs tokens and is not listed in security.operations");
        }
    }
}

async fn described(
    config: &Config,
    prober: &Prober,
    service: ServiceKind,
    surface: &mut Surface,
) -> Result<(), ProbeError> {
    let wanted = config.security.discovery.openapi.get(&service);
    let text = match wanted {
        Some(OpenApi::None) => return Ok(()),
        Some(OpenApi::File(path)) => match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => {
                surface.notes.push(format!("{}: {error}", path.display()));
                return Ok(());
            }
        },
        Some(OpenApi::Path(path)) => match fetch(prober, service, path).await? {
            Ok(text) => text,
            Err(why) => {
                surface.notes.push(format!("{service} {path}: {why}"));
                return Ok(());
            }
        },
        // Nobody said that there is one.
        None => match fetch(prober, service, "/openapi.json").await? {
            Ok(text) => text,
            Err(_) => return Ok(()),
        },
    };
    match Description::parse(&text) {
        Ok(description) => take(service, &description, surface),
        Err(why) if wanted.is_some() => surface.notes.push(format!("{service}: {why}")),
        Err(_) => {}
    }
    Ok(())
}

/// Asks without credentials where those do not help: descriptions are often public.
async fn fetch(
    prober: &Prober,
    service: ServiceKind,
    path: &str,
) -> Result<Result<String, String>, ProbeError> {
    let request = Request::get(service, path);
    for identity in [Identity::First, Identity::Nobody] {
        match prober.ask(&request.clone().by(identity)).await {
            Ok(answer) if answer.is_success() && answer.whole => return Ok(Ok(answer.body)),
            Ok(answer) if answer.is_success() => return Ok(Err("longer than 256 KiB".into())),
            Ok(_) => {}
            Err(ProbeError::Budget) => return Err(ProbeError::Budget),
            Err(error) => return Ok(Err(error.to_string())),
        }
    }
    Ok(Err("is not there".into()))
}

fn take(service: ServiceKind, description: &Description, surface: &mut Surface) {
    surface.described.push(service);
    for described in &description.operations {
        if described.secured {
            surface.asks_credentials.push(service);
        }
        if described.upload {
            let path = described.route.clone();
            surface.uploads.push(DescribedUpload { service, path });
        }
        if let Some(known) = surface.of(service, described.method.as_str(), &described.route) {
            // A configured request is asked as it stands; the description knows its route.
            known.secured = known.secured.or(Some(described.secured));
            known.route.clone_from(&described.route);
            let path = known.request.path_points(&described.route);
            known.points.retain(|point| !matches!(point.place, super::request::Place::Path(_)));
            known.points.splice(0..0, path);
            continue;
        }
        let mut operation = Operation::new(
            described.request(service),
            described.route.clone(),
            Source::Description,
        );
        operation.secured = Some(described.secured);
        // The route too: a value in its place may hide what it says.
        let quiet =
            crawl::is_quiet(&operation.route) && crawl::is_quiet(&operation.request.target());
        if !operation.request.is_safe() {
            surface.skip(operation.place(), WRITES);
        } else if quiet {
            surface.add(operation);
        } else {
            surface.skip(operation.place(), crawl::ENDS_SOMETHING);
        }
    }
    for ignored in &description.ignored {
        surface.notes.push(format!("{service}: {ignored}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_described_get_that_ends_something_is_left_alone_unless_it_is_configured() {
        let text = r#"{"openapi": "3.0.0", "paths": {
            "/items": {"get": {}, "post": {}},
            "/auth/logout": {"get": {}},
            "/items/{id}/delete": {"get": {}},
            "/cache/purge": {"get": {}}
        }}"#;
        let description = Description::parse(text).expect("a description");
        let mut surface = Surface::default();
        let listed = Request::get(ServiceKind::Rag, "/cache/purge");
        surface.add(Operation::new(listed, "/cache/purge".into(), Source::Configured));
        take(ServiceKind::Rag, &description, &mut surface);
        let mut known: Vec<String> = surface.operations.iter().map(Operation::place).collect();
        known.sort();
        assert_eq!(known, ["rag GET /cache/purge", "rag GET /items"]);
        let mut skipped: Vec<(&str, &str)> =
            surface.skipped.iter().map(|one| (one.place.as_str(), one.reason.as_str())).collect();
        skipped.sort_unstable();
        assert_eq!(
            skipped,
            [
                ("rag GET /auth/logout", crawl::ENDS_SOMETHING),
                ("rag GET /items/{id}/delete", crawl::ENDS_SOMETHING),
                ("rag POST /items", WRITES),
            ]
        );
    }
}
