//! What reads what others wrote, for fuzzing: each takes anything and comes to its end.

use super::discovery::{Description, links::links};
use super::keys;
use super::probes::authentication::jwt::Token;
use super::probes::headers::Policy;
use super::probes::xss::context::standing;
use super::trivy::report::Report;

/// A description in OpenAPI, as JSON or YAML.
pub fn description(text: &str) {
    let _ = Description::parse(text);
}

/// A page: its links, where a text stands in it, and keys.
pub fn page(text: &str) {
    let _ = links("text/html", text);
    let _ = standing(text, "a");
    let _ = keys::find(&keys::redacted(text));
}

/// What Trivy says.
pub fn report(bytes: &[u8]) {
    if let Ok(report) = Report::parse(bytes) {
        let _ = (report.severities(), report.findings("image"));
    }
}

/// A policy or a token; none that is forged is the one that came.
pub fn header(text: &str) {
    let _ = Policy::parse(text).allows_any_script();
    if let Some(token) = Token::parse(text) {
        assert_eq!(token.forgeries().len(), 8);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn whatever_comes_is_read_or_refused(text in any::<String>(), html in "[<>a/ \"'=!-]{0,60}") {
            for text in [text.as_str(), html.as_str()] {
                super::description(text);
                super::page(text);
                super::header(text);
                super::report(text.as_bytes());
            }
        }
    }
}
