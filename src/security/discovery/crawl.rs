//! A bounded crawl from `/` and from the pages that are known already: pages of the same service, never
//! what looks as if it ended a session or removed something.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::LazyLock;

use regex::Regex;
use reqwest::Method;

use super::links::{Form, Links, links};
use crate::config::{Config, ServiceKind};
use crate::security::answer::Answer;
use crate::security::calibration::Calibration;
use crate::security::prober::{ProbeError, Prober};
use crate::security::request::{Request, route_of};
use crate::security::surface::{Operation, Source, Surface};

/// Words in a path that a GET had better not follow.
const UNTOUCHED: [&str; 13] = [
    "logout",
    "log-out",
    "log_out",
    "logoff",
    "signout",
    "sign-out",
    "sign_out",
    "delete",
    "remove",
    "destroy",
    "revoke",
    "purge",
    "unsubscribe",
];
/// The same as whole words: in others they mean nothing of the kind, as in `presets`.
const UNTOUCHED_WORDS: [&str; 19] = [
    "reset",
    "clear",
    "flush",
    "truncate",
    "drop",
    "evict",
    "invalidate",
    "rotate",
    "rollback",
    "stop",
    "restart",
    "reboot",
    "shutdown",
    "terminate",
    "cancel",
    "erase",
    "wipe",
    "deactivate",
    "disable",
];
/// Why a GET is left alone that looks like that.
pub(super) const ENDS_SOMETHING: &str =
    "looks as if it ended a session or removed something and is not listed in security.operations";
/// Links to pages with the same parameters of which a few tell enough.
const SAME_ROUTE: usize = 3;
/// Known operations that are searched for links.
const MAX_KNOWN: usize = 60;
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
    let mut walk = Walk::of(service, surface, limits.crawl_pages);
    while let Some((path, depth)) = walk.pop() {
        let request = Request::get(service, &path);
        let answer = match prober.ask(&request).await {
            Ok(answer) => answer,
            Err(ProbeError::Budget) => return Err(ProbeError::Budget),
            Err(_) => continue,
        };
        if answer.is_success() && !calibration.is_missing(&request, &answer) {
            let route = surface.route_of(service, &request.method, &request.path);
            let route = route.unwrap_or_else(|| route_of(&request.path));
            surface.add(Operation::new(request.clone(), route, Source::Link));
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
            if depth < limits.crawl_depth {
                walk.note(page, depth + 1);
            }
        }
    }
    if walk.left > 0 {
        let more = format!("{service}: {} pages followed, more were linked", walk.followed);
        surface.notes.push(more);
    }
    Ok(())
}

/// What is still to be asked.
struct Walk {
    service: ServiceKind,
    linked: VecDeque<(String, u32)>,
    known: VecDeque<String>,
    seen: HashSet<String>,
    /// How many pages of a shape were linked.
    shapes: HashMap<String, usize>,
    followed: u32,
    most: u32,
    /// Linked pages that were too many.
    left: usize,
}

impl Walk {
    fn of(service: ServiceKind, surface: &Surface, most: u32) -> Self {
        let known = beginnings(service, surface);
        let seen = known.iter().cloned().chain(["/".to_owned()]).collect();
        let linked = VecDeque::from([("/".to_owned(), 0)]);
        Self { service, linked, known, seen, shapes: HashMap::new(), followed: 0, most, left: 0 }
    }

    /// The next page and its distance from where it began. What is known already takes nothing of what
    /// may be followed.
    fn pop(&mut self) -> Option<(String, u32)> {
        if self.followed == self.most {
            self.left += self.linked.len();
            self.linked.clear();
        }
        if let Some(next) = self.linked.pop_front() {
            self.followed += 1;
            return Some(next);
        }
        self.known.pop_front().map(|path| (path, 0))
    }

    /// A page that was linked.
    fn note(&mut self, page: String, depth: u32) {
        let alike = self.shapes.entry(Request::get(self.service, &page).shape()).or_insert(0);
        if is_quiet(&page) && *alike < SAME_ROUTE && self.seen.insert(page.clone()) {
            *alike += 1;
            self.linked.push_back((page, depth));
        }
    }
}

/// Whether a GET ends no session and removes nothing, as far as its path and query tell.
pub(super) fn is_quiet(page: &str) -> bool {
    let page = page.to_lowercase();
    let mut words = page.split(|c: char| !c.is_ascii_alphanumeric());
    !UNTOUCHED.iter().any(|word| page.contains(word))
        && !words.any(|word| UNTOUCHED_WORDS.contains(&word))
}

/// Where it begins besides `/`: what no page links to has links and scripts of its own.
fn beginnings(service: ServiceKind, surface: &Surface) -> VecDeque<String> {
    let known = surface.operations.iter().map(|operation| &operation.request);
    let own = |request: &&Request| surface.homes.of(request.service) == service;
    let known = known.filter(|request| request.method == Method::GET).filter(own);
    let mut queue = VecDeque::new();
    for path in known.map(Request::target).filter(|path| path != "/") {
        if !queue.contains(&path) && queue.len() < MAX_KNOWN {
            queue.push_back(path);
        }
    }
    queue
}

