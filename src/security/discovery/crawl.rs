//! A bounded crawl from `/` and from the pages that are known already: pages of the same service, never
//! what looks as if it ended a session or removed something.

use std::collections::{HashSet, VecDeque};

use reqwest::Method;

use super::links::{Form, Links, links};
use crate::config::{Config, ServiceKind};
use crate::security::calibration::Calibration;
use crate::security::prober::{ProbeError, Prober};
use crate::security::request::Request;
use crate::security::surface::{Operation, Source, Surface};

/// Words in a path that a GET had better not follow.
const UNTOUCHED: [&str; 8] =
    ["logout", "signout", "sign-out", "delete", "remove", "destroy", "revoke", "unsubscribe"];
/// Links to pages with the same parameters of which a few tell enough.
const SAME_ROUTE: usize = 3;
/// Scripts that are looked at.
const MAX_SCRIPTS: usize = 30;

/// Follows links, and adds what it finds.
///
/// # Errors
/// When the budget is used up.
pub async fn crawl(
    config: &Config,
    prober: &Prober,
    calibration: &Calibration,
    service: ServiceKind,
    surface: &mut Surface,
) -> Result<(), ProbeError> {
    let limits = &config.security.discovery;
    let home = Home::of(prober, service);
    let mut queue = beginnings(service, surface);
    let mut seen: HashSet<String> = queue.iter().map(|(path, _)| path.clone()).collect();
    let mut routes: Vec<String> = Vec::new();
    let mut asked = 0;
    while let Some((path, depth)) = queue.pop_front() {
        if asked == limits.crawl_pages {
            surface.notes.push(format!("{service}: {asked} pages followed, more were linked"));
            break;
        }
        asked += 1;
        let request = Request::get(service, &path);
        let answer = match prober.ask(&request).await {
            Ok(answer) => answer,
            Err(ProbeError::Budget) => return Err(ProbeError::Budget),
            Err(_) => continue,
        };
        let route = request.path.clone();
        if answer.is_success() && !calibration.is_missing(service, &answer) {
            let known = routes.iter().filter(|other| **other == shape(&request)).count();
            if known < SAME_ROUTE && surface.of(service, "GET", &route).is_none() {
                routes.push(shape(&request));
                surface.add(Operation::new(request.clone(), route, Source::Link));
            }
        }
        let mut found = links(&answer.media_type(), &answer.body);
        if matches!(answer.status, 300..=399) {
            found.pages.push(answer.header("location").to_owned());
        }
        let Links { pages, scripts, forms } = found;
        take_scripts(&home, service, &path, &scripts, surface);
        for form in forms {
            take_form(&home, service, &path, &form, surface);
        }
        for page in pages.iter().filter_map(|link| home.inside(link, &path)) {
            let quiet = !UNTOUCHED.iter().any(|word| page.to_lowercase().contains(word));
            if depth < limits.crawl_depth && quiet && seen.insert(page.clone()) {
                queue.push_back((page, depth + 1));
            }
        }
    }
    Ok(())
}

/// Where it begins, all of depth 0. What no page links to has links and scripts of its own.
fn beginnings(service: ServiceKind, surface: &Surface) -> VecDeque<(String, u32)> {
    let known = surface.operations.iter().map(|operation| &operation.request);
    let known = known.filter(|request| request.service == service && request.method == Method::GET);
    let mut queue = VecDeque::from([("/".to_owned(), 0)]);
    for path in known.map(Request::target) {
        if !queue.iter().any(|(other, _)| *other == path) {
            queue.push_back((path, 0));
        }
    }
    queue
}

/// A route with the names of its parameters.
fn shape(request: &Request) -> String {
    let names: Vec<&str> = request.query.iter().map(|(name, _)| name.as_str()).collect();
    format!("{}?{}", request.path, names.join("&"))
}

fn take_scripts(
    home: &Home,
    service: ServiceKind,
    page: &str,
    scripts: &[String],
    surface: &mut Surface,
) {
    for script in scripts.iter().filter_map(|link| home.inside(link, page)) {
        for path in [script.clone(), format!("{script}.map")] {
            let request = Request::get(service, &path);
            if surface.scripts.len() < MAX_SCRIPTS && !surface.scripts.contains(&request) {
                surface.scripts.push(request);
            }
        }
    }
}

fn take_form(home: &Home, service: ServiceKind, page: &str, form: &Form, surface: &mut Surface) {
    let action = if form.action.is_empty() { page } else { form.action.as_str() };
    let Some(path) = home.inside(action, page) else { return };
    let mut request = Request::get(service, &path);
    let route = request.path.clone();
    if form.post {
        let place = format!("{service} POST {route}");
        if surface.of(service, "POST", &route).is_none() {
            surface.skip(place, super::WRITES);
        }
        return;
    }
    request.query.clone_from(&form.fields);
    surface.add(Operation::new(request, route, Source::Link));
}

/// What belongs to a service.
struct Home {
    origin: String,
    prefix: String,
}

impl Home {
    fn of(prober: &Prober, service: ServiceKind) -> Self {
        let origin = prober.web_origin(service).unwrap_or_default();
        Self { origin, prefix: prober.prefix(service).to_owned() }
    }

    /// The path below the base URL that a link on a page leads to; none when it leads elsewhere.
    fn inside(&self, link: &str, page: &str) -> Option<String> {
        let link = link.split('#').next().unwrap_or_default().trim();
        let path = if let Some(path) = link.strip_prefix(&self.origin) {
            if path.is_empty() { "/".to_owned() } else { path.to_owned() }
        } else if link.starts_with("//") || link.contains("://") || link.is_empty() {
            return None;
        } else if link.starts_with('/') {
            link.to_owned()
        } else if link.split('/').next().is_some_and(|first| first.contains(':')) {
            // mailto:, javascript: and the like.
            return None;
        } else {
            let page = page.split('?').next().unwrap_or_default();
            let folder = page.rsplit_once('/').map_or("", |(folder, _)| folder);
            format!("{}{folder}/{link}", self.prefix)
        };
        let path = path.strip_prefix(&self.prefix)?;
        (path.starts_with('/') && !path.contains("/..")).then(|| path.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_belongs_to_the_service_is_followed() {
        let home = Home { origin: "http://h:1".into(), prefix: "/api".into() };
        let inside = |link: &str| home.inside(link, "/docs/index");
        assert_eq!(inside("/api/a?b=1#c").as_deref(), Some("/a?b=1"));
        assert_eq!(inside("http://h:1/api/x").as_deref(), Some("/x"));
        assert_eq!(inside("page").as_deref(), Some("/docs/page"));
        for other in
            ["/other", "http://evil/", "//evil/", "mailto:a@b", "javascript:x", "", "../up"]
        {
            assert_eq!(inside(other), None, "{other}");
        }
        let bare = Home { origin: "http://h:1".into(), prefix: String::new() };
        assert_eq!(bare.inside("http://h:10/x", "/"), None, "another port is another service");
    }
}
