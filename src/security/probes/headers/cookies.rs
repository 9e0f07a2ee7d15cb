//! Cookies that scripts can read, that go without TLS, or that other sites make a browser send.

use super::Page;
use crate::run::event::{Finding, Severity};
use crate::security::answer::Answer;
use crate::security::rules::COOKIE;

/// A cookie as it is set.
pub struct Cookie {
    /// Its name.
    pub name: String,
    /// Secure.
    pub secure: bool,
    /// HttpOnly.
    pub http_only: bool,
    /// SameSite, in lower case; empty when it is not said.
    pub same_site: String,
}

impl Cookie {
    /// Whether it looks like the one that holds a session.
    pub fn is_session(&self) -> bool {
        let name = self.name.to_lowercase();
        let mut words = name.split(|c: char| !c.is_ascii_alphanumeric());
        let called = words.any(|word| {
            ["sess", "sid", "auth", "jwt"].contains(&word)
                || ["session", "sessid", "sessionid", "token"].iter().any(|end| word.ends_with(end))
        });
        // What scripts have to read on purpose.
        called && !name.contains("csrf") && !name.contains("xsrf")
    }
}

/// The cookies that an answer sets.
pub fn cookies(answer: &Answer) -> Vec<Cookie> {
    let of = |text: &&str| {
        let mut parts = text.split(';').map(str::trim);
        let name = parts.next()?.split('=').next()?.to_owned();
        let rest: Vec<String> = parts.map(str::to_lowercase).collect();
        let same_site = rest.iter().find_map(|part| part.strip_prefix("samesite="));
        Some(Cookie {
            name,
            secure: rest.iter().any(|part| part == "secure"),
            http_only: rest.iter().any(|part| part == "httponly"),
            same_site: same_site.unwrap_or_default().to_owned(),
        })
    };
    answer.all("set-cookie").iter().filter_map(of).collect()
}

/// Judges the cookies of an answer.
pub fn judge(page: &Page<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for cookie in cookies(page.answer) {
        let mut missing = Vec::new();
        if page.tls && !cookie.secure {
            missing.push("Secure");
        }
        if cookie.is_session() && !cookie.http_only {
            missing.push("HttpOnly");
        }
        if cookie.same_site == "none" && !cookie.secure {
            missing.push("Secure with SameSite=None");
        }
        if cookie.is_session() && cookie.same_site.is_empty() {
            missing.push("SameSite");
        }
        if missing.is_empty() {
            continue;
        }
        let severe = cookie.is_session() && missing != ["SameSite"];
        let severity = if severe { Severity::Medium } else { Severity::Low };
        let evidence = format!("set-cookie: {} without {}", cookie.name, missing.join(", "));
        let mut finding = COOKIE.finding(severity, &page.place, Some(&cookie.name));
        finding.title = "a cookie can be read or sent by others".into();
        finding.evidence = crate::platform::text::excerpt(&evidence);
        findings.push(finding);
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::security::answer::tests::answer;

    #[test]
    fn a_cookie_of_a_session_is_known_by_a_word_of_its_name() {
        let is_session = |name: &str| {
            let set = format!("{name}=1");
            cookies(&answer(200, &[("set-cookie", &set)], ""))[0].is_session()
        };
        for name in ["PHPSESSID", "connect.sid", "ASP.NET_SessionId", "session", "authToken", "jwt"]
        {
            assert!(is_session(name), "{name}");
        }
        for name in ["sidebar_state", "author", "last_login", "csrftoken", "assessment", "theme"] {
            assert!(!is_session(name), "{name}");
        }
    }
}