/// Paths below the base URL that a page links to and that have a text in them.
pub fn linked(prober: &Prober, page: &Request, answer: &Answer, with: &str) -> Vec<String> {
    let home = Home::of(prober, page.service);
    let pages = links(&answer.media_type(), &answer.body).pages;
    let such = pages.iter().filter(|link| link.contains(with));
    such.filter_map(|link| home.inside(link, &page.path)).filter(|page| is_quiet(page)).collect()
}

/// The path below the base URL that an answer sends on to with another request; what it would end stays.
pub fn sent_on(prober: &Prober, request: &Request, answer: &Answer) -> Option<String> {
    if !matches!(answer.status, 301..=303) {
        return None;
    }
    let home = Home::of(prober, request.service);
    home.inside(answer.header("location"), &request.path).filter(|page| is_quiet(page))
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

/// What a script calls another one.
static NAMES: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"["'`]([A-Za-z0-9_./-]{1,200}\.m?js)["'`]"#).ok());

/// Scripts that a script loads when they are needed, and their source maps.
pub fn loaded(prober: &Prober, script: &Request, answer: &Answer) -> Vec<Request> {
    let home = Home::of(prober, script.service);
    let mut paths: Vec<String> = Vec::new();
    for name in scripts_in(&answer.body) {
        paths.extend(home.inside(&name, &script.path));
    }
    let both = paths.into_iter().flat_map(|path| [path.clone(), format!("{path}.map")]);
    both.map(|path| Request::get(script.service, &path)).collect()
}

/// The names of scripts in a script: beside it, or from the top where they name a folder.
fn scripts_in(body: &str) -> Vec<String> {
    let names = NAMES.as_ref().into_iter().flat_map(|names| names.captures_iter(body));
    let names = names.filter_map(|found| found.get(1)).map(|name| name.as_str());
    let from_top = |name: &str| !name.starts_with(['.', '/']) && name.contains('/');
    let names = names.map(|name| if from_top(name) { format!("/{name}") } else { name.to_owned() });
    names.take(MAX_SCRIPTS).collect()
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
    let quiet = is_quiet(&request.target());
    let known = surface.of(service, "GET", &route).is_some();
    let form = Operation::new(request, route, Source::Link);
    if quiet {
        surface.add(form);
    } else if !known {
        surface.skip(form.place(), ENDS_SOMETHING);
    }
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
            let link = link.strip_prefix("./").unwrap_or(link);
            if link.starts_with('?') {
                return Some(format!("{page}{link}"));
            }
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
        assert_eq!(inside("./page").as_deref(), Some("/docs/page"));
        assert_eq!(inside("?sort=name").as_deref(), Some("/docs/index?sort=name"));
        for other in
            ["/other", "http://evil/", "//evil/", "mailto:a@b", "javascript:x", "", "../up"]
        {
            assert_eq!(inside(other), None, "{other}");
        }
        assert_eq!(route_of("/v1/items/17/parts/a1"), "/v1/items/{id}/parts/a1");
        let bare = Home { origin: "http://h:1".into(), prefix: String::new() };
        assert_eq!(bare.inside("http://h:10/x", "/"), None, "another port is another service");
    }

    #[test]
    fn scripts_name_others_beside_them_and_from_the_top() {
        let body =
            "import('./part-1a.js'); const all = [\"assets/b.mjs\", `/c.js`, 'd.js'], x = 'e.json'";
        assert_eq!(scripts_in(body), ["./part-1a.js", "/assets/b.mjs", "/c.js", "d.js"]);
    }

    #[test]
    fn what_looks_as_if_it_ended_something_is_not_followed() {
        for page in [
            "/a/logout",
            "/jobs/7/cancel",
            "/admin?do=restart",
            "/x/delete-all",
            "/re-set/reset",
            "/cache/clear",
        ] {
            assert!(!is_quiet(page), "{page}");
        }
        for page in ["/presets", "/clearance", "/cancelled", "/disabled?sort=name", "/log"] {
            assert!(is_quiet(page), "{page}");
        }
    }

    #[test]
    fn a_form_that_ends_something_is_left_alone_with_the_reason() {
        let home = Home { origin: "http://h:1".into(), prefix: String::new() };
        let mut surface = Surface::default();
        let fields = |name: &str| vec![("do".to_owned(), name.to_owned())];
        for (action, name) in [("/find", "look"), ("/session/log-out", "x"), ("/papers", "purge")] {
            let form = Form { action: action.into(), fields: fields(name), ..Form::default() };
            take_form(&home, ServiceKind::Rag, "/", &form, &mut surface);
        }
        let known: Vec<String> = surface.operations.iter().map(Operation::place).collect();
        assert_eq!(known, ["rag GET /find"]);
        let skipped: Vec<&str> = surface.skipped.iter().map(|one| one.place.as_str()).collect();
        assert_eq!(skipped, ["rag GET /session/log-out", "rag GET /papers"]);
        assert!(surface.skipped.iter().all(|one| one.reason == ENDS_SOMETHING));
    }
}
