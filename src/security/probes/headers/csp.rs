//! Content security policies, as far as they decide what scripts run and who may frame a page.

use std::collections::BTreeMap;

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

#[cfg(test)]
mod tests {
    use super::*;

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
