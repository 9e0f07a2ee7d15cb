//! An answer, and whether two of them say the same.

use std::collections::HashMap;
use std::time::Duration;

use reqwest::header::HeaderMap;

use super::request::segment;

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// The beginning of the body.
    pub body: String,
    /// Whether that is all of it.
    pub whole: bool,
    /// From the send to the last byte that was read.
    pub latency: Duration,
}

impl Answer {
    /// A header as text; empty when it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// All values of a header.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect()
    }

    /// Whether it is a 2xx.
    pub const fn is_success(&self) -> bool {
        self.status >= 200 && self.status < 300
    }

    /// Whether something refused it as an attack or for its rate rather than the service as wrong.
    pub const fn is_refusal(&self) -> bool {
        matches!(self.status, 403 | 406 | 429)
    }

    /// Media type without parameters, in lower case.
    pub fn media_type(&self) -> String {
        let kind = self.header("content-type").split(';').next().unwrap_or_default();
        kind.trim().to_lowercase()
    }

    /// Whether a browser would parse it as HTML or run scripts in it.
    pub fn is_active(&self) -> bool {
        let kind = self.media_type();
        let nosniff = self.header("x-content-type-options").eq_ignore_ascii_case("nosniff");
        matches!(
            kind.as_str(),
            "text/html"
                | "application/xhtml+xml"
                | "image/svg+xml"
                | "text/xml"
                | "application/xml"
        ) || (kind.is_empty() && !nosniff)
    }

    /// The same answer without a text that was sent and may have come back, in any of its spellings.
    pub fn without(&self, sent: &str) -> String {
        self.with(sent, " ")
    }

    /// The same answer as if another text had been sent and come back.
    pub fn with(&self, sent: &str, other: &str) -> String {
        let json = serde_json::Value::from(sent).to_string();
        let html = sent.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let quoted = html.replace('"', "&quot;").replace('\'', "&#39;");
        let hex = html.replace('"', "&#34;").replace('\'', "&#x27;");
        let query = segment(sent);
        let form = query.replace("%20", "+");
        let spellings = [json.trim_matches('"'), sent, &quoted, &hex, &html, &query, &form];
        let long = spellings.iter().filter(|text| text.len() > 2);
        long.fold(self.body.clone(), |body, spelling| body.replace(spelling, other))
    }
}

/// Whether two answers say the same: status and, but for numbers, nearly all words.
pub fn similar(one: &Answer, other: &Answer) -> bool {
    one.status == other.status && resemblance(&one.body, &other.body) >= 0.95
}

/// Share of words that two texts have in common, 0-1; numbers count as one word, because times and
/// ids change from answer to answer.
pub fn resemblance(one: &str, other: &str) -> f64 {
    let words = |text: &str| {
        let mut counts = HashMap::new();
        for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
            let word = if word.bytes().any(|b| b.is_ascii_digit()) { "#" } else { word };
            *counts.entry(word.to_owned()).or_insert(0_u64) += 1;
        }
        counts
    };
    let (one, other) = (words(one), words(other));
    let total: u64 = one.values().sum::<u64>() + other.values().sum::<u64>();
    if total == 0 {
        return 1.0;
    }
    let common: u64 = one.iter().map(|(word, n)| n.min(other.get(word).unwrap_or(&0))).sum();
    2.0 * common as f64 / total as f64
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// An answer for tests.
    pub(crate) fn answer(status: u16, headers: &[(&'static str, &str)], body: &str) -> Answer {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().expect("value"));
        }
        let latency = Duration::from_millis(1);
        Answer { status, headers: map, body: body.into(), whole: true, latency }
    }

    #[test]
    fn times_and_ids_do_not_make_answers_differ() {
        assert!(resemblance("id 17 at 12:01 rows a b", "id 18 at 13:55 rows a b") > 0.99);
        assert!(resemblance("rows a b c d", "no rows") < 0.5);
        assert!((resemblance("", "") - 1.0).abs() < 1e-9);
    }

    #[test]
    fn what_was_sent_is_cut_out_however_it_was_spelled() {
        let sent = "v' AND \"1";
        for body in [
            "a v' AND \"1 b",
            r#"a v' AND \"1 b"#,
            "a v&#39; AND &quot;1 b",
            "a v%27%20AND%20%221 b",
            "a v%27+AND+%221 b",
        ] {
            assert_eq!(answer(200, &[], body).without(sent), "a   b", "{body}");
        }
    }
}
