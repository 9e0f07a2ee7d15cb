//! Content security policies, as far as they decide what scripts run and who may frame a page.

use std::collections::BTreeMap;
use std::fmt;

use html5gum::{Token, Tokenizer};

use crate::security::answer::Answer;

/// A policy: directives with their sources, in lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy(BTreeMap<String, Vec<String>>);

impl Policy {
    /// Reads a header. Of a directive that stands there twice the first one counts.
    pub fn parse(header: &str) -> Self {
        let mut directives = BTreeMap::new();
        for directive in header.to_lowercase().split([';', ',']) {
            let mut words = directive.split_whitespace().map(str::to_owned);
            if let Some(name) = words.next() {
                directives.entry(name).or_insert_with(|| words.collect());
            }
        }
        Self(directives)
    }

    /// That of a page: of its headers, and where these say nothing of scripts of the first element that
    /// does.
    pub fn of(answer: &Answer) -> Self {
        let mut policy = Self::parse(&answer.all("content-security-policy").join(", "));
        if policy.sources("script-src").is_none() {
            let mut own = Self::parse(&within(&answer.body).unwrap_or_default());
            // Browsers do not heed these there.
            own.0.retain(|name, _| {
                !["frame-ancestors", "report-uri", "sandbox"].contains(&name.as_str())
            });
            own.0.append(&mut policy.0);
            policy = own;
        }
        policy
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The sources of a directive, or of what it falls back to; none when everything is allowed.
    pub fn sources(&self, name: &str) -> Option<&[String]> {
        let falls_back = name.ends_with("-src");
        let fallback = if falls_back { self.0.get("default-src") } else { None };
        self.0.get(name).or(fallback).map(Vec::as_slice)
    }

    fn has(&self, name: &str, source: &str) -> bool {
        self.sources(name).is_some_and(|sources| sources.iter().any(|one| one == source))
    }

    /// Whether scripts in the page run: `unsafe-inline` counts only without nonces and hashes.
    pub fn allows_inline_scripts(&self) -> bool {
        let Some(sources) = self.sources("script-src") else { return true };
        let bound = sources.iter().any(|one| {
            one.starts_with("'nonce-") || one.starts_with("'sha") || one == "'strict-dynamic'"
        });
        !bound && sources.iter().any(|one| one == "'unsafe-inline'")
    }

    /// Whether scripts may be made of texts.
    pub fn allows_eval(&self) -> bool {
        self.sources("script-src").is_none() || self.has("script-src", "'unsafe-eval'")
    }

    /// Whether scripts may come from nearly anywhere.
    pub fn allows_any_script(&self) -> bool {
        let Some(sources) = self.sources("script-src") else { return true };
        let broad = ["*", "https:", "http:", "data:"];
        !sources.iter().any(|one| one == "'strict-dynamic'")
            && sources.iter().any(|one| broad.contains(&one.as_str()))
    }

    /// Whether everything is forbidden that is not allowed by name.
    pub fn denies_by_default(&self) -> bool {
        self.0.get("default-src").is_some_and(|sources| sources == &["'none'"])
    }

    /// Whether it says who may frame the page, and not everybody.
    pub fn bounds_framing(&self) -> bool {
        self.0.get("frame-ancestors").is_some_and(|sources| !sources.iter().any(|one| one == "*"))
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (name, sources)) in self.0.iter().enumerate() {
            let before = if at == 0 { "" } else { "; " };
            write!(f, "{before}{name}")?;
            sources.iter().try_for_each(|source| write!(f, " {source}"))?;
        }
        Ok(())
    }
}

/// The policy that an element of a page says.
fn within(body: &str) -> Option<String> {
    Tokenizer::new(body).flatten().find_map(|token| {
        let Token::StartTag(tag) = token else { return None };
        let attribute = |name: &str| {
            let value = tag.attributes.get(name.as_bytes())?;
            Some(String::from_utf8_lossy(value).into_owned())
        };
        let is_policy = tag.name.as_slice() == b"meta"
            && attribute("http-equiv")?.eq_ignore_ascii_case("content-security-policy");
        is_policy.then(|| attribute("content")).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::security::answer::tests::answer;

    #[test]
    fn a_page_says_its_policy_in_its_headers_or_in_itself() {
        let meta = |policy: &str| {
            format!("<head><meta http-equiv=Content-Security-Policy content=\"{policy}\"></head>")
        };
        let body = meta("script-src 'self'; frame-ancestors 'none'");
        let own = Policy::of(&answer(200, &[], &body));
        assert!(!own.is_empty() && !own.allows_inline_scripts());
        assert!(!own.bounds_framing(), "that has to be a header");
        let header = [("content-security-policy", "default-src *")];
        assert!(Policy::of(&answer(200, &header, &body)).allows_any_script());
        let both = [("content-security-policy", "frame-ancestors 'none'")];
        let both = Policy::of(&answer(200, &both, &body));
        assert!(both.bounds_framing() && !both.allows_inline_scripts());
        assert!(Policy::of(&answer(200, &[], "<meta name=csp content=x><p>y")).is_empty());
    }

    #[test]
    fn policies_are_read_as_browsers_do() {
        let strict = Policy::parse("default-src 'none'; frame-ancestors 'none'");
        assert!(strict.denies_by_default() && strict.bounds_framing());
        assert!(!strict.allows_inline_scripts() && !strict.allows_eval());
        let loose = Policy::parse("default-src *; script-src 'unsafe-inline' 'unsafe-eval' https:");
        assert!(loose.allows_inline_scripts() && loose.allows_eval() && loose.allows_any_script());
        let nonce = Policy::parse("script-src 'unsafe-inline' 'nonce-x'");
        assert!(!nonce.allows_inline_scripts());
        let nothing = Policy::parse("upgrade-insecure-requests");
        assert!(nothing.allows_inline_scripts() && !nothing.bounds_framing());
    }
}
